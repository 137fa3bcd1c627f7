//! What no single key's type can show to be wrong.
//!
//! Responsible for ranges and for the keys that have to fit each other: addresses and networks, gateways, the host's
//! end. Everything is reported, each at its place. What rests on a key that is wrong itself is not judged.

mod addresses;

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use bytesize::ByteSize;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Document;
use crate::explanation::suggest;
use crate::layer::Part;
use crate::path::{KeyPath, PathElement};
use crate::{Arp, Control, EventLoop, Frame, Link, MacAddress, Tcp};

/// Checks a frame and takes out the services that are not there. `removed` is what was wrong already and so is not in the
/// frame.
pub(crate) fn check(
    document: &Document,
    frame: &mut Frame,
    services: &[&str],
    removed: HashSet<KeyPath>,
) -> Vec<Diagnostic> {
    let mut checker = Checker { document, removed, diagnostics: Vec::new() };
    checker.link(&frame.link);
    checker.control(&frame.control);
    checker.tcp(&frame.tcp);
    checker.arp(&frame.arp);
    checker.event_loop(&frame.event_loop);
    checker.services(frame, services);
    frame.services.retain(|name| services.contains(&name.as_str()));
    addresses::check(&mut checker, frame);
    checker.diagnostics
}

/// The largest window (RFC 7323 §2.3), and with it the largest buffer that is of use.
const LARGEST_WINDOW: u64 = 1 << 30;

/// The smallest MTU (RFC 791 §3.2).
const SMALLEST_MTU: u32 = 68;

/// The most own addresses, gateways, routes, and addresses of the host.
const LARGEST_ARRAY: usize = 1024;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Collects what is wrong.
struct Checker<'d> {
    document: &'d Document,
    removed: HashSet<KeyPath>,
    diagnostics: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn report(&mut self, severity: Severity, path: &KeyPath, message: impl Into<String>, help: Option<String>) {
        self.diagnostics.push(self.document.diagnose(path, severity, message, help));
    }

    fn error(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.report(Severity::Error, path, message, None);
    }

    /// Whether all that was written at a path could be read.
    fn is_sound(&self, path: &str) -> bool {
        let path = KeyPath::dotted(path);
        !self.removed.iter().any(|removed| removed.is_within(&path) || path.is_within(removed))
    }

    /// The elements of an array, each with its path; those that could not be read have paths too, which are skipped.
    /// No more than [`LARGEST_ARRAY`], so that comparing each with each has an end.
    fn placed<T: Copy>(&mut self, array: &str, values: &[T]) -> Vec<(KeyPath, T)> {
        let array = KeyPath::dotted(array);
        if values.len() > LARGEST_ARRAY {
            let message = format!("{} of these are more than the {LARGEST_ARRAY} that are allowed", values.len());
            self.error(&array, message);
        }
        let read = (0..).map(|index: usize| array.child(index)).filter(|path| !self.removed.contains(path));
        read.zip(values.iter().copied()).take(LARGEST_ARRAY).collect()
    }

    /// Checks that a value is in a range, both ends of which are allowed. `shown` writes it as people do.
    fn range<T: PartialOrd, S: fmt::Display>(
        &mut self,
        path: &str,
        value: &T,
        range: &RangeInclusive<T>,
        shown: impl Fn(&T) -> S,
    ) {
        if !range.contains(value) {
            let path = KeyPath::dotted(path);
            let message = format!(
                "`{}` {} must be from {} to {}, not {}",
                path.name(),
                path.table(),
                shown(range.start()),
                shown(range.end()),
                shown(value)
            );
            self.error(&path, message);
        }
    }

    fn number(&mut self, path: &str, value: u32, range: &RangeInclusive<u32>) {
        self.range(path, &value, range, |value| *value);
    }

    fn size(&mut self, path: &str, value: ByteSize, range: RangeInclusive<u64>) {
        let range = ByteSize::b(*range.start())..=ByteSize::b(*range.end());
        self.range(path, &value, &range, |value| value.display().iec());
    }

    fn duration(&mut self, path: &str, value: Duration, range: &RangeInclusive<Duration>) {
        self.range(path, &value, range, |value| humantime_serde::re::humantime::format_duration(*value));
    }

    fn link(&mut self, link: &Link) {
        self.interface("link.name", &link.name);
        if let Some(bridge) = link.host.as_ref().and_then(|host| host.bridge.as_ref()) {
            self.interface("link.host.bridge", bridge);
        }
        self.number("link.mtu", link.mtu.into(), &(SMALLEST_MTU..=65521));
        let mac = KeyPath::dotted("link.mac");
        if link.mac == MacAddress([0; 6]) {
            self.error(&mac, "a hardware address of zeros belongs to nobody");
        } else if link.mac.is_multicast() {
            let MacAddress([first, rest @ ..]) = link.mac;
            let unicast = MacAddress([first & !1, rest[0], rest[1], rest[2], rest[3], rest[4]]);
            let message = format!("{} is the address of a group, not of one station", link.mac);
            self.report(Severity::Error, &mac, message, Some(format!("the first octet must be even: {unicast}")));
        }
    }

    /// A name that Linux takes for an interface (`dev_valid_name`), without its `%d` patterns.
    fn interface(&mut self, path: &str, name: &str) {
        let valid = (1..=15).contains(&name.len())
            && name != "."
            && name != ".."
            && !name.chars().any(|character| {
                matches!(character, '/' | ':' | '%') || character.is_whitespace() || character.is_control()
            });
        if !valid {
            let help = "1 to 15 bytes, without spaces, `/`, `:` and `%`";
            let message = format!("{name:?} cannot be the name of an interface");
            self.report(Severity::Error, &KeyPath::dotted(path), message, Some(help.to_owned()));
        }
    }

    fn control(&mut self, control: &Control) {
        let Some(socket) = &control.socket else { return };
        let path = KeyPath::dotted("control.socket");
        if !socket.is_absolute() {
            self.error(&path, "the path of the control socket must begin with `/`");
        }
        // unix(7): sun_path holds 108 bytes, the last of which is zero.
        let length = socket.as_os_str().as_bytes().len();
        if length > 107 {
            self.error(&path, format!("the path of a socket has at most 107 bytes, this one has {length}"));
        }
    }

    fn tcp(&mut self, tcp: &Tcp) {
        self.size("tcp.receive_buffer", tcp.receive_buffer, 4096..=LARGEST_WINDOW);
        self.size("tcp.send_buffer", tcp.send_buffer, 4096..=LARGEST_WINDOW);
        if let Some(keep_alive) = tcp.keep_alive {
            self.duration("tcp.keep_alive", keep_alive, &(SECOND..=DAY));
        }
        self.number("tcp.syn_backlog", tcp.syn_backlog, &(1..=1_048_576));
        self.number("tcp.maximum_connections", tcp.maximum_connections, &(1..=4_194_304));
        self.duration("tcp.time_wait", tcp.time_wait, &(SECOND..=4 * MINUTE));
        self.duration("tcp.user_timeout", tcp.user_timeout, &(SECOND..=DAY));
    }

    fn arp(&mut self, arp: &Arp) {
        self.number("arp.cache_size", arp.cache_size, &(1..=65536));
        self.duration("arp.reachable_time", arp.reachable_time, &(SECOND..=DAY));
        self.number("arp.queue_length", arp.queue_length, &(1..=1024));
    }

    fn event_loop(&mut self, event_loop: &EventLoop) {
        self.number("event_loop.frames_per_turn", event_loop.frames_per_turn, &(1..=65536));
        self.number("event_loop.workers", event_loop.workers, &(1..=64));
        self.number("event_loop.worker_queue", event_loop.worker_queue, &(1..=65536));
        if let Some(busy_poll) = event_loop.busy_poll {
            self.duration("event_loop.busy_poll", busy_poll, &(Duration::ZERO..=SECOND));
        }
        self.duration("event_loop.drain_timeout", event_loop.drain_timeout, &(Duration::ZERO..=10 * MINUTE));
    }

    fn services(&mut self, frame: &Frame, known: &[&str]) {
        for name in frame.services.iter().filter(|name| !known.contains(&name.as_str())) {
            let path = KeyPath::dotted("services").child(PathElement::from(name.as_str()));
            let message = format!("unknown service [services.{name}]");
            let diagnostic = self.document.diagnose_part(&path, Part::Key, Severity::Error, message);
            self.diagnostics.push(diagnostic.with_help(Some(suggest(name, known))));
        }
    }
}
