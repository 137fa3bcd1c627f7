//! DNS over UDP (RFC 1035 §4.2.1): one datagram, one response.
//!
//! Responsible for datagrams alone; what is said in them is [`crate::server`]'s.

use std::sync::Arc;

use tapster_service::{Context, Datagram, DatagramService, DatagramSocket};

use crate::server::{Server, Via};

/// Answers datagrams.
pub(crate) struct Udp {
    server: Arc<Server>,
    /// Kept, so that a response needs no allocation.
    buffer: Vec<u8>,
}

impl Udp {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, buffer: Vec::new() }
    }
}

impl DatagramService for Udp {
    fn receive(&mut self, datagram: Datagram<'_>, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        self.buffer.clear();
        let via = Via::Udp { payload_limit: socket.payload_limit(datagram.remote.ip()) };
        let client = self.server.client(via, datagram.remote.ip(), cx);
        self.server.respond(datagram.payload, &client, &mut self.buffer);
        // The client asks again if the response is lost, here or anywhere else.
        if !self.buffer.is_empty() && socket.send(datagram.local, datagram.remote, &self.buffer).is_err() {
            self.server.metrics.unsent();
        }
    }
}

#[cfg(test)]
mod tests;
