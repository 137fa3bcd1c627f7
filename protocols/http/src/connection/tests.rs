use std::time::Duration;

use proptest::prelude::*;
use tapster_service::Wait;
use tapster_service::testing::{TestEnvironment, TestStream};

use super::*;
use crate::{Body, Prepared, Produced, Producer};

/// A handler that tells what it was asked, or does what the path names.
#[derive(Debug, Default)]
struct Teller {
    completed: Vec<(Option<Method>, u16, u64, bool)>,
    limits: Vec<Limit>,
}

struct Letters {
    left: usize,
    asked: usize,
}

impl Producer for Letters {
    fn produce(&mut self, room: usize, cx: &mut Context<'_>) -> Produced {
        self.asked += 1;
        if self.left == 0 {
            return Produced::End;
        }
        if self.asked.is_multiple_of(2) {
            return Produced::Later(Some(cx.now + Duration::from_secs(1)));
        }
        let count = room.min(3).min(self.left);
        self.left -= count;
        Produced::Bytes(vec![b'x'; count].into())
    }
}

/// Gives more than it was asked for.
struct Careless;

impl Producer for Careless {
    fn produce(&mut self, _room: usize, _cx: &mut Context<'_>) -> Produced {
        Produced::Bytes(Bytes::from_static(b"seven !"))
    }
}

impl Handler for Teller {
    fn intake(&mut self, request: &Request<'_>) -> Intake {
        if request.path == "/collect" { Intake::Collect(10) } else { Intake::Discard }
    }

    fn respond(&mut self, request: &Request<'_>, cx: &mut Context<'_>) -> Answer {
        let produced = |length| Body::Produced { length, producer: Box::new(Letters { left: 7, asked: 0 }) };
        match request.path {
            "/prepared" => {
                let message = Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
                Answer::Prepared(Prepared { status: 200, message, head: 38, rest: Bytes::from_static(b"cd") })
            }
            "/job" => Answer::Later(cx.spawn(tapster_service::Job::new(|| "from a job".to_owned())).unwrap()),
            "/produced" => Reply::new(200).body(produced(Some(7))).into(),
            "/short" => Reply::new(200).body(produced(Some(8))).into(),
            "/long" => Reply::new(200).body(Body::Produced { length: Some(6), producer: Box::new(Careless) }).into(),
            "/endless" => Reply::new(200).body(produced(None)).into(),
            "/close" => Reply::text(200).close().into(),
            "/nothing" => Reply::new(204).into(),
            _ => {
                let body = String::from_utf8_lossy(request.body);
                let told = format!("{} {} [{body}]", request.method.name(), request.target);
                Reply::new(200).body(Body::Bytes(told.into())).into()
            }
        }
    }

    fn resume(&mut self, job: FinishedJob, _cx: &mut Context<'_>) -> Answer {
        Reply::new(200).body(Body::Bytes(job.downcast::<String>().unwrap().into())).into()
    }

    fn completed(&mut self, completed: &Completed<'_>) {
        self.completed.push((completed.method, completed.status, completed.body_bytes, completed.aborted));
    }

    fn limit_hit(&mut self, limit: Limit) {
        self.limits.push(limit);
    }
}

struct Lab {
    environment: TestEnvironment,
    stream: TestStream,
    connection: Connection<Teller>,
}

impl Lab {
    fn new(input: &str) -> Self {
        Self::with_limits(input, Limits::default())
    }

    fn with_limits(input: &str, limits: Limits) -> Self {
        let mut environment = TestEnvironment::default();
        let address = "192.0.2.1:1".parse().unwrap();
        let peer = Peer { local: address, remote: address, link_address: None, connection: 1 };
        let server = Arc::new(Server::new(limits));
        let connection = environment.with_context(|cx| Connection::new(server, Teller::default(), peer, cx));
        Self { environment, stream: TestStream::with_input(input), connection }
    }

    /// Advances, also at deadlines that have come or lie close, as a daemon would.
    fn advance(&mut self) -> Next {
        loop {
            let next = self.environment.advance(&mut self.connection, &mut self.stream);
            match next {
                Next::Wait(Wait { deadline: Some(deadline), .. }) if deadline <= self.environment.now + SOON => {
                    let time = deadline.saturating_duration_since(self.environment.now);
                    self.environment.pass(time);
                }
                next => return next,
            }
        }
    }

    fn say(&mut self, input: &str) -> Next {
        self.stream.input.extend_from_slice(input.as_bytes());
        self.advance()
    }

    /// Status and body of each response so far, given which methods were asked.
    fn responses(&mut self, methods: &[&str]) -> Vec<(u16, String)> {
        responses(&self.stream.take_output(), methods)
    }
}

const SOON: Duration = Duration::from_secs(2);

/// A strict reader of responses.
fn responses(mut output: &[u8], methods: &[&str]) -> Vec<(u16, String)> {
    let mut found = Vec::new();
    while !output.is_empty() {
        let end = output.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
        let head = std::str::from_utf8(&output[..end]).unwrap().to_ascii_lowercase();
        output = &output[end..];
        let status: u16 = head[9..12].parse().unwrap();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_head = methods.get(found.len()) == Some(&"HEAD");
        let length: Option<usize> = field("content-length:").map(|length| length.parse().unwrap());
        let mut body = Vec::new();
        if is_head || matches!(status, 100 | 204 | 304) {
        } else if field("transfer-encoding:") == Some("chunked") {
            let mut decoder = BodyDecoder::new(Framing::Chunked);
            loop {
                match decoder.step(output).unwrap() {
                    Step::Data(count) => {
                        body.extend_from_slice(&output[..count]);
                        output = &output[count..];
                    }
                    Step::Framing(count) => output = &output[count..],
                    Step::Done => break,
                    Step::More => panic!("an incomplete body"),
                }
            }
        } else {
            let length = length.unwrap_or(output.len());
            body.extend_from_slice(&output[..length]);
            output = &output[length..];
        }
        found.push((status, String::from_utf8(body).unwrap()));
    }
    found
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[test]
fn requests_are_answered_in_order_on_one_connection() {
    let mut lab = Lab::new(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /job HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let next = lab.advance();
    assert_eq!(lab.responses(&[]), [ok("GET /1 []"), ok("from a job"), ok("GET /2 []")]);
    assert_eq!(next, Next::input().until(lab.environment.now + Duration::from_secs(75)));
    let _ = lab.say("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(lab.responses(&[]), [ok("GET /3 []")]);
}

#[test]
fn every_response_has_its_fields() {
    let mut lab = Lab::new("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = lab.advance();
    let output = String::from_utf8(lab.stream.take_output()).unwrap();
    assert_eq!(
        output,
        "HTTP/1.1 200 OK\r\nServer: tapster\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 8\r\n\r\nGET / []"
    );
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    for path in ["/", "/produced", "/prepared"] {
        let answer = |method: &str| {
            let mut lab = Lab::new(&format!("{method} {path} HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"));
            let _ = lab.advance();
            String::from_utf8(lab.stream.take_output()).unwrap()
        };
        let (get, head) = (answer("GET"), answer("HEAD"));
        let end = get.find("\r\n\r\n").unwrap() + 4;
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        if path == "/" {
            // The handler tells the method, so the length differs by one.
            assert_eq!(head.replace("Content-Length: 9", "Content-Length: 8"), get[..end]);
        } else {
            assert_eq!(head, get[..end]);
        }
    }
}

#[test]
fn a_prepared_answer_gets_the_connection_field_it_needs() {
    let mut lab = Lab::new(
        "GET /prepared HTTP/1.1\r\nHost: a\r\n\r\nHEAD /prepared HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    let _ = lab.advance();
    assert_eq!(
        String::from_utf8(lab.stream.take_output()).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd\
         HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    );
    let mut lab = Lab::new("GET /prepared HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let _ = lab.advance();
    assert_eq!(
        String::from_utf8(lab.stream.take_output()).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nabcd"
    );
    assert!(!lab.stream.finished);
}

#[test]
fn a_closed_connection_lingers_until_the_peer_has_finished() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /close HTTP/1.1\r\nHost: a\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut lab = Lab::new(request);
        assert!(matches!(lab.advance(), Next::Wait(Wait { input: true, .. })), "{request}");
        assert!(lab.stream.finished);
        let output = String::from_utf8(lab.stream.take_output()).unwrap();
        assert!(output.contains("\r\nConnection: close\r\n"), "{output}");
        assert!(matches!(lab.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Next::Wait(_)));
        assert!(lab.stream.output.is_empty(), "what follows is not answered");
        assert!(lab.stream.input.is_empty(), "and is thrown away");
        lab.stream.input_finished = true;
        assert_eq!(lab.advance(), Next::Close);
    }
}

#[test]
fn lingering_is_bounded() {
    let mut lab = Lab::new("GET / HTTP/1.0\r\n\r\n");
    let Next::Wait(Wait { deadline: Some(deadline), .. }) = lab.advance() else { panic!("it lingers") };
    lab.environment.now = deadline;
    assert_eq!(lab.advance(), Next::Close);
    let mut lab = Lab::with_limits("GET / HTTP/1.0\r\n\r\n", Limits { lingering_size: 10, ..Limits::default() });
    assert!(matches!(lab.advance(), Next::Wait(_)));
    assert!(matches!(lab.say("12345"), Next::Wait(_)));
    assert_eq!(lab.say("67890"), Next::Close);
}

#[test]
fn a_peer_that_has_finished_still_gets_its_answers() {
    let mut lab = Lab::new("GET /job HTTP/1.1\r\nHost: a\r\n\r\nGET /produced HTTP/1.1\r\nHost: a\r\n\r\n");
    lab.stream.input_finished = true;
    assert_eq!(lab.advance(), Next::Close);
    assert_eq!(lab.responses(&[]), [ok("from a job"), ok("xxxxxxx")]);
    let mut lab = Lab::new("GET /job HTTP/1.1\r\nHo");
    lab.stream.input_finished = true;
    assert_eq!(lab.advance(), Next::Close);
    assert_eq!(lab.responses(&[])[0].0, 400, "half a request");
    let mut lab = Lab::new("");
    lab.stream.input_finished = true;
    assert_eq!(lab.advance(), Next::Close);
    assert!(lab.stream.output.is_empty());
}

#[test]
fn bodies_are_skipped_or_collected() {
    let mut lab = Lab::new(
        "POST /skip HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\nGET /not-a-request \r\n\
         POST /skip HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n\
         POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
         POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
         GET /end HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let _ = lab.advance();
    let expected = ["POST /skip []", "POST /skip []", "POST /collect [abc]", "POST /collect [def]", "GET /end []"];
    assert_eq!(lab.responses(&[]), expected.map(ok));
}

#[test]
fn a_body_may_be_too_large() {
    for request in [
        "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        "POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n",
    ] {
        let mut lab = Lab::new(request);
        let _ = lab.advance();
        let statuses: Vec<_> = lab.responses(&[]).iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [413]);
        assert!(lab.stream.finished);
        assert_eq!(lab.connection.handler.limits, [Limit::BodySize]);
    }
    // One that is only skipped costs the connection, not the answer.
    let mut lab = Lab::new("POST /skip HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    let _ = lab.advance();
    assert_eq!(lab.responses(&[]), [ok("POST /skip []")]);
    assert!(lab.stream.finished);
}

#[test]
fn continue_is_said_to_one_who_waits_for_it() {
    let mut lab = Lab::new("POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    let _ = lab.advance();
    assert_eq!(lab.stream.take_output(), b"HTTP/1.1 100 Continue\r\n\r\n");
    let _ = lab.say("abc");
    assert_eq!(lab.responses(&[]), [ok("POST /collect [abc]")]);
    // It has the body on its way already.
    let mut lab = Lab::new("POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    let _ = lab.advance();
    assert_eq!(lab.responses(&[]), [ok("POST /collect [abc]")]);
    // The body is not wanted.
    let mut lab = Lab::new("POST /skip HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    let _ = lab.advance();
    assert_eq!(lab.responses(&[]), [ok("POST /skip []")]);
    assert!(lab.stream.finished);
}

#[test]
fn an_answer_of_unknown_length_is_chunked() {
    let mut lab = Lab::new("GET /endless HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = lab.advance();
    let output = lab.stream.take_output();
    assert_eq!(responses(&output, &[]), [ok("xxxxxxx"), (204, String::new())]);
    assert!(String::from_utf8(output).unwrap().contains("\r\n\r\n3\r\nxxx\r\n3\r\nxxx\r\n1\r\nx\r\n0\r\n\r\n"));
    let mut lab = Lab::new("GET /endless HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let _ = lab.advance();
    let output = String::from_utf8(lab.stream.take_output()).unwrap();
    assert!(output.ends_with("Connection: close\r\n\r\nxxxxxxx"), "{output}");
    assert!(lab.stream.finished);
}

#[test]
fn a_body_that_is_not_as_long_as_promised_aborts() {
    for path in ["/short", "/long"] {
        let mut lab = Lab::new(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(lab.advance(), Next::Abort, "{path}");
        assert!(lab.connection.handler.completed[0].3, "told as aborted");
    }
}

#[test]
fn room_bounds_what_is_written() {
    let mut lab = Lab::new("GET /produced HTTP/1.1\r\nHost: a\r\n\r\n");
    lab.stream.room = Some(200);
    let _ = lab.environment.advance(&mut lab.connection, &mut lab.stream);
    lab.stream.take_output();
    lab.stream.room = Some(2);
    let mut body = Vec::new();
    for _ in 0..20 {
        let _ = lab.advance();
        let piece = lab.stream.take_output();
        assert!(piece.len() <= 2);
        body.extend(piece);
        lab.stream.room = Some(2);
    }
    assert_eq!(body.len() + 3, 7, "the first piece came with the head");
}

#[test]
fn pipelined_requests_wait_while_the_answers_are_not_read() {
    let mut lab = Lab::new(&"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
    lab.stream.room = Some(1);
    assert!(matches!(lab.advance(), Next::Wait(Wait { input: false, room: 1, .. })));
    assert_eq!(lab.responses(&[]).len(), 1);
    lab.environment.pass(Duration::from_secs(60));
    assert_eq!(lab.advance(), Next::Abort);
    assert_eq!(lab.connection.handler.limits, [Limit::SendTimeout]);
}

#[test]
fn a_great_many_requests_let_others_have_their_turn() {
    let mut lab = Lab::new(&"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100));
    let next = lab.environment.with_context(|cx| lab.connection.advance(&mut lab.stream, cx));
    assert_eq!(next, Next::input().until(lab.environment.now));
    assert_eq!(lab.responses(&[]).len(), 64);
    let _ = lab.advance();
    assert_eq!(lab.responses(&[]).len(), 36);
}

#[test]
fn slow_heads_and_idle_connections_end() {
    let mut lab = Lab::new("");
    assert_eq!(lab.advance(), Next::input().until(lab.environment.now + Duration::from_secs(60)));
    lab.environment.pass(Duration::from_secs(60));
    assert_eq!(lab.advance(), Next::Close, "nothing was said, so nothing is answered");
    let mut lab = Lab::new("G");
    let begun = lab.environment.now;
    let _ = lab.advance();
    for byte in "ET / HTTP/1.1\r\n".chars() {
        lab.environment.pass(Duration::from_secs(3));
        assert_eq!(lab.say(&byte.to_string()), Next::input().until(begun + Duration::from_secs(60)));
    }
    lab.environment.pass(Duration::from_secs(15));
    let _ = lab.advance();
    assert_eq!(lab.responses(&[])[0].0, 408);
    assert_eq!(lab.connection.handler.limits, [Limit::HeaderTimeout]);
    let mut lab = Lab::new("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = lab.advance();
    lab.stream.take_output();
    lab.environment.pass(Duration::from_secs(75));
    assert_eq!(lab.advance(), Next::Close);
    assert!(lab.stream.output.is_empty());
}

#[test]
fn slow_bodies_end() {
    let mut lab = Lab::new("POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na");
    let _ = lab.advance();
    lab.environment.pass(Duration::from_secs(60));
    let _ = lab.advance();
    assert_eq!(lab.responses(&[])[0].0, 408);
    assert_eq!(lab.connection.handler.limits, [Limit::BodyTimeout]);
    let mut lab = Lab::new("POST /skip HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na");
    let _ = lab.advance();
    lab.environment.pass(Duration::from_secs(60));
    let _ = lab.advance();
    assert!(lab.stream.finished);
}

#[test]
fn the_last_request_of_many_is_told_so() {
    let limits = Limits { max_requests: 2, ..Limits::default() };
    let mut lab = Lab::with_limits(&"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3), limits);
    let _ = lab.advance();
    let output = String::from_utf8(lab.stream.take_output()).unwrap();
    assert_eq!(output.matches("200 OK").count(), 2);
    assert_eq!(output.matches("Connection: close").count(), 1);
    assert!(lab.stream.finished);
}

#[test]
fn refusals_have_their_statuses_and_limits() {
    let long = "a".repeat(20_000);
    for (request, status, limit) in [
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505, None),
        (format!("GET /{long}"), 414, Some(Limit::RequestLine)),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"), 431, Some(Limit::HeaderSize)),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, None),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n".to_owned(), 417, None),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501, None),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\n".to_owned(), 400, None),
    ] {
        let mut lab = Lab::new(&request);
        let _ = lab.advance();
        assert_eq!(lab.responses(&[])[0].0, status, "{request}");
        assert!(lab.stream.finished);
        assert_eq!(lab.connection.handler.limits, limit.into_iter().collect::<Vec<_>>());
        assert_eq!(lab.connection.handler.completed.len(), 1);
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_is_told() {
    let mut lab = Lab::new("GET /produced HTTP/1.1\r\nHost: a\r\n\r\n");
    lab.stream.room = Some(100);
    let _ = lab.environment.advance(&mut lab.connection, &mut lab.stream);
    lab.environment.with_context(|cx| lab.connection.closed(Closed::Reset, cx));
    assert_eq!(lab.connection.handler.completed, [(Some(Method::Get), 200, 3, true)]);
    lab.environment.with_context(|cx| lab.connection.closed(Closed::Reset, cx));
    assert_eq!(lab.connection.handler.completed.len(), 1, "once");
}

const STREAM: &[(&str, &str)] = &[
    ("GET", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("HEAD", "HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (
        "POST",
        "POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
    ),
    ("POST", "POST /skip HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET / HTT"),
    ("GET", "\r\nGET /job HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("GET", "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("GET", "GET /prepared HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("GET", "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_requests_are_split_the_answers_are_the_same(mut cuts in prop::collection::vec(0_usize..600, 0..12), room in prop::option::of(1_usize..300)) {
        let methods: Vec<_> = STREAM.iter().map(|(method, _)| *method).collect();
        let wire: String = STREAM.iter().map(|(_, request)| *request).collect();
        let mut whole = Lab::new(&wire);
        let _ = whole.advance();
        let expected = whole.responses(&methods);
        prop_assert_eq!(expected.len(), methods.len());
        cuts.retain(|cut| *cut < wire.len());
        cuts.push(wire.len());
        cuts.sort_unstable();
        let mut lab = Lab::new("");
        let mut at = 0;
        for cut in cuts {
            lab.stream.room = room;
            let _ = lab.say(&wire[at..cut]);
            at = cut;
        }
        for _ in 0..100 {
            lab.stream.room = room;
            let _ = lab.advance();
        }
        prop_assert_eq!(lab.responses(&methods), expected);
    }

    #[test]
    fn arbitrary_input_does_not_panic(pieces in prop::collection::vec("(GET|POST) /[a-z]{0,4}( HTTP/1.1)?\r?\n?(Host: a\r\n|Content-Length: [0-9]{1,3}\r\n|Transfer-Encoding: chunked\r\n|\r\n|\\PC){0,6}", 0..4), noise: Vec<u8>) {
        let mut lab = Lab::new("");
        for piece in pieces {
            let _ = lab.say(&piece);
        }
        lab.stream.input.extend(noise);
        let _ = lab.advance();
        lab.stream.input_finished = true;
        prop_assert!(matches!(lab.advance(), Next::Close));
    }
}
