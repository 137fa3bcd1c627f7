//! A directory as a page, or as JSON.
//!
//! Responsible for reading the entries and for both forms. Runs in a job. Nothing is listed that could not be
//! fetched: no dot-files, and no links that lead out of the root.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;
use serde::Serialize;

use super::open::{Identity, resolve_beneath};
use crate::date::format_http_date;

/// What stands for itself in a path (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, and the slash.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// How a directory is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A page.
    Html,
    /// An array with one object for each entry.
    Json,
}

impl Format {
    /// What an Accept field prefers: JSON if it names that and not HTML (RFC 9110 §12.5.1).
    pub(crate) fn preferred(accept: Option<&[u8]>) -> Self {
        let names = |media_type: &[u8]| {
            let ranges = accept.unwrap_or_default().split(|byte| *byte == b',');
            let mut types =
                ranges.map(|range| range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii());
            types.any(|range| range.eq_ignore_ascii_case(media_type))
        };
        if names(b"application/json") && !names(b"text/html") { Self::Json } else { Self::Html }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// One entry in JSON, as nginx's autoindex names the members.
#[derive(Serialize)]
struct Object<'a> {
    name: Cow<'a, str>,
    r#type: &'static str,
    mtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

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

/// The listing of the directory at `path`.
pub(super) fn page(directory: &OwnedFd, path: &[u8], limit: usize, format: Format) -> Result<Bytes, Errno> {
    let (entries, more) = read(directory, limit)?;
    Ok(match format {
        Format::Html => html(&entries, path, more.then_some(limit)),
        Format::Json => json(&entries),
    })
}

fn json(entries: &[Entry]) -> Bytes {
    let object = |entry: &Entry| {
        serde_json::to_string(&Object {
            name: String::from_utf8_lossy(&entry.name),
            r#type: if entry.is_directory { "directory" } else { "file" },
            mtime: changed(entry),
            size: (!entry.is_directory).then_some(entry.length),
        })
    };
    // A struct of strings and numbers always serialises.
    let objects: Vec<String> = entries.iter().filter_map(|entry| object(entry).ok()).collect();
    format!("[{}]\n", objects.join(",\n")).into()
}

fn changed(entry: &Entry) -> String {
    format_http_date(UNIX_EPOCH.checked_add(entry.modified).unwrap_or(UNIX_EPOCH))
}

/// `limit` is given where the entries were more than that.
fn html(entries: &[Entry], path: &[u8], limit: Option<usize>) -> Bytes {
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
    for entry in entries {
        let slash = if entry.is_directory { "/" } else { "" };
        let reference = percent_encode(&entry.name, UNRESERVED);
        let name = escape(&String::from_utf8_lossy(&entry.name));
        let length = if entry.is_directory { "-".to_owned() } else { entry.length.to_string() };
        let changed = changed(entry);
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{reference}{slash}\">{name}{slash}</a></td>\
             <td class=\"n\">{length}</td><td>{changed}</td></tr>"
        );
    }
    page.push_str("</table>\n");
    if let Some(limit) = limit {
        let _ = writeln!(page, "<p>Only {limit} entries are listed.</p>");
    }
    page.push_str("</body>\n</html>\n");
    page.into()
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
        let html = String::from_utf8(page(&opened(), b"d/", 10, Format::Html).unwrap().to_vec()).unwrap();
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("href=\"./a%22%3E%3Cscript%3E\">a&quot;&gt;&lt;script&gt;</a>"), "{html}");
        assert!(html.contains("href=\"./%2541%26\""), "{html}");
        assert!(html.contains("href=\"./z/\">z/</a>"), "{html}");
        assert!(html.contains("href=\"../\""), "{html}");
        assert!(read(&opened(), 2).unwrap().1, "the limit is told");
        let listed = page(&opened(), b"d/", 10, Format::Json).unwrap();
        let objects: serde_json::Value = serde_json::from_slice(&listed).unwrap();
        assert_eq!(objects[0]["type"], "directory");
        assert_eq!(objects[2]["name"], "a\"><script>");
        assert_eq!(objects[2]["size"], 1);
    }

    #[test]
    fn the_format_follows_accept() {
        let preferred = |accept: &str| Format::preferred(Some(accept.as_bytes()));
        assert_eq!(preferred("application/json"), Format::Json);
        assert_eq!(preferred("text/plain, Application/JSON;q=0.9"), Format::Json);
        assert_eq!(preferred("text/html, application/json;q=0.9"), Format::Html);
        assert_eq!(preferred("*/*"), Format::Html);
        assert_eq!(Format::preferred(None), Format::Html);
    }
}
