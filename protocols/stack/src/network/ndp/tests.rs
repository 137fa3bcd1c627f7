use super::*;
use proptest::prelude::*;

const MAC: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 7]);

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

#[test]
fn solicitations_and_advertisements_survive_the_round_trip() {
    let target = address("2001:db8::7");
    for source in [None, Some(MAC)] {
        let octets = neighbor_solicitation(target, source);
        assert_eq!(parse(&octets), Some(Message::NeighborSolicitation { target, source }));
    }
    for flags in 0..8 {
        let advertisement = Advertisement {
            target,
            hardware_address: (flags > 3).then_some(MAC),
            router: flags & 1 != 0,
            solicited: flags & 2 != 0,
            overrides: flags & 4 != 0,
        };
        let octets = neighbor_advertisement(&advertisement);
        assert_eq!(parse(&octets), Some(Message::NeighborAdvertisement(advertisement)));
    }
}

#[test]
fn what_rfc_4861_sections_7_1_and_4_6_forbid_is_dropped_whole() {
    let good = neighbor_solicitation(address("2001:db8::7"), Some(MAC));
    let with = |place: usize, value: u8| {
        let mut octets = good.clone();
        octets[place] = value;
        parse(&octets)
    };
    assert!(parse(&good).is_some());
    assert_eq!(parse(&good[..23]), None, "less than 24 octets");
    assert_eq!(with(1, 1), None, "a code");
    assert_eq!(with(8, 0xff), None, "a multicast target");
    assert_eq!(with(25, 0), None, "an option of length nought");
    assert_eq!(with(25, 2), None, "an option beyond the message");
    assert_eq!(parse(&good[..25]), None, "half an option");
    // An address that cannot be one is no address.
    let target = address("2001:db8::7");
    assert_eq!(with(26, 3), Some(Message::NeighborSolicitation { target, source: None }));
    assert_eq!(parse(&[kind::REDIRECT, 0, 0, 0, 0, 0, 0, 0]), None, "less than 40 octets");
}

/// An advertisement with a prefix of 64 bits, an MTU, a hardware address and an option that nobody knows.
fn advertisement() -> Vec<u8> {
    let mut octets = vec![kind::ROUTER_ADVERTISEMENT, 0, 0, 0, 61, 0b0000_1000, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    octets.extend([1, 1, 2, 0, 0, 0, 0, 7]);
    octets.extend([5, 1, 0, 0, 0, 0, 0x05, 0xdc]);
    octets.extend([3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    octets.extend(address("2001:db8:1::").octets());
    octets.extend([99, 1, 0, 0, 0, 0, 0, 0]);
    octets
}

#[test]
fn routers_are_recognized_and_not_read() {
    assert_eq!(parse(&advertisement()), Some(Message::RouterAdvertisement));
    assert_eq!(parse(&advertisement()[..15]), None, "less than 16 octets");
    let mut octets = advertisement();
    octets[17] = 0;
    assert_eq!(parse(&octets), None, "an option of length nought");
    assert_eq!(parse(&[kind::ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]), Some(Message::RouterSolicitation));
}

proptest! {
    #[test]
    fn any_octets_parse_or_not_without_a_panic(
        kind in 133u8..=138, bytes in proptest::collection::vec(any::<u8>(), 0..120)
    ) {
        let _ = parse(&bytes);
        let _ = parse(&[&[kind, 0, 0, 0][..], &bytes].concat());
    }

    #[test]
    fn an_advertisement_with_some_octets_changed_never_panics(
        changes in proptest::collection::vec((0usize..72, any::<u8>()), 1..6)
    ) {
        let mut octets = advertisement();
        for (place, value) in changes {
            octets[place] = value;
        }
        let _ = parse(&octets);
    }
}
