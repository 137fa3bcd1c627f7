//! Ending sessions from outside: for a shutdown, and for a reset of the stack.
//!
//! Responsible for which sessions may finish and which are told that they are over. What a session closes itself is
//! [`super`]'s.

use tapster_service::ByteStream;
use tapster_stack::{FrameSink, Payload};

use super::stream::Connection;
use super::{Owner, Services, SessionEntry, Turn};

impl Services {
    /// Closes the sessions that have nothing under way: they wait for a request, and nothing is on its way to the peer.
    /// For a shutdown that lets the others finish.
    pub(crate) fn close_idle_sessions<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>) {
        let idle = |entry: &&SessionEntry| entry.waits_for_input;
        let waiting: Vec<_> = self.sessions.iter().flatten().filter(idle).map(|entry| entry.connection).collect();
        for connection in waiting {
            let Some(stream) = turn.host.stream(turn.now, connection, Payload::EMPTY) else { continue };
            let mut stream = Connection(stream);
            if stream.unacknowledged() == 0 && stream.input().is_empty() {
                stream.0.close();
                self.remove_session(connection);
            }
        }
    }

    /// Ends all sessions and resets all connections, for a host that is about to go. Nothing that a session began is left:
    /// its jobs, deadlines and connections not yet opened are forgotten, since the next host names its connections anew.
    pub(crate) fn end_sessions<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>) {
        self.abort_sessions(turn);
        let connections: Vec<_> = turn.host.connections().map(|row| row.id).collect();
        for connection in connections {
            self.kill(turn, connection);
        }
        // What a session began while it was told of its end.
        for entry in self.sessions.iter_mut().filter_map(Option::take) {
            self.modules[entry.module].sessions -= 1;
            self.session_count -= 1;
        }
        let is_session = |owner: &Owner| matches!(owner, Owner::Session(_));
        self.surroundings.forget(is_session);
        self.deadlines.forget(is_session);
    }

    /// Resets all that is left.
    pub(crate) fn abort_sessions<D: FrameSink>(&mut self, turn: &mut Turn<'_, D>) {
        let left: Vec<_> = self.sessions.iter().flatten().map(|entry| entry.connection).collect();
        for connection in left {
            self.kill(turn, connection);
        }
    }
}
