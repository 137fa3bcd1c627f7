//! Timeouts (RFC 9293 §3.10.8).
//!
//! Responsible for what happens when a timer of a connection expires. What is to be sent then is only noted; it goes out
//! with the next transmission.

use std::time::Duration;

use super::Tcp;
use super::arrival::Verdict;
use super::connections::Connection;
use super::control_block::{ControlBlock, Environment};
use super::reply::Reset;
use super::state::State;
use super::timers::Timer;
use crate::{ClosedReason, ConnectionId, Instant};

/// RFC 9293 §3.8.3 (MUST-23): a SYN is tried for at least three minutes.
const SYN_TIMEOUT: Duration = Duration::from_secs(180);

/// How many expired retransmission timers are remembered when nobody asks for them.
const LATE: usize = 64;

impl Tcp {
    /// When [`expire`](Self::expire) should be called. It may come too early, never too late.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.wheel.next_deadline()
    }

    /// Runs the timers that are due.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(index) = self.wheel.pop_due(now) {
            match self.connections.get(index) {
                Some(Connection::Open(_)) => self.expire_open(now, index),
                Some(Connection::HalfOpen(_)) => self.expire_half_open(now, index),
                Some(Connection::TimeWait(time_wait)) => {
                    // "If the time-wait timeout expires on a connection, delete the TCB".
                    if time_wait.expires <= now {
                        self.remove(index);
                    } else {
                        self.settle(now, index);
                    }
                }
                None => {}
            }
        }
    }

    fn expire_open(&mut self, now: Instant, index: u32) {
        let time_outs = self.counters.retransmission_timeouts;
        loop {
            let Some((block, mut environment)) = self.open(index, now) else { return };
            let Some(timer) = block.timers.take_due(now) else { break };
            let verdict = block.time_out(&mut environment, timer);
            self.conclude(now, index, verdict);
        }
        if self.counters.retransmission_timeouts != time_outs {
            if self.late.len() >= LATE {
                self.late.pop_front();
            }
            self.late.push_back(self.connections.id(index));
        }
        self.settle(now, index);
    }

    /// The next connection whose retransmission timer has expired.
    pub(crate) fn next_retransmission_time_out(&mut self) -> Option<ConnectionId> {
        self.late.pop_front()
    }

    /// The SYN and ACK again, until it has been long enough.
    fn expire_half_open(&mut self, now: Instant, index: u32) {
        let limit = self.configuration.syn_received;
        let Some(Connection::HalfOpen(half_open)) = self.connections.get_mut(index) else { return };
        if now.since(half_open.opened_at) >= limit {
            self.counters.failed_opens += 1;
            self.remove(index);
            return;
        }
        if half_open.deadline <= now && !half_open.syn_due {
            half_open.retransmissions = half_open.retransmissions.saturating_add(1);
            half_open.syn_due = true;
            self.counters.retransmission_timeouts += 1;
            self.counters.segments_retransmitted += 1;
        }
        self.settle(now, index);
    }
}

impl ControlBlock {
    fn time_out(&mut self, environment: &mut Environment<'_>, timer: Timer) -> Verdict<'static> {
        match timer {
            Timer::Retransmission => self.retransmission_time_out(environment),
            Timer::Reordering => {
                // RFC 8985 §6.3: what was only overtaken then is lost now.
                if self.rack_detect_loss(environment.now) {
                    self.loss_was_found(environment, 0);
                }
                Verdict::CONTINUE
            }
            Timer::TailLossProbe => {
                self.rack.probe_due = true;
                Verdict::CONTINUE
            }
            Timer::Persist => {
                // SHLD-30: the interval between probes grows exponentially.
                self.window_probe_due = true;
                self.rto.back_off();
                Verdict::CONTINUE
            }
            Timer::DelayedAcknowledgment => {
                self.acknowledge_now();
                Verdict::CONTINUE
            }
            Timer::KeepAlive => self.keep_alive_time_out(environment),
            Timer::TimeWait => {
                if self.state == State::FinWait2 {
                    environment.counters.timed_out += 1;
                }
                Verdict::Closed { reason: None, reset: None }
            }
        }
    }

    /// "For any state if the retransmission timeout expires on a segment in the retransmission queue, send the segment at the
    /// front of the retransmission queue again, reinitialize the retransmission timer, and return."
    fn retransmission_time_out(&mut self, environment: &mut Environment<'_>) -> Verdict<'static> {
        let now = environment.now;
        let user_timeout = self.user_timeout();
        if matches!(self.state, State::SynSent | State::SynReceived) {
            if now.since(self.opened_at) >= user_timeout.max(SYN_TIMEOUT) {
                return self.user_time_out(environment);
            }
            environment.counters.retransmission_timeouts += 1;
            environment.counters.segments_retransmitted += 1;
            self.retransmits += 1;
            self.rto.back_off();
            self.syn_retransmitted = true;
            self.syn_due = true;
            return Verdict::CONTINUE;
        }
        if self.retransmission_queue.is_empty() {
            return Verdict::CONTINUE;
        }
        if self.timers.deadline(Timer::TailLossProbe).is_some_and(|probe| probe <= now) {
            // RFC 8985 §7.2: the probe goes first.
            self.timers.stop(Timer::TailLossProbe);
            self.rack.probe_due = true;
            self.timers.start(Timer::Retransmission, now + self.rto.current());
            return Verdict::CONTINUE;
        }
        // R2 of RFC 9293 §3.8.3 (MUST-20), in time rather than in transmissions.
        if now.since(self.waiting_since) >= user_timeout {
            return self.user_time_out(environment);
        }
        environment.counters.retransmission_timeouts += 1;
        if self.snd.wnd == 0 {
            // The window has been closed: the first octet probes it (§3.8.6.1). That is no sign of congestion.
            self.retransmission_queue.mark_all_lost();
            self.recovery.retransmit_now = true;
        } else {
            self.lost_everything(environment);
        }
        self.rto.back_off();
        Verdict::CONTINUE
    }

    /// "For any state if the user timeout expires, flush all queues, signal the user "error: connection aborted due to user
    /// timeout", delete the TCB, enter the CLOSED state, and return."
    fn user_time_out(&self, environment: &mut Environment<'_>) -> Verdict<'static> {
        environment.counters.timed_out += 1;
        let reset = self.state.is_synchronized().then(|| Reset::of(self, environment.now));
        Verdict::Closed { reason: Some(ClosedReason::TimedOut), reset }
    }

    /// RFC 9293 §3.8.4.
    fn keep_alive_time_out(&mut self, environment: &mut Environment<'_>) -> Verdict<'static> {
        let Some(keep_alive) = environment.configuration.keep_alive else { return Verdict::CONTINUE };
        let now = environment.now;
        let silence_ends = self.received_at.max(self.sent_at) + keep_alive.idle;
        if silence_ends > now || !self.retransmission_queue.is_empty() {
            // MUST-26: only when nothing has come or gone. While data are unacknowledged, the retransmission timer runs.
            self.timers.start(Timer::KeepAlive, silence_ends.max(now + keep_alive.interval));
            return Verdict::CONTINUE;
        }
        // MUST-29: one probe without an answer means nothing.
        if self.keep_alive_probes >= keep_alive.probes {
            return self.user_time_out(environment);
        }
        self.keep_alive_probes += 1;
        self.keep_alive_due = true;
        self.timers.start(Timer::KeepAlive, now + keep_alive.interval);
        Verdict::CONTINUE
    }
}
