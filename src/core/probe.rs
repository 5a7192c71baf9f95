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
        Self { thresholds, began: Instant::NEVER, phase: Phase::Waiting { asks: 0 } }
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
            self.began = now;
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
        self.phase = Phase::Connecting(Connecting {
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
        if matches!(self.phase, Phase::Connecting(_)) && self.began == Instant::NEVER {
            self.began = now;
        }
        None
    }

    fn connected(&mut self, elapsed: Nanos) -> Option<Next> {
        let Phase::Connecting(connecting) = &self.phase else { return None };
        Some(match self.thresholds.speed(elapsed) {
            Some(speed) => connecting.end(elapsed, Some(speed), Ending::Connected(*connecting.address())),
            None => connecting.fail(elapsed, Reason::TimedOut),
        })
    }

    /// Tries the next address, if there is one.
    fn connect_failed(&mut self, elapsed: Nanos, reason: Reason) -> Option<Next> {
        let timeout = self.thresholds.timeout;
        let Phase::Connecting(connecting) = &mut self.phase else { return None };
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
        if let (Phase::Connecting(connecting), Shortage::Ports) = (&mut self.phase, shortage) {
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
        match &self.phase {
            Phase::Waiting { .. } => None,
            Phase::LookingUp { .. } => Some(self.lookup_failed(elapsed, Reason::TimedOut)),
            Phase::Connecting(connecting) => Some(connecting.fail(elapsed, Reason::TimedOut)),
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
mod tests;
