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
