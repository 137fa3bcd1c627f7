//! What `top` knows: the rows, what was before, and what the user has chosen.
//!
//! Responsible for rates (what has come since the last look), for sorting and for filtering. Not for the terminal.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use serde_json::Value;

/// How many looks the small graphs go back.
const HISTORY: usize = 240;

/// What the keys mean now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Looking,
    /// A filter is being typed.
    Filtering,
    /// Is this connection really to be reset?
    Killing(u64),
    Help,
}

/// By what the rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Rate,
    RoundTrip,
    Retransmissions,
    Age,
    State,
    Remote,
}

impl Sort {
    /// The next one, in the order of the keys' help.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Rate => Self::RoundTrip,
            Self::RoundTrip => Self::Retransmissions,
            Self::Retransmissions => Self::Age,
            Self::Age => Self::State,
            Self::State => Self::Remote,
            Self::Remote => Self::Rate,
        }
    }

    /// Its name on the screen.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::RoundTrip => "rtt",
            Self::Retransmissions => "retransmissions",
            Self::Age => "age",
            Self::State => "state",
            Self::Remote => "remote",
        }
    }
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) service: String,
    pub(super) state: String,
    pub(super) remote: String,
    pub(super) local: String,
    pub(super) received: f64,
    pub(super) sent: f64,
    /// Octets a second, received and sent.
    pub(super) rate: (f64, f64),
    pub(super) rtt_us: Option<f64>,
    pub(super) retransmits: u64,
    pub(super) age_seconds: f64,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) sort: Sort,
    pub(super) ascending: bool,
    pub(super) filter: String,
    pub(super) message: Option<String>,
    pub(super) status: Value,
    /// Octets a second on the link, received and sent; the mean round-trip time in microseconds. The newest is last.
    pub(super) history: [VecDeque<u64>; 3],
    rows: Vec<Row>,
    chosen: usize,
    last: Option<(Instant, f64, f64)>,
}

impl State {
    /// The daemon has answered.
    pub(super) fn update(&mut self, status: &Value, connections: &Value, now: Instant) {
        let link = |field: &str| status["link"][field].as_f64().unwrap_or_default();
        let (received, sent) = (link("bytes_received"), link("bytes_sent"));
        let seconds =
            self.last.map(|(at, ..)| now.saturating_duration_since(at).as_secs_f64()).filter(|span| *span > 0.0);
        // Fewer than before: the stack was reset.
        let rate = |now: f64, before: f64| seconds.map_or(0.0, |seconds| (now - before).max(0.0) / seconds);
        let before: HashMap<_, _> = self.rows.iter().map(|row| (row.id, (row.received, row.sent))).collect();
        let rows = connections.as_array().into_iter().flatten().map(Row::from);
        self.rows = rows
            .map(|mut row| {
                let (received, sent) = before.get(&row.id).copied().unwrap_or_default();
                row.rate = (rate(row.received, received), rate(row.sent, sent));
                row
            })
            .collect();
        let measured: Vec<_> = self.rows.iter().filter_map(|row| row.rtt_us).collect();
        #[expect(clippy::cast_precision_loss, reason = "a mean of few")]
        let mean = measured.iter().sum::<f64>() / measured.len().max(1) as f64;
        let (_, link_received, link_sent) = self.last.unwrap_or((now, received, sent));
        for (history, value) in
            self.history.iter_mut().zip([rate(received, link_received), rate(sent, link_sent), mean])
        {
            if history.len() >= HISTORY {
                history.pop_front();
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for a graph")]
            history.push_back(value as u64);
        }
        self.last = Some((now, received, sent));
        self.status = status.clone();
    }

    /// The rows that the filter lets through, in order.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        let matches = |row: &&Row| {
            let fields = [&row.service, &row.state, &row.remote, &row.local];
            fields.iter().any(|field| field.to_lowercase().contains(&wanted)) || row.id.to_string() == wanted
        };
        let mut rows: Vec<_> = self.rows.iter().filter(matches).collect();
        rows.sort_by(|a, b| {
            let total = |row: &Row| row.rate.0 + row.rate.1;
            let order = match self.sort {
                Sort::Rate => total(b).total_cmp(&total(a)),
                Sort::RoundTrip => b.rtt_us.unwrap_or(-1.0).total_cmp(&a.rtt_us.unwrap_or(-1.0)),
                Sort::Retransmissions => b.retransmits.cmp(&a.retransmits),
                Sort::Age => b.age_seconds.total_cmp(&a.age_seconds),
                Sort::State => a.state.cmp(&b.state),
                Sort::Remote => a.remote.cmp(&b.remote),
            };
            let order = if self.ascending { order.reverse() } else { order };
            order.then(a.id.cmp(&b.id))
        });
        rows
    }

    /// Moves the choice by so many rows.
    pub(super) fn select(&mut self, by: isize) {
        self.chosen = self.chosen_index().saturating_add_signed(by);
        self.chosen = self.chosen_index();
    }

    /// The place of the chosen row among those shown.
    pub(super) fn chosen_index(&self) -> usize {
        self.chosen.min(self.shown().len().saturating_sub(1))
    }

    /// The chosen connection.
    pub(super) fn selected(&self) -> Option<u64> {
        self.shown().get(self.chosen_index()).map(|row| row.id)
    }
}

impl From<&Value> for Row {
    fn from(row: &Value) -> Self {
        let text = |field: &str| row[field].as_str().unwrap_or("-").to_owned();
        let number = |field: &str| row[field].as_f64().unwrap_or_default();
        Self {
            id: row["id"].as_u64().unwrap_or_default(),
            service: text("service"),
            state: text("state"),
            remote: text("remote"),
            local: text("local"),
            received: number("bytes_received"),
            sent: number("bytes_sent"),
            rate: (0.0, 0.0),
            rtt_us: row["rtt_us"].as_f64(),
            retransmits: row["retransmits"].as_u64().unwrap_or_default(),
            age_seconds: number("age_seconds"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn connection(id: u64, state: &str, sent: u64) -> Value {
        json!({"id": id, "service": "http", "state": state, "remote": format!("192.0.2.1:{}", 40_000 + id),
            "local": "192.0.2.2:80", "bytes_received": 0, "bytes_sent": sent, "rtt_us": 100 * id, "retransmits": 0,
            "age_seconds": 1.5})
    }

    /// Two looks, two seconds apart: connection 2 has sent 4096 octets in between, connection 1 none.
    pub(in crate::ctl::top) fn two_looks() -> State {
        let status = |sent: u64| json!({"hostname": "tapster", "link": {"bytes_received": 0, "bytes_sent": sent}});
        let (mut state, start) = (State::default(), Instant::now());
        let rows = |sent| json!([connection(1, "ESTABLISHED", 10), connection(2, "TIME-WAIT", sent)]);
        state.update(&status(0), &rows(0), start);
        state.update(&status(8192), &rows(4096), start + Duration::from_secs(2));
        state
    }

    fn ids(state: &State) -> Vec<u64> {
        state.shown().iter().map(|row| row.id).collect()
    }

    #[test]
    fn rates_are_what_came_since_the_last_look() {
        let state = two_looks();
        assert_eq!(state.shown()[0].rate, (0.0, 2048.0));
        assert_eq!(state.history[1], [0, 4096]);
        assert_eq!(state.history[2], [150, 150]);
    }

    #[test]
    fn rows_are_sorted_filtered_and_chosen() {
        let mut state = two_looks();
        assert_eq!(ids(&state), [2, 1]);
        state.ascending = true;
        assert_eq!(ids(&state), [1, 2]);
        state.select(5);
        assert_eq!(state.selected(), Some(2));
        state.select(-9);
        assert_eq!(state.selected(), Some(1));
        state.filter = "time-w".to_owned();
        assert_eq!(ids(&state), [2]);
        state.filter = "nothing".to_owned();
        assert_eq!((ids(&state), state.selected()), (vec![], None));
    }
}
