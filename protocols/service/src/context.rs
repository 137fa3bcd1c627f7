//! What a module is given while it runs: time, randomness, jobs, connections of its own.
//!
//! Responsible for handing these in as arguments, so that a module has no clock, thread or socket. Metrics are
//! handed over earlier, in [`Module::prepare`](crate::Module::prepare); the log is the `tracing` crate's macros.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use rand_core::Rng;

use crate::{Busy, FinishedJob, Job, JobId, Session};

/// What stands behind a [`Context`]: the daemon, or a test.
pub trait Environment {
    /// A source of random numbers that cannot be guessed; in a test, one that replays.
    fn random(&mut self) -> &mut dyn Rng;

    /// Takes a job. Its result comes back in a later call, through [`Context::take_finished`].
    ///
    /// # Errors
    /// [`Busy`] when the bounded queue is full.
    fn spawn(&mut self, job: Job) -> Result<JobId, Busy>;

    /// Opens a connection (RFC 9293 §3.10.1, active OPEN) for a new session. The session is advanced when the
    /// connection is established, and told by [`Session::closed`] when it is not.
    ///
    /// # Errors
    /// See [`ConnectError`].
    fn connect(&mut self, remote: SocketAddr, session: Box<dyn Session>) -> Result<(), ConnectError>;
}

/// Why a connection could not even be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// No route leads there.
    NoRoute,
    /// A limit on connections, or the range of ephemeral ports, is exhausted.
    TooMany,
}

/// What a session or datagram service may use during one call.
pub struct Context<'a> {
    /// The time of this call, on a clock that only goes forward.
    pub now: Instant,
    /// The time of this call as people tell it, for dates in messages and logs.
    pub wall_clock: SystemTime,
    environment: &'a mut dyn Environment,
    finished: Option<FinishedJob>,
}

impl<'a> Context<'a> {
    /// A context for one call. `finished` is the job that caused the call, if one did.
    pub fn new(
        now: Instant,
        wall_clock: SystemTime,
        environment: &'a mut dyn Environment,
        finished: Option<FinishedJob>,
    ) -> Self {
        Self { now, wall_clock, environment, finished }
    }

    /// A source of random numbers that cannot be guessed.
    pub fn random(&mut self) -> &mut dyn Rng {
        self.environment.random()
    }

    /// Hands work that may block to the pool.
    ///
    /// # Errors
    /// [`Busy`] when the pool's queue is full.
    pub fn spawn(&mut self, job: Job) -> Result<JobId, Busy> {
        self.environment.spawn(job)
    }

    /// The job whose end caused this call. There is at most one; take it, or it is lost.
    pub fn take_finished(&mut self) -> Option<FinishedJob> {
        self.finished.take()
    }

    /// Opens a connection for a new session. See [`Environment::connect`].
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(&mut self, remote: SocketAddr, session: Box<dyn Session>) -> Result<(), ConnectError> {
        self.environment.connect(remote, session)
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("now", &self.now).field("finished", &self.finished).finish_non_exhaustive()
    }
}
