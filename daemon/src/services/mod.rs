//! The modules' services on the host: who is called when something happens.
//!
//! Responsible for finding the session or datagram service that a delivery, an event, a deadline or a finished job
//! concerns, calling it once, and carrying out what it says. Not for the protocols on either side: this is the seam
//! between the stack and the modules, the only place that knows both.

mod datagram;
mod deadlines;
mod ending;
mod environment;
mod listening;
mod stream;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use rand::rngs::StdRng;
use slab::Slab;
use tapster_service::{
    Busy, Closed, Context, Datagram, DatagramService, Endpoint, FinishedJob, Job, JobId, Next, Peer, Session,
    StreamService, Unreachable,
};
use tapster_stack::{
    ClosedReason, ConnectionId, Delivery, Event, FrameSink, Host, Instant, ListenerId, Payload, SocketId,
};

use self::datagram::{PortChange, Ports, Socket};
use self::deadlines::{Deadline, Deadlines};
use self::environment::Surroundings;
pub(crate) use self::listening::{Clash, ListenFailure, NamedService, clashes};
use self::stream::Connection;
use crate::clock::Clock;
use crate::news::{self, News};
use crate::pool::Pool;

/// Everything that a call of a service needs from the event loop.
pub(crate) struct Turn<'a, D> {
    pub(crate) now: Instant,
    pub(crate) wall_clock: SystemTime,
    pub(crate) host: &'a mut Host,
    pub(crate) device: &'a mut D,
    pub(crate) news: &'a mut News,
}

/// Who is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The session on a connection.
    Session(ConnectionId),
    /// A datagram service, by its place in the table.
    Datagrams(usize),
    /// Whoever it was is gone.
    Nobody,
}

/// All running services.
pub(crate) struct Services {
    clock: Clock,
    modules: Vec<RunningModule>,
    listeners: HashMap<ListenerId, Listener>,
    datagrams: Slab<Datagrams>,
    sockets: HashMap<SocketId, usize>,
    /// The sessions, by their connection's index.
    sessions: Vec<Option<SessionEntry>>,
    session_count: usize,
    deadlines: Deadlines<Owner>,
    /// Whose deadline has passed, during one call of [`expire`](Self::expire). Kept for its memory.
    due: Vec<Owner>,
    surroundings: Surroundings,
}

/// A module that is switched on, for people.
#[derive(Debug)]
pub(crate) struct RunningModule {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it serves, a line each.
    pub(crate) summary: Vec<String>,
    /// How many sessions it has now.
    pub(crate) sessions: usize,
    /// How many connections it has accepted since the start.
    pub(crate) accepted: u64,
    /// Whether the last configuration has it.
    pub(crate) configured: bool,
}

/// What listens for connections.
struct Listener {
    module: usize,
    endpoint: Endpoint,
    maximum_connections: usize,
    service: Box<dyn StreamService>,
}

/// A datagram service with its ports.
struct Datagrams {
    module: usize,
    service: Box<dyn DatagramService>,
    ports: Ports,
    deadline: Deadline,
}

/// A session on its connection.
struct SessionEntry {
    connection: ConnectionId,
    /// Its local and remote end, which the stack forgets with the connection.
    ends: (SocketAddr, SocketAddr),
    module: usize,
    session: Box<dyn Session>,
    waits_for_input: bool,
    deadline: Deadline,
}

impl Services {
    /// No services yet.
    pub(crate) fn new(clock: Clock, pool: Pool, random: StdRng) -> Self {
        Self {
            clock,
            modules: Vec::new(),
            listeners: HashMap::new(),
            datagrams: Slab::new(),
            sockets: HashMap::new(),
            sessions: Vec::new(),
            session_count: 0,
            deadlines: Deadlines::new(),
            due: Vec::new(),
            surroundings: Surroundings::new(pool, random),
        }
    }

    /// The modules that run or have run.
    pub(crate) fn modules(&self) -> &[RunningModule] {
        &self.modules
    }

    /// How many sessions there are.
    pub(crate) const fn session_count(&self) -> usize {
        self.session_count
    }

    /// The jobs taken and refused since the start.
    pub(crate) const fn job_counts(&self) -> (u64, u64) {
        self.surroundings.pool.counts()
    }

    /// The name of the module that a connection belongs to, or did when it was accepted.
    pub(crate) fn module_of(&self, connection: ConnectionId, listener: Option<ListenerId>) -> Option<&'static str> {
        let of_session = self.session(connection).map(|entry| entry.module);
        let of_session = of_session.map(|module| self.modules[module].name);
        of_session.or_else(|| self.module_of_listener(listener?))
    }

    /// The name of the module that a listener belongs to.
    pub(crate) fn module_of_listener(&self, listener: ListenerId) -> Option<&'static str> {
        self.listeners.get(&listener).map(|listener| self.modules[listener.module].name)
    }

    /// The name of the module that a UDP port belongs to.
    pub(crate) fn module_of_socket(&self, socket: SocketId) -> Option<&'static str> {
        let slot = self.datagrams.get(*self.sockets.get(&socket)?)?;
        Some(self.modules[slot.module].name)
    }

    fn session(&self, connection: ConnectionId) -> Option<&SessionEntry> {
        self.sessions.get(connection.index())?.as_ref().filter(|entry| entry.connection == connection)
    }

    fn insert_session(
        &mut self,
        connection: ConnectionId,
        ends: (SocketAddr, SocketAddr),
        module: usize,
        session: Box<dyn Session>,
    ) {
        let index = connection.index();
        if self.sessions.len() <= index {
            self.sessions.resize_with(index + 1, || None);
        }
        self.modules[module].sessions += 1;
        self.session_count += 1;
        let deadline = Deadline::default();
        self.sessions[index] =
            Some(SessionEntry { connection, ends, module, session, waits_for_input: true, deadline });
    }

    fn remove_session(&mut self, connection: ConnectionId) -> Option<SessionEntry> {
        let place = self.sessions.get_mut(connection.index())?;
        let entry = place.take_if(|entry| entry.connection == connection)?;
        self.modules[entry.module].sessions -= 1;
        self.session_count -= 1;
        Some(entry)
    }

    /// Hands on what a frame brought.
    pub(crate) fn deliver<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>, delivery: Delivery<'_>) {
        match delivery {
            Delivery::Stream { connection, payload } => {
                if self.session(connection).is_some_and(|entry| entry.waits_for_input) {
                    self.advance(turn, connection, payload, None);
                } else {
                    // The stream keeps what nobody consumes, and the peer's window fills.
                    drop(turn.host.stream(turn.now, connection, payload));
                }
            }
            Delivery::Datagram { socket, local, remote, link_source, payload } => {
                let Some(&index) = self.sockets.get(&socket) else { return };
                let datagram = Datagram { local, remote, link_address: Some(link_source.0), payload: &payload };
                self.call_datagrams(turn, index, None, |service, socket, cx| service.receive(datagram, socket, cx));
            }
        }
    }

    /// Hands on the host's news until there are none.
    pub(crate) fn handle_events<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>) {
        while let Some(event) = turn.host.next_event() {
            self.handle_event(turn, event);
        }
    }

    fn handle_event<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>, event: Event) {
        match event {
            Event::Opened { connection, listener: Some(listener) } => self.accept(turn, connection, listener),
            Event::Opened { connection, listener: None } => {
                if let Some(entry) = self.session(connection) {
                    turn.news.tell(turn.wall_clock, || news::Event::Opened(self.described(entry)));
                }
                self.advance(turn, connection, Payload::EMPTY, None);
            }
            Event::Ready { connection } => self.advance(turn, connection, Payload::EMPTY, None),
            Event::Closed { connection, reason } => {
                let reason = match reason {
                    ClosedReason::Reset => Closed::Reset,
                    ClosedReason::TimedOut => Closed::TimedOut,
                    ClosedReason::Refused => Closed::Refused,
                    ClosedReason::Aborted => Closed::Killed,
                };
                self.end_session(turn, connection, reason);
            }
            Event::Unreachable { socket, local, remote } => {
                let Some(&index) = self.sockets.get(&socket) else { return };
                let error = Unreachable { local, remote };
                self.call_datagrams(turn, index, None, |service, socket, cx| service.unreachable(error, socket, cx));
            }
        }
    }

    /// A listener's new connection gets its session.
    fn accept<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>, connection: ConnectionId, listener: ListenerId) {
        let Some(entry) = self.listeners.get_mut(&listener) else {
            turn.host.abort(turn.now, connection);
            return;
        };
        let ends = turn.host.stream(turn.now, connection, Payload::EMPTY).and_then(|stream| stream.ends());
        let Some((local, remote)) = ends else { return };
        let link_address = turn.host.hardware_address_of(remote.ip()).map(|address| address.0);
        let peer = Peer { local, remote, link_address, connection: connection.as_u64() };
        let mut surroundings = self.surroundings.of(Owner::Session(connection), entry.module);
        let now = self.clock.module_time(turn.now);
        let session = entry.service.accept(peer, &mut Context::new(now, turn.wall_clock, &mut surroundings, None));
        let module = entry.module;
        self.modules[module].accepted += 1;
        self.insert_session(connection, (local, remote), module, session);
        if let Some(entry) = self.session(connection) {
            turn.news.tell(turn.wall_clock, || news::Event::Opened(self.described(entry)));
        }
        self.advance(turn, connection, Payload::EMPTY, None);
    }

    /// Calls a session, and opens the connections that it asked for.
    fn advance<D: FrameSink>(
        &mut self,
        turn: &mut Turn<'_, D>,
        connection: ConnectionId,
        lent: Payload<'_>,
        finished: Option<FinishedJob>,
    ) {
        self.call_session(turn, connection, lent, finished);
        self.open_connections(turn);
    }

    /// Calls a session and does what it says.
    fn call_session<D: FrameSink>(
        &mut self,
        turn: &mut Turn<'_, D>,
        connection: ConnectionId,
        lent: Payload<'_>,
        finished: Option<FinishedJob>,
    ) {
        let Some(entry) = self.sessions.get_mut(connection.index()).and_then(Option::as_mut) else { return };
        if entry.connection != connection {
            return;
        }
        let Some(stream) = turn.host.stream(turn.now, connection, lent) else { return };
        let mut stream = Connection(stream);
        let owner = Owner::Session(connection);
        let mut surroundings = self.surroundings.of(owner, entry.module);
        let now = self.clock.module_time(turn.now);
        let mut cx = Context::new(now, turn.wall_clock, &mut surroundings, finished);
        let next = entry.session.advance(&mut stream, &mut cx);
        let Connection(mut stream) = stream;
        let event: fn(news::Connection) -> news::Event = match next {
            Next::Wait(wait) => {
                stream.notify_room(wait.room);
                entry.waits_for_input = wait.input;
                self.deadlines.set(owner, &mut entry.deadline, wait.deadline);
                return;
            }
            Next::Close => {
                stream.close();
                news::Event::Closed
            }
            Next::Abort => {
                stream.abort();
                news::Event::Killed
            }
        };
        if let Some(entry) = self.remove_session(connection) {
            turn.news.tell(turn.wall_clock, || event(self.described(&entry)));
        }
    }

    /// A session's connection, for an event.
    fn described(&self, entry: &SessionEntry) -> news::Connection {
        let (local, remote) = entry.ends;
        let service = Some(self.modules[entry.module].name);
        news::Connection { connection: entry.connection.as_u64(), service, local, remote }
    }

    /// Tells a session that its connection has ended, and drops it.
    fn end_session<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>, connection: ConnectionId, reason: Closed) {
        let Some(mut entry) = self.remove_session(connection) else { return };
        turn.news.tell(turn.wall_clock, || {
            let described = self.described(&entry);
            match reason {
                Closed::Reset => news::Event::Reset(described),
                Closed::TimedOut => news::Event::TimedOut(described),
                Closed::Refused => news::Event::Refused(described),
                Closed::Killed => news::Event::Killed(described),
            }
        });
        let mut surroundings = self.surroundings.of(Owner::Session(connection), entry.module);
        let now = self.clock.module_time(turn.now);
        entry.session.closed(reason, &mut Context::new(now, turn.wall_clock, &mut surroundings, None));
        self.open_connections(turn);
    }

    /// Resets a connection for the operator. Returns whether there was one.
    pub(crate) fn kill<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>, connection: ConnectionId) -> bool {
        self.end_session(turn, connection, Closed::Killed);
        turn.host.abort(turn.now, connection)
    }

    /// Opens the connections that modules asked for.
    fn open_connections<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>) {
        while let Some((module, remote, session)) = self.surroundings.pending_connections.pop() {
            self.open_connection(turn, module, remote, session);
        }
    }

    fn open_connection<D: FrameSink>(
        &mut self,
        turn: &mut Turn<'_, D>,
        module: usize,
        remote: SocketAddr,
        mut session: Box<dyn Session>,
    ) {
        match turn.host.connect(turn.now, remote) {
            Ok(connection) => {
                let stream = turn.host.stream(turn.now, connection, Payload::EMPTY);
                let nowhere = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
                let ends = stream.and_then(|stream| stream.ends()).unwrap_or((nowhere, remote));
                self.insert_session(connection, ends, module, session);
            }
            Err(error) => {
                tracing::debug!(%remote, %error, "a connection could not be opened");
                let mut surroundings = self.surroundings.of(Owner::Nobody, module);
                let now = self.clock.module_time(turn.now);
                session.closed(Closed::Refused, &mut Context::new(now, turn.wall_clock, &mut surroundings, None));
            }
        }
    }

    /// Calls a datagram service, and notes what ports it opened or closed and when it wants to be called again.
    fn call_datagrams<D: FrameSink>(
        &mut self,
        turn: &mut Turn<'_, D>,
        index: usize,
        finished: Option<FinishedJob>,
        call: impl FnOnce(&mut dyn DatagramService, &mut Socket<'_, D>, &mut Context<'_>),
    ) {
        let Some(slot) = self.datagrams.get_mut(index) else { return };
        let owner = Owner::Datagrams(index);
        let mut surroundings = self.surroundings.of(owner, slot.module);
        let now = self.clock.module_time(turn.now);
        let mut cx = Context::new(now, turn.wall_clock, &mut surroundings, finished);
        let mut socket =
            Socket { now: turn.now, host: &mut *turn.host, device: &mut *turn.device, ports: &mut slot.ports };
        call(slot.service.as_mut(), &mut socket, &mut cx);
        self.deadlines.set(owner, &mut slot.deadline, slot.service.next_deadline());
        for change in slot.ports.changes.drain(..) {
            match change {
                PortChange::Opened(socket) => self.sockets.insert(socket, index),
                PortChange::Closed(socket) => self.sockets.remove(&socket),
            };
        }
        self.open_connections(turn);
        self.remove_if_retired(index);
    }

    /// Calls whoever's deadline has passed. One that asks to be called again at once waits for the next turn, so that
    /// what it has written goes out first and nobody else starves.
    pub(crate) fn expire<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>) {
        let now = self.clock.module_time(turn.now);
        let mut due = std::mem::take(&mut self.due);
        while let Some(entry) = self.deadlines.pop(now) {
            let owner = entry.1;
            let deadline = match owner {
                Owner::Session(connection) => self
                    .sessions
                    .get_mut(connection.index())
                    .and_then(Option::as_mut)
                    .filter(|entry| entry.connection == connection)
                    .map(|entry| &mut entry.deadline),
                Owner::Datagrams(index) => self.datagrams.get_mut(index).map(|slot| &mut slot.deadline),
                Owner::Nobody => None,
            };
            if deadline.is_some_and(|deadline| self.deadlines.settle(entry, deadline, now)) {
                due.push(owner);
            }
        }
        for owner in due.drain(..) {
            self.call(turn, owner, None);
        }
        self.due = due;
    }

    /// Brings the finished jobs' results to whoever asked for them. Returns one that no service asked for, if there is
    /// one; call again then.
    pub(crate) fn finish_jobs<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>) -> Option<FinishedJob> {
        while let Some(finished) = self.surroundings.pool.finished() {
            match self.surroundings.take_job_owner(finished.id) {
                Some(owner) => self.call(turn, owner, Some(finished)),
                None => return Some(finished),
            }
        }
        None
    }

    /// Hands a job of the daemon's own to the pool; [`finish_jobs`](Self::finish_jobs) returns it.
    ///
    /// # Errors
    /// [`Busy`] when the queue is full.
    pub(crate) fn spawn(&mut self, job: Job) -> Result<JobId, Busy> {
        self.surroundings.pool.spawn(job)
    }

    fn call<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>, owner: Owner, finished: Option<FinishedJob>) {
        match owner {
            Owner::Session(connection) => self.advance(turn, connection, Payload::EMPTY, finished),
            Owner::Datagrams(index) => {
                self.call_datagrams(turn, index, finished, |service, socket, cx| service.advance(socket, cx));
            }
            Owner::Nobody => {}
        }
    }

    /// When [`expire`](Self::expire) may have something to do, as the stack tells time.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.earliest().map(|moment| self.clock.stack_time(moment))
    }
}

#[cfg(test)]
mod tests;
