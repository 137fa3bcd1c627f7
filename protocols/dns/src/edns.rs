//! The OPT record of a response (RFC 6891).
//!
//! Responsible for its size and its octets. What a query's OPT record says is read in [`crate::query`].

use crate::cookie::{CLIENT, SERVER};
use crate::zone::RecordType;

/// Option codes of IANA's registry.
pub(crate) const NSID: u16 = 3;
pub(crate) const COOKIE: u16 = 10;
pub(crate) const KEEPALIVE: u16 = 11;
const EXTENDED_ERROR: u16 = 15;

/// Octets of an OPT record without options.
const OPT: usize = 11;
/// Octets of an option's code and length.
const OPTION: usize = 4;

/// A reason for a response code (RFC 8914 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtendedError {
    /// The name is in no zone that is served.
    NotAuthoritative,
    /// Such a query is never answered here.
    NotSupported,
}

impl ExtendedError {
    fn code(self) -> u16 {
        match self {
            Self::NotAuthoritative => 20,
            Self::NotSupported => 21,
        }
    }
}

/// What a response says by EDNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseEdns<'s> {
    /// The largest message over UDP that we take, in octets.
    pub(crate) payload_size: u16,
    /// Copied from the query (RFC 3225 §3).
    pub(crate) dnssec_ok: bool,
    /// The name server's identifier (RFC 5001), up to 128 octets.
    pub(crate) nsid: Option<&'s str>,
    /// The client's cookie and ours (RFC 7873 §4.2).
    pub(crate) cookie: Option<([u8; CLIENT], [u8; SERVER])>,
    /// In units of 100 ms (RFC 7828 §3.1).
    pub(crate) keepalive: Option<u16>,
    /// RFC 8914.
    pub(crate) extended_error: Option<ExtendedError>,
}

impl ResponseEdns<'_> {
    fn options(&self) -> usize {
        self.nsid.map_or(0, |nsid| OPTION + nsid.len())
            + self.cookie.map_or(0, |_| OPTION + CLIENT + SERVER)
            + self.keepalive.map_or(0, |_| OPTION + 2)
            + self.extended_error.map_or(0, |_| OPTION + 2)
    }

    /// How many octets it takes.
    pub(crate) fn length(&self) -> usize {
        OPT + self.options()
    }

    /// Appends it. The upper bits of the response's code stand here (RFC 6891 §6.1.3).
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, code: u16) {
        let extended = u8::try_from(code >> 4).unwrap_or(0);
        buffer.push(0);
        buffer.extend(RecordType::OPT.0.to_be_bytes());
        buffer.extend(self.payload_size.to_be_bytes());
        // Version 0, and the flags, of which only DO is defined.
        buffer.extend([extended, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
        buffer.extend(u16::try_from(self.options()).unwrap_or(0).to_be_bytes());
        let mut option = |code: u16, parts: [&[u8]; 2]| {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            buffer.extend(code.to_be_bytes());
            buffer.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
            for part in parts {
                buffer.extend_from_slice(part);
            }
        };
        if let Some(nsid) = self.nsid {
            option(NSID, [nsid.as_bytes(), &[]]);
        }
        if let Some((client, server)) = &self.cookie {
            option(COOKIE, [client, server]);
        }
        if let Some(timeout) = self.keepalive {
            option(KEEPALIVE, [&timeout.to_be_bytes(), &[]]);
        }
        if let Some(error) = self.extended_error {
            option(EXTENDED_ERROR, [&error.code().to_be_bytes(), &[]]);
        }
    }
}
