//! The path of a key: `services.dns.zones[0].file`.
//!
//! Responsible for naming a key in the whole document and for the words that a message uses for it. Not for where the
//! key stands in a file: that is [`crate::Document`]'s.

use std::fmt;

/// One step of a key's path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathElement {
    /// A key of a table.
    Key(String),
    /// A place in an array, from 0.
    Index(usize),
}

impl From<&str> for PathElement {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for PathElement {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The path of a key, from the top of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPath(Vec<PathElement>);

impl KeyPath {
    /// The path of the table whose keys are separated by dots: `services.dns`. An empty text is the whole document.
    #[must_use]
    pub fn dotted(keys: &str) -> Self {
        Self(keys.split('.').filter(|key| !key.is_empty()).map(PathElement::from).collect())
    }

    /// The path of something inside this one.
    #[must_use]
    pub fn join(&self, rest: impl IntoIterator<Item = PathElement>) -> Self {
        Self(self.0.iter().cloned().chain(rest).collect())
    }

    /// The path of one element or key of this one.
    #[must_use]
    pub fn child(&self, element: impl Into<PathElement>) -> Self {
        self.join([element.into()])
    }

    /// The steps.
    #[must_use]
    pub fn elements(&self) -> &[PathElement] {
        &self.0
    }

    /// The path of what this one is in; `None` for the whole document.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, parent)| Self(parent.to_vec()))
    }

    /// Whether this is `other` or inside it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The words for the key itself: its name and the indices behind it, such as `addresses[1]`.
    pub(crate) fn name(&self) -> String {
        Self(self.0[self.table_length()..].to_vec()).to_string()
    }

    /// The words for the table that the key stands in, such as `in [network]`.
    pub(crate) fn table(&self) -> String {
        Self(self.0[..self.table_length()].to_vec()).as_table()
    }

    /// The words for this path as a table, such as `in [[services.dns.zones]]`.
    pub(crate) fn as_table(&self) -> String {
        let keys: Vec<&str> = self
            .0
            .iter()
            .filter_map(|element| match element {
                PathElement::Key(key) => Some(key.as_str()),
                PathElement::Index(_) => None,
            })
            .collect();
        match self.0.last() {
            None => "at the top level".to_owned(),
            Some(PathElement::Key(_)) => format!("in [{}]", keys.join(".")),
            Some(PathElement::Index(_)) => format!("in [[{}]]", keys.join(".")),
        }
    }

    /// How many steps lead to the table that the key stands in.
    fn table_length(&self) -> usize {
        self.0.iter().rposition(|element| matches!(element, PathElement::Key(_))).unwrap_or(0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, element) in self.0.iter().enumerate() {
            match element {
                PathElement::Key(key) if place == 0 => write!(f, "{key}")?,
                PathElement::Key(key) => write!(f, ".{key}")?,
                PathElement::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl From<Vec<PathElement>> for KeyPath {
    fn from(elements: Vec<PathElement>) -> Self {
        Self(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_key_and_its_table() {
        let file = KeyPath::dotted("services.dns").join(["zones".into(), 2.into(), "file".into()]);
        assert_eq!(file.to_string(), "services.dns.zones[2].file");
        assert_eq!((file.name().as_str(), file.table().as_str()), ("file", "in [[services.dns.zones]]"));
        let address = KeyPath::dotted("network.addresses").child(1);
        assert_eq!((address.name().as_str(), address.table().as_str()), ("addresses[1]", "in [network]"));
        let top = KeyPath::dotted("mtu");
        assert_eq!((top.name().as_str(), top.table().as_str()), ("mtu", "at the top level"));
        assert_eq!(KeyPath::default().table(), "at the top level");
    }

    #[test]
    fn within() {
        let network = KeyPath::dotted("network");
        assert!(network.child("addresses").is_within(&network));
        assert!(!KeyPath::dotted("networks").is_within(&network));
        assert_eq!(network.child("addresses").parent(), Some(network));
    }
}
