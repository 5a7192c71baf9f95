//! How the end of a tick is written in a record: as codes. A code never changes its meaning.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::layout::{ADDRESS, ENDING, Field, LOOKUPS, STATE};
use crate::base::time::Nanos;
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::target::Address;

/// How many words are written and read as one: see [`super::layout::GUARD`].
pub(super) const GUARDED: usize = LOOKUPS.at - STATE.at;

/// No time was measured.
pub(super) const NO_TIME: u32 = u32::MAX;

/// Words that are written and read as one: see [`super::layout::GUARD`].
pub(super) struct Guarded(pub(super) [u32; GUARDED]);

impl Guarded {
    pub(super) fn of(&self, field: Field, i: usize) -> u32 {
        self.0[field.at - STATE.at + i]
    }

    pub(super) fn set(&mut self, field: Field, i: usize, value: u32) {
        self.0[field.at - STATE.at + i] = value;
    }
}

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

/// Writes an address. Returns whether it is an IPv6 one.
fn pack(Address { ip, scope }: Address, last: &mut Guarded) -> bool {
    let bits = match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    for i in 0..4 {
        last.set(ADDRESS, i, (bits >> (32 * i)) as u32);
    }
    last.set(ADDRESS, 4, scope);
    ip.is_ipv6()
}

fn unpack(guarded: &Guarded, is_ipv6: bool) -> Address {
    let word = |i| guarded.of(ADDRESS, i);
    let bits = |i| u128::from(word(i));
    let ip = if is_ipv6 {
        IpAddr::V6(Ipv6Addr::from((bits(3) << 96) | (bits(2) << 64) | (bits(1) << 32) | bits(0)))
    } else {
        IpAddr::V4(Ipv4Addr::from(word(0)))
    };
    Address { ip, scope: word(4) }
}

/// The bit that marks a reason as an errno.
const ERRNO: u32 = 1 << 31;

pub(super) fn encode(ending: Ending, last: &mut Guarded) {
    let (kind, detail) = match ending {
        Ending::Connected(address) => (1, if pack(address, last) { IPV6 } else { 0 }),
        Ending::LookupFailed(reason) => (2, reason_code(reason)),
        Ending::Skipped(shortage) => (4, shortage.index() as u32 + 1),
        Ending::ConnectFailed(reason, address) => (if pack(address, last) { 6 } else { 5 }, reason_code(reason)),
    };
    last.set(ENDING, 0, kind);
    last.set(ENDING, 1, detail);
}

pub(super) fn decode(guarded: &Guarded) -> Option<Ending> {
    let detail = guarded.of(ENDING, 1);
    match guarded.of(ENDING, 0) {
        1 => Some(Ending::Connected(unpack(guarded, detail == IPV6))),
        2 => decode_reason(detail).map(Ending::LookupFailed),
        // 3 was a failed connect without its address.
        4 => Shortage::ALL.get((detail as usize).checked_sub(1)?).copied().map(Ending::Skipped),
        kind @ (5 | 6) => Some(Ending::ConnectFailed(decode_reason(detail)?, unpack(guarded, kind == 6))),
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
            let mut last = Guarded([0; GUARDED]);
            encode(ending, &mut last);
            assert_eq!(decode(&last), Some(ending));
            (last.of(ENDING, 0), last.of(ENDING, 1))
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
            let mut last = Guarded([0; GUARDED]);
            last.set(ENDING, 0, kind);
            last.set(ENDING, 1, detail);
            assert_eq!(decode(&last), None, "{kind} {detail}");
        }
    }
}
