use std::path::Path;

use tapster_service::{Endpoint, Severity, Source};

use super::*;

const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 1 2h 30m 2w 10m\n  NS ns\nns A 192.0.2.2\n";

fn prepare(directory: &Path, section: &str) -> (Option<Service>, Vec<Problem>) {
    let configuration = toml::from_str(section).unwrap();
    let metrics = Dns.metrics(&Registry::new()).unwrap();
    let mut preparation = Preparation::new(directory, &[], "tapster");
    let service = Dns.prepare(configuration, &metrics, &mut preparation);
    (service, preparation.into_problems())
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

#[test]
fn a_zone_from_a_file() {
    let directory = directory(&[("t.zone", ZONE)]);
    let (service, problems) = prepare(directory.path(), "zones = [{ name = 't', file = 't.zone' }]");
    assert_eq!(problems, []);
    let service = service.unwrap();
    assert_eq!(service.summary, ["zone t, 3 records"]);
    let every = Endpoint { address: None, port: 53 };
    assert_eq!(service.streams.iter().map(|binding| binding.endpoint).collect::<Vec<_>>(), [every]);
    assert_eq!(service.datagrams.first().unwrap().endpoints, [every]);
}

#[test]
fn a_zone_from_the_configuration_alone() {
    let section = r#"
        listen = ["192.0.2.2:5353", "192.0.2.3"]
        [[zones]]
        name = "t."
        records = ["@ 60 SOA ns hostmaster 1 2 3 4 5", " NS ns", "ns A 192.0.2.2"]
    "#;
    let (service, problems) = prepare(Path::new("/nowhere"), section);
    assert_eq!(problems, []);
    let service = service.unwrap();
    assert_eq!(service.summary, ["zone t., 3 records"]);
    assert_eq!(service.streams.len(), 2);
    assert_eq!(service.datagrams.first().unwrap().endpoints.len(), 2);
}

#[test]
fn all_problems_are_reported_at_once() {
    let directory = directory(&[
        ("a.zone", &format!("{ZONE}x A 192.0.2.300\nx 1 MXX y\n$INCLUDE b.zone\n$INCLUDE ../c.zone")),
        ("b.zone", "y A 192.0.2.1 1\n"),
    ]);
    let section = r#"
        cookie_secret = "0123"
        version = "#
        .to_owned()
        + &format!("{:?}", "v".repeat(256))
        + r#"
        [limits]
        udp_payload_size = 100
        tcp_connections = 0
        tcp_idle_timeout = "0s"
        [[zones]]
        name = "a"
        file = "a.zone"
        records = ["z A x"]
        [[zones]]
        name = "A."
        file = "missing.zone"
        [[zones]]
        name = "b..c"
    "#;
    let (service, problems) = prepare(directory.path(), &section);
    assert!(service.is_none());
    let at = |problem: &Problem| {
        let place = problem.source.as_ref().map(|Source { file, line, column }| {
            format!("{}:{line}:{column}", file.file_name().unwrap().to_string_lossy())
        });
        let key = problem.key.iter().map(|element| match element {
            PathElement::Key(key) => key.clone(),
            PathElement::Index(index) => index.to_string(),
        });
        place.unwrap_or_else(|| key.collect::<Vec<_>>().join("."))
    };
    assert_eq!(
        problems.iter().map(at).collect::<Vec<_>>(),
        [
            "limits.udp_payload_size",
            "limits.tcp_connections",
            "limits.tcp_idle_timeout",
            "cookie_secret",
            "version",
            "a.zone:5:5",
            "a.zone:6:5",
            "b.zone:1:15",
            "a.zone:8:10",
            "zones.0.records.0",
            "zones.1.name",
            "zones.1.file",
            "zones.2.name",
        ]
    );
    assert!(problems.iter().all(|problem| problem.severity == Severity::Error));
}

#[test]
fn an_include_cannot_leave_the_directory() {
    let outside = directory(&[("secret", "x A 192.0.2.1\n")]);
    let directory = directory(&[]);
    std::os::unix::fs::symlink(outside.path().join("secret"), directory.path().join("link")).unwrap();
    let absolute = outside.path().join("secret");
    for name in ["link", absolute.to_str().unwrap()] {
        std::fs::write(directory.path().join("t.zone"), format!("{ZONE}$INCLUDE {name}\n")).unwrap();
        let (service, problems) = prepare(directory.path(), "zones = [{ name = 't', file = 't.zone' }]");
        assert!(service.is_none());
        assert!(problems[0].message.contains("outside of the configuration's directory"), "{problems:?}");
    }
}

#[test]
fn a_file_may_include_one_beside_it() {
    let directory = directory(&[]);
    std::fs::create_dir(directory.path().join("zones")).unwrap();
    std::fs::write(directory.path().join("zones/t.zone"), format!("{ZONE}$INCLUDE hosts\n")).unwrap();
    std::fs::write(directory.path().join("zones/hosts"), "www A 192.0.2.80\n").unwrap();
    let (service, problems) = prepare(directory.path(), "zones = [{ name = 't', file = 'zones/t.zone' }]");
    assert_eq!(problems, []);
    assert_eq!(service.unwrap().summary, ["zone t, 4 records"]);
}

#[test]
fn warnings_do_not_forbid_running() {
    let (service, problems) = prepare(Path::new("/nowhere"), "");
    assert!(service.is_some());
    assert_eq!(problems.iter().map(|problem| problem.severity).collect::<Vec<_>>(), [Severity::Warning]);
}

#[test]
fn a_large_file_is_refused() {
    let directory = directory(&[("t.zone", &format!("{ZONE}; {}\n", "x".repeat(2000)))]);
    let section = "limits.zone_file_size = '1KiB'\nzones = [{ name = 't', file = 't.zone' }]";
    let (service, problems) = prepare(directory.path(), section);
    assert!(service.is_none());
    assert!(problems[0].message.contains("larger than 1024 bytes"), "{problems:?}");
}

#[test]
fn unknown_keys_are_errors() {
    for section in ["zone = []", "limits.udp = 1", "zones = [{ name = 't', path = 'x' }]"] {
        assert!(toml::from_str::<Configuration>(section).is_err(), "{section}");
    }
}

#[test]
fn dns_over_tls_is_switched_on_by_its_certificates() {
    let directory = directory(&[("t.zone", ZONE)]);
    let zones = "zones = [{ name = 't', file = 't.zone' }]";
    let (service, problems) = prepare(directory.path(), &format!("tls = 'lab'\n{zones}"));
    assert_eq!(problems, []);
    let ports: Vec<_> = service.unwrap().streams.iter().map(|binding| binding.endpoint.port).collect();
    assert_eq!(ports, [53, 853]);
    let (service, problems) = prepare(directory.path(), &format!("tls_listen = [':8853']\n{zones}"));
    assert!(service.is_none());
    assert_eq!(problems[0].key, [PathElement::from("tls_listen")]);
}
