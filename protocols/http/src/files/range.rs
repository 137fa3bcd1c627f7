//! Byte ranges (RFC 9110 §14).
//!
//! Responsible for which bytes a Range field means. How they are sent is decided elsewhere.

/// More ranges than this are an attack or a mistake; the whole file is sent then (RFC 9110 §14.2).
const MAX_RANGES: usize = 16;

/// A part of a file: from `start` up to and without `end`. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(crate) const fn length(self) -> u64 {
        self.end - self.start
    }

    /// The value of Content-Range for a file of `length` bytes.
    pub(crate) fn content_range(self, length: u64) -> String {
        format!("bytes {}-{}/{length}", self.start, self.end - 1)
    }
}

/// What a Range field means for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// It is not understood, and so it is as if it were not there.
    Ignored,
    /// None of it lies in the file.
    NotSatisfiable,
    /// These, in the order asked for; those that touch or overlap are joined.
    Satisfiable(Vec<Span>),
}

/// Parses a Range field for a file of `length` bytes.
pub(crate) fn parse(value: &[u8], length: u64) -> Ranges {
    let Some(list) = value.get(..6).filter(|unit| unit.eq_ignore_ascii_case(b"bytes=")).and(value.get(6..)) else {
        return Ranges::Ignored;
    };
    let mut spans: Vec<Span> = Vec::new();
    let mut count = 0;
    for range in list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|range| !range.is_empty()) {
        count += 1;
        let Some(asked) = parse_one(range, length).filter(|_| count <= MAX_RANGES) else { return Ranges::Ignored };
        let Some(mut span) = asked else { continue };
        // RFC 9110 §15.3.7.2: overlapping ranges may be joined. Adjacent ones cost a part header each.
        let touches = |other: &Span, span: &Span| other.start <= span.end && span.start <= other.end;
        while let Some(at) = spans.iter().position(|other| touches(other, &span)) {
            let other = spans.remove(at);
            span = Span { start: span.start.min(other.start), end: span.end.max(other.end) };
        }
        spans.push(span);
    }
    match (count, spans.is_empty()) {
        (0, _) => Ranges::Ignored,
        (_, true) => Ranges::NotSatisfiable,
        (_, false) => Ranges::Satisfiable(spans),
    }
}

/// One range-spec. `None`: not well-formed. `Some(None)`: not in the file.
fn parse_one(range: &[u8], length: u64) -> Option<Option<Span>> {
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (range.get(..dash)?, range.get(dash + 1..)?);
    let span = if first.is_empty() {
        let suffix = number(last)?;
        Span { start: length.saturating_sub(suffix), end: length }
    } else {
        let first = number(first)?;
        let end = if last.is_empty() { length } else { number(last)?.saturating_add(1) };
        if end <= first && !last.is_empty() {
            return None;
        }
        Span { start: first, end: end.min(length) }
    };
    Some((span.start < span.end).then_some(span))
}

/// A decimal number; one that is too large to be held is larger than any file.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(value: &str, length: u64) -> Option<Vec<(u64, u64)>> {
        match parse(value.as_bytes(), length) {
            Ranges::Satisfiable(spans) => Some(spans.iter().map(|span| (span.start, span.end)).collect()),
            Ranges::Ignored | Ranges::NotSatisfiable => None,
        }
    }

    #[test]
    fn single_ranges() {
        assert_eq!(spans("bytes=0-0", 10), Some(vec![(0, 1)]));
        assert_eq!(spans("bytes=0-", 10), Some(vec![(0, 10)]));
        assert_eq!(spans("bytes=5-100", 10), Some(vec![(5, 10)]));
        assert_eq!(spans("bytes=-3", 10), Some(vec![(7, 10)]));
        assert_eq!(spans("bytes=-30", 10), Some(vec![(0, 10)]));
        assert_eq!(spans("Bytes=1-2", 10), Some(vec![(1, 3)]));
        let far = 5_u64 << 30;
        assert_eq!(spans("bytes=5368709119-", far), Some(vec![(far - 1, far)]));
        assert_eq!(spans("bytes=0-99999999999999999999999", far), Some(vec![(0, far)]));
    }

    #[test]
    fn what_is_not_in_the_file_is_not_satisfiable() {
        for value in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(parse(value.as_bytes(), 10), Ranges::NotSatisfiable, "{value}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Ranges::NotSatisfiable);
        assert_eq!(parse(b"bytes=-5", 0), Ranges::NotSatisfiable);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        let many = format!("bytes={}", ["0-0"; 17].join(","));
        for value in
            ["", "bytes", "bytes=", "items=0-1", "bytes=a-b", "bytes=2-1", "bytes=1", "bytes=--1", "bytes=+1-2", &many]
        {
            assert_eq!(parse(value.as_bytes(), 10), Ranges::Ignored, "{value}");
        }
    }

    #[test]
    fn several_ranges_are_joined_where_they_touch() {
        assert_eq!(spans("bytes=0-1, 4-5", 10), Some(vec![(0, 2), (4, 6)]));
        assert_eq!(spans("bytes=8-9,0-1", 10), Some(vec![(8, 10), (0, 2)]), "the order asked for");
        assert_eq!(spans("bytes=0-1,2-3", 10), Some(vec![(0, 4)]));
        assert_eq!(spans("bytes=0-5,1-2,4-7", 10), Some(vec![(0, 8)]));
        assert_eq!(spans("bytes=0-0,20-", 10), Some(vec![(0, 1)]));
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_file_and_apart(value in "bytes=[0-9,-]{0,40}", length in 0_u64..200) {
            if let Ranges::Satisfiable(spans) = parse(value.as_bytes(), length) {
                for (at, span) in spans.iter().enumerate() {
                    prop_assert!(span.start < span.end && span.end <= length);
                    for other in &spans[..at] {
                        prop_assert!(span.end < other.start || other.end < span.start);
                    }
                }
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(value: Vec<u8>, length: u64) {
            let _ = parse(&value, length);
        }
    }
}
