//! Frames that wait for the device.
//!
//! Responsible for a bounded queue of whole frames: what the network layer says by itself (ARP, ICMP), packets whose
//! neighbour has just been found, and the rest of a datagram of which the device took only the first fragments. Not for
//! the transports' packets, which go to the device without being copied.

use std::collections::VecDeque;

use super::configuration::EgressLimits;
use crate::{DeviceFull, FrameSink, Offload};

/// A frame of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// From the destination address on.
    pub(crate) octets: Vec<u8>,
    /// What it leaves to the device.
    pub(crate) offload: Offload,
}

impl Frame {
    /// Copies a frame from its pieces.
    pub(crate) fn gather(headers: &[u8], payload: &[&[u8]], offload: Offload) -> Self {
        let length = headers.len() + payload.iter().map(|slice| slice.len()).sum::<usize>();
        let mut octets = Vec::with_capacity(length);
        octets.extend_from_slice(headers);
        for slice in payload {
            octets.extend_from_slice(slice);
        }
        Self { octets, offload }
    }
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Egress {
    frames: VecDeque<Frame>,
    octets: usize,
    limits: EgressLimits,
}

impl Egress {
    pub(crate) fn new(limits: EgressLimits) -> Self {
        Self { frames: VecDeque::new(), octets: 0, limits }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Octets that wait.
    #[cfg(test)]
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// Puts a frame behind the others; false when there is no room.
    #[must_use]
    pub(crate) fn push(&mut self, frame: Frame) -> bool {
        let octets = self.octets + frame.octets.len();
        let room = self.frames.len() < self.limits.frames && octets <= self.limits.octets;
        if room {
            self.octets = octets;
            self.frames.push_back(frame);
        }
        room
    }

    /// Gives frames to the device until it is full. What it does not take stays.
    pub(crate) fn flush(&mut self, device: &mut impl FrameSink) -> Result<(), DeviceFull> {
        while let Some(frame) = self.frames.front() {
            device.send(&frame.octets, &[], frame.offload)?;
            self.octets -= frame.octets.len();
            self.frames.pop_front();
        }
        // A burst's memory is given back when it is over.
        if self.frames.capacity() > 64 {
            self.frames = VecDeque::new();
        }
        Ok(())
    }
}

/// The network layer's own messages pass the same way as a transport's packets, only into the queue.
impl FrameSink for Egress {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull> {
        if self.push(Frame::gather(headers, payload, offload)) { Ok(()) } else { Err(DeviceFull) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::wire::Wire;

    #[test]
    fn both_bounds_hold_and_what_the_device_refuses_stays() {
        let mut egress = Egress::new(EgressLimits { frames: 3, octets: 100 });
        assert_eq!(egress.send(&[1; 40], &[&[2; 10], &[3; 10]], Offload::default()), Ok(()));
        assert_eq!(egress.send(&[4; 41], &[], Offload::default()), Err(DeviceFull));
        assert_eq!(egress.send(&[5; 1], &[], Offload::default()), Ok(()));
        assert_eq!(egress.send(&[6; 1], &[], Offload::default()), Ok(()));
        assert_eq!(egress.send(&[7; 1], &[], Offload::default()), Err(DeviceFull));

        let mut device = Wire { room: 2, ..Wire::default() };
        assert_eq!(egress.flush(&mut device), Err(DeviceFull));
        assert_eq!(device.frames.len(), 2);
        assert_eq!(device.frames[0].octets, [vec![1; 40], vec![2; 10], vec![3; 10]].concat());
        assert_eq!(egress.octets(), 1);
        device.room = 1;
        assert_eq!(egress.flush(&mut device), Ok(()));
        assert!(egress.is_empty());
    }
}
