//! The neighbours on the link: who has which hardware address (RFC 826), kept fresh as RFC 4861 §7.3 does it.
//!
//! Responsible for the state of each neighbour, for the packets that wait for one, and for when a request is due. Not
//! for the form of requests, which is ARP's or neighbour discovery's.
//!
//! A neighbour enters the cache for two reasons only: we have a packet for it, or it has asked for one of our
//! addresses. When the cache is full, the least useful neighbour leaves it (see [`Rank`]), so that nobody can push out
//! neighbours in use by claiming to be many.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::FixedState;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use smallvec::SmallVec;

use super::configuration::NeighborLimits;
use super::egress::Frame;
use super::ndp::Advertisement;
use crate::counters::ArpCounters;
use crate::{HardwareAddress, Instant};

/// What is known of a neighbour (RFC 4861 §7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighborState {
    /// It has been asked for and has not answered yet.
    Incomplete,
    /// It has answered a short while ago.
    Reachable,
    /// Its hardware address is known, but may be out of date. Nothing is done until it is used.
    Stale,
    /// It was used while stale. It is asked again soon, if nothing confirms it before.
    Delay,
    /// It is being asked again, at the hardware address that is known.
    Probe,
}

/// A neighbour as the cache shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborRow {
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address, once known.
    pub hardware_address: Option<HardwareAddress>,
    /// What is known of it.
    pub state: NeighborState,
    /// How long it has been in that state.
    pub age: Duration,
    /// Packets that wait for it.
    pub queued: usize,
}

/// The frames of one packet, complete but for the destination's hardware address. Fragments stay together.
pub(crate) type Waiting = SmallVec<[Frame; 1]>;

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Who is asked for.
    pub(crate) address: IpAddr,
    /// Where the request goes: to everybody (over IPv6, to the group of those who may be meant), or to where the
    /// neighbour was.
    pub(crate) to: HardwareAddress,
}

/// What a packet says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It answers us.
    Reply,
    /// It asks for one of our addresses: it is about to talk to us.
    RequestForUs,
    /// Anything else. It corrects what is known and adds nothing (RFC 826, "merge flag").
    Overheard,
}

#[derive(Debug)]
struct Neighbor {
    state: NeighborState,
    /// Meaningless while incomplete.
    hardware_address: HardwareAddress,
    /// When it came into its state.
    since: Instant,
    /// When a packet last went to it.
    used: Option<Instant>,
    /// Reachable: until when. Incomplete, delay and probe: when the timer goes off.
    deadline: Instant,
    /// Requests sent in this state.
    requests: u8,
    waiting: VecDeque<Waiting>,
}

/// How useful a neighbour is; the least leaves first. Those still asked for stand below those that have answered once:
/// a flood of packets to stations that do not exist pushes out only its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NeverUsed,
    Incomplete,
    Stale,
    InQuestion,
    Reachable,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Cache {
    neighbors: HashMap<IpAddr, Neighbor, FixedState>,
    /// When which incomplete, delayed or probed neighbour is due.
    timers: BTreeSet<(Instant, IpAddr)>,
    requests: VecDeque<Request>,
    waiting_octets: usize,
    limits: NeighborLimits,
    /// Drawn anew with each answer.
    reachable_time: Duration,
    rng: ChaCha8Rng,
}

impl Cache {
    pub(crate) fn new(limits: NeighborLimits, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        Self {
            neighbors: HashMap::with_hasher(FixedState::with_seed(rng.next_u64())),
            timers: BTreeSet::new(),
            requests: VecDeque::new(),
            waiting_octets: 0,
            limits,
            reachable_time: limits.reachable_time,
            rng,
        }
    }

    /// The hardware address for a packet that goes out now; `None` while it is being asked for.
    ///
    /// One hash look-up, and nothing else for a neighbour in order.
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        address: IpAddr,
        counters: &mut ArpCounters,
    ) -> Option<HardwareAddress> {
        let Some(neighbor) = self.neighbors.get_mut(&address) else {
            self.make_room(now, Rank::Reachable, counters);
            let deadline = now + self.limits.retransmission_interval;
            let mut neighbor = Neighbor::new(NeighborState::Incomplete, HardwareAddress::BROADCAST, now);
            (neighbor.used, neighbor.deadline, neighbor.requests) = (Some(now), deadline, 1);
            self.neighbors.insert(address, neighbor);
            self.timers.insert((deadline, address));
            self.request(Request { address, to: HardwareAddress::BROADCAST }, counters);
            return None;
        };
        neighbor.used = Some(now);
        match neighbor.state_at(now) {
            NeighborState::Incomplete => return None,
            NeighborState::Reachable | NeighborState::Delay | NeighborState::Probe => {}
            NeighborState::Stale => {
                neighbor.enter(NeighborState::Delay, now);
                neighbor.deadline = now + self.limits.delay_first_probe;
                self.timers.insert((neighbor.deadline, address));
            }
        }
        Some(neighbor.hardware_address)
    }

    /// Keeps a packet until its neighbour is known. The neighbour has just been resolved in vain.
    pub(crate) fn wait(&mut self, address: IpAddr, packet: Waiting, counters: &mut ArpCounters) {
        let Some(neighbor) = self.neighbors.get_mut(&address) else { return };
        let octets = octets(&packet);
        // RFC 4861 §7.2.2: the new arrival displaces the oldest.
        if neighbor.waiting.len() >= self.limits.waiting_packets.max(1)
            && let Some(oldest) = neighbor.waiting.pop_front()
        {
            self.waiting_octets -= self::octets(&oldest);
            counters.waiting_overflow += 1;
        }
        if self.waiting_octets + octets > self.limits.waiting_octets {
            counters.waiting_overflow += 1;
            return;
        }
        self.waiting_octets += octets;
        neighbor.waiting.push_back(packet);
    }

    /// Takes in what a packet says of its sender; gives back the packets that waited for it.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        address: IpAddr,
        hardware_address: HardwareAddress,
        claim: Claim,
        counters: &mut ArpCounters,
    ) -> VecDeque<Waiting> {
        self.draw_reachable_time();
        let Some(neighbor) = self.neighbors.get_mut(&address) else {
            if claim != Claim::RequestForUs {
                counters.not_asked_for += 1;
            } else if self.make_room(now, Rank::NeverUsed, counters) {
                self.neighbors.insert(address, Neighbor::new(NeighborState::Stale, hardware_address, now));
            } else {
                counters.cache_full += 1;
            }
            return VecDeque::new();
        };
        let state = neighbor.state_at(now);
        let changed = neighbor.hardware_address != hardware_address;
        if changed && state != NeighborState::Incomplete {
            counters.changed += 1;
        }
        // RFC 4861 §7.2.5: an answer confirms that packets arrive; anything else only tells where to.
        let asked = matches!(state, NeighborState::Incomplete | NeighborState::Delay | NeighborState::Probe);
        let answered = asked && claim == Claim::Reply;
        if !answered && !changed && state != NeighborState::Incomplete {
            return VecDeque::new();
        }
        self.timers.remove(&(neighbor.deadline, address));
        neighbor.hardware_address = hardware_address;
        let waiting = std::mem::take(&mut neighbor.waiting);
        self.waiting_octets -= waiting.iter().map(octets).sum::<usize>();
        if answered {
            neighbor.enter(NeighborState::Reachable, now);
            neighbor.deadline = now + self.reachable_time;
        } else if waiting.is_empty() {
            neighbor.enter(NeighborState::Stale, now);
        } else {
            neighbor.enter(NeighborState::Delay, now);
            neighbor.deadline = now + self.limits.delay_first_probe;
            self.timers.insert((neighbor.deadline, address));
        }
        waiting
    }

    /// Takes in what a station advertises of itself (RFC 4861 §7.2.5); gives back the packets that waited for it and where
    /// they go.
    pub(crate) fn advertised(
        &mut self,
        now: Instant,
        advertisement: &Advertisement,
        counters: &mut ArpCounters,
    ) -> Option<(HardwareAddress, VecDeque<Waiting>)> {
        let address = IpAddr::V6(advertisement.target);
        let known = self.neighbors.get(&address)?;
        let hardware_address = match (known.state, advertisement.hardware_address) {
            (NeighborState::Incomplete, None) => return None,
            (_, told) => told.unwrap_or(known.hardware_address),
        };
        let changed = known.state != NeighborState::Incomplete && hardware_address != known.hardware_address;
        if changed && !advertisement.overrides {
            // Somebody else claims to be it. What is known stays, but is no longer taken for certain.
            if known.state_at(now) == NeighborState::Reachable
                && let Some(neighbor) = self.neighbors.get_mut(&address)
            {
                neighbor.enter(NeighborState::Stale, now);
            }
            return None;
        }
        let claim = if advertisement.solicited { Claim::Reply } else { Claim::Overheard };
        let waiting = self.learn(now, address, hardware_address, claim, counters);
        if advertisement.solicited {
            self.confirm(now, address);
        }
        Some((hardware_address, waiting))
    }

    /// A transport above knows that packets arrive: an acknowledgement of new data came (RFC 4861 §7.3.1).
    pub(crate) fn confirm(&mut self, now: Instant, address: IpAddr) {
        if let Some(neighbor) = self.neighbors.get_mut(&address)
            && neighbor.state != NeighborState::Incomplete
        {
            if matches!(neighbor.state, NeighborState::Delay | NeighborState::Probe) {
                self.timers.remove(&(neighbor.deadline, address));
            }
            if neighbor.state != NeighborState::Reachable {
                neighbor.enter(NeighborState::Reachable, now);
            }
            neighbor.deadline = now + self.reachable_time;
        }
    }

    /// When the next timer goes off.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(deadline, _)| deadline)
    }

    /// Runs the timers that are due.
    pub(crate) fn expire(&mut self, now: Instant, counters: &mut ArpCounters) {
        while let Some(&(deadline, address)) = self.timers.first()
            && deadline <= now
        {
            self.timers.pop_first();
            let Some(neighbor) = self.neighbors.get_mut(&address) else { continue };
            let to = match neighbor.state {
                NeighborState::Incomplete => HardwareAddress::BROADCAST,
                NeighborState::Delay => {
                    neighbor.enter(NeighborState::Probe, now);
                    neighbor.hardware_address
                }
                NeighborState::Probe => neighbor.hardware_address,
                NeighborState::Reachable | NeighborState::Stale => continue,
            };
            if neighbor.requests >= self.limits.requests {
                counters.unresolved += 1;
                counters.waiting_unresolved += self.forget(address);
                continue;
            }
            neighbor.requests += 1;
            neighbor.deadline = now + self.limits.retransmission_interval;
            self.timers.insert((neighbor.deadline, address));
            self.request(Request { address, to }, counters);
        }
    }

    /// The next request that is due; it stays until [`request_sent`](Self::request_sent).
    pub(crate) fn next_request(&self) -> Option<Request> {
        self.requests.front().copied()
    }

    /// The next request is on its way.
    pub(crate) fn request_sent(&mut self) {
        self.requests.pop_front();
    }

    /// A neighbour's hardware address, as far as known. Not a use of it.
    pub(crate) fn hardware_address_of(&self, address: IpAddr) -> Option<HardwareAddress> {
        self.neighbors.get(&address).and_then(Neighbor::known)
    }

    /// All neighbours, in the order of their addresses.
    pub(crate) fn rows(&self, now: Instant) -> Vec<NeighborRow> {
        let row = |(&address, neighbor): (&IpAddr, &Neighbor)| NeighborRow {
            address,
            hardware_address: neighbor.known(),
            state: neighbor.state_at(now),
            age: match (neighbor.state, neighbor.state_at(now)) {
                (NeighborState::Reachable, NeighborState::Stale) => now.since(neighbor.deadline),
                _ => now.since(neighbor.since),
            },
            queued: neighbor.waiting.len(),
        };
        let mut rows: Vec<NeighborRow> = self.neighbors.iter().map(row).collect();
        rows.sort_by_key(|row| row.address);
        rows
    }

    /// Octets of all packets that wait.
    #[cfg(test)]
    pub(crate) fn waiting_octets(&self) -> usize {
        self.waiting_octets
    }

    fn request(&mut self, request: Request, counters: &mut ArpCounters) {
        // A neighbour has one request a second; more than one for each means that the device has stopped.
        if self.requests.len() < self.limits.capacity.max(1) {
            self.requests.push_back(request);
        } else {
            counters.request_overflow += 1;
        }
    }

    /// RFC 4861 §6.3.2: spread between half and one and a half of the mean, so that neighbours do not fall in step.
    fn draw_reachable_time(&mut self) {
        let mean = self.limits.reachable_time;
        self.reachable_time = mean / 2 + mean.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
    }

    /// Makes room for a neighbour of `rank`. One that nobody has used pushes out only its equals; false then.
    fn make_room(&mut self, now: Instant, rank: Rank, counters: &mut ArpCounters) -> bool {
        while self.neighbors.len() >= self.limits.capacity.max(1) {
            let useful =
                |(&address, neighbor): (&IpAddr, &Neighbor)| (neighbor.rank(now), neighbor.last_news(), address);
            let Some((victim_rank, _, victim)) = self.neighbors.iter().map(useful).min() else { return true };
            if victim_rank > rank {
                return false;
            }
            counters.evicted += 1;
            counters.waiting_overflow += self.forget(victim);
        }
        true
    }

    /// Removes a neighbour; the number of packets that waited for it.
    fn forget(&mut self, address: IpAddr) -> u64 {
        let Some(neighbor) = self.neighbors.remove(&address) else { return 0 };
        self.timers.remove(&(neighbor.deadline, address));
        self.waiting_octets -= neighbor.waiting.iter().map(octets).sum::<usize>();
        neighbor.waiting.len() as u64
    }
}

impl Neighbor {
    fn new(state: NeighborState, hardware_address: HardwareAddress, now: Instant) -> Self {
        Self { state, hardware_address, since: now, used: None, deadline: now, requests: 0, waiting: VecDeque::new() }
    }

    fn enter(&mut self, state: NeighborState, now: Instant) {
        (self.state, self.since, self.requests) = (state, now, 0);
    }

    /// A reachable neighbour becomes stale by itself, without a timer.
    fn state_at(&self, now: Instant) -> NeighborState {
        if self.state == NeighborState::Reachable && now >= self.deadline { NeighborState::Stale } else { self.state }
    }

    fn known(&self) -> Option<HardwareAddress> {
        (self.state != NeighborState::Incomplete).then_some(self.hardware_address)
    }

    fn last_news(&self) -> Instant {
        self.used.unwrap_or(self.since)
    }

    fn rank(&self, now: Instant) -> Rank {
        match self.state_at(now) {
            NeighborState::Incomplete => Rank::Incomplete,
            _ if self.used.is_none() => Rank::NeverUsed,
            NeighborState::Stale => Rank::Stale,
            NeighborState::Delay | NeighborState::Probe => Rank::InQuestion,
            NeighborState::Reachable => Rank::Reachable,
        }
    }
}

/// Octets of a packet's frames.
fn octets(packet: &Waiting) -> usize {
    packet.iter().map(|frame| frame.octets.len()).sum()
}

#[cfg(test)]
mod tests;
