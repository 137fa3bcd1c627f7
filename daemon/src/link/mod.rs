//! The physical layer: the TAP device, and the host's end of the wire.
//!
//! Responsible for opening the device, for moving frames across the border to the kernel with their virtio-net header,
//! and for configuring the host's end when the daemon is asked to. Not for what is in a frame, which is the stack's, nor
//! for when to read and write, which is the event loop's. The daemon's `unsafe` code is all in `kernel`.

mod header;
pub mod host;
pub(crate) mod kernel;
mod netlink;
mod open_error;
mod tap;

pub use host::{HostEnd, HostError, InterfaceAddress};
pub use netlink::LinkKind;
pub use open_error::{Holder, OpenError};
pub use tap::{Counters, Features, ReceiveBuffer, Settings, Tap};
