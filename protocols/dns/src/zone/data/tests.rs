use super::*;
use crate::zone::tokens::Entries;

const START: Position = Position { line: 1, column: 1 };

fn wire(kind: &str, text: &str) -> Result<Vec<u8>, TextError> {
    let origin = Name::from_text(b"t.", &Name::root()).unwrap();
    let entry = Entries::new(text.as_bytes()).next().transpose()?.unwrap_or_default();
    read(RecordType::from_text(kind.as_bytes()).unwrap(), &entry.tokens, START, &origin)
}

fn error(kind: &str, text: &str) -> (usize, String) {
    let error = wire(kind, text).unwrap_err();
    (error.position.column, error.message)
}

#[test]
fn fields() {
    assert_eq!(wire("A", "192.0.2.1").unwrap(), [192, 0, 2, 1]);
    assert_eq!(wire("AAAA", "::1").unwrap().len(), 16);
    assert_eq!(wire("MX", "10 mail").unwrap(), b"\x00\x0a\x04mail\x01t\x00");
    assert_eq!(wire("SRV", "1 2 3 a.").unwrap(), b"\0\x01\0\x02\0\x03\x01a\0");
    assert_eq!(
        wire("SOA", ". . 1 1h 2m 3w 4").unwrap(),
        b"\0\0\0\0\0\x01\0\0\x0e\x10\0\0\0\x78\0\x1b\xaf\x80\0\0\0\x04"
    );
    assert_eq!(wire("CAA", "0 issue \"ca.test; x\"").unwrap(), b"\0\x05issueca.test; x");
    assert_eq!(wire("DS", "1 8 2 AB cd").unwrap(), [0, 1, 8, 2, 0xab, 0xcd]);
    assert_eq!(wire("DNSKEY", "256 3 8 AQ ID").unwrap(), [1, 0, 3, 8, 1, 2, 3]);
    assert_eq!(wire("NAPTR", "1 2 \"s\" \"x\" \"\" .").unwrap(), b"\0\x01\0\x02\x01s\x01x\0\0");
    assert_eq!(wire("URI", "1 2 \"http://a/\"").unwrap(), b"\0\x01\0\x02http://a/");
}

#[test]
fn strings_are_octets() {
    assert_eq!(wire("TXT", r#""a \"b\" \065\200" c\;d """#).unwrap(), b"\x08a \"b\" A\xc8\x03c;d\x00");
    assert_eq!(wire("TXT", "\"é\"").unwrap(), [2, 0xc3, 0xa9]);
    assert!(wire("TXT", &"a".repeat(255)).is_ok());
    assert!(error("TXT", &"a".repeat(256)).1.contains("longer than 255"));
}

#[test]
fn hickory_reads_services() {
    let data = wire("HTTPS", "1 . alpn=\"h2,h3\" port=8443").unwrap();
    assert_eq!(data, b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x20\xfb");
    assert_eq!(wire("SVCB", "0 svc").unwrap(), b"\0\0\x03svc\x01t\0");
}

#[test]
fn the_generic_form() {
    assert_eq!(wire("TYPE65280", "\\# 3 01 0203").unwrap(), [1, 2, 3]);
    assert_eq!(wire("TYPE65280", "\\# 0").unwrap(), []);
    assert_eq!(wire("A", "\\# 4 c0000201").unwrap(), [192, 0, 2, 1]);
    assert!(error("A", "\\# 3 c00002").1.contains("no data of type A"));
    assert_eq!(error("TYPE65280", "\\# 4 010203"), (4, "4 octets are announced, and 3 follow".to_owned()));
    assert_eq!(error("TYPE65280", "\\# 1 0g").0, 6);
    assert!(error("TYPE65280", "abc").1.contains("generic form"));
}

#[test]
fn errors_have_a_column() {
    assert_eq!(error("A", "192.0.2.256"), (1, "\"192.0.2.256\" is not an IPv4 address".to_owned()));
    assert_eq!(error("MX", "65536 a").0, 1);
    assert_eq!(error("MX", "+1 a").0, 1);
    assert_eq!(error("MX", "10 a..b").0, 4);
    assert_eq!(error("MX", "10"), (1, "a name is missing after this".to_owned()));
    assert_eq!(error("A", "192.0.2.1 x").0, 11);
    assert_eq!(error("SOA", ". . 1 2 3 4 5y").0, 13);
    assert_eq!(error("DNSKEY", "256 3 8 !").0, 9);
    assert_eq!(error("CAA", "0 is-sue x").0, 3);
}

#[test]
fn times() {
    assert_eq!(ttl(b"1h30m"), Some(5400));
    assert_eq!(ttl(b"2147483647"), Some(MAXIMUM_TTL));
    for wrong in ["2147483648", "", "h", "1x", "-1"] {
        assert_eq!(ttl(wrong.as_bytes()), None, "{wrong}");
    }
}
