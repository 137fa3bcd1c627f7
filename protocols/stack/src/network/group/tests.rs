use super::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const OTHER: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 4);

fn at(milliseconds: u64) -> Instant {
    Instant::START + Duration::from_millis(milliseconds)
}

fn groups() -> Groups<Ipv4Addr> {
    Groups::new(8, [1; 32])
}

fn query(version: Version, group: Option<Ipv4Addr>) -> Received<Ipv4Addr> {
    Received::Query { version, group, maximum_response_time: Duration::from_secs(10) }
}

/// Runs all timers: what was sent when.
fn run(groups: &mut Groups<Ipv4Addr>) -> Vec<(Instant, Message<Ipv4Addr>)> {
    let mut sent = Vec::new();
    while let Some(now) = groups.next_deadline() {
        sent.extend(groups.expire(now).into_iter().map(|message| (now, message)));
    }
    sent
}

fn messages(groups: &mut Groups<Ipv4Addr>) -> Vec<Message<Ipv4Addr>> {
    run(groups).into_iter().map(|(_, message)| message).collect()
}

fn record(record: Record, group: Ipv4Addr) -> Message<Ipv4Addr> {
    Message::Records(vec![(record, group)])
}

#[test]
fn joining_and_leaving_is_told_twice() {
    // RFC 3376 §5.1.
    let mut groups = groups();
    assert_eq!(groups.join(at(0), GROUP), Ok(()));
    assert_eq!(groups.join(at(0), GROUP), Ok(()), "a second member tells nothing");
    let sent = run(&mut groups);
    assert_eq!(sent[0], (at(0), record(Record::ToExclude, GROUP)));
    assert_eq!(sent[1].1, record(Record::ToExclude, GROUP));
    assert!(sent[1].0 <= at(1000) && sent.len() == 2);
    assert!(groups.leave(at(2000), GROUP));
    assert!(groups.is_member(GROUP) && run(&mut groups).is_empty());
    assert!(groups.leave(at(3000), GROUP));
    assert!(!groups.is_member(GROUP));
    assert_eq!(messages(&mut groups), [record(Record::ToInclude, GROUP), record(Record::ToInclude, GROUP)]);
    assert!(!groups.leave(at(9000), GROUP));
}

#[test]
fn only_groups_are_joined_and_not_too_many() {
    let mut groups = groups();
    let host = Ipv4Addr::new(192, 0, 2, 1);
    assert_eq!(groups.join(at(0), host), Err(JoinError::NotAGroup(host.into())));
    assert_eq!(groups.join(at(0), ALL_HOSTS), Ok(()));
    assert!(groups.is_member(ALL_HOSTS) && groups.next_deadline().is_none(), "RFC 3376 §6: never reported");
    for last in 0..8 {
        assert_eq!(groups.join(at(0), Ipv4Addr::new(239, 0, 0, last)), Ok(()));
    }
    assert_eq!(groups.join(at(0), GROUP), Err(JoinError::TooMany));
}

#[test]
fn a_general_query_is_answered_once_for_all_groups_within_its_time() {
    // RFC 3376 §5.2.
    let mut groups = groups();
    for group in [GROUP, OTHER] {
        assert_eq!(groups.join(at(0), group), Ok(()));
    }
    run(&mut groups);
    groups.receive(at(5000), &query(Version::V3, None));
    let sent = run(&mut groups);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].0 >= at(5000) && sent[0].0 <= at(15_000));
    assert_eq!(sent[0].1, Message::Records(vec![(Record::IsExclude, GROUP), (Record::IsExclude, OTHER)]));
    groups.receive(at(20_000), &query(Version::V3, Some(OTHER)));
    groups.receive(at(20_000), &query(Version::V3, Some(Ipv4Addr::new(239, 9, 9, 9))));
    assert_eq!(messages(&mut groups), [record(Record::IsExclude, OTHER)]);
}

#[test]
fn an_older_router_is_answered_in_its_version_for_a_while() {
    // RFC 3376 §7.2.1, RFC 2236 §3.
    for version in [Version::V1, Version::V2] {
        let mut groups = groups();
        groups.receive(at(0), &query(version, None));
        groups.receive(at(1), &query(Version::V3, None));
        assert_eq!(groups.join(at(1000), GROUP), Ok(()));
        assert_eq!(messages(&mut groups), [Message::Report(version, GROUP), Message::Report(version, GROUP)]);
        groups.receive(at(30_000), &query(version, Some(GROUP)));
        assert_eq!(messages(&mut groups), [Message::Report(version, GROUP)]);
        assert!(groups.leave(at(60_000), GROUP));
        let farewell = if version == Version::V2 { vec![Message::Leave(GROUP)] } else { vec![] };
        assert_eq!(messages(&mut groups), farewell);
        // 260 s after the last old query.
        assert_eq!(groups.join(at(290_000), GROUP), Ok(()));
        assert_eq!(messages(&mut groups)[0], record(Record::ToExclude, GROUP));
    }
}

#[test]
fn with_an_older_router_anothers_report_spares_ours() {
    let mut groups = groups();
    assert_eq!(groups.join(at(0), GROUP), Ok(()));
    run(&mut groups);
    groups.receive(at(5000), &query(Version::V3, Some(GROUP)));
    groups.receive(at(5001), &Received::Report(GROUP));
    assert_eq!(messages(&mut groups).len(), 1, "not in version 3");
    groups.receive(at(20_000), &query(Version::V2, None));
    groups.receive(at(20_001), &Received::Report(GROUP));
    assert!(messages(&mut groups).is_empty());
}

#[test]
fn a_pending_answer_changes_its_version_with_the_router() {
    let mut groups = groups();
    assert_eq!(groups.join(at(0), GROUP), Ok(()));
    run(&mut groups);
    groups.receive(at(5000), &query(Version::V3, None));
    groups.receive(at(5000), &query(Version::V2, Some(OTHER)));
    assert_eq!(messages(&mut groups), [Message::Report(Version::V2, GROUP)]);
}
