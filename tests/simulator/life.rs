//! A life: the simulator's own model of one probe. The world's answers go in, what the monitor must
//! do next comes out.
//!
//! It shares no code with the monitor's probe, only the rules: thresholds, one limit for each phase,
//! addresses in order, and a shortage of our own never blames a target.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::probe::{End, ProbeId};
use tcpmon::model::cause::Cause;
use tcpmon::model::facts::Handshake;
use tcpmon::model::outcome::{Outcome, Thresholds};
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::target::{Address, Target};

use crate::queue::Request;
use crate::world::{self, ConnectFate, LookupEnd};

/// What the monitor has to do next about a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Ask a helper once more.
    LookUp,
    /// Connect to the current address.
    Connect,
    /// Count its end.
    End(End),
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
    /// The tick at which it started.
    pub tick: Instant,
    /// The limits in force.
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
    /// The first address that its lookup gives, and the one being tried, counted from there.
    pub first: u8,
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
    /// When the address being tried has had its share of the limit, if another one comes after it.
    share_end: Option<Instant>,
    /// When the attempt would have started if we had not been a little late.
    planned: Nanos,
    /// How late we gave addresses up, together.
    late: Nanos,
    /// When the limits last changed while it waited.
    renewed: Option<Instant>,
    /// The silent addresses that were given up.
    given_up: Vec<Address>,
    /// SYNs that were sent again.
    resent: u32,
    reason: Option<(Reason, Address)>,
    /// Whether there was no free local port for an address.
    short: bool,
    literal: Option<Address>,
    port: u16,
}

impl Life {
    /// A probe of a literal has a lookup of no time with one address.
    pub fn new(id: ProbeId, record: u16, tick: Instant, limits: Thresholds, target: &Target) -> Self {
        let literal = target.literal.is_some();
        Self {
            id,
            request: Request { slot: id.slot, number: 0 },
            record,
            tick,
            limits,
            stage: if literal { ProbeStage::MustConnect } else { ProbeStage::MustLookUp },
            deadline: None,
            forecast: None,
            disturbed: false,
            lookup_end: LookupEnd::Hangs,
            connect_fate: ConnectFate::Hangs,
            first: 0,
            current: 0,
            asked: Instant::NEVER,
            asks: 0,
            lookup: Nanos::ZERO,
            addresses: 1,
            started: None,
            connecting: Instant::NEVER,
            share_end: None,
            planned: Nanos::ZERO,
            late: Nanos::ZERO,
            renewed: None,
            given_up: Vec::new(),
            resent: 0,
            reason: None,
            short: false,
            literal: target.literal,
            port: target.port,
        }
    }

    /// The address being tried.
    pub fn address(&self) -> Address {
        self.literal.unwrap_or_else(|| world::address(self.port, self.first + self.current))
    }

    /// The limits change. Returns the new deadline, if it has one.
    pub fn renew(&mut self, now: Instant, limits: Thresholds) -> Option<Instant> {
        self.limits = limits;
        (self.forecast, self.disturbed) = (None, true);
        self.deadline?;
        self.renewed = Some(now);
        let began = match self.stage {
            ProbeStage::Connecting => {
                self.share();
                self.started?
            }
            ProbeStage::LookingUp | ProbeStage::MustLookUp | ProbeStage::MustConnect => self.asked,
        };
        self.deadline = Some(self.share_end.unwrap_or(began + limits.timeout));
        self.deadline
    }

    /// By how much `now` is later than `deadline`, which may have been later before the limits changed.
    fn late_after(&self, deadline: Instant, now: Instant) -> Nanos {
        now.since(self.renewed.map_or(deadline, |renewed| renewed.max(deadline)))
    }

    /// Computes when the address being tried has had its share.
    fn share(&mut self) {
        let least = limits::SHARE.get();
        let timeout = self.limits.timeout.get();
        let share = (timeout / u64::from(self.addresses)).max(least);
        let leaves_enough = self.planned.get() + share + least <= timeout;
        self.share_end = (leaves_enough && !self.is_last()).then(|| self.connecting + Nanos::new(share));
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
        (self.asked, self.renewed) = (now, None);
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
        if self.late_after(self.asked + self.limits.timeout, self.asked + elapsed) >= limits::STALL {
            return skipped(Shortage::Late);
        }
        let reason = if elapsed >= self.limits.timeout { Reason::TimedOut } else { reason };
        self.without_lookup(elapsed, reason)
    }

    fn without_lookup(&self, elapsed: Nanos, reason: Reason) -> Next {
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
            (self.started, self.renewed) = (Some(now), None);
        }
        let Some(started) = self.started else { return };
        self.share();
        let deadline = self.share_end.unwrap_or(started + self.limits.timeout);
        self.deadline = Some(deadline);
        // What comes after an address that is given up is not known yet. Nor is a limit that passes while we connect.
        let timed_out = (self.share_end.is_none() && deadline > now).then(|| (deadline, self.outcome(None)));
        let in_time = |after: Nanos| now + after < deadline;
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

    /// So many SYNs of the connect that is about to end were sent again, as far as the kernel tells.
    pub fn note_resent(&mut self, resent: Option<u32>) {
        self.resent += resent.unwrap_or(0);
    }

    /// The connect was accepted; the kernel tells this of it.
    pub fn connected(&self, at: Instant, handshake: Option<Handshake>) -> Next {
        let elapsed = self.elapsed(at);
        if elapsed >= self.limits.timeout {
            return self.timed_out_late(elapsed, self.lost_to_us());
        }
        let mut next = self.end(Some(elapsed), elapsed, Ending::Connected(self.address()));
        if let Next::End(end) = &mut next {
            if end.connect.is_some() {
                end.silent = self.given_up.last().copied();
                end.slow = self.slowness(at, handshake);
            }
        }
        next
    }

    /// Why the connect that is accepted at `at` was slow, without the connects before it.
    fn slowness(&self, at: Instant, handshake: Option<Handshake>) -> Option<Cause> {
        let slow = self.limits.slow;
        let handshake = handshake?;
        if at < self.connecting + slow {
            None
        } else if handshake.resent > 0 && handshake.round_trip < slow {
            Some(Cause::SlowByResentSyns)
        } else {
            Some(Cause::SlowPath)
        }
    }

    /// How much of the limit we have lost, if an address was not tried because of that, or had next to no time.
    fn lost_to_us(&self) -> Nanos {
        let (timeout, least) = (self.limits.timeout.get(), limits::SHARE.get());
        let share = (timeout / u64::from(self.addresses)).max(least);
        let undelayed = self.planned.get().saturating_sub(self.late.get());
        let is_next_untried = !self.is_last() && undelayed + share + least <= timeout;
        let had = timeout.saturating_sub(self.elapsed(self.connecting).get());
        if is_next_untried || had < least { self.late } else { Nanos::ZERO }
    }

    fn timed_out(&self, elapsed: Nanos) -> Next {
        self.end(None, elapsed, Ending::ConnectFailed(Reason::TimedOut, self.address()))
    }

    fn keep(&mut self, reason: Reason) {
        self.reason = match self.reason {
            Some(first) if !is_unreachable(first.0) || is_unreachable(reason) => Some(first),
            Some(_) | None => Some((reason, self.address())),
        };
    }

    /// The connect has failed.
    pub fn connect_failed(&mut self, now: Instant, reason: Reason) -> Next {
        self.keep(reason);
        let elapsed = self.elapsed(now);
        if self.is_last() {
            return match self.blame() {
                Some((reason, address)) => self.end(None, elapsed, Ending::ConnectFailed(reason, address)),
                None => skipped(Shortage::Ports),
            };
        }
        if elapsed < self.limits.timeout {
            return self.must_connect_next(elapsed);
        }
        // Addresses are left and the time is over: this address used all of it, or our process was too
        // late to try the others.
        let limit = self.started.unwrap_or(now) + self.limits.timeout;
        self.timed_out_late(elapsed, self.late_after(limit, now))
    }

    /// The time is over; some of it was lost because we were late by so much.
    fn timed_out_late(&self, elapsed: Nanos, late: Nanos) -> Next {
        if late >= limits::BACKDATE { skipped(Shortage::Late) } else { self.timed_out(elapsed) }
    }

    /// The request could not be made for a shortage of our own.
    pub fn fell_short(&mut self, now: Instant, shortage: Shortage) -> Next {
        if let (ProbeStage::Connecting, Shortage::Ports) = (self.stage, shortage) {
            self.short = true;
            if !self.is_last() && self.elapsed(now) < self.limits.timeout {
                return self.must_connect_next(self.elapsed(now));
            }
            if let Some((reason, address)) = self.blame() {
                return self.end(None, self.elapsed(now), Ending::ConnectFailed(reason, address));
            }
        }
        skipped(shortage)
    }

    /// The monitor has given it up.
    pub fn give_up(&mut self, now: Instant) -> Next {
        if self.stage == ProbeStage::LookingUp {
            return self.lookup_failed(now.since(self.asked), Reason::TimedOut);
        }
        let (elapsed, timeout) = (self.elapsed(now), self.limits.timeout);
        match self.share_end {
            Some(share_end) if elapsed < timeout => {
                let late = self.late_after(share_end, now);
                let share = share_end.since(self.connecting);
                let planned = Nanos::new(self.planned.get() + share.get());
                let is_late = elapsed.get() >= planned.get() + limits::BACKDATE.get();
                self.late = Nanos::new(self.late.get() + late.get());
                self.given_up.push(self.address());
                self.keep(Reason::TimedOut);
                self.must_connect_next(if is_late { elapsed } else { planned })
            }
            Some(share_end) => self.timed_out_late(elapsed, self.late_after(share_end, now)),
            None => self.timed_out_late(elapsed, self.lost_to_us()),
        }
    }

    /// The reason that blames the network, if there is one. If an address could not be tried for lack of a port,
    /// unreachable other addresses are no reason.
    fn blame(&self) -> Option<(Reason, Address)> {
        self.reason.filter(|(reason, _)| !self.short || !is_unreachable(*reason))
    }

    fn is_last(&self) -> bool {
        self.current + 1 == self.addresses
    }

    fn must_connect_next(&mut self, planned: Nanos) -> Next {
        self.current += 1;
        self.planned = planned;
        self.must_connect()
    }

    fn must_connect(&mut self) -> Next {
        self.stage = ProbeStage::MustConnect;
        (self.deadline, self.forecast) = (None, None);
        Next::Connect
    }

    fn end(&self, connected: Option<Nanos>, elapsed: Nanos, ending: Ending) -> Next {
        if self.lookup >= self.limits.timeout {
            // The limits have changed since the lookup.
            return self.without_lookup(self.lookup, Reason::TimedOut);
        }
        Next::End(End {
            outcome: Some(self.outcome(connected)),
            ending,
            lookup: Some(self.lookup),
            connect: Some(elapsed),
            resent: self.resent,
            slow: None,
            silent: None,
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
    matches!(reason, Reason::NetworkUnreachable | Reason::HostUnreachable | Reason::NoFamily)
}

fn skipped(shortage: Shortage) -> Next {
    Next::End(End {
        outcome: None,
        ending: Ending::Skipped(shortage),
        lookup: None,
        connect: None,
        resent: 0,
        slow: None,
        silent: None,
    })
}
