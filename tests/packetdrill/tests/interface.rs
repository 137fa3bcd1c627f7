//! The library's exported functions, called as packetdrill calls them: so they cannot rot where packetdrill is not installed.
#![expect(unsafe_code, reason = "a C interface is called")]
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::ffi::{c_int, c_longlong, c_void};
use std::mem;
use std::sync::mpsc;
use std::thread;

use libc::{sockaddr, sockaddr_in, socklen_t, ssize_t, timeval};
use tapster_packetdrill::abi::packetdrill_interface_init;
use tapster_packetdrill::interface::Interface;

const LOCAL: [u8; 4] = [192, 168, 0, 1];
const REMOTE: [u8; 4] = [192, 0, 2, 1];
const PORT: u16 = 8080;
const PEER_PORT: u16 = 40_000;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// The library, as packetdrill holds it.
#[derive(Clone, Copy)]
struct Library(Interface);

// SAFETY: packetdrill calls the library from two threads, and the library is made for that.
unsafe impl Send for Library {}

/// A segment that came out of the stack.
#[derive(Debug)]
struct Sent {
    /// In microseconds.
    at: i64,
    flags: u8,
    seq: u32,
    ack: u32,
    length: usize,
}

fn sum(octets: &[u8]) -> u32 {
    octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An IPv4 packet with a TCP segment from the peer.
fn packet(flags: u8, seq: u32, ack: u32, length: usize) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(PEER_PORT.to_be_bytes());
    tcp.extend(PORT.to_be_bytes());
    tcp.extend(seq.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    // A SYN has an MSS option of 1000.
    tcp.extend([if flags & SYN != 0 { 0x60 } else { 0x50 }, flags, 0x80, 0, 0, 0, 0, 0]);
    if flags & SYN != 0 {
        tcp.extend([2, 4, 0x03, 0xe8]);
    }
    tcp.resize(tcp.len() + length, 0);
    let pseudo = sum(&REMOTE) + sum(&LOCAL) + 6 + tcp.len() as u32;
    let checksum = fold(sum(&tcp) + pseudo);
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    let mut ip = vec![0x45, 0];
    ip.extend((20 + tcp.len() as u16).to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 6, 0, 0]);
    ip.extend(REMOTE);
    ip.extend(LOCAL);
    let checksum = fold(sum(&ip));
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    ip.extend(tcp);
    ip
}

impl Library {
    fn load() -> Self {
        let mut interface = mem::MaybeUninit::uninit();
        // SAFETY: no flags, and a place to write to, which is written to.
        Self(unsafe {
            packetdrill_interface_init(c"local_ip=192.168.0.1/16".as_ptr(), interface.as_mut_ptr());
            interface.assume_init()
        })
    }

    /// Microseconds.
    fn time(&self) -> i64 {
        let mut time = timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: a place for the time.
        unsafe { (self.0.gettimeofday)(self.0.userdata, &raw mut time, std::ptr::null_mut()) };
        time.tv_sec * 1_000_000 + time.tv_usec
    }

    fn sleep(&self, microseconds: u32) {
        // SAFETY: no pointers.
        unsafe { (self.0.usleep)(self.0.userdata, microseconds) };
    }

    fn listening(&self) -> c_int {
        let address = sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: PORT.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(LOCAL) },
            sin_zero: [0; 8],
        };
        // SAFETY: the address has its length.
        unsafe {
            let fd = (self.0.socket)(self.0.userdata, libc::AF_INET, libc::SOCK_STREAM, 0);
            assert!(fd > 2, "a descriptor of the process");
            let pointer = (&raw const address).cast::<sockaddr>();
            let length = mem::size_of::<sockaddr_in>() as socklen_t;
            assert_eq!((self.0.bind)(self.0.userdata, fd, pointer, length), 0);
            assert_eq!((self.0.listen)(self.0.userdata, fd, 1), 0);
            fd
        }
    }

    /// The descriptor, and the peer's port.
    fn accept(&self, fd: c_int) -> (c_int, u16) {
        let mut address =
            sockaddr_in { sin_family: 0, sin_port: 0, sin_addr: libc::in_addr { s_addr: 0 }, sin_zero: [0; 8] };
        let mut length = mem::size_of::<sockaddr_in>() as socklen_t;
        // SAFETY: the address has its length.
        let accepted =
            unsafe { (self.0.accept)(self.0.userdata, fd, (&raw mut address).cast::<sockaddr>(), &raw mut length) };
        (accepted, u16::from_be(address.sin_port))
    }

    fn read(&self, fd: c_int, length: usize) -> ssize_t {
        let mut buffer = vec![1_u8; length];
        // SAFETY: the buffer has its length.
        unsafe { (self.0.read)(self.0.userdata, fd, buffer.as_mut_ptr().cast::<c_void>(), length) }
    }

    fn write(&self, fd: c_int, length: usize) -> ssize_t {
        let buffer = vec![0_u8; length];
        // SAFETY: the buffer has its length.
        unsafe { (self.0.write)(self.0.userdata, fd, buffer.as_ptr().cast::<c_void>(), length) }
    }

    fn close(&self, fd: c_int) -> c_int {
        // SAFETY: no pointers.
        unsafe { (self.0.close)(self.0.userdata, fd) }
    }

    fn send(&self, flags: u8, seq: u32, ack: u32, length: usize) {
        let packet = packet(flags, seq, ack, length);
        // SAFETY: the packet has its length.
        unsafe { (self.0.netdev_send)(self.0.userdata, packet.as_ptr().cast::<c_void>(), packet.len()) };
    }

    /// `None` when nothing will ever be sent.
    fn receive(&self) -> Option<Sent> {
        let mut buffer = vec![0_u8; 65_536];
        let mut length = buffer.len();
        let mut at: c_longlong = 0;
        // SAFETY: the buffer has its length.
        let result = unsafe {
            let pointer = buffer.as_mut_ptr().cast::<c_void>();
            (self.0.netdev_receive)(self.0.userdata, pointer, &raw mut length, &raw mut at)
        };
        assert_eq!(result, 0, "packetdrill would ask again for ever");
        let tcp = buffer[..length].get(20..)?;
        let number = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        let header = usize::from(tcp[12] >> 4) * 4;
        Some(Sent { at, flags: tcp[13], seq: number(4), ack: number(8), length: tcp.len() - header })
    }

    /// A handshake. Returns our initial sequence number.
    fn handshake(&self) -> u32 {
        self.send(SYN, 0, 0, 0);
        let answer = self.receive().unwrap();
        assert_eq!((answer.flags, answer.ack), (SYN | ACK, 1));
        self.send(ACK, 1, answer.seq + 1, 0);
        answer.seq
    }

    fn free(self) {
        // SAFETY: the last call.
        unsafe { (self.0.free)(self.0.userdata) };
    }
}

/// Makes a call in another thread, and goes on once that sleeps or has returned, as packetdrill does. The call returns its
/// result and the time at which it returned.
fn call<T: Send + 'static>(
    library: Library,
    call: impl FnOnce(&Library) -> T + Send + 'static,
) -> thread::JoinHandle<(T, i64)> {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        // SAFETY: no pointers.
        tell.send(unsafe { libc::gettid() }).unwrap();
        let result = call(&library);
        (result, library.time())
    });
    let id = told.recv().unwrap();
    let is_running = || {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('S'))
    };
    while !thread.is_finished() && is_running() {
        thread::yield_now();
    }
    thread
}

#[test]
fn the_clock_moves_by_a_microsecond_when_it_is_read() {
    let library = Library::load();
    let first = library.time();
    assert_eq!(library.time(), first + 1);
    library.sleep(1000);
    assert_eq!(library.time(), first + 1002);
    library.free();
}

#[test]
fn a_handshake_and_a_retransmission_time_out() {
    let library = Library::load();
    let listener = library.listening();
    assert_eq!(library.accept(listener).0, -1, "nobody has come, and the main thread does not wait");
    library.send(SYN, 0, 0, 0);
    let answer = library.receive().unwrap();
    library.sleep(100_000);
    library.send(ACK, 1, answer.seq + 1, 0);
    let (fd, port) = library.accept(listener);
    assert!(fd > 0 && port == PEER_PORT);
    let before = library.time();
    assert_eq!(library.write(fd, 1000), 1000);
    let sent = library.receive().unwrap();
    assert_eq!((sent.flags, sent.seq, sent.length), (PSH | ACK, answer.seq + 1, 1000));
    assert!((0..10).contains(&(sent.at - before)));
    // SRTT is 100 ms and RTTVAR 50 ms.
    let again = library.receive().unwrap();
    assert_eq!((again.seq, again.length), (sent.seq, 1000));
    assert!((300_000..303_000).contains(&(again.at - sent.at)), "{again:?} after {sent:?}");
    library.free();
}

#[test]
fn calls_that_wait_end_when_their_condition_holds() {
    for _ in 0..30 {
        let library = Library::load();
        let listener = library.listening();
        let accepting = call(library, move |library| library.accept(listener).0);
        library.sleep(100_000);
        let iss = library.handshake();
        let established = library.time();
        library.sleep(50_000);
        let (fd, at) = accepting.join().unwrap();
        assert!(fd > 0);
        assert!((at - established).abs() < 10, "{at} {established}");

        let reading = call(library, move |library| library.read(fd, 2000));
        library.sleep(100_000);
        let before = library.time();
        library.send(PSH | ACK, 1, iss + 1, 1500);
        library.sleep(100_000);
        let (octets, at) = reading.join().unwrap();
        assert_eq!(octets, 1500);
        assert!((at - before).abs() < 10, "{at} {before}");
        let answer = library.receive().unwrap();
        assert_eq!((answer.flags, answer.ack, answer.at / 10), (ACK, 1501, before / 10), "{answer:?}");
        library.free();
    }
}

#[test]
fn closing() {
    let library = Library::load();
    let listener = library.listening();
    let iss = library.handshake();
    let (fd, _) = library.accept(listener);
    assert_eq!(library.close(fd), 0);
    let fin = library.receive().unwrap();
    assert_eq!((fin.flags, fin.seq), (FIN | ACK, iss + 1));
    library.send(FIN | ACK, 1, iss + 2, 0);
    let last = library.receive().unwrap();
    assert_eq!((last.flags, last.ack), (ACK, 2));
    library.send(RST, 2, 0, 0);
    assert!(library.receive().is_none(), "nothing is left to send");
    assert_eq!(library.close(fd), -1);
    // SAFETY: the thread's own errno.
    assert_eq!(unsafe { *libc::__errno_location() }, libc::EBADF);
    library.free();
}
