//! DNS cookies (RFC 7873), in the form that several servers can share (RFC 9018).
//!
//! Responsible for making a server's cookie and for telling whether one is ours. A cookie shows that the client gets
//! what is sent to its address; a client that has none, or an old one, is answered all the same and given one.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// Octets of a client's cookie (RFC 7873 §4.1).
pub(crate) const CLIENT: usize = 8;
/// Octets of our cookies (RFC 9018 §4).
pub(crate) const SERVER: usize = 16;
/// Version 1 and three reserved octets (RFC 9018 §4.1, §4.2).
const VERSION: [u8; 4] = [1, 0, 0, 0];

/// What the cookies are made with. Servers that share an address need the same one.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u8; 16]);

impl Secret {
    pub(crate) const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// A secret of 32 digits of base 16.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        octets.try_into().ok().map(Self)
    }

    /// The cookie for a client, at a time in seconds since 1970 (RFC 9018 §4.3, §4.4).
    pub(crate) fn cookie(&self, client: [u8; CLIENT], address: IpAddr, time: u32) -> [u8; SERVER] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&client);
        hasher.write(&VERSION);
        hasher.write(&time.to_be_bytes());
        match address {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        let mut cookie = [0; SERVER];
        let parts = VERSION.into_iter().chain(time.to_be_bytes()).chain(hasher.finish().to_le_bytes());
        for (place, octet) in cookie.iter_mut().zip(parts) {
            *place = octet;
        }
        cookie
    }

    /// A hash of two parts that nobody else can work out; unlike that of any cookie.
    pub(crate) fn hash(&self, first: &[u8; 8], second: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(first);
        // Where a cookie has its version.
        hasher.write(&[0; 4]);
        hasher.write(second);
        hasher.finish()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(secret: &str, client: u64, address: &str, time: u32) -> u128 {
        let secret = Secret::from_text(secret).unwrap();
        u128::from_be_bytes(secret.cookie(client.to_be_bytes(), address.parse().unwrap(), time))
    }

    #[test]
    fn the_vectors_of_rfc_9018() {
        assert_eq!(
            cookie("e5e973e5a6b2a43f48e7dc849e37bfcf", 0x2464_c4ab_cf10_c957, "198.51.100.100", 0x5cf7_9f11),
            0x0100_0000_5cf7_9f11_1f81_30c3_eee2_9480
        );
        assert_eq!(
            cookie(
                "445536bcd2513298075a5d379663c962",
                0x2268_1ab9_7d52_c298,
                "2001:db8:220:1:59de:d0f4:8769:82b8",
                0x5cf7_c609
            ),
            0x0100_0000_5cf7_c609_a6bb_79d1_6625_507a
        );
    }

    #[test]
    fn secrets() {
        for wrong in ["", "00", "e5e973e5a6b2a43f48e7dc849e37bfc", "e5e973e5a6b2a43f48e7dc849e37bfcg"] {
            assert!(Secret::from_text(wrong).is_none(), "{wrong}");
        }
    }
}
