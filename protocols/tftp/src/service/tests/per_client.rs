//! What differs from client to client: roots, and files that are made.

use super::*;

#[test]
fn a_root_for_each_hardware_address() {
    let mut lab = Lab::new("root = 'tftp/{mac}'\nwritable = true").with_file("f", "for all");
    std::fs::create_dir(lab.path("02-00-00-00-00-01")).unwrap();
    std::fs::write(lab.path("02-00-00-00-00-01/f"), "for one").unwrap();
    let read = b"\0\x01f\0octet\0";
    assert_eq!(lab.ask(read).1, data(1, b"for all"));
    lab.pass(Duration::from_secs(10));
    lab.sent();
    lab.link_address = Some([2, 0, 0, 0, 0, 1]);
    assert_eq!(lab.ask(read).1, data(1, b"for one"));
    let (tid, _) = lab.ask(b"\0\x02new\0octet\0");
    lab.answer(tid, &data(1, b"x"));
    assert!(lab.path("02-00-00-00-00-01/new").exists());
    lab.pass(Duration::from_secs(10));
    lab.sent();
    lab.link_address = Some([2, 0, 0, 0, 0, 2]);
    assert_eq!(lab.ask(read).1, data(1, b"for all"), "no directory of its own");
}

#[test]
fn a_file_that_is_made_for_a_client() {
    let section = "[[generated]]\nname = 'pxelinux.cfg/01-{mac}'\ntext = 'append ip={{ip}} from={{server}}'";
    let mut lab = Lab::new(section);
    lab.link_address = Some([2, 0, 0, 0, 0, 1]);
    lab.environment.busy = true;
    let (tid, oack) = lab.ask(b"\0\x01pxelinux.cfg/01-02-00-00-00-00-01\0octet\0tsize\x000\0blksize\x008\0");
    assert_eq!(oack, b"\0\x06tsize\x0034\0blksize\x008\0");
    let (mut text, mut packets, mut block) = (Vec::new(), lab.answer(tid, &ack(0)), 0);
    while let Some(packet) = packets.first() {
        block += 1;
        text.extend_from_slice(&packet[4..]);
        packets = lab.answer(tid, &ack(block));
    }
    assert_eq!(String::from_utf8(text).unwrap(), "append ip=192.0.2.9 from=192.0.2.2");
    lab.environment.busy = false;
    assert_eq!(error(&lab.ask(b"\0\x01pxelinux.cfg/01-02-00-00-00-00-02\0octet\0").1).0, 1);
    lab.assert_empty();
}

#[test]
fn a_name_that_stands_for_another() {
    let section = "rename = [{ from = '^boot/', to = 'x/' }, { from = '^up', to = '../up' }]";
    let mut lab = Lab::new(section);
    std::fs::create_dir(lab.path("x")).unwrap();
    std::fs::write(lab.path("x/f"), "hello").unwrap();
    assert_eq!(lab.ask(b"\0\x01/boot/f\0octet\0").1, data(1, b"hello"));
    assert_eq!(error(&lab.ask(b"\0\x01up\0netascii\0").1).0, 2);
}

#[test]
fn a_template_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let template = directory.path().join("template");
    std::fs::write(&template, "hello {{mac}}\n").unwrap();
    let mut lab =
        Lab::new(&format!("[[generated]]\nname = 'f'\ntemplate = {template:?}")).with_file("f", "on the disk");
    assert_eq!(lab.ask(b"\0\x01f\0netascii\0").1, data(1, b"hello unknown\r\n"));
}
