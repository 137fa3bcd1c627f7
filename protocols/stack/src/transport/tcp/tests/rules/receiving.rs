//! Receiving text (RFC 9293 §3.10.7.4 seventh and eighth, §3.8.6).

use std::time::Duration;

use super::super::super::{Configuration, State};
use super::super::lab::{A, F, Lab, S, from};
use crate::Payload;

#[test]
fn text_in_order_is_lent_from_the_frame() {
    let (mut lab, id) = Lab::established();
    let packet = lab.packet(from(A, 1, 1).text(100));
    let (connection, payload) = lab.tcp.receive(lab.now, packet.received()).unwrap();
    assert_eq!(connection, id);
    assert!(matches!(payload, Payload::Lent(octets) if octets.as_ptr() == packet.bytes[20..].as_ptr()));
    let mut stream = lab.tcp.stream(lab.now, id, payload).unwrap();
    assert_eq!(stream.input().as_ptr(), packet.bytes[20..].as_ptr());
    stream.consume(40);
    assert_eq!(stream.input().len(), 60);
    drop(stream);
    // What was left has been kept.
    let expected: Vec<u8> = packet.bytes[60..].to_vec();
    assert_eq!(lab.input(id), expected);
    assert!(lab.tcp.counters().memory_in_use > 0);
    lab.consume(id, 1000);
    assert_eq!(lab.tcp.counters().memory_in_use, 0, "an idle connection holds no buffer");
}

#[test]
fn acknowledgments_are_delayed_but_for_every_second_full_segment() {
    let (mut lab, id) = Lab::established();
    for seq in 0..16 {
        lab.receive(from(A, 1 + seq * 1000, 1).text(1000));
        assert_eq!(lab.sent().len(), 1, "a peer in slow start does not wait");
    }
    lab.receive(from(A, 16_001, 1).text(1000));
    assert!(lab.sent().is_empty());
    let (after, sent) = lab.wait_for_segments();
    assert!((40..43).contains(&after.as_millis()), "{after:?}");
    assert_eq!(sent[0].text, "A 1 ack 17001");
    lab.receive(from(A, 17_001, 1).text(1000));
    lab.receive(from(A, 18_001, 1).text(1000));
    lab.receive(from(A, 19_001, 1).text(1000));
    assert_eq!(lab.sent_text(), ["A 1 ack 20001"], "one for all that came in one turn");
    lab.receive(from(A, 20_001, 1).text(10));
    lab.write(id, 5);
    assert_eq!(lab.sent_text(), ["PA 1+5 ack 20011"], "data carry it along");
}

#[test]
fn out_of_order_text_waits_for_the_hole_to_be_filled() {
    let (mut lab, id) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).sack_permitted());
    assert_eq!(lab.receive(from(A, 11, 1).text(10)), None);
    let sent = lab.sent();
    assert_eq!((sent[0].text.as_str(), &sent[0].sack[..]), ("A 1 ack 1", &[(11, 21)][..]));
    assert_eq!(lab.receive(from(A, 31, 1).text(10)), None);
    assert_eq!(lab.sent()[0].sack, [(31, 41), (11, 21)], "the latest first");
    assert_eq!(lab.receive(from(A, 1, 1).text(10)), Some(vec![]), "more is in the queue");
    assert_eq!(lab.sent_text(), ["A 1 ack 21"], "a hole that is filled is acknowledged at once");
    assert_eq!(lab.input(id), (1..21).collect::<Vec<u8>>());
    assert_eq!(lab.receive(from(A, 21, 1).text(10)), Some(vec![]));
    assert_eq!(lab.input(id), (1..41).collect::<Vec<u8>>());
}

#[test]
fn what_came_twice_is_reported() {
    let (mut lab, _) = Lab::established_with(Configuration::default(), from(S, 0, 0).mss(1000).sack_permitted());
    lab.receive(from(A, 1, 1).text(20));
    lab.receive(from(A, 6, 1).text(10));
    let sent = lab.sent();
    assert_eq!((sent[0].text.as_str(), &sent[0].sack[..]), ("A 1 ack 21", &[(6, 16)][..]));
    lab.receive(from(A, 11, 1).text(20));
    lab.wait(Duration::from_millis(50));
    let sent = lab.sent();
    assert_eq!((sent[0].text.as_str(), &sent[0].sack[..]), ("A 1 ack 31", &[(11, 21)][..]), "only the new part counts");
}

#[test]
fn an_old_acknowledgment_does_not_hide_new_text() {
    let (mut lab, id) = Lab::established();
    lab.write(id, 500);
    lab.sent();
    lab.receive(from(A, 1, 501));
    assert_eq!(lab.receive(from(A, 1, 1).text(10)).map(|octets| octets.len()), Some(10));
}

#[test]
fn text_beyond_the_window_is_cut_off() {
    let configuration = Configuration { receive_buffer: 2000, ..Configuration::default() };
    let (mut lab, id) = Lab::established_with(configuration, from(S, 0, 0).mss(1000));
    lab.receive(from(A, 1, 1).text(1500));
    lab.receive(from(F, 1501, 1).text(1000));
    assert_eq!(lab.input(id).len(), 2000);
    let sent = lab.sent();
    assert_eq!((sent[0].text.as_str(), sent[0].header.window), ("A 1 ack 2001", 0));
    assert_eq!(lab.state(), State::Established, "the FIN was outside");
    // A closed window still takes acknowledgments, and answers what comes.
    lab.receive(from(A, 2001, 1).text(1));
    assert_eq!(lab.sent_text(), ["A 1 ack 2001"]);
    lab.consume(id, 100);
    assert!(lab.sent().is_empty(), "too little for a window update");
    lab.consume(id, 1400);
    let sent = lab.sent();
    assert_eq!((sent[0].text.as_str(), sent[0].header.window), ("A 1 ack 2001", 1500));
}

#[test]
fn a_fin_that_comes_early_waits() {
    let (mut lab, id) = Lab::established();
    assert_eq!(lab.receive(from(F, 11, 1).text(10)), None);
    assert_eq!(lab.state(), State::Established);
    lab.sent();
    assert_eq!(lab.receive(from(A, 1, 1).text(10)), Some(vec![]));
    assert_eq!(lab.sent_text(), ["A 1 ack 22"]);
    assert_eq!(lab.state(), State::CloseWait);
    let stream = lab.tcp.stream(lab.now, id, Payload::EMPTY).unwrap();
    assert!(stream.input_finished() && stream.input().len() == 20);
}

#[test]
fn urgent_data_stay_in_the_stream() {
    let (mut lab, _) = Lab::established();
    let octets = lab.receive(from(A, 1, 1).text(10).urgent(3));
    assert_eq!(octets.map(|octets| octets.len()), Some(10));
    assert_eq!(lab.receive(from(A, 11, 1).urgent(9)), None);
}

#[test]
fn old_timestamps_are_rejected() {
    let syn = from(S, 0, 0).mss(1000).timestamp(u32::MAX - 5, 0);
    let (mut lab, _) = Lab::established_with(Configuration::default(), syn);
    assert!(lab.receive(from(A, 1, 1).text(10).timestamp(5, 0)).is_some(), "the clock has wrapped");
    lab.wait(Duration::from_millis(50));
    assert_eq!(lab.sent()[0].header.options.timestamps.unwrap().echo_reply, 5);
    assert_eq!(lab.receive(from(A, 11, 1).text(10).timestamp(u32::MAX, 0)), None);
    assert_eq!(lab.tcp.counters().paws_rejected, 1);
    assert_eq!(lab.sent_text(), ["A 1 ack 11"]);
    lab.receive(from(A, 11, 9999).timestamp(100, 0));
    let text = lab.receive(from(A, 11, 1).text(10).timestamp(6, 0));
    assert!(text.is_some(), "an acknowledgment of what was never sent does not set TS.Recent");
    assert!(lab.receive(from(A, 21, 1).text(10)).is_some(), "a middlebox has taken the timestamp away");
}

#[test]
fn the_receive_buffer_grows_while_the_service_keeps_up() {
    let syn = from(S, 0, 0).mss(1000).scale(0);
    let (mut lab, id) = Lab::established_with(Configuration::default(), syn);
    let mut seq = 1;
    for _ in 0..300 {
        lab.receive(from(A, seq, 1).text(1000));
        seq += 1000;
        lab.consume(id, 1000);
        lab.sent();
    }
    let detail = lab.tcp.detail(id).unwrap();
    assert!(detail.rcv_wnd > 400_000 && detail.memory < 2000, "{detail:?}");
}
