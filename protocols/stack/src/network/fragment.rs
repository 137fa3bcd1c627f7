//! Cutting a packet into fragments (RFC 791 §3.2, the procedure in the example; RFC 8200 §4.5).
//!
//! Responsible for the slices of data that belong to each fragment. Not for their headers. Nothing is copied.

use smallvec::SmallVec;

/// The data of one fragment.
pub(crate) type Slices<'a> = SmallVec<[&'a [u8]; 8]>;

/// A fragment's part of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// Octets in front of it: a multiple of eight.
    pub(crate) offset: usize,
    /// Octets of it.
    pub(crate) length: usize,
    /// Whether more follows behind it.
    pub(crate) more: bool,
    /// The octets.
    pub(crate) slices: Slices<'a>,
}

/// The fragments of `data` octets, which are `transport` and then `payload`. The first one has room for so many octets
/// behind its header, the others for so many.
pub(crate) fn cut<'a>(
    data: usize,
    (first, others): (usize, usize),
    transport: &'a [u8],
    payload: &'a [&'a [u8]],
) -> impl Iterator<Item = Piece<'a>> {
    let mut rest = std::iter::once(transport).chain(payload.iter().copied());
    let mut current: &[u8] = &[];
    let mut offset = 0;
    std::iter::from_fn(move || {
        if offset >= data {
            return None;
        }
        // All but the last are multiples of eight octets.
        let room = if offset == 0 { first } else { others };
        let length = (room & !7).max(8).min(data - offset);
        let mut slices = Slices::new();
        let mut missing = length;
        while missing > 0 {
            if current.is_empty() {
                let Some(next) = rest.next() else { break };
                current = next;
                continue;
            }
            let (piece, behind) = current.split_at(missing.min(current.len()));
            slices.push(piece);
            missing -= piece.len();
            current = behind;
        }
        let piece = Piece { offset, length, more: offset + length < data, slices };
        offset += length;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fragments_cover_the_data_without_gap_or_overlap(
            transport in proptest::collection::vec(any::<u8>(), 0..60),
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..6),
            first in 8usize..600,
            others in 8usize..600,
        ) {
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let whole = [transport.clone(), pieces.concat()].concat();
            let mut seen = Vec::new();
            let parts: Vec<_> = cut(whole.len(), (first, others), &transport, &slices).collect();
            for (at, part) in parts.iter().enumerate() {
                prop_assert_eq!(part.offset, seen.len());
                prop_assert_eq!(part.more, at + 1 < parts.len());
                let room = if at == 0 { first } else { others };
                prop_assert!(part.length <= room);
                prop_assert!(part.length.is_multiple_of(8) || !part.more);
                let data = part.slices.concat();
                prop_assert_eq!(part.length, data.len());
                seen.extend_from_slice(&data);
            }
            prop_assert_eq!(seen, whole);
        }
    }
}
