//! BDAT: a message in chunks of a known size (RFC 3030 §2).
//!
//! Responsible for the command and for counting a chunk's bytes. A chunk whose command is refused comes all the same,
//! and is thrown away: its bytes must never be taken for commands.

use crate::dialogue::Dialogue;
use crate::metrics::Limit;
use crate::parameters::size;
use crate::reply::Reply;
use crate::rules::Stage;
use crate::verbs::Step;

/// A chunk that is coming.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// How large it is, in bytes.
    pub(crate) size: u64,
    /// How many of them have not come yet.
    pub(crate) remaining: u64,
    /// Whether it is the message's last.
    pub(crate) last: bool,
    /// Why it is thrown away, if it is.
    pub(crate) refused: Option<Reply>,
}

impl Chunk {
    /// How many bytes of the input belong to it; these are counted off.
    pub(crate) fn take(&mut self, available: usize) -> usize {
        let count = usize::try_from(self.remaining).map_or(available, |remaining| remaining.min(available));
        self.remaining -= count as u64;
        count
    }
}

/// How much of a message that is too large is read and thrown away, so that its client gets the reply. One that is
/// larger still costs the connection.
pub(crate) const fn overshoot(max_message_size: u64) -> u64 {
    max_message_size.saturating_mul(2).saturating_add(1 << 20)
}

/// The command.
pub(crate) fn bdat(dialogue: &mut Dialogue, argument: &str) -> Step {
    let (digits, last) = match argument.split_once(' ') {
        None => (argument, Some(false)),
        Some((digits, word)) => (digits, word.trim_start_matches(' ').eq_ignore_ascii_case("LAST").then_some(true)),
    };
    let (Some(size), Some(last)) = (size(digits), last) else {
        // Where the chunk ends cannot be known, so nothing after it can be trusted.
        return Step::Close(Reply::new(501, "5.5.4 Syntax: BDAT size [LAST]"));
    };
    if size > overshoot(dialogue.server.max_message_size) {
        dialogue.server.metrics.limit(Limit::Overshoot);
        return Step::Close(Reply::TOO_LARGE);
    }
    let begun =
        |dialogue: &Dialogue| dialogue.transaction.as_ref().is_some_and(|transaction| transaction.message.is_some());
    let refused = match check(dialogue) {
        Ok(()) if !begun(dialogue) => dialogue.message_rule(Stage::Data),
        result => result.err(),
    };
    Step::Chunk(Chunk { size, remaining: size, last, refused })
}

fn check(dialogue: &Dialogue) -> Result<(), Reply> {
    if !dialogue.is_extended() {
        return Err(Reply::new(503, "5.5.1 Say EHLO first"));
    }
    match &dialogue.transaction {
        None => Err(Reply::NO_TRANSACTION),
        Some(transaction) if transaction.recipients.is_empty() => Err(Reply::NO_RECIPIENTS),
        Some(_) => Ok(()),
    }
}
