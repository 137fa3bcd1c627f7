//! Certificates from files, and which of them a client gets.
//!
//! Responsible for reading and checking them when a configuration is prepared. Everything wrong is told with its key.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use tapster_service::{PathElement, Preparation, Problem};

use crate::CertificateConfiguration;
use crate::clock::Clock;

/// The largest file that is read, in bytes.
const MAXIMUM_FILE: u64 = 1 << 20;
/// How long before its end a certificate is warned of.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Certificates, of which the client's SNI (RFC 6066 §3) chooses.
#[derive(Debug)]
pub(crate) struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    pub(crate) const fn new(certificates: Vec<Arc<CertifiedKey>>) -> Self {
        Self(certificates)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let first = self.0.first();
        if self.0.len() < 2 {
            return first.cloned();
        }
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fits = |certificate: &&Arc<CertifiedKey>| {
            let parsed = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
            let (Some(name), Ok(parsed)) = (&name, parsed) else { return false };
            verify_server_name(&parsed, name).is_ok()
        };
        self.0.iter().find(fits).or(first).cloned()
    }
}

/// Reads one certificate with its chain and key. What is wrong is reported below the key `at`.
pub(crate) fn read(
    configuration: &CertificateConfiguration,
    at: &[PathElement],
    clock: &Clock,
    provider: &CryptoProvider,
    preparation: &mut Preparation<'_>,
) -> Option<Arc<CertifiedKey>> {
    let key = |name: &str| at.iter().cloned().chain([name.into()]).collect::<Vec<_>>();
    let certificate_path = preparation.resolve(&configuration.certificate);
    let key_path = preparation.resolve(&configuration.key);
    let chain = read_chain(&certificate_path).map_err(|message| Problem::error(key("certificate"), message));
    let private = read_key(&key_path).map_err(|message| Problem::error(key("key"), message));
    if let Ok(metadata) = key_path.metadata()
        && metadata.permissions().mode() & 0o007 != 0
    {
        let message = format!("everybody on this machine may read {}", key_path.display());
        preparation.report(Problem::error(key("key"), message).as_warning().with_help("chmod 600 it"));
    }
    let (chain, private) = match (chain, private) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => {
            chain.err().into_iter().chain(private.err()).for_each(|problem| preparation.report(problem));
            return None;
        }
    };
    if let Some(message) = chain.first().and_then(|certificate| wrong_with_validity(certificate, clock, provider)) {
        let message = format!("{}: {message}", certificate_path.display());
        preparation.report(Problem::error(key("certificate"), message).as_warning());
    }
    match CertifiedKey::from_der(chain, private, provider) {
        Ok(certified) => Some(Arc::new(certified)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let message = format!("the key {} is not that of {}", key_path.display(), certificate_path.display());
            preparation.report(Problem::error(key("key"), message));
            None
        }
        Err(Error::InvalidCertificate(error)) => {
            let message = format!("the certificate {} cannot be used: {error}", certificate_path.display());
            preparation.report(Problem::error(key("certificate"), message));
            None
        }
        Err(error) => {
            let message = format!("the key {} cannot be used: {error}", key_path.display());
            preparation.report(Problem::error(key("key"), message));
            None
        }
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let content = read_file(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let chain = chain.map_err(|error| format!("{} is no PEM file: {error}", path.display()))?;
    if chain.is_empty() { Err(format!("no certificate is in {}", path.display())) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let content = read_file(path)?;
    PrivateKeyDer::from_pem_slice(&content).map_err(|_| {
        let encrypted = content.windows(9).any(|window| window == b"ENCRYPTED");
        let why = if encrypted { "the key is encrypted" } else { "no private key in PEM form is in it" };
        format!("{} cannot be used: {why}", path.display())
    })
}

/// A file of bounded size.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAXIMUM_FILE + 1).read_to_end(&mut content));
    match read {
        Ok(length) if length as u64 > MAXIMUM_FILE => Err(format!("{} is larger than 1MiB", path.display())),
        Ok(_) => Ok(content),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// Whether a certificate is not valid now, or not for long.
pub(crate) fn wrong_with_validity(
    certificate: &CertificateDer<'_>,
    clock: &Clock,
    provider: &CryptoProvider,
) -> Option<&'static str> {
    let now = clock.current_time()?;
    let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
    match validity(certificate, now, provider) {
        Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Some("the certificate has expired")
        }
        Some(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            Some("the certificate is not valid yet")
        }
        _ => match validity(certificate, soon, provider) {
            Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                Some("the certificate expires within two weeks")
            }
            _ => None,
        },
    }
}

/// What stands against a certificate at a time. Without any root nothing is ever trusted, but the dates are looked at
/// before that: so no other reader of certificates is needed.
fn validity(certificate: &CertificateDer<'_>, at: UnixTime, provider: &CryptoProvider) -> Option<CertificateError> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let algorithms = provider.signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], at, algorithms) {
        Err(Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
