//! Carries out what the monitor asks for, and brings it the world's answers, each time with what
//! must follow from it.

use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::{Action, Event, TargetId};
use tcpmon::core::probe::{End, Input, ProbeId};
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::target::Address;

use crate::book::{Page, Standing};
use crate::driver::Driver;
use crate::fuse::Step;
use crate::life::{Life, Phase, Then};
use crate::queue::{Due, Request};
use crate::trace;
use crate::world::{self, Ask, ConnectFate, LookupEnd, World};

/// Later than this after its deadline a probe was late by our own fault beyond doubt: below, a
/// loop's clock cannot tell.
const HAIR: Nanos = Nanos::from_millis(100);

impl<W: World> Driver<W> {
    pub(crate) fn carry_out(&mut self, action: Action) {
        assert!(!self.finished, "{action:?} after the end");
        let port = match action {
            Action::Lookup(_, watch) | Action::Connect(_, watch, _) => Some(self.monitor.target(watch).port),
            Action::DropLookup(id) | Action::DropConnect(id) => {
                let life = self.lives.get(usize::from(id.slot)).and_then(Option::as_ref);
                life.map(|life| self.book.pages[usize::from(life.watch)].target.port)
            }
            Action::ReadClock
            | Action::Report(_)
            | Action::Round
            | Action::SayHeld(_)
            | Action::SaySkipped(..)
            | Action::Finish => None,
        };
        trace::note(self.now, || format!("-> {action:?} {}", port.unwrap_or_default()));
        self.world.hear(self.now, action, port);
        match action {
            Action::Lookup(id, watch) => self.look_up(id, watch),
            Action::Connect(id, watch, address) => self.connect(id, watch, address),
            Action::DropLookup(id) => {
                self.lookups -= 1;
                self.give_up(id, Phase::LookingUp);
            }
            Action::DropConnect(id) => self.give_up(id, Phase::Connecting),
            Action::ReadClock => {
                let wanted = std::mem::take(&mut self.clock_wanted)
                    || self.calendar.may_read(self.turn)
                    || self.turn >= self.patience.next();
                self.completing = !wanted;
                self.tell_clock();
            }
            Action::Report(stamp) => {
                assert_eq!(self.report_due.take(), Some(stamp), "the report that is due");
                let written = self.write(stamp);
                self.step(Step::Tell);
                self.monitor.handle(self.now, Event::Reported { written });
                self.owe_next();
            }
            Action::Round => self.rounds += 1,
            Action::SayHeld(wall) => {
                assert!(self.patience.is_wrong(wall) && self.patience.waits(), "nothing waits at {wall}");
                assert!(std::mem::take(&mut self.patience.unsaid), "it is said twice");
            }
            Action::SaySkipped(ticks, _) => self.hear_skipped(ticks),
            Action::Finish => {
                self.finished = true;
                self.owe(|owed| owed.running = false);
            }
        }
    }

    /// Brings the monitor what has happened at `at`.
    pub(crate) fn take_in(&mut self, at: Instant, due: Due) {
        self.step(Step::Event);
        match due {
            Due::LookupStarts(request) if self.is_current(request) => self.begin_lookup(request.slot),
            Due::LookupEnds(request) if self.is_current(request) => self.end_lookup(request.slot),
            Due::ConnectEnds(request) if self.is_current(request) => self.end_connect(request.slot, at),
            // Nobody waits for it: the helper is dead, the socket closed.
            Due::LookupStarts(_) | Due::LookupEnds(_) | Due::ConnectEnds(_) => {}
            Due::Deadline(slot) => self.overdue.push((at, slot)),
            Due::Stale(index) => self.answer_again(self.stale[index as usize]),
        }
    }

    /// What answers a request that has ended changes nothing.
    pub(crate) fn answer_again(&mut self, id: ProbeId) {
        self.step(Step::Event);
        let before = (self.monitor.next_deadline(), self.monitor.in_flight());
        let addresses = [world::address(1, 1)];
        let event = match self.random.below(9) {
            0 => Event::Probe(id, Input::LookupStarted),
            1 => Event::Probe(id, Input::Answered(Nanos::new(1), &addresses)),
            2 => Event::Probe(id, Input::LookupFailed(Nanos::new(1), Reason::NameNotFound)),
            3 => Event::Probe(id, Input::LookupLost),
            4 => Event::Probe(id, Input::ConnectStarted),
            5 => Event::Probe(id, Input::Connected),
            6 => Event::Probe(id, Input::ConnectFailed(Reason::Refused)),
            7 => Event::Probe(id, Input::FellShort(Shortage::Descriptors)),
            _ => Event::Reported { written: true },
        };
        self.monitor.handle(self.now, event);
        assert_eq!((self.monitor.next_deadline(), self.monitor.in_flight()), before, "{event:?} came again");
    }

    fn is_current(&self, request: Request) -> bool {
        let life = self.lives.get(usize::from(request.slot)).and_then(Option::as_ref);
        life.is_some_and(|life| life.request == request)
    }

    fn look_up(&mut self, id: ProbeId, watch: TargetId) {
        let place = self.place(watch);
        assert!(self.ids.insert(id), "{id:?} is used twice");
        self.lookups += 1;
        assert!(self.lookups <= usize::from(self.book.settings.helpers), "{} lookups at once", self.lookups);
        let target = &self.book.pages[usize::from(place)].target;
        let port = target.port;
        assert_eq!(target.literal, None, "a lookup of the literal {}", target.host);
        self.place_life(id, place, false, Phase::AsksAgain);
        let (now, turn, number) = (self.now, self.turn, self.number());
        let Some(life) = &mut self.lives[usize::from(id.slot)] else { return };
        let mut fate = self.world.lookup(Ask { port, limits: life.limits, elapsed: Nanos::ZERO });
        if self.hurries {
            fate.begins = None;
        }
        if life.is_asked_again() {
            self.book.wait_again(place, -1);
        }
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
        self.step(Step::Event);
        let Some(life) = &mut self.lives[usize::from(slot)] else { return };
        self.monitor.handle(self.now, Event::Probe(life.id, Input::LookupStarted));
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
        self.step(Step::Event);
        let Some(life) = &mut self.lives[usize::from(slot)] else { return };
        let (id, now) = (life.id, self.now);
        let port = self.book.pages[usize::from(life.watch)].target.port;
        self.lookups -= 1;
        trace::note(now, || format!("<- {:?} {id:?} {port}", life.lookup_end));
        let then = match life.lookup_end {
            LookupEnd::Answers { elapsed, addresses, .. } => {
                let all: [Address; 12] = std::array::from_fn(|k| world::address(port, k as u8));
                self.monitor.handle(now, Event::Probe(id, Input::Answered(elapsed, &all[..usize::from(addresses)])));
                life.answered(elapsed, addresses)
            }
            LookupEnd::Fails { elapsed, reason, .. } => {
                self.monitor.handle(now, Event::Probe(id, Input::LookupFailed(elapsed, reason)));
                life.lookup_failed(elapsed, reason)
            }
            LookupEnd::Dies { .. } => {
                self.monitor.handle(now, Event::Probe(id, Input::LookupLost));
                life.lost()
            }
            LookupEnd::FallsShort { shortage, .. } => {
                self.monitor.handle(now, Event::Probe(id, Input::FellShort(shortage)));
                life.fell_short(now, shortage, None)
            }
            LookupEnd::Hangs => return,
        };
        self.follow(id, then);
    }

    fn connect(&mut self, id: ProbeId, watch: TargetId, address: Address) {
        self.step(Step::Event);
        let place = self.place(watch);
        assert!(self.ids.insert(id), "{id:?} is used twice");
        let page = &self.book.pages[usize::from(place)];
        let (port, literal) = (page.target.port, page.target.literal);
        if self.place_life(id, place, literal.is_some(), Phase::Connects) {
            self.to_connect += 1;
        }
        self.to_connect -= 1;
        let (now, number) = (self.now, self.number());
        let Some(life) = &mut self.lives[usize::from(id.slot)] else { return };
        let wanted = literal.unwrap_or_else(|| world::address(port, life.current));
        assert_eq!(address, wanted, "address {} of the target with port {port}", life.current);
        let fate = self.world.connect(Ask { port, limits: life.limits, elapsed: life.elapsed(now) });
        (life.id, life.request.number, life.connect_fate) = (id, number, fate);
        life.connect(now);
        if !matches!(fate, ConnectFate::FallsShort { begun: false, .. }) {
            self.monitor.handle(now, Event::Probe(id, Input::ConnectStarted));
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
        self.step(Step::Event);
        let Some(life) = &mut self.lives[usize::from(slot)] else { return };
        let (id, now) = (life.id, self.now);
        trace::note(now, || format!("<- {:?} {id:?}", life.connect_fate));
        let target = &self.book.pages[usize::from(life.watch)].target;
        let address = target.literal.unwrap_or_else(|| world::address(target.port, life.current));
        let then = match life.connect_fate {
            ConnectFate::Accepted { .. } => {
                let stamp = if self.world.knows_when() { at } else { now };
                self.monitor.handle(stamp, Event::Probe(id, Input::Connected));
                life.connected(stamp, address)
            }
            ConnectFate::Fails { reason, .. } => {
                self.monitor.handle(now, Event::Probe(id, Input::ConnectFailed(reason)));
                life.connect_failed(now, reason)
            }
            ConnectFate::FallsShort { shortage, .. } => {
                self.monitor.handle(now, Event::Probe(id, Input::FellShort(shortage)));
                life.fell_short(now, shortage, Some(address))
            }
            ConnectFate::Hangs => return,
        };
        self.follow(id, then);
    }

    fn give_up(&mut self, id: ProbeId, phase: Phase) {
        let Some(Some(life)) = self.lives.get(usize::from(id.slot)) else {
            unreachable!("{id:?} is dropped, but its slot is free");
        };
        assert_eq!((life.id, life.phase), (id, phase), "what is dropped");
        assert!(life.deadline.is_some_and(|deadline| self.turn >= deadline), "{id:?} is dropped before its deadline");
        let then = life.given_up(self.turn);
        if self.random.one_in(self.manners.late) {
            self.remember(id);
        }
        self.follow(id, then);
    }

    /// Has this id answered once more, some time later.
    fn remember(&mut self, id: ProbeId) {
        let wait = self.random.below(20_000_000_000);
        self.queue.push(self.now + Nanos::new(wait), Due::Stale(self.stale.len() as u32));
        self.stale.push(id);
    }

    /// Sees to it that the probe of an action has a life. Whether it is new.
    fn place_life(&mut self, id: ProbeId, place: u16, literal: bool, phase: Phase) -> bool {
        let slot = usize::from(id.slot);
        if self.lives.len() <= slot {
            self.lives.resize(slot + 1, None);
        }
        match &self.lives[slot] {
            Some(life) => {
                assert_eq!((life.watch, life.phase), (place, phase), "{id:?} goes on");
                false
            }
            None => {
                assert!(literal == (phase == Phase::Connects), "{id:?} begins with the wrong action");
                let limits = self.book.meet(place);
                self.lives[slot] = Some(Life::new(id, place, limits, literal));
                true
            }
        }
    }

    fn number(&mut self) -> u32 {
        self.requests += 1;
        self.requests
    }

    /// Sees that a probe goes on as it must after an answer to `id`.
    fn follow(&mut self, id: ProbeId, then: Then) {
        match then {
            Then::AskAgain => {
                let watch = self.lives[usize::from(id.slot)].as_ref().map(|life| life.watch);
                watch.into_iter().for_each(|place| self.book.wait_again(place, 1));
            }
            Then::Connect => self.to_connect += 1,
            Then::End(end) => self.finish(id.slot, end),
            Then::EndLate { skipped, failed } => {
                let end = if self.has_counted(id.slot) { failed } else { skipped };
                let life = self.lives[usize::from(id.slot)].as_ref();
                let late = life.and_then(|life| life.deadline).map(|deadline| self.now.since(deadline));
                assert!(
                    end == skipped || late.is_some_and(|late| late <= HAIR),
                    "{end:?} where we were late by {late:?}"
                );
                self.finish(id.slot, end);
            }
        }
        if self.random.one_in(self.manners.repeats) {
            self.answer_again(id);
            if self.random.one_in(2) {
                self.remember(id);
            }
        }
    }

    fn finish(&mut self, slot: u16, end: End) {
        let Some(life) = self.lives[usize::from(slot)].take() else { return };
        let undisturbed = !life.disturbed && self.manners.hands == Nanos::ZERO;
        if let Some((at, outcome)) = life.forecast.filter(|_| undisturbed) {
            assert_eq!((self.now, end.outcome), (at, Some(outcome)), "an undisturbed probe: {end:?}");
        }
        self.book.end(life.watch, &end);
        let page = &self.book.pages[usize::from(life.watch)];
        if let Some(watch) = page.watch(&self.monitor) {
            assert_eq!(watch.last, Some(end), "how the probe of {} ended", page.target.service);
            if let Some(outcome) = end.outcome {
                let counted = u64::from(watch.tally.counted().of(outcome));
                assert_eq!(counted, page.counted[outcome as usize], "{outcome:?} of {}", page.target.service);
            }
        }
    }

    /// Whether the monitor has counted one more of the target of the probe in this slot than the
    /// books have.
    fn has_counted(&self, slot: u16) -> bool {
        let Some(life) = &self.lives[usize::from(slot)] else { return false };
        let page = &self.book.pages[usize::from(life.watch)];
        if let Some(watch) = page.watch(&self.monitor) {
            return !matches!(watch.last, Some(End { ending: Ending::Skipped(_), .. }));
        }
        let same = |service: &str| service == page.target.service.as_str();
        let rows = self.monitor.rows().skip(self.book.order.len()).filter(|(service, _)| same(service));
        let counted: u64 = rows.map(|(_, row)| row.total).sum();
        let retired = |page: &&Page| page.standing == Standing::Retired;
        let pages = self.book.pages.iter().filter(retired).filter(|page| same(page.target.service.as_str()));
        let known: u64 = pages.map(|page| page.unreported().iter().sum::<u64>()).sum();
        counted > known
    }
}
