//! Faults on purpose: for those who test a client.
//!
//! Responsible for which rule meets which packet of which transfer. The packets are those that the server sends: DATA
//! of a read, ACKs of a write; block 0 is the OACK, or the ACK of the request. What a fault does is up to the transfer.

use std::sync::Arc;

use rand_core::Rng;
use serde::Deserialize;

use crate::name::Name;
use crate::packet::Direction;

/// `[[services.tftp.faults]]`: one rule. The first that meets a packet counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens.
    pub action: FaultAction,
    /// The file's name; a `*` stands for anything. Left out: every file.
    pub file: Option<String>,
    /// `read` or `write`. Left out: both.
    pub direction: Option<FaultDirection>,
    /// The block that it happens to, counted from 0 without wrapping (0: the answer to the request). Left out: any.
    pub block: Option<u64>,
    /// How likely it is, 0 to 100 per cent.
    #[serde(default = "always")]
    pub probability: f64,
    /// How often it happens in one transfer. Left out: once if there is a `block`, else without limit.
    pub times: Option<u32>,
    /// For `error`: the code that is sent, 0 to 8.
    #[serde(default)]
    pub code: u16,
    /// For `error`: the text that is sent.
    #[serde(default = "on_purpose")]
    pub text: String,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultAction {
    /// The packet is not sent.
    Drop,
    /// The packet is sent twice.
    Duplicate,
    /// Neither this packet nor any later one of the transfer is sent.
    Stall,
    /// An ERROR is sent in its place, and the transfer ends.
    Error,
}

/// Which way the file goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultDirection {
    /// From the server.
    Read,
    /// To the server.
    Write,
}

fn always() -> f64 {
    100.0
}

fn on_purpose() -> String {
    "Fault on purpose".to_owned()
}

impl FaultAction {
    pub(crate) const ALL: [(Self, &'static str); 4] =
        [(Self::Drop, "drop"), (Self::Duplicate, "duplicate"), (Self::Stall, "stall"), (Self::Error, "error")];
}

impl FaultRule {
    fn is_about(&self, name: &Name, direction: Direction) -> bool {
        let directions = matches!(
            (self.direction, direction),
            (None, _) | (Some(FaultDirection::Read), Direction::Read) | (Some(FaultDirection::Write), Direction::Write)
        );
        directions && self.file.as_deref().is_none_or(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }
}

/// Whether a name fits a pattern in which `*` stands for any bytes. Goes back to the last `*` only, which is enough.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut retry = None;
    while position < name.len() {
        if pattern.get(at) == Some(&b'*') {
            retry = Some((at + 1, position));
            at += 1;
        } else if pattern.get(at) == name.get(position) {
            at += 1;
            position += 1;
        } else if let Some((after, from)) = retry {
            retry = Some((after, from + 1));
            at = after;
            position = from + 1;
        } else {
            return false;
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// The rules that are about one transfer.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    rules: Vec<(Arc<FaultRule>, u32)>,
    stalled: bool,
}

impl Faults {
    /// The rules about a transfer, if there are any.
    pub(crate) fn of(rules: &[Arc<FaultRule>], name: &Name, direction: Direction) -> Option<Box<Self>> {
        let about = rules.iter().filter(|rule| rule.is_about(name, direction));
        let rules: Vec<_> = about
            .map(|rule| {
                let times = rule.times.unwrap_or(if rule.block.is_some() { 1 } else { u32::MAX });
                (Arc::clone(rule), times)
            })
            .collect();
        (!rules.is_empty()).then(|| Box::new(Self { rules, stalled: false }))
    }

    /// What happens to a packet.
    pub(crate) fn meet(&mut self, block: u64, random: &mut dyn Rng) -> Option<Arc<FaultRule>> {
        for (rule, left) in &mut self.rules {
            let again = self.stalled && rule.action == FaultAction::Stall;
            let here = *left > 0 && rule.block.is_none_or(|wanted| wanted == block);
            if again || (here && f64::from(random.next_u32()) < rule.probability / 100.0 * 4_294_967_296.0) {
                *left = left.saturating_sub(1);
                self.stalled |= rule.action == FaultAction::Stall;
                return Some(Arc::clone(rule));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tapster_service::testing::TestEnvironment;

    use super::*;

    fn faults(section: &str) -> Option<Box<Faults>> {
        let name = Name::parse(b"boot/a.img", true).unwrap();
        Faults::of(&[Arc::new(toml::from_str(section).unwrap())], &name, Direction::Read)
    }

    fn met(faults: &mut Faults, blocks: &[u64]) -> Vec<u64> {
        let mut environment = TestEnvironment::default();
        environment.with_context(|cx| {
            blocks.iter().copied().filter(|block| faults.meet(*block, cx.random()).is_some()).collect()
        })
    }

    #[test]
    fn rules_are_about_files_and_directions() {
        for about in ["", "file = '*.img'", "direction = 'read'", "file = 'boot/*'"] {
            assert!(faults(&format!("action = 'drop'\n{about}")).is_some(), "{about}");
        }
        for other in ["file = 'a.img'", "direction = 'write'", "file = '*.efi'"] {
            assert!(faults(&format!("action = 'drop'\n{other}")).is_none(), "{other}");
        }
    }

    #[test]
    fn one_block_is_met_once_and_any_block_always() {
        assert_eq!(met(&mut faults("action = 'drop'\nblock = 2").unwrap(), &[1, 2, 2, 3]), [2]);
        assert_eq!(met(&mut faults("action = 'drop'\nblock = 2\ntimes = 2").unwrap(), &[2, 2, 2]), [2, 2]);
        assert_eq!(met(&mut faults("action = 'drop'").unwrap(), &[1, 1, 2]), [1, 1, 2]);
    }

    #[test]
    fn a_stall_lasts() {
        assert_eq!(met(&mut faults("action = 'stall'\nblock = 3").unwrap(), &[2, 3, 2, 3, 4]), [3, 2, 3, 4]);
    }

    #[test]
    fn probability() {
        let blocks: Vec<u64> = (0..1000).collect();
        let count = met(&mut faults("action = 'drop'\nprobability = 25").unwrap(), &blocks).len();
        assert!((200..300).contains(&count), "{count}");
        assert_eq!(met(&mut faults("action = 'drop'\nprobability = 0").unwrap(), &blocks), []);
    }

    proptest! {
        #[test]
        fn patterns_match_as_by_the_definition(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn defined(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, _) => name.is_empty(),
                    (Some((b'*', rest)), None) => defined(rest, name),
                    (Some((b'*', rest)), Some((_, left))) => defined(rest, name) || defined(pattern, left),
                    (Some((one, rest)), Some((other, left))) => one == other && defined(rest, left),
                    (Some(_), None) => false,
                }
            }
            prop_assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), defined(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
