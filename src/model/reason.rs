//! Why a lookup or a connect failed, why a tick was skipped, and how a tick ended; each with its words, and with its
//! token for programs.

use core::fmt;

use crate::model::target::Address;

/// Why a lookup or a connect failed. Displayed in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `EAI_NONAME`: there is no such name.
    NameNotFound,
    /// `EAI_NODATA`, `EAI_ADDRFAMILY`: the name has no address of the family asked for.
    NoAddress,
    /// `EAI_FAIL` and every error without a reason of its own: the resolver reports a failure.
    ResolverFailed,
    /// `EAI_AGAIN`: no usable answer from any resolver.
    ResolverSilent,
    /// At or above the phase's limit.
    TimedOut,
    /// `ECONNREFUSED`.
    Refused,
    /// `ECONNRESET`, in ledgers of earlier versions: a peer that resets after the handshake has accepted.
    Reset,
    /// `ENETUNREACH`, `ENETDOWN`.
    NetworkUnreachable,
    /// `EHOSTUNREACH`, `EHOSTDOWN`.
    HostUnreachable,
    /// `EPERM`, `EACCES`: a rule of this box forbids the connect.
    Denied,
    /// `ENODEV`: the device of the target does not exist.
    NoDevice,
    /// `EADDRNOTAVAIL` from bind(2): this box does not have the source address of the target.
    NoSourceAddress,
    /// `EAFNOSUPPORT`, or `EADDRNOTAVAIL` also from a datagram connect: this box has no address of that family.
    NoFamily,
    /// Any other errno.
    Other(i32),
}

listed! {
    /// Every reason except an errno without a name. The ledger writes the index: a new one comes last.
    Reason::NAMED = [
        NameNotFound,
        NoAddress,
        ResolverFailed,
        ResolverSilent,
        TimedOut,
        Refused,
        Reset,
        NetworkUnreachable,
        HostUnreachable,
        Denied,
        NoDevice,
        NoSourceAddress,
        NoFamily,
    ] else Other;
}

impl Reason {
    /// Whether it only says that there is no way: the reason of another address says more.
    pub fn is_unreachable(self) -> bool {
        matches!(self, Reason::NetworkUnreachable | Reason::HostUnreachable | Reason::NoFamily)
    }

    /// Its token in CSV, JSON and metrics, which never changes.
    pub fn token(self) -> &'static str {
        match self {
            Reason::NameNotFound => "name_not_found",
            Reason::NoAddress => "no_address",
            Reason::ResolverFailed => "resolver_failed",
            Reason::ResolverSilent => "resolver_silent",
            Reason::TimedOut => "timeout",
            Reason::Refused => "refused",
            Reason::Reset => "reset",
            Reason::NetworkUnreachable => "network_unreachable",
            Reason::HostUnreachable => "host_unreachable",
            Reason::Denied => "denied",
            Reason::NoDevice => "no_device",
            Reason::NoSourceAddress => "no_source",
            Reason::NoFamily => "no_family",
            Reason::Other(_) => "other",
        }
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
            Reason::NoSourceAddress => "no such source address",
            Reason::NoFamily => "no address of that family here",
            Reason::Other(errno) => return write!(f, "error {errno}"),
        })
    }
}

/// Trouble of our own, which never blames the target: the tick is skipped. Displayed as the cause of the skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// `EMFILE`, `ENFILE`.
    Descriptors,
    /// `ENOBUFS`, `ENOMEM`.
    Memory,
    /// `EADDRNOTAVAIL`, `EADDRINUSE`: no free local port.
    Ports,
    /// `EAGAIN` from fork, or helpers that die again and again.
    Processes,
    /// `EPERM`, `EACCES`: this user may not use the target's device.
    Rights,
    /// Every helper is busy, and a lookup of the target already waits for one.
    Helpers,
    /// The table of probes is full.
    Probes,
    /// The process was stopped, or the machine too busy, and the tick has passed.
    Late,
    /// Any other errno of socket, bind or connect that is our own.
    Socket,
    /// The C library cannot read the file that names the resolvers, or that of the known hosts. It does not say so: it
    /// would ask this host instead, or pass over a name.
    ResolverFile,
}

listed! {
    /// Every shortage. The ledger writes the index: a new one comes last.
    Shortage::ALL = [Descriptors, Memory, Ports, Processes, Rights, Helpers, Probes, Late, Socket, ResolverFile];
}

impl Shortage {
    /// Its token in CSV, JSON and metrics, which never changes.
    pub fn token(self) -> &'static str {
        match self {
            Shortage::Descriptors => "no_descriptors",
            Shortage::Memory => "no_memory",
            Shortage::Ports => "no_ports",
            Shortage::Processes => "no_processes",
            Shortage::Rights => "no_rights",
            Shortage::Helpers => "no_helper",
            Shortage::Probes => "no_place",
            Shortage::Late => "late",
            Shortage::Socket => "no_socket",
            Shortage::ResolverFile => "resolver_file",
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shortage::Descriptors => "too many open files",
            Shortage::Memory => "out of memory or network buffers",
            Shortage::Ports => "no free local port to connect from",
            Shortage::Processes => "no helper process could be started",
            Shortage::Rights => "no right to use the device, which needs root or CAP_NET_RAW",
            Shortage::Socket => "no usable socket could be made",
            Shortage::ResolverFile => "a file of the resolver cannot be read",
            Shortage::Helpers => "all helpers are busy",
            Shortage::Probes => "too many probes in flight",
            Shortage::Late => "the monitor was stopped or late",
        })
    }
}

/// How a tick ended. Displayed in words, without the address of which a reason speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// A kind of 32 bits aligns what follows it, so that it is copied by words.
#[repr(u32)]
pub enum Ending {
    /// The connect was accepted at this address.
    Connected(Address),
    /// The lookup failed.
    LookupFailed(Reason),
    /// The connect failed; the reason speaks of this address.
    ConnectFailed(Reason, Address),
    /// There was no probe, or it could not be finished, by a shortage of our own.
    Skipped(Shortage),
}

impl Ending {
    /// What a program reads first of it, in CSV and JSON.
    pub fn outcome(&self) -> &'static str {
        match self {
            Ending::Connected(_) => "connected",
            Ending::LookupFailed(_) => "lookup failed",
            Ending::ConnectFailed(..) => "connect failed",
            Ending::Skipped(_) => "skipped",
        }
    }

    /// The token of its reason or shortage; `None` if it connected.
    pub fn token(&self) -> Option<&'static str> {
        match self {
            Ending::Connected(_) => None,
            Ending::LookupFailed(reason) | Ending::ConnectFailed(reason, _) => Some(reason.token()),
            Ending::Skipped(shortage) => Some(shortage.token()),
        }
    }

    /// The address that accepted, or of which the reason speaks.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Ending::Connected(address) | Ending::ConnectFailed(_, address) => Some(address),
            Ending::LookupFailed(_) | Ending::Skipped(_) => None,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, detail): (&str, &dyn fmt::Display) = match self {
            Ending::Connected(address) => ("connected to", address),
            Ending::LookupFailed(reason) => ("lookup failed:", reason),
            Ending::ConnectFailed(reason, _) => ("connect failed:", reason),
            Ending::Skipped(shortage) => ("skipped:", shortage),
        };
        write!(f, "{what} {detail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_of_reasons_are_those_that_programs_know() {
        let tokens = "name_not_found no_address resolver_failed resolver_silent timeout refused reset network_unreachable \
                      host_unreachable denied no_device no_source no_family";
        let named = Reason::NAMED.map(Reason::token);
        assert_eq!(named.join(" "), tokens);
        assert_eq!(Reason::Other(71).token(), "other");
    }

    #[test]
    fn the_tokens_of_shortages_are_those_that_programs_know() {
        let tokens = "no_descriptors no_memory no_ports no_processes no_rights no_helper no_place late no_socket \
                      resolver_file";
        assert_eq!(Shortage::ALL.map(Shortage::token).join(" "), tokens);
    }

    #[test]
    fn an_ending_is_an_outcome_a_token_and_an_address() {
        let address = Address::new("192.0.2.7".parse().expect("an address"));
        for (ending, expected) in [
            (Ending::Connected(address), ("connected", None, Some(&address))),
            (Ending::LookupFailed(Reason::TimedOut), ("lookup failed", Some("timeout"), None)),
            (Ending::ConnectFailed(Reason::Refused, address), ("connect failed", Some("refused"), Some(&address))),
            (Ending::Skipped(Shortage::Late), ("skipped", Some("late"), None)),
        ] {
            assert_eq!((ending.outcome(), ending.token(), ending.address()), expected);
        }
    }
}
