//! Answers that the configuration gives for particular paths: redirects, and responses without a file.
//!
//! Responsible for matching a path and for making the reply. The rules are checked when the module is prepared.

use bytes::Bytes;

use crate::{Body, Method, Reply};

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) status: u16,
    /// Header lines, each with its CRLF.
    pub(crate) fields: Vec<u8>,
    pub(crate) body: Bytes,
}

/// Which paths a rule is about. Paths are normalised: decoded, without leading slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// This one.
    Exact(Vec<u8>),
    /// All that begin so.
    Prefix(Vec<u8>),
}

impl Pattern {
    /// Parses `/path` or `/prefix/*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let prefix = text.strip_suffix('*');
        let mut path = Vec::new();
        super::path::normalise(prefix.unwrap_or(text), &mut path).ok()?;
        text.starts_with('/').then(|| if prefix.is_some() { Self::Prefix(path) } else { Self::Exact(path) })
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix),
        }
    }
}

/// The reply of the first rule for a path, if there is one. GET, HEAD and POST are answered.
pub(crate) fn reply(rules: &[Rule], method: Method, path: &[u8]) -> Option<Reply> {
    if !matches!(method, Method::Get | Method::Head | Method::Post) {
        return None;
    }
    let rule = rules.iter().find(|rule| rule.pattern.matches(path))?;
    let mut reply = Reply::new(rule.status);
    reply.fields.extend_from_slice(&rule.fields);
    Some(if rule.body.is_empty() { reply } else { reply.body(Body::Bytes(rule.body.clone())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let matches = |pattern: &str, path: &str| Pattern::parse(pattern).unwrap().matches(path.as_bytes());
        assert!(matches("/a%20b", "a b"));
        assert!(!matches("/a", "a/"));
        assert!(matches("/a/*", "a/b/c"));
        assert!(!matches("/a/*", "a"));
        assert!(matches("/*", ""));
        assert!(matches("/", ""));
        for wrong in ["", "a", "*", "/../a", "/%zz"] {
            assert_eq!(Pattern::parse(wrong), None, "{wrong}");
        }
    }
}
