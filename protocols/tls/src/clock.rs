//! The time, for rustls and for certificates that are made.
//!
//! Responsible for keeping the wall clock of the last call of a session, so that nothing here asks the system.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Seconds since 1970, as last told.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    /// Notes the time of a call.
    pub(crate) fn set(&self, wall_clock: SystemTime) {
        let since = wall_clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.0.store(since.as_secs(), Ordering::Relaxed);
    }

    /// The time last told.
    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}
