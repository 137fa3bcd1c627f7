//! One layer of the document: a file, a variable of the environment, or a `--set`.
//!
//! Responsible for reading TOML so that each key keeps its place. The values go to the `config` crate, which lays one
//! layer over the other. Not responsible for which layers there are: that is [`crate::Sources`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use config::{ConfigError, Map, Source, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Excerpt, Place, Position, Severity};
use crate::path::PathElement;

/// A layer: its values, and where each of them stands.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    text: Text,
    values: Map<String, Value>,
    spans: BTreeMap<String, Spans>,
}

/// What the places of a layer point into.
#[derive(Clone, Debug)]
struct Text {
    /// The file, variable or assignment as a whole.
    origin: Place,
    content: String,
}

/// Where a key and its value stand, in bytes of the text.
#[derive(Clone, Debug)]
struct Spans {
    key: Range<usize>,
    value: Range<usize>,
    inside: Inside,
}

/// What a value holds.
#[derive(Clone, Debug)]
enum Inside {
    Nothing,
    Table(BTreeMap<String, Spans>),
    Array(Vec<Spans>),
}

/// Which part of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

/// What a layer knows of a path.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// It, or what replaces it, is set here.
    Here(Entry<'a>),
    /// Nothing; an earlier layer may.
    NotHere,
}

/// An entry of a layer.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    text: &'a Text,
    spans: &'a Spans,
}

/// The most syntax errors that are looked for in one file.
const MAXIMUM_SYNTAX_ERRORS: usize = 20;

impl Layer {
    /// Reads a file's content.
    pub(crate) fn file(path: &Path, content: &str) -> Result<Self, Vec<Diagnostic>> {
        let content = content.strip_prefix('\u{feff}').unwrap_or(content).to_owned();
        let text = Text { origin: Place::File { path: path.to_owned(), position: None }, content };
        let table = match DeTable::parse(&text.content) {
            Ok(table) => table.into_inner(),
            Err(_) => return Err(text.syntax_errors()),
        };
        let mut reading = Reading { text: &text, offset: 0, diagnostics: Vec::new() };
        let (values, spans) = reading.table(&table);
        for (key, entry) in &spans {
            reading.check_section(key, entry);
        }
        if reading.diagnostics.is_empty() { Ok(Self { values, spans, text }) } else { Err(reading.diagnostics) }
    }

    /// Takes a value from outside the files: a TOML value if it reads as one, else a string. `origin` names it in
    /// messages, `name` is what is shown before the `=`.
    pub(crate) fn assignment(origin: Place, name: &str, keys: &[String], value: &str) -> Result<Self, Vec<Diagnostic>> {
        let text = Text { origin, content: format!("{name}={value}") };
        let key = 0..name.len();
        let mut reading = Reading { text: &text, offset: name.len() + 1, diagnostics: Vec::new() };
        let (mut value, mut spans) = match DeValue::parse(value) {
            Ok(parsed) => reading.value(parsed.get_ref(), parsed.span(), key.clone()),
            Err(_) => {
                let span = name.len() + 1..text.content.len();
                (Value::from(value), Spans { key: key.clone(), value: span, inside: Inside::Nothing })
            }
        };
        if !reading.diagnostics.is_empty() {
            return Err(reading.diagnostics);
        }
        let Some((first, rest)) = keys.split_first() else {
            return Err(vec![text.diagnostic(key, "names no key".to_owned())]);
        };
        for name in rest.iter().rev() {
            value = Value::new(None, Map::from_iter([(name.clone(), value)]));
            let inside = Inside::Table(BTreeMap::from([(name.clone(), spans)]));
            spans = Spans { key: key.clone(), value: key.clone(), inside };
        }
        let values = Map::from_iter([(first.clone(), value)]);
        Ok(Self { values, spans: BTreeMap::from([(first.clone(), spans)]), text })
    }

    /// What the messages call this layer.
    pub(crate) fn origin(&self) -> &Place {
        &self.text.origin
    }

    /// Whether this layer sets the value at a path, alone or as a part of something larger.
    pub(crate) fn find(&self, path: &[PathElement]) -> Found<'_> {
        let Some((PathElement::Key(first), rest)) = path.split_first() else { return Found::NotHere };
        let Some(mut spans) = self.spans.get(first) else { return Found::NotHere };
        for element in rest {
            let next = match (&spans.inside, element) {
                (Inside::Table(table), PathElement::Key(key)) => match table.get(key) {
                    Some(spans) => spans,
                    None => return Found::NotHere,
                },
                (Inside::Array(elements), PathElement::Index(index)) => match elements.get(*index) {
                    Some(spans) => spans,
                    None => break,
                },
                // Not a table: it hides what earlier layers have here.
                _ => break,
            };
            spans = next;
        }
        Found::Here(Entry { text: &self.text, spans })
    }
}

impl Entry<'_> {
    /// A diagnostic at this entry.
    pub(crate) fn diagnostic(&self, part: Part, severity: Severity, message: String) -> Diagnostic {
        let span = match part {
            Part::Key => self.spans.key.clone(),
            Part::Value => self.spans.value.clone(),
        };
        Diagnostic { severity, ..self.text.diagnostic(span, message) }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.values.clone())
    }
}

/// Walks what the parser made of a text.
struct Reading<'a> {
    text: &'a Text,
    /// Where in the text the parsed part begins.
    offset: usize,
    diagnostics: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> (Map<String, Value>, BTreeMap<String, Spans>) {
        let mut values = Map::new();
        let mut spans = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            let (value, places) = self.value(value.get_ref(), value.span(), self.shifted(key.span()));
            values.insert(name.clone(), value);
            spans.insert(name, places);
        }
        (values, spans)
    }

    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, key: Range<usize>) -> (Value, Spans) {
        let span = self.shifted(span);
        let mut inside = Inside::Nothing;
        let kind = match value {
            DeValue::String(value) => ValueKind::from(value.as_ref()),
            DeValue::Boolean(value) => (*value).into(),
            DeValue::Datetime(value) => value.to_string().into(),
            DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
                Ok(value) => value.into(),
                Err(_) => self.out_of_range(&span, "an integer of 64 bits"),
            },
            DeValue::Float(value) => match value.as_str().parse::<f64>() {
                Ok(value) if value.is_finite() => value.into(),
                _ => self.out_of_range(&span, "a finite number"),
            },
            DeValue::Array(elements) => {
                let (values, places) = elements
                    .iter()
                    .map(|element| self.value(element.get_ref(), element.span(), self.shifted(element.span())))
                    .unzip::<Value, Spans, Vec<_>, Vec<_>>();
                inside = Inside::Array(places);
                values.into()
            }
            DeValue::Table(table) => {
                let (values, places) = self.table(table);
                inside = Inside::Table(places);
                values.into()
            }
        };
        (Value::new(None, kind), Spans { key, value: span, inside })
    }

    fn shifted(&self, span: Range<usize>) -> Range<usize> {
        span.start + self.offset..span.end + self.offset
    }

    fn out_of_range(&mut self, span: &Range<usize>, expected: &str) -> ValueKind {
        self.diagnostics.push(self.text.diagnostic(span.clone(), format!("this is not {expected}")));
        ValueKind::Nil
    }

    /// The `config` crate reads a quoted key of the top level as a path (`"a.b"`, `"a[0]"`). None is valid as a
    /// section's name, so none may come through.
    fn check_section(&mut self, key: &str, entry: &Spans) {
        if !is_word(key) {
            self.diagnostics.push(self.text.diagnostic(entry.key.clone(), format!("unknown section {key:?}")));
        }
    }
}

/// Whether a text is a key that needs no quotes.
pub(crate) fn is_word(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

impl Text {
    /// An error about a part of the text.
    fn diagnostic(&self, span: Range<usize>, message: String) -> Diagnostic {
        let (line, start) = line_of(&self.content, span.start);
        let text = self.content[start..].lines().next().unwrap_or_default().to_owned();
        let characters = |to: usize| self.content.get(start..to).map_or(0, |part| part.chars().count());
        let column = characters(span.start) + 1;
        let length = characters(span.end.min(start + text.len())).saturating_sub(column - 1);
        let place = match &self.origin {
            Place::File { path, .. } => Place::File { path: path.clone(), position: Some(Position { line, column }) },
            Place::Environment(_) | Place::Assignment(_) => self.origin.clone(),
        };
        Diagnostic {
            excerpt: Some(Excerpt { text, column, length }),
            ..Diagnostic::new(place, Severity::Error, message)
        }
    }

    /// All syntax errors. The parser's own way of going on after an error reports what follows from it too. So the
    /// first error is taken, its line put aside, and the rest read again.
    fn syntax_errors(&self) -> Vec<Diagnostic> {
        let mut rest = self.content.clone();
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        let mut last_line = 0;
        for round in 0..MAXIMUM_SYNTAX_ERRORS {
            let (_, errors) = DeTable::parse_recoverable(&rest);
            let first = errors.into_iter().min_by_key(|error| error.span().map_or(0, |span| span.start));
            let Some(error) = first else { break };
            let span = error.span().unwrap_or(0..0);
            let span = floor(&rest, span.start)..floor(&rest, span.end);
            let (line, start) = line_of(&rest, span.start);
            // An error that moves backwards or stays comes from what was put aside.
            if line <= last_line {
                break;
            }
            last_line = line;
            let original = Self { origin: self.origin.clone(), content: rest.clone() };
            let message = error.message().trim_end_matches(", expected nothing");
            diagnostics.push(original.diagnostic(span, format!("invalid TOML: {message}")));
            let end = rest[start..].find('\n').map_or(rest.len(), |length| start + length);
            // A table's header is replaced, so that the keys below it do not fall into the table before it.
            let replacement =
                if rest[start..end].trim_start().starts_with('[') { format!("[_{round}]") } else { String::new() };
            rest.replace_range(start..end, &replacement);
        }
        diagnostics
    }
}

/// The line that an offset is in, from 1, and the offset of the line's start.
fn line_of(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..floor(text, offset)];
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, start)
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&offset| text.is_char_boundary(offset)).unwrap_or(0)
}
