use super::*;
use proptest::prelude::*;
use std::time::Duration;

const HEADER: [u8; 20] = [0x45; 20];

fn key(identification: u32) -> Key {
    Key { source: [192, 0, 2, 1].into(), destination: [192, 0, 2, 2].into(), protocol: 17, identification }
}

fn fragment(offset: usize, data: &[u8], more: bool) -> Fragment<'_> {
    Fragment { key: key(1), offset, more, traffic_class: 0, group: false, header: &HEADER, data }
}

fn at(seconds: u64) -> Instant {
    Instant::START + Duration::from_secs(seconds)
}

struct Bench {
    reassembly: Reassembly,
    counters: ReassemblyCounters,
}

impl Bench {
    fn new(limits: ReassemblyLimits) -> Self {
        Self { reassembly: Reassembly::new(limits, 1), counters: ReassemblyCounters::default() }
    }

    fn receive(&mut self, fragment: &Fragment<'_>) -> Option<Datagram> {
        self.reassembly.receive(at(0), fragment, &mut self.counters)
    }
}

fn bench() -> Bench {
    Bench::new(ReassemblyLimits::default())
}

#[test]
fn fragments_that_cannot_be_are_refused() {
    let mut bench = bench();
    for bad in [
        fragment(0, &[], true),
        fragment(0, &[1; 9], true),
        // RFC 791 §3.1: the total length, header included, has 16 bits.
        fragment(65_512, &[1; 8], false),
    ] {
        assert_eq!(bench.receive(&bad), None);
    }
    assert_eq!(bench.counters.bad_fragment, 3);
    assert_eq!(bench.reassembly.memory(), 0);
    assert_eq!(bench.reassembly.next_deadline(), None);
}

#[test]
fn an_overlap_makes_the_datagram_void_and_what_follows_too() {
    // RFC 5722 §4.
    for overlap in [
        fragment(8, &[2; 16], true),
        fragment(16, &[2; 16], true),
        fragment(0, &[2; 8], true),
        // The end is before what has come, or a second end is elsewhere.
        fragment(0, &[2; 16], false),
    ] {
        let mut bench = bench();
        assert_eq!(bench.receive(&fragment(0, &[1; 24], true)), None);
        assert_eq!(bench.receive(&overlap), None);
        assert_eq!(bench.counters.overlapping, 1, "{overlap:?}");
        assert_eq!(bench.receive(&fragment(24, &[1; 8], false)), None);
        assert_eq!(bench.receive(&fragment(0, &[1; 24], true)), None);
        assert_eq!(bench.counters.after_overlap, 2);
        assert_eq!(bench.reassembly.expire(at(30), &mut bench.counters), None, "no error is sent about it");
        assert_eq!(bench.reassembly.memory(), 0);
    }
}

#[test]
fn nothing_lies_behind_the_end() {
    for behind in [fragment(32, &[1; 8], true), fragment(16, &[1; 16], true), fragment(32, &[1; 8], false)] {
        let mut bench = bench();
        assert_eq!(bench.receive(&fragment(16, &[1; 8], false)), None);
        assert_eq!(bench.receive(&behind), None);
        assert_eq!(bench.counters.overlapping, 1, "{behind:?}");
    }
}

#[test]
fn the_same_fragment_twice_is_ignored() {
    let mut bench = bench();
    assert_eq!(bench.receive(&fragment(8, &[2; 4], false)), None);
    assert_eq!(bench.receive(&fragment(8, &[9; 4], false)), None);
    assert_eq!(bench.counters.duplicates, 1);
    let datagram = bench.receive(&fragment(0, &[1; 8], true)).unwrap();
    assert_eq!(&*datagram.payload, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(&*datagram.header, HEADER);
    assert_eq!(bench.reassembly.memory(), 0);
}

#[test]
fn ecn_marks_are_joined_as_rfc_3168_section_5_3_says() {
    for (first, last, expected) in [(2, 3, Some(3)), (1, 2, Some(1)), (0, 0, Some(0)), (0, 3, None), (3, 0, None)] {
        let mut bench = bench();
        let head = Fragment { traffic_class: 0xb8 | first, ..fragment(0, &[1; 8], true) };
        let tail = Fragment { traffic_class: 0xb8 | last, ..fragment(8, &[1; 8], false) };
        assert_eq!(bench.receive(&head), None);
        let class = bench.receive(&tail).map(|datagram| datagram.traffic_class);
        assert_eq!(class, expected.map(|ecn| 0xb8 | ecn), "{first} and {last}");
        assert_eq!(bench.counters.contradicting_ecn, u64::from(expected.is_none()));
    }
}

#[test]
fn a_datagram_has_thirty_seconds() {
    let mut bench = bench();
    assert_eq!(bench.receive(&fragment(0, &[1; 16], true)), None);
    let later = Fragment { key: key(2), ..fragment(24, &[1; 8], false) };
    assert_eq!(bench.reassembly.receive(at(1), &later, &mut bench.counters), None);
    assert_eq!(bench.reassembly.next_deadline(), Some(at(30)));
    assert_eq!(bench.reassembly.expire(at(29), &mut bench.counters), None);
    let expired = bench.reassembly.expire(at(31), &mut bench.counters).unwrap();
    assert_eq!((expired.key, &*expired.payload), (key(1), &[1u8; 16][..]));
    assert_eq!(bench.reassembly.expire(at(31), &mut bench.counters), None, "without its first fragment: no error");
    assert_eq!(bench.counters.timed_out, 2);
}

#[test]
fn numbers_are_bounded() {
    let mut bench = Bench::new(ReassemblyLimits { datagrams: 2, fragments: 3, ..ReassemblyLimits::default() });
    for identification in 1..=3 {
        let start = Fragment { key: key(identification), ..fragment(0, &[1; 8], true) };
        assert_eq!(bench.receive(&start), None);
    }
    assert_eq!(bench.counters.evicted, 1);
    for number in 1..=3 {
        let next = Fragment { key: key(3), ..fragment(number * 8, &[1; 8], true) };
        assert_eq!(bench.receive(&next), None);
    }
    assert_eq!(bench.counters.over_limit, 1);
}

#[test]
fn when_memory_is_short_the_oldest_datagram_gives_way() {
    let mut bench = Bench::new(ReassemblyLimits { memory: 5000, ..ReassemblyLimits::default() });
    for identification in 1..=4 {
        let start = Fragment { key: key(identification), ..fragment(0, &[1; 1480], true) };
        assert_eq!(bench.receive(&start), None);
        assert!(bench.reassembly.memory() <= 5000);
    }
    assert_eq!(bench.counters.evicted, 2);
    let end = Fragment { key: key(4), ..fragment(1480, &[1; 8], false) };
    assert!(bench.receive(&end).is_some(), "the newest is still there");
    let end = Fragment { key: key(1), ..fragment(1480, &[1; 8], false) };
    assert_eq!(bench.receive(&end), None);
}

proptest! {
    #[test]
    fn any_order_and_duplication_gives_the_original(
        data in proptest::collection::vec(any::<u8>(), 1..5000),
        units in 1usize..80,
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let step = units * 8;
        let fragments: Vec<Fragment<'_>> = (0..data.len())
            .step_by(step)
            .map(|at| fragment(at, &data[at..data.len().min(at + step)], at + step < data.len()))
            .collect();
        let mut bench = bench();
        let mut complete = Vec::new();
        let mut seen = vec![false; fragments.len()];
        // As chance has it, with repetitions, until all have come; then what is missing.
        let chance = order.iter().map(|index| index.index(fragments.len()));
        for which in chance.chain(0..fragments.len()) {
            if seen.iter().all(|&seen| seen) {
                break;
            }
            seen[which] = true;
            complete.extend(bench.receive(&fragments[which]));
        }
        prop_assert_eq!(complete.len(), 1);
        prop_assert_eq!(&*complete[0].payload, &data[..]);
        prop_assert_eq!(bench.reassembly.memory(), 0);
        prop_assert_eq!(bench.counters.overlapping, 0);
    }

    #[test]
    fn arbitrary_fragments_never_give_a_datagram_with_a_gap_nor_too_much_memory(
        pieces in proptest::collection::vec((0usize..40, 0usize..60, any::<bool>()), 1..60)
    ) {
        let limits = ReassemblyLimits { memory: 3000, ..ReassemblyLimits::default() };
        let mut bench = Bench::new(limits);
        // Octet n of the datagram is n: what is put together must show that.
        let whole: Vec<u8> = (0..=255).chain(0..=255).collect();
        for (unit, length, more) in pieces {
            let (start, end) = (unit * 8, (unit * 8 + length).min(whole.len()));
            if let Some(datagram) = bench.receive(&fragment(start, &whole[start.min(end)..end], more)) {
                prop_assert_eq!(&*datagram.payload, &whole[..datagram.payload.len()]);
            }
            prop_assert!(bench.reassembly.memory() <= limits.memory);
        }
    }
}
