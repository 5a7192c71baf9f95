//! A life: the simulator's own model of one probe. The world's answers go in, what the monitor must
//! do next comes out.
//!
//! It shares no code with the monitor's probe, only the rules: thresholds, one limit for each phase,
//! addresses in order, and a shortage of our own never blames a target.

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
pub enum Next {
    /// Ask a helper once more.
    LookUp,
    /// Connect to the current address.
    Connect,
    /// Count its end.
    End(End),
    /// The limit is over and addresses are left. The probe has failed if it was late by so little that
    /// the loop cannot see it; otherwise it is skipped.
    EndLate { skipped: End, failed: End },
}

/// What a probe does or must do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProbeStage {
    /// A helper was asked.
    LookingUp,
    /// A helper must be asked, the first one or another after one died.
    MustLookUp,
    /// A connect must be made.
    MustConnect,
    /// A connect is under way.
    Connecting,
}

/// A probe whose first action was seen.
#[derive(Clone, Debug)]
pub struct Life {
    /// The id of the request that is under way.
    pub id: ProbeId,
    /// That request.
    pub request: Request,
    /// The record number of its target.
    pub record: u16,
    /// The limits it started with.
    pub limits: Thresholds,
    /// What it does or must do.
    pub stage: ProbeStage,
    /// When it must be given up.
    pub deadline: Option<Instant>,
    /// When and how it will end, if the world has already decided it.
    pub forecast: Option<(Instant, Outcome)>,
    /// Whether the process was stopped meanwhile, which makes the forecast wrong.
    pub disturbed: bool,
    /// How its lookup ends.
    pub lookup_end: LookupEnd,
    /// What happens to its connect.
    pub connect_fate: ConnectFate,
    /// The address being tried.
    pub current: u8,
    /// When its helper was asked, or began.
    asked: Instant,
    /// How many helpers were asked.
    asks: u8,
    /// The time of the lookup.
    lookup: Nanos,
    addresses: u8,
    /// When its first connect began.
    started: Option<Instant>,
    /// When its last one did.
    pub connecting: Instant,
    reason: Option<Reason>,
    /// Whether there was no free local port for an IPv4 address. Every box has IPv4, so this is a
    /// shortage of our own.
    short: bool,
}

impl Life {
    /// A probe of a literal has a lookup of no time with one address.
    pub fn new(id: ProbeId, record: u16, limits: Thresholds, literal: bool) -> Self {
        Self {
            id,
            request: Request { slot: id.slot, number: 0 },
            record,
            limits,
            stage: if literal { ProbeStage::MustConnect } else { ProbeStage::MustLookUp },
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
            connecting: Instant::NEVER,
            reason: None,
            short: false,
        }
    }

    /// Whether a helper was asked before.
    pub fn is_asked_again(&self) -> bool {
        self.asks > 0
    }

    /// A helper has been asked; the limit runs from here.
    pub fn ask(&mut self, now: Instant) {
        self.stage = ProbeStage::LookingUp;
        self.asks += 1;
        self.begin_lookup(now);
    }

    /// The helper has begun; the limit runs from here.
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

    /// The lookup was answered.
    pub fn answered(&mut self, elapsed: Nanos, addresses: u8) -> Next {
        if elapsed >= self.limits.timeout {
            return self.lookup_failed(elapsed, Reason::TimedOut);
        }
        if addresses == 0 {
            return self.lookup_failed(elapsed, Reason::NoAddress);
        }
        self.lookup = elapsed;
        self.addresses = addresses.min(limits::ADDRESSES as u8);
        self.must_connect()
    }

    /// The lookup has failed.
    pub fn lookup_failed(&self, elapsed: Nanos, reason: Reason) -> Next {
        if elapsed.get() >= self.limits.timeout.get() + limits::STALL.get() {
            return skipped(Shortage::Late);
        }
        let reason = if elapsed >= self.limits.timeout { Reason::TimedOut } else { reason };
        Next::End(End {
            outcome: Some(Outcome::LookupFailed),
            ending: Ending::LookupFailed(reason),
            lookup: Some(elapsed),
            connect: None,
        })
    }

    /// The helper has died.
    pub fn lost(&mut self) -> Next {
        if self.asks == limits::LOOKUP_ASKS {
            return skipped(Shortage::Processes);
        }
        self.stage = ProbeStage::MustLookUp;
        (self.deadline, self.forecast) = (None, None);
        Next::LookUp
    }

    /// The time since its first connect began.
    pub fn elapsed(&self, now: Instant) -> Nanos {
        self.started.map_or(Nanos::ZERO, |started| now.since(started))
    }

    /// A connect has begun, or could not be made.
    pub fn connect(&mut self, now: Instant) {
        self.stage = ProbeStage::Connecting;
        self.connecting = now;
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
            // Failure or skip: that depends on the reason, and at the limit on which event comes first.
            ConnectFate::Fails { .. } if self.short && self.is_last() => None,
            ConnectFate::Fails { after, .. } if in_time(after) => {
                self.is_last().then(|| (now + after, self.outcome(None)))
            }
            ConnectFate::Accepted { .. } | ConnectFate::Fails { .. } | ConnectFate::Hangs => timed_out,
            ConnectFate::FallsShort { .. } => None,
        };
    }

    /// The connect was accepted.
    pub fn connected(&self, at: Instant, address: Address) -> Next {
        let elapsed = self.elapsed(at);
        if elapsed < self.limits.timeout {
            self.end(Some(elapsed), elapsed, Ending::Connected(address))
        } else {
            self.end(None, elapsed, Ending::ConnectFailed(Reason::TimedOut))
        }
    }

    /// The connect has failed.
    pub fn connect_failed(&mut self, now: Instant, reason: Reason) -> Next {
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
            return self.must_connect();
        }
        // Addresses are left and the time is over: this address used all of it, or our process was too
        // late to try the others.
        let failed = self.end(None, elapsed, Ending::ConnectFailed(Reason::TimedOut));
        match (skipped(Shortage::Late), failed) {
            (Next::End(skipped), Next::End(failed)) if elapsed > self.limits.timeout => {
                Next::EndLate { skipped, failed }
            }
            (_, failed) => failed,
        }
    }

    /// The request could not be made for a shortage of our own; for a connect, with its address.
    pub fn fell_short(&mut self, now: Instant, shortage: Shortage, address: Option<Address>) -> Next {
        if let (Some(address), Shortage::Ports) = (address, shortage) {
            self.short |= address.ip.is_ipv4();
            if !self.is_last() && self.elapsed(now) < self.limits.timeout {
                self.current += 1;
                return self.must_connect();
            }
            if let Some(reason) = self.blame() {
                return self.end(None, self.elapsed(now), Ending::ConnectFailed(reason));
            }
        }
        skipped(shortage)
    }

    /// The monitor has given it up.
    pub fn given_up(&self, now: Instant) -> Next {
        match self.stage {
            ProbeStage::LookingUp => self.lookup_failed(now.since(self.asked), Reason::TimedOut),
            ProbeStage::MustLookUp | ProbeStage::MustConnect | ProbeStage::Connecting => {
                self.end(None, self.elapsed(now), Ending::ConnectFailed(Reason::TimedOut))
            }
        }
    }

    /// The reason that blames the network, if there is one. If an IPv4 address could not be tried for
    /// lack of a port, unreachable other addresses are no reason.
    fn blame(&self) -> Option<Reason> {
        self.reason.filter(|reason| !self.short || !is_unreachable(*reason))
    }

    fn is_last(&self) -> bool {
        self.current + 1 == self.addresses
    }

    fn must_connect(&mut self) -> Next {
        self.stage = ProbeStage::MustConnect;
        (self.deadline, self.forecast) = (None, None);
        Next::Connect
    }

    fn end(&self, connected: Option<Nanos>, elapsed: Nanos, ending: Ending) -> Next {
        Next::End(End {
            outcome: Some(self.outcome(connected)),
            ending,
            lookup: Some(self.lookup),
            connect: Some(elapsed),
        })
    }

    /// The outcome with a connect that was accepted after this time, or with a failed one.
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

fn skipped(shortage: Shortage) -> Next {
    Next::End(End { outcome: None, ending: Ending::Skipped(shortage), lookup: None, connect: None })
}
