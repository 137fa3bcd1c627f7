//! A bad cable: two TAPs, and between them what a bad network does to frames.
//!
//! The kernels of small machines have no `netem`, and what `netem` does cannot be repeated; this uses the stack's own
//! impairment, which follows from a seed. The TAPs offload nothing, so each frame is one packet. It lies until the
//! standard input ends.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use tapster_stack::{Impairer, Impairment, Reception};
use tun::Device;

/// The largest frame that is carried.
const FRAME_MAX: usize = 65_536;

/// What happens on the way, in each direction. Probabilities are between 0 and 1.
#[derive(Clone, Debug, Args)]
pub(crate) struct Conditions {
    /// The probability of a loss
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// How long the way takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// By how much that varies, in milliseconds
    #[arg(long, default_value_t = 0)]
    jitter: u64,
    /// The probability that a frame is overtaken
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// The probability that a frame arrives twice
    #[arg(long, default_value_t = 0.0)]
    duplicate: f64,
    /// The probability that a bit is turned round
    #[arg(long, default_value_t = 0.0)]
    corrupt: f64,
    /// The speed, in bits a second; without it there is no limit and no queue
    #[arg(long)]
    rate: Option<u64>,
    /// How many octets wait for it
    #[arg(long, default_value_t = 512 << 10)]
    queue: usize,
    /// What chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Conditions {
    fn impairment(&self) -> Impairment {
        Impairment {
            loss: self.loss,
            delay: Duration::from_millis(self.delay),
            jitter: Duration::from_millis(self.jitter),
            reorder: self.reorder,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            rate: self.rate,
            queue: self.queue,
            ..Impairment::default()
        }
    }

    /// Each direction has a chance of its own.
    fn seed(&self, direction: u8) -> [u8; 32] {
        let mut seed = [direction; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed
    }
}

pub(crate) fn run(near: &str, far: &str, conditions: &Conditions) -> anyhow::Result<()> {
    let started = Instant::now();
    let [near, far] = [open(near)?, open(far)?];
    for (direction, from, to) in [(0, &near, &far), (1, &far, &near)] {
        let way = Arc::new(Way {
            impairer: Mutex::new(Impairer::new(conditions.impairment(), conditions.seed(direction))),
            arrival: Condvar::new(),
            started,
        });
        let (entrance, from) = (Arc::clone(&way), Arc::clone(from));
        thread::spawn(move || entrance.take_in(&from));
        let to = Arc::clone(to);
        thread::spawn(move || way.let_out(&to));
    }
    println!("ready");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn open(name: &str) -> anyhow::Result<Arc<Device>> {
    let mut configuration = tun::Configuration::default();
    configuration.tun_name(name).layer(tun::Layer::L2);
    Ok(Arc::new(tun::create(&configuration).with_context(|| format!("cannot make the TAP {name}"))?))
}

/// One direction.
struct Way {
    impairer: Mutex<Impairer<Reception>>,
    /// A frame has come in.
    arrival: Condvar,
    started: Instant,
}

impl Way {
    fn take_in(&self, from: &Device) {
        let mut frame = vec![0; FRAME_MAX];
        loop {
            match from.recv(&mut frame) {
                Ok(length) => {
                    self.lock().receive(self.now(), &frame[..length], Reception::default());
                    self.arrival.notify_one();
                }
                // The interface is down until the test has put it in its place.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn let_out(&self, to: &Device) {
        let mut impairer = self.lock();
        loop {
            let now = self.now();
            if impairer.next(now).is_some() {
                let frame = impairer.sent();
                // The write takes longer than all else, and the entrance shall not wait for it.
                drop(impairer);
                if let Some(frame) = frame {
                    // An interface that is down loses frames, as a cable that is pulled out does.
                    let _ = to.send(&frame.octets);
                }
                impairer = self.lock();
                continue;
            }
            let due = impairer.next_deadline().map_or(Duration::from_secs(1), |due| due.since(now));
            impairer =
                self.arrival.wait_timeout(impairer, due).map_or_else(|error| error.into_inner().0, |woken| woken.0);
        }
    }

    fn now(&self) -> tapster_stack::Instant {
        tapster_stack::Instant::START + self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Impairer<Reception>> {
        self.impairer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
