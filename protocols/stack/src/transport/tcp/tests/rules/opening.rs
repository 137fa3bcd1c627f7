//! Opening (RFC 9293 §3.5, §3.10.7.1 to §3.10.7.3).

use std::time::Duration;

use super::super::super::{Configuration, ConnectError, ListenOptions, State};
use super::super::lab::{A, Lab, PEER_ISS, PEER_PORT, R, S, from};
use crate::packet::{ErrorKind, ReceivedError};
use crate::{ClosedReason, ConnectionId, Event, Payload};

#[test]
fn nobody_listens() {
    let mut lab = Lab::new(Configuration::default());
    lab.receive(from(S, 0, 0).text(5));
    assert_eq!(lab.sent_text(), ["RA 0 ack 6"], "<SEQ=0><ACK=SEG.SEQ+SEG.LEN>");
    lab.receive(from(A, 7, 99));
    assert_eq!(lab.sent_text(), ["R 99"], "<SEQ=SEG.ACK>, without ACK");
    lab.receive(from(R, 7, 0));
    assert!(lab.sent().is_empty(), "a reset is never answered");
}

#[test]
fn listen_answers_only_a_syn() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(R, 0, 0));
    lab.receive(from(super::super::super::segment::Flags::default(), 0, 0).text(3));
    assert!(lab.sent().is_empty());
    lab.receive(from(A | S, 0, 99));
    assert_eq!(lab.sent_text(), ["R 99"]);
    lab.receive(from(S, 0, 0).mss(1460).scale(3).sack_permitted().timestamp(77, 0));
    let sent = lab.sent();
    assert_eq!(sent[0].text, "SA 0 ack 1");
    let options = sent[0].header.options;
    assert_eq!(
        (options.maximum_segment_size, options.window_scale, options.sack_permitted),
        (Some(1460), Some(7), true)
    );
    assert_eq!(options.timestamps.map(|timestamps| timestamps.echo_reply), Some(77));
    assert_eq!(lab.state(), State::SynReceived);
}

#[test]
fn only_what_is_offered_is_answered() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    let options = lab.sent()[0].header.options;
    assert_eq!((options.window_scale, options.sack_permitted, options.timestamps), (None, false, None));
}

#[test]
fn text_with_the_last_segment_of_the_handshake_waits_in_the_queue() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    lab.sent();
    assert_eq!(lab.receive(from(A, 1, 1).text(10)), None);
    let Some(Event::Opened { connection, listener }) = lab.tcp.next_event() else { panic!() };
    assert_eq!(listener, lab.listener);
    assert_eq!(lab.input(connection).len(), 10);
}

#[test]
fn text_before_the_user_knows_of_the_connection_waits_too() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    lab.sent();
    lab.receive(from(A, 1, 1));
    assert_eq!(lab.receive(from(A, 1, 1).text(10)), None);
    let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!() };
    assert_eq!(lab.input(connection).len(), 10);
    assert_eq!(lab.receive(from(A, 11, 1).text(5)).map(|octets| octets.len()), Some(0), "it follows what waits");
}

#[test]
fn the_syn_and_ack_is_sent_again_and_given_up() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    lab.sent();
    let (after, sent) = lab.wait_for_segments();
    assert!((1000..1005).contains(&after.as_millis()), "{after:?}");
    assert_eq!(sent[0].text, "SA 0 ack 1");
    let (after, _) = lab.wait_for_segments();
    assert!((2000..2005).contains(&after.as_millis()), "{after:?}");
    lab.receive(from(S, 0, 0));
    assert_eq!(lab.sent_text(), ["SA 0 ack 1"], "the SYN again has missed the answer");
    while !lab.wait_for_segments().1.is_empty() {}
    assert_eq!((lab.state(), lab.tcp.counters().failed_opens), (State::Closed, 1));
    assert!(lab.tcp.next_event().is_none(), "the user need not be informed");
}

#[test]
fn a_full_backlog_drops_the_syn_and_never_resets() {
    let mut lab = Lab::new(Configuration { syn_cookies: false, ..Configuration::default() });
    lab.tcp
        .listen((None, 80), ListenOptions { backlog: 2, maximum_connections: 3, ..ListenOptions::default() })
        .unwrap();
    for port in 1..=3 {
        lab.receive(from(S, 0, 0).port(port));
    }
    assert_eq!(lab.sent().len(), 2);
    assert_eq!(lab.tcp.counters().syn_dropped_backlog, 1);
    let row = lab.tcp.listeners().next().unwrap();
    assert_eq!((row.half_open, row.dropped), (2, 1));
    lab.tcp.unlisten(row.id);
    assert_eq!(lab.tcp.connections().count(), 0);
}

#[test]
fn a_half_open_connection_is_reset_by_rcv_nxt_alone() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    lab.sent();
    lab.receive(from(R, 5, 0));
    assert_eq!(lab.state(), State::SynReceived);
    lab.receive(from(R, 1, 0));
    assert_eq!(lab.state(), State::Closed);
}

#[test]
fn a_wrong_acknowledgment_of_the_syn_is_reset() {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    lab.sent();
    lab.receive(from(A, 1, 2));
    assert_eq!(lab.sent_text(), ["R 2"]);
    assert_eq!(lab.state(), State::SynReceived);
}

fn connecting() -> (Lab, ConnectionId) {
    let mut lab = Lab::new(Configuration::default());
    let local = ([192, 0, 2, 2], 80).into();
    let id = lab.tcp.connect(lab.now, local, ([192, 0, 2, 1], PEER_PORT).into()).unwrap();
    assert_eq!(lab.sent_text(), ["S 0"]);
    (lab, id)
}

#[test]
fn an_active_open() {
    let (mut lab, connection) = connecting();
    lab.receive(from(S | A, 0, 1).mss(1000));
    assert_eq!(lab.tcp.next_event(), Some(Event::Opened { connection, listener: None }));
    assert_eq!(lab.sent_text(), ["A 1 ack 1"]);
    assert_eq!(lab.state(), State::Established);
}

#[test]
fn an_acknowledgment_of_something_else_is_reset_and_the_attempt_goes_on() {
    let (mut lab, _) = connecting();
    lab.receive(from(A, 0, 5));
    assert_eq!(lab.sent_text(), ["R 5"]);
    lab.receive(from(R | A, 0, 5));
    assert_eq!(lab.state(), State::SynSent, "such a reset is not for us");
}

#[test]
fn a_refused_connection() {
    let (mut lab, connection) = connecting();
    lab.receive(from(R | A, 0, 1));
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection, reason: ClosedReason::Refused }));
    assert_eq!(lab.state(), State::Closed);
}

#[test]
fn a_syn_is_tried_for_three_minutes() {
    let mut lab = Lab::new(Configuration { user_timeout: Duration::from_secs(1), ..Configuration::default() });
    let start = lab.now;
    let local = ([192, 0, 2, 2], 80).into();
    lab.tcp.connect(lab.now, local, ([192, 0, 2, 1], PEER_PORT).into()).unwrap();
    lab.sent();
    let mut intervals = Vec::new();
    while let (after, sent) = lab.wait_for_segments()
        && !sent.is_empty()
    {
        assert_eq!(sent[0].text, "S 0");
        intervals.push(after.as_secs());
    }
    assert_eq!(intervals, [1, 2, 4, 8, 16, 32, 60]);
    assert!(lab.now.since(start) >= Duration::from_secs(180));
    assert!(matches!(lab.tcp.next_event(), Some(Event::Closed { reason: ClosedReason::TimedOut, .. })));
}

#[test]
fn simultaneous_open() {
    let (mut lab, connection) = connecting();
    lab.receive(from(S, 0, 0).mss(1000));
    assert_eq!(lab.state(), State::SynReceived);
    assert_eq!(lab.sent_text(), ["SA 0 ack 1"]);
    lab.receive(from(S | A, 0, 1).mss(1000));
    assert_eq!(lab.state(), State::Established);
    assert_eq!(lab.tcp.next_event(), Some(Event::Opened { connection, listener: None }));
    lab.write(connection, 3);
    assert_eq!(lab.sent_text(), ["PA 1+3 ack 1"]);
}

#[test]
fn an_icmp_error_refuses_only_what_is_being_opened() {
    let (mut lab, connection) = connecting();
    let mut quoted = [80_u16.to_be_bytes(), PEER_PORT.to_be_bytes()].concat();
    quoted.extend(lab.iss.0.to_be_bytes());
    let error = |kind, quoted| ReceivedError {
        local: [192, 0, 2, 2].into(),
        remote: [192, 0, 2, 1].into(),
        protocol: 6,
        kind,
        quoted,
    };
    lab.tcp.receive_error(lab.now, &error(ErrorKind::Unreachable, &quoted));
    assert_eq!(lab.state(), State::SynSent, "a soft error");
    let mut guessed = quoted.clone();
    guessed[7] ^= 1;
    lab.tcp.receive_error(lab.now, &error(ErrorKind::Refused, &guessed));
    assert_eq!(lab.state(), State::SynSent, "a sequence number that is not on its way");
    lab.tcp.receive_error(lab.now, &error(ErrorKind::Refused, &quoted));
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection, reason: ClosedReason::Refused }));
}

#[test]
fn what_cannot_be_opened() {
    let mut lab = Lab::new(Configuration::default());
    let local = ([192, 0, 2, 2], 0).into();
    for remote in [([224, 0, 0, 1], 80), ([255, 255, 255, 255], 80), ([0, 0, 0, 0], 80), ([192, 0, 2, 1], 0)] {
        assert_eq!(lab.tcp.connect(lab.now, local, remote.into()), Err(ConnectError::InvalidAddress));
    }
    let remote = ([192, 0, 2, 1], 80).into();
    let ports: std::collections::BTreeSet<_> = (0..100)
        .map(|_| {
            lab.tcp.connect(lab.now, local, remote).unwrap();
            lab.sent().pop().unwrap().header.source_port
        })
        .collect();
    assert!(ports.len() == 100 && ports.iter().all(|port| *port >= 49_152));
}

#[test]
fn closing_before_it_is_open_deletes_it() {
    let (mut lab, id) = connecting();
    lab.close(id);
    assert_eq!(lab.state(), State::Closed);
    assert!(lab.tcp.stream(lab.now, id, Payload::EMPTY).is_none());
    assert_eq!(PEER_ISS + 3, super::super::super::sequence::SequenceNumber(0), "the numbers of these tests wrap");
}

#[test]
fn a_full_backlog_is_answered_with_cookies() {
    let mut lab = Lab::new(Configuration { syn_backlog: 1, ..Configuration::default() });
    lab.tcp.listen((None, 80), ListenOptions::default()).unwrap();
    lab.receive(from(S, 0, 0).port(1));
    lab.sent();
    lab.receive(from(S, 0, 0).mss(1000).scale(7).sack_permitted().timestamp(1, 0));
    let sent = lab.sent();
    assert_eq!(sent[0].text, "SA 0 ack 1");
    let options = sent[0].header.options;
    assert_eq!((options.window_scale, options.sack_permitted, options.timestamps), (None, false, None));
    assert_eq!(lab.tcp.connections().count(), 1, "nothing is kept");
    lab.receive(from(A, 1, 5));
    assert_eq!(lab.sent_text(), ["R 5"], "not a cookie");
    lab.receive(from(A, 1, 1).text(10));
    let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!() };
    assert_eq!(lab.input(connection).len(), 10);
    assert_eq!(lab.tcp.detail(connection).unwrap().smss, 536, "the MSS below 1000 that a cookie can hold");
    let counters = lab.tcp.counters();
    assert_eq!((counters.syn_cookies_sent, counters.syn_cookies_accepted, counters.half_open), (1, 1, 1));
}
