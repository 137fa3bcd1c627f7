//! Requests: what becomes of an RRQ or WRQ.
//!
//! Responsible for what is refused and why, for limits, for a request that comes twice, and for the job that opens or
//! makes the file. Ends where the first packet goes out.

use std::hash::BuildHasher;
use std::sync::Arc;

use tapster_service::{Datagram, FinishedJob, Job};

use super::{Call, Server, UNANSWERED, Work};
use crate::client::Client;
use crate::deadlines::Deadline;
use crate::fault::Faults;
use crate::files::{self, DiskFile, FileError, OpenFile, Wanted};
use crate::metrics::{Outcome, Refusal};
use crate::name::{Name, NameError};
use crate::options::{Agreement, BLOCK_SIZES, Offer, OptionError};
use crate::packet::{DATA_HEADER, Direction, ErrorCode, Request};
use crate::rename::rename;
use crate::round_trip::RoundTrip;
use crate::transfer::{Stage, Transfer, TransferId};
use crate::upload::Upload;

/// The largest window of an upload, in bytes. So much may have to be kept in memory while a job writes.
const UPLOAD_WINDOW: usize = 256 * 1024;

/// What a client is told that finds no room.
const BUSY: &str = "The server is busy, try again";

impl Server {
    /// A request came to a listening port.
    pub(super) fn request(&mut self, datagram: Datagram<'_>, request: &Request<'_>, call: &mut Call<'_, '_>) {
        let hash = self.hasher.hash_one(datagram.payload);
        if let Some(id) = self.table.find(datagram.local, datagram.remote)
            && self.repeated(id, hash, call)
        {
            return;
        }
        match self.check(datagram, request, hash, call) {
            Ok(transfer) => {
                self.metrics.active.inc();
                let id = self.table.insert(transfer);
                self.await_job(id);
                match request.direction {
                    Direction::Read => self.find_file(id, call),
                    Direction::Write => self.make_file(id, call),
                }
            }
            Err((refusal, code, text)) => self.refuse(datagram, refusal, code, text, call),
        }
    }

    /// A request between two ends that have a transfer already. Returns whether that was all: the same request again.
    /// Another one takes the transfer's place, since a client does not do two things from one port.
    fn repeated(&mut self, id: TransferId, hash: u64, call: &mut Call<'_, '_>) -> bool {
        let Some(transfer) = self.table.get(id) else { return false };
        let stands_still = call.now() >= transfer.progressed + self.settings.limits.initial_timeout;
        if transfer.request == hash && !matches!(transfer.stage, Stage::Dallying(_)) {
            if !transfer.begun {
                if transfer.unanswered < UNANSWERED && !matches!(transfer.stage, Stage::Opening) {
                    self.timed_out(id, call);
                }
                return true;
            }
            // Only with `single_port`. A copy from the network, unless the client has gone silent and begins anew.
            if !stands_still {
                return true;
            }
        }
        self.end(id, Outcome::Superseded, None, call);
        false
    }

    /// Checks everything that is known without the disk.
    fn check(
        &self,
        datagram: Datagram<'_>,
        request: &Request<'_>,
        hash: u64,
        call: &Call<'_, '_>,
    ) -> Result<Transfer, (Refusal, ErrorCode, &'static str)> {
        let limits = &self.settings.limits;
        let netascii = match request.mode {
            mode if mode.eq_ignore_ascii_case(b"octet") => false,
            mode if mode.eq_ignore_ascii_case(b"netascii") => true,
            // RFC 1123 §4.2.2.1: mail should not be supported.
            _ => return Err((Refusal::Mode, ErrorCode::IllegalOperation, "The mode must be octet or netascii")),
        };
        let client =
            Client { address: datagram.remote.ip(), server: datagram.local.ip(), link_address: datagram.link_address };
        let name = Name::parse(request.name, self.settings.backslashes);
        let name =
            name.and_then(|name| rename(&self.settings.renames, name, &client)).map_err(|error| match error {
                NameError::Empty => (Refusal::NotFound, ErrorCode::FileNotFound, "The request names no file"),
                NameError::Parent => (Refusal::Name, ErrorCode::AccessViolation, "No name may have \"..\" in it"),
                NameError::Forbidden => (Refusal::Name, ErrorCode::AccessViolation, "The name is not allowed"),
            })?;
        if request.direction == Direction::Write && !self.settings.writable {
            return Err((Refusal::ReadOnly, ErrorCode::AccessViolation, "This server is read-only"));
        }
        let fitting = call.socket.payload_limit(datagram.remote.ip()).saturating_sub(DATA_HEADER);
        let fitting = u16::try_from(fitting).unwrap_or(u16::MAX).clamp(*BLOCK_SIZES.start(), *BLOCK_SIZES.end());
        let offer = Offer {
            block_size: limits.block_size.unwrap_or(fitting),
            window_size: limits.window_size,
            window_bytes: if request.direction == Direction::Write { UPLOAD_WINDOW } else { usize::MAX },
            count: limits.options,
            refused: &self.settings.refused,
        };
        let agreement = Agreement::reach(request, offer).map_err(|error| match error {
            OptionError::Repeated => (Refusal::Options, ErrorCode::OptionNegotiation, "An option stands there twice"),
            OptionError::TooMany => (Refusal::TooManyOptions, ErrorCode::OptionNegotiation, "Too many options"),
        })?;
        if agreement.announced.is_some_and(|size| size > limits.upload_size.as_u64()) {
            return Err((Refusal::TooLarge, ErrorCode::DiskFull, "The file is larger than this server takes"));
        }
        // Those that dally are small, but they are bounded too.
        if self.table.running() >= limits.transfers || self.table.len() >= limits.transfers.saturating_mul(2) {
            return Err((Refusal::TooManyTransfers, ErrorCode::NotDefined, BUSY));
        }
        if self.table.running_of(datagram.remote.ip()) >= limits.transfers_per_client {
            let text = "Too many transfers at once from your address";
            return Err((Refusal::TooManyFromClient, ErrorCode::NotDefined, text));
        }
        let own = self.settings.root.of_client.as_deref().and_then(|template| client.path(template));
        let faults = Faults::of(&self.settings.faults, &name, request.direction);
        Ok(Transfer {
            listening: datagram.local,
            local: datagram.local,
            remote: datagram.remote,
            request: hash,
            client,
            wanted: Wanted { directory: own.map(String::into_boxed_str), name },
            direction: request.direction,
            netascii,
            started: call.now(),
            progressed: call.now(),
            round_trip: RoundTrip::new(self.settings.bounds(), agreement.timeout),
            agreement,
            sent_at: None,
            deadline: Deadline::default(),
            timeouts: 0,
            begun: false,
            unanswered: 0,
            bytes: 0,
            retransmitted: 0,
            offer: None,
            faults,
            stage: Stage::Opening,
        })
    }

    /// Answers a request with an ERROR.
    pub(super) fn refuse(
        &mut self,
        datagram: Datagram<'_>,
        refusal: Refusal,
        code: ErrorCode,
        text: &str,
        call: &mut Call<'_, '_>,
    ) {
        self.metrics.refused(refusal);
        if self.log_rate.allows(call.now()) {
            tracing::info!(peer = %datagram.remote, reason = text, "request refused");
        }
        call.error(datagram.local, datagram.remote, code, text);
    }

    /// Ends a transfer that never began.
    pub(super) fn give_up(
        &mut self,
        id: TransferId,
        refusal: Refusal,
        code: ErrorCode,
        text: &str,
        call: &mut Call<'_, '_>,
    ) {
        let Some(transfer) = self.table.get(id) else { return };
        self.metrics.refused(refusal);
        if self.log_rate.allows(call.now()) {
            tracing::info!(
                peer = %transfer.remote,
                file = %transfer.wanted.name,
                direction = transfer.direction.name(),
                reason = text,
                "request refused"
            );
        }
        call.error(transfer.local, transfer.remote, code, text);
        self.remove(id, call);
    }

    /// The same, for what the disk says.
    pub(super) fn give_up_file(&mut self, id: TransferId, error: FileError, call: &mut Call<'_, '_>) {
        if let FileError::Other(error) = error {
            tracing::warn!(%error, "a file could not be opened");
        }
        let (code, text) = error.answer();
        self.give_up(id, error.refusal(), code, text, call);
    }

    /// Takes the file that is open already, or has a job open it. Clients that ask for one file at once share the job.
    fn find_file(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get(id) else { return };
        let (wanted, any_case) = (&transfer.wanted, self.settings.root.case_insensitive);
        let mut rules = self.settings.generated.iter();
        if let Some(content) = rules.find_map(|rule| rule.content(&wanted.name, &transfer.client, any_case)) {
            self.begin_read(id, Arc::new(OpenFile::Generated(content.into_boxed_slice())), call);
            return;
        }
        if let Some(file) = self.cache.get(wanted, call.now()) {
            self.begin_read(id, file, call);
            return;
        }
        let wanted = wanted.clone();
        if let Some(waiting) = self.opening.get_mut(&wanted) {
            waiting.push(id);
            return;
        }
        let (root, sought) = (self.settings.root.clone(), wanted.clone());
        match call.cx.spawn(Job::new(move || files::open(&root, &sought))) {
            Ok(job) => {
                self.jobs.insert(job, Work::Open(wanted.clone()));
                self.opening.insert(wanted, vec![id]);
            }
            Err(_) => self.give_up(id, Refusal::Busy, ErrorCode::NotDefined, BUSY, call),
        }
    }

    /// A file has been opened, or not.
    pub(super) fn opened(&mut self, wanted: &Wanted, job: FinishedJob, call: &mut Call<'_, '_>) {
        let waiting = self.opening.remove(wanted).unwrap_or_default();
        let opened: Result<DiskFile, FileError> =
            job.downcast().unwrap_or(Err(FileError::Other(rustix::io::Errno::IO)));
        match opened {
            Ok(file) => {
                let file = self.cache.insert(wanted.clone(), file, call.now());
                for id in waiting {
                    self.begin_read(id, Arc::clone(&file), call);
                }
            }
            Err(error) => {
                self.cache.remove(wanted);
                for id in waiting {
                    self.give_up_file(id, error, call);
                }
            }
        }
    }

    /// Has a job make the file of an upload.
    fn make_file(&mut self, id: TransferId, call: &mut Call<'_, '_>) {
        let Some(transfer) = self.table.get(id) else { return };
        let (root, wanted) = (self.settings.root.clone(), transfer.wanted.clone());
        let (overwrite, random) = (self.settings.overwrite, call.cx.random().next_u64());
        match call.cx.spawn(Job::new(move || Upload::create(&root, &wanted, overwrite, random))) {
            Ok(job) => {
                self.jobs.insert(job, Work::Create(id));
            }
            Err(_) => self.give_up(id, Refusal::Busy, ErrorCode::NotDefined, BUSY, call),
        }
    }

    /// Gives a transfer its identifier: a port of its own, or the listening one. Returns whether that went well;
    /// otherwise the transfer has ended.
    pub(super) fn take_port(&mut self, id: TransferId, call: &mut Call<'_, '_>) -> bool {
        let Some(transfer) = self.table.get(id) else { return false };
        if self.settings.single_port {
            return true;
        }
        match call.socket.open(transfer.local.ip()) {
            Ok(port) => {
                self.table.set_port(id, port);
                true
            }
            Err(_) => {
                self.give_up(id, Refusal::Busy, ErrorCode::NotDefined, BUSY, call);
                false
            }
        }
    }
}
