//! The frame: its defaults, and each check with the words that it is reported in.

use super::*;
use crate::document::tests::{document, rendered};
use crate::layer::Layer;
use crate::{CongestionControl, HostEnd, LogFormat, LogLevel, MacAddress, Sources};

const SERVICES: &[&str] = &["dns", "http", "smtp", "tftp"];

/// The frame of a document in which nothing is wrong.
fn frame(text: &str) -> Frame {
    match Frame::read(&document(text), SERVICES) {
        (Some(frame), diagnostics) if diagnostics.is_empty() => frame,
        (_, diagnostics) => panic!("{}", rendered(&diagnostics)),
    }
}

/// What is wrong with a document.
fn wrong(text: &str) -> String {
    rendered(&Frame::read(&document(text), SERVICES).1)
}

fn embedded() -> Document {
    Document::load(&Sources { system_file: "/nonexistent/tapster.toml".into(), ..Sources::default() }).unwrap()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(frame(""), Frame::default());
}

#[test]
fn the_embedded_default_is_what_the_code_takes() {
    let (frame, diagnostics) = Frame::read(&embedded(), SERVICES);
    assert_eq!(diagnostics, []);
    let mut expected = Frame::default();
    let addresses = ["192.0.2.1/24", "2001:db8:77::1/64"].map(|address| address.parse().unwrap()).to_vec();
    expected.link.host = Some(HostEnd { addresses, ..HostEnd::default() });
    expected.services = SERVICES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(frame, Some(expected));
}

/// The embedded document with every key that it shows behind a `#`.
fn embedded_with_all_keys() -> String {
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[[") || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => {
            format!("{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    crate::EMBEDDED_DOCUMENT.lines().map(uncommented).collect()
}

#[test]
fn every_key_that_the_embedded_default_shows_exists() {
    let text = embedded_with_all_keys();
    for shown in ["\nbridge =", "\n[[network.routes]]", "\nmetric =", "\nsocket =", "\ngroup =", "\nlisten ="] {
        assert!(text.contains(shown), "{shown:?} is no longer found in the document");
    }
    let frame = frame(&text);
    assert_eq!(frame.network.routes.len(), 1);
    assert_eq!(frame.control.group.as_deref(), Some("tapster"));
}

#[test]
fn every_key_that_exists_is_shown_in_the_embedded_default() {
    let shown = document(&embedded_with_all_keys());
    for section in ["link", "link.host", "network", "control", "tcp", "arp", "impair", "impair.in", "log", "event_loop"]
    {
        // An unknown key without a near one is answered with all keys.
        let answer = wrong(&format!("[{section}]\nqqqqqqqqqqqqqqq = 1\n"));
        let (_, known) = answer.split_once("known here: ").unwrap_or_else(|| panic!("{answer}"));
        for key in known.lines().next().unwrap().split(", ") {
            let path = KeyPath::dotted(section).child(key);
            assert!(shown.sets(&path), "{path} is not explained in tapster.toml");
        }
    }
}

#[test]
fn the_example_of_the_design() {
    let text = r#"
[link]
name = "tapster0"
mac = "02:54:41:50:53:02"
mtu = 1500
offload = true
[link.host]
addresses = ["192.0.2.1/24", "2001:db8:77::1/64"]
[network]
hostname = "tapster"
addresses = ["192.0.2.2/24", "2001:db8:77::2/64"]
gateways = ["192.0.2.1", "2001:db8:77::1"]
[[network.routes]]
destination = "2001:db8:78::/64"
gateway = "2001:db8:77::1"
"#;
    let frame = frame(text);
    let mut expected = Frame::default();
    let addresses = ["192.0.2.1/24", "2001:db8:77::1/64"].map(|address| address.parse().unwrap()).to_vec();
    expected.link.host = Some(HostEnd { addresses, ..HostEnd::default() });
    expected.network.gateways.push("2001:db8:77::1".parse().unwrap());
    expected.network.routes = frame.network.routes.clone();
    assert_eq!(frame, expected);
    assert_eq!(frame.network.routes[0].destination, "2001:db8:78::/64".parse().unwrap());
}

#[test]
fn ipv6_addresses_are_checked_as_ipv4_addresses_are() {
    assert_eq!(
        wrong(
            r#"
link.mtu = 1279
[network]
addresses = ["2001:db8::1/64", "::1/128", "ff02::1/16", "::ffff:192.0.2.1/128", "2001:db8::2/56"]
gateways = ["2001:db8:1::1", "fe80::1"]
[[network.routes]]
destination = "2001:db8:78::/64"
gateway = "192.0.2.1"
"#
        ),
        r#"tapster.toml:2:12: warning: IPv6 takes an MTU of 1280: the IPv6 addresses are left out
    2 | link.mtu = 1279
      |            ^^^^
tapster.toml:4:32: error: ::1 is a loopback address, not a host's
    4 | addresses = ["2001:db8::1/64", "::1/128", "ff02::1/16", "::ffff:192.0.2.1/128", "2001:db8::2/56"]
      |                                ^^^^^^^^^
tapster.toml:4:43: error: ff02::1 is a multicast address, not a host's
    4 | addresses = ["2001:db8::1/64", "::1/128", "ff02::1/16", "::ffff:192.0.2.1/128", "2001:db8::2/56"]
      |                                           ^^^^^^^^^^^^
tapster.toml:4:57: error: ::ffff:192.0.2.1 is an IPv4 address in IPv6's form, not a host's
    4 | addresses = ["2001:db8::1/64", "::1/128", "ff02::1/16", "::ffff:192.0.2.1/128", "2001:db8::2/56"]
      |                                                         ^^^^^^^^^^^^^^^^^^^^^^
tapster.toml:4:81: error: 2001:db8::/56 and 2001:db8::/64 are two networks that overlap
    4 | addresses = ["2001:db8::1/64", "::1/128", "ff02::1/16", "::ffff:192.0.2.1/128", "2001:db8::2/56"]
      |                                                                                 ^^^^^^^^^^^^^^^^ the other one is that of network.addresses[0]
tapster.toml:5:13: error: the gateway 2001:db8:1::1 is in none of tapster's own networks
    5 | gateways = ["2001:db8:1::1", "fe80::1"]
      |             ^^^^^^^^^^^^^^^ they are 2001:db8::/64, ::1/128, ff02::/16, ::ffff:192.0.2.1/128, 2001:db8::/56
tapster.toml:8:11: error: the route to 2001:db8:78::/64 has a gateway of the other family, 192.0.2.1
    8 | gateway = "192.0.2.1"
      |           ^^^^^^^^^^^
"#
    );
}

#[test]
fn every_key_can_be_set() {
    let frame = frame(
        r#"
[link]
name = "tap7"
mac = "02-00-00-00-00-01"
mtu = 9000
offload = false
[link.host]
addresses = ["10.0.0.1/8"]
bridge = "br0"
up = false
[network]
hostname = "a.example"
addresses = ["10.0.0.2/8"]
gateways = ["10.0.0.1"]
routes = [{ destination = "192.0.2.0/24", gateway = "10.0.0.3", metric = 7 }]
[control]
socket = "/run/t/socket"
group = "adm"
[tcp]
congestion_control = "newreno"
receive_buffer = "64KiB"
send_buffer = 65536
keep_alive = "2h"
syn_backlog = 1
maximum_connections = 2
time_wait = "1s"
user_timeout = "1m 30s"
[arp]
cache_size = 1
reachable_time = "1m"
queue_length = 2
[log]
level = "trace"
format = "journal"
[metrics]
[event_loop]
frames_per_turn = 1
workers = 2
worker_queue = 3
busy_poll = "50us"
drain_timeout = "0s"
"#,
    );
    assert_eq!(frame.link.mac, MacAddress([2, 0, 0, 0, 0, 1]));
    let host = frame.link.host.unwrap();
    assert_eq!((frame.link.name.as_str(), frame.link.mtu, frame.link.offload), ("tap7", 9000, false));
    assert_eq!((host.addresses.len(), host.bridge.as_deref(), host.up), (1, Some("br0"), false));
    assert_eq!(frame.network.addresses[0].to_string(), "10.0.0.2/8");
    assert_eq!(frame.network.routes[0].metric, 7);
    assert_eq!(frame.control.socket, Some("/run/t/socket".into()));
    let expected = Tcp {
        congestion_control: CongestionControl::NewReno,
        receive_buffer: bytesize::ByteSize::kib(64),
        send_buffer: bytesize::ByteSize::kib(64),
        keep_alive: Some(Duration::from_secs(7200)),
        syn_backlog: 1,
        maximum_connections: 2,
        time_wait: Duration::from_secs(1),
        user_timeout: Duration::from_secs(90),
    };
    assert_eq!(frame.tcp, expected);
    assert_eq!(frame.arp, Arp { cache_size: 1, reachable_time: Duration::from_secs(60), queue_length: 2 });
    assert_eq!((frame.log.level, frame.log.format), (LogLevel::Trace, LogFormat::Journal));
    let expected = EventLoop {
        frames_per_turn: 1,
        workers: 2,
        worker_queue: 3,
        busy_poll: Some(Duration::from_micros(50)),
        drain_timeout: Duration::ZERO,
    };
    assert_eq!(frame.event_loop, expected);
}

#[test]
fn the_default_gateway_goes_with_the_default_network() {
    assert!(frame("network.addresses = [\"10.0.0.2/8\"]").network.gateways.is_empty());
    assert_eq!(frame("network.hostname = \"a\"").network.gateways, Network::default().gateways);
}

#[test]
fn unknown_sections_keys_values_and_services() {
    let text = r#"mtu = 1
[lnik]
mtu = 1
[network]
adresses = ["192.0.2.2/24"]
[tcp]
congestion_control = "bbr"
[log]
level = "warning"
[metrics]
port = 1
[services.dsn]
x = 1
[services]
http = true
"#;
    assert_eq!(
        wrong(text),
        r#"tapster.toml:1:1: error: unknown key `mtu` at the top level
    1 | mtu = 1
      | ^^^ known here: link, network, control, tcp, arp, impair, log, metrics, event_loop, services
tapster.toml:2:2: error: unknown section [lnik]
    2 | [lnik]
      |  ^^^^ did you mean `link`?
tapster.toml:5:1: error: unknown key `adresses` in [network]
    5 | adresses = ["192.0.2.2/24"]
      | ^^^^^^^^ did you mean `addresses`?
tapster.toml:7:22: error: unknown value `bbr` for `congestion_control` in [tcp]
    7 | congestion_control = "bbr"
      |                      ^^^^^ known here: newreno, cubic
tapster.toml:9:9: error: unknown value `warning` for `level` in [log]
    9 | level = "warning"
      |         ^^^^^^^^^ did you mean `warn`?
tapster.toml:11:1: error: unknown key `port` in [metrics]
   11 | port = 1
      | ^^^^ there are no keys here
tapster.toml:12:11: error: unknown service [services.dsn]
   12 | [services.dsn]
      |           ^^^ did you mean `dns`?
tapster.toml:15:8: error: invalid `http` in [services]: expected a table, found `true`
   15 | http = true
      |        ^^^^
"#
    );
}

#[test]
fn values_out_of_range() {
    let text = r#"[link]
name = "a name that is long"
mac = "01:00:5e:00:00:01"
mtu = 67
host = { bridge = "a/b" }
[network]
hostname = "under_score"
[control]
socket = "control.sock"
[tcp]
receive_buffer = "2GiB"
send_buffer = 1
keep_alive = "10ms"
syn_backlog = 0
maximum_connections = 0
time_wait = "5m"
user_timeout = "2 days"
[arp]
cache_size = 0
reachable_time = "0s"
queue_length = 1025
[event_loop]
frames_per_turn = 0
workers = 65
worker_queue = 0
busy_poll = "2s"
drain_timeout = "1h"
"#;
    assert_eq!(
        wrong(text),
        r#"tapster.toml:2:8: error: "a name that is long" cannot be the name of an interface
    2 | name = "a name that is long"
      |        ^^^^^^^^^^^^^^^^^^^^^ 1 to 15 bytes, without spaces, `/`, `:` and `%`
tapster.toml:3:7: error: 01:00:5e:00:00:01 is the address of a group, not of one station
    3 | mac = "01:00:5e:00:00:01"
      |       ^^^^^^^^^^^^^^^^^^^ the first octet must be even: 00:00:5e:00:00:01
tapster.toml:4:7: error: `mtu` in [link] must be from 68 to 65521, not 67
    4 | mtu = 67
      |       ^^
tapster.toml:5:19: error: "a/b" cannot be the name of an interface
    5 | host = { bridge = "a/b" }
      |                   ^^^^^ 1 to 15 bytes, without spaces, `/`, `:` and `%`
tapster.toml:7:12: error: "under_score" is not a host name
    7 | hostname = "under_score"
      |            ^^^^^^^^^^^^^ letters, digits and hyphens, in words of at most 63 between dots
tapster.toml:9:10: error: the path of the control socket must begin with `/`
    9 | socket = "control.sock"
      |          ^^^^^^^^^^^^^^
tapster.toml:11:18: error: `receive_buffer` in [tcp] must be from 4.0 KiB to 1.0 GiB, not 2.0 GiB
   11 | receive_buffer = "2GiB"
      |                  ^^^^^^
tapster.toml:12:15: error: `send_buffer` in [tcp] must be from 4.0 KiB to 1.0 GiB, not 1 B
   12 | send_buffer = 1
      |               ^
tapster.toml:13:14: error: `keep_alive` in [tcp] must be from 1s to 1day, not 10ms
   13 | keep_alive = "10ms"
      |              ^^^^^^
tapster.toml:14:15: error: `syn_backlog` in [tcp] must be from 1 to 1048576, not 0
   14 | syn_backlog = 0
      |               ^
tapster.toml:15:23: error: `maximum_connections` in [tcp] must be from 1 to 4194304, not 0
   15 | maximum_connections = 0
      |                       ^
tapster.toml:16:13: error: `time_wait` in [tcp] must be from 1s to 4m, not 5m
   16 | time_wait = "5m"
      |             ^^^^
tapster.toml:17:16: error: `user_timeout` in [tcp] must be from 1s to 1day, not 2days
   17 | user_timeout = "2 days"
      |                ^^^^^^^^
tapster.toml:19:14: error: `cache_size` in [arp] must be from 1 to 65536, not 0
   19 | cache_size = 0
      |              ^
tapster.toml:20:18: error: `reachable_time` in [arp] must be from 1s to 1day, not 0s
   20 | reachable_time = "0s"
      |                  ^^^^
tapster.toml:21:16: error: `queue_length` in [arp] must be from 1 to 1024, not 1025
   21 | queue_length = 1025
      |                ^^^^
tapster.toml:23:19: error: `frames_per_turn` in [event_loop] must be from 1 to 65536, not 0
   23 | frames_per_turn = 0
      |                   ^
tapster.toml:24:11: error: `workers` in [event_loop] must be from 1 to 64, not 65
   24 | workers = 65
      |           ^^
tapster.toml:25:16: error: `worker_queue` in [event_loop] must be from 1 to 65536, not 0
   25 | worker_queue = 0
      |                ^
tapster.toml:26:13: error: `busy_poll` in [event_loop] must be from 0s to 1s, not 2s
   26 | busy_poll = "2s"
      |             ^^^^
tapster.toml:27:17: error: `drain_timeout` in [event_loop] must be from 0s to 10m, not 1h
   27 | drain_timeout = "1h"
      |                 ^^^^
"#
    );
    for (mtu, valid) in [(67, false), (1280, true), (65521, true), (65522, false)] {
        assert_eq!(wrong(&format!("link.mtu = {mtu}")).is_empty(), valid, "{mtu}");
    }
    frame("link.mtu = 68\nnetwork.addresses = [\"192.0.2.2/24\"]");
    assert!(wrong("link.mac = \"00:00:00:00:00:00\"").contains("a hardware address of zeros belongs to nobody"));
    let long = format!("control.socket = \"/{}\"", "a".repeat(107));
    assert!(wrong(&long).contains("the path of a socket has at most 107 bytes, this one has 108"));
}

#[test]
fn addresses_that_no_host_can_have_or_that_clash() {
    let text = r#"[network]
addresses = [
  "192.0.2.0/24",
  "192.0.2.255/24",
  "192.0.2.2/24",
  "192.0.2.2/25",
  "192.0.2.3/16",
  "192.0.2.9/32",
  "127.0.0.1/8",
  "224.0.0.1/32",
  "0.0.0.0/32",
  "255.255.255.255/32",
]
gateways = []
"#;
    assert_eq!(
        wrong(text),
        r#"tapster.toml:3:3: error: 192.0.2.0 is the address of the network itself, not a host's
    3 |   "192.0.2.0/24",
      |   ^^^^^^^^^^^^^^
tapster.toml:4:3: error: 192.0.2.255 is the broadcast address of its network, not a host's
    4 |   "192.0.2.255/24",
      |   ^^^^^^^^^^^^^^^^
tapster.toml:6:3: error: 192.0.2.2 is given twice
    6 |   "192.0.2.2/25",
      |   ^^^^^^^^^^^^^^ it is also network.addresses[2]
tapster.toml:7:3: error: 192.0.0.0/16 and 192.0.2.0/24 are two networks that overlap
    7 |   "192.0.2.3/16",
      |   ^^^^^^^^^^^^^^ the other one is that of network.addresses[0]
tapster.toml:9:3: error: 127.0.0.1 is a loopback address, not a host's
    9 |   "127.0.0.1/8",
      |   ^^^^^^^^^^^^^
tapster.toml:10:3: error: 224.0.0.1 is a multicast address, not a host's
   10 |   "224.0.0.1/32",
      |   ^^^^^^^^^^^^^^
tapster.toml:11:3: error: 0.0.0.0 is the unspecified address, not a host's
   11 |   "0.0.0.0/32",
      |   ^^^^^^^^^^^^
tapster.toml:12:3: error: 255.255.255.255 is the broadcast address, not a host's
   12 |   "255.255.255.255/32",
      |   ^^^^^^^^^^^^^^^^^^^^
"#
    );
    frame("network.addresses = [\"192.0.2.2/24\", \"192.0.2.3/24\", \"198.51.100.1/31\", \"192.0.2.7/32\"]");
    frame("network.addresses = [\"2001:db8::1/64\"]");
}

#[test]
fn there_is_a_limit_to_the_addresses() {
    let addresses = |count: usize| -> String {
        let addresses: Vec<_> = (0..count).map(|n| format!("\"10.{}.{}.1/8\"", n / 256, n % 256)).collect();
        wrong(&format!("network.addresses = [{}]", addresses.join(",")))
    };
    assert_eq!(addresses(1024), "");
    assert!(
        addresses(1025)
            .starts_with("tapster.toml:1:21: error: 1025 of these are more than the 1024 that are allowed\n")
    );
}

#[test]
fn gateways_routes_and_the_hosts_end() {
    let text = r#"[network]
addresses = ["192.0.2.2/24", "198.51.100.2/24"]
gateways = ["192.0.2.1", "10.0.0.1", "198.51.100.2", "192.0.2.255", "192.0.2.1"]
[[network.routes]]
destination = "203.0.113.7/24"
gateway = "203.0.113.1"
[[network.routes]]
destination = "0.0.0.0/0"
gateway = "192.0.2.1"
[link.host]
addresses = ["192.0.2.1/24", "192.0.2.2/24", "10.0.0.1/8", "192.0.2.0/24"]
"#;
    assert_eq!(
        wrong(text),
        r#"tapster.toml:3:26: error: the gateway 10.0.0.1 is in none of tapster's own networks
    3 | gateways = ["192.0.2.1", "10.0.0.1", "198.51.100.2", "192.0.2.255", "192.0.2.1"]
      |                          ^^^^^^^^^^ they are 192.0.2.0/24, 198.51.100.0/24
tapster.toml:3:38: error: the gateway 198.51.100.2 is tapster itself
    3 | gateways = ["192.0.2.1", "10.0.0.1", "198.51.100.2", "192.0.2.255", "192.0.2.1"]
      |                                      ^^^^^^^^^^^^^^ it is network.addresses[1]
tapster.toml:3:54: error: the gateway 192.0.2.255 is the address of a network or its broadcast address
    3 | gateways = ["192.0.2.1", "10.0.0.1", "198.51.100.2", "192.0.2.255", "192.0.2.1"]
      |                                                      ^^^^^^^^^^^^^
tapster.toml:3:69: error: 192.0.2.1 is given twice
    3 | gateways = ["192.0.2.1", "10.0.0.1", "198.51.100.2", "192.0.2.255", "192.0.2.1"]
      |                                                                     ^^^^^^^^^^^
tapster.toml:5:15: error: 203.0.113.7/24 is an address in a network, not a network
    5 | destination = "203.0.113.7/24"
      |               ^^^^^^^^^^^^^^^^ the network is 203.0.113.0/24
tapster.toml:6:11: error: the gateway 203.0.113.1 is in none of tapster's own networks
    6 | gateway = "203.0.113.1"
      |           ^^^^^^^^^^^^^ they are 192.0.2.0/24, 198.51.100.0/24
tapster.toml:11:30: error: the host's address 192.0.2.2 is tapster's own
   11 | addresses = ["192.0.2.1/24", "192.0.2.2/24", "10.0.0.1/8", "192.0.2.0/24"]
      |                              ^^^^^^^^^^^^^^ it is network.addresses[0]
tapster.toml:11:46: warning: the host's address 10.0.0.1 is in none of tapster's own networks
   11 | addresses = ["192.0.2.1/24", "192.0.2.2/24", "10.0.0.1/8", "192.0.2.0/24"]
      |                                              ^^^^^^^^^^^^ they are 192.0.2.0/24, 198.51.100.0/24
tapster.toml:11:60: error: 192.0.2.0 is the address of the network itself, not a host's
   11 | addresses = ["192.0.2.1/24", "192.0.2.2/24", "10.0.0.1/8", "192.0.2.0/24"]
      |                                                            ^^^^^^^^^^^^^^
"#
    );
}

#[test]
fn a_wrong_address_is_not_held_against_its_neighbours() {
    let text = "[network]\naddresses = [\"10.0.0.2\", \"10.0.0.255/24\"]\ngateways = [\"10.1.0.1\", \"x\"]\n";
    let (frame, diagnostics) = Frame::read(&document(text), SERVICES);
    assert_eq!(frame, None);
    assert_eq!(
        rendered(&diagnostics),
        r#"tapster.toml:2:14: error: invalid `addresses[0]` in [network]: "10.0.0.2" has no prefix length, as in "192.0.2.2/24"
    2 | addresses = ["10.0.0.2", "10.0.0.255/24"]
      |              ^^^^^^^^^^
tapster.toml:2:26: error: 10.0.0.255 is the broadcast address of its network, not a host's
    2 | addresses = ["10.0.0.2", "10.0.0.255/24"]
      |                          ^^^^^^^^^^^^^^^
tapster.toml:3:25: error: invalid `gateways[1]` in [network]: invalid IP address syntax
    3 | gateways = ["10.1.0.1", "x"]
      |                         ^^^
"#
    );
}

#[test]
fn a_frame_is_given_beside_errors_that_are_not_of_the_network() {
    let text = "tcp.time_wait = 5\nlink.mtu = 1\nservices = { dns = {}, x = {} }\n";
    let (frame, diagnostics) = Frame::read(&document(text), SERVICES);
    let frame = frame.unwrap();
    assert_eq!(frame.network, Network::default());
    assert_eq!(frame.services, BTreeSet::from(["dns".to_owned()]));
    assert_eq!(diagnostics.len(), 3);
}

#[test]
fn the_embedded_files_are_those_that_the_document_names() {
    let document = crate::EMBEDDED_DOCUMENT;
    let names: Vec<_> = crate::embedded_files().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["example.test.zone", "tftp/boot.ipxe", "tftp/hello.txt", "www/index.html"]);
    assert!(document.contains("file = \"example.test.zone\"") && document.contains("root = \"www\""));
    assert!(document.contains("root = \"tftp\""));
    for (name, content) in crate::embedded_files() {
        let text = std::str::from_utf8(content).unwrap();
        // Nothing is loaded from elsewhere.
        assert!(!text.contains("src=") && !text.contains("<link") && !text.contains("@import"), "{name}");
    }
    assert!(Layer::file("tapster.toml".as_ref(), document).is_ok());
}
