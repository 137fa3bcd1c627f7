use proptest::prelude::*;

use super::*;

/// A valid session, in groups at whose ends the client waits (RFC 2920 §3.1).
const GROUPS: [&[u8]; 8] = [
    b"",
    b"EHLO bar.com\r\n",
    b"MAIL FROM:<a@bar.com> SIZE=20\r\nRCPT TO:<jones@foo.com>\r\nRCPT TO:<green@foo.com>\r\nDATA\r\n",
    b"Subject: x\r\n\r\n..dot\r\nend.\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<brown@foo.com>\r\nBDAT 7\r\n\r\n.\r\n\0\nBDAT 2 LAST\r\n\r\n",
    b"RSET\r\nMAIL FROM:<a@bar.com>\r\nRCPT TO:<postmaster>\r\nDATA\r\n",
    b".\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
];

/// Runs the session with each group split at some places. Returns the replies and the mail, without ids.
fn run(splits: &[u16]) -> (String, Vec<String>) {
    let mut server = TestServer::new("");
    let mut client = server.accept();
    let mut replies = String::new();
    let mut splits = splits.iter().copied().cycle();
    for group in GROUPS {
        let mut rest = group;
        while rest.len() > 1 {
            let (now, later) = rest.split_at(usize::from(splits.next().unwrap_or(u16::MAX)) % rest.len() + 1);
            replies += &server.say(&mut client, now);
            rest = later;
        }
        replies += &server.say(&mut client, rest);
    }
    let mailboxes = ["foo.com/jones", "foo.com/brown", "foo.com/postmaster"];
    let mail = mailboxes.iter().flat_map(|mailbox| server.mail(mailbox)).map(|mail| without_id(&mail)).collect();
    (replies, mail)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn splits_make_no_difference(splits in proptest::collection::vec(0_u16..40, 1..20)) {
        let (replies, mail) = run(&[u16::MAX]);
        prop_assert_eq!(mail.len(), 3);
        prop_assert_eq!(replies.matches("Delivered").count(), 3);
        prop_assert_eq!(run(&splits), (replies, mail));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        parts in proptest::collection::vec(prop_oneof![
            2 => proptest::collection::vec(any::<u8>(), 0..40),
            3 => proptest::sample::select(vec![
                "EHLO bar.com\r\n", "HELO x\r\n", "MAIL FROM:<a@b>", " SIZE=", "RCPT TO:<jones@foo.com>", "\r\n", "DATA\r\n",
                "BDAT 5", " LAST\r\n", ".\r\n", "\n.\n", "RSET\r\n", "99999999999999999999", "QUIT\r\n", "<", ">", "\"",
            ]).prop_map(|text| text.as_bytes().to_vec()),
        ], 0..40),
        finished in any::<bool>(),
    ) {
        let mut server = TestServer::new("forbid_unauthorized_pipelining = false\n[limits]\nerrors = 1000\nerror_delay = '0s'");
        let mut client = server.connect();
        for part in &parts {
            client.stream.input.extend_from_slice(part);
            client.next = server.environment.advance(client.session.as_mut(), &mut client.stream);
            if !matches!(client.next, tapster_service::Next::Wait(_)) {
                break;
            }
        }
        client.stream.input_finished = finished;
        client.next = server.environment.advance(client.session.as_mut(), &mut client.stream);
        if finished {
            prop_assert_eq!(client.next, tapster_service::Next::Close);
        }
    }
}
