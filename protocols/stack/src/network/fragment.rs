//! Cutting a datagram into fragments (RFC 791 §3.2, the procedure in the example).
//!
//! Responsible for the fragments' headers and for the slices of data that belong to each. Nothing is copied.

use smallvec::SmallVec;

use super::ipv4::{HEADER_LENGTH, Header};

/// The data of one fragment.
pub(crate) type Slices<'a> = SmallVec<[&'a [u8]; 8]>;

/// The fragments of a datagram whose data are `transport` and then `payload`, each with its header. `mtu` is the size
/// of a fragment with its header at most. Options are in the first fragment's header only: those that we send are not
/// of the kind that is copied.
pub(crate) fn cut<'a>(
    header: &Header,
    mtu: usize,
    transport: &'a [u8],
    payload: &'a [&'a [u8]],
) -> impl Iterator<Item = (Header, Slices<'a>)> {
    let header = *header;
    let data = header.total_length - header.header_length;
    let mut rest = std::iter::once(transport).chain(payload.iter().copied());
    let mut current: &[u8] = &[];
    let mut offset = 0;
    std::iter::from_fn(move || {
        if offset >= data {
            return None;
        }
        let header_length = if offset == 0 { header.header_length } else { HEADER_LENGTH };
        // All but the last are multiples of eight octets.
        let length = (mtu.saturating_sub(header_length) & !7).max(8).min(data - offset);
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
        let part = Header {
            header_length,
            total_length: header_length + length,
            more_fragments: offset + length < data,
            fragment_offset: offset,
            ..header
        };
        offset += length;
        Some((part, slices))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    proptest! {
        #[test]
        fn fragments_cover_the_datagram_without_gap_or_overlap(
            transport in proptest::collection::vec(any::<u8>(), 0..60),
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..6),
            mtu in 68usize..600,
            options in 0usize..=10,
        ) {
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let whole = [transport.clone(), pieces.concat()].concat();
            let header = Header {
                header_length: 20 + options * 4,
                total_length: 20 + options * 4 + whole.len(),
                traffic_class: 0,
                identification: 7,
                dont_fragment: false,
                more_fragments: false,
                fragment_offset: 0,
                time_to_live: 64,
                protocol: 17,
                source: Ipv4Addr::LOCALHOST,
                destination: Ipv4Addr::LOCALHOST,
            };
            let mut seen = Vec::new();
            let parts: Vec<_> = cut(&header, mtu, &transport, &slices).collect();
            for (at, (part, data)) in parts.iter().enumerate() {
                prop_assert_eq!(part.fragment_offset, seen.len());
                prop_assert_eq!(part.more_fragments, at + 1 < parts.len());
                prop_assert!(part.total_length <= mtu);
                let data = data.concat();
                prop_assert_eq!(part.header_length, if at == 0 { 20 + options * 4 } else { 20 });
                prop_assert_eq!(part.total_length, part.header_length + data.len());
                seen.extend_from_slice(&data);
            }
            prop_assert_eq!(seen, whole);
        }
    }
}
