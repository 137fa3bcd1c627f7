//! A machine with one network card and a clock of its own.
//!
//! Responsible for the virtual time, and for the way between IP packets and the host's frames: the link is point to point,
//! so the shim plays the only neighbour and answers for every address.

use std::collections::VecDeque;
use std::time::Duration;

use tapster_stack::{DeviceFull, Event, FrameSink, HardwareAddress, Host, Instant, Offload, ReceivedFrame};

use crate::flags::Flags;

/// The neighbour that stands for the whole network.
const NEIGHBOR: HardwareAddress = HardwareAddress([0x02, 0, 0, 0, 0, 0x01]);
const ETHERNET_HEADER: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ARP: [u8; 2] = [0x08, 0x06];

/// The host, its clock, and what it has sent.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) now: Instant,
    own: HardwareAddress,
    sent: VecDeque<(Instant, Vec<u8>)>,
}

/// Frames on their way out.
#[derive(Debug, Default)]
struct Wire(Vec<Vec<u8>>);

impl FrameSink for Wire {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], _: Offload) -> Result<(), DeviceFull> {
        let mut frame = headers.to_vec();
        payload.iter().for_each(|slice| frame.extend_from_slice(slice));
        self.0.push(frame);
        Ok(())
    }
}

impl Machine {
    pub(crate) fn new(flags: &Flags) -> Self {
        let configuration = flags.configuration();
        let own = configuration.network.hardware_address;
        // Some moment well after the start, so that subtractions do not reach it.
        let now = Instant::from_nanos(1_000_000_000_000);
        let mut machine = Self { host: Host::new(configuration, [7; 32], now), now, own, sent: VecDeque::new() };
        // The neighbour asks for us, so that the host knows it and the first packet waits for nothing.
        let question =
            arp(1, own, (NEIGHBOR, flags.gateway.octets()), (HardwareAddress::default(), flags.local.0.octets()));
        machine.receive_frame(&question);
        machine.transmit();
        machine
    }

    /// Microseconds on the clock.
    pub(crate) fn microseconds(&self) -> u64 {
        self.now.as_micros()
    }

    /// An IP packet arrives.
    pub(crate) fn receive(&mut self, packet: &[u8]) {
        let kind = if packet.first().is_some_and(|octet| octet >> 4 == 6) { IPV6 } else { IPV4 };
        let frame = [&self.own.0[..], &NEIGHBOR.0, &kind, packet].concat();
        self.receive_frame(&frame);
        self.transmit();
    }

    fn receive_frame(&mut self, frame: &[u8]) {
        if let Some(tapster_stack::Delivery::Stream { connection, payload }) =
            self.host.receive(self.now, ReceivedFrame::plain(frame))
        {
            // Nobody reads it now: dropping the stream puts it into the connection's queue.
            drop(self.host.stream(self.now, connection, payload));
        }
    }

    /// Sends what the host has to send.
    pub(crate) fn transmit(&mut self) {
        let mut wire = Wire::default();
        // This wire is never full.
        let _ = self.host.transmit(self.now, &mut wire);
        let mut questions = Vec::new();
        for frame in wire.0 {
            match frame.get(12..ETHERNET_HEADER) {
                Some(kind) if kind == IPV4 || kind == IPV6 => {
                    self.sent.push_back((self.now, frame[ETHERNET_HEADER..].to_vec()));
                }
                Some(kind) if kind == ARP => questions.extend(self.answer(&frame)),
                _ => {}
            }
        }
        if !questions.is_empty() {
            questions.iter().for_each(|answer| self.receive_frame(answer));
            self.transmit();
        }
    }

    /// The neighbour's answer to an ARP request.
    fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let request = frame.get(ETHERNET_HEADER..ETHERNET_HEADER + 28)?;
        let address = |at: usize| request.get(at..at + 4).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        (request.get(6..8)? == [0, 1])
            .then(|| Some(arp(2, self.own, (NEIGHBOR, address(24)?), (self.own, address(14)?))))
            .flatten()
    }

    /// The next packet that has been sent, with the time of its sending.
    pub(crate) fn next_packet(&mut self) -> Option<(Instant, Vec<u8>)> {
        self.sent.pop_front()
    }

    /// When the host has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.host.next_deadline()
    }

    /// Sets the clock to a later moment and runs what is due.
    pub(crate) fn run_until(&mut self, moment: Instant) {
        self.now = self.now.max(moment);
        if self.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.host.expire(self.now);
            if self.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                // It may have been woken too early. Whatever it waits for, the next microsecond is soon enough.
                self.now += Duration::from_micros(1);
            }
        }
        self.transmit();
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.host.next_event()
    }
}

/// An ARP message (RFC 826) in a frame to `to`.
fn arp(
    operation: u8,
    to: HardwareAddress,
    (sender, sender_address): (HardwareAddress, [u8; 4]),
    (target, target_address): (HardwareAddress, [u8; 4]),
) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    [&to.0[..], &NEIGHBOR.0, &ARP, &head, &sender.0, &sender_address, &target.0, &target_address].concat()
}
