//! The demo: its namespaces, its exit codes, and that it leaves nothing behind.
//!
//! The program plays three parts. With the argument `demo` it is `tapster demo`; with `run`, as the demo starts it, a
//! daemon that does nothing but say that it is ready; otherwise the tests, which start the first. It brings its own
//! `main`, since the demo must have a single thread. It takes root or user namespaces; where they are missing the tests
//! fail.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::iterator::Signals;
use tapster::demo::{self, Options};

/// What the stand-in for the daemon does: `ready`, `fail`, or `end` as soon as it was ready.
const PART: &str = "TAPSTER_TEST_DAEMON";
/// How long something may take that happens at once.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    match arguments.next() {
        Some(part) if part == "demo" => demo::run(&Options::new(arguments.collect())).unwrap_or_else(|error| {
            eprintln!("{error}");
            error.exit_code()
        }),
        Some(part) if part == "run" => daemon(),
        filter => {
            let filter = filter.and_then(|filter| filter.into_string().ok()).unwrap_or_default();
            for (name, test) in TESTS {
                if name.contains(&filter) || filter.starts_with('-') {
                    println!("test {name} ...");
                    test();
                }
            }
            ExitCode::SUCCESS
        }
    }
}

/// The stand-in.
fn daemon() -> ExitCode {
    let part = env::var(PART).unwrap();
    if part == "fail" {
        eprintln!("the zone does not parse");
        return ExitCode::from(6);
    }
    let mut signals = Signals::new([signal_hook::consts::SIGTERM]).unwrap();
    let directory = env::var("XDG_RUNTIME_DIR").unwrap();
    assert_eq!(env::var("TAPSTER__CONTROL__SOCKET").unwrap(), format!("{directory}/tapster/control.sock"));
    fs::write(Path::new(&directory).join("pid"), std::process::id().to_string()).unwrap();
    let notify = UnixDatagram::unbound().unwrap();
    notify.send_to(b"STATUS=starting", env::var("NOTIFY_SOCKET").unwrap()).unwrap();
    notify.send_to(b"STATUS=running\nREADY=1\n", env::var("NOTIFY_SOCKET").unwrap()).unwrap();
    if part == "ready" {
        signals.forever().next();
    } else {
        eprintln!("the interface was deleted");
    }
    ExitCode::SUCCESS
}

const TESTS: [(&str, fn()); 9] = [
    ("the_command_has_its_output_and_its_exit_code", the_command_has_its_output_and_its_exit_code),
    ("everything_is_gone_afterwards", everything_is_gone_afterwards),
    ("a_command_that_cannot_be_run", a_command_that_cannot_be_run),
    ("a_daemon_that_does_not_start", a_daemon_that_does_not_start),
    ("a_daemon_that_ends_too_early", a_daemon_that_ends_too_early),
    ("a_signal_for_the_demo_reaches_the_command", a_signal_for_the_demo_reaches_the_command),
    ("the_daemon_does_not_outlive_a_killed_demo", the_daemon_does_not_outlive_a_killed_demo),
    ("an_ordinary_user_is_root_inside", an_ordinary_user_is_root_inside),
    ("a_machine_without_user_namespaces_says_so", a_machine_without_user_namespaces_says_so),
];

/// `tapster demo -- sh -c SCRIPT`.
fn demo(part: &str, script: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["demo", "sh", "-c", script]).env(PART, part).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn stdout(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Waits until a process has ended that is not ours to wait for.
fn expect_end(pid: i32, then: impl FnOnce()) {
    let process = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
    then();
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE)).unwrap();
    assert_eq!(ended, 1, "process {pid} goes on");
}

fn first_line(child: &mut Child) -> (String, BufReader<ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    (line.trim_end().to_owned(), output)
}

fn the_command_has_its_output_and_its_exit_code() {
    let script = "echo mark $TAPSTER_DEMO; tail -n +3 /proc/net/dev | cut -d: -f1; grep -m1 -o 127.0.0.1 /proc/net/fib_trie; exit 7";
    let output = demo("ready", script).stderr(Stdio::piped()).output().unwrap();
    // The namespace is new: nothing in it but the loopback interface, which is up.
    assert_eq!(stdout(&output).lines().map(str::trim).collect::<Vec<_>>(), ["mark 1", "lo", "127.0.0.1"]);
    assert_eq!(output.status.code(), Some(7));
    let output = demo("ready", "kill -KILL $$").stderr(Stdio::piped()).output().unwrap();
    assert_eq!(stdout(&output), "");
    assert_eq!(output.status.code(), Some(128 + 9));
}

fn everything_is_gone_afterwards() {
    let script = "cat $XDG_RUNTIME_DIR/pid; echo; echo $XDG_RUNTIME_DIR; stat -c %a $XDG_RUNTIME_DIR";
    let output = demo("ready", script).stderr(Stdio::piped()).output().unwrap();
    let text = stdout(&output);
    let [pid, directory, mode] = text.lines().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(mode, "700");
    assert!(!Path::new(directory).exists(), "{directory}");
    assert!(!Path::new("/proc").join(pid).exists(), "the daemon goes on");
}

fn a_command_that_cannot_be_run() {
    for (command, code) in [("/nonexistent", 127), ("/etc/passwd", 126)] {
        let output =
            Command::new(env::current_exe().unwrap()).args(["demo", command]).env(PART, "ready").output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!(stderr(&output).contains(command), "{}", stderr(&output));
    }
}

fn a_daemon_that_does_not_start() {
    let output = demo("fail", "echo never").stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("the zone does not parse"), "{}", stderr(&output));
    assert!(stderr(&output).contains("exit status: 6"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

fn a_daemon_that_ends_too_early() {
    // The command ends when the demo has told of the daemon's end: it waits for its standard input to be closed.
    let mut child = demo("end", "cat").stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    errors.read_line(&mut text).unwrap();
    errors.read_line(&mut text).unwrap();
    assert!(text.contains("the daemon has ended") && text.contains("the interface was deleted"), "{text}");
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn a_signal_for_the_demo_reaches_the_command() {
    for (signals, input_closed, code) in
        [(&[Signal::INT, Signal::QUIT][..], true, 0), (&[Signal::TERM], false, 128 + 15), (&[Signal::HUP], false, 129)]
    {
        let mut child = demo("ready", "echo started; exec cat").spawn().unwrap();
        let (line, _output) = first_line(&mut child);
        assert_eq!(line, "started");
        let pid = Pid::from_child(&child);
        signals.iter().for_each(|signal| kill_process(pid, *signal).unwrap());
        // An interrupt at the terminal reaches the command by itself. For the demo it is nothing.
        let input = child.stdin.take().unwrap();
        if input_closed {
            drop(input);
            assert_eq!(child.wait().unwrap().code(), Some(code));
        } else {
            assert_eq!(child.wait().unwrap().code(), Some(code));
            drop(input);
        }
    }
}

fn the_daemon_does_not_outlive_a_killed_demo() {
    let mut child = demo("ready", "echo $(cat $XDG_RUNTIME_DIR/pid) $$ $XDG_RUNTIME_DIR; exec cat").spawn().unwrap();
    let (line, _output) = first_line(&mut child);
    let [daemon, command, directory] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let input = child.stdin.take().unwrap();
    expect_end(daemon.parse().unwrap(), || child.kill().unwrap());
    child.wait().unwrap();
    expect_end(command.parse().unwrap(), || drop(input));
    // Nobody was left to remove it.
    fs::remove_dir_all(directory).unwrap();
}

/// Starts the demo as a user who is not root, in a user namespace that `unshare` makes.
fn as_user(flags: &[&str], script: &str) -> Output {
    let demo = demo("ready", script);
    Command::new("unshare")
        .args(["--user", "--map-user=1000", "--map-group=1000"])
        .args(flags)
        .arg(demo.get_program())
        .args(demo.get_args())
        .env(PART, "ready")
        .output()
        .expect("this test needs `unshare` (util-linux 2.38)")
}

fn an_ordinary_user_is_root_inside() {
    let output = as_user(&[], "id -u; id -g; tail -n +3 /proc/net/dev | cut -d: -f1");
    let text = stdout(&output);
    assert_eq!(text.lines().map(str::trim).collect::<Vec<_>>(), ["0", "0", "lo"]);
    assert!(output.status.success());
}

fn a_machine_without_user_namespaces_says_so() {
    // The limit counts below the namespace in which it is set, so this one is for the demo alone.
    let wrapped = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";
    let output = as_user(&["--keep-caps", "sh", "-c", wrapped], "echo never");
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert!(stderr(&output).contains("user.max_user_namespaces"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}
