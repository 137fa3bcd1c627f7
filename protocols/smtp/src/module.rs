//! The module `smtp`: from its configuration to listeners.
//!
//! Responsible for checking the section, all of it at once, and for building what the sessions share.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rustix::fs::Access;
use tapster_service::configuration::endpoints;
use tapster_service::{
    Context, Module, PathElement, Peer, Port, Preparation, Problem, Service, Session, StreamBinding, StreamService,
    Transport,
};

use crate::address::is_domain;
use crate::configuration::{Configuration, LimitsConfiguration};
use crate::delivery::{Maildir, Queue};
use crate::dialogue::Protocol;
use crate::mailboxes::{Mailboxes, directory_name};
use crate::memory::Budget;
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::rules::{Rate, Rule, Stage, Verdict, reply};
use crate::server::{Limits, Server};

const STANDARD_PORT: u16 = 25;
/// RFC 2033 §5 forbids port 25; 24 is "any private mail system".
const LMTP_PORT: u16 = 24;
const DAY: Duration = Duration::from_secs(86_400);

/// Receives mail over SMTP and puts it into Maildirs.
#[derive(Clone, Copy, Debug)]
pub struct Smtp;

impl Module for Smtp {
    type Configuration = Configuration;
    type Metrics = Metrics;

    fn name(&self) -> &'static str {
        "smtp"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port { transport: Transport::Tcp, number: STANDARD_PORT }]
    }

    fn metrics(&self, registry: &Registry) -> Result<Metrics, prometheus::Error> {
        Metrics::new(registry)
    }

    fn prepare(
        &self,
        configuration: Configuration,
        metrics: &Metrics,
        preparation: &mut Preparation<'_>,
    ) -> Option<Service> {
        let limits = &configuration.limits;
        check_limits(&configuration, preparation);
        let mailboxes = prepare_mailboxes(&configuration, preparation);
        let root = preparation.resolve(&configuration.maildir);
        check_maildir(&root, preparation);
        let rules = prepare_rules(&configuration, preparation);
        if preparation.failed() {
            return None;
        }
        let existing = count_mailboxes(&root);
        let maildir = Maildir::new(root, existing, limits.mailboxes, limits.hops);
        let budget = usize::try_from(limits.memory.as_u64()).unwrap_or(usize::MAX);
        let summary = summary(&configuration, &mailboxes);
        let server = Arc::new(Server {
            hostname: mailboxes.hostname.clone(),
            mailboxes,
            max_message_size: configuration.max_message_size.as_u64(),
            bare_newlines: configuration.bare_newlines,
            forbid_unauthorized_pipelining: configuration.forbid_unauthorized_pipelining,
            rules,
            limits: session_limits(limits),
            budget: Budget::new(budget, metrics.memory()),
            peers: Peers::new(limits.connections_per_peer),
            queue: Arc::new(Queue::new(maildir, metrics.commit_messages())),
            metrics: metrics.clone(),
        });
        let smtp = endpoints(&configuration.listen, STANDARD_PORT).into_iter();
        let lmtp = configuration.lmtp_listen.iter().map(|address| address.endpoint(LMTP_PORT));
        let streams = smtp
            .map(|endpoint| (endpoint, Protocol::Smtp))
            .chain(lmtp.map(|endpoint| (endpoint, Protocol::Lmtp)))
            .map(|(endpoint, protocol)| StreamBinding {
                endpoint,
                maximum_connections: limits.max_connections,
                service: Box::new(Listener { server: Arc::clone(&server), protocol }),
            })
            .collect();
        Some(Service { streams, datagrams: Vec::new(), summary })
    }
}

struct Listener {
    server: Arc<Server>,
    protocol: Protocol,
}

impl StreamService for Listener {
    fn accept(&mut self, peer: Peer, cx: &mut Context<'_>) -> Box<dyn Session> {
        Box::new(crate::session::Session::new(Arc::clone(&self.server), peer, self.protocol, cx.now))
    }
}

fn session_limits(limits: &LimitsConfiguration) -> Limits {
    Limits {
        idle_timeout: limits.idle_timeout,
        banner_delay: limits.banner_delay,
        command_line: usize::try_from(limits.command_line.as_u64()).unwrap_or(usize::MAX),
        recipients: limits.recipients,
        errors: limits.errors,
        errors_before_delay: limits.errors_before_delay,
        error_delay: limits.error_delay,
        junk_commands: limits.junk_commands,
        transactions: limits.transactions,
        min_data_rate: limits.min_data_rate.as_u64(),
    }
}

fn summary(configuration: &Configuration, mailboxes: &Mailboxes) -> Vec<String> {
    let who = match (mailboxes.any, mailboxes.local_parts.len()) {
        (true, _) => "any mailbox".to_owned(),
        (false, 1) => "1 mailbox and postmaster".to_owned(),
        (false, count) => format!("{count} mailboxes and postmaster"),
    };
    let domains = mailboxes.domains.iter();
    domains.map(|domain| format!("domain {domain}, {who}, {}", configuration.maildir.display())).collect()
}

fn check_limits(configuration: &Configuration, preparation: &mut Preparation<'_>) {
    let limits = &configuration.limits;
    let mut require = |fulfilled: bool, key: &[&str], message: &str| {
        if !fulfilled {
            let key = key.iter().map(|key| PathElement::from(*key));
            preparation.report(Problem::error(key, message));
        }
    };
    let size = configuration.max_message_size.as_u64();
    // RFC 5321 §4.5.3.1.7: a server must take 64 KiB.
    require((64 << 10..=1 << 30).contains(&size), &["max_message_size"], "must be from 64KiB to 1GiB");
    let memory = limits.memory.as_u64();
    require(memory > size, &["limits", "memory"], "must be more than max_message_size");
    require(
        configuration.subaddress_separator.len() <= 1,
        &["subaddress_separator"],
        "must be one character, or empty",
    );
    let idle = limits.idle_timeout;
    require(!idle.is_zero() && idle <= DAY, &["limits", "idle_timeout"], "must be more than 0 and at most a day");
    let minute = Duration::from_secs(60);
    require(limits.banner_delay <= minute, &["limits", "banner_delay"], "must be at most a minute");
    require(limits.error_delay <= minute, &["limits", "error_delay"], "must be at most a minute");
    // RFC 5321 §4.5.3.1.4.
    let line = limits.command_line.as_u64();
    require((512..=64 << 10).contains(&line), &["limits", "command_line"], "must be from 512B to 64KiB");
    // RFC 5321 §4.5.3.1.8.
    let recipients = limits.recipients;
    require((100..=100_000).contains(&recipients), &["limits", "recipients"], "must be from 100 to 100000");
    for (number, name) in [
        (limits.errors as usize, "errors"),
        (limits.transactions as usize, "transactions"),
        (limits.connections_per_peer, "connections_per_peer"),
        (limits.max_connections, "max_connections"),
        (limits.mailboxes, "mailboxes"),
        (limits.hops, "hops"),
    ] {
        require(number > 0, &["limits", name], "must be at least 1");
    }
}

fn prepare_mailboxes(configuration: &Configuration, preparation: &mut Preparation<'_>) -> Mailboxes {
    let hostname = configuration.hostname.clone().unwrap_or_else(|| preparation.hostname.to_owned());
    if !is_domain(&hostname) || !hostname.is_ascii() {
        let problem = Problem::error(["hostname".into()], format!("{hostname:?} is not a name of a host"));
        preparation.report(problem.with_help("write a name such as \"mail.example.test\""));
    }
    if configuration.domains.is_empty() {
        preparation.report(Problem::error(["domains".into()], "there is no domain to take mail for"));
    }
    let mut domains: Vec<String> = Vec::new();
    for (place, domain) in configuration.domains.iter().enumerate() {
        let key = ["domains".into(), place.into()];
        let lower = domain.to_lowercase();
        if !is_domain(domain) {
            preparation.report(Problem::error(key, format!("{domain:?} is not a domain")));
        } else if domains.contains(&lower) {
            preparation.report(Problem::error(key, format!("the domain {domain:?} is there twice")));
        }
        domains.push(lower);
    }
    let mut mailboxes = Mailboxes {
        domains,
        hostname,
        addresses: preparation.addresses.to_vec(),
        any: false,
        local_parts: HashSet::new(),
        aliases: HashMap::new(),
        catch_all: None,
        separator: configuration.subaddress_separator.clone(),
    };
    for (place, local_part) in configuration.mailboxes.iter().enumerate() {
        let key = ["mailboxes".into(), place.into()];
        if local_part == "*" {
            mailboxes.any = true;
        } else if !is_local_part(local_part) {
            let problem = Problem::error(key, format!("{local_part:?} is not a local part"));
            preparation.report(problem.with_help("write what stands before the @ of an address, or \"*\" for any"));
        } else if !mailboxes.local_parts.insert(local_part.to_lowercase()) {
            preparation.report(Problem::error(key, format!("the mailbox {local_part:?} is there twice")));
        }
    }
    prepare_aliases(configuration, &mut mailboxes, preparation);
    mailboxes
}

/// Aliases and the catch-all lead to mailboxes that exist; an alias of an alias would be one more thing to get wrong.
fn prepare_aliases(configuration: &Configuration, mailboxes: &mut Mailboxes, preparation: &mut Preparation<'_>) {
    let exists = |mailboxes: &Mailboxes, name: &str| mailboxes.is_known(name) || (mailboxes.any && is_local_part(name));
    let mut aliases = HashMap::new();
    for (alias, targets) in &configuration.aliases {
        let key = || vec!["aliases".into(), alias.as_str().into()];
        let name = alias.to_lowercase();
        if !is_local_part(alias) {
            preparation.report(Problem::error(key(), format!("{alias:?} is not a local part")));
        } else if mailboxes.local_parts.contains(&name) {
            preparation.report(Problem::error(key(), format!("{alias:?} is a mailbox already")));
        } else if targets.is_empty() {
            preparation.report(Problem::error(key(), "an alias must lead somewhere"));
        }
        for (place, target) in targets.iter().enumerate() {
            let alias_of_alias = configuration.aliases.keys().any(|other| other.eq_ignore_ascii_case(target));
            if alias_of_alias || !exists(mailboxes, &target.to_lowercase()) {
                let at = key().into_iter().chain([place.into()]);
                preparation.report(Problem::error(at, format!("{target:?} is not a mailbox")));
            }
        }
        let targets = targets.iter().map(|target| target.to_lowercase()).collect();
        if aliases.insert(name, targets).is_some() {
            preparation.report(Problem::error(key(), format!("the alias {alias:?} is there twice")));
        }
    }
    if let Some(catch_all) = &configuration.catch_all {
        if mailboxes.any {
            let problem = Problem::error(["catch_all".into()], "there is nothing to catch while every mailbox exists");
            preparation.report(problem.with_help("leave \"*\" out of mailboxes"));
        } else if !exists(mailboxes, &catch_all.to_lowercase()) {
            preparation.report(Problem::error(["catch_all".into()], format!("{catch_all:?} is not a mailbox")));
        }
    }
    mailboxes.aliases = aliases;
    mailboxes.catch_all = configuration.catch_all.as_ref().map(|catch_all| catch_all.to_lowercase());
}

fn prepare_rules(configuration: &Configuration, preparation: &mut Preparation<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (place, rule) in configuration.rules.iter().enumerate() {
        let mut require = |fulfilled: bool, key: &str, message: &str| {
            if !fulfilled {
                preparation.report(Problem::error(["rules".into(), place.into(), key.into()], message));
            }
        };
        let reply = rule.reply.as_deref().and_then(reply);
        require(reply.is_some() == rule.reply.is_some(), "reply", "must be a refusal such as \"451 4.7.1 Greylisted\"");
        require((0.0..=1.0).contains(&rule.probability), "probability", "must be from 0 to 1");
        require(rule.rate != Some(0), "rate", "must be at least 1");
        require(!rule.per.is_zero() && rule.per <= DAY, "per", "must be more than 0 and at most a day");
        require(rule.delay <= DAY, "delay", "must be at most a day");
        let resets = rule.reset_after.is_some();
        require(!resets || rule.at == Stage::Data, "reset_after", "is only for rules at \"data\"");
        let wants = rule.reply.is_some() || !rule.delay.is_zero() || resets;
        require(wants, "at", "a rule must have a reply, a delay, or reset_after");
        rules.push(Rule {
            stage: rule.at,
            pattern: rule.pattern.to_lowercase(),
            probability: rule.probability,
            rate: rule.rate.map(|count| Rate::new(count, rule.per)),
            verdict: Verdict { delay: rule.delay, reply, reset_after: rule.reset_after.map(|size| size.as_u64()) },
        });
    }
    rules
}

fn is_local_part(text: &str) -> bool {
    !text.contains(['@', '%', '!']) && directory_name(text).is_some()
}

/// Whether mail can be put there. The directory is not made before mail comes, so that a check changes nothing.
fn check_maildir(root: &Path, preparation: &mut Preparation<'_>) {
    let Some(existing) = root.ancestors().find(|ancestor| ancestor.exists()) else { return };
    let wrong = if !existing.is_dir() {
        Some(format!("{} is not a directory", existing.display()))
    } else {
        let access = rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK);
        access
            .err()
            .map(|error| format!("{} cannot be written to: {}", existing.display(), std::io::Error::from(error)))
    };
    if let Some(wrong) = wrong {
        let problem = Problem::error(["maildir".into()], wrong);
        preparation.report(problem.with_help("name a directory that tapster may write to, or make it"));
    }
}

/// How many mailboxes there are already: the directories two below the root.
fn count_mailboxes(root: &Path) -> usize {
    let directories = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    directories(root).iter().map(|domain| directories(domain).len()).sum()
}

#[cfg(test)]
mod tests;
