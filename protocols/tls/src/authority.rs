//! The authority of a lab: a root of its own that makes certificates when they are asked for.
//!
//! Responsible for keeping the root in a directory (`ca.pem` to be given to clients, `ca.key` to be kept), and for making
//! certificates for the names that are served. Not for anything that leaves the lab: the root is worth no more than the
//! machine that keeps its key.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use tapster_service::{Preparation, Problem};

use crate::Metrics;
use crate::certificates::{read_file, wrong_with_validity};
use crate::clock::Clock;

/// How many certificates are kept.
const MAXIMUM_CERTIFICATES: usize = 1024;
const DAY: Duration = Duration::from_secs(86_400);
/// How long the root is valid: ten years.
const ROOT_DAYS: u32 = 3_652;
/// How long a certificate is valid: less than the longest that browsers take.
const LEAF_DAYS: u32 = 365;

/// What went wrong with the authority.
#[derive(Debug, thiserror::Error)]
enum AuthorityError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Making(#[from] rcgen::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    File(String),
    #[error("ca.pem is not the certificate of ca.key; remove both to have new ones made")]
    Mismatch,
}

/// The authority, at work for one listener.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// One key serves for all certificates: making one costs a signature only.
    leaf_key: KeyPair,
    leaf_signer: Arc<dyn SigningKey>,
    hosts: Vec<String>,
    own: Vec<SanType>,
    clock: Arc<Clock>,
    provider: Arc<CryptoProvider>,
    metrics: Metrics,
    /// By name; the empty name is for clients that ask for none that is served.
    made: Mutex<HashMap<String, Made>>,
}

#[derive(Clone)]
struct Made {
    certificate: Arc<CertifiedKey>,
    at: SystemTime,
}

impl Authority {
    /// Opens the authority in `directory`, or makes it.
    ///
    /// # Errors
    /// A problem that is to be reported.
    pub(crate) fn open(
        directory: &Path,
        hosts: &[String],
        (provider, clock, metrics): (Arc<CryptoProvider>, Arc<Clock>, Metrics),
        preparation: &mut Preparation<'_>,
    ) -> Result<Self, Box<Problem>> {
        let problem = |error: AuthorityError| {
            let message = format!("the authority in {} cannot be used: {error}", directory.display());
            Box::new(Problem::error(["tls".into()], message))
        };
        let (issuer, root) = open_root(directory, clock.now()).map_err(problem)?;
        if let Some(message) = wrong_with_validity(&root, &clock, &provider) {
            let message = format!("the authority in {}: {message}", directory.display());
            let advice = "remove ca.pem and ca.key there to have new ones made";
            preparation.report(Problem::error(["tls".into()], message).as_warning().with_help(advice));
        }
        let (leaf_key, leaf_signer) = make_leaf_key(&provider).map_err(problem)?;
        let authority = Self {
            issuer,
            leaf_key,
            leaf_signer,
            hosts: hosts.iter().map(|host| canonical(host)).collect(),
            own: own_names(hosts, preparation),
            clock,
            provider,
            metrics,
            made: Mutex::default(),
        };
        // What cannot be made now could not be made later, either.
        authority.make("").map_err(problem)?;
        Ok(authority)
    }

    /// The certificate for a name; the empty one stands for tapster itself.
    fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let now = self.clock.now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(name)
            && now.duration_since(known.at).is_ok_and(|age| age < DAY * LEAF_DAYS / 2)
        {
            return Some(Arc::clone(&known.certificate));
        }
        let certificate = self.make(name).inspect_err(|error| tracing::warn!(name, %error, "no certificate")).ok()?;
        self.metrics.certificate_made();
        if made.len() >= MAXIMUM_CERTIFICATES
            && let Some(oldest) = made.iter().min_by_key(|(_, made)| made.at).map(|(name, _)| name.clone())
        {
            made.remove(&oldest);
        }
        made.insert(name.to_owned(), Made { certificate: Arc::clone(&certificate), at: now });
        Some(certificate)
    }

    fn make(&self, name: &str) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names =
            if name.is_empty() { self.own.clone() } else { vec![SanType::DnsName(name.try_into()?)] };
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        // A name longer than 64 bytes may not be a common name (RFC 5280 appendix A.1); clients do not look at it.
        let common = if name.is_empty() || name.len() > 64 { "tapster" } else { name };
        parameters.distinguished_name.push(DnType::CommonName, common);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        // All certificates have one key, from which rcgen would make one number: it must differ (RFC 5280 §4.1.2.2).
        let mut number = [0; 16];
        let random = self.provider.secure_random;
        random.fill(&mut number).map_err(|_| AuthorityError::File("there is no randomness".to_owned()))?;
        number[0] &= 0x7f;
        parameters.serial_number = Some(SerialNumber::from_slice(&number));
        let now = self.clock.now();
        parameters.not_before = (now - DAY).into();
        parameters.not_after = (now + DAY * LEAF_DAYS).into();
        let certificate = parameters.signed_by(&self.leaf_key, &self.issuer)?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], Arc::clone(&self.leaf_signer))))
    }

    fn serves(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| match host.strip_prefix('*') {
            Some(suffix) => name.ends_with(suffix),
            None => name == host,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(canonical).filter(|name| self.serves(name));
        self.certificate(name.as_deref().unwrap_or_default())
    }
}

/// The names in the certificate for clients that ask for none: a client that was given an address sends no SNI.
fn own_names(hosts: &[String], preparation: &Preparation<'_>) -> Vec<SanType> {
    let hosts = hosts.iter().map(String::as_str).filter(|host| *host != "*");
    let mut names = Vec::new();
    for host in hosts.chain([preparation.hostname]) {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let name = match address {
            Ok(address) => Some(SanType::IpAddress(address)),
            Err(_) => canonical(host).try_into().ok().map(SanType::DnsName),
        };
        names.extend(name.filter(|name| !names.contains(name)));
    }
    let addresses = preparation.addresses.iter().map(|address| SanType::IpAddress(*address));
    for address in addresses {
        if !names.contains(&address) {
            names.push(address);
        }
    }
    names
}

/// Lower case, without the root's dot.
fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn make_leaf_key(provider: &CryptoProvider) -> Result<(KeyPair, Arc<dyn SigningKey>), AuthorityError> {
    let key = KeyPair::generate()?;
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let signer = provider.key_provider.load_private_key(private)?;
    Ok((key, signer))
}

/// The root's key and certificate: those in the directory, or new ones.
fn open_root(
    directory: &Path,
    now: SystemTime,
) -> Result<(Issuer<'static, KeyPair>, CertificateDer<'static>), AuthorityError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let key_path = directory.join("ca.key");
    if !key_path.try_exists()? {
        keep(&key_path, &KeyPair::generate()?.serialize_pem(), 0o600)?;
    }
    let text = read_file(&key_path).map_err(AuthorityError::File)?;
    let key = KeyPair::from_pem(&String::from_utf8_lossy(&text))?;
    let parameters = root_parameters(&key, now);
    let path = directory.join("ca.pem");
    if !path.try_exists()? {
        keep(&path, &parameters.self_signed(&key)?.pem(), 0o644)?;
    }
    let content = read_file(&path).map_err(AuthorityError::File)?;
    let certificate = CertificateDer::from_pem_slice(&content)
        .map_err(|error| AuthorityError::File(format!("{} is no PEM file: {error}", path.display())))?;
    let public = ParsedCertificate::try_from(&certificate)?.subject_public_key_info();
    if public.as_ref() != rcgen::PublicKeyData::subject_public_key_info(&key) {
        return Err(AuthorityError::Mismatch);
    }
    Ok((Issuer::new(parameters, key), certificate))
}

/// What stands in the root's certificate. All but the dates follows from the key, so that the certificate need not be
/// read to sign with it; the name, too, since clients that know several labs tell their roots apart by it.
fn root_parameters(key: &KeyPair, now: SystemTime) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let identifier: String = parameters.key_identifier(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, format!("tapster lab authority {identifier}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = (now - DAY).into();
    parameters.not_after = (now + DAY * ROOT_DAYS).into();
    parameters
}

/// Writes a file that is whole or not there, and never over one that is.
fn keep(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        // Another tapster was quicker: its file is as good.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests;
