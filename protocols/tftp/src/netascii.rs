//! Netascii: text as RFC 1350 §1 and RFC 764 have it on the wire.
//!
//! Responsible for the two end-of-line rules: a line ends with CR LF, and a CR alone is CR NUL. Both directions work
//! across the borders of blocks.

/// How far an [`encode`] has come: where in the file the next block begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Bytes of the file that have been taken.
    pub(crate) offset: u64,
    /// The second byte of a pair whose first was the last of the block before.
    pub(crate) owed: Option<u8>,
}

/// Puts `text` into `block`, as much as fits in up to `room` bytes, and moves the position. Returns how many bytes of
/// the block were filled.
pub(crate) fn encode(text: &[u8], position: &mut Position, block: &mut [u8]) -> usize {
    let mut filled = 0;
    let mut put = |byte: u8| {
        let room = block.get_mut(filled);
        room.map(|place| {
            *place = byte;
            filled += 1;
        })
        .is_some()
    };
    if let Some(owed) = position.owed
        && put(owed)
    {
        position.owed = None;
    }
    for byte in text {
        let (first, second) = match byte {
            b'\n' => (b'\r', Some(b'\n')),
            b'\r' => (b'\r', Some(0)),
            other => (*other, None),
        };
        if position.owed.is_some() || !put(first) {
            break;
        }
        position.offset += 1;
        position.owed = second.filter(|second| !put(*second));
    }
    filled
}

/// Turns what comes over the wire back into text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Decoder {
    after_carriage_return: bool,
}

impl Decoder {
    /// Appends the text of one block to `text`.
    pub(crate) fn decode(&mut self, block: &[u8], text: &mut Vec<u8>) {
        for byte in block {
            match (std::mem::take(&mut self.after_carriage_return), *byte) {
                (true, b'\n') => text.push(b'\n'),
                (true, 0) => text.push(b'\r'),
                (after, byte) => {
                    // A CR that no rule allows is kept as it came.
                    if after {
                        text.push(b'\r');
                    }
                    if byte == b'\r' {
                        self.after_carriage_return = true;
                    } else {
                        text.push(byte);
                    }
                }
            }
        }
    }

    /// Appends what is left when no block follows.
    pub(crate) fn finish(&mut self, text: &mut Vec<u8>) {
        if std::mem::take(&mut self.after_carriage_return) {
            text.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocks(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut position = Position::default();
        let mut blocks = Vec::new();
        loop {
            let mut block = vec![0; size];
            let rest = &text[usize::try_from(position.offset).unwrap()..];
            let filled = encode(rest, &mut position, &mut block);
            block.truncate(filled);
            blocks.push(block);
            if filled < size {
                return blocks;
            }
        }
    }

    #[test]
    fn line_ends() {
        assert_eq!(blocks(b"a\nb\rc", 512), [b"a\r\nb\r\0c"]);
        assert_eq!(blocks(b"ab\n", 3), [b"ab\r".to_vec(), b"\n".to_vec()]);
        assert_eq!(blocks(b"a\n", 3), [b"a\r\n".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn a_carriage_return_that_means_nothing_is_kept() {
        let (mut decoder, mut text) = (Decoder::default(), Vec::new());
        decoder.decode(b"a\rb\r", &mut text);
        decoder.decode(b"\r\n", &mut text);
        decoder.decode(b"\r", &mut text);
        decoder.finish(&mut text);
        assert_eq!(text, b"a\rb\r\n\r");
    }

    proptest! {
        #[test]
        fn text_survives(text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()], 0..200), size in 1..40_usize) {
            let (mut decoder, mut back) = (Decoder::default(), Vec::new());
            for block in blocks(&text, size) {
                decoder.decode(&block, &mut back);
            }
            decoder.finish(&mut back);
            prop_assert_eq!(back, text);
        }
    }
}
