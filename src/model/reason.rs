//! Why a lookup or a connect failed, why a tick was skipped, and how a tick ended, in words.

use core::fmt;

use crate::model::target::Address;

/// Why a lookup or a connect failed. Displayed as a person says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `EAI_NONAME`: there is no such name.
    NameNotFound,
    /// `EAI_NODATA`, `EAI_ADDRFAMILY`: the name has no address of the family asked for.
    NoAddress,
    /// `EAI_FAIL` and what has no reason of its own: the resolver says it cannot.
    ResolverFailed,
    /// `EAI_AGAIN`: no usable answer from any resolver.
    ResolverSilent,
    /// At or above the phase's limit.
    TimedOut,
    /// `ECONNREFUSED`.
    Refused,
    /// `ECONNRESET`.
    Reset,
    /// `ENETUNREACH`, `ENETDOWN`.
    NetworkUnreachable,
    /// `EHOSTUNREACH`, `EHOSTDOWN`.
    HostUnreachable,
    /// `EPERM`, `EACCES`: a rule of this box forbids the connect.
    Denied,
    /// `ENODEV`: the device of the target does not exist.
    NoDevice,
    /// Any other errno.
    Other(i32),
}

impl Reason {
    /// Every reason but an errno without a name of its own.
    pub const NAMED: [Reason; 11] = [
        Reason::NameNotFound,
        Reason::NoAddress,
        Reason::ResolverFailed,
        Reason::ResolverSilent,
        Reason::TimedOut,
        Reason::Refused,
        Reason::Reset,
        Reason::NetworkUnreachable,
        Reason::HostUnreachable,
        Reason::Denied,
        Reason::NoDevice,
    ];

    /// Whether it says only that there is no way there, which another address's reason outdoes.
    pub fn is_unreachable(self) -> bool {
        matches!(self, Reason::NetworkUnreachable | Reason::HostUnreachable)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NameNotFound => "name not found",
            Reason::NoAddress => "no address",
            Reason::ResolverFailed => "resolver failed",
            Reason::ResolverSilent => "resolver gave no answer",
            Reason::TimedOut => "timed out",
            Reason::Refused => "refused",
            Reason::Reset => "reset",
            Reason::NetworkUnreachable => "network unreachable",
            Reason::HostUnreachable => "host unreachable",
            Reason::Denied => "denied by this host",
            Reason::NoDevice => "no such device",
            Reason::Other(errno) => return write!(f, "error {errno}"),
        })
    }
}

/// Trouble of our own, which never blames the target: the tick is skipped. Displayed as the
/// cause of a skipped tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// `EMFILE`, `ENFILE`.
    Descriptors,
    /// `ENOBUFS`, `ENOMEM`.
    Memory,
    /// `EADDRNOTAVAIL`: no free local port, or the source address is not on this box.
    Ports,
    /// `EAGAIN` from fork, or helpers that die again and again.
    Processes,
    /// `EPERM`, `EACCES`: this user may not use the target's device.
    Rights,
    /// What else keeps a socket from being made, bound or asked to connect.
    Socket,
    /// Every helper is busy, and a lookup of the target already waits for one.
    Helpers,
    /// The table of probes has no place, or the target has all of its own in use.
    Probes,
    /// The process was stopped, or the machine too busy, and the moment has passed.
    Late,
}

impl Shortage {
    /// Every shortage.
    pub const ALL: [Shortage; 9] = [
        Shortage::Descriptors,
        Shortage::Memory,
        Shortage::Ports,
        Shortage::Processes,
        Shortage::Rights,
        Shortage::Helpers,
        Shortage::Probes,
        Shortage::Late,
        Shortage::Socket,
    ];
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shortage::Descriptors => "too many open files",
            Shortage::Memory => "out of memory or network buffers",
            Shortage::Ports => "no local address or port to connect from",
            Shortage::Processes => "no helper process could be started",
            Shortage::Rights => "no right to use the device, which needs root or CAP_NET_RAW",
            Shortage::Socket => "no usable socket could be made",
            Shortage::Helpers => "all helpers are busy",
            Shortage::Probes => "too many probes in flight",
            Shortage::Late => "the monitor was stopped or late",
        })
    }
}

/// How a tick ended, in words for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// The word for the kind lets what follows it be copied by words.
#[repr(u32)]
pub enum Ending {
    /// The connect was accepted at this address.
    Connected(Address),
    /// The lookup failed.
    LookupFailed(Reason),
    /// The connect failed.
    ConnectFailed(Reason),
    /// There was no probe, or it could not be finished, for a reason of our own.
    Skipped(Shortage),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, detail): (&str, &dyn fmt::Display) = match self {
            Ending::Connected(address) => ("connected to", address),
            Ending::LookupFailed(reason) => ("lookup failed:", reason),
            Ending::ConnectFailed(reason) => ("connect failed:", reason),
            Ending::Skipped(shortage) => ("skipped:", shortage),
        };
        write!(f, "{what} {detail}")
    }
}
