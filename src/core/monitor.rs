//! All decisions of a run: which probe starts when, what each one does next, what is counted, when a
//! report is due. Pure: time and events come in, actions and a deadline come out; no clock, no
//! descriptor, and no allocation after [`Monitor::new`].
//!
//! The caller drives the monitor with three calls. It passes in what happened with
//! [`Monitor::handle`]; it calls [`Monitor::poll`] until that returns `None` (a drain) and carries out
//! each action at once; then it waits until [`Monitor::next_deadline`] or until something happens.
//! Events may also come between two calls of `poll`. The caller promises:
//!
//! - It answers [`Action::Lookup`] and [`Action::Connect`] exactly once unless the monitor drops them.
//!   When it gives the final answer, it has released the socket or the helper.
//! - It answers [`Action::ReadClock`] with [`Event::Clock`] and [`Action::Report`] with
//!   [`Event::Reported`], both at once and with no other event before.
//!
//! The monitor promises: after a drain the next deadline is in the future; a drain ends; an early or
//! repeated call changes nothing; every probe that started has ended in exactly one outcome, or is
//! counted as skipped, or is in flight; an answer that comes late, twice or for another probe is
//! dropped.

mod event;
mod skips;
mod slots;
mod target_table;

pub use event::{Action, Changes, Event, Span};
use skips::Skips;
use slots::Slots;
use target_table::TargetTable;
pub use target_table::{TargetEntry, TargetId};

use crate::base::limits;
use crate::base::ring::Ring;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::base::timers::Timers;
use crate::core::due::{Due, Need};
use crate::core::grid::Grid;
use crate::core::ledger::Ledger;
use crate::core::probe::{End, Input, Next, Probe, ProbeId};
use crate::model::outcome::Columns;
use crate::model::reason::{Ending, Shortage};
use crate::model::settings::{Config, Settings};
use crate::model::target::Target;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The run goes on.
    Running,
    /// The last report is due.
    LastReport,
    /// Everything is done; [`Action::Finish`] comes next.
    Finish,
    /// [`Action::Finish`] was returned.
    Finished,
}

/// All decisions of a run. The page of this module tells how to drive it.
#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
    /// The most lookups that helpers may be busy with.
    helpers: u16,
    span: Span,
    /// When the run ends by itself; [`Instant::NEVER`] if it has no duration.
    end: Instant,
    table: TargetTable,
    /// The first of the targets with the shortest interval: each of its ticks begins a round.
    pacemaker: u16,
    slots: Slots,
    /// Slots of probes whose next attempt can start.
    to_connect: Ring,
    /// Slots of probes that wait for a helper.
    to_look_up: Ring,
    /// Lookups that helpers are busy with.
    looking_up: u16,
    timers: Timers,
    due: Due,
    /// A round has begun, and [`Action::Round`] was not returned yet.
    round: bool,
    skips: Skips,
    stage: Stage,
}

/// The first timer id of the targets; the ids below belong to the probes' slots. Timers that are due at the
/// same moment come in the order of their ids: a probe that ends at the moment of a tick frees its slot first.
const TARGET_TIMERS: u16 = limits::PROBES as u16;

impl Monitor {
    /// A monitor of this configuration whose ticks start at `now`, when the wall clock reads `wall`. It
    /// continues the counts of the ledger, which must have room for these targets. A clock that reads
    /// less than `built`, in seconds since 1970, is not set. All memory is reserved here.
    #[expect(clippy::too_many_arguments, reason = "what a run begins with, and the two clocks")]
    pub fn new(config: &Config, span: Span, ledger: Ledger, built: i64, now: Instant, wall: WallTime) -> Self {
        let mut monitor = Self {
            settings: config.settings,
            helpers: config.helpers(),
            span,
            end: span.duration.map_or(Instant::NEVER, |duration| now + duration),
            table: TargetTable::new(ledger),
            pacemaker: 0,
            slots: Slots::new(),
            to_connect: Ring::new(limits::PROBES),
            to_look_up: Ring::new(limits::PROBES),
            looking_up: 0,
            timers: Timers::new(limits::PROBES + limits::RECORDS),
            due: Due::new(config.settings.report, built, now, wall),
            round: false,
            skips: Skips::new(now),
            stage: Stage::Running,
        };
        monitor.adopt(config, now, wall);
        monitor
    }

    /// Handles what happened at `now`.
    pub fn handle(&mut self, now: Instant, event: Event<'_>) {
        match event {
            Event::Probe(id, input) => self.answer(now, id, input),
            Event::AttemptEnded(id, attempt) => {
                let (at, verdict) = attempt.judge();
                self.answer(at, id, verdict.into());
            }
            Event::Clock(wall) => self.read_clock(now, wall),
            Event::Reported { written } => self.reported(written),
            Event::ReportNow => self.due.demand(),
            Event::Stop => self.stop(),
        }
    }

    /// The next thing to do, or `None` when there is nothing more to do at `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        loop {
            match self.stage {
                Stage::Running | Stage::LastReport => {}
                Stage::Finish => {
                    self.table.ledger().end_run();
                    self.stage = Stage::Finished;
                    return Some(Action::Finish);
                }
                Stage::Finished => return None,
            }
            let report = self.poll_report();
            if report.is_some() || self.stage == Stage::LastReport {
                return report;
            }
            if core::mem::take(&mut self.round) {
                return Some(Action::Round);
            }
            let next = self.next_in_queue(now);
            if next.is_some() {
                return next;
            }
            if now >= self.due.next() {
                self.due.want_clock();
                continue;
            }
            if let Some(id) = self.timers.due(now) {
                match id.checked_sub(TARGET_TIMERS) {
                    Some(target) => self.tick(now, target),
                    None => return Some(self.expire(now, id)),
                }
                continue;
            }
            if self.due.say_held(now) {
                return Some(Action::SayHeld(self.due.clocks().1));
            }
            // After everything else: one message covers all ticks that were skipped at the same moment.
            if now >= self.skips.next() {
                let (ticks, shortage) = self.skips.say(now);
                return Some(Action::SaySkipped(ticks, shortage));
            }
            if self.is_complete(now) {
                self.stop();
                continue;
            }
            if now >= self.due.clocks().0 {
                self.table.ledger().set_alive(now);
            }
            return None;
        }
    }

    /// The next thing to do for a report that is due, and for nothing else. A reload calls this to write a report
    /// before it applies another configuration.
    pub fn poll_report(&mut self) -> Option<Action> {
        Some(match self.due.poll()? {
            Need::ReadClock => Action::ReadClock,
            Need::Report(stamp) => Action::Report(stamp),
        })
    }

    /// When to call [`Monitor::poll`] again if nothing happens before; [`Instant::NEVER`]: only after an event.
    pub fn next_deadline(&self) -> Instant {
        match self.stage {
            Stage::Running => {}
            Stage::LastReport | Stage::Finish | Stage::Finished => return Instant::NEVER,
        }
        // Without a timer no probe is in flight, and the next thing is the end of the run.
        let timer = if self.timers.next() == Instant::NEVER { self.end } else { self.timers.next() };
        timer.min(self.due.next()).min(self.skips.next())
    }

    /// How many targets stay with this configuration, and how many entries its targets need together with
    /// the removed ones that have something to report.
    pub fn plan(&mut self, config: &Config) -> (usize, usize) {
        self.table.free_retired();
        self.table.plan(&config.targets)
    }

    /// Applies another configuration at `now`. Targets that stay keep their counts and their grid. Removed
    /// targets stay in the table until the log has their counts. Returns `None` and changes nothing if
    /// those leave too little room.
    pub fn adopt(&mut self, config: &Config, now: Instant, wall: WallTime) -> Option<Changes> {
        let (kept, needed) = self.plan(config);
        if needed > self.table.capacity() {
            return None;
        }
        if self.settings.report != config.settings.report {
            self.due.change(config.settings.report, now, wall);
        }
        let spread_changed = self.settings.spread != config.settings.spread;
        (self.settings, self.helpers) = (config.settings, config.helpers());
        let removed = self.table.retire();
        let count = config.targets.len();
        let mut changed = 0;
        let mut fastest = Nanos::new(u64::MAX);
        for (i, target) in config.targets.iter().enumerate() {
            let interval = self.settings.interval_of(target);
            let offset = if self.settings.spread { interval.fraction(i as u64, count as u64) } else { Nanos::ZERO };
            let grid = Grid::new(now + offset, interval);
            let (index, differs) = self.table.install(i, target, grid, spread_changed);
            changed += usize::from(differs);
            if interval < fastest {
                (self.pacemaker, fastest) = (index, interval);
            }
        }
        self.table.free_retired();
        for index in self.table.indices() {
            self.arm(index);
        }
        for index in self.slots.indices() {
            // One that waits for a helper or for its next attempt has no deadline.
            if let Some(probe) = self.slots[index].probe.as_mut().filter(|_| self.timers.has(index)) {
                self.timers.set(index, probe.renew(now, &self.settings.thresholds));
            }
        }
        self.table.ledger().set_thresholds(self.settings.thresholds);
        self.due.note_clock(now, wall);
        self.keep_clock();
        Some(Changes { kept, changed, added: count - kept, removed })
    }

    /// Where the counts are kept.
    pub fn ledger(&self) -> &Ledger {
        self.table.ledger()
    }

    /// The same, for a caller that moves or grows it.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        self.table.ledger_mut()
    }

    /// Writes everything to the ledger again, after its memory has become zeroes.
    pub fn renew_ledger(&mut self) {
        let (_, wall) = self.due.clocks();
        self.table.renew_ledger(wall);
        self.table.ledger().set_thresholds(self.settings.thresholds);
        self.keep_clock();
    }

    /// Reads from the ledger again what is reported. The caller has just found out whether the log has the report of
    /// the last run.
    pub fn recall_reported(&mut self) {
        self.table.recall_reported();
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The target of an action.
    pub fn target(&self, target: TargetId) -> &Target {
        &self.table[target.0].target
    }

    /// The configured targets, in order.
    pub fn live(&self) -> impl Iterator<Item = &TargetEntry> + Clone {
        self.table.live()
    }

    /// The next report: service and unreported counts of each target in order, then of each removed
    /// target that has something to report.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Columns)> {
        let entries = self.table.live().chain(self.table.gone());
        entries.map(|entry| (entry.target.service.as_str(), entry.tally.unreported().columns()))
    }

    /// The number of probes that are not in the log yet.
    pub fn unreported(&self) -> u64 {
        self.table.unreported()
    }

    /// Whether reports wait for the clock to be set.
    pub fn is_held(&self) -> bool {
        self.due.is_held()
    }

    /// Whether the run has reached its last report.
    pub fn is_ending(&self) -> bool {
        self.stage != Stage::Running
    }

    /// Probes that have started and not ended.
    pub fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }

    /// Ticks of this run that were skipped, of all configured targets.
    pub fn skipped(&self) -> u64 {
        self.live().map(|entry| entry.skipped).sum()
    }

    /// Passes an answer to the probe that waits for it. An answer that comes late or twice is dropped.
    fn answer(&mut self, now: Instant, id: ProbeId, input: Input<'_>) {
        if self.slots.is_current(id) {
            self.advance(now, id.slot, input);
        }
    }

    /// Passes an input to a probe and does what it needs next. Returns whether a helper was busy with its lookup.
    fn advance(&mut self, now: Instant, index: u16, input: Input<'_>) -> bool {
        let Some(probe) = &mut self.slots[index].probe else { return false };
        let was_looking_up = probe.is_looking_up();
        let next = probe.handle(now, &self.settings.thresholds, input);
        if was_looking_up && !matches!(next, Next::Wait(_)) {
            self.looking_up -= 1;
        }
        self.follow(now, index, next);
        was_looking_up
    }

    /// Does what a probe needs next.
    fn follow(&mut self, now: Instant, index: u16, next: Next) {
        match next {
            Next::Wait(deadline) => return self.timers.set(index, deadline),
            Next::Connect => {
                let is_queued = self.to_connect.push(index);
                debug_assert!(is_queued, "a probe is in the queue once");
            }
            Next::Ask => {
                let entry = &mut self.table[self.slots[index].target];
                entry.waiting += 1;
                entry.last_to_wait = index;
                let is_queued = self.to_look_up.push(index);
                debug_assert!(is_queued, "a probe is in the queue once");
            }
            Next::End(end) => self.finish(now, index, &end),
        }
        self.slots[index].invalidate();
        self.timers.set(index, Instant::NEVER);
    }

    /// Counts a probe and frees its slot. Every probe ends here.
    fn finish(&mut self, now: Instant, index: u16, end: &End) {
        let slot = &self.slots[index];
        if let Some(probe) = slot.probe.as_ref().filter(|_| end.gave_up) {
            self.table[slot.target].given_up = probe.given_up();
        }
        let (target, started) = self.slots.release(index);
        if let Ending::Skipped(shortage) = end.ending {
            self.skip(target, 1, shortage);
        }
        self.table.end(target, started, self.due.unix(now), end);
    }

    /// Counts skipped ticks.
    fn skip(&mut self, target: u16, ticks: u64, shortage: Shortage) {
        self.table.skip(target, ticks);
        self.skips.add(ticks, shortage);
    }

    /// The next attempt or lookup that can start.
    fn next_in_queue(&mut self, now: Instant) -> Option<Action> {
        if let Some(index) = self.to_connect.pop() {
            let slot = &self.slots[index];
            let address = *slot.probe.as_ref()?.address()?;
            return Some(Action::Connect(self.slots.id(index), TargetId(slot.target), address));
        }
        if self.looking_up >= self.helpers {
            return None;
        }
        let index = self.to_look_up.pop()?;
        self.looking_up += 1;
        let (id, target) = (self.slots.id(index), self.slots[index].target);
        self.table[target].waiting -= 1;
        self.advance(now, index, Input::LookupStarted);
        Some(Action::Lookup(id, TargetId(target)))
    }

    /// A target's tick: starts a probe, or skips the tick for a shortage.
    fn tick(&mut self, now: Instant, index: u16) {
        let entry = &mut self.table[index];
        let missed = entry.grid.advance(now);
        entry.ticks = entry.ticks.saturating_add(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1));
        if missed > 0 {
            self.skip(index, missed, Shortage::Late);
        }
        let entry = &self.table[index];
        if entry.waiting > 0 {
            // The last tick still waits for a helper. It is skipped, and this one takes its slot and its position in the
            // queue.
            self.slots[entry.last_to_wait].started = now;
            self.skip(index, 1, Shortage::Helpers);
        } else if self.slots.is_full() {
            self.skip(index, 1, Shortage::Probes);
        } else {
            self.start(now, index);
        }
        self.round |= index == self.pacemaker;
        self.arm(index);
    }

    fn start(&mut self, now: Instant, index: u16) {
        let entry = &mut self.table[index];
        entry.in_flight += 1;
        let slot = self.slots.allocate(index, now);
        let probe = self.slots[slot].probe.insert(Probe::new());
        let next = probe.begin(entry.target.literal);
        self.follow(now, slot, next);
    }

    /// A probe's deadline has passed: ends the probe. The action releases its helper or socket.
    fn expire(&mut self, now: Instant, index: u16) -> Action {
        let id = self.slots.id(index);
        if self.advance(now, index, Input::Expired) { Action::DropLookup(id) } else { Action::DropConnect(id) }
    }

    /// Sets the timer of a target's next tick, if it has one.
    fn arm(&mut self, index: u16) {
        let entry = &self.table[index];
        let next = entry.grid.next();
        let done = self.span.rounds.is_some_and(|rounds| entry.ticks >= rounds) || next >= self.end || !entry.is_live();
        self.timers.set(TARGET_TIMERS + index, if done { Instant::NEVER } else { next });
    }

    /// Whether a run that ends by itself is over.
    fn is_complete(&self, now: Instant) -> bool {
        let over = self.span.rounds.is_some() || now >= self.end;
        // Without probes in flight all timers are of ticks.
        over && self.slots.in_flight() == 0 && self.timers.next() == Instant::NEVER
    }

    fn stop(&mut self) {
        if self.stage == Stage::Running {
            self.stage = Stage::LastReport;
            self.due.want_clock();
        }
    }

    fn read_clock(&mut self, now: Instant, wall: WallTime) {
        let is_last = self.stage == Stage::LastReport;
        if !self.due.read_clock(now, wall, is_last, self.table.ledger().is_present()) {
            self.stage = Stage::Finish;
        }
        self.keep_clock();
    }

    /// Stores the last reading of the wall clock and the boundary of the next report in the ledger.
    fn keep_clock(&self) {
        let (now, wall) = self.due.clocks();
        self.table.ledger().set_clocks(now, wall);
        self.keep_due();
    }

    fn keep_due(&self) {
        if let Some(boundary) = self.due.promised() {
            self.table.ledger().set_due(boundary);
        }
    }

    fn reported(&mut self, written: bool) {
        if !self.due.end_report() {
            return;
        }
        if written {
            self.table.mark_reported();
        }
        self.keep_due();
        if self.stage == Stage::LastReport {
            self.stage = Stage::Finish;
        }
    }
}
