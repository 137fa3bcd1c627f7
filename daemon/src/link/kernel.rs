//! The few kernel calls for which no safe interface exists.
//!
//! Responsible for the daemon's `unsafe` code: all of it is in this file, each piece as small as it can be and with the
//! reason why it is sound. Not for any decision about what to call or what to do when a call fails.

#![expect(
    unsafe_code,
    reason = "a raw descriptor, the TAP's ioctls and a step between fork and exec have no safe form"
)]

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::ioctl::{IntegerSetter, Opcode, Setter, ioctl, opcode};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// `TUNSETOFFLOAD`: its argument is the mask itself, although its number says that it takes a pointer.
const SET_OFFLOAD: Opcode = opcode::write::<c_uint>(b'T', 208);
/// `TUNSETVNETHDRSZ`: its argument points to the length.
const SET_HEADER_LENGTH: Opcode = opcode::write::<c_int>(b'T', 216);

/// The descriptor of an open device, which the `tun` crate gives as a bare number only.
pub(super) fn descriptor(device: &tun::Device) -> BorrowedFd<'_> {
    // SAFETY: the device owns its descriptor, which is open (not -1) and stays so while the device lives. The result
    // borrows the device, so it cannot outlive it.
    unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) }
}

/// Sets the octets of the virtio-net header before each frame.
pub(super) fn set_header_length(device: &tun::Device, length: c_int) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads one `int` through the pointer, which `Setter` gives it, and keeps nothing.
    unsafe { ioctl(descriptor(device), Setter::<SET_HEADER_LENGTH, c_int>::new(length)) }.map_err(io::Error::from)
}

/// Sets what the kernel may leave undone in the frames that it hands out: `TUN_F_…` bits.
pub(super) fn set_offload(device: &tun::Device, mask: c_uint) -> io::Result<()> {
    let mask = usize::try_from(mask).map_err(io::Error::other)?;
    // SAFETY: TUNSETOFFLOAD takes its argument as a number and reads no memory; it refuses bits that it does not know.
    unsafe { ioctl(descriptor(device), IntegerSetter::<SET_OFFLOAD>::new_usize(mask)) }.map_err(io::Error::from)
}

/// Makes the kernel kill the process that `command` starts when the thread that starts it ends, however that comes.
pub(crate) fn kill_with_parent(command: &mut Command) {
    let parent = getpid();
    let step = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have gone between the fork and the line above: then no signal comes any more.
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe things may be done. The step makes two system calls and
    // compares two numbers; it takes no lock and allocates nothing (an `io::Error` from a code is not boxed).
    unsafe { command.pre_exec(step) };
}
