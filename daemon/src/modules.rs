//! The modules that a daemon has, in the order in which they were added.
//!
//! Responsible for treating modules of different types alike: reading each one's section, preparing its service, and
//! turning the problems that it reports into diagnostics with places. The list itself is made by
//! [`Builder::module`](crate::Builder::module).

use std::net::IpAddr;
use std::path::Path;

use prometheus::Registry;
use tapster_config::{Diagnostic, Document, Section};
use tapster_service::{Module, PathElement, Port, Preparation, Problem, Severity};

use crate::services::NamedService;

/// The modules of a daemon.
#[derive(Default)]
pub(crate) struct Modules {
    modules: Vec<Box<dyn AnyModule>>,
    registry: Registry,
}

impl Modules {
    /// Adds a module. A second one of the same name replaces the first.
    pub(crate) fn add<M: Module>(&mut self, module: M) {
        self.modules.retain(|other| other.name() != module.name());
        self.modules.push(Box::new(Registered { module, metrics: None }));
    }

    /// Where the modules' metrics are.
    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The names of all modules.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.modules.iter().map(|module| module.name()).collect()
    }

    /// A module's default ports.
    pub(crate) fn ports(&self, name: &str) -> &'static [Port] {
        self.modules.iter().find(|module| module.name() == name).map_or(&[], |module| module.ports())
    }

    /// Prepares a service for each section `[services.NAME]`. Everything that is wrong is put into `diagnostics`.
    pub(crate) fn prepare(
        &mut self,
        document: &Document,
        surroundings: &Surroundings<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<NamedService> {
        let mut services = Vec::new();
        for module in &mut self.modules {
            let Some(section) = document.section(&format!("services.{}", module.name())) else { continue };
            services.extend(module.prepare(&section, surroundings, &self.registry, diagnostics));
        }
        services
    }
}

impl std::fmt::Debug for Modules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What every module's preparation is told.
pub(crate) struct Surroundings<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) hostname: &'a str,
}

/// A module of any type.
trait AnyModule: Send {
    fn name(&self) -> &'static str;
    fn ports(&self) -> &'static [Port];
    fn prepare(
        &mut self,
        section: &Section<'_>,
        surroundings: &Surroundings<'_>,
        registry: &Registry,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<NamedService>;
}

/// A module with its metrics, once it has any.
struct Registered<M: Module> {
    module: M,
    metrics: Option<M::Metrics>,
}

impl<M: Module> AnyModule for Registered<M> {
    fn name(&self) -> &'static str {
        self.module.name()
    }

    fn ports(&self) -> &'static [Port] {
        self.module.ports()
    }

    fn prepare(
        &mut self,
        section: &Section<'_>,
        surroundings: &Surroundings<'_>,
        registry: &Registry,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<NamedService> {
        let (configuration, errors) = section.deserialize::<M::Configuration>();
        diagnostics.extend(errors);
        let configuration = configuration?;
        if self.metrics.is_none() {
            match self.module.metrics(registry) {
                Ok(metrics) => self.metrics = Some(metrics),
                Err(error) => {
                    let message = format!("the metrics of {} cannot be made: {error}", self.module.name());
                    diagnostics.push(section.diagnose([], tapster_config::Severity::Error, message, None));
                }
            }
        }
        let mut preparation = Preparation::new(surroundings.directory, surroundings.addresses, surroundings.hostname);
        let service = self.module.prepare(configuration, self.metrics.as_ref()?, &mut preparation);
        diagnostics.extend(preparation.into_problems().into_iter().map(|problem| diagnose(section, problem)));
        Some(NamedService { module: self.module.name(), service: service? })
    }
}

/// A module's problem, with its place.
fn diagnose(section: &Section<'_>, problem: Problem) -> Diagnostic {
    let severity = match problem.severity {
        Severity::Error => tapster_config::Severity::Error,
        Severity::Warning => tapster_config::Severity::Warning,
    };
    if let Some(source) = problem.source {
        return Diagnostic::in_file(source.file, source.line, source.column, severity, problem.message)
            .with_help(problem.help)
            .quoting_file();
    }
    let key: Vec<_> = problem
        .key
        .into_iter()
        .map(|element| match element {
            PathElement::Key(key) => tapster_config::PathElement::Key(key),
            PathElement::Index(index) => tapster_config::PathElement::Index(index),
        })
        .collect();
    section.diagnose(key, severity, problem.message, problem.help)
}
