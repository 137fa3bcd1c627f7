//! `[impair]`: a bad network, on purpose.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::{Error, IntoDeserializer, value};
use serde::{Deserialize, Deserializer};

/// `[impair]`: what happens to frames between the link and the stack. Nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Impair {
    /// Where chance begins. The same seed and the same frames give the same losses. Default: another one each time.
    pub seed: Option<u64>,
    /// `[impair.in]`: what happens to frames on their way to tapster.
    #[serde(rename = "in")]
    pub inbound: Impairment,
    /// `[impair.out]`: what happens to frames that tapster sends.
    #[serde(rename = "out")]
    pub outbound: Impairment,
}

/// What happens to frames in one direction. `tapster ctl impair` takes the same keys.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Impairment {
    /// How many frames are lost, each by itself. Default 0.
    pub loss: Probability,
    /// How often a burst of losses begins, with each frame. Default 0: there are none.
    pub burst_begin: Probability,
    /// How often a burst ends, with each frame: it is 1 / `burst_end` frames long on average. Default 25 %.
    pub burst_end: Probability,
    /// How long each frame is on its way. At most 1 h; default 0.
    #[serde(deserialize_with = "short_duration")]
    pub delay: Duration,
    /// By how much the delay varies, more or less. At most 1 h; default 0.
    #[serde(deserialize_with = "short_duration")]
    pub jitter: Duration,
    /// How many frames are overtaken by those that come within `reorder_by` after them. Default 0.
    pub reorder: Probability,
    /// How much later such a frame arrives. At most 1 h; default 1 ms.
    #[serde(deserialize_with = "short_duration")]
    pub reorder_by: Duration,
    /// How many frames arrive twice. Default 0.
    pub duplicate: Probability,
    /// In how many frames one bit is turned round. Default 0.
    pub corrupt: Probability,
    /// The link's speed. Default: without a limit.
    pub rate: Rate,
    /// The bytes that wait for a link with a `rate`. At most 1 GiB; default 256 KiB.
    #[serde(deserialize_with = "bounded_size")]
    pub queue: ByteSize,
    /// The most bytes on their way at a time; what comes beyond is lost. At most 1 GiB; default 64 MiB.
    #[serde(deserialize_with = "bounded_size")]
    pub in_flight: ByteSize,
}

impl Default for Impairment {
    fn default() -> Self {
        Self {
            loss: Probability::NEVER,
            burst_begin: Probability::NEVER,
            burst_end: Probability(0.25),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            reorder: Probability::NEVER,
            reorder_by: Duration::from_millis(1),
            duplicate: Probability::NEVER,
            corrupt: Probability::NEVER,
            rate: Rate::default(),
            queue: ByteSize::kib(256),
            in_flight: ByteSize::mib(64),
        }
    }
}

impl Impair {
    /// Whether frames pass untouched both ways.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.inbound == Impairment::default() && self.outbound == Impairment::default()
    }
}

impl Impairment {
    /// Reads keys and values as people write them in one line (`loss=5% delay=100ms`). Keys that are left out have their
    /// default.
    ///
    /// # Errors
    /// What is wrong, in words for people.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let pairs = pairs.into_iter().map(|(key, value)| (key, Written(value)));
        Self::deserialize(value::MapDeserializer::new(pairs)).map_err(|error: value::Error| error.to_string())
    }
}

/// A value of which only the text is known.
struct Written(String);

impl IntoDeserializer<'_, value::Error> for Written {
    type Deserializer = value::StringDeserializer<value::Error>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0.into_deserializer()
    }
}

/// A probability, written `0.05` or `"5%"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub struct Probability(f64);

impl Probability {
    /// What never happens.
    pub const NEVER: Self = Self(0.0);

    /// Between 0 and 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }
}

impl TryFrom<NumberOrText> for Probability {
    type Error = String;

    fn try_from(written: NumberOrText) -> Result<Self, Self::Error> {
        match written {
            NumberOrText::Number(number) => Self::new(number).ok_or_else(|| not_a_probability(&number)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Probability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let value = match text.strip_suffix('%') {
            Some(percent) => number(percent).map(|percent| percent / 100.0),
            None => number(text),
        };
        value.and_then(Self::new).ok_or_else(|| not_a_probability(&format!("{text:?}")))
    }
}

fn not_a_probability(written: &dyn fmt::Display) -> String {
    format!("{written} is not a probability such as 0.05 or \"5%\"")
}

/// A link's speed in bits a second, written as a number or as in `"10Mbit"`. 0 is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub struct Rate(u64);

impl Rate {
    /// In bits a second; `None` is without a limit.
    #[must_use]
    pub const fn get(self) -> Option<u64> {
        if self.0 == 0 { None } else { Some(self.0) }
    }

    /// The fastest link: a number that is exact as a floating-point one.
    const FASTEST: f64 = 1e15;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range has been checked")]
    fn new(bits: f64) -> Option<Self> {
        (0.0..=Self::FASTEST).contains(&bits).then_some(Self(bits as u64))
    }
}

impl TryFrom<NumberOrText> for Rate {
    type Error = String;

    fn try_from(written: NumberOrText) -> Result<Self, Self::Error> {
        match written {
            NumberOrText::Number(number) => Self::new(number).ok_or_else(|| not_a_rate(&number)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_suffix("/s").unwrap_or(text);
        let bare = bare.strip_suffix("bit").or_else(|| bare.strip_suffix("bps")).unwrap_or(bare);
        let units = [('k', 1e3), ('K', 1e3), ('M', 1e6), ('G', 1e9)];
        let scaled = units.iter().find_map(|&(unit, factor)| Some((bare.strip_suffix(unit)?, factor)));
        let (number, factor) = scaled.unwrap_or((bare, 1.0));
        let bits = number.trim().parse::<f64>().ok().map(|number| number * factor);
        bits.and_then(Self::new).ok_or_else(|| not_a_rate(&format!("{text:?}")))
    }
}

fn not_a_rate(written: &dyn fmt::Display) -> String {
    format!("{written} is not a rate such as \"10Mbit\"")
}

/// What may be written as either.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a text")]
enum NumberOrText {
    Number(f64),
    Text(String),
}

const LONGEST: Duration = Duration::from_secs(60 * 60);
const LARGEST: ByteSize = ByteSize::gib(1);

fn short_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration: Duration = humantime_serde::deserialize(deserializer)?;
    if duration <= LONGEST { Ok(duration) } else { Err(D::Error::custom("the longest time here is 1h")) }
}

fn bounded_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    let size = ByteSize::deserialize(deserializer)?;
    if size <= LARGEST { Ok(size) } else { Err(D::Error::custom("the largest size here is 1GiB")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<Impairment, String> {
        let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Impairment::from_pairs(text.split(' ').filter_map(pair))
    }

    #[test]
    fn a_line_of_keys_is_read() {
        let read = pairs("loss=5% delay=100ms jitter=5ms reorder=0.01 rate=10Mbit queue=64KiB").unwrap();
        let expected = Impairment {
            loss: Probability(0.05),
            delay: Duration::from_millis(100),
            jitter: Duration::from_millis(5),
            reorder: Probability(0.01),
            rate: Rate(10_000_000),
            queue: ByteSize::kib(64),
            ..Impairment::default()
        };
        assert_eq!(read, expected);
        assert_eq!(pairs(""), Ok(Impairment::default()));
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        assert!(pairs("lost=5%").unwrap_err().contains("unknown field `lost`"));
        assert!(pairs("loss=5% loss=6%").unwrap_err().contains("duplicate field `loss`"));
        for wrong in ["loss=101%", "loss=-1", "loss=NaN", "loss=much", "delay=5", "delay=2h", "rate=fast", "queue=2GiB"]
        {
            assert!(pairs(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_have_the_units_of_network_people() {
        for (text, bits) in [("9600", 9600), ("56kbit", 56_000), ("1.5Mbps", 1_500_000), ("10Gbit/s", 10_000_000_000)] {
            assert_eq!(text.parse(), Ok(Rate(bits)), "{text}");
        }
        assert_eq!(Rate(0).get(), None);
        for wrong in ["", "bit", "k", "-1", "inf", "10MB", "1e99"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
