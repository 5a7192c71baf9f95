//! The life of one probe: a lookup, then a connect to the addresses it found, then exactly one end.
//!
//! A probe is a plain value. The caller passes in what happened and when; a [`Next`] says what the
//! probe needs next. A probe waits for exactly one thing at a time. No state waits for ever: while a
//! lookup or connect is under way, the probe has a deadline.

use crate::base::limits;
use crate::base::time::{Instant, Nanos};
use crate::core::verdict::{self, Verdict};
use crate::model::cause::Cause;
use crate::model::outcome::{Outcome, Thresholds};
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
    /// SYNs that the kernel has sent again, in all attempts together; 0 without a connect.
    pub resent: u32,
    /// Why the connect was slow, if it was: [`Cause::SlowByResentSyns`] or [`Cause::SlowPath`]. `None` also if the attempt
    /// that was accepted was not slow itself, only those before it, or if the kernel does not tell.
    pub slow: Option<Cause>,
    /// The latest address that was given up before another one accepted.
    pub silent: Option<Address>,
}

impl End {
    /// A tick that was skipped.
    pub const fn skipped(shortage: Shortage) -> End {
        End {
            outcome: None,
            ending: Ending::Skipped(shortage),
            lookup: None,
            connect: None,
            resent: 0,
            slow: None,
            silent: None,
        }
    }

    /// Whether the lookup was slow.
    pub fn has_slow_lookup(&self) -> bool {
        matches!(self.outcome, Some(Outcome::SlowFast | Outcome::SlowSlow | Outcome::SlowFailed))
    }

    /// Whether there is more to count than its outcome: it failed or was slow, or a SYN was sent again.
    pub fn is_remarkable(&self) -> bool {
        self.outcome.is_some_and(|outcome| outcome != Outcome::FastFast) || self.resent > 0 || self.silent.is_some()
    }
}

/// A probe that has not ended. The caller passes in the thresholds in force: a reload may change them at any time.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// When the limit of the current phase began; [`Instant::NEVER`] while no limit is running.
    began: Instant,
    /// How long that phase lasted when the thresholds were last changed. No deadline is before that.
    renewed: Nanos,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would need the heap, and most probes connect")]
enum Phase {
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
    addresses: [Address; limits::ADDRESSES],
    count: u8,
    /// The address being tried.
    current: u8,
    /// The addresses that were given up: a bit for each.
    given_up: u8,
    /// How long the connect had lasted when the attempt started.
    started: Nanos,
    /// When it would have started without our small delays. Shares are planned with it: in 3 s two addresses have 1.5 s
    /// each, and a loop that is a millisecond late must not leave the second one without its turn.
    planned: Nanos,
    /// By how much we were late to give addresses up, together.
    late: Nanos,
    /// SYNs that were sent again, in all attempts that have ended.
    resent: u32,
    /// Why the attempt under way, which is about to end, was slow.
    slow: Option<Cause>,
    /// Why the addresses before it did not accept, and one of them: see [`Connecting::blame`].
    reason: Option<(Reason, u8)>,
    /// No local port was left for an address.
    short: bool,
}

// One bit of `given_up` for each address.
const _: () = assert!(limits::ADDRESSES <= u8::BITS as usize);

impl Probe {
    /// A new probe. [`Probe::begin`] starts it.
    #[expect(clippy::new_without_default, reason = "there is only one caller")]
    pub fn new() -> Self {
        Self { began: Instant::NEVER, renewed: Nanos::ZERO, phase: Phase::Waiting { asks: 0 } }
    }

    /// Starts the probe. A name needs a lookup first; an IP literal counts as a fast lookup of 0 ns
    /// and needs no helper.
    pub fn begin(&mut self, literal: Option<Address>) -> Next {
        match literal {
            Some(address) => self.connect_to(&[address], Nanos::ZERO),
            None => Next::Ask,
        }
    }

    /// Handles what happened at `now`, while these thresholds are in force.
    pub fn handle(&mut self, now: Instant, thresholds: &Thresholds, input: Input<'_>) -> Next {
        // Zero while no limit is running.
        let elapsed = now.since(self.began);
        let next = match input {
            Input::LookupStarted => self.asked(now),
            Input::Answered(elapsed, addresses) => Some(self.answered(elapsed, thresholds, addresses)),
            Input::LookupFailed(elapsed, reason) => Some(self.lookup_failed(elapsed, thresholds, reason)),
            Input::LookupLost => self.lost_helper(),
            Input::ConnectStarted => self.connecting(now),
            Input::Connected => self.connected(elapsed, thresholds),
            Input::ConnectFailed(reason) => self.connect_failed(elapsed, thresholds, reason),
            Input::FellShort(shortage) => Some(self.fell_short(elapsed, thresholds, shortage)),
            Input::Expired => self.expired(elapsed, thresholds),
        };
        // An input without meaning in this state changes nothing.
        next.unwrap_or_else(|| Next::Wait(self.deadline(thresholds)))
    }

    /// Goes on under other thresholds from `now` on, while it waits for a deadline. Returns the new one, which may have
    /// passed.
    pub fn renew(&mut self, now: Instant, thresholds: &Thresholds) -> Instant {
        self.renewed = now.since(self.began);
        self.deadline(thresholds)
    }

    /// When the current wait ends: at the limit of the phase, or when the address has had its share.
    fn deadline(&self, thresholds: &Thresholds) -> Instant {
        let limit = match &self.phase {
            Phase::Waiting { .. } | Phase::LookingUp { .. } => thresholds.timeout,
            Phase::Connecting(connecting) => connecting.share_end(thresholds.timeout).unwrap_or(thresholds.timeout),
        };
        self.began + limit
    }

    /// By how much `elapsed` is later than this limit, for which the caller had to wait.
    fn late(&self, elapsed: Nanos, limit: Nanos) -> Nanos {
        elapsed.before(limit.max(self.renewed))
    }

    /// Notes how many SYNs were sent again in the attempt under way, and why it was slow if it was accepted. This comes
    /// before its end.
    pub fn note(&mut self, resent: u32, slow: Option<Cause>) {
        if let Phase::Connecting(connecting) = &mut self.phase {
            connecting.resent = connecting.resent.saturating_add(resent);
            connecting.slow = slow;
        }
    }

    /// How long the attempt under way has lasted at `now`.
    pub fn attempt_time(&self, now: Instant) -> Nanos {
        match &self.phase {
            Phase::Waiting { .. } | Phase::LookingUp { .. } => Nanos::ZERO,
            Phase::Connecting(connecting) => now.since(self.began + connecting.started),
        }
    }

    /// Whether a helper is busy with its lookup.
    pub fn is_looking_up(&self) -> bool {
        matches!(self.phase, Phase::LookingUp { .. })
    }

    /// The address to which it connects, now or next; `None` until its lookup has ended.
    pub fn address(&self) -> Option<&Address> {
        match &self.phase {
            Phase::Waiting { .. } | Phase::LookingUp { .. } => None,
            Phase::Connecting(connecting) => Some(connecting.address()),
        }
    }

    fn asked(&mut self, now: Instant) -> Option<Next> {
        if let Phase::Waiting { asks } | Phase::LookingUp { asks } = self.phase {
            self.phase = Phase::LookingUp { asks };
            (self.began, self.renewed) = (now, Nanos::ZERO);
        }
        None
    }

    /// Asks for another helper, but not for ever.
    fn lost_helper(&mut self) -> Option<Next> {
        let Phase::LookingUp { asks } = self.phase else { return None };
        if asks + 1 == limits::LOOKUP_ASKS {
            return Some(skip(Shortage::Processes));
        }
        self.phase = Phase::Waiting { asks: asks + 1 };
        self.began = Instant::NEVER;
        Some(Next::Ask)
    }

    fn answered(&mut self, elapsed: Nanos, thresholds: &Thresholds, addresses: &[Address]) -> Next {
        if elapsed < thresholds.timeout && !addresses.is_empty() {
            self.connect_to(addresses, elapsed)
        } else {
            self.lookup_failed(elapsed, thresholds, Reason::NoAddress)
        }
    }

    #[inline(never)]
    fn lookup_failed(&mut self, elapsed: Nanos, thresholds: &Thresholds, reason: Reason) -> Next {
        if verdict::is_late_lookup(self.late(elapsed, thresholds.timeout)) {
            return skip(Shortage::Late);
        }
        let reason = if elapsed < thresholds.timeout { reason } else { Reason::TimedOut };
        fail_lookup(elapsed, reason)
    }

    /// Begins the connect to these addresses. There is at least one.
    fn connect_to(&mut self, addresses: &[Address], lookup: Nanos) -> Next {
        let mut kept = [addresses[0]; limits::ADDRESSES];
        let count = addresses.len().min(limits::ADDRESSES);
        kept[..count].copy_from_slice(&addresses[..count]);
        self.phase = Phase::Connecting(Connecting {
            lookup,
            addresses: kept,
            count: count as u8,
            current: 0,
            given_up: 0,
            started: Nanos::ZERO,
            planned: Nanos::ZERO,
            late: Nanos::ZERO,
            resent: 0,
            slow: None,
            reason: None,
            short: false,
        });
        self.began = Instant::NEVER;
        Next::Connect
    }

    /// The limit of the connect begins with its first attempt.
    fn connecting(&mut self, now: Instant) -> Option<Next> {
        let Phase::Connecting(connecting) = &mut self.phase else { return None };
        if self.began == Instant::NEVER {
            (self.began, self.renewed) = (now, Nanos::ZERO);
        }
        connecting.started = now.since(self.began);
        None
    }

    fn connected(&mut self, elapsed: Nanos, thresholds: &Thresholds) -> Option<Next> {
        let Phase::Connecting(connecting) = &self.phase else { return None };
        Some(if elapsed < thresholds.timeout {
            connecting.end(elapsed, thresholds, Ending::Connected(*connecting.address()))
        } else {
            connecting.time_out(elapsed, thresholds, connecting.lost(thresholds.timeout))
        })
    }

    /// Tries the next address, if there is one.
    fn connect_failed(&mut self, elapsed: Nanos, thresholds: &Thresholds, reason: Reason) -> Option<Next> {
        let late = self.late(elapsed, thresholds.timeout);
        let Phase::Connecting(connecting) = &mut self.phase else { return None };
        connecting.blame(reason);
        Some(if connecting.is_last() {
            if connecting.is_our_own() {
                skip(Shortage::Ports)
            } else {
                connecting.fail_for_reason(elapsed, thresholds)
            }
        } else if elapsed < thresholds.timeout {
            connecting.next(elapsed)
        } else {
            // This address used up the whole limit.
            connecting.time_out(elapsed, thresholds, late)
        })
    }

    fn fell_short(&mut self, elapsed: Nanos, thresholds: &Thresholds, shortage: Shortage) -> Next {
        if let (Phase::Connecting(connecting), Shortage::Ports) = (&mut self.phase, shortage) {
            connecting.short = true;
            // The ports to another address may be free.
            if !connecting.is_last() && elapsed < thresholds.timeout {
                return connecting.next(elapsed);
            }
            if connecting.reason.is_some() && !connecting.is_our_own() {
                return connecting.fail_for_reason(elapsed, thresholds);
            }
        }
        skip(shortage)
    }

    /// Ends a lookup or a connect at its limit. An address that has had its share is given up for the next one.
    fn expired(&mut self, elapsed: Nanos, thresholds: &Thresholds) -> Option<Next> {
        let timeout = thresholds.timeout;
        let deadline = self.deadline(thresholds).since(self.began);
        let late = self.late(elapsed, deadline);
        match &mut self.phase {
            Phase::Waiting { .. } => None,
            Phase::LookingUp { .. } => Some(self.lookup_failed(elapsed, thresholds, Reason::TimedOut)),
            Phase::Connecting(_) if elapsed < deadline => None,
            Phase::Connecting(connecting) if elapsed < timeout => Some(connecting.give_up(elapsed, timeout, late)),
            Phase::Connecting(connecting) => {
                let lost = if deadline < timeout { late } else { connecting.lost(timeout) };
                Some(connecting.time_out(elapsed, thresholds, lost))
            }
        }
    }
}

// Not inlined, like the failures: called from many paths.
#[inline(never)]
fn skip(shortage: Shortage) -> Next {
    Next::End(End::skipped(shortage))
}

#[inline(never)]
fn fail_lookup(elapsed: Nanos, reason: Reason) -> Next {
    Next::End(End {
        outcome: Some(Outcome::LookupFailed),
        ending: Ending::LookupFailed(reason),
        lookup: Some(elapsed),
        connect: None,
        resent: 0,
        slow: None,
        silent: None,
    })
}

impl Connecting {
    fn address(&self) -> &Address {
        &self.addresses[usize::from(self.current)]
    }

    fn is_last(&self) -> bool {
        self.current + 1 >= self.count
    }

    /// How long the connect may have lasted when the address being tried has had its share of the limit; `None` if it
    /// has all the time that is left, because it is the last one or too little would be left for the next.
    fn share_end(&self, timeout: Nanos) -> Option<Nanos> {
        if self.is_last() {
            return None;
        }
        let share = self.share(timeout);
        let leaves_enough = self.planned.plus(share).plus(limits::SHARE) <= timeout;
        leaves_enough.then(|| self.started.plus(share))
    }

    fn share(&self, timeout: Nanos) -> Nanos {
        timeout.fraction(1, self.count.into()).max(limits::SHARE)
    }

    /// Gives the address being tried up, `late` after its share has ended.
    fn give_up(&mut self, elapsed: Nanos, timeout: Nanos, late: Nanos) -> Next {
        let planned = self.planned.plus(self.share(timeout));
        self.given_up |= 1 << self.current;
        self.late = self.late.plus(late);
        self.blame(Reason::TimedOut);
        self.next(if verdict::is_late_connect(elapsed.before(planned)) { elapsed } else { planned })
    }

    fn next(&mut self, planned: Nanos) -> Next {
        self.current += 1;
        self.planned = planned;
        Next::Connect
    }

    /// Keeps the reason that says most: any other one replaces "unreachable", else the first stays.
    fn blame(&mut self, reason: Reason) {
        if self.reason.is_none_or(|(kept, _)| kept.is_unreachable() && !reason.is_unreachable()) {
            self.reason = Some((reason, self.current));
        }
    }

    /// Whether a shortage of our own is to blame: no local port was left for an address, and the others failed as
    /// unreachable at most.
    fn is_our_own(&self) -> bool {
        self.short && self.reason.is_none_or(|(reason, _)| reason.is_unreachable())
    }

    /// Fails with the reason that was kept.
    fn fail_for_reason(&self, elapsed: Nanos, thresholds: &Thresholds) -> Next {
        let (reason, at) = self.reason.unwrap_or((Reason::TimedOut, self.current));
        self.end(elapsed, thresholds, Ending::ConnectFailed(reason, self.addresses[usize::from(at)]))
    }

    /// How much of the limit was lost because we were late to give addresses up: nothing, if the next one was tried and
    /// had enough time all the same.
    fn lost(&self, timeout: Nanos) -> Nanos {
        let planned = self.planned.before(self.late).plus(self.share(timeout)).plus(limits::SHARE);
        let is_next_untried = !self.is_last() && planned <= timeout;
        let is_cut_short = timeout.before(self.started) < limits::SHARE;
        if is_next_untried || is_cut_short { self.late } else { Nanos::ZERO }
    }

    /// Ends at the limit, of which so much was lost to us.
    #[inline(never)]
    fn time_out(&self, elapsed: Nanos, thresholds: &Thresholds, lost: Nanos) -> Next {
        if verdict::is_late_connect(lost) {
            return skip(Shortage::Late);
        }
        self.end(elapsed, thresholds, Ending::ConnectFailed(Reason::TimedOut, *self.address()))
    }

    /// Sorts both phases by the thresholds in force now: the lookup may have ended under others.
    fn end(&self, elapsed: Nanos, thresholds: &Thresholds, ending: Ending) -> Next {
        let Some(lookup_speed) = thresholds.speed(self.lookup) else {
            return fail_lookup(self.lookup, Reason::TimedOut);
        };
        let (mut speed, mut slow, mut silent) = (None, None, None);
        if let Ending::Connected(_) = ending {
            (speed, slow) = (thresholds.speed(elapsed), self.slow);
            silent = self.given_up.checked_ilog2().map(|latest| self.addresses[latest as usize]);
        }
        Next::End(End {
            outcome: Some(Outcome::of(lookup_speed, speed)),
            ending,
            lookup: Some(self.lookup),
            connect: Some(elapsed),
            resent: self.resent,
            slow,
            silent,
        })
    }
}

#[cfg(test)]
mod tests;
