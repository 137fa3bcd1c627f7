//! One connection under the test's control.
//!
//! | command | does | answer |
//! | --- | --- | --- |
//! | `send TEXT` | sends the text, in which `\r` and `\n` are escapes | `done` |
//! | `finish` | closes its own half | `done` |
//! | `expect TEXT` | reads until the text has come, to its last byte, escapes as in `send` | `done` |
//! | `skip COUNT` | reads so many bytes and drops them | `done` |
//! | `save PATH` | reads to the end and writes what came into a file | `done` |
//! | `close` | closes the connection and ends | `done` |
//! | `reset` | resets the connection and ends | `done` |
//!
//! Instead of `done` comes `reset` when the peer has reset the connection, `ended` when it ended early, and any
//! other error as its text.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// How long a read or write may stand still.
const TIME_OUT: Duration = Duration::from_secs(30);

pub(crate) fn run(server: SocketAddr, receive_buffer: Option<usize>) -> anyhow::Result<()> {
    let mut stream = connect(server, receive_buffer)?;
    stream.set_read_timeout(Some(TIME_OUT))?;
    stream.set_write_timeout(Some(TIME_OUT))?;
    println!("connected {}", stream.local_addr()?);
    for line in io::stdin().lines() {
        let line = line?;
        let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let last = matches!(verb, "close" | "reset");
        if verb == "reset" {
            sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
        if last {
            drop(stream);
            println!("done");
            return Ok(());
        }
        match obey(&mut stream, verb, argument) {
            Ok(()) => println!("done"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => println!("reset"),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => println!("ended"),
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}

/// The buffer must be set before the handshake, since that fixes the window's scale.
fn connect(server: SocketAddr, receive_buffer: Option<usize>) -> anyhow::Result<TcpStream> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    if let Some(bytes) = receive_buffer {
        sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    }
    rustix::net::connect(&socket, &server).with_context(|| format!("cannot connect to {server}"))?;
    Ok(TcpStream::from(socket))
}

fn obey(stream: &mut TcpStream, verb: &str, argument: &str) -> io::Result<()> {
    match verb {
        "send" => stream.write_all(unescaped(argument).as_bytes()),
        "expect" => expect(stream, unescaped(argument).as_bytes()),
        "finish" => stream.shutdown(std::net::Shutdown::Write),
        "skip" => {
            let count = argument.parse().map_err(io::Error::other)?;
            let skipped = io::copy(&mut stream.take(count), &mut io::sink())?;
            if skipped == count { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
        }
        "save" => io::copy(stream, &mut File::create(argument)?).map(|_| ()),
        _ => Err(io::Error::other(format!("no such command: {verb}"))),
    }
}

fn unescaped(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n")
}

/// Reads byte by byte, so that nothing is taken from what comes after.
fn expect(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
    let mut read = Vec::new();
    while !read.ends_with(text) {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        read.extend_from_slice(&octet);
    }
    Ok(())
}
