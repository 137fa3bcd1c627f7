use std::time::Duration;

use tapster_service::Next;

use super::*;
use crate::metrics::MessageResult;

fn lab(rules: &str) -> TestServer {
    TestServer::new(&format!("mailboxes = ['*']\n{rules}"))
}

/// A client that has said EHLO and MAIL.
fn begun(server: &mut TestServer) -> crate::test_server::TestClient {
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    server.say(&mut client, b"MAIL FROM:<a@bar.com>\r\n");
    client
}

#[test]
fn a_recipient_is_refused_and_others_are_not() {
    let mut server = lab("rules = [{ at = 'rcpt', match = '*@FOO.com', reply = '451 4.7.1 Greylisted' }]");
    let mut client = begun(&mut server);
    assert_eq!(server.say(&mut client, b"RCPT TO:<x@foo.com>\r\n"), "451 4.7.1 Greylisted\r\n");
    assert_eq!(server.say(&mut client, b"RCPT TO:<x@xyz.com>\r\n"), "250 2.1.5 Recipient OK\r\n");
}

#[test]
fn each_stage_has_its_rules() {
    for (rule, group) in [
        ("at = 'helo', match = 'bar.*'", &b"EHLO bar.com\r\n"[..]),
        ("at = 'mail', match = 'a@bar.com'", b"MAIL FROM:<a@bar.com>\r\n"),
        ("at = 'rcpt'", b"RCPT TO:<x@foo.com>\r\n"),
        ("at = 'data', match = 'a@*'", b"DATA\r\n"),
        ("at = 'message'", b"x\r\n.\r\n"),
    ] {
        let mut server = lab(&format!("rules = [{{ {rule}, reply = '550 5.7.1 No' }}]"));
        let mut client = server.connect();
        let groups: [&[u8]; 5] =
            [b"EHLO bar.com\r\n", b"MAIL FROM:<a@bar.com>\r\n", b"RCPT TO:<x@foo.com>\r\n", b"DATA\r\n", b"x\r\n.\r\n"];
        for said in groups.into_iter().take_while(|said| *said != group) {
            let reply = server.say(&mut client, said);
            assert!(reply.starts_with("250") || reply.starts_with("354"), "{rule}: {reply}");
        }
        assert_eq!(server.say(&mut client, group), "550 5.7.1 No\r\n", "{rule}");
        assert!(server.all_files().is_empty());
        let refused = u64::from(rule.contains("message"));
        assert_eq!(server.metrics.messages_with(MessageResult::Rule), refused);
    }
    let mut server = lab("rules = [{ at = 'connect', match = '192.0.2.*', reply = '554 5.7.1 No service' }]");
    let mut client = server.accept();
    assert_eq!(server.say(&mut client, b""), "554 5.7.1 No service\r\n");
    assert!(client.stream.finished);
}

#[test]
fn a_rate_lets_so_many_pass_and_answers_421_to_the_rest() {
    let mut server = lab("rules = [{ at = 'mail', rate = 2, per = '60s', reply = '421 4.7.0 Slow down' }]");
    let mut client = begun(&mut server);
    assert_eq!(
        server.say(&mut client, b"RSET\r\nMAIL FROM:<a@bar.com>\r\n"),
        "250 2.0.0 OK\r\n250 2.1.0 Sender OK\r\n"
    );
    let last = server.say(&mut client, b"RSET\r\nMAIL FROM:<a@bar.com>\r\n");
    assert_eq!(last, "250 2.0.0 OK\r\n421 4.7.0 Slow down\r\n");
    assert!(client.stream.finished, "421 closes");
    server.environment.pass(Duration::from_secs(30));
    begun(&mut server);
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    assert_eq!(server.say(&mut client, b"MAIL FROM:<a@bar.com>\r\n"), "421 4.7.0 Slow down\r\n", "of all sessions");
}

#[test]
fn a_delay_holds_the_reply_back_and_changes_nothing_else() {
    let mut server = lab("rules = [{ at = 'message', delay = '5s' }]");
    let mut client = begun(&mut server);
    server.say(&mut client, b"RCPT TO:<x@foo.com>\r\nDATA\r\n");
    assert_eq!(server.say(&mut client, b".\r\n"), "");
    assert_eq!(server.mail("foo.com/x").len(), 1, "the message is there");
    assert_eq!(server.pass(&mut client, Duration::from_millis(4999)), "");
    assert!(server.pass(&mut client, Duration::from_millis(1)).starts_with("250 2.0.0 Delivered"));
}

#[test]
fn a_connection_is_reset_amid_the_message() {
    for command in [&b"DATA\r\n"[..], b"BDAT 1000\r\n"] {
        let mut server = lab("rules = [{ at = 'data', reset_after = '100B' }]");
        let mut client = begun(&mut server);
        server.say(&mut client, b"RCPT TO:<x@foo.com>\r\n");
        server.say(&mut client, command);
        server.say(&mut client, &[b'x'; 99]);
        assert!(matches!(client.next, Next::Wait(_)));
        server.say(&mut client, b"x");
        assert_eq!(client.next, Next::Abort);
        drop(client);
        assert!(server.all_files().is_empty());
        assert_eq!(server.metrics.messages_with(MessageResult::Aborted), 1);
    }
}
