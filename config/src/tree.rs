//! The merged values, and their deserialisation.
//!
//! Responsible for handing values to serde with errors that still know what serde was told (which keys exist, what was
//! expected) and the exact path, where the `toml` and `config` crates give text. Also stricter than `config`, which
//! would take `"1500"` for 1500. Not responsible for words ([`crate::explanation`]) and places ([`crate::Document`]).

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use config::{Value, ValueKind};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected};
use serde::de::{DeserializeOwned, Visitor};
use serde::forward_to_deserialize_any;

use crate::path::{KeyPath, PathElement};

/// A value of the document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(String),
    /// An element that was wrong and has been reported is `None`, so that the others keep their indices.
    Array(Vec<Option<Tree>>),
    Table(BTreeMap<String, Tree>),
}

impl From<Value> for Tree {
    fn from(value: Value) -> Self {
        match value.kind {
            ValueKind::Boolean(value) => Self::Boolean(value),
            ValueKind::I64(value) => Self::Integer(value),
            ValueKind::Float(value) => Self::Float(value),
            ValueKind::String(value) => Self::String(value),
            ValueKind::Array(elements) => Self::Array(elements.into_iter().map(|value| Some(value.into())).collect()),
            ValueKind::Table(table) => Self::Table(table.into_iter().map(|(key, value)| (key, value.into())).collect()),
            // No layer makes these.
            kind @ (ValueKind::Nil | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_)) => {
                Self::String(kind.to_string())
            }
        }
    }
}

impl Tree {
    pub(crate) fn empty() -> Self {
        Self::Table(BTreeMap::new())
    }

    pub(crate) fn as_table(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn get(&self, path: &[PathElement]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, element| match (tree, element) {
            (Self::Table(table), PathElement::Key(key)) => table.get(key),
            (Self::Array(elements), PathElement::Index(index)) => elements.get(*index)?.as_ref(),
            _ => None,
        })
    }

    /// Takes a value out; whether there was one.
    fn remove(&mut self, path: &[PathElement]) -> bool {
        let Some((last, parent)) = path.split_last() else { return false };
        let parent = parent.iter().try_fold(self, |tree, element| match (tree, element) {
            (Self::Table(table), PathElement::Key(key)) => table.get_mut(key),
            (Self::Array(elements), PathElement::Index(index)) => elements.get_mut(*index)?.as_mut(),
            _ => None,
        });
        match (parent, last) {
            (Some(Self::Table(table)), PathElement::Key(key)) => table.remove(key).is_some(),
            (Some(Self::Array(elements)), PathElement::Index(index)) => {
                elements.get_mut(*index).is_some_and(|element| element.take().is_some())
            }
            _ => false,
        }
    }

    /// Deserialises, finding all that is wrong and not only the first: a value that is wrong is taken out and the
    /// rest tried again. The result is what is left, or nothing when the tree as a whole is wrong.
    pub(crate) fn deserialize<T: DeserializeOwned>(mut self) -> Outcome<T> {
        let mut failures = Vec::new();
        let mut removed = HashSet::new();
        for _ in 0..MAXIMUM_FAILURES {
            let failure = match T::deserialize(&self) {
                Ok(value) => return Outcome { value: Some(value), failures, removed },
                Err(Failure { mut path, kind }) => {
                    path.reverse();
                    Failure { path, kind }
                }
            };
            let mut path = KeyPath::from(failure.path.clone());
            // A key that is missing because it was wrong has been reported already.
            let known = matches!(&failure.kind, FailureKind::MissingKey(key) if removed.contains(&path.child(*key)));
            if !known {
                failures.push(failure);
            }
            while !self.remove(path.elements()) {
                match path.parent() {
                    Some(parent) => path = parent,
                    None => return Outcome { value: None, failures, removed },
                }
            }
            removed.insert(path);
        }
        Outcome { value: None, failures, removed }
    }
}

/// What came of a deserialisation.
#[derive(Debug)]
pub(crate) struct Outcome<T> {
    /// What could be made of the parts that are right.
    pub(crate) value: Option<T>,
    /// What is wrong.
    pub(crate) failures: Vec<Failure>,
    /// What was taken out because of it.
    pub(crate) removed: HashSet<KeyPath>,
}

/// The most that is found in one go; the rest shows after these have been mended.
const MAXIMUM_FAILURES: usize = 100;

/// One thing that a type does not accept.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    /// Where; while the failure is on its way up, innermost first.
    pub(crate) path: Vec<PathElement>,
    pub(crate) kind: FailureKind,
}

/// What is not accepted, as serde told it.
#[derive(Debug, PartialEq)]
pub(crate) enum FailureKind {
    Wrong {
        found: String,
        expected: String,
    },
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    UnknownValue {
        value: String,
        known: &'static [&'static str],
    },
    /// The path is that of the table.
    MissingKey(&'static str),
    Message(String),
}

impl FailureKind {
    fn wrong(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Wrong { found: found.to_string(), expected: expected.to_string() }
    }
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self { path: Vec::new(), kind }
    }
}

impl Failure {
    fn within(mut self, element: PathElement) -> Self {
        self.path.push(element);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        FailureKind::Message(message.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        FailureKind::wrong(found, expected).into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        FailureKind::wrong(found, expected).into()
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        FailureKind::Wrong { found: format!("{length} of them"), expected: expected.to_string() }.into()
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        FailureKind::UnknownValue { value: variant.to_owned(), known }.into()
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        FailureKind::UnknownKey { key: field.to_owned(), known }.into()
    }

    fn missing_field(field: &'static str) -> Self {
        FailureKind::MissingKey(field).into()
    }
}

impl<'de> Deserializer<'de> for &'de Tree {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self {
            Tree::Boolean(value) => visitor.visit_bool(*value),
            Tree::Integer(value) => visitor.visit_i64(*value),
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::String(value) => visitor.visit_borrowed_str(value),
            Tree::Array(elements) => visitor.visit_seq(Elements { elements: elements.iter().enumerate() }),
            Tree::Table(table) => visitor.visit_map(Entries { entries: table.iter(), current: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self {
            Tree::String(value) => {
                let variant: StrDeserializer<'_, Failure> = value.as_str().into_deserializer();
                visitor.visit_enum(variant)
            }
            Tree::Table(table) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries { entries: table.iter(), current: None }))
            }
            Tree::Boolean(value) => Err(FailureKind::wrong(Unexpected::Bool(*value), &visitor).into()),
            Tree::Integer(value) => Err(FailureKind::wrong(Unexpected::Signed(*value), &visitor).into()),
            Tree::Float(value) => Err(FailureKind::wrong(Unexpected::Float(*value), &visitor).into()),
            Tree::Array(_) => Err(FailureKind::wrong(Unexpected::Seq, &visitor).into()),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The elements of an array that are left.
struct Elements<'de> {
    elements: std::iter::Enumerate<std::slice::Iter<'de, Option<Tree>>>,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        match self.elements.by_ref().find_map(|(index, element)| Some((index, element.as_ref()?))) {
            Some((index, element)) => {
                seed.deserialize(element).map(Some).map_err(|failure| failure.within(PathElement::Index(index)))
            }
            None => Ok(None),
        }
    }
}

/// The entries of a table.
struct Entries<'de> {
    entries: std::collections::btree_map::Iter<'de, String, Tree>,
    current: Option<(&'de String, &'de Tree)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        let name: StrDeserializer<'_, Failure> = key.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|failure| failure.within(PathElement::Key(key.clone())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        match self.current.take() {
            Some((key, value)) => {
                seed.deserialize(value).map_err(|failure| failure.within(PathElement::Key(key.clone())))
            }
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}
