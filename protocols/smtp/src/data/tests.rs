use proptest::prelude::*;

use super::*;

/// What came out, whether it ended, and what was left.
fn receive(newlines: BareNewlines, parts: &[&[u8]]) -> (Vec<u8>, Option<Vec<u8>>, EndOfData) {
    let mut machine = EndOfData::new(newlines);
    let mut message = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let received = machine.receive(part, &mut |bytes| message.extend_from_slice(bytes));
        if received.ended {
            let mut left = part[received.consumed..].to_vec();
            parts[place + 1..].iter().for_each(|part| left.extend_from_slice(part));
            return (message, Some(left), machine);
        }
        assert_eq!(received.consumed, part.len());
    }
    (message, None, machine)
}

/// The rule as RFC 5321 has it: lines end with CRLF; a line that is a dot ends it; another loses a dot at its start.
fn reference(mut input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut message = Vec::new();
    loop {
        let end = input.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, rest) = (&input[..end], &input[end + 2..]);
        input = rest;
        if line == b"." {
            return Some((message, input));
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        message.extend_from_slice(b"\r\n");
    }
}

#[test]
fn messages_end_and_lose_their_dots() {
    let whole = |input: &[u8]| {
        let (message, left, machine) = receive(BareNewlines::Refuse, &[input]);
        assert!(!machine.offended());
        (message, left)
    };
    assert_eq!(whole(b".\r\n"), (b"".to_vec(), Some(b"".to_vec())));
    assert_eq!(whole(b"\r\n.\r\n"), (b"\r\n".to_vec(), Some(b"".to_vec())));
    assert_eq!(whole(b"a\r\n.\r\nQUIT\r\n"), (b"a\r\n".to_vec(), Some(b"QUIT\r\n".to_vec())));
    assert_eq!(whole(b"..\r\n...a\r\n.b\r\n.\r\n"), (b".\r\n..a\r\nb\r\n".to_vec(), Some(b"".to_vec())));
    assert_eq!(whole(b"a.\r\n.\r\n"), (b"a.\r\n".to_vec(), Some(b"".to_vec())));
}

#[test]
fn no_smuggled_end_ends_a_message_and_each_is_told_apart() {
    for (end, form) in [
        (&b"\n.\n"[..], Form::LfDotLf),
        (b"\n.\r\n", Form::LfDotCrlf),
        (b"\n.\r", Form::LfDotCr),
        (b"\r.\n", Form::CrDotLf),
        (b"\r.\r\n", Form::CrDotCrlf),
        (b"\r.\r", Form::CrDotCr),
        (b"\r\n.\n", Form::CrlfDotLf),
        (b"\r\n.\r", Form::CrlfDotCr),
        (b"\r\n.\r\r\n", Form::DotCrcrlf),
        (b"\n.\r\r\n", Form::DotCrcrlf),
        (b"\r\n\0.\r\n", Form::NulDot),
        (b"\r\n.\0\r\n", Form::NulDot),
        (b"\n\0.\n", Form::NulDot),
    ] {
        for newlines in [BareNewlines::Refuse, BareNewlines::Normalize, BareNewlines::Record] {
            let input = [b"a", end, b"MAIL FROM:<b@c>\r\n"].concat();
            let (message, left, mut machine) = receive(newlines, &[&input]);
            assert_eq!(left, None, "{form:?} must not end a message");
            assert!(message.ends_with(b"MAIL FROM:<b@c>\r\n"), "{form:?}");
            let seen = machine.take_seen();
            let dots = seen.iter().filter(|(form, _)| !matches!(form, Form::BareLf | Form::BareCr));
            assert_eq!(dots.collect::<Vec<_>>(), [(form, 1)]);
            let bare = seen.iter().any(|(form, _)| matches!(form, Form::BareLf | Form::BareCr));
            assert_eq!(machine.offended(), bare);
            assert_eq!(machine.take_seen(), Forms::default(), "each is told once");
            let rest = machine.receive(b".\r\nQUIT", &mut |_| {});
            assert_eq!(rest, Received { consumed: 3, ended: true }, "the true end still does");
        }
    }
}

#[test]
fn bare_newlines_are_normalized_or_kept() {
    let input: &[u8] = b"a\nb\rc\r\r\nd\n\r\n.\r\n";
    let (message, ..) = receive(BareNewlines::Normalize, &[input]);
    assert_eq!(message, b"a\r\nb\r\nc\r\n\r\nd\r\n\r\n");
    let (message, _, mut machine) = receive(BareNewlines::Record, &[input]);
    assert_eq!(message, b"a\nb\rc\r\r\nd\n\r\n");
    assert_eq!(machine.take_seen().iter().collect::<Vec<_>>(), [(Form::BareLf, 2), (Form::BareCr, 2)]);
}

#[test]
fn the_numbers_of_forms_are_their_places() {
    assert!(Form::ALL.iter().enumerate().all(|(place, form)| place == *form as usize));
}

/// Bytes among which ends of data, true and false, are likely.
fn line_ends() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        prop_oneof![3 => Just(b'\r'), 3 => Just(b'\n'), 3 => Just(b'.'), 1 => Just(0), 1 => any::<u8>()],
        0..80,
    )
}

proptest! {
    #[test]
    fn it_agrees_with_the_reference_however_the_input_is_split(input in line_ends(), splits in any::<[u8; 4]>()) {
        let mut places: Vec<usize> = splits.iter().map(|split| usize::from(*split) % (input.len() + 1)).collect();
        places.extend([0, input.len()]);
        places.sort_unstable();
        let parts: Vec<&[u8]> = places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
        let (message, left, _) = receive(BareNewlines::Record, &parts);
        match reference(&input) {
            Some((expected, rest)) => prop_assert_eq!((message, left), (expected, Some(rest.to_vec()))),
            None => prop_assert_eq!(left, None),
        }
        let (_, refused, machine) = receive(BareNewlines::Refuse, &parts);
        let (normalized, ended, _) = receive(BareNewlines::Normalize, &parts);
        prop_assert_eq!(refused.is_some(), reference(&input).is_some());
        prop_assert_eq!(ended.is_some(), reference(&input).is_some());
        let text = String::from_utf8_lossy(&normalized).replace("\r\n", "");
        prop_assert!(!text.contains(['\r', '\n']), "normalized text has no bare newline");
        if let Some((expected, _)) = reference(&input) {
            let rest = String::from_utf8_lossy(&expected).replace("\r\n", "");
            prop_assert_eq!(machine.offended(), rest.contains(['\r', '\n']));
        }
    }
}
