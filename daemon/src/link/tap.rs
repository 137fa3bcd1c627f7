//! The TAP device: one end of an Ethernet segment, as a file descriptor.
//!
//! Responsible for opening it through the `tun` crate, for its offloads, and for one system call per frame each way.
//! The host's kernel has the other end, as a network interface. Not for that interface's addresses (see `host`), nor for
//! the header's octets (see `header`).

use std::ffi::{c_int, c_uint};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::{Errno, retry_on_intr};
use tapster_stack::{DeviceFull, FrameSink, Offload, ReceivedFrame};

use super::open_error::OpenError;
use super::{header, kernel};

/// An Ethernet header with an 802.1Q tag: the most that stands before a network packet.
const ETHERNET_HEADER_MAX: usize = 18;
/// An Ethernet header, without which a frame is none.
const ETHERNET_HEADER: usize = 14;
/// A frame around the largest IP packet. The kernel hands out such a frame whatever the MTU when it may leave the
/// cutting to us, and a short buffer would cut it silently.
const FRAME_MAX: usize = 65_535 + ETHERNET_HEADER_MAX;
/// Pieces that go to the kernel without being gathered first: header, the frame's headers, and payload.
const PIECES: usize = 16;

/// `TUN_F_CSUM`: checksums may be partial. Each of the others needs it.
const CHECKSUM: c_uint = 0x01;
/// `TUN_F_TSO4`, `TUN_F_TSO6`: TCP segments may be uncut.
const TCP_SEGMENTATION: c_uint = 0x02 | 0x04;
/// `TUN_F_TSO_ECN`: also those with CWR set.
const TCP_ECN: c_uint = 0x08;
/// `TUN_F_USO4`, `TUN_F_USO6`: UDP datagrams may be uncut (Linux 6.2; the kernel wants both or none).
const UDP_SEGMENTATION: c_uint = 0x20 | 0x40;
/// The masks to try, best first: a kernel refuses one with a bit that it does not know. The newer tunnel bits (0x80,
/// 0x100) are left out: a kernel that knows them would want a longer header than ours and fail every read.
const MASKS: [c_uint; 4] = [
    CHECKSUM | TCP_SEGMENTATION | TCP_ECN | UDP_SEGMENTATION,
    CHECKSUM | TCP_SEGMENTATION | TCP_ECN,
    CHECKSUM | TCP_SEGMENTATION,
    CHECKSUM,
];

/// What to open, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The interface's name on the host: 1 to 15 octets.
    pub name: String,
    /// The largest network packet, in octets. The interface on the host has its own, which `host` can set.
    pub mtu: u16,
    /// Whether frames carry a virtio-net header, so that checksums and segmentation are left to the receiving end.
    /// Without it the frames have no header, and each is complete: the kernel fills in checksums and cuts segments
    /// before it hands a frame out, and cannot be asked to do so for a frame that it takes.
    pub offload: bool,
}

/// What the open device offers. The kernel's answer, not the configuration's wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Frames sent may leave their transport checksum partial, and received ones may have it so.
    pub checksum: bool,
    /// Frames sent and received may be TCP segments of up to 64 KiB, to be cut by the other end.
    pub tcp_segmentation: bool,
    /// The same for UDP. A kernel before 6.2 refuses such frames.
    pub udp_segmentation: bool,
}

/// What has crossed the link since it was opened, and what has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that the kernel took.
    pub frames_sent: u64,
    /// Octets in them, from the destination address on.
    pub octets_sent: u64,
    /// Frames more that there would have been without segmentation offload.
    pub segments_saved: u64,
    /// Frames that the kernel refused, for instance while the interface was down. They are lost, as on a wire.
    pub send_errors: u64,
    /// How often the kernel could not take a frame, which was kept then.
    pub full: u64,
    /// Frames read.
    pub frames_received: u64,
    /// Octets in them, from the destination address on.
    pub octets_received: u64,
    /// Reads that were too short to hold an Ethernet header. They were passed over.
    pub short_reads: u64,
    /// Reads that failed.
    pub receive_errors: u64,
}

/// Room for one received frame and its header. Apart from the [`Tap`], so that frames can be sent while it is lent.
#[derive(Debug)]
pub struct ReceiveBuffer(Box<[u8]>);

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self(vec![0; header::LENGTH + FRAME_MAX].into_boxed_slice())
    }
}

impl ReceiveBuffer {
    /// Keeps a frame that came earlier, cut to the largest that there is.
    pub(crate) fn hold(&mut self, octets: &[u8]) -> &[u8] {
        let length = octets.len().min(FRAME_MAX);
        let place = &mut self.0[..length];
        place.copy_from_slice(&octets[..length]);
        place
    }
}

/// An open TAP device. When it is dropped the interface goes too, unless it was made persistent by somebody else.
pub struct Tap {
    device: tun::Device,
    name: String,
    features: Features,
    /// Octets before each frame: 12 with offload, else none.
    header_length: usize,
    counters: Counters,
    /// Where a payload in very many pieces is gathered. Empty until there is one.
    gathered: Vec<u8>,
}

impl Tap {
    /// Attaches to the TAP interface of that name, or creates it when there is none, and makes it non-blocking.
    ///
    /// An interface that exists is used as it is: its owner needs no privilege. To create one takes CAP_NET_ADMIN.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let Settings { name, mtu, offload } = settings;
        OpenError::check_name(name)?;
        let mut configuration = tun::Configuration::default();
        configuration.tun_name(name).layer(tun::Layer::L2).mtu(*mtu).platform_config(|platform| {
            // Without this the crate would set addresses and state itself, and fail where an interface is only used.
            platform.ensure_root_privileges(false).vnet_hdr(*offload);
        });
        let device = tun::create(&configuration).map_err(|error| OpenError::explain(name, error.into()))?;
        let prepare = || {
            device.set_nonblock()?;
            if *offload { Self::enable_offload(&device) } else { Self::disable_offload(&device) }
        };
        let features =
            prepare().map_err(|source| OpenError::Unusable { name: name.clone(), doing: "preparing", source })?;
        tracing::debug!(name, ?features, "TAP open");
        Ok(Self {
            device,
            name: name.clone(),
            features,
            header_length: if *offload { header::LENGTH } else { 0 },
            counters: Counters::default(),
            gathered: Vec::new(),
        })
    }

    /// The best mask that the kernel accepts. The header's length and the mask belong to the interface and outlive
    /// whoever set them, so both are always set.
    fn enable_offload(device: &tun::Device) -> io::Result<Features> {
        kernel::set_header_length(device, header::LENGTH as c_int)?;
        for mask in MASKS {
            match kernel::set_offload(device, mask) {
                Ok(()) => {
                    return Ok(Features {
                        checksum: true,
                        tcp_segmentation: mask & TCP_SEGMENTATION != 0,
                        udp_segmentation: mask & UDP_SEGMENTATION != 0,
                    });
                }
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
        Self::disable_offload(device)
    }

    /// Every frame is to come complete. A mask that an earlier reader left would have us read segments of 64 KiB with
    /// nothing to tell them by.
    fn disable_offload(device: &tun::Device) -> io::Result<Features> {
        kernel::set_offload(device, 0)?;
        Ok(Features::default())
    }

    /// Switches the offloads off, so that each frame is complete and stands for one packet, or on again as far as the
    /// device was opened with them. Frames that are on their way already may still be uncut.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_offload(&mut self, on: bool) -> io::Result<()> {
        if self.header_length > 0 {
            self.features = if on { Self::enable_offload(&self.device) } else { Self::disable_offload(&self.device) }?;
        }
        Ok(())
    }

    /// The interface's name on the host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the device offers.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// What has crossed the link so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Begins to count anew.
    pub fn reset_counters(&mut self) {
        self.counters = Counters::default();
    }

    /// Reads one frame: one system call. `None` when there is none.
    ///
    /// # Errors
    /// Of the kind that ends the device's life, for instance when somebody deleted the interface (EBADFD).
    pub fn receive<'b>(&mut self, buffer: &'b mut ReceiveBuffer) -> io::Result<Option<ReceivedFrame<'b>>> {
        let length = loop {
            match retry_on_intr(|| rustix::io::read(kernel::descriptor(&self.device), &mut *buffer.0)) {
                Ok(length) if length >= self.header_length + ETHERNET_HEADER => break length,
                Ok(_) => self.counters.short_reads += 1,
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => {
                    self.counters.receive_errors += 1;
                    return Err(error.into());
                }
            }
        };
        let (header, bytes) = buffer.0[..length].split_at(self.header_length);
        let received = header.try_into().map(header::decode).unwrap_or_default();
        self.counters.frames_received += 1;
        self.counters.octets_received += bytes.len() as u64;
        Ok(Some(ReceivedFrame {
            bytes,
            transport_checksum_valid: received.transport_checksum_valid,
            segment_size: received.segment_size,
        }))
    }

    /// Writes the pieces as one frame.
    fn write(&mut self, pieces: &[IoSlice<'_>]) -> Result<(), Errno> {
        retry_on_intr(|| rustix::io::writev(kernel::descriptor(&self.device), pieces)).map(drop)
    }
}

impl FrameSink for Tap {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull> {
        debug_assert!(self.header_length > 0 || offload == Offload::default(), "the link carries complete frames only");
        let header = header::encode(offload);
        let mut pieces = [IoSlice::new(&[]); PIECES];
        // Without offload the first piece stays, empty.
        pieces[0] = IoSlice::new(&header[..self.header_length]);
        pieces[1] = IoSlice::new(headers);
        let (direct, rest) = payload.split_at(payload.len().min(PIECES - 3));
        for (piece, octets) in pieces[2..].iter_mut().zip(direct) {
            *piece = IoSlice::new(octets);
        }
        let mut count = 2 + direct.len();
        let mut tail = std::mem::take(&mut self.gathered);
        if !rest.is_empty() {
            tail.clear();
            rest.iter().for_each(|octets| tail.extend_from_slice(octets));
            pieces[count] = IoSlice::new(&tail);
            count += 1;
        }
        let outcome = self.write(&pieces[..count]);
        self.gathered = tail;

        match outcome {
            Ok(()) => {
                let length = headers.len() + payload.iter().map(|octets| octets.len()).sum::<usize>();
                self.counters.frames_sent += 1;
                self.counters.octets_sent += length as u64;
                if let Some(segmentation) = offload.segmentation {
                    let data = length.saturating_sub(segmentation.header_length.into());
                    let segments = data.div_ceil(usize::from(segmentation.segment_size).max(1)).max(1);
                    self.counters.segments_saved += segments as u64 - 1;
                }
                Ok(())
            }
            Err(Errno::AGAIN | Errno::NOBUFS) => {
                self.counters.full += 1;
                Err(DeviceFull)
            }
            Err(error) => {
                self.counters.send_errors += 1;
                tracing::trace!(%error, "the kernel refused a frame");
                Ok(())
            }
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        kernel::descriptor(&self.device)
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.device.as_raw_fd()
    }
}

impl Source for Tap {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).deregister(registry)
    }
}
