//! The MTU of paths that are narrower than our link (RFC 1191).
//!
//! Responsible for remembering what routers have reported, for a time, and for guessing when a router did not say how
//! much it takes. Not for believing a report: the transport whose packet it quotes has checked that.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::FixedState;

use super::configuration::PathMtuLimits;
use crate::Instant;

/// The MTUs that are in use on the way (RFC 1191 §7.1), the largest first.
const PLATEAUS: [usize; 10] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

#[derive(Clone, Copy, Debug)]
struct Path {
    mtu: usize,
    /// The router takes less than we are willing to send: routers may fragment.
    below_minimum: bool,
    expires: Instant,
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathMtu {
    /// The largest packet, in octets.
    pub(crate) mtu: usize,
    /// Whether packets must go without the DF bit.
    pub(crate) below_minimum: bool,
}

/// The paths that are remembered.
#[derive(Debug)]
pub(crate) struct PathMtus {
    paths: HashMap<IpAddr, Path, FixedState>,
    limits: PathMtuLimits,
}

impl PathMtus {
    pub(crate) fn new(limits: PathMtuLimits, hash_seed: u64) -> Self {
        Self { paths: HashMap::with_hasher(FixedState::with_seed(hash_seed)), limits }
    }

    /// The path to a destination, if it is narrower than the link.
    pub(crate) fn get(&self, now: Instant, destination: IpAddr) -> Option<PathMtu> {
        // Almost always there is none, which costs no look-up.
        if self.paths.is_empty() {
            return None;
        }
        let path = self.paths.get(&destination).filter(|path| now < path.expires)?;
        Some(PathMtu { mtu: path.mtu, below_minimum: path.below_minimum })
    }

    /// A router reports what it takes. Only less than before counts (RFC 1191 §6.3: more is found out by ageing).
    /// Whether anything has changed.
    pub(crate) fn lower(&mut self, now: Instant, destination: IpAddr, mtu: usize, link_mtu: usize) -> bool {
        let below_minimum = mtu < self.limits.minimum;
        let mtu = mtu.max(self.limits.minimum);
        let known = self.get(now, destination).unwrap_or(PathMtu { mtu: link_mtu, below_minimum: false });
        if mtu >= known.mtu && (!below_minimum || known.below_minimum) {
            return false;
        }
        if !self.paths.contains_key(&destination) {
            self.make_room(now);
        }
        let expires = now + self.limits.lifetime;
        self.paths.insert(destination, Path { mtu: mtu.min(known.mtu), below_minimum, expires });
        true
    }

    fn make_room(&mut self, now: Instant) {
        let capacity = self.limits.capacity.max(1);
        if self.paths.len() >= capacity {
            self.paths.retain(|_, path| now < path.expires);
        }
        while self.paths.len() >= capacity {
            let oldest = self.paths.iter().map(|(&address, path)| (path.expires, address)).min();
            let Some((_, oldest)) = oldest else { return };
            self.paths.remove(&oldest);
        }
    }
}

/// The next smaller MTU in use than the packet that did not fit (RFC 1191 §7), for a router that does not say.
pub(crate) fn next_plateau(packet_length: usize) -> usize {
    PLATEAUS.into_iter().find(|&plateau| plateau < packet_length).unwrap_or(68)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ip(last: u8) -> IpAddr {
        [203, 0, 113, last].into()
    }

    fn mtu(paths: &PathMtus, now: Instant, last: u8) -> Option<usize> {
        paths.get(now, ip(last)).map(|path| path.mtu)
    }

    #[test]
    fn a_path_narrows_and_grows_back_with_age() {
        let mut paths = PathMtus::new(PathMtuLimits::default(), 1);
        let start = Instant::START;
        assert!(paths.lower(start, ip(1), 1400, 1500));
        assert!(!paths.lower(start, ip(1), 1450, 1500), "RFC 1191 §6.3: never raised by a report");
        assert!(!paths.lower(start, ip(2), 1500, 1500));
        assert_eq!(mtu(&paths, start, 1), Some(1400));
        assert!(paths.lower(start, ip(1), 1000, 1500));
        assert_eq!(mtu(&paths, start + Duration::from_secs(599), 1), Some(1000));
        assert_eq!(mtu(&paths, start + Duration::from_secs(600), 1), None);
    }

    #[test]
    fn tiny_reports_are_cut_and_lift_the_df_bit() {
        let mut paths = PathMtus::new(PathMtuLimits::default(), 1);
        assert!(paths.lower(Instant::START, ip(1), 296, 1500));
        assert_eq!(paths.get(Instant::START, ip(1)), Some(PathMtu { mtu: 552, below_minimum: true }));
        assert!(!paths.lower(Instant::START, ip(1), 68, 1500));
    }

    #[test]
    fn the_number_of_paths_is_bounded() {
        let mut paths = PathMtus::new(PathMtuLimits { capacity: 3, ..PathMtuLimits::default() }, 1);
        for last in 0..9 {
            assert!(paths.lower(Instant::START + Duration::from_secs(last.into()), ip(last), 1400, 1500));
        }
        assert_eq!(paths.paths.len(), 3);
        let later = Instant::START + Duration::from_secs(9);
        assert_eq!([5, 6, 7, 8].map(|last| mtu(&paths, later, last)), [None, Some(1400), Some(1400), Some(1400)]);
    }

    #[test]
    fn plateaus_are_those_of_rfc_1191_section_7() {
        assert_eq!([65_535, 1500, 1492, 68, 20].map(next_plateau), [32_000, 1492, 1006, 68, 68]);
    }
}
