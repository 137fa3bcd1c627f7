//! Putting a new configuration in force.
//!
//! Responsible for what is known about the configuration in force and for deciding whether a new one may replace it: all
//! of it or nothing. What cannot change while tapster runs says so. Not for what runs: the event loop installs it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tapster_config::{Diagnostic, Frame};
use tapster_service::{FinishedJob, Job};

use crate::control::Response;
use crate::modules::Modules;
use crate::settings::{Origin, Settings};

/// What a worker makes of the configuration.
type Loaded = Result<Settings, Vec<Diagnostic>>;

/// The configuration in force, and the way to another.
pub(crate) struct Reloader {
    origin: Origin,
    modules: Arc<Mutex<Modules>>,
    frame: Frame,
    generation: u64,
    last_successful: bool,
    warnings: Vec<String>,
}

impl Reloader {
    /// The first configuration is in force.
    pub(crate) fn new(origin: Origin, modules: Modules, frame: Frame) -> Self {
        Self {
            origin,
            modules: Arc::new(Mutex::new(modules)),
            frame,
            generation: 1,
            last_successful: true,
            warnings: Vec::new(),
        }
    }

    /// The frame of the configuration in force.
    pub(crate) const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often a configuration has been put in force.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the last attempt succeeded.
    pub(crate) const fn last_successful(&self) -> bool {
        self.last_successful
    }

    /// A job that reads the configuration.
    pub(crate) fn job(&self) -> Job {
        let (origin, modules) = (self.origin.clone(), Arc::clone(&self.modules));
        Job::new(move || -> Loaded {
            Settings::load(&origin, &mut modules.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Takes a configuration that a job has read, if it may be put in force.
    ///
    /// # Errors
    /// All that forbids it.
    pub(crate) fn accept(&mut self, finished: FinishedJob) -> Result<Settings, Vec<String>> {
        let loaded =
            finished.downcast::<Loaded>().ok_or_else(|| vec!["reading the configuration failed".to_owned()])?;
        let settings = loaded.map_err(|diagnostics| diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let fixed = self.fixed_changes(&settings.frame);
        if !fixed.is_empty() {
            return Err(fixed);
        }
        self.warnings = settings.warnings.iter().map(ToString::to_string).collect();
        Ok(settings)
    }

    /// The sections that differ and cannot change while tapster runs.
    fn fixed_changes(&self, new: &Frame) -> Vec<String> {
        let old = &self.frame;
        let sections = [
            ("[link]", old.link != new.link),
            ("[network]", old.network != new.network),
            ("[control]", old.control != new.control),
            ("[tcp]", old.tcp != new.tcp),
            ("[arp]", old.arp != new.arp),
            ("log.format", old.log.format != new.log.format),
            ("[event_loop]", old.event_loop != new.event_loop),
        ];
        let changed = sections.iter().filter(|(_, changed)| *changed);
        changed.map(|(name, _)| format!("{name} cannot change while tapster runs: restart it")).collect()
    }

    /// A configuration is in force: its frame is the one to compare the next one with.
    pub(crate) fn set_frame(&mut self, frame: Frame) {
        self.frame = frame;
    }

    /// Notes what came of it, and says so in the log and to whoever asked.
    pub(crate) fn conclude(&mut self, accepted: Result<(), Vec<String>>) -> Response {
        self.last_successful = accepted.is_ok();
        match accepted {
            Ok(()) => {
                self.generation += 1;
                for warning in &self.warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(generation = self.generation, "configuration reloaded");
                Response::json(&json!({ "generation": self.generation, "warnings": self.warnings }))
            }
            Err(problems) => {
                for problem in &problems {
                    tracing::error!("{problem}");
                }
                tracing::error!("configuration not reloaded: the old one stays in force");
                Response::refused_configuration(&problems)
            }
        }
    }
}
