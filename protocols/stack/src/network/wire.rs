//! A device for tests: it remembers what it was given.

use super::egress::Frame;
use crate::{DeviceFull, FrameSink, Offload};

/// A wire that records frames.
#[derive(Debug)]
pub(crate) struct Wire {
    /// What was sent, the oldest first.
    pub(crate) frames: Vec<Frame>,
    /// How many frames it takes before it is full.
    pub(crate) room: usize,
}

impl Default for Wire {
    fn default() -> Self {
        Self { frames: Vec::new(), room: usize::MAX }
    }
}

impl Wire {
    /// What was sent since the last call.
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.frames).into_iter().map(|frame| frame.octets).collect()
    }
}

impl FrameSink for Wire {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull> {
        self.room = self.room.checked_sub(1).ok_or(DeviceFull)?;
        self.frames.push(Frame::gather(headers, payload, offload));
        Ok(())
    }
}
