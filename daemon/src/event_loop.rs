//! The one loop that owns everything: device, host, services, control socket, signals, workers.
//!
//! Responsible for the order of a turn, and for sleeping exactly until something is to be done. Each part is called from
//! here and calls nobody back. What may block never runs here.
//!
//! ```text
//! sleep ─► frames in ─► host ─► services ─► timers ─► finished jobs ─► control ─► frames out ─► sleep
//! ```

mod answers;
mod orders;
mod reloading;
mod stopping;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Interest, Poll, Token, Waker};
use rand::rngs::StdRng;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use tapster_stack::Host;

use self::reloading::RunningReload;
use crate::clock::Clock;
use crate::control::{Control, ControlError, Moment};
use crate::link::{ReceiveBuffer, Tap};
use crate::logging;
use crate::metrics::Metrics;
use crate::news::News;
use crate::notify::Notifier;
use crate::pool::Pool;
use crate::reload::Reloader;
use crate::sandbox;
use crate::services::{Services, Turn};
use crate::settings::Settings;
use crate::wire::{Arrival, Wire};

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
    pub(crate) log_level: logging::Level,
    pub(crate) host_configuration: tapster_stack::Configuration,
}

/// The loop.
pub(crate) struct EventLoop {
    poll: Poll,
    signals: Signals,
    wire: Wire,
    buffer: ReceiveBuffer,
    /// The device has, or may have, frames that were not read.
    device_readable: bool,
    /// The device took less than it was offered. It says when it takes more, but not in every case.
    device_full: bool,
    host: Host,
    services: Services,
    news: News,
    control: Control,
    control_random: StdRng,
    clock: Clock,
    metrics: Metrics,
    log_level: logging::Level,
    /// What the host was made from, for making another one.
    host_configuration: tapster_stack::Configuration,
    reloader: Reloader,
    reload: Option<RunningReload>,
    notifier: Notifier,
    frames_per_turn: usize,
    /// For how long after a frame the device is read without sleeping.
    busy_poll: Duration,
    last_frame: tapster_stack::Instant,
    drain_timeout: Duration,
    stopping: Option<Instant>,
    started: Instant,
}

impl EventLoop {
    /// Sets everything up: from now on the services listen.
    ///
    /// # Errors
    /// See [`LoopError`].
    pub(crate) fn new(parts: Parts) -> Result<Self, LoopError> {
        let Parts { device, mut host, clock, random, control_random, settings, control_socket, reloader, .. } = parts;
        let Settings { frame, services: wanted, .. } = settings;
        let poll = Poll::new().map_err(LoopError::SetUp)?;
        let registry = poll.registry();
        let mut wire = Wire::new(device, clock);
        registry.register(&mut wire, DEVICE, Interest::READABLE | Interest::WRITABLE).map_err(LoopError::SetUp)?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(LoopError::SetUp)?;
        registry.register(&mut signals, SIGNALS, Interest::READABLE).map_err(LoopError::SetUp)?;
        let waker = Waker::new(registry, WORKERS).map_err(LoopError::SetUp)?;
        let control = Control::open(&control_socket, frame.control.group.as_deref(), registry, CONTROL)?;
        // The last that needs a privilege is done, and no other thread runs yet.
        sandbox::enter();
        let pool = Pool::start(frame.event_loop.workers as usize, frame.event_loop.worker_queue as usize, waker);
        let mut services = Services::new(clock, pool.map_err(LoopError::SetUp)?, random);
        services.install(&mut host, wanted)?;
        host.announce(clock.now());
        let impair = frame.impair;
        let mut event_loop = Self {
            poll,
            signals,
            buffer: ReceiveBuffer::default(),
            wire,
            news: News::default(),
            device_readable: true,
            device_full: false,
            host,
            services,
            control,
            control_random,
            clock,
            metrics: parts.metrics,
            log_level: parts.log_level,
            host_configuration: parts.host_configuration,
            reloader,
            reload: None,
            notifier: Notifier::from_environment(),
            frames_per_turn: frame.event_loop.frames_per_turn as usize,
            busy_poll: frame.event_loop.busy_poll.unwrap_or_default(),
            last_frame: clock.now(),
            drain_timeout: frame.event_loop.drain_timeout,
            stopping: None,
            started: Instant::now(),
        };
        event_loop.impair_as_configured(&impair).map_err(LoopError::SetUp)?;
        Ok(event_loop)
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
                    _ => {
                        let (control, _, mut moment) = self.control_parts(wall_clock);
                        control.socket_ready(event, &mut moment);
                    }
                }
            }
            self.receive(wall_clock)?;
            self.expire(wall_clock);
            self.carry_out_commands(wall_clock);
            self.transmit();
            self.feed_readers(wall_clock);
            self.notifier.keep_alive(Instant::now());
            self.metrics.turns.inc();
        }
        self.stop();
        Ok(())
    }

    /// How long the loop may sleep. Nothing to wait for is no limit; work left over is no sleep.
    fn timeout(&mut self) -> Option<Duration> {
        if !self.busy_poll.is_zero() {
            self.device_readable |= self.clock.now().since(self.last_frame) < self.busy_poll;
        }
        if self.device_readable {
            return Some(Duration::ZERO);
        }
        let retry = self.device_full.then_some(DEVICE_FULL_RETRY);
        let wire = self.wire.next_deadline(self.device_full);
        let stack = self.host.next_deadline().into_iter().chain(self.services.next_deadline()).chain(wire).min();
        let now = self.clock.now();
        let stack = stack.map(|deadline| deadline.since(now));
        let present = Instant::now();
        let others = [self.control.next_deadline(), self.notifier.next_deadline(), self.stopping];
        let others = others.into_iter().flatten().map(|deadline| deadline.saturating_duration_since(present));
        others.chain(stack).chain(retry).min()
    }

    /// Takes frames until there are none, or the bound of a turn is reached, so that nothing else starves.
    fn receive(&mut self, wall_clock: SystemTime) -> Result<(), LoopError> {
        if !self.device_readable && !self.wire.has_arrival() {
            return Ok(());
        }
        for _ in 0..self.frames_per_turn {
            let frame = match self.wire.receive(&mut self.buffer).map_err(LoopError::Device)? {
                Arrival::Frame(frame) => frame,
                Arrival::Delayed => continue,
                Arrival::Nothing => {
                    self.device_readable = false;
                    return Ok(());
                }
            };
            // The arrival time is the frame's own, not the turn's: round-trip times are measured with it.
            let now = self.clock.now();
            self.last_frame = now;
            let delivery = self.host.receive(now, frame);
            let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.wire, news: &mut self.news };
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
        let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.wire, news: &mut self.news };
        self.services.handle_events(&mut turn);
        self.services.expire(&mut turn);
        self.tell_of_host(wall_clock);
        let (control, _, mut moment) = self.control_parts(wall_clock);
        control.expire(&mut moment);
    }

    /// Sends what there is to send. What the device does not take waits in the host.
    fn transmit(&mut self) {
        let sent = self.host.transmit(self.clock.now(), &mut self.wire);
        self.device_full = sent.and(self.wire.flush()).is_err();
    }

    /// Wakes the readers of events and captures for which there is something new.
    fn feed_readers(&mut self, wall_clock: SystemTime) {
        while let Some(reader) = self.news.next_woken().or_else(|| self.wire.next_woken()) {
            let (control, _, mut moment) = self.control_parts(wall_clock);
            control.stream_ready(reader, &mut moment);
        }
    }

    /// The control socket with what a call of it needs.
    fn control_parts(&mut self, wall_clock: SystemTime) -> (&mut Control, &mio::Registry, Moment<'_>) {
        let moment = Moment { now: Instant::now(), wall_clock, random: &mut self.control_random };
        (&mut self.control, self.poll.registry(), moment)
    }

    /// Brings the workers' results to whoever waits for them.
    fn finish_jobs(&mut self, wall_clock: SystemTime) {
        loop {
            let now = self.clock.now();
            let mut turn = Turn { now, wall_clock, host: &mut self.host, device: &mut self.wire, news: &mut self.news };
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
