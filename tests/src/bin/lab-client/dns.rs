//! DNS over TCP, with all queries on their way before the first answer is read.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

/// The response and recursion bits and RCODE of RFC 1035 §4.1.1, as they stand in the header's third and fourth byte.
const RESPONSE: u8 = 0x80;
const RCODE: u8 = 0x0f;

pub(crate) fn pipelined_queries(server: SocketAddr, name: &str, count: u16) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut queries = Vec::new();
    for id in 0..count {
        queries.extend(query(id, name)?);
    }
    stream.write_all(&queries)?;
    let mut waiting: HashSet<u16> = (0..count).collect();
    while !waiting.is_empty() {
        let mut length = [0; 2];
        stream.read_exact(&mut length).with_context(|| format!("{} answers are missing", waiting.len()))?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut message)?;
        let [high, low, first, second, _, _, answers_high, answers_low, ..] = message[..] else {
            anyhow::bail!("an answer of {} bytes has no header", message.len());
        };
        let id = u16::from_be_bytes([high, low]);
        ensure!(waiting.remove(&id), "answer {id} was not asked for, or came twice");
        ensure!(first & RESPONSE != 0 && second & RCODE == 0, "answer {id} is an error: {first:02x} {second:02x}");
        ensure!((answers_high, answers_low) != (0, 0), "answer {id} has no record");
    }
    println!("{count} answered");
    Ok(())
}

/// A query for an A record, with the length before it that TCP needs (RFC 1035 §4.1 and §4.2.2).
fn query(id: u16, name: &str) -> anyhow::Result<Vec<u8>> {
    let [high, low] = id.to_be_bytes();
    let mut message = vec![high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        ensure!((1..=63).contains(&label.len()), "{label:?} is not a label");
        message.push(u8::try_from(label.len())?);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    let mut framed = u16::try_from(message.len())?.to_be_bytes().to_vec();
    framed.append(&mut message);
    Ok(framed)
}
