//! When to look at which connection: a hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7).
//!
//! Responsible for at most one wake-up per connection, at constant cost. It is lazy: a wake-up that has become too early is
//! left where it is, and the connection, once woken, asks again for the time that it really means. So a timer that each
//! packet pushes further costs a packet nothing.

use crate::Instant;

/// A tick is 2²⁰ ns, a little more than a millisecond.
const TICK_SHIFT: u32 = 20;
const SLOTS: usize = 64;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();
/// Six levels of 64 slots reach 2³⁶ ticks: more than two years.
const LEVELS: usize = 6;
const FURTHEST: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;
const NONE: u32 = u32::MAX;
/// The list of what is due, behind the buckets of all levels.
const DUE: usize = LEVELS * SLOTS;

#[derive(Clone, Copy, Debug)]
struct Node {
    tick: u64,
    bucket: Option<u16>,
    previous: u32,
    next: u32,
}

/// The wheel. Its entries are small numbers: the indices of connections.
#[derive(Debug)]
pub(crate) struct TimerWheel {
    /// The last tick that has been run.
    tick: u64,
    /// The first node of each bucket's list.
    buckets: Box<[u32; DUE + 1]>,
    /// Which buckets of a level are not empty.
    occupied: [u64; LEVELS],
    nodes: Vec<Node>,
    armed: usize,
}

impl TimerWheel {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            tick: now.as_nanos() >> TICK_SHIFT,
            buckets: Box::new([NONE; DUE + 1]),
            occupied: [0; LEVELS],
            nodes: Vec::new(),
            armed: 0,
        }
    }

    /// How many entries wait.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.armed
    }

    /// Asks for a wake-up at `deadline` or, when an earlier one is asked for already, at that.
    pub(crate) fn arm(&mut self, entry: u32, deadline: Instant) {
        // Rounded up: never too early.
        let tick = deadline.as_nanos().div_ceil(1 << TICK_SHIFT);
        if self.nodes.len() <= entry as usize {
            self.nodes.resize(entry as usize + 1, Node { tick: 0, bucket: None, previous: NONE, next: NONE });
        }
        let node = &self.nodes[entry as usize];
        if node.bucket.is_some() {
            if node.tick <= tick {
                return;
            }
            self.unlink(entry);
        }
        self.insert(entry, tick.clamp(self.tick + 1, self.tick | FURTHEST));
    }

    /// Takes an entry out, when what it stands for is gone.
    pub(crate) fn cancel(&mut self, entry: u32) {
        if self.nodes.get(entry as usize).is_some_and(|node| node.bucket.is_some()) {
            self.unlink(entry);
        }
    }

    /// When [`pop_due`](Self::pop_due) should be called next. It may turn out that nothing is due then.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.buckets[DUE] != NONE {
            return Some(Instant::from_nanos(self.tick << TICK_SHIFT));
        }
        let (_, tick) = self.next_bucket()?;
        Some(Instant::from_nanos(tick << TICK_SHIFT))
    }

    /// Takes out an entry whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let target = now.as_nanos() >> TICK_SHIFT;
        while self.buckets[DUE] == NONE {
            match self.next_bucket() {
                Some((bucket, tick)) if tick <= target => {
                    self.tick = tick;
                    self.empty(bucket);
                }
                _ => {
                    self.tick = self.tick.max(target);
                    return None;
                }
            }
        }
        let entry = self.buckets[DUE];
        self.unlink(entry);
        Some(entry)
    }

    /// The first bucket that is not empty, and its tick. Lower levels come before higher ones, since an entry is put into
    /// the lowest level at which it differs from the present.
    fn next_bucket(&self) -> Option<(usize, u64)> {
        let level = self.occupied.iter().position(|occupied| *occupied != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = SLOT_BITS * level as u32;
        let above = self.tick >> (shift + SLOT_BITS) << SLOT_BITS;
        Some((level * SLOTS + slot as usize, (above | u64::from(slot)) << shift))
    }

    /// Moves a bucket's entries to a lower level, or to the list of what is due.
    fn empty(&mut self, bucket: usize) {
        while self.buckets[bucket] != NONE {
            let entry = self.buckets[bucket];
            let tick = self.nodes[entry as usize].tick;
            self.unlink(entry);
            self.insert(entry, tick);
        }
    }

    fn insert(&mut self, entry: u32, tick: u64) {
        let bucket = if tick <= self.tick {
            DUE
        } else {
            let level = ((tick ^ self.tick).ilog2() / SLOT_BITS) as usize;
            let slot = (tick >> (SLOT_BITS * level as u32)) as usize % SLOTS;
            self.occupied[level] |= 1 << slot;
            level * SLOTS + slot
        };
        let next = self.buckets[bucket];
        if next != NONE {
            self.nodes[next as usize].previous = entry;
        }
        self.buckets[bucket] = entry;
        self.nodes[entry as usize] = Node { tick, bucket: Some(bucket as u16), previous: NONE, next };
        self.armed += 1;
    }

    fn unlink(&mut self, entry: u32) {
        let Node { bucket, previous, next, .. } = self.nodes[entry as usize];
        let Some(bucket) = bucket.map(usize::from) else { return };
        if previous == NONE {
            self.buckets[bucket] = next;
            if next == NONE && bucket != DUE {
                self.occupied[bucket / SLOTS] &= !(1 << (bucket % SLOTS));
            }
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        self.nodes[entry as usize].bucket = None;
        self.armed -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_later_wish_leaves_the_entry_where_it_is() {
        let start = Instant::from_nanos(77 << TICK_SHIFT);
        let mut wheel = TimerWheel::new(start);
        wheel.arm(3, start + Duration::from_millis(40));
        let first = wheel.next_deadline();
        wheel.arm(3, start + Duration::from_secs(40));
        assert_eq!(wheel.next_deadline(), first);
        wheel.arm(3, start + Duration::from_millis(10));
        assert!(wheel.next_deadline() < first);
        wheel.cancel(3);
        assert_eq!((wheel.next_deadline(), wheel.len()), (None, 0));
    }

    proptest! {
        /// Against a sorted map: nothing too early, nothing later than a tick, nothing lost.
        #[test]
        fn entries_come_when_they_are_due(
            steps in proptest::collection::vec((0_u32..40, 0_u64..1 << 42, any::<bool>(), 0_u64..1 << 33), 1..200),
        ) {
            let mut now = Instant::from_nanos(12_345_678_901);
            let mut wheel = TimerWheel::new(now);
            let mut model: BTreeMap<u32, Instant> = BTreeMap::new();
            for (entry, after, cancel, step) in steps {
                if cancel {
                    wheel.cancel(entry);
                    model.remove(&entry);
                } else {
                    let deadline = now + Duration::from_nanos(after >> (after % 40));
                    wheel.arm(entry, deadline);
                    let known = model.entry(entry).or_insert(deadline);
                    *known = deadline.min(*known);
                }
                now += Duration::from_nanos(step);
                while let Some(entry) = wheel.pop_due(now) {
                    let deadline = model.remove(&entry);
                    prop_assert!(deadline.is_some_and(|deadline| deadline <= now));
                }
                for deadline in model.values() {
                    prop_assert!(*deadline + Duration::from_nanos(2 << TICK_SHIFT) > now);
                    let next = wheel.next_deadline();
                    let is_early_enough = next.is_some_and(|next| next <= *deadline + Duration::from_nanos(2 << TICK_SHIFT));
                    prop_assert!(is_early_enough);
                }
                prop_assert_eq!(wheel.len(), model.len());
            }
        }
    }
}
