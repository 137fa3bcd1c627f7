//! The parameters of MAIL and RCPT (RFC 5321 §4.1.2, `Mail-parameters`).
//!
//! Responsible for the values that the extensions allow: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8
//! (RFC 6531), and those of DSN (RFC 3461).

use crate::reply::Reply;

/// The longest ENVID (RFC 3461 §4.4).
const LONGEST_ENVELOPE_ID: usize = 100;
/// The longest ORCPT (§4.2).
const LONGEST_ORIGINAL_RECIPIENT: usize = 500;

/// What BODY says of the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    #[default]
    SevenBit,
    EightBitMime,
    /// Any bytes; only BDAT can bring it (RFC 3030 §3).
    BinaryMime,
}

/// The parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MailParameters {
    /// SIZE: how large the client takes the message to be, in bytes.
    pub(crate) size: Option<u64>,
    /// BODY.
    pub(crate) body: Option<Body>,
    /// SMTPUTF8: whether addresses and header may have characters beyond ASCII.
    pub(crate) smtputf8: bool,
    /// RET: how much of the message a notice would bring back, `FULL` or `HDRS`.
    pub(crate) ret: Option<&'static str>,
    /// ENVID: what a notice would call the message, as xtext.
    pub(crate) envelope_id: Option<String>,
}

/// The parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecipientParameters {
    /// NOTIFY: about what the sender wants a notice.
    pub(crate) notify: Option<String>,
    /// ORCPT: the recipient as the sender wrote it, as address type and xtext.
    pub(crate) original_recipient: Option<String>,
}

/// Reads what follows the path of MAIL.
pub(crate) fn mail(text: &str) -> Result<MailParameters, Reply> {
    let mut parameters = MailParameters::default();
    for (keyword, value) in pairs(text)? {
        match (keyword.to_ascii_uppercase().as_str(), value) {
            ("SIZE", Some(value)) => set(&mut parameters.size, size(value))?,
            ("BODY", Some(value)) => set(&mut parameters.body, body(value))?,
            ("SMTPUTF8", None) if !parameters.smtputf8 => parameters.smtputf8 = true,
            ("RET", Some(value)) => {
                let known = ["FULL", "HDRS"].into_iter().find(|known| value.eq_ignore_ascii_case(known));
                set(&mut parameters.ret, known)?;
            }
            ("ENVID", Some(value)) => {
                let sound = value.len() <= LONGEST_ENVELOPE_ID && is_xtext(value);
                set(&mut parameters.envelope_id, sound.then(|| value.to_owned()))?;
            }
            ("SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID", _) => return Err(Reply::PARAMETER_SYNTAX),
            _ => return Err(Reply::PARAMETER_UNKNOWN),
        }
    }
    Ok(parameters)
}

/// Reads what follows the path of RCPT.
pub(crate) fn recipient(text: &str) -> Result<RecipientParameters, Reply> {
    let mut parameters = RecipientParameters::default();
    for (keyword, value) in pairs(text)? {
        match (keyword.to_ascii_uppercase().as_str(), value) {
            ("NOTIFY", Some(value)) => set(&mut parameters.notify, notify(value))?,
            ("ORCPT", Some(value)) => {
                let sound = value.len() <= LONGEST_ORIGINAL_RECIPIENT && is_original_recipient(value);
                set(&mut parameters.original_recipient, sound.then(|| value.to_owned()))?;
            }
            ("NOTIFY" | "ORCPT", None) => return Err(Reply::PARAMETER_SYNTAX),
            _ => return Err(Reply::PARAMETER_UNKNOWN),
        }
    }
    Ok(parameters)
}

/// `esmtp-param *(SP esmtp-param)`, with a space before it unless there is none.
fn pairs(text: &str) -> Result<impl Iterator<Item = (&str, Option<&str>)>, Reply> {
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(Reply::PARAMETER_SYNTAX);
    }
    let words = text.split(' ').filter(|word| !word.is_empty());
    Ok(words.map(|word| word.split_once('=').map_or((word, None), |(keyword, value)| (keyword, Some(value)))))
}

/// Sets what has not been set and has a sound value.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Reply> {
    if place.is_some() || value.is_none() {
        return Err(Reply::PARAMETER_SYNTAX);
    }
    *place = value;
    Ok(())
}

/// `1*20DIGIT` (RFC 1870 §3); what is beyond 64 bits is surely too large.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn body(text: &str) -> Option<Body> {
    [("7BIT", Body::SevenBit), ("8BITMIME", Body::EightBitMime), ("BINARYMIME", Body::BinaryMime)]
        .into_iter()
        .find_map(|(name, body)| text.eq_ignore_ascii_case(name).then_some(body))
}

/// `NEVER`, or a list of the others without repetition (RFC 3461 §4.1).
fn notify(text: &str) -> Option<String> {
    let text = text.to_ascii_uppercase();
    let words: Vec<&str> = text.split(',').collect();
    let sound = |(place, word): (usize, &&str)| {
        matches!(*word, "SUCCESS" | "FAILURE" | "DELAY") && words.iter().take(place).all(|earlier| earlier != word)
    };
    (text == "NEVER" || words.iter().enumerate().all(sound)).then_some(text)
}

/// `addr-type ";" xtext`; with the type `utf-8`, what RFC 6533 §3 allows of UTF-8.
fn is_original_recipient(text: &str) -> bool {
    let Some((kind, address)) = text.split_once(';') else { return false };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if kind.is_empty() || !kind.bytes().all(atom) || address.is_empty() {
        return false;
    }
    if kind.eq_ignore_ascii_case("utf-8") {
        return address.chars().all(|character| !character.is_control() && character != '=');
    }
    is_xtext(address)
}

/// RFC 3461 §4: printable ASCII but for `+` and `=`, or `+` and two upper-case hexadecimal digits.
fn is_xtext(text: &str) -> bool {
    let mut bytes = text.bytes();
    let hexadecimal = |byte: Option<u8>| byte.is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    while let Some(byte) = bytes.next() {
        let sound = match byte {
            b'+' => hexadecimal(bytes.next()) && hexadecimal(bytes.next()),
            b'=' => false,
            byte => byte.is_ascii_graphic(),
        };
        if !sound {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parameters_of_mail() {
        assert_eq!(mail(""), Ok(MailParameters::default()));
        let all = mail(" size=1000 BODY=8bitmime SMTPUTF8 RET=hdrs ENVID=QQ+2B314").unwrap();
        assert_eq!(all.size, Some(1000));
        assert_eq!(all.body, Some(Body::EightBitMime));
        assert!(all.smtputf8);
        assert_eq!((all.ret, all.envelope_id.as_deref()), (Some("HDRS"), Some("QQ+2B314")));
        assert_eq!(mail(" SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
        for wrong in [
            "SIZE=1",
            " SIZE",
            " SIZE=",
            " SIZE=-1",
            " SIZE=1 SIZE=1",
            " BODY=9BIT",
            " BODY",
            " SMTPUTF8=1",
            " SMTPUTF8 SMTPUTF8",
            " RET=ALL",
            " ENVID=a+2b",
            " ENVID=a=b",
            " ENVID=+",
        ] {
            assert_eq!(mail(wrong), Err(Reply::PARAMETER_SYNTAX), "{wrong}");
        }
        assert_eq!(mail(" AUTH=<>"), Err(Reply::PARAMETER_UNKNOWN));
        assert_eq!(mail(" NOTIFY=NEVER"), Err(Reply::PARAMETER_UNKNOWN));
    }

    #[test]
    fn the_parameters_of_rcpt() {
        let both = recipient(" NOTIFY=success,FAILURE ORCPT=rfc822;Bob+40x").unwrap();
        assert_eq!(both.notify.as_deref(), Some("SUCCESS,FAILURE"));
        assert_eq!(both.original_recipient.as_deref(), Some("rfc822;Bob+40x"));
        assert!(recipient(" ORCPT=utf-8;jürgen@x").is_ok());
        for wrong in [" NOTIFY=NEVER,DELAY", " NOTIFY=DELAY,DELAY", " NOTIFY=", " ORCPT=a", " ORCPT=;a", " ORCPT=a;ü"]
        {
            assert_eq!(recipient(wrong), Err(Reply::PARAMETER_SYNTAX), "{wrong}");
        }
        assert_eq!(recipient(" SIZE=1"), Err(Reply::PARAMETER_UNKNOWN));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in " ?(\\PC| |=|SIZE|ORCPT|ENVID|NOTIFY|;|,|\\+){0,30}") {
            let _ = (mail(&text), recipient(&text));
        }
    }
}
