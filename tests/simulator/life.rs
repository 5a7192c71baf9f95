//! What must become of one probe, followed from outside: the world's answers go in, what the
//! monitor has to do about them comes out.
//!
//! It knows nothing of the monitor's own probe but the rules: thresholds, one limit a phase,
//! addresses in order, trouble of our own blames nobody.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::probe::{End, ProbeId};
use tcpmon::model::outcome::{Outcome, Thresholds};
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::target::Address;

use crate::queue::Request;
use crate::world::{ConnectFate, LookupEnd};

/// What the monitor has to do next about a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    /// Ask a helper again.
    AskAgain,
    /// Connect to the current address.
    Connect,
    /// Count it.
    End(End),
    /// The probe was late with addresses left: it has failed if it was late by less than the
    /// clock of a loop can tell, and is skipped otherwise.
    EndLate { skipped: End, failed: End },
}

/// Where a probe is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// A helper has been asked.
    LookingUp,
    /// Its helper died: another must be asked.
    AsksAgain,
    /// A connect must be made.
    Connects,
    /// A connect is under way.
    Connecting,
}

/// A probe whose first action has been seen.
#[derive(Clone, Debug)]
pub struct Life {
    /// The id of what is outstanding.
    pub id: ProbeId,
    /// Which of the slot's requests that is.
    pub request: Request,
    /// The place of its target.
    pub watch: u16,
    /// The limits it started with.
    pub limits: Thresholds,
    /// Where it is.
    pub phase: Phase,
    /// When it must be given up.
    pub deadline: Option<Instant>,
    /// When it will end and how, as far as the world has decided it.
    pub forecast: Option<(Instant, Outcome)>,
    /// Whether the process was stopped meanwhile, so that the forecast does not hold.
    pub disturbed: bool,
    /// What the world does with the lookup.
    pub lookup_end: LookupEnd,
    /// What the world does with the connect.
    pub connect_fate: ConnectFate,
    /// The address being tried.
    pub current: u8,
    asked: Instant,
    asks: u8,
    lookup: Nanos,
    addresses: u8,
    started: Option<Instant>,
    reason: Option<Reason>,
    /// Whether there was no local port for an IPv4 address, of which every box has some.
    short: bool,
}

impl Life {
    /// A probe of a literal is one whose lookup took no time and gave one address.
    pub fn new(id: ProbeId, watch: u16, limits: Thresholds, literal: bool) -> Self {
        Self {
            id,
            request: Request { slot: id.slot, number: 0 },
            watch,
            limits,
            phase: if literal { Phase::Connects } else { Phase::AsksAgain },
            deadline: None,
            forecast: None,
            disturbed: false,
            lookup_end: LookupEnd::Hangs,
            connect_fate: ConnectFate::Hangs,
            current: 0,
            asked: Instant::NEVER,
            asks: 0,
            lookup: Nanos::ZERO,
            addresses: 1,
            started: None,
            reason: None,
            short: false,
        }
    }

    /// Whether a helper had it before.
    pub fn is_asked_again(&self) -> bool {
        self.asks > 0
    }

    /// A helper has been asked; the limit runs from here.
    pub fn ask(&mut self, now: Instant) {
        self.phase = Phase::LookingUp;
        self.asks += 1;
        self.begin_lookup(now);
    }

    /// The helper has taken it; the limit runs from here.
    pub fn begin_lookup(&mut self, now: Instant) {
        self.asked = now;
        let deadline = now + self.limits.timeout;
        self.deadline = Some(deadline);
        let fails_at = |after: Nanos| Some(((now + after).min(deadline), Outcome::LookupFailed));
        self.forecast = match self.lookup_end {
            LookupEnd::Answers { elapsed, transit, addresses } => {
                let after = Nanos::new(elapsed.get() + transit.get());
                let fits = elapsed < self.limits.timeout && after <= self.limits.timeout;
                if fits && addresses > 0 { None } else { fails_at(after) }
            }
            LookupEnd::Fails { elapsed, transit, .. } => fails_at(Nanos::new(elapsed.get() + transit.get())),
            LookupEnd::Hangs => Some((deadline, Outcome::LookupFailed)),
            LookupEnd::Dies { .. } | LookupEnd::FallsShort { .. } => None,
        };
    }

    /// The answer has come.
    pub fn answered(&mut self, elapsed: Nanos, addresses: u8) -> Then {
        if elapsed >= self.limits.timeout {
            return self.lookup_failed(elapsed, Reason::TimedOut);
        }
        if addresses == 0 {
            return self.lookup_failed(elapsed, Reason::NoAddress);
        }
        self.lookup = elapsed;
        self.addresses = addresses.min(limits::ADDRESSES as u8);
        self.connects()
    }

    /// The lookup has failed.
    pub fn lookup_failed(&self, elapsed: Nanos, reason: Reason) -> Then {
        if elapsed.get() >= self.limits.timeout.get() + limits::STALL.get() {
            return skipped(Shortage::Late);
        }
        let reason = if elapsed >= self.limits.timeout { Reason::TimedOut } else { reason };
        Then::End(End {
            outcome: Some(Outcome::LookupFailed),
            ending: Ending::LookupFailed(reason),
            lookup: Some(elapsed),
            connect: None,
        })
    }

    /// The helper has died.
    pub fn lost(&mut self) -> Then {
        if self.asks == limits::LOOKUP_ASKS {
            return skipped(Shortage::Processes);
        }
        self.phase = Phase::AsksAgain;
        (self.deadline, self.forecast) = (None, None);
        Then::AskAgain
    }

    /// How long it has been connecting.
    pub fn elapsed(&self, now: Instant) -> Nanos {
        self.started.map_or(Nanos::ZERO, |started| now.since(started))
    }

    /// A connect has begun, or cannot be.
    pub fn connect(&mut self, now: Instant) {
        self.phase = Phase::Connecting;
        let begins = !matches!(self.connect_fate, ConnectFate::FallsShort { begun: false, .. });
        if begins && self.started.is_none() {
            self.started = Some(now);
        }
        let Some(started) = self.started else { return };
        let deadline = started + self.limits.timeout;
        self.deadline = Some(deadline);
        let timed_out = Some((deadline, self.outcome(None)));
        let in_time = |after| now.since(started).get() + Nanos::get(after) < self.limits.timeout.get();
        self.forecast = match self.connect_fate {
            ConnectFate::Accepted { after } if in_time(after) => {
                let elapsed = (now + after).since(started);
                Some((now + after, self.outcome(Some(elapsed))))
            }
            // Whether this is anybody's fault depends on the reason, and at the limit on who is first.
            ConnectFate::Fails { .. } if self.short && self.is_last() => None,
            ConnectFate::Fails { after, .. } if in_time(after) => {
                self.is_last().then(|| (now + after, self.outcome(None)))
            }
            ConnectFate::Accepted { .. } | ConnectFate::Fails { .. } | ConnectFate::Hangs => timed_out,
            ConnectFate::FallsShort { .. } => None,
        };
    }

    /// The connect was accepted.
    pub fn connected(&self, at: Instant, address: Address) -> Then {
        let elapsed = self.elapsed(at);
        if elapsed < self.limits.timeout {
            self.end(Some(elapsed), elapsed, Ending::Connected(address))
        } else {
            self.end(None, elapsed, Ending::ConnectFailed(Reason::TimedOut))
        }
    }

    /// The connect has failed.
    pub fn connect_failed(&mut self, now: Instant, reason: Reason) -> Then {
        self.reason = match self.reason {
            Some(first) if !is_unreachable(first) || is_unreachable(reason) => Some(first),
            Some(_) | None => Some(reason),
        };
        let elapsed = self.elapsed(now);
        if self.is_last() {
            return match self.blame() {
                Some(reason) => self.end(None, elapsed, Ending::ConnectFailed(reason)),
                None => skipped(Shortage::Ports),
            };
        }
        if elapsed < self.limits.timeout {
            self.current += 1;
            return self.connects();
        }
        // Addresses are left, and the time is over: either because this one took all of it, or
        // because we came too late to try the others.
        let failed = self.end(None, elapsed, Ending::ConnectFailed(Reason::TimedOut));
        match (skipped(Shortage::Late), failed) {
            (Then::End(skipped), Then::End(failed)) if elapsed > self.limits.timeout => {
                Then::EndLate { skipped, failed }
            }
            (_, failed) => failed,
        }
    }

    /// What was asked for could not be made; for a connect, at this address.
    pub fn fell_short(&mut self, now: Instant, shortage: Shortage, address: Option<Address>) -> Then {
        if let (Some(address), Shortage::Ports) = (address, shortage) {
            self.short |= address.ip.is_ipv4();
            if !self.is_last() && self.elapsed(now) < self.limits.timeout {
                self.current += 1;
                return self.connects();
            }
            if let Some(reason) = self.blame() {
                return self.end(None, self.elapsed(now), Ending::ConnectFailed(reason));
            }
        }
        skipped(shortage)
    }

    /// It was given up.
    pub fn given_up(&self, now: Instant) -> Then {
        match self.phase {
            Phase::LookingUp => self.lookup_failed(now.since(self.asked), Reason::TimedOut),
            Phase::AsksAgain | Phase::Connects | Phase::Connecting => {
                self.end(None, self.elapsed(now), Ending::ConnectFailed(Reason::TimedOut))
            }
        }
    }

    /// What the network is blamed for. That there is no way to the other addresses says nothing
    /// where it was our own fault that the first could not be tried.
    fn blame(&self) -> Option<Reason> {
        self.reason.filter(|reason| !self.short || !is_unreachable(*reason))
    }

    fn is_last(&self) -> bool {
        self.current + 1 == self.addresses
    }

    fn connects(&mut self) -> Then {
        self.phase = Phase::Connects;
        (self.deadline, self.forecast) = (None, None);
        Then::Connect
    }

    fn end(&self, connected: Option<Nanos>, elapsed: Nanos, ending: Ending) -> Then {
        Then::End(End {
            outcome: Some(self.outcome(connected)),
            ending,
            lookup: Some(self.lookup),
            connect: Some(elapsed),
        })
    }

    /// The outcome with a connect that was accepted after so long, or failed.
    fn outcome(&self, connected: Option<Nanos>) -> Outcome {
        let is_slow = |length: Nanos| length >= self.limits.slow;
        match (is_slow(self.lookup), connected.map(is_slow)) {
            (false, Some(false)) => Outcome::FastFast,
            (false, Some(true)) => Outcome::FastSlow,
            (false, None) => Outcome::FastFailed,
            (true, Some(false)) => Outcome::SlowFast,
            (true, Some(true)) => Outcome::SlowSlow,
            (true, None) => Outcome::SlowFailed,
        }
    }
}

fn is_unreachable(reason: Reason) -> bool {
    matches!(reason, Reason::NetworkUnreachable | Reason::HostUnreachable)
}

fn skipped(shortage: Shortage) -> Then {
    Then::End(End { outcome: None, ending: Ending::Skipped(shortage), lookup: None, connect: None })
}
