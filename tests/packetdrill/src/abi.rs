//! packetdrill's interface in C types.
//!
//! Responsible for turning pointers into slices and results into `errno`, and for nothing else. All unsafe code of the
//! library is here. The one promise that everything rests on: packetdrill passes buffers as POSIX wants them for the call of
//! the same name, or a null pointer. A panic ends the process with its message, as it must not cross into C.
#![expect(unsafe_code, reason = "a C interface")]

use std::ffi::{CStr, c_char, c_int, c_long, c_longlong, c_short, c_uint, c_ulong, c_void};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{mem, ptr, slice};

use libc::{iovec, msghdr, nfds_t, pollfd, size_t, sockaddr, socklen_t, ssize_t, timeval};

use crate::flags::Flags;
use crate::interface::{Interface, UserData};
use crate::library::Library;
use crate::sockets::{Errno, Sockets};

/// The library of the last [`packetdrill_interface_init`]: for [`getsockopt`], which has no `userdata`.
static CURRENT: Mutex<Weak<Library>> = Mutex::new(Weak::new());

/// Fills in the interface. Called once a process by packetdrill; more often by tests.
///
/// # Safety
/// `flags` is null or a C string; `interface` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(flags: *const c_char, interface: *mut Interface) {
    let text = if flags.is_null() {
        String::new()
    } else {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(flags) }.to_string_lossy().into_owned()
    };
    let library = Arc::new(Library::new(Flags::parse(&text)));
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&library);
    let filled = Interface {
        userdata: Arc::into_raw(library).cast_mut().cast(),
        free,
        socket,
        bind,
        listen,
        accept,
        connect,
        read,
        readv,
        recv,
        recvfrom,
        recvmsg,
        write,
        writev,
        send,
        sendto,
        sendmsg,
        fcntl,
        ioctl,
        close,
        shutdown,
        getsockopt: get_option,
        setsockopt: set_option,
        poll,
        netdev_send,
        netdev_receive,
        usleep,
        gettimeofday,
        epoll_create,
        epoll_ctl,
        epoll_wait,
        pipe,
        splice,
    };
    // SAFETY: the caller's promise.
    unsafe { interface.write(filled) };
}

/// `getsockopt(2)` itself: a script's assertions on `tcpi_...` ask the kernel. With this library in `LD_PRELOAD` they get its
/// answer; every descriptor that is not one of ours goes to the kernel.
///
/// # Safety
/// As POSIX has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    match current.filter(|library| library.call(|sockets| sockets.get(fd).is_ok())) {
        // SAFETY: the pointers are the caller's; the library lives as long as `library`.
        Some(library) => unsafe { get_option(Arc::as_ptr(&library).cast_mut().cast(), fd, level, name, value, length) },
        // SAFETY: the caller's arguments go on as they are.
        None => unsafe { libc::syscall(libc::SYS_getsockopt, fd, level, name, value, length) as c_int },
    }
}

/// The library behind `userdata`.
///
/// # Safety
/// `userdata` comes from [`packetdrill_interface_init`], and `free` has not been called.
unsafe fn library<'a>(userdata: UserData) -> &'a Library {
    // SAFETY: `packetdrill_interface_init` has made it from an `Arc<Library>` that only `free` gives up.
    unsafe { &*userdata.cast_const().cast::<Library>() }
}

/// -1 and `errno`.
fn failure(errno: Errno) -> c_int {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}

fn done(result: Result<c_int, Errno>) -> c_int {
    result.unwrap_or_else(failure)
}

fn count(result: Result<usize, Errno>) -> ssize_t {
    match result {
        Ok(count) => ssize_t::try_from(count).unwrap_or(ssize_t::MAX),
        Err(errno) => failure(errno) as ssize_t,
    }
}

/// A buffer that the caller has filled.
///
/// # Safety
/// `buffer` is null or has `length` octets.
unsafe fn filled<'a>(buffer: *const c_void, length: size_t) -> Result<&'a [u8], Errno> {
    if length == 0 {
        return Ok(&[]);
    }
    if buffer.is_null() {
        return Err(libc::EFAULT);
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { slice::from_raw_parts(buffer.cast(), length) })
}

/// The address in a `sockaddr`.
///
/// # Safety
/// `address` is null or has `length` octets.
unsafe fn read_address(address: *const sockaddr, length: socklen_t) -> Result<SocketAddr, Errno> {
    // SAFETY: the caller's promise.
    let octets = unsafe { filled(address.cast(), length as usize) }?;
    let family = octets.first_chunk().map(|octets| c_int::from(u16::from_ne_bytes(*octets))).ok_or(libc::EINVAL)?;
    let port = octets.get(2..4).and_then(<[u8]>::first_chunk).map(|octets| u16::from_be_bytes(*octets));
    let ip = match family {
        libc::AF_INET => octets.get(4..).and_then(<[u8]>::first_chunk::<4>).map(|ip| Ipv4Addr::from(*ip).into()),
        libc::AF_INET6 => octets.get(8..).and_then(<[u8]>::first_chunk::<16>).map(|ip| Ipv6Addr::from(*ip).into()),
        _ => return Err(libc::EAFNOSUPPORT),
    };
    Ok(SocketAddr::new(ip.ok_or(libc::EINVAL)?, port.ok_or(libc::EINVAL)?))
}

/// Writes a `sockaddr` of at most `*length` octets, and its whole length.
///
/// # Safety
/// `address` is null or has `*length` octets; `length` is null or may be read and written.
unsafe fn write_address(from: SocketAddr, address: *mut sockaddr, length: *mut socklen_t) {
    if address.is_null() || length.is_null() {
        return;
    }
    let mut octets = Vec::with_capacity(28);
    match from {
        SocketAddr::V4(from) => {
            octets.extend((libc::AF_INET as u16).to_ne_bytes());
            octets.extend(from.port().to_be_bytes());
            octets.extend(from.ip().octets());
            octets.extend([0; 8]);
        }
        SocketAddr::V6(from) => {
            octets.extend((libc::AF_INET6 as u16).to_ne_bytes());
            octets.extend(from.port().to_be_bytes());
            octets.extend([0; 4]);
            octets.extend(from.ip().octets());
            octets.extend([0; 4]);
        }
    }
    // SAFETY: the caller's promise; no more than `*length` octets are written.
    unsafe {
        let fits = octets.len().min(*length as usize);
        ptr::copy_nonoverlapping(octets.as_ptr(), address.cast(), fits);
        *length = octets.len() as socklen_t;
    }
}

/// The parts of an `iovec` array.
///
/// # Safety
/// `parts` is null or has `count` elements.
unsafe fn parts<'a>(parts: *const iovec, count: usize) -> Result<&'a [iovec], Errno> {
    match (count, parts.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(libc::EFAULT),
        // SAFETY: the caller's promise.
        _ => Ok(unsafe { slice::from_raw_parts(parts, count) }),
    }
}

/// Reads into `parts`, which may wait.
///
/// # Safety
/// `userdata` is ours; each part has as many octets as it says.
unsafe fn receive(userdata: UserData, fd: c_int, parts: &[iovec], flags: c_int) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    let library = unsafe { library(userdata) };
    let length = parts.iter().map(|part| part.iov_len).sum();
    if parts.iter().any(|part| part.iov_base.is_null() && part.iov_len > 0) {
        return Err(libc::EFAULT);
    }
    let may_wait = library.waits(fd) && flags & libc::MSG_DONTWAIT == 0;
    let octets = library
        .wait(may_wait, None, &[(fd, libc::POLLIN)], |sockets| sockets.read(fd, length, flags & libc::MSG_PEEK != 0))?;
    let mut rest = &octets[..];
    for part in parts {
        let (now, later) = rest.split_at(rest.len().min(part.iov_len));
        // SAFETY: the caller's promise; `now` is no longer than the part.
        unsafe { ptr::copy_nonoverlapping(now.as_ptr(), part.iov_base.cast(), now.len()) };
        rest = later;
    }
    Ok(octets.len())
}

/// Writes all of `parts`, which may wait.
///
/// # Safety
/// `userdata` is ours; each part has as many octets as it says.
unsafe fn transmit(userdata: UserData, fd: c_int, parts: &[iovec], flags: c_int) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    let library = unsafe { library(userdata) };
    let mut octets = Vec::new();
    for part in parts {
        // SAFETY: the caller's promise.
        octets.extend_from_slice(unsafe { filled(part.iov_base, part.iov_len) }?);
    }
    let may_wait = library.waits(fd) && flags & libc::MSG_DONTWAIT == 0;
    let mut written = 0;
    let result = library.wait(may_wait, None, &[(fd, libc::POLLOUT)], |sockets| {
        sockets.write_all(fd, &octets, &mut written, flags & libc::MSG_MORE != 0)
    });
    match result {
        Err(_) if written > 0 => Ok(written),
        other => other.map(|()| written),
    }
}

unsafe extern "C" fn free(userdata: UserData) {
    // SAFETY: `userdata` comes from `Arc::into_raw`, and this is its last use.
    let library = unsafe { Arc::from_raw(userdata.cast_const().cast::<Library>()) };
    library.call(Sockets::forget);
}

unsafe extern "C" fn socket(userdata: UserData, domain: c_int, kind: c_int, _protocol: c_int) -> c_int {
    // SAFETY: `userdata` is ours.
    done(unsafe { library(userdata) }.call(|sockets| sockets.socket(domain, kind)))
}

unsafe extern "C" fn bind(userdata: UserData, fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    // SAFETY: `userdata` is ours, the address the caller's.
    let (library, address) = unsafe { (library(userdata), read_address(address, length)) };
    done(address.and_then(|address| library.call(|sockets| sockets.bind(fd, address))).map(|()| 0))
}

unsafe extern "C" fn listen(userdata: UserData, fd: c_int, backlog: c_int) -> c_int {
    // SAFETY: `userdata` is ours.
    done(unsafe { library(userdata) }.call(|sockets| sockets.listen(fd, backlog)).map(|()| 0))
}

unsafe extern "C" fn accept(userdata: UserData, fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: `userdata` is ours.
    let library = unsafe { library(userdata) };
    let accepted = library.wait(library.waits(fd), None, &[(fd, libc::POLLIN)], |sockets| sockets.accept(fd));
    done(accepted.map(|(fd, remote)| {
        // SAFETY: the pointers are the caller's.
        unsafe { write_address(remote, address, length) };
        fd
    }))
}

unsafe extern "C" fn connect(userdata: UserData, fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    // SAFETY: `userdata` is ours, the address the caller's.
    let (library, address) = unsafe { (library(userdata), read_address(address, length)) };
    let waits = library.waits(fd);
    let mut begun = false;
    let connected = address.and_then(|address| {
        library.wait(waits, None, &[(fd, libc::POLLOUT)], |sockets| {
            if !mem::replace(&mut begun, true) {
                sockets.connect(fd, address)?;
            }
            sockets.connected(fd)
        })
    });
    done(match connected {
        Err(libc::EAGAIN) => Err(libc::EINPROGRESS),
        other => other.map(|()| 0),
    })
}

unsafe extern "C" fn read(userdata: UserData, fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's buffer.
    unsafe { recv(userdata, fd, buffer, length, 0) }
}

unsafe extern "C" fn readv(userdata: UserData, fd: c_int, vector: *const iovec, length: c_int) -> ssize_t {
    // SAFETY: the caller's buffers.
    count(unsafe {
        parts(vector, usize::try_from(length).unwrap_or(0)).and_then(|parts| receive(userdata, fd, parts, 0))
    })
}

unsafe extern "C" fn recv(userdata: UserData, fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller's buffer.
    count(unsafe { receive(userdata, fd, &[iovec { iov_base: buffer, iov_len: length }], flags) })
}

unsafe extern "C" fn recvfrom(
    userdata: UserData,
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    flags: c_int,
    _address: *mut sockaddr,
    _address_length: *mut socklen_t,
) -> ssize_t {
    // SAFETY: the caller's buffer. A connected socket leaves the address alone.
    unsafe { recv(userdata, fd, buffer, length, flags) }
}

unsafe extern "C" fn recvmsg(userdata: UserData, fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    if message.is_null() {
        return failure(libc::EFAULT) as ssize_t;
    }
    // SAFETY: the caller's message, which is not null.
    let message = unsafe { &mut *message };
    // SAFETY: the caller's buffers.
    let received =
        unsafe { parts(message.msg_iov, message.msg_iovlen).and_then(|parts| receive(userdata, fd, parts, flags)) };
    message.msg_flags = 0;
    let room = mem::replace(&mut message.msg_controllen, 0);
    // SAFETY: `userdata` is ours.
    let queue = unsafe { library(userdata) }.call(|sockets| sockets.queue_to_tell(fd));
    if let (Ok(_), Some(queue)) = (&received, queue) {
        const TCP_CM_INQ: c_int = 36;
        // SAFETY: only computes a length.
        let space = unsafe { libc::CMSG_SPACE(mem::size_of::<c_int>() as c_uint) } as usize;
        if !message.msg_control.is_null() && room >= space {
            message.msg_controllen = space;
            // SAFETY: the control buffer has `space` octets.
            unsafe {
                let header = libc::CMSG_FIRSTHDR(message);
                (*header).cmsg_level = libc::IPPROTO_TCP;
                (*header).cmsg_type = TCP_CM_INQ;
                (*header).cmsg_len = libc::CMSG_LEN(mem::size_of::<c_int>() as c_uint) as _;
                libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(queue);
            }
        }
    }
    count(received)
}

unsafe extern "C" fn write(userdata: UserData, fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's buffer.
    unsafe { send(userdata, fd, buffer, length, 0) }
}

unsafe extern "C" fn writev(userdata: UserData, fd: c_int, vector: *const iovec, length: c_int) -> ssize_t {
    // SAFETY: the caller's buffers.
    count(unsafe {
        parts(vector, usize::try_from(length).unwrap_or(0)).and_then(|parts| transmit(userdata, fd, parts, 0))
    })
}

unsafe extern "C" fn send(
    userdata: UserData,
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller's buffer, which is only read.
    count(unsafe { transmit(userdata, fd, &[iovec { iov_base: buffer.cast_mut(), iov_len: length }], flags) })
}

unsafe extern "C" fn sendto(
    userdata: UserData,
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
    _address: *const sockaddr,
    _address_length: socklen_t,
) -> ssize_t {
    // Without Fast Open an address makes no difference.
    // SAFETY: the caller's buffer.
    unsafe { send(userdata, fd, buffer, length, flags) }
}

unsafe extern "C" fn sendmsg(userdata: UserData, fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    if message.is_null() {
        return failure(libc::EFAULT) as ssize_t;
    }
    // SAFETY: the caller's message and buffers.
    count(unsafe {
        parts((*message).msg_iov, (*message).msg_iovlen).and_then(|parts| transmit(userdata, fd, parts, flags))
    })
}

unsafe extern "C" fn fcntl(userdata: UserData, fd: c_int, command: c_int, argument: c_long) -> c_int {
    // SAFETY: `userdata` is ours.
    done(unsafe { library(userdata) }.call(|sockets| {
        let socket = sockets.get(fd)?;
        match command {
            libc::F_GETFL => Ok(libc::O_RDWR | if socket.nonblocking { libc::O_NONBLOCK } else { 0 }),
            libc::F_SETFL => {
                socket.nonblocking = argument & c_long::from(libc::O_NONBLOCK) != 0;
                Ok(0)
            }
            libc::F_GETFD | libc::F_SETFD => Ok(0),
            _ => Err(libc::EINVAL),
        }
    }))
}

unsafe extern "C" fn ioctl(userdata: UserData, fd: c_int, request: c_ulong, argument: *mut c_int) -> c_int {
    // SAFETY: `userdata` is ours.
    let number = unsafe { library(userdata) }.call(|sockets| match request {
        libc::FIONREAD => sockets.readable(fd).map(|(octets, _)| octets),
        libc::TIOCOUTQ => sockets.unacknowledged(fd),
        _ => Err(libc::ENOTTY),
    });
    done(number.and_then(|number| {
        if argument.is_null() {
            return Err(libc::EFAULT);
        }
        // SAFETY: both requests have an integer for their answer.
        unsafe { argument.write(c_int::try_from(number).unwrap_or(c_int::MAX)) };
        Ok(0)
    }))
}

unsafe extern "C" fn close(userdata: UserData, fd: c_int) -> c_int {
    // SAFETY: `userdata` is ours.
    done(unsafe { library(userdata) }.call(|sockets| sockets.close(fd)).map(|()| 0))
}

unsafe extern "C" fn shutdown(userdata: UserData, fd: c_int, how: c_int) -> c_int {
    // SAFETY: `userdata` is ours.
    done(unsafe { library(userdata) }.call(|sockets| sockets.shutdown(fd, how)).map(|()| 0))
}

unsafe extern "C" fn get_option(
    userdata: UserData,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    if value.is_null() || length.is_null() {
        return failure(libc::EFAULT);
    }
    // SAFETY: `userdata` is ours.
    let option = unsafe { library(userdata) }.call(|sockets| sockets.option(fd, level, name));
    done(option.map(|octets| {
        // SAFETY: the caller's buffer has `*length` octets, and no more are written.
        unsafe {
            let fits = octets.len().min(*length as usize);
            ptr::copy_nonoverlapping(octets.as_ptr(), value.cast(), fits);
            *length = fits as socklen_t;
        }
        0
    }))
}

unsafe extern "C" fn set_option(
    userdata: UserData,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    // SAFETY: `userdata` is ours, the value the caller's.
    let (library, value) = unsafe { (library(userdata), filled(value, length as usize)) };
    done(value.and_then(|value| library.call(|sockets| sockets.set_option(fd, level, name, value))).map(|()| 0))
}

unsafe extern "C" fn poll(userdata: UserData, entries: *mut pollfd, number: nfds_t, timeout: c_int) -> c_int {
    if entries.is_null() {
        return failure(libc::EFAULT);
    }
    // SAFETY: `userdata` is ours, and the entries are the caller's.
    let (library, entries) = unsafe { (library(userdata), slice::from_raw_parts_mut(entries, number as usize)) };
    let wants: Vec<(c_int, c_short)> = entries.iter().map(|entry| (entry.fd, entry.events)).collect();
    let timeout = u64::try_from(timeout).ok().map(Duration::from_millis);
    let ready = library.wait(timeout != Some(Duration::ZERO), timeout, &wants, |sockets| {
        for entry in &mut *entries {
            let always = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
            entry.revents = sockets.readiness(entry.fd) & (entry.events | always);
        }
        match entries.iter().filter(|entry| entry.revents != 0).count() {
            0 => std::task::Poll::Pending,
            count => std::task::Poll::Ready(Ok(count as c_int)),
        }
    });
    done(match ready {
        Err(libc::EAGAIN) => Ok(0),
        other => other,
    })
}

unsafe extern "C" fn netdev_send(userdata: UserData, packet: *const c_void, length: size_t) -> c_int {
    // SAFETY: `userdata` is ours, the packet the caller's.
    let (library, packet) = unsafe { (library(userdata), filled(packet, length)) };
    done(packet.map(|packet| {
        library.call(|sockets| sockets.machine.receive(packet));
        0
    }))
}

unsafe extern "C" fn netdev_receive(
    userdata: UserData,
    buffer: *mut c_void,
    length: *mut size_t,
    time: *mut c_longlong,
) -> c_int {
    // SAFETY: `userdata` is ours.
    let (at, packet) = unsafe { library(userdata) }.next_packet().unwrap_or_default();
    // SAFETY: the buffer has `*length` octets, and no more are written.
    unsafe {
        let fits = packet.len().min(*length);
        ptr::copy_nonoverlapping(packet.as_ptr(), buffer.cast(), fits);
        *length = fits;
        *time = at as c_longlong;
    }
    0
}

unsafe extern "C" fn usleep(userdata: UserData, microseconds: c_uint) -> c_int {
    // SAFETY: `userdata` is ours.
    unsafe { library(userdata) }.sleep(Duration::from_micros(u64::from(microseconds)));
    0
}

unsafe extern "C" fn gettimeofday(userdata: UserData, time: *mut timeval, _zone: *mut c_void) -> c_int {
    // SAFETY: `userdata` is ours.
    let now = unsafe { library(userdata) }.time();
    if !time.is_null() {
        let (seconds, microseconds) = (now / 1_000_000, now % 1_000_000);
        // SAFETY: the caller's, and not null.
        unsafe { time.write(timeval { tv_sec: seconds as _, tv_usec: microseconds as _ }) };
    }
    0
}

unsafe extern "C" fn epoll_create(_userdata: UserData, _size: c_int) -> c_int {
    failure(libc::ENOSYS)
}

unsafe extern "C" fn epoll_ctl(_: UserData, _: c_int, _: c_int, _: c_int, _: *mut c_void) -> c_int {
    failure(libc::ENOSYS)
}

unsafe extern "C" fn epoll_wait(_: UserData, _: c_int, _: *mut c_void, _: c_int, _: c_int) -> c_int {
    failure(libc::ENOSYS)
}

unsafe extern "C" fn pipe(_: UserData, _: *mut c_int) -> c_int {
    failure(libc::ENOSYS)
}

unsafe extern "C" fn splice(
    _: UserData,
    _: c_int,
    _: *mut c_void,
    _: c_int,
    _: *mut c_void,
    _: size_t,
    _: c_uint,
) -> ssize_t {
    failure(libc::ENOSYS) as ssize_t
}
