//! Sockets: what POSIX says of them, over the host's connections.
//!
//! Responsible for descriptors and for what each system call does at once. A call that cannot proceed says so by
//! [`Poll::Pending`]; who waits, and until when, is the business of [`library`](crate::library).

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::task::Poll;

use bytes::Bytes;
use libc::{c_int, c_short};
use tapster_stack::{ClosedReason, ConnectionId, Event, ListenerId, Payload, tcp};

use crate::flags::Flags;
use crate::machine::Machine;
use crate::options::Options;

/// A value of `errno`.
pub(crate) type Errno = c_int;

/// All sockets of the process, and the machine under them.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) machine: Machine,
    pub(crate) flags: Flags,
    table: BTreeMap<c_int, Socket>,
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Keeps the number from being used again: packetdrill closes what a script leaves open with `close(2)`.
    place: File,
    pub(crate) nonblocking: bool,
    pub(crate) options: Options,
    bound: Option<SocketAddr>,
    pub(crate) role: Role,
}

/// What a socket has become.
#[derive(Debug)]
pub(crate) enum Role {
    Fresh,
    Listener { id: ListenerId, waiting: VecDeque<Connection> },
    Stream(Connection),
}

/// A connection as its user sees it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// `None` when it has ended before its user let go.
    pub(crate) id: Option<ConnectionId>,
    pub(crate) remote: SocketAddr,
    /// The handshake is not complete.
    connecting: bool,
    /// What the next call reports.
    pub(crate) error: Option<Errno>,
    input_shut: bool,
    output_shut: bool,
    /// Written, and held back until more comes (TCP_CORK, MSG_MORE).
    held: Vec<u8>,
}

impl Connection {
    const fn new(id: ConnectionId, remote: SocketAddr, connecting: bool) -> Self {
        Self { id: Some(id), remote, connecting, error: None, input_shut: false, output_shut: false, held: Vec::new() }
    }
}

impl Sockets {
    pub(crate) fn new(flags: Flags) -> Self {
        Self { machine: Machine::new(&flags), flags, table: BTreeMap::new() }
    }

    /// Lets go of the descriptors without closing them: packetdrill has done so.
    pub(crate) fn forget(&mut self) {
        for socket in std::mem::take(&mut self.table).into_values() {
            let _ = socket.place.into_raw_fd();
        }
    }

    pub(crate) fn get(&mut self, fd: c_int) -> Result<&mut Socket, Errno> {
        self.table.get_mut(&fd).ok_or(libc::EBADF)
    }

    fn connection(&mut self, fd: c_int) -> Result<&mut Connection, Errno> {
        match &mut self.get(fd)?.role {
            Role::Stream(connection) => Ok(connection),
            _ => Err(libc::ENOTCONN),
        }
    }

    /// Sends what is to be sent and takes in the news. After each change.
    pub(crate) fn settle(&mut self) {
        loop {
            self.machine.transmit();
            let Some(event) = self.machine.next_event() else { return };
            match event {
                Event::Opened { connection, listener: Some(listener) } => self.accepted(connection, listener),
                Event::Opened { connection, listener: None } => {
                    self.with(connection, |connection| connection.connecting = false);
                }
                Event::Closed { connection, reason } => self.with(connection, |connection| {
                    connection.id = None;
                    connection.connecting = false;
                    connection.error = Some(match reason {
                        ClosedReason::Reset => libc::ECONNRESET,
                        ClosedReason::TimedOut => libc::ETIMEDOUT,
                        ClosedReason::Refused => libc::ECONNREFUSED,
                        ClosedReason::Aborted => libc::ECONNABORTED,
                    });
                }),
                Event::Ready { .. } | Event::Unreachable { .. } => {}
            }
        }
    }

    fn accepted(&mut self, connection: ConnectionId, listener: ListenerId) {
        let Some(row) = self.machine.host.connection(connection).map(|detail| detail.row) else { return };
        let accepted = Connection::new(connection, row.remote, false);
        for socket in self.table.values_mut() {
            if let Role::Listener { id, waiting } = &mut socket.role
                && *id == listener
            {
                waiting.push_back(accepted);
                return;
            }
        }
    }

    fn with(&mut self, id: ConnectionId, change: impl FnOnce(&mut Connection)) {
        let found = self.table.values_mut().find_map(|socket| match &mut socket.role {
            Role::Fresh => None,
            Role::Listener { waiting, .. } => waiting.iter_mut().find(|connection| connection.id == Some(id)),
            Role::Stream(connection) => Some(connection).filter(|connection| connection.id == Some(id)),
        });
        if let Some(connection) = found {
            change(connection);
        }
    }

    fn insert(&mut self, nonblocking: bool, options: Options, role: Role) -> Result<c_int, Errno> {
        let place = File::open("/dev/null").map_err(|error| error.raw_os_error().unwrap_or(libc::EMFILE))?;
        let fd = place.as_raw_fd();
        self.table.insert(fd, Socket { place, nonblocking, options, bound: None, role });
        Ok(fd)
    }

    pub(crate) fn socket(&mut self, domain: c_int, kind: c_int) -> Result<c_int, Errno> {
        if domain != libc::AF_INET {
            return Err(libc::EAFNOSUPPORT);
        }
        if kind & 0xf != libc::SOCK_STREAM {
            return Err(libc::EPROTONOSUPPORT);
        }
        let options = Options::new(self.flags.send_buffer, self.flags.tcp.receive_buffer);
        self.insert(kind & libc::SOCK_NONBLOCK != 0, options, Role::Fresh)
    }

    pub(crate) fn bind(&mut self, fd: c_int, address: SocketAddr) -> Result<(), Errno> {
        self.get(fd)?.bound = Some(address);
        Ok(())
    }

    pub(crate) fn listen(&mut self, fd: c_int, backlog: c_int) -> Result<(), Errno> {
        let socket = self.table.get_mut(&fd).ok_or(libc::EBADF)?;
        let Some(bound) = socket.bound else { return Err(libc::EINVAL) };
        // As Linux counts: one more than was asked for.
        let backlog = usize::try_from(backlog).unwrap_or(0) + 1;
        let address = Some(bound.ip()).filter(|address| !address.is_unspecified());
        let options = tcp::ListenOptions { backlog, ..socket.options.listen_options() };
        let id = self.machine.host.listen(address, bound.port(), options).map_err(|_| libc::EADDRINUSE)?;
        socket.role = Role::Listener { id, waiting: VecDeque::new() };
        Ok(())
    }

    /// Gives a listener its options, which have changed.
    pub(crate) fn listen_again(&mut self, fd: c_int) -> Result<(), Errno> {
        let Role::Listener { id, .. } = &self.get(fd)?.role else { return Ok(()) };
        let id = *id;
        let Some(row) = self.machine.host.listeners().find(|row| row.id == id) else { return Ok(()) };
        self.machine.host.unlisten(id);
        let socket = self.table.get_mut(&fd).ok_or(libc::EBADF)?;
        let options = tcp::ListenOptions { backlog: row.backlog, ..socket.options.listen_options() };
        let listener = self.machine.host.listen(row.address, row.port, options).map_err(|_| libc::EADDRINUSE)?;
        if let Role::Listener { id, .. } = &mut socket.role {
            *id = listener;
        }
        Ok(())
    }

    pub(crate) fn accept(&mut self, fd: c_int) -> Poll<Result<(c_int, SocketAddr), Errno>> {
        let socket = self.get(fd)?;
        let options = socket.options.clone();
        let Role::Listener { waiting, .. } = &mut socket.role else { return Poll::Ready(Err(libc::EINVAL)) };
        let Some(connection) = waiting.pop_front() else { return Poll::Pending };
        let remote = connection.remote;
        let fd = self.insert(false, options, Role::Stream(connection))?;
        self.apply_options(fd)?;
        Poll::Ready(Ok((fd, remote)))
    }

    /// Hands a connection the options that TCP has to know.
    pub(crate) fn apply_options(&mut self, fd: c_int) -> Result<(), Errno> {
        let now = self.machine.now;
        let socket = self.table.get_mut(&fd).ok_or(libc::EBADF)?;
        if let Role::Stream(Connection { id: Some(id), .. }) = &socket.role
            && let Some(mut stream) = self.machine.host.stream(now, *id, Payload::EMPTY)
        {
            socket.options.apply(&mut stream);
        }
        Ok(())
    }

    /// Begins to connect. [`connected`](Self::connected) tells what has come of it.
    pub(crate) fn connect(&mut self, fd: c_int, remote: SocketAddr) -> Result<(), Errno> {
        match &self.get(fd)?.role {
            Role::Fresh => {}
            Role::Stream(connection) if connection.connecting => return Err(libc::EALREADY),
            _ => return Err(libc::EISCONN),
        }
        let now = self.machine.now;
        let id = self.machine.host.connect(now, remote).map_err(|_| libc::ENETUNREACH)?;
        self.get(fd)?.role = Role::Stream(Connection::new(id, remote, true));
        self.apply_options(fd)
    }

    pub(crate) fn connected(&mut self, fd: c_int) -> Poll<Result<(), Errno>> {
        let connection = self.connection(fd)?;
        match connection.error.take() {
            Some(error) => Poll::Ready(Err(error)),
            None if connection.connecting => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    }

    /// Octets that have come, at most `length`.
    pub(crate) fn read(&mut self, fd: c_int, length: usize, peek: bool) -> Poll<Result<Vec<u8>, Errno>> {
        let now = self.machine.now;
        let connection = self.connection(fd)?;
        if connection.connecting {
            return Poll::Pending;
        }
        let Some(id) = connection.id else {
            return Poll::Ready(connection.error.take().map_or(Ok(Vec::new()), Err));
        };
        let input_shut = connection.input_shut;
        let Some(mut stream) = self.machine.host.stream(now, id, Payload::EMPTY) else {
            return Poll::Ready(Ok(Vec::new()));
        };
        let input = stream.input();
        let octets = input[..input.len().min(length)].to_vec();
        if octets.is_empty() && length > 0 && !stream.input_finished() && !input_shut {
            return Poll::Pending;
        }
        if !peek {
            stream.consume(octets.len());
        }
        Poll::Ready(Ok(octets))
    }

    /// Octets that can be read, and whether no more will come.
    pub(crate) fn readable(&mut self, fd: c_int) -> Result<(usize, bool), Errno> {
        let now = self.machine.now;
        let Some(id) = self.connection(fd)?.id else { return Ok((0, true)) };
        let stream = self.machine.host.stream(now, id, Payload::EMPTY);
        Ok(stream.map_or((0, true), |stream| (stream.input().len(), stream.input_finished())))
    }

    /// Writes as much as there is room for. `more` says that more will follow at once (MSG_MORE).
    pub(crate) fn write(&mut self, fd: c_int, octets: &[u8], more: bool) -> Poll<Result<usize, Errno>> {
        let now = self.machine.now;
        let socket = self.table.get_mut(&fd).ok_or(libc::EBADF)?;
        let Role::Stream(connection) = &mut socket.role else { return Poll::Ready(Err(libc::EPIPE)) };
        if let Some(error) = connection.error.take() {
            return Poll::Ready(Err(error));
        }
        if connection.output_shut || connection.id.is_none() {
            return Poll::Ready(Err(libc::EPIPE));
        }
        if connection.connecting {
            return Poll::Pending;
        }
        let Some(id) = connection.id else { return Poll::Ready(Err(libc::EPIPE)) };
        let Some(mut stream) = self.machine.host.stream(now, id, Payload::EMPTY) else {
            return Poll::Ready(Err(libc::EPIPE));
        };
        let waiting = stream.unacknowledged() + connection.held.len();
        let taken = octets.len().min(socket.options.send_buffer.saturating_sub(waiting));
        if taken == 0 && !octets.is_empty() {
            return Poll::Pending;
        }
        connection.held.extend_from_slice(&octets[..taken]);
        let hold =
            if more || socket.options.cork { connection.held.len() % socket.options.full_segment(&stream) } else { 0 };
        let rest = connection.held.split_off(connection.held.len() - hold);
        let ready = std::mem::replace(&mut connection.held, rest);
        if !ready.is_empty() {
            stream.write(Bytes::from(ready));
        }
        Poll::Ready(Ok(taken))
    }

    /// Writes the rest of `octets` after the `written` first. Pending as long as something is left.
    pub(crate) fn write_all(
        &mut self,
        fd: c_int,
        octets: &[u8],
        written: &mut usize,
        more: bool,
    ) -> Poll<Result<(), Errno>> {
        loop {
            match self.write(fd, &octets[*written..], more) {
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(errno)) => return Poll::Ready(Err(errno)),
                Poll::Pending => return Poll::Pending,
            }
            if *written == octets.len() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Octets that the peer has not acknowledged, those that are held back included.
    pub(crate) fn unacknowledged(&mut self, fd: c_int) -> Result<usize, Errno> {
        let now = self.machine.now;
        let connection = self.connection(fd)?;
        let (held, id) = (connection.held.len(), connection.id);
        let stream = id.and_then(|id| self.machine.host.stream(now, id, Payload::EMPTY));
        Ok(held + stream.map_or(0, |stream| stream.unacknowledged()))
    }

    /// For a socket with `TCP_INQ`: octets that can be read, and one more for the end of the input.
    pub(crate) fn queue_to_tell(&mut self, fd: c_int) -> Option<c_int> {
        self.get(fd).ok().filter(|socket| socket.options.tell_queue)?;
        let (octets, finished) = self.readable(fd).ok()?;
        c_int::try_from(if octets == 0 && finished { 1 } else { octets }).ok()
    }

    /// Sends what was held back.
    pub(crate) fn push(&mut self, fd: c_int) -> Result<(), Errno> {
        let now = self.machine.now;
        if let Role::Stream(connection) = &mut self.table.get_mut(&fd).ok_or(libc::EBADF)?.role
            && let Some(id) = connection.id
            && let Some(mut stream) = self.machine.host.stream(now, id, Payload::EMPTY)
            && !connection.held.is_empty()
        {
            stream.write(Bytes::from(std::mem::take(&mut connection.held)));
        }
        Ok(())
    }

    pub(crate) fn shutdown(&mut self, fd: c_int, how: c_int) -> Result<(), Errno> {
        let now = self.machine.now;
        if how != libc::SHUT_RD {
            self.push(fd)?;
        }
        let connection = self.connection(fd)?;
        let Some(id) = connection.id else { return Err(libc::ENOTCONN) };
        connection.input_shut |= how != libc::SHUT_WR;
        if how != libc::SHUT_RD {
            connection.output_shut = true;
            if let Some(mut stream) = self.machine.host.stream(now, id, Payload::EMPTY) {
                stream.finish();
            }
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, fd: c_int) -> Result<(), Errno> {
        let now = self.machine.now;
        self.push(fd)?;
        let socket = self.table.remove(&fd).ok_or(libc::EBADF)?;
        let host = &mut self.machine.host;
        match socket.role {
            Role::Fresh => {}
            Role::Listener { id, waiting } => {
                host.unlisten(id);
                for id in waiting.into_iter().filter_map(|connection| connection.id) {
                    host.abort(now, id);
                }
            }
            Role::Stream(connection) => {
                if let Some(stream) = connection.id.and_then(|id| host.stream(now, id, Payload::EMPTY)) {
                    if socket.options.resets_on_close() { stream.abort() } else { stream.close() }
                }
            }
        }
        Ok(())
    }

    /// What `poll` reports of a socket.
    pub(crate) fn readiness(&mut self, fd: c_int) -> c_short {
        let now = self.machine.now;
        let Some(socket) = self.table.get_mut(&fd) else { return libc::POLLNVAL };
        let mut ready = 0;
        match &socket.role {
            Role::Fresh => return libc::POLLOUT | libc::POLLHUP,
            Role::Listener { waiting, .. } => return if waiting.is_empty() { 0 } else { libc::POLLIN },
            Role::Stream(connection) => {
                if connection.connecting {
                    return 0;
                }
                if connection.error.is_some() {
                    ready |= libc::POLLERR | libc::POLLIN | libc::POLLOUT;
                }
                let Some(stream) = connection.id.and_then(|id| self.machine.host.stream(now, id, Payload::EMPTY))
                else {
                    return ready | libc::POLLHUP | libc::POLLIN | libc::POLLRDHUP;
                };
                let finished = stream.input_finished() || connection.input_shut;
                if !stream.input().is_empty() || finished {
                    ready |= libc::POLLIN;
                }
                if finished {
                    ready |= libc::POLLRDHUP;
                }
                if finished && connection.output_shut {
                    ready |= libc::POLLHUP;
                }
                let waiting = stream.unacknowledged() + connection.held.len();
                // As Linux does: a third of the buffer is free.
                if connection.output_shut || waiting * 3 <= socket.options.send_buffer * 2 {
                    ready |= libc::POLLOUT;
                }
            }
        }
        ready
    }
}
