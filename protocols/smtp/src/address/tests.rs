use proptest::prelude::*;

use super::*;

fn forward(text: &str) -> Option<String> {
    let (path, rest) = forward_path(text).ok()?;
    rest.is_empty().then(|| path.to_string())
}

#[test]
fn addresses_by_the_grammar_are_read_and_written_again() {
    for address in [
        "jones@example.test",
        "j.o.n.e.s+lists@a-b.example.test",
        "!#$%&'*+-/=?^_`{|}~@x",
        "\"john smith\"@example.test",
        "\"\"@example.test",
        "\"a@b\"@example.test",
        "\".\"@example.test",
        "\"a\\\"b\\\\c\"@example.test",
        "a@[192.0.2.1]",
        "a@[IPv6:2001:db8::1]",
        "jürgen@bücher.example",
    ] {
        assert_eq!(forward(&format!("<{address}>")).as_deref(), Some(address));
    }
}

#[test]
fn quotes_that_are_not_needed_make_no_difference() {
    assert_eq!(forward("<\"jones\"@example.test>").as_deref(), Some("jones@example.test"));
    assert_eq!(forward("<\"j\\ones\"@example.test>").as_deref(), Some("jones@example.test"));
    assert_eq!(forward("<a@[ipv6:2001:DB8:0::1]>").as_deref(), Some("a@[IPv6:2001:db8::1]"));
}

#[test]
fn source_routes_are_ignored() {
    assert_eq!(forward("<@a.test,@b.test:jones@c.test>").as_deref(), Some("jones@c.test"));
    assert_eq!(forward("<@a.test:jones@c.test>").as_deref(), Some("jones@c.test"));
    for wrong in ["<@a.test>", "<@a.test:>", "<@a.test,b.test:j@c>", "<@:j@c>", "<@a.test,:j@c>"] {
        assert_eq!(forward(wrong), None, "{wrong}");
    }
}

#[test]
fn the_postmaster_needs_no_domain_and_nobody_else_has_none() {
    assert_eq!(forward_path("<PostMaster> X"), Ok((ForwardPath::Postmaster, " X")));
    assert!(forward_path("<jones>").is_err());
    assert!(reverse_path("<postmaster>").is_err());
}

#[test]
fn the_null_reverse_path() {
    assert_eq!(reverse_path("<> SIZE=1"), Ok((None, " SIZE=1")));
    assert!(forward_path("<>").is_err());
}

#[test]
fn what_is_not_by_the_grammar_is_refused() {
    let long_local = format!("<{}@x>", "a".repeat(65));
    let long_label = format!("<a@{}>", "b".repeat(64));
    let long_domain = format!("<a@{}b>", "b.".repeat(128));
    for wrong in [
        "",
        "<",
        "<>",
        "a@b",
        "<a@b",
        "<a>",
        "<@b>",
        "<a@>",
        "<.a@b>",
        "<a.@b>",
        "<a..b@c>",
        "<a b@c>",
        "<a@b@c>",
        "<a@-b>",
        "<a@b->",
        "<a@b..c>",
        "<a@b.>",
        "<a@b_c>",
        "<a@[192.0.2]>",
        "<a@[192.0.2.256]>",
        "<a@[::1]>",
        "<a@[IPv6:192.0.2.1]>",
        "<a@[x:y]>",
        "<a@[]>",
        "<a@[192.0.2.1>",
        "<\"a@b>",
        "<\"a\"b@c>",
        "<\"a\\\"@c>",
        "<\"a\tb\"@c>",
        "<\"a\\\u{7f}\"@c>",
        "<a\u{85}@b>",
        "<a(c)@b>",
        &long_local,
        &long_label,
        &long_domain,
    ] {
        assert_eq!(forward(wrong), None, "{wrong}");
    }
}

#[test]
fn names_of_clients() {
    for name in ["localhost", "my_host.example", "host.example.", "[192.0.2.1]", "[IPv6:::1]", "1and1"] {
        assert!(is_client_name(name), "{name}");
    }
    for name in ["", ".", "a b", "a(b)", "[192.0.2.1", "[x]", "a\u{7f}", "-", "<a>"] {
        assert!(!is_client_name(name), "{name}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        let _ = (forward_path(&text), reverse_path(&text), is_client_name(&text));
    }

    #[test]
    fn what_was_read_reads_again_as_itself(text in "<[a\"\\\\@.,:\\[\\]0-9 ü>%-]{0,40}>") {
        if let Ok((path, _)) = forward_path(&text) {
            let again = format!("<{path}>");
            prop_assert_eq!(forward_path(&again), Ok((path, "")));
        }
    }
}
