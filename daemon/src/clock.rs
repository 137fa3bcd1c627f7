//! The daemon's clocks: one start, two ways to tell the time since.
//!
//! Responsible for turning the system's monotonic clock into the stack's [`Instant`](tapster_stack::Instant) and back.
//! The stack and the modules never read a clock: they are told.

use std::time::{Duration, Instant};

/// A monotonic clock with a start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

/// The stack's time at the clock's start. Not zero, so that moments before the start can be told.
const OFFSET: Duration = Duration::from_secs(3600);

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The present, as the stack tells it.
    pub(crate) fn now(self) -> tapster_stack::Instant {
        self.stack_time(Instant::now())
    }

    /// A moment, as the stack tells it.
    pub(crate) fn stack_time(self, moment: Instant) -> tapster_stack::Instant {
        tapster_stack::Instant::START + OFFSET + moment.saturating_duration_since(self.start)
    }

    /// A moment of the stack, as the modules tell it.
    pub(crate) fn module_time(self, moment: tapster_stack::Instant) -> Instant {
        self.start + moment.since(tapster_stack::Instant::START + OFFSET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_the_way_there_and_back() {
        let clock = Clock::start();
        let moment = clock.start + Duration::from_nanos(123_456_789_123);
        assert_eq!(clock.module_time(clock.stack_time(moment)), moment);
    }
}
