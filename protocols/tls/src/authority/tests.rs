use std::os::unix::fs::PermissionsExt;

use prometheus::Registry;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::time_provider::TimeProvider;

use super::*;
use crate::certificates::tests::presented;

fn open(directory: &Path, hosts: &[&str]) -> Result<Authority, Box<Problem>> {
    let clock = Arc::new(Clock::default());
    clock.set(SystemTime::now());
    let metrics = Metrics::new(&Registry::new(), "test").unwrap();
    let addresses = ["192.0.2.2".parse().unwrap(), "2001:db8::2".parse().unwrap()];
    let mut preparation = Preparation::new(directory, &addresses, "tapster");
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let authority =
        Authority::open(directory, &hosts, (Arc::new(ring::default_provider()), clock, metrics), &mut preparation);
    assert_eq!(preparation.into_problems(), []);
    authority
}

/// Whether a client that trusts the root in `directory` takes a certificate for each of these names.
fn trusts(directory: &Path, certificate: &CertificateDer<'_>, name: &str, clock: &Clock) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("ca.pem")).unwrap()).unwrap();
    let parsed = ParsedCertificate::try_from(certificate).unwrap();
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let now = clock.current_time().unwrap();
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms).is_ok()
        && verify_server_name(&parsed, &ServerName::try_from(name).unwrap()).is_ok()
}

#[test]
fn a_client_that_trusts_the_root_trusts_each_name_that_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("authority");
    let authority = Arc::new(open(&path, &["www.example.test", "*.Lab.test"]).unwrap());
    let clock = Arc::clone(&authority.clock);
    for (asked, name, trusted) in [
        ("www.example.test", "www.example.test", true),
        ("a.b.lab.test", "a.b.lab.test", true),
        // These get the certificate of tapster itself.
        ("other.test", "other.test", false),
        ("other.test", "tapster", true),
        ("other.test", "www.example.test", true),
        ("other.test", "a.lab.test", true),
        ("192.0.2.2", "192.0.2.2", true),
        ("192.0.2.2", "2001:db8::2", true),
        ("192.0.2.2", "192.0.2.3", false),
    ] {
        let certificate = presented(Arc::clone(&authority) as _, asked);
        assert_eq!(trusts(&path, &certificate, name, &clock), trusted, "{name}, asked for {asked}");
    }
    let again = presented(Arc::clone(&authority) as _, "www.example.test");
    assert_eq!(again, presented(Arc::clone(&authority) as _, "www.example.test"), "it is kept");
    clock.set(SystemTime::now() + DAY * 300);
    let later = presented(Arc::clone(&authority) as _, "www.example.test");
    assert_ne!(again, later, "and made anew in good time");
    assert!(trusts(&path, &later, "www.example.test", &clock));
}

#[test]
fn the_authority_is_kept_and_its_key_is_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/authority");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    drop(open(&path, &[]).unwrap());
    assert_eq!((mode(&path), mode(&path.join("ca.key"))), (0o700, 0o600));
    let root = fs::read(path.join("ca.pem")).unwrap();
    let authority = Arc::new(open(&path, &["a.test"]).unwrap());
    assert_eq!(fs::read(path.join("ca.pem")).unwrap(), root);
    let clock = Arc::clone(&authority.clock);
    assert!(trusts(&path, &presented(authority, "a.test"), "a.test", &clock));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "nothing else is left behind");

    let other = directory.path().join("other");
    drop(open(&other, &[]).unwrap());
    fs::copy(other.join("ca.pem"), path.join("ca.pem")).unwrap();
    let problem = open(&path, &[]).unwrap_err();
    assert!(problem.message.contains("ca.pem is not the certificate of ca.key"), "{}", problem.message);
    fs::write(path.join("ca.key"), "nothing").unwrap();
    assert!(open(&path, &[]).is_err());
}

#[test]
fn the_certificates_kept_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let authority = open(directory.path(), &["*"]).unwrap();
    for number in 0..MAXIMUM_CERTIFICATES + 10 {
        assert!(authority.certificate(&format!("n{number}.test")).is_some());
    }
    assert_eq!(authority.made.lock().unwrap().len(), MAXIMUM_CERTIFICATES);
}
