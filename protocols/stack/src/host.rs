//! The host: link, network and transports joined.
//!
//! Responsible for the way of a frame up and of a packet down, and for nothing else: each layer knows its own
//! protocol, and this file knows only who comes next. A frame goes straight up to the user that it concerns; what
//! the host has to say goes straight down in [`Host::transmit`].

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::network::{Network, Upward, protocol};
use crate::packet::{ErrorKind, ReceivedError};
use crate::transport::tcp::Tcp;
use crate::transport::udp::{Refused, Udp};
use crate::{
    ConnectionId, Delivery, DeviceFull, Event, FrameSink, HardwareAddress, Instant, ListenerId, Payload, ReceivedFrame,
    SocketId, net, tcp, udp,
};

/// A TCP/IP host on one Ethernet link.
///
/// The caller's duties, in the order of a turn: hand in each frame ([`receive`](Self::receive)), and what it delivers to
/// its user; look for [`next_event`](Self::next_event); [`expire`](Self::expire) the timers; [`transmit`](Self::transmit);
/// sleep until [`next_deadline`](Self::next_deadline) at most.
#[derive(Debug)]
pub struct Host {
    network: Network,
    udp: Udp,
    tcp: Tcp,
    /// News for the users of UDP. TCP keeps its own.
    events: VecDeque<Event>,
}

/// All that a host is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The link and the network layer.
    pub network: net::Configuration,
    /// TCP.
    pub tcp: tcp::Configuration,
}

/// The most ICMP errors that wait for the users of UDP. Each frame brings one at most, so a caller that looks for events
/// after each frame never meets this.
const EVENT_LIMIT: usize = 1024;

/// The way up and down.
impl Host {
    /// A host that has sent nothing yet. `seed` must not be guessable: sequence numbers, ports and hash tables are keyed
    /// by it. Where runs are to be repeated, it is the run's seed.
    #[must_use]
    pub fn new(configuration: Configuration, seed: [u8; 32], now: Instant) -> Self {
        let mut random = ChaCha20Rng::from_seed(seed);
        let mut next_seed = || {
            let mut seed = [0; 32];
            random.fill_bytes(&mut seed);
            seed
        };
        Self {
            network: Network::new(&configuration.network, next_seed(), now),
            udp: Udp::new(next_seed()),
            tcp: Tcp::new(configuration.tcp, next_seed(), now),
            events: VecDeque::new(),
        }
    }

    /// Takes one frame. What it brought for a user above is returned, lent from the frame.
    pub fn receive<'f>(&mut self, now: Instant, frame: ReceivedFrame<'f>) -> Option<Delivery<'f>> {
        let packet = match self.network.receive(now, &frame)? {
            Upward::Packet(packet) => packet,
            Upward::Error(error) => {
                self.receive_error(now, &error);
                return None;
            }
        };
        match packet.protocol {
            protocol::TCP => {
                let (source, acknowledged) = (packet.source, self.tcp.octets_acknowledged());
                let delivery = self.tcp.receive(now, packet);
                if self.tcp.octets_acknowledged() != acknowledged {
                    self.network.confirm_reachable(now, source);
                }
                delivery.map(|(connection, payload)| Delivery::Stream { connection, payload })
            }
            protocol::UDP => match self.udp.receive(packet) {
                Ok(delivery) => Some(delivery),
                Err(Refused::Discarded) => None,
                Err(Refused::PortUnreachable(packet)) => {
                    self.network.port_unreachable(now, &packet);
                    None
                }
            },
            _ => {
                self.network.protocol_unreachable(now, &packet);
                None
            }
        }
    }

    /// An ICMP error goes to the transport that sent what it quotes. A smaller path MTU is believed only when the
    /// transport knows the quoted packet (RFC 5927 §7).
    fn receive_error(&mut self, now: Instant, error: &ReceivedError<'_>) {
        let is_ours = match error.protocol {
            protocol::TCP => self.tcp.receive_error(now, error),
            protocol::UDP => {
                let sender = self.udp.sent_by(error);
                if let Some(event) = self.udp.receive_error(error)
                    && self.events.len() < EVENT_LIMIT
                {
                    self.events.push_back(event);
                }
                sender.is_some()
            }
            _ => false,
        };
        if is_ours && let ErrorKind::PacketTooBig(mtu) = error.kind {
            self.network.lower_path_mtu(now, error.remote, mtu);
        }
    }

    /// The next news that no frame's data brought.
    pub fn next_event(&mut self) -> Option<Event> {
        self.tcp.next_event().or_else(|| self.events.pop_front())
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.network.next_deadline(), self.tcp.next_deadline()].into_iter().flatten().min()
    }

    /// Runs the timers that are due.
    pub fn expire(&mut self, now: Instant) {
        self.network.expire(now);
        self.tcp.expire(now);
    }

    /// Sends what there is to send.
    ///
    /// # Errors
    /// [`DeviceFull`] when something is left: call again when the device takes more.
    pub fn transmit(&mut self, now: Instant, device: &mut impl FrameSink) -> Result<(), DeviceFull> {
        if self.tcp.has_output() {
            self.tcp.transmit(now, &mut self.network.output(now, device))?;
        }
        // After TCP, since a segment to a neighbour that is not known yet has made a request.
        if self.network.has_output() { self.network.flush(device) } else { Ok(()) }
    }

    /// Changes what is left to the device, as when frames must be complete for a while.
    pub fn set_offload(&mut self, offload: net::OffloadCapabilities) {
        self.network.set_offload(offload);
    }

    /// Announces the own addresses on the link, as when it has come back.
    pub fn announce(&mut self, now: Instant) {
        self.network.announce(now);
    }
}

/// TCP.
impl Host {
    /// Listens on a port, at one own address or (`None`) at all.
    ///
    /// # Errors
    /// See [`tcp::ListenError`].
    pub fn listen(
        &mut self,
        address: Option<IpAddr>,
        port: u16,
        options: tcp::ListenOptions,
    ) -> Result<ListenerId, tcp::ListenError> {
        self.tcp.listen((address, port), options)
    }

    /// Stops listening. Connections that were accepted live on.
    pub fn unlisten(&mut self, listener: ListenerId) {
        self.tcp.unlisten(listener);
    }

    /// Opens a connection from a fitting own address and a random port (RFC 6056). [`Event::Opened`] or
    /// [`Event::Closed`] tells what came of it.
    ///
    /// # Errors
    /// See [`tcp::ConnectError`].
    pub fn connect(&mut self, now: Instant, remote: SocketAddr) -> Result<ConnectionId, tcp::ConnectError> {
        let source = self.network.source_for(remote.ip()).ok_or(tcp::ConnectError::InvalidAddress)?;
        self.tcp.connect(now, SocketAddr::new(source, 0), remote)
    }

    /// A connection's queues. `lent` are the octets that [`Delivery::Stream`] brought for it, or none. `None` when the
    /// connection is gone or was closed by its user.
    pub fn stream<'a, 'f>(
        &'a mut self,
        now: Instant,
        connection: ConnectionId,
        lent: Payload<'f>,
    ) -> Option<tcp::Stream<'a, 'f>> {
        self.tcp.stream(now, connection, lent)
    }

    /// Resets a connection, whatever its state. Its user, if it has one, is told by [`Event::Closed`]. Returns whether
    /// there was such a connection.
    pub fn abort(&mut self, now: Instant, connection: ConnectionId) -> bool {
        self.tcp.abort(now, connection)
    }

    /// The next connection whose retransmission timer has expired, for logs. Of those that nobody fetches, a few are kept.
    pub fn next_retransmission_time_out(&mut self) -> Option<ConnectionId> {
        self.tcp.next_retransmission_time_out()
    }

    /// All connections, half-open ones and those in TIME-WAIT included, in no order.
    pub fn connections(&self) -> impl Iterator<Item = tcp::ConnectionRow> + '_ {
        self.tcp.connections()
    }

    /// The control block of one connection. `None` when it is gone or has none: half-open, or in TIME-WAIT.
    #[must_use]
    pub fn connection(&self, connection: ConnectionId) -> Option<tcp::ConnectionDetail> {
        self.tcp.detail(connection)
    }

    /// All TCP listeners.
    pub fn listeners(&self) -> impl Iterator<Item = tcp::ListenerRow> + '_ {
        self.tcp.listeners()
    }

    /// TCP's counters.
    #[must_use]
    pub fn tcp_counters(&self) -> tcp::Counters {
        self.tcp.counters()
    }
}

/// UDP.
impl Host {
    /// Opens a port, at one own address or (`None`) at all.
    ///
    /// # Errors
    /// See [`udp::BindError`].
    pub fn bind(&mut self, address: Option<IpAddr>, port: u16) -> Result<SocketId, udp::BindError> {
        self.udp.bind(address, port)
    }

    /// Opens a random free port (RFC 6056).
    ///
    /// # Errors
    /// See [`udp::BindError`].
    pub fn bind_ephemeral(&mut self, address: Option<IpAddr>) -> Result<(SocketId, u16), udp::BindError> {
        self.udp.bind_ephemeral(address)
    }

    /// Closes a port.
    pub fn unbind(&mut self, socket: SocketId) {
        self.udp.unbind(socket);
    }

    /// Sends one datagram at once. An address in `local` that is not our own (a group's, or none) is replaced by the one
    /// that routes to `remote`. Nothing is copied, unless the neighbour's address is not known yet.
    ///
    /// # Errors
    /// See [`udp::SendError`]. Nothing was sent then.
    pub fn send_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
        device: &mut impl FrameSink,
    ) -> Result<(), udp::SendError> {
        let source = if self.network.is_own(local.ip()) {
            local.ip()
        } else {
            self.network.source_for(remote.ip()).ok_or(udp::SendError::NoRoute)?
        };
        let local = SocketAddr::new(source, local.port());
        self.udp.send(local, remote, &[payload], &mut self.network.output(now, device)).map_err(Into::into)
    }

    /// The largest payload of a datagram to `remote` that goes there in one piece, in octets.
    #[must_use]
    pub fn datagram_limit(&self, now: Instant, remote: IpAddr) -> usize {
        self.network.path_mtu(now, remote).saturating_sub(if remote.is_ipv4() { 20 } else { 40 } + 8)
    }

    /// All open UDP ports.
    pub fn sockets(&self) -> impl Iterator<Item = udp::SocketRow> + '_ {
        self.udp.sockets()
    }

    /// UDP's counters.
    #[must_use]
    pub fn udp_counters(&self) -> &udp::Counters {
        self.udp.counters()
    }
}

/// The network.
impl Host {
    /// The own addresses, with the prefix lengths of their networks.
    #[must_use]
    pub fn addresses(&self) -> &[(IpAddr, u8)] {
        self.network.addresses()
    }

    /// The next news of an own address: it may be used, or another station has it too (RFC 5227, RFC 4862 §5.4).
    pub fn next_address_event(&mut self) -> Option<net::AddressEvent> {
        self.network.next_address_event()
    }

    /// Joins a multicast group (RFC 1112, RFC 3810). Joined twice, it must be left twice.
    ///
    /// # Errors
    /// See [`net::JoinError`].
    pub fn join(&mut self, now: Instant, group: IpAddr) -> Result<(), net::JoinError> {
        self.network.join(now, group)
    }

    /// Leaves a multicast group. False when it was not joined.
    pub fn leave(&mut self, now: Instant, group: IpAddr) -> bool {
        self.network.leave(now, group)
    }

    /// The multicast groups that have been joined.
    pub fn groups(&self) -> impl Iterator<Item = net::GroupRow> + '_ {
        self.network.groups()
    }

    /// A neighbour's hardware address, if it is known.
    #[must_use]
    pub fn hardware_address_of(&self, neighbor: IpAddr) -> Option<HardwareAddress> {
        self.network.hardware_address_of(neighbor)
    }

    /// The neighbour cache, in the order of the addresses.
    #[must_use]
    pub fn neighbors(&self, now: Instant) -> Vec<net::NeighborRow> {
        self.network.neighbors(now)
    }

    /// The routing table, the longest prefix first.
    #[must_use]
    pub fn routes(&self) -> &[net::RouteRow] {
        self.network.routes()
    }

    /// The counters of the link and of the network layer.
    #[must_use]
    pub fn network_counters(&self) -> &net::Counters {
        self.network.counters()
    }
}
