//! What stands between the device and the host: nothing, most of the time.
//!
//! Responsible for the instruments that can be put into the wire while tapster runs: a bad network ([`impaired`]) and
//! captures ([`capture`]). Without them a frame costs one comparison more. Not for the device itself.

pub(crate) mod capture;
mod flow;
mod impaired;

use std::io;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use tapster_stack::{DeviceFull, FrameSink, Instant, Offload, ReceivedFrame, net};

pub(crate) use self::impaired::{BadLink, Directions, Order};

use self::capture::Capture;
use crate::clock::Clock;
use crate::link::{self, ReceiveBuffer, Tap};

/// The device, and what stands before it.
pub(crate) struct Wire {
    device: Tap,
    clock: Clock,
    instruments: Option<Box<Instruments>>,
}

#[derive(Default)]
struct Instruments {
    bad_link: Option<BadLink>,
    captures: Vec<Capture>,
    /// Where a frame's pieces are gathered. Kept for its memory.
    gathered: Vec<u8>,
}

/// What came of an attempt to receive.
pub(crate) enum Arrival<'b> {
    /// A frame for the host.
    Frame(ReceivedFrame<'b>),
    /// A frame came from the device, and is still on its way.
    Delayed,
    /// There is none.
    Nothing,
}

impl Wire {
    /// A wire without instruments.
    pub(crate) const fn new(device: Tap, clock: Clock) -> Self {
        Self { device, clock, instruments: None }
    }

    /// The device.
    pub(crate) const fn device(&self) -> &Tap {
        &self.device
    }

    /// The device.
    pub(crate) const fn device_mut(&mut self) -> &mut Tap {
        &mut self.device
    }

    /// Receives one frame: one system call at most.
    ///
    /// # Errors
    /// See [`Tap::receive`].
    pub(crate) fn receive<'b>(&mut self, buffer: &'b mut ReceiveBuffer) -> io::Result<Arrival<'b>> {
        match &mut self.instruments {
            None => Ok(self.device.receive(buffer)?.map_or(Arrival::Nothing, Arrival::Frame)),
            Some(instruments) => instruments.receive(&mut self.device, self.clock.now(), buffer),
        }
    }

    /// Whether a delayed frame has arrived, of which the device says nothing.
    pub(crate) fn has_arrival(&self) -> bool {
        let bad_link = self.instruments.as_ref().and_then(|instruments| instruments.bad_link.as_ref());
        bad_link.is_some_and(|link| link.has_arrival(self.clock.now()))
    }

    /// Sends the delayed frames that are due, ends the captures that are over, and takes out what is no longer wanted.
    ///
    /// # Errors
    /// [`DeviceFull`] when frames are left that are due.
    pub(crate) fn flush(&mut self) -> Result<(), DeviceFull> {
        let Some(instruments) = &mut self.instruments else { return Ok(()) };
        let now = self.clock.now();
        let outcome = instruments.flush(&mut self.device, now);
        instruments.captures.retain_mut(|capture| !capture.is_over(now));
        if instruments.bad_link.is_none() && instruments.captures.is_empty() {
            self.instruments = None;
        }
        outcome
    }

    /// When [`flush`](Self::flush) or [`receive`](Self::receive) has something to do. While the device is full, nothing
    /// that is to be sent.
    pub(crate) fn next_deadline(&self, device_full: bool) -> Option<Instant> {
        let Instruments { bad_link, captures, .. } = self.instruments.as_deref()?;
        let frames = bad_link.as_ref().and_then(|link| link.next_deadline(device_full));
        frames.into_iter().chain(captures.iter().filter_map(Capture::deadline)).min()
    }

    /// Makes the link bad, or bad in another way. From then on every frame is complete and stands for one packet; what
    /// the host may leave to the device is in [`offload`](Self::offload).
    ///
    /// # Errors
    /// When the device does not switch its offloads off.
    pub(crate) fn impair(&mut self, order: &Order, seed: u64) -> io::Result<()> {
        self.device.set_offload(false)?;
        let instruments = self.instruments.get_or_insert_default();
        match &mut instruments.bad_link {
            Some(link) => link.change(order),
            None => instruments.bad_link = Some(BadLink::new(order, seed)),
        }
        Ok(())
    }

    /// Makes the link good again. What is on its way arrives at once.
    ///
    /// # Errors
    /// When the device does not switch its offloads on.
    pub(crate) fn mend(&mut self) -> io::Result<()> {
        if let Some(instruments) = &mut self.instruments {
            instruments.mend(&mut self.device);
        }
        self.device.set_offload(true)
    }

    /// How bad the link is; `None` when it is good.
    pub(crate) fn bad_link(&self) -> Option<&BadLink> {
        self.instruments.as_ref()?.bad_link.as_ref().filter(|link| !link.is_mended())
    }

    /// Begins a capture.
    pub(crate) fn capture(&mut self, capture: Capture) {
        self.instruments.get_or_insert_default().captures.push(capture);
    }

    /// How many captures there are.
    pub(crate) fn captures(&self) -> usize {
        self.instruments.as_ref().map_or(0, |instruments| instruments.captures.len())
    }

    /// The next connection of the control socket whose capture has something to read.
    pub(crate) fn next_woken(&mut self) -> Option<usize> {
        self.instruments.as_mut()?.captures.iter_mut().find_map(Capture::take_news)
    }

    /// What the host may leave to the device.
    pub(crate) fn offload(&self) -> net::OffloadCapabilities {
        capabilities(self.device.features())
    }
}

/// What the host may leave to a device.
pub(crate) fn capabilities(features: link::Features) -> net::OffloadCapabilities {
    /// What IPv4's length field holds, in octets.
    const LARGEST_PACKET: usize = 65_535;
    net::OffloadCapabilities {
        checksum: features.checksum,
        segmentation: features.tcp_segmentation.then_some(LARGEST_PACKET),
    }
}

impl Instruments {
    fn receive<'b>(
        &mut self,
        device: &mut Tap,
        now: Instant,
        buffer: &'b mut ReceiveBuffer,
    ) -> io::Result<Arrival<'b>> {
        if let Some(frame) = self.bad_link.as_mut().and_then(|link| link.next_arrival(now)) {
            return Ok(Arrival::Frame(ReceivedFrame {
                bytes: buffer.hold(&frame.octets),
                transport_checksum_valid: frame.description.transport_checksum_valid,
                segment_size: frame.description.segment_size,
            }));
        }
        self.bad_link.take_if(|link| link.is_mended());
        let Some(frame) = device.receive(buffer)? else { return Ok(Arrival::Nothing) };
        for capture in &mut self.captures {
            capture.received(&frame);
        }
        match &mut self.bad_link {
            Some(link) => {
                link.receive(now, &frame);
                Ok(Arrival::Delayed)
            }
            None => Ok(Arrival::Frame(frame)),
        }
    }

    fn send(
        &mut self,
        device: &mut Tap,
        now: Instant,
        headers: &[u8],
        payload: &[&[u8]],
        offload: Offload,
    ) -> Result<(), DeviceFull> {
        let is_bad = self.bad_link.as_ref().is_some_and(|link| !link.is_mended());
        if !is_bad {
            device.send(headers, payload, offload)?;
        }
        self.gathered.clear();
        self.gathered.extend_from_slice(headers);
        payload.iter().for_each(|octets| self.gathered.extend_from_slice(octets));
        match &mut self.bad_link {
            Some(link) if is_bad => link.send(now, &self.gathered, offload),
            _ => self.captures.iter_mut().for_each(|capture| capture.sent(&self.gathered, offload)),
        }
        Ok(())
    }

    fn flush(&mut self, device: &mut Tap, now: Instant) -> Result<(), DeviceFull> {
        let Some(link) = &mut self.bad_link else { return Ok(()) };
        while let Some(frame) = link.next_departure(now) {
            device.send(&frame.octets, &[], frame.description)?;
            if let Some(frame) = link.departed() {
                self.captures.iter_mut().for_each(|capture| capture.sent(&frame.octets, frame.description));
            }
        }
        Ok(())
    }

    /// What the device does not take at once is lost.
    fn mend(&mut self, device: &mut Tap) {
        let Some(link) = &mut self.bad_link else { return };
        link.mend();
        while let Some(frame) = link.departed() {
            if device.send(&frame.octets, &[], frame.description).is_ok() {
                self.captures.iter_mut().for_each(|capture| capture.sent(&frame.octets, frame.description));
            }
        }
    }
}

impl FrameSink for Wire {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull> {
        match &mut self.instruments {
            None => self.device.send(headers, payload, offload),
            Some(instruments) => instruments.send(&mut self.device, self.clock.now(), headers, payload, offload),
        }
    }
}

impl Source for Wire {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.device.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.device.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.device.deregister(registry)
    }
}
