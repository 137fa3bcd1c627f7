//! What is answered to a question (RFC 1034 §4.3.2).
//!
//! Responsible for the choice: a pure function of the sources and the question. Not for how an answer is encoded, nor
//! for how much of it fits: that is [`crate::response`].

use std::borrow::Cow;

use hickory_proto::op::ResponseCode;
use smallvec::SmallVec;

use crate::edns::ExtendedError;
use crate::name::{LookupName, MAXIMUM_NAME};
use crate::query::Question;
use crate::sources::Sources;
use crate::zone::{CLASS_CHAOS, CLASS_IN, Found, Node, RecordSet, RecordType, Zone};

/// QCLASS "any" (RFC 1035 §3.2.5).
const CLASS_ANY: u16 = 255;
/// How many record sets of aliases are followed.
const MAXIMUM_ALIASES: usize = 18;
/// How many record sets the additional section may have.
const MAXIMUM_ADDITIONAL: usize = 32;

/// Whose a record set is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner<'z> {
    /// The name in the question.
    Question,
    /// Another name, in wire format: of the zone, or made by a DNAME record.
    Name(Cow<'z, [u8]>),
}

impl<'z> Owner<'z> {
    fn of(node: &'z Node) -> Self {
        Self::Name(Cow::Borrowed(node.name.as_wire()))
    }
}

/// A record set of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Part<'z> {
    pub(crate) owner: Owner<'z>,
    /// Of the zone, or made by a DNAME record.
    pub(crate) set: Cow<'z, RecordSet>,
}

impl<'z> Part<'z> {
    fn new(owner: Owner<'z>, set: &'z RecordSet) -> Self {
        Self { owner, set: Cow::Borrowed(set) }
    }

    /// Whether it is this very set of the zone.
    fn is(&self, set: &RecordSet) -> bool {
        std::ptr::eq(&*self.set, set)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer<'z> {
    pub(crate) code: ResponseCode,
    /// Why, where the code alone does not tell (RFC 8914).
    pub(crate) extended_error: Option<ExtendedError>,
    pub(crate) authoritative: bool,
    pub(crate) answers: SmallVec<[Part<'z>; 2]>,
    pub(crate) authority: Option<Part<'z>>,
    pub(crate) additional: SmallVec<[Part<'z>; 4]>,
    /// How many record sets at the front of the additional section are glue, without which the referral is of no
    /// use: if one of them does not fit, the response is truncated (RFC 9471).
    pub(crate) glue: usize,
}

impl<'z> Answer<'z> {
    /// An answer that says nothing but a code.
    pub(crate) fn code(code: ResponseCode) -> Self {
        Self {
            code,
            extended_error: None,
            authoritative: false,
            answers: SmallVec::new(),
            authority: None,
            additional: SmallVec::new(),
            glue: 0,
        }
    }

    /// An authoritative answer of one record set, or of none, which no zone's SOA record limits.
    fn of(set: Option<&'z RecordSet>) -> Self {
        let answers = set.map(|set| Part::new(Owner::Question, set)).into_iter().collect();
        Self { authoritative: true, answers, ..Self::code(ResponseCode::NoError) }
    }

    /// A refusal.
    fn refused(error: ExtendedError) -> Self {
        Self { extended_error: Some(error), ..Self::code(ResponseCode::Refused) }
    }

    /// A name or record set that does not exist: the SOA record says for how long (RFC 2308 §2).
    fn negative(&mut self, zone: &'z Zone, code: ResponseCode) {
        let (apex, soa) = zone.negative();
        self.code = code;
        self.authority = Some(Part::new(Owner::Name(Cow::Borrowed(apex.as_wire())), soa));
    }
}

/// Answers a question.
pub(crate) fn answer<'z>(sources: &'z Sources, question: &Question<'_>) -> Answer<'z> {
    match question.kind {
        // A meta-type of messages is no question (RFC 6891 §6.1.1, RFC 8945 §4.2).
        RecordType::OPT | RecordType::TSIG => return Answer::code(ResponseCode::FormErr),
        // Zones are not transferred.
        RecordType::AXFR | RecordType::IXFR => return Answer::refused(ExtendedError::NotSupported),
        _ => {}
    }
    match question.class {
        CLASS_IN | CLASS_ANY => {}
        CLASS_CHAOS => return about(sources, question),
        _ => return Answer::refused(ExtendedError::NotSupported),
    }
    let Some(zone) = sources.zones.find(&question.name, question.kind) else {
        return catch_all(sources, question);
    };
    let mut answer = Answer::code(ResponseCode::NoError);
    answer.authoritative = true;
    follow(zone, question, &mut answer);
    add_addresses(zone, &mut answer);
    answer
}

/// What the server tells about itself (RFC 4892 §2), if it does.
fn about<'z>(sources: &'z Sources, question: &Question<'_>) -> Answer<'z> {
    match sources.about(&question.name) {
        Some(set) => Answer::of(Some(set).filter(|_| matches!(question.kind, RecordType::TXT | RecordType::ANY))),
        None => Answer::refused(ExtendedError::NotSupported),
    }
}

/// The answer for a name that is in no zone.
fn catch_all<'z>(sources: &'z Sources, question: &Question<'_>) -> Answer<'z> {
    let sets = sources.catch_all();
    if sets.is_empty() {
        return Answer::refused(ExtendedError::NotAuthoritative);
    }
    Answer::of(sets.iter().find(|set| question.kind == RecordType::ANY || set.kind() == question.kind))
}

/// RFC 1034 §4.3.2 step 3, and again from there for each alias.
fn follow<'z>(zone: &'z Zone, question: &Question<'_>, answer: &mut Answer<'z>) {
    let mut owner = Owner::Question;
    let mut alias: LookupName;
    let mut name = &question.name;
    loop {
        let target: Cow<'z, [u8]> = match zone.find(name, question.kind) {
            Found::Node(node) => {
                if let Some(set) = choose(node, question.kind) {
                    answer.answers.push(Part::new(owner, set));
                    return;
                }
                let Some(set) = node.set(RecordType::CNAME) else {
                    return answer.negative(zone, ResponseCode::NoError);
                };
                if answer.answers.iter().any(|part| part.is(set)) {
                    return;
                }
                answer.answers.push(Part::new(owner, set));
                Cow::Borrowed(set.records().next().map_or(&[], |record| record.data))
            }
            Found::Redirection(node) => {
                let Some(set) = node.set(RecordType::DNAME) else { return };
                if answer.answers.iter().any(|part| part.is(set)) {
                    return;
                }
                answer.answers.push(Part::new(Owner::of(node), set));
                let Some(target) = redirect(name, node, set) else {
                    // RFC 6672 §2.2: the new name would be too long.
                    answer.code = ResponseCode::YXDomain;
                    return;
                };
                let cname = RecordSet::new(CLASS_IN, RecordType::CNAME, set.ttl(), [target.as_slice()]);
                answer.answers.push(Part { owner, set: Cow::Owned(cname) });
                Cow::Owned(target)
            }
            Found::Delegation(cut) => {
                // AA is about the first name (RFC 1035 §4.1.1), which an alias has answered by then.
                answer.authoritative = !answer.answers.is_empty();
                answer.authority = cut.set(RecordType::NS).map(|set| Part::new(Owner::of(cut), set));
                return;
            }
            // With aliases before it, the code is about the last name (RFC 6604 §3).
            Found::NameError => return answer.negative(zone, ResponseCode::NXDomain),
        };
        if answer.answers.len() >= MAXIMUM_ALIASES {
            return;
        }
        match LookupName::read(&target) {
            // What is out of the zone, the client finds by asking again.
            Ok(target) if target.is_within(zone.apex()) => alias = target,
            _ => return,
        }
        name = &alias;
        owner = Owner::Name(target);
    }
}

/// What a DNAME record makes of a name below it (RFC 6672 §2.2); nothing if that is too long.
fn redirect(name: &LookupName, node: &Node, set: &RecordSet) -> Option<Vec<u8>> {
    let kept = name.as_wire().len().checked_sub(node.name.as_wire().len())?;
    let target = set.records().next()?.data;
    let redirected = [name.as_wire().get(..kept)?, target].concat();
    (redirected.len() <= MAXIMUM_NAME).then_some(redirected)
}

/// The record set of a node that answers. For ANY it is one of them, whichever comes first (RFC 8482 §4.1).
fn choose(node: &Node, kind: RecordType) -> Option<&RecordSet> {
    if kind == RecordType::ANY { node.sets().first() } else { node.set(kind) }
}

/// RFC 1034 §4.3.2 step 6: the addresses of what the record sets name.
fn add_addresses<'z>(zone: &'z Zone, answer: &mut Answer<'z>) {
    let Answer { answers, authority, additional, glue, .. } = answer;
    for part in authority.iter().chain(answers.iter()) {
        for node in part.set.additional.iter().filter_map(|index| zone.node(*index)) {
            for set in [RecordType::A, RecordType::AAAA].iter().filter_map(|kind| node.set(*kind)) {
                let before = answers.iter().chain(additional.iter()).any(|part| part.is(set));
                if !before && additional.len() < MAXIMUM_ADDITIONAL {
                    additional.push(Part::new(Owner::of(node), set));
                }
            }
        }
        // The authority section, which comes first here, is a referral or has a SOA record.
        if authority.as_ref().is_some_and(|authority| std::ptr::eq(authority, part)) {
            *glue = additional.len();
        }
    }
}

#[cfg(test)]
mod tests;
