use std::time::Duration;

use tapster_service::Next;

use super::*;
use crate::data::Form;
use crate::metrics::{Limit, MessageResult};

const SYNCHRONIZATION: &str = "554 5.5.0 Protocol synchronization error\r\n";

#[test]
fn every_smuggled_end_of_data_is_refused_and_counted() {
    for (end, form) in [
        (&b"\n.\n"[..], Form::LfDotLf),
        (b"\n.\r\n", Form::LfDotCrlf),
        (b"\r.\r", Form::CrDotCr),
        (b"\r\n.\n", Form::CrlfDotLf),
        (b"\r\n.\r", Form::CrlfDotCr),
        (b"\r\n.\r\r\n", Form::DotCrcrlf),
        (b"\r\n.\0\r\n", Form::NulDot),
    ] {
        let mut server = TestServer::new("");
        let smuggled = b"MAIL FROM:<ceo@foo.com>\r\nRCPT TO:<brown@foo.com>\r\nDATA\r\nPay!\r\n.\r\n";
        let reply = send(&mut server, &[b"x", end, smuggled].concat());
        if form == Form::NulDot {
            assert!(reply.starts_with("250 2.0.0 Delivered as "), "a NUL is content");
            assert_eq!(server.all_files().len(), 1, "one message, not two");
        } else {
            assert_eq!(reply, "550 5.5.2 Bare CR or LF received, message refused\r\n", "one reply to {form:?}");
            assert!(server.all_files().is_empty());
            assert_eq!(server.metrics.messages_with(MessageResult::BareNewline), 1);
        }
        assert_eq!(server.metrics.smuggling_with(form), 1, "{form:?}");
    }
}

#[test]
fn bare_newlines_are_stored_where_the_configuration_says_so() {
    for (mode, stored) in [("normalize", &b"\r\na\r\nb\r\n.\r\nc\r\n"[..]), ("record", b"\r\na\nb\n.\nc\r\n")] {
        let mut server = TestServer::new(&format!("bare_newlines = '{mode}'"));
        assert!(send(&mut server, b"a\nb\n.\nc\r\n.\r\n").starts_with("250 "));
        assert!(server.mail("foo.com/jones")[0].ends_with(stored));
        assert_eq!(server.metrics.smuggling_with(Form::LfDotLf), 1);
    }
}

#[test]
fn whoever_talks_before_the_greeting_is_turned_away() {
    let mut server = TestServer::new("");
    let mut client = server.accept();
    assert_eq!(server.say(&mut client, b"EHLO bar.com\r\n"), SYNCHRONIZATION);
    assert!(client.stream.finished);
    assert_eq!(server.metrics.limits_with(Limit::Pipelining), 1);
    let mut server = TestServer::new("[limits]\nbanner_delay = '2s'");
    let mut client = server.accept();
    assert_eq!(server.say(&mut client, b""), "");
    assert_eq!(server.pass(&mut client, Duration::from_secs(1)), "");
    assert_eq!(server.say(&mut client, b"E"), SYNCHRONIZATION);
    let mut client = server.accept();
    server.say(&mut client, b"");
    assert_eq!(server.pass(&mut client, Duration::from_secs(2)), "220 foo.com ESMTP tapster\r\n");
    assert_eq!(server.metrics.limits_with(Limit::Pipelining), 1);
}

#[test]
fn pipelining_beyond_what_rfc_2920_allows_ends_the_session() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    assert_eq!(server.say(&mut client, b"EHLO bar.com\r\nNOOP\r\n"), SYNCHRONIZATION);
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    let replies = server.say(&mut client, b"MAIL FROM:<a@b.c>\r\nRCPT TO:<jones@foo.com>\r\nDATA\r\nx\r\n.\r\n");
    assert!(replies.ends_with(SYNCHRONIZATION) && !replies.contains("354"), "{replies}");
    let mut client = server.connect();
    server.say(&mut client, b"HELO bar.com\r\n");
    assert_eq!(server.say(&mut client, b"MAIL FROM:<a@b.c>\r\nRCPT TO:<jones@foo.com>\r\n"), SYNCHRONIZATION);
    assert!(server.all_files().is_empty());

    let mut server = TestServer::new("forbid_unauthorized_pipelining = false");
    let mut client = server.accept();
    let all = b"HELO bar.com\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<jones@foo.com>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
    assert!(server.say(&mut client, all).ends_with("closes the connection\r\n"));
    assert_eq!(server.mail("foo.com/jones").len(), 1);
}

#[test]
fn the_last_reply_is_sent_before_the_connection_closes() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    server.say(&mut client, b"GET / HTTP/1.1\r\nHost: foo.com\r\n\r\n");
    assert!(client.stream.finished, "our half is finished");
    assert!(matches!(client.next, Next::Wait(wait) if wait.input), "and the client's is read to its end");
    client.stream.input_finished = true;
    server.say(&mut client, b"more");
    assert_eq!(client.next, Next::Close);
    let mut client = server.connect();
    server.say(&mut client, b"POST / HTTP/1.1\r\n");
    server.pass(&mut client, Duration::from_secs(5));
    assert_eq!(client.next, Next::Close, "it is not read for ever");
}

#[test]
fn lines_that_are_too_long_or_have_forbidden_bytes() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    let long = [&[b'x'; 5000][..], b"\r\nNOOP\r\n"].concat();
    assert_eq!(server.say(&mut client, &long), "500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n");
    assert_eq!(server.say(&mut client, &[b'y'; 4095]), "");
    assert_eq!(server.say(&mut client, b"z"), "500 5.5.2 Line too long\r\n");
    assert_eq!(server.say(&mut client, &[b'y'; 9000]), "");
    assert_eq!(client.stream.input.len(), 0, "a line that is skipped takes no memory");
    assert_eq!(server.say(&mut client, b"\r\nNOOP\r\n"), "250 2.0.0 OK\r\n");
    assert_eq!(server.say(&mut client, b"NOOP\n"), "500 5.5.2 Bare LF received, a line ends with CRLF\r\n");
    assert_eq!(server.say(&mut client, b"NO\rOP\r\n"), "500 5.5.2 Bare CR received\r\n");
    assert_eq!(server.say(&mut client, b"NOOP \0\r\n"), "500 5.5.2 Invalid character in command\r\n");
    assert_eq!(server.say(&mut client, b"\r\n"), "500 5.5.1 Command not recognized\r\n");
    assert_eq!(server.metrics.smuggling_with(Form::CommandBareLf), 1);
    assert_eq!(server.metrics.smuggling_with(Form::CommandBareCr), 1);
    assert_eq!(server.metrics.limits_with(Limit::CommandLine), 2);
}

#[test]
fn errors_first_make_replies_late_and_then_end_the_session() {
    let mut server = TestServer::new("[limits]\nerrors = 4\nerrors_before_delay = 2");
    let mut client = server.connect();
    for _ in 0..2 {
        assert_eq!(server.say(&mut client, b"XYZZY\r\n"), "500 5.5.1 Command not recognized\r\n");
    }
    assert_eq!(server.say(&mut client, b"XYZZY\r\n"), "", "the third is late");
    assert_eq!(server.pass(&mut client, Duration::from_millis(999)), "");
    assert_eq!(server.pass(&mut client, Duration::from_millis(1)), "500 5.5.1 Command not recognized\r\n");
    assert_eq!(server.say(&mut client, b"XYZZY\r\n"), "421 4.7.0 Too many errors\r\n");
    assert!(client.stream.finished);
}

#[test]
fn commands_that_bring_no_mail_on_become_errors() {
    let mut server = TestServer::new("[limits]\njunk_commands = 5\nerrors = 3");
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    for _ in 0..6 {
        assert_eq!(server.say(&mut client, b"NOOP\r\n"), "250 2.0.0 OK\r\n");
    }
    assert_eq!(server.say(&mut client, b"NOOP\r\n"), "421 4.7.0 Too many errors\r\n");
}

#[test]
fn idle_clients_are_told_and_closed() {
    let mut server = TestServer::new("");
    let idle = "421 4.4.2 Idle for too long, closing the connection\r\n";
    let mut client = server.connect();
    assert_eq!(server.pass(&mut client, Duration::from_secs(299)), "");
    assert_eq!(server.say(&mut client, b"NOOP\r\n"), "250 2.0.0 OK\r\n");
    assert_eq!(server.pass(&mut client, Duration::from_secs(200)), "");
    assert_eq!(server.say(&mut client, b"NO"), "", "half a command is no progress");
    assert_eq!(server.pass(&mut client, Duration::from_secs(100)), idle);
    // In a message, each byte is progress, but not for ever.
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    server.say(&mut client, b"MAIL FROM:<a@b.c>\r\nRCPT TO:<jones@foo.com>\r\nDATA\r\n");
    server.environment.pass(Duration::from_secs(200));
    assert_eq!(server.say(&mut client, b"x"), "");
    assert_eq!(server.pass(&mut client, Duration::from_secs(100)), idle);
    assert_eq!(server.metrics.limits_with(Limit::Idle), 1);
    assert_eq!(server.metrics.limits_with(Limit::DataRate), 1);
    assert_eq!(server.metrics.messages_with(MessageResult::Aborted), 1);
}

#[test]
fn whoever_reads_no_replies_holds_nothing_up() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    client.stream.room = Some(1500);
    let group = b"RSET\r\n".repeat(1000);
    let replies = server.say(&mut client, &group);
    assert!(replies.len() <= 1500 && replies.starts_with("250 2.0.0 OK\r\n"));
    assert!(matches!(client.next, Next::Wait(wait) if !wait.input && wait.room > 0));
    assert!(client.stream.input.len() > 5000, "input is left in the connection's queue");
    server.pass(&mut client, Duration::from_secs(300));
    assert_eq!(client.next, Next::Abort);
}

#[test]
fn messages_that_are_too_large_are_refused_after_their_end() {
    let mut server = TestServer::new("max_message_size = '64KiB'");
    let body = b"x".repeat(64 << 10);
    assert!(send(&mut server, &[&body[2..], b"\r\n.\r\n"].concat()).starts_with("250 "));
    let too_large = "552 5.3.4 Message is larger than this server takes\r\n";
    assert_eq!(send(&mut server, &[&body[1..], b"\r\n.\r\n"].concat()), too_large);
    assert_eq!(server.mail("foo.com/jones").len(), 1);
    let endless = b"x".repeat(2 << 20);
    assert_eq!(send(&mut server, &endless), too_large, "one without end costs the connection");
    assert_eq!(server.metrics.limits_with(Limit::Overshoot), 1);
}

#[test]
fn the_memory_of_all_sessions_is_bounded() {
    let mut server = TestServer::new("max_message_size = '1MiB'\n[limits]\nmemory = '1500KiB'");
    let open = |server: &mut TestServer| {
        let mut client = server.connect();
        server.say(&mut client, b"EHLO bar.com\r\n");
        server.say(&mut client, b"MAIL FROM:<a@b.c>\r\nRCPT TO:<jones@foo.com>\r\nDATA\r\n");
        client
    };
    let body = b"x".repeat(900 << 10);
    let (mut one, mut other) = (open(&mut server), open(&mut server));
    server.say(&mut one, &body);
    server.say(&mut other, &body);
    let refused = "452 4.3.1 Too many messages at once, try again later\r\n";
    assert_eq!(server.say(&mut other, b"\r\n.\r\n"), refused);
    assert!(server.say(&mut one, b"\r\n.\r\n").starts_with("250 "));
    assert_eq!(server.metrics.limits_with(Limit::Memory), 1);
    drop((one, other));
    assert_eq!(server.metrics.memory().get(), 0, "all of it comes back");
}

#[test]
fn connections_and_transactions_are_bounded() {
    let mut server = TestServer::new("[limits]\nconnections_per_peer = 1\ntransactions = 1");
    let mut first = server.connect();
    let mut second = server.accept();
    assert_eq!(server.say(&mut second, b""), "421 4.7.0 Too many connections from your address\r\n");
    server.say(&mut first, b"EHLO bar.com\r\n");
    server.say(&mut first, b"MAIL FROM:<a@b.c>\r\nRSET\r\n");
    let reply = server.say(&mut first, b"MAIL FROM:<a@b.c>\r\n");
    assert_eq!(reply, "421 4.7.0 Too many messages in one session, connect again\r\n");
    drop(first);
    server.connect();
}

#[test]
fn recipients_are_bounded() {
    let mut server = TestServer::new("[limits]\nrecipients = 100");
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    let replies =
        server.say(&mut client, &[b"MAIL FROM:<>\r\n", &b"RCPT TO:<jones@foo.com>\r\n".repeat(101)[..]].concat());
    assert_eq!(replies.matches("250 2.1.5").count(), 100);
    assert!(replies.ends_with("452 4.5.3 Too many recipients\r\n"));
    let replies = server.say(&mut client, &b"RCPT TO:<jones@foo.com>\r\n".repeat(1001));
    assert!(replies.ends_with("421 4.5.3 Too many recipients\r\n"));
}

#[test]
fn an_idle_session_costs_little() {
    assert!(size_of::<crate::session::Session>() <= 512);
}

#[test]
fn mail_that_goes_round_in_circles_is_refused() {
    let mut server = TestServer::new("");
    let message = |hops| [&b"Received: x\r\n".repeat(hops)[..], b"\r\nReceived: y\r\n.\r\n"].concat();
    assert!(send(&mut server, &message(100)).starts_with("250 "));
    assert_eq!(send(&mut server, &message(101)), "554 5.4.6 Too many hops, this is a mail loop\r\n");
}

#[test]
fn a_full_worker_pool_and_a_broken_disk_give_4xx_and_leave_nothing() {
    let mut server = TestServer::new("");
    server.environment.busy = true;
    assert_eq!(send(&mut server, b"x\r\n.\r\n"), "451 4.3.2 The server is busy, try again later\r\n");
    server.environment.busy = false;
    assert!(send(&mut server, b"x\r\n.\r\n").starts_with("250 "));
    std::fs::rename(server.directory.path().join("mail"), server.directory.path().join("gone")).unwrap();
    assert_eq!(send(&mut server, b"x\r\n.\r\n"), "451 4.3.0 Local error, try again later\r\n");
    assert!(!server.directory.path().join("mail").exists(), "mail is not put elsewhere");
}

#[test]
fn nothing_from_the_client_reaches_the_fields_unchecked() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    for line in
        [&b"EHLO bar.com\rX: y\r\n"[..], b"EHLO bar.com\nX: y\r\n", b"EHLO bar.com)(\r\n", b"EHLO bar.com x\r\n"]
    {
        assert!(server.say(&mut client, line).starts_with("50"), "{line:?}");
    }
}
