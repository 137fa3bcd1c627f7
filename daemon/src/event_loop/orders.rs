//! Orders given through the control socket.
//!
//! Responsible for carrying out what changes something, at once, and for saying in the log who asked for it. Questions
//! are answered in [`super::answers`].

use std::time::SystemTime;

use rand_core::Rng;
use serde_json::json;
use tapster_config::LogLevel;
use tapster_stack::{ConnectionId, Host};

use super::EventLoop;
use super::answers::no_such_connection;
use crate::control::command::Command;
use crate::control::{Asker, Response, Ticket};
use crate::services::Turn;

impl EventLoop {
    /// Carries out what was asked through the control socket.
    pub(super) fn carry_out_commands(&mut self, wall_clock: SystemTime) {
        while let Some((ticket, asker, command)) = self.control.next_command() {
            let response = match command {
                Command::Reload => {
                    self.begin_reload(Some(ticket), wall_clock);
                    continue;
                }
                Command::Stop => {
                    tracing::info!(%asker, "told to stop through the control socket");
                    self.begin_stop();
                    Response::json(&json!({ "stopping": true }))
                }
                Command::Kill(connection) => self.kill(connection, asker, wall_clock),
                Command::SetLogLevel(level) => self.set_log_level(level, asker),
                Command::Reset => self.reset(asker, wall_clock),
                question => self.answer_to(&question),
            };
            self.answer(ticket, response, wall_clock);
        }
    }

    fn kill(&mut self, connection: ConnectionId, asker: Asker, wall_clock: SystemTime) -> Response {
        let now = self.clock.now();
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.device };
        if !self.services.kill(&mut turn, connection) {
            return no_such_connection(connection);
        }
        tracing::info!(connection = connection.as_u64(), %asker, "connection reset through the control socket");
        Response::json(&json!({ "killed": connection.as_u64() }))
    }

    pub(super) fn answer(&mut self, ticket: Ticket, response: Response, wall_clock: SystemTime) {
        let (control, _, mut moment) = self.control_parts(wall_clock);
        control.answer(ticket, response, &mut moment);
    }

    fn set_log_level(&mut self, level: LogLevel, asker: Asker) -> Response {
        self.log_level.set(level);
        tracing::info!(%asker, ?level, "the log's level was set through the control socket");
        Response::json(&json!({ "level": self.log_level.get() }))
    }

    /// The stack as it was at the start: no connections, no caches, all counters zero. What listens goes on listening.
    fn reset(&mut self, asker: Asker, wall_clock: SystemTime) -> Response {
        let connections = self.host.connections().count();
        let now = self.clock.now();
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.device };
        self.services.end_sessions(&mut turn);
        // The peers are told, as far as the device takes it.
        self.transmit();
        let mut seed = [0; 32];
        self.control_random.fill_bytes(&mut seed);
        let mut host = Host::new(self.host_configuration.clone(), seed, now);
        if let Err(error) = self.services.move_to(&mut host, &self.host, now) {
            return Response::error(500, error.to_string());
        }
        self.host = host;
        self.host.announce(now);
        self.device.reset_counters();
        tracing::info!(connections, %asker, "the stack was reset through the control socket");
        Response::json(&json!({ "reset": true, "connections": connections }))
    }
}
