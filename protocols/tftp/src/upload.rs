//! Files that are written: beside their place until they are complete.
//!
//! Responsible for what is on the disk during an upload and after it. Everything here blocks and belongs into jobs,
//! and so does dropping an [`Upload`].

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::files::{FileError, Root, Wanted, open_beneath, open_directory};
use crate::name::UPLOAD_PREFIX;

/// A file that is being written. It has a name that no request can have until [`commit`](Self::commit), and is removed
/// when it is dropped before.
#[derive(Debug)]
pub(crate) struct Upload {
    directory: OwnedFd,
    file: OwnedFd,
    temporary: Vec<u8>,
    name: Vec<u8>,
    overwrite: bool,
}

impl Upload {
    /// Begins an upload. `random` makes the file's name for the time being.
    pub(crate) fn create(root: &Root, wanted: &Wanted, overwrite: bool, random: u64) -> Result<Self, FileError> {
        let (parent, leaf) = wanted.name.split();
        let root = open_directory(root, wanted)?;
        let parent: &[u8] = if parent.is_empty() { b"." } else { parent };
        let directory = open_beneath(&root, parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
        match rustix::fs::statat(&directory, leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
            Ok(_) if !overwrite => return Err(FileError::Exists),
            Ok(status) if !FileType::from_raw_mode(status.st_mode).is_file() => return Err(FileError::NotRegular),
            Ok(_) => {}
        }
        let mut temporary = UPLOAD_PREFIX.to_vec();
        temporary.extend_from_slice(format!("{random:016x}").as_bytes());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let file = rustix::fs::openat(&directory, temporary.as_slice(), flags, mode)?;
        Ok(Self { directory, file, temporary, name: leaf.to_vec(), overwrite })
    }

    /// Writes data at an offset.
    pub(crate) fn write(&self, mut data: &[u8], mut offset: u64) -> Result<(), FileError> {
        while !data.is_empty() {
            match rustix::io::pwrite(&self.file, data, offset) {
                Ok(0) => return Err(FileError::Full),
                Ok(count) => {
                    data = data.get(count..).unwrap_or_default();
                    offset += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn commit(&self) -> Result<(), FileError> {
        rustix::fs::fsync(&self.file)?;
        if self.overwrite {
            rustix::fs::renameat(&self.directory, &*self.temporary, &self.directory, &*self.name)?;
        } else {
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.directory, &*self.temporary, &self.directory, &*self.name, flags) {
                // A file system that does not know the flag. A hard link is not made over a file either.
                Err(Errno::INVAL) => {
                    let (from, to) = (&*self.temporary, &*self.name);
                    rustix::fs::linkat(&self.directory, from, &self.directory, to, AtFlags::empty())?;
                    rustix::fs::unlinkat(&self.directory, from, AtFlags::empty())?;
                }
                other => other?,
            }
        }
        rustix::fs::fsync(&self.directory)?;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // After a commit the temporary name is gone, and this finds nothing.
        let _ = rustix::fs::unlinkat(&self.directory, &*self.temporary, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(text: &str) -> Wanted {
        Wanted { directory: None, name: crate::name::Name::parse(text.as_bytes(), true).unwrap() }
    }

    fn root(directory: &tempfile::TempDir) -> Root {
        Root { path: directory.path().to_owned(), of_client: None, case_insensitive: false }
    }

    fn entries(directory: &tempfile::TempDir) -> usize {
        fs::read_dir(directory.path()).unwrap().count()
    }

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let upload = Upload::create(&root(&directory), &name("a"), false, 1).unwrap();
        upload.write(b"hello ", 0).unwrap();
        upload.write(b"world", 6).unwrap();
        assert!(!directory.path().join("a").exists());
        upload.commit().unwrap();
        drop(upload);
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"hello world");
        assert_eq!(entries(&directory), 1);
    }

    #[test]
    fn an_interrupted_upload_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let upload = Upload::create(&root(&directory), &name("a"), false, 1).unwrap();
        upload.write(b"hello", 0).unwrap();
        drop(upload);
        assert_eq!(entries(&directory), 0);
    }

    #[test]
    fn a_file_that_exists() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "old").unwrap();
        let create = |overwrite| Upload::create(&root(&directory), &name("a"), overwrite, 1);
        assert_eq!(create(false).unwrap_err(), FileError::Exists);
        let upload = create(true).unwrap();
        upload.write(b"new", 0).unwrap();
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"old");
        upload.commit().unwrap();
        drop(upload);
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"new");
    }

    #[test]
    fn of_two_uploads_of_one_name_the_first_stays() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two] = [1, 2].map(|random| Upload::create(&root(&directory), &name("a"), false, random).unwrap());
        one.commit().unwrap();
        assert_eq!(two.commit().unwrap_err(), FileError::Exists);
        drop((one, two));
        assert_eq!(entries(&directory), 1);
    }

    #[test]
    fn nothing_is_written_outside_or_over_what_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("inside")).unwrap();
        symlink("/tmp", directory.path().join("outside")).unwrap();
        let create = |text: &str| Upload::create(&root(&directory), &name(text), true, 1).unwrap_err();
        assert_eq!(create("outside/a"), FileError::Denied);
        assert_eq!(create("outside"), FileError::NotRegular);
        assert_eq!(create("inside"), FileError::NotRegular);
        assert_eq!(create("nowhere/a"), FileError::NotFound);
    }
}
