//! Stand-ins for the daemon, for a module's own tests.
//!
//! Responsible for a stream that is two buffers, a socket that keeps what was sent, and an environment that runs
//! each job on the spot. Not for a network: nothing is lost or delayed here.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rand_core::Rng;

use crate::{
    Busy, ByteStream, ConnectError, Context, DatagramSocket, Environment, FinishedJob, Job, JobId, JobPanicked, Next,
    SendError, Session,
};

/// A connection made of two buffers.
#[derive(Debug, Default)]
pub struct TestStream {
    /// What the session has not consumed yet. Put the peer's bytes here.
    pub input: Vec<u8>,
    /// Whether the peer has finished its half.
    pub input_finished: bool,
    /// All that the session has written.
    pub output: Vec<u8>,
    /// Whether the session has finished its half.
    pub finished: bool,
    /// How much more may be written. Unlimited when `None`.
    pub room: Option<usize>,
}

impl TestStream {
    /// A connection on which the peer has sent `input` and has not finished.
    pub fn with_input(input: impl Into<Vec<u8>>) -> Self {
        Self { input: input.into(), ..Self::default() }
    }

    /// Takes what the session has written so far.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }
}

impl ByteStream for TestStream {
    fn input(&mut self) -> &[u8] {
        &self.input
    }

    fn consume(&mut self, count: usize) {
        self.input.drain(..count.min(self.input.len()));
    }

    fn input_finished(&self) -> bool {
        self.input_finished
    }

    fn room(&self) -> usize {
        if self.finished { 0 } else { self.room.unwrap_or(usize::MAX) }
    }

    fn write(&mut self, bytes: Bytes) {
        self.write_copy(&bytes);
    }

    fn write_copy(&mut self, bytes: &[u8]) {
        if self.finished {
            return;
        }
        self.output.extend_from_slice(bytes);
        if let Some(room) = &mut self.room {
            *room = room.saturating_sub(bytes.len());
        }
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn unacknowledged(&self) -> usize {
        0
    }
}

/// A socket that keeps what was sent.
#[derive(Debug)]
pub struct TestSocket {
    /// Each datagram sent: from, to, payload.
    pub sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// The ports opened and not closed.
    pub open: Vec<SocketAddr>,
    /// What [`DatagramSocket::payload_limit`] says.
    pub payload_limit: usize,
    next_port: u16,
}

impl Default for TestSocket {
    fn default() -> Self {
        Self { sent: Vec::new(), open: Vec::new(), payload_limit: 1472, next_port: 49_152 }
    }
}

impl DatagramSocket for TestSocket {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<(), SendError> {
        self.sent.push((from, to, payload.to_vec()));
        Ok(())
    }

    fn open(&mut self, local: IpAddr) -> Result<u16, SendError> {
        let port = self.next_port;
        self.next_port = port.checked_add(1).ok_or(SendError::NoPort)?;
        self.open.push(SocketAddr::new(local, port));
        Ok(port)
    }

    fn close(&mut self, local: SocketAddr) {
        self.open.retain(|open| *open != local);
    }

    fn payload_limit(&self, _to: IpAddr) -> usize {
        self.payload_limit
    }
}

/// Time that stands until it is moved, random numbers that replay, jobs that run on the spot.
pub struct TestEnvironment {
    /// The clock. Move it with `+=`.
    pub now: Instant,
    /// The wall clock; starts at Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
    pub wall_clock: SystemTime,
    /// The jobs that have run and whose results nobody has been given yet.
    pub finished: VecDeque<FinishedJob>,
    /// Whether the next job is refused.
    pub busy: bool,
    /// What [`Context::connect`] was called with.
    pub connected: Vec<(SocketAddr, Box<dyn Session>)>,
    random: SplitMix,
    next_job: u64,
}

impl Default for TestEnvironment {
    fn default() -> Self {
        Self {
            now: Instant::now(),
            wall_clock: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
            finished: VecDeque::new(),
            busy: false,
            connected: Vec::new(),
            random: SplitMix(1),
            next_job: 0,
        }
    }
}

impl std::fmt::Debug for TestEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestEnvironment").field("now", &self.now).finish_non_exhaustive()
    }
}

impl TestEnvironment {
    /// Moves both clocks.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.wall_clock += time;
    }

    /// Runs `call` with a context, in which the next finished job, if any, is the cause.
    pub fn with_context<T>(&mut self, call: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let finished = self.finished.pop_front();
        let (now, wall_clock) = (self.now, self.wall_clock);
        call(&mut Context::new(now, wall_clock, self, finished))
    }

    /// Advances a session until none of its jobs is left, and returns what it waits for then.
    pub fn advance(&mut self, session: &mut dyn Session, stream: &mut TestStream) -> Next {
        loop {
            let next = self.with_context(|cx| session.advance(stream, cx));
            if self.finished.is_empty() || !matches!(next, Next::Wait(_)) {
                return next;
            }
        }
    }
}

impl Environment for TestEnvironment {
    fn random(&mut self) -> &mut dyn Rng {
        &mut self.random
    }

    fn spawn(&mut self, job: Job) -> Result<JobId, Busy> {
        if self.busy {
            return Err(Busy);
        }
        let id = JobId(self.next_job);
        self.next_job += 1;
        let run = std::panic::AssertUnwindSafe(|| job.run());
        let outcome = std::panic::catch_unwind(run).map_err(|_| JobPanicked);
        self.finished.push_back(FinishedJob { id, outcome });
        Ok(id)
    }

    fn connect(&mut self, remote: SocketAddr, session: Box<dyn Session>) -> Result<(), ConnectError> {
        self.connected.push((remote, session));
        Ok(())
    }
}

/// Sebastiano Vigna's SplitMix64: enough for a test, and the same on every run.
struct SplitMix(u64);

impl rand_core::TryRng for SplitMix {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|value| (value >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in destination.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}
