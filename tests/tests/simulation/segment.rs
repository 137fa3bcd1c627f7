//! What passes by on the wire: as much of TCP as is needed to see whether a window is respected.

/// TCP's part of a frame that is whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) window: u16,
    /// Octets of text.
    pub(crate) length: u32,
    /// The shift that a SYN announces.
    pub(crate) scale: Option<u8>,
}

impl Segment {
    /// Takes an Ethernet frame apart. `None` when it has no TCP in it.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        if frame.get(12..14)? != [0x08, 0x00] || *frame.get(23)? != 6 {
            return None;
        }
        let ip = frame.get(14..)?;
        let total = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
        let tcp = ip.get(usize::from(ip[0] & 0xf) * 4..total)?;
        let number = |at: usize| Some(u32::from_be_bytes(tcp.get(at..at + 4)?.try_into().ok()?));
        let header = usize::from(*tcp.get(12)? >> 4) * 4;
        let flags = *tcp.get(13)?;
        let syn = flags & 2 != 0;
        Some(Self {
            seq: number(4)?,
            ack: if flags & 16 != 0 { number(8) } else { None },
            syn,
            window: u16::from_be_bytes([*tcp.get(14)?, *tcp.get(15)?]),
            length: u32::try_from(tcp.len().checked_sub(header)?).ok()?,
            scale: if syn { scale(tcp.get(20..header)?) } else { None },
        })
    }
}

fn scale(mut options: &[u8]) -> Option<u8> {
    loop {
        match options {
            [] | [0, ..] | [_] => return None,
            [1, rest @ ..] => options = rest,
            [3, 3, shift, ..] => return Some(*shift),
            [_, length, ..] => options = options.get(usize::from(*length).max(2)..)?,
        }
    }
}

/// What one end has been told of its peer's window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    shift: Option<u8>,
    edge: Option<u32>,
}

impl Allowance {
    /// A segment of the peer has arrived.
    pub(crate) fn learn(&mut self, segment: &Segment) {
        if segment.syn {
            self.shift = segment.scale;
        }
        let Some(ack) = segment.ack else { return };
        let shift = if segment.syn { 0 } else { self.shift.unwrap_or(0) };
        let edge = ack.wrapping_add(u32::from(segment.window) << shift);
        self.edge = Some(self.edge.map_or(edge, |known| if is_after(edge, known) { edge } else { known }));
    }

    /// Whether a segment may be sent: within the window, or a probe of one octet (RFC 9293 §3.8.6.1).
    pub(crate) fn permits(&self, segment: &Segment) -> bool {
        let end = segment.seq.wrapping_add(segment.length);
        segment.syn || segment.length <= 1 || self.edge.is_some_and(|edge| !is_after(end, edge))
    }
}

fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}
