//! `struct packetdrill_interface`: the table of calls.
//!
//! Responsible for its layout, and for nothing that they do.

use std::ffi::{c_int, c_long, c_longlong, c_uint, c_ulong, c_void};

use libc::{iovec, msghdr, nfds_t, pollfd, size_t, sockaddr, socklen_t, ssize_t, timeval};

/// What `packetdrill_interface_init` has left for the calls.
pub type UserData = *mut c_void;

/// `struct packetdrill_interface`: what the library provides, in packetdrill's order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each member is the call of that name")]
pub struct Interface {
    pub userdata: UserData,
    pub free: unsafe extern "C" fn(UserData),
    pub socket: unsafe extern "C" fn(UserData, c_int, c_int, c_int) -> c_int,
    pub bind: unsafe extern "C" fn(UserData, c_int, *const sockaddr, socklen_t) -> c_int,
    pub listen: unsafe extern "C" fn(UserData, c_int, c_int) -> c_int,
    pub accept: unsafe extern "C" fn(UserData, c_int, *mut sockaddr, *mut socklen_t) -> c_int,
    pub connect: unsafe extern "C" fn(UserData, c_int, *const sockaddr, socklen_t) -> c_int,
    pub read: unsafe extern "C" fn(UserData, c_int, *mut c_void, size_t) -> ssize_t,
    pub readv: unsafe extern "C" fn(UserData, c_int, *const iovec, c_int) -> ssize_t,
    pub recv: unsafe extern "C" fn(UserData, c_int, *mut c_void, size_t, c_int) -> ssize_t,
    pub recvfrom:
        unsafe extern "C" fn(UserData, c_int, *mut c_void, size_t, c_int, *mut sockaddr, *mut socklen_t) -> ssize_t,
    pub recvmsg: unsafe extern "C" fn(UserData, c_int, *mut msghdr, c_int) -> ssize_t,
    pub write: unsafe extern "C" fn(UserData, c_int, *const c_void, size_t) -> ssize_t,
    pub writev: unsafe extern "C" fn(UserData, c_int, *const iovec, c_int) -> ssize_t,
    pub send: unsafe extern "C" fn(UserData, c_int, *const c_void, size_t, c_int) -> ssize_t,
    pub sendto:
        unsafe extern "C" fn(UserData, c_int, *const c_void, size_t, c_int, *const sockaddr, socklen_t) -> ssize_t,
    pub sendmsg: unsafe extern "C" fn(UserData, c_int, *const msghdr, c_int) -> ssize_t,
    /// Variadic in C; the further argument, if any, is a word in the next register.
    pub fcntl: unsafe extern "C" fn(UserData, c_int, c_int, c_long) -> c_int,
    /// Variadic in C, likewise.
    pub ioctl: unsafe extern "C" fn(UserData, c_int, c_ulong, *mut c_int) -> c_int,
    pub close: unsafe extern "C" fn(UserData, c_int) -> c_int,
    pub shutdown: unsafe extern "C" fn(UserData, c_int, c_int) -> c_int,
    pub getsockopt: unsafe extern "C" fn(UserData, c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int,
    pub setsockopt: unsafe extern "C" fn(UserData, c_int, c_int, c_int, *const c_void, socklen_t) -> c_int,
    pub poll: unsafe extern "C" fn(UserData, *mut pollfd, nfds_t, c_int) -> c_int,
    pub netdev_send: unsafe extern "C" fn(UserData, *const c_void, size_t) -> c_int,
    pub netdev_receive: unsafe extern "C" fn(UserData, *mut c_void, *mut size_t, *mut c_longlong) -> c_int,
    pub usleep: unsafe extern "C" fn(UserData, c_uint) -> c_int,
    pub gettimeofday: unsafe extern "C" fn(UserData, *mut timeval, *mut c_void) -> c_int,
    pub epoll_create: unsafe extern "C" fn(UserData, c_int) -> c_int,
    pub epoll_ctl: unsafe extern "C" fn(UserData, c_int, c_int, c_int, *mut c_void) -> c_int,
    pub epoll_wait: unsafe extern "C" fn(UserData, c_int, *mut c_void, c_int, c_int) -> c_int,
    pub pipe: unsafe extern "C" fn(UserData, *mut c_int) -> c_int,
    pub splice: unsafe extern "C" fn(UserData, c_int, *mut c_void, c_int, *mut c_void, size_t, c_uint) -> ssize_t,
}
