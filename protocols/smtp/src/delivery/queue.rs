//! The messages that wait for the disk, and their commit in groups.
//!
//! Making one file durable takes the disk as long as making many durable, so everything that waits is committed
//! together. Each message has a job of its own, since a session hears only of its own job. A job takes the turn to
//! commit; if its message has been committed by then, it goes home with the result, else it commits all that waits, its
//! own included. So no message depends on another job's being run, and none can be forgotten.
//!
//! A message is offered to the queue when its session hands in the job. This is why a few workers commit the messages of
//! many sessions: while one commits, the next batch gathers. A worker that waits for the turn is blocked for no longer
//! than one commit takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::Histogram;

use super::{Failure, Maildir, Message};

/// The most messages in one commit: enough for all that grouping can bring, and a bound on what each must wait.
const LARGEST_BATCH: usize = 256;

/// The queue of all sessions.
#[derive(Debug)]
pub(crate) struct Queue {
    maildir: Maildir,
    waiting: Mutex<Vec<Arc<Ticket>>>,
    turn: Mutex<()>,
    batch_size: Histogram,
}

/// A message's place in the queue, which its session's job and the queue share.
#[derive(Debug)]
pub(crate) struct Ticket(Mutex<Progress>);

#[derive(Debug)]
enum Progress {
    Waiting(Box<Message>),
    Committing,
    Done(Result<(), Failure>),
}

impl Ticket {
    pub(crate) fn new(message: Message) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Progress::Waiting(Box::new(message)))))
    }

    /// Takes the message to commit it, unless somebody has.
    fn begin(&self) -> Option<Message> {
        let mut progress = lock(&self.0);
        if !matches!(*progress, Progress::Waiting(_)) {
            return None;
        }
        match std::mem::replace(&mut *progress, Progress::Committing) {
            Progress::Waiting(message) => Some(*message),
            Progress::Committing | Progress::Done(_) => None,
        }
    }

    fn finish(&self, result: Result<(), Failure>) {
        *lock(&self.0) = Progress::Done(result);
    }

    fn result(&self) -> Option<Result<(), Failure>> {
        match *lock(&self.0) {
            Progress::Done(result) => Some(result),
            Progress::Waiting(_) | Progress::Committing => None,
        }
    }
}

impl Queue {
    pub(crate) fn new(maildir: Maildir, batch_size: Histogram) -> Self {
        Self { maildir, waiting: Mutex::default(), turn: Mutex::default(), batch_size }
    }

    /// Offers a message to whoever commits next. Only for a ticket whose own job has been taken by the pool.
    pub(crate) fn offer(&self, ticket: Arc<Ticket>) {
        // The job may already have been here and gone.
        if ticket.result().is_none() {
            lock(&self.waiting).push(ticket);
        }
    }

    /// The job of one message: returns when it is durable for all its recipients, or has failed and left nothing.
    /// Blocks.
    pub(crate) fn deliver(&self, own: &Arc<Ticket>) -> Result<(), Failure> {
        let turn = lock(&self.turn);
        if let Some(result) = own.result() {
            return result;
        }
        let mut batch = vec![Arc::clone(own)];
        {
            let mut waiting = lock(&self.waiting);
            let count = waiting.len().min(LARGEST_BATCH);
            batch.extend(waiting.drain(..count));
        }
        let (tickets, messages): (Vec<_>, Vec<_>) =
            batch.iter().filter_map(|ticket| ticket.begin().map(|message| (ticket, message))).unzip();
        self.batch_size.observe(messages.len() as f64);
        for (ticket, result) in tickets.into_iter().zip(self.maildir.commit(&messages)) {
            ticket.finish(result);
        }
        drop(turn);
        // There is none only if the job that committed it panicked.
        own.result().unwrap_or(Err(Failure::Failed))
    }
}

/// Locks, whatever a thread that panicked has left: every state here is sound between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
