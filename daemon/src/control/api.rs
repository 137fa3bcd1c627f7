//! The control interface as an HTTP handler.
//!
//! Responsible for turning a request into a [`Command`], checking that the peer may give it, and turning the answer into
//! a response. The command itself needs the whole daemon, which a handler does not have: it is put into the inbox, and the
//! answer comes back as a finished job comes to any session.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tapster_http::{Answer, Body, Handler, Reply, Request};
use tapster_service::{Context, FinishedJob, JobId};

use super::Asker;
use super::command::{Command, NotACommand};
use super::feed::Outlet;

/// The commands that wait to be carried out.
pub(super) type Inbox = Rc<RefCell<Pending>>;

/// See [`Inbox`].
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) commands: VecDeque<Asked>,
    /// How many commands there have been. Each has a number of its own, so that an answer which comes after its
    /// connection has gone is not taken for another's.
    asked: u64,
}

/// A command, with where its answer goes.
#[derive(Debug)]
pub(super) struct Asked {
    /// The connection of the control socket.
    pub(super) connection: usize,
    /// Under which number the handler waits for the answer.
    pub(super) id: JobId,
    pub(super) asker: Asker,
    pub(super) command: Command,
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    status: u16,
    content_type: &'static str,
    content: Content,
}

/// What an answer consists of.
#[derive(Clone, Debug)]
enum Content {
    Bytes(Bytes),
    /// What comes, until it ends or the reader goes.
    Stream(Outlet),
}

impl Response {
    /// A JSON document.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::document(200, value)
    }

    /// Prometheus' text form.
    pub(crate) fn prometheus(text: String) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            content: Content::Bytes(text.into()),
        }
    }

    /// An error: `{"error": "…"}`, with the HTTP status that fits it.
    pub(crate) fn error(status: u16, message: impl Into<String>) -> Self {
        Self::document(status, &json!({ "error": message.into() }))
    }

    /// A configuration that was not put in force: the problems, as they would stand on a terminal.
    pub(crate) fn refused_configuration(problems: &[String]) -> Self {
        let error = "the configuration is invalid; the old one stays in force";
        Self::document(422, &json!({ "error": error, "problems": problems }))
    }

    /// An answer that goes on.
    pub(crate) const fn stream(content_type: &'static str, outlet: Outlet) -> Self {
        Self { status: 200, content_type, content: Content::Stream(outlet) }
    }

    fn document(status: u16, value: &impl Serialize) -> Self {
        let content_type = "application/json";
        match serde_json::to_vec(value) {
            Ok(mut body) => {
                body.push(b'\n');
                Self { status, content_type, content: Content::Bytes(body.into()) }
            }
            Err(error) => {
                Self { status: 500, content_type: "text/plain", content: Content::Bytes(error.to_string().into()) }
            }
        }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let body = match response.content {
            Content::Bytes(bytes) => Body::Bytes(bytes),
            Content::Stream(outlet) => Body::Produced { length: None, producer: Box::new(outlet) },
        };
        Reply::new(response.status).field("Content-Type", response.content_type).body(body).into()
    }
}

/// The handler of one connection of the control socket.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) inbox: Inbox,
    pub(super) connection: usize,
    pub(super) asker: Asker,
    /// Whether the peer may change things: root and the daemon's own user.
    pub(super) may_change: bool,
}

impl Handler for Api {
    fn respond(&mut self, request: &Request<'_>, _cx: &mut Context<'_>) -> Answer {
        let command = match Command::parse(request.method, request.target) {
            Ok(command) => command,
            Err(NotACommand::NotFound) => return Response::error(404, "there is nothing at this path").into(),
            Err(NotACommand::BadQuery(message)) => return Response::error(400, message).into(),
            Err(NotACommand::MethodNotAllowed(allow)) => {
                return Reply::new(405).field("Allow", allow).into();
            }
        };
        if command.changes() && !self.may_change {
            return Response::error(403, "only root and the daemon's own user may do this").into();
        }
        let mut inbox = self.inbox.borrow_mut();
        let id = JobId(inbox.asked);
        inbox.asked += 1;
        inbox.commands.push_back(Asked { connection: self.connection, id, asker: self.asker, command });
        Answer::Later(id)
    }

    fn resume(&mut self, job: FinishedJob, _cx: &mut Context<'_>) -> Answer {
        match job.downcast::<Response>() {
            Some(response) => response.into(),
            None => Reply::text(500).into(),
        }
    }
}
