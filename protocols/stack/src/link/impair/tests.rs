use super::*;
use crate::ChecksumOffload;

fn at(microseconds: u64) -> Instant {
    Instant::START + Duration::from_micros(microseconds)
}

fn impairer(impairment: Impairment) -> Impairer<Reception> {
    Impairer::new(impairment, [1; 32])
}

/// A frame of 100 octets that begins with its number.
fn frame(number: u32) -> Vec<u8> {
    let mut octets = vec![0; 100];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    octets
}

/// Sends so many frames, one each millisecond, and gives back what comes out: when, and which.
fn run(impairer: &mut Impairer<Reception>, count: u32) -> Vec<(Instant, u32)> {
    let mut out = Vec::new();
    let mut drain = |impairer: &mut Impairer<Reception>, until: Instant| {
        while let Some(due) = impairer.next_deadline().filter(|&due| due <= until) {
            let before = due - Duration::from_nanos(1);
            assert!(before == due || impairer.next(before).is_none());
            let octets = impairer.next(due).unwrap().octets.clone();
            assert_eq!(impairer.sent().unwrap().octets, octets);
            out.push((due, u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]])));
        }
    };
    for number in 0..count {
        let now = at(u64::from(number) * 1000);
        impairer.receive(now, &frame(number), Reception::default());
        drain(impairer, now);
    }
    drain(impairer, at(u64::MAX / 2_000));
    out
}

fn numbers(out: &[(Instant, u32)]) -> Vec<u32> {
    out.iter().map(|&(_, number)| number).collect()
}

#[test]
fn without_impairment_all_comes_out_at_once() {
    let out = run(&mut impairer(Impairment::default()), 100);
    assert!(out.iter().zip(0..).all(|(&(due, number), at)| number == at && due == self::at(u64::from(at) * 1000)));
    assert_eq!(out.len(), 100);
}

#[test]
fn loss_is_as_frequent_as_asked_for() {
    let mut impairer = impairer(Impairment { loss: 0.1, ..Impairment::default() });
    let out = run(&mut impairer, 10_000);
    let lost = impairer.counters().lost;
    assert!((900..1100).contains(&lost), "{lost}");
    assert_eq!(out.len() as u64 + lost, 10_000);
    let all = run(&mut self::impairer(Impairment { loss: 1.0, ..Impairment::default() }), 1000);
    assert!(all.is_empty());
}

#[test]
fn bursts_have_their_length() {
    let burst = Some(Burst { begin: 0.01, end: 0.2 });
    let mut impairer = impairer(Impairment { burst, ..Impairment::default() });
    let out = numbers(&run(&mut impairer, 50_000));
    let gaps: Vec<u32> = out.windows(2).map(|pair| pair[1] - pair[0] - 1).filter(|&gap| gap > 0).collect();
    let mean = f64::from(gaps.iter().sum::<u32>()) / gaps.len() as f64;
    assert!((4.0..6.0).contains(&mean), "{mean} frames: 1 / 0.2 is five");
    assert!(impairer.counters().lost_in_burst > 1000);
}

#[test]
fn delay_and_jitter_keep_the_order() {
    let (delay, jitter) = (Duration::from_millis(50), Duration::from_millis(20));
    let out = run(&mut impairer(Impairment { delay, ..Impairment::default() }), 100);
    assert!(out.iter().all(|&(due, number)| due == at(u64::from(number) * 1000) + delay));
    let out = run(&mut impairer(Impairment { delay, jitter, ..Impairment::default() }), 1000);
    assert_eq!(numbers(&out), (0..1000).collect::<Vec<_>>());
    let delays: Vec<Duration> = out.iter().map(|&(due, number)| due.since(at(u64::from(number) * 1000))).collect();
    assert!(delays.iter().all(|&taken| taken >= delay - jitter && taken <= delay + jitter));
    assert!(delays.iter().any(|&taken| taken < delay) && delays.iter().any(|&taken| taken > delay));
}

#[test]
fn reordered_frames_are_overtaken() {
    let impairment = Impairment { reorder: 0.1, reorder_by: Duration::from_micros(2500), ..Impairment::default() };
    let mut impairer = impairer(impairment);
    let out = numbers(&run(&mut impairer, 1000));
    assert_eq!(out.len(), 1000);
    let overtaken = out.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
    let reordered = impairer.counters().reordered;
    assert!((70..130).contains(&reordered), "{reordered}");
    assert!(overtaken > reordered / 2 && overtaken <= reordered);
}

#[test]
fn duplicates_come_twice() {
    let mut impairer = impairer(Impairment { duplicate: 0.5, ..Impairment::default() });
    let out = numbers(&run(&mut impairer, 1000));
    let duplicated = impairer.counters().duplicated;
    assert!((400..600).contains(&duplicated));
    assert_eq!(out.len() as u64, 1000 + duplicated);
    assert_eq!(out.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64, duplicated);
}

#[test]
fn one_bit_is_damaged_and_the_checksum_no_longer_vouched_for() {
    let mut impairer = impairer(Impairment { corrupt: 1.0, ..Impairment::default() });
    for number in 0..100 {
        let reception = Reception { transport_checksum_valid: true, segment_size: None };
        impairer.receive(at(0), &frame(number), reception);
        let out = impairer.sent().unwrap();
        let bits: u32 = out.octets.iter().zip(frame(number)).map(|(one, other)| (one ^ other).count_ones()).sum();
        assert_eq!(bits, 1);
        assert!(!out.description.transport_checksum_valid);
    }
    assert_eq!(impairer.counters().corrupted, 100);
    // A frame whose checksum the device is to make would come out damaged and valid.
    let mut out = Impairer::new(Impairment { corrupt: 1.0, ..Impairment::default() }, [1; 32]);
    let checksum = Some(ChecksumOffload { start: 34, offset: 16 });
    out.receive(at(0), &frame(0), Offload { checksum, segmentation: None });
    assert!(out.next_deadline().is_none());
    assert_eq!(out.counters().lost_to_corruption, 1);
}

#[test]
fn a_rate_spaces_frames_and_its_queue_ends() {
    // 100 octets take 1 ms at 800 kbit/s.
    let impairment = Impairment { rate: Some(800_000), queue: 300, ..Impairment::default() };
    let mut impairer = impairer(impairment);
    for number in 0..5 {
        impairer.receive(at(0), &frame(number), Reception::default());
    }
    let out: Vec<Instant> =
        std::iter::from_fn(|| impairer.next_deadline().inspect(|_| drop(impairer.sent()))).collect();
    assert_eq!(out, [at(1000), at(2000), at(3000)]);
    assert_eq!(impairer.counters().queue_overflow, 2);
    // What has been sent makes room; an idle link takes any frame.
    impairer.receive(at(1000), &frame(5), Reception::default());
    assert_eq!(impairer.next_deadline(), Some(at(4000)));
    impairer.receive(at(9000), &[0; 1000], Reception::default());
    assert_eq!(impairer.frames.last_key_value().unwrap().0.0, at(19_000));
}

#[test]
fn what_is_on_its_way_is_bounded() {
    let impairment = Impairment { delay: Duration::from_secs(60), in_flight: 1000, ..Impairment::default() };
    let mut impairer = impairer(impairment);
    for number in 0..100 {
        impairer.receive(at(0), &frame(number), Reception::default());
    }
    assert_eq!((impairer.frames.len(), impairer.counters().in_flight_overflow), (10, 90));
}

#[test]
fn the_same_seed_gives_the_same_network_and_it_can_change() {
    let bad = Impairment {
        loss: 0.1,
        burst: Some(Burst { begin: 0.05, end: 0.3 }),
        jitter: Duration::from_millis(3),
        reorder: 0.1,
        duplicate: 0.1,
        corrupt: 0.05,
        ..Impairment::default()
    };
    let out = |seed: u8| run(&mut Impairer::new(bad, [seed; 32]), 1000);
    assert_eq!(out(1), out(1));
    assert_ne!(out(1), out(2));
    let mut impairer = impairer(bad);
    run(&mut impairer, 100);
    impairer.set(Impairment::default());
    assert_eq!(impairer.impairment(), &Impairment::default());
    let lost = impairer.counters().lost;
    impairer.receive(at(u64::MAX / 1000), &frame(0), Reception::default());
    assert_eq!(impairer.counters().lost, lost);
    assert!(impairer.next_deadline().is_some());
}
