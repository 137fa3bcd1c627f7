//! A few threads for what may block.
//!
//! Responsible for running [`Job`]s off the event loop and bringing their results back to it through a
//! [`mio::Waker`]. The queue is bounded: when it is full, a job is refused and the module that asked says that it is
//! busy. Not for who asked: the event loop keeps that.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mio::Waker;
use tapster_service::{Busy, FinishedJob, Job, JobId, JobPanicked};

/// The pool. Its threads end when it is dropped and their last job is done.
#[derive(Debug)]
pub(crate) struct Pool {
    queue: SyncSender<(JobId, Job)>,
    results: Receiver<FinishedJob>,
    next: u64,
    refused: u64,
}

impl Pool {
    /// Starts `workers` threads (at least one) with room for `queue_length` jobs that wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(workers: usize, queue_length: usize, waker: Waker) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(queue_length);
        let (results_in, results) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let waker = Arc::new(waker);
        for number in 0..workers.max(1) {
            let (jobs, results, waker) = (Arc::clone(&jobs), results_in.clone(), Arc::clone(&waker));
            thread::Builder::new()
                .name(format!("tapster-worker-{number}"))
                .spawn(move || work(&jobs, &results, &waker))?;
        }
        Ok(Self { queue, results, next: 0, refused: 0 })
    }

    /// Takes a job.
    ///
    /// # Errors
    /// [`Busy`] when the queue is full.
    pub(crate) fn spawn(&mut self, job: Job) -> Result<JobId, Busy> {
        let id = JobId(self.next);
        match self.queue.try_send((id, job)) {
            Ok(()) => {
                self.next += 1;
                Ok(id)
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.refused += 1;
                Err(Busy)
            }
        }
    }

    /// The next job that has ended, if any has.
    pub(crate) fn finished(&self) -> Option<FinishedJob> {
        self.results.try_recv().ok()
    }

    /// How many jobs were taken, and how many were refused, since the start.
    pub(crate) const fn counts(&self) -> (u64, u64) {
        (self.next, self.refused)
    }
}

/// One thread's life: a job, its result, a wake-up, and again until the pool is gone.
fn work(jobs: &Mutex<Receiver<(JobId, Job)>>, results: &Sender<FinishedJob>, waker: &Waker) {
    loop {
        // The lock is held while waiting, so one idle thread waits for a job and the others for the lock.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((id, job)) = next else { return };
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run())).map_err(|_| JobPanicked);
        if results.send(FinishedJob { id, outcome }).is_err() {
            return;
        }
        if let Err(error) = waker.wake() {
            tracing::error!(%error, "a finished job could not wake the event loop");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    /// Waits until `count` jobs have ended, and returns them by number.
    fn wait_for(pool: &Pool, poll: &mut Poll, count: usize) -> Vec<FinishedJob> {
        let mut finished = Vec::new();
        let mut events = Events::with_capacity(4);
        while finished.len() < count {
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "no job ended in ten seconds");
            finished.extend(std::iter::from_fn(|| pool.finished()));
        }
        finished.sort_by_key(|job| job.id);
        finished
    }

    #[test]
    fn a_job_comes_back_with_its_value_and_a_panic_does_not_end_the_thread() {
        let mut poll = Poll::new().unwrap();
        let mut pool = Pool::start(1, 8, Waker::new(poll.registry(), Token(0)).unwrap()).unwrap();
        let first = pool.spawn(Job::new(|| panic!("on purpose"))).unwrap();
        let second = pool.spawn(Job::new(|| 6 * 7)).unwrap();
        let mut finished = wait_for(&pool, &mut poll, 2);
        let (last, panicked) = (finished.pop().unwrap(), finished.pop().unwrap());
        assert_eq!((panicked.id, panicked.outcome.is_err()), (first, true));
        assert_eq!((last.id, last.downcast::<i32>()), (second, Some(42)));
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut poll = Poll::new().unwrap();
        let mut pool = Pool::start(1, 1, Waker::new(poll.registry(), Token(0)).unwrap()).unwrap();
        let (release, hold) = channel::<()>();
        pool.spawn(Job::new(move || hold.recv().is_err())).unwrap();
        // One job may wait: the first, as long as the thread has not taken it, else one of these.
        let taken = (0..3).filter(|_| pool.spawn(Job::new(|| ())).is_ok()).count();
        assert!(taken <= 1, "{taken}");
        assert_eq!(pool.counts().1, 3 - taken as u64);
        drop(release);
        wait_for(&pool, &mut poll, 1 + taken);
    }
}
