//! Zones for tests, from texts.

use std::path::PathBuf;

use super::master_file::{Files, Reader, Text};
use super::{Finding, Record, Zone, Zones, check};
use crate::name::Name;

/// No files at all, but for one that includes itself and one of one record.
pub(crate) struct TestFiles;

impl Files for TestFiles {
    fn read(&mut self, _: Option<&PathBuf>, name: &str) -> Result<(PathBuf, Vec<u8>), String> {
        let text = match name {
            "loop" => "$INCLUDE loop\n",
            "hosts" => "$ORIGIN deeper\nhost 60 A 192.0.2.77\n",
            _ => return Err(format!("{name} cannot be read")),
        };
        Ok((name.into(), text.into()))
    }
}

/// Reads a text as the zone `name`.
pub(crate) fn read(name: &str, text: &[u8]) -> (Vec<Record>, Vec<Finding>) {
    let mut files = TestFiles;
    let mut reader = Reader::new(apex(name), &mut files);
    reader.read(Text::File("zone".into()), text);
    (reader.records, reader.findings)
}

/// The name of a zone.
pub(crate) fn apex(name: &str) -> Name {
    Name::from_text(name.as_bytes(), &Name::root()).unwrap()
}

/// What is found in a zone, as `line:column message`; warnings begin with `?`.
pub(crate) fn findings(name: &str, text: &str) -> Vec<String> {
    let (records, mut findings) = read(name, text.as_bytes());
    let apex = apex(name);
    findings.extend(check::check(&apex, &records, Zone::build(&apex, &records).as_ref()));
    let show = |finding: Finding| {
        let place =
            finding.place.map_or(String::new(), |place| format!("{}:{} ", place.position.line, place.position.column));
        format!("{}{place}{}", if finding.warning { "?" } else { "" }, finding.message)
    };
    findings.into_iter().map(show).collect()
}

/// A zone that must be without errors.
pub(crate) fn zone(name: &str, text: &str) -> Zone {
    let found = findings(name, text);
    assert!(found.iter().all(|finding| finding.starts_with('?')), "{found:#?}");
    Zone::build(&apex(name), &read(name, text.as_bytes()).0).unwrap()
}

/// Zones that must be without errors.
pub(crate) fn zones(texts: &[(&str, &str)]) -> Zones {
    let mut zones = Zones::default();
    for (name, text) in texts {
        zones.insert(zone(name, text));
    }
    zones
}

/// A zone with something of everything.
pub(crate) const EXAMPLE: &str = r#"
$TTL 1h
@           SOA   ns1 hostmaster 1 2h 30m 2w 10m
            NS    ns1
            NS    ns.elsewhere.test.
            MX    10 mail
            MX    20 mail2.elsewhere.test.
            TXT   "one" "two"
            CAA   0 issue "ca.test"
ns1         A     192.0.2.53
            AAAA  2001:db8::53
mail        A     192.0.2.25
www         300   A 192.0.2.80
            300   A 192.0.2.81
            300   AAAA 2001:db8::80
_sip._tcp   SRV   1 2 5060 www
alias       CNAME www
alias2      CNAME alias
outside     CNAME www.elsewhere.test.
dangling    CNAME nothing
loop1       CNAME loop2
loop2       CNAME loop1
into        CNAME host.sub
a.b.c       A     192.0.2.3
*.wild      TXT   "wild"
*.wild      MX    5 mail
there.wild  A     192.0.2.4
x.ent.wild  A     192.0.2.5
walias      CNAME some.wild
*.cwild     CNAME www
sub         NS    ns.sub
            NS    ns1
            DS    1 8 2 abcd
ns.sub      A     192.0.2.100
            AAAA  2001:db8::100
host.sub    A     192.0.2.101
old         DNAME new
old         TXT   "moved"
www.new     A     192.0.2.6
far         DNAME elsewhere.than.here.test.
odd         TYPE65280 \# 3 010203
"#;
