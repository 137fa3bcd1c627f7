//! The document: all layers laid over each other, and the place of every key.
//!
//! Responsible for handing out sections and for turning a key's path into file, line and column. The merging itself is
//! the `config` crate's: tables are merged, anything else is replaced by the later layer.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{Config, ConfigBuilder};
use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::embedded;
use crate::explanation::explain;
use crate::layer::{Found, Layer, Part};
use crate::path::{KeyPath, PathElement};
use crate::sources::Sources;
use crate::tree::{Failure, FailureKind, Outcome, Tree};

/// A configuration that has been read, but not yet been looked into.
#[derive(Debug)]
pub struct Document {
    /// Earlier ones first.
    layers: Vec<Layer>,
    tree: Tree,
    directory: Option<PathBuf>,
}

impl Document {
    /// Reads and merges all layers.
    ///
    /// # Errors
    /// Everything that cannot be read or is not TOML, of all layers.
    pub fn load(sources: &Sources) -> Result<Self, Vec<Diagnostic>> {
        let (layers, directory) = sources.read()?;
        Self::merge(layers, directory)
    }

    fn merge(layers: Vec<Layer>, directory: Option<PathBuf>) -> Result<Self, Vec<Diagnostic>> {
        let builder = layers
            .iter()
            .fold(ConfigBuilder::<DefaultState>::default(), |builder, layer| builder.add_source(layer.clone()));
        let config: Config = builder
            .build()
            .map_err(|error| vec![Diagnostic::new(main_origin(&layers), Severity::Error, error.to_string())])?;
        Ok(Self { layers, tree: config.cache.into(), directory })
    }

    /// The directory that relative paths start from: that of the configuration file. `None` for the embedded default,
    /// whose files ([`crate::embedded_files`]) stand where the caller writes them.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// What the document is made of, earlier layers first: files, variables, assignments.
    pub fn origins(&self) -> impl Iterator<Item = &Place> {
        self.layers.iter().map(Layer::origin)
    }

    /// The table at a path such as `services.dns`, if there is one.
    #[must_use]
    pub fn section(&self, path: &str) -> Option<Section<'_>> {
        let path = KeyPath::dotted(path);
        self.tree.get(path.elements())?.as_table()?;
        Some(Section { document: self, path })
    }

    /// The names of the tables in the table at a path, in alphabetical order.
    #[must_use]
    pub fn section_names(&self, path: &str) -> Vec<&str> {
        let table = self.tree.get(KeyPath::dotted(path).elements()).and_then(Tree::as_table);
        let tables = table.into_iter().flatten().filter(|(_, value)| value.as_table().is_some());
        tables.map(|(name, _)| name.as_str()).collect()
    }

    /// A diagnostic about the value at a path. A key that no layer sets is shown at the table that it would stand in.
    #[must_use]
    pub fn diagnose(
        &self,
        path: &KeyPath,
        severity: Severity,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        self.diagnose_part(path, Part::Value, severity, message.into()).with_help(help)
    }

    pub(crate) fn diagnose_part(&self, path: &KeyPath, part: Part, severity: Severity, message: String) -> Diagnostic {
        let mut existing = path.clone();
        loop {
            for layer in self.layers.iter().rev() {
                if let Found::Here(entry) = layer.find(existing.elements()) {
                    return entry.diagnostic(part, severity, message);
                }
            }
            match existing.parent() {
                Some(parent) => existing = parent,
                None => break,
            }
        }
        // Nothing of it is written anywhere: the document as a whole.
        Diagnostic::new(main_origin(&self.layers), severity, message)
    }

    /// Whether some layer sets the value at a path.
    pub(crate) fn sets(&self, path: &KeyPath) -> bool {
        self.tree.get(path.elements()).is_some()
    }

    /// Deserialises what is at a path as far as it can be.
    pub(crate) fn deserialize<T: DeserializeOwned>(&self, path: &KeyPath) -> Read<T> {
        let tree = self.tree.get(path.elements()).cloned().unwrap_or_else(Tree::empty);
        let Outcome { value, failures, removed } = tree.deserialize();
        let mut diagnostics: Vec<_> = failures.iter().map(|failure| self.explain(path, failure)).collect();
        diagnostics.sort();
        let only_unknown_keys = failures.iter().all(|failure| matches!(failure.kind, FailureKind::UnknownKey { .. }));
        Read { value, diagnostics, removed, only_unknown_keys }
    }

    fn explain(&self, section: &KeyPath, failure: &Failure) -> Diagnostic {
        let path = section.join(failure.path.iter().cloned());
        let part = if matches!(failure.kind, FailureKind::UnknownKey { .. }) { Part::Key } else { Part::Value };
        let is_table = self.tree.get(path.elements()).is_some_and(|value| value.as_table().is_some());
        let explanation = explain(&failure.kind, &path, is_table);
        self.diagnose_part(&path, part, Severity::Error, explanation.message).with_help(explanation.help)
    }
}

/// The name of the document as a whole: its first layer.
fn main_origin(layers: &[Layer]) -> Place {
    let unwritten = || Place::File { path: embedded::DOCUMENT_NAME.into(), position: None };
    layers.first().map_or_else(unwritten, |layer| layer.origin().clone())
}

/// What could be read of a section.
#[derive(Debug)]
pub(crate) struct Read<T> {
    /// What could be made of the parts that are right.
    pub(crate) value: Option<T>,
    /// What is wrong, sorted by place.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What was passed over because of it, relative to the section.
    pub(crate) removed: HashSet<KeyPath>,
    /// Whether all that is wrong are keys that nobody knows, so that the value is what the rest says.
    pub(crate) only_unknown_keys: bool,
}

/// A table of the document.
#[derive(Clone, Debug)]
pub struct Section<'d> {
    document: &'d Document,
    path: KeyPath,
}

impl Section<'_> {
    /// Turns the section into a module's own type, and tells all that is wrong with it, sorted by place.
    ///
    /// Beside keys that nobody knows the value is given too, so that the module can check the rest in the same go. It
    /// must not be run when there are diagnostics.
    #[must_use]
    pub fn deserialize<T: DeserializeOwned>(&self) -> (Option<T>, Vec<Diagnostic>) {
        let Read { value, diagnostics, only_unknown_keys, .. } = self.document.deserialize(&self.path);
        (value.filter(|_| only_unknown_keys), diagnostics)
    }

    /// A diagnostic about a value of this section, such as `["zones", 0, "file"]`.
    #[must_use]
    pub fn diagnose(
        &self,
        key: impl IntoIterator<Item = PathElement>,
        severity: Severity,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        self.document.diagnose(&self.path.join(key), severity, message, help)
    }
}

#[cfg(test)]
pub(crate) mod tests;
