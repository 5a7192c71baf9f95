//! The targets that are watched, each with its counters and its grid of ticks, and those that a
//! reload has retired and that wait for their last report.

use core::ops::{Index, IndexMut};

use crate::limits;
use crate::probe::End;
use crate::schedule::Grid;
use crate::tally::Tally;
use crate::target::Target;

/// A target's place in the table, below [`limits::WATCHES`]. It stays the same as long as a
/// probe of the target is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(pub(super) u16);

/// A target and all that is known of it.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is watched.
    pub target: Target,
    /// What was counted.
    pub tally: Tally,
    /// Ticks that were no probe, for reasons of our own.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The place is free.
    Free,
    /// Configured.
    Live,
    /// No longer configured: it goes when its last probe has ended and its counts are reported.
    Retired,
}

impl Watch {
    fn new(target: Target, grid: Grid) -> Self {
        Self {
            target,
            tally: Tally::default(),
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
    places: Vec<Watch>,
    /// The live watches in configuration order.
    order: Vec<u16>,
    /// For a reload: the watch that goes on with each target.
    plan: Vec<Option<u16>>,
}

impl Watches {
    /// An empty table with memory for as many as there may ever be.
    pub(super) fn new() -> Self {
        Self {
            places: Vec::with_capacity(limits::WATCHES),
            order: Vec::with_capacity(limits::TARGETS),
            plan: Vec::with_capacity(limits::TARGETS),
        }
    }

    /// The configured targets, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = &Watch> + Clone {
        self.order.iter().map(|index| &self[*index])
    }

    /// Those that are gone and have something left to report.
    pub(super) fn gone(&self) -> impl Iterator<Item = &Watch> {
        self.places.iter().filter(|watch| watch.state == State::Retired && !watch.tally.unreported().is_zero())
    }

    /// First step of a reload: works out which watch goes on with which target, the first of the
    /// same that is not taken yet. Gives how many configured targets stay; `None` where there is
    /// no room for those that are new.
    pub(super) fn plan(&mut self, targets: &[Target]) -> Option<usize> {
        self.plan.clear();
        for watch in &mut self.places {
            watch.planned = false;
        }
        for target in targets {
            let known = self.places.iter().position(|watch| !watch.planned && watch.is_of(target));
            if let Some(index) = known {
                self.places[index].planned = true;
            }
            self.plan.push(known.map(|index| index as u16));
        }
        let taken = self.plan.iter().flatten().count();
        let occupied = self.places.iter().filter(|watch| watch.state != State::Free).count();
        if occupied + targets.len() - taken > limits::WATCHES {
            return None;
        }
        Some(self.plan.iter().flatten().filter(|index| self[**index].is_live()).count())
    }

    /// Second step: retires the watches that are not in the plan, and gives them.
    pub(super) fn retire(&mut self) -> impl Iterator<Item = u16> {
        self.order.clear();
        let gone = self.places.iter_mut().enumerate().filter(|(_, watch)| !watch.planned);
        gone.map(|(index, watch)| {
            if watch.state == State::Live {
                watch.state = State::Retired;
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
                index
            }
            None => self.place(Watch::new(*target, grid)),
        };
        self.order.push(index);
        index
    }

    /// The first target of those with the shortest interval.
    pub(super) fn fastest(&self) -> u16 {
        let interval = |index: &u16| self[*index].grid.interval();
        self.order.iter().copied().min_by_key(interval).unwrap_or_default()
    }

    /// The log has everything now.
    pub(super) fn mark_reported(&mut self) {
        for watch in &mut self.places {
            watch.tally.mark_reported();
        }
        self.free_retired();
    }

    /// Frees the places of those that are gone and have nothing left.
    pub(super) fn free_retired(&mut self) {
        for watch in &mut self.places {
            if watch.state == State::Retired && watch.in_flight == 0 && watch.tally.unreported().is_zero() {
                watch.state = State::Free;
            }
        }
    }

    /// Puts a watch where there is room; [`Watches::plan`] has made sure that there is.
    fn place(&mut self, watch: Watch) -> u16 {
        match self.places.iter().position(|watch| watch.state == State::Free) {
            Some(index) => {
                self.places[index] = watch;
                index as u16
            }
            None => {
                self.places.push(watch);
                self.places.len() as u16 - 1
            }
        }
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
