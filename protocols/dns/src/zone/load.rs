//! From a zone of the configuration to a [`Zone`].
//!
//! Responsible for opening files, and for turning findings into problems with a file, line and column.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tapster_service::{PathElement, Preparation, Problem, Source};

use super::master_file::{Files, Reader, Text};
use super::{Finding, Zone, check};
use crate::configuration::ZoneConfiguration;
use crate::name::Name;

/// Loads the zone at `zones[index]` of the configuration, and reports all that is wrong with it. `maximum_size` is
/// the largest size of each of its files, in bytes.
pub(crate) fn load(
    configuration: &ZoneConfiguration,
    index: usize,
    maximum_size: u64,
    preparation: &mut Preparation<'_>,
) -> Option<Zone> {
    let key = |last: &str| [PathElement::from("zones"), index.into(), last.into()];
    let apex = match Name::from_text(configuration.name.as_bytes(), &Name::root()) {
        Ok(apex) => apex,
        Err(error) => {
            let message = format!("{:?} is not a zone's name: {error}", configuration.name);
            preparation.report(Problem::error(key("name"), message));
            return None;
        }
    };
    let mut files = Directory { root: preparation.directory, maximum_size };
    let path = configuration.file.as_ref().map(|file| preparation.resolve(file));
    let mut reader = Reader::new(apex.clone(), &mut files);
    if let Some(path) = path {
        match read(&path, maximum_size) {
            Ok(text) => reader.read(Text::File(path), &text),
            Err(message) => {
                preparation.report(Problem::error(key("file"), message));
                return None;
            }
        }
    }
    for (place, record) in configuration.records.iter().enumerate() {
        reader.read(Text::Configuration(place), record.as_bytes());
    }
    let Reader { texts, records, mut findings, .. } = reader;
    let zone = Zone::build(&apex, &records);
    // Records that could not be read would be missed everywhere else.
    if findings.is_empty() {
        findings = check::check(&apex, &records, zone.as_ref());
    }
    let failed = findings.iter().any(|finding| !finding.warning);
    for finding in findings {
        preparation.report(problem(&finding, &texts, index));
    }
    zone.filter(|_| !failed)
}

fn problem(finding: &Finding, texts: &[Text], index: usize) -> Problem {
    let place = finding.place.and_then(|place| Some((texts.get(place.text)?, place.position)));
    let mut key = vec![PathElement::from("zones"), index.into()];
    let problem = match place {
        Some((Text::File(file), position)) => {
            key.push("file".into());
            let source = Source { file: file.clone(), line: position.line, column: position.column };
            Problem::error(key, finding.message.clone()).at(source)
        }
        Some((Text::Configuration(record), position)) => {
            key.extend([PathElement::from("records"), (*record).into()]);
            Problem::error(key, format!("{} (column {} of the record)", finding.message, position.column))
        }
        None => Problem::error(key, finding.message.clone()),
    };
    if finding.warning { problem.as_warning() } else { problem }
}

/// Reads a file of at most `maximum_size` bytes.
fn read(path: &Path, maximum_size: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // A pipe or a device could block, or never end.
    if !metadata.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let mut text = Vec::new();
    file.take(maximum_size.saturating_add(1)).read_to_end(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > maximum_size {
        return Err(format!("{} is larger than {maximum_size} bytes (limits.zone_file_size)", path.display()));
    }
    Ok(text)
}

/// The configuration's directory: `$INCLUDE` cannot leave it.
struct Directory<'d> {
    root: &'d Path,
    maximum_size: u64,
}

impl Files for Directory<'_> {
    /// `name` is relative to the file that includes it.
    fn read(&mut self, from: Option<&PathBuf>, name: &str) -> Result<(PathBuf, Vec<u8>), String> {
        let base = from.and_then(|file| file.parent()).unwrap_or(self.root);
        let path = base.join(name);
        let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        let root = self.root.canonicalize().map_err(failed)?;
        let real = path.canonicalize().map_err(failed)?;
        if !real.starts_with(&root) {
            return Err(format!("{} is outside of the configuration's directory", path.display()));
        }
        Ok((path, read(&real, self.maximum_size)?))
    }
}
