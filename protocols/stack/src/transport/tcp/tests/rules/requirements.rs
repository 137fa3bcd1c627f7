//! Lines of RFC 9293 appendix B that no other test shows.

use std::time::Duration;

use super::super::super::control_block::ControlBlock;
use super::super::super::four_tuple::FourTuple;
use super::super::super::segment::Flags;
use super::super::super::sequence::SequenceNumber;
use super::super::super::{Configuration, KeepAlive, State};
use super::super::lab::{A, F, Lab, R, S, from};
use crate::{ClosedReason, Event, Instant, Payload};

#[test]
fn a_window_is_an_unsigned_number_of_32_bits() {
    let syn = from(S, 0, 0).mss(1000).scale(14);
    let (mut lab, id) = Lab::established_with(Configuration::default(), syn);
    lab.receive(from(A, 1, 1).window(0xffff));
    assert_eq!(lab.tcp.detail(id).unwrap().snd_wnd, 0xffff << 14, "30 bits, the highest of the field's among them");
    lab.write(id, 10_000);
    assert_eq!(lab.sent().len(), 10);
}

#[test]
fn a_window_that_shrinks_is_respected() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).window(8000));
    lab.write(id, 20_000);
    assert_eq!(lab.sent().len(), 8);
    lab.receive(from(A, 1, 1).window(3000));
    assert!(lab.sent().is_empty(), "SHLD-15: nothing new beyond it");
    let mut sent = Vec::new();
    for _ in 0..6 {
        let (_, again) = lab.wait_for_segments();
        sent.extend(again.into_iter().map(|to| to.text));
    }
    assert!(!sent.is_empty() && sent.iter().all(|text| text == "A 1+1000 ack 1"), "SHLD-16: {sent:?}");
    assert_eq!(lab.state(), State::Established, "SHLD-17: what lies beyond it is no reason to give up");
    lab.receive(from(A, 1, 8001).window(8000));
    assert_eq!(lab.sent()[0].text, "A 8001+1000 ack 1", "MUST-34: an acknowledgment beyond it counts");
}

#[test]
fn a_closed_receive_window_still_takes_acknowledgments_and_resets() {
    let configuration = Configuration { receive_buffer: 2000, ..Configuration::default() };
    let (mut lab, id) = Lab::established_with(configuration, from(S, 0, 0).mss(1000));
    lab.write(id, 10);
    lab.sent();
    lab.receive(from(A, 1, 1).text(2000));
    let closed = lab.sent().pop().unwrap();
    assert_eq!(closed.header.window, 0, "MAY-8");
    lab.receive(from(A, 2001, 11).text(1).urgent(1));
    assert_eq!(lab.tcp.detail(id).unwrap().snd_una, lab.iss.0.wrapping_add(11), "the acknowledgment counts");
    assert_eq!(lab.input(id).len(), 2000, "the text does not");
    lab.receive(from(R, 2001, 0));
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection: id, reason: ClosedReason::Reset }));
}

#[test]
fn without_an_mss_option_segments_have_536_octets() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0));
    lab.write(id, 5000);
    assert!(lab.sent().iter().all(|to| to.length <= 536));
    let syn = from(S, 0, 0).timestamp(1, 0);
    let (mut lab, id) = Lab::established_with(Configuration::default(), syn);
    lab.write(id, 5000);
    assert!(lab.sent().iter().all(|to| to.length <= 536 - 12), "MUST-16: less the options");
}

#[test]
fn the_default_segment_size_over_ipv6_is_1220_octets() {
    let sockets = |address: [u16; 8]| std::net::SocketAddr::from((address, 80));
    let key = FourTuple {
        local: sockets([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        remote: sockets([0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]),
    };
    let now = Instant::START;
    let block = ControlBlock::new(key, SequenceNumber(0), None, &Configuration::default(), now);
    assert_eq!(block.smss(), 1220);
}

#[test]
fn only_a_syn_announces_a_segment_size() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).sack_permitted());
    lab.write(id, 2000);
    lab.receive(from(A, 1, 1).text(10));
    lab.finish(id);
    let sent = lab.sent();
    assert!(sent.len() >= 2);
    for to in sent {
        let options = to.header.options;
        assert!(options.maximum_segment_size.is_none() && options.window_scale.is_none() && !options.sack_permitted);
    }
}

#[test]
fn a_segment_size_can_be_chosen() {
    let (mut lab, id) = Lab::established();
    let mut stream = lab.tcp.stream(lab.now, id, Payload::EMPTY).unwrap();
    stream.set_maximum_segment_size(700);
    assert_eq!(stream.smss(), 700);
    drop(stream);
    lab.write(id, 1400);
    assert_eq!(lab.sent_text(), ["A 1+700 ack 1", "PA 701+700 ack 1"]);
}

#[test]
fn a_reset_in_syn_received_goes_back_to_where_it_came_from() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    lab.sent();
    lab.receive(from(R, 1, 0));
    assert_eq!(
        (lab.state(), lab.tcp.next_event()),
        (State::Closed, None),
        "a passive open: LISTEN again, nobody is told"
    );

    let mut lab = Lab::new(Configuration::default());
    let connection = lab.tcp.connect(lab.now, ([192, 0, 2, 2], 80).into(), ([192, 0, 2, 1], 40_000).into()).unwrap();
    lab.sent();
    lab.receive(from(S, 0, 0));
    lab.sent();
    assert_eq!(lab.state(), State::SynReceived);
    lab.receive(from(R, 1, 0));
    let refused = Event::Closed { connection, reason: ClosedReason::Refused };
    assert_eq!(lab.tcp.next_event(), Some(refused), "an active open: refused");
}

#[test]
fn a_reset_may_have_text() {
    let (mut lab, id) = Lab::established();
    assert_eq!(lab.receive(from(R, 1, 0).text(20)), None);
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection: id, reason: ClosedReason::Reset }));
}

#[test]
fn a_reset_of_a_connection_with_timestamps_has_them() {
    let syn = from(S, 0, 0).timestamp(7, 0);
    let (mut lab, id) = Lab::established_with(Configuration::default(), syn);
    lab.wait(Duration::from_secs(1));
    lab.tcp.stream(lab.now, id, Payload::EMPTY).unwrap().abort();
    let sent = lab.sent();
    assert_eq!(sent[0].text, "RA 1 ack 1");
    assert_eq!(sent[0].header.options.timestamps.map(|timestamps| timestamps.echo_reply), Some(7));
}

#[test]
fn the_user_time_out_of_a_connection_can_be_set() {
    let (mut lab, connection) = Lab::established();
    let mut stream = lab.tcp.stream(lab.now, connection, Payload::EMPTY).unwrap();
    stream.set_user_timeout(Duration::from_secs(2));
    drop(stream);
    lab.write(connection, 10);
    lab.sent();
    let start = lab.now;
    while lab.state() == State::Established {
        lab.wait_for_segments();
    }
    let after = lab.now.since(start);
    assert!((2..4).contains(&after.as_secs()), "{after:?}");
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection, reason: ClosedReason::TimedOut }));
}

#[test]
fn the_traffic_class_can_be_set_and_changed() {
    let configuration = Configuration { traffic_class: 0x28, ecn: false, ..Configuration::default() };
    let (mut lab, id) = Lab::established_with(configuration, from(S, 0, 0));
    lab.write(id, 10);
    assert_eq!(lab.sent()[0].traffic_class, 0x28);
    lab.tcp.stream(lab.now, id, Payload::EMPTY).unwrap().set_traffic_class(0xb8 | 3);
    lab.write(id, 10);
    lab.receive(from(A, 1, 11));
    assert_eq!(lab.sent()[0].traffic_class, 0xb8, "without ECN's bits");
}

#[test]
fn no_keep_alives_unless_asked_for() {
    let (mut lab, _) = Lab::established();
    let (_, sent) = lab.wait_for_segments();
    assert!(sent.is_empty() && lab.state() == State::Established, "there is nothing to wait for");
    assert!(KeepAlive::default().idle >= Duration::from_secs(2 * 3600), "MUST-28");
}

#[test]
fn nagles_algorithm_can_be_switched_off() {
    let (mut lab, id) = Lab::established();
    lab.tcp.stream(lab.now, id, Payload::EMPTY).unwrap().set_nagle(false);
    for at in [1, 11, 21] {
        lab.write(id, 10);
        assert_eq!(lab.sent_text(), [format!("PA {at}+10 ack 1")]);
    }
}

#[test]
fn without_timestamps_none_are_offered_nor_taken() {
    let configuration = Configuration { timestamps: false, ..Configuration::default() };
    let mut lab = Lab::listening(configuration);
    lab.receive(from(S, 0, 0).timestamp(5, 0));
    assert_eq!(lab.sent()[0].header.options.timestamps, None);
    lab.tcp.connect(lab.now, ([192, 0, 2, 2], 0).into(), ([192, 0, 2, 1], 81).into()).unwrap();
    assert_eq!(lab.sent()[0].header.options.timestamps, None);
}

#[test]
fn segments_that_arrive_before_the_handshake_is_over_close_nothing() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    lab.sent();
    lab.receive(from(F | Flags::PSH, 1, 1).text(5));
    let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!("not opened") };
    assert_eq!(lab.input(connection).len(), 5);
    assert_eq!(lab.state(), State::CloseWait, "the handshake's last segment may bring text and FIN");
}

#[test]
fn the_time_to_live_can_be_set() {
    let configuration = Configuration { hop_limit: 17, ..Configuration::default() };
    let (mut lab, id) = Lab::established_with(configuration, from(S, 0, 0));
    lab.write(id, 10);
    lab.sent();
    assert_eq!(lab.wire.hop_limit, 17);
}

#[test]
fn a_timestamp_is_forgotten_after_24_days() {
    let syn = from(S, 0, 0).timestamp(1000, 0);
    let (mut lab, _) = Lab::established_with(Configuration::default(), syn);
    lab.wait(Duration::from_secs(23 * 86_400));
    assert!(lab.receive(from(A, 1, 1).text(10).timestamp(999, 0)).is_none());
    lab.wait(Duration::from_secs(2 * 86_400));
    assert!(lab.receive(from(A, 1, 1).text(10).timestamp(999, 0)).is_some());
}

/// One segment on its way, 40 ms of round trip, and SACK.
fn one_segment_in_flight() -> Lab {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0).mss(1000).sack_permitted());
    lab.sent();
    lab.wait(Duration::from_millis(40));
    lab.receive(from(A, 1, 1));
    let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!("not opened") };
    lab.write(connection, 1000);
    assert_eq!(lab.sent().len(), 1);
    lab
}

#[test]
fn a_probe_takes_the_place_of_the_time_out() {
    let mut lab = one_segment_in_flight();
    let (after, sent) = lab.wait_for_segments();
    assert!(
        (240..=245).contains(&after.as_millis()),
        "RTO, where two round trips and 200 ms would be later: {after:?}"
    );
    assert_eq!(sent[0].text, "PA 1+1000 ack 1");
    let counters = lab.tcp.counters();
    assert_eq!((counters.tail_loss_probes_sent, counters.retransmission_timeouts), (1, 0));
    let (after, _) = lab.wait_for_segments();
    assert!((240..=245).contains(&after.as_millis()), "{after:?}");
    assert_eq!(lab.tcp.counters().retransmission_timeouts, 1, "not backed off, and no second probe");
}

#[test]
fn a_loss_that_a_probe_has_repaired_lowers_the_window() {
    let mut lab = one_segment_in_flight();
    let id = lab.row().unwrap().id;
    let window = lab.tcp.detail(id).unwrap().cwnd;
    lab.wait_for_segments();
    lab.write(id, 1000);
    lab.sent();
    lab.wait(Duration::from_millis(40));
    lab.receive(from(A, 1, 2001));
    assert!(lab.tcp.detail(id).unwrap().cwnd < window, "no D-SACK has said that the probe was needless");
}
