//! From what was found to a response.
//!
//! Responsible for the statuses and fields of RFC 9110 §15 that a file server gives.

use bytes::Bytes;
use tapster_service::Context;

use super::conditions::{Conditions, Outcome, Validators};
use super::listing;
use super::multipart;
use super::open::About;
use super::path::PathError;
use super::range::Span;
use super::site::Site;
use crate::response::{reason, write_field};
use crate::{Body, Method, Reply, Request};

/// What the conditions of a request mean for a file.
pub(super) fn evaluate<B: AsRef<[u8]>>(conditions: &Conditions<B>, method: Method, about: &About) -> Outcome {
    let validators = Validators { etag: &about.etag, modified: about.modified(), length: about.identity.length };
    conditions.evaluate(method, &validators)
}

/// The same, by HTTPS. 308 keeps the method (RFC 9110 §15.4.9).
pub(super) fn redirect_to_https(request: &Request<'_>, port: u16) -> Reply {
    if request.host.is_empty() {
        // Who sends no Host cannot be told where to go.
        return Reply::text(403);
    }
    let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    // The path of `OPTIONS *` is no path.
    let path = if request.path.starts_with('/') { request.path } else { "/" };
    Reply::text(308).field("Location", &format!("https://{}{port}{path}{query}", request.host))
}

/// The response for a file; `part` makes the body for a part of it.
pub(super) fn for_file(outcome: &Outcome, about: &About, part: impl Fn(Span) -> Body, cx: &mut Context<'_>) -> Reply {
    let length = about.identity.length;
    let whole = |status| with_fields(status, |fields| about.write_fields(fields));
    match outcome {
        Outcome::Full if length == 0 => whole(200),
        Outcome::Full => whole(200).body(part(Span { start: 0, end: length })),
        Outcome::Partial(spans) => match spans.as_slice() {
            [span] => whole(206).field("Content-Range", &span.content_range(length)).body(part(*span)),
            spans => {
                let random = [cx.random().next_u64(), cx.random().next_u64()];
                let (media_type, body) = multipart::body(spans, about, random, part);
                with_fields(206, |fields| {
                    write_field(fields, "Content-Type", media_type.as_bytes());
                    about.write_validators(fields);
                })
                .body(body)
            }
        },
        Outcome::NotModified => with_fields(304, |fields| about.write_validators(fields)),
        Outcome::PreconditionFailed => Reply::text(412),
        Outcome::NotSatisfiable => Reply::text(416).field("Content-Range", &format!("bytes */{length}")),
    }
}

fn with_fields(status: u16, write: impl FnOnce(&mut Vec<u8>)) -> Reply {
    let mut reply = Reply::new(status);
    write(&mut reply.fields);
    reply
}

/// Adds the site's own fields.
pub(super) fn with_site_fields(mut reply: Reply, site: &Site) -> Reply {
    reply.fields.extend_from_slice(&site.fields);
    reply
}

pub(super) fn for_path_error(error: PathError) -> Reply {
    match error {
        PathError::Malformed => Reply::text(400),
        PathError::Hidden => Reply::text(404),
    }
}

/// A directory's listing.
pub(super) fn for_listing(format: listing::Format, page: Bytes) -> Reply {
    Reply::new(200)
        .field("Content-Type", format.content_type())
        .field("Cache-Control", "no-cache")
        .field("Vary", "Accept")
        .body(Body::Bytes(page))
}

/// A directory's links are relative to it, so its own path must end with a slash. The reference is built from the
/// normalised path: it cannot begin with `//` and so cannot lead to another host.
pub(super) fn redirect_to_slash(path: &[u8], query: Option<&str>) -> Reply {
    let mut location = listing::reference(path);
    location.push('/');
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let text = Bytes::from(format!("301 {}: {location}\n", reason(301)));
    Reply::new(301)
        .field("Location", &location)
        .field("Content-Type", "text/plain; charset=utf-8")
        .body(Body::Bytes(text))
}
