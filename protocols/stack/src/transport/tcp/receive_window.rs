//! The receive window (RFC 9293 §3.8.6).
//!
//! Responsible for the receive sequence variables, for what window is announced and when that is worth a segment, and for
//! letting the buffer grow with the application's pace. The right edge never moves left (SHLD-14).

use super::options::SackBlock;
use super::sequence::SequenceNumber;

/// RCV.BUFF at first: what fits the window field of a SYN.
pub(crate) const INITIAL_BUFFER: usize = 65_535;

/// Segments at the beginning that are acknowledged one by one: a peer whose initial window is ten segments (RFC 6928) has
/// doubled it by then.
const QUICK_ACKNOWLEDGMENTS: u8 = 16;

/// Receive sequence variables (RFC 9293 §3.3.1).
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    /// RCV.NXT: the next sequence number expected.
    pub(crate) nxt: SequenceNumber,
    /// The right edge that the peer knows: RCV.NXT + RCV.WND.
    pub(crate) edge: SequenceNumber,
    /// The peer's initial sequence number.
    pub(crate) irs: SequenceNumber,
    /// Last.ACK.sent (RFC 7323 §4.3).
    pub(crate) last_ack_sent: SequenceNumber,
    /// Rcv.Wind.Shift (RFC 7323 §2.2).
    pub(crate) shift: u8,
    /// RCV.UP: the octet after the peer's urgent data, while it lies ahead (RFC 9293 §3.8.5).
    pub(crate) up: Option<SequenceNumber>,
    /// Octets that came twice, to be told with the next acknowledgment (RFC 2883).
    pub(crate) duplicate: Option<SackBlock>,
    /// RCV.BUFF.
    pub(crate) buffer: usize,
    /// The largest segment seen: what the peer calls full-sized.
    pub(crate) segment_size: u32,
    /// So many segments more are acknowledged at once.
    pub(crate) quick_acknowledgments: u8,
    /// Octets that the application has consumed since the buffer last grew.
    consumed: usize,
}

impl ReceiveWindow {
    /// After the peer's SYN with number `irs` has come. `buffer` is what our SYN announced.
    pub(crate) fn new(irs: SequenceNumber, shift: u8, buffer: usize) -> Self {
        let nxt = irs + 1;
        Self {
            nxt,
            edge: nxt + buffer.min(INITIAL_BUFFER) as u32,
            irs,
            last_ack_sent: nxt,
            shift,
            up: None,
            duplicate: None,
            buffer,
            segment_size: 536,
            quick_acknowledgments: QUICK_ACKNOWLEDGMENTS,
            consumed: 0,
        }
    }

    /// RCV.WND, as the peer knows it.
    pub(crate) fn wnd(&self) -> u32 {
        self.edge - self.nxt
    }

    /// RFC 9293 §3.10.7.4, Table 6: the segment acceptability test.
    ///
    /// One case more than in the table is let through: an empty segment at the right edge. A peer that has filled the window
    /// acknowledges from there, and if some of what filled it is lost, its acknowledgments are as good as any (the concern of
    /// appendix A.2).
    pub(crate) fn is_acceptable(&self, seq: SequenceNumber, length: u32) -> bool {
        let in_window = |at: SequenceNumber| self.nxt <= at && at < self.edge;
        match (length, self.wnd()) {
            (0, _) => in_window(seq) || seq == self.edge,
            (_, 0) => false,
            (_, _) => in_window(seq) || in_window(seq + length - 1),
        }
    }

    /// Where the right edge may be, with `user` octets in the receive queue (RCV.USER).
    ///
    /// RFC 9293 §3.8.6.2.2: it stays where it is until it can move by a full-sized segment or half the buffer.
    pub(crate) fn edge_to_announce(&self, user: usize) -> SequenceNumber {
        let free = self.buffer.saturating_sub(user) as u32;
        // The window field cannot say more than 2¹⁶ - 1 units, and nothing between units.
        let free = (free.min(0xffff << self.shift) >> self.shift) << self.shift;
        let edge = self.nxt + free;
        let step = self.segment_size.min(self.buffer as u32 / 2).max(1);
        if edge > self.edge && edge - self.edge >= step { edge } else { self.edge }
    }

    /// SEG.WND for that edge, rounded down where the field cannot say it. The peer may then see the edge move left by less than
    /// a unit (RFC 7323 §2.4); what it has sent up to the old edge is still taken.
    pub(crate) fn field(&self, edge: SequenceNumber) -> u16 {
        let window = (edge - self.nxt) >> self.shift;
        window.min(0xffff) as u16
    }

    /// A segment has gone out with this edge, acknowledging all that has come.
    pub(crate) fn announced(&mut self, edge: SequenceNumber) {
        self.edge = self.edge.max(edge);
        self.last_ack_sent = self.nxt;
        self.duplicate = None;
    }

    /// Whether the window is worth an acknowledgment of its own: the peer could send at least two full-sized segments more,
    /// or half the buffer, and has used half of what it had.
    pub(crate) fn update_is_due(&self, user: usize) -> bool {
        let edge = self.edge_to_announce(user);
        let gain = edge - self.edge;
        let half = self.buffer as u32 / 2;
        gain > 0 && gain >= (2 * self.segment_size).min(half) && self.wnd() <= half
    }

    /// The application has consumed octets. It keeps up, so the buffer doubles each time that it has taken half of it, up to
    /// `maximum`.
    pub(crate) fn consumed(&mut self, octets: usize, maximum: usize) {
        self.consumed += octets;
        if self.consumed >= self.buffer / 2 {
            self.consumed = 0;
            self.buffer = (self.buffer * 2).min(maximum).max(self.buffer);
        }
    }

    /// A segment with text has come: SHLD-19 counts in the peer's full-sized segments.
    pub(crate) fn saw_segment(&mut self, size: u32) {
        self.segment_size = self.segment_size.max(size);
    }

    /// Octets that have come and are not acknowledged.
    pub(crate) fn unacknowledged(&self) -> u32 {
        self.nxt - self.last_ack_sent
    }
}

/// Rcv.Wind.Shift for a buffer that may grow to `maximum` (RFC 7323 §2.3).
pub(crate) fn shift_for(maximum: usize) -> u8 {
    (0..super::options::MAXIMUM_WINDOW_SHIFT).find(|shift| maximum >> shift <= 0xffff).unwrap_or(14)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IRS: SequenceNumber = SequenceNumber(u32::MAX - 10);

    fn window(buffer: usize) -> ReceiveWindow {
        ReceiveWindow::new(IRS, 0, buffer)
    }

    #[test]
    fn table_6() {
        let mut window = window(1000);
        let nxt = window.nxt;
        assert!(window.is_acceptable(nxt, 0) && window.is_acceptable(nxt + 999, 0));
        assert!(!window.is_acceptable(nxt - 1, 0) && !window.is_acceptable(nxt + 1001, 0));
        assert!(window.is_acceptable(nxt + 1000, 0), "the case that is not in the table");
        assert!(window.is_acceptable(nxt - 5, 6) && !window.is_acceptable(nxt - 5, 5));
        assert!(window.is_acceptable(nxt + 999, 100) && !window.is_acceptable(nxt + 1000, 100));
        window.edge = nxt;
        assert!(window.is_acceptable(nxt, 0) && !window.is_acceptable(nxt + 1, 0));
        assert!(!window.is_acceptable(nxt, 1));
    }

    #[test]
    fn the_edge_does_not_move_in_small_steps_nor_back() {
        let mut window = window(10_000);
        let edge = window.edge;
        window.nxt += 2000;
        assert_eq!(window.edge_to_announce(2000), edge);
        assert_eq!(window.edge_to_announce(1500), edge, "500 octets are less than a segment");
        assert_eq!(window.edge_to_announce(1400), edge + 600);
        assert_eq!(window.edge_to_announce(9000), edge, "the queue holds more than planned");
        assert_eq!(window.field(edge), 8000);
    }

    #[test]
    fn a_scaled_window_is_rounded_down_and_the_edge_stays() {
        let mut window = ReceiveWindow::new(IRS, 7, 60_000);
        window.nxt += 100;
        assert_eq!(u32::from(window.field(window.edge)) << 7, 59_776, "59 900 octets are left");
        window.announced(window.edge);
        assert!(window.is_acceptable(window.nxt + 59_899, 1));
    }

    #[test]
    fn the_buffer_grows_as_the_application_consumes() {
        let mut window = window(65_535);
        window.consumed(32_766, 1 << 20);
        assert_eq!(window.buffer, 65_535);
        window.consumed(1, 1 << 20);
        assert_eq!(window.buffer, 131_070);
        for _ in 0..10 {
            window.consumed(1 << 20, 1 << 20);
        }
        assert_eq!(window.buffer, 1 << 20);
    }

    #[test]
    fn shifts() {
        assert_eq!(shift_for(65_535), 0);
        assert_eq!(shift_for(65_536), 1);
        assert_eq!(shift_for(4 << 20), 7);
        assert_eq!(shift_for(usize::MAX), 14);
    }
}
