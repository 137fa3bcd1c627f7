use std::sync::LazyLock;

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;

use super::testing::{client, example, lines, query, respond, respond_tcp, server};
use super::*;
use crate::zone::testing::zones;

const HEADER: usize = 12;

fn www() -> Message {
    query("www.example.test.", RecordType::AAAA)
}

fn with_edns(mut message: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

fn code(server: &Server, packet: &[u8]) -> Option<ResponseCode> {
    respond(server, packet).map(|message| message.metadata.response_code)
}

#[test]
fn identifier_and_flags() {
    let mut query = www();
    query.metadata.recursion_desired = true;
    query.metadata.checking_disabled = true;
    query.metadata.authentic_data = true;
    let response = respond(&example(), &query.to_vec().unwrap()).unwrap();
    let metadata = response.metadata;
    assert_eq!(metadata.id, 0x1234);
    assert!(metadata.recursion_desired && metadata.checking_disabled && metadata.authoritative);
    assert!(!metadata.recursion_available && !metadata.authentic_data && !metadata.truncation);
    query.metadata.recursion_desired = false;
    assert!(!respond(&example(), &query.to_vec().unwrap()).unwrap().metadata.recursion_desired);
}

#[test]
fn responses_and_scraps_are_met_with_silence() {
    let server = example();
    let mut packet = www().to_vec().unwrap();
    for length in 0..HEADER {
        assert_eq!(code(&server, &packet[..length]), None);
    }
    packet[2] |= 0x80;
    assert_eq!(code(&server, &packet), None);
}

#[test]
fn counts_are_checked_first() {
    let server = example();
    let with_count = |at: usize, value: u16| {
        let mut packet = www().to_vec().unwrap();
        packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
        packet
    };
    for (at, value) in
        [(4, 0), (4, 2), (4, 65_535), (6, 1), (6, 65_535), (8, 1), (8, 2), (10, 3), (10, 65_535), (10, 1)]
    {
        assert_eq!(code(&server, &with_count(at, value)), Some(ResponseCode::FormErr), "{at} {value}");
    }
    assert_eq!(respond(&server, &with_count(4, 2)).unwrap().queries.len(), 0);
}

#[test]
fn an_incremental_transfer_is_refused_and_not_malformed() {
    let mut query = query("example.test.", RecordType::IXFR);
    let soa = RData::try_from_str(RecordType::SOA, "a. b. 1 2 3 4 5").unwrap();
    query.add_authority(Record::from_rdata(Name::from_ascii("example.test.").unwrap(), 0, soa));
    assert_eq!(code(&example(), &query.to_vec().unwrap()), Some(ResponseCode::Refused));
}

#[test]
fn cut_and_compressed_questions_are_malformed() {
    let server = example();
    let packet = www().to_vec().unwrap();
    for length in HEADER..packet.len() {
        assert_eq!(code(&server, &packet[..length]), Some(ResponseCode::FormErr), "{length}");
    }
    let mut pointer = packet[..HEADER].to_vec();
    pointer.extend([0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(code(&server, &pointer), Some(ResponseCode::FormErr));
}

#[test]
fn other_opcodes_are_not_implemented() {
    let server = example();
    for opcode in [1, 2, 4, 5, 6, 15] {
        let mut packet = www().to_vec().unwrap();
        packet[2] = opcode << 3 | 1;
        // An UPDATE may have any counts.
        packet[6..8].copy_from_slice(&[0, 9]);
        let response = respond(&server, &packet).unwrap();
        assert_eq!(response.metadata.response_code, ResponseCode::NotImp);
        assert_eq!(response.metadata.op_code, OpCode::from_u8(opcode));
        assert_eq!(response.queries.len(), 0);
    }
}

#[test]
fn other_classes_are_refused() {
    let mut query = www();
    query.queries[0].set_query_class(hickory_proto::rr::DNSClass::CH);
    assert_eq!(code(&example(), &query.to_vec().unwrap()), Some(ResponseCode::Refused));
    query.queries[0].set_query_class(hickory_proto::rr::DNSClass::ANY);
    assert_eq!(code(&example(), &query.to_vec().unwrap()), Some(ResponseCode::NoError));
}

#[test]
fn edns_is_answered_with_edns() {
    let server = example();
    assert_eq!(respond(&server, &www().to_vec().unwrap()).unwrap().edns, None);
    let mut query = with_edns(www(), 4096);
    let edns = respond(&server, &query.to_vec().unwrap()).unwrap().edns.unwrap();
    assert_eq!((edns.version(), edns.max_payload(), edns.flags().dnssec_ok), (0, 1232, false));
    query.edns.as_mut().unwrap().set_dnssec_ok(true);
    query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(65_001, vec![1, 2, 3]));
    let response = respond(&server, &query.to_vec().unwrap()).unwrap();
    assert_eq!(lines(&response), ["NOERROR aa", "AN www.example.test. 300 IN AAAA 2001:db8::80"]);
    let edns = response.edns.unwrap();
    assert!(edns.flags().dnssec_ok && edns.options().as_ref().is_empty());
}

#[test]
fn another_version_of_edns_is_told_ours() {
    let mut query = with_edns(www(), 1232);
    query.edns.as_mut().unwrap().set_version(1);
    let response = respond(&example(), &query.to_vec().unwrap()).unwrap();
    // 16 is BADVERS in an OPT record, and BADSIG in a TSIG record, which hickory takes it for.
    assert_eq!(u16::from(response.metadata.response_code), 16);
    assert_eq!(response.edns.unwrap().version(), 0);
    assert_eq!((response.answers.len(), response.queries.len()), (0, 1));
}

#[test]
fn a_wrong_opt_record_is_malformed() {
    let server = example();
    let packet = with_edns(www(), 1232).to_vec().unwrap();
    let opt = packet[packet.len() - 11..].to_vec();
    let mut twice = [packet.clone(), opt.clone()].concat();
    twice[11] = 2;
    assert_eq!(code(&server, &twice), Some(ResponseCode::FormErr));
    let mut named = packet[..packet.len() - 11].to_vec();
    named.extend(b"\x01a");
    named.extend(&opt);
    assert_eq!(code(&server, &named), Some(ResponseCode::FormErr));
    let mut cut_option = packet.clone();
    let length = cut_option.len();
    cut_option[length - 1] = 4;
    cut_option.extend([0, 10, 0, 9]);
    assert_eq!(code(&server, &cut_option), Some(ResponseCode::FormErr));
}

#[test]
fn keepalive_is_told_over_tcp_to_who_asks() {
    let server = example();
    let mut query = with_edns(www(), 1232);
    let option = |message: &Message| message.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Keepalive)).cloned();
    assert_eq!(option(&respond_tcp(&server, &query)), None);
    query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(11, vec![]));
    let expected = EdnsOption::Unknown(11, vec![0, 100]);
    assert_eq!(option(&respond_tcp(&server, &query)), Some(expected));
    assert_eq!(option(&respond(&server, &query.to_vec().unwrap()).unwrap()), None);
}

#[test]
fn cookies() {
    let server = example();
    let with_cookie = |cookie: &[u8]| {
        let mut query = with_edns(www(), 1232);
        query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(10, cookie.to_vec()));
        respond(&server, &query.to_vec().unwrap()).unwrap()
    };
    // The vector of RFC 9018, appendix A.1.
    let client = 0x2464_c4ab_cf10_c957_u64.to_be_bytes();
    let expected = [&client[..], &0x0100_0000_5cf7_9f11_1f81_30c3_eee2_9480_u128.to_be_bytes()].concat();
    let option = |response: &Message| response.edns.as_ref().unwrap().option(EdnsCode::Cookie).cloned();
    for cookie in [client.to_vec(), expected.clone(), [1; 40].to_vec()] {
        let response = with_cookie(&cookie);
        assert_eq!(response.answers.len(), 1);
        let Some(EdnsOption::Unknown(10, given)) = option(&response) else { panic!("no cookie") };
        assert_eq!(given[..8], cookie[..8]);
        assert_eq!(given == expected, cookie[..8] == client);
    }
    for length in [0, 1, 7, 9, 15, 41] {
        assert_eq!(with_response_code(&server, 10, &vec![0; length]), ResponseCode::FormErr, "{length}");
    }
}

fn with_response_code(server: &Server, code: u16, data: &[u8]) -> ResponseCode {
    let mut query = with_edns(www(), 1232);
    query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(code, data.to_vec()));
    respond(server, &query.to_vec().unwrap()).unwrap().metadata.response_code
}

#[test]
fn the_identity_is_told_to_who_asks() {
    let mut server = example();
    let mut query = with_edns(www(), 1232);
    let nsid = |server: &Server, query: &Message| {
        let edns = respond(server, &query.to_vec().unwrap()).unwrap().edns.unwrap();
        edns.option(EdnsCode::NSID).map(|option| Vec::<u8>::try_from(option).unwrap())
    };
    assert_eq!(nsid(&server, &query), None);
    query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(3, vec![]));
    assert_eq!(nsid(&server, &query), Some(b"here".to_vec()));
    server.identity = None;
    assert_eq!(nsid(&server, &query), None);
}

#[test]
fn a_refusal_has_a_reason() {
    let server = example();
    let reason = |name: &str, kind| {
        let query = with_edns(query(name, kind), 1232);
        let edns = respond(&server, &query.to_vec().unwrap()).unwrap().edns.unwrap();
        edns.option(EdnsCode::Unknown(15)).cloned()
    };
    assert_eq!(reason("elsewhere.test.", RecordType::A), Some(EdnsOption::Unknown(15, vec![0, 20])));
    assert_eq!(reason("example.test.", RecordType::AXFR), Some(EdnsOption::Unknown(15, vec![0, 21])));
    assert_eq!(reason("example.test.", RecordType::A), None);
}

/// A zone whose `many` has 100 addresses, 16 octets each in a response.
fn crowd() -> Server {
    let mut text = "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\n@ MX 1 many\n@ MX 2 few\nfew A 192.0.2.1\n".to_owned();
    for index in 0..100 {
        text.push_str(&format!("many A 192.0.2.{index}\n"));
    }
    text.push_str("sub NS ns.sub\nsub NS many.sub\nns.sub A 192.0.2.1\n");
    for index in 0..100 {
        text.push_str(&format!("many.sub A 192.0.2.{index}\n"));
    }
    server(zones(&[("t", &text)]))
}

#[test]
fn what_does_not_fit_in_a_datagram_is_left_out_by_sets() {
    let server = crowd();
    let many = query("many.t.", RecordType::A);
    assert_eq!(lines(&respond(&server, &many.to_vec().unwrap()).unwrap()), ["NOERROR aa tc"]);
    assert_eq!(lines(&respond_tcp(&server, &many)).len(), 101);
    // The additional section may be shortened without a word (RFC 2181 §9).
    let mx = lines(&respond(&server, &query("t.", RecordType::MX).to_vec().unwrap()).unwrap());
    assert_eq!(mx, ["NOERROR aa", "AN t. 1 IN MX 1 many.t.", "AN t. 1 IN MX 2 few.t."]);
    // But not by glue (RFC 9471).
    let referral = lines(&respond(&server, &query("x.sub.t.", RecordType::A).to_vec().unwrap()).unwrap());
    assert_eq!(
        referral,
        ["NOERROR tc", "NS sub.t. 1 IN NS ns.sub.t.", "NS sub.t. 1 IN NS many.sub.t.", "AR ns.sub.t. 1 IN A 192.0.2.1"]
    );
}

#[test]
fn the_smallest_size_counts() {
    // 12 + (3 + 1 + 2 + 4) + 50 × 16 octets, and 11 for an OPT record.
    let mut text = "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\n".to_owned();
    for index in 0..50 {
        text.push_str(&format!("n A 192.0.2.{index}\n"));
    }
    let server = server(zones(&[("t", &text)]));
    let query = query("n.t.", RecordType::A);
    let exact: u16 = 12 + 9 + 50 * 16 + 11;
    let truncated = |payload, payload_limit| {
        let mut buffer = Vec::new();
        server.respond(
            &with_edns(query.clone(), payload).to_vec().unwrap(),
            &client(Via::Udp { payload_limit }),
            &mut buffer,
        );
        assert!(buffer.len() <= usize::from(payload.max(512)));
        Message::from_vec(&buffer).unwrap().metadata.truncation
    };
    assert!(!truncated(exact, 1500));
    assert!(truncated(exact - 1, 1500));
    assert!(truncated(0, 1500), "less than 512 is taken for 512");
    assert!(truncated(4096, usize::from(exact) - 1), "what the path allows");
    assert!(!truncated(4096, usize::from(exact)));
    let small = Server { udp_payload_size: 512, ..server };
    assert!(respond(&small, &with_edns(query, 4096).to_vec().unwrap()).unwrap().metadata.truncation);
}

#[test]
fn requests_and_responses_are_counted() {
    let registry = prometheus::Registry::new();
    let server = Server { metrics: Metrics::register(&registry).unwrap(), ..example() };
    respond(&server, &www().to_vec().unwrap());
    respond(&server, &query("nothing.example.test.", RecordType::Unknown(4711)).to_vec().unwrap());
    respond(&server, &[0; 12]);
    respond(&server, b"short");
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        "tapster_dns_requests_total{transport=\"udp\",type=\"AAAA\"} 1",
        "tapster_dns_requests_total{transport=\"udp\",type=\"other\"} 1",
        "tapster_dns_responses_total{code=\"NOERROR\"} 1",
        "tapster_dns_responses_total{code=\"NXDOMAIN\"} 1",
        "tapster_dns_responses_total{code=\"FORMERR\"} 1",
        "tapster_dns_malformed_total{transport=\"udp\"} 1",
        "tapster_dns_dropped_total{reason=\"short\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// Whatever comes, nothing or a message with its identifier goes out.
fn check(server: &Server, packet: &[u8]) -> Result<(), TestCaseError> {
    for via in [Via::Udp { payload_limit: 1472 }, Via::Tcp { keepalive: 100 }] {
        let mut buffer = vec![0xee; 3];
        server.respond(packet, &client(via), &mut buffer);
        let response = &buffer[3..];
        if response.is_empty() {
            prop_assert!(packet.len() < HEADER || packet[2] & 0x80 != 0);
            continue;
        }
        let message = Message::from_vec(response).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(message.metadata.id, u16::from_be_bytes([packet[0], packet[1]]));
        let limit = if matches!(via, Via::Udp { .. }) { 1232 } else { 65_535 };
        prop_assert!(response.len() <= limit);
    }
    Ok(())
}

static EXAMPLE: LazyLock<Server> = LazyLock::new(example);

proptest! {
    #[test]
    fn arbitrary_octets(packet in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&EXAMPLE, &packet)?;
    }

    #[test]
    fn damaged_queries(
        name in prop::sample::select(vec!["example.test.", "a.wild.example.test.", "x.sub.example.test.", "alias2.example.test."]),
        kind in any::<u8>(),
        edns in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut query = query(name, RecordType::from(u16::from(kind)));
        if edns {
            query = with_edns(query, 1232);
        }
        let mut packet = query.to_vec().unwrap();
        for (index, octet) in damage {
            let index = index.index(packet.len());
            packet[index] = octet;
        }
        check(&EXAMPLE, &packet)?;
    }

    #[test]
    fn what_hickory_reads_is_read_alike(
        labels in prop::collection::vec("[a-zA-Z0-9_]{1,20}", 0..6),
        kind in any::<u16>(),
        payload in any::<u16>(),
        options in prop::collection::vec((12u16..1000, prop::collection::vec(any::<u8>(), 0..10)), 0..4),
    ) {
        let name = format!("{}.", labels.join("."));
        let mut query = with_edns(query(&name, RecordType::from(kind)), payload);
        for (code, data) in options {
            query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(code, data));
        }
        let packet = query.to_vec().unwrap();
        let oracle = Message::from_vec(&packet).unwrap();
        let Ok((_, read)) = query::read(&packet) else { return Err(TestCaseError::fail("not read")) };
        let mut lower = Vec::new();
        for label in &labels {
            lower.push(label.len() as u8);
            lower.extend(label.to_ascii_lowercase().bytes());
        }
        lower.push(0);
        prop_assert_eq!(read.question.name.as_wire(), lower.as_slice());
        prop_assert_eq!(read.question.kind.0, kind);
        let edns = read.edns.unwrap();
        let expected = oracle.edns.unwrap();
        prop_assert_eq!(edns.payload_size.max(512), expected.max_payload());
        prop_assert_eq!(edns.version, expected.version());
    }
}
