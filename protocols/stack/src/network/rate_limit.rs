//! How often ICMP errors may be sent (RFC 1812 §4.3.2.8).
//!
//! Responsible for token buckets: one for all errors, one for each destination. The latter are a table of fixed size
//! in which a keyed hash finds a destination's place: strangers may share one, and memory does not grow.

use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

use super::configuration::IcmpLimits;
use crate::Instant;

/// Destinations told apart.
const DESTINATIONS: usize = 256;

/// Tokens that come back with time.
#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    /// In nanoseconds: a token is worth the time in which it comes back.
    level: Duration,
    last: Instant,
}

/// Rate and depth of a bucket.
#[derive(Clone, Copy, Debug)]
struct Rate {
    token: Duration,
    depth: Duration,
}

impl Rate {
    fn new(per_second: u32, burst: u32) -> Self {
        // A rate of zero means that nothing may pass: a token is longer than the bucket is deep.
        let token = Duration::from_secs(1).checked_div(per_second).unwrap_or(Duration::MAX);
        Self { token, depth: Duration::from_secs(1).checked_div(per_second).unwrap_or_default() * burst }
    }
}

impl TokenBucket {
    fn fill(&mut self, now: Instant, rate: Rate) {
        self.level = self.level.saturating_add(now.since(self.last)).min(rate.depth);
        self.last = now;
    }
}

/// Both limits together.
#[derive(Debug)]
pub(crate) struct Limiter {
    all: TokenBucket,
    rate: Rate,
    destinations: Box<[TokenBucket; DESTINATIONS]>,
    rate_per_destination: Rate,
    hash: FixedState,
}

impl Limiter {
    pub(crate) fn new(now: Instant, limits: &IcmpLimits, hash_seed: u64) -> Self {
        let rate = Rate::new(limits.errors_per_second, limits.burst);
        let per_destination = Rate::new(limits.errors_per_second_per_destination, limits.burst_per_destination);
        Self {
            all: TokenBucket { level: rate.depth, last: now },
            rate,
            destinations: Box::new([TokenBucket { level: per_destination.depth, last: now }; DESTINATIONS]),
            rate_per_destination: per_destination,
            hash: FixedState::with_seed(hash_seed),
        }
    }

    /// Whether an error to `destination` may be sent now. It counts as sent then.
    #[expect(clippy::cast_possible_truncation, reason = "any part of the hash will do")]
    pub(crate) fn allows(&mut self, now: Instant, destination: IpAddr) -> bool {
        self.all.fill(now, self.rate);
        let place = self.hash.hash_one(destination) as usize % DESTINATIONS;
        let Some(bucket) = self.destinations.get_mut(place) else { return false };
        bucket.fill(now, self.rate_per_destination);
        let allowed = self.all.level >= self.rate.token && bucket.level >= self.rate_per_destination.token;
        if allowed {
            self.all.level -= self.rate.token;
            bucket.level -= self.rate_per_destination.token;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> IcmpLimits {
        IcmpLimits { errors_per_second: 10, burst: 6, errors_per_second_per_destination: 2, burst_per_destination: 3 }
    }

    #[test]
    fn a_burst_then_the_rate_for_each_destination() {
        let mut limiter = Limiter::new(Instant::START, &limits(), 7);
        let one = IpAddr::from([192, 0, 2, 1]);
        let allowed = |limiter: &mut Limiter, now| (0..10).filter(|_| limiter.allows(now, one)).count();
        assert_eq!(allowed(&mut limiter, Instant::START), 3);
        assert_eq!(allowed(&mut limiter, Instant::START + Duration::from_millis(499)), 0);
        assert_eq!(allowed(&mut limiter, Instant::START + Duration::from_millis(500)), 1);
        assert_eq!(allowed(&mut limiter, Instant::START + Duration::from_secs(60)), 3);
    }

    #[test]
    fn all_destinations_together_have_their_limit() {
        let mut limiter = Limiter::new(Instant::START, &limits(), 7);
        let sent = (0..=255).filter(|&last| limiter.allows(Instant::START, [10, 0, 0, last].into())).count();
        assert_eq!(sent, 6);
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_pass() {
        let limits = IcmpLimits { errors_per_second: 0, ..limits() };
        let mut limiter = Limiter::new(Instant::START, &limits, 7);
        assert!(!limiter.allows(Instant::START + Duration::from_secs(3600), [10, 0, 0, 1].into()));
    }
}
