//! A message while it is held in memory.
//!
//! Responsible for pieces that grow with the message, so that a small one costs little and a large one is never copied
//! to a larger place. Each piece is reserved from the budget of all sessions before it is allocated.

use crate::memory::{Exhausted, Reservation};

/// The first piece takes a usual message with its trace fields, so that it is written by one system call.
const SMALLEST_PIECE: usize = 8 << 10;
const LARGEST_PIECE: usize = 256 << 10;

/// The bytes of one message, trace fields first.
#[derive(Debug)]
pub(crate) struct Content {
    pieces: Vec<Vec<u8>>,
    length: usize,
    reservation: Reservation,
}

impl Content {
    pub(crate) fn new(reservation: Reservation) -> Self {
        Self { pieces: Vec::new(), length: 0, reservation }
    }

    /// Appends bytes. After an error some of them may have been appended.
    pub(crate) fn append(&mut self, mut bytes: &[u8]) -> Result<(), Exhausted> {
        while !bytes.is_empty() {
            match self.pieces.last_mut().filter(|piece| piece.len() < piece.capacity()) {
                Some(piece) => {
                    let count = bytes.len().min(piece.capacity() - piece.len());
                    let (now, later) = bytes.split_at(count);
                    piece.extend_from_slice(now);
                    self.length += count;
                    bytes = later;
                }
                None => {
                    let size = self.length.clamp(SMALLEST_PIECE, LARGEST_PIECE);
                    self.reservation.grow(size)?;
                    self.pieces.push(Vec::with_capacity(size));
                }
            }
        }
        Ok(())
    }

    /// Forgets everything and gives the memory back.
    pub(crate) fn clear(&mut self) {
        self.pieces = Vec::new();
        self.length = 0;
        self.reservation.release();
    }

    /// The bytes, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(Vec::as_slice)
    }

    /// How many `Received` fields the header section has (RFC 5321 §6.3).
    pub(crate) fn hops(&self) -> usize {
        const FIELD: &[u8] = b"received:";
        let mut hops = 0;
        // How much of the field's name the line has so far; `None` once it differs.
        let mut matched = Some(0);
        let mut line_length = 0;
        for byte in self.pieces.iter().flatten() {
            match byte {
                b'\n' if line_length == 0 => break,
                b'\n' => (matched, line_length) = (Some(0), 0),
                b'\r' => {}
                byte => {
                    line_length += 1;
                    matched = matched.filter(|place| FIELD.get(*place) == Some(&byte.to_ascii_lowercase()));
                    matched = matched.map(|place| place + 1);
                    hops += usize::from(matched == Some(FIELD.len()));
                }
            }
        }
        hops
    }
}

#[cfg(test)]
mod tests {
    use prometheus::IntGauge;

    use super::*;
    use crate::memory::Budget;

    fn content(limit: usize) -> Content {
        Content::new(Budget::new(limit, IntGauge::new("held", "held").unwrap()).reservation())
    }

    #[test]
    fn bytes_come_back_as_they_went_in() {
        let mut content = content(usize::MAX);
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        for part in bytes.chunks(777) {
            content.append(part).unwrap();
        }
        assert_eq!(content.pieces().collect::<Vec<_>>().concat(), bytes);
    }

    #[test]
    fn the_budget_bounds_it_and_is_given_back() {
        let mut content = content(20 << 10);
        assert_eq!(content.append(&[b'x'; 16 << 10]), Ok(()));
        assert_eq!(content.append(b"x"), Err(Exhausted));
        content.clear();
        assert_eq!(content.append(b"x"), Ok(()));
        assert_eq!(content.pieces().collect::<Vec<_>>(), [b"x"]);
    }

    #[test]
    fn hops_are_counted_in_the_header_section_only() {
        let hops = |text: &str| {
            let mut content = content(usize::MAX);
            content.append(text.as_bytes()).unwrap();
            content.hops()
        };
        assert_eq!(hops(""), 0);
        assert_eq!(hops("Received: a\r\nRECEIVED:b\r\n received: c\r\nX-Received: d\r\n\r\nReceived: e\r\n"), 2);
        assert_eq!(hops("Received"), 0);
        assert_eq!(hops("received:\n\nreceived:"), 1);
    }
}
