//! Rules of a lab: at some point of a session, an answer, a delay or a reset that the operator wants a client to meet.
//!
//! Responsible for which rule applies and what it wants. What comes of it is the session's and the verbs' business. The
//! first rule that applies is the only one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::reply::Reply;

/// Where in a session a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before the greeting; what must match is the client's address.
    Connect,
    /// At HELO or EHLO; the name that the client gives.
    Helo,
    /// At MAIL; the reverse-path.
    Mail,
    /// At RCPT; the recipient.
    Rcpt,
    /// At DATA, or the first BDAT; the reverse-path.
    Data,
    /// At the end of the message, which is thrown away if there is a reply; the reverse-path.
    Message,
}

impl Stage {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 6] = [Self::Connect, Self::Helo, Self::Mail, Self::Rcpt, Self::Data, Self::Message];

    /// Its name, as in the configuration and the metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Helo => "helo",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Message => "message",
        }
    }
}

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) stage: Stage,
    /// What must match: any text for each `*`, in lower case.
    pub(crate) pattern: String,
    /// How often it applies when it matches, 0 to 1.
    pub(crate) probability: f64,
    /// What is let pass before it applies.
    pub(crate) rate: Option<Rate>,
    /// What it wants.
    pub(crate) verdict: Verdict,
}

/// What a rule wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How late the answer is.
    pub(crate) delay: Duration,
    /// The answer instead of our own.
    pub(crate) reply: Option<Reply>,
    /// After how many bytes of message the connection is reset.
    pub(crate) reset_after: Option<u64>,
}

/// What is granted in a time, to all sessions together: so many at once, and in the long run one in each share of the
/// time (the generic cell rate algorithm, ITU-T I.371).
#[derive(Debug)]
pub(crate) struct Rate {
    per: Duration,
    share: Duration,
    /// When the bucket will be full again.
    full_at: Mutex<Option<Instant>>,
}

impl Rate {
    /// `count` in the time `per`.
    pub(crate) fn new(count: u32, per: Duration) -> Self {
        Self { per, share: per / count.max(1), full_at: Mutex::new(None) }
    }

    /// Takes one grant if there is one.
    fn grants(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.unwrap_or(now).max(now) + self.share;
        let granted = next <= now + self.per;
        if granted {
            *full_at = Some(next);
        }
        granted
    }
}

/// The first rule that applies to `subject`. `dice` is a random number, of which every bit is used.
pub(crate) fn find<'a>(rules: &'a [Rule], stage: Stage, subject: &str, now: Instant, dice: u64) -> Option<&'a Rule> {
    let subject = subject.to_lowercase();
    rules.iter().filter(|rule| rule.stage == stage).find(|rule| {
        matches(&rule.pattern, &subject)
            && (dice as f64) < rule.probability * 2_f64.powi(64)
            && !rule.rate.as_ref().is_some_and(|rate| rate.grants(now))
    })
}

/// Whether all of `text` is by the pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Reads a reply as the configuration has it: `451 4.7.1 Greylisted`. Only refusals, since a client may not be told that
/// its mail has been taken when it has not.
pub(crate) fn reply(text: &str) -> Option<Reply> {
    let (code, words) = text.split_once(' ')?;
    let code = code.parse().ok().filter(|code| (400..600).contains(code))?;
    let printable = (1..=500).contains(&words.len()) && words.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    printable.then(|| Reply::owned(code, words.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a@b"),
            ("a@b", "a@b"),
            ("*@b", "a@b"),
            ("a*", "a@b"),
            ("a*c*e", "abcde"),
            ("a**b", "ab"),
            ("*a*", "bab"),
            ("aa*aa", "aaaa"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("a", "ab"), ("*@b", "a@bc"), ("aa*aa", "aaa"), ("a*b*c", "acb"), ("b*", "ab")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_rate_is_granted_in_the_long_run_and_as_a_burst() {
        let rate = Rate::new(3, Duration::from_secs(30));
        let start = Instant::now();
        let granted = |seconds: u64| rate.grants(start + Duration::from_secs(seconds));
        assert_eq!([0, 0, 0, 0].map(granted), [true, true, true, false]);
        assert_eq!([9, 10, 11, 20].map(granted), [false, true, false, true]);
        assert_eq!([1000, 1000, 1000, 1000].map(granted), [true, true, true, false]);
    }

    #[test]
    fn the_dice_decide_as_often_as_they_should() {
        let rule = |probability| Rule {
            stage: Stage::Rcpt,
            pattern: "*".to_owned(),
            probability,
            rate: None,
            verdict: Verdict::default(),
        };
        let applies = |probability, dice| find(&[rule(probability)], Stage::Rcpt, "x", Instant::now(), dice).is_some();
        assert!(applies(1.0, 0) && applies(1.0, u64::MAX - 4096) && !applies(0.0, 0));
        assert!(applies(0.5, u64::MAX / 2 - 4096) && !applies(0.5, u64::MAX / 2 + 4096));
    }

    #[test]
    fn replies_are_refusals() {
        assert_eq!(reply("451 4.7.1 Greylisted"), Some(Reply::new(451, "4.7.1 Greylisted")));
        for wrong in ["", "451", "250 2.0.0 OK", "354 go on", "600 x", "451 ", "451 a\r\n250 b", "abc def"] {
            assert_eq!(reply(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_numbers_of_stages_are_their_places() {
        assert!(Stage::ALL.iter().enumerate().all(|(place, stage)| place == *stage as usize));
    }
}
