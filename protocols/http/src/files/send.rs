//! A file's content, read while it is sent.
//!
//! Responsible for never blocking the event loop: what the page cache holds is read on the spot (`preadv2` with
//! `RWF_NOWAIT`, which fails instead of waiting for a disk), anything else by a job that reads ahead. And for never
//! passing off a mixture of two versions as a file: see [`FileContent::unchanged`].

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};
use tapster_service::{Context, Job, JobId};

use super::buffers::{BUFFER_SIZE, Buffers};
use super::open::Identity;
use super::range::Span;
use crate::{Produced, Producer};

/// How much a job reads, in pieces of a buffer each.
const AHEAD: usize = 16;
/// How long to wait when the worker pool is full.
const BUSY: Duration = Duration::from_millis(5);

/// Part of a file, or all of it.
pub(crate) struct FileContent {
    file: Arc<OwnedFd>,
    identity: Identity,
    buffers: Arc<Buffers>,
    /// The next byte to hand over.
    position: u64,
    /// The next byte to read; ahead of `position` by what is in `ready`.
    reading_position: u64,
    end: u64,
    ready: VecDeque<Bytes>,
    job: Option<JobId>,
    /// Whether the file system cannot read without blocking, so that all is read by jobs.
    always_by_jobs: bool,
}

type Pieces = Result<Vec<Bytes>, Errno>;

impl FileContent {
    pub(crate) fn new(file: Arc<OwnedFd>, identity: Identity, span: Span, buffers: Arc<Buffers>) -> Self {
        Self {
            file,
            identity,
            buffers,
            position: span.start,
            reading_position: span.start,
            end: span.end,
            ready: VecDeque::new(),
            job: None,
            always_by_jobs: false,
        }
    }

    /// Reads from the page cache. `None`: it is not there.
    fn read_at_once(&mut self, room: usize) -> Result<Option<Bytes>, Errno> {
        let left = self.end - self.reading_position;
        let size = usize::try_from(left).map_or(BUFFER_SIZE, |left| left.min(BUFFER_SIZE)).min(room);
        let (file, position) = (&self.file, self.reading_position);
        let read = self.buffers.fill(size, |buffer| {
            rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], position, ReadWriteFlags::NOWAIT)
        });
        match read {
            // The end of the file before the end of what was promised.
            Ok(bytes) if bytes.is_empty() => Err(Errno::IO),
            Ok(bytes) => {
                self.reading_position += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.always_by_jobs = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Has a job read ahead, unless one does already. Tells whether the pool took it.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        if self.job.is_some() || self.reading_position >= self.end {
            return true;
        }
        let (file, buffers) = (Arc::clone(&self.file), Arc::clone(&self.buffers));
        let (position, end) = (self.reading_position, self.end);
        match cx.spawn(Job::new(move || read_pieces(&file, &buffers, position, end))) {
            Ok(job) => self.job = Some(job),
            Err(_) => return false,
        }
        true
    }

    /// Takes what the job has read, if it has ended.
    fn take_read(&mut self, cx: &mut Context<'_>) -> Result<(), Errno> {
        let Some(finished) = cx.take_finished().filter(|finished| Some(finished.id) == self.job) else { return Ok(()) };
        self.job = None;
        for piece in finished.downcast::<Pieces>().unwrap_or(Err(Errno::IO))? {
            self.reading_position += piece.len() as u64;
            self.ready.push_back(piece);
        }
        Ok(())
    }

    fn next_piece(&mut self, room: usize, cx: &mut Context<'_>) -> Result<Produced, Errno> {
        self.take_read(cx)?;
        if self.ready.is_empty()
            && self.job.is_none()
            && !self.always_by_jobs
            && let Some(bytes) = self.read_at_once(room)?
        {
            return Ok(self.hand_over(bytes));
        }
        let Some(mut piece) = self.ready.pop_front() else {
            let taken = self.read_ahead(cx);
            return Ok(Produced::Later((!taken).then(|| cx.now + BUSY)));
        };
        if piece.len() > room {
            self.ready.push_front(piece.split_off(room));
        }
        if self.always_by_jobs && self.ready.len() < AHEAD {
            self.read_ahead(cx);
        }
        Ok(self.hand_over(piece))
    }

    fn hand_over(&mut self, bytes: Bytes) -> Produced {
        self.position += bytes.len() as u64;
        // The last piece is held back if it would complete a file that never existed.
        if self.position >= self.end && !self.unchanged() { Produced::Failed } else { Produced::Bytes(bytes) }
    }

    /// Whether what was read can be one version of the file. A file that was written to and has grown is taken for a
    /// log that was appended to: what it held stays true.
    fn unchanged(&self) -> bool {
        let Ok(stat) = rustix::fs::fstat(&self.file) else { return false };
        let identity = Identity::of(&stat);
        identity.length > self.identity.length || identity == self.identity
    }
}

impl Producer for FileContent {
    fn produce(&mut self, room: usize, cx: &mut Context<'_>) -> Produced {
        if self.position >= self.end {
            return Produced::End;
        }
        self.next_piece(room, cx).unwrap_or(Produced::Failed)
    }
}

/// The job: reads up to `AHEAD` buffers.
fn read_pieces(file: &OwnedFd, buffers: &Arc<Buffers>, mut position: u64, end: u64) -> Pieces {
    let mut pieces = Vec::with_capacity(AHEAD);
    while position < end && pieces.len() < AHEAD {
        let size = usize::try_from(end - position).map_or(BUFFER_SIZE, |left| left.min(BUFFER_SIZE));
        let bytes = buffers.fill(size, |buffer| rustix::io::pread(file, buffer, position))?;
        if bytes.is_empty() {
            return Err(Errno::IO);
        }
        position += bytes.len() as u64;
        pieces.push(bytes);
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
