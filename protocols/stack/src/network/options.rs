//! The IPv4 options of an echo reply (RFC 1122 §3.2.2.6).
//!
//! Responsible for the options that a request brought and that its reply must bring back, with our own entry: record
//! route and timestamp (RFC 791 §3.1). All others are left out.

use std::net::Ipv4Addr;

use smallvec::SmallVec;

use super::ipv4::HEADER_LENGTH;

/// Options for a header: a multiple of four octets, 40 at most.
pub(crate) type Options = SmallVec<[u8; 64]>;

const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;

/// The options of the reply to a request with this header. `own` is our address, `time` what a timestamp says.
pub(crate) fn reflect(request_header: &[u8], own: Ipv4Addr, time: u32) -> Options {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;

    let mut options = Options::new();
    let mut rest = request_header.get(HEADER_LENGTH..).unwrap_or_default();
    while let Some((&kind, behind)) = rest.split_first() {
        if kind == END {
            break;
        }
        if kind == NO_OPERATION {
            rest = behind;
            continue;
        }
        let length = behind.first().copied().map_or(0, usize::from);
        let Some((option, behind)) = rest.split_at_checked(length).filter(|_| length >= 2) else { break };
        rest = behind;
        let at = options.len();
        match kind {
            RECORD_ROUTE => {
                options.extend_from_slice(option);
                record_route(options.get_mut(at..).unwrap_or_default(), own);
            }
            TIMESTAMP => {
                options.extend_from_slice(option);
                add_timestamp(options.get_mut(at..).unwrap_or_default(), own, time);
            }
            _ => {}
        }
    }
    while !options.len().is_multiple_of(4) {
        options.push(END);
    }
    options
}

/// Writes into the place that an option's pointer names, which counts from 1, and moves the pointer on. False when
/// there is no room.
fn append(option: &mut [u8], entry: &[u8]) -> bool {
    let Some(pointer) = option.get(2).copied() else { return false };
    let Some(place) = usize::from(pointer).checked_sub(1).and_then(|start| option.get_mut(start..start + entry.len()))
    else {
        return false;
    };
    place.copy_from_slice(entry);
    if let (Some(pointer), Ok(length)) = (option.get_mut(2), u8::try_from(entry.len())) {
        *pointer = pointer.saturating_add(length);
    }
    true
}

fn record_route(option: &mut [u8], own: Ipv4Addr) {
    // A pointer into the option's own header is nonsense; the option goes back as it came.
    if option.get(2).is_some_and(|&pointer| pointer >= 4) {
        append(option, &own.octets());
    }
}

fn add_timestamp(option: &mut [u8], own: Ipv4Addr, time: u32) {
    /// What each entry is: a time, an address and a time, or a time for an address that stands there already.
    const ADDRESSES: u8 = 1;
    const PRESPECIFIED: u8 = 3;

    let (Some(&pointer), Some(&flags)) = (option.get(2), option.get(3)) else { return };
    if pointer < 5 {
        return;
    }
    let [a, b, c, d] = own.octets();
    let [t0, t1, t2, t3] = time.to_be_bytes();
    let start = usize::from(pointer) - 1;
    let done = match flags & 0x0f {
        0 => append(option, &[t0, t1, t2, t3]),
        ADDRESSES => append(option, &[a, b, c, d, t0, t1, t2, t3]),
        PRESPECIFIED if option.get(start..start + 4).is_some_and(|address| address != own.octets()) => true,
        PRESPECIFIED => append(option, &[a, b, c, d, t0, t1, t2, t3]),
        _ => true,
    };
    // The upper half counts hosts that found no room.
    if !done && let Some(overflow) = option.get_mut(3) {
        *overflow = overflow.saturating_add(0x10) & 0xf0 | flags & 0x0f;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
    const TIME: u32 = 0x8000_0001;

    fn reflected(options: &[u8]) -> Vec<u8> {
        reflect(&[&[0; 20], options].concat(), OWN, TIME).to_vec()
    }

    #[test]
    fn a_route_is_recorded_while_there_is_room() {
        let reply = reflected(&[1, 7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0]);
        assert_eq!(reply, [7, 11, 12, 9, 9, 9, 9, 192, 0, 2, 2, 0]);
        let full = [7, 7, 8, 9, 9, 9, 9, 0];
        assert_eq!(reflected(&full), full);
        let nonsense = [7, 7, 1, 9, 9, 9, 9, 0];
        assert_eq!(reflected(&nonsense), nonsense);
    }

    #[test]
    fn a_timestamp_is_added_in_its_three_forms() {
        assert_eq!(reflected(&[68, 8, 5, 0, 0, 0, 0, 0]), [68, 8, 9, 0, 0x80, 0, 0, 1]);
        let entry = reflected(&[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(entry, [68, 12, 13, 1, 192, 0, 2, 2, 0x80, 0, 0, 1]);
        let ours = reflected(&[68, 12, 5, 3, 192, 0, 2, 2, 0, 0, 0, 0]);
        assert_eq!(ours, [68, 12, 13, 3, 192, 0, 2, 2, 0x80, 0, 0, 1]);
        let others = [68, 12, 5, 3, 9, 9, 9, 9, 0, 0, 0, 0];
        assert_eq!(reflected(&others), others);
        // No room: counted in the overflow.
        assert_eq!(reflected(&[68, 8, 9, 0x10, 1, 2, 3, 4]), [68, 8, 9, 0x20, 1, 2, 3, 4]);
        assert_eq!(reflected(&[68, 8, 9, 0xf0, 1, 2, 3, 4]), [68, 8, 9, 0xf0, 1, 2, 3, 4]);
    }

    #[test]
    fn other_options_are_left_out() {
        assert!(reflected(&[148, 4, 0, 0, 1, 1, 1, 0]).is_empty());
    }

    proptest! {
        #[test]
        fn any_options_fit_a_header_again(bytes in proptest::collection::vec(any::<u8>(), 0..=40)) {
            let bytes = &bytes[..bytes.len() & !3];
            let options = reflect(&[&[0; 20], bytes].concat(), OWN, TIME);
            prop_assert!(options.len() <= bytes.len() && options.len().is_multiple_of(4));
        }
    }
}
