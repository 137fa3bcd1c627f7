//! `tapster ctl capture`: the link as a pcapng file.
//!
//! Responsible for writing the stream into the file block by block, so that a capture which is interrupted ends with a
//! whole block, and for ending it in order on SIGINT and SIGTERM.

use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::client::{self, ClientError, Stream};
use super::{failed, refused};
use crate::command_line::exit_code;

/// Captures until told to stop, by the daemon or a signal.
pub(super) fn run(socket: &Path, target: &str, file: &Path, json: bool) -> ExitCode {
    let mut stream = match client::follow(socket, target) {
        Ok(Ok(stream)) => stream,
        Ok(Err(refusal)) => return refused(&refusal),
        Err(error) => return failed(&error),
    };
    let standard_output = file == Path::new("-");
    let opened: io::Result<Box<dyn Write>> =
        if standard_output { Ok(Box::new(io::stdout())) } else { File::create(file).map(|file| Box::new(file) as _) };
    let mut output = match opened {
        Ok(output) => output,
        Err(error) => {
            eprintln!("tapster: cannot create {}: {error}", file.display());
            return ExitCode::from(exit_code::REFUSED);
        }
    };
    match follow(&mut stream, &mut output) {
        Ok(Capture { frames, bytes }) => {
            if json && !standard_output {
                println!("{}", json!({ "file": file, "frames": frames, "bytes": bytes }));
            } else {
                eprintln!("{frames} frames, {bytes} bytes");
            }
            ExitCode::SUCCESS
        }
        Err(Failure::Client(error)) => failed(&error),
        // The reader of a pipe (`| tshark -c 10 -r -`) has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            eprintln!("tapster: cannot write the capture: {error}");
            ExitCode::from(exit_code::REFUSED)
        }
    }
}

#[derive(Debug, Default)]
struct Capture {
    frames: u64,
    bytes: u64,
}

enum Failure {
    Client(ClientError),
    Output(io::Error),
}

fn follow(stream: &mut Stream, output: &mut dyn Write) -> Result<Capture, Failure> {
    let handle = stream.handle().map_err(|error| Failure::Client(error.into()))?;
    let interrupted = end_on_signal(handle).map_err(Failure::Output)?;
    let mut blocks = Blocks::default();
    let mut capture = Capture::default();
    loop {
        let bytes = match stream.next() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(ClientError::Broken(_)) if interrupted.load(Ordering::Relaxed) => break,
            Err(error) => return Err(Failure::Client(error)),
        };
        blocks.begun.extend_from_slice(&bytes);
        let (length, frames) = blocks.whole();
        output.write_all(&blocks.begun[..length]).and_then(|()| output.flush()).map_err(Failure::Output)?;
        blocks.begun.drain(..length);
        capture.frames += frames;
        capture.bytes += length as u64;
    }
    Ok(capture)
}

/// On SIGINT or SIGTERM the stream ends.
fn end_on_signal(socket: UnixStream) -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let flag = Arc::clone(&interrupted);
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            flag.store(true, Ordering::Relaxed);
            // It fails only when the stream has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    });
    Ok(interrupted)
}

/// The blocks of a pcapng file, as they come.
#[derive(Debug, Default)]
struct Blocks {
    begun: Vec<u8>,
}

/// The type of an Enhanced Packet Block.
const ENHANCED_PACKET: u32 = 6;
/// Type and total length, before and after the body.
const SMALLEST_BLOCK: usize = 12;

impl Blocks {
    /// How many bytes of `begun` are whole blocks, and how many of those are frames. The daemon writes in the byte order
    /// of this machine.
    fn whole(&self) -> (usize, u64) {
        let (mut length, mut frames) = (0, 0);
        while let Some(rest) = self.begun.get(length..)
            && let Some(&[a, b, c, d, e, f, g, h]) = rest.first_chunk()
        {
            let kind = u32::from_ne_bytes([a, b, c, d]);
            let size = usize::try_from(u32::from_ne_bytes([e, f, g, h])).unwrap_or(usize::MAX).max(SMALLEST_BLOCK);
            if rest.len() < size {
                break;
            }
            length += size;
            frames += u64::from(kind == ENHANCED_PACKET);
        }
        (length, frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blocks_count() {
        let mut block = Vec::new();
        for word in [ENHANCED_PACKET, 16, 0, 16] {
            block.extend(word.to_ne_bytes());
        }
        let blocks = |length| Blocks { begun: [&block[..], &block[..length]].concat() };
        assert_eq!(Blocks::default().whole(), (0, 0));
        assert_eq!(blocks(0).whole(), (16, 1));
        assert_eq!(blocks(7).whole(), (16, 1));
        assert_eq!(blocks(15).whole(), (16, 1));
        assert_eq!(blocks(16).whole(), (32, 2));
    }
}
