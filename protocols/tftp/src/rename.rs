//! Names that stand for others.
//!
//! Responsible for `[[services.tftp.rename]]`: which rule meets a name, and what it becomes. What comes out is read as
//! a name again, so that no rule leads out of the root.

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::client::Client;
use crate::name::{Name, NameError};

/// The largest program that a pattern may become, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

/// `[[services.tftp.rename]]`: a rule. The first whose pattern is found in a name counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameRule {
    /// A regular expression over the name: relative to the root, with `/` between its components.
    pub from: String,
    /// What takes the place of what it matches. `$1` or `${name}` is a group of the expression, `$$` a dollar sign;
    /// `{mac}` and `{ip}` are the client's, as in `root`.
    pub to: String,
}

/// A rule, checked.
#[derive(Clone, Debug)]
pub(crate) struct Rename {
    from: Regex,
    to: String,
}

impl Rename {
    /// Reads a rule.
    ///
    /// # Errors
    /// What is wrong with its pattern.
    pub(crate) fn new(rule: &RenameRule) -> Result<Self, String> {
        let pattern = RegexBuilder::new(&rule.from).unicode(false).size_limit(PATTERN_SIZE).build();
        let from = pattern.map_err(|error| error.to_string())?;
        Ok(Self { from, to: rule.to.clone() })
    }

    /// What a name becomes; `None` if the pattern is not in it, or the client's hardware address would have to be known.
    fn apply(&self, name: &Name, client: &Client) -> Option<Result<Name, NameError>> {
        let found = self.from.captures(name.as_bytes())?;
        // The groups' braces go first: a placeholder that a client writes into its name stays as it is.
        let to = client.path(&protect(&self.to))?.replace('\u{1}', "${");
        let mut renamed = Vec::new();
        let whole = found.get(0)?;
        renamed.extend_from_slice(name.as_bytes().get(..whole.start())?);
        found.expand(to.as_bytes(), &mut renamed);
        renamed.extend_from_slice(name.as_bytes().get(whole.end()..)?);
        Some(Name::parse(&renamed, false))
    }
}

/// Hides `${`, so that a group named `mac` is not taken for a placeholder.
fn protect(template: &str) -> String {
    template.replace("${", "\u{1}")
}

/// What a name becomes by the first rule that meets it.
pub(crate) fn rename(rules: &[Rename], name: Name, client: &Client) -> Result<Name, NameError> {
    rules.iter().find_map(|rule| rule.apply(&name, client)).unwrap_or(Ok(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Client = Client {
        address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)),
        server: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)),
        link_address: Some([2, 0, 0, 0, 0, 1]),
    };

    fn renamed(rules: &[(&str, &str)], name: &str) -> Result<String, NameError> {
        let rule = |(from, to): &(&str, &str)| Rename::new(&RenameRule { from: (*from).into(), to: (*to).into() });
        let rules: Vec<Rename> = rules.iter().map(|each| rule(each).unwrap()).collect();
        let name = Name::parse(name.as_bytes(), true).unwrap();
        rename(&rules, name, &CLIENT).map(|name| name.to_string())
    }

    #[test]
    fn the_first_rule_counts() {
        let rules = [("^tftpboot/", ""), ("^tftp", "x"), (r"\.cfg$", ".conf")];
        assert_eq!(renamed(&rules, "/tftpboot/a.cfg").unwrap(), "a.cfg");
        assert_eq!(renamed(&rules, "b.cfg").unwrap(), "b.conf");
        assert_eq!(renamed(&rules, "c").unwrap(), "c");
    }

    #[test]
    fn groups_and_placeholders() {
        assert_eq!(renamed(&[(r"^(\w+)\.0$", "bios/$1/$$0")], "pxelinux.0").unwrap(), "bios/pxelinux/$0");
        assert_eq!(renamed(&[("^default$", "{mac}/{ip}")], "default").unwrap(), "02-00-00-00-00-01/192.0.2.9");
        assert_eq!(renamed(&[("^(?P<mac>a)", "${mac}{mac}")], "ab").unwrap(), "a02-00-00-00-00-01b");
        assert_eq!(renamed(&[("^(.*)$", "x/$1")], "{ip}").unwrap(), "x/{ip}");
        assert_eq!(renamed(&[("(?i)^BOOT", "b")], "boot.efi").unwrap(), "b.efi");
    }

    #[test]
    fn no_rule_leads_out() {
        assert_eq!(renamed(&[("^a", "../a")], "a"), Err(NameError::Parent));
        assert_eq!(renamed(&[("^a$", "")], "a"), Err(NameError::Empty));
        assert_eq!(renamed(&[("^a", "/etc/a")], "a").unwrap(), "etc/a");
    }

    #[test]
    fn patterns_are_checked() {
        for wrong in ["(", "a{1000}{1000}", r"\p{Greek}"] {
            assert!(Rename::new(&RenameRule { from: wrong.into(), to: String::new() }).is_err(), "{wrong}");
        }
    }
}
