use hickory_proto::op::Message;
use hickory_proto::rr::RecordType as HickoryType;
use proptest::prelude::*;

use super::*;
use crate::answer::answer;
use crate::server::testing::{ask_of, query, sources};
use crate::zone::testing::EXAMPLE;

fn encoded(name: &str, kind: HickoryType) -> Vec<u8> {
    let sources = sources(&[("example.test", EXAMPLE)]);
    let wire = query(name, kind).to_vec().unwrap();
    let Ok((header, query)) = crate::query::read(&wire) else { panic!("not read") };
    let mut buffer = Vec::new();
    let answer = answer(&sources, &query.question);
    encode(&mut buffer, 65_535, header, Some(query.question.wire), &answer, None);
    buffer
}

#[test]
fn names_are_compressed() {
    // The question is 12 + 19 + 4 octets; its labels are at 12 (mail), 17 (example), 25 (test).
    let response = encoded("mail.example.test.", HickoryType::TXT);
    let soa = response.get(12 + 19 + 4..).unwrap();
    assert_eq!(
        soa,
        [
            &[0xc0, 17, 0, 6, 0, 1, 0, 0, 2, 0x58, 0, 39][..],
            b"\x03ns1\xc0\x11",
            b"\x0ahostmaster\xc0\x11",
            &[0, 0, 0, 1, 0, 0, 0x1c, 0x20, 0, 0, 7, 8, 0, 0x12, 0x75, 0, 0, 0, 2, 0x58],
        ]
        .concat()
    );
}

#[test]
fn a_response_is_no_longer_than_hickory_makes_it() {
    for (name, kind) in [
        ("example.test.", HickoryType::MX),
        ("example.test.", HickoryType::NS),
        ("example.test.", HickoryType::SOA),
        ("x.sub.example.test.", HickoryType::A),
        ("alias2.example.test.", HickoryType::A),
        ("a.wild.example.test.", HickoryType::MX),
        ("nothing.example.test.", HickoryType::A),
    ] {
        let response = encoded(name, kind);
        let oracle = Message::from_vec(&response).unwrap().to_vec().unwrap();
        assert!(response.len() <= oracle.len(), "{name} {kind}: {} > {}", response.len(), oracle.len());
    }
}

#[test]
fn many_and_far_names_are_written_right() {
    let mut text = "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\n".to_owned();
    for index in 0..2000 {
        text.push_str(&format!("@ MX {index} host{index}.of.a.large.crowd\n"));
        text.push_str(&format!("host{index}.of.a.large.crowd A 192.0.2.1\n"));
    }
    let lines = ask_of(&sources(&[("t", &text)]), "t.", HickoryType::MX);
    assert_eq!(lines.len(), 1 + 2000 + MAXIMUM_ADDITIONAL_SEEN);
    for index in 0..2000 {
        assert_eq!(lines[1 + index], format!("AN t. 1 IN MX {index} host{index}.of.a.large.crowd.t."));
    }
    assert_eq!(lines[2001], "AR host0.of.a.large.crowd.t. 1 IN A 192.0.2.1");
}

/// How many additional record sets an answer has at most.
const MAXIMUM_ADDITIONAL_SEEN: usize = 32;

#[test]
fn an_owner_beyond_the_reach_of_pointers_is_written_in_full() {
    let mut text =
        "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\nalias CNAME big\nend A 192.0.2.1\nend A 192.0.2.2\n".to_owned();
    for index in 0..80 {
        text.push_str(&format!(
            "big MX {index} end\nbig MX 1{index} {}.{}.{}.{index}.\n",
            "a".repeat(60),
            "b".repeat(60),
            "c".repeat(60)
        ));
        text.push_str(&format!("big MX 2{index} {}.{}.{}.{index}.\n", "d".repeat(60), "e".repeat(60), "f".repeat(60)));
    }
    let lines = ask_of(&sources(&[("t", &text)]), "alias.t.", HickoryType::MX);
    assert_eq!(lines[lines.len() - 2..], ["AR end.t. 1 IN A 192.0.2.1", "AR end.t. 1 IN A 192.0.2.2"]);
}

proptest! {
    /// Hickory reads back the very records, whatever names and sizes they have.
    #[test]
    fn hickory_reads_what_is_encoded(
        targets in prop::collection::vec("([a-c]{1,3}\\.){0,4}[a-c]{1,40}\\.?", 1..30),
        limit in 512usize..3000,
    ) {
        let mut text = "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\n".to_owned();
        for (index, target) in targets.iter().enumerate() {
            text.push_str(&format!("x.y MX {index} {target}\n"));
        }
        let sources = sources(&[("t", &text)]);
        let wire = query("x.y.t.", HickoryType::MX).to_vec().unwrap();
        let Ok((header, query)) = crate::query::read(&wire) else { panic!("not read") };
        let answer = answer(&sources, &query.question);
        let mut buffer = vec![0xee; 7];
        let encoded = encode(&mut buffer, limit, header, Some(query.question.wire), &answer, None);
        prop_assert!(buffer.len() - 7 <= limit);
        let message = Message::from_vec(&buffer[7..]).unwrap();
        prop_assert_eq!(message.metadata.truncation, encoded.truncated);
        if encoded.truncated {
            prop_assert_eq!(message.answers.len(), 0);
        } else {
            let expected: Vec<_> = targets.iter().enumerate().map(|(index, target)| {
                let target = if target.ends_with('.') { target.clone() } else { format!("{target}.t.") };
                format!("{index} {target}")
            }).collect();
            let read: Vec<_> = message.answers.iter().map(|record| record.data.to_string()).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
