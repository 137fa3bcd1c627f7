//! Orders given through the control socket.
//!
//! Responsible for carrying out what changes something, at once, and for saying in the log who asked for it. Questions
//! are answered in [`super::answers`].

use std::io;
use std::time::SystemTime;

use rand_core::Rng;
use serde_json::json;
use tapster_config::LogLevel;
use tapster_stack::{ConnectionId, Host, net};

use super::EventLoop;
use super::answers::no_such_connection;
use crate::control::command::{CaptureRequest, Command};
use crate::control::rows::ImpairmentReport;
use crate::control::{Asker, Response, Ticket};
use crate::news::{self, Event};
use crate::services::Turn;
use crate::wire::Order;
use crate::wire::capture::{self, Capture, End, Interface};

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
                Command::Impair(order) => self.impair(&order, asker, wall_clock),
                Command::Mend => self.mend(asker, wall_clock),
                Command::Events => {
                    let (feed, response) = ticket.stream("application/x-ndjson", news::QUEUE);
                    self.news.add_reader(feed);
                    response
                }
                Command::Capture(request) => self.capture(ticket, request, asker),
                question => self.answer_to(&question),
            };
            self.answer(ticket, response, wall_clock);
        }
    }

    fn kill(&mut self, connection: ConnectionId, asker: Asker, wall_clock: SystemTime) -> Response {
        let now = self.clock.now();
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.wire, news: &mut self.news };
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
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.wire, news: &mut self.news };
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
        self.wire.device_mut().reset_counters();
        // Its initial state is that of a good link, as far as the new host knows.
        self.host.set_offload(self.wire.offload());
        self.news.tell(wall_clock, || Event::StackReset { connections });
        tracing::info!(connections, %asker, "the stack was reset through the control socket");
        Response::json(&json!({ "reset": true, "connections": connections }))
    }

    fn impair(&mut self, order: &Order, asker: Asker, wall_clock: SystemTime) -> Response {
        let seed = self.control_random.next_u32().into();
        if let Err(error) = self.wire.impair(order, seed) {
            return Response::error(500, format!("the device's offloads cannot be switched off: {error}"));
        }
        self.link_has_changed(wall_clock);
        tracing::info!(?order, %asker, "the link was impaired through the control socket");
        Response::json(&ImpairmentReport::new(self.wire.bad_link()))
    }

    fn mend(&mut self, asker: Asker, wall_clock: SystemTime) -> Response {
        if let Err(error) = self.wire.mend() {
            return Response::error(500, format!("the device's offloads cannot be switched on: {error}"));
        }
        self.link_has_changed(wall_clock);
        tracing::info!(%asker, "the impairment of the link was ended through the control socket");
        Response::json(&ImpairmentReport::new(None))
    }

    /// The host may leave more or less to the device than before.
    fn link_has_changed(&mut self, wall_clock: SystemTime) {
        self.host.set_offload(self.wire.offload());
        let report = ImpairmentReport::new(self.wire.bad_link());
        self.news.tell(wall_clock, || Event::Impair { impairment: serde_json::to_value(report).unwrap_or_default() });
    }

    /// Makes the link as good or bad as the configuration wants it.
    pub(super) fn impair_as_configured(&mut self, section: &tapster_config::Impair) -> io::Result<()> {
        if section.is_nothing() {
            self.wire.mend()?;
        } else {
            let seed = self.control_random.next_u32().into();
            self.wire.impair(&Order::from(section), seed)?;
            tracing::warn!("the link is impaired, as the configuration says");
        }
        self.link_has_changed(SystemTime::now());
        Ok(())
    }

    /// Begins to capture for whoever asks.
    fn capture(&mut self, ticket: Ticket, request: CaptureRequest, asker: Asker) -> Response {
        let CaptureRequest { mut filter, connection, count, duration } = request;
        if let Some(id) = connection {
            let Some(row) = self.host.connections().find(|row| row.id == id) else { return no_such_connection(id) };
            filter.ends = Some((row.local, row.remote));
        }
        let now = self.clock.now();
        let interface = Interface {
            name: self.wire.device().name(),
            hardware_address: self.host_configuration.network.hardware_address,
        };
        let end = End { count, deadline: duration.map(|duration| now + duration) };
        let (feed, response) = ticket.stream("application/x-pcapng", capture::QUEUE);
        match Capture::begin(interface, filter, end, feed) {
            Ok(capture) => self.wire.capture(capture),
            Err(error) => return Response::error(500, error.to_string()),
        }
        tracing::info!(%asker, "a capture has begun");
        response
    }

    /// Tells what the host has noticed: peers that do not acknowledge, and what it has found out about its own addresses.
    pub(super) fn tell_of_host(&mut self, wall_clock: SystemTime) {
        while let Some(id) = self.host.next_retransmission_time_out() {
            let Some(detail) = self.host.connection(id) else { continue };
            let service = self.services.module_of(id, detail.row.listener);
            let (connection, local, remote) = (id.as_u64(), detail.row.local, detail.row.remote);
            let connection = news::Connection { connection, service, local, remote };
            self.news.tell(wall_clock, || Event::RetransmissionTimeOut(connection));
        }
        while let Some(event) = self.host.next_address_event() {
            let (address, mac, in_use) = match event {
                net::AddressEvent::Usable(address) => {
                    self.news.tell(wall_clock, || Event::Usable { address });
                    continue;
                }
                net::AddressEvent::Conflict(address, mac) => (address, mac, true),
                net::AddressEvent::Lost(address, mac) => (address, mac, false),
            };
            tracing::warn!(%address, %mac, in_use, "another station has the same address");
            self.news.tell(wall_clock, || Event::Conflict { address, mac: mac.to_string(), in_use });
        }
    }
}
