//! The one loop that owns everything: device, host, services, control socket, signals, workers.
//!
//! Responsible for the order of a turn, and for sleeping exactly until something is to be done. Each part is called from
//! here and calls nobody back. What may block never runs here.
//!
//! ```text
//! sleep ─► frames in ─► host ─► services ─► timers ─► finished jobs ─► control ─► frames out ─► sleep
//! ```

mod answers;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Interest, Poll, Token, Waker};
use rand::rngs::StdRng;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use tapster_service::{Busy, FinishedJob, JobId};
use tapster_stack::{ConnectionId, Host, net};

use self::answers::no_such_connection;
use crate::clock::Clock;
use crate::control::command::Command;
use crate::control::{Control, ControlError, Moment, Response, Ticket};
use crate::link::{ReceiveBuffer, Tap};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::pool::Pool;
use crate::reload::Reloader;
use crate::services::{Services, Turn};
use crate::settings::Settings;

const DEVICE: Token = Token(0);
const SIGNALS: Token = Token(1);
const WORKERS: Token = Token(2);
const CONTROL: Token = Token(3);

/// When a full device is tried again if it does not say that it takes more: a kernel short of memory (ENOBUFS) does not.
const DEVICE_FULL_RETRY: Duration = Duration::from_millis(1);

/// The event loop could not start or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoopError {
    #[error("the event loop cannot be set up: {0}")]
    SetUp(#[source] io::Error),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("the TAP device is lost: {0}")]
    Device(#[source] io::Error),
    #[error("waiting for events failed: {0}")]
    Poll(#[source] io::Error),
    #[error(transparent)]
    Listen(#[from] crate::services::ListenFailure),
}

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) device: Tap,
    pub(crate) host: Host,
    pub(crate) clock: Clock,
    pub(crate) random: StdRng,
    pub(crate) control_random: StdRng,
    pub(crate) settings: Settings,
    pub(crate) control_socket: PathBuf,
    pub(crate) reloader: Reloader,
    pub(crate) metrics: Metrics,
}

/// The loop.
pub(crate) struct EventLoop {
    poll: Poll,
    signals: Signals,
    device: Tap,
    buffer: ReceiveBuffer,
    /// The device has, or may have, frames that were not read.
    device_readable: bool,
    /// The device took less than it was offered. It says when it takes more, but not in every case.
    device_full: bool,
    host: Host,
    services: Services,
    control: Control,
    control_random: StdRng,
    clock: Clock,
    metrics: Metrics,
    reloader: Reloader,
    reload: Option<RunningReload>,
    notifier: Notifier,
    frames_per_turn: usize,
    drain_timeout: Duration,
    stopping: Option<Instant>,
    started: Instant,
}

/// A configuration is being read by a worker.
struct RunningReload {
    job: JobId,
    /// Who asked for it, through the control socket.
    tickets: Vec<Ticket>,
}

impl EventLoop {
    /// Sets everything up: from now on the services listen.
    ///
    /// # Errors
    /// See [`LoopError`].
    pub(crate) fn new(parts: Parts) -> Result<Self, LoopError> {
        let Parts { mut device, mut host, clock, random, control_random, settings, control_socket, reloader, metrics } =
            parts;
        let Settings { frame, services: wanted, .. } = settings;
        let poll = Poll::new().map_err(LoopError::SetUp)?;
        let registry = poll.registry();
        registry.register(&mut device, DEVICE, Interest::READABLE | Interest::WRITABLE).map_err(LoopError::SetUp)?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(LoopError::SetUp)?;
        registry.register(&mut signals, SIGNALS, Interest::READABLE).map_err(LoopError::SetUp)?;
        let waker = Waker::new(registry, WORKERS).map_err(LoopError::SetUp)?;
        let pool = Pool::start(frame.event_loop.workers as usize, frame.event_loop.worker_queue as usize, waker);
        let mut services = Services::new(clock, pool.map_err(LoopError::SetUp)?, random);
        services.install(&mut host, wanted)?;
        let control = Control::open(&control_socket, registry, CONTROL)?;
        host.announce(clock.now());
        Ok(Self {
            poll,
            signals,
            buffer: ReceiveBuffer::default(),
            device,
            device_readable: true,
            device_full: false,
            host,
            services,
            control,
            control_random,
            clock,
            metrics,
            reloader,
            reload: None,
            notifier: Notifier::from_environment(),
            frames_per_turn: frame.event_loop.frames_per_turn as usize,
            drain_timeout: frame.event_loop.drain_timeout,
            stopping: None,
            started: Instant::now(),
        })
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// See [`LoopError`].
    pub(crate) fn run(mut self) -> Result<(), LoopError> {
        let mut events = Events::with_capacity(256);
        self.notifier.ready();
        while !self.has_stopped() {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(LoopError::Poll(error)),
            }
            let wall_clock = SystemTime::now();
            for event in &events {
                match event.token() {
                    // That it is writable needs no note: each turn ends with an attempt to send.
                    DEVICE => self.device_readable |= event.is_readable(),
                    SIGNALS => self.handle_signals(wall_clock),
                    WORKERS => self.finish_jobs(wall_clock),
                    CONTROL => {
                        let (control, registry, mut moment) = self.control_parts(wall_clock);
                        control.accept(registry, &mut moment);
                    }
                    connection => {
                        let (control, _, mut moment) = self.control_parts(wall_clock);
                        control.socket_ready(connection, &mut moment);
                    }
                }
            }
            self.receive(wall_clock)?;
            self.expire(wall_clock);
            self.carry_out_commands(wall_clock);
            self.transmit();
            self.notifier.keep_alive(Instant::now());
            self.metrics.turns.inc();
        }
        self.stop();
        Ok(())
    }

    /// How long the loop may sleep. Nothing to wait for is no limit; work left over is no sleep.
    fn timeout(&self) -> Option<Duration> {
        if self.device_readable {
            return Some(Duration::ZERO);
        }
        let retry = self.device_full.then_some(DEVICE_FULL_RETRY);
        let stack = self.host.next_deadline().into_iter().chain(self.services.next_deadline()).min();
        let now = self.clock.now();
        let stack = stack.map(|deadline| deadline.since(now));
        let present = Instant::now();
        let others = [self.control.next_deadline(), self.notifier.next_deadline(), self.stopping];
        let others = others.into_iter().flatten().map(|deadline| deadline.saturating_duration_since(present));
        others.chain(stack).chain(retry).min()
    }

    /// Takes frames until there are none, or the bound of a turn is reached, so that nothing else starves.
    fn receive(&mut self, wall_clock: SystemTime) -> Result<(), LoopError> {
        if !self.device_readable {
            return Ok(());
        }
        for _ in 0..self.frames_per_turn {
            let frame = self.device.receive(&mut self.buffer).map_err(LoopError::Device)?;
            let Some(frame) = frame else {
                self.device_readable = false;
                return Ok(());
            };
            // The arrival time is the frame's own, not the turn's: round-trip times are measured with it.
            let now = self.clock.now();
            let delivery = self.host.receive(now, frame);
            let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.device };
            if let Some(delivery) = delivery {
                self.services.deliver(&mut turn, delivery);
            }
            self.services.handle_events(&mut turn);
        }
        Ok(())
    }

    /// Runs all timers that are due.
    fn expire(&mut self, wall_clock: SystemTime) {
        let now = self.clock.now();
        self.host.expire(now);
        self.log_address_events();
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.device };
        self.services.handle_events(&mut turn);
        self.services.expire(&mut turn);
        let (control, _, mut moment) = self.control_parts(wall_clock);
        control.expire(&mut moment);
    }

    /// Tells the operator which addresses came into use, and which somebody else has.
    fn log_address_events(&mut self) {
        while let Some(event) = self.host.next_address_event() {
            match event {
                net::AddressEvent::Usable(address) => tracing::info!(%address, "address in use"),
                net::AddressEvent::Conflict(address, station) => {
                    tracing::warn!(%address, %station, "another station uses this address, too");
                }
                net::AddressEvent::Lost(address, station) => {
                    tracing::error!(%address, %station, "another station has this address: it is not used");
                }
            }
        }
    }

    /// Sends what there is to send. What the device does not take waits in the host.
    fn transmit(&mut self) {
        self.device_full = self.host.transmit(self.clock.now(), &mut self.device).is_err();
    }

    /// The control socket with what a call of it needs.
    fn control_parts(&mut self, wall_clock: SystemTime) -> (&mut Control, &mio::Registry, Moment<'_>) {
        let moment = Moment { now: Instant::now(), wall_clock, random: &mut self.control_random };
        (&mut self.control, self.poll.registry(), moment)
    }

    /// Carries out what was asked through the control socket.
    fn carry_out_commands(&mut self, wall_clock: SystemTime) {
        while let Some((ticket, command)) = self.control.next_command() {
            let response = match command {
                Command::Reload => {
                    self.begin_reload(Some(ticket), wall_clock);
                    continue;
                }
                Command::Stop => {
                    tracing::info!("told to stop through the control socket");
                    self.begin_stop();
                    Response::json(&json!({ "stopping": true }))
                }
                Command::Kill(connection) => self.kill(connection, wall_clock),
                question => self.answer_to(&question),
            };
            self.answer(ticket, response, wall_clock);
        }
    }

    fn kill(&mut self, connection: ConnectionId, wall_clock: SystemTime) -> Response {
        let now = self.clock.now();
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.device };
        if !self.services.kill(&mut turn, connection) {
            return no_such_connection(connection);
        }
        tracing::info!(connection = connection.as_u64(), "connection reset by the operator");
        Response::json(&json!({ "killed": connection.as_u64() }))
    }

    fn answer(&mut self, ticket: Ticket, response: Response, wall_clock: SystemTime) {
        let (control, _, mut moment) = self.control_parts(wall_clock);
        control.answer(ticket, response, &mut moment);
    }

    /// Brings the workers' results to whoever waits for them.
    fn finish_jobs(&mut self, wall_clock: SystemTime) {
        loop {
            let now = self.clock.now();
            let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.device };
            let Some(finished) = self.services.finish_jobs(&mut turn) else { return };
            if self.reload.as_ref().is_some_and(|reload| reload.job == finished.id) {
                self.finish_reload(finished, wall_clock);
            }
        }
    }

    fn handle_signals(&mut self, wall_clock: SystemTime) {
        let pending: Vec<_> = self.signals.pending().collect();
        for signal in pending {
            match signal {
                SIGHUP => self.begin_reload(None, wall_clock),
                _ if self.stopping.is_some() => {
                    tracing::info!("told twice to stop: not waiting for connections");
                    self.stopping = Some(Instant::now());
                }
                _ => {
                    tracing::info!("told to stop by a signal");
                    self.begin_stop();
                }
            }
        }
    }
}

/// Reloading the configuration.
impl EventLoop {
    /// Has a worker read the configuration. Whoever asks meanwhile waits for the same result.
    fn begin_reload(&mut self, ticket: Option<Ticket>, wall_clock: SystemTime) {
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
    fn finish_reload(&mut self, finished: FinishedJob, wall_clock: SystemTime) {
        let Some(RunningReload { tickets, .. }) = self.reload.take() else { return };
        let accepted = self.reloader.accept(finished).and_then(|services| {
            self.services.install(&mut self.host, services).map_err(|error| vec![error.to_string()])
        });
        let response = self.reloader.conclude(accepted);
        self.notifier.ready();
        for ticket in tickets {
            self.answer(ticket, response.clone(), wall_clock);
        }
    }
}

/// Stopping.
impl EventLoop {
    /// Stops taking connections. Those that are under way have until the drain time-out.
    fn begin_stop(&mut self) {
        if self.stopping.is_none() {
            self.notifier.stopping();
            self.services.stop_listening(&mut self.host);
            self.stopping = Some(Instant::now() + self.drain_timeout);
        }
    }

    /// Whether all that was under way has ended, or has had its time.
    fn has_stopped(&mut self) -> bool {
        let Some(deadline) = self.stopping else { return false };
        let now = self.clock.now();
        let wall_clock = SystemTime::now();
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.device };
        self.services.close_idle_sessions(&mut turn);
        self.transmit();
        let done = self.services.session_count() == 0 && !self.host.connections().any(|row| row.state.sends());
        done || Instant::now() >= deadline
    }

    /// Resets what is left.
    fn stop(&mut self) {
        let left = self.services.session_count();
        if left > 0 {
            tracing::warn!(connections = left, "the drain time-out is over; connections are reset");
        }
        let mut turn = Turn {
            now: self.clock.now(),
            wall_clock: SystemTime::now(),
            host: &mut self.host,
            device: &mut self.device,
        };
        self.services.abort_sessions(&mut turn);
        self.transmit();
        tracing::info!("stopped");
    }
}
