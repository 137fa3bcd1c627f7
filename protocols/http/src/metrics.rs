//! The file server's counters.
//!
//! Responsible for their names and for keeping every label's values few. A counter is looked up once and then kept.

use std::sync::{Arc, OnceLock};

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::{Completed, Limit, Method};

/// The statuses that have a label of their own.
const CODES: [u16; 26] = [
    200, 201, 204, 206, 301, 302, 304, 307, 308, 400, 403, 404, 405, 408, 412, 413, 414, 416, 417, 421, 431, 500, 501,
    503, 505, 507,
];
/// A row has the codes, one for any other code, and one for requests that were never answered.
const COLUMNS: usize = CODES.len() + 2;

/// The counters. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: IntCounterVec,
    /// The counters of `requests` that have been used, by method and code; the last row is for requests whose method
    /// is not known because they could not be parsed.
    resolved: Vec<[OnceLock<IntCounter>; COLUMNS]>,
    response_bytes: IntCounter,
    in_flight: IntGauge,
    limits: Vec<IntCounter>,
    cache_hits: IntCounter,
    cache_misses: IntCounter,
    tls: tapster_tls::Metrics,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// What the registry says, such as that a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("tapster_http_requests_total", "Requests answered, by method and status code."),
            &["method", "code"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let response_bytes = counter("tapster_http_response_bytes_total", "Bytes of response bodies sent.")?;
        let in_flight = IntGauge::new("tapster_http_requests_in_flight", "Requests that are being answered.")?;
        registry.register(Box::new(in_flight.clone()))?;
        let limits =
            IntCounterVec::new(Opts::new("tapster_http_limits_hit_total", "How often a limit was hit."), &["limit"])?;
        registry.register(Box::new(limits.clone()))?;
        let cache = IntCounterVec::new(
            Opts::new("tapster_http_cache_lookups_total", "Look-ups in the cache of small files."),
            &["result"],
        )?;
        registry.register(Box::new(cache.clone()))?;
        Ok(Self(Arc::new(Inner {
            requests,
            resolved: (0..=Method::ALL.len()).map(|_| std::array::from_fn(|_| OnceLock::new())).collect(),
            response_bytes,
            in_flight,
            limits: Limit::ALL.iter().map(|limit| limits.with_label_values(&[limit.name()])).collect(),
            cache_hits: cache.with_label_values(&["hit"]),
            cache_misses: cache.with_label_values(&["miss"]),
            tls: tapster_tls::Metrics::new(registry, "http")?,
        })))
    }

    pub(crate) fn tls(&self) -> &tapster_tls::Metrics {
        &self.0.tls
    }

    pub(crate) fn started(&self) {
        self.0.in_flight.inc();
    }

    pub(crate) fn ended(&self) {
        self.0.in_flight.dec();
    }

    pub(crate) fn completed(&self, completed: &Completed<'_>) {
        self.0.response_bytes.inc_by(completed.body_bytes);
        let row = completed.method.map_or(Method::ALL.len(), |method| method as usize);
        let column = match completed.status {
            0 => CODES.len() + 1,
            status => CODES.iter().position(|code| *code == status).unwrap_or(CODES.len()),
        };
        let Some(slot) = self.0.resolved.get(row).and_then(|row| row.get(column)) else { return };
        slot.get_or_init(|| {
            let code = CODES.get(column).map(ToString::to_string);
            let other = if completed.status == 0 { "none" } else { "other" };
            let method = completed.method.map_or("unknown", Method::name);
            self.0.requests.with_label_values(&[method, code.as_deref().unwrap_or(other)])
        })
        .inc();
    }

    pub(crate) fn limit(&self, limit: Limit) {
        if let Some(counter) = self.0.limits.get(limit as usize) {
            counter.inc();
        }
    }

    pub(crate) fn cache_hit(&self) {
        self.0.cache_hits.inc();
    }

    pub(crate) fn cache_miss(&self) {
        self.0.cache_misses.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_methods_and_limits_are_their_places() {
        assert!(Method::ALL.iter().enumerate().all(|(place, method)| place == *method as usize));
        assert!(Limit::ALL.iter().enumerate().all(|(place, limit)| place == *limit as usize));
    }
}
