//! File contents in which every byte tells its place, so that lost, doubled or exchanged segments show.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const BLOCK: usize = 64 * 1024;

/// `length` bytes that look random, and are the same on every run: each 8 bytes are a mix of their own position.
#[must_use]
pub fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
    for position in 0..length.div_ceil(8) as u64 {
        bytes.extend_from_slice(&mix(position).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes such a file of `length` bytes.
///
/// # Panics
/// When it cannot be written.
pub fn write_file(path: &Path, length: u64) {
    let file = File::create(path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
    let mut file = BufWriter::with_capacity(BLOCK, file);
    let mut left = length;
    let mut position = 0;
    while left > 0 {
        let word = mix(position).to_le_bytes();
        let count = left.min(8) as usize;
        file.write_all(&word[..count]).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        position += 1;
        left -= count as u64;
    }
    file.flush().unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// The finalizer of Sebastiano Vigna's SplitMix64.
fn mix(position: u64) -> u64 {
    let mut z = position.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_bytes_of_one_length_are_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_file(&path, 100_003);
        assert_eq!(std::fs::read(path).unwrap(), bytes(100_003));
    }
}
