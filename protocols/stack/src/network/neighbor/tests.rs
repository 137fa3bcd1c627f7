use super::*;
use crate::Offload;

const ONE: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 1]);
const OTHER: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 2]);

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn at(milliseconds: u64) -> Instant {
    Instant::START + Duration::from_millis(milliseconds)
}

fn packet(octets: usize) -> Waiting {
    Waiting::from_iter([Frame { octets: vec![0; octets], offload: Offload::default() }])
}

/// A cache with its counters, and shorter names for what the tests do.
struct Bench {
    cache: Cache,
    counters: ArpCounters,
}

impl Bench {
    fn new(limits: NeighborLimits) -> Self {
        Self { cache: Cache::new(limits, [3; 32]), counters: ArpCounters::default() }
    }

    fn resolve(&mut self, milliseconds: u64, last: u8) -> Option<HardwareAddress> {
        self.cache.resolve(at(milliseconds), ip(last), &mut self.counters)
    }

    fn learn(&mut self, milliseconds: u64, last: u8, hardware: HardwareAddress, claim: Claim) -> usize {
        self.cache.learn(at(milliseconds), ip(last), hardware, claim, &mut self.counters).len()
    }

    fn wait(&mut self, last: u8, octets: usize) {
        self.cache.wait(ip(last), packet(octets), &mut self.counters);
    }

    fn expire(&mut self, milliseconds: u64) {
        self.cache.expire(at(milliseconds), &mut self.counters);
    }

    fn requests(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        while let Some(request) = self.cache.next_request() {
            requests.push(request);
            self.cache.request_sent();
        }
        requests
    }

    fn state(&self, milliseconds: u64, last: u8) -> Option<NeighborState> {
        self.cache.rows(at(milliseconds)).iter().find(|row| row.address == ip(last)).map(|row| row.state)
    }
}

/// A cache that has been answered by neighbour 1 at the start.
fn answered() -> Bench {
    let mut bench = Bench::new(NeighborLimits::default());
    assert_eq!(bench.resolve(0, 1), None);
    assert_eq!(bench.requests(), [Request { address: ip(1), to: HardwareAddress::BROADCAST }]);
    bench.learn(0, 1, ONE, Claim::Reply);
    bench
}

#[test]
fn an_answer_counts_for_the_reachable_time_then_the_neighbour_is_stale() {
    let mut bench = answered();
    assert_eq!(bench.state(14_999, 1), Some(NeighborState::Reachable), "half of 30 s at least");
    assert_eq!(bench.state(45_001, 1), Some(NeighborState::Stale), "one and a half at most");
    assert_eq!(bench.resolve(10_000, 1), Some(ONE));
    assert_eq!(bench.cache.next_deadline(), None, "no timer for a neighbour that nobody uses");
}

#[test]
fn a_stale_neighbour_in_use_is_probed_where_it_was() {
    // RFC 4861 §7.3.3.
    let mut bench = answered();
    assert_eq!(bench.resolve(60_000, 1), Some(ONE));
    assert_eq!(bench.state(60_000, 1), Some(NeighborState::Delay));
    assert_eq!(bench.cache.next_deadline(), Some(at(65_000)));
    bench.expire(65_000);
    assert_eq!(bench.state(65_000, 1), Some(NeighborState::Probe));
    assert_eq!(bench.requests(), [Request { address: ip(1), to: ONE }]);
    assert_eq!(bench.resolve(65_100, 1), Some(ONE), "packets go on meanwhile");
    bench.learn(65_200, 1, ONE, Claim::Reply);
    assert_eq!(bench.state(65_200, 1), Some(NeighborState::Reachable));
    assert_eq!(bench.cache.next_deadline(), None);
}

#[test]
fn a_probed_neighbour_that_does_not_answer_is_forgotten() {
    let mut bench = answered();
    bench.resolve(60_000, 1);
    for second in 65..68 {
        bench.expire(second * 1000);
        assert_eq!(bench.requests().len(), 1);
    }
    bench.expire(68_000);
    assert_eq!(bench.state(68_000, 1), None);
    assert_eq!(bench.counters.unresolved, 1);
}

#[test]
fn what_a_transport_knows_spares_the_probe() {
    // RFC 4861 §7.3.1.
    let mut bench = answered();
    bench.resolve(60_000, 1);
    bench.cache.confirm(at(61_000), ip(1));
    assert_eq!(bench.state(61_000, 1), Some(NeighborState::Reachable));
    assert_eq!(bench.cache.next_deadline(), None);
    bench.resolve(61_000, 2);
    bench.cache.confirm(at(61_000), ip(2));
    assert_eq!(bench.state(61_000, 2), Some(NeighborState::Incomplete), "nothing confirms an unknown address");
}

#[test]
fn only_an_answer_confirms_anything_else_corrects() {
    // RFC 4861 §7.2.5.
    let mut bench = answered();
    bench.learn(1000, 1, OTHER, Claim::Overheard);
    assert_eq!(bench.state(1000, 1), Some(NeighborState::Stale));
    assert_eq!(bench.resolve(1000, 1), Some(OTHER));
    bench.learn(1100, 1, OTHER, Claim::RequestForUs);
    assert_eq!(bench.state(1100, 1), Some(NeighborState::Delay), "the same address says nothing new");
    bench.learn(1200, 1, OTHER, Claim::Reply);
    assert_eq!(bench.state(1200, 1), Some(NeighborState::Reachable));
    assert_eq!(bench.counters.changed, 1);
}

#[test]
fn a_request_from_the_one_we_look_for_releases_what_waits() {
    let mut bench = Bench::new(NeighborLimits::default());
    bench.resolve(0, 1);
    bench.wait(1, 100);
    assert_eq!(bench.learn(10, 1, ONE, Claim::RequestForUs), 1);
    assert_eq!(bench.state(10, 1), Some(NeighborState::Delay));
    assert_eq!(bench.cache.waiting_octets(), 0);
    assert_eq!(bench.cache.next_deadline(), Some(at(5010)));
}

#[test]
fn the_oldest_packet_gives_way_and_all_together_have_their_bound() {
    let limits = NeighborLimits { waiting_packets: 3, waiting_octets: 1000, ..NeighborLimits::default() };
    let mut bench = Bench::new(limits);
    bench.resolve(0, 1);
    for octets in [101, 102, 103, 104] {
        bench.wait(1, octets);
    }
    assert_eq!(bench.counters.waiting_overflow, 1);
    assert_eq!(bench.cache.waiting_octets(), 102 + 103 + 104);
    assert_eq!(bench.cache.rows(at(0))[0].queued, 3);
    bench.resolve(0, 2);
    bench.wait(2, 692);
    assert_eq!(bench.counters.waiting_overflow, 2);
    bench.wait(2, 691);
    assert_eq!(bench.cache.waiting_octets(), 1000);
    assert_eq!(bench.learn(0, 1, ONE, Claim::Reply), 3);
    assert_eq!(bench.cache.waiting_octets(), 691);
}

#[test]
fn the_least_useful_neighbour_leaves_first() {
    let limits = NeighborLimits { capacity: 5, ..NeighborLimits::default() };
    let mut bench = Bench::new(limits);
    // 1 in use and answered, 2 stale, 3 stale and used, 4 never used, 5 incomplete.
    bench.resolve(0, 3);
    bench.learn(0, 3, ONE, Claim::Reply);
    bench.resolve(1, 2);
    bench.learn(1, 2, ONE, Claim::Reply);
    bench.resolve(60_000, 1);
    bench.learn(60_000, 1, ONE, Claim::Reply);
    bench.learn(60_000, 4, ONE, Claim::RequestForUs);
    bench.resolve(60_000, 5);
    let mut gone = Vec::new();
    for new in 6..10 {
        bench.resolve(60_001, new);
        gone.extend((1..new).find(|&last| !gone.contains(&last) && bench.state(60_001, last).is_none()));
    }
    assert_eq!(gone, [4, 5, 6, 7], "the never used one, then those that have not answered");
    assert_eq!(bench.counters.evicted, 4);
    assert!(bench.state(60_001, 1).is_some());
    // Nobody makes room for a neighbour that only claims to be one.
    bench.learn(60_002, 9, ONE, Claim::Reply);
    bench.learn(60_002, 20, ONE, Claim::RequestForUs);
    assert_eq!(bench.state(60_002, 20), None);
    assert_eq!(bench.counters.cache_full, 1);
}

#[test]
fn the_same_seed_gives_the_same_times() {
    let times = || {
        let mut bench = answered();
        (0..50)
            .map(|_| {
                bench.learn(100_000, 1, OTHER, Claim::Overheard);
                bench.resolve(100_000, 1);
                bench.learn(100_000, 1, ONE, Claim::Reply);
                bench.cache.reachable_time
            })
            .collect::<Vec<_>>()
    };
    let (one, other) = (times(), times());
    assert_eq!(one, other);
    assert!(one.iter().all(|time| (15..=45).contains(&time.as_secs())));
    assert!(one.iter().any(|time| *time < Duration::from_secs(25)));
    assert!(one.iter().any(|time| *time > Duration::from_secs(35)));
}
