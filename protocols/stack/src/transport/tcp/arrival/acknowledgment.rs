//! "Fifth, check the ACK field" (RFC 9293 §3.10.7.4).
//!
//! Responsible for what an acknowledgment does: to the retransmission queue, the window, the round-trip estimate, and the
//! states that wait for our FIN's. What it means for congestion is in [`recovery`](super::super::recovery).

use std::time::Duration;

use super::super::control_block::{ControlBlock, Environment};
use super::super::options::SackBlock;
use super::super::recovery::Acknowledgment;
use super::super::reply::Reset;
use super::super::retransmission_queue::Delivered;
use super::super::segment::{Flags, Header, Segment};
use super::super::state::State;
use super::super::timers::Timer;
use super::Verdict;

impl ControlBlock {
    /// The fifth step. `Err` when nothing further is to be processed.
    pub(super) fn check_acknowledgment<'f>(
        &mut self,
        environment: &mut Environment<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Verdict<'f>> {
        let header = &segment.header;
        let ack = header.ack;
        if self.state == State::SynReceived {
            // "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state and continue processing with the variables below
            // set to: SND.WND <- SEG.WND, SND.WL1 <- SEG.SEQ, SND.WL2 <- SEG.ACK. If the segment acknowledgment is not
            // acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST> and send it."
            if !(self.snd.una < ack && ack <= self.snd.nxt) {
                self.stray_reset = Reset::in_response(self.key, segment);
                return Err(Verdict::CONTINUE);
            }
            self.syn_is_acknowledged(environment);
            self.set_window(header, self.snd.shift);
            return Ok(());
        }
        // RFC 5961 §5: "acceptable only if it is in the range of ((SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT). All incoming
        // segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK sent back."
        if ack < self.snd.una - self.snd.max_wnd || ack > self.snd.nxt {
            environment.counters.unacceptable += 1;
            self.challenge(environment);
            return Err(Verdict::CONTINUE);
        }
        let mut delivered = Delivered::new(self.rto.minimum_round_trip());
        let mut advanced = 0;
        let is_duplicate = self.is_duplicate_acknowledgment(segment);
        // "If SND.UNA < SEG.ACK =< SND.NXT, then set SND.UNA <- SEG.ACK. Any segments on the retransmission queue that are
        // thereby entirely acknowledged are removed."
        if self.snd.una < ack {
            advanced = ack - self.snd.una;
            environment.counters.octets_acknowledged += u64::from(advanced);
            self.bytes_sent += u64::from(advanced.min(self.send_queue.len() as u32));
            self.send_queue.release(self.send_queue.start() + u64::from(advanced));
            self.retransmission_queue.acknowledge(ack, environment.now, &mut delivered);
            self.snd.una = ack;
            // Numbers that lie behind must not be mistaken for such ahead, half the circle later.
            self.snd.small_end = self.snd.small_end.max(ack);
            self.ecn.advanced(ack);
        }
        let dsack = if self.sack_permitted { self.take_sack_blocks(environment, header, &mut delivered) } else { None };
        // "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated. If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and
        // SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND, set SND.WL1 <- SEG.SEQ, and set SND.WL2 <- SEG.ACK."
        // An acknowledgment of new data is newer than any before it, whatever number its own segment has: without that, SND.UNA
        // would carry an old window forward, beyond the edge that the peer has offered.
        let is_newer = self.snd.wl1 < header.seq || (self.snd.wl1 == header.seq && self.snd.wl2 <= ack);
        if advanced > 0 || (self.snd.una == ack && is_newer) {
            self.update_window(environment, header);
        }
        self.measure_round_trip(environment, header, &delivered, advanced);
        let echo_reply = self.timestamps.and(header.options.timestamps).map(|timestamps| timestamps.echo_reply);
        let congestion_echoed = self.ecn.agreed && header.flags.contains(Flags::ECE);
        let acknowledgment =
            Acknowledgment { delivered, advanced, duplicate: is_duplicate, dsack, congestion_echoed, echo_reply };
        self.recover(environment, &acknowledgment);
        if congestion_echoed {
            self.congestion_is_echoed(environment);
        }
        if advanced > 0 {
            self.waiting_since = environment.now;
            // RFC 6298 §5.2 and §5.3.
            if self.retransmission_queue.is_empty() {
                self.timers.stop(Timer::Retransmission);
            } else {
                self.timers.start(Timer::Retransmission, environment.now + self.rto.current());
            }
        }
        if advanced > 0 || delivered.octets > 0 {
            self.schedule_tail_loss_probe(environment.now);
        }
        self.our_fin_may_be_acknowledged(environment)
    }

    /// RFC 5681 §2: data are outstanding, the segment has no data, neither SYN nor FIN, the highest acknowledgment again, and
    /// the same window. An acknowledgment of a window probe is none.
    fn is_duplicate_acknowledgment(&self, segment: &Segment<'_>) -> bool {
        !self.retransmission_queue.is_empty()
            && segment.len() == 0
            && segment.header.ack == self.snd.una
            && self.snd.wnd > 0
            && u32::from(segment.header.window) << self.snd.shift == self.snd.wnd
    }

    /// Takes in SACK blocks. Returns how many octets the first of them reports as duplicates, if it does
    /// (RFC 2883 §4).
    fn take_sack_blocks(
        &mut self,
        environment: &Environment<'_>,
        header: &Header,
        delivered: &mut Delivered,
    ) -> Option<u32> {
        let blocks = header.options.sack.as_slice();
        let duplicate = match *blocks {
            [first, second, ..] if second.left <= first.left && first.right <= second.right => Some(first),
            [first, ..] if first.left < first.right && first.right <= header.ack => Some(first),
            _ => None,
        };
        for block in blocks {
            // One that begins below SND.UNA is old; one beyond SND.NXT makes no sense.
            if self.snd.una < block.right && block.right <= self.snd.nxt && block.left < block.right {
                let block = SackBlock { left: block.left.max(self.snd.una), ..*block };
                self.retransmission_queue.sack(block, environment.now, delivered);
            }
        }
        duplicate.map(|block| block.right - block.left)
    }

    fn update_window(&mut self, environment: &Environment<'_>, header: &Header) {
        let was_closed = self.snd.wnd == 0;
        self.set_window(header, self.snd.shift);
        if self.snd.wnd == 0 {
            // MUST-37: as long as the peer answers the probes, the connection stays open. Not when its user has gone, though: its
            // memory would be the peer's to hold for ever (§3.8.6.1, "resource management concerns").
            if self.attached {
                self.waiting_since = environment.now;
            }
        } else {
            self.timers.stop(Timer::Persist);
            self.window_probe_due = false;
            if was_closed {
                // The peer has dropped what did not fit, the probe for one. It goes out again without a congestion signal.
                self.rto.reset_back_off();
                if !self.retransmission_queue.is_empty() {
                    self.retransmission_queue.mark_all_lost();
                    self.recovery.retransmit_now = true;
                    self.timers.start(Timer::Retransmission, environment.now + self.rto.current());
                }
            }
        }
    }

    /// RFC 6298 §3 and §4, RFC 7323 §4.1.
    fn measure_round_trip(
        &mut self,
        environment: &Environment<'_>,
        header: &Header,
        delivered: &Delivered,
        advanced: u32,
    ) {
        if let Some(round_trip) = delivered.round_trip {
            self.rto.measure(round_trip);
            return;
        }
        if advanced == 0 {
            return;
        }
        // Everything acknowledged had been sent twice: only a timestamp tells which copy was answered. Without one there is no
        // measurement, and the backed-off time-out stays (Karn's algorithm, MUST-18).
        if let (Some(state), Some(timestamps)) = (self.timestamps, header.options.timestamps) {
            let elapsed = state.value(environment.now).wrapping_sub(timestamps.echo_reply);
            if elapsed.cast_signed() >= 0 {
                self.rto.measure(Duration::from_millis(u64::from(elapsed.max(1))));
            }
        }
    }

    /// The states in which our FIN has been sent.
    fn our_fin_may_be_acknowledged<'f>(&mut self, environment: &Environment<'_>) -> Result<(), Verdict<'f>> {
        if !self.fin_is_acknowledged() {
            return Ok(());
        }
        match self.state {
            // "if the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in that state."
            State::FinWait1 => {
                self.state = State::FinWait2;
                self.limit_fin_wait_2(environment);
                Ok(())
            }
            // "if the ACK acknowledges our FIN, then enter the TIME-WAIT state".
            State::Closing => {
                self.enter_time_wait(environment);
                Ok(())
            }
            // "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, and return."
            State::LastAck => Err(Verdict::Closed { reason: None, reset: None }),
            _ => Ok(()),
        }
    }

    /// FIN-WAIT-2 ends only with the peer's FIN. When nobody is left to read it does not wait for ever.
    pub(crate) fn limit_fin_wait_2(&mut self, environment: &Environment<'_>) {
        if self.state == State::FinWait2 && !self.attached {
            self.timers.start(Timer::TimeWait, environment.now + environment.configuration.fin_wait_2);
        }
    }

    /// "Start the time-wait timer, turn off the other timers."
    pub(super) fn enter_time_wait(&mut self, environment: &Environment<'_>) {
        self.state = State::TimeWait;
        self.timers.stop_all();
        self.timers.start(Timer::TimeWait, environment.now + environment.configuration.time_wait);
    }
}
