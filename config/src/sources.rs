//! Where a configuration comes from.
//!
//! Responsible for finding and reading the layers, later ones winning: the embedded default when there is no file, the
//! file, `conf.d/*.toml` beside it, the environment, `--set`. Not for what they say.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::embedded;
use crate::layer::{Layer, is_word};

/// The file that is read when none is given and it exists.
pub const SYSTEM_FILE: &str = "/etc/tapster/tapster.toml";

/// What the names of tapster's variables begin with.
const VARIABLE_PREFIX: &str = "TAPSTER__";

/// The most that is read of one file, in bytes.
const MAXIMUM_FILE_SIZE: u64 = 16 << 20;

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file of `--config`.
    pub file: Option<PathBuf>,
    /// The file that is read when none is given and it exists; [`SYSTEM_FILE`], other ones are for tests.
    pub system_file: PathBuf,
    /// The environment. `TAPSTER__LINK__MTU=9000` sets `link.mtu`; other variables are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// The assignments of `--set`: `link.mtu=9000`.
    pub assignments: Vec<String>,
}

impl Default for Sources {
    /// Nothing but the system's file or the embedded default.
    fn default() -> Self {
        Self { file: None, system_file: SYSTEM_FILE.into(), environment: Vec::new(), assignments: Vec::new() }
    }
}

impl Sources {
    /// The sources of this process: what the command line gives, and the environment.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, assignments: Vec<String>) -> Self {
        Self { file, assignments, environment: std::env::vars_os().collect(), ..Self::default() }
    }

    /// Reads all layers, in order, and the directory that relative paths start from. All that cannot be read or
    /// parsed is reported.
    pub(crate) fn read(&self) -> Result<(Vec<Layer>, Option<PathBuf>), Vec<Diagnostic>> {
        let mut reader = Reader::default();
        let mut directory = None;
        match self.main_file() {
            Some(file) => {
                reader.file(file);
                let beside = match file.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                reader.directory(&beside.join("conf.d"));
                directory = Some(beside.to_owned());
            }
            None => reader.add(Layer::file(Path::new(embedded::DOCUMENT_NAME), embedded::DOCUMENT)),
        }
        reader.environment(&self.environment);
        for assignment in &self.assignments {
            reader.assignment(assignment);
        }
        if reader.diagnostics.is_empty() { Ok((reader.layers, directory)) } else { Err(reader.diagnostics) }
    }

    fn main_file(&self) -> Option<&Path> {
        // A file that cannot be looked at (permissions) counts as existing, so that the reason is reported.
        let exists = |file: &Path| file.try_exists().unwrap_or(true);
        match &self.file {
            Some(file) => Some(file),
            None => Some(self.system_file.as_path()).filter(|file| exists(file)),
        }
    }
}

/// Collects layers and what is wrong with them.
#[derive(Default)]
struct Reader {
    layers: Vec<Layer>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn add(&mut self, layer: Result<Layer, Vec<Diagnostic>>) {
        match layer {
            Ok(layer) => self.layers.push(layer),
            Err(diagnostics) => self.diagnostics.extend(diagnostics),
        }
    }

    fn error(&mut self, place: Place, message: impl Into<String>, help: Option<&str>) {
        self.diagnostics.push(Diagnostic::new(place, Severity::Error, message).with_help(help));
    }

    fn file(&mut self, path: &Path) {
        let place = Place::File { path: path.to_owned(), position: None };
        let content = match read_file(path) {
            Ok(content) => content,
            Err(error) => return self.error(place, format!("cannot be read: {error}"), None),
        };
        match std::str::from_utf8(&content) {
            Ok(text) => self.add(Layer::file(path, text)),
            Err(error) => {
                let before = String::from_utf8_lossy(&content[..error.valid_up_to()]);
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|&character| character != '\n').count() + 1;
                let message = "this is not UTF-8 text";
                self.diagnostics.push(Diagnostic::in_file(path, line, column, Severity::Error, message).quoting_file());
            }
        }
    }

    /// The files `*.toml` of a directory, in the order of their names.
    fn directory(&mut self, directory: &Path) {
        let files = std::fs::read_dir(directory).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, io::Error>>()
        });
        match files {
            Ok(mut files) => {
                files.retain(|file| {
                    // As a shell's `*.toml`: what begins with a dot is an editor's.
                    let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
                    file.extension() == Some(OsStr::new("toml")) && !hidden
                });
                files.sort();
                for file in &files {
                    self.file(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let place = Place::File { path: directory.to_owned(), position: None };
                self.error(place, format!("cannot be read: {error}"), None);
            }
        }
    }

    fn environment(&mut self, variables: &[(OsString, OsString)]) {
        let mut variables: Vec<_> = variables
            .iter()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(VARIABLE_PREFIX.as_bytes()))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let origin = Place::Environment(name.to_string_lossy().into_owned());
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
                self.error(origin, "this is not UTF-8 text", None);
                continue;
            };
            let keys: Vec<String> = name[VARIABLE_PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
            if keys.iter().all(|key| is_word(key)) {
                self.add(Layer::assignment(origin, name, &keys, value));
            } else {
                let help = "write it as TAPSTER__LINK__MTU, with two underscores between the words";
                self.error(origin, "the name of the variable names no key", Some(help));
            }
        }
    }

    fn assignment(&mut self, assignment: &str) {
        let help = Some("write it as link.mtu=9000");
        let Some((name, value)) = assignment.split_once('=') else {
            let place = Place::Assignment(assignment.to_owned());
            return self.error(place, "there is no `=` between key and value", help);
        };
        let name = name.trim();
        let origin = Place::Assignment(name.to_owned());
        let keys: Vec<String> = name.split('.').map(|key| key.trim().to_owned()).collect();
        if keys.iter().all(|key| is_word(key)) {
            self.add(Layer::assignment(origin, name, &keys, value.trim()));
        } else {
            self.error(origin, "what stands before `=` names no key", help);
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = File::open(path)?;
    file.take(MAXIMUM_FILE_SIZE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAXIMUM_FILE_SIZE {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAXIMUM_FILE_SIZE >> 20)));
    }
    Ok(content)
}
