//! What may happen to a lookup and to a connect. A [`World`] decides it, from a script or at random.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::monitor::Action;
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::{Columns, Thresholds};
use tcpmon::model::reason::{Reason, Shortage};
use tcpmon::model::target::Address;

/// A lookup or a connect that has been asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The target's port. In the simulator it identifies the target.
    pub port: u16,
    /// The limits that the probe started with.
    pub limits: Thresholds,
    /// For a connect: how long the probe has been connecting.
    pub elapsed: Nanos,
}

/// What happens to a lookup.
#[derive(Clone, Copy, Debug)]
pub struct LookupFate {
    /// The delay until a helper begins it; `None` is no delay.
    pub begins: Option<Nanos>,
    /// How it ends.
    pub end: LookupEnd,
}

/// How a lookup ends. All times are counted from when a helper begins it.
#[derive(Clone, Copy, Debug)]
pub enum LookupEnd {
    /// With so many addresses after `elapsed`; the monitor gets the answer `transit` later.
    Answers { elapsed: Nanos, transit: Nanos, addresses: u8 },
    /// It fails; times as above.
    Fails { elapsed: Nanos, transit: Nanos, reason: Reason },
    /// Its helper dies.
    Dies { after: Nanos },
    /// It cannot be made for a shortage of our own.
    FallsShort { after: Nanos, shortage: Shortage },
    /// It never ends.
    Hangs,
}

impl LookupEnd {
    /// The time until the monitor is told; `None` is never.
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

/// What happens to a connect to one address.
#[derive(Clone, Copy, Debug)]
pub enum ConnectFate {
    /// It is accepted.
    Accepted { after: Nanos },
    /// It fails.
    Fails { after: Nanos, reason: Reason },
    /// It cannot be made for a shortage of our own, which shows at once; `begun` is whether the monitor
    /// was first told that it has started.
    FallsShort { begun: bool, shortage: Shortage },
    /// It never ends.
    Hangs,
}

impl ConnectFate {
    /// The time until the monitor is told; `None` is never.
    pub fn after(&self) -> Option<Nanos> {
        match *self {
            ConnectFate::Accepted { after } | ConnectFate::Fails { after, .. } => Some(after),
            ConnectFate::FallsShort { .. } => Some(Nanos::ZERO),
            ConnectFate::Hangs => None,
        }
    }
}

/// The outside of the monitor, as far as the driver does not simulate it itself.
pub trait World {
    /// What happens to this lookup.
    fn lookup(&mut self, ask: Ask) -> LookupFate;
    /// What happens to this connect.
    fn connect(&mut self, ask: Ask) -> ConnectFate;
    /// Whether a report of these rows can be written.
    fn append(&mut self, now: Instant, stamp: WallTime, rows: &[(String, Columns)]) -> bool;
    /// Whether lines of times or events can be written.
    fn can_write(&mut self, kind: Kind) -> bool {
        let _ = kind;
        true
    }
    /// The first of the addresses that a lookup gives now.
    fn first_address(&mut self, port: u16) -> u8 {
        let _ = port;
        0
    }
    /// Whether the driver knows when a connect was accepted. If not, it reports the present time.
    fn knows_accept_time(&mut self) -> bool {
        true
    }
    /// Called with each action of the monitor, and the port of its target if it has one.
    fn on_action(&mut self, now: Instant, action: Action, port: Option<u16>) {
        let _ = (now, action, port);
    }
}

/// The `k`-th address of the name of the target with this port; some are IPv4, some IPv6.
pub fn address(port: u16, k: u8) -> Address {
    let [high, low] = port.to_be_bytes();
    Address::new(match (u16::from(k) + port) % 3 {
        0 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, port, k.into())),
        _ => IpAddr::V4(Ipv4Addr::new(10, high, low, k)),
    })
}
