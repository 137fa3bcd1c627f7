use super::*;

fn prepare(section: &str) -> (Option<Service>, Vec<Problem>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("tftp")).unwrap();
    let mut preparation = Preparation::new(directory.path(), &[], "tapster");
    let metrics = Tftp.metrics(&Registry::new()).unwrap();
    let service = Tftp.prepare(toml::from_str(section).unwrap(), &metrics, &mut preparation);
    (service, preparation.into_problems())
}

fn keys(problems: &[Problem]) -> Vec<String> {
    let element = |element: &PathElement| match element {
        PathElement::Key(key) => key.clone(),
        PathElement::Index(index) => index.to_string(),
    };
    problems.iter().map(|problem| problem.key.iter().map(element).collect::<Vec<_>>().join(".")).collect()
}

#[test]
fn an_empty_section_serves_the_directory_tftp() {
    let (service, problems) = prepare("");
    assert_eq!(problems, []);
    let service = service.unwrap();
    assert!(service.summary[0].ends_with("tftp, read-only"), "{:?}", service.summary);
    assert_eq!(service.datagrams[0].endpoints, [tapster_service::Endpoint { address: None, port: 69 }]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (service, problems) = prepare(
        r#"
        root = "nowhere"
        refuse_options = ["blksize", "multicast"]
        [limits]
        transfers = 0
        transfers_per_client = 0
        request_size = 63
        options = 65
        block_size = 511
        window_size = 0
        retransmissions = 0
        idle_timeout = "1ms"
        minimum_timeout = "20s"
        "#,
    );
    assert!(service.is_none());
    let limits = [
        "transfers",
        "transfers_per_client",
        "request_size",
        "options",
        "block_size",
        "window_size",
        "retransmissions",
        "idle_timeout",
        "minimum_timeout",
    ];
    let expected: Vec<String> = std::iter::once("root".to_owned())
        .chain(limits.iter().map(|key| format!("limits.{key}")))
        .chain(["refuse_options.1".to_owned()])
        .collect();
    assert_eq!(keys(&problems), expected);
}

#[test]
fn overwriting_without_writing_is_warned_of() {
    let (service, problems) = prepare("overwrite = true");
    assert!(service.is_some());
    assert_eq!((keys(&problems), problems[0].severity), (vec!["overwrite".to_owned()], Severity::Warning));
}

#[test]
fn unknown_keys_and_values_are_errors() {
    for wrong in ["writeable = true", "[limits]\nwindow = 3", "rollover = 2", "root = 3"] {
        assert!(toml::from_str::<Configuration>(wrong).is_err(), "{wrong}");
    }
    assert!(toml::from_str::<Configuration>("rollover = 1").is_ok());
}

#[test]
fn generated_files_faults_and_roots_are_checked() {
    let (service, problems) = prepare(
        r#"
        root = "tftp/{max}"
        generated = [
            { name = "a/{mac}", text = "" },
            { name = "../a", text = "" },
            { name = "{who}", text = "" },
            { name = "a" },
            { name = "a", text = "", template = "b" },
            { name = "a", template = "nowhere" },
        ]
        rename = [{ from = "a", to = "b" }, { from = "(", to = "" }]
        faults = [
            { action = "drop", probability = 101 },
            { action = "error", code = 9 },
            { action = "stall", block = 3 },
        ]
        "#,
    );
    assert!(service.is_none());
    let expected = [
        "root",
        "rename.1.from",
        "generated.1.name",
        "generated.2.name",
        "generated.3.name",
        "generated.4.name",
        "generated.5.template",
        "faults.0.probability",
        "faults.1.code",
    ];
    assert_eq!(keys(&problems), expected);
    assert!(prepare("root = 'tftp/{mac}'").0.is_some());
}
