//! Explicit Congestion Notification (RFC 3168 §6.1).

use std::time::Duration;

use super::super::super::Configuration;
use super::super::super::segment::Flags;
use super::super::lab::{A, Lab, PEER_PORT, S, from};
use crate::{ConnectionId, Event};

const OFFER: Flags = Flags(0xc0);

fn agreed() -> (Lab, ConnectionId) {
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S | OFFER, 0, 0).mss(1000));
    assert_eq!(lab.sent()[0].header.flags, S | A | Flags::ECE, "agreed");
    lab.receive(from(A, 1, 1));
    let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!() };
    (lab, connection)
}

#[test]
fn it_is_agreed_only_when_offered_and_wanted() {
    let mut lab = Lab::listening(Configuration { ecn: false, ..Configuration::default() });
    lab.receive(from(S | OFFER, 0, 0));
    assert_eq!(lab.sent()[0].header.flags, S | A);
    let mut lab = Lab::listening(Configuration::default());
    lab.receive(from(S, 0, 0));
    assert_eq!(lab.sent()[0].header.flags, S | A);
}

#[test]
fn an_offer_that_is_not_answered_is_not_repeated() {
    let mut lab = Lab::new(Configuration::default());
    lab.tcp.connect(lab.now, ([192, 0, 2, 2], 80).into(), ([192, 0, 2, 1], PEER_PORT).into()).unwrap();
    assert_eq!(lab.sent()[0].header.flags, S | OFFER);
    assert_eq!(lab.wait_for_segments().1[0].header.flags, S);
}

#[test]
fn a_mark_is_echoed_until_the_sender_has_answered() {
    let (mut lab, id) = agreed();
    let mut echoes = |segment| {
        lab.receive(segment);
        lab.consume(id, 10_000);
        lab.wait(Duration::from_millis(60));
        lab.sent()[0].header.flags.contains(Flags::ECE)
    };
    assert!(!echoes(from(A, 1, 1).text(10)));
    assert!(echoes(from(A, 11, 1).text(10).marked()));
    assert!(echoes(from(A, 21, 1).text(10)));
    assert!(echoes(from(A | Flags::CWR, 31, 1).text(10).marked()), "answered, and marked again");
    assert!(!echoes(from(A | Flags::CWR, 41, 1).text(10)));
}

#[test]
fn an_echo_reduces_the_window_once_for_each_window() {
    let (mut lab, id) = agreed();
    lab.wire.segmentation = Some(65_000);
    lab.write(id, 60_000);
    let sent = lab.sent();
    assert!(sent.iter().all(|to| to.traffic_class == 2), "data can be marked");
    let before = lab.tcp.detail(id).unwrap().cwnd;
    lab.receive(from(A | Flags::ECE, 1, 1001));
    let after = lab.tcp.detail(id).unwrap().cwnd;
    assert!(after < before);
    lab.receive(from(A | Flags::ECE, 1, 2001));
    assert_eq!(lab.tcp.detail(id).unwrap().cwnd, after);
    lab.receive(from(A, 1, 9001));
    let sent = lab.sent();
    assert_eq!((sent[0].header.flags.contains(Flags::CWR), sent[0].length), (true, 1000), "one segment says so");
    assert!(sent[1..].iter().all(|to| !to.header.flags.contains(Flags::CWR)) && sent.len() > 1);
    lab.wait_for_segments();
    let (_, sent) = lab.wait_for_segments();
    assert_eq!(sent[0].traffic_class, 0, "a retransmission is not marked as able to be marked");
}
