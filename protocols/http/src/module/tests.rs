use std::fs;
use std::path::Path;

use tapster_service::{Endpoint, Severity};

use super::*;

fn prepared(directory: &Path, text: &str) -> (Option<Service>, Vec<Problem>) {
    let configuration: Configuration = toml::from_str(text).unwrap();
    let metrics = Http.metrics(&Registry::new()).unwrap();
    let mut preparation = Preparation::new(directory, &[], "tapster");
    let service = Http.prepare(configuration, &metrics, &mut preparation);
    (service, preparation.into_problems())
}

/// A problem's key as people would write it.
fn keys(problems: &[Problem]) -> Vec<String> {
    let element = |element: &PathElement| match element {
        PathElement::Key(key) => key.clone(),
        PathElement::Index(index) => index.to_string(),
    };
    problems.iter().map(|problem| problem.key.iter().map(element).collect::<Vec<_>>().join(".")).collect()
}

#[test]
fn an_empty_section_serves_www() {
    let directory = tempfile::tempdir().unwrap();
    let (service, problems) = prepared(directory.path(), "");
    assert!(service.is_none());
    assert_eq!(keys(&problems), ["sites.0.root"], "there is no www");
    fs::create_dir(directory.path().join("www")).unwrap();
    let (service, problems) = prepared(directory.path(), "");
    let service = service.unwrap();
    assert_eq!(problems, []);
    assert_eq!(service.streams.len(), 1);
    assert_eq!(service.streams[0].endpoint, Endpoint { address: None, port: 80 });
    assert_eq!(service.streams[0].maximum_connections, 10_000);
    assert_eq!(service.summary, [format!("site *, {}", directory.path().join("www").display())]);
    let (service, problems) = prepared(directory.path(), "[[sites]]\n[[sites.responses]]\npath = \"/\"\n");
    assert_eq!(problems, []);
    assert_eq!(service.unwrap().summary, ["site *, 1 responses"]);
}

#[test]
fn the_keys_of_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let text = r#"
        listen = ["192.0.2.2:8080", ":81"]
        [[sites]]
        hosts = ["a.test", "*.a.test", "[2001:db8::1]", "192.0.2.2"]
        root = "."
        index = ["index.html", "index.htm"]
        autoindex = true
        headers = { Cache-Control = "no-store" }
        [limits]
        header_timeout = "5s"
        max_header_size = "8KiB"
        cache_size = 0
    "#;
    let (service, problems) = prepared(directory.path(), text);
    assert_eq!(problems, []);
    assert_eq!(service.unwrap().streams.len(), 2);
    assert!(toml::from_str::<Configuration>("root = \"a\"").is_err(), "an unknown key");
    assert!(toml::from_str::<Configuration>("[limits]\nheader_timout = \"5s\"").is_err());
}

#[test]
fn all_problems_are_told_at_once_with_their_keys() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let text = r#"
        [[sites]]
        hosts = ["a.test", "not a host"]
        root = "missing"
        index = ["../secret"]
        [[sites]]
        hosts = ["A.test.", "b.test"]
        root = "file"
        [[sites]]
        hosts = []
        root = "."
        headers = { "Bad Name" = "x", X = "a\nb", Content-Length = "5" }
        [[sites.responses]]
        path = "/ok"
        [[sites.responses]]
        path = "nowhere"
        status = 99
        location = "a\nb"
        [[sites.responses]]
        path = "/empty"
        status = 204
        body = "not empty"
        [limits]
        max_headers = 0
        send_timeout = "0s"
    "#;
    let (service, problems) = prepared(directory.path(), text);
    assert!(service.is_none());
    assert!(problems.iter().all(|problem| problem.severity == Severity::Error));
    assert_eq!(
        keys(&problems),
        [
            "limits.max_headers",
            "limits.send_timeout",
            "sites.0.hosts.1",
            "sites.0.root",
            "sites.0.index.0",
            "sites.1.hosts.0",
            "sites.1.root",
            "sites.2.hosts",
            "sites.2.headers.Bad Name",
            "sites.2.headers.Content-Length",
            "sites.2.headers.X",
            "sites.2.responses.1.status",
            "sites.2.responses.1.headers.Location",
            "sites.2.responses.1.path",
            "sites.2.responses.2.body",
        ]
    );
    assert!(problems[5].message.contains("already that of site 1"), "{}", problems[5].message);
}

#[test]
fn https_is_switched_on_by_its_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let site = "[[sites]]\nroot = \".\"\nhttps_only = true\n";
    let (service, problems) = prepared(directory.path(), &format!("tls = \"lab\"\n{site}"));
    assert_eq!(problems, []);
    let service = service.unwrap();
    assert_eq!(service.streams.iter().map(|stream| stream.endpoint.port).collect::<Vec<_>>(), [80, 443]);
    assert!(service.summary[1].starts_with("TLS by the lab's authority in "), "{:?}", service.summary);
    let (_, problems) = prepared(directory.path(), &format!("tls_listen = [\":8443\"]\n{site}"));
    assert_eq!(keys(&problems), ["tls_listen", "sites.0.https_only"]);
    let text =
        format!("tls = {{ certificate = \"missing\", key = \"missing\" }}\n{site}[limits]\ntls_handshake_size = 1");
    let (_, problems) = prepared(directory.path(), &text);
    assert_eq!(keys(&problems), ["limits.tls_handshake_size", "tls.certificate", "tls.key"]);
}
