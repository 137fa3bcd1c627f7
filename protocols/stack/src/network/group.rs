//! The multicast groups that we are in, and when routers are told (RFC 3376 §5, §7; RFC 2236; RFC 3810 §6, §8).
//!
//! One state machine for both families: MLD is IGMP with longer addresses. Responsible for membership, for unsolicited reports, for answers to queries spread over time, and for falling back
//! to what an older router on the link understands. There are no source filters: a group is joined whole. Not for the
//! octets of messages, nor for sending them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::address::{ALL_HOSTS, ALL_NODES};
use crate::Instant;

/// RFC 3376 §8.1: how often news are told, since messages get lost.
const ROBUSTNESS: u8 = 2;
/// RFC 3376 §8.11: the time between two tellings in version 3, at most; RFC 2236 §8.10 in versions 1 and 2.
const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(1);
const OLD_UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// RFC 3376 §8.12: how long an older router counts as present, twice the query interval and a response time.
const OLDER_VERSION_QUERIER_PRESENT_TIMEOUT: Duration = Duration::from_secs(260);

/// RFC 3810 §5.2.15: no report is larger than any link takes, which is 1280 octets with 20 for each record.
const RECORDS_IN_A_REPORT: usize = 60;

/// A group as the table shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// The group's address.
    pub group: IpAddr,
    /// How often it has been joined and not yet left.
    pub members: u32,
}

/// Why a group cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The address is none of a group.
    #[error("{0} is not a multicast address")]
    NotAGroup(IpAddr),
    /// We are in as many groups as we may be.
    #[error("too many multicast groups are joined")]
    TooMany,
}

/// The version that a router speaks, in IGMP's numbers: version 1 of MLD is IGMP's second, version 2 its third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V1,
    V2,
    V3,
}

/// A message that we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received<A> {
    /// A router asks who is in a group, or in any.
    Query {
        /// The router's version.
        version: Version,
        /// The group; `None` for all.
        group: Option<A>,
        /// The time within which answers are spread.
        maximum_response_time: Duration,
    },
    /// Another host is in this group (version 1 or 2).
    Report(A),
    /// Something else.
    Other,
}

/// What a version 3 report says of a group; there are no source filters here (RFC 3376 §4.2.12,
/// RFC 3810 §5.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// We are in it: the answer to a query.
    IsExclude = 2,
    /// We have left it.
    ToInclude = 3,
    /// We have joined it.
    ToExclude = 4,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message<A> {
    /// To version 1 and 2 routers: we are in the group.
    Report(Version, A),
    /// To version 2 routers: we have left the group.
    Leave(A),
    /// To version 3 routers.
    Records(Vec<(Record, A)>),
}

/// A group's address, of either family.
pub(crate) trait GroupAddress: Copy + Eq + Into<IpAddr> {
    /// Whether it is one.
    fn is_group(self) -> bool;

    /// Whether everybody is in the group, and nobody reports it (RFC 3376 §6, RFC 3810 §6).
    fn is_everybody(self) -> bool;
}

impl GroupAddress for Ipv4Addr {
    fn is_group(self) -> bool {
        self.is_multicast()
    }

    fn is_everybody(self) -> bool {
        self == ALL_HOSTS
    }
}

impl GroupAddress for Ipv6Addr {
    fn is_group(self) -> bool {
        self.is_multicast()
    }

    fn is_everybody(self) -> bool {
        self == ALL_NODES
    }
}

#[derive(Clone, Copy, Debug)]
struct Membership<A> {
    group: A,
    /// Nought: we have left, and tell it.
    members: u32,
    /// How often the last change is still to be told, and when the next time is.
    changes: u8,
    next_change: Instant,
    /// When a query is answered.
    response: Option<Instant>,
}

/// All memberships. The group of all hosts is not among them: everybody is in it, and nobody reports it.
#[derive(Debug)]
pub(crate) struct Groups<A> {
    memberships: Vec<Membership<A>>,
    /// When a version 3 general query is answered, for all groups at once.
    general_response: Option<Instant>,
    /// The oldest version that a router has spoken lately, and how long that counts.
    older_querier: Option<(Version, Instant)>,
    capacity: usize,
    rng: ChaCha8Rng,
}

impl<A: GroupAddress> Groups<A> {
    pub(crate) fn new(capacity: usize, seed: [u8; 32]) -> Self {
        Self {
            memberships: Vec::new(),
            general_response: None,
            older_querier: None,
            capacity,
            rng: ChaCha8Rng::from_seed(seed),
        }
    }

    /// Whether packets for the group are taken.
    pub(crate) fn is_member(&self, group: A) -> bool {
        group.is_everybody() || self.joined().any(|joined| joined == group)
    }

    /// The groups that have been joined.
    pub(crate) fn rows(&self) -> impl Iterator<Item = GroupRow> {
        let joined = self.memberships.iter().filter(|membership| membership.members > 0);
        joined.map(|&Membership { group, members, .. }| GroupRow { group: group.into(), members })
    }

    /// Their addresses.
    pub(crate) fn joined(&self) -> impl Iterator<Item = A> {
        self.memberships.iter().filter(|membership| membership.members > 0).map(|membership| membership.group)
    }

    /// Joins a group, perhaps once more.
    pub(crate) fn join(&mut self, now: Instant, group: A) -> Result<(), JoinError> {
        if !group.is_group() {
            return Err(JoinError::NotAGroup(group.into()));
        }
        if group.is_everybody() {
            return Ok(());
        }
        if let Some(membership) = self.memberships.iter_mut().find(|membership| membership.group == group) {
            membership.members += 1;
            if membership.members == 1 {
                (membership.changes, membership.next_change) = (ROBUSTNESS, now);
            }
        } else if self.memberships.len() < self.capacity {
            let changes = ROBUSTNESS;
            self.memberships.push(Membership { group, members: 1, changes, next_change: now, response: None });
        } else {
            return Err(JoinError::TooMany);
        }
        Ok(())
    }

    /// Takes one joining back. False when there was none.
    pub(crate) fn leave(&mut self, now: Instant, group: A) -> bool {
        if group.is_everybody() {
            return true;
        }
        let joined = |membership: &&mut Membership<A>| membership.group == group && membership.members > 0;
        let Some(membership) = self.memberships.iter_mut().find(joined) else { return false };
        membership.members -= 1;
        if membership.members == 0 {
            (membership.changes, membership.next_change) = (ROBUSTNESS, now);
            membership.response = None;
        }
        true
    }

    /// Takes in a message of a router or another host.
    pub(crate) fn receive(&mut self, now: Instant, message: &Received<A>) {
        match *message {
            Received::Query { version, group, maximum_response_time } => {
                self.note_version(now, version);
                let version = self.version(now);
                let at = now + random(&mut self.rng, maximum_response_time);
                if group.is_none() && version == Version::V3 {
                    self.general_response = earlier(self.general_response, at);
                    return;
                }
                let asked = |membership: &&mut Membership<A>| {
                    membership.members > 0 && group.is_none_or(|group| group == membership.group)
                };
                let Self { memberships, rng, .. } = self;
                for membership in memberships.iter_mut().filter(asked) {
                    // RFC 2236 §3: each group has a time of its own.
                    let at = now + random(rng, maximum_response_time);
                    membership.response = earlier(membership.response, at);
                }
            }
            // RFC 2236 §3: one report for a group is enough. Version 3 routers want to hear all.
            Received::Report(group) if self.version(now) < Version::V3 => {
                let joined = |membership: &&mut Membership<A>| membership.group == group && membership.members > 0;
                if let Some(membership) = self.memberships.iter_mut().find(joined) {
                    (membership.response, membership.changes) = (None, 0);
                }
            }
            Received::Report(_) | Received::Other => {}
        }
    }

    /// When there is something to tell.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let changes = self.memberships.iter().filter(|membership| membership.changes > 0);
        let responses = self.memberships.iter().filter_map(|membership| membership.response);
        changes.map(|membership| membership.next_change).chain(responses).chain(self.general_response).min()
    }

    /// The messages that are due.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Message<A>> {
        let version = self.version(now);
        let general = self.general_response.is_some_and(|at| at <= now);
        if general {
            self.general_response = None;
        }
        let mut records = Vec::new();
        let mut messages = Vec::new();
        for membership in &mut self.memberships {
            let group = membership.group;
            if membership.changes > 0 && membership.next_change <= now {
                let interval =
                    if version == Version::V3 { UNSOLICITED_REPORT_INTERVAL } else { OLD_UNSOLICITED_REPORT_INTERVAL };
                membership.changes -= 1;
                membership.next_change = now + random(&mut self.rng, interval);
                match (version, membership.members) {
                    (Version::V3, 0) => records.push((Record::ToInclude, group)),
                    (Version::V3, _) => records.push((Record::ToExclude, group)),
                    // Version 1 has no word for it; in version 2 it is said once (RFC 2236 §3).
                    (Version::V1, 0) => membership.changes = 0,
                    (Version::V2, 0) => {
                        membership.changes = 0;
                        messages.push(Message::Leave(group));
                    }
                    (version, _) => messages.push(Message::Report(version, group)),
                }
            }
            let response = membership.response.is_some_and(|at| at <= now);
            if response || (general && membership.members > 0) {
                membership.response = None;
                match version {
                    Version::V3 => records.push((Record::IsExclude, group)),
                    version => messages.push(Message::Report(version, group)),
                }
            }
        }
        self.memberships.retain(|membership| membership.members > 0 || membership.changes > 0);
        messages.extend(records.chunks(RECORDS_IN_A_REPORT).map(|records| Message::Records(records.to_vec())));
        messages
    }

    /// RFC 3376 §7.2.1: the oldest version that has been heard lately.
    fn version(&self, now: Instant) -> Version {
        match self.older_querier {
            Some((version, until)) if now < until => version,
            _ => Version::V3,
        }
    }

    fn note_version(&mut self, now: Instant, version: Version) {
        if version <= self.version(now) && version < Version::V3 {
            self.older_querier = Some((version, now + OLDER_VERSION_QUERIER_PRESENT_TIMEOUT));
            // What was to be answered in version 3 is answered group by group.
            if let Some(at) = self.general_response.take() {
                for membership in self.memberships.iter_mut().filter(|membership| membership.members > 0) {
                    membership.response = earlier(membership.response, at);
                }
            }
        }
    }
}

/// The earlier of a time, if there is one, and another.
fn earlier(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// A time up to `most`.
fn random(rng: &mut ChaCha8Rng, most: Duration) -> Duration {
    most.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
