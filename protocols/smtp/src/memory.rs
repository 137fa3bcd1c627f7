//! The bound on the memory that all sessions together may hold for messages.
//!
//! Responsible for the count alone; who holds memory reserves it first and keeps the [`Reservation`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;

/// The bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What there is, in bytes. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
    gauge: IntGauge,
}

impl Budget {
    pub(crate) fn new(limit: usize, gauge: IntGauge) -> Self {
        Self { used: Arc::default(), limit, gauge }
    }

    /// A reservation of nothing, which can grow.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), held: 0 }
    }
}

/// A part of the budget. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    held: usize,
}

impl Reservation {
    /// Takes `bytes` more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let within = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.budget.limit);
        self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).map_err(|_| Exhausted)?;
        self.budget.gauge.add(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.held += bytes;
        Ok(())
    }

    /// Gives everything back.
    pub(crate) fn release(&mut self) {
        self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
        self.budget.gauge.sub(i64::try_from(self.held).unwrap_or(i64::MAX));
        self.held = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_comes_back() {
        let gauge = IntGauge::new("held", "held").unwrap();
        let budget = Budget::new(100, gauge.clone());
        let (mut one, mut other) = (budget.reservation(), budget.reservation());
        assert_eq!(one.grow(60), Ok(()));
        assert_eq!(other.grow(41), Err(Exhausted));
        assert_eq!(other.grow(40), Ok(()));
        assert_eq!(other.grow(usize::MAX), Err(Exhausted));
        assert_eq!(gauge.get(), 100);
        drop(one);
        assert_eq!(gauge.get(), 40);
        assert_eq!(other.grow(60), Ok(()));
    }
}
