//! Faults on purpose, and that a transfer gets over those that it can.

use super::*;

fn lab(rule: &str) -> Lab {
    Lab::new(&format!("writable = true\n[[faults]]\n{rule}")).with_file("f", pattern(1200))
}

fn blocks(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.iter().map(|packet| packet[3]).collect()
}

#[test]
fn a_dropped_block_comes_after_the_time_out() {
    let mut lab = lab("action = 'drop'\nblock = 2");
    let (tid, _) = lab.ask(b"\0\x01f\0octet\0");
    assert!(lab.answer(tid, &ack(1)).is_empty());
    lab.pass(Duration::from_millis(200));
    assert_eq!(blocks(&lab.payloads()), [2]);
    assert_eq!(blocks(&lab.answer(tid, &ack(2))), [3]);
    lab.answer(tid, &ack(3));
    assert_eq!((lab.counter("tapster_tftp_faults_total", &["drop"]), lab.ended("read", "completed")), (1, 1));
}

#[test]
fn a_repeated_block() {
    let mut lab = lab("action = 'duplicate'\nfile = '*'\ndirection = 'read'");
    lab.deliver(address(CLIENT), address(SERVER), b"\0\x01f\0octet\0windowsize\x002\0");
    let sent = lab.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(blocks(&lab.answer(sent[0].0, &ack(0))), [1, 1, 2, 2]);
}

#[test]
fn a_stalled_transfer_times_out() {
    let mut lab = lab("action = 'stall'\nblock = 2");
    let (tid, _) = lab.ask(b"\0\x01f\0octet\0");
    assert!(lab.answer(tid, &ack(1)).is_empty());
    lab.pass(Duration::from_secs(100));
    assert_eq!(lab.sent(), []);
    assert_eq!(lab.ended("read", "timed_out"), 1);
    lab.assert_empty();
}

#[test]
fn an_error_at_a_block() {
    let mut lab = lab("action = 'error'\nblock = 2\ncode = 3\ntext = 'no more'");
    let (tid, _) = lab.ask(b"\0\x01f\0octet\0");
    assert_eq!(error(&lab.answer(tid, &ack(1))[0]), (3, "no more".to_owned()));
    assert_eq!(lab.ended("read", "failed"), 1);
    lab.assert_empty();
}

#[test]
fn acknowledgments_of_an_upload() {
    let mut lab = lab("action = 'drop'\ndirection = 'write'\nblock = 1");
    let (tid, _) = lab.ask(b"\0\x02new\0octet\0");
    assert!(lab.answer(tid, &data(1, &[1; 512])).is_empty());
    assert_eq!(lab.answer(tid, &data(1, &[1; 512])), [ack(1)]);
    assert_eq!(lab.answer(tid, &data(2, b"x")), [ack(2)]);
    // The last one, too: the client sends its block again.
    let mut lab = lab_last();
    let (tid, _) = lab.ask(b"\0\x02new\0octet\0");
    assert!(lab.answer(tid, &data(1, b"x")).is_empty());
    assert_eq!(lab.answer(tid, &data(1, b"x")), [ack(1)]);
    assert!(lab.path("new").exists());
}

fn lab_last() -> Lab {
    lab("action = 'drop'\ndirection = 'write'\nblock = 1\ntimes = 1")
}

#[test]
fn an_answer_that_is_an_error() {
    for request in
        [&b"\0\x02new\0octet\0"[..], b"\0\x02new\0octet\0windowsize\x004\0", b"\0\x01f\0octet\0blksize\x008\0"]
    {
        let mut lab = lab("action = 'error'\nblock = 0\ncode = 8");
        assert_eq!(error(&lab.ask(request).1).0, 8);
        assert!(!lab.path("new").exists());
        lab.assert_empty();
    }
}
