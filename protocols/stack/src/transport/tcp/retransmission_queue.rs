//! The retransmission queue (RFC 9293 §3.4), which is the SACK scoreboard as well (RFC 6675 §3).
//!
//! Responsible for what was sent when, what of it the peer has, and what is thought lost; so for `pipe`, the estimate of
//! what is on its way. Not for the octets (they stay in the send queue), nor for what follows from a loss
//! ([`recovery`](super::recovery)).

use std::collections::VecDeque;
use std::time::Duration;

use super::options::SackBlock;
use super::sequence::SequenceNumber;
use crate::Instant;

/// RFC 6675 §2: so many later segments must have arrived before one is thought lost.
pub(crate) const DUP_THRESH: u32 = 3;
/// An empty queue keeps room for so many records, since it will be used again.
const KEPT_RECORDS: usize = 4;

/// Sequence numbers that were sent together, in one segment or in one frame for the device to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) start: SequenceNumber,
    /// The number after the last.
    pub(crate) end: SequenceNumber,
    /// When they were sent, the last time.
    pub(crate) at: Instant,
    /// The peer has said that it has them.
    pub(crate) sacked: bool,
    /// They are thought lost. They were, if they have been `retransmitted` since.
    pub(crate) lost: bool,
    /// Sent again after they were thought lost.
    pub(crate) retransmitted: bool,
    /// Sent more than once: no round trip can be measured by them (Karn's algorithm).
    pub(crate) ambiguous: bool,
}

impl Sent {
    fn len(&self) -> u32 {
        self.end - self.start
    }
}

/// What an acknowledgment has told of the records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    /// Octets of sequence space that the peer is now known to have, and was not before.
    pub(crate) octets: u32,
    /// The round trip of the latest of them, where it can be measured.
    pub(crate) round_trip: Option<Duration>,
    /// When the most recently sent of them was sent, and where it ends (RFC 8985 §6.2, step 2). Of what was sent twice only
    /// if no round trip is so short that this must be the answer to the first copy.
    pub(crate) latest: Option<(Instant, SequenceNumber)>,
    /// The lowest end of a record that was sent once, and the highest of any (RFC 8985 §6.2, step 3).
    pub(crate) lowest_unambiguous_end: Option<SequenceNumber>,
    pub(crate) highest_end: Option<SequenceNumber>,
    /// The shortest round trip that is known.
    minimum_round_trip: Duration,
}

impl Delivered {
    pub(crate) fn new(minimum_round_trip: Option<Duration>) -> Self {
        Self { minimum_round_trip: minimum_round_trip.unwrap_or_default(), ..Self::default() }
    }

    fn add(&mut self, sent: &Sent, now: Instant) {
        let round_trip = now.since(sent.at);
        self.octets += sent.len();
        self.highest_end = Some(self.highest_end.map_or(sent.end, |highest| highest.max(sent.end)));
        if !sent.ambiguous {
            self.round_trip = Some(self.round_trip.map_or(round_trip, |other| other.min(round_trip)));
            let lowest = self.lowest_unambiguous_end.map_or(sent.end, |lowest| lowest.min(sent.end));
            self.lowest_unambiguous_end = Some(lowest);
        }
        if (!sent.ambiguous || round_trip >= self.minimum_round_trip)
            && self.latest.is_none_or(|latest| latest < (sent.at, sent.end))
        {
            self.latest = Some((sent.at, sent.end));
        }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct RetransmissionQueue {
    /// In the order of their sequence numbers, without a gap, from SND.UNA to SND.NXT.
    records: VecDeque<Sent>,
    /// Octets in records that are `sacked`.
    sacked: u32,
    /// Octets in records that are `lost`.
    lost: u32,
    /// Octets in records that are `retransmitted`. These are lost ones too.
    retransmitted: u32,
}

impl RetransmissionQueue {
    /// Octets of sequence space between SND.UNA and SND.NXT.
    pub(crate) fn len(&self) -> u32 {
        match (self.records.front(), self.records.back()) {
            (Some(first), Some(last)) => last.end - first.start,
            _ => 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Octets that the peer has said it has, beyond a hole.
    pub(crate) const fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Octets that are thought lost and have not been sent again.
    pub(crate) const fn to_retransmit(&self) -> u32 {
        self.lost - self.retransmitted
    }

    /// Octets that were thought lost and have been sent again.
    pub(crate) const fn retransmitted_octets(&self) -> u32 {
        self.retransmitted
    }

    /// RFC 6675 §4, SetPipe: octets that are thought to be on their way.
    pub(crate) fn pipe(&self) -> u32 {
        self.len() - self.sacked - self.lost + self.retransmitted
    }

    /// The last record's numbers: what a tail loss probe sends again.
    pub(crate) fn tail(&self) -> Option<(SequenceNumber, SequenceNumber)> {
        self.records.back().map(|sent| (sent.start, sent.end))
    }

    /// Octets of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.records.capacity() * size_of::<Sent>()
    }

    /// Adds what has just been sent for the first time.
    pub(crate) fn push(&mut self, start: SequenceNumber, end: SequenceNumber, at: Instant) {
        self.records.push_back(Sent {
            start,
            end,
            at,
            sacked: false,
            lost: false,
            retransmitted: false,
            ambiguous: false,
        });
    }

    /// Removes what is acknowledged.
    pub(crate) fn acknowledge(&mut self, snd_una: SequenceNumber, now: Instant, delivered: &mut Delivered) {
        while let Some(&first) = self.records.front() {
            if first.start >= snd_una {
                break;
            }
            let acknowledged = Sent { end: first.end.min(snd_una), ..first };
            self.count(&acknowledged, false);
            if !acknowledged.sacked {
                delivered.add(&acknowledged, now);
            }
            if first.end <= snd_una {
                self.records.pop_front();
            } else if let Some(first) = self.records.front_mut() {
                first.start = snd_una;
            }
        }
        if self.records.is_empty() && self.records.capacity() > KEPT_RECORDS {
            self.records = VecDeque::new();
        }
    }

    /// Takes in SACK blocks (RFC 6675 §4, Update). The caller has seen that they lie between SND.UNA and SND.NXT.
    pub(crate) fn sack(&mut self, block: SackBlock, now: Instant, delivered: &mut Delivered) {
        let (from, to) = self.split_range(block.left, block.right);
        for index in from..to {
            self.change(index, |sent| {
                if !sent.sacked {
                    delivered.add(sent, now);
                    *sent = Sent { sacked: true, lost: false, retransmitted: false, ..*sent };
                }
            });
        }
    }

    /// RFC 6675 §4, IsLost: marks what has three separate runs, or more than two segments' octets, of what the peer has
    /// above it. Returns whether anything was found.
    pub(crate) fn mark_lost_by_sack(&mut self, smss: u32) -> bool {
        let (mut octets_above, mut runs_above) = (0, 0);
        let mut above_is_sacked = false;
        let mut found = false;
        for index in (0..self.records.len()).rev() {
            let Some(&sent) = self.records.get(index) else { break };
            if sent.sacked {
                octets_above += sent.len();
                runs_above += u32::from(!above_is_sacked);
            } else if !sent.lost && (runs_above >= DUP_THRESH || octets_above > (DUP_THRESH - 1) * smss) {
                found = true;
                self.change(index, |sent| sent.lost = true);
            }
            above_is_sacked = sent.sacked;
        }
        found
    }

    /// Marks the first segment: the one that duplicate acknowledgments ask for (RFC 5681 §3.2), or a partial one
    /// (RFC 6582 §3.2).
    pub(crate) fn mark_first_lost(&mut self, smss: u32) {
        let Some(first) = self.records.front() else { return };
        let (start, end) = (first.start, first.end.min(first.start + smss));
        let (from, to) = self.split_range(start, end);
        for index in from..to {
            self.change(index, |sent| sent.lost |= !sent.sacked);
        }
    }

    /// Marks lost what `is_lost` says, sent again or not. Returns whether anything was found.
    pub(crate) fn mark_lost(&mut self, mut is_lost: impl FnMut(&Sent) -> bool) -> bool {
        let mut found = false;
        for index in 0..self.records.len() {
            self.change(index, |sent| {
                if !sent.sacked && (!sent.lost || sent.retransmitted) && is_lost(sent) {
                    found = true;
                    *sent = Sent { lost: true, retransmitted: false, ..*sent };
                }
            });
        }
        found
    }

    /// The retransmission timer has expired: everything is thought lost. What the peer has said it has does not count any
    /// more either, since it may have thrown it away (RFC 2018 §8).
    pub(crate) fn mark_all_lost(&mut self) {
        for sent in &mut self.records {
            *sent = Sent { sacked: false, lost: true, retransmitted: false, ..*sent };
        }
        (self.sacked, self.lost, self.retransmitted) = (0, self.len(), 0);
    }

    /// Nothing is lost after all: the time-out or the recovery was a mistake.
    pub(crate) fn unmark_lost(&mut self) {
        for index in 0..self.records.len() {
            self.change(index, |sent| *sent = Sent { lost: false, retransmitted: false, ..*sent });
        }
    }

    /// RFC 6675 §4, NextSeg (1): the first stretch that is lost and not sent again, at most `limit` octets of it.
    pub(crate) fn next_lost(&self, limit: u32) -> Option<(SequenceNumber, SequenceNumber)> {
        if self.to_retransmit() == 0 {
            return None;
        }
        let is_due = |sent: &&Sent| sent.lost && !sent.retransmitted;
        let mut due = self.records.iter().skip_while(|sent| !is_due(sent)).take_while(is_due);
        let first = due.next()?;
        // Less than half the circle, whatever was asked for.
        let furthest = first.start + limit.min(1 << 30);
        let mut end = first.end;
        for sent in due {
            if end >= furthest {
                break;
            }
            end = sent.end;
        }
        Some((first.start, end.min(furthest)))
    }

    /// Notes that a stretch has been sent again.
    pub(crate) fn retransmitted(&mut self, start: SequenceNumber, end: SequenceNumber, at: Instant) {
        let (from, to) = self.split_range(start, end);
        for index in from..to {
            self.change(index, |sent| *sent = Sent { at, retransmitted: sent.lost, ambiguous: true, ..*sent });
        }
    }

    /// Changes a record and keeps the sums right.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Sent)) {
        let Some(sent) = self.records.get_mut(index) else { return };
        let before = *sent;
        change(sent);
        let after = *sent;
        self.count(&before, false);
        self.count(&after, true);
    }

    /// Adds a record to the sums, or takes it out.
    fn count(&mut self, sent: &Sent, add: bool) {
        let octets = sent.len();
        for (sum, flag) in [
            (&mut self.sacked, sent.sacked),
            (&mut self.lost, sent.lost),
            (&mut self.retransmitted, sent.retransmitted),
        ] {
            if flag {
                *sum = if add { *sum + octets } else { *sum - octets };
            }
        }
    }

    /// Splits records so that `start` and `end` are borders, and returns the indices between them.
    fn split_range(&mut self, start: SequenceNumber, end: SequenceNumber) -> (usize, usize) {
        let from = self.split(start);
        (from, self.split(end).max(from))
    }

    /// Makes `at` a border. Returns the index of the record that begins there.
    fn split(&mut self, at: SequenceNumber) -> usize {
        let index = self.records.partition_point(|sent| sent.end <= at);
        let Some(sent) = self.records.get_mut(index) else { return index };
        if sent.start >= at {
            return index;
        }
        let rest = Sent { start: at, ..*sent };
        sent.end = at;
        self.records.insert(index + 1, rest);
        index + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: SequenceNumber = SequenceNumber(u32::MAX - 4000);
    const SMSS: u32 = 1000;

    fn queue(segments: u32) -> RetransmissionQueue {
        let mut queue = RetransmissionQueue::default();
        for segment in 0..segments {
            let start = BASE + segment * SMSS;
            queue.push(start, start + SMSS, Instant::from_nanos(u64::from(segment)));
        }
        queue
    }

    fn sack(queue: &mut RetransmissionQueue, left: u32, right: u32) -> Delivered {
        let mut delivered = Delivered::default();
        let block = SackBlock { left: BASE + left, right: BASE + right };
        queue.sack(block, Instant::from_nanos(100), &mut delivered);
        delivered
    }

    #[test]
    fn a_segment_is_lost_once_more_than_two_segments_above_it_have_arrived() {
        let mut queue = queue(10);
        sack(&mut queue, 1000, 3000);
        assert!(!queue.mark_lost_by_sack(SMSS));
        sack(&mut queue, 3000, 3001);
        assert!(queue.mark_lost_by_sack(SMSS));
        assert_eq!(queue.next_lost(u32::MAX), Some((BASE, BASE + 1000)));
        assert_eq!(queue.pipe(), 10_000 - 2001 - 1000);
    }

    #[test]
    fn or_once_there_are_three_separate_runs_above_it() {
        let mut queue = queue(10);
        for left in [1000, 3000, 5000] {
            assert!(!queue.mark_lost_by_sack(SMSS));
            sack(&mut queue, left, left + 10);
        }
        assert!(queue.mark_lost_by_sack(SMSS));
    }

    #[test]
    fn a_retransmission_is_on_its_way_again() {
        let mut queue = queue(4);
        queue.mark_all_lost();
        assert_eq!((queue.pipe(), queue.to_retransmit()), (0, 4000));
        assert_eq!(queue.next_lost(1500), Some((BASE, BASE + 1500)));
        queue.retransmitted(BASE, BASE + 1500, Instant::from_nanos(50));
        assert_eq!((queue.pipe(), queue.to_retransmit()), (1500, 2500));
        let mut delivered = Delivered::default();
        queue.acknowledge(BASE + 2000, Instant::from_nanos(60), &mut delivered);
        assert_eq!((queue.pipe(), queue.to_retransmit()), (0, 2000));
        // The second segment's later half was sent once only.
        assert_eq!(delivered.round_trip, Some(Duration::from_nanos(59)));
    }

    #[test]
    fn karns_algorithm() {
        let mut queue = queue(1);
        queue.retransmitted(BASE, BASE + 1000, Instant::from_nanos(50));
        let mut delivered = Delivered::default();
        queue.acknowledge(BASE + 1000, Instant::from_nanos(60), &mut delivered);
        assert_eq!((delivered.octets, delivered.round_trip), (1000, None));
    }

    proptest! {
        /// Whatever happens, the sums are what the records say, and the records have no gap.
        #[test]
        fn sums_and_borders_stay_right(
            steps in proptest::collection::vec((0_u8..7, 0_u32..12_000, 1_u32..3_000), 1..60),
        ) {
            let mut queue = queue(12);
            let mut una = BASE;
            for (kind, at, length) in steps {
                let start = (BASE + at).max(una);
                let end = (start + length).min(BASE + 12_000);
                match kind {
                    0 | 1 if start < end => {
                        sack(&mut queue, start - BASE, end - BASE);
                    }
                    2 => {
                        queue.mark_lost_by_sack(SMSS);
                    }
                    3 => queue.mark_first_lost(SMSS),
                    4 if at > 11_000 => queue.mark_all_lost(),
                    5 => {
                        if let Some((start, end)) = queue.next_lost(length) {
                            prop_assert!(start < end && end - start <= length);
                            queue.retransmitted(start, end, Instant::START);
                        }
                    }
                    6 => {
                        una = una.max((BASE + at.min(12_000)).min(una + 900));
                        queue.acknowledge(una, Instant::from_nanos(200), &mut Delivered::default());
                    }
                    _ => {}
                }
                let sum = |flag: fn(&Sent) -> bool| queue.records.iter().filter(|sent| flag(sent)).map(Sent::len).sum::<u32>();
                prop_assert_eq!(queue.sacked, sum(|sent| sent.sacked));
                prop_assert_eq!(queue.lost, sum(|sent| sent.lost));
                prop_assert_eq!(queue.retransmitted, sum(|sent| sent.retransmitted));
                prop_assert_eq!(queue.len(), sum(|_| true));
                prop_assert_eq!(queue.len(), (BASE + 12_000) - una);
                prop_assert!(queue.records.iter().all(|sent| sent.lost || !sent.retransmitted));
                prop_assert!(queue.records.iter().all(|sent| !(sent.lost && sent.sacked)));
            }
        }
    }
}
