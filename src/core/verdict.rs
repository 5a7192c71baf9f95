//! What a fact means: is the target to blame, or this box? This is the only file that decides what an errno, the
//! kernel's times and a late look at an answer mean: a reason, a shortage, an earlier time of the answer, or why a
//! connect was slow. (A probe that reached its own deadline timed out, see `probe`; ticks that were missed are late, see
//! `monitor`.)
//!
//! The shell passes in facts: which call failed with which errno, when an attempt started and when its end was seen,
//! what the kernel knows of the handshake.

use crate::base::limits;
use crate::base::time::{Instant, Nanos};
use crate::model::cause::Cause;
use crate::model::facts::{Fault, Handshake, LookupFault};
use crate::model::message::{Addresses, Answer};
use crate::model::reason::{Reason, Shortage};
use crate::model::target::Address;

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
    /// connect(2) found no address of this box to connect from: a datagram connect to the same address failed with
    /// `EADDRNOTAVAIL`, too.
    NoAddress,
    /// The socket hung up without an error: it was never connected (`tcp_poll` of Linux).
    HungUp,
}

/// What is known of an attempt that has ended, beside its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// SYNs that were sent again; `None` if the kernel does not tell.
    pub resent: Option<u32>,
    /// The round trip of the handshake, if the kernel has one.
    pub round_trip: Option<Nanos>,
    /// Why it was slow, if it was accepted and slow: [`Cause::SlowByResentSyns`] or [`Cause::SlowPath`]; `None` also if the
    /// kernel does not tell.
    pub slow: Option<Cause>,
}

/// An attempt that has ended, as the shell saw it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// When connect(2) was called.
    pub started: Instant,
    /// When its end was seen.
    pub seen: Instant,
    /// What failed; `None` if the socket is connected.
    pub error: Option<Failure>,
    /// What the kernel knows of the handshake. It is asked about an attempt that [`Attempt::was_accepted`] or that
    /// [`Attempt::may_have_resent`].
    pub handshake: Option<Handshake>,
    /// The socket is connected to itself: see [`Attempt::may_have_met_itself`].
    pub met_itself: bool,
}

impl Attempt {
    /// Whether the handshake was complete. A peer that resets the connection afterwards has accepted it: in answer to
    /// a SYN a reset is `ECONNREFUSED`, later it is `ECONNRESET`, and `EPIPE` after the peer's FIN (`tcp_reset` of
    /// Linux).
    pub fn was_accepted(&self) -> bool {
        match self.error {
            None => true,
            Some(Failure::Connect(fault)) => matches!(fault, Fault::ECONNRESET | Fault::EPIPE),
            Some(Failure::Prepare(_) | Failure::NoAddress | Failure::HungUp) => false,
        }
    }

    /// Whether the kernel may have sent a SYN again.
    pub fn may_have_resent(&self) -> bool {
        self.seen.since(self.started) >= limits::ONE_SYN
    }

    /// How many SYNs were sent again; `None` if the kernel does not tell.
    pub fn resent(&self) -> Option<u32> {
        match &self.handshake {
            Some(handshake) => Some(handshake.resent),
            None => (!self.may_have_resent()).then_some(0),
        }
    }

    /// Whether an attempt to this address and port may have met no listener but itself (RFC 9293, section 3.5,
    /// simultaneous open). The kernel had to choose the target's port as the local one, from the range `local_ports`,
    /// and the address must be one of this box: the way to those is the loopback device, whose packets are larger than
    /// any of a network. And it must have received its own SYN and its own answer: a listener has sent one segment, as
    /// long as it sends no data.
    pub fn may_have_met_itself(&self, address: Address, port: u16, local_ports: (u16, u16)) -> bool {
        let in_range = local_ports.0 <= port && port <= local_ports.1;
        let loops = |handshake: Handshake| {
            let is_near = address.ip.to_canonical().is_loopback() || handshake.path_mtu >= limits::LOOPBACK_MTU;
            is_near && handshake.received.is_none_or(|received| received > 1)
        };
        in_range && self.error.is_none() && self.handshake.is_none_or(loops)
    }

    /// When the peer accepted, if it has: the round trip of the handshake after the start, however late the loop
    /// looked. If a SYN was sent again, or if the kernel has only ticks, it is when the loop saw it; or when the peer
    /// last acknowledged something, if a loop without delay would have seen that earlier.
    fn accepted(&self) -> Instant {
        let Some(Handshake { resent, round_trip, is_exact, acknowledged, .. }) = self.handshake else {
            return self.seen;
        };
        let is_measured = resent == 0 && round_trip > Nanos::ZERO;
        let end = if is_measured {
            self.started + round_trip
        } else if acknowledged <= self.seen.since(self.started) {
            self.seen.before(acknowledged)
        } else {
            return self.seen;
        };
        let is_late = self.seen.since(end) >= limits::BACKDATE;
        if (is_measured && is_exact) || is_late { end.min(self.seen) } else { self.seen }
    }

    /// Whether it was accepted or failed at `at` in less than `slow` and without a resent SYN, as nearly all are: there
    /// are no [`Details`] then.
    pub(super) fn is_plain(&self, at: Instant, slow: Nanos) -> bool {
        at.since(self.started) < slow && self.resent() == Some(0)
    }

    /// What is known of it beside its verdict. It ended at `at`, and was slow if it took at least `slow`.
    pub(super) fn details(&self, at: Instant, slow: Nanos) -> Details {
        let was_slow = self.was_accepted() && at.since(self.started) >= slow;
        Details {
            resent: self.resent(),
            round_trip: self.handshake.map(|handshake| handshake.round_trip).filter(|time| *time > Nanos::ZERO),
            slow: self.handshake.filter(|_| was_slow).map(|handshake| slowness(&handshake, slow)),
        }
    }

    /// What the attempt means for its probe, and when it ended.
    pub(super) fn judge(&self) -> (Instant, Verdict) {
        let verdict = match self.error {
            _ if self.met_itself => Verdict::ConnectFailed(Reason::Refused),
            _ if self.was_accepted() => return (self.accepted(), Verdict::Connected),
            Some(Failure::Prepare(fault)) => unprepared(fault),
            Some(Failure::Connect(fault)) => failed(fault),
            Some(Failure::NoAddress) => Verdict::ConnectFailed(Reason::NoFamily),
            Some(Failure::HungUp) | None => Verdict::FellShort(Shortage::Socket),
        };
        (self.seen, verdict)
    }
}

/// Why a connect with this handshake was slow. A SYN that was sent again is no reason if the round trip alone would have
/// been slow; after one the kernel has a round trip only with timestamps (RFC 7323, section 4).
fn slowness(handshake: &Handshake, slow: Nanos) -> Cause {
    let is_path = handshake.resent == 0 || handshake.round_trip >= slow;
    if is_path { Cause::SlowPath } else { Cause::SlowByResentSyns }
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
        // The device or source address that was configured does not exist, or this box has nothing of that address
        // family. The target is there to show that, so it is a failure. bind(2) gives EADDRNOTAVAIL for the address
        // alone: for a port it would be EADDRINUSE.
        Fault::ENODEV => Verdict::ConnectFailed(Reason::NoDevice),
        Fault::EADDRNOTAVAIL => Verdict::ConnectFailed(Reason::NoSourceAddress),
        Fault::EAFNOSUPPORT => Verdict::ConnectFailed(Reason::NoFamily),
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
        // (bind(2)).
        Fault::EADDRNOTAVAIL | Fault::EADDRINUSE | Fault::EAGAIN => Some(Shortage::Ports),
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
        Fault::ETIMEDOUT => Reason::TimedOut,
        // EINVAL: from this source, or through this device, no way leads to the address.
        Fault::ENETUNREACH | Fault::ENETDOWN | Fault::EINVAL => Reason::NetworkUnreachable,
        Fault::EHOSTUNREACH | Fault::EHOSTDOWN => Reason::HostUnreachable,
        Fault::EPERM | Fault::EACCES => Reason::Denied,
        Fault::ENODEV => Reason::NoDevice,
        Fault::EAFNOSUPPORT => Reason::NoFamily,
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

/// Whether we delayed a lookup whose end was seen this late, after its limit. If this process was stopped, perhaps its
/// helper was stopped, too.
pub(super) fn is_late_lookup(late: Nanos) -> bool {
    late >= limits::STALL
}

/// Whether addresses of a connect lost their time to us, not to the network. `late` is how late we were to pass from one
/// address to the next, in all.
pub(super) fn is_late_connect(late: Nanos) -> bool {
    late >= limits::BACKDATE
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
            is_exact: true,
            acknowledged: Nanos::from_millis(acknowledged),
            path_mtu: 1500,
            received: Some(1),
        });
        Attempt { started: at(0), seen: at(seen), error, handshake, met_itself: false }
    }

    /// The same of a kernel that measures a round trip in ticks.
    fn in_ticks(mut attempt: Attempt) -> Attempt {
        attempt.handshake.as_mut().expect("a handshake").is_exact = false;
        attempt
    }

    const SLOW: Nanos = Nanos::from_secs(1);

    fn judged(attempt: Attempt) -> String {
        let (at, verdict) = attempt.judge();
        format!("{verdict:?} at {} ms", at.since(Instant::from_nanos(0)).millis())
    }

    fn details(attempt: Attempt, slow: Nanos) -> Details {
        let (at, _) = attempt.judge();
        let details = attempt.details(at, slow);
        let plain = Details { resent: Some(0), slow: None, ..details };
        assert!(!attempt.is_plain(at, slow) || details == plain, "{attempt:?}: {details:?}");
        details
    }

    #[test]
    fn the_time_of_an_accepted_attempt_is_the_round_trip_of_its_handshake() {
        assert_eq!(judged(attempt(2000, None, None)), "Connected at 2000 ms", "the kernel does not say");
        assert_eq!(judged(attempt(2000, None, Some((0, 1950, 0)))), "Connected at 1950 ms");
        assert_eq!(judged(attempt(21, None, Some((0, 20, 0)))), "Connected at 20 ms");
        assert_eq!(judged(attempt(20, None, Some((0, 21, 0)))), "Connected at 20 ms", "never after it was seen");
    }

    #[test]
    fn without_an_exact_round_trip_only_a_loop_that_was_delayed_is_corrected() {
        assert_eq!(judged(in_ticks(attempt(2000, None, Some((0, 1950, 0))))), "Connected at 1950 ms");
        assert_eq!(judged(in_ticks(attempt(2000, None, Some((0, 1951, 0))))), "Connected at 2000 ms");
        assert_eq!(judged(attempt(2000, None, Some((1, 30, 49)))), "Connected at 2000 ms");
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
    fn a_connect_is_slow_by_resent_syns_or_by_its_path() {
        let (resent, path) = (Some(Cause::SlowByResentSyns), Some(Cause::SlowPath));
        for (seen, handshake, expected) in [
            (999, Some((0, 999, 0)), None),
            (1000, Some((0, 1000, 0)), path),
            (1000, Some((0, 999, 0)), None),
            (999, Some((1, 12, 0)), None),
            (1012, Some((1, 12, 0)), resent),
            // Without timestamps there is no round trip after a resent SYN.
            (1012, Some((1, 0, 0)), resent),
            (3012, Some((2, 999, 0)), resent),
            (1000, Some((1, 1000, 0)), path),
            (4000, Some((2, 1000, 0)), path),
            // A kernel before 3.15, and a loop that looks late.
            (1500, Some((0, 0, 0)), path),
            (1500, Some((0, 0, 600)), None),
            (1500, Some((1, 0, 400)), resent),
            (1500, None, None),
        ] {
            let details = details(attempt(seen, None, handshake), SLOW);
            assert_eq!(details.slow, expected, "{seen} {handshake:?}");
            let round_trip = handshake.map(|(_, round_trip, _)| Nanos::from_millis(round_trip));
            assert_eq!(details.round_trip, round_trip.filter(|time| *time > Nanos::ZERO));
        }
        let reset = Some(Failure::Connect(Fault::ECONNRESET));
        assert_eq!(details(attempt(1012, reset, Some((1, 12, 0))), SLOW).slow, resent);
        let refused = Some(Failure::Connect(Fault::ECONNREFUSED));
        assert_eq!(details(attempt(1012, refused, Some((1, 0, 0))), SLOW).slow, None, "it was not accepted");
        let quick = attempt(250, None, Some((1, 12, 0)));
        assert_eq!(details(quick, Nanos::from_millis(250)).slow, resent, "the threshold in force");
    }

    #[test]
    fn resent_syns_are_known_if_the_kernel_tells_or_if_there_was_no_time_for_one() {
        let refused = Some(Failure::Connect(Fault::ECONNREFUSED));
        for (seen, error, handshake, asked, resent) in [
            (799, refused, None, false, Some(0)),
            (800, refused, None, true, None),
            (800, refused, Some((0, 0, 0)), true, Some(0)),
            (3100, refused, Some((2, 0, 0)), true, Some(2)),
            (1, None, None, false, Some(0)),
            (1, None, Some((0, 1, 0)), false, Some(0)),
            (5000, None, None, true, None),
        ] {
            let attempt = attempt(seen, error, handshake);
            assert_eq!(
                (attempt.may_have_resent(), attempt.resent()),
                (asked, resent),
                "{seen} {error:?} {handshake:?}"
            );
        }
    }

    #[test]
    fn a_peer_that_resets_after_the_handshake_has_accepted() {
        for fault in [Fault::ECONNRESET, Fault::EPIPE] {
            let reset = Some(Failure::Connect(fault));
            assert_eq!(judged(attempt(500, reset, Some((0, 20, 0)))), "Connected at 20 ms");
            assert_eq!(judged(attempt(21, reset, Some((0, 20, 0)))), "Connected at 20 ms");
            assert_eq!(judged(attempt(500, reset, Some((1, 20, 400)))), "Connected at 100 ms");
            assert_eq!(judged(attempt(21, reset, None)), "Connected at 21 ms");
        }
    }

    #[test]
    fn a_socket_that_has_met_itself_was_refused() {
        let address = |text: &str| Address::new(text.parse().expect("an address"));
        let may_after = |received, path_mtu, text, port| {
            let mut attempt = attempt(1, None, Some((0, 1, 0)));
            let handshake = attempt.handshake.as_mut().expect("a handshake");
            (handshake.path_mtu, handshake.received) = (path_mtu, received);
            attempt.may_have_met_itself(address(text), port, (40_000, 40_007))
        };
        let may = |path_mtu, text, port| may_after(Some(2), path_mtu, text, port);
        assert!(may_after(None, 65_535, "192.0.2.1", 40_000), "an old kernel");
        assert!(!may_after(Some(1), 65_535, "192.0.2.1", 40_000), "the peer has sent its answer and nothing else");
        assert_eq!((may(65_535, "192.0.2.1", 40_000), may(65_536, "2001:db8::1", 40_007)), (true, true));
        assert_eq!((may(65_535, "192.0.2.1", 39_999), may(65_535, "127.0.0.1", 40_008)), (false, false));
        assert!(!may(9000, "192.0.2.1", 40_000), "a network's packets");
        assert!(may(1500, "127.0.0.1", 40_000) && may(1500, "::1", 40_000), "a loopback device with small packets");
        assert!(attempt(1, None, None).may_have_met_itself(address("192.0.2.1"), 40_000, (40_000, 40_007)));
        let refused = Some(Failure::Connect(Fault::ECONNREFUSED));
        assert!(!attempt(1, refused, None).may_have_met_itself(address("::1"), 40_000, (40_000, 40_007)));
        let met = Attempt { met_itself: true, ..attempt(1, None, Some((0, 1, 0))) };
        assert_eq!(judged(met), "ConnectFailed(Refused) at 1 ms");
    }

    #[test]
    fn every_errno_blames_the_target_or_us_by_the_call_that_gave_it() {
        for (failure, expected) in [
            (Failure::Connect(Fault::ECONNREFUSED), "ConnectFailed(Refused)"),
            (Failure::Connect(Fault::ETIMEDOUT), "ConnectFailed(TimedOut)"),
            (Failure::Connect(Fault::ENETDOWN), "ConnectFailed(NetworkUnreachable)"),
            (Failure::Connect(Fault::EINVAL), "ConnectFailed(NetworkUnreachable)"),
            (Failure::Connect(Fault::EHOSTDOWN), "ConnectFailed(HostUnreachable)"),
            (Failure::Connect(Fault::EPERM), "ConnectFailed(Denied)"),
            (Failure::Connect(Fault::ENODEV), "ConnectFailed(NoDevice)"),
            (Failure::Connect(Fault(71)), "ConnectFailed(Other(71))"),
            (Failure::Connect(Fault::ENOBUFS), "FellShort(Memory)"),
            (Failure::Connect(Fault::EADDRNOTAVAIL), "FellShort(Ports)"),
            (Failure::NoAddress, "ConnectFailed(NoFamily)"),
            (Failure::Connect(Fault::EAFNOSUPPORT), "ConnectFailed(NoFamily)"),
            (Failure::Connect(Fault::EBADF), "FellShort(Socket)"),
            (Failure::Prepare(Fault::EMFILE), "FellShort(Descriptors)"),
            (Failure::Prepare(Fault::EACCES), "FellShort(Rights)"),
            (Failure::Prepare(Fault::ENODEV), "ConnectFailed(NoDevice)"),
            (Failure::Prepare(Fault::EADDRNOTAVAIL), "ConnectFailed(NoSourceAddress)"),
            (Failure::Prepare(Fault::EADDRINUSE), "FellShort(Ports)"),
            (Failure::Prepare(Fault::EAFNOSUPPORT), "ConnectFailed(NoFamily)"),
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
