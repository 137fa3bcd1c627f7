//! Reads: a file goes out.
//!
//! Responsible for getting blocks from the file into packets. What is in the page cache is read at once, a window's
//! worth with one system call and no allocation; a job fetches the rest. Which blocks go out is decided in `read`.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::sync::Arc;

use smallvec::SmallVec;
use tapster_service::{FinishedJob, Job, SendError};

use super::{Call, NO_ROOM, Server, Work, copies};
use crate::fault::{FaultAction, FaultRule};
use crate::files::{FileError, OpenFile, ReadNow};
use crate::metrics::{Metrics, Outcome};
use crate::netascii::{self, Position};
use crate::packet::{self, DATA_HEADER, ErrorCode};
use crate::read::{Acknowledged, Sending};
use crate::transfer::{Ahead, Reading, Stage, Transfer, TransferId};

/// How many blocks, and how many bytes, are read with one system call.
const BATCH_BLOCKS: usize = 64;
const BATCH_BYTES: usize = 128 * 1024;

/// How much a job reads, in bytes. At least one block.
const READ_AHEAD: usize = 128 * 1024;

/// What a client is told whose file does not go on.
const CHANGED: &str = "The file was changed while it was read, or cannot be read";

/// How far sending came.
#[derive(Clone, Debug)]
enum Progress {
    /// All that may be sent has been sent.
    Done,
    /// The device is full.
    Full,
    /// The data is not in memory.
    NotInMemory,
    /// The file cannot be read, or is shorter than it was.
    Failed,
    /// A fault on purpose ends the transfer.
    Fault(Arc<FaultRule>),
}

impl Server {
    /// The file is open: sends the OACK, or the first block.
    pub(super) fn begin_read(&mut self, id: TransferId, file: Arc<OpenFile>, call: &mut Call<'_, '_>) {
        if !self.take_port(id, call) {
            return;
        }
        let rollover = self.settings.rollover;
        let Some(transfer) = self.table.get_mut(id) else { return };
        let mut sending = Sending::new(rollover, transfer.agreement.window_size);
        let positions = transfer.netascii.then(|| VecDeque::from([Position::default()]));
        if positions.is_none() {
            // A last block that is full would not be seen to be the last, so an empty one follows (RFC 1350 §6).
            sending.set_last(file.size() / u64::from(transfer.agreement.block_size) + 1);
        }
        transfer.offer = transfer.agreement.option_acknowledgment(Some(file.size())).map(Vec::into_boxed_slice);
        transfer.stage = Stage::Read(Box::new(Reading { file, sending, positions, ahead: None, job: false }));
        self.send_read(id, call);
    }

    /// Sends what is due: the OACK, or blocks.
    fn send_read(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        if transfer.offer.is_some() {
            self.send_offer(id, call);
            return;
        }
        let repeated = transfer.retransmitted;
        let progress = send_blocks(transfer, &mut self.scratch, &self.metrics, call);
        self.metrics.retransmitted.inc_by(transfer.retransmitted - repeated);
        match progress {
            Progress::Done => {
                transfer.sent_at = Some(call.now());
                self.await_answer(id, call.now());
            }
            Progress::Full => self.deadlines.set(id, &mut transfer.deadline, call.now() + NO_ROOM),
            Progress::NotInMemory => self.read_ahead(id, call),
            Progress::Fault(fault) => self.count_fault(id, Some(&fault), call),
            Progress::Failed => {
                self.end(id, Outcome::Failed, Some((ErrorCode::NotDefined, CHANGED)), call);
            }
        }
    }

    /// An ACK came.
    pub(super) fn acknowledged(&mut self, id: TransferId, wire: u16, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let Stage::Read(reading) = &mut transfer.stage else { return };
        let before = reading.sending.acknowledged();
        if transfer.offer.is_some() {
            // RFC 2347: block 0 confirms the OACK.
            if wire == 0 {
                measure(transfer, call);
                self.heard(id, call.now());
                self.send_read(id, call);
            }
            return;
        }
        let acknowledged = reading.sending.acknowledge(wire);
        let block_size = u64::from(transfer.agreement.block_size);
        let delivered = reading.sending.acknowledged();
        if let Some(positions) = &mut reading.positions {
            for _ in before..delivered.min(before + positions.len() as u64) {
                positions.pop_front();
            }
            transfer.bytes = positions.front().map_or(reading.file.size(), |position| position.offset);
        } else {
            transfer.bytes = delivered.saturating_mul(block_size).min(reading.file.size());
        }
        match acknowledged {
            Acknowledged::Complete => {
                self.heard(id, call.now());
                self.end(id, Outcome::Completed, None, call);
            }
            Acknowledged::Advanced { whole } => {
                if whole {
                    measure(transfer, call);
                }
                self.heard(id, call.now());
                self.send_read(id, call);
            }
            Acknowledged::Again => self.send_read(id, call),
            Acknowledged::Ignored => {}
        }
    }

    /// The deadline has passed: there may be room again, or the packets are lost.
    pub(super) fn read_timed_out(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let Stage::Read(reading) = &mut transfer.stage else { return };
        if reading.job {
            self.await_job(id);
        } else if transfer.offer.is_none() && !reading.sending.due().is_empty() {
            self.send_read(id, call);
        } else if self.may_repeat(id, call) {
            if let Some(Transfer { stage: Stage::Read(reading), .. }) = self.table.get_mut(id) {
                reading.sending.timed_out();
            }
            self.send_read(id, call);
        }
    }

    /// Has a job read what is not in memory.
    fn read_ahead(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let Stage::Read(reading) = &mut transfer.stage else { return };
        if reading.job {
            return;
        }
        let block_size = usize::from(transfer.agreement.block_size);
        let block = reading.sending.due().start;
        let offset = match &reading.positions {
            Some(positions) => position(positions, &reading.sending, block).map_or(0, |position| position.offset),
            None => (block - 1) * block_size as u64,
        };
        let (file, length) = (Arc::clone(&reading.file), READ_AHEAD.max(block_size));
        self.metrics.cache_misses.inc();
        match call.cx.spawn(Job::new(move || (offset, file.read_blocking(offset, length)))) {
            Ok(job) => {
                reading.job = true;
                self.jobs.insert(job, Work::Read(id));
                self.await_job(id);
            }
            Err(_) => self.deadlines.set(id, &mut transfer.deadline, call.now() + NO_ROOM),
        }
    }

    /// A job has read.
    pub(super) fn was_read(&mut self, id: TransferId, job: FinishedJob, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let Stage::Read(reading) = &mut transfer.stage else { return };
        let block_size = u64::from(transfer.agreement.block_size);
        reading.job = false;
        match job.downcast::<(u64, Result<Vec<u8>, rustix::io::Errno>)>() {
            // Not even one block: somebody cut the file short.
            Some((offset, Ok(data)))
                if (data.len() as u64) < reading.file.size().saturating_sub(offset).min(block_size) =>
            {
                self.end(id, Outcome::Failed, Some((ErrorCode::NotDefined, CHANGED)), call);
            }
            Some((offset, Ok(data))) => {
                reading.ahead = Some(Ahead { offset, data });
                self.send_read(id, call);
            }
            Some((_, Err(error))) => {
                let (code, text) = FileError::from(error).answer();
                tracing::warn!(file = %transfer.wanted.name, %error, "a file could not be read");
                self.end(id, Outcome::Failed, Some((code, text)), call);
            }
            None => self.end(id, Outcome::Failed, Some((ErrorCode::NotDefined, "The server failed")), call),
        }
    }
}

/// An answer came to a packet that was sent once.
fn measure(transfer: &mut Transfer, call: &Call<'_, '_>) {
    if let Some(sent_at) = transfer.sent_at.take().filter(|_| transfer.timeouts == 0) {
        transfer.round_trip.measure(call.now() - sent_at);
    }
}

/// Sends the blocks that are due.
fn send_blocks(transfer: &mut Transfer, scratch: &mut Vec<u8>, metrics: &Metrics, call: &mut Call<'_, '_>) -> Progress {
    let (local, remote) = (transfer.local, transfer.remote);
    let block_size = usize::from(transfer.agreement.block_size);
    let Stage::Read(reading) = &mut transfer.stage else { return Progress::Failed };
    while !reading.sending.due().is_empty() {
        let filled = match reading.positions {
            None => fill_octet(reading, block_size, scratch),
            Some(_) => fill_netascii(reading, block_size, scratch),
        };
        let filled = match filled {
            Ok(filled) => filled,
            Err(progress) => return progress,
        };
        for packet in scratch.get(..filled).unwrap_or_default().chunks(DATA_HEADER + block_size) {
            let block = reading.sending.due().start;
            let fault = transfer.faults.as_mut().and_then(|faults| faults.meet(block, call.cx.random()));
            if let Some(fault) = fault {
                if fault.action == FaultAction::Error {
                    return Progress::Fault(fault);
                }
                metrics.fault(fault.action);
                for _ in 0..copies(Some(&fault)) {
                    let _ = call.socket.send(local, remote, packet);
                }
            } else if call.socket.send(local, remote, packet) == Err(SendError::Full) {
                return Progress::Full;
            }
            transfer.retransmitted += u64::from(reading.sending.sent());
            if !transfer.begun {
                transfer.unanswered = transfer.unanswered.saturating_add(1);
            }
        }
    }
    Progress::Done
}

/// Fills `scratch` with the next DATA packets, as many as are in memory, one after the other. Returns their length in
/// bytes altogether.
fn fill_octet(reading: &mut Reading, block_size: usize, scratch: &mut Vec<u8>) -> Result<usize, Progress> {
    let due = reading.sending.due();
    let first = due.start;
    let stride = DATA_HEADER + block_size;
    let count = usize::try_from(due.end - first).unwrap_or(usize::MAX).min(BATCH_BLOCKS);
    let count = count.min(BATCH_BYTES / stride).max(1);
    let offset = (first - 1) * block_size as u64;
    let left = usize::try_from(reading.file.size().saturating_sub(offset)).unwrap_or(usize::MAX);
    let length = left.min(count * block_size);
    scratch.resize(scratch.len().max(count * stride), 0);
    for (header, block) in scratch.chunks_exact_mut(stride).zip(first..).take(count) {
        if let Some(header) = header.first_chunk_mut() {
            *header = packet::data_header(reading.sending.wire(block));
        }
    }
    let got = match copy_ahead(reading, offset, length, block_size, scratch) {
        Some(got) => got,
        None if length == 0 => 0,
        None => {
            let mut wanted = length;
            let mut places: SmallVec<[IoSliceMut<'_>; BATCH_BLOCKS]> = SmallVec::new();
            for packet in scratch.chunks_exact_mut(stride).take(count) {
                let (_, place) = packet.split_at_mut(DATA_HEADER);
                let (place, _) = place.split_at_mut(wanted.min(block_size));
                wanted -= place.len();
                places.push(IoSliceMut::new(place));
            }
            match reading.file.read_now(&mut places, offset) {
                // The file ends before it should: somebody cut it short.
                ReadNow::Bytes(0) => return Err(Progress::Failed),
                ReadNow::Bytes(got) => got,
                ReadNow::WouldBlock => return Err(Progress::NotInMemory),
                ReadNow::Failed(error) => {
                    tracing::warn!(%error, "a file could not be read");
                    return Err(Progress::Failed);
                }
            }
        }
    };
    if got == length {
        // The last packet ends where the file does: after its whole blocks, and what is left or nothing.
        let whole = length / block_size;
        let short = if whole < count { DATA_HEADER + length % block_size } else { 0 };
        return Ok(whole * stride + short);
    }
    match got / block_size {
        0 => Err(Progress::NotInMemory),
        whole => Ok(whole * stride),
    }
}

/// Copies from what a job has read. `None` if that does not help.
fn copy_ahead(
    reading: &mut Reading,
    offset: u64,
    length: usize,
    block_size: usize,
    scratch: &mut [u8],
) -> Option<usize> {
    let ahead = reading.ahead.as_ref()?;
    let start = offset.checked_sub(ahead.offset).and_then(|start| usize::try_from(start).ok());
    let there = start.and_then(|start| ahead.data.get(start..)).unwrap_or_default();
    if there.is_empty() || (there.len() < block_size && there.len() < length) {
        reading.ahead = None;
        return None;
    }
    let there = there.get(..length).unwrap_or(there);
    for (packet, block) in scratch.chunks_exact_mut(DATA_HEADER + block_size).zip(there.chunks(block_size)) {
        if let Some(place) = packet.get_mut(DATA_HEADER..DATA_HEADER + block.len()) {
            place.copy_from_slice(block);
        }
    }
    Some(there.len())
}

/// Where a block begins.
fn position(positions: &VecDeque<Position>, sending: &Sending, block: u64) -> Option<Position> {
    let index = block.checked_sub(sending.acknowledged() + 1)?;
    positions.get(usize::try_from(index).ok()?).copied()
}

/// The same for netascii: one packet.
fn fill_netascii(reading: &mut Reading, block_size: usize, scratch: &mut Vec<u8>) -> Result<usize, Progress> {
    let block = reading.sending.due().start;
    let Some(positions) = &mut reading.positions else { return Err(Progress::Failed) };
    let Some(mut at) = position(positions, &reading.sending, block) else { return Err(Progress::Failed) };
    // The packet, and behind it the text that it is made from.
    scratch.resize(scratch.len().max(DATA_HEADER + 2 * block_size), 0);
    let (packet, text) = scratch.split_at_mut(DATA_HEADER + block_size);
    let left = usize::try_from(reading.file.size().saturating_sub(at.offset)).unwrap_or(usize::MAX);
    let length = left.min(block_size);
    let (text, _) = text.split_at_mut(length);
    let ahead = reading.ahead.as_ref().and_then(|ahead| {
        let start = usize::try_from(at.offset.checked_sub(ahead.offset)?).ok()?;
        ahead.data.get(start..start + length)
    });
    if let Some(ahead) = ahead.filter(|_| length > 0) {
        text.copy_from_slice(ahead);
    } else if length > 0 {
        reading.ahead = None;
        match reading.file.read_now(&mut [IoSliceMut::new(text)], at.offset) {
            ReadNow::Bytes(got) if got == length => {}
            ReadNow::Bytes(0) | ReadNow::Failed(_) => return Err(Progress::Failed),
            ReadNow::Bytes(_) | ReadNow::WouldBlock => return Err(Progress::NotInMemory),
        }
    }
    let (header, data) = packet.split_at_mut(DATA_HEADER);
    header.copy_from_slice(&packet::data_header(reading.sending.wire(block)));
    let filled = netascii::encode(text, &mut at, data);
    if filled < block_size {
        reading.sending.set_last(block);
    } else if block - reading.sending.acknowledged() == positions.len() as u64 {
        positions.push_back(at);
    }
    Ok(DATA_HEADER + filled)
}
