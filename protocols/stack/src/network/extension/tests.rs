use super::*;
use proptest::prelude::*;

/// Walks headers that stand behind a fixed header whose next header is `first`.
fn walked(first: u8, headers: &[u8]) -> Result<Carried, Problem> {
    let mut octets = vec![0; HEADER_LENGTH];
    octets[NEXT_HEADER_OFFSET] = first;
    octets.extend_from_slice(headers);
    walk_packet(&octets)
}

/// Destination or hop-by-hop options whose next header is `next`.
fn options(next: u8, options: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend_from_slice(options);
    while !header.len().is_multiple_of(8) {
        header.push(0);
    }
    header[1] = (header.len() / 8 - 1) as u8;
    header
}

const PADDED: [u8; 6] = [1, 4, 0, 0, 0, 0];

#[test]
fn without_extension_headers_the_payload_comes_at_once() {
    assert_eq!(walked(6, &[]), Ok(Carried::Upper { protocol: 6, offset: 40, pointer: 6 }));
}

#[test]
fn headers_in_the_order_of_rfc_8200_section_4_1_are_skipped() {
    let headers =
        [options(60, &[5, 2, 0, 0, 1, 0]), options(43, &PADDED), vec![60, 0, 7, 0, 0, 0, 0, 0], options(17, &PADDED)]
            .concat();
    assert_eq!(walked(0, &headers), Ok(Carried::Upper { protocol: 17, offset: 72, pointer: 64 }));
}

#[test]
fn a_fragment_header_ends_the_walk() {
    let fragment = FragmentHeader { next_header: 58, offset: 1448, more: true, identification: 0x0102_0304 };
    let headers = [&options(44, &PADDED)[..], &fragment.emit()].concat();
    assert_eq!(walked(0, &headers), Ok(Carried::Fragment { fragment, offset: 48 }));
    assert_eq!(walked(44, &[0; 7]), Err(Problem::TooShort));
}

#[test]
fn a_header_out_of_order_or_twice_is_a_problem_at_its_number() {
    // RFC 8200 §4.1: hop-by-hop options only behind the fixed header.
    assert_eq!(walked(60, &options(0, &PADDED)), Err(Problem::Order(40)));
    assert_eq!(walked(0, &options(0, &PADDED)), Err(Problem::Order(40)));
    let routing = [43, 0, 7, 0, 0, 0, 0, 0];
    assert_eq!(walked(43, &routing), Err(Problem::Order(40)));
    let three = [options(60, &PADDED), options(60, &PADDED), options(17, &PADDED)].concat();
    assert_eq!(walked(60, &three), Err(Problem::Order(48)));
}

#[test]
fn a_routing_header_with_segments_left_is_refused() {
    // RFC 5095 for type 0, RFC 8200 §4.4 for the others.
    for kind in [0, 2, 3, 4, 255] {
        assert_eq!(walked(43, &[17, 0, kind, 1, 0, 0, 0, 0]), Err(Problem::Routing(42)), "type {kind}");
        let skipped = Ok(Carried::Upper { protocol: 17, offset: 48, pointer: 40 });
        assert_eq!(walked(43, &[17, 0, kind, 0, 0, 0, 0, 0]), skipped);
    }
}

#[test]
fn unknown_options_ask_for_what_their_highest_bits_say() {
    // RFC 8200 §4.2.
    let one = |kind: u8| walked(60, &options(17, &[kind, 4, 9, 9, 9, 9]));
    assert!(one(0x1e).is_ok());
    assert_eq!(one(0x5e), Err(Problem::SilentOption));
    assert_eq!(one(0x9e), Err(Problem::Option { pointer: 42, even_for_group: true }));
    assert_eq!(one(0xde), Err(Problem::Option { pointer: 42, even_for_group: false }));
}

#[test]
fn options_beyond_their_header_are_a_problem() {
    assert_eq!(walked(60, &options(17, &[0x1e, 5, 0, 0, 0, 0])), Err(Problem::Header(43)));
    assert_eq!(walked(60, &options(17, &[1, 3, 0, 0, 0, 0x1e])), Err(Problem::Header(47)));
    assert_eq!(walked(60, &[17, 1, 1, 4, 0, 0, 0, 0]), Err(Problem::TooShort));
}

#[test]
fn what_rfc_8504_section_5_3_calls_too_much_is_dropped() {
    // Nine options; padding with contents; more than seven octets of padding; 264 octets of headers.
    assert_eq!(walked(60, &options(17, &[0x1e, 0].repeat(9))), Err(Problem::Limit));
    assert!(walked(60, &options(17, &[0x1e, 0].repeat(8))).is_ok());
    assert_eq!(walked(60, &options(17, &[1, 4, 0, 0, 0, 1])), Err(Problem::Limit));
    assert_eq!(walked(60, &options(17, &[0; 14])), Err(Problem::Limit));
    let full = options(60, &[&[0x1e, 250][..], &[7; 250], &[1, 0]].concat());
    assert_eq!(full.len(), 256);
    assert_eq!(walked(60, &[full, options(17, &PADDED)].concat()), Err(Problem::Limit));
}

#[test]
fn a_router_alert_is_found_among_other_options() {
    let mut octets = vec![0; HEADER_LENGTH];
    octets.extend(options(58, &[0x1e, 1, 9, 0, 5, 2, 0, 0]));
    assert!(has_router_alert(&octets));
    octets[46] = 0x1e;
    assert!(!has_router_alert(&octets));
    octets[46] = 5;
    octets[NEXT_HEADER_OFFSET] = 60;
    assert!(!has_router_alert(&octets));
}

proptest! {
    #[test]
    fn any_octets_are_walked_without_a_panic(
        first in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        if let Ok(Carried::Upper { offset, .. } | Carried::Fragment { offset, .. }) = walked(first, &bytes) {
            prop_assert!(offset <= HEADER_LENGTH + bytes.len());
        }
        let octets = [&[0; HEADER_LENGTH][..], &bytes].concat();
        let _ = has_router_alert(&octets);
    }

    #[test]
    fn chains_of_extension_headers_cost_bounded_work(
        kinds in proptest::collection::vec(prop::sample::select(vec![0u8, 43, 44, 60]), 1..200)
    ) {
        // Whatever the chain, the walk ends within the 256 octets that it may take, or five headers.
        let mut headers = Vec::new();
        for (&kind, &next) in kinds.iter().zip(kinds.iter().skip(1).chain([&17])) {
            headers.extend(if kind == 60 || kind == 0 { options(next, &PADDED) } else { vec![next, 0, 0, 0, 0, 0, 0, 0] });
        }
        match walked(kinds[0], &headers) {
            Ok(Carried::Upper { offset, .. } | Carried::Fragment { offset, .. }) => prop_assert!(offset <= 40 + 256),
            Err(Problem::Order(pointer) | Problem::Routing(pointer)) => prop_assert!(pointer <= 40 + 256),
            Err(problem) => prop_assert!(false, "{problem:?}"),
        }
    }

    #[test]
    fn a_fragment_header_survives_the_round_trip(
        next_header in any::<u8>(), units in 0usize..8192, more in any::<bool>(), identification in any::<u32>()
    ) {
        let fragment = FragmentHeader { next_header, offset: units * 8, more, identification };
        prop_assert_eq!(parse_fragment(&fragment.emit()), Some(fragment));
    }
}
