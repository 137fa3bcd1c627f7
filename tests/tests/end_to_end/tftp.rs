//! Boot files by the clients that people have: curl, tftp-hpa and atftp.

use std::time::Duration;

use tapster_tests::content;
use tapster_tests::lab::{ADDRESS, Finished, Lab, Plan, Program};

/// Around the classic block of 512 octets, and some that take many.
const SIZES: [usize; 6] = [0, 1, 511, 512, 513, 1 << 20];

fn plan(settings: &str) -> Plan {
    let mut plan = Plan::new();
    std::fs::create_dir(plan.path("tftp")).unwrap();
    plan.services = format!("\n[services.tftp]\nroot = \"tftp\"\n{settings}");
    plan
}

fn writable() -> Plan {
    plan("writable = true\n")
}

fn curl(lab: &Lab) -> Program {
    lab.curl().args(["--disable", "--path-as-is"])
}

fn url(name: &str) -> String {
    format!("tftp://{ADDRESS}/{name}")
}

/// tftp-hpa, which asks for no options: RFC 1350 and nothing more. It exits with 0 whatever the server says.
fn hpa(lab: &Lab, mode: &str, command: &[&str]) -> Finished {
    lab.program("tftp").args(["-m", mode, ADDRESS, "-c"]).args(command).output()
}

/// atftp, which negotiates every option.
fn atftp(lab: &Lab, options: &[&str], direction: &str, remote: &str, local: &str) -> Finished {
    let options = options.iter().flat_map(|option| ["--option", option]);
    let atftp = lab.program("atftp").args(options).args([direction, "-r", remote, "-l", local]);
    atftp.arg(ADDRESS).output()
}

#[track_caller]
fn same(lab: &Lab, copy: &str, original: &[u8]) {
    let copied = std::fs::read(lab.path(copy)).unwrap_or_else(|error| panic!("{copy}: {error}"));
    assert!(copied == original, "{copy} differs: {} bytes of {}", copied.len(), original.len());
}

/// Waits for a file that the server makes: a client may end before the server has put it in its place.
fn uploaded(lab: &Lab, name: &str, original: &[u8]) {
    let path = lab.path(&format!("tftp/{name}"));
    lab.eventually(name, || path.is_file().then_some(()));
    same(lab, &format!("tftp/{name}"), original);
}

#[test]
fn every_size_around_a_block_reaches_every_client() {
    let plan = plan("");
    for size in SIZES {
        plan.file(&format!("tftp/{size}"), content::bytes(size));
    }
    let lab = plan.start();
    for size in SIZES {
        let (name, original) = (size.to_string(), content::bytes(size));
        // curl takes the true answer `tsize 0` for an error, whoever gives it, so it must not ask.
        let options: &[&str] = if size == 0 { &["--tftp-no-options"] } else { &[] };
        let got = curl(&lab).args(options).arg(url(&name)).output().success();
        assert!(got.bytes() == original, "{size} bytes: curl got {}", got.bytes().len());
        hpa(&lab, "binary", &["get", &name, "by-hpa"]).success();
        same(&lab, "by-hpa", &original);
        let local = format!("by-atftp-{size}");
        atftp(&lab, &["blksize 512", "tsize 0"], "--get", &name, &local).success();
        same(&lab, &local, &original);
    }
}

#[test]
fn more_than_65536_blocks_arrive_with_options_and_without() {
    // One block more than the numbers go round.
    let size = 512 * 65_537 + 100;
    let plan = plan("");
    let original = content::bytes(size);
    plan.file("tftp/long", &original);
    let lab = plan.start();
    lab.program("tftp")
        .args(["-m", "binary", ADDRESS, "-c", "get", "long", "by-hpa"])
        .limit(Duration::from_secs(120))
        .output()
        .success();
    same(&lab, "by-hpa", &original);
    atftp(&lab, &["blksize 512", "windowsize 16"], "--get", "long", "by-atftp").success();
    same(&lab, "by-atftp", &original);
}

#[test]
fn the_options_that_a_client_asks_for_are_granted() {
    let plan = plan("");
    let original = content::bytes(100_000);
    plan.file("tftp/file", &original);
    let lab = plan.start();
    for (block, window) in [(8, 1), (512, 64), (1428, 16), (1468, 3)] {
        let options = [format!("blksize {block}"), format!("windowsize {window}")];
        let options: Vec<&str> = options.iter().map(String::as_str).chain(["--trace"]).collect();
        // `--trace` is no option of the protocol, but the program takes it anywhere.
        let local = format!("copy-{block}");
        let atftp = lab.program("atftp").args(["--trace", "--option", options[0], "--option", options[1]]);
        let told = atftp.args(["--get", "-r", "file", "-l", &local, ADDRESS]).output().success();
        same(&lab, &local, &original);
        let told = told.transcript();
        let oack =
            told.lines().find(|line| line.contains("received OACK")).unwrap_or_else(|| panic!("no OACK\n{told}"));
        for granted in [format!("blksize: {block}"), format!("windowsize: {window}")] {
            assert!(oack.contains(&granted), "{granted} is not in {oack}");
        }
    }
}

#[test]
fn netascii_makes_the_network_s_line_ends_and_back() {
    let plan = writable();
    plan.file("tftp/text", "one\ntwo\r\nthree\n");
    let lab = plan.start();
    hpa(&lab, "ascii", &["get", "text", "copy"]).success();
    same(&lab, "copy", b"one\ntwo\r\nthree\n");
    hpa(&lab, "ascii", &["put", "copy", "back"]).success();
    uploaded(&lab, "back", b"one\ntwo\r\nthree\n");
}

#[test]
fn files_of_every_size_are_uploaded_by_every_client() {
    let lab = writable().start();
    for size in SIZES {
        let original = content::bytes(size);
        let local = lab.plan().file("local", &original);
        // curl sends no empty file.
        if size > 0 {
            curl(&lab).arg("--upload-file").arg(local).arg(url(&format!("by-curl-{size}"))).output().success();
            uploaded(&lab, &format!("by-curl-{size}"), &original);
        }
        hpa(&lab, "binary", &["put", "local", &format!("by-hpa-{size}")]).success();
        uploaded(&lab, &format!("by-hpa-{size}"), &original);
        atftp(&lab, &["blksize 1428", "windowsize 8"], "--put", &format!("by-atftp-{size}"), "local").success();
        uploaded(&lab, &format!("by-atftp-{size}"), &original);
    }
}

#[test]
fn without_writable_an_upload_is_refused_and_leaves_nothing() {
    let lab = plan("").start();
    lab.plan().file("local", "mine");
    let told = hpa(&lab, "binary", &["put", "local", "file"]).transcript();
    assert!(told.contains("Error code 2"), "{told}");
    assert!(!curl(&lab).arg("--upload-file").arg(lab.path("local")).arg(url("file")).output().succeeded());
    assert_eq!(std::fs::read_dir(lab.path("tftp")).unwrap().count(), 0);
}

#[test]
fn what_exists_is_not_replaced_unless_that_is_allowed() {
    let lab = writable().start();
    lab.plan().file("tftp/file", "the old one");
    lab.plan().file("local", "the new one");
    let told = hpa(&lab, "binary", &["put", "local", "file"]).transcript();
    assert!(told.contains("Error code 6"), "{told}");
    same(&lab, "tftp/file", b"the old one");
}

#[test]
fn what_is_not_there_is_error_1() {
    let lab = plan("").start();
    let told = hpa(&lab, "binary", &["get", "nothing", "copy"]).transcript();
    assert!(told.contains("Error code 1"), "{told}");
    // curl's exit code for a file that the server does not have.
    curl(&lab).arg(url("nothing")).output().code(68);
    assert!(!atftp(&lab, &[], "--get", "nothing", "copy-2").succeeded());
}

#[test]
fn a_name_does_not_lead_out_of_the_root() {
    let lab = writable().start();
    lab.plan().file("local", "mine");
    std::os::unix::fs::symlink(lab.path("tapster.toml"), lab.path("tftp/link")).unwrap();
    let absolute = lab.path("tapster.toml");
    let absolute = absolute.to_str().expect("a path in UTF-8");
    for name in ["../tapster.toml", "..\\tapster.toml", "a/../../tapster.toml", absolute, "link"] {
        let told = hpa(&lab, "binary", &["get", name, "copy"]).transcript();
        assert!(told.contains("Error code"), "{name}: {told}");
        assert_eq!(std::fs::read_to_string(lab.path("copy")).unwrap_or_default(), "", "{name}");
    }
    for name in ["../written", "..\\written", "a/../../written"] {
        let told = hpa(&lab, "binary", &["put", "local", name]).transcript();
        assert!(told.contains("Error code"), "{name}: {told}");
    }
    assert!(!lab.path("written").exists());
}

#[test]
fn fifty_clients_at_once_each_get_their_file() {
    let plan = plan("[services.tftp.limits]\ntransfers_per_client = 64\n");
    let original = content::bytes(1 << 20);
    plan.file("tftp/file", &original);
    let lab = plan.start();
    let script = r#"seq 50 | xargs -P 50 -I{} curl --silent --show-error --max-time 50 --output copy-{} "$1""#;
    let bash = lab.program("bash").args(["-c", script, "bash", &url("file")]).limit(Duration::from_secs(60));
    bash.output().success();
    for number in 1..=50 {
        same(&lab, &format!("copy-{number}"), &original);
    }
}
