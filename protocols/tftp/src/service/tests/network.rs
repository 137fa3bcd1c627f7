//! Whole transfers with a client of its own over a network that loses, repeats and reorders, on a virtual clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::*;
use crate::block::Rollover;

/// Vigna's SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What the network does: loss and duplication in percent, the delay of each packet, and what may be added to it.
#[derive(Clone, Copy)]
struct Weather {
    loss: u64,
    duplication: u64,
    delay: Duration,
    jitter: Duration,
}

const CALM: Weather = Weather { loss: 0, duplication: 0, delay: Duration::from_micros(200), jitter: Duration::ZERO };

/// A client that follows the RFCs, in either direction.
struct Client {
    request: Vec<u8>,
    block_size: usize,
    window: u64,
    server: Option<SocketAddr>,
    /// The file as it has come, or as it goes.
    file: Vec<u8>,
    writes: bool,
    /// Read: the last block in order. Write: the last block acknowledged.
    block: u64,
    unacknowledged: u64,
    gap_told: bool,
    done: bool,
    failed: bool,
    rollover: Rollover,
    deadline: Option<Instant>,
}

impl Client {
    fn new(direction: u8, block_size: usize, window: u64, file: Vec<u8>) -> Self {
        let mut request = vec![0, direction];
        request.extend_from_slice(b"f\0octet\0");
        if block_size != 512 {
            request.extend_from_slice(format!("blksize\0{block_size}\0").as_bytes());
        }
        if window != 1 {
            request.extend_from_slice(format!("windowsize\0{window}\0").as_bytes());
        }
        Self {
            request,
            block_size,
            window,
            server: None,
            file,
            writes: direction == 2,
            block: 0,
            unacknowledged: 0,
            gap_told: false,
            done: false,
            failed: false,
            rollover: Rollover::Zero,
            deadline: None,
        }
    }

    /// After a transfer that failed. Once is enough in hundreds of seeds.
    fn begin_anew(&mut self) {
        let file = if self.writes { std::mem::take(&mut self.file) } else { Vec::new() };
        let request = std::mem::take(&mut self.request);
        let fresh = Self::new(1, self.block_size, self.window, file);
        *self = Self { request, writes: self.writes, deadline: self.deadline, ..fresh };
    }

    /// What goes out when the client has heard nothing for a while: the request, the ACK, or the window.
    fn repeat(&mut self) -> Vec<Vec<u8>> {
        match (self.server, self.writes) {
            (None, _) => vec![self.request.clone()],
            (_, false) => vec![self.acknowledge()],
            (_, true) => self.send_window(),
        }
    }

    fn acknowledge(&mut self) -> Vec<u8> {
        self.unacknowledged = 0;
        ack(self.rollover.wire(self.block))
    }

    fn send_window(&self) -> Vec<Vec<u8>> {
        let last = (self.file.len() / self.block_size + 1) as u64;
        (self.block + 1..=last.min(self.block + self.window))
            .map(|n| {
                let start = (n as usize - 1) * self.block_size;
                data(self.rollover.wire(n), &self.file[start..self.file.len().min(start + self.block_size)])
            })
            .collect()
    }

    fn receive(&mut self, from: SocketAddr, packet: &[u8]) -> Vec<Vec<u8>> {
        if *self.server.get_or_insert(from) != from {
            return Vec::new();
        }
        let number = u16::from_be_bytes([packet[2], packet[3]]);
        if packet[1] == 6 {
            let asked = self.request.split(|byte| *byte == 0).skip(3).collect::<Vec<_>>().join(&0);
            assert_eq!(&packet[2..], asked, "what was asked for is taken as granted below");
        }
        match (packet[1], self.writes) {
            (6, false) if self.block == 0 => vec![self.acknowledge()],
            (6, true) if self.block == 0 => self.send_window(),
            (3, false) => match self.rollover.distance(self.block, number) {
                Some(1) if !self.done => {
                    self.block += 1;
                    self.unacknowledged += 1;
                    self.gap_told = false;
                    self.file.extend_from_slice(&packet[4..]);
                    self.done = packet.len() - 4 < self.block_size;
                    let due = self.done || self.unacknowledged >= self.window;
                    if due { vec![self.acknowledge()] } else { Vec::new() }
                }
                Some(0) if self.unacknowledged == 0 => vec![self.acknowledge()],
                Some(gap) if (2..=self.window).contains(&gap) && !self.gap_told => {
                    self.gap_told = true;
                    vec![self.acknowledge()]
                }
                _ => Vec::new(),
            },
            (4, true) => match self.rollover.distance(self.block, number) {
                Some(0) if self.block == 0 => self.send_window(),
                Some(count) if count > 0 && count <= self.window => {
                    self.block += count;
                    let rest = self.send_window();
                    self.done = rest.is_empty();
                    rest
                }
                _ => Vec::new(),
            },
            (5, _) => {
                self.failed = true;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// A packet on its way: when it arrives, its number, whether to the server, at which port there, and what it is.
type Flying = (Instant, u64, bool, SocketAddr, Vec<u8>);

/// Runs a transfer until both ends are done. Returns how many packets the server sent.
fn run(lab: &mut Lab, client: &mut Client, seed: u64, weather: Weather) -> usize {
    let mut random = Random(seed);
    let mut flying: BinaryHeap<Reverse<Flying>> = BinaryHeap::new();
    let (mut serial, mut sent) = (0_u64, 0_usize);
    let end = lab.environment.now + Duration::from_secs(3600);
    let mut outgoing = client.repeat();
    client.deadline = Some(lab.environment.now + Duration::from_secs(1));
    loop {
        let now = lab.environment.now;
        let to = client.server.unwrap_or_else(|| address(SERVER));
        let replies = lab.sent();
        sent += replies.len();
        let all = outgoing.drain(..).map(|packet| (true, to, packet));
        for (up, at, packet) in all.chain(replies.into_iter().map(|(from, packet)| (false, from, packet))) {
            let copies = if random.below(100) < weather.loss {
                0
            } else {
                1 + u64::from(random.below(100) < weather.duplication)
            };
            for _ in 0..copies {
                serial += 1;
                let delay = weather.delay + Duration::from_micros(random.below(weather.jitter.as_micros() as u64 + 1));
                flying.push(Reverse((now + delay, serial, up, at, packet.clone())));
            }
        }
        let client_deadline = client.deadline.filter(|_| !client.done && !client.failed);
        let arrival = flying.peek().map(|Reverse((at, ..))| *at);
        let running = lab.server.table.running() > 0;
        let server_deadline = lab.server.next_deadline().filter(|_| running);
        let Some(next) = [arrival, client_deadline, server_deadline].into_iter().flatten().min() else { return sent };
        assert!(next < end, "seed {seed}: the transfer does not end");
        lab.environment.pass(next.saturating_duration_since(now));
        if arrival == Some(next) {
            let Some(Reverse((_, _, up, at, packet))) = flying.pop() else { continue };
            // What comes to a closed port the stack answers: the file is there, or the client begins anew.
            let open = at == address(SERVER) || lab.socket.open.contains(&at);
            if up && !open && client.server == Some(at) && !client.done {
                if client.writes && lab.ended("write", "completed") > 0 {
                    client.done = true;
                } else {
                    client.begin_anew();
                }
            } else if up && open {
                lab.deliver(address(CLIENT), at, &packet);
            } else if !up {
                outgoing = client.receive(at, &packet);
                client.deadline = Some(next + Duration::from_secs(1));
            }
        } else if client_deadline == Some(next) {
            outgoing = client.repeat();
            client.deadline = Some(next + Duration::from_secs(1));
        } else {
            lab.environment.with_context(|cx| lab.server.advance(&mut lab.socket, cx));
            lab.settle();
        }
    }
}

fn read(file: &[u8], block_size: usize, window: u64, seed: u64, weather: Weather) -> (Lab, usize) {
    let mut lab = Lab::new("limits.retransmissions = 100").with_file("f", file);
    let mut client = Client::new(1, block_size, window, Vec::new());
    let sent = run(&mut lab, &mut client, seed, weather);
    assert!(client.done && !client.failed, "seed {seed}");
    assert!(client.file == file, "seed {seed}: the file is not the same");
    (lab, sent)
}

fn write(file: &[u8], block_size: usize, window: u64, seed: u64, weather: Weather) -> Lab {
    let mut lab = Lab::new("writable = true\nlimits.retransmissions = 100");
    let mut client = Client::new(2, block_size, window, file.to_vec());
    run(&mut lab, &mut client, seed, weather);
    assert!(!client.failed && std::fs::read(lab.path("f")).unwrap() == file, "seed {seed}: the file is not the same");
    assert_eq!(lab.ended("write", "completed"), 1, "seed {seed}");
    lab
}

#[test]
fn every_size_around_a_block() {
    for window in [1, 2, 5] {
        for size in (0..=3).chain(22..=26).chain(39..=41).chain(79..=81) {
            let file = pattern(size);
            let (mut lab, sent) = read(&file, 8, window, 1, CALM);
            assert_eq!(sent, size / 8 + 2, "blocks and the OACK, each once");
            lab.assert_empty();
            write(&file, 8, window, 1, CALM).assert_empty();
        }
    }
}

#[test]
fn more_than_65536_blocks() {
    let file = pattern(8 * 140_000 + 3);
    read(&file, 8, 64, 1, CALM).0.assert_empty();
    write(&file, 8, 64, 1, CALM).assert_empty();
    let (_, sent) = read(&file[..8 * 66_000], 8, 1, 1, CALM);
    assert_eq!(sent, 66_002);
}

#[test]
fn reads_arrive_whatever_the_weather() {
    let weather = Weather { loss: 10, duplication: 10, jitter: Duration::from_millis(2), ..CALM };
    for seed in 0..300 {
        let mut random = Random(seed);
        let file = pattern(random.below(60_000) as usize);
        let window = [1, 1, 2, 4, 16, 64][random.below(6) as usize];
        let block_size = [512, 1024, 1468][random.below(3) as usize];
        read(&file, block_size, window, seed, weather).0.assert_empty();
    }
}

#[test]
fn texts_arrive_whatever_the_weather() {
    let weather = Weather { loss: 10, duplication: 10, jitter: Duration::from_millis(2), ..CALM };
    for seed in 2000..2100 {
        let mut random = Random(seed);
        let length = random.below(20_000);
        let text: Vec<u8> = (0..length).map(|_| b"\n\rab"[random.below(4) as usize]).collect();
        let mut lab = Lab::new("limits.retransmissions = 100").with_file("f", &text);
        let mut client = Client::new(1, 512, [1, 4, 16][random.below(3) as usize], Vec::new());
        client.request = String::from_utf8(client.request).unwrap().replace("octet", "netascii").into_bytes();
        run(&mut lab, &mut client, seed, weather);
        let (mut decoder, mut back) = (crate::netascii::Decoder::default(), Vec::new());
        decoder.decode(&client.file, &mut back);
        decoder.finish(&mut back);
        assert!(client.done && back == text, "seed {seed}");
        lab.assert_empty();
    }
}

#[test]
fn writes_arrive_whatever_the_weather() {
    let weather = Weather { loss: 10, duplication: 10, jitter: Duration::from_millis(2), ..CALM };
    for seed in 1000..1300 {
        let mut random = Random(seed);
        let file = pattern(random.below(60_000) as usize);
        let window = [1, 1, 2, 4, 16, 64][random.below(6) as usize];
        let block_size = [512, 1024, 1468][random.below(3) as usize];
        write(&file, block_size, window, seed, weather).assert_empty();
    }
}

#[test]
fn a_network_that_repeats_everything_does_not_feed_on_itself() {
    let weather = Weather { duplication: 100, ..CALM };
    for window in [1, 2, 16, 64] {
        let file = pattern(300_000);
        let (_, sent) = read(&file, 512, window, 1, weather);
        let blocks = file.len() / 512 + 1;
        // Each second window at most goes out twice, and in lock-step none (RFC 1123 §4.2.3.1).
        let bound = if window == 1 { blocks } else { blocks * 3 / 2 + usize::try_from(window).unwrap() };
        assert!(sent <= bound + 2, "window {window}: {sent} packets for {blocks} blocks");
    }
}

#[test]
fn a_path_slower_than_the_first_guess() {
    let weather = Weather { delay: Duration::from_millis(75), ..CALM };
    let file = pattern(20 * 512);
    let mut lab =
        Lab::new("limits.initial_timeout = \"100ms\"\nlimits.minimum_timeout = \"10ms\"").with_file("f", &file);
    let mut client = Client::new(1, 512, 1, Vec::new());
    let sent = run(&mut lab, &mut client, 1, weather);
    // The first block goes out twice. Then the round trip is known (Karn's rule), and no other does.
    assert_eq!(sent, 22);
    assert!(client.file == file);
}
