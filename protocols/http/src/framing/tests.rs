use proptest::prelude::*;

use super::*;

/// A body and what follows it.
type Decoded = Result<Option<(Vec<u8>, Vec<u8>)>, Refusal>;

/// Decodes input that comes in pieces; gives the body and what follows it, or `None` when it has not ended.
fn decode(framing: Framing, pieces: &[&[u8]]) -> Decoded {
    let mut decoder = BodyDecoder::new(framing);
    let (mut body, mut input) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.step(&input)? {
                Step::Data(count) => body.extend(input.drain(..count)),
                Step::Framing(count) => drop(input.drain(..count)),
                Step::More | Step::Done => break,
            }
        }
    }
    Ok((decoder.step(&input)? == Step::Done).then_some((body, input)))
}

fn chunked(input: &[u8]) -> Decoded {
    let whole = decode(Framing::Chunked, &[input]);
    let bytewise: Vec<_> = input.chunks(1).collect();
    assert_eq!(decode(Framing::Chunked, &bytewise), whole, "one byte at a time: {input:?}");
    whole
}

fn body(body: &[u8], rest: &[u8]) -> Decoded {
    Ok(Some((body.to_vec(), rest.to_vec())))
}

#[test]
fn a_length() {
    assert_eq!(decode(Framing::Length(3), &[b"ab", b"cd"]), body(b"abc", b"d"));
    assert_eq!(decode(Framing::Length(3), &[b"ab"]), Ok(None));
    assert_eq!(decode(Framing::None, &[b"ab"]), body(b"", b"ab"));
}

#[test]
fn chunks() {
    assert_eq!(chunked(b"3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\nnext"), body(b"abc0123456789", b"next"));
    assert_eq!(chunked(b"0\r\n\r\n"), body(b"", b""));
    assert_eq!(chunked(b"1;a=b;c=\"d\"\r\nx\r\n0 ;e\r\nTrailer: f\r\n\r\n"), body(b"x", b""));
    assert_eq!(chunked(b"3\r\nabc\r\n0\r\n"), Ok(None));
}

#[test]
fn chunks_about_which_readers_could_disagree() {
    let cases: [&[u8]; 17] = [
        b"3\nabc\n0\n\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\rabc\r\n0\r\n\r\n",
        b"\r\n3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"g\r\n",
        b"3 3\r\nabc\r\n",
        b"1;a\nb\r\nx\r\n",
        b"1;\0\r\nx\r\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\n\n",
        b"11111111111111111\r\n",
    ];
    for case in cases {
        assert_eq!(chunked(case), Err(Refusal::BadRequest), "{}", String::from_utf8_lossy(case));
    }
}

#[test]
fn lines_and_trailers_are_bounded() {
    let extension = [b"1;".to_vec(), vec![b'a'; 2000]].concat();
    assert_eq!(chunked(&extension), Err(Refusal::BadRequest));
    let trailers = [b"0\r\n".to_vec(), b"A: 0123456789\r\n".repeat(600)].concat();
    assert_eq!(chunked(&trailers), Err(Refusal::HeaderFieldsTooLarge));
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic_and_advance(input in "[0-9a-f;\r\n\\PC]{0,64}", split in 0_usize..64) {
        let input = input.as_bytes();
        let (first, second) = input.split_at(split.min(input.len()));
        prop_assert_eq!(decode(Framing::Chunked, &[first, second]), decode(Framing::Chunked, &[input]));
    }

    #[test]
    fn what_was_encoded_is_decoded(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8), split in 0_usize..400) {
        let mut wire = Vec::new();
        for piece in &pieces {
            wire.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let (first, second) = wire.split_at(split.min(wire.len()));
        prop_assert_eq!(decode(Framing::Chunked, &[first, second]), Ok(Some((pieces.concat(), Vec::new()))));
    }
}
