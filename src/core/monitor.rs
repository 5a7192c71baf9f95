//! The whole decision: which probe starts when, what each one does next, what is counted, when a
//! report is due. Pure: time and events come in, actions and a deadline come out; no clock, no
//! descriptor, and no allocation after [`Monitor::new`].
//!
//! The core is driven by three calls. Feed what happened with [`Monitor::handle`]; call
//! [`Monitor::poll`] until it gives `None` and carry out each action at once; then wait until
//! [`Monitor::next_deadline`] or for something to happen. Events may also be fed between two
//! calls of `poll`. What the driver promises:
//!
//! - [`Action::Lookup`] and [`Action::Connect`] are answered exactly once unless the monitor
//!   drops them. With its final answer the driver has released the socket or the helper.
//! - [`Action::ReadClock`] is answered by [`Event::Clock`], [`Action::Report`] by
//!   [`Event::Reported`], both at once and with no other event between.
//!
//! What the monitor promises: after a drain the next deadline lies ahead; a drain ends; an early
//! or repeated call changes nothing; every probe that starts ends in exactly one outcome, or is
//! counted as skipped, or is in flight; an answer that comes late, twice or for another probe is
//! dropped.

mod event;
mod skips;
mod target_table;

pub use event::{Action, Changes, Event, Span};
use skips::Skips;
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

#[derive(Debug)]
struct Slot {
    generation: u32,
    target: u16,
    /// `None`: the slot is free.
    probe: Option<Probe>,
    /// When it started.
    started: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The run goes on.
    Running,
    /// The last report is to be made.
    LastReport,
    /// All is done but to say so.
    Finish,
    /// It has been said.
    Finished,
}

/// The decision-making core. See the module's page for how it is driven.
#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
    span: Span,
    /// When the run ends by itself; [`Instant::NEVER`] where it does not.
    end: Instant,
    table: TargetTable,
    /// The first target of those with the shortest interval: its tick is a round.
    pacemaker: u16,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// Probes that want to connect now.
    line: Ring,
    /// Probes that wait for a helper.
    waiting: Ring,
    /// Lookups that helpers hold.
    asked: u16,
    /// Probes that have started and not ended.
    in_flight: usize,
    timers: Timers,
    due: Due,
    round: bool,
    skips: Skips,
    stage: Stage,
}

/// Timers of targets have their ids behind those of the probes: a probe that ends at the very
/// moment of a tick makes room for it.
const TARGET_TIMERS: u16 = limits::PROBES as u16;

impl Monitor {
    /// A monitor of this configuration whose ticks start at `now`. It goes on with the counts of the
    /// ledger, which has room for these targets, and keeps its own there. A clock that reads less
    /// than `built`, in seconds since 1970, is wrong. All its memory is reserved here.
    #[expect(clippy::too_many_arguments, reason = "what a run begins with, and the two clocks")]
    pub fn new(config: &Config, span: Span, ledger: Ledger, built: i64, now: Instant, wall: WallTime) -> Self {
        let mut monitor = Self {
            settings: config.settings,
            span,
            end: span.duration.map_or(Instant::NEVER, |duration| now + duration),
            table: TargetTable::new(ledger),
            pacemaker: 0,
            slots: Vec::with_capacity(limits::PROBES),
            free: Vec::with_capacity(limits::PROBES),
            line: Ring::new(limits::PROBES),
            waiting: Ring::new(limits::PROBES),
            asked: 0,
            in_flight: 0,
            timers: Timers::new(limits::PROBES + limits::RECORDS),
            due: Due::new(config.settings.report, built, now, wall),
            round: false,
            skips: Skips::new(now),
            stage: Stage::Running,
        };
        monitor.adopt(config, now, wall);
        monitor
    }

    /// Takes in what happened at `now`.
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
            let next = self.next_in_line(now);
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
            // After everything else, so that what happened at once is said at once.
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

    /// What a report that is due needs next, and nothing else: a reload has it written before it goes over to
    /// another configuration.
    pub fn poll_report(&mut self) -> Option<Action> {
        Some(match self.due.poll()? {
            Need::ReadClock => Action::ReadClock,
            Need::Report(stamp) => Action::Report(stamp),
        })
    }

    /// When to call [`Monitor::poll`] again if nothing happens before.
    pub fn next_deadline(&self) -> Instant {
        match self.stage {
            Stage::Running => {}
            Stage::LastReport | Stage::Finish | Stage::Finished => return Instant::NEVER,
        }
        // Without timers no probe is in flight: only the end of the run is left to wait for.
        let timer = if self.timers.next() == Instant::NEVER { self.end } else { self.timers.next() };
        timer.min(self.due.next()).min(self.skips.next())
    }

    /// How many targets of this configuration stay, and how many places all need, with those that
    /// are gone and not reported.
    pub fn plan(&mut self, config: &Config) -> (usize, usize) {
        self.table.free_retired();
        self.table.plan(&config.targets)
    }

    /// Goes over to another configuration at `now`: targets that stay keep their counts and their
    /// grid, those that are gone are kept until their counts are in the log. `None` and no change
    /// where too many of those still wait for that.
    pub fn adopt(&mut self, config: &Config, now: Instant, wall: WallTime) -> Option<Changes> {
        let (kept, needed) = self.plan(config);
        if needed > self.table.room() {
            return None;
        }
        if self.settings.report != config.settings.report {
            self.due.change(config.settings.report, now, wall);
        }
        let spread_changed = self.settings.spread != config.settings.spread;
        self.settings = config.settings;
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
        self.table.ledger().set_thresholds(self.settings.thresholds);
        self.due.note_clock(now, wall);
        self.keep_clock();
        Some(Changes { kept, changed, added: count - kept, removed })
    }

    /// Where the counts are kept.
    pub fn ledger(&self) -> &Ledger {
        self.table.ledger()
    }

    /// The same, for who brings it to another place or makes it longer.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        self.table.ledger_mut()
    }

    /// The ledger's memory has become zeroes: keeps everything in it anew.
    pub fn renew_ledger(&mut self) {
        let (_, wall) = self.due.clocks();
        self.table.renew_ledger(wall);
        self.table.ledger().set_thresholds(self.settings.thresholds);
        self.keep_clock();
    }

    /// Learns from the ledger what the log has: the last run's report was found in it.
    pub fn recall_reported(&mut self) {
        self.table.recall_reported();
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The target that an action is about.
    pub fn target(&self, target: TargetId) -> &Target {
        &self.table[target.0].target
    }

    /// The configured targets, in order.
    pub fn live(&self) -> impl Iterator<Item = &TargetEntry> + Clone {
        self.table.live()
    }

    /// What the log does not have yet: a row for each target in order, then for each that is gone
    /// and has something left.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Columns)> {
        let entries = self.table.live().chain(self.table.gone());
        entries.map(|entry| (entry.target.service.as_str(), entry.tally.unreported().columns()))
    }

    /// How many probes the log does not have yet.
    pub fn unreported(&self) -> u64 {
        self.table.unreported()
    }

    /// Whether reports wait for the clock to be set.
    pub fn is_held(&self) -> bool {
        self.due.is_held()
    }

    /// Whether the run is at its last report.
    pub fn is_ending(&self) -> bool {
        self.stage != Stage::Running
    }

    /// Probes that have started and not ended.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Ticks that were skipped, over all targets that are watched.
    pub fn skipped(&self) -> u64 {
        self.live().map(|entry| entry.skipped).sum()
    }

    /// Hands an answer to the probe that asked for it; one that comes late or twice is dropped.
    fn answer(&mut self, now: Instant, id: ProbeId, input: Input<'_>) {
        if self.slots.get(usize::from(id.slot)).is_some_and(|slot| slot.id(id.slot) == id) {
            self.advance(now, id.slot, input);
        }
    }

    /// Carries a probe one step on. Returns whether a helper had its lookup.
    fn advance(&mut self, now: Instant, index: u16, input: Input<'_>) -> bool {
        let Some(probe) = &mut self.slots[usize::from(index)].probe else { return false };
        let was_looking_up = probe.is_looking_up();
        let next = probe.handle(now, input);
        if was_looking_up && !matches!(next, Next::Wait(_)) {
            self.asked -= 1;
        }
        self.follow(now, index, next);
        was_looking_up
    }

    /// Does what a probe needs next.
    fn follow(&mut self, now: Instant, index: u16, next: Next) {
        let slot = &mut self.slots[usize::from(index)];
        match next {
            Next::Wait(deadline) => return self.timers.set(index, deadline),
            Next::Connect => {
                let placed = self.line.push(index);
                debug_assert!(placed, "a probe stands in the line once");
            }
            Next::Ask => {
                self.table[slot.target].waiting += 1;
                let placed = self.waiting.push(index);
                debug_assert!(placed, "a probe waits once");
            }
            Next::End(end) => self.finish(now, index, &end),
        }
        // What was asked for until now is answered: its id is not valid any more.
        let slot = &mut self.slots[usize::from(index)];
        slot.generation = slot.generation.wrapping_add(1);
        self.timers.set(index, Instant::NEVER);
    }

    /// The one ending: counts and forgets a probe.
    fn finish(&mut self, now: Instant, index: u16, end: &End) {
        let slot = &mut self.slots[usize::from(index)];
        slot.probe = None;
        let (target, started) = (slot.target, slot.started);
        self.free.push(index);
        self.in_flight -= 1;
        if let Ending::Skipped(shortage) = end.ending {
            self.skip(target, 1, shortage);
        }
        self.table.end(target, started, self.due.unix(now), end);
    }

    /// Counts ticks that are no probes.
    fn skip(&mut self, target: u16, ticks: u64, shortage: Shortage) {
        self.table.skip(target, ticks);
        self.skips.add(ticks, shortage);
    }

    /// The next connect or lookup that can be made.
    fn next_in_line(&mut self, now: Instant) -> Option<Action> {
        if let Some(index) = self.line.pop() {
            let slot = &self.slots[usize::from(index)];
            let address = *slot.probe.as_ref()?.address()?;
            return Some(Action::Connect(slot.id(index), TargetId(slot.target), address));
        }
        if self.asked >= u16::from(self.settings.helpers) {
            return None;
        }
        let index = self.waiting.pop()?;
        self.asked += 1;
        let slot = &self.slots[usize::from(index)];
        let (id, target) = (slot.id(index), slot.target);
        self.table[target].waiting -= 1;
        self.advance(now, index, Input::LookupStarted);
        Some(Action::Lookup(id, TargetId(target)))
    }

    /// A target's tick: starts a probe, unless there is no room for one.
    fn tick(&mut self, now: Instant, index: u16) {
        let entry = &mut self.table[index];
        let missed = entry.grid.advance(now);
        entry.ticks = entry.ticks.saturating_add(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1));
        if missed > 0 {
            self.skip(index, missed, Shortage::Late);
        }
        let entry = &self.table[index];
        let bound = self.settings.in_flight(&entry.target) + 1;
        let shortage = if entry.waiting > 0 {
            Some(Shortage::Helpers)
        } else if u64::from(entry.in_flight) >= bound || (self.free.is_empty() && self.slots.len() == limits::PROBES) {
            Some(Shortage::Probes)
        } else {
            None
        };
        match shortage {
            Some(shortage) => self.skip(index, 1, shortage),
            None => self.start(now, index),
        }
        self.round |= index == self.pacemaker;
        self.arm(index);
    }

    fn start(&mut self, now: Instant, index: u16) {
        self.in_flight += 1;
        let entry = &mut self.table[index];
        entry.in_flight += 1;
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.slots.push(Slot { generation: 0, target: index, probe: None, started: now });
                self.slots.len() as u16 - 1
            }
        };
        let slot = &mut self.slots[usize::from(number)];
        (slot.target, slot.started) = (index, now);
        let next = slot.probe.insert(Probe::new(self.settings.thresholds)).begin(entry.target.literal);
        self.follow(now, number, next);
    }

    /// A probe's deadline has passed: it ends, and what it held is dropped.
    fn expire(&mut self, now: Instant, index: u16) -> Action {
        let id = self.slots[usize::from(index)].id(index);
        if self.advance(now, index, Input::Expired) { Action::DropLookup(id) } else { Action::DropConnect(id) }
    }

    /// Sets the timer of a target's next tick, if it has one.
    fn arm(&mut self, index: u16) {
        let entry = &self.table[index];
        let next = entry.grid.next();
        let done = self.span.rounds.is_some_and(|rounds| entry.ticks >= rounds) || next >= self.end || !entry.is_live();
        self.timers.set(TARGET_TIMERS + index, if done { Instant::NEVER } else { next });
    }

    /// Whether a run with an end of its own has reached it.
    fn is_complete(&self, now: Instant) -> bool {
        let over = self.span.rounds.is_some() || now >= self.end;
        // Without probes in flight only ticks can have timers.
        over && self.in_flight == 0 && self.timers.next() == Instant::NEVER
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

    /// Keeps the last reading of the wall clock in the ledger, and the boundary of the next report.
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

impl Slot {
    fn id(&self, slot: u16) -> ProbeId {
        ProbeId::new(slot, self.generation)
    }
}
