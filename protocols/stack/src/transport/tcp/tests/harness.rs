//! Two TCPs, two applications, and a bad network between them, all from one seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::four_tuple::FourTuple;
use super::super::secrets::Secrets;
use super::super::sequence::SequenceNumber;
use super::super::{Configuration, Tcp};
use super::wire::{Dice, Packet, Wire, cut};
use crate::{ConnectionId, Event, Instant, Payload};

/// How the network treats packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) delay: Duration,
    /// Up to so much more, so that packets overtake each other.
    pub(super) jitter: Duration,
    /// In a thousand.
    pub(super) loss: u64,
    pub(super) duplication: u64,
    /// The device refuses so often, in a thousand.
    pub(super) refusals: u64,
    /// Merged segments arrive as they were sent, or are cut on the way.
    pub(super) cuts: bool,
}

/// The octet at an offset of a stream: each end's is different.
pub(super) fn octet(offset: u64, end: usize) -> u8 {
    (offset.wrapping_mul(2_654_435_761).wrapping_add(end as u64 * 97) >> 7) as u8
}

/// An application that writes so many octets, reads to the end, and closes.
#[derive(Debug)]
pub(super) struct Application {
    end: usize,
    pub(super) connection: Option<ConnectionId>,
    pub(super) to_write: u64,
    written: u64,
    pub(super) read: u64,
    pub(super) finished: bool,
    pub(super) input_finished: bool,
    pub(super) closed: bool,
    pub(super) ended: Option<crate::ClosedReason>,
    /// Does not read before this moment.
    paused_until: Instant,
    /// Reads a little at a time, and pauses, so often in a thousand.
    slowness: u64,
}

impl Application {
    fn new(end: usize, to_write: u64, slowness: u64) -> Self {
        Self {
            end,
            connection: None,
            to_write,
            written: 0,
            read: 0,
            finished: false,
            input_finished: false,
            closed: false,
            ended: None,
            paused_until: Instant::START,
            slowness,
        }
    }

    fn advance(&mut self, tcp: &mut Tcp, now: Instant, dice: &mut Dice, lent: Payload<'_>) {
        let Some(id) = self.connection else { return };
        let Some(mut stream) = tcp.stream(now, id, lent) else { return };
        while now >= self.paused_until && !stream.input().is_empty() {
            let available = stream.input().len();
            let take = if dice.chance(self.slowness) {
                self.paused_until = now + Duration::from_millis(dice.below(1500));
                dice.below(available as u64 + 1) as usize
            } else {
                available
            };
            for (index, found) in stream.input()[..take].iter().enumerate() {
                assert_eq!(*found, octet(self.read + index as u64, 1 - self.end), "at {}", self.read + index as u64);
            }
            stream.consume(take);
            self.read += take as u64;
        }
        while self.written < self.to_write && stream.room() > 0 {
            let length = (1 + dice.below(40_000)).min(self.to_write - self.written).min(stream.room() as u64);
            let octets: Vec<u8> = (self.written..self.written + length).map(|at| octet(at, self.end)).collect();
            if dice.chance(500) {
                stream.write(octets.into());
            } else {
                stream.write_copy(&octets);
            }
            self.written += length;
        }
        if self.written < self.to_write {
            stream.notify_room(20_000);
        } else if !self.finished {
            stream.finish();
            self.finished = true;
        }
        self.input_finished = stream.input_finished() && stream.input().is_empty();
        if self.finished && self.input_finished {
            self.closed = true;
            stream.close();
        }
    }
}

/// The whole experiment.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) tcp: [Tcp; 2],
    wires: [Wire; 2],
    pub(super) applications: [Application; 2],
    weather: Weather,
    dice: Dice,
    /// What is on its way, by the time of its arrival.
    flying: BTreeMap<(Instant, u64), (usize, Packet)>,
    counter: u64,
    /// For each end: the shift that the peer's SYN announced, and the edge of its window as delivered.
    shifts: [Option<u8>; 2],
    edges: [Option<SequenceNumber>; 2],
    pub(super) packets: u64,
    seed: u64,
}

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

pub(super) fn address(end: usize) -> SocketAddr {
    ([192, 0, 2, 1 + end as u8], if end == SERVER { 80 } else { 5000 }).into()
}

/// A moment at which the initial sequence number of one end lies up to 30 000 below 2³².
fn just_before_the_numbers_wrap(dice: &mut Dice, end: usize, secrets: &[[u8; 32]; 2]) -> Instant {
    let secrets = Secrets::new(secrets[end]);
    let key = FourTuple { local: address(end), remote: address(1 - end) };
    // The clock of RFC 6528 ticks every 4 microseconds.
    let now = Instant::from_nanos(dice.below(1 << 52));
    let number = secrets.initial_sequence_number(&key, now);
    let wanted = SequenceNumber(0) - (1 + dice.below(30_000) as u32);
    now + Duration::from_micros(4) * (wanted - number)
}

impl Pair {
    pub(super) fn new(seed: u64, configuration: &Configuration, weather: Weather, octets: [u64; 2]) -> Self {
        let mut dice = Dice::new(seed);
        let secrets = [0, 1].map(|end| {
            let mut secret = [end; 32];
            secret[..8].copy_from_slice(&seed.to_le_bytes());
            secret
        });
        let now = just_before_the_numbers_wrap(&mut dice, (seed % 2) as usize, &secrets);
        let tcp = secrets.map(|secret| Tcp::new(configuration.clone(), secret, now));
        let segmentation = [None, Some(65_000), Some(9_000)][dice.below(3) as usize];
        let wires = [0, 1].map(|end| {
            let mut wire = Wire::new(seed + end);
            wire.refuses = weather.refusals;
            wire.segmentation = segmentation;
            wire
        });
        let slowness = dice.below(3) * 150;
        let applications =
            [Application::new(CLIENT, octets[0], slowness), Application::new(SERVER, octets[1], slowness)];
        Self {
            now,
            tcp,
            wires,
            applications,
            weather,
            dice,
            flying: BTreeMap::new(),
            counter: 0,
            shifts: [None; 2],
            edges: [None; 2],
            packets: 0,
            seed,
        }
    }

    pub(super) fn connect(&mut self) {
        self.tcp[SERVER].listen((None, 80), Default::default()).unwrap();
        let id = self.tcp[CLIENT].connect(self.now, address(CLIENT), address(SERVER)).unwrap();
        self.applications[CLIENT].connection = Some(id);
        self.send(CLIENT);
    }

    /// Runs until nothing is left to do, or the limit is reached. Returns whether nothing is left.
    pub(super) fn run(&mut self, limit: Duration) -> bool {
        let deadline = self.now + limit;
        while let Some(next) = self.next_moment() {
            if next > deadline {
                return false;
            }
            self.now = self.now.max(next);
            self.step();
        }
        true
    }

    fn next_moment(&self) -> Option<Instant> {
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let timers = self.tcp.iter().filter_map(Tcp::next_deadline).min();
        let readers =
            self.applications.iter().filter(|one| !one.closed && one.ended.is_none() && one.paused_until > self.now);
        let readers = readers.map(|one| one.paused_until).min();
        let refused = self.tcp.iter().any(Tcp::has_output).then(|| self.now + Duration::from_micros(50));
        [arrival, timers, readers, refused].into_iter().flatten().min()
    }

    fn step(&mut self) {
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (end, packet) = entry.remove();
            self.packets += 1;
            self.note_window(end, &packet);
            let delivery = self.tcp[end].receive(self.now, packet.received());
            if let Some((connection, payload)) = delivery {
                assert_eq!(Some(connection), self.applications[end].connection);
                self.advance(end, payload);
            }
        }
        for end in [CLIENT, SERVER] {
            self.tcp[end].expire(self.now);
            while let Some(event) = self.tcp[end].next_event() {
                match event {
                    Event::Opened { connection, .. } => {
                        assert!(end == SERVER || self.applications[end].connection == Some(connection));
                        self.applications[end].connection = Some(connection);
                    }
                    Event::Closed { connection, reason } => {
                        assert_eq!(self.applications[end].connection, Some(connection));
                        self.applications[end].ended = Some(reason);
                    }
                    Event::Ready { connection } => {
                        assert_eq!(self.applications[end].connection, Some(connection));
                    }
                    Event::Unreachable { .. } => unreachable!("that is UDP's"),
                }
                self.advance(end, Payload::EMPTY);
            }
            if self.applications[end].paused_until <= self.now {
                self.advance(end, Payload::EMPTY);
            }
            self.send(end);
        }
    }

    fn advance(&mut self, end: usize, lent: Payload<'_>) {
        if !self.applications[end].closed {
            self.applications[end].advance(&mut self.tcp[end], self.now, &mut self.dice, lent);
        }
    }

    /// What an end sends goes on its way, if it survives.
    fn send(&mut self, end: usize) {
        let _ = self.tcp[end].transmit(self.now, &mut self.wires[end]);
        for packet in std::mem::take(&mut self.wires[end].sent) {
            self.check_window(end, &packet);
            let pieces = if self.weather.cuts { cut(&packet) } else { vec![packet] };
            for piece in pieces {
                let copies = 1 + u64::from(self.dice.chance(self.weather.duplication));
                for _ in 0..copies {
                    if self.dice.chance(self.weather.loss) {
                        continue;
                    }
                    let jitter = self.dice.below(self.weather.jitter.as_nanos() as u64 + 1);
                    let at = self.now + self.weather.delay + Duration::from_nanos(jitter);
                    self.counter += 1;
                    self.flying.insert((at, self.counter), (1 - end, piece.clone()));
                }
            }
        }
    }

    /// What `end` has learned of its peer's window.
    fn note_window(&mut self, end: usize, packet: &Packet) {
        let segment = packet.segment();
        let header = &segment.header;
        if header.flags.contains(super::super::segment::Flags::SYN) {
            self.shifts[end] = header.options.window_scale;
        }
        if !header.flags.contains(super::super::segment::Flags::ACK) {
            return;
        }
        let is_syn = header.flags.contains(super::super::segment::Flags::SYN);
        // Both ends scale or none does.
        let shift = if is_syn { 0 } else { self.shifts[end].unwrap_or(0) };
        let edge = header.ack + (u32::from(header.window) << shift);
        self.edges[end] = Some(self.edges[end].map_or(edge, |known| known.max(edge)));
    }

    /// Nothing goes beyond the peer's window, but for a probe of one octet.
    fn check_window(&self, end: usize, packet: &Packet) {
        let segment = packet.segment();
        if segment.has(super::super::segment::Flags::SYN) || segment.text.is_empty() {
            return;
        }
        let edge = self.edges[end].expect("data come after the handshake");
        let last = segment.header.seq + segment.text.len() as u32;
        assert!(last <= edge || segment.text.len() == 1, "seed {}: {last:?} is beyond the edge {edge:?}", self.seed);
    }
}
