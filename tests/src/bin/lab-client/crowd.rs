//! Many connections from one process.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;
use rustix::net::sockopt;

pub(crate) fn idle(server: SocketAddr, count: usize) -> anyhow::Result<()> {
    let connections = (0..count).map(|number| {
        TcpStream::connect(server).with_context(|| format!("connection {number} of {count} to {server}"))
    });
    let connections = connections.collect::<anyhow::Result<Vec<_>>>()?;
    println!("{} open", connections.len());
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

pub(crate) fn reset(server: SocketAddr, count: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let stream =
            TcpStream::connect(server).with_context(|| format!("connection {number} of {count} to {server}"))?;
        // A linger time of zero makes the close an abort.
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    }
    println!("{count} reset");
    Ok(())
}
