//! One TLS connection: handshake, conversation, end.
//!
//! Responsible for when the session within is called and for translating what it waits for; for the time that a
//! handshake may take; and for an end in order, with close_notify both ways where the peer plays its part.
//!
//! ```text
//!   ──► Handshake ──► Open ──► Ending ──► closed
//!           └──── alert ────────┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tapster_service::{ByteStream, Closed, Context, Next, Session, Wait};

use crate::acceptor::Acceptor;
use crate::engine::{Engine, sealed_length};
use crate::layer::{Layer, PlainStream};
use crate::metrics::Failure;

/// How many plain bytes are made ready before the session within is called.
const READY: usize = 64 << 10;
/// How many plain bytes wait at most for a session that asks for more and consumes none: more than the largest head of an
/// HTTP request (1 MiB) or the largest DNS message.
const MAXIMUM_READY: usize = 2 << 20;
/// How often the session within is called in one call, so that one connection does not hold up the event loop.
const ROUNDS: u32 = 16;
/// How long the peer may take to close its side after we have closed ours.
const ENDING_TIME: Duration = Duration::from_secs(5);
/// How much it may send meanwhile, in bytes.
const ENDING_SIZE: usize = 1 << 20;

/// A session over TLS, around the one that speaks the protocol itself.
#[derive(Debug)]
pub struct TlsSession<S> {
    acceptor: Arc<Acceptor>,
    inner: S,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Not called yet.
    New,
    Handshake {
        layer: Box<Layer>,
        deadline: Instant,
        /// How many bytes have come.
        received: usize,
    },
    Open(Box<Layer>),
    /// Everything has been said; waiting for the peer to close.
    Ending {
        deadline: Instant,
        received: usize,
    },
}

/// What comes of one step: the next one, or the end of the call.
enum Turn {
    Again,
    Return(Next),
}

impl<S: Session> TlsSession<S> {
    /// A session whose handshake is to come. `inner` is called when it is over.
    pub fn new(acceptor: Arc<Acceptor>, inner: S) -> Self {
        Self { acceptor, inner, phase: Phase::New }
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> Turn {
        match Engine::new(self.acceptor.configuration()) {
            Ok(engine) => {
                let layer = Box::new(Layer::new(engine, BytesMut::new()));
                let deadline = cx.now + self.acceptor.limits().handshake_timeout;
                self.phase = Phase::Handshake { layer, deadline, received: 0 };
                Turn::Again
            }
            Err(error) => {
                tracing::error!(%error, "a TLS connection cannot be begun");
                Turn::Return(Next::Abort)
            }
        }
    }

    fn shake_hands(&mut self, wire: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        let Phase::Handshake { layer, deadline, received } = &mut self.phase else { return Turn::Again };
        let limits = self.acceptor.limits();
        // What comes behind the handshake may be decrypted already; it is bounded like all that waits.
        let result = layer.receive(wire, READY);
        let failure = match result {
            Ok(taken) => {
                *received += taken;
                if layer.engine.established() {
                    self.acceptor.metrics().established(layer.engine.version(), layer.engine.resumed());
                    return self.open();
                }
                if *received > limits.handshake_size {
                    Failure::TooLarge
                } else if wire.input_finished() || layer.engine.peer_closed() {
                    Failure::Closed
                } else if cx.now >= *deadline {
                    Failure::TimedOut
                } else {
                    return Turn::Return(Next::input().until(*deadline));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Failure::Refused
            }
        };
        self.acceptor.metrics().failed(layer.engine.version(), failure);
        let timed_out = failure == Failure::TimedOut;
        self.inner.closed(if timed_out { Closed::TimedOut } else { Closed::Reset }, cx);
        wire.finish();
        self.end(cx)
    }

    fn open(&mut self) -> Turn {
        if let Phase::Handshake { layer, .. } = std::mem::replace(&mut self.phase, Phase::New) {
            self.phase = Phase::Open(layer);
        }
        Turn::Again
    }

    /// Lets the session within go as far as it can.
    fn converse(&mut self, wire: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        let Phase::Open(layer) = &mut self.phase else { return Turn::Again };
        if let Err(error) = layer.receive(wire, READY) {
            return self.fail(&error, wire, cx);
        }
        let next = self.inner.advance(&mut PlainStream { layer: layer.as_mut(), wire }, cx);
        layer.flush(wire);
        if layer.broken() {
            return Turn::Return(Next::Abort);
        }
        match next {
            // No close_notify: so the peer knows that it has not got everything.
            Next::Abort => Turn::Return(Next::Abort),
            Next::Close => {
                layer.finish(wire);
                self.end(cx)
            }
            Next::Wait(wait) => self.wait(wait, wire, cx),
        }
    }

    /// Waits for what the session within waits for, unless it is there.
    fn wait(&mut self, wait: Wait, wire: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        let Phase::Open(layer) = &mut self.phase else { return Turn::Again };
        let mut input = wait.input;
        if wait.input && !layer.engine.peer_closed() {
            let before = layer.waiting();
            if let Err(error) = layer.receive(wire, MAXIMUM_READY.min(before + 1)) {
                return self.fail(&error, wire, cx);
            }
            if layer.waiting() > before || layer.engine.peer_closed() {
                return Turn::Again;
            }
            if wire.input_finished() && wire.input().is_empty() {
                // The connection ended without close_notify: what is missing cannot be known.
                if wait.room == 0 {
                    return self.truncated(wire, cx);
                }
                input = false;
            }
            input &= before < MAXIMUM_READY;
        }
        Turn::Return(Next::Wait(Wait { input, room: sealed_length(wait.room), deadline: wait.deadline }))
    }

    fn truncated(&mut self, wire: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        self.acceptor.metrics().truncated();
        self.inner.closed(Closed::Reset, cx);
        if let Phase::Open(layer) = &mut self.phase {
            layer.finish(wire);
        }
        self.end(cx)
    }

    /// A record could not be understood. The alert has been sent.
    fn fail(&mut self, error: &rustls::Error, wire: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        tracing::debug!(%error, "a TLS connection failed");
        self.acceptor.metrics().broken();
        self.inner.closed(Closed::Reset, cx);
        wire.finish();
        self.end(cx)
    }

    fn end(&mut self, cx: &Context<'_>) -> Turn {
        self.phase = Phase::Ending { deadline: cx.now + ENDING_TIME, received: 0 };
        Turn::Again
    }
}

/// Reads what the peer still sends, so that it is not met by a reset that would overtake our last words.
fn drain(wire: &mut dyn ByteStream, deadline: Instant, received: &mut usize, now: Instant) -> Next {
    let length = wire.input().len();
    wire.consume(length);
    *received += length;
    if wire.input_finished() || *received > ENDING_SIZE || now >= deadline {
        return Next::Close;
    }
    Next::input().until(deadline)
}

impl<S: Session> Session for TlsSession<S> {
    fn advance(&mut self, wire: &mut dyn ByteStream, cx: &mut Context<'_>) -> Next {
        self.acceptor.clock().set(cx.wall_clock);
        for _ in 0..ROUNDS {
            let turn = match &mut self.phase {
                Phase::New => self.begin(cx),
                Phase::Handshake { .. } => self.shake_hands(wire, cx),
                Phase::Open(_) => self.converse(wire, cx),
                Phase::Ending { deadline, received } => return drain(wire, *deadline, received, cx.now),
            };
            if let Turn::Return(next) = turn {
                return next;
            }
        }
        Next::input().until(cx.now)
    }

    fn closed(&mut self, reason: Closed, cx: &mut Context<'_>) {
        match &self.phase {
            Phase::New | Phase::Ending { .. } => {}
            Phase::Handshake { layer, .. } => {
                self.acceptor.metrics().failed(layer.engine.version(), Failure::Closed);
                self.inner.closed(reason, cx);
            }
            Phase::Open(_) => self.inner.closed(reason, cx),
        }
    }
}

#[cfg(test)]
mod tests;
