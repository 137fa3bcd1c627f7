//! A request's head: method, target, header fields, and the rules that make one acceptable.
//!
//! Responsible for RFC 9112 §2-3 and the checks on Host and Connection. Body framing (RFC 9112 §6) is in `framing`.

use std::mem::MaybeUninit;

use tapster_service::Peer;

use crate::framing::Framing;

/// The most header fields that are ever parsed; [`Limits::max_headers`](crate::Limits::max_headers) may say less.
pub(crate) const MAX_HEADERS: usize = 256;

/// A request method (RFC 9110 §9, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Connect,
        Self::Options,
        Self::Trace,
        Self::Patch,
        Self::Other,
    ];

    fn parse(text: &str) -> Self {
        match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// Its name on the wire; `other` for one that is not known.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other => "other",
        }
    }
}

/// The protocol version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The header fields of a request, in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The value of the first field with this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all fields with this name, in any case.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.0.iter().map(|field| (field.name, field.value))
    }
}

/// One request, as a [`Handler`](crate::Handler) sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The request target as it was sent, in origin-form, absolute-form or asterisk-form (RFC 9112 §3.2).
    pub target: &'a str,
    /// The target's path, not decoded; it begins with `/`, except that of `OPTIONS *`, which is `*`.
    pub path: &'a str,
    /// What follows the `?`.
    pub query: Option<&'a str>,
    /// The host that was asked for, without port: the target's authority, else the Host field. Empty when HTTP/1.0
    /// named none.
    pub host: &'a str,
    /// The version.
    pub version: Version,
    /// The header fields.
    pub headers: Headers<'a>,
    /// The body, if the handler asked for it to be collected.
    pub body: &'a [u8],
    /// Who asks.
    pub peer: Peer,
}

/// Why a request is not answered by the handler. Each closes the connection: what follows cannot be trusted to be
/// where the peer means it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest,
    RequestTimeout,
    ContentTooLarge,
    UriTooLong,
    ExpectationFailed,
    HeaderFieldsTooLarge,
    NotImplemented,
    VersionNotSupported,
}

impl Refusal {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::RequestTimeout => 408,
            Self::ContentTooLarge => 413,
            Self::UriTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::HeaderFieldsTooLarge => 431,
            Self::NotImplemented => 501,
            Self::VersionNotSupported => 505,
        }
    }
}

/// What a head says about its own message and connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) framing: Framing,
    /// Whether the peer wants the connection to stay (RFC 9112 §9.3).
    pub(crate) persistent: bool,
    /// Whether the peer waits for `100 Continue`.
    pub(crate) expects_continue: bool,
}

/// Room for the header fields of one request.
pub(crate) type Storage<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_HEADERS];

/// Parses a complete head.
pub(crate) fn parse<'a>(
    head: &'a [u8],
    storage: &'a mut Storage<'a>,
    max_headers: usize,
    peer: Peer,
) -> Result<(Request<'a>, Properties), Refusal> {
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, storage) {
        // The head ends where the scan found its end, or the two disagree about what a line is.
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Refusal::BadRequest),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeaderFieldsTooLarge),
        Err(httparse::Error::Version) => return Err(unknown_version(head)),
        Err(_) => return Err(Refusal::BadRequest),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::BadRequest);
    };
    let method = Method::parse(method);
    let version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let fields: &'a [httparse::Header<'a>] = parsed.headers;
    if fields.len() > max_headers {
        return Err(Refusal::HeaderFieldsTooLarge);
    }
    let (request_host, properties) = examine(fields, version)?;
    let Target { authority, path, query } = split_target(target, method).ok_or(Refusal::BadRequest)?;
    let authority = match (authority, request_host) {
        // RFC 9112 §3.2.2: with absolute-form, the Host field is ignored. It must be there all the same.
        (Some(authority), _) if !authority.is_empty() => authority,
        (Some(_), _) => return Err(Refusal::BadRequest),
        (None, Some(host)) => host,
        (None, None) => "",
    };
    let host = host_of(authority).ok_or(Refusal::BadRequest)?;
    let request = Request { method, target, path, query, host, version, headers: Headers(fields), body: &[], peer };
    Ok((request, properties))
}

/// Looks once at every field that matters to the connection.
fn examine<'a>(fields: &'a [httparse::Header<'a>], version: Version) -> Result<(Option<&'a str>, Properties), Refusal> {
    let mut host = None;
    let mut lengths = crate::framing::Fields::default();
    let (mut close, mut keep_alive, mut expects_continue) = (false, false, false);
    for field in fields {
        // The lengths tell most fields apart from these, without comparing their text.
        match field.name.len() {
            4 if field.name.eq_ignore_ascii_case("host") => {
                let value = std::str::from_utf8(field.value).map_err(|_| Refusal::BadRequest)?;
                if host.replace(value).is_some() {
                    return Err(Refusal::BadRequest);
                }
            }
            6 if field.name.eq_ignore_ascii_case("expect") => {
                if !field.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal::ExpectationFailed);
                }
                expects_continue = version == Version::Http11;
            }
            10 if field.name.eq_ignore_ascii_case("connection") => {
                for option in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if field.name.eq_ignore_ascii_case("content-length") => lengths.content_length(field.value)?,
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => lengths.transfer_encoding(field.value)?,
            _ => {}
        }
    }
    if version == Version::Http11 && host.is_none() {
        return Err(Refusal::BadRequest);
    }
    let framing = lengths.framing(version)?;
    let persistent = !close && (version == Version::Http11 || keep_alive);
    Ok((host, Properties { framing, persistent, expects_continue }))
}

/// A version that is well-formed but not ours is 505, anything else on the request line is 400.
fn unknown_version(head: &[u8]) -> Refusal {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.rsplit(|byte| *byte == b' ').next() {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::VersionNotSupported
        }
        _ => Refusal::BadRequest,
    }
}

struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

/// The four forms of RFC 9112 §3.2.
fn split_target(target: &str, method: Method) -> Option<Target<'_>> {
    if target.contains('#') {
        return None;
    }
    if method == Method::Connect {
        // Authority-form. There is nothing behind it here; the handler answers that it does not do this.
        return Some(Target { authority: Some(target), path: "/", query: None });
    }
    if target == "*" {
        return (method == Method::Options).then_some(Target { authority: None, path: "*", query: None });
    }
    let (authority, rest) = if target.starts_with('/') {
        (None, target)
    } else {
        let (scheme, rest) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        (Some(authority), rest)
    };
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    Some(Target { authority, path: if path.is_empty() { "/" } else { path }, query })
}

/// The host of an authority without user information: `host`, `host:port`, `[v6]:port` (RFC 3986 §3.2.2).
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            let (host, rest) = authority.split_at(end + 2);
            if !host[1..=end].bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) {
                return None;
            }
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port_is_digits = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    let host_is_name = host.starts_with('[') || host.bytes().all(known);
    (port_is_digits && host_is_name).then_some(host)
}

#[cfg(test)]
mod tests;
