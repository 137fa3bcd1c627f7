//! The key `tls` of a section.
//!
//! Responsible for the ways to write it. What it says is checked in `acceptor`.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The directory of a lab's authority, beside the configuration file.
const AUTHORITY: &str = "authority";

/// Where certificates come from: one of `{ certificate = "cert.pem", key = "key.pem" }`, a list of such, `"lab"`, or
/// `{ authority = "DIRECTORY" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsConfiguration {
    /// This one.
    Certificate(CertificateConfiguration),
    /// The first of these that is made out to the name that the client asks for; else the first.
    Certificates(Vec<CertificateConfiguration>),
    /// Certificates that are made when they are asked for, by an authority kept in this directory. `"lab"` is the
    /// directory `authority` beside the configuration file.
    Authority(PathBuf),
}

/// Two files in PEM form (RFC 7468), relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfiguration {
    /// The certificate, and those between it and the root, in this order.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC).
    pub key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    authority: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for TlsConfiguration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = TlsConfiguration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"lab\", a table with `certificate` and `key`, or a list of such tables")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "lab" => Ok(TlsConfiguration::Authority(AUTHORITY.into())),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        match Table::deserialize(MapAccessDeserializer::new(map))? {
            Table { certificate: Some(certificate), key: Some(key), authority: None } => {
                Ok(TlsConfiguration::Certificate(CertificateConfiguration { certificate, key }))
            }
            Table { certificate: None, key: None, authority: Some(authority) } => {
                Ok(TlsConfiguration::Authority(authority))
            }
            Table { authority: Some(_), .. } => Err(A::Error::custom("`authority` makes the certificates and keys")),
            Table { certificate: None, .. } => Err(A::Error::missing_field("certificate")),
            Table { key: None, .. } => Err(A::Error::missing_field("key")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(TlsConfiguration::Certificates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Section {
        tls: TlsConfiguration,
    }

    fn read(text: &str) -> Result<TlsConfiguration, String> {
        toml::from_str::<Section>(text).map(|section| section.tls).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn the_ways_to_write_it() {
        let files = CertificateConfiguration { certificate: "c.pem".into(), key: "k.pem".into() };
        let table = r#"{ certificate = "c.pem", key = "k.pem" }"#;
        assert_eq!(read("tls = \"lab\""), Ok(TlsConfiguration::Authority("authority".into())));
        assert_eq!(read("tls = { authority = \"d\" }"), Ok(TlsConfiguration::Authority("d".into())));
        assert_eq!(read(&format!("tls = {table}")), Ok(TlsConfiguration::Certificate(files.clone())));
        let several = TlsConfiguration::Certificates(vec![files.clone(), files]);
        assert_eq!(read(&format!("tls = [{table}, {table}]")), Ok(several));
    }

    #[test]
    fn the_ways_to_get_it_wrong() {
        let wrong = |text: &str| read(text).unwrap_err();
        assert!(wrong("tls = \"labs\"").contains("expected \"lab\""));
        assert!(wrong("tls = { certificate = \"c\" }").contains("missing field `key`"));
        assert!(wrong("tls = { key = \"c\" }").contains("missing field `certificate`"));
        assert!(wrong("tls = { certificat = \"c\" }").contains("unknown field `certificat`"));
        assert!(wrong("tls = { authority = \"d\", key = \"c\" }").contains("authority"));
        assert!(wrong("tls = [{ certificate = \"c\" }]").contains("missing field `key`"));
        assert!(wrong("tls = true").contains("expected \"lab\""));
    }
}
