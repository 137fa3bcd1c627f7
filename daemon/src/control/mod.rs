//! The control socket: HTTP and JSON on a Unix socket, for `tapster ctl` and `curl --unix-socket`.
//!
//! Responsible for the socket, its connections and who is behind them. The protocol is the HTTP module's own; what is
//! asked is in [`command`]; what is answered, in [`rows`]. Not for carrying out commands: the event loop does that, with
//! everything that it owns.

mod api;
pub(crate) mod command;
mod feed;
mod query;
pub(crate) mod rows;
mod unix_stream;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use rand_core::Rng;
use rustix::net::UCred;
use slab::Slab;
use tapster_http::{Limits, Server};
use tapster_service::{Busy, ConnectError, Context, Environment, FinishedJob, Job, JobId, Next, Peer, Session, Wait};

pub(crate) use self::api::Response;
use self::api::{Api, Inbox, Pending};
use self::command::Command;
pub(crate) use self::feed::Feed;
#[cfg(test)]
pub(crate) use self::feed::{Outlet, read_feed};
use self::unix_stream::UnixByteStream;

/// How many connections the control socket has at once. One more is closed at once.
const MAXIMUM_CONNECTIONS: usize = 128;

/// How long a reader may stand still: somebody looks at events page by page. What it costs is bounded.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// The control socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("another tapster answers on {}: stop it, or set control.socket to another path", .0.display())]
    InUse(PathBuf),
    #[error("{} is there and is not a socket: set control.socket to another path", .0.display())]
    NotASocket(PathBuf),
    #[error("there is no group {0:?}: make it, or set control.group to another one")]
    NoGroup(String),
    #[error("cannot open the control socket {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
}

/// The control socket.
pub(crate) struct Control {
    path: PathBuf,
    listener: UnixListener,
    first_token: usize,
    connections: Slab<ControlConnection>,
    server: Arc<Server>,
    inbox: Inbox,
    own_user: u32,
}

struct ControlConnection {
    stream: UnixByteStream,
    session: tapster_http::Connection<Api>,
    wait: Wait,
    closing: bool,
}

/// The time and randomness of one call.
pub(crate) struct Moment<'a> {
    pub(crate) now: Instant,
    pub(crate) wall_clock: SystemTime,
    pub(crate) random: &'a mut dyn Rng,
}

impl Control {
    /// Opens the socket. One that a dead daemon has left is replaced. Members of `group` may connect, and look. `token` is
    /// for the listener; the connections use those after it.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub(crate) fn open(
        path: &Path,
        group: Option<&str>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, ControlError> {
        let open = |source| ControlError::Open { path: path.to_owned(), source };
        let group = group.map(group_number).transpose()?;
        remove_stale(path)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(open)?;
        }
        let mut listener = UnixListener::bind(path).map_err(open)?;
        // The group may connect and look; what a peer may change depends on who it is. Others may not even try between
        // the two steps: the group comes first.
        if group.is_some() {
            std::os::unix::fs::chown(path, None, group).map_err(open)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(open)?;
        registry.register(&mut listener, token, Interest::READABLE).map_err(open)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            first_token: token.0 + 1,
            connections: Slab::new(),
            server: Arc::new(Server::new(Limits { send_timeout: PATIENCE, min_rate: 0, ..Limits::default() })),
            inbox: Rc::new(RefCell::new(Pending::default())),
            own_user: rustix::process::geteuid().as_raw(),
        })
    }

    /// Takes the connections that wait.
    pub(crate) fn accept(&mut self, registry: &Registry, moment: &mut Moment<'_>) {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => self.begin(socket, registry, moment),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "the control socket could not accept a connection");
                    return;
                }
            }
        }
    }

    fn begin(&mut self, socket: UnixStream, registry: &Registry, moment: &mut Moment<'_>) {
        if self.connections.len() >= MAXIMUM_CONNECTIONS {
            tracing::warn!("the control socket has {MAXIMUM_CONNECTIONS} connections; one more was refused");
            return;
        }
        let credentials = rustix::net::sockopt::socket_peercred(&socket);
        let Ok(UCred { pid, uid, .. }) = credentials else { return };
        let asker = Asker { user: uid.as_raw(), process: pid.as_raw_nonzero().get() };
        let may_change = asker.user == 0 || asker.user == self.own_user;
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        let api = Api { inbox: Rc::clone(&self.inbox), connection: index, asker, may_change };
        let nowhere = ([0, 0, 0, 0], 0).into();
        let peer = Peer { local: nowhere, remote: nowhere, link_address: None, connection: index as u64 };
        let mut environment = NoEnvironment { random: &mut *moment.random };
        let cx = Context::new(moment.now, moment.wall_clock, &mut environment, None);
        let session = tapster_http::Connection::new(Arc::clone(&self.server), api, peer, &cx);
        let mut stream = UnixByteStream::new(socket);
        let token = Token(self.first_token + index);
        if let Err(error) = registry.register(stream.socket(), token, Interest::READABLE | Interest::WRITABLE) {
            tracing::warn!(%error, "a control connection could not be watched");
            return;
        }
        let wait = Wait { input: true, ..Wait::default() };
        entry.insert(ControlConnection { stream, session, wait, closing: false });
        self.advance(index, moment, None);
    }

    /// The socket of a connection is readable or writable; or its peer is gone, which a stream that has nothing to say
    /// would not notice.
    pub(crate) fn socket_ready(&mut self, event: &Event, moment: &mut Moment<'_>) {
        let Some(index) = event.token().0.checked_sub(self.first_token) else { return };
        self.advance(index, moment, None);
        if event.is_write_closed() {
            self.connections.try_remove(index);
        }
    }

    /// There is something to read in the stream that a connection has asked for.
    pub(crate) fn stream_ready(&mut self, index: usize, moment: &mut Moment<'_>) {
        self.call(index, moment, None, true);
    }

    /// Goes on with a connection as far as it can.
    fn advance(&mut self, index: usize, moment: &mut Moment<'_>, finished: Option<FinishedJob>) {
        self.call(index, moment, finished, false);
    }

    /// The same; with `must_call`, the session is called whatever it waits for.
    fn call(&mut self, index: usize, moment: &mut Moment<'_>, mut finished: Option<FinishedJob>, must_call: bool) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let due = connection.wait.deadline.is_some_and(|deadline| deadline <= moment.now);
        let mut must_call = must_call || due || finished.is_some();
        let ended = loop {
            let Ok(filled) = connection.stream.fill() else { break true };
            if connection.closing {
                break connection.stream.flush().is_err() || connection.stream.is_flushed();
            }
            let wait = connection.wait;
            let room = wait.room > 0 && tapster_service::ByteStream::room(&connection.stream) >= wait.room;
            if !(must_call || filled && wait.input || room) {
                break connection.stream.flush().is_err();
            }
            must_call = false;
            let mut environment = NoEnvironment { random: &mut *moment.random };
            let mut cx = Context::new(moment.now, moment.wall_clock, &mut environment, finished.take());
            match connection.session.advance(&mut connection.stream, &mut cx) {
                Next::Wait(wait) => connection.wait = wait,
                Next::Close => connection.closing = true,
                Next::Abort => break true,
            }
            if connection.stream.flush().is_err() {
                break true;
            }
        };
        if ended {
            self.connections.remove(index);
        }
    }

    /// Takes the next command that waits to be carried out.
    pub(crate) fn next_command(&mut self) -> Option<(Ticket, Asker, Command)> {
        let asked = self.inbox.borrow_mut().commands.pop_front()?;
        Some((Ticket { connection: asked.connection, id: asked.id }, asked.asker, asked.command))
    }

    /// Answers a command.
    pub(crate) fn answer(&mut self, ticket: Ticket, response: Response, moment: &mut Moment<'_>) {
        let finished = FinishedJob { id: ticket.id, outcome: Ok(Box::new(response)) };
        self.advance(ticket.connection, moment, Some(finished));
    }

    /// When a connection's time-out is due next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.connections.iter().filter_map(|(_, connection)| connection.wait.deadline).min()
    }

    /// Goes on with the connections whose time-out is due.
    pub(crate) fn expire(&mut self, moment: &mut Moment<'_>) {
        let due = |connection: &ControlConnection| connection.wait.deadline.is_some_and(|at| at <= moment.now);
        let due: Vec<_> = self.connections.iter().filter(|(_, c)| due(c)).map(|(index, _)| index).collect();
        for index in due {
            self.advance(index, moment, None);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket was gone already");
        }
    }
}

/// Where the answer to a command goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    connection: usize,
    id: JobId,
}

impl Ticket {
    /// A stream for whoever asked, of which at most `limit` bytes wait; and the answer that brings it.
    pub(crate) fn stream(self, content_type: &'static str, limit: usize) -> (Feed, Response) {
        let (feed, outlet) = Feed::new(self.connection, limit);
        (feed, Response::stream(content_type, outlet))
    }
}

/// Who asks, as the kernel tells it (SO_PEERCRED).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    user: u32,
    process: i32,
}

impl std::fmt::Display for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "user {}, process {}", self.user, self.process)
    }
}

/// The number of a group.
pub(crate) fn group_number(name: &str) -> Result<u32, ControlError> {
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err(ControlError::NoGroup(name.to_owned())),
    }
}

/// Removes a socket that nobody answers on.
fn remove_stale(path: &Path) -> Result<(), ControlError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(ControlError::NotASocket(path.to_owned()));
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ControlError::InUse(path.to_owned()));
    }
    fs::remove_file(path).map_err(|source| ControlError::Open { path: path.to_owned(), source })
}

/// The control interface needs no jobs and opens no connections.
struct NoEnvironment<'a> {
    random: &'a mut dyn Rng,
}

impl Environment for NoEnvironment<'_> {
    fn random(&mut self) -> &mut dyn Rng {
        self.random
    }

    fn spawn(&mut self, _job: Job) -> Result<JobId, Busy> {
        Err(Busy)
    }

    fn connect(&mut self, _remote: std::net::SocketAddr, _session: Box<dyn Session>) -> Result<(), ConnectError> {
        Err(ConnectError::NoRoute)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use mio::Poll;

    use super::*;

    #[test]
    fn the_socket_belongs_to_the_group_that_is_configured() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let poll = Poll::new().unwrap();
        // A group that this process may give a file to: its own.
        let own = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap();
        let Some(own) = own else { return };
        let control = Control::open(&path, Some(&own.name), poll.registry(), Token(0)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o660, own.gid.as_raw()));
        drop(control);
        assert!(!path.exists());
    }

    #[test]
    fn a_group_that_is_not_there_is_an_error_and_leaves_no_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let poll = Poll::new().unwrap();
        let outcome = Control::open(&path, Some("no such group"), poll.registry(), Token(0));
        assert!(matches!(outcome, Err(ControlError::NoGroup(_))));
        assert!(!path.exists());
    }
}
