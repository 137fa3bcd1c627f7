//! A stream of mails over several sessions, and which of them the server has accepted.
//!
//! Prints the number of each mail when it has got its 250, and `ended` when all sessions are over. A line on the standard
//! input says that the server is no more: what has come from it is read, and then the sessions end.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{io, thread};

/// About 4 KiB of text.
const LINES: usize = 60;

/// Delivers the mails `first..first + count`, each with its number in its subject and in its last line.
pub(crate) fn run(server: SocketAddr, recipient: &str, sessions: usize, count: usize, first: usize) -> io::Result<()> {
    let streams = (0..sessions).map(|_| TcpStream::connect(server)).collect::<io::Result<Vec<_>>>()?;
    let streams = Arc::new(streams);
    let watched = Arc::clone(&streams);
    thread::spawn(move || {
        let said = io::stdin().read_line(&mut String::new());
        for stream in watched.iter().filter(|_| said.is_ok()) {
            // One that has ended by itself cannot be shut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let next = AtomicUsize::new(first);
    thread::scope(|scope| {
        for stream in streams.iter() {
            let next = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < first + count);
            // A session that is cut off is what the test wants to see. What was accepted has been told.
            scope.spawn(move || session(stream, recipient, next).is_ok());
        }
    });
    println!("ended");
    Ok(())
}

fn session(mut stream: &TcpStream, recipient: &str, next: impl Fn() -> Option<usize>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut replies = BufReader::new(stream);
    reply(&mut replies, "220")?;
    stream.write_all(b"EHLO client.example.test\r\n")?;
    reply(&mut replies, "250")?;
    while let Some(number) = next() {
        write!(stream, "MAIL FROM:<me@elsewhere.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n")?;
        for code in ["250", "250", "354"] {
            reply(&mut replies, code)?;
        }
        let text = "A line of text that fills the mail, seventy characters long, no more..\r\n".repeat(LINES);
        stream.write_all(format!("Subject: {number}\r\n\r\n{text}end of {number}\r\n.\r\n").as_bytes())?;
        reply(&mut replies, "250")?;
        println!("{number}");
    }
    Ok(())
}

/// Reads a reply of one or more lines (RFC 5321 §4.2.1).
fn reply(replies: &mut impl BufRead, code: &str) -> io::Result<()> {
    loop {
        let mut line = String::new();
        if replies.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !line.starts_with(code) {
            return Err(io::Error::other(line));
        }
        if line.as_bytes().get(3) == Some(&b' ') {
            return Ok(());
        }
    }
}
