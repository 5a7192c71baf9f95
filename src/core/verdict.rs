//! What a fact means: is the target to blame, or this box? This is the only file that decides what an errno, the
//! kernel's times and a late look at an answer mean: a reason, a shortage, or an earlier time of the answer. (A probe
//! that reached its own deadline timed out, see `probe`; ticks that were missed are late, see `monitor`.)
//!
//! The shell passes in facts: which call failed with which errno, when an attempt started and when its end was seen,
//! what the kernel knows of the handshake.

use crate::base::limits;
use crate::base::time::{Instant, Nanos};
use crate::model::facts::{Fault, Handshake, LookupFault};
use crate::model::message::{Addresses, Answer};
use crate::model::reason::{Reason, Shortage};

/// The meaning of an attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The peer accepted.
    Connected,
    /// The attempt failed, and the target is to blame.
    ConnectFailed(Reason),
    /// The attempt failed by a shortage of our own.
    FellShort(Shortage),
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The socket could not be made ready: socket(2), the index of the scope, or a bind to a device or a source address.
    Prepare(Fault),
    /// connect(2) failed, at once or later (`SO_ERROR`).
    Connect(Fault),
    /// The socket hung up without an error: it was never connected (`tcp_poll` of Linux).
    HungUp,
}

/// An attempt that has ended, as the shell saw it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// When connect(2) was called.
    pub started: Instant,
    /// When its end was seen.
    pub seen: Instant,
    /// What failed; `None` if the peer accepted.
    pub error: Option<Failure>,
    /// What the kernel knows of the handshake, if it was asked: see [`Attempt::wants_handshake`].
    pub handshake: Option<Handshake>,
}

impl Attempt {
    /// Whether the caller must ask the kernel for the handshake. A fast attempt counts as fast in any case; one that
    /// took `slow` or longer, or was reset, may have been accepted before the loop looked.
    pub fn wants_handshake(&self, slow: Nanos) -> bool {
        match self.error {
            None => self.seen.since(self.started) >= slow,
            Some(failure) => failure == Failure::Connect(Fault::ECONNRESET),
        }
    }

    /// When the handshake ended, if a loop without delay would have seen that earlier.
    fn backdated(&self) -> Option<Instant> {
        let Handshake { resent, round_trip, acknowledged } = self.handshake?;
        let end = if resent == 0 && round_trip > Nanos::ZERO {
            self.started + round_trip
        } else if acknowledged <= self.seen.since(self.started) {
            self.seen.before(acknowledged)
        } else {
            return None;
        };
        Some(end).filter(|end| self.seen.since(*end) >= limits::BACKDATE)
    }

    /// Whether the peer has accepted.
    pub fn is_accepted(&self) -> bool {
        self.error.is_none() || self.backdated().is_some()
    }

    /// What the attempt means for its probe, and when it ended.
    pub(super) fn judge(&self) -> (Instant, Verdict) {
        match (self.backdated(), self.error) {
            (Some(end), _) => (end, Verdict::Connected),
            (None, None) => (self.seen, Verdict::Connected),
            (None, Some(Failure::Prepare(fault))) => (self.seen, unprepared(fault)),
            (None, Some(Failure::Connect(fault))) => (self.seen, failed(fault)),
            (None, Some(Failure::HungUp)) => (self.seen, Verdict::FellShort(Shortage::Socket)),
        }
    }
}

/// The meaning of a failed connect.
fn failed(fault: Fault) -> Verdict {
    match shortage(fault) {
        Some(shortage) => Verdict::FellShort(shortage),
        None => Verdict::ConnectFailed(reason(fault)),
    }
}

/// The meaning of a socket that could not be prepared.
fn unprepared(fault: Fault) -> Verdict {
    match fault {
        // This process may not use the configured device or source address. That says nothing about the target.
        Fault::EPERM | Fault::EACCES => Verdict::FellShort(Shortage::Rights),
        // The configured device does not exist. The target is there to show that, so it is a failure.
        Fault::ENODEV => failed(fault),
        _ => Verdict::FellShort(shortage(fault).unwrap_or(Shortage::Socket)),
    }
}

/// The shortage of our own that an errno means, if any.
#[inline(never)] // Called from many paths.
fn shortage(fault: Fault) -> Option<Shortage> {
    match fault {
        Fault::EMFILE | Fault::ENFILE => Some(Shortage::Descriptors),
        Fault::ENOBUFS | Fault::ENOMEM => Some(Shortage::Memory),
        // EAGAIN: no local port was left, before Linux 3.19 (connect(2)). EADDRINUSE: no port was left to bind to
        // (bind(2)). EAFNOSUPPORT: this box has no address of that family at all.
        Fault::EADDRNOTAVAIL | Fault::EADDRINUSE | Fault::EAGAIN | Fault::EAFNOSUPPORT => Some(Shortage::Ports),
        // These do not come from the network: the call itself was wrong.
        Fault::EALREADY
        | Fault::EBADF
        | Fault::EFAULT
        | Fault::EISCONN
        | Fault::ENOTCONN
        | Fault::ENOTSOCK
        | Fault::EPROTOTYPE => Some(Shortage::Socket),
        _ => None,
    }
}

/// Why a connect failed (connect(2), ip(7), tcp(7)).
fn reason(fault: Fault) -> Reason {
    match fault {
        Fault::ECONNREFUSED => Reason::Refused,
        Fault::ECONNRESET | Fault::EPIPE => Reason::Reset,
        Fault::ETIMEDOUT => Reason::TimedOut,
        Fault::ENETUNREACH | Fault::ENETDOWN => Reason::NetworkUnreachable,
        Fault::EHOSTUNREACH | Fault::EHOSTDOWN => Reason::HostUnreachable,
        Fault::EPERM | Fault::EACCES => Reason::Denied,
        Fault::ENODEV => Reason::NoDevice,
        Fault(other) => Reason::Other(other),
    }
}

/// The meaning of what getaddrinfo(3) returned in a helper.
pub fn lookup(result: Result<Addresses, LookupFault>) -> Answer {
    let LookupFault { code, errno, socket } = match result {
        Ok(addresses) if addresses.as_slice().is_empty() => return Answer::Failed(Reason::NoAddress),
        Ok(addresses) => return Answer::Found(addresses),
        Err(fault) => fault,
    };
    // If glibc gets no socket for its query, it reports that the name does not exist.
    if let Some(shortage @ (Shortage::Descriptors | Shortage::Memory)) = socket.and_then(shortage) {
        return Answer::Short(shortage);
    }
    Answer::Failed(match code {
        LookupFault::NONAME => Reason::NameNotFound,
        LookupFault::NODATA | LookupFault::ADDRFAMILY => Reason::NoAddress,
        LookupFault::AGAIN => Reason::ResolverSilent,
        LookupFault::MEMORY => return Answer::Short(Shortage::Memory),
        LookupFault::SYSTEM => match shortage(errno) {
            Some(Shortage::Descriptors) => return Answer::Short(Shortage::Descriptors),
            Some(Shortage::Socket) | None => Reason::ResolverFailed,
            // The resolver got no port, buffer or memory.
            Some(_) => return Answer::Short(Shortage::Memory),
        },
        _ => Reason::ResolverFailed,
    })
}

/// Why no helper could be asked for a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// There are as many helpers as may be, and all are busy.
    Full,
    /// Helpers died again and again, so none is forked for a while.
    Paused,
    /// A helper could not be forked.
    Fork(Fault),
    /// The socket of an idle helper did not accept the request.
    Send,
}

/// The shortage of a lookup for which no helper could be asked.
pub fn unasked(why: Unasked) -> Shortage {
    match why {
        Unasked::Full => Shortage::Helpers,
        Unasked::Fork(Fault::EMFILE | Fault::ENFILE) => Shortage::Descriptors,
        Unasked::Fork(Fault::ENOMEM | Fault::ENOBUFS) | Unasked::Send => Shortage::Memory,
        Unasked::Fork(_) | Unasked::Paused => Shortage::Processes,
    }
}

/// Whether we delayed a lookup whose end was seen after `elapsed`. Without a delay it would have ended at its limit. If
/// this process was stopped, perhaps its helper was stopped, too.
pub(super) fn is_late_lookup(elapsed: Nanos, timeout: Nanos) -> bool {
    elapsed >= timeout.plus(limits::STALL)
}

/// Whether we delayed a connect whose attempt failed after `elapsed`, at its limit or later. Then the addresses that
/// are left lost their time to us, not to the network.
pub(super) fn is_late_connect(elapsed: Nanos, timeout: Nanos) -> bool {
    elapsed.before(timeout) >= limits::BACKDATE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(0) + Nanos::from_millis(millis)
    }

    fn attempt(seen: u64, error: Option<Failure>, handshake: Option<(u32, u64, u64)>) -> Attempt {
        let handshake = handshake.map(|(resent, round_trip, acknowledged)| Handshake {
            resent,
            round_trip: Nanos::from_millis(round_trip),
            acknowledged: Nanos::from_millis(acknowledged),
        });
        Attempt { started: at(0), seen: at(seen), error, handshake }
    }

    fn judged(attempt: Attempt) -> String {
        let (at, verdict) = attempt.judge();
        format!("{verdict:?} at {} ms", at.since(Instant::from_nanos(0)).millis())
    }

    #[test]
    fn an_accepted_attempt_is_backdated_only_if_a_loop_without_delay_would_have_seen_it_earlier() {
        assert_eq!(judged(attempt(2000, None, None)), "Connected at 2000 ms");
        assert_eq!(judged(attempt(2000, None, Some((0, 1950, 0)))), "Connected at 1950 ms");
        assert_eq!(judged(attempt(2000, None, Some((0, 1951, 0)))), "Connected at 2000 ms", "nearly without delay");
        assert_eq!(
            judged(attempt(2000, None, Some((1, 30, 900)))),
            "Connected at 1100 ms",
            "a resent SYN: the time of its ACK"
        );
        assert_eq!(
            judged(attempt(2000, None, Some((0, 0, 900)))),
            "Connected at 1100 ms",
            "no round trip: the time of its ACK"
        );
        assert_eq!(
            judged(attempt(2000, None, Some((1, 30, 2001)))),
            "Connected at 2000 ms",
            "an ACK before the connect"
        );
    }

    #[test]
    fn a_reset_after_a_handshake_that_ended_long_ago_was_accepted() {
        let reset = Some(Failure::Connect(Fault::ECONNRESET));
        assert_eq!(judged(attempt(500, reset, Some((0, 20, 0)))), "Connected at 20 ms");
        assert_eq!(judged(attempt(40, reset, Some((0, 20, 0)))), "ConnectFailed(Reset) at 40 ms");
        assert_eq!(judged(attempt(500, reset, None)), "ConnectFailed(Reset) at 500 ms");
    }

    #[test]
    fn the_kernel_is_asked_for_slow_connects_and_resets_alone() {
        let slow = Nanos::from_millis(1000);
        let asked = |seen, error| attempt(seen, error, None).wants_handshake(slow);
        assert_eq!((asked(999, None), asked(1000, None)), (false, true));
        assert!(asked(1, Some(Failure::Connect(Fault::ECONNRESET))));
        assert!(!asked(1000, Some(Failure::Connect(Fault::ECONNREFUSED))));
    }

    #[test]
    fn every_errno_blames_the_target_or_us_by_the_call_that_gave_it() {
        for (failure, expected) in [
            (Failure::Connect(Fault::ECONNREFUSED), "ConnectFailed(Refused)"),
            (Failure::Connect(Fault::EPIPE), "ConnectFailed(Reset)"),
            (Failure::Connect(Fault::ETIMEDOUT), "ConnectFailed(TimedOut)"),
            (Failure::Connect(Fault::ENETDOWN), "ConnectFailed(NetworkUnreachable)"),
            (Failure::Connect(Fault::EHOSTDOWN), "ConnectFailed(HostUnreachable)"),
            (Failure::Connect(Fault::EPERM), "ConnectFailed(Denied)"),
            (Failure::Connect(Fault::ENODEV), "ConnectFailed(NoDevice)"),
            (Failure::Connect(Fault(71)), "ConnectFailed(Other(71))"),
            (Failure::Connect(Fault::ENOBUFS), "FellShort(Memory)"),
            (Failure::Connect(Fault::EADDRNOTAVAIL), "FellShort(Ports)"),
            (Failure::Connect(Fault::EAFNOSUPPORT), "FellShort(Ports)"),
            (Failure::Connect(Fault::EBADF), "FellShort(Socket)"),
            (Failure::Prepare(Fault::EMFILE), "FellShort(Descriptors)"),
            (Failure::Prepare(Fault::EACCES), "FellShort(Rights)"),
            (Failure::Prepare(Fault::ENODEV), "ConnectFailed(NoDevice)"),
            (Failure::Prepare(Fault::EADDRNOTAVAIL), "FellShort(Ports)"),
            (Failure::Prepare(Fault::ECONNREFUSED), "FellShort(Socket)"),
            (Failure::HungUp, "FellShort(Socket)"),
        ] {
            let (_, verdict) = attempt(1, Some(failure), None).judge();
            assert_eq!(format!("{verdict:?}"), expected, "{failure:?}");
        }
    }

    #[test]
    fn every_error_of_getaddrinfo_blames_the_name_the_resolver_or_us() {
        let answer = |code, errno, socket| lookup(Err(LookupFault { code, errno, socket }));
        for (code, errno, socket, expected) in [
            (LookupFault::NONAME, Fault(0), None, Answer::Failed(Reason::NameNotFound)),
            (LookupFault::NONAME, Fault(0), Some(Fault::EMFILE), Answer::Short(Shortage::Descriptors)),
            (LookupFault::NONAME, Fault(0), Some(Fault::EACCES), Answer::Failed(Reason::NameNotFound)),
            (LookupFault::NODATA, Fault(0), None, Answer::Failed(Reason::NoAddress)),
            (LookupFault::ADDRFAMILY, Fault(0), None, Answer::Failed(Reason::NoAddress)),
            (LookupFault::AGAIN, Fault(0), None, Answer::Failed(Reason::ResolverSilent)),
            (LookupFault::MEMORY, Fault(0), None, Answer::Short(Shortage::Memory)),
            (LookupFault::SYSTEM, Fault::ENFILE, None, Answer::Short(Shortage::Descriptors)),
            (LookupFault::SYSTEM, Fault::EADDRNOTAVAIL, None, Answer::Short(Shortage::Memory)),
            (LookupFault::SYSTEM, Fault::EBADF, None, Answer::Failed(Reason::ResolverFailed)),
            (LookupFault::SYSTEM, Fault::ECONNREFUSED, None, Answer::Failed(Reason::ResolverFailed)),
            (-4, Fault(0), None, Answer::Failed(Reason::ResolverFailed)),
        ] {
            assert_eq!(answer(code, errno, socket), expected, "{code} {errno:?} {socket:?}");
        }
        assert_eq!(lookup(Ok(Addresses::new())), Answer::Failed(Reason::NoAddress));
    }

    #[test]
    fn a_helper_that_cannot_be_asked_is_a_shortage() {
        for (why, shortage) in [
            (Unasked::Full, Shortage::Helpers),
            (Unasked::Paused, Shortage::Processes),
            (Unasked::Fork(Fault::EMFILE), Shortage::Descriptors),
            (Unasked::Fork(Fault::ENOMEM), Shortage::Memory),
            (Unasked::Fork(Fault::EAGAIN), Shortage::Processes),
            (Unasked::Send, Shortage::Memory),
        ] {
            assert_eq!(unasked(why), shortage, "{why:?}");
        }
    }
}
