use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tapster_service::testing::{TestEnvironment, TestSocket};

use super::*;
use crate::server::testing::{example, query};

fn receive(udp: &mut Udp, socket: &mut TestSocket, payload: &[u8]) {
    let (local, remote) = ("192.0.2.2:53".parse().unwrap(), "192.0.2.1:4242".parse().unwrap());
    let datagram = Datagram { local, remote, link_address: None, payload };
    TestEnvironment::default().with_context(|cx| udp.receive(datagram, socket, cx));
}

#[test]
fn a_response_goes_back_to_where_the_query_came_from() {
    let mut udp = Udp::new(Arc::new(example()), &Limits::default());
    let mut socket = TestSocket::default();
    let packet = query("www.example.test.", RecordType::A).to_vec().unwrap();
    for _ in 0..2 {
        receive(&mut udp, &mut socket, &packet);
    }
    assert_eq!(socket.sent.len(), 2);
    for (from, to, payload) in &socket.sent {
        assert_eq!((from.to_string(), to.to_string()), ("192.0.2.2:53".to_owned(), "192.0.2.1:4242".to_owned()));
        assert_eq!(Message::from_vec(payload).unwrap().answers.len(), 2);
    }
}

#[test]
fn nothing_is_sent_for_what_is_not_answered() {
    let mut udp = Udp::new(Arc::new(example()), &Limits::default());
    let mut socket = TestSocket::default();
    receive(&mut udp, &mut socket, b"");
    receive(&mut udp, &mut socket, &[0xff; 20]);
    assert!(socket.sent.is_empty());
}

#[test]
fn responses_beyond_the_limit_are_dropped_or_truncated() {
    let limits = Limits { responses_per_second: 5, slip: 2, ..Limits::default() };
    let mut udp = Udp::new(Arc::new(example()), &limits);
    let mut socket = TestSocket::default();
    let mut environment = TestEnvironment::default();
    let packet = query("www.example.test.", RecordType::A).to_vec().unwrap();
    let (local, remote) = ("192.0.2.2:53".parse().unwrap(), "192.0.2.1:4242".parse().unwrap());
    for _ in 0..9 {
        let datagram = Datagram { local, remote, link_address: None, payload: &packet };
        environment.with_context(|cx| udp.receive(datagram, &mut socket, cx));
    }
    let truncated: Vec<_> =
        socket.sent.iter().map(|(_, _, sent)| Message::from_vec(sent).unwrap().metadata.truncation).collect();
    assert_eq!(truncated, [false, false, false, false, false, true, true]);
}
