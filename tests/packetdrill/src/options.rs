//! Socket options.
//!
//! Responsible for their values, for how they travel to TCP, and for how `getsockopt` shows them.

use std::time::Duration;

use libc::c_int;
use tapster_stack::tcp;

use crate::sockets::{Errno, Role, Sockets};
use crate::tcp_info;

/// `TCP_INQ`: each `recvmsg` says how much is left.
const TCP_INQ: c_int = 36;

/// What the congestion control has to tell.
const TCP_CC_INFO: c_int = 26;
/// The kernel's memory for a socket.
const SO_MEMINFO: c_int = 55;

/// The options of one socket. Accepted connections begin with those of their listener.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// What may wait for the peer's acknowledgment before a writer blocks, in octets.
    pub(crate) send_buffer: usize,
    receive_buffer: usize,
    no_delay: bool,
    pub(crate) cork: bool,
    /// `SO_LINGER`: whether, and for how many seconds.
    linger: Option<c_int>,
    user_timeout: Option<Duration>,
    maximum_segment: Option<u16>,
    traffic_class: Option<u8>,
    pub(crate) tell_queue: bool,
    /// Values that are only remembered.
    others: Vec<((c_int, c_int), c_int)>,
}

impl Options {
    pub(crate) const fn new(send_buffer: usize, receive_buffer: usize) -> Self {
        Self {
            send_buffer,
            receive_buffer,
            no_delay: false,
            cork: false,
            linger: None,
            user_timeout: None,
            maximum_segment: None,
            traffic_class: None,
            tell_queue: false,
            others: Vec::new(),
        }
    }

    pub(crate) fn listen_options(&self) -> tcp::ListenOptions {
        tcp::ListenOptions {
            maximum_segment_size: self.maximum_segment.unwrap_or(u16::MAX),
            ..tcp::ListenOptions::default()
        }
    }

    /// What `close` does with `SO_LINGER` on and no time to linger.
    pub(crate) fn resets_on_close(&self) -> bool {
        self.linger == Some(0)
    }

    /// Tells TCP.
    pub(crate) fn apply(&self, stream: &mut tcp::Stream<'_, '_>) {
        stream.set_nagle(!self.no_delay);
        if let Some(timeout) = self.user_timeout {
            stream.set_user_timeout(timeout);
        }
        if let Some(octets) = self.maximum_segment {
            stream.set_maximum_segment_size(octets);
        }
        if let Some(traffic_class) = self.traffic_class {
            stream.set_traffic_class(traffic_class);
        }
    }

    /// Octets of a full segment: what a cork lets through.
    pub(crate) fn full_segment(&self, stream: &tcp::Stream<'_, '_>) -> usize {
        stream.smss().max(1)
    }
}

impl Sockets {
    pub(crate) fn set_option(&mut self, fd: c_int, level: c_int, name: c_int, value: &[u8]) -> Result<(), Errno> {
        let number = match *value {
            [octet] if level == libc::IPPROTO_IP => c_int::from(octet),
            _ => value.first_chunk().map(|octets| c_int::from_ne_bytes(*octets)).ok_or(libc::EINVAL)?,
        };
        let positive = usize::try_from(number).unwrap_or(0);
        let options = &mut self.get(fd)?.options;
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_SNDBUF) => options.send_buffer = 2 * positive,
            (libc::SOL_SOCKET, libc::SO_RCVBUF) => options.receive_buffer = 2 * positive,
            (libc::SOL_SOCKET, libc::SO_LINGER) => {
                let seconds = value.get(4..).and_then(<[u8]>::first_chunk).ok_or(libc::EINVAL)?;
                options.linger = (number != 0).then(|| c_int::from_ne_bytes(*seconds));
            }
            (libc::IPPROTO_TCP, libc::TCP_NODELAY) => options.no_delay = number != 0,
            (libc::IPPROTO_TCP, libc::TCP_CORK) => options.cork = number != 0,
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
                options.user_timeout = (number > 0).then(|| Duration::from_millis(positive as u64));
            }
            (libc::IPPROTO_TCP, libc::TCP_MAXSEG) => {
                options.maximum_segment = Some(u16::try_from(number).map_err(|_| libc::EINVAL)?);
            }
            (libc::IPPROTO_IP, libc::IP_TOS) => options.traffic_class = Some(number.to_le_bytes()[0]),
            (libc::IPPROTO_TCP, TCP_INQ) => options.tell_queue = number != 0,
            (
                libc::SOL_SOCKET,
                libc::SO_REUSEADDR | libc::SO_REUSEPORT | libc::SO_KEEPALIVE | libc::SO_ZEROCOPY | libc::SO_PRIORITY,
            )
            | (libc::IPPROTO_TCP, libc::TCP_QUICKACK | libc::TCP_SYNCNT | libc::TCP_NOTSENT_LOWAT)
            | (libc::IPPROTO_IP, libc::IP_TTL | libc::IP_MTU_DISCOVER) => {
                options.others.retain(|(key, _)| *key != (level, name));
                options.others.push(((level, name), number));
            }
            _ => return Err(libc::ENOPROTOOPT),
        }
        if !options.cork || (level, name) == (libc::IPPROTO_TCP, libc::TCP_NODELAY) {
            self.push(fd)?;
        }
        if (level, name) == (libc::IPPROTO_TCP, libc::TCP_MAXSEG) {
            self.listen_again(fd)?;
        }
        self.apply_options(fd)
    }

    pub(crate) fn option(&mut self, fd: c_int, level: c_int, name: c_int) -> Result<Vec<u8>, Errno> {
        if (level, name) == (libc::IPPROTO_TCP, libc::TCP_INFO) {
            return Ok(self.tcp_info(fd)?.to_vec());
        }
        match (level, name) {
            // A congestion control may have nothing to tell.
            (libc::IPPROTO_TCP, TCP_CC_INFO) => return Ok(Vec::new()),
            // Nine numbers about the kernel's memory, which there is none of.
            (libc::SOL_SOCKET, SO_MEMINFO) => return Ok(vec![0; 36]),
            _ => {}
        }
        let detail = self.detail(fd)?;
        let socket = self.get(fd)?;
        let options = &socket.options;
        let number = match (level, name) {
            (libc::SOL_SOCKET, libc::SO_ERROR) => match &mut socket.role {
                Role::Stream(connection) => connection.error.take().unwrap_or(0),
                _ => 0,
            },
            (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_STREAM,
            (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => c_int::from(matches!(socket.role, Role::Listener { .. })),
            (libc::SOL_SOCKET, libc::SO_SNDBUF) => to_int(options.send_buffer),
            (libc::SOL_SOCKET, libc::SO_RCVBUF) => to_int(options.receive_buffer),
            (libc::SOL_SOCKET, libc::SO_LINGER) => {
                let pair = [c_int::from(options.linger.is_some()), options.linger.unwrap_or(0)];
                return Ok(pair.map(c_int::to_ne_bytes).concat());
            }
            (libc::IPPROTO_TCP, libc::TCP_NODELAY) => c_int::from(options.no_delay),
            (libc::IPPROTO_TCP, libc::TCP_CORK) => c_int::from(options.cork),
            (libc::IPPROTO_TCP, TCP_INQ) => c_int::from(options.tell_queue),
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
                to_int(options.user_timeout.map_or(0, |timeout| timeout.as_millis() as usize))
            }
            (libc::IPPROTO_TCP, libc::TCP_MAXSEG) => match (detail, options.maximum_segment) {
                (Some(detail), _) => to_int(detail.smss as usize),
                (None, Some(size)) => c_int::from(size),
                (None, None) => 536,
            },
            _ => {
                let known = options.others.iter().find(|(key, _)| *key == (level, name));
                known.ok_or(libc::ENOPROTOOPT)?.1
            }
        };
        Ok(number.to_ne_bytes().to_vec())
    }

    /// `struct tcp_info`.
    pub(crate) fn tcp_info(&mut self, fd: c_int) -> Result<[u8; tcp_info::LENGTH], Errno> {
        let now = self.machine.now;
        let detail = self.detail(fd)?;
        let is_listener = matches!(self.get(fd)?.role, Role::Listener { .. });
        Ok(tcp_info::write(detail.as_ref(), is_listener, now))
    }

    fn detail(&mut self, fd: c_int) -> Result<Option<tcp::ConnectionDetail>, Errno> {
        let id = match &self.get(fd)?.role {
            Role::Stream(connection) => connection.id,
            _ => None,
        };
        Ok(id.and_then(|id| self.machine.host.connection(id)))
    }
}

fn to_int(number: usize) -> c_int {
    c_int::try_from(number).unwrap_or(c_int::MAX)
}
