//! Response rate limiting: so that forged queries cannot turn the server on somebody else.
//!
//! Responsible for counting alike responses to one network, and for what becomes of those beyond the limit. Over TCP the
//! client's address cannot be forged, so only [`crate::udp`] uses this.
//!
//! Alike are responses with the same code and, where there are answers, the same name. A network is a /24 or a /56. The
//! table has a fixed size; what falls into a place that another holds takes it over, so an attacker can make the limit
//! forget, but not make it grow.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::cookie::Secret;
use crate::name::LookupName;
use crate::query::{Flags, HEADER};

/// How many kinds of responses are counted at once.
const PLACES: usize = 16_384;
/// How far ahead of its rate a network may be: this long at full rate.
const BURST: Duration = Duration::from_secs(1);

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send,
    /// It is sent without records and with TC, so that a real client can ask again over TCP.
    Truncate,
    Drop,
}

/// What is known of one kind of responses to one network.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: u64,
    /// When all that was sent will be within the rate.
    paid: Instant,
    /// How many were beyond the limit.
    limited: u32,
}

/// Counts responses.
pub(crate) struct RateLimiter {
    /// Between two responses at full rate.
    interval: Duration,
    /// Every so many responses beyond the limit is truncated and not dropped; 0: none.
    slip: u32,
    places: Vec<Option<Place>>,
}

impl RateLimiter {
    /// A limit of `rate` responses a second; nothing if that is 0.
    pub(crate) fn new(rate: u32, slip: u32) -> Option<Self> {
        let interval = Duration::from_secs(1).checked_div(rate)?;
        Some(Self { interval, slip, places: vec![None; PLACES] })
    }

    /// Counts a response, which must be a whole message, and tells what becomes of it.
    pub(crate) fn count(&mut self, address: IpAddr, response: &[u8], secret: &Secret, now: Instant) -> Verdict {
        let key = secret.hash(&network(address), &likeness(response));
        let length = u64::try_from(self.places.len()).unwrap_or(1);
        let index = usize::try_from(key % length).unwrap_or(0);
        let Some(slot) = self.places.get_mut(index) else { return Verdict::Send };
        let place = match slot {
            Some(place) if place.key == key => place,
            _ => slot.insert(Place { key, paid: now, limited: 0 }),
        };
        let paid = place.paid.max(now) + self.interval;
        if paid.duration_since(now) <= BURST {
            place.paid = paid;
            place.limited = 0;
            return Verdict::Send;
        }
        place.limited = place.limited.wrapping_add(1);
        if self.slip > 0 && place.limited.is_multiple_of(self.slip) { Verdict::Truncate } else { Verdict::Drop }
    }
}

/// Leaves of a message the header, with TC, and the question.
pub(crate) fn truncate(response: &mut Vec<u8>) {
    let question = response.get(HEADER..).and_then(|rest| LookupName::read(rest).ok());
    let length = match (question, response.get(4..6)) {
        (Some(name), Some([0, 1])) => HEADER + name.as_wire().len() + 4,
        _ => HEADER,
    };
    response.truncate(length);
    if let Some(flags) = response.get_mut(2) {
        *flags |= Flags::TRUNCATED.to_be_bytes()[0];
    }
    if let Some(counts) = response.get_mut(6..HEADER) {
        counts.fill(0);
    }
}

/// The octets of an address that tell its network.
fn network(address: IpAddr) -> [u8; 8] {
    let mut network = [0; 8];
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            network = [4, a, b, c, 0, 0, 0, 0];
        }
        IpAddr::V6(address) => {
            let octets = address.octets().into_iter().take(7);
            for (place, octet) in network.iter_mut().zip([6].into_iter().chain(octets)) {
                *place = octet;
            }
        }
    }
    network
}

/// What is the same in alike responses: the code, and the name if it has records.
fn likeness(response: &[u8]) -> Vec<u8> {
    let code = response.get(3).map_or(0, |flags| flags & 0xf);
    let answered = response.get(6..8).is_some_and(|count| count != [0, 0]);
    let name = response.get(HEADER..).filter(|_| answered).and_then(|rest| LookupName::read(rest).ok());
    let mut likeness = vec![code];
    likeness.extend_from_slice(name.as_ref().map_or(&[], LookupName::as_wire));
    likeness
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;
    use hickory_proto::rr::RecordType;

    use super::*;
    use crate::server::Via;
    use crate::server::testing::{client, example, query};

    fn response(name: &str) -> Vec<u8> {
        let mut buffer = Vec::new();
        let query = query(name, RecordType::A).to_vec().unwrap();
        example().respond(&query, &client(Via::Udp { payload_limit: 1472 }), &mut buffer);
        buffer
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const SECRET: Secret = Secret::new([7; 16]);

    #[test]
    fn a_network_gets_its_rate() {
        let mut limiter = RateLimiter::new(10, 2).unwrap();
        let www = response("www.example.test.");
        let mut now = Instant::now();
        let count = |limiter: &mut RateLimiter, last: &str, response: &[u8], now| {
            limiter.count(address(last), response, &SECRET, now)
        };
        for _ in 0..10 {
            assert_eq!(count(&mut limiter, "192.0.2.1", &www, now), Verdict::Send);
        }
        assert_eq!(count(&mut limiter, "192.0.2.200", &www, now), Verdict::Drop);
        assert_eq!(count(&mut limiter, "192.0.2.1", &response("WWW.EXAMPLE.TEST."), now), Verdict::Truncate);
        assert_eq!(count(&mut limiter, "192.0.2.1", &www, now), Verdict::Drop);
        // Another network, another name.
        assert_eq!(count(&mut limiter, "192.0.3.1", &www, now), Verdict::Send);
        assert_eq!(count(&mut limiter, "192.0.2.1", &response("mail.example.test."), now), Verdict::Send);
        now += Duration::from_millis(100);
        assert_eq!(count(&mut limiter, "192.0.2.1", &www, now), Verdict::Send);
        assert_eq!(count(&mut limiter, "192.0.2.1", &www, now), Verdict::Drop);
    }

    #[test]
    fn names_that_do_not_exist_are_alike() {
        let mut limiter = RateLimiter::new(1, 0).unwrap();
        let now = Instant::now();
        let mut count = |name: &str| limiter.count(address("2001:db8::1"), &response(name), &SECRET, now);
        assert_eq!(count("a.example.test."), Verdict::Send);
        assert_eq!(count("b.example.test."), Verdict::Drop);
        assert_eq!(count("d.example.test."), Verdict::Drop);
        assert_eq!(count("www.example.test."), Verdict::Send);
    }

    #[test]
    fn networks() {
        assert_eq!(network(address("2001:db8:1:2ff::1")), network(address("2001:db8:1:200::2")));
        assert_ne!(network(address("2001:db8:1:2ff::1")), network(address("2001:db8:1:300::1")));
        assert_ne!(network(address("192.0.2.1")), network(address("192.0.3.1")));
    }

    #[test]
    fn a_truncated_response_has_the_question_alone() {
        let mut buffer = response("www.example.test.");
        truncate(&mut buffer);
        let message = Message::from_vec(&buffer).unwrap();
        assert!(message.metadata.truncation);
        assert_eq!((message.queries.len(), message.answers.len()), (1, 0));
        assert_eq!(buffer.len(), 12 + 18 + 4);
        let mut header = vec![0; 12];
        truncate(&mut header);
        assert_eq!(header.len(), 12);
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert!(RateLimiter::new(0, 2).is_none());
    }
}
