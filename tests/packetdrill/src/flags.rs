//! The settings of a run: the text of packetdrill's `--so_flags`.
//!
//! Responsible for the names of the settings and for the configuration that they make. A setting is `key=value`, settings
//! stand between blanks, and unknown ones are ignored, so that a script's `sysctl` lines can be handed over as they are.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tapster_stack::{Configuration, net, tcp};

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Flags {
    /// `local_ip`: our address, and the length of its network's prefix. Default 192.168.0.1/16.
    pub local: (Ipv4Addr, u8),
    /// `gateway_ip`: the router to everybody else. Default 192.168.0.2.
    pub gateway: Ipv4Addr,
    /// `mtu`, in octets. Default 1,500.
    pub mtu: usize,
    /// TCP's configuration; the scripts assume what Linux does by default.
    pub tcp: tcp::Configuration,
    /// `tcp_timestamps`, and so on, are TCP's. This is `tcp_wmem`: what a socket takes before its user blocks, in octets.
    pub send_buffer: usize,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            local: (Ipv4Addr::new(192, 168, 0, 1), 16),
            gateway: Ipv4Addr::new(192, 168, 0, 2),
            mtu: 1500,
            tcp: tcp::Configuration {
                receive_buffer: 15 << 20,
                ecn: false,
                restart_after_idle: false,
                ..tcp::Configuration::default()
            },
            send_buffer: 4 << 20,
        }
    }
}

impl Flags {
    /// Reads the text of `--so_flags`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        for (key, value) in text.split_whitespace().filter_map(|setting| setting.split_once('=')) {
            flags.set(key, value);
        }
        flags
    }

    fn set(&mut self, key: &str, value: &str) {
        let number = value.parse::<u32>().ok();
        match (key, number) {
            ("local_ip", _) => {
                let (address, prefix) = value.split_once('/').unwrap_or((value, "16"));
                if let (Ok(address), Ok(prefix)) = (address.parse(), prefix.parse()) {
                    self.local = (address, prefix);
                }
            }
            ("gateway_ip", _) => self.gateway = value.parse().unwrap_or(self.gateway),
            ("mtu", Some(octets)) => self.mtu = octets as usize,
            // 2 means: only when the peer offers it. Scripts with 2 are servers, for which there is no difference.
            ("tcp_ecn", Some(mode)) => self.tcp.ecn = mode != 0,
            ("tcp_timestamps", Some(mode)) => self.tcp.timestamps = mode != 0,
            ("tcp_slow_start_after_idle", Some(mode)) => self.tcp.restart_after_idle = mode != 0,
            ("tcp_congestion_control", None) => {
                self.tcp.congestion_control = match value {
                    "reno" => tcp::CongestionControl::NewReno,
                    _ => tcp::CongestionControl::Cubic,
                }
            }
            ("tcp_delack_min_ms", Some(milliseconds)) => {
                self.tcp.delayed_acknowledgment = Duration::from_millis(u64::from(milliseconds));
            }
            _ => {}
        }
    }

    /// The configuration of the host.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        Configuration {
            network: net::Configuration {
                mtu: self.mtu,
                addresses: vec![(IpAddr::V4(self.local.0), self.local.1)],
                gateways: vec![IpAddr::V4(self.gateway)],
                announce: false,
                ..net::Configuration::default()
            },
            tcp: self.tcp.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_unknown_ones_ignored() {
        let flags = Flags::parse("local_ip=10.1.2.3/8  mtu=1400 net=x tcp_ecn=1 tcp_congestion_control=reno nothing");
        assert_eq!(flags.local, (Ipv4Addr::new(10, 1, 2, 3), 8));
        assert_eq!(flags.mtu, 1400);
        assert!(flags.tcp.ecn && !Flags::default().tcp.ecn);
        assert_eq!(flags.tcp.congestion_control, tcp::CongestionControl::NewReno);
    }
}
