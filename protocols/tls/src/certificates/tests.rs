use std::fs::{self, Permissions};
use std::time::SystemTime;

use prometheus::Registry;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConnection;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use tapster_service::Severity;

use super::*;
use crate::{Acceptor, Limits, Metrics, Protected, TlsConfiguration};

/// A certificate for `name` that is valid for so many days from now on, which may be negative.
fn write(directory: &Path, name: &str, days: i64) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    let now = SystemTime::now();
    parameters.not_before = (now - Duration::from_secs(1000 * 86_400)).into();
    let life = Duration::from_secs(days.unsigned_abs() * 86_400);
    parameters.not_after = if days < 0 { now - life } else { now + life }.into();
    fs::write(directory.join(format!("{name}.pem")), parameters.self_signed(&key).unwrap().pem()).unwrap();
    let path = directory.join(format!("{name}.key"));
    fs::write(&path, key.serialize_pem()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

fn prepare(directory: &Path, tls: &str) -> (Option<Arc<Acceptor>>, Vec<Problem>) {
    #[derive(serde::Deserialize)]
    struct Section {
        tls: TlsConfiguration,
    }
    let section: Section = toml::from_str(tls).unwrap();
    let metrics = Metrics::new(&Registry::new(), "test").unwrap();
    let mut preparation = Preparation::new(directory, &[], "tapster");
    let protected = Protected { hosts: &[], protocols: &[] };
    let acceptor = Acceptor::prepare(&section.tls, protected, Limits::default(), &metrics, &mut preparation);
    (acceptor, preparation.into_problems())
}

fn told(problems: &[Problem]) -> Vec<(String, Severity, &str)> {
    let element = |element: &PathElement| match element {
        PathElement::Key(key) => key.clone(),
        PathElement::Index(index) => index.to_string(),
    };
    let key = |problem: &Problem| problem.key.iter().map(element).collect::<Vec<_>>().join(".");
    problems.iter().map(|problem| (key(problem), problem.severity, problem.message.as_str())).collect()
}

#[test]
fn what_is_wrong_is_told_with_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "a.test", 100);
    write(path, "b.test", 100);
    write(path, "old.test", -1);
    write(path, "aging.test", 3);
    fs::write(path.join("empty"), "").unwrap();
    fs::set_permissions(path.join("empty"), Permissions::from_mode(0o600)).unwrap();
    let one = |certificate: &str, key: &str| format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}");
    let (acceptor, problems) = prepare(path, &one("a.test.pem", "a.test.key"));
    assert_eq!(problems, []);
    assert_eq!(acceptor.unwrap().summary(), "TLS by a.test.pem");

    for (text, key, part) in [
        (one("missing", "a.test.key"), "tls.certificate", "cannot be read: No such file"),
        (one("a.test.pem", "missing"), "tls.key", "cannot be read: No such file"),
        (one("empty", "a.test.key"), "tls.certificate", "no certificate is in"),
        (one("a.test.pem", "empty"), "tls.key", "no private key"),
        (one("a.test.pem", "b.test.key"), "tls.key", "is not that of"),
        ("tls = []".to_owned(), "tls", "no certificate"),
    ] {
        let (acceptor, problems) = prepare(path, &text);
        assert!(acceptor.is_none(), "{text}");
        let [(told_key, Severity::Error, message)] = &told(&problems)[..] else { panic!("{text}: {problems:?}") };
        assert_eq!(told_key, key);
        assert!(message.contains(part), "{message}");
    }
    for (name, part) in [("old.test", "has expired"), ("aging.test", "expires within two weeks")] {
        let (acceptor, problems) = prepare(path, &one(&format!("{name}.pem"), &format!("{name}.key")));
        assert!(acceptor.is_some());
        let [(key, Severity::Warning, message)] = &told(&problems)[..] else { panic!("{name}: {problems:?}") };
        assert!(key == "tls.certificate" && message.contains(part), "{message}");
    }
    fs::set_permissions(path.join("a.test.key"), Permissions::from_mode(0o644)).unwrap();
    let (_, problems) = prepare(path, &one("a.test.pem", "a.test.key"));
    assert!(told(&problems)[0].2.contains("everybody"), "{problems:?}");
    let both = "tls = [{ certificate = \"x\", key = \"y\" }, { certificate = \"b.test.pem\", key = \"z\" }]";
    let (_, problems) = prepare(path, both);
    let keys: Vec<_> = told(&problems).into_iter().map(|(key, ..)| key).collect();
    assert_eq!(keys, ["tls.0.certificate", "tls.0.key", "tls.1.key"]);
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["a.test", "b.test", "*.c.test"];
    let mut read = Vec::new();
    for name in names {
        write(directory.path(), name, 100);
        let configuration =
            CertificateConfiguration { certificate: format!("{name}.pem").into(), key: format!("{name}.key").into() };
        let mut preparation = Preparation::new(directory.path(), &[], "tapster");
        let clock = Clock::default();
        clock.set(SystemTime::now());
        read.extend(super::read(&configuration, &[], &clock, &ring::default_provider(), &mut preparation));
    }
    let expected: Vec<_> = read.iter().map(|certificate| certificate.cert[0].clone()).collect();
    let resolver = Arc::new(Certificates::new(read));
    for (name, place) in [("a.test", 0), ("b.test", 1), ("B.TEST", 1), ("x.c.test", 2), ("c.test", 0), ("192.0.2.2", 0)]
    {
        assert_eq!(presented(Arc::clone(&resolver) as _, name), expected[place], "{name}");
    }
}

/// The certificate that a client gets who asks for `name`.
pub(crate) fn presented(resolver: Arc<dyn ResolvesServerCert>, name: &str) -> CertificateDer<'static> {
    let provider = Arc::new(ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    client.dangerous().set_certificate_verifier(Arc::new(Trusting));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.peer_certificates().is_none() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = &wire[..];
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    client.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Takes every certificate.
#[derive(Debug)]
struct Trusting;

impl rustls::client::danger::ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
