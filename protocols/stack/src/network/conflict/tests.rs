use super::*;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const STATION: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 9]);

fn at(milliseconds: u64) -> Instant {
    Instant::START + Duration::from_millis(milliseconds)
}

fn claims(probe: bool, defence: Defence) -> Claims {
    let addresses = vec![(OWN.into(), 24)];
    Claims::new(
        &Configuration { addresses, probe, defence, announce: probe, ..Configuration::default() },
        at(0),
        [1; 32],
    )
}

fn packet(sender: Ipv4Addr, target: Ipv4Addr) -> Packet {
    Packet {
        operation: Operation::Request,
        sender_hardware: STATION,
        sender,
        target_hardware: HardwareAddress::default(),
        target,
    }
}

/// Runs the timers to their end: what was done when.
fn run(claims: &mut Claims) -> Vec<(Instant, Action)> {
    let mut done = Vec::new();
    while let Some(now) = claims.next_deadline() {
        while let Some(action) = claims.expire(now) {
            done.push((now, action));
        }
    }
    done
}

#[test]
fn an_address_is_probed_three_times_and_announced_twice() {
    let mut claims = claims(true, Defence::Always);
    assert!(claims.in_use().is_empty());
    let done = run(&mut claims);
    let actions: Vec<Action> = done.iter().map(|&(_, action)| action).collect();
    let (probe, announce) = (Action::Probe(OWN), Action::Announce(OWN));
    assert_eq!(actions, [probe, probe, probe, Action::Changed, announce, announce]);
    let times: Vec<Duration> = done.iter().map(|&(time, _)| time.since(at(0))).collect();
    assert!(times[0] <= PROBE_WAIT);
    for pair in times[..3].windows(2) {
        assert!((PROBE_MIN..=PROBE_MAX).contains(&(pair[1] - pair[0])));
    }
    assert_eq!(times[3] - times[2], ANNOUNCE_WAIT);
    assert_eq!((times[4] - times[3], times[5] - times[4]), (Duration::ZERO, ANNOUNCE_INTERVAL));
    assert_eq!(claims.in_use(), [(OWN.into(), 24)]);
    assert_eq!(claims.next_event(), Some(AddressEvent::Usable(OWN.into())));
    assert_eq!(claims.next_event(), None);
}

#[test]
fn a_conflict_while_probing_stops_the_claim_for_a_minute() {
    // §2.1.1: the other station uses the address, or probes for it as we do.
    for other in [packet(OWN, PEER), packet(Ipv4Addr::UNSPECIFIED, OWN)] {
        let mut claims = claims(true, Defence::Always);
        assert_eq!(claims.expire(at(1000)), Some(Action::Probe(OWN)));
        assert_eq!(claims.hear(at(1100), &other), Heard::Conflict(None));
        assert_eq!(claims.next_event(), Some(AddressEvent::Lost(OWN.into(), STATION)));
        assert!(claims.in_use().is_empty());
        assert_eq!(claims.next_deadline(), Some(at(61_100)));
        // Then from the start, and with success.
        assert_eq!(run(&mut claims).len(), 6);
        assert_eq!(claims.in_use().len(), 1);
    }
}

#[test]
fn others_packets_are_no_conflict() {
    let mut claims = claims(true, Defence::Always);
    assert_eq!(claims.hear(at(0), &packet(PEER, OWN)), Heard::Nothing);
    assert_eq!(claims.hear(at(0), &packet(Ipv4Addr::UNSPECIFIED, PEER)), Heard::Nothing);
    run(&mut claims);
    // §2.1.1: a probe for an address in use is answered, not fought.
    assert_eq!(claims.hear(at(60_000), &packet(Ipv4Addr::UNSPECIFIED, OWN)), Heard::Nothing);
}

#[test]
fn an_address_is_defended_as_configured() {
    // §2.4 (a), (b), (c).
    let conflict = packet(OWN, PEER);
    let defend = Heard::Conflict(Some(Action::Announce(OWN)));
    let yield_to = Heard::Conflict(Some(Action::Changed));
    for (defence, expected) in [
        (Defence::GiveUp, [yield_to, Heard::Conflict(None), Heard::Conflict(None)]),
        (Defence::Once, [defend, yield_to, Heard::Conflict(None)]),
        (Defence::Always, [defend, Heard::Conflict(None), defend]),
    ] {
        let mut claims = claims(false, defence);
        let heard = [0, 9_999, 10_000].map(|time| claims.hear(at(time), &conflict));
        assert_eq!(heard, expected, "{defence:?}");
        assert_eq!(claims.in_use().is_empty(), defence != Defence::Always);
    }
    let mut patient = claims(false, Defence::Once);
    assert_eq!([0, 10_000, 20_000].map(|time| patient.hear(at(time), &conflict)), [defend; 3]);
}

#[test]
fn news_are_bounded() {
    let mut claims = claims(false, Defence::Always);
    for _ in 0..1000 {
        claims.hear(at(0), &packet(OWN, PEER));
    }
    assert_eq!(std::iter::from_fn(|| claims.next_event()).count(), EVENTS);
}
