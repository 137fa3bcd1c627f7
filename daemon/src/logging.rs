//! The log: to the journal when systemd started us, else to standard error.
//!
//! Responsible for setting up `tracing` as the configuration says, and for changing its level while tapster runs. Colour
//! is used on a terminal only, and not when NO_COLOR is set.

use std::env;
use std::io::{self, IsTerminal};

use tapster_config::{Log, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged from now on.
#[derive(Debug)]
pub(crate) struct Level {
    level: LogLevel,
    filter: reload::Handle<LevelFilter, Registry>,
}

impl Level {
    /// The least important messages that are logged.
    pub(crate) const fn get(&self) -> LogLevel {
        self.level
    }

    /// Changes it.
    pub(crate) fn set(&mut self, level: LogLevel) {
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::warn!(%error, "the log's level cannot be changed");
            return;
        }
        self.level = level;
    }
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Sets the log up for the rest of the process.
pub(crate) fn set_up(log: Log) -> Level {
    let (level, handle) = reload::Layer::new(filter(log.level));
    let journal = match log.format {
        LogFormat::Journal => true,
        // systemd sets it to the journal's stream when standard error goes there (systemd.exec(5)).
        LogFormat::Auto => env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal(),
        LogFormat::Text | LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(level);
    let set = match (journal.then(tracing_journald::layer), log.format) {
        (Some(Ok(journal)), _) => registry.with(journal).try_init(),
        (_, LogFormat::Json) => {
            registry.with(tracing_subscriber::fmt::layer().json().with_writer(io::stderr)).try_init()
        }
        _ => {
            let color = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let text = tracing_subscriber::fmt::layer().with_target(false).with_ansi(color).with_writer(io::stderr);
            registry.with(text).try_init()
        }
    };
    if set.is_err() {
        tracing::debug!("the log is set up already");
    }
    Level { level: log.level, filter: handle }
}
