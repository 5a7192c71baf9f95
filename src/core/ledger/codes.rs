//! How the end of a tick is written in a record: as codes, which never change their meaning.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::layout::{ADDRESS, ENDING, Field, LOOKUPS, STATE};
use crate::base::time::Nanos;
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::target::Address;

/// Words that are written and read as one: see [`GUARD`].
pub(super) const GUARDED: usize = LOOKUPS.at - STATE.at;

/// No time was taken.
pub(super) const NO_TIME: u32 = u32::MAX;

/// What was written as one: see [`GUARD`].
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

/// Marks an address of the other family, and one that is none.
const IPV6: u32 = 6;

fn unpack(guarded: &Guarded) -> Address {
    let word = |i| guarded.of(ADDRESS, i);
    let bits = |i| u128::from(word(i));
    let ip = if guarded.of(ENDING, 1) == IPV6 {
        IpAddr::V6(Ipv6Addr::from((bits(3) << 96) | (bits(2) << 64) | (bits(1) << 32) | bits(0)))
    } else {
        IpAddr::V4(Ipv4Addr::from(word(0)))
    };
    Address { ip, scope: word(4) }
}

/// Bit of a detail that is an errno.
const ERRNO: u32 = 1 << 31;

pub(super) fn encode(ending: Ending, last: &mut Guarded) {
    let (kind, detail) = match ending {
        Ending::Connected(Address { ip, scope }) => {
            let (family, bits) = match ip {
                IpAddr::V4(ip) => (0, u128::from(u32::from(ip))),
                IpAddr::V6(ip) => (IPV6, u128::from(ip)),
            };
            for i in 0..4 {
                last.set(ADDRESS, i, (bits >> (32 * i)) as u32);
            }
            last.set(ADDRESS, 4, scope);
            (1, family)
        }
        Ending::LookupFailed(reason) => (2, reason_code(reason)),
        Ending::ConnectFailed(reason) => (3, reason_code(reason)),
        Ending::Skipped(shortage) => (4, shortage_code(shortage)),
    };
    last.set(ENDING, 0, kind);
    last.set(ENDING, 1, detail);
}

pub(super) fn decode(guarded: &Guarded) -> Option<Ending> {
    let detail = guarded.of(ENDING, 1);
    match guarded.of(ENDING, 0) {
        1 => Some(Ending::Connected(unpack(guarded))),
        2 => decode_reason(detail).map(Ending::LookupFailed),
        3 => decode_reason(detail).map(Ending::ConnectFailed),
        4 => Shortage::ALL.iter().find(|shortage| shortage_code(**shortage) == detail).copied().map(Ending::Skipped),
        _ => None,
    }
}

fn decode_reason(detail: u32) -> Option<Reason> {
    if detail & ERRNO != 0 {
        return Some(Reason::Other((detail & !ERRNO) as i32));
    }
    Reason::NAMED.iter().find(|reason| reason_code(**reason) == detail).copied()
}

fn reason_code(reason: Reason) -> u32 {
    match reason {
        Reason::NameNotFound => 1,
        Reason::NoAddress => 2,
        Reason::ResolverFailed => 3,
        Reason::ResolverSilent => 4,
        Reason::TimedOut => 5,
        Reason::Refused => 6,
        Reason::Reset => 7,
        Reason::NetworkUnreachable => 8,
        Reason::HostUnreachable => 9,
        Reason::Denied => 10,
        Reason::NoDevice => 11,
        Reason::Other(errno) => ERRNO | errno as u32,
    }
}

fn shortage_code(shortage: Shortage) -> u32 {
    match shortage {
        Shortage::Descriptors => 1,
        Shortage::Memory => 2,
        Shortage::Ports => 3,
        Shortage::Processes => 4,
        Shortage::Rights => 5,
        Shortage::Helpers => 6,
        Shortage::Probes => 7,
        Shortage::Late => 8,
        Shortage::Socket => 9,
    }
}
