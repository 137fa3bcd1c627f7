//! Closing (RFC 9293 §3.6, §3.10.4, §3.10.5).

use std::time::Duration;

use super::super::super::segment::Flags;
use super::super::super::{Configuration, State};
use super::super::lab::{A, F, Lab, R, S, from};
use crate::{ClosedReason, Event, Payload};

#[test]
fn the_peer_closes_first() {
    let (mut lab, id) = Lab::established();
    assert_eq!(lab.receive(from(F, 1, 1)), Some(vec![]), "the end is news");
    assert_eq!(lab.state(), State::CloseWait);
    lab.write(id, 10);
    lab.close(id);
    assert_eq!(lab.state(), State::LastAck);
    assert_eq!(lab.sent_text(), ["FPA 1+10 ack 2"]);
    lab.receive(from(A, 2, 12));
    assert_eq!(lab.state(), State::Closed);
    assert!(lab.tcp.next_event().is_none(), "it ended as its user asked");
}

#[test]
fn we_close_first() {
    let (mut lab, id) = Lab::established();
    lab.close(id);
    assert_eq!(lab.state(), State::FinWait1);
    assert_eq!(lab.sent_text(), ["FA 1 ack 1"]);
    lab.receive(from(A, 1, 2));
    assert_eq!(lab.state(), State::FinWait2);
    lab.receive(from(F, 1, 2));
    assert_eq!(lab.state(), State::TimeWait);
    assert_eq!(lab.sent_text(), ["A 2 ack 2"]);
    lab.wait(Duration::from_secs(50));
    lab.receive(from(F, 1, 2));
    assert_eq!(lab.sent_text(), ["A 2 ack 2"], "the FIN again is acknowledged again");
    lab.wait(Duration::from_secs(59));
    assert_eq!(lab.state(), State::TimeWait, "and starts the wait again");
    lab.wait(Duration::from_secs(2));
    assert_eq!(lab.state(), State::Closed);
    assert_eq!(lab.tcp.wheel.len(), 0);
}

#[test]
fn half_close() {
    let (mut lab, id) = Lab::established();
    lab.finish(id);
    assert_eq!(lab.sent_text(), ["FA 1 ack 1"]);
    lab.receive(from(A, 1, 2));
    assert_eq!(lab.receive(from(A, 1, 2).text(100)).map(|octets| octets.len()), Some(100));
    lab.wait(Duration::from_secs(600));
    assert_eq!(lab.state(), State::FinWait2, "its user still reads");
    lab.consume(id, 100);
    lab.receive(from(F, 101, 2));
    assert_eq!(lab.state(), State::TimeWait);
    lab.close(id);
    assert_eq!(lab.state(), State::TimeWait);
    assert_eq!(lab.tcp.counters().time_wait, 1, "in its compact form");
}

#[test]
fn simultaneous_close() {
    let (mut lab, id) = Lab::established();
    lab.close(id);
    lab.sent();
    lab.receive(from(F, 1, 1));
    assert_eq!(lab.state(), State::Closing);
    assert_eq!(lab.sent_text(), ["A 2 ack 2"]);
    lab.receive(from(A, 2, 2));
    assert_eq!(lab.state(), State::TimeWait);
}

#[test]
fn text_after_close_is_reset() {
    let (mut lab, id) = Lab::established();
    lab.close(id);
    lab.sent();
    lab.receive(from(A, 1, 1).text(5));
    assert_eq!(lab.sent_text(), ["R 1"], "what the peer expects: our FIN has not arrived yet");
    assert_eq!(lab.state(), State::Closed);
}

#[test]
fn unread_text_at_close_is_reset() {
    let (mut lab, id) = Lab::established();
    lab.receive(from(A, 1, 1).text(5));
    lab.close(id);
    assert_eq!(lab.sent_text(), ["RA 1 ack 6"]);
    assert_eq!(lab.state(), State::Closed);
    assert!(lab.tcp.next_event().is_none());
}

#[test]
fn nobody_waits_in_fin_wait_2_for_ever() {
    let (mut lab, id) = Lab::established();
    lab.close(id);
    lab.sent();
    lab.receive(from(A, 1, 2));
    lab.wait(Duration::from_secs(61));
    assert_eq!(lab.state(), State::Closed);
}

#[test]
fn a_user_may_read_after_everything_is_over() {
    let (mut lab, id) = Lab::established();
    lab.receive(from(F, 1, 1).text(10));
    lab.finish(id);
    assert_eq!(lab.sent_text(), ["FA 1 ack 12"]);
    lab.receive(from(A, 12, 2));
    assert_eq!(lab.state(), State::Closed, "and its sockets are free");
    lab.receive(from(S, 0, 0));
    assert_eq!(lab.sent()[0].header.flags, S | A, "for another connection");
    assert_eq!(lab.input(id).len(), 10);
    lab.consume(id, 10);
    lab.close(id);
    assert!(lab.tcp.stream(lab.now, id, Payload::EMPTY).is_none());
}

#[test]
fn abort() {
    let (mut lab, id) = Lab::established();
    lab.write(id, 10);
    lab.sent();
    lab.tcp.stream(lab.now, id, Payload::EMPTY).unwrap().abort();
    assert_eq!(lab.sent_text(), ["RA 11 ack 1"]);
    assert_eq!((lab.state(), lab.tcp.counters().memory_in_use), (State::Closed, 0));
    let (mut lab, connection) = Lab::established();
    assert!(lab.tcp.abort(lab.now, connection) && !lab.tcp.abort(lab.now, connection));
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection, reason: ClosedReason::Aborted }));
    assert_eq!(lab.sent_text(), ["RA 1 ack 1"]);
}

#[test]
fn a_listener_that_ends_leaves_its_connections() {
    let (mut lab, id) = Lab::established();
    assert!(lab.tcp.unlisten(lab.listener.unwrap()));
    assert!(lab.receive(from(A, 1, 1).text(5)).is_some());
    lab.consume(id, 5);
    lab.close(id);
    lab.sent();
    lab.receive(from(F, 6, 2));
    assert_eq!(lab.state(), State::TimeWait);
}

fn in_time_wait(syn: super::super::lab::From, ack: super::super::lab::From) -> Lab {
    let (mut lab, id) = Lab::established_with(Configuration::default(), syn);
    lab.close(id);
    lab.sent();
    lab.receive(ack);
    lab.sent();
    assert_eq!(lab.state(), State::TimeWait);
    lab
}

#[test]
fn time_wait_is_not_assassinated() {
    let mut lab = in_time_wait(from(S, 0, 0), from(F, 1, 2));
    lab.receive(from(R, 2, 0));
    assert_eq!(lab.state(), State::TimeWait, "RFC 1337");
}

#[test]
fn a_newer_syn_reopens_what_is_in_time_wait() {
    let mut lab = in_time_wait(from(S, 0, 0), from(F, 1, 2));
    let old_iss = lab.iss;
    lab.receive(from(S, 1, 0));
    assert_eq!(lab.sent_text(), ["A 2 ack 2"], "an old SYN is only acknowledged");
    lab.receive(from(S, 100, 0));
    let sent = lab.sent();
    assert_eq!(sent[0].header.flags, S | A);
    assert!(sent[0].header.seq > old_iss + 2, "the new numbers lie beyond the old");
    assert_eq!(lab.state(), State::SynReceived);
}

#[test]
fn with_timestamps_the_clock_decides() {
    let mut lab = in_time_wait(from(S, 0, 0).timestamp(100, 0), from(F, 1, 2).timestamp(110, 0));
    lab.receive(from(S, 100, 0).timestamp(105, 0));
    assert_eq!(lab.state(), State::TimeWait);
    lab.sent();
    lab.receive(from(S, 0x8000_0100, 0).timestamp(111, 0));
    assert_eq!((lab.state(), lab.tcp.counters().time_wait_reused), (State::SynReceived, 1));
}

#[test]
fn too_many_in_time_wait_push_out_the_oldest() {
    let mut lab = Lab::listening(Configuration { maximum_time_wait: 2, ..Configuration::default() });
    for port in 1..=3 {
        lab.receive(from(S, 0, 0).port(port));
        lab.sent();
        lab.receive(from(A, 1, 1).port(port));
        let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!() };
        lab.close(connection);
        lab.sent();
        lab.receive(from(F, 1, 2).port(port));
    }
    let ports: Vec<u16> = lab.tcp.connections().map(|row| row.remote.port()).collect();
    assert_eq!(ports, [2, 3]);
    assert_eq!(lab.tcp.counters().time_wait_overflow, 1);
    assert!(!Flags::default().contains(S));
}

#[test]
fn seventy_thousand_connections_leave_nothing() {
    let mut lab = Lab::listening(Configuration::default());
    for number in 0..70_000_u32 {
        let port = 1 + (number % 50_000) as u16;
        lab.receive(from(S, 0, 0).port(port));
        lab.sent();
        lab.receive(from(A, 1, 1).text(20).port(port));
        let Some(Event::Opened { connection, .. }) = lab.tcp.next_event() else { panic!("{number}") };
        lab.consume(connection, 20);
        lab.write(connection, 100);
        lab.close(connection);
        lab.sent();
        lab.receive(from(F, 21, 102).port(port));
        lab.sent();
        if number % 1000 == 0 {
            lab.wait(Duration::from_secs(10));
        }
    }
    assert_eq!(lab.tcp.counters().passive_opens, 70_000);
    lab.wait(Duration::from_secs(61));
    let counters = lab.tcp.counters();
    assert_eq!((counters.connections, counters.time_wait, counters.memory_in_use), (0, 0, 0));
    assert!(lab.tcp.wheel.len() == 0 && lab.tcp.time_wait.is_empty() && lab.tcp.ready.is_empty());
}
