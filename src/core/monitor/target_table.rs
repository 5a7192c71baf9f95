//! The table of targets: the configured ones, each with its counts and its grid of ticks, and those that
//! a reload has removed and that wait for their last report (retired).

use core::ops::{Index, IndexMut};

use super::action::{Ended, TargetId};

use crate::base::limits;
use crate::base::time::{Instant, Nanos};
use crate::core::due::Due;
use crate::core::grid::Grid;
use crate::core::health::{Change, Health, State};
use crate::core::ledger::{Ledger, Record, Usage};
use crate::core::probe::End;
use crate::model::message::Addresses;
use crate::model::outcome::{Counts, Tally};
use crate::model::reason::Ending;
use crate::model::settings::Hysteresis;
use crate::model::target::{Address, Target};

/// The changes of a target's state within a minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flapping {
    /// When the first of them was found.
    pub since: Instant,
    /// How many there were.
    pub changes: u32,
}

/// The entry of a target: everything that the run knows of it.
#[derive(Clone, Copy, Debug)]
pub struct TargetEntry {
    /// The target itself.
    pub target: Target,
    /// What was counted, by earlier runs too. The run counts here and stores each total in the ledger: the ledger may
    /// be absent, or a truncated file may become zeroes. See [`crate::core::ledger`].
    pub tally: Tally,
    /// What earlier runs had counted.
    before: Counts,
    /// The tick of the latest probe that counted for the state.
    judged: Instant,
    /// Its state; the moments are in milliseconds of `CLOCK_MONOTONIC`.
    health: Health,
    pub(super) flapping: Flapping,
    /// The addresses of the last answer that the events tell of.
    answer: Addresses,
    /// Before this, other addresses are no event.
    answer_again: Instant,
    /// Ticks of this run that were skipped.
    pub skipped: u64,
    /// How the last probe ended, and how long its phases took.
    pub last: Option<End>,
    pub(super) grid: Grid,
    /// Ticks of this run, with the skipped ones.
    pub(super) ticks: u32,
    pub(super) in_flight: u16,
    /// Lookups of this target that wait for a helper.
    pub(super) waiting: u16,
    /// The slot of the one that began to wait last, while one waits.
    pub(super) last_to_wait: u16,
    /// A reload plans to continue with this entry.
    planned: bool,
    usage: Usage,
    /// The target's position in the configuration, from 1, while it is live.
    order: u32,
}

impl TargetEntry {
    #[inline(never)] // Called from two paths.
    fn new(target: &Target, grid: Grid) -> Self {
        Self {
            target: *target,
            tally: Tally::default(),
            before: Counts::default(),
            judged: Instant::from_nanos(0),
            health: Health::NEW,
            flapping: Flapping { since: Instant::from_nanos(0), changes: 0 },
            answer: Addresses::new(),
            answer_again: Instant::from_nanos(0),
            skipped: 0,
            last: None,
            grid,
            ticks: 0,
            in_flight: 0,
            waiting: 0,
            last_to_wait: 0,
            planned: false,
            usage: Usage::Free,
            order: 0,
        }
    }

    /// What this run has counted.
    pub fn counted(&self) -> Counts {
        self.tally.counted().since(&self.before)
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.health.state
    }

    pub(super) fn is_live(&self) -> bool {
        self.usage == Usage::Live
    }

    /// Whether it is the entry of `target`.
    fn is_of(&self, target: &Target) -> bool {
        self.usage != Usage::Free && self.target.is_same_as(target)
    }

    /// Whether `target`, which is the same target, also has the same options.
    fn has_options_of(&self, target: &Target) -> bool {
        let Target { family, source, device, interval, down_after, up_after, .. } = &self.target;
        *family == target.family
            && *source == target.source
            && *device == target.device
            && *interval == target.interval
            && *down_after == target.down_after
            && *up_after == target.up_after
    }
}

/// The table of all targets.
#[derive(Debug)]
pub(super) struct TargetTable {
    /// The number of an entry's record in the ledger is the entry's index.
    entries: Vec<TargetEntry>,
    ledger: Ledger,
    /// The live entries in configuration order.
    order: Vec<u16>,
    /// For a reload: for each configured target, the entry that continues, if any.
    plan: Vec<Option<u16>>,
    /// Whether rows of times are wanted: then a removed target gets a last one.
    pub(super) is_timed: bool,
}

impl TargetTable {
    /// The table of the targets in the ledger, with memory for the most entries there may ever be. No
    /// target is configured yet. `is_timed`: see the field.
    pub(super) fn new(ledger: Ledger, is_timed: bool) -> Self {
        let mut entries: Vec<TargetEntry> = Vec::with_capacity(limits::RECORDS);
        // No target ticks before it is installed.
        let grid = Grid::new(Instant::NEVER, Nanos::ZERO);
        for (number, record) in ledger.records() {
            let Some(target) = record.target() else { continue };
            // Free records before this one need an entry, too; its target does not matter.
            while entries.len() <= number {
                entries.push(TargetEntry::new(&target, grid));
            }
            let entry = &mut entries[number];
            entry.tally = record.tally();
            entry.before = *entry.tally.counted();
            (entry.answer, _) = record.answers();
            entry.usage = record.usage();
            entry.order = record.order();
        }
        let (order, plan) = (Vec::with_capacity(limits::TARGETS), Vec::with_capacity(limits::TARGETS));
        Self { entries, ledger, order, plan, is_timed }
    }

    /// Where the counts are kept.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// How many entries the table can have.
    pub(super) fn capacity(&self) -> usize {
        if self.ledger.is_present() { self.ledger.capacity().min(limits::RECORDS) } else { limits::RECORDS }
    }

    /// Reads the states from the ledger.
    pub(super) fn read_states(&mut self, clock: &Due) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            entry.health = self.ledger.record(index).health().convert(&|unix| clock.moment_of(unix));
        }
    }

    /// Writes the states to the ledger again, after the clock was set.
    pub(super) fn write_states(&self, clock: &Due) {
        for (index, entry) in self.entries.iter().enumerate() {
            self.ledger.record(index).set_health(&entry.health.convert(&|millis| clock.wall_at(millis).unix));
        }
    }

    /// The clock was not set and is set by so many seconds. Only moments from `from` to `to`, in milliseconds, were found
    /// by it; the others are of an earlier run, whose clock was right.
    pub(super) fn correct_states(&mut self, from: i64, to: i64, by: i64) {
        let correct = |moment: i64| if (from..=to).contains(&moment) { moment } else { moment - by * 1000 };
        for entry in &mut self.entries {
            entry.health = entry.health.convert(&correct);
        }
    }

    /// Counts a probe that has ended at `now`. Returns whether the state of its target has changed.
    pub(super) fn end(&mut self, ended: &Ended, now: Instant, hysteresis: Hysteresis, clock: &Due) -> Option<Change> {
        let Ended { target: TargetId(index), tick, end, .. } = ended;
        let entry = &mut self.entries[usize::from(*index)];
        let record = self.ledger.record(usize::from(*index));
        entry.in_flight -= 1;
        entry.last = Some(*end);
        if let Some(outcome) = end.outcome {
            entry.tally.count(outcome);
            record.count(outcome, entry.tally.counted().of(outcome));
        }
        record.end(clock.unix(now), end);
        let is_good = match end.ending {
            Ending::Connected(_) => true,
            Ending::LookupFailed(_) | Ending::ConnectFailed(..) => false,
            Ending::Skipped(_) => return None,
        };
        // A probe that started earlier and hung does not tell the present state.
        if *tick < entry.judged {
            return None;
        }
        entry.judged = *tick;
        let before = entry.health;
        let change = entry.health.judge(is_good, tick.millis(), hysteresis);
        if entry.health != before {
            record.set_health(&entry.health.convert(&|millis| clock.wall_at(millis).unix));
        }
        change
    }

    /// Notes the addresses of an answer that has come at `now`. Returns whether this is worth an event: it has none of the
    /// addresses that the last one had, and there was no such event within the last hour.
    pub(super) fn note_answer(&mut self, index: u16, now: Instant, addresses: &[Address]) -> bool {
        let entry = &mut self.entries[usize::from(index)];
        let before = entry.answer;
        let known = addresses.iter().filter(|address| before.as_slice().contains(address)).count();
        if known == addresses.len() && known == before.as_slice().len() {
            return false;
        }
        let is_other = known == 0 && !before.as_slice().is_empty();
        if is_other && now < entry.answer_again {
            return false;
        }
        let record = self.ledger.record(usize::from(index));
        let mut is_event = false;
        if is_other {
            entry.answer_again = now + limits::ADDRESS_AGAIN;
            // One event of this kind waits at most: it then tells of both changes.
            is_event = !self.ledger.has_address_event_of(index.into());
            if is_event {
                record.set_answer_before(before.as_slice());
            }
        }
        entry.answer = Addresses::new();
        addresses.iter().for_each(|address| _ = entry.answer.push(*address));
        record.set_answer(entry.answer.as_slice());
        is_event
    }

    /// Counts skipped ticks.
    pub(super) fn skip(&mut self, index: u16, ticks: u64) {
        self[index].skipped += ticks;
        self.ledger.record(usize::from(index)).skip(ticks);
    }

    /// The index of every entry, free ones included.
    pub(super) fn indices(&self) -> core::ops::Range<u16> {
        0..self.entries.len() as u16
    }

    /// The indices of the configured targets, in order.
    pub(super) fn order(&self) -> impl Iterator<Item = u16> + Clone {
        self.order.iter().copied()
    }

    /// The configured targets, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = &TargetEntry> + Clone {
        self.order().map(|index| &self[index])
    }

    /// The removed targets that have something to report.
    pub(super) fn gone(&self) -> impl Iterator<Item = &TargetEntry> {
        self.entries.iter().filter(|entry| entry.usage == Usage::Retired && !entry.tally.is_reported())
    }

    /// The number of probes that are not in the log yet.
    pub(super) fn unreported(&self) -> u64 {
        let known = self.entries.iter().filter(|entry| entry.usage != Usage::Free);
        known.map(|entry| entry.tally.unreported().total()).sum()
    }

    /// The first part of a reload: decides which entry continues for which target. If a target is configured
    /// more than once, entries and targets are matched in configuration order, with retired entries last.
    /// Returns how many configured targets stay, and how many entries are needed.
    pub(super) fn plan(&mut self, targets: &[Target]) -> (usize, usize) {
        self.plan.clear();
        let (mut kept, mut needed) = (0, 0);
        for entry in &mut self.entries {
            entry.planned = false;
            needed += usize::from(entry.usage != Usage::Free);
        }
        for target in targets {
            let (mut known, mut first) = (None, None);
            for (index, entry) in self.entries.iter().enumerate() {
                let order = if entry.is_live() { entry.order } else { u32::MAX };
                if first.is_none_or(|first| order < first) && !entry.planned && entry.is_of(target) {
                    (known, first) = (Some(index as u16), Some(order));
                }
            }
            match known {
                Some(index) => {
                    let entry = &mut self[index];
                    entry.planned = true;
                    kept += usize::from(entry.is_live());
                }
                None => needed += 1,
            }
            self.plan.push(known);
        }
        (kept, needed)
    }

    /// The second part: retires the entries that are not in the plan. Returns how many.
    pub(super) fn retire(&mut self) -> usize {
        self.order.clear();
        let mut retired = 0;
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.is_live() && !entry.planned {
                entry.usage = Usage::Retired;
                self.ledger.record(index).set_usage(Usage::Retired);
                retired += 1;
            }
        }
        retired
    }

    /// The third part, for each target in order: continues with the planned entry, or inserts a new one. An
    /// entry keeps its grid unless its interval changes or `new_grid` is set. Returns its index, and whether
    /// a target that stays has other options.
    pub(super) fn install(&mut self, i: usize, target: &Target, grid: Grid, new_grid: bool) -> (u16, bool) {
        let index = match self.plan[i] {
            Some(index) => index,
            None => self.insert(target, grid),
        };
        self.order.push(index);
        let order = self.order.len();
        let record = self.ledger.record(usize::from(index));
        record.set_usage(Usage::Live);
        record.set_order(order);
        let entry = &mut self[index];
        let changed = entry.is_live() && !entry.has_options_of(target);
        if new_grid || !entry.is_live() || entry.grid.interval() != grid.interval() {
            entry.grid = grid;
        }
        entry.target = *target;
        entry.usage = Usage::Live;
        entry.order = order as u32;
        (index, changed)
    }

    /// Writes everything to a ledger whose memory has become zeroes.
    pub(super) fn renew_ledger(&mut self, clock: &Due) {
        let (_, wall) = clock.clocks();
        self.ledger.renew(wall);
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            let record = self.ledger.record(index);
            record.reinstall(&entry.target, &entry.tally);
            record.set_usage(entry.usage);
            record.set_order(entry.order as usize);
            record.set_health(&entry.health.convert(&|millis| clock.wall_at(millis).unix));
            record.set_answer(entry.answer.as_slice());
        }
    }

    /// Reads from the ledger again what is reported.
    pub(super) fn recall_reported(&mut self) {
        for (index, entry) in self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            entry.tally = self.ledger.record(index).tally();
        }
    }

    /// Marks everything as reported: the log has it.
    pub(super) fn mark_reported(&mut self) {
        for (index, entry) in self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            entry.tally.mark_reported();
            self.ledger.record(index).mark_reported(&entry.tally);
        }
        self.ledger.end_report();
        self.free_retired();
    }

    /// Frees the retired entries that have nothing to report, no event that waits or will be found, and no probe in flight.
    pub(super) fn free_retired(&mut self) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.usage == Usage::Retired && entry.in_flight == 0 && entry.tally.is_reported() {
                let record = self.ledger.record(index);
                let is_told = !self.is_timed || !record.has_row();
                let is_flapping = entry.flapping.changes > limits::FLAPPING.0;
                if is_told && !is_flapping && !self.ledger.has_event_of(index) {
                    entry.usage = Usage::Free;
                    record.set_usage(Usage::Free);
                }
            }
        }
    }

    /// The records of the configured targets in their order, then of the removed ones.
    pub(super) fn timed(&self) -> impl Iterator<Item = Record<'_>> {
        let gone = self.indices().filter(|index| self[*index].usage == Usage::Retired);
        self.order().chain(gone).map(|index| self.ledger.record(index.into()))
    }

    /// Whether a report would have something that no report has told.
    pub(super) fn has_news(&self) -> bool {
        self.unreported() > 0 || (self.is_timed && self.timed().any(Record::has_row))
    }

    /// Moves what was counted until now into the rows of times that are about to be written.
    pub(super) fn begin_rows(&self) {
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            let record = self.ledger.record(index);
            record.begin_row();
            record.keep_figures(&entry.tally.unreported().columns());
        }
    }

    /// Notes that the rows of times are in their file, or that none are wanted.
    pub(super) fn end_rows(&mut self) {
        for (index, _) in self.entries.iter().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            self.ledger.record(index).end_row();
        }
        self.free_retired();
    }

    /// Inserts a new entry. The caller has checked [`TargetTable::capacity`].
    fn insert(&mut self, target: &Target, grid: Grid) -> u16 {
        let entry = TargetEntry::new(target, grid);
        let free = self.entries.iter().position(|entry| entry.usage == Usage::Free);
        let index = free.unwrap_or(self.entries.len());
        self.ledger.record(index).install(target);
        match self.entries.get_mut(index) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        index as u16
    }
}

impl Index<u16> for TargetTable {
    type Output = TargetEntry;

    // Not inlined, like `index_mut`: called from many paths, and the size of an entry is no power of two.
    #[inline(never)]
    fn index(&self, index: u16) -> &TargetEntry {
        &self.entries[usize::from(index)]
    }
}

impl IndexMut<u16> for TargetTable {
    #[inline(never)]
    fn index_mut(&mut self, index: u16) -> &mut TargetEntry {
        &mut self.entries[usize::from(index)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::WallTime;
    use crate::core::ledger::Memory;

    #[test]
    fn a_target_keeps_its_entry_whatever_order_its_record_has() {
        let targets = [(1, u32::MAX), (2, u32::MAX - 1), (3, 0)].map(|(port, order)| {
            let target = Target::new("web", "192.0.2.1", port).expect("a target");
            (target, order)
        });
        let began = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };
        let ledger = Ledger::create(Memory::own(3), 3, began);
        for (number, (target, order)) in targets.iter().enumerate() {
            ledger.record(number).install(target);
            ledger.record(number).set_order(*order as usize);
        }
        let mut table = TargetTable::new(ledger, false);
        let configured = targets.map(|(target, _)| target);
        assert_eq!(table.plan(&configured), (3, 3));
        assert_eq!(table.plan, [Some(0), Some(1), Some(2)]);
    }
}
