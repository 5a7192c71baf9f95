//! When a report is due: at each boundary of the wall clock, on demand, at the end of a run, and, for what the last
//! run left, at the start of the next one.

use crate::base::time::{Instant, Nanos, WallTime};
use crate::core::boundaries::Boundaries;
use crate::core::clock_trust::Hold;
use crate::core::ledger::{Journal, Ledger, Progress};
use crate::model::outcome::Thresholds;

/// What a report needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Read the wall clock.
    ReadClock,
    /// Write the report under this stamp.
    Report(WallTime),
}

/// What makes a report due, and how far the one that is due has come.
///
/// The wall clock decides, so it is read first: at each boundary, and whenever a report is asked for.
#[derive(Debug)]
pub(super) struct Due {
    boundaries: Boundaries,
    hold: Hold,
    /// The last reading of the wall clock, and when that was.
    clocks: (Instant, WallTime),
    /// The wall clock is to be read.
    wanted: bool,
    /// It was asked for and has not been read yet.
    asked: bool,
    /// A report was asked for, whatever the clock reads.
    on_demand: bool,
    /// The stamp of the report that is due.
    stamp: Option<WallTime>,
    /// A report is being written.
    writing: bool,
}

impl Due {
    /// Reports every `every`, from `now` on, when the wall clock reads `wall`. A clock that reads less than `built`, in
    /// seconds since 1970, is not set.
    pub fn new(every: Nanos, built: i64, now: Instant, wall: WallTime) -> Self {
        Self {
            boundaries: Boundaries::new(every, now, wall),
            hold: Hold::new(built, now, wall),
            clocks: (now, wall),
            wanted: false,
            asked: false,
            on_demand: false,
            stamp: None,
            writing: false,
        }
    }

    /// Reports at another interval from here on.
    pub fn change(&mut self, every: Nanos, now: Instant, wall: WallTime) {
        self.boundaries.change(every, now, wall);
    }

    /// A report is asked for.
    pub fn demand(&mut self) {
        self.on_demand = true;
        self.wanted = true;
    }

    /// The wall clock is to be read.
    pub fn want_clock(&mut self) {
        self.wanted = true;
    }

    /// What is needed next, if anything is.
    pub fn poll(&mut self) -> Option<Need> {
        if core::mem::take(&mut self.wanted) {
            self.asked = true;
            return Some(Need::ReadClock);
        }
        let stamp = self.stamp.take()?;
        self.writing = true;
        Some(Need::Report(stamp))
    }

    /// When the wall clock must be read next, if nothing happens before; [`Instant::NEVER`] while a reading is awaited.
    #[inline(never)] // Called from many paths.
    pub fn next(&self) -> Instant {
        if self.asked { Instant::NEVER } else { self.boundaries.next().min(self.hold.next()) }
    }

    /// The wall clock reads `wall` at `now`. At the end of a run (`is_last`) a report is due in any case, but for a
    /// clock that is not set: if a ledger is there (`is_kept`), it keeps the counts for a run that knows the date.
    /// Returns false in that case: no report will come.
    pub fn read_clock(&mut self, now: Instant, wall: WallTime, is_last: bool, is_kept: bool) -> bool {
        let mut boundary = self.boundaries.read(now, wall);
        self.hold.pass(now, wall, &mut boundary);
        self.asked = false;
        let on_demand = core::mem::take(&mut self.on_demand);
        self.clocks = (now, wall);
        if is_last && is_kept && self.hold.is_on(now) {
            return false;
        }
        if on_demand || is_last {
            self.stamp = Some(wall);
        } else if boundary.is_some() {
            self.stamp = boundary;
        }
        true
    }

    /// Keeps a reading of the wall clock that was not asked for.
    pub fn note_clock(&mut self, now: Instant, wall: WallTime) {
        self.clocks = (now, wall);
    }

    /// The report has been written, or could not be. Returns whether one was being written.
    pub fn end_report(&mut self) -> bool {
        core::mem::take(&mut self.writing)
    }

    /// The boundary of the next report, for the next run to know what this one has missed; `None` while a report is
    /// due or being written. No boundary can be missed by a clock that is not set: then it is second 0.
    pub fn promised(&self) -> Option<WallTime> {
        let is_free = self.stamp.is_none() && !self.writing;
        is_free.then(|| self.clocks.1.at(if self.is_held() { 0 } else { self.boundaries.due() }))
    }

    /// Whether reports wait for the clock to be set.
    pub fn is_held(&self) -> bool {
        self.hold.is_on(self.clocks.0)
    }

    /// Whether it is to be said that reports wait; once.
    pub fn say_held(&mut self, now: Instant) -> bool {
        self.hold.say(now)
    }

    /// The last reading of the wall clock, and when that was.
    pub fn clocks(&self) -> (Instant, WallTime) {
        self.clocks
    }

    /// The second since 1970 at `now`, by the last reading of the wall clock.
    pub fn unix(&self, now: Instant) -> u32 {
        let (at, wall) = self.clocks;
        let since = now.since(at).plus(Nanos::new(wall.nanos.into())).secs();
        wall.at(wall.unix + since as i64).unix_u32()
    }
}

/// Brings a report that the last run was writing to its end, where `is_complete` says whether all of it is in the
/// log. Returns the second since 1970 under which the rest is to be reported at `now`, in the same seconds; `None`
/// where counting simply goes on.
///
/// `now` is `None` where the clock is not set. Even so, the last run ended before its next boundary: what it
/// left is reported under that boundary at once, so that the new run's counts stand under a later one.
pub fn left_over(
    ledger: &Ledger,
    thresholds: Thresholds,
    now: Option<i64>,
    is_complete: impl FnOnce(&Journal) -> bool,
) -> Option<i64> {
    let mut interrupted = None;
    if let Some(journal) = ledger.journal() {
        if is_complete(&journal) {
            ledger.mark_reported();
        } else if journal.progress == Progress::Writing {
            interrupted = Some(journal.stamp.unix);
            // A kill before the report is begun again does not change its stamp.
            ledger.set_due(journal.stamp);
        }
        ledger.end_report();
    }
    if ledger.is_reported() {
        return None;
    }
    if interrupted.is_some() {
        return interrupted;
    }
    let due = ledger.due();
    if due > 0 && now.is_none_or(|now| due <= now) {
        return Some(due);
    }
    // Counts that were sorted by other thresholds must not stand in one row with the new ones.
    now.filter(|_| ledger.thresholds() != thresholds)
}
