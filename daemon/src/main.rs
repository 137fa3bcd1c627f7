//! The program `tapster`: the daemon with its modules.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The one list of modules. The order is that of `ctl services`.
    tapster::Daemon::builder()
        .module(tapster_dns::Dns)
        .module(tapster_http::Http)
        .module(tapster_tftp::Tftp)
        .module(tapster_smtp::Smtp)
        .build()
        .main()
}
