//! One TCP, and a peer whose every segment is written by hand.
//!
//! Sequence numbers are relative: to the peer's initial sequence number in what it sends, to ours in what we send. The peer's
//! lies just below 2³², so that every test wraps around.

use std::fmt;
use std::time::Duration;

use super::super::options::{Options, SackBlock, SackBlocks, Timestamps};
use super::super::segment::{Flags, Header, MAXIMUM_HEADER_LENGTH};
use super::super::sequence::SequenceNumber;
use super::super::{Configuration, ConnectionRow, ListenOptions, State, Tcp};
use super::wire::{Packet, Wire};
use crate::{ConnectionId, Event, Instant, ListenerId, Payload};

pub(super) const S: Flags = Flags::SYN;
pub(super) const A: Flags = Flags::ACK;
pub(super) const F: Flags = Flags(0x11);
pub(super) const R: Flags = Flags::RST;

/// A segment that the peer sends.
#[derive(Clone, Debug)]
pub(super) struct From {
    flags: Flags,
    seq: u32,
    ack: u32,
    window: u16,
    text: Vec<u8>,
    options: Options,
    sack: Vec<(u32, u32)>,
    pub(super) port: u16,
    urgent: u16,
    marked: bool,
}

/// `from(flags, SEG.SEQ, SEG.ACK)`.
pub(super) fn from(flags: Flags, seq: u32, ack: u32) -> From {
    From {
        flags,
        seq,
        ack,
        window: 0xffff,
        text: Vec::new(),
        options: Options::default(),
        sack: Vec::new(),
        port: PEER_PORT,
        urgent: 0,
        marked: false,
    }
}

impl From {
    pub(super) fn text(mut self, length: usize) -> Self {
        self.text = (0..length).map(|at| (self.seq as usize + at) as u8).collect();
        self
    }

    pub(super) fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    pub(super) fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub(super) fn timestamp(mut self, value: u32, echo_reply: u32) -> Self {
        self.options.timestamps = Some(Timestamps { value, echo_reply });
        self
    }

    pub(super) fn mss(mut self, mss: u16) -> Self {
        self.options.maximum_segment_size = Some(mss);
        self
    }

    pub(super) fn sack_permitted(mut self) -> Self {
        self.options.sack_permitted = true;
        self
    }

    pub(super) fn scale(mut self, shift: u8) -> Self {
        self.options.window_scale = Some(shift);
        self
    }

    pub(super) fn sack(mut self, blocks: &[(u32, u32)]) -> Self {
        self.sack = blocks.to_vec();
        self
    }

    /// With a congestion mark.
    pub(super) fn marked(mut self) -> Self {
        self.marked = true;
        self
    }

    pub(super) fn urgent(mut self, pointer: u16) -> Self {
        self.flags = self.flags | Flags::URG;
        self.urgent = pointer;
        self
    }
}

/// A segment that we have sent: `"SA 0:0 ack 1 len 0"`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct To {
    pub(super) text: String,
    pub(super) header: Header,
    pub(super) length: usize,
    pub(super) octets: Vec<u8>,
    /// SACK blocks, relative to the peer's initial sequence number.
    pub(super) sack: Vec<(u32, u32)>,
    pub(super) traffic_class: u8,
}

impl fmt::Debug for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(super) const PEER_ISS: SequenceNumber = SequenceNumber(u32::MAX - 2);
pub(super) const PEER_PORT: u16 = 40_000;

pub(super) struct Lab {
    pub(super) tcp: Tcp,
    pub(super) wire: Wire,
    pub(super) now: Instant,
    pub(super) listener: Option<ListenerId>,
    /// Our initial sequence number, once it has been seen.
    pub(super) iss: SequenceNumber,
}

impl Lab {
    pub(super) fn new(configuration: Configuration) -> Self {
        let now = Instant::from_nanos(3_600_000_000_000);
        Self {
            tcp: Tcp::new(configuration, [42; 32], now),
            wire: Wire::new(1),
            now,
            listener: None,
            iss: SequenceNumber(0),
        }
    }

    /// With a listener on port 80.
    pub(super) fn listening(configuration: Configuration) -> Self {
        let mut lab = Self::new(configuration);
        lab.listener = Some(lab.tcp.listen((None, 80), ListenOptions::default()).unwrap());
        lab
    }

    /// With a connection that the peer has opened; its MSS is 1000, and it knows no other option.
    pub(super) fn established() -> (Self, ConnectionId) {
        Self::established_with(Configuration::default(), from(S, 0, 0).mss(1000))
    }

    pub(super) fn established_with(configuration: Configuration, syn: From) -> (Self, ConnectionId) {
        let mut lab = Self::listening(configuration);
        let window = syn.window;
        let timestamps = syn.options.timestamps;
        lab.receive(syn);
        lab.sent();
        let mut ack = from(A, 1, 1).window(window);
        ack.options.timestamps = timestamps;
        lab.receive(ack);
        let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!("not opened") };
        (lab, connection)
    }

    /// The peer sends a segment. Returns what the service got.
    pub(super) fn receive(&mut self, segment: From) -> Option<Vec<u8>> {
        let packet = self.packet(segment);
        let delivery = self.tcp.receive(self.now, packet.received());
        delivery.map(|(connection, payload)| {
            let octets = payload.to_vec();
            drop(self.tcp.stream(self.now, connection, payload));
            octets
        })
    }

    pub(super) fn packet(&self, segment: From) -> Packet {
        let mut options = segment.options;
        let mut blocks = SackBlocks::default();
        for (left, right) in segment.sack {
            blocks.push(SackBlock { left: self.iss + left, right: self.iss + right });
        }
        options.sack = blocks;
        let header = Header {
            source_port: segment.port,
            destination_port: 80,
            seq: PEER_ISS + segment.seq,
            ack: if segment.flags.contains(A) { self.iss + segment.ack } else { SequenceNumber(0) },
            flags: segment.flags,
            window: segment.window,
            urgent_pointer: segment.urgent,
            options,
        };
        let mut buffer = [0; MAXIMUM_HEADER_LENGTH];
        let length = header.emit(&mut buffer);
        let mut bytes = buffer[..length].to_vec();
        bytes.extend(segment.text);
        Packet {
            source: [192, 0, 2, 1].into(),
            destination: [192, 0, 2, 2].into(),
            bytes,
            segment_size: None,
            traffic_class: if segment.marked { 3 } else { 0 },
        }
    }

    /// What we send now.
    pub(super) fn sent(&mut self) -> Vec<To> {
        let _ = self.tcp.transmit(self.now, &mut self.wire);
        let packets = std::mem::take(&mut self.wire.sent);
        packets.iter().map(|packet| self.describe(packet)).collect()
    }

    /// The same as text.
    pub(super) fn sent_text(&mut self) -> Vec<String> {
        self.sent().into_iter().map(|to| to.text).collect()
    }

    fn describe(&mut self, packet: &Packet) -> To {
        let segment = packet.segment();
        let header = segment.header.clone();
        if header.flags.contains(S) {
            self.iss = header.seq;
        }
        let letters = [(Flags::SYN, 'S'), (Flags::FIN, 'F'), (Flags::RST, 'R'), (Flags::PSH, 'P'), (A, 'A')];
        let mut text: String =
            letters.iter().filter(|(flag, _)| header.flags.contains(*flag)).map(|(_, letter)| *letter).collect();
        // A reset that answers a segment without ACK has sequence number 0 as it is.
        let seq = if header.seq.0 == 0 { 0 } else { header.seq - self.iss };
        text += &format!(" {seq}");
        if !segment.text.is_empty() {
            text += &format!("+{}", segment.text.len());
        }
        if header.flags.contains(A) {
            text += &format!(" ack {}", header.ack - PEER_ISS);
        }
        let sack = header.options.sack.as_slice().iter().map(|block| (block.left - PEER_ISS, block.right - PEER_ISS));
        To {
            text,
            length: segment.text.len(),
            octets: segment.text.to_vec(),
            sack: sack.collect(),
            traffic_class: packet.traffic_class,
            header: header.clone(),
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.tcp.expire(self.now);
    }

    /// Goes from deadline to deadline until something is sent, or nothing is left to wait for.
    pub(super) fn wait_for_segments(&mut self) -> (Duration, Vec<To>) {
        let start = self.now;
        while let Some(deadline) = self.tcp.next_deadline() {
            self.now = self.now.max(deadline);
            self.tcp.expire(self.now);
            let sent = self.sent();
            if !sent.is_empty() {
                return (self.now.since(start), sent);
            }
        }
        (self.now.since(start), Vec::new())
    }

    pub(super) fn write(&mut self, id: ConnectionId, length: usize) {
        let octets: Vec<u8> = (0..length).map(|at| at as u8).collect();
        self.tcp.stream(self.now, id, Payload::EMPTY).unwrap().write(octets.into());
    }

    pub(super) fn finish(&mut self, id: ConnectionId) {
        self.tcp.stream(self.now, id, Payload::EMPTY).unwrap().finish();
    }

    pub(super) fn close(&mut self, id: ConnectionId) {
        self.tcp.stream(self.now, id, Payload::EMPTY).unwrap().close();
    }

    pub(super) fn input(&mut self, id: ConnectionId) -> Vec<u8> {
        self.tcp.stream(self.now, id, Payload::EMPTY).unwrap().input().to_vec()
    }

    pub(super) fn consume(&mut self, id: ConnectionId, count: usize) {
        self.tcp.stream(self.now, id, Payload::EMPTY).unwrap().consume(count);
    }

    /// The state of the only connection; CLOSED when there is none.
    pub(super) fn state(&self) -> State {
        self.row().map_or(State::Closed, |row| row.state)
    }

    pub(super) fn row(&self) -> Option<ConnectionRow> {
        let mut rows = self.tcp.connections();
        let row = rows.next();
        assert!(rows.next().is_none());
        row
    }
}
