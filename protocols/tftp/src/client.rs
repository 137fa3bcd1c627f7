//! What is known of a client, and templates that are filled with it.
//!
//! Responsible for the placeholders of paths (`{mac}`, `{ip}`) and of texts (`{{mac}}`, `{{ip}}`, `{{server}}`). Texts
//! have two braces, since boot scripts have variables of their own such as `${ip}`.

use std::net::IpAddr;

/// Who asked whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// Our address that was asked.
    pub(crate) server: IpAddr,
    /// The hardware address, if the client is a neighbour.
    pub(crate) link_address: Option<[u8; 6]>,
}

/// The placeholders of a path.
const IN_PATHS: [&str; 2] = ["{mac}", "{ip}"];

impl Client {
    fn mac(&self, separator: &str) -> Option<String> {
        let octets = self.link_address?.map(|octet| format!("{octet:02x}"));
        Some(octets.join(separator))
    }

    /// Fills a path, such as `pxelinux.cfg/01-{mac}`: `02-54-41-50-53-02`, as boot loaders write it. `None` if it
    /// names a hardware address and that is not known.
    pub(crate) fn path(&self, template: &str) -> Option<String> {
        let path = template.replace("{ip}", &self.address.to_string());
        if path.contains("{mac}") { Some(path.replace("{mac}", &self.mac("-")?)) } else { Some(path) }
    }

    /// Fills a text: `{{mac}}` is `02:54:41:50:53:02`, and `unknown` if it is not known.
    pub(crate) fn text(&self, template: &str) -> String {
        let mac = self.mac(":").unwrap_or_else(|| "unknown".to_owned());
        let text = template.replace("{{mac}}", &mac);
        text.replace("{{ip}}", &self.address.to_string()).replace("{{server}}", &self.server.to_string())
    }
}

/// Whether a path has a placeholder.
pub(crate) fn is_template(path: &str) -> bool {
    path.contains('{')
}

/// Checks the placeholders of a path.
pub(crate) fn check_path(template: &str) -> Result<(), String> {
    let rest = IN_PATHS.iter().fold(template.to_owned(), |rest, known| rest.replace(known, ""));
    if rest.contains(['{', '}']) {
        return Err(format!("{template:?} has a placeholder other than {}", IN_PATHS.join(" and ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Client = Client {
        address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)),
        server: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)),
        link_address: Some([2, 0x54, 0x41, 0x50, 0x53, 9]),
    };

    #[test]
    fn paths_and_texts() {
        assert_eq!(CLIENT.path("cfg/01-{mac}").unwrap(), "cfg/01-02-54-41-50-53-09");
        assert_eq!(CLIENT.path("{ip}/x").unwrap(), "192.0.2.9/x");
        let script = "set a ${ip} # {{mac}} {{ip}} {{server}}";
        assert_eq!(CLIENT.text(script), "set a ${ip} # 02:54:41:50:53:09 192.0.2.9 192.0.2.2");
    }

    #[test]
    fn an_unknown_hardware_address() {
        let far = Client { link_address: None, ..CLIENT };
        assert_eq!(far.path("cfg/{mac}"), None);
        assert_eq!(far.path("cfg/{ip}").unwrap(), "cfg/192.0.2.9");
        assert_eq!(far.text("{{mac}}"), "unknown");
    }

    #[test]
    fn placeholders_are_checked() {
        assert!(check_path("a/{mac}-{ip}").is_ok());
        for wrong in ["{max}", "{mac", "mac}", "{{mac}}"] {
            assert!(check_path(wrong).is_err(), "{wrong}");
        }
    }
}
