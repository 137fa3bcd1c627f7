use super::*;
use proptest::prelude::*;

fn header() -> Header {
    Header {
        header_length: HEADER_LENGTH,
        total_length: HEADER_LENGTH + 4,
        traffic_class: 0xb9,
        identification: 0x1234,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        time_to_live: 64,
        protocol: 17,
        source: Ipv4Addr::new(192, 0, 2, 1),
        destination: Ipv4Addr::new(192, 0, 2, 2),
    }
}

fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header.emit(&[]).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// A header with options, its length and checksum put right.
fn with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = header().emit(&[]).to_vec();
    bytes.extend_from_slice(options);
    bytes[0] = 0x40 | (bytes.len() / 4) as u8;
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[10..12].fill(0);
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn padding_behind_the_total_length_is_left_out() {
    let bytes = packet(header(), b"dataPADDING");
    let parsed = parse(&bytes).unwrap();
    assert_eq!(parsed.header, header());
    assert_eq!(parsed.payload, b"data");
}

#[test]
fn each_defect_is_told_apart() {
    let good = packet(header(), b"data");
    assert_eq!(parse(&good[..19]), Err(Malformed::TooShort));
    let mut bad = good.clone();
    bad[0] = 0x65;
    assert_eq!(parse(&bad), Err(Malformed::Version));
    bad[0] = 0x44;
    assert_eq!(parse(&bad), Err(Malformed::HeaderLength));
    bad[0] = 0x4f;
    assert_eq!(parse(&bad), Err(Malformed::HeaderLength));
    let mut bad = good.clone();
    bad[8] ^= 1;
    assert_eq!(parse(&bad), Err(Malformed::Checksum));
    assert_eq!(parse(&good[..23]), Err(Malformed::TotalLength));
    let short = Header { total_length: 19, ..header() };
    assert_eq!(parse(&packet(short, b"data")), Err(Malformed::TotalLength));
}

#[test]
fn options_are_walked_and_source_routes_refused() {
    // No operation, record route, end, padding.
    let fine = with_options(&[1, 7, 3, 4, 0, 0, 0, 0]);
    let parsed = parse(&fine).unwrap();
    assert_eq!(parsed.header.header_length, 28);
    assert_eq!(check_options(parsed.header_octets), Ok(()));
    for kind in [131, 137] {
        let bytes = with_options(&[1, kind, 7, 4, 192, 0, 2, 9]);
        assert_eq!(check_options(parse(&bytes).unwrap().header_octets), Err(OptionError::SourceRoute));
    }
    // RFC 792: the pointer names the octet where the error was detected, here the option's length.
    for options in [[1, 7, 1, 0], [1, 7, 4, 0], [1, 1, 1, 7]] {
        let bytes = with_options(&options);
        let at = 20 + options.iter().position(|&octet| octet == 7).unwrap() as u8 + 1;
        assert_eq!(check_options(parse(&bytes).unwrap().header_octets), Err(OptionError::Malformed(at)));
    }
}

proptest! {
    #[test]
    fn any_octets_parse_or_not_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = parse(&bytes);
        if parse_header(&bytes).is_ok() {
            let _ = check_options(&bytes);
        }
    }

    #[test]
    fn a_header_survives_the_round_trip(
        traffic_class in any::<u8>(), identification in any::<u16>(), flags in any::<[bool; 2]>(),
        offset in 0usize..8192, time_to_live in any::<u8>(), protocol in any::<u8>(), addresses in any::<[[u8; 4]; 2]>()
    ) {
        let header = Header {
            traffic_class, identification, time_to_live, protocol,
            dont_fragment: flags[0],
            more_fragments: flags[1],
            fragment_offset: offset * 8,
            source: addresses[0].into(),
            destination: addresses[1].into(),
            ..header()
        };
        let bytes = packet(header, b"data");
        prop_assert_eq!(parse(&bytes).unwrap().header, header);
    }
}
