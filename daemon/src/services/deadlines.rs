//! When sessions and datagram services want to be called.
//!
//! Responsible for the earliest of many deadlines that move all the time. A deadline that moves back costs nothing: the
//! old entry is looked at when it is due, and put back in at the new time. So a request that renews a time-out costs no
//! more than an assignment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The deadlines of many owners.
#[derive(Debug)]
pub(crate) struct Deadlines<Owner> {
    heap: BinaryHeap<Reverse<(Instant, Owner)>>,
}

/// One owner's deadline, kept with the owner.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline {
    /// When the owner wants to be called.
    wanted: Option<Instant>,
    /// The earliest entry in the heap for this owner.
    armed: Option<Instant>,
}

impl<Owner: Copy + Ord> Deadlines<Owner> {
    /// No deadlines.
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    /// Sets an owner's deadline, or clears it.
    pub(crate) fn set(&mut self, owner: Owner, deadline: &mut Deadline, wanted: Option<Instant>) {
        deadline.wanted = wanted;
        if let Some(wanted) = wanted
            && deadline.armed.is_none_or(|armed| wanted < armed)
        {
            deadline.armed = Some(wanted);
            self.heap.push(Reverse((wanted, owner)));
        }
    }

    /// Forgets the deadlines of some owners.
    pub(crate) fn forget(&mut self, gone: impl Fn(&Owner) -> bool) {
        self.heap.retain(|Reverse((_, owner))| !gone(owner));
    }

    /// The earliest moment at which [`pop`](Self::pop) has something. It may turn out to be too early, never too late.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((moment, _))| *moment)
    }

    /// Takes the next entry whose time has come. Whether its owner is due, [`settle`](Self::settle) tells.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, Owner)> {
        self.heap.peek().filter(|Reverse((moment, _))| *moment <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Whether the owner of a popped entry is due. If not, because its deadline has moved, the entry goes back at the
    /// new time.
    pub(crate) fn settle(&mut self, entry: (Instant, Owner), deadline: &mut Deadline, now: Instant) -> bool {
        let (moment, owner) = entry;
        if deadline.armed != Some(moment) {
            // A later entry of an owner that has an earlier one too.
            return false;
        }
        deadline.armed = None;
        match deadline.wanted {
            Some(wanted) if wanted <= now => {
                deadline.wanted = None;
                true
            }
            wanted => {
                self.set(owner, deadline, wanted);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Everything that is due at `now`, in order.
    fn due(deadlines: &mut Deadlines<usize>, own: &mut [Deadline], now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        while let Some(entry) = deadlines.pop(now) {
            if deadlines.settle(entry, &mut own[entry.1], now) {
                due.push(entry.1);
            }
        }
        due
    }

    #[test]
    fn deadlines_come_due_in_order_and_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut deadlines, mut own) = (Deadlines::new(), [Deadline::default(); 3]);
        for (owner, seconds) in [(0, 3), (1, 1), (2, 2)] {
            deadlines.set(owner, &mut own[owner], Some(at(seconds)));
        }
        assert_eq!(deadlines.earliest(), Some(at(1)));
        assert_eq!(due(&mut deadlines, &mut own, at(2)), [1, 2]);
        assert!(due(&mut deadlines, &mut own, at(2)).is_empty());
        assert_eq!(due(&mut deadlines, &mut own, at(9)), [0]);
        assert_eq!(deadlines.earliest(), None);
    }

    #[test]
    fn a_deadline_that_moves_back_or_is_cleared_is_not_due_at_its_old_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut deadlines, mut own) = (Deadlines::new(), [Deadline::default(); 2]);
        deadlines.set(0, &mut own[0], Some(at(1)));
        deadlines.set(0, &mut own[0], Some(at(5)));
        deadlines.set(1, &mut own[1], Some(at(1)));
        deadlines.set(1, &mut own[1], None);
        assert!(due(&mut deadlines, &mut own, at(4)).is_empty());
        assert_eq!(deadlines.earliest(), Some(at(5)));
        assert_eq!(due(&mut deadlines, &mut own, at(5)), [0]);
    }

    #[test]
    fn a_deadline_that_moves_forward_is_due_at_its_new_time_and_only_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut deadlines, mut own) = (Deadlines::new(), [Deadline::default(); 1]);
        deadlines.set(0, &mut own[0], Some(at(5)));
        deadlines.set(0, &mut own[0], Some(at(1)));
        assert_eq!(due(&mut deadlines, &mut own, at(1)), [0]);
        assert!(due(&mut deadlines, &mut own, at(9)).is_empty());
    }
}
