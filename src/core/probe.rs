//! The life of one probe: a lookup, then a connect to the addresses it found, then exactly one end.
//!
//! A probe is a plain value. The caller passes in what happened and when; a [`Next`] says what the
//! probe needs next. A probe waits for exactly one thing at a time. No state waits for ever: while a
//! lookup or connect is under way, the probe has a deadline.

use crate::base::limits;
use crate::base::time::{Instant, Nanos};
use crate::core::verdict::{self, Verdict};
use crate::model::outcome::{Outcome, Speed, Thresholds};
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::target::Address;

/// Identifies one lookup or one attempt of a probe, in actions and events. A slot repeats an id only
/// after 2^32 others, so an answer that comes late or twice matches no probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeId {
    /// The slot that holds the probe, below [`limits::PROBES`].
    pub slot: u16,
    generation: u32,
}

impl ProbeId {
    /// The id in this slot at this `generation`, which counts the slot's lookups and attempts.
    pub const fn new(slot: u16, generation: u32) -> Self {
        Self { slot, generation }
    }
}

/// What happens to a probe.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A helper was asked. The limit of the lookup begins now.
    LookupStarted,
    /// The lookup took this time and found these addresses.
    Answered(Nanos, &'a [Address]),
    /// The lookup took this time and failed.
    LookupFailed(Nanos, Reason),
    /// The helper died without an answer.
    LookupLost,
    /// An attempt has started. This comes first even if the attempt ends at once.
    ConnectStarted,
    /// The peer accepted. The time passed in with this may lie in the past.
    Connected,
    /// The attempt failed.
    ConnectFailed(Reason),
    /// A shortage of our own prevented the lookup or attempt.
    FellShort(Shortage),
    /// The deadline of [`Next::Wait`] has passed.
    Expired,
}

impl From<Verdict> for Input<'_> {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Connected => Input::Connected,
            Verdict::ConnectFailed(reason) => Input::ConnectFailed(reason),
            Verdict::FellShort(shortage) => Input::FellShort(shortage),
        }
    }
}

/// What a probe needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A helper for its lookup.
    Ask,
    /// An attempt to connect to [`Probe::address`].
    Connect,
    /// Nothing before this deadline.
    Wait(Instant),
    /// Nothing more: it has ended.
    End(End),
}

/// How a probe ended and how long its phases took. The time of a phase is `None` if the phase did not happen or
/// the tick was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What is counted; `None` if the tick was skipped.
    pub outcome: Option<Outcome>,
    /// The same with its reason or address, for display.
    pub ending: Ending,
    /// Duration of the lookup.
    pub lookup: Option<Nanos>,
    /// Duration of the connect, from the start of its first attempt.
    pub connect: Option<Nanos>,
}

/// A probe that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    thresholds: Thresholds,
    /// When the limit of the current phase began; [`Instant::NEVER`] while no limit is running.
    began: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would need the heap, and most probes connect")]
enum State {
    /// Waits for a helper. It gets one when a lookup in flight ends, and each of those has a deadline.
    Waiting { asks: u8 },
    /// A helper is busy with the lookup.
    LookingUp { asks: u8 },
    /// Connects, or will as soon as the caller starts the attempt.
    Connecting(Connecting),
}

#[derive(Clone, Copy, Debug)]
struct Connecting {
    lookup: Nanos,
    lookup_speed: Speed,
    addresses: [Address; limits::ADDRESSES],
    count: u8,
    /// The address being tried.
    current: u8,
    /// Why the addresses before it did not accept: see [`Connecting::blame`].
    reason: Option<Reason>,
    /// No local port was left for an IPv4 address. (For an IPv6 address this may only mean that the
    /// box has no IPv6.)
    short: bool,
}

impl Probe {
    /// A new probe. [`Probe::begin`] starts it.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, began: Instant::NEVER, state: State::Waiting { asks: 0 } }
    }

    /// Starts the probe. A name needs a lookup first; an IP literal counts as a fast lookup of 0 ns
    /// and needs no helper.
    pub fn begin(&mut self, literal: Option<Address>) -> Next {
        match literal {
            Some(address) => self.connect_to(&[address], Nanos::ZERO, Speed::Fast),
            None => Next::Ask,
        }
    }

    /// Handles what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Next {
        // Zero while no limit is running.
        let elapsed = now.since(self.began);
        let next = match input {
            Input::LookupStarted => self.asked(now),
            Input::Answered(elapsed, addresses) => Some(self.answered(elapsed, addresses)),
            Input::LookupFailed(elapsed, reason) => Some(self.lookup_failed(elapsed, reason)),
            Input::LookupLost => self.lost_helper(),
            Input::ConnectStarted => self.connecting(now),
            Input::Connected => self.connected(elapsed),
            Input::ConnectFailed(reason) => self.connect_failed(elapsed, reason),
            Input::FellShort(shortage) => Some(self.fell_short(elapsed, shortage)),
            Input::Expired => self.expired(elapsed),
        };
        // An input without meaning in this state changes nothing.
        next.unwrap_or(Next::Wait(self.began + self.thresholds.timeout))
    }

    /// Whether a helper is busy with its lookup.
    pub fn is_looking_up(&self) -> bool {
        matches!(self.state, State::LookingUp { .. })
    }

    /// The address to which it connects, now or next; `None` until its lookup has ended.
    pub fn address(&self) -> Option<&Address> {
        match &self.state {
            State::Waiting { .. } | State::LookingUp { .. } => None,
            State::Connecting(connecting) => Some(connecting.address()),
        }
    }

    fn asked(&mut self, now: Instant) -> Option<Next> {
        if let State::Waiting { asks } | State::LookingUp { asks } = self.state {
            self.state = State::LookingUp { asks };
            self.began = now;
        }
        None
    }

    /// Asks for another helper, but not for ever.
    fn lost_helper(&mut self) -> Option<Next> {
        let State::LookingUp { asks } = self.state else { return None };
        if asks + 1 == limits::LOOKUP_ASKS {
            return Some(skip(Shortage::Processes));
        }
        self.state = State::Waiting { asks: asks + 1 };
        self.began = Instant::NEVER;
        Some(Next::Ask)
    }

    fn answered(&mut self, elapsed: Nanos, addresses: &[Address]) -> Next {
        match self.thresholds.speed(elapsed) {
            Some(speed) if !addresses.is_empty() => self.connect_to(addresses, elapsed, speed),
            Some(_) => self.lookup_failed(elapsed, Reason::NoAddress),
            None => self.lookup_failed(elapsed, Reason::TimedOut),
        }
    }

    #[inline(never)]
    fn lookup_failed(&mut self, elapsed: Nanos, reason: Reason) -> Next {
        if verdict::is_late_lookup(elapsed, self.thresholds.timeout) {
            return skip(Shortage::Late);
        }
        let reason = if elapsed < self.thresholds.timeout { reason } else { Reason::TimedOut };
        Next::End(End {
            outcome: Some(Outcome::LookupFailed),
            ending: Ending::LookupFailed(reason),
            lookup: Some(elapsed),
            connect: None,
        })
    }

    /// Begins the connect to these addresses. There is at least one.
    fn connect_to(&mut self, addresses: &[Address], lookup: Nanos, lookup_speed: Speed) -> Next {
        let mut kept = [addresses[0]; limits::ADDRESSES];
        let count = addresses.len().min(limits::ADDRESSES);
        kept[..count].copy_from_slice(&addresses[..count]);
        self.state = State::Connecting(Connecting {
            lookup,
            lookup_speed,
            addresses: kept,
            count: count as u8,
            current: 0,
            reason: None,
            short: false,
        });
        self.began = Instant::NEVER;
        Next::Connect
    }

    /// The limit of the connect begins with its first attempt.
    fn connecting(&mut self, now: Instant) -> Option<Next> {
        if matches!(self.state, State::Connecting(_)) && self.began == Instant::NEVER {
            self.began = now;
        }
        None
    }

    fn connected(&mut self, elapsed: Nanos) -> Option<Next> {
        let State::Connecting(connecting) = &self.state else { return None };
        Some(match self.thresholds.speed(elapsed) {
            Some(speed) => connecting.end(elapsed, Some(speed), Ending::Connected(*connecting.address())),
            None => connecting.fail(elapsed, Reason::TimedOut),
        })
    }

    /// Tries the next address, if there is one.
    fn connect_failed(&mut self, elapsed: Nanos, reason: Reason) -> Option<Next> {
        let timeout = self.thresholds.timeout;
        let State::Connecting(connecting) = &mut self.state else { return None };
        connecting.blame(reason);
        Some(if connecting.is_last() {
            if connecting.is_our_own() { skip(Shortage::Ports) } else { connecting.fail_for_reason(elapsed) }
        } else if elapsed < timeout {
            connecting.next()
        } else if verdict::is_late_connect(elapsed, timeout) {
            skip(Shortage::Late)
        } else {
            // This address used up the whole limit.
            connecting.fail(elapsed, Reason::TimedOut)
        })
    }

    fn fell_short(&mut self, elapsed: Nanos, shortage: Shortage) -> Next {
        if let (State::Connecting(connecting), Shortage::Ports) = (&mut self.state, shortage) {
            connecting.short |= connecting.address().ip.is_ipv4();
            // If this address has no local one (the box has no IPv6, for instance), another may have.
            if !connecting.is_last() && elapsed < self.thresholds.timeout {
                return connecting.next();
            }
            if connecting.reason.is_some() && !connecting.is_our_own() {
                return connecting.fail_for_reason(elapsed);
            }
        }
        skip(shortage)
    }

    fn expired(&mut self, elapsed: Nanos) -> Option<Next> {
        match &self.state {
            State::Waiting { .. } => None,
            State::LookingUp { .. } => Some(self.lookup_failed(elapsed, Reason::TimedOut)),
            State::Connecting(connecting) => Some(connecting.fail(elapsed, Reason::TimedOut)),
        }
    }
}

// Not inlined, like the failures: called from many paths.
#[inline(never)]
fn skip(shortage: Shortage) -> Next {
    Next::End(End { outcome: None, ending: Ending::Skipped(shortage), lookup: None, connect: None })
}

impl Connecting {
    fn address(&self) -> &Address {
        &self.addresses[usize::from(self.current)]
    }

    fn is_last(&self) -> bool {
        self.current + 1 >= self.count
    }

    fn next(&mut self) -> Next {
        self.current += 1;
        Next::Connect
    }

    /// Keeps the reason that says most: any other one replaces "unreachable", else the first stays.
    fn blame(&mut self, reason: Reason) {
        if self.reason.is_none_or(|kept| kept.is_unreachable() && !reason.is_unreachable()) {
            self.reason = Some(reason);
        }
    }

    /// Whether a shortage of our own is to blame: no local port was left for an IPv4 address, and the
    /// other addresses failed as unreachable at most.
    fn is_our_own(&self) -> bool {
        self.short && self.reason.is_none_or(Reason::is_unreachable)
    }

    /// Fails with the reason that was kept.
    fn fail_for_reason(&self, elapsed: Nanos) -> Next {
        self.fail(elapsed, self.reason.unwrap_or(Reason::TimedOut))
    }

    #[inline(never)]
    fn fail(&self, elapsed: Nanos, reason: Reason) -> Next {
        self.end(elapsed, None, Ending::ConnectFailed(reason))
    }

    fn end(&self, elapsed: Nanos, speed: Option<Speed>, ending: Ending) -> Next {
        Next::End(End {
            outcome: Some(Outcome::of(self.lookup_speed, speed)),
            ending,
            lookup: Some(self.lookup),
            connect: Some(elapsed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr};

    const SECOND: u64 = 1_000_000_000;
    const LIMITS: Thresholds = Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(5) };

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn address(last: u8) -> Address {
        Address::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    fn addresses(count: u8) -> Vec<Address> {
        (1..=count).map(address).collect()
    }

    fn outcome(next: Next) -> Option<Outcome> {
        match next {
            Next::End(end) => end.outcome,
            other => panic!("it has not ended: {other:?}"),
        }
    }

    fn ending(next: Next) -> String {
        match next {
            Next::End(end) => end.ending.to_string(),
            other => panic!("it has not ended: {other:?}"),
        }
    }

    /// A probe of a name whose lookup took `lookup` and found `count` addresses, and whose first attempt
    /// starts at 0.
    fn connecting(lookup: Nanos, count: u8) -> Probe {
        let mut probe = Probe::new(LIMITS);
        assert_eq!(probe.begin(None), Next::Ask);
        assert_eq!(probe.handle(at(0), Input::LookupStarted), Next::Wait(at(5 * SECOND)));
        assert_eq!(
            (probe.handle(at(0), Input::Answered(lookup, &addresses(count))), probe.address().copied()),
            (Next::Connect, Some(address(1)))
        );
        assert_eq!(probe.handle(at(0), Input::ConnectStarted), Next::Wait(at(5 * SECOND)));
        probe
    }

    #[test]
    fn a_literal_is_a_fast_lookup_of_no_time() {
        let mut probe = Probe::new(LIMITS);
        assert_eq!((probe.begin(Some(address(1))), probe.address().copied()), (Next::Connect, Some(address(1))));
        probe.handle(at(7), Input::ConnectStarted);
        let Next::End(end) = probe.handle(at(12), Input::Connected) else { panic!("it has not ended") };
        assert_eq!((end.lookup, end.connect), (Some(Nanos::ZERO), Some(Nanos::new(5))));
        assert_eq!(end.outcome, Some(Outcome::FastFast));
    }

    #[test]
    fn answer_one_nanosecond_below_a_limit_is_in_and_at_it_is_out() {
        for (lookup, connect, expected) in [
            (SECOND - 1, SECOND - 1, Outcome::FastFast),
            (SECOND - 1, SECOND, Outcome::FastSlow),
            (SECOND - 1, 5 * SECOND - 1, Outcome::FastSlow),
            (SECOND - 1, 5 * SECOND, Outcome::FastFailed),
            (SECOND, SECOND - 1, Outcome::SlowFast),
            (5 * SECOND - 1, SECOND, Outcome::SlowSlow),
            (5 * SECOND - 1, 5 * SECOND, Outcome::SlowFailed),
        ] {
            let mut probe = connecting(Nanos::new(lookup), 1);
            assert_eq!(outcome(probe.handle(at(connect), Input::Connected)), Some(expected), "{lookup} {connect}");
        }
    }

    #[test]
    fn a_lookup_at_its_limit_has_failed_even_with_an_answer() {
        let mut probe = Probe::new(LIMITS);
        probe.handle(at(0), Input::LookupStarted);
        let next = probe.handle(at(0), Input::Answered(Nanos::from_secs(5), &addresses(1)));
        assert_eq!((outcome(next), ending(next)), (Some(Outcome::LookupFailed), "lookup failed: timed out".into()));
    }

    #[test]
    fn no_address_is_a_failed_lookup() {
        let mut probe = Probe::new(LIMITS);
        probe.handle(at(0), Input::LookupStarted);
        assert_eq!(ending(probe.handle(at(0), Input::Answered(Nanos::new(1), &[]))), "lookup failed: no address");
    }

    #[test]
    fn a_deadline_runs_from_when_the_helper_was_asked() {
        let mut probe = Probe::new(LIMITS);
        assert_eq!(probe.handle(at(3), Input::LookupStarted), Next::Wait(at(5 * SECOND + 3)));
        let next = probe.handle(at(5 * SECOND + 3), Input::Expired);
        assert_eq!((outcome(next), ending(next)), (Some(Outcome::LookupFailed), "lookup failed: timed out".into()));
    }

    #[test]
    fn addresses_are_tried_in_order_within_one_limit() {
        let mut probe = connecting(Nanos::ZERO, 3);
        assert_eq!(
            (probe.handle(at(SECOND), Input::ConnectFailed(Reason::Refused)), probe.address().copied()),
            (Next::Connect, Some(address(2)))
        );
        assert_eq!(
            probe.handle(at(SECOND), Input::ConnectStarted),
            Next::Wait(at(5 * SECOND)),
            "the limit runs from the first attempt"
        );
        assert_eq!(
            (probe.handle(at(2 * SECOND), Input::ConnectFailed(Reason::HostUnreachable)), probe.address().copied()),
            (Next::Connect, Some(address(3)))
        );
        probe.handle(at(2 * SECOND), Input::ConnectStarted);
        let Next::End(end) = probe.handle(at(3 * SECOND), Input::Connected) else { panic!("it has not ended") };
        assert_eq!((end.connect, end.outcome), (Some(Nanos::from_secs(3)), Some(Outcome::FastSlow)));
        assert_eq!(end.ending, Ending::Connected(address(3)));
    }

    #[test]
    fn all_refused_is_refused_and_unreachable_gives_way_to_a_better_reason() {
        let mut probe = connecting(Nanos::ZERO, 2);
        probe.handle(at(1), Input::ConnectFailed(Reason::NetworkUnreachable));
        assert_eq!(ending(probe.handle(at(2), Input::ConnectFailed(Reason::Refused))), "connect failed: refused");
        let mut probe = connecting(Nanos::ZERO, 2);
        probe.handle(at(1), Input::ConnectFailed(Reason::Refused));
        assert_eq!(
            ending(probe.handle(at(2), Input::ConnectFailed(Reason::NetworkUnreachable))),
            "connect failed: refused"
        );
    }

    #[test]
    fn more_addresses_than_fit_are_left_out() {
        let mut probe = connecting(Nanos::ZERO, 20);
        for _ in 1..limits::ADDRESSES {
            assert!(matches!(probe.handle(at(1), Input::ConnectFailed(Reason::Refused)), Next::Connect));
        }
        assert_eq!(ending(probe.handle(at(1), Input::ConnectFailed(Reason::Refused))), "connect failed: refused");
    }

    #[test]
    fn addresses_left_when_we_were_late_are_not_blamed_on_the_target() {
        let mut probe = connecting(Nanos::ZERO, 2);
        assert_eq!(
            ending(probe.handle(at(60 * SECOND), Input::ConnectFailed(Reason::Refused))),
            "skipped: the monitor was stopped or late"
        );
        let mut probe = connecting(Nanos::ZERO, 1);
        assert_eq!(
            ending(probe.handle(at(60 * SECOND), Input::ConnectFailed(Reason::Refused))),
            "connect failed: refused"
        );
    }

    #[test]
    fn a_lookup_that_ends_long_after_its_limit_was_delayed_by_us() {
        for (beyond, outcome_then) in
            [(0, Some(Outcome::LookupFailed)), (499, Some(Outcome::LookupFailed)), (500, None)]
        {
            let mut probe = Probe::new(LIMITS);
            probe.handle(at(0), Input::LookupStarted);
            let elapsed = Nanos::from_millis(5000 + beyond);
            assert_eq!(
                outcome({ probe }.handle(at(0), Input::Answered(elapsed, &addresses(1)))),
                outcome_then,
                "{beyond}"
            );
            assert_eq!(outcome(probe.handle(at(elapsed.get()), Input::Expired)), outcome_then, "{beyond}");
        }
    }

    #[test]
    fn no_local_port_is_not_blamed_on_a_target_whose_other_address_is_unreachable() {
        let six = Address::new("2001:db8::1".parse().expect("an address"));
        let mut probe = Probe::new(LIMITS);
        probe.handle(at(0), Input::LookupStarted);
        probe.handle(at(0), Input::Answered(Nanos::ZERO, &[address(1), six]));
        probe.handle(at(0), Input::ConnectStarted);
        assert_eq!(
            (probe.handle(at(1), Input::FellShort(Shortage::Ports)), probe.address().copied()),
            (Next::Connect, Some(six))
        );
        let next = probe.handle(at(2), Input::ConnectFailed(Reason::NetworkUnreachable));
        assert_eq!(ending(next), "skipped: no local address or port to connect from");
    }

    #[test]
    fn a_shortage_skips_the_tick() {
        for shortage in [Shortage::Descriptors, Shortage::Memory, Shortage::Ports] {
            let mut probe = connecting(Nanos::ZERO, 1);
            assert_eq!(outcome(probe.handle(at(1), Input::FellShort(shortage))), None);
        }
    }

    #[test]
    fn no_local_address_for_one_family_leaves_the_other() {
        let mut probe = connecting(Nanos::ZERO, 2);
        assert_eq!(
            (probe.handle(at(1), Input::FellShort(Shortage::Ports)), probe.address().copied()),
            (Next::Connect, Some(address(2)))
        );
        probe.handle(at(1), Input::ConnectStarted);
        assert_eq!(outcome(probe.handle(at(2), Input::Connected)), Some(Outcome::FastFast));
        let mut probe = connecting(Nanos::ZERO, 2);
        probe.handle(at(1), Input::ConnectFailed(Reason::Refused));
        assert_eq!(ending(probe.handle(at(2), Input::FellShort(Shortage::Ports))), "connect failed: refused");
    }

    #[test]
    fn a_lookup_is_asked_again_when_its_helper_dies_but_not_for_ever() {
        let mut probe = Probe::new(LIMITS);
        for _ in 1..limits::LOOKUP_ASKS {
            probe.handle(at(0), Input::LookupStarted);
            assert_eq!(probe.handle(at(0), Input::LookupLost), Next::Ask);
        }
        assert_eq!(
            probe.handle(at(9), Input::LookupStarted),
            Next::Wait(at(5 * SECOND + 9)),
            "with its whole limit each time"
        );
        assert_eq!(outcome(probe.handle(at(0), Input::LookupLost)), None);
    }
}
