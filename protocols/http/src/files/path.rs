//! From a request's path to a path beneath a site's root.
//!
//! Responsible for decoding and normalising (RFC 3986 §5.2.4, §6.2.2), once, and for what no path may hold. Whether
//! the path exists, and where its symbolic links lead, is decided when it is opened.

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// A malformed escape, a NUL, or `..` above the root.
    Malformed,
    /// A segment that begins with a dot, which is not shown to anybody.
    Hidden,
}

/// Appends the normalised path to `out`: decoded, without leading slash, empty segments (`//`) and dot segments
/// removed. A directory's path keeps one slash at its end; the root is the empty path.
///
/// Empty segments vanish without a redirect: firmware that boots by HTTP asks for `/boot//grub.efi` and takes a
/// redirect for a failure.
pub(crate) fn normalise(path: &str, out: &mut Vec<u8>) -> Result<(), PathError> {
    let base = out.len();
    let bytes = path.as_bytes();
    let mut at = 0;
    let mut segment = base;
    loop {
        let byte = match bytes.get(at) {
            None => {
                end_segment(out, base, segment, false)?;
                return Ok(());
            }
            Some(b'%') => {
                let (Some(high), Some(low)) = (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) else {
                    return Err(PathError::Malformed);
                };
                at += 3;
                high << 4 | low
            }
            Some(byte) => {
                at += 1;
                *byte
            }
        };
        match byte {
            0 => return Err(PathError::Malformed),
            b'/' => {
                end_segment(out, base, segment, true)?;
                segment = out.len();
            }
            byte => out.push(byte),
        }
    }
}

/// Looks at the segment that begins at `segment` and has ended; `slash` tells whether by a slash.
fn end_segment(out: &mut Vec<u8>, base: usize, segment: usize, slash: bool) -> Result<(), PathError> {
    match out.get(segment..).unwrap_or_default() {
        b"" | b"." => out.truncate(segment),
        b".." => {
            out.truncate(segment);
            // What precedes ends with a slash, if there is anything.
            let Some(parent) = out.get(base..segment.saturating_sub(1)).filter(|_| segment > base) else {
                return Err(PathError::Malformed);
            };
            let start = parent.iter().rposition(|byte| *byte == b'/').map_or(base, |slash| base + slash + 1);
            out.truncate(start);
        }
        [b'.', ..] if out.get(segment..) != Some(b".well-known") => return Err(PathError::Hidden),
        _ if slash => out.push(b'/'),
        _ => {}
    }
    Ok(())
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    let digit = char::from(*digit?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalised(path: &str) -> Result<String, PathError> {
        let mut out = b"key:".to_vec();
        normalise(path, &mut out)?;
        Ok(String::from_utf8(out.split_off(4)).unwrap())
    }

    #[test]
    fn paths_are_decoded_and_normalised_once() {
        for (path, expected) in [
            ("/", ""),
            ("/a", "a"),
            ("/a/", "a/"),
            ("//a///b//", "a/b/"),
            ("/a/./b/.", "a/b/"),
            ("/a/b/..", "a/"),
            ("/a/b/../c", "a/c"),
            ("/a/../b", "b"),
            ("/a/..", ""),
            ("/%61%2Fb", "a/b"),
            ("/%2561", "%61"),
            ("/a%20b+c", "a b+c"),
            ("/%2e/a", "a"),
            ("/a/%2e%2e/b", "b"),
            ("/.well-known/x", ".well-known/x"),
            ("/a.b/c..d", "a.b/c..d"),
            ("/\u{fc}", "\u{fc}"),
        ] {
            assert_eq!(normalised(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_no_path_may_hold() {
        for path in ["/..", "/../a", "/a/../../b", "/%2e%2e/a", "/..%2fa", "/%00", "/a%", "/a%1", "/a%zz", "/%2e%2e%2f"]
        {
            assert_eq!(normalised(path), Err(PathError::Malformed), "{path}");
        }
        for path in ["/.git/config", "/a/.htaccess", "/%2ehidden", "/...", "/.a/"] {
            assert_eq!(normalised(path), Err(PathError::Hidden), "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_beneath_the_root(path in "(/|\\.|%2e|%2f|a|%|\\PC){0,24}") {
            let mut out = Vec::new();
            if normalise(&path, &mut out).is_ok() {
                prop_assert!(!out.starts_with(b"/"));
                prop_assert!(!out.contains(&0));
                let segments: Vec<_> = out.split(|byte| *byte == b'/').collect();
                let (last, others) = segments.split_last().unwrap();
                prop_assert!(others.iter().all(|segment| !segment.is_empty() && !segment.starts_with(b".")));
                prop_assert!(!last.starts_with(b"."));
            }
        }
    }
}
