//! The frame of the document: every section but those of the services, as types.
//!
//! Responsible for which keys there are, their units, ranges and defaults. What no single key can show to be wrong is
//! [`crate::check`]'s.

pub(crate) mod arp;
pub(crate) mod control;
pub(crate) mod event_loop;
pub(crate) mod impair;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod network;
pub(crate) mod tcp;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::diagnostic::Diagnostic;
use crate::document::{Document, Read};
use crate::path::KeyPath;
use crate::{Arp, Control, EventLoop, Impair, Link, Log, Network, Tcp, check};

/// The whole document but for what the services' sections say.
///
/// The `Default` is what an empty file means.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Frame {
    /// `[link]`: the Ethernet segment and the device that leads to it.
    pub link: Link,
    /// `[network]`: addresses and routes.
    pub network: Network,
    /// `[control]`: the socket of `tapster ctl`.
    pub control: Control,
    /// `[tcp]`: the transport.
    pub tcp: Tcp,
    /// `[arp]`: the neighbour cache.
    pub arp: Arp,
    /// `[impair]`: a bad network, on purpose.
    pub impair: Impair,
    /// `[log]`: what is logged and how.
    pub log: Log,
    /// `[metrics]`: nothing can be set yet.
    pub metrics: Metrics,
    /// `[event_loop]`: how work is shared out.
    pub event_loop: EventLoop,
    /// `[services]`: the names of the services that are switched on; only known ones, once it has been checked.
    #[serde(deserialize_with = "table_names")]
    pub services: BTreeSet<String>,
}

/// `[metrics]`: has no keys yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {}

impl Frame {
    /// Reads and checks the frame. `services` are the names of the modules that there are.
    ///
    /// All that is wrong is reported, sorted by place, warnings among it. When there are errors the document must not
    /// be run. A frame is given all the same as long as `[network]` is sound, so that the sections of the services can
    /// be checked in the same go.
    #[must_use]
    pub fn read(document: &Document, services: &[&str]) -> (Option<Self>, Vec<Diagnostic>) {
        let Read { value, mut diagnostics, removed, .. } = document.deserialize::<Self>(&KeyPath::default());
        let Some(mut frame) = value else { return (None, diagnostics) };
        let network = KeyPath::dotted("network");
        if document.sets(&network.child("addresses")) && !document.sets(&network.child("gateways")) {
            // The default gateway is one of the default network.
            frame.network.gateways.clear();
        }
        let network_is_sound = !removed.iter().any(|path| path.is_within(&network));
        diagnostics.extend(check::check(document, &mut frame, services, removed));
        diagnostics.sort();
        (network_is_sound.then_some(frame), diagnostics)
    }
}

/// The names of a table's tables.
fn table_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let tables = BTreeMap::<String, BTreeMap<String, IgnoredAny>>::deserialize(deserializer)?;
    Ok(tables.into_keys().collect())
}

/// A duration, of which zero means off.
fn off_when_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let duration: Duration = humantime_serde::deserialize(deserializer)?;
    Ok((!duration.is_zero()).then_some(duration))
}

#[cfg(test)]
mod tests;
