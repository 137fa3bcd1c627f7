//! PUT and DELETE, where a site is writable.
//!
//! Responsible for taking a body to a temporary file beside its target, in jobs, and for putting it in its place at
//! once and whole: a reader sees the old file or the new one, never a part. Nothing is flushed to the disk on purpose;
//! after a power failure the system's own write-back decides.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use tapster_service::{Busy, Context, FinishedJob, Job, JobId};

use super::conditions::{Conditions, Outcome, Validators};
use super::open::{Identity, resolve_beneath};
use super::site::Site;
use crate::{Method, Received, Reply};

/// How much is collected before a job writes it, in bytes. As much again may be waiting meanwhile.
const BUFFER: usize = 1 << 20;

/// A body on its way into a file.
#[derive(Debug)]
pub(super) struct Upload {
    target: Arc<Target>,
    buffer: Vec<u8>,
    /// A buffer that a job has given back.
    spare: Vec<u8>,
    temporary: Option<Arc<Temporary>>,
    job: Option<JobId>,
    /// Bytes given to jobs so far.
    written: u64,
    /// Whether the job that runs is the last one.
    last: bool,
}

/// What a request wants to change.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) site: Arc<Site>,
    /// The normalised path, which names a file.
    pub(super) path: Vec<u8>,
    pub(super) conditions: Conditions<Vec<u8>>,
}

/// A file that is not yet in its place. Removed when it is dropped before it got there.
#[derive(Debug)]
struct Temporary {
    directory: OwnedFd,
    file: OwnedFd,
    name: String,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is no such name any more.
        let _ = rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty());
    }
}

/// What a job has done.
struct Written {
    temporary: Arc<Temporary>,
    buffer: Vec<u8>,
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changed {
    Created,
    Replaced,
    Deleted,
    Missing,
    ConditionFailed,
    /// It is a directory, or something else that is no file.
    NotAFile,
}

impl Upload {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target: Arc::new(target),
            buffer: Vec::new(),
            spare: Vec::new(),
            temporary: None,
            job: None,
            written: 0,
            last: false,
        }
    }

    /// Takes a piece of the body.
    pub(super) fn receive(&mut self, piece: &[u8], cx: &mut Context<'_>) -> Received {
        if let Some(finished) = cx.take_finished().filter(|finished| Some(finished.id) == self.job)
            && let Err(error) = self.take_written(finished)
        {
            return Received::Refused(failed(error));
        }
        let count = self.take(piece, cx);
        match count {
            Ok(0) => Received::Later,
            Ok(count) => Received::Taken(count),
            Err(Busy) => Received::Refused(Reply::text(503).field("Retry-After", "1")),
        }
    }

    fn take(&mut self, piece: &[u8], cx: &mut Context<'_>) -> Result<usize, Busy> {
        self.write_when_full(cx)?;
        let count = piece.len().min(BUFFER.saturating_sub(self.buffer.len()));
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        self.write_when_full(cx)?;
        Ok(count)
    }

    /// The body is complete: has the rest written and the file put in its place. Returns the job to wait for.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) -> Result<JobId, Busy> {
        if let Some(job) = self.job {
            return Ok(job);
        }
        self.last = true;
        let (target, temporary) = (Arc::clone(&self.target), self.temporary.take());
        let (buffer, position) = (std::mem::take(&mut self.buffer), self.written);
        let random = cx.random().next_u64();
        let job = cx.spawn(Job::new(move || {
            let temporary = temporary.map_or_else(|| create(&target, random), Ok)?;
            write_all(&temporary.file, &buffer, position)?;
            put_in_place(&target, &temporary)
        }))?;
        self.job = Some(job);
        Ok(job)
    }

    /// A job has ended after the body was complete. Returns the answer, or the next job to wait for.
    pub(super) fn resume(&mut self, finished: FinishedJob, cx: &mut Context<'_>) -> Result<Reply, JobId> {
        if self.last {
            return Ok(reply(finished));
        }
        if let Err(error) = self.take_written(finished) {
            return Ok(failed(error));
        }
        match self.finish(cx) {
            Ok(job) => Err(job),
            Err(Busy) => Ok(Reply::text(503).field("Retry-After", "1")),
        }
    }

    /// Gives a full buffer to a job, unless one is at work.
    fn write_when_full(&mut self, cx: &mut Context<'_>) -> Result<(), Busy> {
        if self.buffer.len() < BUFFER || self.job.is_some() {
            return Ok(());
        }
        let buffer = std::mem::replace(&mut self.buffer, std::mem::take(&mut self.spare));
        let (target, temporary) = (Arc::clone(&self.target), self.temporary.clone());
        let (position, random) = (self.written, cx.random().next_u64());
        self.written += buffer.len() as u64;
        self.job = Some(cx.spawn(Job::new(move || {
            let temporary = temporary.map_or_else(|| create(&target, random), Ok)?;
            write_all(&temporary.file, &buffer, position)?;
            Ok::<_, Errno>(Written { temporary, buffer })
        }))?);
        Ok(())
    }

    fn take_written(&mut self, finished: FinishedJob) -> Result<(), Errno> {
        self.job = None;
        let written = finished.downcast::<Result<Written, Errno>>().unwrap_or(Err(Errno::IO))?;
        self.temporary = Some(written.temporary);
        self.spare = written.buffer;
        self.spare.clear();
        Ok(())
    }
}

/// Has a job delete what `target` names.
pub(super) fn delete(target: Target, cx: &mut Context<'_>) -> Result<JobId, Busy> {
    cx.spawn(Job::new(move || {
        let (directory, name) = match parent(&target) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok::<_, Errno>(Changed::Missing),
            parent => parent?,
        };
        let Some(existing) = existing(&directory, name)? else { return Ok(Changed::Missing) };
        if let Some(refused) = check(&target, Some(&existing), Method::Delete) {
            return Ok(refused);
        }
        rustix::fs::unlinkat(&directory, name, AtFlags::empty())?;
        Ok(Changed::Deleted)
    }))
}

/// The answer to what the last job of an upload, or a deletion, has done.
pub(super) fn reply(finished: FinishedJob) -> Reply {
    match finished.downcast::<Result<Changed, Errno>>().unwrap_or(Err(Errno::IO)) {
        Ok(Changed::Created) => Reply::new(201),
        Ok(Changed::Replaced | Changed::Deleted) => Reply::new(204),
        Ok(Changed::Missing) => Reply::text(404),
        Ok(Changed::ConditionFailed) => Reply::text(412),
        Ok(Changed::NotAFile) => Reply::text(409),
        Err(error) => failed(error),
    }
}

fn failed(error: Errno) -> Reply {
    Reply::text(match error {
        // RFC 4918 §9.7.1: the directory that it is to be in is missing.
        Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::EXIST => 409,
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG => 403,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => 507,
        error => {
            tracing::warn!(%error, "cannot store an upload");
            500
        }
    })
}

/// The directory that a target is in, and its name there.
fn parent(target: &Target) -> Result<(OwnedFd, &[u8]), Errno> {
    const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    let root = target.site.root.as_ref().ok_or(Errno::NOENT)?;
    let root = rustix::fs::open(root, DIRECTORY, Mode::empty())?;
    let path = target.path.as_slice();
    Ok(match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => {
            let (directory, name) = path.split_at(slash + 1);
            (resolve_beneath(&root, directory, DIRECTORY)?, name)
        }
        None => (root, path),
    })
}

fn create(target: &Target, random: u64) -> Result<Arc<Temporary>, Errno> {
    let (directory, _) = parent(target)?;
    // A name that begins with a dot is never served.
    let name = format!(".tapster-upload-{random:016x}");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(&directory, &name, flags, Mode::from_raw_mode(0o644))?;
    Ok(Arc::new(Temporary { directory, file, name }))
}

fn write_all(file: &OwnedFd, mut bytes: &[u8], mut position: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let count = rustix::io::pwrite(file, bytes, position)?;
        if count == 0 {
            return Err(Errno::IO);
        }
        bytes = bytes.get(count..).unwrap_or_default();
        position += count as u64;
    }
    Ok(())
}

fn put_in_place(target: &Target, temporary: &Temporary) -> Result<Changed, Errno> {
    let name = target.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let existing = existing(&temporary.directory, name)?;
    if let Some(refused) = check(target, existing.as_ref(), Method::Put) {
        return Ok(refused);
    }
    rustix::fs::renameat(&temporary.directory, &temporary.name, &temporary.directory, name)?;
    Ok(if existing.is_some() { Changed::Replaced } else { Changed::Created })
}

fn existing(directory: &OwnedFd, name: &[u8]) -> Result<Option<rustix::fs::Stat>, Errno> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the target may be changed, given what is there (RFC 9110 §13.1 as it applies to PUT and DELETE).
fn check(target: &Target, existing: Option<&rustix::fs::Stat>, method: Method) -> Option<Changed> {
    let conditions = &target.conditions;
    let Some(stat) = existing else { return conditions.if_match.is_some().then_some(Changed::ConditionFailed) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Some(Changed::NotAFile);
    }
    let identity = Identity::of(stat);
    let modified = UNIX_EPOCH.checked_add(identity.modified).unwrap_or(UNIX_EPOCH);
    let validators = Validators { etag: &identity.etag(), modified, length: identity.length };
    match conditions.evaluate(method, &validators) {
        Outcome::NotModified | Outcome::PreconditionFailed => Some(Changed::ConditionFailed),
        Outcome::Full | Outcome::Partial(_) | Outcome::NotSatisfiable => None,
    }
}
