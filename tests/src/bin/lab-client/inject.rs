//! Broken frames: good ones of every kind that tapster understands, cut and mutated.
//!
//! | command | sends | answer |
//! | --- | --- | --- |
//! | `garbage SEED COUNT` | broken frames, the same ones for the same seed | `done` |
//! | `fragments COUNT` | first fragments of as many datagrams, from many sources | `done` |
//! | `neighbors COUNT` | ARP requests for tapster from as many neighbours of its network and of others | `done` |

use std::io;

use anyhow::{Context, ensure};

/// Where the frames come from: a hardware address and an IP address of nobody.
const SOURCE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];
const SOURCE_ADDRESS: [u8; 4] = [192, 0, 2, 99];
const DESTINATION_ADDRESS: [u8; 4] = [192, 0, 2, 2];

/// Ethernet header and IPv4 header without options.
const ETHERNET: usize = 14;
const IPV4: usize = 20;

/// The protocol numbers of RFC 790 as IANA keeps them.
const ICMP: u8 = 1;
const IGMP: u8 = 2;
const TCP: u8 = 6;
const UDP: u8 = 17;

pub(crate) fn run(interface: &str, destination: &str) -> anyhow::Result<()> {
    let destination: Vec<u8> = destination
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()
        .with_context(|| format!("{destination:?} is no hardware address"))?;
    let mut configuration = tun::Configuration::default();
    configuration.tun_name(interface).layer(tun::Layer::L2).up();
    let device = tun::create(&configuration).with_context(|| format!("cannot make the TAP {interface}"))?;
    println!("ready");
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let frames: Box<dyn Iterator<Item = Vec<u8>>> = match words[..] {
            ["garbage", seed, count] => {
                let mut random = Random(seed.parse()?);
                let destination = destination.clone();
                Box::new((0..count.parse::<u32>()?).map(move |_| broken_frame(&mut random, &destination)))
            }
            ["fragments", count] => Box::new((0..count.parse()?).map(|number| first_fragment(number, &destination))),
            ["neighbors", count] => Box::new((0..count.parse()?).map(neighbor)),
            _ => anyhow::bail!("no such command: {line}"),
        };
        for frame in frames {
            let sent = device.send(&frame)?;
            ensure!(sent == frame.len(), "{sent} of {} bytes were sent", frame.len());
        }
        println!("done");
    }
    Ok(())
}

fn broken_frame(random: &mut Random, destination: &[u8]) -> Vec<u8> {
    let mut frame = good_frame(random, destination);
    // A good frame now and then, so that the state that broken ones meet is not always the first.
    for _ in 0..random.below(5) {
        let place = ETHERNET + random.below(frame.len() - ETHERNET);
        frame[place] = match random.below(4) {
            0 => 0,
            1 => 0xff,
            2 => frame[place] ^ (1 << random.below(8)),
            _ => random.byte(),
        };
    }
    if random.below(4) == 0 {
        frame.truncate(ETHERNET + random.below(frame.len() - ETHERNET));
    }
    // With a right checksum a broken header gets further in.
    if frame[12..ETHERNET] == [0x08, 0x00] && frame.len() >= ETHERNET + IPV4 && random.below(3) != 0 {
        checksum_header(&mut frame[ETHERNET..]);
    }
    frame
}

/// The first fragment, as large as the link carries, of an echo request that has others.
fn first_fragment(number: u32, destination: &[u8]) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend_from_slice(&SOURCE);
    frame.extend_from_slice(&[0x08, 0x00]);
    let [_, second, third, fourth] = number.to_be_bytes();
    // More fragments follow (RFC 791 §3.1).
    frame.extend_from_slice(&[0x45, 0, 0x05, 0xdc, third, fourth, 0x20, 0, 64, ICMP, 0, 0]);
    frame.extend_from_slice(&[198, 18 + second % 2, third, 1 + fourth % 254]);
    frame.extend_from_slice(&DESTINATION_ADDRESS);
    frame.resize(ETHERNET + 1500, 0x55);
    checksum_header(&mut frame[ETHERNET..]);
    frame
}

/// A request for tapster's hardware address. Most senders are in other networks; some are in its own, but none has the
/// address of the host or of tapster.
fn neighbor(number: u32) -> Vec<u8> {
    let [_, _, high, low] = number.to_be_bytes();
    let source = [0x02, 0, 0, 1, high, low];
    let address = [if high == 0 { 192 } else { 198 }, if high == 0 { 0 } else { 18 }, high.max(2), low.max(3)];
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&source);
    frame.extend_from_slice(&[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&source);
    frame.extend_from_slice(&address);
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&DESTINATION_ADDRESS);
    frame
}

fn good_frame(random: &mut Random, destination: &[u8]) -> Vec<u8> {
    let everybody = [0xff; 6];
    let mut frame = if random.below(8) == 0 { everybody.to_vec() } else { destination.to_vec() };
    frame.extend_from_slice(&SOURCE);
    match random.below(8) {
        0 => {
            frame.extend_from_slice(&[0x08, 0x06]);
            frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1 + (random.byte() & 1)]);
            frame.extend_from_slice(&SOURCE);
            frame.extend_from_slice(&SOURCE_ADDRESS);
            frame.extend_from_slice(&[0; 6]);
            frame.extend_from_slice(&DESTINATION_ADDRESS);
        }
        1 => {
            frame.extend_from_slice(&[random.byte(), random.byte()]);
            frame.extend((0..random.below(200)).map(|_| random.byte()));
            frame.push(0);
        }
        kind => {
            frame.extend_from_slice(&[0x08, 0x00]);
            let (protocol, body) = match kind {
                2 => (ICMP, icmp(random)),
                3 => (IGMP, vec![0x11, 0, 0xee, 0xff, 0, 0, 0, 0]),
                4 | 5 => (UDP, udp(random)),
                _ => (TCP, tcp(random)),
            };
            ipv4(random, &mut frame, protocol, &body);
        }
    }
    frame
}

fn ipv4(random: &mut Random, frame: &mut Vec<u8>, protocol: u8, body: &[u8]) {
    let start = frame.len();
    let [length_high, length_low] = ((IPV4 + body.len()) as u16).to_be_bytes();
    // One in four is a fragment, some of which never become whole.
    let fragment = if random.below(4) == 0 { [0x20 * (random.byte() & 1), random.byte() & 7] } else { [0, 0] };
    frame.extend_from_slice(&[0x45, 0, length_high, length_low, 0, random.byte() & 3]);
    frame.extend_from_slice(&fragment);
    frame.extend_from_slice(&[64, protocol, 0, 0]);
    frame.extend_from_slice(&SOURCE_ADDRESS);
    frame.extend_from_slice(&DESTINATION_ADDRESS);
    frame.extend_from_slice(body);
    checksum_header(&mut frame[start..]);
}

/// An echo request, or an error about a segment that tapster may or may not have sent.
fn icmp(random: &mut Random) -> Vec<u8> {
    let mut message = vec![[8, 3, 5, 11, 12][random.below(5)], random.byte() & 7, 0, 0, 0, 0, 5, 0];
    message.extend_from_slice(&[0x45, 0, 0, 60, 0, 0, 0, 0, 64, TCP, 0, 0]);
    message.extend_from_slice(&DESTINATION_ADDRESS);
    message.extend_from_slice(&SOURCE_ADDRESS);
    message.extend((0..random.below(64)).map(|_| random.byte()));
    let sum = checksum(&message, 0);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A DNS query for www.example.test.
fn udp(random: &mut Random) -> Vec<u8> {
    let mut datagram = vec![0xc0, random.byte(), 0, 53, 0, 0, 0, 0];
    datagram.extend_from_slice(&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    datagram.extend_from_slice(b"\x03www\x07example\x04test\x00\x00\x01\x00\x01");
    let length = (datagram.len() as u16).to_be_bytes();
    datagram[4..6].copy_from_slice(&length);
    // Without a checksum (RFC 768), the broken ones are looked at, too.
    datagram
}

/// A segment to a port that is open or closed, with any flags and sometimes options.
fn tcp(random: &mut Random) -> Vec<u8> {
    let port = [80, 53, 9][random.below(3)];
    let mut segment = vec![0xc0, random.byte() & 3, 0, port];
    segment.extend((0..8).map(|_| random.byte()));
    let options: &[u8] =
        if random.below(2) == 0 { &[] } else { &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7] };
    let flags = if random.below(2) == 0 { 0x02 } else { random.byte() };
    segment.extend_from_slice(&[((5 + options.len() / 4) << 4) as u8, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(options);
    segment.extend((0..random.below(40)).map(|_| random.byte()));
    let pseudo_header: u32 = [SOURCE_ADDRESS, DESTINATION_ADDRESS]
        .iter()
        .flat_map(|address| [[address[0], address[1]], [address[2], address[3]]])
        .map(|word| u32::from(u16::from_be_bytes(word)))
        .sum::<u32>()
        + u32::from(TCP)
        + segment.len() as u32;
    let sum = checksum(&segment, pseudo_header);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

fn checksum_header(datagram: &mut [u8]) {
    datagram[10..12].fill(0);
    let sum = checksum(&datagram[..IPV4], 0);
    datagram[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8], initial: u32) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum = initial + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// George Marsaglia's xorshift64, which replays from its seed.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u8
    }

    /// From 0 to below `bound`, which is at least 1 and at most 65,536.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_makes_frames_that_have_a_header_and_fit_the_link() {
        for seed in 1..200 {
            let mut random = Random(seed);
            for _ in 0..200 {
                let frame = broken_frame(&mut random, &[2, 0, 0, 0, 0, 1]);
                assert!((ETHERNET..=ETHERNET + 1500).contains(&frame.len()));
            }
        }
    }

    #[test]
    fn the_checksum_of_rfc_1071s_example() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), !0xddf2);
    }
}
