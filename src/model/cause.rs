//! What a probe showed beside its outcome, each cause with a counter: why it failed, and why it was slow.

use core::fmt;

use super::reason::Reason;

/// A cause that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The lookup failed for [`Reason::NameNotFound`].
    LookupNameNotFound,
    /// The lookup failed for [`Reason::NoAddress`].
    LookupNoAddress,
    /// The lookup failed for [`Reason::ResolverFailed`], or for a reason that is not in this list.
    LookupResolverFailed,
    /// The lookup failed for [`Reason::ResolverSilent`].
    LookupResolverSilent,
    /// The lookup timed out.
    LookupTimedOut,
    /// The connect timed out.
    ConnectTimedOut,
    /// The connect was refused.
    ConnectRefused,
    /// See [`Reason::Reset`].
    ConnectReset,
    /// The connect failed for [`Reason::NetworkUnreachable`].
    ConnectNetworkUnreachable,
    /// The connect failed for [`Reason::HostUnreachable`].
    ConnectHostUnreachable,
    /// The connect failed for [`Reason::Denied`].
    ConnectDenied,
    /// The connect failed for [`Reason::NoDevice`].
    ConnectNoDevice,
    /// The connect failed for [`Reason::NoSourceAddress`].
    ConnectNoSourceAddress,
    /// The connect failed for [`Reason::NoFamily`].
    ConnectNoFamily,
    /// The connect failed for any other reason.
    ConnectOther,
    /// The connect was slow, and a SYN of the attempt that was accepted had to be sent again.
    SlowByResentSyns,
    /// The connect was slow without a resent SYN, or its round trip itself was slow.
    SlowPath,
    /// The lookup was slow.
    SlowLookup,
    /// An address was given up because it stayed silent, before another one accepted.
    Silent,
}

listed! {
    /// Every cause. The ledger writes the index: a new one comes last.
    Cause::ALL = [
        LookupNameNotFound,
        LookupNoAddress,
        LookupResolverFailed,
        LookupResolverSilent,
        LookupTimedOut,
        ConnectTimedOut,
        ConnectRefused,
        ConnectReset,
        ConnectNetworkUnreachable,
        ConnectHostUnreachable,
        ConnectDenied,
        ConnectNoDevice,
        ConnectNoSourceAddress,
        ConnectNoFamily,
        ConnectOther,
        SlowByResentSyns,
        SlowPath,
        SlowLookup,
        Silent,
    ];
}

/// A phase of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The lookup.
    Lookup,
    /// The connect.
    Connect,
}

impl Cause {
    /// The cause of a lookup that failed for this reason.
    pub fn of_lookup(reason: Reason) -> Cause {
        match reason {
            Reason::NameNotFound => Cause::LookupNameNotFound,
            Reason::NoAddress => Cause::LookupNoAddress,
            Reason::ResolverSilent => Cause::LookupResolverSilent,
            Reason::TimedOut => Cause::LookupTimedOut,
            Reason::ResolverFailed
            | Reason::Refused
            | Reason::Reset
            | Reason::NetworkUnreachable
            | Reason::HostUnreachable
            | Reason::Denied
            | Reason::NoDevice
            | Reason::NoSourceAddress
            | Reason::NoFamily
            | Reason::Other(_) => Cause::LookupResolverFailed,
        }
    }

    /// The cause of a connect that failed for this reason.
    pub fn of_connect(reason: Reason) -> Cause {
        match reason {
            Reason::TimedOut => Cause::ConnectTimedOut,
            Reason::Refused => Cause::ConnectRefused,
            Reason::Reset => Cause::ConnectReset,
            Reason::NetworkUnreachable => Cause::ConnectNetworkUnreachable,
            Reason::HostUnreachable => Cause::ConnectHostUnreachable,
            Reason::Denied => Cause::ConnectDenied,
            Reason::NoDevice => Cause::ConnectNoDevice,
            Reason::NoSourceAddress => Cause::ConnectNoSourceAddress,
            Reason::NoFamily => Cause::ConnectNoFamily,
            Reason::NameNotFound
            | Reason::NoAddress
            | Reason::ResolverFailed
            | Reason::ResolverSilent
            | Reason::Other(_) => Cause::ConnectOther,
        }
    }

    /// The phase that failed and its reason; `None` for a cause of slowness. A reason without a name is
    /// `Reason::Other(0)`: the counter does not keep its number.
    pub fn failure(self) -> Option<(Phase, Reason)> {
        let reason = match self {
            Cause::LookupNameNotFound => return Some((Phase::Lookup, Reason::NameNotFound)),
            Cause::LookupNoAddress => return Some((Phase::Lookup, Reason::NoAddress)),
            Cause::LookupResolverFailed => return Some((Phase::Lookup, Reason::ResolverFailed)),
            Cause::LookupResolverSilent => return Some((Phase::Lookup, Reason::ResolverSilent)),
            Cause::LookupTimedOut => return Some((Phase::Lookup, Reason::TimedOut)),
            Cause::ConnectTimedOut => Reason::TimedOut,
            Cause::ConnectRefused => Reason::Refused,
            Cause::ConnectReset => Reason::Reset,
            Cause::ConnectNetworkUnreachable => Reason::NetworkUnreachable,
            Cause::ConnectHostUnreachable => Reason::HostUnreachable,
            Cause::ConnectDenied => Reason::Denied,
            Cause::ConnectNoDevice => Reason::NoDevice,
            Cause::ConnectNoSourceAddress => Reason::NoSourceAddress,
            Cause::ConnectNoFamily => Reason::NoFamily,
            Cause::ConnectOther => Reason::Other(0),
            Cause::SlowByResentSyns | Cause::SlowPath | Cause::SlowLookup | Cause::Silent => return None,
        };
        Some((Phase::Connect, reason))
    }
}

/// Its text in the table of times, without the address that a silent one names.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Cause::SlowByResentSyns => "slow by resent SYNs",
            Cause::SlowPath => "slow path",
            Cause::SlowLookup => "slow lookup",
            Cause::Silent => "silent",
            // The counter does not tell which error it was.
            Cause::ConnectOther => "connect other error",
            Cause::LookupNameNotFound
            | Cause::LookupNoAddress
            | Cause::LookupResolverFailed
            | Cause::LookupResolverSilent
            | Cause::LookupTimedOut
            | Cause::ConnectTimedOut
            | Cause::ConnectRefused
            | Cause::ConnectReset
            | Cause::ConnectNetworkUnreachable
            | Cause::ConnectHostUnreachable
            | Cause::ConnectDenied
            | Cause::ConnectNoDevice
            | Cause::ConnectNoSourceAddress
            | Cause::ConnectNoFamily => {
                return match self.failure() {
                    Some((Phase::Lookup, reason)) => write!(f, "lookup {reason}"),
                    Some((Phase::Connect, reason)) => write!(f, "connect {reason}"),
                    None => Ok(()),
                };
            }
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_counted_as_what_it_is_read_back_as() {
        for cause in Cause::ALL {
            match cause.failure() {
                Some((Phase::Lookup, reason)) => assert_eq!(Cause::of_lookup(reason), cause),
                Some((Phase::Connect, reason)) => assert_eq!(Cause::of_connect(reason), cause),
                None => assert!(cause.index() >= Cause::SlowByResentSyns.index(), "{cause:?}"),
            }
        }
    }
}
