//! Two hosts, a link in each direction, and the clock.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tapster_stack::{
    Configuration, Delivery, DeviceFull, Event, FrameSink, HardwareAddress, Host, Impairer, Impairment, Instant,
    Offload, Payload, ReceivedFrame, net, tcp,
};

use crate::application::Application;
use crate::segment::{Allowance, Segment};

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;
const PORT: u16 = 80;
const ARP: [u8; 2] = [0x08, 0x06];

/// The run's chance.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit.max(1)
    }
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) now: Instant,
    pub(crate) hosts: [Host; 2],
    pub(crate) applications: [Application; 2],
    /// To each end. ARP has no checksum: its frames go a way of their own, which damages nothing.
    ways: [[Impairer<Offload>; 2]; 2],
    allowances: [Allowance; 2],
    dice: Dice,
}

/// Frames that a host has sent.
#[derive(Debug, Default)]
struct Wire(Vec<Vec<u8>>);

impl FrameSink for Wire {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull> {
        assert_eq!(offload, Offload::default(), "each frame is complete");
        let mut frame = headers.to_vec();
        payload.iter().for_each(|slice| frame.extend_from_slice(slice));
        self.0.push(frame);
        Ok(())
    }
}

fn address(end: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 1 + end as u8).into()
}

impl Link {
    /// Two hosts, and a connection that is about to be opened. Each application writes so many octets.
    pub(crate) fn new(
        seed: u64,
        tcp: &tcp::Configuration,
        impairments: [Impairment; 2],
        octets: [u64; 2],
        slowness: u32,
    ) -> Self {
        let mut dice = Dice::new(seed);
        // Any moment: sequence numbers and timestamps wrap somewhere.
        let now = Instant::from_nanos(dice.below(1 << 52));
        let mut seeds = || {
            let mut seed = [0; 32];
            dice.0.fill_bytes(&mut seed);
            seed
        };
        let mut hosts = [CLIENT, SERVER].map(|end| {
            let network = net::Configuration {
                hardware_address: HardwareAddress([2, 0, 0, 0, 0, 1 + end as u8]),
                addresses: vec![(address(end), 24)],
                announce: false,
                ..net::Configuration::default()
            };
            Host::new(Configuration { network, tcp: tcp.clone() }, seeds(), now)
        });
        let ways = impairments.map(|impairment| {
            let careful = Impairment { corrupt: 0.0, ..impairment };
            [Impairer::new(impairment, seeds()), Impairer::new(careful, seeds())]
        });
        hosts[SERVER].listen(None, PORT, tcp::ListenOptions::default()).expect("nobody else listens");
        let connection = hosts[CLIENT].connect(now, (address(SERVER), PORT).into()).expect("there is a route");
        let mut applications = [CLIENT, SERVER].map(|end| Application::new(end, octets[end], slowness));
        applications[CLIENT].connection = Some(connection);
        let mut link = Self { now, hosts, applications, ways, allowances: Default::default(), dice };
        link.transmit(CLIENT);
        link
    }

    /// Runs until nothing is left to do, or so much time has passed. Returns whether nothing is left.
    pub(crate) fn run(&mut self, limit: Duration) -> bool {
        let end = self.now + limit;
        while let Some(next) = self.next_moment() {
            if next > end {
                return false;
            }
            self.now = self.now.max(next);
            self.step();
        }
        true
    }

    /// Runs until both applications have closed, or so much time has passed. Returns how long it took.
    pub(crate) fn run_to_the_close(&mut self, limit: Duration) -> Option<Duration> {
        let start = self.now;
        while !self.applications.iter().all(|one| one.closed) {
            self.now = self.now.max(self.next_moment().filter(|next| next.since(start) <= limit)?);
            self.step();
        }
        Some(self.now.since(start))
    }

    fn next_moment(&self) -> Option<Instant> {
        let arrivals = self.ways.iter().flatten().filter_map(Impairer::next_deadline);
        let timers = self.hosts.iter().filter_map(Host::next_deadline);
        let readers = self.applications.iter().filter(|one| !one.closed && one.ended.is_none());
        let readers = readers.map(|one| one.paused_until).filter(|until| *until > self.now);
        arrivals.chain(timers).chain(readers).min()
    }

    fn step(&mut self) {
        for end in [CLIENT, SERVER] {
            for way in [0, 1] {
                while self.ways[end][way].next(self.now).is_some() {
                    let frame = self.ways[end][way].sent().expect("it is due");
                    self.receive(end, &frame.octets);
                }
            }
        }
        for end in [CLIENT, SERVER] {
            self.hosts[end].expire(self.now);
            while let Some(event) = self.hosts[end].next_event() {
                match event {
                    Event::Opened { connection, .. } => self.applications[end].connection = Some(connection),
                    Event::Closed { reason, .. } => self.applications[end].ended = Some(reason),
                    Event::Ready { .. } | Event::Unreachable { .. } => {}
                }
                self.advance(end, Payload::EMPTY);
            }
            self.advance(end, Payload::EMPTY);
            self.transmit(end);
        }
    }

    fn advance(&mut self, end: usize, lent: Payload<'_>) {
        self.applications[end].advance(&mut self.hosts[end], self.now, &mut self.dice, lent);
    }

    fn receive(&mut self, end: usize, frame: &[u8]) {
        let accepted = self.hosts[end].tcp_counters().segments_received - self.hosts[end].tcp_counters().bad_checksum;
        let delivery = self.hosts[end].receive(self.now, ReceivedFrame::plain(frame));
        if let Some(Delivery::Stream { payload, .. }) = delivery {
            self.applications[end].advance(&mut self.hosts[end], self.now, &mut self.dice, payload);
        }
        let counters = self.hosts[end].tcp_counters();
        // A damaged segment tells nothing.
        if counters.segments_received - counters.bad_checksum > accepted
            && let Some(segment) = Segment::parse(frame)
        {
            self.allowances[end].learn(&segment);
        }
    }

    /// What a host sends goes on its way.
    fn transmit(&mut self, end: usize) {
        let mut wire = Wire::default();
        self.hosts[end].transmit(self.now, &mut wire).expect("this wire is never full");
        for frame in wire.0 {
            if let Some(segment) = Segment::parse(&frame) {
                let allowance = self.allowances[end];
                assert!(allowance.permits(&segment), "end {end} sends beyond the window: {segment:?}, {allowance:?}");
            }
            let way = usize::from(frame.get(12..14) == Some(&ARP));
            self.ways[1 - end][way].receive(self.now, &frame, Offload::default());
        }
    }
}
