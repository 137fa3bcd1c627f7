//! The timers of one connection.
//!
//! Responsible for which of them run and when the next is due. Not for waking anybody ([`timer_wheel`](super::timer_wheel)
//! does, once for all timers of a connection), nor for what happens then ([`time_outs`](super::time_outs)).

use crate::Instant;

/// What a connection may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The retransmission timer (RFC 6298 §5).
    Retransmission,
    /// A segment has been overtaken and may soon be thought lost (RFC 8985 §6.3).
    Reordering,
    /// Nothing has been heard of the last segments (RFC 8985 §7).
    TailLossProbe,
    /// Data wait for the peer's window: a zero-window probe, or the override of silly-window avoidance
    /// (RFC 9293 §3.8.6.1 and §3.8.6.2.1 (4)).
    Persist,
    /// An acknowledgment has been held back (RFC 9293 §3.8.6.3).
    DelayedAcknowledgment,
    /// Nothing has been heard for long (RFC 9293 §3.8.4).
    KeepAlive,
    /// 2 MSL in TIME-WAIT; or the end of patience in FIN-WAIT-2, when nobody is left to read.
    TimeWait,
}

impl Timer {
    const ALL: [Self; 7] = [
        Self::Retransmission,
        Self::Reordering,
        Self::TailLossProbe,
        Self::Persist,
        Self::DelayedAcknowledgment,
        Self::KeepAlive,
        Self::TimeWait,
    ];
}

/// A deadline each; [`NEVER`] when it does not run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers([Instant; Timer::ALL.len()]);

const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl Timers {
    pub(crate) const fn new() -> Self {
        Self([NEVER; Timer::ALL.len()])
    }

    pub(crate) fn start(&mut self, timer: Timer, deadline: Instant) {
        self.0[timer as usize] = deadline;
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = NEVER;
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn runs(&self, timer: Timer) -> bool {
        self.0[timer as usize] != NEVER
    }

    /// When `timer` is due, if it runs.
    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        Some(self.0[timer as usize]).filter(|deadline| *deadline != NEVER)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().min().copied().filter(|deadline| *deadline != NEVER)
    }

    /// Stops a timer that is due and returns it.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|timer| self.0[*timer as usize] <= now)?;
        self.stop(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_come_once() {
        let at = Instant::from_nanos;
        let mut timers = Timers::new();
        assert_eq!(timers.next(), None);
        timers.start(Timer::KeepAlive, at(9));
        timers.start(Timer::Persist, at(5));
        assert_eq!(timers.next(), Some(at(5)));
        assert_eq!(timers.take_due(at(4)), None);
        assert_eq!(timers.take_due(at(7)), Some(Timer::Persist));
        assert_eq!(timers.take_due(at(7)), None);
        assert!(!timers.runs(Timer::Persist) && timers.runs(Timer::KeepAlive));
    }
}
