//! Stopping in order.
//!
//! Responsible for the time between being told to stop and the end: no new connections, those that are under way may
//! finish, what is left when the time is over is reset.

use std::time::{Instant, SystemTime};

use super::EventLoop;
use crate::services::Turn;

impl EventLoop {
    /// Stops taking connections. Those that are under way have until the drain time-out.
    pub(super) fn begin_stop(&mut self) {
        if self.stopping.is_none() {
            self.notifier.stopping();
            self.services.stop_listening(&mut self.host);
            self.stopping = Some(Instant::now() + self.drain_timeout);
        }
    }

    /// Whether all that was under way has ended, or has had its time.
    pub(super) fn has_stopped(&mut self) -> bool {
        let Some(deadline) = self.stopping else { return false };
        let now = self.clock.now();
        let wall_clock = SystemTime::now();
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.wire, news: &mut self.news };
        self.services.close_idle_sessions(&mut turn);
        self.transmit();
        let done = self.services.session_count() == 0 && !self.host.connections().any(|row| row.state.sends());
        done || Instant::now() >= deadline
    }

    /// Resets what is left.
    pub(super) fn stop(&mut self) {
        let left = self.services.session_count();
        if left > 0 {
            tracing::warn!(connections = left, "the drain time-out is over; connections are reset");
        }
        let mut turn = Turn {
            now: self.clock.now(),
            wall_clock: SystemTime::now(),
            host: &mut self.host,
            device: &mut self.wire,
            news: &mut self.news,
        };
        self.services.abort_sessions(&mut turn);
        self.transmit();
        tracing::info!("stopped");
    }
}
