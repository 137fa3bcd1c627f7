//! What has arrived beyond a hole (RFC 9293 §3.10.7.4, SHLD-31).
//!
//! Responsible for keeping such octets until the hole is filled, and for telling the peer of them: the SACK blocks of
//! RFC 2018, the most recently changed first, and before them the duplicate of RFC 2883.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::options::{SackBlock, SackBlocks};
use super::sequence::SequenceNumber;

/// More separate runs than this are not kept: each costs memory beyond its octets.
const MAXIMUM_RUNS: usize = 64;

/// Octets without a hole among them.
#[derive(Debug)]
struct Run {
    start: SequenceNumber,
    octets: BytesMut,
    /// Grows with each arrival: the order in which SACK blocks are reported.
    changed: u64,
}

impl Run {
    fn end(&self) -> SequenceNumber {
        self.start + self.octets.len() as u32
    }
}

/// The queue. It exists only while there is a hole.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    /// In the order of their sequence numbers, with holes between them.
    runs: VecDeque<Run>,
    arrivals: u64,
    /// Where the peer's FIN stands, when it has come before what leads to it.
    fin: Option<SequenceNumber>,
}

/// Why octets were not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyRuns;

impl Reassembly {
    /// Keeps octets. Returns the first stretch of them that had come before, which RFC 2883 reports.
    pub(crate) fn insert(&mut self, start: SequenceNumber, octets: &[u8]) -> Result<Option<SackBlock>, TooManyRuns> {
        let end = start + octets.len() as u32;
        self.arrivals += 1;
        // The runs from `first` up to `last` overlap the new octets or touch them.
        let first = self.runs.partition_point(|run| run.end() < start);
        let last = self.runs.partition_point(|run| run.start <= end);
        let overlap = self.runs.range(first..last.max(first)).find_map(|run| {
            let (left, right) = (run.start.max(start), run.end().min(end));
            (left < right).then_some(SackBlock { left, right })
        });
        if first >= last {
            if self.runs.len() >= MAXIMUM_RUNS {
                return Err(TooManyRuns);
            }
            let run = Run { start, octets: BytesMut::from(octets), changed: self.arrivals };
            self.runs.insert(first, run);
            return Ok(None);
        }
        // They become one run. What had come first is kept: a later copy cannot change it.
        let merged: Vec<Run> = self.runs.drain(first..last).collect();
        let mut merged = merged.into_iter();
        let Some(mut run) = merged.next() else { return Ok(None) };
        if start < run.start {
            let missing = (run.start - start) as usize;
            let mut octets = BytesMut::from(octets.get(..missing).unwrap_or_default());
            octets.unsplit(run.octets);
            run.octets = octets;
            run.start = start;
        }
        for next in merged {
            append(&mut run, start, octets, next.start);
            run.octets.extend_from_slice(&next.octets);
        }
        append(&mut run, start, octets, end);
        run.changed = self.arrivals;
        self.runs.insert(first, run);
        Ok(overlap)
    }

    /// Remembers where the peer's FIN stands.
    pub(crate) const fn set_fin(&mut self, fin: SequenceNumber) {
        self.fin = Some(fin);
    }

    /// Where the peer's FIN stands, if it has come.
    pub(crate) const fn fin(&self) -> Option<SequenceNumber> {
        self.fin
    }

    /// The octets that follow `rcv_nxt` without a hole, taken out, and the octets of them that are new.
    pub(crate) fn take(&mut self, rcv_nxt: SequenceNumber) -> Option<BytesMut> {
        while let Some(run) = self.runs.front() {
            if run.start > rcv_nxt {
                return None;
            }
            let mut run = self.runs.pop_front()?;
            let old = (rcv_nxt - run.start) as usize;
            if old < run.octets.len() {
                return Some(run.octets.split_off(old));
            }
        }
        None
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.fin.is_none()
    }

    /// Octets of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        let runs: usize = self.runs.iter().map(|run| run.octets.capacity()).sum();
        runs + self.runs.capacity() * size_of::<Run>() + size_of::<Self>()
    }

    /// RFC 2018 §4: the runs, the most recently changed first, at most `count` of them.
    pub(crate) fn sack_blocks(&self, count: usize, blocks: &mut SackBlocks) {
        let mut before = u64::MAX;
        for _ in 0..count {
            let Some(run) = self.runs.iter().filter(|run| run.changed < before).max_by_key(|run| run.changed) else {
                return;
            };
            before = run.changed;
            if !blocks.push(SackBlock { left: run.start, right: run.end() }) {
                return;
            }
        }
    }
}

/// Adds to `run` the part of `octets`, which begin at `start`, from the run's end up to `end`.
fn append(run: &mut Run, start: SequenceNumber, octets: &[u8], end: SequenceNumber) {
    if run.end() < end {
        let (from, to) = ((run.end() - start) as usize, (end - start) as usize);
        run.octets.extend_from_slice(octets.get(from..to).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: SequenceNumber = SequenceNumber(u32::MAX - 50);

    #[test]
    fn the_first_block_is_the_one_that_changed_last() {
        let mut queue = Reassembly::default();
        for at in [10, 30, 50, 70, 30] {
            queue.insert(BASE + at, &[0; 5]).unwrap();
        }
        let mut blocks = SackBlocks::default();
        queue.sack_blocks(3, &mut blocks);
        let lefts: Vec<u32> = blocks.as_slice().iter().map(|block| block.left - BASE).collect();
        assert_eq!(lefts, [30, 70, 50]);
    }

    #[test]
    fn what_came_before_is_reported() {
        let mut queue = Reassembly::default();
        assert_eq!(queue.insert(BASE + 10, &[0; 10]), Ok(None));
        let overlap = SackBlock { left: BASE + 15, right: BASE + 20 };
        assert_eq!(queue.insert(BASE + 15, &[0; 10]), Ok(Some(overlap)));
    }

    #[test]
    fn runs_are_bounded() {
        let mut queue = Reassembly::default();
        for at in 0..MAXIMUM_RUNS as u32 {
            queue.insert(BASE + 2 * at, &[0]).unwrap();
        }
        assert_eq!(queue.insert(BASE + 1000, &[0]), Err(TooManyRuns));
        assert_eq!(queue.insert(BASE + 1, &[0]), Ok(None), "this one joins two");
    }

    proptest! {
        /// Stretches of one stream in any order: after them all, what follows without a hole is that stream.
        #[test]
        fn octets_come_out_as_they_are_in_the_stream(
            stretches in proptest::collection::vec((0_u32..200, 1_u32..60), 1..40),
            overtaken in 0_u32..20,
        ) {
            let octet = |at: u32| (at % 251) as u8;
            let mut queue = Reassembly::default();
            let mut known = [false; 260];
            for (start, length) in stretches {
                let octets: Vec<u8> = (start..start + length).map(octet).collect();
                queue.insert(BASE + start, &octets).unwrap();
                known[start as usize..(start + length) as usize].fill(true);
                let mut blocks = SackBlocks::default();
                queue.sack_blocks(4, &mut blocks);
                for block in blocks.as_slice() {
                    let range = (block.left - BASE) as usize..(block.right - BASE) as usize;
                    prop_assert!(known[range].iter().all(|known| *known));
                }
                let first = blocks.as_slice()[0];
                prop_assert!(first.left <= BASE + start && BASE + start + length <= first.right);
            }
            let mut rcv_nxt = overtaken;
            while let Some(octets) = queue.take(BASE + rcv_nxt) {
                for found in octets {
                    prop_assert_eq!(found, octet(rcv_nxt));
                    rcv_nxt += 1;
                }
            }
            prop_assert!(!known[rcv_nxt as usize]);
        }
    }
}
