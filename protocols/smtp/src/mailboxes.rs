//! Which addresses are ours, and which mailboxes each of them leads to.
//!
//! Responsible for the refusal of everything else: no address leads anywhere but into the Maildir. Responsible also
//! for the names that the mailboxes have on disk, in which nothing of the client's choosing but letters, digits and a
//! few marks is left as it was.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::address::{Address, Domain, ForwardPath};
use crate::reply::Reply;

/// The longest name of a directory, in bytes.
const LONGEST_NAME: usize = 255;
const POSTMASTER: &str = "postmaster";

/// A mailbox, by its path below the Maildir's root: `<domain>/<local part>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MailboxName {
    domain: String,
    local_part: String,
}

impl MailboxName {
    #[cfg(test)]
    pub(crate) fn new(domain: &str, local_part: &str) -> Self {
        Self { domain: domain.to_owned(), local_part: local_part.to_owned() }
    }

    /// How much memory it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.domain.len() + self.local_part.len()
    }

    /// The directory of its domain.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Its own directory, in that of the domain.
    pub(crate) fn local_part(&self) -> &str {
        &self.local_part
    }
}

/// Why an address is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Its domain is not one of ours.
    #[error("the domain is not ours")]
    Foreign,
    /// It asks us to send the message on (`user%elsewhere@here`, `elsewhere!user@here`).
    #[error("the address is a route to elsewhere")]
    Route,
    /// There is no such mailbox.
    #[error("there is no such mailbox")]
    Unknown,
}

impl Refusal {
    pub(crate) const fn reply(self) -> Reply {
        match self {
            Self::Foreign => Reply::new(550, "5.7.1 Relaying denied"),
            Self::Route => Reply::new(550, "5.7.1 Relaying denied, the address is a route"),
            Self::Unknown => Reply::new(550, "5.1.1 No such user here"),
        }
    }
}

/// Everything that is known of our addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailboxes {
    /// Our domains, in lower case. The first one also takes mail to our address literals and to the bare postmaster.
    pub(crate) domains: Vec<String>,
    /// Our name; it has a postmaster even when it is not among the domains.
    pub(crate) hostname: String,
    /// Our addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether every local part exists.
    pub(crate) any: bool,
    /// Those that exist if not all do, in lower case.
    pub(crate) local_parts: HashSet<String>,
    /// Other names of mailboxes, in lower case, each with the local parts that it leads to in the same domain.
    pub(crate) aliases: HashMap<String, Vec<String>>,
    /// The local part that takes the mail for those that do not exist.
    pub(crate) catch_all: Option<String>,
    /// What divides the mailbox from the detail; empty if nothing does.
    pub(crate) separator: String,
}

impl Mailboxes {
    /// The mailboxes that an address leads to, at least one.
    pub(crate) fn find(&self, path: &ForwardPath) -> Result<Vec<MailboxName>, Refusal> {
        let first = self.domains.first().ok_or(Refusal::Foreign)?;
        let (domain, local_part) = match path {
            ForwardPath::Postmaster => (first.as_str(), POSTMASTER.to_owned()),
            ForwardPath::Mailbox(address) => {
                let local_part = address.local_part.to_lowercase();
                let postmaster = || local_part == POSTMASTER && self.is_hostname(&address.domain);
                let domain = self.domain(address).or_else(|| postmaster().then_some(first));
                (domain.ok_or(Refusal::Foreign)?, local_part)
            }
        };
        if local_part.contains(['%', '!']) {
            return Err(Refusal::Route);
        }
        let name = |local_part: &str| {
            let local_part = directory_name(local_part).ok_or(Refusal::Unknown)?;
            Ok(MailboxName { domain: domain.to_owned(), local_part })
        };
        let existing = self.existing(&local_part).ok_or(Refusal::Unknown)?;
        match self.aliases.get(existing) {
            Some(targets) => targets.iter().map(|target| name(target)).collect(),
            None => Ok(vec![name(existing)?]),
        }
    }

    fn domain(&self, address: &Address) -> Option<&str> {
        match &address.domain {
            Domain::Name(name) => {
                let name = name.to_lowercase();
                self.domains.iter().find(|domain| **domain == name).map(String::as_str)
            }
            Domain::Literal(literal) if self.addresses.contains(literal) => self.domains.first().map(String::as_str),
            Domain::Literal(_) => None,
        }
    }

    fn is_hostname(&self, domain: &Domain) -> bool {
        matches!(domain, Domain::Name(name) if name.eq_ignore_ascii_case(&self.hostname))
    }

    /// The mailbox or alias for a local part, which is in lower case: an exact match first, then without its detail,
    /// then what takes anything.
    fn existing<'a>(&'a self, local_part: &'a str) -> Option<&'a str> {
        let stem = (!self.separator.is_empty())
            .then(|| local_part.split_once(&self.separator))
            .flatten()
            .map(|(stem, _)| stem)
            .filter(|stem| !stem.is_empty());
        let known = |name: &&str| self.is_known(name);
        Some(local_part)
            .filter(known)
            .or_else(|| stem.filter(known))
            .or_else(|| stem.or(Some(local_part)).filter(|_| self.any))
            .or(self.catch_all.as_deref())
    }

    /// Whether a local part in lower case is that of a mailbox or an alias, apart from what takes anything.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        name == POSTMASTER || self.local_parts.contains(name) || self.aliases.contains_key(name)
    }
}

/// A local part as the name of a directory. Different ones have different names; none is hidden or leads elsewhere.
pub(crate) fn directory_name(local_part: &str) -> Option<String> {
    let mut name = String::new();
    for byte in local_part.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'=');
        if plain || (byte == b'.' && !name.is_empty()) {
            name.push(char::from(byte));
        } else {
            write!(name, "%{byte:02X}").ok()?;
        }
    }
    (1..=LONGEST_NAME).contains(&name.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::forward_path;

    fn mailboxes(local_parts: &[&str]) -> Mailboxes {
        Mailboxes {
            domains: vec!["example.test".to_owned(), "other.test".to_owned()],
            hostname: "mail.example.test".to_owned(),
            addresses: vec!["192.0.2.2".parse().unwrap()],
            any: local_parts.contains(&"*"),
            local_parts: local_parts.iter().map(ToString::to_string).collect(),
            separator: "+".to_owned(),
            ..Mailboxes::default()
        }
    }

    fn find(mailboxes: &Mailboxes, address: &str) -> Result<String, Refusal> {
        let (path, _) = forward_path(&format!("<{address}>")).unwrap();
        let names = mailboxes.find(&path)?;
        Ok(names.iter().map(|name| format!("{}/{}", name.domain, name.local_part)).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn known_users_have_mailboxes_and_others_do_not() {
        let known = mailboxes(&["jones", "a+b"]);
        let found = |address| find(&known, address);
        assert_eq!(found("Jones@Example.TEST"), Ok("example.test/jones".to_owned()));
        assert_eq!(found("jones@other.test"), Ok("other.test/jones".to_owned()));
        assert_eq!(found("jones+lists@example.test"), Ok("example.test/jones".to_owned()));
        assert_eq!(found("a+b@example.test"), Ok("example.test/a+b".to_owned()));
        assert_eq!(found("\"jones\"@[192.0.2.2]"), Ok("example.test/jones".to_owned()));
        assert_eq!(found("green@example.test"), Err(Refusal::Unknown));
        assert_eq!(found("a+c@example.test"), Err(Refusal::Unknown));
        assert_eq!(found("+jones@example.test"), Err(Refusal::Unknown));
        assert_eq!(found("jones@[192.0.2.3]"), Err(Refusal::Foreign));
        assert_eq!(found("jones@example.com"), Err(Refusal::Foreign));
        assert_eq!(found("jones@sub.example.test"), Err(Refusal::Foreign));
        assert_eq!(found("jones@mail.example.test"), Err(Refusal::Foreign));
    }

    #[test]
    fn there_is_always_a_postmaster() {
        let none = mailboxes(&[]);
        for address in
            ["postmaster", "POSTMASTER@example.test", "postmaster@mail.example.test", "Postmaster+x@example.test"]
        {
            assert_eq!(find(&none, address), Ok("example.test/postmaster".to_owned()), "{address}");
        }
        assert_eq!(find(&none, "postmaster@other.test"), Ok("other.test/postmaster".to_owned()));
        assert_eq!(find(&none, "postmaster@example.com"), Err(Refusal::Foreign));
    }

    #[test]
    fn aliases_lead_to_mailboxes_and_a_catch_all_takes_the_rest() {
        let mut some = mailboxes(&["jones", "brown"]);
        some.aliases.insert("sales".to_owned(), vec!["jones".to_owned(), "brown".to_owned()]);
        some.aliases.insert("postmaster".to_owned(), vec!["brown".to_owned()]);
        assert_eq!(find(&some, "Sales@example.test"), Ok("example.test/jones example.test/brown".to_owned()));
        assert_eq!(find(&some, "sales+x@other.test"), Ok("other.test/jones other.test/brown".to_owned()));
        assert_eq!(find(&some, "postmaster"), Ok("example.test/brown".to_owned()));
        assert_eq!(find(&some, "green@example.test"), Err(Refusal::Unknown));
        some.catch_all = Some("jones".to_owned());
        assert_eq!(find(&some, "green@other.test"), Ok("other.test/jones".to_owned()));
        assert_eq!(find(&some, "brown@other.test"), Ok("other.test/brown".to_owned()));
        assert_eq!(find(&some, "green@example.com"), Err(Refusal::Foreign), "of our domains only");
        assert_eq!(find(&some, "a%b@example.test"), Err(Refusal::Route));
        some.any = true;
        assert_eq!(find(&some, "sales@example.test"), Ok("example.test/jones example.test/brown".to_owned()));
        assert_eq!(find(&some, "green+x@example.test"), Ok("example.test/green".to_owned()));
    }

    #[test]
    fn routes_are_refused() {
        let any = mailboxes(&["*"]);
        for address in ["a%b.test@example.test", "b.test!a@example.test", "\"a%b.test\"@example.test"] {
            assert_eq!(find(&any, address), Err(Refusal::Route), "{address}");
        }
    }

    #[test]
    fn names_of_directories_lead_nowhere_else() {
        let any = mailboxes(&["*"]);
        let found = |address| find(&any, address);
        assert_eq!(found("any.one@example.test"), Ok("example.test/any.one".to_owned()));
        assert_eq!(found("any+detail@example.test"), Ok("example.test/any".to_owned()));
        assert_eq!(found("\"..\"@example.test"), Ok("example.test/%2E.".to_owned()));
        assert_eq!(found("\"../x\"@example.test"), Ok("example.test/%2E.%2Fx".to_owned()));
        assert_eq!(found("\"a b\"@example.test"), Ok("example.test/a%20b".to_owned()));
        assert_eq!(found("ü@example.test"), Ok("example.test/%C3%BC".to_owned()));
        assert_eq!(found("\"\"@example.test"), Err(Refusal::Unknown));
    }

    proptest! {
        #[test]
        fn no_local_part_escapes_its_domain(local_part in ".{0,64}") {
            if let Some(name) = directory_name(&local_part) {
                prop_assert!(!name.contains(['/', '\0']) && !name.starts_with('.') && name.len() <= LONGEST_NAME);
            }
        }
    }
}
