//! The playground: what the first command of the README shows.

use std::path::Path;
use std::time::Duration;

use tapster_tests::lab::{Finished, Program, tapster_binary};

/// Runs a shell script inside `tapster demo`, with a runtime directory of its own.
fn demo(directory: &Path, script: &str) -> Finished {
    let program = Program::outside(&tapster_binary().to_string_lossy());
    let program = program.env("XDG_RUNTIME_DIR", directory).directory(directory);
    program.args(["demo", "--", "sh", "-c", script]).limit(Duration::from_secs(60)).output()
}

#[test]
fn the_welcome_page_and_its_address_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let script = "dig +short +tries=1 @192.0.2.2 www.example.test A && curl -sS --fail --max-time 10 http://192.0.2.2/";
    let output = demo(directory.path(), script).success().stdout();
    assert!(output.lines().any(|line| line == "192.0.2.2"), "the address\n{output}");
    let page = output.to_ascii_lowercase();
    assert!(page.contains("<html") && page.contains("tapster") && page.contains("dns"), "the page\n{output}");
}

#[test]
fn ping_is_answered() {
    demo(tempfile::tempdir().unwrap().path(), "ping -c 1 -w 10 192.0.2.2").success();
}

#[test]
fn a_boot_file_is_served_and_mail_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mail.eml"), "Subject: hello\r\n\r\nhello\r\n").unwrap();
    let script = "set -e; curl -sS tftp://192.0.2.2/hello.txt; tftp -m binary 192.0.2.2 -c get boot.ipxe copy; \
                  test -s copy; swaks --server 192.0.2.2 --from a@b.test --to you@example.test >&2; \
                  curl -sS smtp://192.0.2.2 --mail-from a@b.test --mail-rcpt you@example.test -T mail.eml; \
                  find \"$XDG_RUNTIME_DIR\" -path '*/mail/example.test/you/new/*' | wc -l";
    let output = demo(directory.path(), script).success().stdout();
    assert_eq!(output.lines().last().map(str::trim), Some("2"), "two mails\n{output}");
    assert!(output.lines().count() > 1, "the text of hello.txt\n{output}");
}

#[test]
fn every_command_that_the_introduction_offers_works() {
    let directory = tempfile::tempdir().unwrap();
    // A shell that has no input ends at once.
    let binary = tapster_binary();
    let shown = Program::outside(&binary.to_string_lossy()).arg("demo").env("SHELL", "/bin/sh").output().success();
    let introduction = shown.transcript();
    let commands: Vec<&str> = introduction.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert!(commands.len() >= 4, "{introduction}");
    let path = format!("PATH={}:$PATH", binary.parent().expect("a directory").display());
    demo(directory.path(), &format!("set -ex; {path}; {}", commands.join("; "))).success();
}

#[test]
fn ctl_finds_the_daemon_of_the_demo() {
    let directory = tempfile::tempdir().unwrap();
    let binary = tapster_binary();
    let script = format!("{} ctl status --json", binary.display());
    let output = demo(directory.path(), &script).success().stdout();
    assert!(output.contains('{') && output.contains("uptime") || output.contains("version"), "{output}");
}

#[test]
fn the_commands_exit_code_is_the_demos() {
    demo(tempfile::tempdir().unwrap().path(), "exit 7").code(7);
}

#[test]
fn nothing_of_it_is_left_on_the_host() {
    let before = Program::outside("ip").args(["-oneline", "link"]).output().success().stdout();
    demo(tempfile::tempdir().unwrap().path(), "true").success();
    assert_eq!(Program::outside("ip").args(["-oneline", "link"]).output().success().stdout(), before);
}
