//! Maildir: a directory for each mailbox, a file for each message.
//!
//! Responsible for the way of a batch of messages to disk: each is written to `tmp` of its first mailbox and linked into
//! `tmp` of the others; all are flushed together; each is renamed into `new`; the directories are flushed. A message
//! that fails on this way is removed everywhere. Names of files and directories come from the caller, and none of them
//! from a client as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Failure, Message};
use crate::mailboxes::MailboxName;

/// Only the owner may read mail.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The directory of all mailboxes.
#[derive(Debug)]
pub(crate) struct Maildir {
    root: PathBuf,
    /// Whether the root has existed. It is made once; when it is gone later, then by accident (a file system that is
    /// no longer mounted), and mail is refused for the time being instead of being put elsewhere.
    root_made: AtomicBool,
    mailboxes: AtomicUsize,
    max_mailboxes: usize,
    hops: usize,
}

impl Maildir {
    /// The mailboxes below `root`, of which there are `mailboxes` already. Nothing is made before mail comes.
    pub(crate) fn new(root: PathBuf, mailboxes: usize, max_mailboxes: usize, hops: usize) -> Self {
        let root_made = AtomicBool::new(root.exists());
        Self { root, root_made, mailboxes: AtomicUsize::new(mailboxes), max_mailboxes, hops }
    }

    /// Makes messages durable, and tells of each whether it is. One commit at a time.
    pub(crate) fn commit(&self, messages: &[Message]) -> Vec<Result<(), Failure>> {
        let mut staged: Vec<Result<Staged, Failure>> = messages.iter().map(|message| self.stage(message)).collect();
        flush_files(&mut staged);
        for message in &mut staged {
            advance(message, Staged::publish);
        }
        flush_directories(&mut staged);
        staged.into_iter().map(|message| message.map(Staged::keep)).collect()
    }

    /// Writes a message into `tmp` of its mailboxes.
    fn stage(&self, message: &Message) -> Result<Staged, Failure> {
        // The field that we put there ourselves does not count.
        if message.content.hops() > self.hops.saturating_add(1) {
            return Err(Failure::Loop);
        }
        let mut staged = Staged::default();
        for mailbox in &message.mailboxes {
            self.stage_copy(&mut staged, message, mailbox)?;
        }
        Ok(staged)
    }

    fn stage_copy(&self, staged: &mut Staged, message: &Message, mailbox: &MailboxName) -> Result<(), Failure> {
        let directory = self.root.join(mailbox.domain()).join(mailbox.local_part());
        let temporary = directory.join("tmp").join(&message.file_name);
        // Further mailboxes share the first one's file: a message for a thousand recipients is written once.
        let first = staged.copies.first().map(|copy| copy.temporary.clone());
        let place = || match &first {
            Some(first) => fs::hard_link(first, &temporary).map(|()| None),
            None => create(&temporary).map(Some),
        };
        let mut placed = place();
        if matches!(&placed, Err(error) if error.kind() == ErrorKind::NotFound) {
            self.make_mailbox(staged, &directory)?;
            placed = place();
        }
        // A mailbox on another file system, or one without links, gets a file of its own.
        if first.is_some() && placed.is_err() {
            placed = create(&temporary).map(Some);
        }
        let file = placed.map_err(|error| failure(&error, &temporary))?;
        staged.copies.push(Copy { published: directory.join("new").join(&message.file_name), temporary, moved: false });
        staged.directories.insert(directory.join("new"));
        if let Some(mut file) = file {
            let written = message.content.pieces().try_for_each(|piece| file.write_all(piece));
            written.map_err(|error| failure(&error, &directory))?;
            let device = file.metadata().map_err(|error| failure(&error, &directory))?.dev();
            staged.files.push((file, device));
        }
        Ok(())
    }

    fn make_mailbox(&self, staged: &mut Staged, directory: &Path) -> Result<(), Failure> {
        if self.mailboxes.load(Ordering::Relaxed) >= self.max_mailboxes && !directory.is_dir() {
            tracing::warn!(limit = self.max_mailboxes, "no more mailboxes are made");
            return Err(Failure::TooManyMailboxes);
        }
        self.make_directories(directory, &mut staged.directories).map_err(|error| failure(&error, directory))
    }

    /// Makes what is missing of a mailbox. The directories that got a new entry are to be flushed.
    fn make_directories(&self, mailbox: &Path, changed: &mut BTreeSet<PathBuf>) -> io::Result<()> {
        if !self.root_made.load(Ordering::Relaxed) {
            fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.root)?;
            changed.extend(self.root.ancestors().skip(1).filter(|parent| parent.is_dir()).map(Path::to_owned).take(1));
            self.root_made.store(true, Ordering::Relaxed);
        }
        let domain = mailbox.parent().unwrap_or(&self.root);
        if make(domain)? {
            changed.insert(self.root.clone());
        }
        if make(mailbox)? {
            self.mailboxes.fetch_add(1, Ordering::Relaxed);
            changed.insert(domain.to_owned());
        }
        for part in ["tmp", "new", "cur"] {
            if make(&mailbox.join(part))? {
                changed.insert(mailbox.to_owned());
            }
        }
        Ok(())
    }
}

/// One message on its way. What has not been kept when it is dropped is removed, all of it.
#[derive(Debug, Default)]
struct Staged {
    copies: Vec<Copy>,
    /// The files to flush, each with the number of its file system; those of further mailboxes are most often links
    /// to the first one.
    files: Vec<(File, u64)>,
    /// The directories to flush.
    directories: BTreeSet<PathBuf>,
}

/// A message's file in one mailbox.
#[derive(Debug)]
struct Copy {
    temporary: PathBuf,
    published: PathBuf,
    moved: bool,
}

impl Staged {
    /// Moves it from `tmp` to `new`, everywhere.
    fn publish(&mut self) -> Result<(), Failure> {
        for copy in &mut self.copies {
            fs::rename(&copy.temporary, &copy.published).map_err(|error| failure(&error, &copy.published))?;
            copy.moved = true;
        }
        Ok(())
    }

    fn keep(mut self) {
        self.copies.clear();
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for copy in &self.copies {
            let path = if copy.moved { &copy.published } else { &copy.temporary };
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "a message that was refused could not be removed");
            }
        }
    }
}

/// Takes a message one step further, if it has come so far.
fn advance(message: &mut Result<Staged, Failure>, step: impl FnOnce(&mut Staged) -> Result<(), Failure>) {
    if let Ok(staged) = message
        && let Err(failure) = step(staged)
    {
        *message = Err(failure);
    }
}

/// Makes all files durable. A file system with one file has that flushed, one with several is flushed as a whole: it
/// writes its journal once instead of once for each.
fn flush_files(messages: &mut [Result<Staged, Failure>]) {
    let mut count: BTreeMap<u64, usize> = BTreeMap::new();
    for (_, device) in messages.iter().flatten().flat_map(|staged| &staged.files) {
        *count.entry(*device).or_default() += 1;
    }
    let mut flushed: BTreeMap<u64, Result<(), Failure>> = BTreeMap::new();
    for message in messages {
        advance(message, |staged| {
            staged.files.iter().try_for_each(|(file, device)| {
                *flushed.entry(*device).or_insert_with(|| {
                    let alone = count.get(device) == Some(&1);
                    let result =
                        if alone { file.sync_all() } else { rustix::fs::syncfs(file).map_err(io::Error::from) };
                    result.map_err(|error| failure(&error, Path::new("the file system")))
                })
            })
        });
    }
}

/// Makes the new names durable. Each directory is flushed once for all messages.
fn flush_directories(messages: &mut [Result<Staged, Failure>]) {
    let directories: BTreeSet<PathBuf> =
        messages.iter().flatten().flat_map(|staged| staged.directories.iter().cloned()).collect();
    for directory in directories {
        if let Err(error) = File::open(&directory).and_then(|opened| opened.sync_all()) {
            let failure = failure(&error, &directory);
            for message in &mut *messages {
                advance(message, |staged| if staged.directories.contains(&directory) { Err(failure) } else { Ok(()) });
            }
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Makes a directory; false if it was there.
fn make(directory: &Path) -> io::Result<bool> {
    match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Logs an error and tells what it means for the message.
fn failure(error: &io::Error, path: &Path) -> Failure {
    tracing::warn!(path = %path.display(), %error, "a message could not be delivered");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Failure::Full,
        _ => Failure::Failed,
    }
}

#[cfg(test)]
mod tests;
