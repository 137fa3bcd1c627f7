//! A bad network, on purpose.
//!
//! Responsible for what can happen to a frame on its way in one direction: loss (alone or in bursts), delay, jitter,
//! reordering, duplication, damage, and a narrow link with a finite queue. Frames go in, frames come out when they are
//! due; the same seed and the same input give the same output, so that a test under a bad network can be repeated.
//! Both directions of a link have one each. Not for cutting frames that stand for several packets: whoever switches it
//! on switches segmentation offload off, so that one frame is one packet.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::counters::counters;
use crate::{Instant, Offload};

/// What happens to frames. Nothing by default. Probabilities are between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// The probability that a frame is lost, each by itself.
    pub loss: f64,
    /// Loss in bursts, beside the other.
    pub burst: Option<Burst>,
    /// How long each frame is on its way.
    pub delay: Duration,
    /// By how much the delay varies, more or less, evenly. Frames stay in order: see `reorder`.
    pub jitter: Duration,
    /// The probability that a frame is overtaken by those that come within `reorder_by` after it.
    pub reorder: f64,
    /// How much later such a frame arrives. Default 1 ms.
    pub reorder_by: Duration,
    /// The probability that a frame arrives twice.
    pub duplicate: f64,
    /// The probability that one bit of a frame is turned round.
    pub corrupt: f64,
    /// The link's speed, in bits a second; `None` for one without a limit.
    pub rate: Option<u64>,
    /// The octets that wait for a link with a `rate`; what comes beyond is lost. Default 256 KiB.
    pub queue: usize,
    /// The most octets on their way at a time, which bounds the memory that a long delay takes; what comes beyond is
    /// lost. Default 64 MiB.
    pub in_flight: usize,
}

impl Default for Impairment {
    fn default() -> Self {
        Self {
            loss: 0.0,
            burst: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            reorder: 0.0,
            reorder_by: Duration::from_millis(1),
            duplicate: 0.0,
            corrupt: 0.0,
            rate: None,
            queue: 256 << 10,
            in_flight: 64 << 20,
        }
    }
}

/// Loss in bursts: the model of Gilbert. The link is good or bad, and changes with each frame by chance; a bad link
/// loses every frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// The probability that a good link becomes bad.
    pub begin: f64,
    /// The probability that a bad link becomes good: a burst is `1 / end` frames long on average.
    pub end: f64,
}

counters! {
    /// What has happened to frames.
    pub struct ImpairmentCounters in "impairment" {
        counts {
            /// Frames that came in.
            received,
            /// Frames that came out.
            sent,
            /// Frames that came out a second time.
            duplicated,
            /// Frames that others overtook.
            reordered,
            /// Frames damaged.
            corrupted,
        }
        drops {
            /// Lost by chance, each by itself.
            lost,
            /// Lost in bursts.
            lost_in_burst,
            /// Damaged before their checksum was complete: lost, as their receiver would have thrown them away.
            lost_to_corruption,
            /// Lost for want of room in front of a link with a rate.
            queue_overflow,
            /// Lost since too much was on its way.
            in_flight_overflow,
        }
    }
}

/// What a device and the stack tell each other about a frame, beside its octets.
pub trait Description: Copy {
    /// What is to be said of the frame once an octet is damaged. `None` when nobody would notice, since the frame's
    /// checksum is still to be made.
    fn damaged(self) -> Option<Self>;
}

/// A frame to send.
impl Description for Offload {
    fn damaged(self) -> Option<Self> {
        self.checksum.is_none().then_some(self)
    }
}

/// A received frame: what [`ReceivedFrame`](crate::ReceivedFrame) says beside the octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    /// See [`ReceivedFrame::transport_checksum_valid`](crate::ReceivedFrame::transport_checksum_valid).
    pub transport_checksum_valid: bool,
    /// See [`ReceivedFrame::segment_size`](crate::ReceivedFrame::segment_size).
    pub segment_size: Option<u16>,
}

impl Description for Reception {
    fn damaged(self) -> Option<Self> {
        Some(Self { transport_checksum_valid: false, ..self })
    }
}

/// A frame on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impaired<D> {
    /// From the destination address on.
    pub octets: Vec<u8>,
    /// What was said of it.
    pub description: D,
}

/// One direction of a bad link.
#[derive(Debug)]
pub struct Impairer<D> {
    impairment: Impairment,
    rng: ChaCha8Rng,
    /// In the order in which they come out: by time, then by number.
    frames: BTreeMap<(Instant, u64), Impaired<D>>,
    octets: usize,
    next_number: u64,
    /// Whether the link is in a burst of losses.
    bad: bool,
    /// When the link with a rate has sent all that it was given.
    busy_until: Instant,
    /// When the last frame that stays in order comes out.
    last: Instant,
    counters: ImpairmentCounters,
}

impl<D: Description> Impairer<D> {
    /// A direction with nothing on its way.
    #[must_use]
    pub fn new(impairment: Impairment, seed: [u8; 32]) -> Self {
        Self {
            impairment,
            rng: ChaCha8Rng::from_seed(seed),
            frames: BTreeMap::new(),
            octets: 0,
            next_number: 0,
            bad: false,
            busy_until: Instant::START,
            last: Instant::START,
            counters: ImpairmentCounters::default(),
        }
    }

    /// Changes what happens to frames from now on. Those on their way are not touched.
    pub fn set(&mut self, impairment: Impairment) {
        self.impairment = impairment;
        self.bad = false;
    }

    /// What happens to frames.
    #[must_use]
    pub fn impairment(&self) -> &Impairment {
        &self.impairment
    }

    /// A frame goes in.
    pub fn receive(&mut self, now: Instant, octets: &[u8], description: D) {
        self.counters.received += 1;
        let Impairment { loss, burst, duplicate, .. } = self.impairment;
        if let Some(Burst { begin, end }) = burst {
            self.bad ^= self.chance(if self.bad { end } else { begin });
            if self.bad {
                self.counters.lost_in_burst += 1;
                return;
            }
        }
        if self.chance(loss) {
            self.counters.lost += 1;
            return;
        }
        let copies = if self.chance(duplicate) { 2 } else { 1 };
        self.counters.duplicated += copies - 1;
        for _ in 0..copies {
            self.carry(now, Impaired { octets: octets.to_vec(), description });
        }
    }

    /// When the next frame comes out.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.frames.first_key_value().map(|(&(due, _), _)| due)
    }

    /// The next frame that is due. It stays: see [`sent`](Self::sent).
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<&Impaired<D>> {
        self.frames.first_key_value().filter(|&(&(due, _), _)| due <= now).map(|(_, frame)| frame)
    }

    /// Takes out the frame that [`next`](Self::next) has shown.
    pub fn sent(&mut self) -> Option<Impaired<D>> {
        let (_, frame) = self.frames.pop_first()?;
        self.octets -= frame.octets.len();
        self.counters.sent += 1;
        Some(frame)
    }

    /// What has happened.
    #[must_use]
    pub fn counters(&self) -> &ImpairmentCounters {
        &self.counters
    }

    /// Damages a frame if chance wants it, finds out when it arrives, and puts it on its way.
    fn carry(&mut self, now: Instant, mut frame: Impaired<D>) {
        if self.chance(self.impairment.corrupt) {
            let Some(description) = frame.description.damaged() else {
                self.counters.lost_to_corruption += 1;
                return;
            };
            frame.description = description;
            self.damage(&mut frame.octets);
            self.counters.corrupted += 1;
        }
        let length = frame.octets.len();
        if self.octets + length > self.impairment.in_flight {
            self.counters.in_flight_overflow += 1;
            return;
        }
        let Some(sent) = self.pass_queue(now, length) else {
            self.counters.queue_overflow += 1;
            return;
        };
        // In order, unless it is to be overtaken.
        let mut due = (sent + self.delay()).max(self.last);
        if self.chance(self.impairment.reorder) {
            due += self.impairment.reorder_by;
            self.counters.reordered += 1;
        } else {
            self.last = due;
        }
        self.octets += length;
        self.frames.insert((due, self.next_number), frame);
        self.next_number += 1;
    }

    /// When a link with a rate has sent the frame; `None` when the queue in front of it is full.
    fn pass_queue(&mut self, now: Instant, length: usize) -> Option<Instant> {
        const NANOSECONDS: u128 = 1_000_000_000;
        let Some(rate) = self.impairment.rate.filter(|&rate| rate > 0) else { return Some(now) };
        let time = |octets: usize| -> Duration {
            let nanoseconds = octets as u128 * 8 * NANOSECONDS / u128::from(rate);
            Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
        };
        let start = self.busy_until.max(now);
        // What waits is what the link has still to send; a frame that finds it idle does not wait.
        if start > now && start.since(now) + time(length) > time(self.impairment.queue) {
            return None;
        }
        self.busy_until = start + time(length);
        Some(self.busy_until)
    }

    /// The delay of one frame.
    fn delay(&mut self) -> Duration {
        let Impairment { delay, jitter, .. } = self.impairment;
        if jitter.is_zero() {
            return delay;
        }
        let part = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        (delay + jitter.mul_f64(2.0 * part)).saturating_sub(jitter)
    }

    /// Turns one bit round.
    fn damage(&mut self, octets: &mut [u8]) {
        let length = octets.len().max(1);
        let random = self.rng.next_u64();
        let place = usize::try_from(random >> 8).unwrap_or(usize::MAX) % length;
        if let Some(octet) = octets.get_mut(place) {
            *octet ^= 1 << (random & 7);
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && f64::from(self.rng.next_u32()) < probability * 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests;
