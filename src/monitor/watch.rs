//! The targets that are watched, each with its counters and its grid of ticks, and those that a
//! reload has retired and that wait for their last report.

use core::ops::{Index, IndexMut};

use crate::ledger::{Health, Ledger, State};
use crate::limits;
use crate::probe::End;
use crate::schedule::Grid;
use crate::tally::{Counts, Ending, Tally};
use crate::target::Target;
use crate::time::{Instant, Nanos, WallTime};

/// A target's place in the table, below [`limits::WATCHES`]. It stays the same as long as a
/// probe of the target is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(pub(super) u16);

/// A target and all that is known of it.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is watched.
    pub target: Target,
    /// What was counted, by earlier runs too.
    pub tally: Tally,
    /// What earlier runs had counted.
    before: Counts,
    /// When the latest probe started of those that have ended, and whether it connected.
    judged: Instant,
    health: Health,
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
    state: State,
}

impl Watch {
    fn new(target: Target, grid: Grid) -> Self {
        Self {
            target,
            tally: Tally::default(),
            before: Counts::default(),
            judged: Instant::from_nanos(0),
            health: Health::Unknown,
            skipped: 0,
            last: None,
            grid,
            ticks: 0,
            in_flight: 0,
            waiting: 0,
            planned: false,
            state: State::Live,
        }
    }

    /// What this run has counted.
    pub fn counted(&self) -> Counts {
        self.tally.counted().since(&self.before)
    }

    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether its counts are this target's.
    fn is_of(&self, target: &Target) -> bool {
        self.state != State::Free && self.target.is_same_as(target)
    }
}

/// The table of all targets.
#[derive(Debug)]
pub(super) struct Watches {
    /// Each has its record at the same place of the ledger.
    places: Vec<Watch>,
    ledger: Ledger,
    /// The live watches in configuration order; at first in that of the last run.
    order: Vec<u16>,
    /// For a reload: the watch that goes on with each target.
    plan: Vec<Option<u16>>,
}

impl Watches {
    /// The table of what the ledger knows, with memory for as many as there may ever be. No target
    /// is configured yet.
    pub(super) fn new(ledger: Ledger) -> Self {
        let mut places: Vec<Watch> = Vec::with_capacity(limits::WATCHES);
        // No tick comes before a target is installed.
        let grid = Grid::new(Instant::NEVER, Nanos::ZERO);
        for (place, record) in ledger.records() {
            let Some(target) = record.target() else { continue };
            let tally = record.tally();
            let (health, _) = record.health();
            let state = record.state();
            let known = Watch { tally, before: *tally.counted(), health, state, ..Watch::new(target, grid) };
            // Places between that are free need a watch, too; whose does not matter.
            places.resize_with(place, || Watch { state: State::Free, ..known.clone() });
            places.push(known);
        }
        let (mut order, plan) = (Vec::with_capacity(limits::TARGETS), Vec::with_capacity(limits::TARGETS));
        order.extend((0..places.len() as u16).filter(|index| places[usize::from(*index)].is_live()));
        order.sort_by_key(|index| ledger.record(usize::from(*index)).order());
        Self { places, ledger, order, plan }
    }

    /// Where the counts are kept.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// How many places there are.
    pub(super) fn room(&self) -> usize {
        if self.ledger.is_present() { self.ledger.places().min(limits::WATCHES) } else { limits::WATCHES }
    }

    /// A probe that started at `started` has ended, in this second since 1970.
    pub(super) fn end(&mut self, index: u16, started: Instant, unix: u32, end: &End) {
        let watch = &mut self.places[usize::from(index)];
        let record = self.ledger.record(usize::from(index));
        watch.in_flight -= 1;
        watch.last = Some(*end);
        match end.outcome {
            Some(outcome) => {
                watch.tally.count(outcome);
                record.count(outcome, watch.tally.counted().of(outcome));
            }
            None => {
                watch.skipped += 1;
                record.skip(1);
            }
        }
        record.end(unix, end);
        let health = match end.ending {
            Ending::Connected(_) => Health::Up,
            Ending::LookupFailed(_) | Ending::ConnectFailed(_) => Health::Down,
            Ending::Skipped(_) => return,
        };
        // One that started earlier and hung tells of a time that is past.
        if started >= watch.judged {
            watch.judged = started;
            if watch.health != health {
                watch.health = health;
                record.set_health(health, unix);
            }
        }
    }

    /// So many ticks are no probes.
    pub(super) fn skip(&mut self, index: u16, ticks: u64) {
        self[index].skipped += ticks;
        self.ledger.record(usize::from(index)).skip(ticks);
    }

    /// The configured targets, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = &Watch> + Clone {
        self.order.iter().map(|index| &self[*index])
    }

    /// How many targets were configured until now, by the last run too.
    pub(super) fn count_live(&self) -> usize {
        self.places.iter().filter(|watch| watch.is_live()).count()
    }

    /// Those that are gone and have something left to report.
    pub(super) fn gone(&self) -> impl Iterator<Item = &Watch> {
        self.places.iter().filter(|watch| watch.state == State::Retired && !watch.tally.unreported().is_zero())
    }

    /// First step of a reload: works out which watch goes on with which target. Of the same ones the
    /// first goes on with the first that was configured, and those that were gone come last. Gives how
    /// many configured targets stay, and how many places are needed.
    pub(super) fn plan(&mut self, targets: &[Target]) -> (usize, usize) {
        self.plan.clear();
        for watch in &mut self.places {
            watch.planned = false;
        }
        for target in targets {
            let mut known = self.order.iter().copied().chain(0..self.places.len() as u16);
            let known = known.find(|index| {
                let watch = &self.places[usize::from(*index)];
                !watch.planned && watch.is_of(target)
            });
            if let Some(index) = known {
                self[index].planned = true;
            }
            self.plan.push(known);
        }
        let taken = self.plan.iter().flatten().count();
        let occupied = self.places.iter().filter(|watch| watch.state != State::Free).count();
        let kept = self.plan.iter().flatten().filter(|index| self[**index].is_live()).count();
        (kept, occupied + targets.len() - taken)
    }

    /// Second step: retires the watches that are not in the plan, and gives them.
    pub(super) fn retire(&mut self) -> impl Iterator<Item = u16> {
        self.order.clear();
        let ledger = &self.ledger;
        let gone = self.places.iter_mut().enumerate().filter(|(_, watch)| !watch.planned);
        gone.map(|(index, watch)| {
            if watch.state == State::Live {
                watch.state = State::Retired;
                ledger.record(index).set_state(State::Retired);
            }
            index as u16
        })
    }

    /// How many of the planned watches get other options.
    pub(super) fn differing(&self, targets: &[Target]) -> usize {
        let planned = self.plan.iter().zip(targets).filter_map(|(index, target)| Some((&self[(*index)?], target)));
        planned.filter(|(watch, target)| watch.is_live() && watch.target != **target).count()
    }

    /// Third step, for each target in order: lets the planned watch go on, or puts a new one where
    /// there is room. A watch keeps its grid unless the interval is another or `anew` is asked for.
    pub(super) fn install(&mut self, i: usize, target: &Target, grid: Grid, anew: bool) -> u16 {
        let index = match self.plan[i] {
            Some(index) => {
                let watch = &mut self[index];
                if anew || !watch.is_live() || watch.grid.interval() != grid.interval() {
                    watch.grid = grid;
                }
                watch.target = *target;
                watch.state = State::Live;
                self.ledger.record(usize::from(index)).set_state(State::Live);
                index
            }
            None => self.place(Watch::new(*target, grid)),
        };
        self.order.push(index);
        self.ledger.record(usize::from(index)).set_order(self.order.len());
        index
    }

    /// The first target of those with the shortest interval.
    pub(super) fn fastest(&self) -> u16 {
        let interval = |index: &u16| self[*index].grid.interval();
        self.order.iter().copied().min_by_key(interval).unwrap_or_default()
    }

    /// Keeps everything anew in a ledger that has become zeroes.
    pub(super) fn renew_ledger(&mut self, began: WallTime) {
        self.ledger.renew(began);
        for (index, watch) in self.places.iter().enumerate().filter(|(_, watch)| watch.state != State::Free) {
            let record = self.ledger.record(index);
            record.reinstall(&watch.target, &watch.tally);
            record.set_state(watch.state);
            record.set_health(watch.health, began.unix.clamp(0, u32::MAX.into()) as u32);
        }
        for (place, index) in self.order.iter().enumerate() {
            self.ledger.record(usize::from(*index)).set_order(place + 1);
        }
    }

    /// What the log has is what the ledger says.
    pub(super) fn recall_reported(&mut self) {
        for (index, watch) in self.places.iter_mut().enumerate().filter(|(_, watch)| watch.state != State::Free) {
            watch.tally = self.ledger.record(index).tally();
        }
    }

    /// The log has everything now.
    pub(super) fn mark_reported(&mut self) {
        for (index, watch) in self.places.iter_mut().enumerate().filter(|(_, watch)| watch.state != State::Free) {
            watch.tally.mark_reported();
            self.ledger.record(index).mark_reported(&watch.tally);
        }
        self.ledger.end_report();
        self.free_retired();
    }

    /// Frees the places of those that are gone and have nothing left.
    pub(super) fn free_retired(&mut self) {
        for (index, watch) in self.places.iter_mut().enumerate() {
            if watch.state == State::Retired && watch.in_flight == 0 && watch.tally.unreported().is_zero() {
                watch.state = State::Free;
                self.ledger.record(index).set_state(State::Free);
            }
        }
    }

    /// Puts a watch where there is room; [`Watches::room`] was asked before.
    fn place(&mut self, watch: Watch) -> u16 {
        let index = match self.places.iter().position(|watch| watch.state == State::Free) {
            Some(index) => index,
            None => self.places.len(),
        };
        self.ledger.record(index).install(&watch.target);
        match self.places.get_mut(index) {
            Some(place) => *place = watch,
            None => self.places.push(watch),
        }
        index as u16
    }
}

impl Index<u16> for Watches {
    type Output = Watch;

    fn index(&self, index: u16) -> &Watch {
        &self.places[usize::from(index)]
    }
}

impl IndexMut<u16> for Watches {
    fn index_mut(&mut self, index: u16) -> &mut Watch {
        &mut self.places[usize::from(index)]
    }
}
