use std::fs;
use std::io::Write as _;

use tapster_service::testing::TestEnvironment;

use super::*;

struct Lab {
    environment: TestEnvironment,
    path: tempfile::NamedTempFile,
    content: FileContent,
    length: u64,
}

impl Lab {
    fn new(content: &[u8], span: Span) -> Self {
        let mut path = tempfile::NamedTempFile::new().unwrap();
        path.write_all(content).unwrap();
        let file = Arc::new(OwnedFd::from(fs::File::open(&path).unwrap()));
        let identity = Identity::of(&rustix::fs::fstat(&file).unwrap());
        let length = span.length();
        let content = FileContent::new(file, identity, span, Arc::default());
        Self { environment: TestEnvironment::default(), path, content, length }
    }

    /// Takes pieces of at most `room` until the promised length is there, or the producer fails.
    fn take(&mut self, room: usize) -> Option<Vec<u8>> {
        let mut taken = Vec::new();
        while (taken.len() as u64) < self.length {
            match self.environment.with_context(|cx| self.content.produce(room, cx)) {
                Produced::Bytes(bytes) => {
                    assert!(!bytes.is_empty() && bytes.len() <= room);
                    taken.extend_from_slice(&bytes);
                }
                Produced::Later(None) => assert!(!self.environment.finished.is_empty(), "a job is what it waits for"),
                Produced::Later(Some(_)) => self.environment.busy = false,
                Produced::End | Produced::Failed => return None,
            }
        }
        Some(taken)
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn the_content_is_the_same_whichever_way_it_is_read() {
    let content = bytes(3 * BUFFER_SIZE + 1234);
    let span = Span { start: 1000, end: content.len() as u64 - 7 };
    for by_jobs in [false, true] {
        for room in [usize::MAX, 100_000] {
            let mut lab = Lab::new(&content, span);
            lab.content.always_by_jobs = by_jobs;
            assert!(lab.take(room).unwrap() == content[1000..content.len() - 7], "{by_jobs} {room}");
        }
    }
}

#[test]
fn a_full_pool_is_waited_for() {
    let content = bytes(1000);
    let mut lab = Lab::new(&content, Span { start: 0, end: 1000 });
    lab.content.always_by_jobs = true;
    lab.environment.busy = true;
    assert!(lab.take(usize::MAX).unwrap() == content);
}

#[test]
fn a_file_that_shrinks_fails() {
    for by_jobs in [false, true] {
        let mut lab = Lab::new(&bytes(10_000), Span { start: 0, end: 10_000 });
        lab.content.always_by_jobs = by_jobs;
        lab.path.as_file().set_len(9_999).unwrap();
        assert_eq!(lab.take(1000), None);
    }
}

#[test]
fn a_file_that_is_rewritten_fails_and_one_that_grows_does_not() {
    let rewritten = |length: u64| {
        let mut lab = Lab::new(&bytes(10_000), Span { start: 0, end: 10_000 });
        let first = lab.environment.with_context(|cx| lab.content.produce(1000, cx));
        assert!(matches!(first, Produced::Bytes(_) | Produced::Later(None)));
        lab.path.as_file().set_len(length).unwrap();
        let later = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        lab.path.as_file().set_modified(later).unwrap();
        if let Produced::Bytes(bytes) = first {
            lab.length -= bytes.len() as u64;
        }
        lab.take(1000).is_some()
    };
    assert!(!rewritten(10_000));
    assert!(rewritten(10_001));
}
