//! What may happen to a lookup and to a connect, and who decides it: a [`World`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::monitor::Action;
use tcpmon::model::outcome::{Columns, Thresholds};
use tcpmon::model::reason::{Reason, Shortage};
use tcpmon::model::target::Address;

/// A lookup or a connect that has been asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The target's port, by which the simulator knows it.
    pub port: u16,
    /// The limits that the probe started with.
    pub limits: Thresholds,
    /// For a connect: how long the probe has been connecting.
    pub elapsed: Nanos,
}

/// What becomes of a lookup.
#[derive(Clone, Copy, Debug)]
pub struct LookupFate {
    /// How long it takes until a helper has it; at once for none.
    pub begins: Option<Nanos>,
    /// And then.
    pub end: LookupEnd,
}

/// How a lookup ends. Its lengths run from when the helper has it.
#[derive(Clone, Copy, Debug)]
pub enum LookupEnd {
    /// With so many addresses after `elapsed`; the answer is on its way for `transit` more.
    Answers { elapsed: Nanos, transit: Nanos, addresses: u8 },
    /// It fails.
    Fails { elapsed: Nanos, transit: Nanos, reason: Reason },
    /// Its helper dies.
    Dies { after: Nanos },
    /// It cannot be made.
    FallsShort { after: Nanos, shortage: Shortage },
    /// Never.
    Hangs,
}

impl LookupEnd {
    /// How long until the world says so.
    pub fn after(&self) -> Option<Nanos> {
        match *self {
            LookupEnd::Answers { elapsed, transit, .. } | LookupEnd::Fails { elapsed, transit, .. } => {
                Some(Nanos::new(elapsed.get() + transit.get()))
            }
            LookupEnd::Dies { after } | LookupEnd::FallsShort { after, .. } => Some(after),
            LookupEnd::Hangs => None,
        }
    }
}

/// What becomes of a connect to one address.
#[derive(Clone, Copy, Debug)]
pub enum ConnectFate {
    /// It is accepted.
    Accepted { after: Nanos },
    /// It fails.
    Fails { after: Nanos, reason: Reason },
    /// It cannot be made, at once; `begun` is whether it was said to be under way before.
    FallsShort { begun: bool, shortage: Shortage },
    /// Never.
    Hangs,
}

impl ConnectFate {
    /// How long until the world says so.
    pub fn after(&self) -> Option<Nanos> {
        match *self {
            ConnectFate::Accepted { after } | ConnectFate::Fails { after, .. } => Some(after),
            ConnectFate::FallsShort { .. } => Some(Nanos::ZERO),
            ConnectFate::Hangs => None,
        }
    }
}

/// Everything outside the monitor that the driver does not do itself.
pub trait World {
    /// What becomes of this lookup.
    fn lookup(&mut self, ask: Ask) -> LookupFate;
    /// What becomes of this connect.
    fn connect(&mut self, ask: Ask) -> ConnectFate;
    /// Whether a report of these rows can be written.
    fn append(&mut self, now: Instant, stamp: WallTime, rows: &[(String, Columns)]) -> bool;
    /// Whether the driver can tell when a connect was accepted; else it was now.
    fn knows_when(&mut self) -> bool {
        true
    }
    /// Tells what the monitor asked for; of the target with this port, if it is about one.
    fn hear(&mut self, now: Instant, action: Action, port: Option<u16>) {
        let _ = (now, action, port);
    }
}

/// The `k`-th address that a name has, of either family.
pub fn address(port: u16, k: u8) -> Address {
    let [high, low] = port.to_be_bytes();
    Address::new(match (u16::from(k) + port) % 3 {
        0 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, port, k.into())),
        _ => IpAddr::V4(Ipv4Addr::new(10, high, low, k)),
    })
}
