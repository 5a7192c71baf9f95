//! The monitor's actions: carries them out, gives the monitor the world's answers, and checks that
//! each probe continues as its [`Life`] says.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::{Action, Fact, TargetId};
use tcpmon::core::probe::{End, Input, ProbeId};
use tcpmon::core::verdict::{Attempt, Failure};
use tcpmon::model::facts::{Fault, Handshake};
use tcpmon::model::log_names::Kind;
use tcpmon::model::reason::{Reason, Shortage};
use tcpmon::model::target::Address;

use crate::driver::Driver;
use crate::kill_plan::KillPoint;
use crate::life::{Life, Next, ProbeStage};
use crate::queue::{Due, Request};
use crate::trace;
use crate::world::{self, Ask, ConnectFate, LookupEnd, World};

impl<W: World> Driver<W> {
    /// Carries out one action.
    pub(crate) fn carry_out(&mut self, action: Action) {
        assert!(!self.finished, "{action:?} after the end");
        let port = match action {
            Action::Lookup(_, target) | Action::Connect(_, target, _) => Some(self.monitor.target(target).port),
            Action::DropLookup(id) | Action::DropConnect(id) => {
                let life = self.lives.get(usize::from(id.slot)).and_then(Option::as_ref);
                life.map(|life| self.book.pages[usize::from(life.record)].target.port)
            }
            Action::ReadClock
            | Action::Report(_)
            | Action::WriteEvents
            | Action::Ended(_)
            | Action::Round
            | Action::SayHeld(_)
            | Action::SaySkipped(..)
            | Action::Finish => None,
        };
        trace::note(self.now, || format!("-> {action:?} {}", port.unwrap_or_default()));
        self.world.on_action(self.now, action, port);
        match action {
            Action::Lookup(id, target) => self.look_up(id, target),
            Action::Connect(id, target, address) => self.connect(id, target, address),
            Action::DropLookup(id) => {
                self.lookups -= 1;
                self.give_up(id, ProbeStage::LookingUp);
            }
            Action::DropConnect(id) => {
                self.answer_drop(id);
                self.give_up(id, ProbeStage::Connecting);
            }
            Action::ReadClock => {
                let wanted = std::mem::take(&mut self.clock_wanted)
                    || self.calendar.may_read(self.turn)
                    || self.turn >= self.clock_wait.next();
                self.completing = !wanted;
                self.tell_clock();
            }
            Action::Report(stamp) => {
                assert_eq!(self.report_due.take(), Some(stamp), "the report that is due");
                let written = self.write(stamp);
                let timed = self.write_times(stamp, self.book.settings.times);
                self.tell_trouble(Kind::Stats, written);
                self.reach(KillPoint::Reported);
                self.monitor.handle(self.now, Fact::Reported { written, timed });
                self.end_report();
                self.owe_next();
            }
            Action::WriteEvents => self.write_events(),
            Action::Ended(ended) => self.check_ended(&ended),
            Action::Round => self.rounds += 1,
            Action::SayHeld(wall) => {
                assert!(self.clock_wait.is_wrong(wall) && self.clock_wait.waits(), "no report waits at {wall}");
                assert!(std::mem::take(&mut self.clock_wait.unsaid), "it is said twice");
            }
            Action::SaySkipped(ticks, _) => self.check_said_skips(ticks),
            Action::Finish => {
                self.book.events.discard_unwanted();
                self.finished = true;
                self.owe(|owed| owed.running = false);
            }
        }
    }

    /// Tells the monitor what has happened at `at`.
    pub(crate) fn handle_due(&mut self, at: Instant, due: Due) {
        self.reach(KillPoint::Fact);
        match due {
            Due::LookupStarts(request) if self.is_current(request) => self.begin_lookup(request.slot),
            Due::LookupEnds(request) if self.is_current(request) => self.end_lookup(request.slot),
            Due::ConnectEnds(request) if self.is_current(request) => self.end_connect(request.slot, at),
            // The request is closed: the helper was killed, the socket closed.
            Due::LookupStarts(_) | Due::LookupEnds(_) | Due::ConnectEnds(_) => {}
            Due::Deadline(slot) => self.overdue.push((at, slot)),
            Due::Stale(index) => self.answer_again(self.stale[index as usize]),
        }
    }

    /// Answers a request that has ended, and checks that this changes nothing.
    pub(crate) fn answer_again(&mut self, id: ProbeId) {
        self.reach(KillPoint::Fact);
        let before = (self.monitor.next_deadline(), self.monitor.in_flight());
        let addresses = [world::address(1, 1)];
        let event = match self.random.below(10) {
            0 => Fact::Probe(id, Input::LookupStarted),
            1 => Fact::Probe(id, Input::Answered(Nanos::new(1), &addresses)),
            2 => Fact::Probe(id, Input::LookupFailed(Nanos::new(1), Reason::NameNotFound)),
            3 => Fact::Probe(id, Input::LookupLost),
            4 => Fact::Probe(id, Input::ConnectStarted),
            5 => Fact::Probe(id, Input::Connected),
            6 => Fact::Probe(id, Input::ConnectFailed(Reason::Refused)),
            7 => Fact::Probe(id, Input::FellShort(Shortage::Descriptors)),
            8 => Fact::Dropped(id, Some(7)),
            _ => Fact::Reported { written: true, timed: true },
        };
        self.monitor.handle(self.now, event);
        assert_eq!((self.monitor.next_deadline(), self.monitor.in_flight()), before, "{event:?} came again");
    }

    /// Tells the monitor that the socket of this attempt is closed, and what the kernel knew of it. What comes for another
    /// attempt changes nothing.
    fn answer_drop(&mut self, id: ProbeId) {
        self.reach(KillPoint::Fact);
        let before = (self.monitor.next_deadline(), self.monitor.in_flight());
        for other in [ProbeId::new(id.slot, u32::MAX), ProbeId::new(id.slot + 1, 0)] {
            self.monitor.handle(self.now, Fact::Dropped(other, Some(7)));
        }
        assert_eq!((self.monitor.next_deadline(), self.monitor.in_flight()), before, "another one was dropped");
        let resent = (!self.random.one_in(8)).then(|| self.random.below(5) as u32);
        self.monitor.handle(self.now, Fact::Dropped(id, resent));
        if let Some(Some(life)) = self.lives.get_mut(usize::from(id.slot)) {
            life.note_resent(resent);
        }
    }

    fn is_current(&self, request: Request) -> bool {
        let life = self.lives.get(usize::from(request.slot)).and_then(Option::as_ref);
        life.is_some_and(|life| life.request == request)
    }

    fn look_up(&mut self, id: ProbeId, target: TargetId) {
        let record = self.record(target);
        assert!(self.ids.insert(id), "{id:?} is used twice");
        self.lookups += 1;
        assert!(self.lookups <= usize::from(self.book.helpers), "{} lookups at once", self.lookups);
        let target = &self.book.pages[usize::from(record)].target;
        let port = target.port;
        assert_eq!(target.literal, None, "a lookup of the literal {}", target.host);
        self.find_or_add_life(id, record, false, ProbeStage::MustLookUp);
        let (now, turn, number) = (self.now, self.turn, self.number());
        let Some(life) = &mut self.lives[usize::from(id.slot)] else { return };
        let fate = self.world.lookup(Ask { port, limits: life.limits, elapsed: Nanos::ZERO });
        if life.is_asked_again() {
            life.tick = self.book.ask_again(record, id.slot, &self.monitor);
        }
        life.first = self.world.first_address(port);
        (life.id, life.request.number, life.lookup_end) = (id, number, fate.end);
        life.ask(turn);
        match fate.begins {
            None => self.begin_lookup(id.slot),
            Some(wait) => {
                life.forecast = None;
                self.queue.push(now + wait, Due::LookupStarts(life.request));
                self.queue.push(turn + life.limits.timeout, Due::Deadline(id.slot));
            }
        }
    }

    fn begin_lookup(&mut self, slot: u16) {
        self.reach(KillPoint::Fact);
        let Some(life) = &mut self.lives[usize::from(slot)] else { return };
        self.monitor.handle(self.now, Fact::Probe(life.id, Input::LookupStarted));
        life.begin_lookup(self.now);
        let end = life.lookup_end.after();
        if end.is_none_or(|after| after >= life.limits.timeout) {
            self.queue.push(self.now + life.limits.timeout, Due::Deadline(slot));
        }
        match end {
            Some(Nanos::ZERO) => self.end_lookup(slot),
            Some(after) => self.queue.push(self.now + after, Due::LookupEnds(life.request)),
            None => {}
        }
    }

    fn end_lookup(&mut self, slot: u16) {
        self.reach(KillPoint::Fact);
        let Some(life) = &mut self.lives[usize::from(slot)] else { return };
        let (id, now) = (life.id, self.now);
        let port = self.book.pages[usize::from(life.record)].target.port;
        self.lookups -= 1;
        trace::note(now, || format!("<- {:?} {id:?} {port}", life.lookup_end));
        let next = match life.lookup_end {
            LookupEnd::Answers { elapsed, addresses, .. } => {
                let all: [Address; 12] = std::array::from_fn(|k| world::address(port, life.first + k as u8));
                let all = &all[..usize::from(addresses)];
                self.monitor.handle(now, Fact::Probe(id, Input::Answered(elapsed, all)));
                self.book.note_answer(life.record, now, all);
                life.answered(elapsed, addresses)
            }
            LookupEnd::Fails { elapsed, reason, .. } => {
                self.monitor.handle(now, Fact::Probe(id, Input::LookupFailed(elapsed, reason)));
                life.lookup_failed(elapsed, reason)
            }
            LookupEnd::Dies { .. } => {
                self.monitor.handle(now, Fact::Probe(id, Input::LookupLost));
                life.lost()
            }
            LookupEnd::FallsShort { shortage, .. } => {
                self.monitor.handle(now, Fact::Probe(id, Input::FellShort(shortage)));
                life.fell_short(now, shortage)
            }
            LookupEnd::Hangs => return,
        };
        self.apply_next(id, now, next);
    }

    fn connect(&mut self, id: ProbeId, target: TargetId, address: Address) {
        self.reach(KillPoint::Fact);
        let record = self.record(target);
        assert!(self.ids.insert(id), "{id:?} is used twice");
        let page = &self.book.pages[usize::from(record)];
        let (port, literal) = (page.target.port, page.target.literal);
        if self.find_or_add_life(id, record, literal.is_some(), ProbeStage::MustConnect) {
            self.to_connect += 1;
        }
        self.to_connect -= 1;
        let (now, number) = (self.now, self.number());
        let Some(life) = &mut self.lives[usize::from(id.slot)] else { return };
        assert_eq!(address, life.address(), "address {} of the target with port {port}", life.current);
        let fate = self.world.connect(Ask { port, limits: life.limits, elapsed: life.elapsed(now) });
        (life.id, life.request.number, life.connect_fate) = (id, number, fate);
        life.connect(now);
        if !matches!(fate, ConnectFate::FallsShort { begun: false, .. }) {
            self.monitor.handle(now, Fact::Probe(id, Input::ConnectStarted));
        }
        if self.random.one_in(self.options.repeated_answers) {
            let before = (self.monitor.next_deadline(), self.monitor.in_flight());
            self.monitor.handle(now, Fact::Dropped(id, Some(7)));
            assert_eq!((self.monitor.next_deadline(), self.monitor.in_flight()), before, "it was not to be dropped");
        }
        let end = fate.after();
        if let Some(deadline) = life.deadline.filter(|deadline| end.is_none_or(|after| now + after >= *deadline)) {
            self.queue.push(deadline, Due::Deadline(id.slot));
        }
        match end {
            Some(Nanos::ZERO) => self.end_connect(id.slot, now),
            Some(after) => self.queue.push(now + after, Due::ConnectEnds(life.request)),
            None => {}
        }
    }

    fn end_connect(&mut self, slot: u16, at: Instant) {
        self.reach(KillPoint::Fact);
        let Some(life) = &mut self.lives[usize::from(slot)] else { return };
        let (id, now) = (life.id, self.now);
        trace::note(now, || format!("<- {:?} {id:?}", life.connect_fate));
        let mut attempt =
            Attempt { started: life.connecting, seen: now, error: None, handshake: None, met_itself: false };
        let (late, time) = (now.since(at), at.since(life.connecting));
        // What the kernel tells, if it is asked: how many SYNs it sent again, and the round trip of the last one, unless
        // there are no timestamps.
        let resent = if self.random.one_in(8) { self.random.within(1, 4) as u32 } else { 0 };
        let round_trip = match self.random.below(3) {
            _ if resent == 0 => time,
            0 => Nanos::ZERO,
            1 => Nanos::new(time.get() / 2),
            _ => time,
        };
        let is_exact = !self.random.one_in(8);
        let handshake =
            Handshake { resent, round_trip, is_exact, acknowledged: late, path_mtu: 1500, received: Some(1) };
        let mut stamp = now;
        let next = match life.connect_fate {
            ConnectFate::Accepted { .. } => {
                if self.world.knows_accept_time() {
                    attempt.handshake = Some(handshake);
                    life.note_resent(Some(resent));
                    let is_measured = resent == 0 && is_exact && round_trip > Nanos::ZERO;
                    stamp = if is_measured || late >= limits::BACKDATE { at } else { now };
                }
                if self.random.one_in(8) {
                    // The peer has reset the connection since.
                    attempt.error = Some(Failure::Connect(self.random.pick(&[Fault::ECONNRESET, Fault::EPIPE])));
                }
                self.monitor.handle(now, Fact::AttemptEnded(id, attempt));
                life.connected(stamp, attempt.handshake)
            }
            ConnectFate::Fails { reason, .. } => {
                attempt.error = Some(fault_of(reason));
                // Before 0.8 s no SYN can have been sent again, and the kernel is not asked.
                if now.since(life.connecting) >= Nanos::from_millis(800) {
                    attempt.handshake = (!self.random.one_in(8)).then_some(handshake);
                    life.note_resent(attempt.handshake.map(|handshake| handshake.resent));
                }
                self.monitor.handle(now, Fact::AttemptEnded(id, attempt));
                life.connect_failed(now, reason)
            }
            ConnectFate::FallsShort { shortage, .. } => {
                attempt.error = Some(fault_of_shortage(shortage));
                self.monitor.handle(now, Fact::AttemptEnded(id, attempt));
                life.fell_short(now, shortage)
            }
            ConnectFate::Hangs => return,
        };
        self.apply_next(id, stamp, next);
    }

    fn give_up(&mut self, id: ProbeId, stage: ProbeStage) {
        let Some(Some(life)) = self.lives.get_mut(usize::from(id.slot)) else {
            unreachable!("{id:?} is dropped, but its slot is free");
        };
        assert_eq!((life.id, life.stage), (id, stage), "what is dropped");
        assert!(life.deadline.is_some_and(|deadline| self.turn >= deadline), "{id:?} is dropped before its deadline");
        // The request is closed, also while the next address waits: what comes for it at this moment is too late.
        life.request.number = 0;
        let next = life.give_up(self.turn);
        if self.random.one_in(self.options.late_answers) {
            self.answer_later(id);
        }
        self.apply_next(id, self.turn, next);
    }

    /// Answers this id once more, some time later.
    fn answer_later(&mut self, id: ProbeId) {
        let wait = self.random.below(20_000_000_000);
        self.queue.push(self.now + Nanos::new(wait), Due::Stale(self.stale.len() as u32));
        self.stale.push(id);
    }

    /// Finds the life of an action's probe, or adds it. Returns whether it is new.
    fn find_or_add_life(&mut self, id: ProbeId, record: u16, literal: bool, stage: ProbeStage) -> bool {
        let slot = usize::from(id.slot);
        if self.lives.len() <= slot {
            self.lives.resize(slot + 1, None);
        }
        match &self.lives[slot] {
            Some(life) => {
                assert_eq!((life.record, life.stage), (record, stage), "{id:?} goes on");
                false
            }
            None => {
                assert!(literal == (stage == ProbeStage::MustConnect), "{id:?} begins with the wrong action");
                let tick = self.book.see_probe(record, &self.monitor);
                let limits = self.book.settings.thresholds;
                let target = &self.book.pages[usize::from(record)].target;
                self.lives[slot] = Some(Life::new(id, record, tick, limits, target));
                true
            }
        }
    }

    fn number(&mut self) -> u32 {
        self.requests += 1;
        self.requests
    }

    /// Notes how the probe must continue after an answer to `id`, as of `at`.
    fn apply_next(&mut self, id: ProbeId, at: Instant, next: Next) {
        match next {
            Next::LookUp => {
                if let Some(life) = &self.lives[usize::from(id.slot)] {
                    self.book.wait_again(life.record, id.slot, life.tick, &self.monitor);
                }
            }
            Next::Connect => self.to_connect += 1,
            Next::End(end) => self.finish(id.slot, at, end),
        }
        if self.random.one_in(self.options.repeated_answers) {
            self.answer_again(id);
            if self.random.one_in(2) {
                self.answer_later(id);
            }
        }
    }

    fn finish(&mut self, slot: u16, at: Instant, end: End) {
        let Some(life) = self.lives[usize::from(slot)].take() else { return };
        let undisturbed = !life.disturbed && self.options.action_time == Nanos::ZERO;
        if let Some((at, outcome)) = life.forecast.filter(|_| undisturbed) {
            assert_eq!((self.now, end.outcome), (at, Some(outcome)), "an undisturbed probe: {end:?}");
        }
        self.book.end_probe(life.record, &end);
        self.book.judge_probe(life.record, life.tick, at, &end);
        if self.book.settings.samples {
            self.ends.push_back((life.record, life.tick, end));
        }
        let page = &self.book.pages[usize::from(life.record)];
        if let Some(entry) = page.entry(&self.monitor) {
            assert_eq!(entry.last, Some(end), "how the probe of {} ended", page.target.service);
            if let Some(outcome) = end.outcome {
                let counted = u64::from(entry.tally.counted().of(outcome));
                assert_eq!(counted, page.counted[outcome as usize], "{outcome:?} of {}", page.target.service);
            }
        }
    }
}

/// A call and its error that stand for this reason.
fn fault_of(reason: Reason) -> Failure {
    match reason {
        Reason::TimedOut => Failure::Connect(Fault::ETIMEDOUT),
        Reason::Refused => Failure::Connect(Fault::ECONNREFUSED),
        Reason::NetworkUnreachable => Failure::Connect(Fault::ENETUNREACH),
        Reason::HostUnreachable => Failure::Connect(Fault::EHOSTUNREACH),
        Reason::Denied => Failure::Connect(Fault::EPERM),
        Reason::NoDevice => Failure::Prepare(Fault::ENODEV),
        Reason::NoSourceAddress => Failure::Prepare(Fault::EADDRNOTAVAIL),
        Reason::NoFamily => Failure::NoAddress,
        Reason::Other(errno) => Failure::Connect(Fault(errno)),
        Reason::Reset | Reason::NameNotFound | Reason::NoAddress | Reason::ResolverFailed | Reason::ResolverSilent => {
            unreachable!("a connect does not fail with {reason}")
        }
    }
}

/// The same for a shortage.
fn fault_of_shortage(shortage: Shortage) -> Failure {
    match shortage {
        Shortage::Descriptors => Failure::Prepare(Fault::EMFILE),
        Shortage::Memory => Failure::Connect(Fault::ENOBUFS),
        Shortage::Ports => Failure::Connect(Fault::EADDRNOTAVAIL),
        Shortage::Rights => Failure::Prepare(Fault::EACCES),
        Shortage::Socket => Failure::Prepare(Fault::EFAULT),
        Shortage::Processes | Shortage::Helpers | Shortage::Probes | Shortage::Late | Shortage::ResolverFile => {
            unreachable!("no connect falls short by {shortage}")
        }
    }
}
