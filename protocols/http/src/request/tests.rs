use proptest::prelude::*;

use super::*;

fn peer() -> Peer {
    let address = "192.0.2.1:1".parse().unwrap();
    Peer { local: address, remote: address, link_address: None, connection: 1 }
}

/// Parses and gives what the tests look at.
fn parsed(head: &[u8]) -> Result<(Method, String, Option<String>, String, Properties), Refusal> {
    let mut storage = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let (request, properties) = parse(head, &mut storage, 100, peer())?;
    let query = request.query.map(str::to_owned);
    Ok((request.method, request.path.to_owned(), query, request.host.to_owned(), properties))
}

fn target(line: &str) -> Result<(String, Option<String>, String), Refusal> {
    let head = format!("{line} HTTP/1.1\r\nHost: field.test:8080\r\n\r\n");
    parsed(head.as_bytes()).map(|(_, path, query, host, _)| (path, query, host))
}

fn properties(fields: &str) -> Result<Properties, Refusal> {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    parsed(head.as_bytes()).map(|(.., properties)| properties)
}

#[test]
fn the_forms_of_a_target() {
    let some = |path: &str, query: Option<&str>, host: &str| Ok((path.into(), query.map(Into::into), host.into()));
    assert_eq!(target("GET /a?b?c"), some("/a", Some("b?c"), "field.test"));
    assert_eq!(target("GET /?"), some("/", Some(""), "field.test"));
    assert_eq!(target("GET http://other.test/a"), some("/a", None, "other.test"));
    assert_eq!(target("GET HTTP://other.test:81"), some("/", None, "other.test"));
    assert_eq!(target("GET http://other.test?q"), some("/", Some("q"), "other.test"));
    assert_eq!(target("GET http://[2001:db8::1]:80/a"), some("/a", None, "[2001:db8::1]"));
    assert_eq!(target("OPTIONS *"), some("*", None, "field.test"));
    assert_eq!(target("CONNECT other.test:443"), some("/", None, "other.test"));
    for line in ["GET *", "GET a", "GET http:///a", "GET ftp://a/", "GET /a#b", "GET http://u@h/", "GET http://[::1/"] {
        assert_eq!(target(line), Err(Refusal::BadRequest), "{line}");
    }
}

#[test]
fn the_host_field_is_there_once_and_is_a_host() {
    let host =
        |fields: &str| parsed(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()).map(|(_, _, _, host, _)| host);
    assert_eq!(host("Host: a.test\r\n").as_deref(), Ok("a.test"));
    assert_eq!(host("hOST:\t[::1]:8080 \r\n").as_deref(), Ok("[::1]"));
    assert_eq!(host("Host:\r\n").as_deref(), Ok(""));
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a:b\r\n",
        "Host: a@b\r\n",
        "Host: a,b:1:2\r\n",
    ] {
        assert_eq!(host(fields), Err(Refusal::BadRequest), "{fields:?}");
    }
    assert_eq!(parsed(b"GET / HTTP/1.0\r\n\r\n").map(|(_, _, _, host, _)| host).as_deref(), Ok(""));
    assert_eq!(parsed(b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), Err(Refusal::BadRequest));
}

#[test]
fn persistence_follows_version_and_connection() {
    let persistent = |version: &str, fields: &str| {
        parsed(format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap().4.persistent
    };
    assert!(persistent("1.1", ""));
    assert!(!persistent("1.1", "Connection: close\r\n"));
    assert!(!persistent("1.1", "Connection: keep-alive, CLOSE\r\n"));
    assert!(!persistent("1.1", "Connection: upgrade\r\nConnection: close\r\n"));
    assert!(!persistent("1.0", ""));
    assert!(persistent("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!persistent("1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn expectations() {
    assert!(properties("Expect: 100-Continue\r\n").unwrap().expects_continue);
    assert!(!properties("").unwrap().expects_continue);
    assert_eq!(properties("Expect: 200-ok\r\n"), Err(Refusal::ExpectationFailed));
    let old = parsed(b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert!(!old.4.expects_continue, "RFC 9110 §10.1.1: ignored from HTTP/1.0");
}

#[test]
fn versions() {
    assert_eq!(parsed(b"GET / HTTP/2.0\r\n\r\n"), Err(Refusal::VersionNotSupported));
    assert_eq!(parsed(b"PRI * HTTP/2.0\r\n\r\n"), Err(Refusal::VersionNotSupported));
    assert_eq!(parsed(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"), Err(Refusal::VersionNotSupported));
    for line in ["GET /", "GET / HTTP/11", "GET / http/1.1", "GET / HTTP/x.1", "GET  / HTTP/1.1", "GET / HTTP/1.1 "] {
        assert_eq!(parsed(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()), Err(Refusal::BadRequest), "{line}");
    }
}

/// The messages about which two readers could disagree (RFC 9112 §11.2). As raw bytes, after `Host`.
#[test]
fn what_could_smuggle_a_request_is_refused() {
    let cases: [(&[u8], Refusal); 27] = [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Refusal::BadRequest),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Refusal::BadRequest),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Refusal::BadRequest),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", Refusal::BadRequest),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", Refusal::BadRequest),
        (b"Content-Length: 0\r\nContent-Length: 0\r\n", Refusal::BadRequest),
        (b"Content-Length: 5, 5\r\n", Refusal::BadRequest),
        (b"Content-Length: +5\r\n", Refusal::BadRequest),
        (b"Content-Length: -5\r\n", Refusal::BadRequest),
        (b"Content-Length: 0x5\r\n", Refusal::BadRequest),
        (b"Content-Length: 5 5\r\n", Refusal::BadRequest),
        (b"Content-Length:\r\n", Refusal::BadRequest),
        (b"Content-Length: 99999999999999999999\r\n", Refusal::ContentTooLarge),
        (b"Transfer-Encoding: gzip, chunked\r\n", Refusal::NotImplemented),
        (b"Transfer-Encoding: identity\r\n", Refusal::NotImplemented),
        (b"Transfer-Encoding: xchunked\r\n", Refusal::NotImplemented),
        (b"Transfer-Encoding: chunked;q=1\r\n", Refusal::NotImplemented),
        (b"Transfer-Encoding: \x0bchunked\r\n", Refusal::BadRequest),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Refusal::BadRequest),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Refusal::BadRequest),
        (b"Transfer-Encoding : chunked\r\n", Refusal::BadRequest),
        (b"Content-Length : 5\r\n", Refusal::BadRequest),
        (b" Content-Length: 5\r\n", Refusal::BadRequest),
        (b"X: a\r\n Content-Length: 5\r\n", Refusal::BadRequest),
        (b"X: a\rContent-Length: 5\r\n", Refusal::BadRequest),
        (b"X: a\0b\r\n", Refusal::BadRequest),
        (b"X\0: a\r\n", Refusal::BadRequest),
    ];
    for (fields, refusal) in cases {
        let head = [b"POST / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n"].concat();
        assert_eq!(parsed(&head).err(), Some(refusal), "{}", String::from_utf8_lossy(fields));
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parsed(old), Err(Refusal::BadRequest));
}

#[test]
fn framing_that_is_clear() {
    assert_eq!(properties("").unwrap().framing, Framing::None);
    assert_eq!(properties("Content-Length: 0\r\n").unwrap().framing, Framing::None);
    assert_eq!(properties("Content-Length: 0005\r\n").unwrap().framing, Framing::Length(5));
    assert_eq!(properties("Transfer-Encoding: Chunked\r\n").unwrap().framing, Framing::Chunked);
}

#[test]
fn too_many_fields() {
    let head =
        |count| [b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(), b"A: b\r\n".repeat(count), b"\r\n".to_vec()].concat();
    assert!(parsed(&head(99)).is_ok());
    assert_eq!(parsed(&head(100)), Err(Refusal::HeaderFieldsTooLarge));
    assert_eq!(parsed(&head(500)), Err(Refusal::HeaderFieldsTooLarge));
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(head: Vec<u8>) {
        let _ = parsed(&head);
    }

    #[test]
    fn nearly_right_heads_do_not_panic(head in "(GET|POST|X) [/*a:\\[\\]?#%.]{0,12} HTTP/[012].[012]\r\n((Host|Content-Length|Connection|Expect): [a-z0-9:\\[\\],-]{0,9}\r\n){0,4}\r\n") {
        let _ = parsed(head.as_bytes());
    }
}
