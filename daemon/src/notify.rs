//! The service manager's notifications (sd_notify(3)).
//!
//! Responsible for telling systemd that tapster is ready, reloads or stops, and for feeding the watchdog from the event
//! loop itself: a loop that hangs is restarted. Without a service manager it does nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Tells the service manager.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// How often the watchdog is fed: half of its time-out, as sd_watchdog_enabled(3) recommends.
    interval: Option<Duration>,
    next: Option<Instant>,
}

impl Notifier {
    /// As the service manager's variables say.
    pub(crate) fn from_environment() -> Self {
        let interval = sd_notify::watchdog_enabled().map(|timeout| timeout / 2);
        Self { interval, next: interval.map(|_| Instant::now()) }
    }

    /// The services listen, with the configuration in force.
    pub(crate) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// A configuration is being read.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(time) => tell(&[NotifyState::Reloading, time]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// No more connections are taken.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Feeds the watchdog if it is time.
    pub(crate) fn keep_alive(&mut self, now: Instant) {
        if let (Some(next), Some(interval)) = (self.next, self.interval)
            && next <= now
        {
            tell(&[NotifyState::Watchdog]);
            self.next = Some(now + interval);
        }
    }

    /// When the watchdog is to be fed next.
    pub(crate) const fn next_deadline(&self) -> Option<Instant> {
        self.next
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
