//! Finding and opening what a path names. Everything here may block, and runs in jobs.
//!
//! Responsible for walking beneath a site's root without ever leaving it, for index files, and for what is said about
//! a file: its type, length, validators.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::cache::CachedFile;
use super::coding::{Accepted, Coding};
use super::listing;
use super::site::Site;
use crate::date::format_http_date;
use crate::response::{write_field, write_length};

/// What a job is to look for.
pub(crate) struct Wanted {
    pub(crate) site: Arc<Site>,
    /// The normalised path; see `path`.
    pub(crate) path: Vec<u8>,
    /// The codings of which a compressed file may be sent instead.
    pub(crate) codings: Accepted,
    /// How a directory is to be listed.
    pub(crate) format: listing::Format,
    /// What the cache holds for the path: if the file has not changed, it need not be read again.
    pub(crate) known: Option<Arc<CachedFile>>,
}

/// What a path names.
pub(crate) enum Found {
    /// A small file, with its content.
    Small(Arc<CachedFile>),
    /// A file that is read while it is sent.
    Large(LargeFile),
    /// A directory's listing, in the format that was wanted.
    Listing(Bytes),
    /// A directory that was asked for without its slash.
    DirectoryWithoutSlash,
    /// Nothing, or nothing that is shown.
    Missing,
    /// Something that may not be read.
    Forbidden,
    /// The system has run out of something, or the disk fails.
    Failed(Errno),
}

/// An open file.
pub(crate) struct LargeFile {
    pub(crate) file: Arc<OwnedFd>,
    pub(crate) about: About,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) length: u64,
    pub(crate) modified: Duration,
}

impl Identity {
    #[expect(clippy::unnecessary_cast, reason = "the widths differ from architecture to architecture")]
    pub(crate) fn of(stat: &Stat) -> Self {
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: Duration::new(seconds, nanoseconds),
        }
    }

    /// A strong entity tag (RFC 9110 §8.8.3).
    pub(crate) fn etag(&self) -> String {
        format!("\"{:x}-{:x}-{:x}\"", self.inode, self.length, self.modified.as_nanos())
    }
}

/// What a response says about a file.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) identity: Identity,
    pub(crate) content_type: String,
    /// The coding's name, if the file is one compressed beside the original.
    pub(crate) coding: Option<&'static str>,
    /// Whether another request for the same path may get another file.
    pub(crate) varies: bool,
    pub(crate) etag: String,
    pub(crate) last_modified: String,
}

impl About {
    fn new(identity: Identity, name: &[u8], coding: Option<Coding>, varies: bool) -> Self {
        let modified = UNIX_EPOCH.checked_add(identity.modified).unwrap_or(UNIX_EPOCH);
        Self {
            identity,
            content_type: content_type(name),
            coding: coding.map(|coding| coding.name),
            varies,
            etag: identity.etag(),
            last_modified: format_http_date(modified),
        }
    }

    pub(crate) fn modified(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.identity.modified).unwrap_or(UNIX_EPOCH)
    }

    /// The fields that a 304 has too (RFC 9110 §15.4.5).
    pub(crate) fn write_validators(&self, out: &mut Vec<u8>) {
        write_field(out, "ETag", self.etag.as_bytes());
        write_field(out, "Last-Modified", self.last_modified.as_bytes());
        if self.varies {
            write_field(out, "Vary", b"Accept-Encoding");
        }
    }

    /// The fields of the whole file, without its length.
    pub(crate) fn write_fields(&self, out: &mut Vec<u8>) {
        write_field(out, "Content-Type", self.content_type.as_bytes());
        if let Some(coding) = self.coding {
            write_field(out, "Content-Encoding", coding.as_bytes());
        }
        self.write_validators(out);
        write_field(out, "Accept-Ranges", b"bytes");
    }

    /// The fields of the whole file, its length included.
    pub(crate) fn fields_with_length(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(256);
        self.write_fields(&mut fields);
        write_length(&mut fields, self.identity.length);
        fields
    }
}

/// The media type by the name's extension. Text is taken to be UTF-8.
fn content_type(name: &[u8]) -> String {
    let path = Path::new(std::ffi::OsStr::from_bytes(name));
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let charset = guess.type_() == "text" && guess.get_param("charset").is_none();
    if charset { format!("{guess}; charset=utf-8") } else { guess.to_string() }
}

/// Does the work.
pub(crate) fn find(wanted: &Wanted) -> Found {
    match try_find(wanted) {
        Ok(found) => found,
        // EXDEV and ELOOP: a symbolic link that leads out of the root, or round in circles. What cannot be served
        // and what is not there look the same from outside.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::XDEV | Errno::LOOP | Errno::NXIO) => {
            Found::Missing
        }
        Err(Errno::ACCESS | Errno::PERM) => Found::Forbidden,
        Err(error) => Found::Failed(error),
    }
}

fn try_find(wanted: &Wanted) -> Result<Found, Errno> {
    let site = &wanted.site;
    // The root is opened each time, so that one which is replaced (a link that is moved to a new version) takes
    // effect at once.
    let Some(root) = &site.root else { return Ok(Found::Missing) };
    let root = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let path: &[u8] = if wanted.path.is_empty() { b"." } else { &wanted.path };
    let file = open_beneath(&root, path)?;
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => regular(file, &stat, &root, &wanted.path, wanted),
        FileType::Directory if !wanted.path.is_empty() && !wanted.path.ends_with(b"/") => {
            Ok(Found::DirectoryWithoutSlash)
        }
        FileType::Directory => directory(&file, wanted),
        // Pipes, sockets and devices are not served.
        _ => Ok(Found::Forbidden),
    }
}

fn directory(directory: &OwnedFd, wanted: &Wanted) -> Result<Found, Errno> {
    let site = &wanted.site;
    for index in &site.index {
        match open_beneath(directory, index.as_bytes()) {
            Ok(file) => {
                let stat = rustix::fs::fstat(&file)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                    return regular(file, &stat, directory, index.as_bytes(), wanted);
                }
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error),
        }
    }
    if !site.autoindex {
        return Ok(Found::Forbidden);
    }
    listing::page(directory, &wanted.path, site.listing_entries, wanted.format).map(Found::Listing)
}

/// A file, or a compressed one beside it. `name` is its path from `directory`.
fn regular(file: OwnedFd, stat: &Stat, directory: &OwnedFd, name: &[u8], wanted: &Wanted) -> Result<Found, Errno> {
    for coding in wanted.codings.iter() {
        let sibling = [name, coding.suffix.as_bytes()].concat();
        if let Ok(file) = open_beneath(directory, &sibling) {
            let stat = rustix::fs::fstat(&file)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                return describe(file, &stat, name, Some(coding), wanted);
            }
        }
    }
    describe(file, stat, name, None, wanted)
}

fn describe(file: OwnedFd, stat: &Stat, name: &[u8], coding: Option<Coding>, wanted: &Wanted) -> Result<Found, Errno> {
    let identity = Identity::of(stat);
    if let Some(known) = wanted.known.as_ref().filter(|known| known.about.identity == identity) {
        return Ok(Found::Small(Arc::clone(known)));
    }
    let about = About::new(identity, name, coding, wanted.site.precompressed);
    if identity.length > wanted.site.cache_file_size {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        return Ok(Found::Large(LargeFile { file: Arc::new(file), about }));
    }
    let mut content = vec![0; usize::try_from(identity.length).map_err(|_| Errno::FBIG)?];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(&file, rest, filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    if filled < content.len() || Identity::of(&rustix::fs::fstat(&file)?) != identity {
        // It changes at this moment; sent as a large file, the connection watches over it.
        return Ok(Found::Large(LargeFile { file: Arc::new(file), about }));
    }
    Ok(Found::Small(Arc::new(CachedFile::new(about, content.into(), &wanted.site.fields))))
}

/// Opens a path that may not leave `root`, neither by `..` nor by a symbolic link. A pipe does not block.
pub(super) fn open_beneath(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
    resolve_beneath(root, path, FLAGS)
}

/// The same, with other flags.
pub(super) fn resolve_beneath(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..8 {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // A rename elsewhere raced with the walk; openat2(2) says to try again.
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// Whether a root can be served: for `prepare`.
pub(crate) fn check_root(root: &Path) -> Result<(), Errno> {
    let directory = rustix::fs::openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    open_beneath(&directory, b".").map(|_| ())
}
