//! Segments that mean harm, or make no sense (RFC 5961, RFC 9293 §3.10.7.4).

use std::time::Duration;

use proptest::prelude::*;

use super::super::super::control_block::ControlBlock;
use super::super::super::half_open::HalfOpen;
use super::super::super::segment::Flags;
use super::super::super::time_wait::TimeWait;
use super::super::super::{Configuration, State};
use super::super::lab::{A, Lab, R, S, from};
use crate::{ClosedReason, Event};

#[test]
fn only_the_exact_reset_resets() {
    let (mut lab, connection) = Lab::established();
    lab.receive(from(R, 70_000, 0));
    assert!(lab.sent().is_empty(), "outside the window: dropped");
    lab.receive(from(R, 2, 0));
    assert_eq!(lab.sent_text(), ["A 1 ack 1"], "inside: a challenge ACK");
    lab.receive(from(R, 2, 0));
    assert!(lab.sent().is_empty(), "not at any rate");
    assert_eq!(lab.tcp.counters().challenge_acknowledgments_suppressed, 1);
    assert_eq!(lab.state(), State::Established);
    lab.receive(from(R, 1, 0));
    assert_eq!(lab.tcp.next_event(), Some(Event::Closed { connection, reason: ClosedReason::Reset }));
}

#[test]
fn a_syn_is_challenged_wherever_it_stands() {
    let (mut lab, _) = Lab::established();
    for seq in [5, 1, 70_000, 0] {
        lab.wait(Duration::from_secs(1));
        lab.receive(from(S, seq, 0));
        assert_eq!(lab.sent_text(), ["A 1 ack 1"], "{seq}");
    }
    assert_eq!(lab.state(), State::Established);
}

#[test]
fn acknowledgments_of_what_was_never_sent_and_of_long_ago() {
    let (mut lab, _) = Lab::established();
    assert_eq!(lab.receive(from(A, 1, 2).text(10)), None);
    assert_eq!(lab.sent_text(), ["A 1 ack 1"]);
    lab.wait(Duration::from_secs(1));
    assert_eq!(lab.receive(from(A, 1, 0_u32.wrapping_sub(70_000)).text(10)), None);
    assert_eq!(lab.sent_text(), ["A 1 ack 1"]);
    assert_eq!(lab.receive(from(Flags::default(), 1, 0).text(10)), None, "no ACK at all");
    assert!(lab.sent().is_empty());
}

#[test]
fn acknowledgments_do_not_answer_each_other_for_ever() {
    let (mut lab, _) = Lab::established();
    lab.receive(from(A, 100_000, 1));
    assert_eq!(lab.sent_text(), ["A 1 ack 1"]);
    lab.receive(from(A, 100_000, 1));
    assert!(lab.sent().is_empty());
}

#[test]
fn groups_and_wrong_checksums_are_ignored() {
    let mut lab = Lab::listening(Configuration::default());
    let packet = lab.packet(from(S, 0, 0));
    let mut received = packet.received();
    received.group = true;
    assert!(lab.tcp.receive(lab.now, received).is_none());
    let mut received = packet.received();
    received.checksum_valid = false;
    assert!(lab.tcp.receive(lab.now, received).is_none());
    let counters = lab.tcp.counters();
    assert_eq!((counters.group_destination, counters.bad_checksum, counters.connections), (1, 1, 0));
}

#[test]
fn what_a_connection_costs() {
    let (lab, id) = Lab::established();
    assert_eq!(lab.tcp.detail(id).unwrap().memory, 0);
    assert!(size_of::<ControlBlock>() <= 960, "{}", size_of::<ControlBlock>());
    assert!(size_of::<HalfOpen>() <= 160, "{}", size_of::<HalfOpen>());
    assert!(size_of::<TimeWait>() <= 176, "{}", size_of::<TimeWait>());
}

#[test]
fn data_out_of_order_are_bounded_by_the_window() {
    let (mut lab, id) = Lab::established();
    for round in 0..200 {
        for seq in (3..60_000).step_by(997) {
            lab.receive(from(A, seq + round, 1).text(500));
        }
    }
    let detail = lab.tcp.detail(id).unwrap();
    assert!(detail.memory < 160_000, "{detail:?}");
}

proptest! {
    /// Whatever comes, TCP stands, and what it lends is what lay at that place in the stream.
    #[test]
    fn any_sequence_of_segments(
        segments in proptest::collection::vec(
            (any::<u8>(), 0_u32..70_000, 0_u32..6_000, 0_usize..3_000, any::<u16>(), 0_u64..3_000,
                proptest::collection::vec((0_u32..6_000, 0_u32..6_000), 0..4), any::<Option<u32>>()), 1..60),
        writes in 0_usize..6_000,
        active: bool,
        mss: u16,
        small: bool,
        (sack, scale, timestamp) in any::<(bool, Option<u8>, Option<u32>)>(),
    ) {
        let (mut lab, id) = if active {
            let mut lab = Lab::new(Configuration::default());
            let peer = ([192, 0, 2, 1], super::super::lab::PEER_PORT).into();
            let id = lab.tcp.connect(lab.now, ([192, 0, 2, 2], 80).into(), peer).unwrap();
            lab.sent();
            (lab, id)
        } else {
            let mut syn = from(S, 0, 0).mss(if small { mss % 120 } else { mss });
            if sack { syn = syn.sack_permitted(); }
            if let Some(shift) = scale { syn = syn.scale(shift); }
            if let Some(value) = timestamp { syn = syn.timestamp(value, 0); }
            Lab::established_with(Configuration::default(), syn)
        };
        if let Some(mut stream) = lab.tcp.stream(lab.now, id, crate::Payload::EMPTY) {
            stream.write_copy(&vec![7; writes]);
        }
        lab.sent();
        let mut read = 1_u32;
        for (flags, seq, ack, length, window, wait, blocks, value) in segments {
            // Mostly near what is expected, or nothing would ever get past the first step.
            let seq = if seq % 3 == 0 { read } else { seq };
            let flags = if flags % 4 == 0 { flags } else { flags & 0x11 | 0x10 };
            let mut segment = from(Flags(flags), seq, ack).text(length).window(window);
            match value {
                Some(value) if value % 2 == 0 => segment = segment.timestamp(value, value),
                _ => segment = segment.sack(&blocks),
            }
            lab.receive(segment);
            lab.sent();
            if let Some(mut stream) = lab.tcp.stream(lab.now, id, crate::Payload::EMPTY) {
                let input = stream.input().to_vec();
                for octet in &input {
                    prop_assert_eq!(*octet, read as u8);
                    read += 1;
                }
                stream.consume(input.len());
            }
            lab.wait(Duration::from_millis(wait));
            lab.sent();
        }
    }
}
