//! What stands behind the modules' [`Context`](tapster_service::Context) in the daemon.
//!
//! Responsible for randomness, for handing jobs to the pool and remembering whose they are, and for keeping the
//! connections that a module wants opened until the host is free to open them.

use std::collections::HashMap;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand_core::Rng;
use tapster_service::{Busy, ConnectError, Environment, Job, JobId, Session};

use super::Owner;
use crate::pool::Pool;

/// The most connections that modules may be opening within one turn of the event loop.
const PENDING_CONNECTIONS: usize = 256;

/// The surroundings of all sessions and datagram services.
pub(crate) struct Surroundings {
    pub(super) pool: Pool,
    /// The connections to open: for which module, to where, and for which session.
    pub(super) pending_connections: Vec<(usize, SocketAddr, Box<dyn Session>)>,
    random: StdRng,
    job_owners: HashMap<JobId, Owner>,
}

impl Surroundings {
    pub(super) fn new(pool: Pool, random: StdRng) -> Self {
        Self { pool, pending_connections: Vec::new(), random, job_owners: HashMap::new() }
    }

    /// Whose job this was.
    pub(super) fn take_job_owner(&mut self, job: JobId) -> Option<Owner> {
        self.job_owners.remove(&job)
    }

    /// Forgets some owners: the results of their jobs are of no use to anybody.
    pub(super) fn forget(&mut self, gone: impl Fn(&Owner) -> bool) {
        // The number stays, so that the loop does not take the result for one of its own.
        for owner in self.job_owners.values_mut().filter(|owner| gone(owner)) {
            *owner = Owner::Nobody;
        }
    }

    /// The surroundings as one owner sees them, which belongs to a module.
    pub(super) const fn of(&mut self, owner: Owner, module: usize) -> OwnSurroundings<'_> {
        OwnSurroundings { owner, module, surroundings: self }
    }
}

/// The surroundings as one owner sees them: its jobs are known to be its own.
pub(super) struct OwnSurroundings<'a> {
    owner: Owner,
    module: usize,
    surroundings: &'a mut Surroundings,
}

impl Environment for OwnSurroundings<'_> {
    fn random(&mut self) -> &mut dyn Rng {
        &mut self.surroundings.random
    }

    fn spawn(&mut self, job: Job) -> Result<JobId, Busy> {
        let id = self.surroundings.pool.spawn(job)?;
        self.surroundings.job_owners.insert(id, self.owner);
        Ok(id)
    }

    fn connect(&mut self, remote: SocketAddr, session: Box<dyn Session>) -> Result<(), ConnectError> {
        if self.surroundings.pending_connections.len() >= PENDING_CONNECTIONS {
            return Err(ConnectError::TooMany);
        }
        self.surroundings.pending_connections.push((self.module, remote, session));
        Ok(())
    }
}
