//! Loss found by time, and what is not lost (RFC 8985, RFC 9937).

use std::time::Duration;

use super::super::super::Configuration;
use super::super::lab::{A, Lab, S, from};
use crate::{ConnectionId, Event};

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// With a round trip of 40 ms, measured on one segment, and `segments` on their way.
fn in_flight(segments: usize) -> (Lab, ConnectionId) {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0).mss(1000).sack_permitted());
    lab.sent();
    lab.wait(ROUND_TRIP);
    lab.receive(from(A, 1, 1));
    let Some(Event::Opened { connection: id, .. }) = lab.tcp.next_event() else { panic!("not opened") };
    for round in 0..30 {
        lab.write(id, 1000);
        lab.sent();
        lab.wait(ROUND_TRIP);
        lab.receive(from(A, 1, 1001 + 1000 * round));
    }
    lab.write(id, segments * 1000);
    assert_eq!(lab.sent().len(), segments);
    (lab, id)
}

const BASE: u32 = 30_001;

#[test]
fn a_silent_tail_is_probed() {
    let (mut lab, _) = in_flight(3);
    let (after, sent) = lab.wait_for_segments();
    assert!((70..90).contains(&after.as_millis()), "two round trips: {after:?}");
    assert_eq!(format!("{sent:?}"), "[PA 32001+1000 ack 1]", "the last segment again");
    // It shows the holes before it, so they are filled without a time-out.
    lab.wait(ROUND_TRIP);
    lab.receive(from(A, 1, BASE).sack(&[(BASE + 2000, BASE + 3000)]));
    let (after, sent) = if lab.tcp.has_output() { (Duration::ZERO, lab.sent()) } else { lab.wait_for_segments() };
    assert!(after < Duration::from_millis(15), "{after:?}");
    assert_eq!(sent[0].text, "A 30001+1000 ack 1");
    let counters = lab.tcp.counters();
    assert_eq!((counters.tail_loss_probes_sent, counters.retransmission_timeouts), (1, 0));
}

#[test]
fn the_probe_is_new_data_when_there_are_some() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).sack_permitted());
    lab.write(id, 20_000);
    assert_eq!(lab.sent().len(), 10, "the congestion window is full");
    let (after, sent) = lab.wait_for_segments();
    assert!(after < Duration::from_millis(15), "{after:?}");
    assert_eq!(format!("{sent:?}"), "[A 10001+1000 ack 1]", "and does not bind the probe");
    let (after, _) = lab.wait_for_segments();
    assert!((195..=205).contains(&after.as_millis()), "one probe, then the retransmission timer: {after:?}");
}

#[test]
fn a_lost_retransmission_is_found_without_a_time_out() {
    let (mut lab, id) = in_flight(8);
    lab.wait(ROUND_TRIP);
    lab.receive(from(A, 1, BASE).sack(&[(BASE + 1000, BASE + 5000)]));
    assert_eq!(lab.sent()[0].text, "A 30001+1000 ack 1");
    // Data sent after the retransmission arrive; the retransmission does not.
    lab.write(id, 4000);
    lab.receive(from(A, 1, BASE).sack(&[(BASE + 1000, BASE + 8000)]));
    assert!(!lab.sent().is_empty());
    lab.wait(ROUND_TRIP + Duration::from_millis(2));
    lab.receive(from(A, 1, BASE).sack(&[(BASE + 1000, BASE + 9000)]));
    let (after, sent) = if lab.tcp.has_output() { (Duration::ZERO, lab.sent()) } else { lab.wait_for_segments() };
    assert!(after < Duration::from_millis(20), "{after:?}");
    assert_eq!(sent[0].text, "A 30001+1000 ack 1", "again");
    assert_eq!(lab.tcp.counters().retransmission_timeouts, 0);
}

#[test]
fn reordering_is_not_loss_once_it_has_been_seen() {
    let (mut lab, id) = in_flight(8);
    lab.wait(ROUND_TRIP);
    // The first segment is overtaken by two, and comes.
    lab.receive(from(A, 1, BASE).sack(&[(BASE + 1000, BASE + 3000)]));
    lab.wait(Duration::from_millis(1));
    lab.receive(from(A, 1, BASE + 3000));
    // The next one by four: too many for RFC 6675, but within a quarter of the round trip.
    lab.receive(from(A, 1, BASE + 3000).sack(&[(BASE + 4000, BASE + 8000)]));
    assert!(lab.sent().is_empty());
    lab.wait(Duration::from_millis(5));
    lab.receive(from(A, 1, BASE + 8000));
    let detail = lab.tcp.detail(id).unwrap();
    assert_eq!((detail.recovery, lab.tcp.counters().segments_retransmitted), ("open", 0));
}

#[test]
fn a_time_out_that_was_needless_is_taken_back() {
    let syn = from(S, 0, 0).mss(1000).timestamp(1, 0);
    let (mut lab, id) = Lab::established_with(Configuration::default(), syn);
    lab.write(id, 4000);
    let sent = lab.sent();
    assert_eq!(sent.len(), 5, "twelve octets of each segment are timestamps");
    let original = sent[0].header.options.timestamps.unwrap().value;
    let before = lab.tcp.detail(id).unwrap().cwnd;
    lab.wait_for_segments();
    assert_eq!(lab.tcp.detail(id).unwrap().cwnd, 988);
    lab.receive(from(A, 1, 989).timestamp(2, original));
    let detail = lab.tcp.detail(id).unwrap();
    assert!(detail.cwnd >= before && detail.recovery == "open" && detail.lost == 0, "{detail:?}");
    assert_eq!(lab.tcp.counters().spurious_recoveries_undone, 1);
    assert!(lab.sent().is_empty(), "nothing more is sent again");
}

#[test]
fn so_is_a_fast_retransmit_that_a_duplicate_report_follows() {
    let (mut lab, id) = in_flight(8);
    let before = lab.tcp.detail(id).unwrap().cwnd;
    lab.wait(ROUND_TRIP);
    lab.receive(from(A, 1, BASE).sack(&[(BASE + 1000, BASE + 5000)]));
    assert_eq!(lab.sent_text(), ["A 30001+1000 ack 1"]);
    assert!(lab.tcp.detail(id).unwrap().cwnd < before);
    lab.receive(from(A, 1, BASE + 5000));
    lab.receive(from(A, 1, BASE + 8000).sack(&[(BASE, BASE + 1000)]));
    assert!(lab.tcp.detail(id).unwrap().cwnd >= before);
    assert_eq!(lab.tcp.counters().spurious_recoveries_undone, 1);
}
