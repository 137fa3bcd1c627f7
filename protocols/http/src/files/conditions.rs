//! Conditional and range requests, as far as a representation decides them.
//!
//! Responsible for RFC 9110 §13 (preconditions, in the order of §13.2.2). Which bytes a range means is in `range`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::range::{self, Ranges, Span};
use crate::{Method, Request};

/// The fields of a request that make it conditional or partial. `B` is how their values are held: borrowed from
/// the request, or owned while a file is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conditions<B> {
    pub(crate) if_match: Option<B>,
    pub(crate) if_none_match: Option<B>,
    pub(crate) if_modified_since: Option<B>,
    pub(crate) if_unmodified_since: Option<B>,
    pub(crate) if_range: Option<B>,
    pub(crate) range: Option<B>,
}

impl<B> Default for Conditions<B> {
    fn default() -> Self {
        Self {
            if_match: None,
            if_none_match: None,
            if_modified_since: None,
            if_unmodified_since: None,
            if_range: None,
            range: None,
        }
    }
}

impl<'a> Conditions<Joined<'a>> {
    /// The conditions of a request.
    pub(crate) fn of(request: &Request<'a>) -> Self {
        let mut conditions = Self::default();
        for (name, value) in request.headers.iter() {
            // One look at the length spares nearly every field the comparisons.
            let slot = match name.len() {
                5 if name.eq_ignore_ascii_case("range") => &mut conditions.range,
                8 if name.eq_ignore_ascii_case("if-match") => &mut conditions.if_match,
                8 if name.eq_ignore_ascii_case("if-range") => &mut conditions.if_range,
                13 if name.eq_ignore_ascii_case("if-none-match") => &mut conditions.if_none_match,
                17 if name.eq_ignore_ascii_case("if-modified-since") => &mut conditions.if_modified_since,
                19 if name.eq_ignore_ascii_case("if-unmodified-since") => &mut conditions.if_unmodified_since,
                _ => continue,
            };
            match slot {
                None => *slot = Some(Joined::One(value)),
                Some(joined) => joined.push(value),
            }
        }
        conditions
    }

    /// The same, with values of its own.
    pub(crate) fn into_owned(self) -> Conditions<Vec<u8>> {
        let own = |value: Option<Joined<'a>>| value.map(Joined::into_owned);
        Conditions {
            if_match: own(self.if_match),
            if_none_match: own(self.if_none_match),
            if_modified_since: own(self.if_modified_since),
            if_unmodified_since: own(self.if_unmodified_since),
            if_range: own(self.if_range),
            range: own(self.range),
        }
    }
}

/// The value of a field, whose lines are joined by commas when there are several (RFC 9110 §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Joined<'a> {
    One(&'a [u8]),
    Several(Vec<u8>),
}

impl Joined<'_> {
    fn push(&mut self, value: &[u8]) {
        let mut all = std::mem::replace(self, Self::One(b"")).into_owned();
        all.push(b',');
        all.extend_from_slice(value);
        *self = Self::Several(all);
    }

    fn into_owned(self) -> Vec<u8> {
        match self {
            Self::One(value) => value.to_vec(),
            Self::Several(value) => value,
        }
    }
}

impl AsRef<[u8]> for Joined<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::One(value) => value,
            Self::Several(value) => value,
        }
    }
}

/// What a representation is compared by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validators<'a> {
    /// A strong entity tag with its quotes.
    pub(crate) etag: &'a str,
    /// When it was last changed.
    pub(crate) modified: SystemTime,
    /// Its length in bytes.
    pub(crate) length: u64,
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 200, all of it.
    Full,
    /// 206.
    Partial(Vec<Span>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    NotSatisfiable,
}

impl<B: AsRef<[u8]>> Conditions<B> {
    /// Whether there is no condition at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.range.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_none()
            && self.if_match.is_none()
            && self.if_unmodified_since.is_none()
    }

    /// RFC 9110 §13.2.2, step by step. For methods other than GET and HEAD, [`Outcome::NotModified`] means 412.
    pub(crate) fn evaluate(&self, method: Method, file: &Validators<'_>) -> Outcome {
        // 1 and 2
        if let Some(tags) = &self.if_match {
            if !matches(tags.as_ref(), file.etag, Comparison::Strong) {
                return Outcome::PreconditionFailed;
            }
        } else if let Some(since) = self.if_unmodified_since.as_ref().and_then(|value| parse_date(value.as_ref()))
            && whole_seconds(file.modified) > since
        {
            return Outcome::PreconditionFailed;
        }
        // 3 and 4
        if let Some(tags) = &self.if_none_match {
            if matches(tags.as_ref(), file.etag, Comparison::Weak) {
                return Outcome::NotModified;
            }
        } else if matches!(method, Method::Get | Method::Head)
            && let Some(since) = self.if_modified_since.as_ref().and_then(|value| parse_date(value.as_ref()))
            && whole_seconds(file.modified) <= since
        {
            return Outcome::NotModified;
        }
        // 5; a Range field has a meaning for GET only (RFC 9110 §14.2)
        let Some(range) = self.range.as_ref().filter(|_| method == Method::Get) else { return Outcome::Full };
        if self.if_range.as_ref().is_some_and(|value| !if_range_holds(value.as_ref(), file)) {
            return Outcome::Full;
        }
        match range::parse(range.as_ref(), file.length) {
            Ranges::Ignored => Outcome::Full,
            Ranges::NotSatisfiable => Outcome::NotSatisfiable,
            Ranges::Satisfiable(spans) => Outcome::Partial(spans),
        }
    }
}

/// RFC 9110 §13.1.5: a strong entity tag, or the exact date.
fn if_range_holds(value: &[u8], file: &Validators<'_>) -> bool {
    match value.first() {
        Some(b'"') => value == file.etag.as_bytes(),
        Some(b'W') if value.get(1) == Some(&b'/') => false,
        _ => parse_date(value) == Some(whole_seconds(file.modified)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether one of a list of entity tags, or `*`, is `etag` (RFC 9110 §8.8.3.2), which is strong.
fn matches(list: &[u8], etag: &str, comparison: Comparison) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.trim_ascii_start();
        while let Some(next) = rest.strip_prefix(b",") {
            rest = next.trim_ascii_start();
        }
        let weak = rest.strip_prefix(b"W/");
        let tag = weak.unwrap_or(rest);
        if tag.first() != Some(&b'"') {
            return false;
        }
        let Some(end) = tag.get(1..).and_then(|tag| tag.iter().position(|byte| *byte == b'"')) else { return false };
        let (tag, following) = tag.split_at(end + 2);
        if tag == etag.as_bytes() && (weak.is_none() || comparison == Comparison::Weak) {
            return true;
        }
        rest = following;
    }
}

/// A date of any of the three forms (RFC 9110 §5.6.7). One that cannot be parsed makes its condition void.
fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

/// HTTP dates have no parts of a second.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn file() -> Validators<'static> {
        let modified = UNIX_EPOCH + Duration::from_millis(784_111_777_500);
        Validators { etag: "\"a\"", modified, length: 10 }
    }

    fn outcome(set: impl FnOnce(&mut Conditions<&'static str>)) -> Outcome {
        let mut conditions = Conditions::default();
        set(&mut conditions);
        conditions.evaluate(Method::Get, &file())
    }

    #[test]
    fn entity_tags() {
        for tags in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"x,y\" ,, W/\"a\"", "*"] {
            assert_eq!(outcome(|c| c.if_none_match = Some(tags)), Outcome::NotModified, "{tags}");
        }
        for tags in ["\"b\"", "a", "\"a", "", "\"A\"", "\"b\" \"c\""] {
            assert_eq!(outcome(|c| c.if_none_match = Some(tags)), Outcome::Full, "{tags}");
        }
        assert_eq!(outcome(|c| c.if_match = Some("\"a\"")), Outcome::Full);
        assert_eq!(outcome(|c| c.if_match = Some("*")), Outcome::Full);
        assert_eq!(outcome(|c| c.if_match = Some("W/\"a\"")), Outcome::PreconditionFailed, "strong comparison");
        assert_eq!(outcome(|c| c.if_match = Some("\"b\"")), Outcome::PreconditionFailed);
    }

    #[test]
    fn dates() {
        assert_eq!(outcome(|c| c.if_modified_since = Some(MODIFIED)), Outcome::NotModified);
        assert_eq!(outcome(|c| c.if_modified_since = Some(BEFORE)), Outcome::Full);
        assert_eq!(outcome(|c| c.if_modified_since = Some("yesterday")), Outcome::Full);
        assert_eq!(outcome(|c| c.if_unmodified_since = Some(MODIFIED)), Outcome::Full);
        assert_eq!(outcome(|c| c.if_unmodified_since = Some(BEFORE)), Outcome::PreconditionFailed);
    }

    #[test]
    fn entity_tags_come_before_dates() {
        let both = |c: &mut Conditions<_>| {
            c.if_none_match = Some("\"b\"");
            c.if_modified_since = Some(MODIFIED);
        };
        assert_eq!(outcome(both), Outcome::Full);
        let both = |c: &mut Conditions<_>| {
            c.if_match = Some("\"a\"");
            c.if_unmodified_since = Some(BEFORE);
        };
        assert_eq!(outcome(both), Outcome::Full);
    }

    #[test]
    fn a_range_depends_on_if_range() {
        let ranged = |if_range| {
            outcome(|c| {
                c.range = Some("bytes=1-2");
                c.if_range = if_range;
            })
        };
        let partial = Outcome::Partial(vec![Span { start: 1, end: 3 }]);
        assert_eq!(ranged(None), partial);
        assert_eq!(ranged(Some("\"a\"")), partial);
        assert_eq!(ranged(Some(MODIFIED)), partial);
        for other in ["\"b\"", "W/\"a\"", BEFORE, "nonsense"] {
            assert_eq!(ranged(Some(other)), Outcome::Full, "{other}");
        }
        let head = Conditions { range: Some("bytes=1-2"), ..Conditions::default() };
        assert_eq!(head.evaluate(Method::Head, &file()), Outcome::Full);
    }
}
