use tempfile::TempDir;

use super::*;

/// The keys and messages of what is wrong with a section.
fn problems(directory: &Path, text: &str) -> Vec<(String, String)> {
    let metrics = Smtp.metrics(&Registry::new()).unwrap();
    let mut preparation = Preparation::new(directory, &[], "tapster");
    let service = Smtp.prepare(toml::from_str(text).unwrap(), &metrics, &mut preparation);
    let problems = preparation.into_problems();
    assert_eq!(service.is_none(), !problems.is_empty());
    let key = |problem: &Problem| {
        let elements = problem.key.iter().map(|element| match element {
            PathElement::Key(key) => key.clone(),
            PathElement::Index(index) => index.to_string(),
        });
        elements.collect::<Vec<_>>().join(".")
    };
    problems.iter().map(|problem| (key(problem), problem.message.clone())).collect()
}

#[test]
fn everything_has_a_default() {
    let directory = TempDir::new().unwrap();
    let metrics = Smtp.metrics(&Registry::new()).unwrap();
    let mut preparation = Preparation::new(directory.path(), &[], "tapster");
    let service = Smtp.prepare(Configuration::default(), &metrics, &mut preparation).unwrap();
    assert_eq!(service.summary, ["domain example.test, any mailbox, mail"]);
    assert_eq!(service.streams.len(), 1);
    assert_eq!(service.streams[0].endpoint.port, 25);
    assert_eq!(service.streams[0].maximum_connections, 1000);
    assert!(!directory.path().join("mail").exists(), "a check changes nothing");
    assert_eq!(problems(directory.path(), ""), []);
}

#[test]
fn the_contracts_section_is_taken() {
    let directory = TempDir::new().unwrap();
    let text = r#"
        hostname = "mail.example.test"
        domains  = ["example.test"]
        maildir  = "mail"
        max_message_size = 26214400
        mailboxes = ["*"]
        listen = ["192.0.2.2", "[2001:db8::2]:2525"]
    "#;
    assert_eq!(problems(directory.path(), text), []);
    assert!(toml::from_str::<Configuration>("relay = true").is_err(), "an unknown key");
}

#[test]
fn all_that_is_wrong_is_found_at_once() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let text = r#"
        hostname = "mail example"
        domains  = ["example.test", "EXAMPLE.test", "-"]
        maildir  = "file/mail"
        max_message_size = 1000
        mailboxes = ["jones", "a@b", "Jones"]
        subaddress_separator = "--"
        [limits]
        idle_timeout = "0s"
        command_line = 100
        recipients = 1
        memory = 500
        hops = 0
    "#;
    let found = problems(directory.path(), text);
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "max_message_size",
            "limits.memory",
            "subaddress_separator",
            "limits.idle_timeout",
            "limits.command_line",
            "limits.recipients",
            "limits.hops",
            "hostname",
            "domains.1",
            "domains.2",
            "mailboxes.1",
            "mailboxes.2",
            "maildir",
        ]
    );
    assert!(found[12].1.ends_with("file is not a directory"), "{}", found[12].1);
    assert_eq!(problems(directory.path(), "domains = []")[0].0, "domains");
}

#[test]
fn mailboxes_that_are_there_count() {
    let directory = TempDir::new().unwrap();
    for mailbox in ["a.test/x", "a.test/y", "b.test/z"] {
        fs::create_dir_all(directory.path().join(mailbox).join("new")).unwrap();
    }
    assert_eq!(count_mailboxes(directory.path()), 3);
}

#[test]
fn aliases_must_lead_to_mailboxes() {
    let directory = TempDir::new().unwrap();
    let fine = "mailboxes = ['jones']\ncatch_all = 'Jones'\naliases = { sales = ['Jones', 'postmaster'] }";
    assert_eq!(problems(directory.path(), fine), []);
    assert_eq!(problems(directory.path(), "aliases = { sales = ['anybody'] }"), []);
    let text = r#"
        mailboxes = ["jones", "green"]
        catch_all = "brown"
        [aliases]
        a = ["jones", "brown"]
        b = ["A"]
        c = []
        green = ["postmaster"]
        "x@y" = ["jones"]
        A = ["jones"]
    "#;
    let keys: Vec<String> = problems(directory.path(), text).into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        ["aliases.a.1", "aliases.a", "aliases.b.0", "aliases.c", "aliases.green", "aliases.x@y", "catch_all"]
    );
    assert_eq!(problems(directory.path(), "catch_all = 'jones'")[0].0, "catch_all");
}

#[test]
fn rules_are_checked() {
    let directory = TempDir::new().unwrap();
    let text = r#"
        rules = [
            { at = "rcpt", reply = "250 OK", probability = 1.5 },
            { at = "rcpt", reset_after = "1KiB", rate = 0, per = "0s" },
            { at = "mail" },
            { at = "message", match = "*@x", reply = "452 4.3.1 Full", probability = 0.5, rate = 10, per = "1m" },
        ]
    "#;
    let keys: Vec<String> = problems(directory.path(), text).into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        ["rules.0.reply", "rules.0.probability", "rules.1.rate", "rules.1.per", "rules.1.reset_after", "rules.2.at"]
    );
    assert!(toml::from_str::<Configuration>("rules = [{ at = 'lunch' }]").is_err());
}

/// The defaults that the documented configuration tells: what it has is what there is without it.
#[test]
fn the_documented_defaults_are_the_defaults() {
    let text = r#"
        hostname = "mail.example.test"
        domains = ["example.test"]
        maildir = "mail"
        max_message_size = "25MiB"
        mailboxes = ["*"]
        aliases = {}
        subaddress_separator = "+"
        bare_newlines = "refuse"
        forbid_unauthorized_pipelining = true
        lmtp_listen = []
        [limits]
        idle_timeout = "5m"
        banner_delay = "0s"
        command_line = "4KiB"
        recipients = 1000
        errors = 20
        errors_before_delay = 10
        error_delay = "1s"
        junk_commands = 100
        transactions = 10000
        connections_per_peer = 50
        max_connections = 1000
        min_data_rate = "512B"
        memory = "256MiB"
        mailboxes = 10000
        hops = 100
    "#;
    let documented: Configuration = toml::from_str(text).unwrap();
    let defaults = Configuration { hostname: Some("mail.example.test".to_owned()), ..Configuration::default() };
    assert_eq!(format!("{documented:?}"), format!("{defaults:?}"));
}
