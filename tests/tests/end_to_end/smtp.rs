//! Mail by the clients that people have, and by those that nobody should have.

use std::path::{Path, PathBuf};

use tapster_tests::lab::{ADDRESS, Client, Lab, Plan, Program, Signal};

const SERVICE: &str =
    "\n[services.smtp]\nhostname = \"mail.example.test\"\ndomains = [\"example.test\"]\nmaildir = \"mail\"\n";

fn plan(settings: &str) -> Plan {
    let mut plan = Plan::new();
    plan.services = format!("{SERVICE}{settings}");
    plan
}

/// The files of a mailbox that clients of the Maildir see, in the order of their names.
fn mails(lab: &Lab, mailbox: &str) -> Vec<PathBuf> {
    files(&lab.path(&format!("mail/example.test/{mailbox}/new")))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The only mail of a mailbox: the fields that the server has added, and what the client has sent.
#[track_caller]
fn only_mail(lab: &Lab, mailbox: &str) -> (String, Vec<u8>) {
    let mails = mails(lab, mailbox);
    assert_eq!(mails.len(), 1, "{mails:?}");
    let mail = std::fs::read(&mails[0]).unwrap();
    // Return-Path, Received and its folded lines, each ended by CRLF.
    let mut rest = &mail[..];
    while rest.starts_with(b"Return-Path:") || rest.starts_with(b"Received:") || rest.starts_with(b"\t") {
        let end = rest.iter().position(|octet| *octet == b'\n').expect("a line's end");
        rest = &rest[end + 1..];
    }
    let fields = &mail[..mail.len() - rest.len()];
    (String::from_utf8(fields.to_vec()).expect("ASCII"), rest.to_vec())
}

fn curl(lab: &Lab, recipient: &str) -> Program {
    let url = format!("smtp://{ADDRESS}/client.example.test");
    lab.curl().args(["--mail-from", "me@elsewhere.test", "--mail-rcpt", recipient, "--upload-file", "mail.eml", &url])
}

/// A session that has been greeted.
fn greeted(lab: &Lab) -> Client {
    let mut session = lab.session(25);
    session.must("expect 220 mail.example.test");
    session.must(r"send EHLO client.example.test\r\n");
    session.must(r"expect 250 HELP\r\n");
    session
}

/// A session that may send its message now.
fn in_data(lab: &Lab, mailbox: &str) -> Client {
    let mut session = greeted(lab);
    session.must(&format!(r"send MAIL FROM:<me@elsewhere.test>\r\nRCPT TO:<{mailbox}@example.test>\r\nDATA\r\n"));
    session.must("expect 354 ");
    session
}

#[test]
fn what_curl_sends_is_in_the_mailbox_byte_for_byte() {
    let lab = plan("").start();
    let mut message = b"Subject: every octet\r\n\r\n.\r\n..\r\n.leading dot\r\n".to_vec();
    message.extend((0..=255_u8).filter(|octet| !b"\r\n".contains(octet)));
    message.extend_from_slice(b"\r\nlast line\r\n");
    lab.plan().file("mail.eml", &message);
    curl(&lab, "you@example.test").output().success();
    let (fields, body) = only_mail(&lab, "you");
    assert!(fields.starts_with("Return-Path: <me@elsewhere.test>\r\nReceived: from client.example.test "), "{fields}");
    assert!(fields.contains("192.0.2.1") && fields.contains("by mail.example.test "), "{fields}");
    assert!(body == message, "{}", String::from_utf8_lossy(&body));
    assert!(files(&lab.path("mail/example.test/you/tmp")).is_empty());
}

#[test]
fn a_large_mail_arrives_whole_and_a_too_large_one_leaves_nothing() {
    let lab = plan("max_message_size = \"8MiB\"\n").start();
    let line = b"a line of this mail, which is as long as lines of mails usually are: seventy\r\n";
    let message =
        |length: usize| -> Vec<u8> { line.iter().copied().cycle().take(length - length % line.len()).collect() };
    let large = message(7 << 20);
    lab.plan().file("mail.eml", &large);
    curl(&lab, "you@example.test").output().success();
    assert!(only_mail(&lab, "you").1 == large);
    lab.plan().file("mail.eml", message(9 << 20));
    // curl tells the size, and MAIL is refused (RFC 1870).
    assert!(!curl(&lab, "other@example.test").output().succeeded());
    assert!(mails(&lab, "other").is_empty());
}

#[test]
fn swaks_delivers_to_several_recipients_and_is_told_of_those_refused() {
    let lab = plan("mailboxes = [\"one\", \"two\"]\n").start();
    let swaks = |to: &str| {
        let swaks = lab.program("swaks").args(["--server", ADDRESS, "--helo", "client.example.test"]);
        swaks.args(["--from", "me@elsewhere.test", "--to", to]).output()
    };
    let told = swaks("one@example.test,two@example.test").success().stdout();
    assert_eq!((mails(&lab, "one").len(), mails(&lab, "two").len()), (1, 1), "{told}");
    // swaks's exit code for no recipient accepted.
    let told = swaks("three@example.test").code(24).stdout();
    assert!(told.contains("<** 550 "), "{told}");
    // A relay would take this one.
    let told = swaks("one@elsewhere.test").code(24).stdout();
    assert!(told.contains("<** 550 "), "{told}");
    assert_eq!((mails(&lab, "one").len(), mails(&lab, "two").len()), (1, 1));
}

#[test]
fn a_whole_conversation_in_two_segments_gets_all_its_replies() {
    let lab = plan("").start();
    let mut session = in_data(&lab, "you");
    // RFC 2920 §3.1: DATA is the last of its group, and what follows the message may go with it.
    session.must(
        r"send Subject: first\r\n\r\none\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<you@example.test>\r\nRCPT TO:<me@relay.test>\r\nDATA\r\n",
    );
    session.must("expect 250 2.0.0");
    session.must("expect 550 ");
    session.must("expect 354 ");
    session.must(r"send Subject: second\r\n\r\ntwo\r\n.\r\nQUIT\r\n");
    session.must("expect 250 2.0.0");
    session.must("expect 221 ");
    session.must("save rest");
    assert_eq!(std::fs::read_to_string(lab.path("rest")).unwrap().matches("\r\n").count(), 1);
    let mut texts: Vec<_> = mails(&lab, "you").iter().map(|mail| std::fs::read_to_string(mail).unwrap()).collect();
    texts.sort_by_key(|text| text.contains("second"));
    assert_eq!(texts.len(), 2);
    assert!(texts[0].starts_with("Return-Path: <me@elsewhere.test>\r\n") && texts[0].ends_with("\r\n\r\none\r\n"));
    assert!(texts[1].starts_with("Return-Path: <>\r\n") && texts[1].ends_with("\r\n\r\ntwo\r\n"));
}

#[test]
fn a_client_that_goes_amid_its_message_leaves_nothing() {
    let lab = plan("").start();
    let mut session = in_data(&lab, "you");
    session.must(r"send Subject: never finished\r\n\r\nand then\r\n");
    session.must("reset");
    lab.eventually("no connection is left", || lab.connections().is_empty().then_some(()));
    assert!(mails(&lab, "you").is_empty() && files(&lab.path("mail/example.test/you/tmp")).is_empty());
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_a_message() {
    let lab = plan("").start();
    for (number, end) in
        [r"\n.\n", r"\n.\r\n", r"\r\n.\n", r"\r.\r", r"\r.\r\n", r"\r\n.\r", r"\n.\r"].iter().enumerate()
    {
        let mailbox = format!("smuggled{number}");
        let mut session = in_data(&lab, &mailbox);
        // A server that ends the message early takes the second mail, whose sender nobody has checked.
        session.must(&format!(
            r"send Subject: outer\r\n\r\nouter{end}MAIL FROM:<root@example.test>\r\nRCPT TO:<{mailbox}@example.test>\r\nDATA\r\nSubject: inner\r\n\r\ninner\r\n.\r\n"
        ));
        // One message, one reply: refused for its line ends.
        session.must("expect 5");
        session.must(r"send QUIT\r\n");
        session.must("save rest");
        let rest = std::fs::read_to_string(lab.path("rest")).unwrap();
        assert!(!rest.contains("354") && !rest.contains("250"), "{end} ended the message: {rest:?}");
        assert!(mails(&lab, &mailbox).is_empty(), "{end}");
    }
}

#[test]
fn a_client_that_talks_before_the_greeting_is_turned_away() {
    let lab = plan("[services.smtp.limits]\nbanner_delay = \"1s\"\n").start();
    let mut session = lab.session(25);
    session.must(r"send EHLO early.example.test\r\n");
    session.must("save answer");
    let answer = std::fs::read_to_string(lab.path("answer")).unwrap();
    assert!(answer.starts_with("554 ") && answer.lines().count() == 1, "{answer:?}");
}

/// Kills the daemon at several moments of a stream of deliveries, and looks at what is in the mailbox.
#[test]
fn a_daemon_that_is_killed_has_every_mail_that_it_accepted() {
    let mut lab = plan("").start();
    let mut accepted_in_all = Vec::new();
    // The mails of earlier rounds must still be there, so all go to one mailbox.
    for (round, before_the_kill) in [1, 23, 60, 111, 150].into_iter().enumerate() {
        let first = 1000 * round;
        let mut client =
            lab.client(&["deliver", &format!("{ADDRESS}:25"), "you@example.test", "8", "200", &first.to_string()]);
        let mut accepted = Vec::new();
        let mut number = client.greeting().to_owned();
        while number != "ended" {
            accepted.push(number.parse::<usize>().unwrap_or_else(|_| panic!("the client said {number:?}")));
            if accepted.len() == before_the_kill {
                lab.daemon().signal(Signal::KILL);
                number = client.command("the server is no more");
                continue;
            }
            number = client.line();
        }
        assert!(accepted.len() >= before_the_kill, "round {round}: only {} were accepted", accepted.len());
        assert!(accepted.len() < 200, "round {round}: the kill came too late to show anything");
        accepted_in_all.extend(accepted);
        lab.restart();
        let found: Vec<String> = mails(&lab, "you").iter().map(|mail| std::fs::read_to_string(mail).unwrap()).collect();
        for mail in &found {
            assert!(whole(mail), "round {round}: a fragment of {} bytes is in new", mail.len());
        }
        for number in &accepted_in_all {
            let subject = format!("\r\nSubject: {number}\r\n");
            let count = found.iter().filter(|mail| mail.contains(&subject)).count();
            assert!(count == 1, "round {round}: mail {number} got its 250 and is there {count} times");
        }
    }
}

/// Whether a mail of the client `deliver` is whole: its last line repeats its subject.
fn whole(mail: &str) -> bool {
    let subject = mail.lines().find_map(|line| line.strip_prefix("Subject: "));
    subject.is_some_and(|number| mail.ends_with(&format!("\r\nend of {number}\r\n")))
}
