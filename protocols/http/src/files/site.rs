//! Sites, and which of them a request means.
//!
//! Responsible for what a site is once its configuration has been checked, and for matching hosts.

use std::collections::HashMap;
use std::path::PathBuf;

use super::rules::Rule;

/// One site of files.
#[derive(Debug)]
pub(crate) struct Site {
    /// The directory served, if there is one.
    pub(crate) root: Option<PathBuf>,
    /// The names tried for a directory, in order.
    pub(crate) index: Vec<String>,
    /// Whether a directory without index is listed.
    pub(crate) autoindex: bool,
    /// Whether compressed files beside the originals are looked for.
    pub(crate) precompressed: bool,
    /// Whether PUT and DELETE are served.
    pub(crate) writable: bool,
    /// Whether plain HTTP is answered by a redirect to this port, on which HTTPS is served.
    pub(crate) https_only: Option<u16>,
    /// The largest file that may be put, in bytes.
    pub(crate) max_upload_size: u64,
    /// Answers without a file; the first that matches is given.
    pub(crate) rules: Vec<Rule>,
    /// Header lines for each of its responses, each with its CRLF.
    pub(crate) fields: Vec<u8>,
    /// Larger files are not cached, in bytes.
    pub(crate) cache_file_size: u64,
    /// How many entries a listing has at most.
    pub(crate) listing_entries: usize,
}

/// Finds a site by host.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    exact: HashMap<String, usize>,
    /// Suffixes such as `.example.test`, longest first.
    suffixes: Vec<(String, usize)>,
    any: Option<usize>,
}

impl Hosts {
    /// Adds a pattern (`*`, `*.example.test`, `www.example.test`) and returns the site that has it already, if one
    /// does.
    pub(crate) fn add(&mut self, pattern: &str, site: usize) -> Option<usize> {
        let pattern = canonical(pattern);
        if pattern == "*" {
            let previous = self.any;
            self.any = previous.or(Some(site));
            return previous;
        }
        if let Some(suffix) = pattern.strip_prefix('*') {
            if let Some((_, previous)) = self.suffixes.iter().find(|(known, _)| known == suffix) {
                return Some(*previous);
            }
            self.suffixes.push((suffix.to_owned(), site));
            self.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
            return None;
        }
        match self.exact.entry(pattern) {
            std::collections::hash_map::Entry::Occupied(known) => Some(*known.get()),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(site);
                None
            }
        }
    }

    /// The site for a host without port: its own name before a wildcard, a longer wildcard before a shorter one.
    pub(crate) fn find(&self, host: &str) -> Option<usize> {
        if self.exact.is_empty() && self.suffixes.is_empty() {
            return self.any;
        }
        let host = canonical(host);
        let suffix = || self.suffixes.iter().find(|(suffix, _)| host.ends_with(suffix.as_str())).map(|(_, site)| *site);
        self.exact.get(&host).copied().or_else(suffix).or(self.any)
    }
}

/// Lower case, without the root's dot.
fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_pattern_wins() {
        let mut hosts = Hosts::default();
        for (site, pattern) in ["*.test", "*.example.test", "www.example.test"].into_iter().enumerate() {
            assert_eq!(hosts.add(pattern, site), None);
        }
        assert_eq!(hosts.add("WWW.Example.Test.", 7), Some(2), "a duplicate");
        assert_eq!(hosts.add("*.test", 7), Some(0));
        assert_eq!(hosts.find("www.EXAMPLE.test"), Some(2));
        assert_eq!(hosts.find("www.example.test."), Some(2));
        assert_eq!(hosts.find("a.example.test"), Some(1));
        assert_eq!(hosts.find("b.test"), Some(0));
        assert_eq!(hosts.find("test"), None);
        assert_eq!(hosts.add("*", 3), None);
        assert_eq!(hosts.find("test"), Some(3));
        assert_eq!(hosts.find(""), Some(3));
    }
}
