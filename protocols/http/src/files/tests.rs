use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use prometheus::Registry;
use tapster_service::testing::{TestEnvironment, TestStream};
use tapster_service::{Endpoint, Module as _, Next, Peer, Preparation, Session, StreamBinding, Wait};

use super::*;
use crate::Http;

/// A site on a temporary directory, as a client sees it.
struct Lab {
    directory: tempfile::TempDir,
    environment: TestEnvironment,
    binding: StreamBinding,
    registry: Registry,
}

struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    fn field(&self, name: &str) -> Option<&str> {
        let line = |line: &&str| line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        self.head.lines().find(line).and_then(|line| line.get(name.len()..)?.strip_prefix(": "))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

const SITE: &str = "[[sites]]\nroot = \"www\"\nautoindex = true\nheaders = { X-Lab = \"yes\" }\n";

impl Lab {
    fn new() -> Self {
        Self::configured(SITE)
    }

    fn configured(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let www = directory.path().join("www");
        fs::create_dir_all(www.join("sub/deep")).unwrap();
        fs::create_dir(www.join("list")).unwrap();
        fs::write(www.join("index.html"), "<p>welcome").unwrap();
        fs::write(www.join("sub/index.html"), "<p>sub").unwrap();
        fs::write(www.join("a.txt"), "0123456789").unwrap();
        fs::write(www.join("list/b c.txt"), "b").unwrap();
        fs::write(www.join("empty"), "").unwrap();
        fs::write(www.join(".secret"), "secret").unwrap();
        fs::write(www.join("big.bin"), big()).unwrap();
        fs::write(directory.path().join("outside"), "outside").unwrap();
        symlink("../outside", www.join("out")).unwrap();
        symlink("/etc/passwd", www.join("passwd")).unwrap();
        symlink("a.txt", www.join("in")).unwrap();
        let registry = Registry::new();
        let metrics = Http.metrics(&registry).unwrap();
        let mut preparation = Preparation::new(directory.path(), &[], "tapster");
        let service = Http.prepare(toml::from_str(text).unwrap(), &metrics, &mut preparation);
        let mut service = service.unwrap_or_else(|| panic!("{:?}", preparation.into_problems()));
        let binding = service.streams.remove(0);
        assert_eq!(binding.endpoint, Endpoint { address: None, port: 80 });
        Self { directory, environment: TestEnvironment::default(), binding, registry }
    }

    fn www(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join("www").join(path)
    }

    fn connect(&mut self) -> Box<dyn Session> {
        let address = "192.0.2.1:1".parse().unwrap();
        let peer = Peer { local: address, remote: address, link_address: None, connection: 1 };
        let service = &mut self.binding.service;
        self.environment.with_context(|cx| service.accept(peer, cx))
    }

    /// Runs a connection until it waits for input or ends, and returns what it wrote.
    fn run(&mut self, session: &mut dyn Session, stream: &mut TestStream) -> (Vec<u8>, Next) {
        loop {
            let next = self.environment.advance(session, stream);
            match next {
                Next::Wait(Wait { input: false, deadline: Some(deadline), .. }) => {
                    assert!(deadline <= self.environment.now + Duration::from_millis(5));
                    self.environment.busy = false;
                    self.environment.now = self.environment.now.max(deadline);
                }
                next => return (stream.take_output(), next),
            }
        }
    }

    fn ask(&mut self, method: &str, target: &str, fields: &str) -> Response {
        let mut session = self.connect();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
        let (output, next) = self.run(&mut *session, &mut TestStream::with_input(request));
        assert_ne!(next, Next::Abort, "{method} {target}");
        let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(output[..end].to_vec()).unwrap();
        let response = Response { status: head[9..12].parse().unwrap(), head, body: output[end..].to_vec() };
        let has_body = method != "HEAD" && crate::response::has_body(response.status);
        let length: usize = response.field("Content-Length").map_or(0, |length| length.parse().unwrap());
        assert_eq!(response.body.len(), if has_body { length } else { 0 }, "{method} {target}: {}", response.head);
        response
    }

    fn put(&mut self, target: &str, fields: &str, body: &[u8]) -> u16 {
        let mut session = self.connect();
        let head = format!("PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
        let mut stream = TestStream::with_input(head);
        for piece in body.chunks(100_000) {
            stream.input.extend_from_slice(piece);
            let _ = self.environment.advance(&mut *session, &mut stream);
        }
        let (output, _) = self.run(&mut *session, &mut stream);
        let head = String::from_utf8(output).unwrap();
        head[9..12].parse().unwrap()
    }

    fn get(&mut self, target: &str) -> Response {
        self.ask("GET", target, "")
    }

    fn metric(&self, name: &str, label: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("a known metric");
        let labelled = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        family.get_metric().iter().filter(labelled).map(|metric| metric.get_counter().get_value() as u64).sum()
    }
}

fn big() -> Vec<u8> {
    (0..700_001_u32).map(|at| u8::try_from(at % 253).unwrap()).collect()
}

#[test]
fn files_have_their_fields() {
    let mut lab = Lab::new();
    for _ in 0..2 {
        // First from disk, then from the cache.
        let response = lab.get("/a.txt");
        assert_eq!((response.status, response.text()), (200, "0123456789"));
        assert_eq!(response.field("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.field("Accept-Ranges"), Some("bytes"));
        assert_eq!(response.field("X-Lab"), Some("yes"));
        assert_eq!(response.field("Date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(response.field("ETag").unwrap().starts_with('"'));
        assert!(response.field("Last-Modified").unwrap().ends_with(" GMT"));
    }
    assert_eq!(lab.metric("tapster_http_cache_lookups_total", "hit"), 1);
    assert_eq!(lab.metric("tapster_http_cache_lookups_total", "miss"), 1);
    assert_eq!(lab.metric("tapster_http_requests_total", "200"), 2);
    assert_eq!(lab.metric("tapster_http_response_bytes_total", ""), 20);
    let response = lab.get("/big.bin?query");
    assert_eq!(response.status, 200);
    assert!(response.body == big());
    assert_eq!(response.field("Content-Type"), Some("application/octet-stream"));
    assert_eq!(lab.get("/empty").field("Content-Length"), Some("0"));
}

#[test]
fn head_says_what_get_would() {
    let mut lab = Lab::new();
    for path in ["/a.txt", "/big.bin", "/empty", "/list/", "/missing", "/list"] {
        let (head, get) = (lab.ask("HEAD", path, ""), lab.get(path));
        assert_eq!(head.head, get.head, "{path}");
    }
    assert_eq!(lab.ask("HEAD", "/a.txt", "Range: bytes=0-1\r\n").status, 200);
}

#[test]
fn directories() {
    let mut lab = Lab::new();
    assert_eq!(lab.get("/").text(), "<p>welcome");
    assert_eq!(lab.get("/").field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(lab.get("/sub/").text(), "<p>sub");
    let redirect = lab.get("/sub?a=b");
    assert_eq!((redirect.status, redirect.field("Location")), (301, Some("/sub/?a=b")));
    assert_eq!(lab.get("//sub").field("Location"), Some("/sub/"), "never to another host");
    let list = lab.get("/list/");
    assert!(list.text().contains("<a href=\"./b%20c.txt\">b c.txt</a>"), "{}", list.text());
    assert_eq!(list.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(lab.get("/list//b%20c.txt").text(), "b", "merged without a redirect");
    let mut lab = Lab::configured("[[sites]]\nroot = \"www\"\nindex = [\"a.txt\"]");
    assert_eq!(lab.get("/list/").status, 403);
    assert_eq!(lab.get("/").text(), "0123456789");
}

#[test]
fn what_is_not_shown() {
    let mut lab = Lab::new();
    for (path, status) in [
        ("/missing", 404),
        ("/a.txt/", 404),
        ("/a.txt/b", 404),
        ("/.secret", 404),
        ("/%2esecret", 404),
        ("/out", 404),
        ("/passwd", 404),
        ("/../outside", 400),
        ("/%2e%2e/outside", 400),
        ("/sub/..%2f..%2foutside", 400),
        ("/a%00.txt", 400),
    ] {
        let response = lab.get(path);
        assert_eq!(response.status, status, "{path}");
        assert!(!response.text().contains("outside"));
    }
    assert_eq!(lab.get(&format!("/{}", "a".repeat(300))).status, 404, "longer than a name can be");
    assert_eq!(lab.get("/in").text(), "0123456789", "a link that stays beneath the root");
    rustix::fs::mknodat(rustix::fs::CWD, lab.www("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    assert_eq!(lab.get("/pipe").status, 403, "and it does not block");
}

#[test]
fn methods() {
    let mut lab = Lab::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let response = lab.ask(method, "/a.txt", "");
        assert_eq!((response.status, response.field("Allow")), (405, Some(ALLOW)), "{method}");
    }
    assert_eq!(lab.ask("BREW", "/", "").status, 501);
    for target in ["*", "/a.txt"] {
        let response = lab.ask("OPTIONS", target, "");
        assert_eq!((response.status, response.field("Allow")), (204, Some(ALLOW)));
    }
    assert_eq!(lab.metric("tapster_http_requests_total", "other"), 1);
}

#[test]
fn ranges() {
    let mut lab = Lab::new();
    let big = big();
    for (path, content) in [("/a.txt", b"0123456789".as_slice()), ("/big.bin", big.as_slice())] {
        let length = content.len();
        let mut range = |fields: &str| lab.ask("GET", path, fields);
        let part = range("Range: bytes=2-4\r\n");
        assert_eq!(part.status, 206);
        assert_eq!(part.body, content[2..5]);
        assert_eq!(part.field("Content-Range"), Some(format!("bytes 2-4/{length}").as_str()));
        assert!(part.field("Content-Type").is_some() && part.field("ETag").is_some());
        assert_eq!(range("Range: bytes=-3\r\n").body, content[length - 3..]);
        assert_eq!(range("Range: bytes=1-\r\n").body, content[1..]);
        let beyond = range(&format!("Range: bytes={length}-\r\n"));
        assert_eq!((beyond.status, beyond.field("Content-Range")), (416, Some(format!("bytes */{length}").as_str())));
        assert_eq!(range("Range: lines=1-2\r\n").status, 200);
        assert_eq!(range("Range: bytes=0-1\r\nIf-Range: \"other\"\r\n").status, 200);
        let etag = part.field("ETag").unwrap().to_owned();
        assert_eq!(range(&format!("Range: bytes=0-1\r\nIf-Range: {etag}\r\n")).status, 206);
    }
}

#[test]
fn a_file_beyond_four_gibibytes() {
    let mut lab = Lab::new();
    let mut file = fs::File::create(lab.www("huge")).unwrap();
    file.seek(std::io::SeekFrom::Start(5 << 30)).unwrap();
    file.write_all(b"end").unwrap();
    assert_eq!(lab.ask("HEAD", "/huge", "").field("Content-Length"), Some("5368709123"));
    let part = lab.ask("GET", "/huge", "Range: bytes=5368709119-\r\n");
    assert_eq!(part.body, b"\0end");
    assert_eq!(part.field("Content-Range"), Some("bytes 5368709119-5368709122/5368709123"));
}

#[test]
fn conditions() {
    let mut lab = Lab::new();
    for path in ["/a.txt", "/big.bin"] {
        let response = lab.get(path);
        let etag = response.field("ETag").unwrap().to_owned();
        let date = response.field("Last-Modified").unwrap().to_owned();
        let unchanged = lab.ask("GET", path, &format!("If-None-Match: \"x\"\r\nIf-None-Match: {etag}\r\n"));
        assert_eq!((unchanged.status, unchanged.field("ETag")), (304, Some(etag.as_str())));
        assert_eq!(unchanged.field("Content-Length"), None);
        assert_eq!(lab.ask("HEAD", path, &format!("If-Modified-Since: {date}\r\n")).status, 304);
        assert_eq!(lab.ask("GET", path, "If-Match: \"x\"\r\n").status, 412);
        assert_eq!(lab.ask("GET", path, &format!("If-Match: {etag}\r\n")).status, 200);
    }
}

#[test]
fn the_cache_sees_changes_after_a_second() {
    let mut lab = Lab::new();
    let etag = lab.get("/a.txt").field("ETag").unwrap().to_owned();
    fs::write(lab.www("a.txt"), "changed").unwrap();
    assert_eq!(lab.get("/a.txt").text(), "0123456789", "trusted for a second");
    lab.environment.pass(Duration::from_secs(1));
    let response = lab.get("/a.txt");
    assert_eq!(response.text(), "changed");
    assert_ne!(response.field("ETag"), Some(etag.as_str()));
    lab.environment.pass(Duration::from_secs(1));
    assert_eq!(lab.get("/a.txt").text(), "changed");
    fs::remove_file(lab.www("a.txt")).unwrap();
    lab.environment.pass(Duration::from_secs(1));
    assert_eq!(lab.get("/a.txt").status, 404);
    fs::write(lab.www("a.txt"), "again").unwrap();
    assert_eq!(lab.get("/a.txt").text(), "again", "what is missing is not cached");
}

#[test]
fn a_full_pool_is_told() {
    let mut lab = Lab::new();
    lab.environment.busy = true;
    let response = lab.get("/a.txt");
    assert_eq!((response.status, response.field("Retry-After")), (503, Some("1")));
    assert_eq!(lab.metric("tapster_http_limits_hit_total", "jobs"), 1);
    lab.environment.busy = false;
    assert_eq!(lab.get("/a.txt").status, 200);
    lab.environment.pass(Duration::from_secs(5));
    lab.environment.busy = true;
    assert_eq!(lab.get("/a.txt").status, 200, "an old answer is better than none");
}

#[test]
fn hosts_choose_the_site() {
    let text = "[[sites]]\nhosts = [\"a.test\"]\nroot = \"www\"\n[[sites]]\nhosts = [\"b.test\"]\nroot = \"www/sub\"\n";
    let mut lab = Lab::configured(text);
    assert_eq!(lab.get("/").text(), "<p>welcome");
    assert_eq!(lab.get("http://B.test:80/").text(), "<p>sub");
    assert_eq!(lab.get("/").text(), "<p>welcome", "the cache tells sites apart");
    assert_eq!(lab.get("http://c.test/").status, 421);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_aborts() {
    let mut lab = Lab::new();
    let mut session = lab.connect();
    let mut stream = TestStream::with_input("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.room = Some(100_000);
    let next = lab.environment.advance(&mut *session, &mut stream);
    assert!(matches!(next, Next::Wait(Wait { input: false, .. })));
    fs::File::options().write(true).open(lab.www("big.bin")).unwrap().set_len(200_000).unwrap();
    stream.room = None;
    let (output, next) = lab.run(&mut *session, &mut stream);
    assert_eq!(next, Next::Abort);
    assert!(output.len() <= 200_300);
}

#[test]
fn a_root_that_is_replaced_takes_effect() {
    let mut lab = Lab::new();
    let old = lab.directory.path().join("old");
    fs::rename(lab.www(""), &old).unwrap();
    fs::create_dir(lab.www("")).unwrap();
    fs::write(lab.www("index.html"), "new").unwrap();
    assert_eq!(lab.get("/").text(), "new");
    assert!(Path::new(&old).exists());
}

#[test]
fn several_ranges_come_in_parts() {
    let mut lab = Lab::new();
    let big = big();
    for (path, content, media_type) in [
        ("/a.txt", b"0123456789".as_slice(), "text/plain; charset=utf-8"),
        ("/big.bin", big.as_slice(), "application/octet-stream"),
    ] {
        let response = lab.ask("GET", path, "Range: bytes=0-1, 5-7, -2\r\n");
        assert_eq!(response.status, 206);
        let boundary = response.field("Content-Type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
        assert_eq!(boundary.len(), 32);
        let length = content.len();
        let mut expected = Vec::new();
        for (begin, start, end) in [("", 0, 2), ("\r\n", 5, 8), ("\r\n", length - 2, length)] {
            // 5-7 and the last two of ten touch; they are one part then.
            let (start, end) = if length == 10 && start == 5 { (5, 10) } else { (start, end) };
            if length == 10 && start == 8 {
                continue;
            }
            let head = format!(
                "{begin}--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: bytes {start}-{}/{length}\r\n\r\n",
                end - 1
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&content[start..end]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(String::from_utf8_lossy(&response.body), String::from_utf8_lossy(&expected), "{path}");
        assert_eq!(response.field("Content-Range"), None);
    }
}

#[test]
fn listings_are_json_for_those_who_ask() {
    let mut lab = Lab::new();
    let response = lab.ask("GET", "/list/", "Accept: application/json\r\n");
    assert_eq!(response.field("Content-Type"), Some("application/json"));
    assert_eq!(response.field("Vary"), Some("Accept"));
    assert!(response.text().starts_with("[{\"name\":\"b c.txt\",\"type\":\"file\",\"mtime\":"), "{}", response.text());
}

#[test]
fn compressed_files_lie_beside_the_originals() {
    let mut lab = Lab::configured("[[sites]]\nroot = \"www\"\nprecompressed = true\n");
    fs::write(lab.www("a.txt.gz"), "gz").unwrap();
    fs::write(lab.www("index.html.br"), "br").unwrap();
    for _ in 0..2 {
        let response = lab.ask("GET", "/a.txt", "Accept-Encoding: gzip, br\r\n");
        assert_eq!((response.text(), response.field("Content-Encoding")), ("gz", Some("gzip")));
        assert_eq!(response.field("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.field("Vary"), Some("Accept-Encoding"));
        let plain = lab.get("/a.txt");
        assert_eq!((plain.text(), plain.field("Content-Encoding")), ("0123456789", None));
        assert_eq!(plain.field("Vary"), Some("Accept-Encoding"));
        assert_ne!(plain.field("ETag"), response.field("ETag"));
        assert_eq!(lab.ask("GET", "/", "Accept-Encoding: br\r\n").text(), "br");
        assert_eq!(lab.ask("GET", "/sub/", "Accept-Encoding: br\r\n").text(), "<p>sub");
    }
    assert_eq!(Lab::new().get("/a.txt").field("Vary"), None);
}

const WRITABLE: &str = "[[sites]]\nroot = \"www\"\nwritable = true\n[limits]\nmax_upload_size = \"4MiB\"\n";

#[test]
fn files_can_be_put_and_deleted_where_that_is_allowed() {
    let mut lab = Lab::configured(WRITABLE);
    assert_eq!(lab.put("/new.txt", "", b"new"), 201);
    assert_eq!(lab.get("/new.txt").text(), "new");
    assert_eq!(lab.put("/new.txt", "", b"changed"), 204);
    assert_eq!(lab.get("/new.txt").text(), "changed", "at once, in spite of the cache");
    assert_eq!(lab.put("/none", "", b""), 201);
    assert_eq!(lab.get("/none").text(), "");
    let large: Vec<u8> = big().into_iter().cycle().take(3_500_000).collect();
    assert_eq!(lab.put("/sub/deep/large", "", &large), 201);
    assert!(fs::read(lab.www("sub/deep/large")).unwrap() == large);
    assert_eq!(lab.ask("DELETE", "/new.txt", "").status, 204);
    assert_eq!(lab.get("/new.txt").status, 404);
    assert_eq!(lab.ask("DELETE", "/new.txt", "").status, 404);
    assert_eq!(lab.ask("OPTIONS", "/", "").field("Allow"), Some(ALLOW_WRITABLE));
    for (path, status) in [("/", 409), ("/sub", 409), ("/sub/", 409), ("/nowhere/a", 409), ("/.a", 404), ("/../a", 400)]
    {
        assert_eq!(lab.put(path, "", b"x"), status, "{path}");
    }
    assert_eq!(lab.put("/out", "", b"x"), 409, "a link is not written through");
    assert_eq!(lab.ask("DELETE", "/sub", "").status, 409);
    assert_eq!(lab.put("/part", "Content-Range: bytes 0-0/2\r\n", b"x"), 400);
    assert_eq!(lab.ask("PUT", "/nothing", "").status, 411);
    assert_eq!(fs::read(lab.directory.path().join("outside")).unwrap(), b"outside");
    assert_eq!(lab.put("/large", "", &vec![0; 5_000_000]), 413);
    assert!(Lab::new().put("/a.txt", "", b"x") == 405, "off by default");
    assert!(temporaries(&lab).is_empty());
}

#[test]
fn a_change_may_be_conditional() {
    let mut lab = Lab::configured(WRITABLE);
    assert_eq!(lab.put("/a.txt", "If-None-Match: *\r\n", b"x"), 412, "only if it is new");
    assert_eq!(lab.put("/b.txt", "If-None-Match: *\r\n", b"x"), 201);
    assert_eq!(lab.put("/c.txt", "If-Match: *\r\n", b"x"), 412);
    let etag = lab.get("/a.txt").field("ETag").unwrap().to_owned();
    assert_eq!(lab.ask("DELETE", "/a.txt", "If-Match: \"other\"\r\n").status, 412);
    assert_eq!(lab.put("/a.txt", &format!("If-Match: {etag}\r\n"), b"x"), 204);
    assert!(temporaries(&lab).is_empty());
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let mut lab = Lab::configured(WRITABLE);
    let mut session = lab.connect();
    let head = "PUT /a.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n";
    let mut stream = TestStream::with_input(head);
    stream.input.extend(vec![0; 1 << 20]);
    let _ = lab.environment.advance(&mut *session, &mut stream);
    assert_eq!(temporaries(&lab).len(), 1);
    stream.input_finished = true;
    let (output, _) = lab.run(&mut *session, &mut stream);
    assert!(output.starts_with(b"HTTP/1.1 400 "));
    drop(session);
    assert!(temporaries(&lab).is_empty());
    assert_eq!(lab.get("/a.txt").text(), "0123456789");
}

fn temporaries(lab: &Lab) -> Vec<std::ffi::OsString> {
    let names = |directory: &str| fs::read_dir(lab.www(directory)).unwrap().map(|entry| entry.unwrap().file_name());
    let temporary = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".tapster");
    names("").chain(names("sub/deep")).filter(temporary).collect()
}

#[test]
fn configured_answers_come_before_files() {
    let text = "[[sites]]\nroot = \"www\"\n\
        [[sites.responses]]\npath = \"/healthz\"\nbody = \"ok\"\n\
        [[sites.responses]]\npath = \"/sub/*\"\nstatus = 308\nlocation = \"/a.txt\"\n\
        [[sites.responses]]\npath = \"/old\"\nlocation = \"http://b.test/\"\nheaders = { X-Why = \"moved\" }\n";
    let mut lab = Lab::configured(text);
    let response = lab.get("/healthz");
    assert_eq!((response.status, response.text()), (200, "ok"));
    assert_eq!(response.field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(lab.ask("HEAD", "/healthz", "").head, response.head);
    assert_eq!(lab.ask("POST", "/healthz", "").status, 200);
    assert_eq!(lab.ask("POST", "/a.txt", "").status, 405);
    let response = lab.get("/sub/index.html");
    assert_eq!((response.status, response.field("Location")), (308, Some("/a.txt")));
    let response = lab.get("/old?query");
    assert_eq!((response.status, response.field("Location")), (302, Some("http://b.test/")));
    assert_eq!(response.field("X-Why"), Some("moved"));
    assert_eq!(lab.get("/a.txt").text(), "0123456789");
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<crate::Connection<Files>>() <= 512, "{}", size_of::<crate::Connection<Files>>());
}
