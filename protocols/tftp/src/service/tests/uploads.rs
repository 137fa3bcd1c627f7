//! Files that clients write.

use super::*;

const WRITE: &[u8] = b"\0\x02new\0octet\0";

fn upload(lab: &mut Lab, content: &[u8]) {
    let (tid, first) = lab.ask(WRITE);
    assert_eq!(first, ack(0));
    let blocks = content.len() / 512 + 1;
    for n in 1..=blocks {
        let block = &content[(n - 1) * 512..content.len().min(n * 512)];
        assert_eq!(lab.answer(tid, &data(n as u16, block)), [ack(n as u16)]);
    }
}

fn left(lab: &Lab) -> usize {
    std::fs::read_dir(lab.path("")).unwrap().count()
}

#[test]
fn files_of_every_size_around_a_block() {
    for size in [0, 1, 511, 512, 513, 1024, 100_000] {
        let mut lab = Lab::new("writable = true");
        upload(&mut lab, &pattern(size));
        assert_eq!(std::fs::read(lab.path("new")).unwrap(), pattern(size));
        assert_eq!((left(&lab), lab.ended("write", "completed")), (1, 1));
        assert_eq!(lab.counter("tapster_tftp_bytes_total", &["write"]), size as u64);
        lab.assert_empty();
    }
}

#[test]
fn nothing_is_seen_of_it_before_its_end() {
    let mut lab = Lab::new("writable = true");
    let (tid, _) = lab.ask(WRITE);
    lab.answer(tid, &data(1, &[1; 512]));
    assert!(!lab.path("new").exists());
    let hidden = std::fs::read_dir(lab.path("")).unwrap().next().unwrap().unwrap().file_name();
    let read = [b"\0\x01", hidden.as_encoded_bytes(), b"\0octet\0"].concat();
    lab.deliver(address("192.0.2.8:1"), address(SERVER), &read);
    assert_eq!(error(&lab.payloads()[0]).0, 2, "nor can it be read by its name for the time being");
    lab.pass(Duration::from_secs(100));
    assert_eq!((left(&lab), lab.ended("write", "timed_out")), (0, 1));
    lab.assert_empty();
}

#[test]
fn whatever_interrupts_an_upload_leaves_nothing() {
    let interruptions: [&[u8]; 3] = [b"\0\x05\0\0x\0", &ack(1), &data(2, &[0; 513])];
    for interruption in interruptions {
        let mut lab = Lab::new("writable = true");
        let (tid, _) = lab.ask(WRITE);
        lab.answer(tid, &data(1, &[1; 512]));
        lab.answer(tid, interruption);
        assert_eq!(left(&lab), 0, "{interruption:?}");
        lab.assert_empty();
    }
    // Even when the service ends, or no job can be had.
    for busy in [false, true] {
        let mut lab = Lab::new("writable = true");
        let (tid, _) = lab.ask(WRITE);
        lab.answer(tid, &data(1, &[1; 512]));
        lab.environment.busy = busy;
        if busy {
            lab.answer(tid, b"\0\x05\0\0x\0");
            assert_eq!(left(&lab), 0);
        } else {
            let Lab { server, directory, .. } = lab;
            drop(server);
            assert_eq!(std::fs::read_dir(directory.path().join("tftp")).unwrap().count(), 0);
        }
    }
}

#[test]
fn a_file_that_exists_is_kept_or_replaced() {
    let mut lab = Lab::new("writable = true").with_file("new", "old");
    assert_eq!(error(&lab.ask(WRITE).1).0, 6);
    assert_eq!(lab.refused("exists"), 1);
    let mut lab = Lab::new("writable = true\noverwrite = true").with_file("new", "old");
    upload(&mut lab, b"newer");
    assert_eq!(std::fs::read(lab.path("new")).unwrap(), b"newer");
}

#[test]
fn a_file_that_was_read_and_is_replaced_is_read_anew() {
    let mut lab = Lab::new("writable = true\noverwrite = true").with_file("new", "old");
    let read = b"\0\x01new\0octet\0";
    let (tid, first) = lab.ask(read);
    assert_eq!(first, data(1, b"old"));
    lab.answer(tid, &ack(1));
    upload(&mut lab, b"newer");
    assert_eq!(lab.ask(read).1, data(1, b"newer"));
}

#[test]
fn a_text_in_netascii() {
    let mut lab = Lab::new("writable = true");
    let (tid, _) = lab.ask(b"\0\x02new\0netascii\0blksize\x008\0");
    assert_eq!(lab.answer(tid, &data(1, b"1234567\r")), [ack(1)]);
    assert_eq!(lab.answer(tid, &data(2, b"\n8\r\0")), [ack(2)]);
    assert_eq!(std::fs::read(lab.path("new")).unwrap(), b"1234567\n8\r");
}

#[test]
fn the_size_is_limited() {
    let mut lab = Lab::new("writable = true\nlimits.upload_size = \"1KiB\"");
    assert_eq!(error(&lab.ask(b"\0\x02new\0octet\0tsize\x001025\0").1).0, 3);
    assert_eq!(lab.ask(b"\0\x02new\0octet\0tsize\x001024\0").1, b"\0\x06tsize\x001024\0");
    let (tid, _) = lab.ask(WRITE);
    lab.answer(tid, &data(1, &[1; 512]));
    assert_eq!(lab.answer(tid, &data(2, &[1; 512])), [ack(2)]);
    assert_eq!(error(&lab.answer(tid, &data(3, b"x"))[0]).0, 3);
    assert_eq!(left(&lab), 0);
}

#[test]
fn the_last_acknowledgment_can_be_had_again() {
    let mut lab = Lab::new("writable = true");
    let (tid, _) = lab.ask(WRITE);
    assert_eq!(lab.answer(tid, &data(1, b"x")), [ack(1)]);
    assert_eq!(lab.answer(tid, &data(1, b"x")), [ack(1)], "RFC 1350 §6");
    assert_eq!(lab.ended("write", "completed"), 1);
    lab.pass(Duration::from_secs(5));
    assert_eq!(lab.answer(tid, &data(1, b"x")), [ack(1)]);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.socket.open, []);
    lab.assert_empty();
}

#[test]
fn a_client_with_many_small_files_is_not_held_back() {
    let mut lab = Lab::new("writable = true\nlimits.transfers_per_client = 1");
    for n in 0..20 {
        let (tid, first) = lab.ask(format!("\0\u{2}{n}\0octet\0").as_bytes());
        assert_eq!(first, ack(0), "{n}");
        assert_eq!(lab.answer(tid, &data(1, b"x")), [ack(1)]);
    }
    lab.assert_empty();
}

#[test]
fn windows() {
    let mut lab = Lab::new("writable = true");
    let (tid, oack) = lab.ask(b"\0\x02new\0octet\0windowsize\x003\0");
    assert_eq!(oack, b"\0\x06windowsize\x003\0");
    let block = |n: u16| data(n, &[n as u8; 512]);
    assert!(lab.answer(tid, &block(1)).is_empty());
    assert_eq!(lab.answer(tid, &block(3)), [ack(1)], "RFC 7440 §4: the last block in order");
    assert!(lab.answer(tid, &block(4)).is_empty(), "told once");
    assert!(lab.answer(tid, &block(2)).is_empty());
    assert!(lab.answer(tid, &block(3)).is_empty());
    assert_eq!(lab.answer(tid, &block(4)), [ack(4)]);
    // The middle of a window is acknowledged when nothing more comes.
    lab.answer(tid, &block(5));
    lab.pass(Duration::from_secs(1));
    assert!(lab.payloads().contains(&ack(5)));
    assert_eq!(lab.answer(tid, &data(6, b"end")), [ack(6)]);
    assert_eq!(std::fs::read(lab.path("new")).unwrap().len(), 5 * 512 + 3);
}

#[test]
fn a_full_pool_delays_an_upload() {
    let mut lab = Lab::new("writable = true");
    let (tid, _) = lab.ask(WRITE);
    lab.environment.busy = true;
    let mut blocks = 0;
    // The client is held back at some point, and nothing is lost.
    loop {
        blocks += 1;
        if lab.answer(tid, &data(blocks, &[blocks as u8; 512])).is_empty() {
            break;
        }
        assert!(blocks < 1000);
    }
    lab.environment.busy = false;
    lab.pass(Duration::from_millis(2));
    assert_eq!(lab.payloads(), [ack(blocks)]);
    lab.environment.busy = true;
    assert!(lab.answer(tid, &data(blocks + 1, b"end")).is_empty());
    lab.environment.busy = false;
    lab.pass(Duration::from_millis(2));
    assert_eq!(lab.payloads(), [ack(blocks + 1)]);
    assert_eq!(std::fs::read(lab.path("new")).unwrap().len(), usize::from(blocks) * 512 + 3);
}
