//! Content codings of files that lie compressed beside the original (`page.html.br`).
//!
//! Responsible for which codings a request accepts (RFC 9110 §12.5.3). Nothing is compressed here.

/// A coding: its name, and how its files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    pub(crate) name: &'static str,
    pub(crate) suffix: &'static str,
}

/// The codings known, the preferred one first.
const CODINGS: [Coding; 3] = [
    Coding { name: "br", suffix: ".br" },
    Coding { name: "zstd", suffix: ".zst" },
    Coding { name: "gzip", suffix: ".gz" },
];

/// A set of codings, small enough to be part of a cache's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted(u8);

impl Accepted {
    /// Those that an Accept-Encoding field names or covers by `*`, except with `q=0`.
    pub(crate) fn parse(value: &[u8]) -> Self {
        let (mut named, mut accepted, mut any) = (0, 0, false);
        for element in value.split(|byte| *byte == b',') {
            let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let wanted = !parts.any(is_zero_weight);
            if name == b"*" {
                any = wanted;
            }
            if let Some(place) = CODINGS.iter().position(|coding| name.eq_ignore_ascii_case(coding.name.as_bytes())) {
                named |= 1 << place;
                accepted |= u8::from(wanted) << place;
            }
        }
        let all = (1 << CODINGS.len()) - 1;
        Self(if any { accepted | all & !named } else { accepted })
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The codings in the set, the preferred one first.
    pub(crate) fn iter(self) -> impl Iterator<Item = Coding> {
        CODINGS.into_iter().enumerate().filter(move |(place, _)| self.0 & 1 << place != 0).map(|(_, coding)| coding)
    }
}

/// `q=0`, `q=0.000`.
fn is_zero_weight(parameter: &[u8]) -> bool {
    let weight = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    weight.is_some_and(|weight| !weight.is_empty() && weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        let names =
            |value: &str| Accepted::parse(value.as_bytes()).iter().map(|coding| coding.name).collect::<Vec<_>>();
        assert_eq!(names("gzip, deflate, br, zstd"), ["br", "zstd", "gzip"]);
        assert_eq!(names("GZIP;q=0.5 , br;q=0"), ["gzip"]);
        assert_eq!(names("*"), ["br", "zstd", "gzip"]);
        assert_eq!(names("gzip;q=0.000, *;q=0.1"), ["br", "zstd"]);
        assert_eq!(names("gzip, *;q=0"), ["gzip"]);
        for none in ["", "identity", "gzipped", ";q=1", ",,"] {
            assert!(names(none).is_empty(), "{none}");
        }
    }
}
