//! A daemon with a module of one's own beside tapster's DNS: `[services.echo]` switches it on.

use std::process::ExitCode;

fn main() -> ExitCode {
    tapster::Daemon::builder().module(tapster_dns::Dns).module(tapster_echo_example::Echo).build().main()
}
