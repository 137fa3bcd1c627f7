//! DNS over UDP (RFC 1035 §4.2.1): one datagram, one response.
//!
//! Responsible for datagrams alone; what is said in them is [`crate::server`]'s.

use std::sync::Arc;

use tapster_service::{Context, Datagram, DatagramService, DatagramSocket};

use crate::configuration::Limits;
use crate::rate::{self, RateLimiter, Verdict};
use crate::server::{Server, Via};

/// Answers datagrams.
pub(crate) struct Udp {
    server: Arc<Server>,
    /// Kept, so that a response needs no allocation.
    buffer: Vec<u8>,
    rate_limiter: Option<RateLimiter>,
}

impl Udp {
    pub(crate) fn new(server: Arc<Server>, limits: &Limits) -> Self {
        let rate_limiter = RateLimiter::new(limits.responses_per_second, limits.slip);
        Self { server, buffer: Vec::new(), rate_limiter }
    }
}

impl DatagramService for Udp {
    fn receive(&mut self, datagram: Datagram<'_>, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        self.buffer.clear();
        let via = Via::Udp { payload_limit: socket.payload_limit(datagram.remote.ip()) };
        let client = self.server.client(via, datagram.remote.ip(), cx);
        self.server.respond(datagram.payload, &client, &mut self.buffer);
        if self.buffer.is_empty() {
            return;
        }
        if let Some(limiter) = &mut self.rate_limiter {
            match limiter.count(client.address, &self.buffer, &client.secret, cx.now) {
                Verdict::Send => {}
                Verdict::Truncate => {
                    self.server.metrics.slipped();
                    rate::truncate(&mut self.buffer);
                }
                Verdict::Drop => return self.server.metrics.rate_limited(),
            }
        }
        // The client asks again if the response is lost, here or anywhere else.
        if socket.send(datagram.local, datagram.remote, &self.buffer).is_err() {
            self.server.metrics.unsent();
        }
    }
}

#[cfg(test)]
mod tests;
