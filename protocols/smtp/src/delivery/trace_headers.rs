//! The fields that a receiving server puts before a message (RFC 5321 §4.4).
//!
//! Responsible for `Return-Path`, `Received`, and a field that records what the client asked by DSN (RFC 3461). All
//! that stands in them has been through the grammar of its own kind, none of which lets a CR, LF or other control pass.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::dialogue::{Dialogue, Protocol};
use crate::transaction::Transaction;

/// The fields for a message, CRLF at the end of each line. `client_name` is what the client called itself.
pub(crate) fn trace_headers(dialogue: &Dialogue, transaction: &Transaction, id: u64, now: SystemTime) -> String {
    let mut text = String::from("Return-Path: <");
    // Writing to a string does not fail.
    let _ = write_fields(&mut text, dialogue, transaction, id, now);
    text
}

fn write_fields(
    text: &mut String,
    dialogue: &Dialogue,
    transaction: &Transaction,
    id: u64,
    now: SystemTime,
) -> std::fmt::Result {
    if let Some(address) = &transaction.reverse_path {
        write!(text, "{address}")?;
    }
    let client = dialogue.client.as_ref().map_or("unknown", |client| &client.name);
    write!(text, ">\r\nReceived: from {client} (")?;
    match dialogue.peer.remote.ip().to_canonical() {
        std::net::IpAddr::V4(address) => write!(text, "[{address}]")?,
        std::net::IpAddr::V6(address) => write!(text, "[IPv6:{address}]")?,
    }
    write!(text, ")\r\n\tby {} (tapster, connection {}", dialogue.server.hostname, dialogue.peer.connection)?;
    if let Some([a, b, c, d, e, f]) = dialogue.peer.link_address {
        write!(text, ", link {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")?;
    }
    // RFC 3848, and RFC 6531 §4.3 for a message that came with SMTPUTF8.
    let protocol = match (dialogue.protocol, dialogue.is_extended(), transaction.parameters.smtputf8) {
        (Protocol::Smtp, true, true) => "UTF8SMTP",
        (Protocol::Smtp, true, false) => "ESMTP",
        (Protocol::Smtp, false, _) => "SMTP",
        (Protocol::Lmtp, _, true) => "UTF8LMTP",
        (Protocol::Lmtp, _, false) => "LMTP",
    };
    write!(text, ")\r\n\twith {protocol} id {id:016x}")?;
    // §4.4: with more than one recipient, FOR would tell each of them of another.
    if let [recipient] = transaction.recipients.as_slice() {
        write!(text, "\r\n\tfor <{}>", recipient.path)?;
    }
    // RFC 5322 §3.3 has the zone as a number; the name GMT is obsolete (§4.3).
    let date = httpdate::fmt_http_date(now);
    write!(text, ";\r\n\t{} +0000\r\n", date.trim_end_matches(" GMT"))?;
    write_dsn(text, transaction)
}

/// What was asked by DSN. Nobody acts on it, since no notice is ever sent; it is there to be looked at.
fn write_dsn(text: &mut String, transaction: &Transaction) -> std::fmt::Result {
    let mut wishes = Vec::new();
    wishes.extend(transaction.parameters.ret.map(|ret| format!("RET={ret}")));
    wishes.extend(transaction.parameters.envelope_id.as_ref().map(|id| format!("ENVID={id}")));
    if let [recipient] = transaction.recipients.as_slice() {
        let parameters = &recipient.parameters;
        wishes.extend(parameters.notify.as_ref().map(|notify| format!("NOTIFY={notify}")));
        wishes.extend(parameters.original_recipient.as_ref().map(|original| format!("ORCPT={original}")));
    }
    if wishes.is_empty() {
        return Ok(());
    }
    write!(text, "X-Tapster-DSN: {}\r\n", wishes.join("\r\n\t"))
}
