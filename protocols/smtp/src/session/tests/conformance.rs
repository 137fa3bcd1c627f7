use super::*;

const EHLO: &str = "S: 250-foo.com greets bar.com
    S: 250-PIPELINING
    S: 250-SIZE 26214400
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-DSN
    S: 250-LIMITS MAILMAX=10000 RCPTMAX=1000
    S: 250 HELP";

fn opened(rest: &str) -> String {
    format!("S: 220 foo.com ESMTP tapster\nC: EHLO bar.com\n{EHLO}\n{rest}")
}

/// The reply to a message, whose name is random.
fn delivered(reply: &str) -> bool {
    let id = reply.strip_prefix("250 2.0.0 Delivered as ").and_then(|rest| rest.strip_suffix("\r\n"));
    id.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[test]
fn a_typical_transaction_rfc_5321_d_1() {
    let mut server = TestServer::new("");
    let mut client = server.transcript(&opened(
        "C: MAIL FROM:<Smith@bar.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<Jones@foo.com>
        S: 250 2.1.5 Recipient OK
        C: RCPT TO:<Green@foo.com>
        S: 550 5.1.1 No such user here
        C: RCPT TO:<Brown@foo.com>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 Start mail input; end with <CRLF>.<CRLF>
        C: Blah blah blah...",
    ));
    assert!(delivered(&server.say(&mut client, b"...etc. etc. etc.\r\n.\r\n")));
    assert_eq!(server.say(&mut client, b"QUIT\r\n"), "221 2.0.0 foo.com closes the connection\r\n");
    assert_eq!(client.next, tapster_service::Next::Close);
    let expected = format!(
        "Return-Path: <Smith@bar.com>\r\n{RECEIVED};\r\n\tSun, 06 Nov 1994 08:49:37 +0000\r\n\
         Blah blah blah...\r\n..etc. etc. etc.\r\n"
    );
    for mailbox in ["foo.com/jones", "foo.com/brown"] {
        let mail = server.mail(mailbox);
        assert_eq!(mail.iter().map(|mail| without_id(mail)).collect::<Vec<_>>(), [expected.as_str()]);
    }
    assert_eq!(server.all_files().len(), 2, "nothing is left in tmp, and nobody else has mail");
}

#[test]
fn an_aborted_transaction_rfc_5321_d_2() {
    let mut server = TestServer::new("");
    server.transcript(&opened(
        "C: MAIL FROM:<Smith@bar.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<Jones@foo.com>
        S: 250 2.1.5 Recipient OK
        C: RCPT TO:<Green@foo.com>
        S: 550 5.1.1 No such user here
        C: RSET
        S: 250 2.0.0 OK
        C: RCPT TO:<Jones@foo.com>
        S: 503 5.5.1 Say MAIL first
        C: QUIT
        S: 221 2.0.0 foo.com closes the connection",
    ));
    assert!(server.all_files().is_empty());
}

#[test]
fn a_relayed_mail_rfc_5321_d_3() {
    // The relay host's part: we are none.
    let mut server = TestServer::new("domains = ['foo.com']");
    server.transcript(&opened(
        "C: MAIL FROM:<JQP@bar.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<Jones@XYZ.COM>
        S: 550 5.7.1 Relaying denied
        C: DATA
        S: 554 5.5.1 No valid recipients
        C: QUIT
        S: 221 2.0.0 foo.com closes the connection",
    ));
    // The destination host's part.
    let mut server = TestServer::new("");
    let mut client = server.transcript(&opened(
        "C: MAIL FROM:<JQP@bar.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<Jones@XYZ.COM>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 Start mail input; end with <CRLF>.<CRLF>
        C: Received: from bar.com by foo.com ; Thu, 21 May 1998
        C:     05:33:29 -0700
        C: Subject:  The Next Meeting of the Board
        C:
        C: Bill:
        C:                         John.",
    ));
    assert!(delivered(&server.say(&mut client, b".\r\n")));
    let expected = format!(
        "Return-Path: <JQP@bar.com>\r\n{RECEIVED}\r\n\tfor <Jones@XYZ.COM>;\r\n\tSun, 06 Nov 1994 08:49:37 +0000\r\n\
         Received: from bar.com by foo.com ; Thu, 21 May 1998\r\n    05:33:29 -0700\r\n\
         Subject:  The Next Meeting of the Board\r\n\r\nBill:\r\n                        John.\r\n"
    );
    assert_eq!(server.mail("xyz.com/jones").iter().map(|mail| without_id(mail)).collect::<Vec<_>>(), [expected]);
}

#[test]
fn verifying_and_sending_rfc_5321_d_4() {
    let mut server = TestServer::new("");
    server.transcript(&opened(
        "C: VRFY Crispin
        S: 252 2.5.2 Cannot verify, send some mail and see
        C: EXPN Example-People
        S: 252 2.5.2 Cannot expand, send some mail and see
        C: MAIL FROM:<EAK@bar.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<Admin.MRC@foo.com>
        S: 250 2.1.5 Recipient OK",
    ));
}

#[test]
fn a_group_of_commands_is_answered_in_order_by_one_write() {
    let mut server = TestServer::new("");
    server.transcript(&opened(
        "C: MAIL FROM:<a@bar.com> BODY=8BITMIME
        C: RCPT TO:<jones@foo.com>
        C: RCPT TO:<green@foo.com>
        C: RCPT TO:<jones@elsewhere.com>
        C: RCPT TO:<a%b.com@foo.com>
        C: RCPT TO:<b.com!a@foo.com>
        C: RCPT TO:<@relay.com:jones@foo.com>
        C: RCPT TO:<postmaster>
        C: DATA
        S: 250 2.1.0 Sender OK
        S: 250 2.1.5 Recipient OK
        S: 550 5.1.1 No such user here
        S: 550 5.7.1 Relaying denied
        S: 550 5.7.1 Relaying denied, the address is a route
        S: 550 5.7.1 Relaying denied, the address is a route
        S: 250 2.1.5 Recipient OK
        S: 250 2.1.5 Recipient OK
        S: 354 Start mail input; end with <CRLF>.<CRLF>",
    ));
}

#[test]
fn commands_out_of_order_and_out_of_syntax() {
    let mut server = TestServer::new("");
    server.transcript(
        "S: 220 foo.com ESMTP tapster
        C: MAIL FROM:<a@bar.com>
        S: 503 5.5.1 Say HELO or EHLO first
        C: NOOP
        S: 250 2.0.0 OK
        C: HELO
        S: 501 5.5.4 A domain or an address literal is missing
        C: HELO bar.com
        S: 250 foo.com greets bar.com
        C: MAIL FROM:<a@bar.com> SIZE=1
        S: 555 5.5.4 Parameter not recognized or not implemented
        C: DATA
        S: 503 5.5.1 Say MAIL first
        C: mail from: <>
        S: 250 2.1.0 Sender OK
        C: MAIL FROM:<a@bar.com>
        S: 503 5.5.1 A transaction is under way
        C: RCPT TO:jones@foo.com
        S: 501 5.1.3 Syntax error in the recipient's address
        C: RCPT jones@foo.com
        S: 501 5.5.4 Syntax: RCPT TO:<address> [parameters]
        C: DATA now
        S: 554 5.5.1 No valid recipients",
    );
    server.transcript(&opened(
        "C: MAIL FROM:<a@bar.com> SIZE=26214401
        S: 552 5.3.4 Message is larger than this server takes
        C: MAIL FROM:<ü@bar.com>
        S: 553 5.6.7 Address is not ASCII and SMTPUTF8 was not asked for
        C: MAIL FROM:<ü@bar.com> SMTPUTF8
        S: 250 2.1.0 Sender OK
        C: RSET
        S: 250 2.0.0 OK
        C: MAIL FROM:<a@bar.com> BODY=BINARYMIME
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<jones@foo.com>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 503 5.5.1 BODY=BINARYMIME needs BDAT
        C: STARTTLS
        S: 500 5.5.1 Command not recognized
        C: HELP
        S: 214-2.0.0 Commands, as in RFC 5321:
        S: 214 2.0.0 MAIL RCPT DATA BDAT EHLO HELO LHLO QUIT RSET NOOP VRFY EXPN HELP",
    ));
}

#[test]
fn chunks_are_stored_byte_for_byte_rfc_3030() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    let replies = server.say(
        &mut client,
        b"MAIL FROM:<a@bar.com> BODY=BINARYMIME\r\nRCPT TO:<jones@foo.com>\r\nBDAT 10\r\n\r\n.\r\n\0\n.\rxBDAT 6 LAST\r\nQUIT\r\n",
    );
    let (chunk, last) = replies.split_at(replies.find("250 2.0.0 Delivered").unwrap());
    assert_eq!(chunk, "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n250 2.0.0 10 octets received\r\n");
    assert!(delivered(last));
    let mail = server.mail("foo.com/jones");
    let end = b"08:49:37 +0000\r\n\r\n.\r\n\0\n.\rxQUIT\r\n";
    assert!(mail[0].ends_with(end), "{:?}", String::from_utf8_lossy(&mail[0]));
}

#[test]
fn a_refused_chunk_is_never_taken_for_commands() {
    let mut server = TestServer::new("");
    server.transcript(&opened(
        "C: BDAT 6
        C: QUIT
        C: BDAT 6 LAST
        C: QUIT
        S: 503 5.5.1 Say MAIL first
        S: 503 5.5.1 Say MAIL first
        C: MAIL FROM:<a@bar.com>
        C: BDAT 0 LAST
        S: 250 2.1.0 Sender OK
        S: 554 5.5.1 No valid recipients
        C: RCPT TO:<jones@foo.com>
        C: BDAT 0
        C: RCPT TO:<jones@foo.com>
        C: DATA
        S: 250 2.1.5 Recipient OK
        S: 250 2.0.0 0 octets received
        S: 503 5.5.1 The message has begun, only BDAT or RSET can follow
        S: 503 5.5.1 The message has begun, only BDAT or RSET can follow
        C: BDAT six LAST
        S: 501 5.5.4 Syntax: BDAT size [LAST]",
    ));
}

#[test]
fn an_empty_message_and_the_null_reverse_path() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    server.say(&mut client, b"HELO bar.com\r\n");
    server.say(&mut client, b"MAIL FROM:<>\r\n");
    server.say(&mut client, b"RCPT TO:<Postmaster>\r\n");
    server.say(&mut client, b"DATA\r\n");
    assert!(delivered(&server.say(&mut client, b".\r\n")));
    let expected = format!(
        "Return-Path: <>\r\n{}\r\n\tfor <postmaster>;\r\n\tSun, 06 Nov 1994 08:49:37 +0000\r\n",
        RECEIVED.replace("ESMTP", "SMTP")
    );
    assert_eq!(without_id(&server.mail("foo.com/postmaster")[0]), expected);
}

#[test]
fn what_dsn_asks_is_recorded() {
    let mut server = TestServer::new("");
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    server.say(&mut client, b"MAIL FROM:<a@bar.com> RET=HDRS ENVID=QQ314159\r\n");
    server.say(&mut client, b"RCPT TO:<jones@foo.com> NOTIFY=SUCCESS ORCPT=rfc822;jones@bar.com\r\nDATA\r\n");
    assert!(delivered(&server.say(&mut client, b"x\r\n.\r\n")));
    let mail = String::from_utf8(server.mail("foo.com/jones").remove(0)).unwrap();
    let field =
        "\r\nX-Tapster-DSN: RET=HDRS\r\n\tENVID=QQ314159\r\n\tNOTIFY=SUCCESS\r\n\tORCPT=rfc822;jones@bar.com\r\nx\r\n";
    assert!(mail.ends_with(field), "{mail}");
}

#[test]
fn two_addresses_of_one_mailbox_bring_one_copy() {
    let mut server = TestServer::new("mailboxes = ['*']");
    let mut client = server.connect();
    server.say(&mut client, b"EHLO bar.com\r\n");
    server.say(
        &mut client,
        b"MAIL FROM:<a@bar.com>\r\nRCPT TO:<any@foo.com>\r\nRCPT TO:<Any+x@foo.com>\r\nRCPT TO:<\"../x\"@foo.com>\r\nDATA\r\n",
    );
    assert!(delivered(&server.say(&mut client, b".\r\n")));
    assert_eq!(server.mail("foo.com/any").len(), 1);
    assert_eq!(server.mail("foo.com/%2E.%2Fx").len(), 1);
    assert_eq!(server.all_files().len(), 2);
}

#[test]
fn lmtp_answers_for_each_recipient_rfc_2033() {
    let mut server = TestServer::new("lmtp_listen = [':2424']");
    let mut client = server.accept_at(1);
    assert_eq!(server.say(&mut client, b""), "220 foo.com LMTP tapster\r\n");
    assert_eq!(server.say(&mut client, b"EHLO bar.com\r\n"), "500 5.5.1 This is LMTP, say LHLO\r\n");
    assert!(server.say(&mut client, b"LHLO bar.com\r\n").contains("\r\n250-PIPELINING\r\n"));
    let group = b"MAIL FROM:<a@bar.com>\r\nRCPT TO:<jones@foo.com>\r\nRCPT TO:<green@foo.com>\r\nRCPT TO:<brown@foo.com>\r\nDATA\r\n";
    assert!(server.say(&mut client, group).ends_with("<CRLF>.<CRLF>\r\n"));
    let replies = server.say(&mut client, b"x\r\n.\r\n");
    let lines: Vec<&str> = replies.split_inclusive("\r\n").collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| delivered(line)), "{replies}");
    assert!(without_id(&server.mail("foo.com/brown")[0]).contains("\twith LMTP id ;"));
    server.say(&mut client, group);
    let refused = "550 5.5.2 Bare CR or LF received, message refused\r\n";
    assert_eq!(server.say(&mut client, b"\n\r\n.\r\n"), refused.repeat(2));
    let mut client = server.connect();
    assert_eq!(server.say(&mut client, b"LHLO bar.com\r\n"), "500 5.5.1 This is SMTP, say EHLO\r\n");
}
