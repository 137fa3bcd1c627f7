//! Blocking work, done elsewhere.
//!
//! Responsible for the type of a job and of its result. Not for threads: an [`Environment`](crate::Environment)
//! brings a pool, and a test runs the job on the spot.

use std::any::Any;

/// What a job returns: any value, to be taken back by [`FinishedJob::downcast`].
pub type Output = Box<dyn Any + Send>;

/// Work that may block (a file to read, a directory to list, a mail to make durable).
pub struct Job(Box<dyn FnOnce() -> Output + Send>);

impl Job {
    /// A job that runs `work`.
    pub fn new<T: Any + Send>(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Box::new(move || Box::new(work()) as Output))
    }

    /// Does the work, in the thread that calls.
    pub fn run(self) -> Output {
        (self.0)()
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

/// Names a job of a session or datagram service. Unique while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// The job's thread panicked; the panic's message was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobPanicked;

/// The pool's queue is full: the work was not taken. Answer that the service is busy, or try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// A job that has ended, with what it returned.
#[derive(Debug)]
pub struct FinishedJob {
    /// Which job it was.
    pub id: JobId,
    /// What came of it.
    pub outcome: Result<Output, JobPanicked>,
}

impl FinishedJob {
    /// The value that the job returned; `None` if it panicked or returned another type.
    #[must_use]
    pub fn downcast<T: Any>(self) -> Option<T> {
        self.outcome.ok()?.downcast().ok().map(|value| *value)
    }
}
