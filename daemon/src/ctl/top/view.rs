//! How `top` looks.
//!
//! Responsible for the screen: three small graphs, the table, and one line for the keys. It draws what it is given, at
//! any size.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Sparkline, Table, TableState};

use super::state::{Mode, Row, State};
use crate::ctl::table::{microseconds, octets};

const KEYS: &str = "q quit  s sort  r reverse  / filter  up/down choose  x reset  h help";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, color: bool) {
    let areas =
        Layout::vertical([Constraint::Length(1), Constraint::Length(4), Constraint::Min(3), Constraint::Length(1)]);
    let [title, graphs, table, foot] = areas.areas(frame.area());
    frame.render_widget(Line::from(heading(state)).style(Style::new().add_modifier(Modifier::BOLD)), title);
    draw_graphs(frame, graphs, state, color);
    if state.mode == Mode::Help {
        let help = "q, Esc   quit\ns        sort by the next of rate, rtt, retransmissions, age, state, remote\n\
                    r        reverse the order\n/        show only rows with this text; Enter keeps it, Esc ends it\n\
                    up/down  choose a connection\nx        reset the chosen connection, after a question\n\nany key goes back";
        frame.render_widget(Paragraph::new(help).block(Block::bordered().title(" keys ")), table);
    } else {
        draw_table(frame, table, state, color);
    }
    frame.render_widget(Line::from(footing(state)), foot);
}

fn heading(state: &State) -> String {
    let status = &state.status;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let bad = if status["impaired"] == true { "  LINK IMPAIRED" } else { "" };
    format!(
        "{} on {}  {} shown, by {}{}",
        text(&status["hostname"]),
        text(&status["link"]["name"]),
        state.shown().len(),
        state.sort.name(),
        bad
    )
}

fn footing(state: &State) -> String {
    match state.mode {
        Mode::Filtering => format!("show only: {}_", state.filter),
        Mode::Killing(id) => format!("reset connection {id}? y is yes, any other key no"),
        Mode::Looking | Mode::Help => match &state.message {
            Some(message) => message.clone(),
            None if state.filter.is_empty() => KEYS.to_owned(),
            None => format!("only \"{}\"  {KEYS}", state.filter),
        },
    }
}

fn draw_graphs(frame: &mut Frame<'_>, area: Rect, state: &State, color: bool) {
    let thirds = Layout::horizontal([Constraint::Fill(1); 3]).areas::<3>(area);
    let titles = ["received", "sent", "mean rtt"];
    let colors = [Color::Cyan, Color::Green, Color::Yellow];
    for (place, ((history, title), shade)) in thirds.iter().zip(state.history.iter().zip(titles).zip(colors)) {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let newest = history.back().copied().unwrap_or_default() as f64;
        let figure = if title == "mean rtt" { microseconds(newest) } else { format!("{}/s", octets(newest)) };
        // The newest that fit.
        let width = usize::from(place.width.saturating_sub(2));
        let data = history.iter().skip(history.len().saturating_sub(width)).copied().collect::<Vec<_>>();
        let graph = Sparkline::default().data(data).style(if color { Style::new().fg(shade) } else { Style::new() });
        frame.render_widget(graph.block(Block::bordered().title(format!(" {title} {figure} "))), *place);
    }
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, state: &State, color: bool) {
    let heading = ["ID", "SERVICE", "STATE", "REMOTE", "LOCAL", "IN/s", "OUT/s", "RTT", "RETR", "AGE"];
    let widths = [
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(12),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(4),
        Constraint::Length(7),
    ];
    // Where there is little room, what is known anyway goes first.
    let kept = |column: usize| match column {
        0 | 4 | 9 => area.width >= 100,
        _ => true,
    };
    let keep = |cells: [String; 10]| {
        let kept = cells.into_iter().enumerate().filter(|(column, _)| kept(*column));
        kept.map(|(_, text)| Cell::from(text)).collect::<Vec<_>>()
    };
    let shown = state.shown();
    let rows = shown.iter().map(|row| TableRow::new(keep(cells(row))).style(style(&row.state, color)));
    let widths = widths.into_iter().enumerate().filter(|(column, _)| kept(*column)).map(|(_, width)| width);
    let table = Table::new(rows, widths)
        .header(TableRow::new(keep(heading.map(str::to_owned))).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let chosen = (!shown.is_empty()).then(|| state.chosen_index());
    frame.render_stateful_widget(table, area, &mut TableState::default().with_selected(chosen));
}

fn cells(row: &Row) -> [String; 10] {
    [
        row.id.to_string(),
        row.service.clone(),
        row.state.clone(),
        row.remote.clone(),
        row.local.clone(),
        octets(row.rate.0.round()),
        octets(row.rate.1.round()),
        row.rtt_us.map_or_else(|| "-".to_owned(), microseconds),
        row.retransmits.to_string(),
        format!("{:.0} s", row.age_seconds),
    ]
}

/// A state's colour: what opens, what runs, what closes, what only waits.
fn style(state: &str, color: bool) -> Style {
    if !color {
        return Style::new();
    }
    Style::new().fg(match state {
        "ESTABLISHED" => Color::Green,
        "SYN-SENT" | "SYN-RECEIVED" => Color::Yellow,
        "TIME-WAIT" => Color::DarkGray,
        _ => Color::Magenta,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::state::tests::two_looks;
    use super::*;

    fn screen(state: &State, width: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, 12)).unwrap();
        terminal.draw(|frame| draw(frame, state, false)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn narrow_and_wide_screens_show_the_rows() {
        let state = two_looks();
        let narrow = screen(&state, 80);
        assert!(
            narrow.contains("TIME-WAIT") && narrow.contains("192.0.2.1:40002") && narrow.contains("2 KiB"),
            "{narrow}"
        );
        assert!(!narrow.contains("LOCAL"), "{narrow}");
        let wide = screen(&state, 200);
        assert!(wide.contains("LOCAL") && wide.contains("192.0.2.2:80") && wide.contains("sent 4 KiB/s"), "{wide}");
    }

    #[test]
    fn any_size_is_drawn() {
        let mut state = two_looks();
        for mode in [Mode::Looking, Mode::Filtering, Mode::Killing(1), Mode::Help] {
            state.mode = mode;
            for width in [1, 7, 40] {
                let _ = screen(&state, width);
            }
        }
    }
}
