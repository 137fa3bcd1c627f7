//! Reloading the configuration.
//!
//! Responsible for the way of a reload through the loop: a worker reads the configuration, the loop puts it in force,
//! whoever asked is told. What may change is decided in [`crate::reload`].

use std::time::SystemTime;

use tapster_service::{Busy, FinishedJob, JobId};

use super::EventLoop;
use crate::control::{Response, Ticket};
use crate::news::Event;
use crate::settings::Settings;

/// A configuration is being read by a worker.
pub(super) struct RunningReload {
    pub(super) job: JobId,
    /// Who asked for it, through the control socket.
    tickets: Vec<Ticket>,
}

impl EventLoop {
    /// Has a worker read the configuration. Whoever asks meanwhile waits for the same result.
    pub(super) fn begin_reload(&mut self, ticket: Option<Ticket>, wall_clock: SystemTime) {
        if let Some(running) = &mut self.reload {
            running.tickets.extend(ticket);
            return;
        }
        self.notifier.reloading();
        match self.services.spawn(self.reloader.job()) {
            Ok(job) => self.reload = Some(RunningReload { job, tickets: ticket.into_iter().collect() }),
            Err(Busy) => {
                tracing::error!("the configuration was not reloaded: all workers are busy");
                self.notifier.ready();
                if let Some(ticket) = ticket {
                    self.answer(ticket, Response::error(503, "all workers are busy; try again"), wall_clock);
                }
            }
        }
    }

    /// Puts the configuration that was read in force, all of it or nothing.
    pub(super) fn finish_reload(&mut self, finished: FinishedJob, wall_clock: SystemTime) {
        let Some(RunningReload { tickets, .. }) = self.reload.take() else { return };
        let accepted = self.reloader.accept(finished).and_then(|settings| self.put_in_force(settings));
        let response = self.reloader.conclude(accepted);
        let (generation, successful) = (self.reloader.generation(), self.reloader.last_successful());
        self.news.tell(wall_clock, || Event::Reload { generation, successful });
        self.notifier.ready();
        for ticket in tickets {
            self.answer(ticket, response.clone(), wall_clock);
        }
    }

    /// The services change; the log's level and the link only where their sections have changed, so that what was set
    /// through the control socket stays.
    fn put_in_force(&mut self, settings: Settings) -> Result<(), Vec<String>> {
        let Settings { frame, services, .. } = settings;
        self.services.install(&mut self.host, services).map_err(|error| vec![error.to_string()])?;
        let old = self.reloader.frame();
        let (new_level, new_link) = (frame.log.level != old.log.level, frame.impair != old.impair);
        if new_level {
            self.log_level.set(frame.log.level);
        }
        if new_link {
            self.impair_as_configured(&frame.impair).map_err(|error| vec![error.to_string()])?;
        }
        self.reloader.set_frame(frame);
        Ok(())
    }
}
