//! The section `[services.smtp]`.
//!
//! Responsible for its keys and their defaults. What the values must be is checked in `module`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use tapster_service::configuration::ListenAddress;

use crate::rules::Stage;

/// The section. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Where to listen; empty: port 25 of every own address.
    pub listen: Vec<ListenAddress>,
    /// Where to listen for LMTP (RFC 2033); empty: nowhere. Its port, where none is given, is 24.
    pub lmtp_listen: Vec<ListenAddress>,
    /// What the server calls itself in its greeting and in `Received` fields; by default tapster's host name.
    pub hostname: Option<String>,
    /// The domains whose mail is taken. Mail for any other is refused.
    pub domains: Vec<String>,
    /// The directory of the mailboxes, which are `<domain>/<local part>` in it. Relative to the configuration file.
    pub maildir: PathBuf,
    /// The largest message, without the fields that the server adds.
    pub max_message_size: ByteSize,
    /// The local parts that exist, the same for each domain; `*` takes any.
    pub mailboxes: Vec<String>,
    /// Other names of mailboxes: `sales = ["jones", "brown"]`. They lead to mailboxes in the same domain, and to nowhere
    /// else.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// The mailbox that takes the mail for local parts that do not exist, instead of its being refused.
    pub catch_all: Option<String>,
    /// What divides a mailbox from a detail that the user chose, as in `jones+lists`; empty: nothing does.
    pub subaddress_separator: String,
    /// What becomes of a CR or LF that stands alone.
    pub bare_newlines: BareNewlines,
    /// Whether clients that send what they may not send yet are turned away.
    pub forbid_unauthorized_pipelining: bool,
    /// What clients are to meet besides a server that works; the first rule that applies is taken.
    pub rules: Vec<RuleConfiguration>,
    /// What the server grants its peers.
    pub limits: LimitsConfiguration,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            lmtp_listen: Vec::new(),
            hostname: None,
            domains: vec!["example.test".to_owned()],
            maildir: "mail".into(),
            max_message_size: ByteSize(26_214_400),
            mailboxes: vec!["*".to_owned()],
            aliases: BTreeMap::new(),
            catch_all: None,
            subaddress_separator: "+".to_owned(),
            bare_newlines: BareNewlines::Refuse,
            forbid_unauthorized_pipelining: true,
            rules: Vec::new(),
            limits: LimitsConfiguration::default(),
        }
    }
}

/// A rule for a lab: at a stage of the session, a refusal, a delay, or a reset amid the message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfiguration {
    /// Where it applies.
    pub at: Stage,
    /// What must match there, `*` for any text: see [`Stage`]. Upper and lower case are the same.
    #[serde(rename = "match", default = "anything")]
    pub pattern: String,
    /// How often it applies when it matches, 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// It applies only to what goes beyond this rate: so many …
    pub rate: Option<u32>,
    /// … in this time.
    #[serde(default = "minute", with = "humantime_serde")]
    pub per: Duration,
    /// The refusal, such as `451 4.7.1 Greylisted`; 421 ends the session.
    pub reply: Option<String>,
    /// How long the answer, a refusal or not, is held back.
    #[serde(default, with = "humantime_serde")]
    pub delay: Duration,
    /// At `data`: after how many bytes of the message the connection is reset.
    pub reset_after: Option<ByteSize>,
}

fn anything() -> String {
    "*".to_owned()
}

const fn always() -> f64 {
    1.0
}

const fn minute() -> Duration {
    Duration::from_secs(60)
}

/// What becomes of a CR without LF, or an LF without CR (RFC 5321 §2.3.8 forbids clients to send either). In no case
/// does it end a message: only CRLF, dot, CRLF does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BareNewlines {
    /// The message or command is refused.
    Refuse,
    /// Each is stored as CRLF, and an LF ends a command.
    Normalize,
    /// Each is stored as it came, and an LF ends a command.
    Record,
}

/// The table `limits`. Durations and sizes are written as people write them: `"5m"`, `"25MiB"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfiguration {
    /// How long the client may take for its next command, to send any of its message, or to read replies.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long the server waits before its greeting, to find out who talks first.
    #[serde(with = "humantime_serde")]
    pub banner_delay: Duration,
    /// The longest command line, CRLF included.
    pub command_line: ByteSize,
    /// The most recipients of a message.
    pub recipients: usize,
    /// How many errors end a session. A delivered message sets the count back.
    pub errors: u32,
    /// After how many errors each further one is answered late.
    pub errors_before_delay: u32,
    /// How late.
    #[serde(with = "humantime_serde")]
    pub error_delay: Duration,
    /// How many commands that bring no mail on (NOOP, RSET, VRFY …) are taken between two messages; each further one
    /// counts as an error.
    pub junk_commands: u32,
    /// The most transactions (MAIL commands) of a session.
    pub transactions: u32,
    /// The most connections at once from one address.
    pub connections_per_peer: usize,
    /// The most connections at once, on each address listened on.
    pub max_connections: usize,
    /// The least average rate at which a message must come, a second, once `idle_timeout` has passed. 0 allows any.
    pub min_data_rate: ByteSize,
    /// The most memory for messages and recipients, of all sessions together.
    pub memory: ByteSize,
    /// The most mailboxes that are made.
    pub mailboxes: usize,
    /// The most `Received` fields; a message with more goes round in circles.
    pub hops: usize,
}

impl Default for LimitsConfiguration {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(300),
            banner_delay: Duration::ZERO,
            command_line: ByteSize(4096),
            recipients: 1000,
            errors: 20,
            errors_before_delay: 10,
            error_delay: Duration::from_secs(1),
            junk_commands: 100,
            transactions: 10_000,
            connections_per_peer: 50,
            max_connections: 1000,
            min_data_rate: ByteSize(512),
            memory: ByteSize::mib(256),
            mailboxes: 10_000,
            hops: 100,
        }
    }
}
