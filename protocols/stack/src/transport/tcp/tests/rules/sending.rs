//! Sending text (RFC 9293 §3.7, §3.8; RFC 5681, RFC 6298, RFC 6675).

use std::time::Duration;

use super::super::super::{Configuration, CongestionControl, KeepAlive, State};
use super::super::lab::{A, Lab, S, from};
use crate::packet::{ErrorKind, ReceivedError};
use crate::{ClosedReason, Event, Payload};

#[test]
fn full_segments_up_to_the_initial_window() {
    let (mut lab, id) = Lab::established();
    lab.write(id, 20_000);
    let sent = lab.sent();
    assert_eq!(sent.len(), 10, "ten segments of 1000");
    assert_eq!(sent[0].text, "A 1+1000 ack 1");
    assert_eq!(sent[9].text, "PA 9001+1000 ack 1", "the last that may go now ends a train");
    let octets: Vec<u8> = sent.iter().flat_map(|to| to.octets.clone()).collect();
    assert_eq!(octets, (0..10_000).map(|at| at as u8).collect::<Vec<u8>>());
    lab.receive(from(A, 1, 2001));
    assert_eq!(lab.sent().len(), 4, "slow start: two more for each that is acknowledged");
}

#[test]
fn a_device_that_cuts_gets_one_large_frame_trimmed_to_the_window() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).window(7_300));
    lab.wire.segmentation = Some(65_000);
    lab.write(id, 20_000);
    let sent = lab.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].length, 7_000, "whole segments, and no waiting for a larger window");
}

#[test]
fn a_full_device_makes_nobody_believe_anything() {
    let (mut lab, id) = Lab::established();
    lab.write(id, 3000);
    lab.wire.refuses = 1000;
    assert!(lab.tcp.transmit(lab.now, &mut lab.wire).is_err());
    let detail = lab.tcp.detail(id).unwrap();
    assert_eq!((detail.snd_nxt.wrapping_sub(detail.iss), detail.retransmission_timer), (1, None));
    assert!(lab.tcp.has_output());
    lab.wire.refuses = 0;
    assert_eq!(lab.sent_text(), ["A 1+1000 ack 1", "A 1001+1000 ack 1", "PA 2001+1000 ack 1"]);
    assert!(!lab.tcp.has_output());
}

#[test]
fn nagle_waits_for_the_last_small_segment_only() {
    let (mut lab, id) = Lab::established();
    lab.write(id, 2500);
    assert_eq!(lab.sent_text(), ["A 1+1000 ack 1", "A 1001+1000 ack 1", "PA 2001+500 ack 1"], "the end does not wait");
    lab.write(id, 10);
    assert!(lab.sent().is_empty(), "a second small segment does");
    lab.write(id, 10);
    lab.receive(from(A, 1, 2501));
    assert_eq!(lab.sent_text(), ["PA 2501+20 ack 1"], "and they have come together");
    lab.tcp.stream(lab.now, id, Payload::EMPTY).unwrap().set_nagle(false);
    lab.write(id, 10);
    assert_eq!(lab.sent_text(), ["PA 2521+10 ack 1"]);
}

#[test]
fn a_fin_does_not_wait() {
    let (mut lab, id) = Lab::established();
    lab.write(id, 10);
    lab.sent();
    lab.write(id, 10);
    lab.finish(id);
    assert_eq!(lab.sent_text(), ["FPA 11+10 ack 1"]);
}

#[test]
fn a_closed_window_is_probed_for_ever() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).window(0));
    lab.write(id, 3000);
    assert!(lab.sent().is_empty());
    let mut total = Duration::ZERO;
    let mut intervals = Vec::new();
    for _ in 0..30 {
        let (after, sent) = lab.wait_for_segments();
        assert_eq!(sent[0].length, 1, "{sent:?}");
        intervals.push(after);
        total += after;
        lab.receive(from(A, 1, 1).window(0));
    }
    assert!(intervals[0] >= Duration::from_millis(200) && intervals[3] > intervals[2], "{intervals:?}");
    assert!(total > Duration::from_secs(900) && lab.state() == State::Established);
    lab.receive(from(A, 1, 1).window(5000));
    assert_eq!(lab.sent().iter().map(|to| to.length).sum::<usize>(), 3000, "the window is open, everything goes");
}

#[test]
fn a_closed_window_without_a_sign_of_life_ends_the_connection() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).window(0));
    lab.write(id, 3000);
    lab.sent();
    while let (_, sent) = lab.wait_for_segments()
        && sent.iter().all(|to| to.length == 1)
        && !sent.is_empty()
    {}
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection: id, reason: ClosedReason::TimedOut }));
}

#[test]
fn silly_windows_are_not_used() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).window(5000));
    lab.write(id, 20_000);
    assert_eq!(lab.sent().len(), 5);
    lab.receive(from(A, 1, 5001).window(300));
    assert!(lab.sent().is_empty(), "300 octets are neither a segment nor half the window");
    let (after, sent) = lab.wait_for_segments();
    assert!((100..1100).contains(&after.as_millis()), "the override time-out: {after:?}");
    assert_eq!(sent[0].text, "A 5001+300 ack 1");
}

#[test]
fn three_duplicates_without_sack() {
    let (mut lab, id) = Lab::established_with(
        Configuration { congestion_control: CongestionControl::NewReno, ..Configuration::default() },
        from(S, 0, 0).mss(1000),
    );
    lab.write(id, 30_000);
    assert_eq!(lab.sent().len(), 10);
    lab.receive(from(A, 1, 1));
    assert_eq!(lab.sent_text(), ["A 10001+1000 ack 1"], "limited transmit");
    lab.receive(from(A, 1, 1));
    assert_eq!(lab.sent_text(), ["A 11001+1000 ack 1"]);
    lab.receive(from(A, 1, 1));
    assert_eq!(lab.sent_text(), ["A 1+1000 ack 1"], "fast retransmit");
    let detail = lab.tcp.detail(id).unwrap();
    assert_eq!((detail.cwnd, detail.recovery), (6000, "fast recovery"));
    // 12 are out; each further duplicate is one that has left, until no more than six are on their way.
    for _ in 0..3 {
        lab.receive(from(A, 1, 1));
        assert!(lab.sent().is_empty());
    }
    lab.receive(from(A, 1, 1));
    assert_eq!(lab.sent().len(), 1, "12 - 1 lost - 7 arrived + 1 sent again < 6");
    // A partial acknowledgment: the next hole.
    lab.receive(from(A, 1, 3001));
    assert_eq!(lab.sent()[0].text, "A 3001+1000 ack 1");
    lab.receive(from(A, 1, 12_001));
    assert_eq!(lab.tcp.detail(id).unwrap().recovery, "open");
    assert_eq!(lab.tcp.detail(id).unwrap().cwnd, 6000);
}

#[test]
fn holes_that_sack_shows_are_filled_at_once() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).sack_permitted());
    lab.write(id, 30_000);
    assert_eq!(lab.sent().len(), 10);
    lab.receive(from(A, 1, 1).sack(&[(1001, 2001)]));
    lab.receive(from(A, 1, 1).sack(&[(1001, 2001), (3001, 4001)]));
    assert!(lab.sent().iter().all(|to| to.text.starts_with("A 1")), "limited transmit");
    lab.receive(from(A, 1, 1).sack(&[(5001, 10_001), (3001, 4001), (1001, 2001)]));
    let sent = lab.sent_text();
    assert_eq!(sent[..3], ["A 1+1000 ack 1", "A 2001+1000 ack 1", "A 4001+1000 ack 1"]);
    assert_eq!(lab.tcp.counters().fast_retransmits, 1);
}

#[test]
fn the_retransmission_timer() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000));
    lab.write(id, 5000);
    assert_eq!(lab.sent().len(), 5);
    let (after, sent) = lab.wait_for_segments();
    assert!((200..205).contains(&after.as_millis()), "{after:?}");
    assert_eq!(format!("{sent:?}"), "[A 1+1000 ack 1]", "one segment");
    let (after, sent) = lab.wait_for_segments();
    assert!((400..405).contains(&after.as_millis()), "{after:?}");
    assert_eq!(format!("{sent:?}"), "[A 1+1000 ack 1]");
    lab.receive(from(A, 1, 1001));
    assert_eq!(lab.sent_text(), ["A 1001+1000 ack 1", "A 2001+1000 ack 1"], "slow start over what was lost");
    lab.receive(from(A, 1, 5001));
    assert_eq!(lab.tcp.detail(id).unwrap().retransmission_timer, None);
}

#[test]
fn the_user_time_out() {
    let (mut lab, connection) = Lab::established();
    let start = lab.now;
    lab.write(connection, 10);
    lab.sent();
    loop {
        let (_, sent) = lab.wait_for_segments();
        if sent[0].text.starts_with('R') {
            break;
        }
    }
    assert!((300..=400).contains(&lab.now.since(start).as_secs()));
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection, reason: ClosedReason::TimedOut }));
    assert_eq!((lab.state(), lab.tcp.wheel.len()), (State::Closed, 0));
}

#[test]
fn a_narrow_path_makes_smaller_segments() {
    let (mut lab, id) = Lab::established();
    lab.write(id, 3000);
    assert_eq!(lab.sent().len(), 3);
    let mut quoted = [80_u16.to_be_bytes(), super::super::lab::PEER_PORT.to_be_bytes()].concat();
    quoted.extend((lab.iss + 1).0.to_be_bytes());
    lab.wire.mtu = 640;
    lab.tcp.receive_error(
        lab.now,
        &ReceivedError {
            local: [192, 0, 2, 2].into(),
            remote: [192, 0, 2, 1].into(),
            protocol: 6,
            kind: ErrorKind::PacketTooBig(640),
            quoted: &quoted,
        },
    );
    assert_eq!(
        lab.sent_text(),
        ["A 1+600 ack 1", "A 601+600 ack 1", "A 1201+600 ack 1", "A 1801+600 ack 1", "PA 2401+600 ack 1"]
    );
}

#[test]
fn a_device_that_has_become_narrower_is_noticed() {
    let (mut lab, id) = Lab::established();
    lab.wire.mtu = 540;
    lab.write(id, 1000);
    assert_eq!(lab.sent_text(), ["A 1+500 ack 1", "PA 501+500 ack 1"]);
}

#[test]
fn keep_alive() {
    let keep_alive = KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(5), probes: 3 };
    let configuration = Configuration { keep_alive: Some(keep_alive), ..Configuration::default() };
    let (mut lab, connection) = Lab::established_with(configuration, from(S, 0, 0));
    let (after, sent) = lab.wait_for_segments();
    assert_eq!((after.as_secs(), sent[0].text.as_str()), (60, "A 0 ack 1"), "SEG.SEQ = SND.NXT-1");
    lab.receive(from(A, 1, 1));
    for expected in [60, 5, 5] {
        assert_eq!(lab.wait_for_segments().0.as_secs(), expected);
    }
    assert_eq!(lab.wait_for_segments().1[0].text, "RA 1 ack 1");
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection, reason: ClosedReason::TimedOut }));
}

#[test]
fn room_is_told_once_it_is_there() {
    let configuration = Configuration { send_buffer: 5000, ..Configuration::default() };
    let (mut lab, connection) = Lab::established_with(configuration, from(S, 0, 0).mss(1000));
    let mut stream = lab.tcp.stream(lab.now, connection, Payload::EMPTY).unwrap();
    assert_eq!(stream.room(), 5000);
    stream.write(vec![1; 5000].into());
    assert_eq!((stream.room(), stream.unacknowledged()), (0, 5000));
    stream.notify_room(3000);
    drop(stream);
    lab.sent();
    lab.receive(from(A, 1, 2001));
    assert_eq!(lab.tcp.next_event(), None);
    lab.receive(from(A, 1, 3001));
    assert_eq!(lab.tcp.next_event(), Some(Event::Ready { connection }));
    lab.receive(from(A, 1, 5001));
    assert_eq!(lab.tcp.next_event(), None, "once");
}

#[test]
fn turns_are_fair() {
    let mut lab = Lab::listening(Configuration::default());
    let connections = [1, 2].map(|port| {
        lab.receive(from(S, 0, 0).mss(1000).port(port));
        lab.sent();
        lab.receive(from(A, 1, 1).port(port));
        let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!() };
        connection
    });
    for connection in connections {
        lab.write(connection, 10_000);
    }
    let ports: Vec<u16> = lab.sent().iter().map(|to| to.header.destination_port).collect();
    assert_eq!(ports, [[1; 8], [2; 8]].concat().into_iter().chain([1, 1, 2, 2]).collect::<Vec<u16>>());
}

#[test]
fn an_orphan_does_not_probe_for_ever() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).window(0));
    lab.write(id, 3000);
    lab.close(id);
    let start = lab.now;
    while lab.state() != State::Closed {
        lab.wait_for_segments();
        lab.receive(from(A, 1, 1).window(0));
        assert!(lab.now.since(start) < Duration::from_secs(500));
    }
    assert_eq!(lab.tcp.counters().memory_in_use, 0);
}
