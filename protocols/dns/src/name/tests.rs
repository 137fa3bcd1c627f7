use proptest::prelude::*;

use super::*;

fn origin() -> Name {
    Name::from_text(b"Example.test.", &Name::root()).unwrap()
}

fn read(text: &str) -> Result<String, NameError> {
    Name::from_text(text.as_bytes(), &origin()).map(|name| name.to_string())
}

#[test]
fn relative_absolute_and_origin() {
    assert_eq!(read("www").unwrap(), "www.Example.test.");
    assert_eq!(read("www.").unwrap(), "www.");
    assert_eq!(read("@").unwrap(), "Example.test.");
    assert_eq!(read(".").unwrap(), ".");
    assert_eq!(read("\\@").unwrap(), "\\@.Example.test.");
}

#[test]
fn escapes() {
    let name = Name::from_text(b"a\\.b\\046c\\000.", &Name::root()).unwrap();
    assert_eq!(name.as_wire(), b"\x06a.b.c\x00\x00");
    assert_eq!(name.to_string(), "a\\.b\\.c\\000.");
    for wrong in ["a\\", "a\\1", "a\\25", "a\\256", "a\\1x2"] {
        assert_eq!(read(wrong), Err(NameError::Escape), "{wrong}");
    }
}

#[test]
fn limits() {
    assert_eq!(read(""), Err(NameError::Empty));
    for wrong in ["a..b", ".a", ".."] {
        assert_eq!(read(wrong), Err(NameError::EmptyLabel), "{wrong}");
    }
    assert!(read(&"a".repeat(63)).is_ok());
    assert_eq!(read(&"a".repeat(64)), Err(NameError::LongLabel));
    assert_eq!(read(&"a".repeat(300)), Err(NameError::LongLabel));
    let name = |labels| read(&"a.".repeat(labels));
    assert!(name(127).is_ok());
    assert_eq!(name(128), Err(NameError::LongName));
}

#[test]
fn suffixes_are_in_lower_case() {
    let name = Name::from_text(b"A.wWw", &origin()).unwrap().lookup();
    assert_eq!(name.labels(), 4);
    assert_eq!(name.suffix(0), b"\0");
    assert_eq!(name.suffix(1), b"\x04test\0");
    assert_eq!(name.suffix(3), b"\x03www\x07example\x04test\0");
    assert_eq!(name.suffix(4), name.as_wire());
    assert!(name.is_within(&origin().lookup()));
    assert!(!origin().lookup().is_within(&name));
}

#[test]
fn compressed_and_cut_names_are_refused() {
    for wrong in [&b""[..], b"\x03ab", b"\x03abc", b"\xc0\x0c", b"\x40"] {
        assert!(LookupName::read(wrong).is_err(), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn text_is_read_back(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..8)) {
        let mut wire = Vec::new();
        for label in &labels {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        let name = Name(wire.into());
        prop_assert_eq!(&Name::from_text(name.to_string().as_bytes(), &Name::root()).unwrap(), &name);
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = LookupName::read(&octets);
        let _ = Name::from_text(&octets, &Name::root());
    }
}
