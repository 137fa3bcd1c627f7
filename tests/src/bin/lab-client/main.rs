//! The clients that no standard program is: they run inside a lab's network and do exactly what a test tells them.

#![forbid(unsafe_code)]

mod crowd;
mod deliver;
mod dns;
mod inject;
mod link;
mod session;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

/// Clients for tapster's end-to-end tests.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Open one TCP connection and do with it what the lines of the standard input say
    Session {
        /// Where to
        server: SocketAddr,
        /// The receive buffer, in bytes (the kernel doubles it)
        #[arg(long)]
        receive_buffer: Option<usize>,
    },
    /// Open connections, leave them idle, and close them when the standard input ends
    Idle {
        /// Where to
        server: SocketAddr,
        /// How many
        count: usize,
    },
    /// Open connections one after the other and reset each
    Reset {
        /// Where to
        server: SocketAddr,
        /// How many
        count: usize,
    },
    /// Send many DNS queries on one TCP connection before reading the first answer (RFC 7766 §6.2.1.1)
    PipelinedQueries {
        /// Where to
        server: SocketAddr,
        /// The name whose A record is asked for
        name: String,
        /// How many
        count: u16,
    },
    /// Deliver numbered mails over several sessions at once, and tell which were accepted
    Deliver {
        /// Where to
        server: SocketAddr,
        /// Whom to
        recipient: String,
        /// How many sessions
        sessions: usize,
        /// How many mails in all
        count: usize,
        /// The first one's number
        first: usize,
    },
    /// Make two TAPs and carry frames between them as a bad network does
    Link {
        /// One TAP's name
        near: String,
        /// The other's
        far: String,
        #[command(flatten)]
        conditions: link::Conditions,
    },
    /// Make a TAP and send broken frames through it, as the lines of the standard input say
    Inject {
        /// The TAP's name
        interface: String,
        /// The hardware address that the frames go to
        destination: String,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().role {
        Role::Session { server, receive_buffer } => session::run(server, receive_buffer),
        Role::Idle { server, count } => crowd::idle(server, count),
        Role::Reset { server, count } => crowd::reset(server, count),
        Role::PipelinedQueries { server, name, count } => dns::pipelined_queries(server, &name, count),
        Role::Deliver { server, recipient, sessions, count, first } => {
            Ok(deliver::run(server, &recipient, sessions, count, first)?)
        }
        Role::Link { near, far, conditions } => link::run(&near, &far, &conditions),
        Role::Inject { interface, destination } => inject::run(&interface, &destination),
    }
}
