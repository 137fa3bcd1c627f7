//! Names of files, as clients write them.
//!
//! Responsible for turning a request's name into a relative path that has only plain components. That a symbolic
//! link on the way does not lead out is seen to where the path is opened (`files`).

/// What a file's name begins with while it is being uploaded. No request can name such a file.
pub(crate) const UPLOAD_PREFIX: &[u8] = b".tapster-upload-";

/// A relative path beneath the root: components that are not empty, `.` or `..`, with a `/` between them, without a
/// NUL or other control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name(Box<[u8]>);

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// There is no component in it.
    Empty,
    /// It has a component `..`.
    Parent,
    /// It has a control character, or names a file that is being uploaded.
    Forbidden,
}

impl Name {
    /// Reads a name. With `backslashes`, a `\` separates components as a `/` does, since some clients (Windows
    /// Deployment Services) write it so.
    pub(crate) fn parse(text: &[u8], backslashes: bool) -> Result<Self, NameError> {
        let mut path = Vec::with_capacity(text.len());
        for component in text.split(|byte| *byte == b'/' || (backslashes && *byte == b'\\')) {
            match component {
                b"" | b"." => continue,
                b".." => return Err(NameError::Parent),
                _ if component.starts_with(UPLOAD_PREFIX) => return Err(NameError::Forbidden),
                _ if component.iter().any(u8::is_ascii_control) => return Err(NameError::Forbidden),
                _ => {}
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        if path.is_empty() { Err(NameError::Empty) } else { Ok(Self(path.into_boxed_slice())) }
    }

    /// The path.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory (empty: the root itself) and the last component.
    pub(crate) fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (self.0.get(..slash).unwrap_or_default(), self.0.get(slash + 1..).unwrap_or_default()),
            None => (b"", &self.0),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<String, NameError> {
        Name::parse(text.as_bytes(), true).map(|name| String::from_utf8(name.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn names_are_relative_to_the_root() {
        assert_eq!(parse("boot.img").unwrap(), "boot.img");
        assert_eq!(parse("/tftp//./boot.img/").unwrap(), "tftp/boot.img");
        assert_eq!(parse(r"\Boot\x64\wdsnbp.com").unwrap(), "Boot/x64/wdsnbp.com");
        assert_eq!(Name::parse(br"a\b", false).unwrap().as_bytes(), br"a\b");
        assert_eq!(parse("...").unwrap(), "...");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for parent in ["..", "../etc/passwd", "a/../../b", r"a\..\b", "/.."] {
            assert_eq!(parse(parent), Err(NameError::Parent), "{parent}");
        }
        for empty in ["", "/", "//", "./."] {
            assert_eq!(parse(empty), Err(NameError::Empty), "{empty}");
        }
        for forbidden in ["a\0b", "a\nb", "\u{1b}[31m", "x/.tapster-upload-0011223344556677"] {
            assert_eq!(parse(forbidden), Err(NameError::Forbidden), "{forbidden}");
        }
    }

    #[test]
    fn directory_and_last_component() {
        assert_eq!(Name::parse(b"a/b/c", true).unwrap().split(), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(Name::parse(b"c", true).unwrap().split(), (&b""[..], &b"c"[..]));
    }

    proptest! {
        #[test]
        fn a_name_has_only_plain_components(text in proptest::collection::vec(any::<u8>(), 0..80), backslashes: bool) {
            if let Ok(name) = Name::parse(&text, backslashes) {
                for component in name.as_bytes().split(|byte| *byte == b'/') {
                    prop_assert!(!matches!(component, b"" | b"." | b".."));
                    prop_assert!(!component.contains(&0));
                }
            }
        }
    }
}
