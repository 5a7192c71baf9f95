//! How the end of a tick is written in a record: as codes. A code never changes its meaning.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::time::Nanos;
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::target::Address;

/// No time was measured.
pub(super) const NO_TIME: u32 = u32::MAX;

/// An ending in words: its kind, its detail, and an address or zeroes.
pub(super) type Words = [u32; 7];

/// From microseconds.
#[inline(never)]
pub(super) fn nanos(micros: u32) -> Nanos {
    Nanos::new(u64::from(micros) * 1000)
}

/// Microseconds, rounded down.
#[inline(never)]
pub(super) fn micros(time: Nanos) -> u32 {
    (time.get() / 1000).min(u64::from(NO_TIME - 1)) as u32
}

/// The detail of an IPv6 address. That of an IPv4 address is 0.
const IPV6: u32 = 6;

/// An address in words: 16 bytes, then its scope.
#[inline(never)]
pub(super) fn pack(Address { ip, scope }: Address) -> [u32; 5] {
    let bits = match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    [bits as u32, (bits >> 32) as u32, (bits >> 64) as u32, (bits >> 96) as u32, scope]
}

/// The address in these words.
#[inline(never)]
pub(super) fn unpack([a, b, c, d, scope]: [u32; 5], is_ipv6: bool) -> Address {
    let ip = if is_ipv6 {
        let (high, low) = ((u64::from(d) << 32) | u64::from(c), (u64::from(b) << 32) | u64::from(a));
        IpAddr::V6(Ipv6Addr::from((u128::from(high) << 64) | u128::from(low)))
    } else {
        IpAddr::V4(Ipv4Addr::from(a))
    };
    Address { ip, scope }
}

/// The bit that marks a reason as an errno.
const ERRNO: u32 = 1 << 31;

/// The words of an ending.
pub(super) fn encode(ending: Ending) -> Words {
    let mut at = [0; 5];
    let mut store = |address: Address| {
        at = pack(address);
        address.ip.is_ipv6()
    };
    let (kind, detail) = match ending {
        Ending::Connected(address) => (1, if store(address) { IPV6 } else { 0 }),
        Ending::LookupFailed(reason) => (2, reason_code(reason)),
        Ending::Skipped(shortage) => (4, shortage.index() as u32 + 1),
        Ending::ConnectFailed(reason, address) => (if store(address) { 6 } else { 5 }, reason_code(reason)),
    };
    let [a, b, c, d, scope] = at;
    [kind, detail, a, b, c, d, scope]
}

/// The ending in these words; `None` if they are none.
pub(super) fn decode([kind, detail, at @ ..]: Words) -> Option<Ending> {
    match kind {
        1 => Some(Ending::Connected(unpack(at, detail == IPV6))),
        2 => decode_reason(detail).map(Ending::LookupFailed),
        // 3 was a failed connect without its address.
        4 => Shortage::ALL.get((detail as usize).checked_sub(1)?).copied().map(Ending::Skipped),
        5 | 6 => Some(Ending::ConnectFailed(decode_reason(detail)?, unpack(at, kind == 6))),
        _ => None,
    }
}

fn decode_reason(detail: u32) -> Option<Reason> {
    if detail & ERRNO != 0 {
        return Some(Reason::Other((detail & !ERRNO) as i32));
    }
    Reason::NAMED.get((detail as usize).checked_sub(1)?).copied()
}

/// The index and one, or an errno.
fn reason_code(reason: Reason) -> u32 {
    if let Reason::Other(errno) = reason { ERRNO | errno as u32 } else { reason.index() as u32 + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_never_changes_its_meaning() {
        let coded = |ending| {
            let words = encode(ending);
            assert_eq!(decode(words), Some(ending));
            (words[0], words[1])
        };
        for (code, reason) in [
            (1, Reason::NameNotFound),
            (2, Reason::NoAddress),
            (3, Reason::ResolverFailed),
            (4, Reason::ResolverSilent),
            (5, Reason::TimedOut),
            (6, Reason::Refused),
            (7, Reason::Reset),
            (8, Reason::NetworkUnreachable),
            (9, Reason::HostUnreachable),
            (10, Reason::Denied),
            (11, Reason::NoDevice),
            (12, Reason::NoSourceAddress),
            (13, Reason::NoFamily),
            (0x8000_0005, Reason::Other(5)),
        ] {
            assert_eq!(coded(Ending::LookupFailed(reason)), (2, code));
            let address = |text: &str| Address::new(text.parse().expect("an address"));
            assert_eq!(coded(Ending::ConnectFailed(reason, address("192.0.2.1"))), (5, code));
            assert_eq!(coded(Ending::ConnectFailed(reason, address("2001:db8::1"))), (6, code));
        }
        for (code, shortage) in [
            (1, Shortage::Descriptors),
            (2, Shortage::Memory),
            (3, Shortage::Ports),
            (4, Shortage::Processes),
            (5, Shortage::Rights),
            (6, Shortage::Helpers),
            (7, Shortage::Probes),
            (8, Shortage::Late),
            (9, Shortage::Socket),
            (10, Shortage::ResolverFile),
        ] {
            assert_eq!(coded(Ending::Skipped(shortage)), (4, code));
        }
    }

    #[test]
    fn an_unknown_code_is_no_ending() {
        for (kind, detail) in [(0, 1), (2, 0), (2, 14), (3, 6), (4, 0), (4, 11), (4, u32::MAX), (5, 0), (6, 14), (7, 1)]
        {
            assert_eq!(decode([kind, detail, 0, 0, 0, 0, 0]), None, "{kind} {detail}");
        }
    }
}
