use prometheus::IntGauge;
use tempfile::TempDir;

use super::*;
use crate::content::Content;
use crate::memory::Budget;
use crate::test_server::files;

fn message(name: &str, mailboxes: &[&str], text: &str) -> Message {
    let budget = Budget::new(usize::MAX, IntGauge::new("held", "held").unwrap());
    let mut content = Content::new(budget.reservation());
    content.append(text.as_bytes()).unwrap();
    let mailboxes = mailboxes.iter().map(|mailbox| MailboxName::new("foo.com", mailbox)).collect();
    Message { file_name: name.to_owned(), mailboxes, content }
}

fn relative(directory: &TempDir) -> Vec<String> {
    let root = directory.path();
    files(root).iter().map(|path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
}

fn maildir(directory: &TempDir) -> Maildir {
    Maildir::new(directory.path().join("a/mail"), 0, 3, 100)
}

#[test]
fn a_batch_is_in_new_byte_for_byte_and_mailboxes_are_whole() {
    let directory = TempDir::new().unwrap();
    let messages = [message("1", &["jones", "brown"], "one\r\n"), message("2", &["jones"], &"x".repeat(1 << 20))];
    assert_eq!(maildir(&directory).commit(&messages), [Ok(()), Ok(())]);
    let root = directory.path().join("a/mail/foo.com");
    assert_eq!(
        relative(&directory),
        ["a/mail/foo.com/brown/new/1", "a/mail/foo.com/jones/new/1", "a/mail/foo.com/jones/new/2"]
    );
    assert_eq!(fs::read(root.join("brown/new/1")).unwrap(), b"one\r\n");
    assert_eq!(fs::read(root.join("jones/new/1")).unwrap(), b"one\r\n");
    assert_eq!(fs::read(root.join("jones/new/2")).unwrap(), "x".repeat(1 << 20).as_bytes());
    for (path, mode) in [("jones", 0o40700), ("jones/cur", 0o40700), ("jones/tmp", 0o40700), ("jones/new/1", 0o100_600)]
    {
        assert_eq!(fs::metadata(root.join(path)).unwrap().mode(), mode, "{path}");
    }
}

#[test]
fn a_message_that_fails_for_one_recipient_is_left_to_none_and_hurts_no_other() {
    let directory = TempDir::new().unwrap();
    let maildir = maildir(&directory);
    assert_eq!(maildir.commit(&[message("0", &["jones", "brown"], "zero")]), [Ok(())]);
    let brown = directory.path().join("a/mail/foo.com/brown");
    // The rename into `new` fails there, after that of the other recipient has been done.
    fs::remove_dir_all(brown.join("new")).unwrap();
    fs::write(brown.join("new"), "not a directory").unwrap();
    let batch = [message("1", &["jones", "brown"], "one"), message("2", &["jones"], "two")];
    assert_eq!(maildir.commit(&batch), [Err(Failure::Failed), Ok(())]);
    let expected = ["a/mail/foo.com/brown/new", "a/mail/foo.com/jones/new/0", "a/mail/foo.com/jones/new/2"];
    assert_eq!(relative(&directory), expected);
    // And so does the writing.
    fs::remove_dir_all(brown.join("tmp")).unwrap();
    fs::write(brown.join("tmp"), "nor this").unwrap();
    assert_eq!(maildir.commit(&[message("3", &["jones", "brown"], "three")]), [Err(Failure::Failed)]);
    assert!(!relative(&directory).iter().any(|path| path.ends_with("/3")));
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let directory = TempDir::new().unwrap();
    let maildir = maildir(&directory);
    assert_eq!(maildir.commit(&[message("1", &["jones"], "first")]), [Ok(())]);
    let path = directory.path().join("a/mail/foo.com/jones/tmp/2");
    fs::write(&path, "somebody else's").unwrap();
    assert_eq!(maildir.commit(&[message("2", &["jones"], "second")]), [Err(Failure::Failed)]);
    assert_eq!(fs::read(path).unwrap(), b"somebody else's");
}

#[test]
fn mailboxes_are_made_up_to_the_limit() {
    let directory = TempDir::new().unwrap();
    let maildir = maildir(&directory);
    let batch = ["a", "b", "c", "d", "a"].map(|name| message(name, &[name], "x"));
    let results = maildir.commit(&batch[..4]);
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), Err(Failure::TooManyMailboxes)]);
    assert_eq!(maildir.commit(&batch[4..]), [Ok(())], "there is still mail for those that exist");
    assert!(!directory.path().join("a/mail/foo.com/d").exists());
}

#[test]
fn a_full_disk_is_told_from_other_errors() {
    for (errno, expected) in [
        (rustix::io::Errno::NOSPC, Failure::Full),
        (rustix::io::Errno::DQUOT, Failure::Full),
        (rustix::io::Errno::IO, Failure::Failed),
    ] {
        assert_eq!(failure(&io::Error::from(errno), Path::new("x")), expected);
    }
}

/// Tells the test below, when it runs again inside, where its small file system is.
const SMALL_DISK: &str = "TAPSTER_SMALL_DISK";

/// Runs again in a mount namespace of its own, on a file system of 1 MiB.
#[test]
fn a_full_disk_leaves_nothing() {
    let Some(disk) = std::env::var_os(SMALL_DISK) else {
        let disk = TempDir::new().unwrap();
        let again = "mount -t tmpfs -o size=1m none \"$1\" && exec \"$2\" --exact \"$3\"";
        let finished = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", again, "sh"])
            .args([disk.path(), &std::env::current_exe().unwrap()])
            .arg("delivery::maildir::tests::a_full_disk_leaves_nothing")
            .env(SMALL_DISK, disk.path())
            .output()
            .expect("unshare: install util-linux");
        let said = String::from_utf8_lossy(&finished.stdout);
        assert!(
            finished.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&finished.stderr)
        );
        return;
    };
    let directory = TempDir::new_in(disk).unwrap();
    let batch = [message("1", &["jones", "brown"], &"x".repeat(2 << 20)), message("2", &["jones", "brown"], "small")];
    assert_eq!(maildir(&directory).commit(&batch), [Err(Failure::Full), Ok(())]);
    assert_eq!(relative(&directory), ["a/mail/foo.com/brown/new/2", "a/mail/foo.com/jones/new/2"]);
}

#[test]
fn a_root_that_has_gone_is_not_made_again() {
    let directory = TempDir::new().unwrap();
    let maildir = maildir(&directory);
    assert_eq!(maildir.commit(&[message("1", &["jones"], "x")]), [Ok(())]);
    fs::remove_dir_all(directory.path().join("a")).unwrap();
    assert_eq!(maildir.commit(&[message("2", &["jones"], "x")]), [Err(Failure::Failed)]);
    assert_eq!(relative(&directory), [""; 0]);
}
