//! The file server: a [`Handler`] that answers from sites of files.
//!
//! Responsible for the methods, for choosing the site, and for turning what was found into an answer. The steps have
//! files of their own: `path` (what is named), `open` (what is there), `cache` (what is remembered), `conditions` and
//! `range` (what the peer has already, or wants of it), `answer` (how that is said), `send` (reading a file while it goes
//! out), `listing`, `rules` (answers without a file), `upload` (PUT and DELETE).

mod answer;
mod buffers;
mod cache;
mod coding;
mod conditions;
mod listing;
mod multipart;
pub(crate) mod open;
mod path;
mod range;
pub(crate) mod rules;
mod send;
pub(crate) mod site;
mod upload;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tapster_service::{Context, FinishedJob, Job};

use self::buffers::Buffers;
use self::cache::{Cache, CachedFile, Lookup};
use self::coding::Accepted;
use self::conditions::{Conditions, Outcome};
use self::open::{Found, LargeFile, Wanted};
use self::range::Span;
use self::send::FileContent;
use self::site::{Hosts, Site};
use self::upload::{Target, Upload};
use crate::metrics::Metrics;
use crate::{Answer, Body, Completed, Handler, Intake, Limit, Method, Received, Reply, Request, Server};

/// What can be asked of a file, and of one on a writable site.
const ALLOW: &str = "GET, HEAD, OPTIONS";
const ALLOW_WRITABLE: &str = "GET, HEAD, OPTIONS, PUT, DELETE";

/// What all connections of the file server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: Arc<Server>,
    sites: Vec<Arc<Site>>,
    hosts: Hosts,
    cache: Mutex<Cache>,
    buffers: Arc<Buffers>,
    metrics: Metrics,
}

impl Shared {
    /// A file server whose cache holds so many bytes and is trusted for so long.
    pub(crate) fn new(
        server: Server,
        sites: Vec<Site>,
        hosts: Hosts,
        cache_size: usize,
        cache_trusted_for: Duration,
        metrics: Metrics,
    ) -> Self {
        Self {
            server: Arc::new(server),
            sites: sites.into_iter().map(Arc::new).collect(),
            hosts,
            cache: Mutex::new(Cache::new(cache_size, cache_trusted_for)),
            buffers: Arc::default(),
            metrics,
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file server's side of one connection.
#[derive(Debug)]
pub(crate) struct Files {
    shared: Arc<Shared>,
    /// Whether the connection is protected by TLS.
    secure: bool,
    /// The request whose file is being looked for.
    pending: Option<Box<Pending>>,
    /// The PUT whose body is coming or being stored.
    upload: Option<Box<Upload>>,
    /// Whether a DELETE is being done.
    deleting: bool,
    /// Whether a request has been counted as in flight.
    in_flight: bool,
}

/// What must be remembered of a request while a job looks for its file.
#[derive(Debug)]
struct Pending {
    site: Arc<Site>,
    /// The cache's key: the site's number in two bytes, the codings accepted in one, then the normalised path.
    key: Vec<u8>,
    method: Method,
    query: Option<String>,
    format: listing::Format,
    conditions: Conditions<Vec<u8>>,
    asked: Instant,
}

/// The target of the log's lines about requests, for filters.
const ACCESS_LOG: &str = "tapster_http::access";

/// How many bytes of a key precede the path.
const KEY_PREFIX: usize = 3;

impl Pending {
    fn path(&self) -> &[u8] {
        self.key.get(KEY_PREFIX..).unwrap_or_default()
    }
}

impl Files {
    pub(crate) fn new(shared: Arc<Shared>, secure: bool) -> Self {
        Self { shared, secure, pending: None, upload: None, deleting: false, in_flight: false }
    }

    /// GET and HEAD.
    fn get(&mut self, request: &Request<'_>, cx: &mut Context<'_>) -> Answer {
        let Some((number, site)) = self.site(request.host) else { return Reply::text(421).into() };
        let conditions = Conditions::of(request);
        let mut cache = self.shared.cache();
        let mut key = std::mem::take(&mut cache.scratch);
        key.clear();
        let codings = accepted_codings(request, site);
        key.extend_from_slice(&number.to_be_bytes());
        key.push(codings.bits());
        if let Err(error) = path::normalise(request.path, &mut key) {
            cache.scratch = key;
            drop(cache);
            return answer::with_site_fields(answer::for_path_error(error), site).into();
        }
        if let Some(reply) = rules::reply(&site.rules, request.method, key.get(KEY_PREFIX..).unwrap_or_default()) {
            cache.scratch = key;
            drop(cache);
            return answer::with_site_fields(reply, site).into();
        }
        let found = cache.look_up(&key, cx.now);
        let known = match found {
            Lookup::Trusted(file) => {
                cache.scratch = key;
                drop(cache);
                self.shared.metrics.cache_hit();
                return self.small(&file, request.method, &conditions, site, cx);
            }
            Lookup::Doubtful(file) => Some(file),
            Lookup::Unknown => None,
        };
        let wanted = Wanted {
            site: Arc::clone(site),
            path: key.get(KEY_PREFIX..).unwrap_or_default().to_vec(),
            codings,
            format: listing::Format::preferred(request.headers.get("accept")),
            known: known.clone(),
        };
        let pending = Pending {
            site: Arc::clone(site),
            key: key.clone(),
            method: request.method,
            query: request.query.map(str::to_owned),
            format: wanted.format,
            conditions: conditions.clone().into_owned(),
            asked: cx.now,
        };
        cache.scratch = key;
        drop(cache);
        self.shared.metrics.cache_miss();
        match cx.spawn(Job::new(move || open::find(&wanted))) {
            Ok(job) => {
                self.pending = Some(Box::new(pending));
                Answer::Later(job)
            }
            Err(_) => {
                self.shared.metrics.limit(Limit::Jobs);
                match known {
                    // An answer that may be a little old is better than none.
                    Some(file) => self.small(&file, request.method, &conditions, &pending.site, cx),
                    None => Reply::text(503).field("Retry-After", "1").into(),
                }
            }
        }
    }

    fn site(&self, host: &str) -> Option<(u16, &Arc<Site>)> {
        let number = self.shared.hosts.find(host)?;
        Some((u16::try_from(number).ok()?, self.shared.sites.get(number)?))
    }

    /// The redirect to HTTPS, where a site asks for it and the connection is a plain one.
    fn redirect(&self, request: &Request<'_>) -> Option<Reply> {
        let (_, site) = self.site(request.host).filter(|_| !self.secure)?;
        site.https_only.map(|port| answer::redirect_to_https(request, port))
    }

    /// What a PUT or DELETE is about, or why there is none.
    fn target(&self, request: &Request<'_>) -> Result<Target, Reply> {
        if let Some(redirect) = self.redirect(request) {
            return Err(redirect);
        }
        let (_, site) = self.site(request.host).ok_or_else(|| Reply::text(421))?;
        if !site.writable {
            return Err(Reply::text(405).field("Allow", ALLOW));
        }
        // RFC 9110 §14.5: a part must not be taken for the whole.
        if request.method == Method::Put && request.headers.get("content-range").is_some() {
            return Err(Reply::text(400));
        }
        let mut path = Vec::new();
        path::normalise(request.path, &mut path).map_err(answer::for_path_error)?;
        if path.is_empty() || path.ends_with(b"/") {
            return Err(Reply::text(409));
        }
        Ok(Target { site: Arc::clone(site), path, conditions: Conditions::of(request).into_owned() })
    }

    fn put(&mut self, request: &Request<'_>, cx: &mut Context<'_>) -> Answer {
        let finished = match &mut self.upload {
            Some(upload) => upload.finish(cx),
            None => match self.target(request) {
                // A body of no bytes is never streamed.
                Ok(target) if request.headers.get("content-length").is_some() => {
                    self.upload.insert(Box::new(Upload::new(target))).finish(cx)
                }
                Ok(_) => return Reply::text(411).into(),
                Err(reply) => return reply.into(),
            },
        };
        finished.map_or_else(|_| self.busy(), Answer::Later)
    }

    fn delete(&mut self, request: &Request<'_>, cx: &mut Context<'_>) -> Answer {
        let target = match self.target(request) {
            Ok(target) => target,
            Err(reply) => return reply.into(),
        };
        match upload::delete(target, cx) {
            Ok(job) => {
                self.deleting = true;
                Answer::Later(job)
            }
            Err(_) => self.busy(),
        }
    }

    fn busy(&mut self) -> Answer {
        self.upload = None;
        self.shared.metrics.limit(Limit::Jobs);
        Reply::text(503).field("Retry-After", "1").into()
    }

    /// POST has a meaning only where a rule gives it one.
    fn post(&self, request: &Request<'_>) -> Answer {
        let mut path = Vec::new();
        if let Some((_, site)) = self.site(request.host)
            && path::normalise(request.path, &mut path).is_ok()
            && let Some(reply) = rules::reply(&site.rules, request.method, &path)
        {
            return answer::with_site_fields(reply, site).into();
        }
        self.not_allowed(request)
    }

    fn not_allowed(&self, request: &Request<'_>) -> Answer {
        Reply::text(405).field("Allow", self.allow(request)).into()
    }

    fn allow(&self, request: &Request<'_>) -> &'static str {
        let writable = self.site(request.host).is_some_and(|(_, site)| site.writable);
        if writable { ALLOW_WRITABLE } else { ALLOW }
    }

    fn found(&self, found: Found, pending: &Pending, cx: &mut Context<'_>) -> Answer {
        if !matches!(found, Found::Small(_)) {
            self.shared.cache().remove(&pending.key);
        }
        let reply = match found {
            Found::Small(file) => {
                self.shared.cache().insert(&pending.key, Arc::clone(&file), pending.asked);
                return self.small(&file, pending.method, &pending.conditions, &pending.site, cx);
            }
            Found::Large(file) => self.large(&file, pending, cx),
            Found::Listing(page) => answer::for_listing(pending.format, page),
            Found::DirectoryWithoutSlash => answer::redirect_to_slash(pending.path(), pending.query.as_deref()),
            Found::Missing => Reply::text(404),
            Found::Forbidden => Reply::text(403),
            Found::Failed(error) => {
                let path = String::from_utf8_lossy(pending.path());
                tracing::warn!(root = ?pending.site.root, ?path, %error, "cannot open a file");
                Reply::text(500)
            }
        };
        answer::with_site_fields(reply, &pending.site).into()
    }

    /// Answers with a file that is in memory.
    fn small<B: AsRef<[u8]>>(
        &self,
        file: &CachedFile,
        method: Method,
        conditions: &Conditions<B>,
        site: &Site,
        cx: &mut Context<'_>,
    ) -> Answer {
        let outcome =
            if conditions.is_empty() { Outcome::Full } else { answer::evaluate(conditions, method, &file.about) };
        if outcome == Outcome::Full {
            return Answer::Prepared(file.answer(&self.shared.server.date(cx.wall_clock)));
        }
        let part = |span: Span| {
            let start = usize::try_from(span.start).unwrap_or(usize::MAX).min(file.content.len());
            let end = usize::try_from(span.end).unwrap_or(usize::MAX).min(file.content.len());
            Body::Bytes(file.content.slice(start..end.max(start)))
        };
        answer::with_site_fields(answer::for_file(&outcome, &file.about, part, cx), site).into()
    }

    /// Answers with a file that is read while it is sent.
    fn large(&self, file: &LargeFile, pending: &Pending, cx: &mut Context<'_>) -> Reply {
        let outcome = answer::evaluate(&pending.conditions, pending.method, &file.about);
        let part = |span: Span| Body::Produced {
            length: Some(span.length()),
            producer: Box::new(FileContent::new(
                Arc::clone(&file.file),
                file.about.identity,
                span,
                Arc::clone(&self.shared.buffers),
            )),
        };
        answer::for_file(&outcome, &file.about, part, cx)
    }
}

/// The codings that may be looked for; none where the site does not keep any.
fn accepted_codings(request: &Request<'_>, site: &Site) -> Accepted {
    if !site.precompressed {
        return Accepted::default();
    }
    request.headers.get("accept-encoding").map(Accepted::parse).unwrap_or_default()
}

impl Handler for Files {
    fn intake(&mut self, request: &Request<'_>) -> Intake {
        if request.method != Method::Put {
            return Intake::Discard;
        }
        match self.target(request) {
            Ok(target) => {
                let limit = target.site.max_upload_size;
                self.upload = Some(Box::new(Upload::new(target)));
                Intake::Stream(limit)
            }
            // The answer will say why.
            Err(_) => Intake::Discard,
        }
    }

    fn receive(&mut self, piece: &[u8], cx: &mut Context<'_>) -> Received {
        match &mut self.upload {
            Some(upload) => upload.receive(piece, cx),
            None => Received::Taken(piece.len()),
        }
    }

    fn respond(&mut self, request: &Request<'_>, cx: &mut Context<'_>) -> Answer {
        self.in_flight = true;
        self.shared.metrics.started();
        if let Some(redirect) = self.redirect(request) {
            return redirect.into();
        }
        match request.method {
            Method::Get | Method::Head => self.get(request, cx),
            Method::Options => Reply::new(204).field("Allow", self.allow(request)).into(),
            Method::Put => self.put(request, cx),
            Method::Delete => self.delete(request, cx),
            Method::Other => Reply::text(501).into(),
            Method::Post => self.post(request),
            Method::Patch | Method::Trace | Method::Connect => self.not_allowed(request),
        }
    }

    fn resume(&mut self, job: FinishedJob, cx: &mut Context<'_>) -> Answer {
        if let Some(upload) = &mut self.upload {
            let reply = match upload.resume(job, cx) {
                Ok(reply) => reply,
                Err(job) => return Answer::Later(job),
            };
            self.upload = None;
            self.shared.cache().doubt_all(cx.now);
            return reply.into();
        }
        if std::mem::take(&mut self.deleting) {
            let reply = upload::reply(job);
            self.shared.cache().doubt_all(cx.now);
            return reply.into();
        }
        match (self.pending.take(), job.downcast::<Found>()) {
            (Some(pending), Some(found)) => self.found(found, &pending, cx),
            _ => Reply::text(500).into(),
        }
    }

    fn wants_target(&self) -> bool {
        tracing::enabled!(target: ACCESS_LOG, tracing::Level::INFO)
    }

    fn completed(&mut self, completed: &Completed<'_>) {
        if std::mem::take(&mut self.in_flight) {
            self.shared.metrics.ended();
        }
        self.shared.metrics.completed(completed);
        tracing::info!(
            target: ACCESS_LOG,
            method = completed.method.map_or("-", Method::name),
            target = ?completed.target,
            status = completed.status,
            bytes = completed.body_bytes,
            aborted = completed.aborted,
            peer = %completed.peer.remote,
            connection = completed.peer.connection,
            rtt_us = completed.measurements.round_trip_time.as_micros(),
            retransmissions = completed.measurements.retransmissions,
            "request"
        );
    }

    fn limit_hit(&mut self, limit: Limit) {
        self.shared.metrics.limit(limit);
    }
}

#[cfg(test)]
mod tests;
