//! Queries and responses for tests, made and read by hickory-proto.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::*;
use crate::sources::About;
use crate::zone::Zones;
use crate::zone::testing::{EXAMPLE, zones};

/// Zones and nothing else to answer from.
pub(crate) fn sources(texts: &[(&str, &str)]) -> Sources {
    Sources::new(zones(texts), About::default(), &[])
}

/// A server of these zones.
pub(crate) fn server(zones: Zones) -> Server {
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let sources = Sources::new(zones, About::default(), &[]);
    Server { sources, metrics, udp_payload_size: 1232, identity: Some("here".to_owned()), secret: OnceLock::new() }
}

/// The client of RFC 9018, appendix A.1.
pub(crate) fn client(via: Via) -> Client {
    let secret = Secret::from_text("e5e973e5a6b2a43f48e7dc849e37bfcf").unwrap();
    Client { via, address: "198.51.100.100".parse().unwrap(), time: 0x5cf7_9f11, secret }
}

/// A server of the example zone.
pub(crate) fn example() -> Server {
    server(zones(&[("example.test", EXAMPLE)]))
}

/// A query with the identifier 0x1234.
pub(crate) fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// What is answered to octets over UDP.
pub(crate) fn respond(server: &Server, packet: &[u8]) -> Option<Message> {
    let mut buffer = Vec::new();
    server.respond(packet, &client(Via::Udp { payload_limit: 65_507 }), &mut buffer);
    (!buffer.is_empty()).then(|| Message::from_vec(&buffer).unwrap())
}

/// What is answered to a query over TCP, where everything fits.
pub(crate) fn respond_tcp(server: &Server, message: &Message) -> Message {
    let mut buffer = Vec::new();
    server.respond(&message.to_vec().unwrap(), &client(Via::Tcp { keepalive: 100 }), &mut buffer);
    Message::from_vec(&buffer).unwrap()
}

/// The answer to a question about the example zone, as lines.
pub(crate) fn ask(name: &str, kind: RecordType) -> Vec<String> {
    ask_of(&sources(&[("example.test", EXAMPLE)]), name, kind)
}

/// The answer to a question, as lines: code and AA, then each record with its section.
pub(crate) fn ask_of(sources: &Sources, name: &str, kind: RecordType) -> Vec<String> {
    ask_query(sources, &query(name, kind))
}

/// The answer to a query, as lines.
pub(crate) fn ask_query(sources: &Sources, query: &Message) -> Vec<String> {
    let wire = query.to_vec().unwrap();
    let Ok((header, read)) = query::read(&wire) else { panic!("the query was not read") };
    let answer = answer::answer(sources, &read.question);
    let mut buffer = Vec::new();
    response::encode(&mut buffer, 65_535, header, Some(read.question.wire), &answer, None);
    let message = Message::from_vec(&buffer).unwrap();
    assert_eq!(message.queries, query.queries);
    assert!(message.queries[0].name().eq_case(query.queries[0].name()));
    lines(&message)
}

/// A response as lines.
pub(crate) fn lines(message: &Message) -> Vec<String> {
    let code = match message.metadata.response_code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::YXDomain => "YXDOMAIN",
        _ => "another code",
    };
    let flag = |set: bool, name: &'static str| if set { name } else { "" };
    let aa = flag(message.metadata.authoritative, " aa");
    let mut lines = vec![format!("{code}{aa}{}", flag(message.metadata.truncation, " tc"))];
    for (section, records) in [("AN", &message.answers), ("NS", &message.authorities), ("AR", &message.additionals)] {
        lines.extend(records.iter().map(|record| format!("{section} {}", line(record))));
    }
    lines
}

fn line(record: &Record) -> String {
    let data = match &record.data {
        RData::TXT(text) => text.txt_data.iter().map(|data| format!("{:?}", String::from_utf8_lossy(data))).collect(),
        RData::Unknown { rdata, .. } if record.record_type() == RecordType::DNAME => {
            let mut decoder = hickory_proto::serialize::binary::BinDecoder::new(&rdata.anything);
            <Name as hickory_proto::serialize::binary::BinDecodable>::read(&mut decoder).unwrap().to_string()
        }
        RData::Unknown { rdata, .. } if record.record_type() == RecordType::DS => {
            let data = &rdata.anything;
            let hex: String = data[4..].iter().map(|octet| format!("{octet:02X}")).collect();
            format!("{} {} {} {hex}", u16::from_be_bytes([data[0], data[1]]), data[2], data[3])
        }
        data => data.to_string(),
    };
    format!("{} {} {} {} {data}", record.name, record.ttl, record.dns_class, record.record_type())
}
