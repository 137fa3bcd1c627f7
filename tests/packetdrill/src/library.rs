//! Calls that wait, and the clock that they wait by.
//!
//! Responsible for virtual time and for the hand-over of it between packetdrill's two threads. The clock moves only in
//! [`sleep`](Library::sleep), [`next_packet`](Library::next_packet) and, by a microsecond, in [`time`](Library::time). From
//! the moment that a waiting call can go on until its thread has looked at the clock, the clock stands still for everybody
//! else: so the call ends at the moment that its condition came true, whatever the scheduler does.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use libc::{c_int, c_short};
use tapster_stack::Instant;

use crate::flags::Flags;
use crate::sockets::{Errno, Sockets};

/// Scripts wait 30 s for a packet at most; whoever waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(200);
const TICK: Duration = Duration::from_micros(1);

/// The library as packetdrill's threads share it.
#[derive(Debug)]
pub(crate) struct Library {
    world: Mutex<World>,
    changed: Condvar,
    /// The thread of calls that return at once.
    main: ThreadId,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) sockets: Sockets,
    waiter: Option<Waiter>,
}

/// The call that waits. There is one at most.
#[derive(Debug)]
struct Waiter {
    thread: ThreadId,
    /// Any of these events on any of these sockets.
    wants: Vec<(c_int, c_short)>,
    deadline: Option<Instant>,
    /// It can go on, and has not looked at the clock yet.
    released: bool,
}

impl World {
    /// After each change: sends, takes in the news, and looks whether the waiter can go on.
    fn settle(&mut self) {
        self.sockets.settle();
        let Some(waiter) = &mut self.waiter else { return };
        let now = self.sockets.machine.now;
        waiter.released |= waiter.deadline.is_some_and(|deadline| deadline <= now)
            || waiter.wants.iter().any(|(fd, events)| {
                let always = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
                self.sockets.readiness(*fd) & (events | always) != 0
            });
    }

    /// When something happens by itself.
    fn next_deadline(&self) -> Option<Instant> {
        let waiter = self.waiter.as_ref().filter(|waiter| !waiter.released).and_then(|waiter| waiter.deadline);
        [self.sockets.machine.next_deadline(), waiter].into_iter().flatten().min()
    }
}

impl Library {
    /// For the calling thread as the main thread.
    pub(crate) fn new(flags: Flags) -> Self {
        Self {
            world: Mutex::new(World { sockets: Sockets::new(flags), waiter: None }),
            changed: Condvar::new(),
            main: thread::current().id(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic in a call has ended the process.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread holds the clock.
    fn take_clock<'a>(&'a self, world: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        let own = thread::current().id();
        let is_held = |world: &mut World| world.waiter.as_ref().is_some_and(|one| one.released && one.thread != own);
        self.changed.wait_while(world, is_held).unwrap_or_else(PoisonError::into_inner)
    }

    /// One system call that returns at once.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut Sockets) -> T) -> T {
        let mut world = self.lock();
        let result = call(&mut world.sockets);
        world.settle();
        self.changed.notify_all();
        result
    }

    /// One system call that may wait for any of `wants`. `attempt` is made until it is ready.
    pub(crate) fn wait<T>(
        &self,
        may_wait: bool,
        timeout: Option<Duration>,
        wants: &[(c_int, c_short)],
        mut attempt: impl FnMut(&mut Sockets) -> Poll<Result<T, Errno>>,
    ) -> Result<T, Errno> {
        let thread = thread::current().id();
        let may_wait = may_wait && thread != self.main;
        let mut world = self.lock();
        let deadline = timeout.map(|timeout| world.sockets.machine.now + timeout);
        loop {
            let result = attempt(&mut world.sockets);
            if result.is_ready() {
                world.settle();
            } else {
                // What was done of it may have consequences; and if the call goes on waiting, it is not released by them.
                world.sockets.settle();
            }
            self.changed.notify_all();
            match result {
                Poll::Ready(result) => return result,
                Poll::Pending
                    if !may_wait || deadline.is_some_and(|deadline| deadline <= world.sockets.machine.now) =>
                {
                    return Err(libc::EAGAIN);
                }
                Poll::Pending => {}
            }
            world.waiter = Some(Waiter { thread, wants: wants.to_vec(), deadline, released: false });
            world.settle();
            let waits = |world: &mut World| world.waiter.as_ref().is_some_and(|waiter| !waiter.released);
            world = self.changed.wait_while(world, waits).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether calls on a socket wait.
    pub(crate) fn waits(&self, fd: c_int) -> bool {
        self.lock().sockets.get(fd).is_ok_and(|socket| !socket.nonblocking)
    }

    /// Runs the world up to a moment, from deadline to deadline.
    fn advance<'a>(&'a self, mut world: MutexGuard<'a, World>, until: Instant) -> MutexGuard<'a, World> {
        loop {
            world = self.take_clock(world);
            if world.sockets.machine.now >= until {
                return world;
            }
            let next = world.next_deadline().map_or(until, |deadline| deadline.min(until));
            world.sockets.machine.run_until(next);
            world.settle();
            self.changed.notify_all();
        }
    }

    /// Microseconds on the clock. They grow with each call, but for the one by which a call that has waited ends.
    pub(crate) fn time(&self) -> u64 {
        let mut world = self.lock();
        let own = thread::current().id();
        if world.waiter.take_if(|waiter| waiter.released && waiter.thread == own).is_some() {
            self.changed.notify_all();
            return world.sockets.machine.microseconds();
        }
        world = self.take_clock(world);
        let until = world.sockets.machine.now + TICK;
        self.advance(world, until).sockets.machine.microseconds()
    }

    /// Lets time pass.
    pub(crate) fn sleep(&self, duration: Duration) {
        let world = self.take_clock(self.lock());
        let until = world.sockets.machine.now + duration;
        drop(self.advance(world, until));
    }

    /// The next packet that the stack sends, and when it does, in microseconds. `None` when there will be none.
    pub(crate) fn next_packet(&self) -> Option<(u64, Vec<u8>)> {
        let mut world = self.take_clock(self.lock());
        let last = world.sockets.machine.now + PATIENCE;
        loop {
            if let Some((at, packet)) = world.sockets.machine.next_packet() {
                return Some((at.as_micros(), packet));
            }
            let next = world.next_deadline().filter(|deadline| *deadline <= last)?;
            world.sockets.machine.run_until(next);
            world.settle();
            self.changed.notify_all();
            world = self.take_clock(world);
        }
    }
}
