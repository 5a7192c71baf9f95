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
//! - It answers [`Action::ReadClock`] with [`Fact::Clock`], [`Action::Report`] with [`Fact::Reported`],
//!   [`Action::WriteEvents`] with [`Fact::EventsWritten`] and [`Action::DropConnect`] with [`Fact::Dropped`], each at
//!   once: it does not poll and has no other event before, except [`Fact::Found`]. [`Action::Ended`] needs no answer.
//! - It calls [`Monitor::begin_rows`] before it says in [`Fact::Reported`] that the rows of times are written or not
//!   wanted: these are the rows that are told then.
//!
//! The monitor promises: after a drain the next deadline is in the future; a drain ends; an early or
//! repeated call changes nothing; every probe that started has ended in exactly one outcome, or is
//! counted as skipped, or is in flight; an answer that comes late, twice or for another probe is
//! dropped. Every change of a state and every other event is in the ledger, in its order, until it is written, or is
//! counted as dropped if there is no room; none is written while the clock is not set. The rows of times add up to what was
//! counted, whatever could not be written before.

mod action;
mod attempts;
mod events;
mod probes;
mod run_times;
mod skips;
mod slots;
mod target_table;

pub use action::{Action, Changes, Ended, Fact, Span, TargetId};
pub use attempts::AttemptEnd;
use attempts::Attempts;
use events::{Ends, Events};
pub use run_times::PhaseTimes;
use run_times::RunTimes;
use skips::Skips;
use slots::Slots;
pub use target_table::TargetEntry;
use target_table::TargetTable;

use core::ptr;

use crate::base::limits;
use crate::base::ring::Ring;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::base::timers::Timers;
use crate::core::due::{Due, Need};
use crate::core::grid::Grid;
use crate::core::health::State;
use crate::core::ledger::{Ledger, Record};
use crate::core::probe::{Input, ProbeId};
use crate::core::verdict::{Details, Verdict};
use crate::model::event::Event;
use crate::model::outcome::Columns;
use crate::model::reason::Reason;
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
    /// The attempt whose socket is being closed, and when its time was over.
    dropping: Option<(ProbeId, Instant)>,
    /// How attempts have ended, if somebody wants to know.
    attempts: Attempts,
    /// The times of the run, if somebody wants to know.
    run_times: RunTimes,
    timers: Timers,
    due: Due,
    /// A round has begun, and [`Action::Round`] was not returned yet.
    round: bool,
    skips: Skips,
    events: Events,
    ends: Ends,
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
        let events = Events::new(&config.settings, ledger.end_of_events());
        let mut monitor = Self {
            settings: config.settings,
            helpers: config.helpers(),
            span,
            end: span.duration.map_or(Instant::NEVER, |duration| now + duration),
            table: TargetTable::new(ledger, config.settings.times),
            pacemaker: 0,
            slots: Slots::new(),
            to_connect: Ring::new(limits::PROBES),
            to_look_up: Ring::new(limits::PROBES),
            looking_up: 0,
            dropping: None,
            attempts: Attempts::default(),
            run_times: RunTimes::default(),
            timers: Timers::new(limits::PROBES + limits::RECORDS),
            due: Due::new(config.settings.report, built, now, wall),
            round: false,
            skips: Skips::new(now),
            events,
            ends: Ends::new(&config.settings),
            stage: Stage::Running,
        };
        monitor.table.read_states(&monitor.due);
        monitor.adopt(config, now, wall);
        monitor
    }

    /// Handles what happened at `now`.
    pub fn handle(&mut self, now: Instant, fact: Fact<'_>) {
        match fact {
            Fact::Probe(id, input) => {
                if let (Input::Answered(_, addresses), true) = (input, self.slots.is_current(id)) {
                    self.note_answer(now, self.slots[id.slot].target, addresses);
                }
                self.answer(now, id, input);
            }
            Fact::AttemptEnded(id, attempt) => {
                let (at, verdict) = attempt.judge();
                let slow = self.settings.thresholds.slow;
                if !attempt.is_plain(at, slow) || self.attempts.are_kept() {
                    self.note_end(at, id, verdict, attempt.details(at, slow));
                }
                self.answer(at, id, verdict.into());
            }
            Fact::Dropped(id, resent) => {
                let Some((_, at)) = self.dropping.take_if(|(dropping, _)| *dropping == id) else { return };
                let details = Details { resent, round_trip: None, slow: None };
                self.note_end(at, id, Verdict::ConnectFailed(Reason::TimedOut), details);
                self.answer(at, id, Input::Expired);
            }
            Fact::Clock(wall) => self.read_clock(now, wall),
            Fact::Reported { written, timed } => self.reported(now, written, timed),
            Fact::EventsWritten { written } => self.events_written(now, written),
            Fact::Found(event) => self.find(now, *event),
            Fact::ReportNow => self.due.demand(),
            Fact::Stop => self.stop(),
        }
    }

    /// The next thing to do, or `None` when there is nothing more to do at `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        loop {
            match self.stage {
                Stage::Running | Stage::LastReport => {}
                Stage::Finish => {
                    let last = self.pop_end().or_else(|| self.write_events(now));
                    if last.is_some() {
                        return last;
                    }
                    self.table.ledger().end_run();
                    self.stage = Stage::Finished;
                    return Some(Action::Finish);
                }
                Stage::Finished => return None,
            }
            let next = self.poll_report().or_else(|| self.pop_end());
            if next.is_some() || self.stage == Stage::LastReport {
                return next;
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
            self.tell_flapping(now);
            let events = self.write_events(now);
            if events.is_some() {
                return events;
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
        timer.min(self.due.next()).min(self.skips.next()).min(self.events.next(self.due.is_held()))
    }

    fn pop_end(&mut self) -> Option<Action> {
        self.ends.pop().map(Action::Ended)
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
        self.table.is_timed = self.settings.times;
        self.change_events();
        self.ends.change(&self.settings);
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
            if self.table[index].ticks == 0 {
                self.run_times.clear(index);
            }
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
        self.table.ledger().set_helpers(self.helpers);
        let expected = self.expect_clock(now);
        self.due.note_clock(now, wall);
        self.follow_clock(now, expected);
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
        self.table.renew_ledger(&self.due);
        // The events that waited are gone, and their numbers begin anew.
        self.set_first_event(self.ledger().first_event());
        self.table.ledger().set_thresholds(self.settings.thresholds);
        self.table.ledger().set_helpers(self.helpers);
        self.keep_clock();
    }

    /// Reads from the ledger again what is reported. The caller has just found out whether the log has the report of
    /// the last run.
    pub fn recall_reported(&mut self) {
        self.table.recall_reported();
    }

    /// Keeps from now on how attempts end, for so many probes.
    pub fn keep_attempts(&mut self, probes: usize) {
        self.attempts.reserve(probes);
    }

    /// How the attempts of this target have ended, in their order, if they are kept.
    pub fn attempts<'a>(&'a self, entry: &'a TargetEntry) -> impl Iterator<Item = &'a AttemptEnd> {
        self.attempts.iter().filter(|(target, _)| ptr::eq(&self.table[*target], entry)).map(|(_, end)| end)
    }

    /// Keeps the times of the run from now on.
    pub fn keep_times(&mut self) {
        self.run_times.reserve();
    }

    /// The times of the run of each configured target's lookups and connects, if they are kept.
    pub fn times(&self) -> impl Iterator<Item = (&Target, &[PhaseTimes; 2])> {
        self.table.order().filter_map(|index| Some((&self.table[index].target, self.run_times.of(index)?)))
    }

    /// Adds changes of a target's state to the events from now on, also if the settings want no events: somebody looks on.
    pub fn watch_states(&mut self) {
        self.events.are_watched = true;
        self.change_events();
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

    /// Moves what was counted into the next rows of times; without this call they have nothing.
    pub fn begin_rows(&self) {
        self.table.begin_rows();
    }

    /// The records of the next rows of times, in the order of [`Monitor::rows`].
    pub fn timed(&self) -> impl Iterator<Item = Record<'_>> {
        self.table.timed()
    }

    /// The wall clock at the tick of a sample.
    pub fn wall_at(&self, tick: Instant) -> WallTime {
        self.due.wall_at(tick.millis())
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
        let expected = self.expect_clock(now);
        let goes_on = self.due.read_clock(now, wall, is_last, self.table.ledger().is_present());
        self.follow_clock(now, expected);
        // A last report of zeroes would say nothing that the one before has not said.
        if !goes_on || (is_last && !self.table.has_news()) {
            self.finish_run(now);
        }
    }

    /// Before the wall clock is read: whether it was not set, and what it reads unless it is set now.
    fn expect_clock(&self, now: Instant) -> (bool, i64) {
        (self.due.is_held(), self.due.wall_at(now.millis()).unix)
    }

    /// After it was read: puts right what depends on it, and stores it.
    fn follow_clock(&mut self, now: Instant, (was_held, before): (bool, i64)) {
        let by = self.due.wall_at(now.millis()).unix - before;
        // A second more or less may be the rounding.
        if was_held && by.unsigned_abs() > 1 {
            self.correct_moments(now, before, by);
        }
        if by.unsigned_abs() > limits::CLOCK_STEP.secs() {
            self.table.write_states(&self.due);
        }
        self.keep_clock();
    }

    /// Everything is reported: the run can end.
    fn finish_run(&mut self, now: Instant) {
        self.stage = Stage::Finish;
        self.tell_flapping(now);
        let down = self.live().filter(|entry| entry.state() == State::Down).count() as u32;
        self.find(now, Event::Stop { targets: self.live().count() as u32, down });
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

    fn reported(&mut self, now: Instant, written: bool, timed: bool) {
        if !self.due.end_report() {
            return;
        }
        if written {
            self.table.mark_reported();
        }
        if timed {
            self.table.end_rows();
        }
        self.keep_due();
        if self.stage == Stage::LastReport {
            self.finish_run(now);
        }
    }
}
