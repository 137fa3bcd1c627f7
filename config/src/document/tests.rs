//! Layers and sections: what wins, and how errors read.

use std::fs;
use std::time::Duration;

use bytesize::ByteSize;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::Frame;

/// A document of one file.
pub(crate) fn document(text: &str) -> Document {
    Document::merge(vec![Layer::file(Path::new("tapster.toml"), text).unwrap()], None).unwrap()
}

/// How diagnostics read, one below the other.
pub(crate) fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

/// A directory with files, and how its name is taken out of messages.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self(directory)
    }

    fn sources(&self) -> Sources {
        Sources { file: Some(self.0.path().join("tapster.toml")), ..Sources::default() }
    }

    fn errors(&self, sources: &Sources) -> String {
        self.rendered(&Document::load(sources).unwrap_err())
    }

    fn rendered(&self, diagnostics: &[Diagnostic]) -> String {
        rendered(diagnostics).replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn environment(variables: &[(&str, &str)]) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn integer(document: &Document, path: &str) -> Option<i64> {
    match document.tree.get(KeyPath::dotted(path).elements())? {
        Tree::Integer(value) => Some(*value),
        other => panic!("{path} is {other:?}"),
    }
}

/// Where a path is said to be.
fn place(document: &Document, path: &str) -> String {
    document.diagnose(&KeyPath::dotted(path), Severity::Error, "", None).place.to_string()
}

#[test]
fn a_later_layer_wins_and_its_place_is_told() {
    let files = Files::new(&[
        ("tapster.toml", "[a]\none = 1\ntwo = 1\nthree = 1\nfour = 1\nfive = 1\n"),
        ("conf.d/20.toml", "a.three = 3\n"),
        ("conf.d/10.toml", "[a]\ntwo = 2\nthree = 2\nfour = 2\nfive = 2\n"),
        ("conf.d/30.conf", "a.two = 99\n"),
        ("conf.d/.40.toml", "a.two = 99\n"),
    ]);
    let sources = Sources {
        environment: environment(&[("TAPSTER__A__FOUR", "4"), ("TAPSTER__A__FIVE", "4"), ("TAPSTER_A_FOUR", "99")]),
        assignments: vec!["a.five=5".to_owned(), "a.six = 6".to_owned()],
        ..files.sources()
    };
    let document = Document::load(&sources).unwrap();
    let keys = ["one", "two", "three", "four", "five", "six"];
    let values: Vec<_> = keys.iter().map(|key| integer(&document, &format!("a.{key}"))).collect();
    assert_eq!(values, [Some(1), Some(2), Some(3), Some(4), Some(5), Some(6)]);
    let places: Vec<_> = keys
        .iter()
        .map(|key| place(&document, &format!("a.{key}")).replace(&format!("{}/", files.0.path().display()), ""))
        .collect();
    assert_eq!(
        places,
        [
            "tapster.toml:2:7",
            "conf.d/10.toml:2:7",
            "conf.d/20.toml:1:11",
            "environment TAPSTER__A__FOUR",
            "--set a.five",
            "--set a.six"
        ]
    );
    assert_eq!(document.directory(), Some(files.0.path()));
    assert_eq!(document.origins().count(), 7);
}

#[test]
fn tables_are_merged_and_arrays_replaced() {
    let files = Files::new(&[
        (
            "tapster.toml",
            "[services.dns]\nlisten = [\"a\", \"b\"]\n[[services.dns.zones]]\nname = \"x\"\n[services.http]\n",
        ),
        ("conf.d/a.toml", "[services.dns]\nlisten = [\"c\"]\n[services.tftp]\n"),
    ]);
    let document = Document::load(&files.sources()).unwrap();
    assert_eq!(document.section_names("services"), ["dns", "http", "tftp"]);
    let array = |path: &str| document.tree.get(KeyPath::dotted(path).elements()).cloned().unwrap();
    assert_eq!(array("services.dns.listen"), Tree::Array(vec![Some(Tree::String("c".to_owned()))]));
    assert!(matches!(array("services.dns.zones"), Tree::Array(zones) if zones.len() == 1));
    // An index that the later array does not have is not looked for in the earlier one.
    let path = KeyPath::dotted("services.dns.listen").child(1);
    let place = document.diagnose(&path, Severity::Error, "", None).place.to_string();
    assert!(place.ends_with("conf.d/a.toml:2:10"), "{place}");
}

#[test]
fn a_value_and_a_table_replace_each_other() {
    let files = Files::new(&[
        ("tapster.toml", "a = 1\n[b]\nc = 1\n"),
        ("conf.d/1.toml", "b = 2\n[a]\nd = 2\n"),
        ("conf.d/2.toml", "b.e = 3\n"),
    ]);
    let document = Document::load(&files.sources()).unwrap();
    assert_eq!(
        (integer(&document, "a.d"), integer(&document, "b.e"), integer(&document, "b.c")),
        (Some(2), Some(3), None)
    );
}

#[test]
fn overrides_take_the_type_that_toml_gives_them() {
    let files = Files::new(&[("tapster.toml", "")]);
    let assignments = [
        ("integer=1_500", Tree::Integer(1500)),
        ("boolean=true", Tree::Boolean(true)),
        ("float=1.5", Tree::Float(1.5)),
        ("quoted=\"1500\"", Tree::String("1500".to_owned())),
        ("bare=192.0.2.2/24", Tree::String("192.0.2.2/24".to_owned())),
        ("date=2026-01-01", Tree::String("2026-01-01".to_owned())),
        ("empty=", Tree::String(String::new())),
        ("equals=a=b", Tree::String("a=b".to_owned())),
        ("array=[1, 2]", Tree::Array(vec![Some(Tree::Integer(1)), Some(Tree::Integer(2))])),
        ("unclosed=[1", Tree::String("[1".to_owned())),
    ];
    let sources =
        Sources { assignments: assignments.iter().map(|(text, _)| format!("x.{text}")).collect(), ..files.sources() };
    let document = Document::load(&sources).unwrap();
    for (text, value) in &assignments {
        let key = text.split_once('=').unwrap().0;
        assert_eq!(document.tree.get(KeyPath::dotted(&format!("x.{key}")).elements()), Some(value), "{text}");
    }
}

#[test]
fn the_embedded_default_is_only_for_when_there_is_no_file() {
    let files = Files::new(&[("tapster.toml", "")]);
    let nothing = Sources { system_file: files.0.path().join("none.toml"), ..Sources::default() };
    let document = Document::load(&nothing).unwrap();
    assert_eq!(document.directory(), None);
    assert_eq!(integer(&document, "link.mtu"), Some(1500));
    assert!(place(&document, "link.mtu").starts_with("embedded/tapster.toml:"));
    let system = Sources { system_file: files.0.path().join("tapster.toml"), ..Sources::default() };
    let document = Document::load(&system).unwrap();
    assert_eq!(document.directory(), Some(files.0.path()));
    assert_eq!(integer(&document, "link.mtu"), None);
    let missing = Sources { file: Some(nothing.system_file), ..Sources::default() };
    assert_eq!(files.errors(&missing), "none.toml: error: cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn syntax_errors_of_all_files_in_one_go() {
    let files = Files::new(&[
        (
            "tapster.toml",
            "[link]\nmtu = \nname = \"x\n[net work]\nhostname = 1\nlist = [1,\n 2\n[tcp]\ntime_wait = 5m\n",
        ),
        ("conf.d/a.toml", "a = 1\na = 2\n"),
        ("conf.d/b.toml", "a = 99999999999999999999\nb = [1e999]\n"),
        ("conf.d/c.toml", "\"a.b\" = 1\n"),
    ]);
    fs::write(files.0.path().join("conf.d/d.toml"), b"a = 1\nb = \"\xc3\xa4\xff\"\n").unwrap();
    fs::create_dir(files.0.path().join("conf.d/e.toml")).unwrap();
    let sources = Sources {
        environment: environment(&[("TAPSTER__", "1"), ("TAPSTER__A__", "1")]),
        assignments: vec!["mtu".to_owned(), "a..b=1".to_owned(), "x=99999999999999999999".to_owned()],
        ..files.sources()
    };
    let expected = r#"tapster.toml:2:7: error: invalid TOML: string values must be quoted, expected literal string
    2 | mtu = 
      |       ^
tapster.toml:3:10: error: invalid TOML: invalid basic string, expected `"`
    3 | name = "x
      |          ^
tapster.toml:4:5: error: invalid TOML: unclosed table, expected `]`
    4 | [net work]
      |     ^
tapster.toml:8:1: error: invalid TOML: missing comma between array elements, expected `,`
    8 | [tcp]
      | ^
"#;
    let errors = files.errors(&sources);
    assert_eq!(errors.get(..expected.len()), Some(expected), "{errors}");
    let expected = r#"conf.d/a.toml:2:1: error: invalid TOML: duplicate key
    2 | a = 2
      | ^
conf.d/b.toml:1:5: error: this is not an integer of 64 bits
    1 | a = 99999999999999999999
      |     ^^^^^^^^^^^^^^^^^^^^
conf.d/b.toml:2:6: error: this is not a finite number
    2 | b = [1e999]
      |      ^^^^^
conf.d/c.toml:1:1: error: unknown section "a.b"
    1 | "a.b" = 1
      | ^^^^^
conf.d/d.toml:2:7: error: this is not UTF-8 text
    2 | b = "ä�"
      |       ^
conf.d/e.toml: error: cannot be read: Is a directory (os error 21)
environment TAPSTER__: error: the name of the variable names no key
      = write it as TAPSTER__LINK__MTU, with two underscores between the words
environment TAPSTER__A__: error: the name of the variable names no key
      = write it as TAPSTER__LINK__MTU, with two underscores between the words
--set mtu: error: there is no `=` between key and value
      = write it as link.mtu=9000
--set a..b: error: what stands before `=` names no key
      = write it as link.mtu=9000
--set x: error: this is not an integer of 64 bits
      | x=99999999999999999999
      |   ^^^^^^^^^^^^^^^^^^^^
"#;
    assert!(errors.ends_with(expected), "{errors}");
}

/// A section such as a module has.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Dns {
    listen: Vec<std::net::SocketAddr>,
    zones: Vec<Zone>,
    mode: Mode,
    limits: Limits,
    maximum_size: ByteSize,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Zone {
    name: String,
    file: std::path::PathBuf,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Plain,
    Strict(u8),
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    connections: u16,
    #[serde(with = "humantime_serde")]
    idle_timeout: Duration,
    ratio: f64,
    strict: bool,
}

#[test]
fn beside_unknown_keys_the_rest_is_given_and_beside_a_wrong_value_it_is_not() {
    let document = document("[services.dns]\nlisen = []\nmaximum_size = \"4KiB\"\n");
    let (dns, diagnostics) = document.section("services.dns").unwrap().deserialize::<Dns>();
    assert_eq!((dns.is_some(), diagnostics.len()), (true, 1));
    let document = super::tests::document("[services.dns]\nlisen = []\nmaximum_size = true\n");
    let (dns, diagnostics) = document.section("services.dns").unwrap().deserialize::<Dns>();
    assert_eq!((dns.is_some(), diagnostics.len()), (false, 2));
}

fn section_errors(text: &str) -> String {
    let document = document(text);
    let section = document.section("services.dns").unwrap();
    rendered(&section.deserialize::<Dns>().1)
}

#[test]
fn a_section_that_is_right() {
    let text = r#"
[services.dns]
listen = ["192.0.2.2:53"]
mode = { strict = 3 }
maximum_size = "4KiB"
limits.idle_timeout = "1m 30s"
[[services.dns.zones]]
name = "example.test"
file = "zone"
"#;
    let document = document(text);
    let dns: Dns = document.section("services.dns").unwrap().deserialize().0.unwrap();
    assert_eq!(
        dns,
        Dns {
            listen: vec!["192.0.2.2:53".parse().unwrap()],
            zones: vec![Zone { name: "example.test".to_owned(), file: "zone".into() }],
            mode: Mode::Strict(3),
            limits: Limits { idle_timeout: Duration::from_secs(90), ..Limits::default() },
            maximum_size: ByteSize::kib(4),
        }
    );
    assert!(document.section("services.http").is_none());
    assert!(document.section("services.dns.listen").is_none());
}

#[test]
fn all_errors_of_a_section_in_one_go() {
    let text = r#"[services.dns]
listen = ["192.0.2.2:53", "here", "192.0.2.2:54", 5]
lisen = []
mode = "stict"
maximum_size = "4 bananas"
[services.dns.limits]
connections = 70000
idle_timeout = "10 bananas"
ratio = "1"
strict = 1
[[services.dns.zones]]
nam = "x"
file = 7
[[services.dns.zones]]
name = ["x"]
file = "x"
[[services.dns.zones]]
name = "y"
"#;
    assert_eq!(
        section_errors(text),
        r#"tapster.toml:2:27: error: invalid `listen[1]` in [services.dns]: invalid socket address syntax
    2 | listen = ["192.0.2.2:53", "here", "192.0.2.2:54", 5]
      |                           ^^^^^^
tapster.toml:2:51: error: invalid `listen[3]` in [services.dns]: expected socket address, found the integer `5`
    2 | listen = ["192.0.2.2:53", "here", "192.0.2.2:54", 5]
      |                                                   ^
tapster.toml:3:1: error: unknown key `lisen` in [services.dns]
    3 | lisen = []
      | ^^^^^ did you mean `listen`?
tapster.toml:4:8: error: unknown value `stict` for `mode` in [services.dns]
    4 | mode = "stict"
      |        ^^^^^^^ did you mean `strict`?
tapster.toml:5:16: error: invalid `maximum_size` in [services.dns]: expected a size, found the string "4 bananas"
    5 | maximum_size = "4 bananas"
      |                ^^^^^^^^^^^ such as 4096 or "4MiB"
tapster.toml:7:15: error: invalid `connections` in [services.dns.limits]: expected an integer from 0 to 65535, found the integer `70000`
    7 | connections = 70000
      |               ^^^^^
tapster.toml:8:16: error: invalid `idle_timeout` in [services.dns.limits]: expected a duration, found the string "10 bananas"
    8 | idle_timeout = "10 bananas"
      |                ^^^^^^^^^^^^ such as "30s", "5m" or "1h 30m"
tapster.toml:9:9: error: invalid `ratio` in [services.dns.limits]: expected a number, found the string "1"
    9 | ratio = "1"
      |         ^^^
tapster.toml:10:10: error: invalid `strict` in [services.dns.limits]: expected true or false, found the integer `1`
   10 | strict = 1
      |          ^
tapster.toml:11:1: error: missing key `name` in [[services.dns.zones]]
   11 | [[services.dns.zones]]
      | ^^^^^^^^^^^^^^^^^^^^^^
tapster.toml:12:1: error: unknown key `nam` in [[services.dns.zones]]
   12 | nam = "x"
      | ^^^ did you mean `name`?
tapster.toml:13:8: error: invalid `file` in [[services.dns.zones]]: expected a path, found the integer `7`
   13 | file = 7
      |        ^ a path is a string in quotes
tapster.toml:15:8: error: invalid `name` in [[services.dns.zones]]: expected a string, found an array
   15 | name = ["x"]
      |        ^^^^^ a string stands in quotes
tapster.toml:17:1: error: missing key `file` in [[services.dns.zones]]
   17 | [[services.dns.zones]]
      | ^^^^^^^^^^^^^^^^^^^^^^
"#
    );
}

#[test]
fn an_error_in_an_override_shows_the_override() {
    let files = Files::new(&[("tapster.toml", "[services.dns]\nmode = \"plain\"\n")]);
    let sources = Sources {
        environment: environment(&[("TAPSTER__SERVICES__DNS__MODE", "plan")]),
        assignments: vec!["services.dns.limits.connections=-1".to_owned(), "services.dns.listn=[]".to_owned()],
        ..files.sources()
    };
    let document = Document::load(&sources).unwrap();
    let section = document.section("services.dns").unwrap();
    assert_eq!(
        files.rendered(&section.deserialize::<Dns>().1),
        r"environment TAPSTER__SERVICES__DNS__MODE: error: unknown value `plan` for `mode` in [services.dns]
      | TAPSTER__SERVICES__DNS__MODE=plan
      |                              ^^^^ did you mean `plain`?
--set services.dns.limits.connections: error: invalid `connections` in [services.dns.limits]: expected an integer from 0 to 65535, found the integer `-1`
      | services.dns.limits.connections=-1
      |                                 ^^
--set services.dns.listn: error: unknown key `listn` in [services.dns]
      | services.dns.listn=[]
      | ^^^^^^^^^^^^^^^^^^ did you mean `listen`?
"
    );
}

#[test]
fn what_a_module_reports_later_is_shown_at_its_key() {
    let document = document("[services.dns]\n[[services.dns.zones]]\n  file = \"gone\"\n");
    let section = document.section("services.dns").unwrap();
    let report = |key: &[PathElement]| {
        section.diagnose(key.iter().cloned(), Severity::Warning, "it is wrong", Some("mend it".to_owned())).to_string()
    };
    assert_eq!(
        report(&["zones".into(), 0.into(), "file".into()]),
        "tapster.toml:3:10: warning: it is wrong\n    3 |   file = \"gone\"\n      |          ^^^^^^ mend it"
    );
    // A key that is not written anywhere: its table.
    let table = "tapster.toml:1:1: warning: it is wrong\n    1 | [services.dns]\n      | ^^^^^^^^^^^^^^ mend it";
    assert_eq!(report(&["limits".into(), "idle_timeout".into()]), table);
    assert_eq!(report(&[]), table);
    let nowhere = document.diagnose(&KeyPath::dotted("tcp.time_wait"), Severity::Error, "it is wrong", None);
    assert_eq!(nowhere.to_string(), "tapster.toml: error: it is wrong");
}

#[test]
fn there_is_an_end_to_the_errors() {
    let zones = "[[services.dns.zones]]\nname = 1\n".repeat(500);
    let document = document(&zones);
    let errors = document.section("services.dns").unwrap().deserialize::<Dns>().1;
    // Each zone costs two rounds: one for the name, and one to leave the zone out for want of a name.
    assert_eq!(errors.len(), 50);
}

fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof!["[a-z_.\" ]{0,12}", "link|network|services|tcp|mtu|addresses|dns|zones"];
    let value = prop_oneof!["\\PC{0,20}", "-?[0-9._e]{1,20}", "\"\\PC{0,10}\"", "\\[[0-9\", ]{0,10}\\]", "true"];
    prop_oneof![
        (key.clone(), value).prop_map(|(key, value)| format!("{key} = {value}\n")),
        key.clone().prop_map(|key| format!("[{key}]\n")),
        key.prop_map(|key| format!("[[{key}]]\n")),
        "\\PC{0,40}\n",
    ]
}

/// Reads a text as a file as far as it goes; it must not panic, and must fail only with a reason.
fn read(text: &str) {
    let layer = match Layer::file(Path::new("x.toml"), text) {
        Ok(layer) => layer,
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            rendered(&diagnostics);
            return;
        }
    };
    let document = Document::merge(vec![layer], None).unwrap();
    let (frame, diagnostics) = Frame::read(&document, &["dns"]);
    assert!(frame.is_some() || diagnostics.iter().any(Diagnostic::is_error));
    rendered(&diagnostics);
    if let Some(section) = document.section("services.dns") {
        let (dns, diagnostics) = section.deserialize::<Dns>();
        assert!(dns.is_some() || !diagnostics.is_empty());
        rendered(&diagnostics);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[\\x00-\\x20])*") {
        read(&text);
    }

    #[test]
    fn any_lines_like_toml_are_read_or_refused(lines in proptest::collection::vec(line(), 0..12)) {
        read(&lines.concat());
    }

    #[test]
    fn the_default_with_a_slip_is_read_or_refused(at in 0..crate::EMBEDDED_DOCUMENT.len(), length in 0..30_usize, with in "\\PC{0,3}") {
        let mut text = crate::EMBEDDED_DOCUMENT.to_owned();
        let end = text.len().min(at + length);
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &with);
        }
        read(&text);
    }

    #[test]
    fn any_override_is_taken_or_refused(name in "\\PC{0,12}", value in "\\PC{0,20}") {
        let files = Files::new(&[("tapster.toml", "")]);
        let sources = Sources {
            environment: environment(&[(&format!("TAPSTER__{name}"), &value)]),
            assignments: vec![format!("{name}={value}"), value],
            ..files.sources()
        };
        match Document::load(&sources) {
            Ok(document) => { let _ = Frame::read(&document, &[]); }
            Err(diagnostics) => prop_assert!(!diagnostics.is_empty()),
        }
    }
}
