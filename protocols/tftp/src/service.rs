//! The service: packets, deadlines and finished jobs in, packets and jobs out.
//!
//! Responsible for which transfer a packet belongs to, and for how a transfer ends. How one begins is in `request`,
//! and how it goes on in `reading` and `writing`.

mod reading;
mod request;
mod writing;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapster_service::{Context, Datagram, DatagramService, DatagramSocket, FinishedJob, Job, JobId, Unreachable};

use crate::block::Rollover;
use crate::configuration::Limits;
use crate::deadlines::Deadlines;
use crate::fault::{FaultAction, FaultRule};
use crate::files::{Cache, Root, Wanted};
use crate::generated::Generated;
use crate::log_rate::LogRate;
use crate::metrics::{Metrics, Outcome, Refusal};
use crate::options::Kind;
use crate::packet::{self, ErrorCode, Malformed, Packet};
use crate::rename::Rename;
use crate::round_trip::Bounds;
use crate::transfer::{Stage, Table, Transfer, TransferId};

/// What the configuration says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) root: Root,
    pub(crate) writable: bool,
    pub(crate) overwrite: bool,
    pub(crate) backslashes: bool,
    pub(crate) single_port: bool,
    pub(crate) refused: Vec<Kind>,
    pub(crate) rollover: Rollover,
    pub(crate) renames: Vec<Rename>,
    pub(crate) generated: Vec<Generated>,
    pub(crate) faults: Vec<Arc<FaultRule>>,
    pub(crate) limits: Limits,
    /// The ports that requests come to.
    pub(crate) ports: Vec<u16>,
    /// Tapster's own addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Settings {
    fn bounds(&self) -> Bounds {
        Bounds {
            initial: self.limits.initial_timeout,
            minimum: self.limits.minimum_timeout,
            maximum: self.limits.maximum_timeout,
        }
    }

    /// Whether an address is one machine's, ours (RFC 1123 §4.2.3.5 wants requests to a broadcast address ignored).
    fn is_own(&self, address: IpAddr) -> bool {
        let one_machine = !address.is_multicast() && !address.is_unspecified() && address != IpAddr::from([255; 4]);
        one_machine && (self.addresses.is_empty() || self.addresses.contains(&address))
    }
}

/// What a job is for.
#[derive(Debug)]
enum Work {
    /// Opening a file for those who wait for it.
    Open(Wanted),
    /// Making a file for an upload.
    Create(TransferId),
    /// Reading what was not in memory.
    Read(TransferId),
    /// Writing a part of an upload.
    Write(TransferId),
    /// Writing the end of an upload, and giving it its name.
    Commit(TransferId),
}

/// What one call of the service may use.
struct Call<'a, 'e> {
    socket: &'a mut dyn DatagramSocket,
    cx: &'a mut Context<'e>,
}

impl Call<'_, '_> {
    fn now(&self) -> Instant {
        self.cx.now
    }

    /// Sends what may be lost as the network may lose it: it is asked for again, or sent again after a time-out.
    fn send(&mut self, transfer: &Transfer, packet: &[u8]) {
        let _ = self.socket.send(transfer.local, transfer.remote, packet);
    }

    fn error(&mut self, from: SocketAddr, to: SocketAddr, code: ErrorCode, text: &str) {
        let _ = self.socket.send(from, to, &packet::error(code, text));
    }
}

/// The TFTP service: all transfers of all clients.
#[derive(Debug)]
pub(crate) struct Server {
    settings: Settings,
    metrics: Metrics,
    table: Table,
    deadlines: Deadlines<TransferId>,
    cache: Cache,
    jobs: HashMap<JobId, Work, foldhash::fast::RandomState>,
    /// Who waits for a file to be opened.
    opening: HashMap<Wanted, Vec<TransferId>, foldhash::quality::RandomState>,
    /// The packets of one batch, header and data each: filled by one read, used for every transfer.
    scratch: Vec<u8>,
    /// Tells repeated requests from new ones.
    hasher: foldhash::fast::RandomState,
    log_rate: LogRate,
}

impl Server {
    pub(crate) fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            cache: Cache::new(settings.limits.open_files),
            settings,
            metrics,
            table: Table::default(),
            deadlines: Deadlines::new(),
            jobs: HashMap::default(),
            opening: HashMap::default(),
            scratch: Vec::new(),
            hasher: foldhash::fast::RandomState::default(),
            log_rate: LogRate::default(),
        }
    }

    /// A packet for a transfer that is there.
    fn packet(&mut self, id: TransferId, packet: &Packet<'_>, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get(id) else { return };
        match (packet, &transfer.stage) {
            // Not told to the log as it is: the text is the client's.
            (Packet::Error { code, text }, _) => {
                tracing::debug!(peer = %transfer.remote, code, text = %text.escape_ascii(), "the client sent an error");
                self.end(id, Outcome::Aborted, None, call);
            }
            (Packet::Acknowledgment { block }, Stage::Read(_)) => self.acknowledged(id, *block, call),
            (Packet::Data { block, data }, Stage::Write(_)) => self.data(id, *block, data, call),
            (Packet::Data { block, .. }, Stage::Dallying(last)) => {
                if block == last {
                    call.send(transfer, &packet::acknowledgment(*last));
                }
            }
            (_, Stage::Opening | Stage::Dallying(_)) => {}
            _ => self.end(id, Outcome::Failed, Some((ErrorCode::IllegalOperation, "Not expected now")), call),
        }
    }

    /// A packet that belongs to no transfer. It is told so, and nobody else is disturbed (RFC 1350 §4).
    fn stray(&mut self, datagram: Datagram<'_>, packet: &Packet<'_>, call: &mut Call<'_, '_>) {
        self.metrics.strays.inc();
        // An ERROR is never answered: two servers could go on forever.
        if !matches!(packet, Packet::Error { .. }) {
            call.error(datagram.local, datagram.remote, ErrorCode::UnknownTransferId, "Unknown transfer identifier");
        }
    }

    /// The answer is in: the client exists, and asked for this.
    fn heard(&mut self, id: TransferId, now: Instant) {
        self.table.begin(id);
        if let Some(transfer) = self.table.get_mut(id) {
            transfer.offer = None;
            transfer.timeouts = 0;
            transfer.progressed = now;
        }
    }

    /// Sends the OACK.
    fn send_offer(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get_mut(id) else { return };
        transfer.unanswered = transfer.unanswered.saturating_add(1);
        transfer.sent_at = (transfer.timeouts == 0).then(|| call.now());
        let fault = transfer.faults.as_mut().and_then(|faults| faults.meet(0, call.cx.random()));
        if let Some(offer) = &transfer.offer {
            for _ in 0..copies(fault.as_deref()) {
                call.send(transfer, offer);
            }
        }
        self.await_answer(id, call.now());
        self.count_fault(id, fault.as_deref(), call);
    }

    /// Counts a fault on purpose, and ends the transfer if that is what it does.
    fn count_fault(&mut self, id: TransferId, fault: Option<&FaultRule>, call: &mut Call<'_, '_>) {
        let Some(fault) = fault else { return };
        self.metrics.fault(fault.action);
        if fault.action == FaultAction::Error {
            let Some(transfer) = self.table.get(id) else { return };
            let packet = packet::error_of(fault.code, &fault.text);
            call.send(transfer, &packet);
            self.end(id, Outcome::Failed, None, call);
        }
    }

    /// Sets a transfer's deadline to its time-out from now.
    fn await_answer(&mut self, id: TransferId, now: Instant) {
        if let Some(transfer) = self.table.get_mut(id) {
            let at = now + transfer.round_trip.timeout();
            self.deadlines.set(id, &mut transfer.deadline, at);
        }
    }

    /// Sets a transfer's deadline to when it has stood still for too long.
    fn await_job(&mut self, id: TransferId) {
        if let Some(transfer) = self.table.get_mut(id) {
            let at = transfer.progressed + self.settings.limits.idle_timeout;
            self.deadlines.set(id, &mut transfer.deadline, at);
        }
    }

    /// The transfer's deadline has passed.
    fn timed_out(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get(id) else { return };
        if matches!(transfer.stage, Stage::Dallying(_)) {
            self.remove(id, call);
        } else if call.now() >= transfer.progressed + self.settings.limits.idle_timeout {
            self.end(id, Outcome::TimedOut, None, call);
        } else {
            match transfer.stage {
                Stage::Read(_) => self.read_timed_out(id, call),
                Stage::Write(_) => self.write_timed_out(id, call),
                Stage::Opening | Stage::Dallying(_) => self.await_job(id),
            }
        }
    }

    /// Counts a time-out. Returns whether to send again; otherwise the transfer has ended.
    fn may_repeat(&mut self, id: TransferId, call: &mut Call<'_, '_>) -> bool {
        let Some(transfer) = self.table.get_mut(id) else { return false };
        transfer.timeouts += 1;
        transfer.sent_at = None;
        transfer.round_trip.back_off();
        let answered = transfer.begun || transfer.unanswered < UNANSWERED;
        if answered && transfer.timeouts <= self.settings.limits.retransmissions {
            return true;
        }
        self.end(id, Outcome::TimedOut, None, call);
        false
    }

    /// Ends a transfer: tells the client, unless it knows, the metrics and the log.
    fn end(&mut self, id: TransferId, outcome: Outcome, error: Option<(ErrorCode, &str)>, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get(id) else { return };
        if let Some((code, text)) = error {
            call.error(transfer.local, transfer.remote, code, text);
        }
        self.account(id, outcome, error.map(|(_, text)| text), call.now());
        self.remove(id, call);
    }

    /// Counts and logs the end of a transfer.
    fn account(&mut self, id: TransferId, outcome: Outcome, reason: Option<&str>, now: Instant) {
        let Some(transfer) = self.table.get(id) else { return };
        if matches!(transfer.stage, Stage::Dallying(_) | Stage::Opening) {
            return;
        }
        let seconds = (now - transfer.started).as_secs_f64();
        self.metrics.ended(transfer.direction, outcome, transfer.bytes, seconds);
        if outcome == Outcome::Completed || self.log_rate.allows(now) {
            tracing::info!(
                peer = %transfer.remote,
                file = %transfer.wanted.name,
                direction = transfer.direction.name(),
                result = outcome.name(),
                reason,
                bytes = transfer.bytes,
                seconds,
                bytes_per_second = transfer.bytes as f64 / seconds.max(1e-6),
                retransmitted = transfer.retransmitted,
                "transfer ended"
            );
        }
    }

    /// Forgets a transfer. What is left of an upload is removed by a job.
    fn remove(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.remove(id) else { return };
        if transfer.local != transfer.listening {
            call.socket.close(transfer.local);
        }
        match transfer.stage {
            Stage::Dallying(_) => return,
            // Dropping it removes the file, which can block. A job that is not taken is dropped here all the same.
            Stage::Write(writing) => {
                let _ = call.cx.spawn(Job::new(move || drop(writing.upload)));
            }
            Stage::Opening | Stage::Read(_) => {}
        }
        self.metrics.active.dec();
    }

    /// A job has ended.
    fn finished(&mut self, job: FinishedJob, call: &mut Call<'_, '_>) {
        match self.jobs.remove(&job.id) {
            Some(Work::Open(wanted)) => self.opened(&wanted, job, call),
            Some(Work::Create(id)) => self.created(id, job, call),
            Some(Work::Read(id)) => self.was_read(id, job, call),
            Some(Work::Write(id)) => self.written(id, job, call),
            Some(Work::Commit(id)) => self.committed(id, job, call),
            None => {}
        }
    }
}

/// How often a packet is sent that meets a fault.
fn copies(fault: Option<&FaultRule>) -> usize {
    match fault.map(|fault| fault.action) {
        None => 1,
        Some(FaultAction::Duplicate) => 2,
        Some(FaultAction::Drop | FaultAction::Stall | FaultAction::Error) => 0,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The metrics outlive the service: a reload makes a new one.
        self.metrics.active.sub(i64::try_from(self.table.running()).unwrap_or(0));
    }
}

/// When to try again what the device or the worker pool had no room for.
const NO_ROOM: Duration = Duration::from_millis(1);

/// How many packets a client gets that has not answered yet. More would let anyone have us flood another.
const UNANSWERED: u8 = 2;

impl DatagramService for Server {
    fn receive(&mut self, datagram: Datagram<'_>, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        let mut call = Call { socket, cx };
        if datagram.remote.port() == 0 || !self.settings.is_own(datagram.local.ip()) {
            self.metrics.refused(Refusal::Broadcast);
            return;
        }
        let listening = self.settings.ports.contains(&datagram.local.port());
        if listening
            && datagram.payload.len() > self.settings.limits.request_size
            && packet::is_request(datagram.payload)
        {
            let (code, text) = (ErrorCode::IllegalOperation, "The request is too long");
            self.refuse(datagram, Refusal::TooLong, code, text, &mut call);
            return;
        }
        match Packet::parse(datagram.payload) {
            Ok(Packet::Request(request)) if listening => self.request(datagram, &request, &mut call),
            Ok(packet) => {
                let owner = self.table.find(datagram.local, datagram.remote);
                let owner = owner.filter(|id| self.table.get(*id).is_some_and(|own| own.local == datagram.local));
                match owner {
                    Some(id) => self.packet(id, &packet, &mut call),
                    None => self.stray(datagram, &packet, &mut call),
                }
            }
            Err(Malformed::Request) if listening => {
                let (code, text) = (ErrorCode::IllegalOperation, "The request's fields do not end with a NUL");
                self.refuse(datagram, Refusal::Malformed, code, text, &mut call);
            }
            Err(_) => self.metrics.malformed.inc(),
        }
    }

    fn advance(&mut self, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        let mut call = Call { socket, cx };
        if let Some(job) = call.cx.take_finished() {
            self.finished(job, &mut call);
        }
        while let Some((id, entry)) = self.deadlines.pop(call.now()) {
            let Some(transfer) = self.table.get_mut(id) else { continue };
            if self.deadlines.is_due(id, entry, &mut transfer.deadline, call.now()) {
                self.timed_out(id, &mut call);
            }
        }
        self.cache.purge(call.now());
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.deadlines.first(), self.cache.purge_at()].into_iter().flatten().min()
    }

    fn unreachable(&mut self, error: Unreachable, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        let mut call = Call { socket, cx };
        let owner = self.table.find(error.local, error.remote);
        if let Some(id) = owner.filter(|id| self.table.get(*id).is_some_and(|own| own.local == error.local)) {
            self.end(id, Outcome::Unreachable, None, &mut call);
        }
    }
}

#[cfg(test)]
mod tests;
