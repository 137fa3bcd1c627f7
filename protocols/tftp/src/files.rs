//! Files that are read: opening them beneath the root, and keeping them open for the next client.
//!
//! Responsible for what may be opened (regular files that no path or symbolic link leads out of the root to) and for
//! reading without blocking. [`open`] blocks and belongs into a job; the rest does not. Not for uploads (`upload`).

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{Errno, ReadWriteFlags};

use crate::metrics::Refusal;
use crate::name::{Name, UPLOAD_PREFIX};
use crate::packet::ErrorCode;

/// How long the path to an open file is believed. Changes of the file itself are seen at once, by its status.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How long a file stays open that nobody asks for.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How many entries of a directory are looked at for a name in another case.
const DIRECTORY_ENTRIES: usize = 65_536;

/// File systems that are memory: a read never waits for a device. `statfs(2)` has these numbers.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// Where names lead.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    /// A directory beneath it that a client has for itself, with placeholders. Where it does not exist, and for clients
    /// whose hardware address is not known, `path` counts.
    pub(crate) of_client: Option<String>,
    /// Whether a name may be written in another case.
    pub(crate) case_insensitive: bool,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// The client's own directory beneath the root.
    pub(crate) directory: Option<Box<str>>,
    pub(crate) name: Name,
}

/// Why a file cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileError {
    NotFound,
    NotRegular,
    Denied,
    Exists,
    Full,
    Other(Errno),
}

impl From<Errno> for FileError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => Self::NotFound,
            // EXDEV: the path leads out of the root. ELOOP: too many links, or a magic one.
            Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP | Errno::ROFS => Self::Denied,
            Errno::ISDIR | Errno::NXIO => Self::NotRegular,
            Errno::EXIST => Self::Exists,
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Self::Full,
            other => Self::Other(other),
        }
    }
}

impl FileError {
    /// What the client is told.
    pub(crate) fn answer(self) -> (ErrorCode, &'static str) {
        match self {
            Self::NotFound => (ErrorCode::FileNotFound, "File not found"),
            Self::NotRegular => (ErrorCode::AccessViolation, "Not a regular file"),
            Self::Denied => (ErrorCode::AccessViolation, "Access violation"),
            Self::Exists => (ErrorCode::FileExists, "File already exists, and overwriting is switched off"),
            Self::Full => (ErrorCode::DiskFull, "Disk full"),
            Self::Other(_) => (ErrorCode::NotDefined, "The file system failed; the server's log says more"),
        }
    }

    /// How it is counted.
    pub(crate) const fn refusal(self) -> Refusal {
        match self {
            Self::NotFound => Refusal::NotFound,
            Self::NotRegular | Self::Denied => Refusal::Access,
            Self::Exists => Refusal::Exists,
            Self::Full | Self::Other(_) => Refusal::Disk,
        }
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, u64),
    /// Changes with a rename as well.
    changed: (i64, u64),
}

impl Stamp {
    fn of(status: &Stat) -> Self {
        Self {
            device: status.st_dev,
            inode: status.st_ino,
            size: u64::try_from(status.st_size).unwrap_or(0),
            modified: (status.st_mtime, status.st_mtime_nsec),
            changed: (status.st_ctime, status.st_ctime_nsec),
        }
    }
}

/// A file open for reading.
#[derive(Debug)]
pub(crate) enum OpenFile {
    /// One on the disk.
    Disk(DiskFile),
    /// One that was made for this client.
    Generated(Box<[u8]>),
}

/// A file on the disk.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: OwnedFd,
    stamp: Stamp,
    in_memory: bool,
    /// The file system cannot tell whether a read would block.
    always_blocks: AtomicBool,
}

/// What came of a read that must not block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadNow {
    /// So many bytes; 0 at the end of the file.
    Bytes(usize),
    /// The data is not in memory.
    WouldBlock,
    /// It cannot be read.
    Failed(Errno),
}

impl OpenFile {
    /// Its size when it was opened, in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Disk(file) => file.stamp.size,
            Self::Generated(content) => content.len() as u64,
        }
    }

    /// Reads what is in memory.
    pub(crate) fn read_now(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> ReadNow {
        match self {
            Self::Disk(file) => file.read_now(buffers, offset),
            Self::Generated(content) => ReadNow::Bytes(copy(content, buffers, offset)),
        }
    }

    /// Reads up to `length` bytes; blocks.
    pub(crate) fn read_blocking(&self, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        match self {
            Self::Disk(file) => file.read_blocking(offset, length),
            Self::Generated(content) => {
                let mut data = vec![0; length];
                let count = copy(content, &mut [IoSliceMut::new(&mut data)], offset);
                data.truncate(count);
                Ok(data)
            }
        }
    }
}

/// Copies from an offset of `content` what fits into the buffers, as `preadv` does.
fn copy(content: &[u8], buffers: &mut [IoSliceMut<'_>], offset: u64) -> usize {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    let mut rest = content.get(start..).unwrap_or_default();
    let mut copied = 0;
    for buffer in buffers {
        let (now, later) = rest.split_at(buffer.len().min(rest.len()));
        if let Some(place) = buffer.get_mut(..now.len()) {
            place.copy_from_slice(now);
        }
        copied += now.len();
        rest = later;
    }
    copied
}

impl DiskFile {
    /// Whether it is still as it was when it was opened, and has not been renamed or removed.
    fn unchanged(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|status| status.st_nlink > 0 && Stamp::of(&status) == self.stamp)
    }

    /// Reads what is in the page cache.
    fn read_now(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> ReadNow {
        let flags = if self.in_memory { ReadWriteFlags::empty() } else { ReadWriteFlags::NOWAIT };
        if self.always_blocks.load(Ordering::Relaxed) {
            return ReadNow::WouldBlock;
        }
        loop {
            return match rustix::io::preadv2(&self.file, buffers, offset, flags) {
                Ok(count) => ReadNow::Bytes(count),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => ReadNow::WouldBlock,
                Err(Errno::OPNOTSUPP) => {
                    self.always_blocks.store(true, Ordering::Relaxed);
                    ReadNow::WouldBlock
                }
                Err(error) => ReadNow::Failed(error),
            };
        }
    }

    fn read_blocking(&self, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut data = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = data.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::io::pread(&self.file, rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        data.truncate(filled);
        Ok(data)
    }
}

/// Opens a file; blocks.
pub(crate) fn open(root: &Root, wanted: &Wanted) -> Result<DiskFile, FileError> {
    let (directory, name) = (open_directory(root, wanted)?, &wanted.name);
    // O_NONBLOCK: opening a FIFO must not wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = match open_beneath(&directory, name.as_bytes(), flags) {
        Err(Errno::NOENT) if root.case_insensitive => {
            let path = find_in_any_case(&directory, name)?;
            open_beneath(&directory, &path, flags)?
        }
        other => other?,
    };
    let status = rustix::fs::fstat(&file)?;
    if !FileType::from_raw_mode(status.st_mode).is_file() {
        return Err(FileError::NotRegular);
    }
    let in_memory = rustix::fs::fstatfs(&file).is_ok_and(|system| IN_MEMORY.contains(&system.f_type));
    Ok(DiskFile { file, stamp: Stamp::of(&status), in_memory, always_blocks: AtomicBool::new(false) })
}

/// Opens the directory that a client's names are relative to; blocks.
pub(crate) fn open_directory(root: &Root, wanted: &Wanted) -> Result<OwnedFd, Errno> {
    let top = open_root(&root.path)?;
    let Some(own) = &wanted.directory else { return Ok(top) };
    match open_beneath(&top, own.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => Ok(top),
        other => other,
    }
}

/// Opens the root directory; blocks.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens a path that cannot lead out of `directory`; blocks.
pub(crate) fn open_beneath(directory: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        match rustix::fs::openat2(directory.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // Something on the path was renamed in the meantime (openat2(2)).
            Err(Errno::AGAIN) if attempts < 8 => attempts += 1,
            other => return other,
        }
    }
}

/// The path that a name means when case does not matter. Where several do, the first in the order of bytes.
fn find_in_any_case(root: &OwnedFd, name: &Name) -> Result<Vec<u8>, FileError> {
    let mut path = Vec::new();
    for component in name.as_bytes().split(|byte| *byte == b'/') {
        let here: &[u8] = if path.is_empty() { b"." } else { &path };
        let directory = open_beneath(root, here, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut best: Option<Vec<u8>> = None;
        for entry in Dir::new(directory)?.take(DIRECTORY_ENTRIES) {
            let entry = entry?;
            let candidate = entry.file_name().to_bytes();
            if candidate == component {
                best = Some(component.to_vec());
                break;
            }
            let alike = candidate.eq_ignore_ascii_case(component) && !candidate.starts_with(UPLOAD_PREFIX);
            if alike && best.as_deref().is_none_or(|best| candidate < best) {
                best = Some(candidate.to_vec());
            }
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&best.ok_or(FileError::NotFound)?);
    }
    Ok(path)
}

/// Files kept open, by what leads to them.
#[derive(Debug)]
pub(crate) struct Cache {
    files: HashMap<Wanted, Cached, foldhash::quality::RandomState>,
    capacity: usize,
    purge_at: Option<Instant>,
}

#[derive(Debug)]
struct Cached {
    file: Arc<OpenFile>,
    stamp: Stamp,
    checked: Instant,
    used: Instant,
}

impl Cache {
    /// A cache of up to so many files.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { files: HashMap::default(), capacity, purge_at: None }
    }

    /// The file that is wanted, if it is open and as it was.
    pub(crate) fn get(&mut self, wanted: &Wanted, now: Instant) -> Option<Arc<OpenFile>> {
        let cached = self.files.get_mut(wanted)?;
        let OpenFile::Disk(file) = &*cached.file else { return None };
        if now < cached.checked + TRUSTED_FOR && file.unchanged() {
            cached.used = now;
            return Some(Arc::clone(&cached.file));
        }
        None
    }

    /// Keeps a file that has just been opened. Returns the one to use: the one kept already, if it is the same.
    pub(crate) fn insert(&mut self, wanted: Wanted, file: DiskFile, now: Instant) -> Arc<OpenFile> {
        if let Some(cached) = self.files.get_mut(&wanted)
            && cached.stamp == file.stamp
        {
            (cached.checked, cached.used) = (now, now);
            return Arc::clone(&cached.file);
        }
        let stamp = file.stamp;
        let file = Arc::new(OpenFile::Disk(file));
        if self.capacity == 0 {
            return file;
        }
        if self.files.len() >= self.capacity && !self.files.contains_key(&wanted) {
            let oldest = self.files.iter().min_by_key(|(_, cached)| cached.used).map(|(wanted, _)| wanted.clone());
            oldest.and_then(|wanted| self.files.remove(&wanted));
        }
        self.files.insert(wanted, Cached { file: Arc::clone(&file), stamp, checked: now, used: now });
        self.purge_at.get_or_insert(now + KEPT_FOR);
        file
    }

    /// Has every file in the cache read by jobs alone.
    #[cfg(test)]
    pub(crate) fn always_block(&self) {
        for cached in self.files.values() {
            if let OpenFile::Disk(file) = &*cached.file {
                file.always_blocks.store(true, Ordering::Relaxed);
            }
        }
    }

    /// How many files are open.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Forgets what no longer leads to a file.
    pub(crate) fn remove(&mut self, wanted: &Wanted) {
        self.files.remove(wanted);
    }

    /// When [`purge`](Self::purge) wants to be called.
    pub(crate) const fn purge_at(&self) -> Option<Instant> {
        self.purge_at
    }

    /// Closes what nobody has asked for lately.
    pub(crate) fn purge(&mut self, now: Instant) {
        if self.purge_at.is_some_and(|at| at <= now) {
            self.files.retain(|_, cached| now < cached.used + KEPT_FOR);
            self.purge_at = (!self.files.is_empty()).then(|| now + KEPT_FOR);
        }
    }
}

#[cfg(test)]
mod tests;
