//! HTTPS and DNS over TLS, asked for by curl, openssl and kdig.

use std::path::PathBuf;

use tapster_tests::lab::{ADDRESS, Lab, Plan, Program, tapster_binary};

const SERVICES: &str = r#"
[services.dns]
tls = "lab"
[[services.dns.zones]]
name = "example.test"
file = "example.test.zone"

[services.http]
tls = "lab"
[[services.http.sites]]
hosts = ["www.example.test"]
root = "www"
https_only = true
[[services.http.sites]]
hosts = ["*"]
root = "www"
writable = true
"#;

const MIB: u64 = 1 << 20;

fn plan() -> Plan {
    let mut plan = Plan::new();
    plan.services = SERVICES.to_owned();
    plan
}

fn root(lab: &Lab) -> PathBuf {
    lab.path("authority/ca.pem")
}

/// curl, which trusts the lab's authority and knows where its names are.
fn curl(lab: &Lab, arguments: &[&str]) -> String {
    let there = format!("www.example.test:443:{ADDRESS}");
    let curl = lab.curl().arg("--cacert").arg(root(lab)).args(["--fail", "--resolve", &there]).args(arguments);
    curl.output().success().stdout()
}

#[test]
fn pages_and_large_files_by_https() {
    let plan = plan();
    let original = plan.large_file("www/large", 64 * MIB);
    let lab = plan.start();
    for url in ["https://www.example.test/".to_owned(), format!("https://{ADDRESS}/")] {
        assert_eq!(curl(&lab, &[&url]), "<h1>The lab</h1>\n", "{url}");
    }
    for version in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"]] {
        let url = format!("https://{ADDRESS}/large");
        let arguments = [version, &["--output", "fetched", &url]].concat();
        curl(&lab, &arguments);
        lab.program("cmp").args(["fetched"]).arg(&original).output().success();
    }
    // Up, as well.
    curl(&lab, &["--upload-file", "www/large", &format!("https://{ADDRESS}/copy")]);
    lab.program("cmp").args(["www/copy"]).arg(&original).output().success();
    let refused = lab.curl().arg(format!("https://{ADDRESS}/")).output().transcript();
    assert!(refused.contains("certificate"), "who does not know the authority does not trust it\n{refused}");
    let metrics = lab.ctl().arg("metrics").output().success().stdout();
    let completed = r#"tapster_tls_handshakes_total{result="completed",service="http",version="1.3"}"#;
    assert!(metrics.lines().any(|line| line.starts_with(completed) && !line.ends_with(" 0")), "{metrics}");
}

#[test]
fn a_site_may_be_there_by_https_only() {
    let lab = plan().start();
    let there = format!("www.example.test:80:{ADDRESS}");
    let url = "http://www.example.test/a%20b?c=d";
    let head = curl(&lab, &["--resolve", &there, "--head", url]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 308 "), "{head}");
    assert!(head.contains("location: https://www.example.test/a%20b?c=d\r\n"), "{head}");
    let page = curl(&lab, &["--resolve", &there, "--location", "http://www.example.test/"]);
    assert_eq!(page, "<h1>The lab</h1>\n");
}

#[test]
fn openssl_is_content_with_both_versions_and_resumes() {
    let lab = plan().start();
    for version in ["-tls1_2", "-tls1_3"] {
        let script = r#"
            request() { printf 'GET / HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n'; }
            run() { request | openssl s_client -connect "$1:443" -servername www.example.test -CAfile authority/ca.pem \
                -verify_return_error -ign_eof "$2" "${@:3}" 2>&1; }
            run "$1" "$2" -sess_out session-$2 && run "$1" "$2" -sess_in session-$2
        "#;
        let said = lab.program("bash").args(["-c", script, "bash", ADDRESS, version]).output().success().stdout();
        assert!(said.matches("Verify return code: 0 (ok)").count() >= 2, "{said}");
        assert_eq!(said.matches("<h1>The lab</h1>").count(), 2, "{said}");
        assert!(said.contains("Reused, TLSv1"), "{said}");
    }
    for (old, name) in [("-tls1_1", "TLS 1.1"), ("-tls1", "TLS 1.0")] {
        let client = lab.program("openssl").args(["s_client", "-connect", &format!("{ADDRESS}:443"), old]);
        let said = client.args(["-cipher", "ALL:@SECLEVEL=0"]).output().transcript();
        assert!(said.contains("alert") || said.contains("no protocols available"), "{name}\n{said}");
    }
}

#[test]
fn names_by_dns_over_tls() {
    let lab = plan().start();
    let ask = |host: &str| {
        let (server, named) = (format!("@{ADDRESS}"), format!("+tls-hostname={host}"));
        let trusted = format!("+tls-ca={}", root(&lab).display());
        lab.program("kdig")
            .args([&server, &trusted, &named])
            .args(["+tls", "+retry=0", "www.example.test", "A"])
            .output()
    };
    for host in ["ns.example.test", "tapster"] {
        let said = ask(host).success().stdout();
        assert!(said.contains("TLS session (TLS1.3)") && said.contains("status: NOERROR"), "{said}");
        assert!(said.contains("192.0.2.2@853(TCP)"), "{said}");
    }
    let refused = ask("ns.example.com").transcript();
    assert!(!refused.contains("NOERROR"), "no certificate is made for a name that is not served\n{refused}");
}

#[test]
fn a_connection_survives_a_reload_that_brings_another_certificate() {
    let mut plan = plan();
    let make = |name: &str| {
        let key = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
        let subject = format!("/CN={name}");
        let san = format!("subjectAltName=DNS:www.example.test,IP:{ADDRESS}");
        let files = ["-keyout", "key.pem", "-out", "cert.pem", "-subj", &subject, "-addext", &san];
        (key.map(str::to_owned), files.map(str::to_owned))
    };
    plan.services = plan.services.replace(
        "[services.http]\ntls = \"lab\"",
        "[services.http]\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }",
    );
    let directory = plan.path("");
    let openssl = |(key, files): ([String; 9], [String; 8])| {
        let run = Program::outside("openssl").directory(&directory).args(&key).args(&files);
        run.output().success();
    };
    openssl(make("first"));
    let lab = plan.start();
    let issuer = |lab: &Lab| {
        let script = r#"openssl s_client -connect "$1:443" </dev/null 2>/dev/null | openssl x509 -noout -subject"#;
        lab.program("bash").args(["-c", script, "bash", ADDRESS]).output().success().stdout()
    };
    assert!(issuer(&lab).contains("first"));
    // A slow download goes on while the certificate changes.
    lab.program("bash").args(["-c", "head -c 3000000 /dev/zero > www/slow"]).output().success();
    let script = r#"
        curl --silent --show-error --insecure --limit-rate 1M --output slow "https://$1/slow" & child=$!
        until [[ -s slow ]]; do sleep 0.05; done; kill -0 $child && openssl req "${@:2}" 2>/dev/null && "$TAPSTER" ctl --socket control.sock reload &&
        kill -0 $child && wait $child && cmp slow www/slow
    "#;
    let (key, files) = make("second");
    let script = script.replace("$TAPSTER", &tapster_binary().to_string_lossy());
    let bash = lab.program("bash").args(["-c", &script, "bash", ADDRESS]).args(&key[1..]).args(&files);
    bash.output().success();
    assert!(issuer(&lab).contains("second"));
}
