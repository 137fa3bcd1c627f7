//! The verbs (RFC 5321 §4.1.1): for each one, whether the client may say it now, and what it does.
//!
//! Responsible for the table [`VERBS`] and its functions. A verb answers with a [`Step`]; only the session changes its
//! state by it.

use crate::address::{forward_path, is_client_name, reverse_path};
use crate::chunking;
use crate::command::after_keyword;
use crate::dialogue::{Client, Dialogue, Protocol};
use crate::mailboxes::Refusal;
use crate::metrics::Limit;
use crate::parameters::{self, Body, MailParameters, RecipientParameters};
use crate::reply::Reply;
use crate::rules::Stage;
use crate::transaction::{Recipient, Transaction};

/// How many recipients beyond the limit are refused one by one before the session ends.
const OVERSHOOT: u32 = 1000;

/// One verb.
#[derive(Debug)]
pub(crate) struct Verb {
    /// The word.
    pub(crate) name: &'static str,
    /// Whether it must be the last of a group of commands, since what comes next depends on its reply
    /// (RFC 2920 §3.1).
    pub(crate) ends_group: bool,
    /// Whether it brings no mail on; too many of these are a nuisance.
    pub(crate) junk: bool,
    /// May the client say this now?
    check: fn(&Dialogue) -> Result<(), Reply>,
    /// Do it.
    proceed: fn(&mut Dialogue, &str) -> Step,
}

/// What comes after a verb.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This reply, and the next command.
    Reply(Reply),
    /// 354, and the message until the end of data.
    Data,
    /// So many bytes of the message, and then the reply.
    Chunk(chunking::Chunk),
    /// This reply, and the end of the session.
    Close(Reply),
}

impl Verb {
    /// The verb that a word is, in any case.
    pub(crate) fn find(word: &str) -> Option<&'static Self> {
        VERBS.iter().find(|verb| verb.name.eq_ignore_ascii_case(word))
    }

    /// Says it.
    pub(crate) fn say(&self, dialogue: &mut Dialogue, argument: &str) -> Step {
        match (self.check)(dialogue) {
            Ok(()) => (self.proceed)(dialogue, argument),
            Err(reply) => Step::Reply(reply),
        }
    }
}

const fn verb(
    name: &'static str,
    [ends_group, junk]: [bool; 2],
    check: fn(&Dialogue) -> Result<(), Reply>,
    proceed: fn(&mut Dialogue, &str) -> Step,
) -> Verb {
    Verb { name, ends_group, junk, check, proceed }
}

/// All verbs, the frequent ones first.
#[rustfmt::skip]
const VERBS: [Verb; 13] = [
    //          ends group, junk
    verb("MAIL", [false, false], no_transaction,  mail),
    verb("RCPT", [false, false], no_message,      rcpt),
    verb("DATA", [true,  false], recipients,      data),
    verb("BDAT", [false, false], anytime,         chunking::bdat),
    verb("EHLO", [true,  true],  in_smtp,         ehlo),
    verb("HELO", [true,  true],  in_smtp,         helo),
    verb("LHLO", [true,  true],  in_lmtp,         ehlo),
    verb("QUIT", [false, false], anytime,         quit),
    verb("RSET", [false, true],  anytime,         rset),
    verb("NOOP", [true,  true],  anytime,         noop),
    verb("VRFY", [true,  true],  anytime,         vrfy),
    verb("EXPN", [true,  true],  anytime,         expn),
    verb("HELP", [false, true],  anytime,         help),
];

const fn anytime(_: &Dialogue) -> Result<(), Reply> {
    Ok(())
}

fn in_smtp(dialogue: &Dialogue) -> Result<(), Reply> {
    match dialogue.protocol {
        Protocol::Smtp => Ok(()),
        Protocol::Lmtp => Err(Reply::new(500, "5.5.1 This is LMTP, say LHLO")),
    }
}

fn in_lmtp(dialogue: &Dialogue) -> Result<(), Reply> {
    match dialogue.protocol {
        Protocol::Smtp => Err(Reply::new(500, "5.5.1 This is SMTP, say EHLO")),
        Protocol::Lmtp => Ok(()),
    }
}

fn greeted(dialogue: &Dialogue) -> Result<(), Reply> {
    dialogue.client.as_ref().map(|_| ()).ok_or(Reply::GREETING_FIRST)
}

fn no_transaction(dialogue: &Dialogue) -> Result<(), Reply> {
    greeted(dialogue)?;
    match dialogue.transaction {
        Some(_) => Err(Reply::new(503, "5.5.1 A transaction is under way")),
        None => Ok(()),
    }
}

/// A transaction whose message has not begun.
fn no_message(dialogue: &Dialogue) -> Result<(), Reply> {
    greeted(dialogue)?;
    match &dialogue.transaction {
        None => Err(Reply::NO_TRANSACTION),
        Some(transaction) if transaction.message.is_some() => {
            Err(Reply::new(503, "5.5.1 The message has begun, only BDAT or RSET can follow"))
        }
        Some(_) => Ok(()),
    }
}

fn recipients(dialogue: &Dialogue) -> Result<(), Reply> {
    no_message(dialogue)?;
    match &dialogue.transaction {
        Some(transaction) if transaction.recipients.is_empty() => Err(Reply::NO_RECIPIENTS),
        // RFC 3030 §3: BINARYMIME cannot be sent by DATA.
        Some(transaction) if transaction.body() == Body::BinaryMime => {
            Err(Reply::new(503, "5.5.1 BODY=BINARYMIME needs BDAT"))
        }
        _ => Ok(()),
    }
}

fn ehlo(dialogue: &mut Dialogue, name: &str) -> Step {
    if let Err(reply) = greet(dialogue, name, true) {
        return Step::Reply(reply);
    }
    let server = &dialogue.server;
    let text = format!(
        "{} greets {}\nPIPELINING\nSIZE {}\n8BITMIME\nSMTPUTF8\nCHUNKING\nBINARYMIME\nENHANCEDSTATUSCODES\nDSN\n\
         LIMITS MAILMAX={} RCPTMAX={}\nHELP",
        server.hostname, name, server.max_message_size, server.limits.transactions, server.limits.recipients,
    );
    Step::Reply(Reply::owned(250, text))
}

fn helo(dialogue: &mut Dialogue, name: &str) -> Step {
    Step::Reply(match greet(dialogue, name, false) {
        Ok(()) => Reply::owned(250, format!("{} greets {name}", dialogue.server.hostname)),
        Err(reply) => reply,
    })
}

/// §4.1.4: a second greeting is a reset, too.
fn greet(dialogue: &mut Dialogue, name: &str, extended: bool) -> Result<(), Reply> {
    if !is_client_name(name) {
        return Err(Reply::new(501, "5.5.4 A domain or an address literal is missing"));
    }
    if let Some(reply) = dialogue.rule(Stage::Helo, name).reply {
        return Err(reply);
    }
    dialogue.reset();
    dialogue.client = Some(Client { name: name.to_owned(), extended });
    Ok(())
}

fn mail(dialogue: &mut Dialogue, argument: &str) -> Step {
    if dialogue.transactions >= dialogue.server.limits.transactions {
        dialogue.server.metrics.limit(Limit::Transactions);
        return Step::Close(Reply::new(421, "4.7.0 Too many messages in one session, connect again"));
    }
    Step::Reply(begin(dialogue, argument).unwrap_or_else(|reply| reply))
}

fn begin(dialogue: &mut Dialogue, argument: &str) -> Result<Reply, Reply> {
    const SYNTAX: Reply = Reply::new(501, "5.5.4 Syntax: MAIL FROM:<address> [parameters]");
    let path = after_keyword(argument, "FROM:").ok_or(SYNTAX)?;
    let (reverse_path, rest) =
        reverse_path(path).map_err(|_| Reply::new(501, "5.1.7 Syntax error in the sender's address"))?;
    let parameters = if dialogue.is_extended() {
        parameters::mail(rest)?
    } else if rest.is_empty() {
        MailParameters::default()
    } else {
        return Err(Reply::PARAMETER_UNKNOWN);
    };
    if !parameters.smtputf8 && reverse_path.as_ref().is_some_and(|address| !address.is_ascii()) {
        return Err(Reply::NOT_ASCII);
    }
    // RFC 1870 §6.1.
    if parameters.size.is_some_and(|size| size > dialogue.server.max_message_size) {
        return Err(Reply::TOO_LARGE);
    }
    let sender = reverse_path.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(reply) = dialogue.rule(Stage::Mail, &sender).reply {
        return Err(reply);
    }
    let reservation = dialogue.server.budget.reservation();
    dialogue.transactions += 1;
    dialogue.transaction = Some(Box::new(Transaction::new(reverse_path, parameters, reservation)));
    Ok(Reply::new(250, "2.1.0 Sender OK"))
}

fn rcpt(dialogue: &mut Dialogue, argument: &str) -> Step {
    if dialogue.transaction.as_ref().is_some_and(|transaction| transaction.refused > OVERSHOOT) {
        dialogue.server.metrics.limit(Limit::Recipients);
        return Step::Close(Reply::new(421, "4.5.3 Too many recipients"));
    }
    Step::Reply(add(dialogue, argument).unwrap_or_else(|reply| reply))
}

fn add(dialogue: &mut Dialogue, argument: &str) -> Result<Reply, Reply> {
    const SYNTAX: Reply = Reply::new(501, "5.5.4 Syntax: RCPT TO:<address> [parameters]");
    let text = after_keyword(argument, "TO:").ok_or(SYNTAX)?;
    let (path, rest) =
        forward_path(text).map_err(|_| Reply::new(501, "5.1.3 Syntax error in the recipient's address"))?;
    let parameters = if dialogue.is_extended() {
        parameters::recipient(rest)?
    } else if rest.is_empty() {
        RecipientParameters::default()
    } else {
        return Err(Reply::PARAMETER_UNKNOWN);
    };
    if let Some(reply) = dialogue.rule(Stage::Rcpt, &path.to_string()).reply {
        return Err(reply);
    }
    let transaction = dialogue.transaction.as_mut().ok_or(Reply::NO_TRANSACTION)?;
    if !transaction.parameters.smtputf8 && !argument.is_ascii() {
        return Err(Reply::NOT_ASCII);
    }
    if transaction.recipients.len() >= dialogue.server.limits.recipients {
        transaction.refused += 1;
        // §4.5.3.1.10: 452, so that the client sends the message to the others later.
        return Err(Reply::new(452, "4.5.3 Too many recipients"));
    }
    let mailboxes = dialogue.server.mailboxes.find(&path).map_err(Refusal::reply)?;
    transaction.add(Recipient { path, parameters, mailboxes }, argument.len()).map_err(|_| Reply::NO_MEMORY)?;
    Ok(Reply::new(250, "2.1.5 Recipient OK"))
}

fn data(dialogue: &mut Dialogue, argument: &str) -> Step {
    if !argument.is_empty() {
        return Step::Reply(no_argument());
    }
    dialogue.message_rule(Stage::Data).map_or(Step::Data, Step::Reply)
}

fn rset(dialogue: &mut Dialogue, argument: &str) -> Step {
    if !argument.is_empty() {
        return Step::Reply(no_argument());
    }
    dialogue.reset();
    Step::Reply(Reply::OK)
}

fn noop(_: &mut Dialogue, _: &str) -> Step {
    Step::Reply(Reply::OK)
}

fn quit(dialogue: &mut Dialogue, argument: &str) -> Step {
    if !argument.is_empty() {
        return Step::Reply(no_argument());
    }
    Step::Close(Reply::owned(221, format!("2.0.0 {} closes the connection", dialogue.server.hostname)))
}

/// §7.3: who will not tell answers 252, which is neither yes nor no.
fn vrfy(_: &mut Dialogue, argument: &str) -> Step {
    Step::Reply(if argument.is_empty() {
        Reply::new(501, "5.5.4 Syntax: VRFY address")
    } else {
        Reply::new(252, "2.5.2 Cannot verify, send some mail and see")
    })
}

fn expn(_: &mut Dialogue, argument: &str) -> Step {
    Step::Reply(if argument.is_empty() {
        Reply::new(501, "5.5.4 Syntax: EXPN list")
    } else {
        Reply::new(252, "2.5.2 Cannot expand, send some mail and see")
    })
}

fn help(_: &mut Dialogue, _: &str) -> Step {
    let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
    Step::Reply(Reply::owned(214, format!("2.0.0 Commands, as in RFC 5321:\n2.0.0 {}", names.join(" "))))
}

const fn no_argument() -> Reply {
    Reply::new(501, "5.5.4 This command has no argument")
}
