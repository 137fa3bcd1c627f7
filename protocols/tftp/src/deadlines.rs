//! Deadlines of many transfers.
//!
//! Responsible for the order in which they come up. A transfer moves its deadline with every packet, mostly to later;
//! that only changes a field. The heap holds one entry for a transfer that is at or before the real deadline, and
//! when it comes up too early it is put back. So a packet costs no heap operation, and a time-out O(log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The deadline of one transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline {
    /// When it is.
    at: Option<Instant>,
    /// The transfer's entry in the heap that counts; others are left over.
    entry: Option<Instant>,
}

/// The heap. `K` names a transfer.
#[derive(Debug)]
pub(crate) struct Deadlines<K>(BinaryHeap<Reverse<(Instant, K)>>);

impl<K: Ord + Copy> Deadlines<K> {
    pub(crate) const fn new() -> Self {
        Self(BinaryHeap::new())
    }

    /// Sets a transfer's deadline.
    pub(crate) fn set(&mut self, key: K, deadline: &mut Deadline, at: Instant) {
        deadline.at = Some(at);
        if deadline.entry.is_none_or(|entry| at < entry) {
            deadline.entry = Some(at);
            self.0.push(Reverse((at, key)));
        }
    }

    /// The moment of the first entry. Nothing is due before it, and perhaps not even then.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the first entry if its moment has come. Ask [`is_due`](Self::is_due) whether the transfer's has, too.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(K, Instant)> {
        let Reverse((at, key)) = *self.0.peek()?;
        if at > now {
            return None;
        }
        self.0.pop();
        if self.0.is_empty() {
            self.0.shrink_to_fit();
        }
        Some((key, at))
    }

    /// Whether a transfer's deadline has passed, given the `entry` that was popped for it. If so it is unset; if it is
    /// later, it is put back into the heap.
    pub(crate) fn is_due(&mut self, key: K, entry: Instant, deadline: &mut Deadline, now: Instant) -> bool {
        if deadline.entry != Some(entry) {
            return false;
        }
        deadline.entry = None;
        match deadline.at {
            Some(at) if at <= now => {
                deadline.at = None;
                true
            }
            Some(at) => {
                self.set(key, deadline, at);
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_that_moves_comes_up_once_at_its_last_moment() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let (mut deadlines, mut deadline) = (Deadlines::new(), Deadline::default());
        for at in [5, 3, 9, 7] {
            deadlines.set('a', &mut deadline, second(at));
        }
        let mut due = Vec::new();
        for now in 0..12 {
            while let Some((key, entry)) = deadlines.pop(second(now)) {
                if deadlines.is_due(key, entry, &mut deadline, second(now)) {
                    due.push(now);
                }
            }
        }
        assert_eq!(due, [7]);
        assert_eq!(deadlines.first(), None);
    }

    #[test]
    fn moving_to_later_adds_no_entry() {
        let start = Instant::now();
        let (mut deadlines, mut deadline) = (Deadlines::new(), Deadline::default());
        for n in 0..1000 {
            deadlines.set(1, &mut deadline, start + Duration::from_millis(n));
        }
        assert_eq!(deadlines.0.len(), 1);
    }
}
