//! A directory as a page.
//!
//! Responsible for reading the entries and for their HTML. Runs in a job. Nothing is listed that could not be
//! fetched: no dot-files, and no links that lead out of the root.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use super::open::{Identity, resolve_beneath};
use crate::date::format_http_date;

/// What stands for itself in a path (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, and the slash.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) is_directory: bool,
    /// In bytes; 0 for a directory.
    pub(super) length: u64,
    /// Since 1970.
    pub(super) modified: Duration,
}

/// A normalised path as a reference from the root.
pub(crate) fn reference(path: &[u8]) -> String {
    format!("/{}", percent_encode(path, PATH))
}

/// Reads at most `limit` entries, directories first, each by name; and whether there were more.
pub(super) fn read(directory: &OwnedFd, limit: usize) -> Result<(Vec<Entry>, bool), Errno> {
    let mut entries = Vec::new();
    let mut more = false;
    let mut reader = Dir::read_from(directory)?;
    while let Some(entry) = reader.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name.starts_with(b".") {
            continue;
        }
        if entries.len() == limit {
            more = true;
            break;
        }
        let Ok(mut stat) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let target = resolve_beneath(directory, name, OFlags::PATH | OFlags::CLOEXEC);
            let Ok(followed) = target.and_then(rustix::fs::fstat) else { continue };
            stat = followed;
        }
        let is_directory = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => true,
            FileType::RegularFile => false,
            _ => continue,
        };
        let identity = Identity::of(&stat);
        let length = if is_directory { 0 } else { identity.length };
        entries.push(Entry { name: name.to_vec(), is_directory, length, modified: identity.modified });
    }
    entries.sort_by(|a, b| (!a.is_directory, &a.name).cmp(&(!b.is_directory, &b.name)));
    Ok((entries, more))
}

/// The page for the directory at `path`.
pub(super) fn html(directory: &OwnedFd, path: &[u8], limit: usize) -> Result<Bytes, Errno> {
    let (entries, more) = read(directory, limit)?;
    let title = escape(&format!("/{}", String::from_utf8_lossy(path)));
    let mut page = String::with_capacity(512 + 160 * entries.len());
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font-family:sans-serif;margin:2em}}td,th{{padding:.1em 1em .1em 0;text-align:left}}\
         td.n{{text-align:right;font-variant-numeric:tabular-nums}}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <table>\n<tr><th>Name</th><th>Size</th><th>Changed</th></tr>\n"
    );
    if !path.is_empty() {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in &entries {
        let slash = if entry.is_directory { "/" } else { "" };
        let reference = percent_encode(&entry.name, UNRESERVED);
        let name = escape(&String::from_utf8_lossy(&entry.name));
        let length = if entry.is_directory { "-".to_owned() } else { entry.length.to_string() };
        let changed = format_http_date(UNIX_EPOCH.checked_add(entry.modified).unwrap_or(UNIX_EPOCH));
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{reference}{slash}\">{name}{slash}</a></td>\
             <td class=\"n\">{length}</td><td>{changed}</td></tr>"
        );
    }
    page.push_str("</table>\n");
    if more {
        let _ = writeln!(page, "<p>Only {limit} entries are listed.</p>");
    }
    page.push_str("</body>\n</html>\n");
    Ok(page.into())
}

/// Text as HTML text or attribute value.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_are_escaped_and_sorted() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b", "a\"><script>", "%41&", ".hidden"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        fs::create_dir(directory.path().join("z")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("out")).unwrap();
        std::os::unix::fs::symlink("b", directory.path().join("link")).unwrap();
        let opened = || OwnedFd::from(fs::File::open(directory.path()).unwrap());
        let (entries, more) = read(&opened(), 10).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
        assert_eq!(names, ["z", "%41&", "a\"><script>", "b", "link"]);
        assert!(!more);
        let page = String::from_utf8(html(&opened(), b"d/", 10).unwrap().to_vec()).unwrap();
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("href=\"./a%22%3E%3Cscript%3E\">a&quot;&gt;&lt;script&gt;</a>"), "{page}");
        assert!(page.contains("href=\"./%2541%26\""), "{page}");
        assert!(page.contains("href=\"./z/\">z/</a>"), "{page}");
        assert!(page.contains("href=\"../\""), "{page}");
        assert!(read(&opened(), 2).unwrap().1, "the limit is told");
    }
}
