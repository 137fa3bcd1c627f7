//! Writes: a file comes in.
//!
//! Responsible for collecting blocks into pieces that jobs write, for holding the client back while the disk is slower
//! than it, and for acknowledging the last block only when the file is in its place. Which blocks are taken is decided
//! in `write`.

use std::sync::Arc;
use std::time::Duration;

use tapster_service::{FinishedJob, Job};

use super::{Call, NO_ROOM, Server, UNANSWERED, Work, copies};
use crate::files::FileError;
use crate::metrics::{Outcome, Refusal};
use crate::packet::{self, ErrorCode};
use crate::transfer::{Stage, Transfer, TransferId, Writing};
use crate::upload::Upload;
use crate::write::{Received, Receiving};

/// How much is collected before a job writes it, in bytes.
const PIECE: usize = 64 * 1024;

/// How much may wait behind a job before the client is held back, in bytes. One more window can come then.
const WAITING: usize = 256 * 1024;

/// How long an upload that is complete can be found at least, for a client that missed the last ACK. Many clients send
/// again after five seconds.
const DALLY: Duration = Duration::from_secs(6);

/// A piece that a job has written: the buffer, to be used again.
type Written = (Arc<Vec<u8>>, Result<(), FileError>);

impl Server {
    /// The file of an upload has been made, or not: sends the OACK, or ACK 0.
    pub(super) fn created(&mut self, id: TransferId, job: FinishedJob, call: &mut Call<'_, '_>) {
        let Some(created) = job.downcast::<Result<Upload, FileError>>() else {
            self.give_up(id, Refusal::Disk, ErrorCode::NotDefined, "The server failed", call);
            return;
        };
        match created {
            Ok(upload) => self.begin_write(id, upload, call),
            Err(error) => self.give_up_file(id, error, call),
        }
    }

    fn begin_write(&mut self, id: TransferId, upload: Upload, call: &mut Call<'_, '_>) {
        if self.table.get(id).is_none() || !self.take_port(id, call) {
            // The client is gone; dropping the upload removes its file, which can block.
            let _ = call.cx.spawn(Job::new(move || drop(upload)));
            return;
        }
        let rollover = self.settings.rollover;
        let Some(transfer) = self.table.get_mut(id) else { return };
        transfer.offer = transfer.agreement.option_acknowledgment(None).map(Vec::into_boxed_slice);
        transfer.stage = Stage::Write(Box::new(Writing {
            upload: Arc::new(upload),
            receiving: Receiving::new(rollover, transfer.agreement.window_size),
            decoder: transfer.netascii.then(Default::default),
            buffer: Vec::new(),
            handed_over: 0,
            job: false,
            last: false,
            held: false,
        }));
        self.send_acknowledgment(id, call);
    }

    /// Sends the OACK, or an ACK for all that has come, and waits for what follows.
    fn send_acknowledgment(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        if transfer.offer.is_some() {
            self.send_offer(id, call);
            return;
        }
        let Stage::Write(writing) = &mut transfer.stage else { return };
        writing.held = false;
        let packet = packet::acknowledgment(writing.receiving.acknowledge());
        let block = writing.receiving.received();
        let fault = transfer.faults.as_mut().and_then(|faults| faults.meet(block, call.cx.random()));
        if !transfer.begun {
            transfer.unanswered = transfer.unanswered.saturating_add(1);
        }
        transfer.sent_at = (transfer.timeouts == 0).then(|| call.now());
        for _ in 0..copies(fault.as_deref()) {
            call.send(transfer, &packet);
        }
        self.await_answer(id, call.now());
        self.count_fault(id, fault.as_deref(), call);
    }

    /// DATA came.
    pub(super) fn data(&mut self, id: TransferId, wire: u16, data: &[u8], call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let block_size = usize::from(transfer.agreement.block_size);
        let Stage::Write(writing) = &mut transfer.stage else { return };
        // Everything has come, and is on its way to the disk.
        if writing.last {
            return;
        }
        if data.len() > block_size {
            let error = Some((ErrorCode::IllegalOperation, "The block is larger than agreed"));
            self.end(id, Outcome::Failed, error, call);
            return;
        }
        match writing.receiving.receive(wire) {
            Received::Next => {}
            Received::Acknowledge => {
                transfer.sent_at = None;
                if !writing.held && (transfer.begun || transfer.unanswered < UNANSWERED) {
                    self.send_acknowledgment(id, call);
                }
                return;
            }
            Received::Ignored => return,
        }
        if let Some(sent_at) = transfer.sent_at.take() {
            transfer.round_trip.measure(call.now() - sent_at);
        }
        match &mut writing.decoder {
            Some(decoder) => decoder.decode(data, &mut writing.buffer),
            None => writing.buffer.extend_from_slice(data),
        }
        writing.last = data.len() < block_size;
        if writing.last
            && let Some(decoder) = &mut writing.decoder
        {
            decoder.finish(&mut writing.buffer);
        }
        transfer.bytes = writing.handed_over + writing.buffer.len() as u64;
        let too_large = transfer.bytes > self.settings.limits.upload_size.as_u64();
        self.heard(id, call.now());
        if too_large {
            let error = Some((ErrorCode::DiskFull, "The file is larger than this server takes"));
            self.end(id, Outcome::Failed, error, call);
            return;
        }
        self.hand_over(id, call);
        self.acknowledge_window(id, call);
    }

    /// Sends the ACK that a full window is due, unless the disk lags behind.
    fn acknowledge_window(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let Stage::Write(writing) = &mut transfer.stage else { return };
        if writing.last && !writing.job {
            self.deadlines.set(id, &mut transfer.deadline, call.now() + NO_ROOM);
        } else if writing.last {
            self.await_job(id);
        } else if !writing.receiving.window_full() {
            self.await_answer(id, call.now());
        } else if writing.buffer.len() >= WAITING {
            writing.held = true;
            if writing.job {
                self.await_job(id);
            } else {
                self.deadlines.set(id, &mut transfer.deadline, call.now() + NO_ROOM);
            }
        } else {
            self.send_acknowledgment(id, call);
        }
    }

    /// Gives a job what has been collected, if that is enough and no job is at it.
    fn hand_over(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let Stage::Write(writing) = &mut transfer.stage else { return };
        if writing.job || (writing.buffer.len() < PIECE && !writing.last) {
            return;
        }
        let (upload, offset, last) = (Arc::clone(&writing.upload), writing.handed_over, writing.last);
        // Shared with the job, so that it is not lost when the pool does not take it.
        let piece = Arc::new(std::mem::take(&mut writing.buffer));
        let shared = Arc::clone(&piece);
        let job = Job::new(move || -> Written {
            let written = upload.write(&shared, offset);
            let done = written.and_then(|()| if last { upload.commit() } else { Ok(()) });
            (shared, done)
        });
        match call.cx.spawn(job) {
            Ok(job) => {
                writing.job = true;
                writing.handed_over += piece.len() as u64;
                self.jobs.insert(job, if last { Work::Commit(id) } else { Work::Write(id) });
            }
            Err(_) => writing.buffer = Arc::try_unwrap(piece).unwrap_or_default(),
        }
    }

    /// A piece has been written.
    pub(super) fn written(&mut self, id: TransferId, job: FinishedJob, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        let Stage::Write(writing) = &mut transfer.stage else { return };
        writing.job = false;
        match job.downcast::<Written>() {
            Some((piece, Ok(()))) => {
                if writing.buffer.is_empty()
                    && let Ok(mut piece) = Arc::try_unwrap(piece)
                {
                    piece.clear();
                    writing.buffer = piece;
                }
                let held = writing.held;
                self.hand_over(id, call);
                if held {
                    self.acknowledge_window(id, call);
                }
            }
            other => self.write_failed(id, other.and_then(|(_, result)| result.err()), call),
        }
    }

    /// The file is complete and in its place, or not.
    pub(super) fn committed(&mut self, id: TransferId, job: FinishedJob, call: &mut Call<'_, '_>) {
        match job.downcast::<Written>() {
            Some((_, Ok(()))) => {
                let Some(transfer) = self.table.get_mut(id) else { return };
                let Stage::Write(writing) = &mut transfer.stage else { return };
                let last = writing.receiving.acknowledge();
                let block = writing.receiving.received();
                let fault = transfer.faults.as_mut().and_then(|faults| faults.meet(block, call.cx.random()));
                for _ in 0..copies(fault.as_deref()) {
                    call.send(transfer, &packet::acknowledgment(last));
                }
                self.count_fault(id, fault.as_deref(), call);
                if self.table.get(id).is_none() {
                    return;
                }
                self.account(id, Outcome::Completed, None, call.now());
                self.metrics.active.dec();
                self.table.dally(id, last);
                if let Some(transfer) = self.table.get_mut(id) {
                    let at = call.now() + DALLY.max(2 * transfer.round_trip.timeout());
                    self.deadlines.set(id, &mut transfer.deadline, at);
                }
            }
            other => self.write_failed(id, other.and_then(|(_, result)| result.err()), call),
        }
    }

    fn write_failed(&mut self, id: TransferId, error: Option<FileError>, call: &mut Call<'_, '_>) {
        if let Some(FileError::Other(error)) = error {
            tracing::warn!(%error, "an upload could not be written");
        }
        let error = error.map_or((ErrorCode::NotDefined, "The server failed"), FileError::answer);
        self.end(id, Outcome::Failed, Some(error), call);
    }

    /// The deadline has passed: the client has not sent what should follow.
    pub(super) fn write_timed_out(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(Transfer { stage: Stage::Write(writing), .. }) = self.table.get_mut(id) else { return };
        if writing.job && (writing.last || writing.held) {
            self.await_job(id);
        } else if writing.last || writing.held {
            // The pool was full.
            self.hand_over(id, call);
            self.acknowledge_window(id, call);
        } else if self.may_repeat(id, call) {
            self.send_acknowledgment(id, call);
        }
    }
}
