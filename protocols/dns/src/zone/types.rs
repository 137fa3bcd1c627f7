//! Record types: their numbers, their names, and how their data are made up.
//!
//! Responsible for one table, and for the generic names `TYPE123` (RFC 3597 §5). Types that the table lacks are
//! looked for in hickory-proto, which reads the data of some more ([`Data::Hickory`]).

use std::str::FromStr;

use hickory_proto::rr::RecordType as HickoryType;

/// The number of a record type, or of a QTYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RecordType(pub(crate) u16);

/// One field of a record's data, as it stands in a master file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    U8,
    U16,
    U32,
    /// Seconds, with or without units.
    Time,
    Name,
    Ipv4,
    Ipv6,
    /// A character-string (RFC 1035 §3.3): a length octet and up to 255 octets.
    String,
    /// All further words, at least one, each a character-string.
    Strings,
    /// A word of any length, without a length octet.
    Octets,
    /// Letters and digits behind a length octet (RFC 8659 §4.1.1).
    Tag,
    /// All further words, base 16.
    Hexadecimal,
    /// All further words, base 64.
    Base64,
}

/// How the data of a type are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Fields(&'static [Field]),
    /// By hickory-proto's parser of record data.
    Hickory(HickoryType),
    /// Only in the generic form (RFC 3597 §5).
    Generic,
}

use Field::{Base64, Hexadecimal, Ipv4, Ipv6, Name, Octets, String as Text, Strings, Tag, Time, U8, U16, U32};

/// Number, name, fields. The names are those of IANA's registry.
const TABLE: &[(u16, &str, &[Field])] = &[
    (1, "A", &[Ipv4]),
    (2, "NS", &[Name]),
    (5, "CNAME", &[Name]),
    (6, "SOA", &[Name, Name, U32, Time, Time, Time, Time]),
    (12, "PTR", &[Name]),
    (13, "HINFO", &[Text, Text]),
    (15, "MX", &[U16, Name]),
    (16, "TXT", &[Strings]),
    (17, "RP", &[Name, Name]),
    (18, "AFSDB", &[U16, Name]),
    (28, "AAAA", &[Ipv6]),
    (33, "SRV", &[U16, U16, U16, Name]),
    (35, "NAPTR", &[U16, U16, Text, Text, Text, Name]),
    (36, "KX", &[U16, Name]),
    (39, "DNAME", &[Name]),
    (43, "DS", &[U16, U8, U8, Hexadecimal]),
    (44, "SSHFP", &[U8, U8, Hexadecimal]),
    (48, "DNSKEY", &[U16, U8, U8, Base64]),
    (49, "DHCID", &[Base64]),
    (52, "TLSA", &[U8, U8, U8, Hexadecimal]),
    (53, "SMIMEA", &[U8, U8, U8, Hexadecimal]),
    (59, "CDS", &[U16, U8, U8, Hexadecimal]),
    (60, "CDNSKEY", &[U16, U8, U8, Base64]),
    (61, "OPENPGPKEY", &[Base64]),
    (99, "SPF", &[Strings]),
    (256, "URI", &[U16, U16, Octets]),
    (257, "CAA", &[U8, Tag, Octets]),
];

impl RecordType {
    pub(crate) const A: Self = Self(1);
    pub(crate) const NS: Self = Self(2);
    pub(crate) const CNAME: Self = Self(5);
    pub(crate) const SOA: Self = Self(6);
    pub(crate) const PTR: Self = Self(12);
    pub(crate) const MX: Self = Self(15);
    pub(crate) const TXT: Self = Self(16);
    pub(crate) const AAAA: Self = Self(28);
    pub(crate) const SRV: Self = Self(33);
    pub(crate) const DNAME: Self = Self(39);
    pub(crate) const OPT: Self = Self(41);
    pub(crate) const DS: Self = Self(43);
    pub(crate) const SVCB: Self = Self(64);
    pub(crate) const HTTPS: Self = Self(65);
    pub(crate) const TSIG: Self = Self(250);
    pub(crate) const IXFR: Self = Self(251);
    pub(crate) const AXFR: Self = Self(252);
    pub(crate) const ANY: Self = Self(255);
    pub(crate) const CAA: Self = Self(257);

    /// The type of a name such as `MX` or `TYPE15`, in any case of letters.
    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.to_ascii_uppercase();
        if let Some((number, ..)) = TABLE.iter().find(|(_, name, _)| *name == text) {
            return Some(Self(*number));
        }
        if let Some(number) = text.strip_prefix("TYPE") {
            return number.parse().ok().map(Self);
        }
        HickoryType::from_str(&text).ok().map(|known| Self(u16::from(known)))
    }

    /// Its name.
    pub(crate) fn name(self) -> String {
        match TABLE.iter().find(|(number, ..)| *number == self.0) {
            Some((_, name, _)) => (*name).to_owned(),
            None => match HickoryType::from(self.0) {
                HickoryType::Unknown(number) => format!("TYPE{number}"),
                known => known.to_string(),
            },
        }
    }

    /// How its data are read.
    pub(crate) fn data(self) -> Data {
        if let Some((.., fields)) = TABLE.iter().find(|(number, ..)| *number == self.0) {
            return Data::Fields(fields);
        }
        match HickoryType::from(self.0) {
            known @ (HickoryType::SVCB | HickoryType::HTTPS | HickoryType::CERT | HickoryType::CSYNC) => {
                Data::Hickory(known)
            }
            _ => Data::Generic,
        }
    }

    /// Whether such a record can stand in a zone: QTYPEs and records of a message's own cannot (RFC 6895 §3.1).
    pub(crate) fn is_data(self) -> bool {
        self.0 != 0 && self != Self::OPT && !(128..=255).contains(&self.0) && self.0 != u16::MAX
    }

    /// How many octets precede the first name in its data and how many names follow, of those that may be
    /// compressed (RFC 3597 §4).
    pub(crate) fn compressible(self) -> (usize, usize) {
        match self {
            Self::NS | Self::CNAME | Self::PTR => (0, 1),
            Self::SOA => (0, 2),
            Self::MX => (2, 1),
            _ => (0, 0),
        }
    }

    /// How many octets of its data precede the name whose addresses belong into the additional section
    /// (RFC 1035 §3.3, RFC 2782, RFC 9460 §4.1).
    pub(crate) fn additional(self) -> Option<usize> {
        match self {
            Self::NS => Some(0),
            Self::MX | Self::SVCB | Self::HTTPS => Some(2),
            Self::SRV => Some(6),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (number, name, _) in TABLE {
            assert_eq!(RecordType::from_text(name.as_bytes()), Some(RecordType(*number)));
            assert_eq!(RecordType(*number).name(), *name);
        }
        assert_eq!(RecordType::from_text(b"type15"), Some(RecordType::MX));
        assert_eq!(RecordType::from_text(b"https"), Some(RecordType::HTTPS));
        assert_eq!(RecordType(65_280).name(), "TYPE65280");
        for wrong in ["", "TYPE", "TYPE65536", "TYPE-1", "WWW", "\u{e9}"] {
            assert_eq!(RecordType::from_text(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
