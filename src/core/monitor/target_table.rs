//! The targets that are watched, each with its counters and its grid of ticks, and those that a
//! reload has retired and that wait for their last report.

use core::ops::{Index, IndexMut};

use crate::base::limits;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::core::grid::Grid;
use crate::core::ledger::{Ledger, State, Usage};
use crate::core::probe::End;
use crate::model::outcome::{Counts, Tally};
use crate::model::reason::Ending;
use crate::model::target::Target;

/// A target's place in the table, below [`limits::RECORDS`]. It stays the same as long as a
/// probe of the target is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetId(pub(super) u16);

/// A target and all that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct TargetEntry {
    /// What is watched.
    pub target: Target,
    /// What was counted, by earlier runs too.
    pub tally: Tally,
    /// What earlier runs had counted.
    before: Counts,
    /// When the latest probe started of those that have ended, and whether it connected.
    judged: Instant,
    state: State,
    /// Ticks of this run that were no probe, for reasons of our own.
    pub skipped: u64,
    /// How the last tick ended, and how long its phases took.
    pub last: Option<End>,
    pub(super) grid: Grid,
    pub(super) ticks: u32,
    pub(super) in_flight: u16,
    /// Lookups of this target that wait for a helper.
    pub(super) waiting: u16,
    /// The plan of a reload lets it go on.
    planned: bool,
    usage: Usage,
    /// Its place in the configuration, from 1, while it is live.
    order: u32,
}

impl TargetEntry {
    fn new(target: &Target, grid: Grid) -> Self {
        Self {
            target: *target,
            tally: Tally::default(),
            before: Counts::default(),
            judged: Instant::from_nanos(0),
            state: State::Unknown,
            skipped: 0,
            last: None,
            grid,
            ticks: 0,
            in_flight: 0,
            waiting: 0,
            planned: false,
            usage: Usage::Free,
            order: 0,
        }
    }

    /// What this run has counted.
    pub fn counted(&self) -> Counts {
        self.tally.counted().since(&self.before)
    }

    pub(super) fn is_live(&self) -> bool {
        self.usage == Usage::Live
    }

    /// Whether its counts are this target's.
    fn is_of(&self, target: &Target) -> bool {
        self.usage != Usage::Free && self.target.is_same_as(target)
    }

    /// Whether the target, which is this one, has the same options of its own.
    fn has_options_of(&self, target: &Target) -> bool {
        let Target { service: _, host: _, scope: _, port: _, literal: _, family, source, device, interval } =
            &self.target;
        *family == target.family && *source == target.source && *device == target.device && *interval == target.interval
    }
}

/// The table of all targets.
#[derive(Debug)]
pub(super) struct TargetTable {
    /// Each has its record at the same place of the ledger.
    entries: Vec<TargetEntry>,
    ledger: Ledger,
    /// The live entries in configuration order.
    order: Vec<u16>,
    /// For a reload: the entry that goes on with each target.
    plan: Vec<Option<u16>>,
}

impl TargetTable {
    /// The table of what the ledger knows, with memory for as many as there may ever be. No target
    /// is configured yet.
    pub(super) fn new(ledger: Ledger) -> Self {
        let mut entries: Vec<TargetEntry> = Vec::with_capacity(limits::RECORDS);
        // No tick comes before a target is installed.
        let grid = Grid::new(Instant::NEVER, Nanos::ZERO);
        for (place, record) in ledger.records() {
            let Some(target) = record.target() else { continue };
            // Places between that are free need a entry, too; whose does not matter.
            while entries.len() <= place {
                entries.push(TargetEntry::new(&target, grid));
            }
            let entry = &mut entries[place];
            entry.tally = record.tally();
            entry.before = *entry.tally.counted();
            (entry.state, _) = record.state();
            entry.usage = record.usage();
            entry.order = record.order();
        }
        let (order, plan) = (Vec::with_capacity(limits::TARGETS), Vec::with_capacity(limits::TARGETS));
        Self { entries, ledger, order, plan }
    }

    /// Where the counts are kept.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// How many entries there are.
    pub(super) fn room(&self) -> usize {
        if self.ledger.is_present() { self.ledger.capacity().min(limits::RECORDS) } else { limits::RECORDS }
    }

    /// A probe that started at `started` has ended, in this second since 1970.
    pub(super) fn end(&mut self, index: u16, started: Instant, unix: u32, end: &End) {
        let entry = &mut self.entries[usize::from(index)];
        let record = self.ledger.record(usize::from(index));
        entry.in_flight -= 1;
        entry.last = Some(*end);
        if let Some(outcome) = end.outcome {
            entry.tally.count(outcome);
            record.count(outcome, entry.tally.counted().of(outcome));
        }
        record.end(unix, end);
        let state = match end.ending {
            Ending::Connected(_) => State::Up,
            Ending::LookupFailed(_) | Ending::ConnectFailed(_) => State::Down,
            Ending::Skipped(_) => return,
        };
        // One that started earlier and hung tells of a time that is past.
        if started >= entry.judged {
            entry.judged = started;
            if entry.state != state {
                entry.state = state;
                record.set_state(state, unix);
            }
        }
    }

    /// So many ticks are no probes.
    pub(super) fn skip(&mut self, index: u16, ticks: u64) {
        self[index].skipped += ticks;
        self.ledger.record(usize::from(index)).skip(ticks);
    }

    /// Every place that is or was in use.
    pub(super) fn indices(&self) -> core::ops::Range<u16> {
        0..self.entries.len() as u16
    }

    /// The configured targets, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = &TargetEntry> + Clone {
        self.order.iter().map(|index| &self[*index])
    }

    /// Those that are gone and have something left to report.
    pub(super) fn gone(&self) -> impl Iterator<Item = &TargetEntry> {
        self.entries.iter().filter(|entry| entry.usage == Usage::Retired && !entry.tally.is_reported())
    }

    /// How many probes the log does not have yet.
    pub(super) fn unreported(&self) -> u64 {
        let known = self.entries.iter().filter(|entry| entry.usage != Usage::Free);
        known.map(|entry| entry.tally.unreported().total()).sum()
    }

    /// First step of a reload: works out which entry goes on with which target. Of the same ones the
    /// first goes on with the first that was configured, and those that were gone come last. Gives how
    /// many configured targets stay, and how many entries are needed.
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

    /// Second step: retires the entries that are not in the plan. Gives how many.
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

    /// Third step, for each target in order: lets the planned entry go on, or puts a new one where
    /// there is room. A entry keeps its grid unless the interval is another or `anew` is asked for.
    /// Gives its place, and whether it goes on with other options.
    pub(super) fn install(&mut self, i: usize, target: &Target, grid: Grid, anew: bool) -> (u16, bool) {
        let index = match self.plan[i] {
            Some(index) => index,
            None => self.place(target, grid),
        };
        self.order.push(index);
        let order = self.order.len();
        let record = self.ledger.record(usize::from(index));
        record.set_usage(Usage::Live);
        record.set_order(order);
        let entry = &mut self[index];
        let changed = entry.is_live() && !entry.has_options_of(target);
        if anew || !entry.is_live() || entry.grid.interval() != grid.interval() {
            entry.grid = grid;
        }
        entry.target = *target;
        entry.usage = Usage::Live;
        entry.order = order as u32;
        (index, changed)
    }

    /// Keeps everything anew in a ledger that has become zeroes.
    pub(super) fn renew_ledger(&mut self, began: WallTime) {
        self.ledger.renew(began);
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            let record = self.ledger.record(index);
            record.reinstall(&entry.target, &entry.tally);
            record.set_usage(entry.usage);
            record.set_order(entry.order as usize);
            record.set_state(entry.state, began.unix_u32());
        }
    }

    /// What the log has is what the ledger says.
    pub(super) fn recall_reported(&mut self) {
        for (index, entry) in self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            entry.tally = self.ledger.record(index).tally();
        }
    }

    /// The log has everything now.
    pub(super) fn mark_reported(&mut self) {
        for (index, entry) in self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.usage != Usage::Free) {
            entry.tally.mark_reported();
            self.ledger.record(index).mark_reported(&entry.tally);
        }
        self.ledger.end_report();
        self.free_retired();
    }

    /// Frees the entries of those that are gone and have nothing left.
    pub(super) fn free_retired(&mut self) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.usage == Usage::Retired && entry.in_flight == 0 && entry.tally.is_reported() {
                entry.usage = Usage::Free;
                self.ledger.record(index).set_usage(Usage::Free);
            }
        }
    }

    /// Makes a entry where there is room; [`TargetTable::room`] was asked before.
    fn place(&mut self, target: &Target, grid: Grid) -> u16 {
        let entry = TargetEntry::new(target, grid);
        let free = self.entries.iter().position(|entry| entry.usage == Usage::Free);
        let index = free.unwrap_or(self.entries.len());
        self.ledger.record(index).install(target);
        match self.entries.get_mut(index) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        index as u16
    }
}

impl Index<u16> for TargetTable {
    type Output = TargetEntry;

    // Apart, as is the other: this is done everywhere, and a entry is no power of two of bytes.
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
    use crate::core::ledger::Memory;

    #[test]
    fn a_target_keeps_its_place_whatever_order_its_record_has() {
        let targets = [(1, u32::MAX), (2, u32::MAX - 1), (3, 0)].map(|(port, order)| {
            let target = Target::new("web", "192.0.2.1", port).expect("a target");
            (target, order)
        });
        let began = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };
        let ledger = Ledger::create(Memory::own(3), 3, began);
        for (place, (target, order)) in targets.iter().enumerate() {
            ledger.record(place).install(target);
            ledger.record(place).set_order(*order as usize);
        }
        let mut entries = TargetTable::new(ledger);
        let configured = targets.map(|(target, _)| target);
        assert_eq!(entries.plan(&configured), (3, 3));
        assert_eq!(entries.plan, [Some(0), Some(1), Some(2)]);
    }
}
