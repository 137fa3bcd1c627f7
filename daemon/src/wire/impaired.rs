//! A bad link in both directions.
//!
//! Responsible for the two [`Impairer`]s of a link and for what the operator may say about them. What happens to a frame
//! is the stack's matter, so that a simulation meets the same.

use tapster_stack::{
    Burst, Impaired, Impairer, Impairment, ImpairmentCounters, Instant, Offload, ReceivedFrame, Reception,
};

/// What the operator, or the configuration, wants of the link.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Order {
    /// Where chance begins. When it is given, chance begins anew, and frames on their way are lost.
    pub(crate) seed: Option<u64>,
    /// What happens to frames on their way to tapster; `None` leaves it as it is.
    pub(crate) inbound: Option<tapster_config::Impairment>,
    /// What happens to frames that tapster sends; `None` leaves it as it is.
    pub(crate) outbound: Option<tapster_config::Impairment>,
}

/// Which frames an order is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Directions {
    /// Those on their way to tapster.
    In,
    /// Those that tapster sends.
    Out,
    /// All.
    #[default]
    Both,
}

impl Order {
    /// The same for one or both directions.
    pub(crate) fn new(directions: Directions, impairment: tapster_config::Impairment, seed: Option<u64>) -> Self {
        let inbound = (directions != Directions::Out).then_some(impairment);
        let outbound = (directions != Directions::In).then_some(impairment);
        Self { seed, inbound, outbound }
    }
}

impl From<&tapster_config::Impair> for Order {
    fn from(section: &tapster_config::Impair) -> Self {
        Self { seed: section.seed, inbound: Some(section.inbound), outbound: Some(section.outbound) }
    }
}

/// A link on which frames are lost, delayed, and worse.
#[derive(Debug)]
pub(crate) struct BadLink {
    inbound: Impairer<Reception>,
    outbound: Impairer<Offload>,
    /// What was asked for, in the order's own words.
    asked: (tapster_config::Impairment, tapster_config::Impairment),
    seed: u64,
    mended: bool,
}

/// A moment after all others.
const LATER_THAN_ALL: Instant = Instant::from_nanos(u64::MAX);

impl BadLink {
    /// A link with nothing on its way. `seed` is taken when the order has none.
    pub(crate) fn new(order: &Order, seed: u64) -> Self {
        let seed = order.seed.unwrap_or(seed);
        let asked = (order.inbound.unwrap_or_default(), order.outbound.unwrap_or_default());
        Self {
            inbound: Impairer::new(of_stack(&asked.0), seed_of(seed, 0)),
            outbound: Impairer::new(of_stack(&asked.1), seed_of(seed, 1)),
            asked,
            seed,
            mended: false,
        }
    }

    /// Changes what happens to frames from now on.
    pub(crate) fn change(&mut self, order: &Order) {
        self.asked.0 = order.inbound.unwrap_or(self.asked.0);
        self.asked.1 = order.outbound.unwrap_or(self.asked.1);
        if order.seed.is_some() || self.mended {
            let order = Order { seed: order.seed, inbound: Some(self.asked.0), outbound: Some(self.asked.1) };
            *self = Self::new(&order, self.seed);
        } else {
            self.inbound.set(of_stack(&self.asked.0));
            self.outbound.set(of_stack(&self.asked.1));
        }
    }

    /// What was asked for: frames in, frames out.
    pub(crate) const fn asked(&self) -> &(tapster_config::Impairment, tapster_config::Impairment) {
        &self.asked
    }

    /// Where chance began.
    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// What has happened: to frames in, to frames out.
    pub(crate) fn counters(&self) -> (&ImpairmentCounters, &ImpairmentCounters) {
        (self.inbound.counters(), self.outbound.counters())
    }

    /// A frame comes from the device.
    pub(super) fn receive(&mut self, now: Instant, frame: &ReceivedFrame<'_>) {
        let &ReceivedFrame { bytes, transport_checksum_valid, segment_size } = frame;
        self.inbound.receive(now, bytes, Reception { transport_checksum_valid, segment_size });
    }

    /// The host sends a frame.
    pub(super) fn send(&mut self, now: Instant, octets: &[u8], offload: Offload) {
        self.outbound.receive(now, octets, offload);
    }

    /// From now on frames pass untouched, and what is on its way arrives at once.
    pub(super) fn mend(&mut self) {
        self.mended = true;
        self.asked = Default::default();
    }

    pub(super) const fn is_mended(&self) -> bool {
        self.mended
    }

    pub(super) fn has_arrival(&self, now: Instant) -> bool {
        self.inbound.next(if self.mended { LATER_THAN_ALL } else { now }).is_some()
    }

    pub(super) fn next_arrival(&mut self, now: Instant) -> Option<Impaired<Reception>> {
        if self.has_arrival(now) { self.inbound.sent() } else { None }
    }

    pub(super) fn next_departure(&self, now: Instant) -> Option<&Impaired<Offload>> {
        self.outbound.next(now)
    }

    pub(super) fn departed(&mut self) -> Option<Impaired<Offload>> {
        self.outbound.sent()
    }

    /// When the next frame is due; with `arrivals_only`, the next one for the host.
    pub(super) fn next_deadline(&self, arrivals_only: bool) -> Option<Instant> {
        if self.mended {
            return self.inbound.next_deadline().map(|_| Instant::START);
        }
        let departure = self.outbound.next_deadline().filter(|_| !arrivals_only);
        self.inbound.next_deadline().into_iter().chain(departure).min()
    }
}

/// Chance in one direction.
fn seed_of(seed: u64, direction: u8) -> [u8; 32] {
    let mut octets = [direction; 32];
    octets[..8].copy_from_slice(&seed.to_le_bytes());
    octets
}

/// What the stack understands.
fn of_stack(asked: &tapster_config::Impairment) -> Impairment {
    let size = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    let burst = Burst { begin: asked.burst_begin.get(), end: asked.burst_end.get() };
    Impairment {
        loss: asked.loss.get(),
        burst: (burst.begin > 0.0).then_some(burst),
        delay: asked.delay,
        jitter: asked.jitter,
        reorder: asked.reorder.get(),
        reorder_by: asked.reorder_by,
        duplicate: asked.duplicate.get(),
        corrupt: asked.corrupt.get(),
        rate: asked.rate.get(),
        queue: size(asked.queue),
        in_flight: size(asked.in_flight),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> tapster_config::Impairment {
        let owned = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        tapster_config::Impairment::from_pairs(owned).unwrap()
    }

    #[test]
    fn the_configuration_and_the_stack_have_the_same_defaults() {
        assert_eq!(of_stack(&tapster_config::Impairment::default()), Impairment::default());
    }

    #[test]
    fn an_order_for_one_direction_leaves_the_other_alone() {
        let mut link = BadLink::new(&Order::new(Directions::Both, asked(&[("loss", "5%")]), None), 1);
        link.change(&Order::new(Directions::Out, asked(&[("delay", "1s")]), None));
        assert_eq!(link.asked(), &(asked(&[("loss", "5%")]), asked(&[("delay", "1s")])));
    }

    #[test]
    fn a_mended_link_lets_go_of_what_is_on_its_way() {
        let now = Instant::START;
        let mut link = BadLink::new(&Order::new(Directions::In, asked(&[("delay", "1h")]), None), 1);
        link.receive(now, &ReceivedFrame::plain(&[1; 60]));
        assert_eq!(link.next_deadline(false), Some(now + Duration::from_secs(3600)));
        assert!(!link.has_arrival(now));
        link.mend();
        assert_eq!(link.next_deadline(false), Some(Instant::START));
        assert_eq!(link.next_arrival(now).map(|frame| frame.octets), Some(vec![1; 60]));
        assert_eq!(link.next_arrival(now), None);
    }

    #[test]
    fn the_same_seed_loses_the_same_frames() {
        let order = Order::new(Directions::Both, asked(&[("loss", "50%")]), Some(7));
        let run = |fallback| {
            let mut link = BadLink::new(&order, fallback);
            (0..64_u8).for_each(|number| link.receive(Instant::START, &ReceivedFrame::plain(&[number; 60])));
            std::iter::from_fn(|| link.next_arrival(Instant::START)).map(|frame| frame.octets[0]).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(2));
        assert!(!run(1).is_empty() && run(1).len() < 64);
    }
}
