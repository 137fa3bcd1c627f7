//! Files that are made when they are asked for, from a template.
//!
//! Responsible for `[[services.tftp.generated]]`: which rule makes which name, and what comes of it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::client::Client;
use crate::name::Name;

/// `[[services.tftp.generated]]`: a file that exists in the configuration alone. It goes before one in the root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratedFile {
    /// Its name. `{mac}` stands for the client's hardware address as `02-54-41-50-53-02`, `{ip}` for its address.
    pub name: String,
    /// Its text. `{{mac}}`, `{{ip}}` and `{{server}}` are replaced: the client's hardware address as
    /// `02:54:41:50:53:02`, its address, and the address that it asked.
    pub text: Option<String>,
    /// Or a file with this text, relative to the configuration file; read when the configuration is.
    pub template: Option<PathBuf>,
}

/// A rule, checked and with its text.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
}

impl Generated {
    /// The file's content for a client, if this is the file that it asks for.
    pub(crate) fn content(&self, name: &Name, client: &Client, case_insensitive: bool) -> Option<Vec<u8>> {
        let path = client.path(&self.name)?;
        let same = if case_insensitive {
            path.as_bytes().eq_ignore_ascii_case(name.as_bytes())
        } else {
            path.as_bytes() == name.as_bytes()
        };
        same.then(|| client.text(&self.text).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_for_each_client() {
        let generated = Generated { name: "cfg/01-{mac}".to_owned(), text: Arc::from("I am {{ip}}") };
        let client = Client {
            address: "192.0.2.9".parse().unwrap(),
            server: "192.0.2.2".parse().unwrap(),
            link_address: Some([2, 0, 0, 0, 0, 0xab]),
        };
        let content = |name: &str, client: &Client, any_case| {
            generated.content(&Name::parse(name.as_bytes(), true).unwrap(), client, any_case)
        };
        assert_eq!(content("cfg/01-02-00-00-00-00-ab", &client, false).unwrap(), b"I am 192.0.2.9");
        assert_eq!(content("CFG/01-02-00-00-00-00-AB", &client, false), None);
        assert!(content("CFG/01-02-00-00-00-00-AB", &client, true).is_some());
        assert_eq!(content("cfg/01-02-00-00-00-00-cd", &client, true), None);
        assert_eq!(content("cfg/01-{mac}", &Client { link_address: None, ..client }, true), None);
    }
}
