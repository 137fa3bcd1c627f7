//! Signals and ends of processes, as things to wait for.
//!
//! Responsible for the demo's one way of waiting: `poll` over descriptors, without a thread and without a race between a
//! signal and a wait. Not for what is done then.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::Signal;
use signal_hook::low_level::pipe;

/// The signals that would end the demo while something runs in it. Programs that it starts have them as usual again.
const CAUGHT: [Signal; 4] = [Signal::INT, Signal::QUIT, Signal::TERM, Signal::HUP];

/// The caught signals, each as the reading end of a pipe.
pub(super) struct Signals([(Signal, UnixStream); CAUGHT.len()]);

impl Signals {
    /// Catches the signals from now on.
    pub(super) fn catch() -> io::Result<Self> {
        let catch = |signal: Signal| {
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            pipe::register(signal.as_raw(), write)?;
            io::Result::Ok((signal, read))
        };
        let [interrupt, quit, terminate, hang_up] = CAUGHT;
        Ok(Self([catch(interrupt)?, catch(quit)?, catch(terminate)?, catch(hang_up)?]))
    }

    /// The signals that have come since the last call.
    fn take(&mut self) -> Vec<Signal> {
        let mut signals = Vec::new();
        for (signal, pipe) in &mut self.0 {
            if matches!(pipe.read(&mut [0; 64]), Ok(1..)) {
                signals.push(*signal);
            }
        }
        signals
    }

    /// Waits for a signal, for one of the `descriptors` to be readable, or for the deadline. Returns the signals, and
    /// which of the descriptors are ready.
    pub(super) fn wait<const N: usize>(
        &mut self,
        descriptors: [BorrowedFd<'_>; N],
        deadline: Option<Instant>,
    ) -> io::Result<(Vec<Signal>, [bool; N])> {
        let pipes = self.0.iter().map(|(_, pipe)| pipe.as_fd());
        let ready = readable(descriptors.into_iter().chain(pipes).collect(), deadline)?;
        let descriptors = std::array::from_fn(|position| ready.get(position).copied().unwrap_or(false));
        Ok((self.take(), descriptors))
    }
}

/// Waits until one of the descriptors is readable or the deadline has come. A pidfd is readable when its process ended.
pub(super) fn readable(descriptors: Vec<BorrowedFd<'_>>, deadline: Option<Instant>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> =
        descriptors.into_iter().map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN)).collect();
    retry_on_intr(|| {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        poll(&mut polled, left.map(timespec).as_ref())
    })?;
    Ok(polled.iter().map(|descriptor| !descriptor.revents().is_empty()).collect())
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}
