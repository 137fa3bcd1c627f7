//! Whether an address is ours alone (RFC 5227, IPv4 Address Conflict Detection).
//!
//! Responsible for each address's way into use (probes, then announcements), for its defence, and for giving it up. A
//! state machine that says what is to be sent: not for sending it, and not for the routes that hang on an address.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::arp::{Operation, Packet};
use super::configuration::{Configuration, Defence};
use crate::{HardwareAddress, Instant};

/// The constants of RFC 5227 §1.1, by their names there.
const PROBE_WAIT: Duration = Duration::from_secs(1);
const PROBE_NUM: u8 = 3;
const PROBE_MIN: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(2);
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// News of an address that nobody has fetched; the oldest give way.
const EVENTS: usize = 64;

/// News of one of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressEvent {
    /// Nobody else has it: it is in use from now on.
    Usable(IpAddr),
    /// Another station uses it. It was defended, or the other station left alone.
    Conflict(IpAddr, HardwareAddress),
    /// Another station has it: it is not, or no longer, in use. An IPv4 address is tried again in a minute, an IPv6
    /// address is not (RFC 4862 §5.4.5).
    Lost(IpAddr, HardwareAddress),
}

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Others are asked, so many times more (§2.1.1). Not in use.
    Probing(u8),
    /// In use, and announced so many times more (§2.3).
    Announcing(u8),
    /// In use.
    Settled,
    /// Somebody else has it. Not in use.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    address: IpAddr,
    prefix: u8,
    phase: Phase,
    /// When there is something to do.
    next: Option<Instant>,
    last_defended: Option<Instant>,
}

impl Claim {
    fn in_use(&self) -> bool {
        matches!(self.phase, Phase::Announcing(_) | Phase::Settled)
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask whether somebody has the address.
    Probe(Ipv4Addr),
    /// Tell everybody that it is ours.
    Announce(Ipv4Addr),
    /// The addresses in use are others now.
    Changed,
}

/// What a packet of another station meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing that concerns our claims.
    Nothing,
    /// It uses one of our addresses; what is to be done about that.
    Conflict(Option<Action>),
}

/// The claims to all our IPv4 addresses.
#[derive(Debug)]
pub(crate) struct Claims {
    claims: Vec<Claim>,
    defence: Defence,
    events: VecDeque<AddressEvent>,
    rng: ChaCha8Rng,
}

impl Claims {
    /// With conflict detection no IPv4 address is in use before its probes have found nobody.
    pub(crate) fn new(configuration: &Configuration, now: Instant, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let ipv4 = configuration.addresses.iter().filter(|(address, _)| address.is_ipv4());
        let claims = ipv4.map(|&(address, prefix)| {
            let (phase, next) = if configuration.probe {
                (Phase::Probing(PROBE_NUM), Some(now + random(&mut rng, Duration::ZERO, PROBE_WAIT)))
            } else if configuration.announce {
                (Phase::Announcing(ANNOUNCE_NUM), Some(now))
            } else {
                (Phase::Settled, None)
            };
            Claim { address, prefix, phase, next, last_defended: None }
        });
        Self { claims: claims.collect(), defence: configuration.defence, events: VecDeque::new(), rng }
    }

    /// The addresses in use.
    pub(crate) fn in_use(&self) -> Vec<(IpAddr, u8)> {
        self.claims.iter().filter(|claim| claim.in_use()).map(|claim| (claim.address, claim.prefix)).collect()
    }

    /// Announces the addresses in use from the beginning.
    pub(crate) fn announce(&mut self, now: Instant) {
        for claim in self.claims.iter_mut().filter(|claim| claim.in_use() && claim.address.is_ipv4()) {
            (claim.phase, claim.next) = (Phase::Announcing(ANNOUNCE_NUM), Some(now));
        }
    }

    /// When there is something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.claims.iter().filter_map(|claim| claim.next).min()
    }

    /// The next thing that is due; to be called until there is none.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Action> {
        let Self { claims, rng, .. } = self;
        let claim = claims.iter_mut().find(|claim| claim.next.is_some_and(|next| next <= now))?;
        let address = claim.address;
        let IpAddr::V4(ipv4) = address else {
            claim.next = None;
            return None;
        };
        let action = match claim.phase {
            Phase::Probing(0) => {
                (claim.phase, claim.next) = (Phase::Announcing(ANNOUNCE_NUM), Some(now));
                self.tell(AddressEvent::Usable(address));
                Action::Changed
            }
            Phase::Probing(left) => {
                let wait = if left == 1 { ANNOUNCE_WAIT } else { random(rng, PROBE_MIN, PROBE_MAX) };
                (claim.phase, claim.next) = (Phase::Probing(left - 1), Some(now + wait));
                Action::Probe(ipv4)
            }
            Phase::Announcing(left) if left > 1 => {
                (claim.phase, claim.next) = (Phase::Announcing(left - 1), Some(now + ANNOUNCE_INTERVAL));
                Action::Announce(ipv4)
            }
            Phase::Announcing(_) => {
                (claim.phase, claim.next) = (Phase::Settled, None);
                Action::Announce(ipv4)
            }
            Phase::Lost => {
                let wait = random(rng, PROBE_MIN, PROBE_MAX);
                (claim.phase, claim.next) = (Phase::Probing(PROBE_NUM - 1), Some(now + wait));
                Action::Probe(ipv4)
            }
            Phase::Settled => {
                claim.next = None;
                return self.expire(now);
            }
        };
        Some(action)
    }

    /// Takes in a packet of another station.
    pub(crate) fn hear(&mut self, now: Instant, packet: &Packet) -> Heard {
        let defence = self.defence;
        let Some(claim) = self.claims.iter_mut().find(|claim| conflicts(claim, packet)) else {
            return Heard::Nothing;
        };
        let IpAddr::V4(address) = claim.address else { return Heard::Nothing };
        // §2.4: an address is defended once in a while, so that two hosts that both defend it do not flood the link.
        let defended = claim.last_defended.is_some_and(|last| now < last + DEFEND_INTERVAL);
        let keep = claim.in_use()
            && match defence {
                Defence::GiveUp => false,
                Defence::Once => !defended,
                Defence::Always => true,
            };
        if keep {
            if !defended {
                claim.last_defended = Some(now);
            }
            self.tell(AddressEvent::Conflict(address.into(), packet.sender_hardware));
            return Heard::Conflict((!defended).then_some(Action::Announce(address)));
        }
        let news = claim.phase != Phase::Lost;
        let was_in_use = claim.in_use();
        (claim.phase, claim.next) = (Phase::Lost, Some(now + RATE_LIMIT_INTERVAL));
        if news {
            self.tell(AddressEvent::Lost(address.into(), packet.sender_hardware));
        }
        Heard::Conflict(was_in_use.then_some(Action::Changed))
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

/// Whether a packet of another station denies a claim: it comes from the address (§2.4), or, while we probe, it probes
/// for the address as well (§2.1.1).
fn conflicts(claim: &Claim, packet: &Packet) -> bool {
    let probe = packet.operation == Operation::Request && packet.sender == Ipv4Addr::UNSPECIFIED;
    let probing = matches!(claim.phase, Phase::Probing(_));
    claim.address == packet.sender || (probing && probe && claim.address == packet.target)
}

/// A time between two.
fn random(rng: &mut ChaCha8Rng, least: Duration, most: Duration) -> Duration {
    least + (most - least).mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
