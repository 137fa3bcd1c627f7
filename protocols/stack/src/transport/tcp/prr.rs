//! Proportional Rate Reduction (RFC 9937): how much goes out during fast recovery.
//!
//! Responsible for sending at an even pace while the window shrinks to ssthresh, instead of waiting for half a window and then
//! sending in bursts.

/// The state of one recovery (RFC 9937 §6). All in octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProportionalRateReduction {
    /// prr_delivered: delivered since the recovery began.
    delivered: u64,
    /// prr_out: sent since then.
    out: u64,
    /// RecoverFS: on its way when it began.
    flight: u64,
    /// SndCnt, less what has been sent of it.
    allowance: u32,
}

impl ProportionalRateReduction {
    /// Recovery begins, with `flight` octets on their way that had not been delivered before. One segment may go at once.
    pub(crate) fn new(flight: u32, smss: u32) -> Self {
        Self { delivered: 0, out: 0, flight: u64::from(flight.max(1)), allowance: smss }
    }

    /// An acknowledgment has delivered octets. It is `safe` when it advances SND.UNA and shows no further loss.
    pub(crate) fn acknowledged(&mut self, delivered: u32, pipe: u32, ssthresh: u32, smss: u32, safe: bool) {
        self.delivered += u64::from(delivered);
        let count = if pipe > ssthresh {
            // "Proportional Rate Reduction: SndCnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out".
            (self.delivered * u64::from(ssthresh)).div_ceil(self.flight).saturating_sub(self.out)
        } else {
            // "PRR-SSRB: by default use PRR-CRB, SndCnt = MAX(prr_delivered - prr_out, DeliveredData); when recovery is in good
            // progress, if SafeACK then SndCnt += SMSS. Attempt to catch up: SndCnt = MIN(ssthresh - inflight, SndCnt)".
            let catch_up = self.delivered.saturating_sub(self.out).max(u64::from(delivered));
            let count = catch_up + if safe { u64::from(smss) } else { 0 };
            count.min(u64::from(ssthresh - pipe))
        };
        // "Force a fast retransmit upon entering recovery".
        let least = if self.out == 0 { smss } else { 0 };
        self.allowance = u32::try_from(count).unwrap_or(u32::MAX).max(least);
    }

    /// Octets have been sent.
    pub(crate) fn sent(&mut self, octets: u32) {
        self.out += u64::from(octets);
        self.allowance = self.allowance.saturating_sub(octets);
    }

    /// Octets that may be sent now.
    pub(crate) const fn allowance(&self) -> u32 {
        self.allowance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_halves_over_one_round_trip() {
        // 20 segments on their way, one lost; ssthresh is 10. Each acknowledgment delivers one.
        let mut prr = ProportionalRateReduction::new(20_000, 1000);
        let (mut pipe, mut sent) = (19_000, 0);
        for delivered in 1..=19 {
            pipe -= 1000;
            prr.acknowledged(1000, pipe, 10_000, 1000, false);
            while prr.allowance() >= 1000 {
                prr.sent(1000);
                pipe += 1000;
                sent += 1;
            }
            assert!(sent <= delivered / 2 + 1, "one for two, evenly: {sent} after {delivered}");
        }
        assert_eq!(pipe, 10_000);
    }

    #[test]
    fn after_heavy_loss_it_grows_back_to_the_threshold() {
        let mut prr = ProportionalRateReduction::new(20_000, 1000);
        prr.acknowledged(1000, 3000, 10_000, 1000, true);
        assert_eq!(prr.allowance(), 2000, "slow start: what was delivered and one more");
        prr.acknowledged(1000, 9500, 10_000, 1000, false);
        assert_eq!(prr.allowance(), 1000, "half a segment fits; the first one goes in any case");
        prr.sent(1000);
        prr.acknowledged(1000, 9500, 10_000, 1000, false);
        assert_eq!(prr.allowance(), 500, "no more than the threshold");
    }
}
