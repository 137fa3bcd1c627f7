//! Our IPv6 addresses and whether they are ours alone (RFC 4862 §5.3, §5.4).
//!
//! Responsible for each address's way into use: it is tentative, others are asked whether they have it, and when nobody
//! answers it is used. A state machine that says what is to be sent: not for sending it, and not for the routes that
//! hang on an address.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::address::{is_link_local, is_unicast6, link_local};
use super::configuration::Configuration;
use super::conflict::AddressEvent;
use super::ipv6;
use crate::{HardwareAddress, Instant};

/// RFC 4861 §10: the first message is put off by up to this, since many hosts start at once.
const MAX_RTR_SOLICITATION_DELAY: Duration = Duration::from_secs(1);

/// How often a conflict over an address in use is told.
const CONFLICT_INTERVAL: Duration = Duration::from_secs(10);

/// The length of a link-local network's prefix, in bits (RFC 4291 §2.5.6).
const LINK_LOCAL_PREFIX: u8 = 64;

/// News of an address that nobody has fetched; the oldest give way.
const EVENTS: usize = 64;

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Others are asked, so many times more. Not in use.
    Tentative(u8),
    /// In use.
    Assigned,
    /// Somebody else has it. Not in use.
    Duplicate,
}

#[derive(Clone, Copy, Debug)]
struct Assignment {
    address: Ipv6Addr,
    prefix: u8,
    state: State,
    /// When there is something to do.
    next: Option<Instant>,
    last_conflict: Option<Instant>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask whether somebody has the address.
    Probe(Ipv6Addr),
    /// The address is in use from now on.
    Assigned(Ipv6Addr),
}

/// What it means that another station has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Nothing: it is not ours.
    None,
    /// We leave it to the other.
    GivenUp,
    /// We have it too.
    InUse,
}

/// All our IPv6 addresses.
#[derive(Debug)]
pub(crate) struct Assignments {
    assignments: Vec<Assignment>,
    retransmission_interval: Duration,
    events: VecDeque<AddressEvent>,
}

impl Assignments {
    /// The configured addresses, and a link-local one if there is another and the link is wide enough for IPv6.
    pub(crate) fn new(configuration: &Configuration, now: Instant, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let configured = configuration.addresses.iter().filter_map(|&(address, prefix)| match address {
            IpAddr::V6(address) if is_unicast6(address) => Some((address, prefix)),
            _ => None,
        });
        let mut addresses: Vec<(Ipv6Addr, u8)> = configured.collect();
        if configuration.mtu < ipv6::MINIMUM_MTU {
            addresses.clear();
        }
        if !addresses.is_empty() && !addresses.iter().any(|&(address, _)| is_link_local(address)) {
            addresses.push((link_local(configuration.hardware_address), LINK_LOCAL_PREFIX));
        }
        let transmits = configuration.duplicate_address_detection;
        let assignments = addresses.into_iter().map(|(address, prefix)| {
            let (state, next) = if transmits == 0 {
                (State::Assigned, None)
            } else {
                // RFC 4862 §5.4.2.
                let part = f64::from(rng.next_u32()) / f64::from(u32::MAX);
                (State::Tentative(transmits), Some(now + MAX_RTR_SOLICITATION_DELAY.mul_f64(part)))
            };
            Assignment { address, prefix, state, next, last_conflict: None }
        });
        Self {
            assignments: assignments.collect(),
            retransmission_interval: configuration.neighbors.retransmission_interval,
            events: VecDeque::new(),
        }
    }

    /// All addresses, whatever became of them.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.assignments.iter().map(|assignment| assignment.address)
    }

    /// The addresses in use.
    pub(crate) fn in_use(&self) -> Vec<(IpAddr, u8)> {
        let assigned = self.assignments.iter().filter(|assignment| assignment.state == State::Assigned);
        assigned.map(|assignment| (assignment.address.into(), assignment.prefix)).collect()
    }

    /// Whether an address is not known to be ours alone yet.
    pub(crate) fn is_tentative(&self, address: Ipv6Addr) -> bool {
        let tentative = |one: &Assignment| one.address == address && matches!(one.state, State::Tentative(_));
        self.assignments.iter().any(tentative)
    }

    /// When there is something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.assignments.iter().filter_map(|assignment| assignment.next).min()
    }

    /// The next thing that is due; to be called until there is none.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Action> {
        let interval = self.retransmission_interval;
        let due = |assignment: &&mut Assignment| assignment.next.is_some_and(|next| next <= now);
        let assignment = self.assignments.iter_mut().find(due)?;
        let address = assignment.address;
        match assignment.state {
            State::Tentative(left) if left > 0 => {
                (assignment.state, assignment.next) = (State::Tentative(left - 1), Some(now + interval));
                Some(Action::Probe(address))
            }
            State::Tentative(_) => {
                (assignment.state, assignment.next) = (State::Assigned, None);
                self.tell(AddressEvent::Usable(address.into()));
                Some(Action::Assigned(address))
            }
            State::Assigned | State::Duplicate => {
                assignment.next = None;
                self.expire(now)
            }
        }
    }

    /// Another station has the address, or asks for it as we do.
    pub(crate) fn conflict(&mut self, now: Instant, address: Ipv6Addr, station: HardwareAddress) -> Conflict {
        let Some(assignment) = self.assignments.iter_mut().find(|assignment| assignment.address == address) else {
            return Conflict::None;
        };
        match assignment.state {
            State::Duplicate => Conflict::None,
            State::Tentative(_) => {
                (assignment.state, assignment.next) = (State::Duplicate, None);
                self.tell(AddressEvent::Lost(address.into(), station));
                Conflict::GivenUp
            }
            State::Assigned => {
                if assignment.last_conflict.is_none_or(|last| now >= last + CONFLICT_INTERVAL) {
                    assignment.last_conflict = Some(now);
                    self.tell(AddressEvent::Conflict(address.into(), station));
                }
                Conflict::InUse
            }
        }
    }

    /// The oldest news that have not been fetched.
    pub(crate) fn next_event(&mut self) -> Option<AddressEvent> {
        self.events.pop_front()
    }

    fn tell(&mut self, event: AddressEvent) {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 9]);

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn assignments(addresses: &[&str], transmits: u8) -> Assignments {
        let configuration = Configuration {
            addresses: addresses.iter().map(|text| (ip(text).into(), 64)).collect(),
            duplicate_address_detection: transmits,
            hardware_address: HardwareAddress([2, 0, 0, 0, 0, 1]),
            ..Configuration::default()
        };
        Assignments::new(&configuration, Instant::START, [1; 32])
    }

    #[test]
    fn an_address_is_used_when_nobody_has_answered_for_a_second() {
        // RFC 4862 §5.4.
        let mut assignments = assignments(&["fe80::7"], 2);
        assert!(assignments.in_use().is_empty() && assignments.is_tentative(ip("fe80::7")));
        let first = assignments.next_deadline().unwrap();
        assert!(first <= Instant::START + Duration::from_secs(1));
        assert_eq!(assignments.expire(first), Some(Action::Probe(ip("fe80::7"))));
        assert_eq!(assignments.expire(first), None);
        let second = first + Duration::from_secs(1);
        assert_eq!(assignments.next_deadline(), Some(second));
        assert_eq!(assignments.expire(second), Some(Action::Probe(ip("fe80::7"))));
        assert_eq!(assignments.expire(second + Duration::from_secs(1)), Some(Action::Assigned(ip("fe80::7"))));
        assert_eq!(assignments.in_use(), [(ip("fe80::7").into(), 64)]);
        assert_eq!(assignments.next_event(), Some(AddressEvent::Usable(ip("fe80::7").into())));
        assert_eq!(assignments.next_deadline(), None);
    }

    #[test]
    fn without_detection_it_is_used_at_once_and_a_link_local_one_beside_it() {
        let mut assignments = assignments(&["2001:db8::7"], 0);
        let expected = [(ip("2001:db8::7").into(), 64), (ip("fe80::ff:fe00:1").into(), 64)];
        assert_eq!(assignments.in_use(), expected);
        assert_eq!((assignments.next_deadline(), assignments.next_event()), (None, None));
    }

    #[test]
    fn an_address_that_somebody_has_is_not_used() {
        // RFC 4862 §5.4.5.
        let mut assignments = assignments(&["fe80::7"], 1);
        assert_eq!(assignments.conflict(Instant::START, ip("fe80::8"), STATION), Conflict::None);
        assert_eq!(assignments.conflict(Instant::START, ip("fe80::7"), STATION), Conflict::GivenUp);
        assert_eq!(assignments.conflict(Instant::START, ip("fe80::7"), STATION), Conflict::None);
        assert_eq!(assignments.next_event(), Some(AddressEvent::Lost(ip("fe80::7").into(), STATION)));
        assert!(assignments.next_deadline().is_none() && assignments.in_use().is_empty());
    }

    #[test]
    fn a_conflict_over_an_address_in_use_is_told_once_in_a_while() {
        let mut assignments = assignments(&["fe80::7"], 0);
        for second in 0..10 {
            let now = Instant::START + Duration::from_secs(second);
            assert_eq!(assignments.conflict(now, ip("fe80::7"), STATION), Conflict::InUse);
        }
        assert_eq!(assignments.next_event(), Some(AddressEvent::Conflict(ip("fe80::7").into(), STATION)));
        assert_eq!(assignments.next_event(), None);
        assert_eq!(assignments.in_use().len(), 1);
    }

    #[test]
    fn a_link_too_narrow_has_no_ipv6() {
        // RFC 8200 §5.
        let addresses = vec![(ip("2001:db8::7").into(), 64)];
        let configuration = Configuration { addresses, mtu: 1279, ..Configuration::default() };
        assert_eq!(Assignments::new(&configuration, Instant::START, [1; 32]).addresses().count(), 0);
    }
}
