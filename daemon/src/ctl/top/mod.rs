//! `tapster ctl top`: the link and the connections, live.
//!
//! Responsible for the terminal: asking the daemon once a second, keys, and putting the terminal back as it was. What is
//! known is in [`state`], how it looks in [`view`].

mod state;
mod view;

use std::env;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use serde_json::{Value, json};

use self::state::{Mode, State};
use super::client::{self, ClientError};
use super::{failed, refused};
use crate::command_line::exit_code;

/// How often the daemon is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows it until the user has seen enough. With `json`, one document a second on a line of its own.
pub(super) fn run(socket: &Path, json: bool) -> ExitCode {
    if json {
        return lines(socket);
    }
    if !io::stdout().is_terminal() {
        eprintln!("tapster: `top` needs a terminal; `top --json` does not");
        return ExitCode::from(exit_code::USAGE);
    }
    // Before the terminal changes, so that a daemon which is not there is told in the usual way.
    let first = match ask(socket) {
        Ok(documents) => documents,
        Err(code) => return code,
    };
    let color = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut state = State::default();
    state.update(&first.0, &first.1, Instant::now());
    let mut terminal = ratatui::init();
    let outcome = watch(&mut terminal, socket, &mut state, color);
    ratatui::restore();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tapster: the terminal failed: {error}");
            ExitCode::from(exit_code::REFUSED)
        }
    }
}

/// The status and the connections.
fn ask(socket: &Path) -> Result<(Value, Value), ExitCode> {
    let document = |target| match client::ask(socket, "GET", target) {
        Ok(reply) if reply.status < 400 => {
            serde_json::from_slice(&reply.body).map_err(|_| failed(&ClientError::NotHttp))
        }
        Ok(reply) => Err(refused(&reply)),
        Err(error) => Err(failed(&error)),
    };
    Ok((document("/v1/status")?, document("/v1/connections")?))
}

fn lines(socket: &Path) -> ExitCode {
    use io::Write;
    loop {
        let (status, connections) = match ask(socket) {
            Ok(documents) => documents,
            Err(code) => return code,
        };
        let line = json!({ "status": status, "connections": connections });
        if writeln!(io::stdout(), "{line}").is_err() {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(INTERVAL);
    }
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    socket: &Path,
    state: &mut State,
    color: bool,
) -> io::Result<ExitCode> {
    let mut next = Instant::now() + INTERVAL;
    loop {
        terminal.draw(|frame| view::draw(frame, state, color))?;
        if event::poll(next.saturating_duration_since(Instant::now()))? {
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
            {
                let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
                if interrupt || !press(state, key.code, socket) {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            continue;
        }
        next = Instant::now() + INTERVAL;
        let document =
            |target| client::ask(socket, "GET", target).ok().and_then(|r| serde_json::from_slice(&r.body).ok());
        match (document("/v1/status"), document("/v1/connections")) {
            (Some(status), Some(connections)) => state.update(&status, &connections, Instant::now()),
            _ => state.message = Some("the daemon does not answer".to_owned()),
        }
    }
}

/// Does what a key means. False when it means the end.
fn press(state: &mut State, key: KeyCode, socket: &Path) -> bool {
    state.message = None;
    match (state.mode, key) {
        (Mode::Filtering, KeyCode::Enter) => state.mode = Mode::Looking,
        (Mode::Filtering, KeyCode::Esc) => {
            state.filter.clear();
            state.mode = Mode::Looking;
        }
        (Mode::Filtering, KeyCode::Backspace) => drop(state.filter.pop()),
        (Mode::Filtering, KeyCode::Char(character)) => state.filter.push(character),
        (Mode::Killing(id), KeyCode::Char('y')) => {
            state.mode = Mode::Looking;
            state.message = Some(kill(socket, id));
        }
        (Mode::Killing(_) | Mode::Help, _) => state.mode = Mode::Looking,
        (Mode::Looking, KeyCode::Char('q') | KeyCode::Esc) => return false,
        (Mode::Looking, KeyCode::Char('h' | '?')) => state.mode = Mode::Help,
        (Mode::Looking, KeyCode::Char('/')) => state.mode = Mode::Filtering,
        (Mode::Looking, KeyCode::Char('s')) => state.sort = state.sort.next(),
        (Mode::Looking, KeyCode::Char('r')) => state.ascending = !state.ascending,
        (Mode::Looking, KeyCode::Down | KeyCode::Char('j')) => state.select(1),
        (Mode::Looking, KeyCode::Up | KeyCode::Char('k')) => state.select(-1),
        (Mode::Looking, KeyCode::Char('x')) => {
            if let Some(id) = state.selected() {
                state.mode = Mode::Killing(id);
            }
        }
        _ => {}
    }
    true
}

fn kill(socket: &Path, id: u64) -> String {
    match client::ask(socket, "DELETE", &format!("/v1/connections/{id}")) {
        Ok(reply) if reply.status < 400 => format!("connection {id} was reset"),
        Ok(reply) if reply.status == 403 => "only root and the daemon's own user may do this".to_owned(),
        Ok(_) => format!("there is no connection {id} any more"),
        Err(error) => error.to_string(),
    }
}
