//! Taking a recovery back when nothing had been lost (RFC 3522 and RFC 4015; RFC 3708).
//!
//! Responsible for noticing it: an acknowledgment that echoes a timestamp from before the first retransmission answers the
//! original, and D-SACKs for all that was sent again say that none of it was needed.

use super::congestion::AnyController;
use super::control_block::{ControlBlock, Environment};
use super::recovery::{Acknowledgment, Phase};
use super::timers::Timer;

/// What is needed to take a recovery back.
#[derive(Debug)]
pub(crate) struct Undo {
    /// The congestion window as it was.
    controller: AnyController,
    /// Our timestamp when the first retransmission went out.
    first_retransmission: Option<u32>,
    /// Octets sent again that no D-SACK has reported.
    unreported: u32,
    /// The first acknowledgment of new data has come: later ones say nothing about timestamps.
    answered: bool,
}

impl ControlBlock {
    /// Remembers the window before a reduction.
    pub(crate) fn remember_window(&mut self) {
        self.undo = Some(Box::new(Undo {
            controller: self.congestion.clone(),
            first_retransmission: None,
            unreported: 0,
            answered: false,
        }));
    }

    /// A retransmission has gone out.
    pub(crate) fn note_retransmission(&mut self, octets: u32, timestamp: Option<u32>) {
        if let Some(undo) = &mut self.undo {
            undo.unreported += octets;
            undo.first_retransmission = undo.first_retransmission.or(timestamp);
        }
    }

    /// Takes the recovery back if an acknowledgment proves it needless.
    pub(crate) fn undo_if_needless(&mut self, environment: &mut Environment<'_>, acknowledgment: &Acknowledgment) {
        let Some(undo) = &mut self.undo else { return };
        // RFC 3522 §3.2 (5): the echoed timestamp is smaller than that of the retransmission.
        let by_timestamp = !undo.answered
            && acknowledgment.advanced > 0
            && matches!((undo.first_retransmission, acknowledgment.echo_reply),
                (Some(sent), Some(echoed)) if echoed.wrapping_sub(sent).cast_signed() < 0);
        undo.answered |= acknowledgment.advanced > 0 && undo.first_retransmission.is_some();
        // RFC 3708 §2: everything that was sent again has been reported as a duplicate.
        let by_dsack = acknowledgment.dsack.is_some_and(|octets| {
            let was_open = undo.unreported > 0;
            undo.unreported = undo.unreported.saturating_sub(octets);
            was_open && undo.unreported == 0
        });
        if !by_timestamp && !by_dsack {
            return;
        }
        environment.counters.spurious_recoveries_undone += 1;
        if let Some(undo) = self.undo.take() {
            self.congestion = undo.controller;
        }
        self.retransmission_queue.unmark_lost();
        self.recovery.phase = Phase::Open;
        self.recovery.prr = None;
        self.recovery.retransmit_now = false;
        self.recovery.duplicates = 0;
        self.rto.reset_back_off();
        self.timers.stop(Timer::Reordering);
    }
}
