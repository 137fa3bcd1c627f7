//! Several ranges in one response (RFC 9110 §14.6, `multipart/byteranges`).
//!
//! Responsible for the parts' heads and for their order. Each part's content comes from where that of a single range
//! would.

use std::collections::VecDeque;

use bytes::Bytes;
use tapster_service::Context;

use super::open::About;
use super::range::Span;
use crate::response::write_field;
use crate::{Body, Produced, Producer};

/// The media type and the body for several spans of a file; `part` makes the body of each.
///
/// `random` goes into the boundary, so that nobody can write a file which contains it.
pub(super) fn body(spans: &[Span], about: &About, random: [u64; 2], part: impl Fn(Span) -> Body) -> (String, Body) {
    let boundary = format!("{:016x}{:016x}", random[0], random[1]);
    let mut sequence = Sequence::default();
    for (number, span) in spans.iter().enumerate() {
        let mut head = Vec::new();
        if number > 0 {
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        write_field(&mut head, "Content-Type", about.content_type.as_bytes());
        write_field(&mut head, "Content-Range", span.content_range(about.identity.length).as_bytes());
        head.extend_from_slice(b"\r\n");
        sequence.push(Body::Bytes(head.into()));
        sequence.push(part(*span));
    }
    sequence.push(Body::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    let length = Some(sequence.length);
    let media_type = format!("multipart/byteranges; boundary={boundary}");
    (media_type, Body::Produced { length, producer: Box::new(sequence) })
}

/// Bodies of known length, one after the other.
#[derive(Default)]
struct Sequence {
    pieces: VecDeque<Piece>,
    length: u64,
}

enum Piece {
    Bytes(Bytes),
    Produced { left: u64, producer: Box<dyn Producer> },
}

impl Sequence {
    fn push(&mut self, body: Body) {
        match body {
            Body::Bytes(bytes) if !bytes.is_empty() => {
                self.length += bytes.len() as u64;
                self.pieces.push_back(Piece::Bytes(bytes));
            }
            Body::Produced { length: Some(left), producer } if left > 0 => {
                self.length += left;
                self.pieces.push_back(Piece::Produced { left, producer });
            }
            Body::Bytes(_) | Body::Empty | Body::Produced { .. } => {}
        }
    }
}

impl Producer for Sequence {
    fn produce(&mut self, room: usize, cx: &mut Context<'_>) -> Produced {
        let Some(first) = self.pieces.front_mut() else { return Produced::End };
        match first {
            Piece::Bytes(bytes) if bytes.len() > room => Produced::Bytes(bytes.split_to(room)),
            Piece::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.pieces.pop_front();
                Produced::Bytes(bytes)
            }
            Piece::Produced { left, producer } => {
                let room = usize::try_from(*left).map_or(room, |left| left.min(room));
                let produced = producer.produce(room, cx);
                if let Produced::Bytes(bytes) = &produced {
                    *left = left.saturating_sub(bytes.len() as u64);
                    if *left == 0 {
                        self.pieces.pop_front();
                    }
                }
                produced
            }
        }
    }
}
