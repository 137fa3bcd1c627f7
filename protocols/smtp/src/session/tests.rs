//! Conversations: what is said, what is stored, and what becomes of clients that misbehave.

mod conformance;
mod hostile;
mod rules;
mod splits;

use crate::test_server::TestServer;

/// The trace fields of a message in these tests, up to the random part of its name.
const RECEIVED: &str = "Received: from bar.com ([192.0.2.1])\r\n\
    \tby foo.com (tapster, connection 7, link 02:00:00:00:00:01)\r\n\
    \twith ESMTP id ";

/// The message without the id in its `Received` field, which is 16 digits.
fn without_id(message: &[u8]) -> String {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let (before, after) = text.split_once(" id ").unwrap();
    assert!(after[..16].bytes().all(|byte| byte.is_ascii_hexdigit()));
    format!("{before} id {}", &after[16..])
}

/// Says EHLO, MAIL, RCPT and DATA, and then the bytes; returns the last reply.
fn send(server: &mut TestServer, message: &[u8]) -> String {
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    server.say(&mut client, b"MAIL FROM:<a@bar.com>\r\nRCPT TO:<jones@foo.com>\r\nDATA\r\n");
    server.say(&mut client, message)
}
