//! When a report is due: at each boundary of the wall clock, on demand and at the end of a run. What the last run
//! has not reported is due at the start of the next one.

use crate::base::time::{Instant, Nanos, WallTime};
use crate::core::boundaries::Boundaries;
use crate::core::clock_trust::Hold;
use crate::core::ledger::{Journal, Ledger, Progress};
use crate::model::log_names::Kind;
use crate::model::outcome::Thresholds;

/// What a report needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Read the wall clock.
    ReadClock,
    /// Write the report under this stamp.
    Report(WallTime),
}

/// When the next report is due, and what the one that is due still needs.
///
/// The wall clock decides, so it is read first: at each boundary, and for each report that is requested.
#[derive(Debug)]
pub(super) struct Due {
    boundaries: Boundaries,
    hold: Hold,
    /// When the wall clock was last read, and what it read.
    clocks: (Instant, WallTime),
    /// The wall clock must be read.
    wanted: bool,
    /// A reading was requested and has not come yet.
    asked: bool,
    /// A report was requested. It is due whatever the clock reads.
    on_demand: bool,
    /// The stamp of the report that is due.
    stamp: Option<WallTime>,
    /// A report is being written.
    writing: bool,
}

impl Due {
    /// Reports at an interval of `every`, from `now` on, when the wall clock reads `wall`. A clock that reads less than
    /// `built`, in seconds since 1970, is not set.
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

    /// Changes the interval from `now` on.
    pub fn change(&mut self, every: Nanos, now: Instant, wall: WallTime) {
        self.boundaries.change(every, now, wall);
    }

    /// Requests a report now.
    pub fn demand(&mut self) {
        self.on_demand = true;
        self.wanted = true;
    }

    /// Requests a reading of the wall clock.
    pub fn want_clock(&mut self) {
        self.wanted = true;
    }

    /// What the report needs next, if anything.
    pub fn poll(&mut self) -> Option<Need> {
        if core::mem::take(&mut self.wanted) {
            self.asked = true;
            return Some(Need::ReadClock);
        }
        let stamp = self.stamp.take()?;
        self.writing = true;
        Some(Need::Report(stamp))
    }

    /// When the wall clock must be read next if nothing happens before; [`Instant::NEVER`] while a reading is awaited.
    #[inline(never)] // Called from many paths.
    pub fn next(&self) -> Instant {
        if self.asked { Instant::NEVER } else { self.boundaries.next().min(self.hold.next()) }
    }

    /// The wall clock reads `wall` at `now`. At the end of a run (`is_last`) a report is always due, with one
    /// exception: the clock is not set and a ledger keeps the counts for the next run (`is_kept`). Then there is no
    /// last report, and this returns false.
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

    /// Keeps a reading of the wall clock that was not requested.
    pub fn note_clock(&mut self, now: Instant, wall: WallTime) {
        self.clocks = (now, wall);
    }

    /// The report was written, or its write failed. Returns whether one was being written.
    pub fn end_report(&mut self) -> bool {
        core::mem::take(&mut self.writing)
    }

    /// The boundary of the next report, which tells the next run what this one has missed; `None` while a report is
    /// due or being written. While the clock is not set no boundary can be missed: then this is second 0.
    pub fn promised(&self) -> Option<WallTime> {
        let is_free = self.stamp.is_none() && !self.writing;
        is_free.then(|| self.clocks.1.at(if self.is_held() { 0 } else { self.boundaries.due() }))
    }

    /// Whether reports wait for the clock to be set.
    pub fn is_held(&self) -> bool {
        self.hold.is_on(self.clocks.0)
    }

    /// How long the run has lasted.
    pub fn lasted(&self, now: Instant) -> Nanos {
        now.since(self.hold.began())
    }

    /// Whether the message that reports wait is due at `now`. True once.
    pub fn say_held(&mut self, now: Instant) -> bool {
        self.hold.say(now)
    }

    /// When the wall clock was last read, and what it read.
    pub fn clocks(&self) -> (Instant, WallTime) {
        self.clocks
    }

    /// The wall clock at a moment in milliseconds of `CLOCK_MONOTONIC`, which may lie before the boot, by the last reading.
    pub fn wall_at(&self, millis: i64) -> WallTime {
        let (at, wall) = self.clocks;
        let passed = millis - at.millis() + i64::from(wall.nanos / 1_000_000);
        WallTime { nanos: passed.rem_euclid(1000) as u32 * 1_000_000, ..wall.at(wall.unix + passed.div_euclid(1000)) }
    }

    /// The moment in milliseconds of `CLOCK_MONOTONIC` at which the wall clock has read `unix` seconds since 1970.
    pub fn moment_of(&self, unix: i64) -> i64 {
        let (at, wall) = self.clocks;
        at.millis() + (unix - wall.unix) * 1000 - i64::from(wall.nanos / 1_000_000)
    }

    /// The second since 1970 at `now`, by the last reading of the wall clock.
    pub fn unix(&self, now: Instant) -> u32 {
        let (at, wall) = self.clocks;
        let since = now.since(at).plus(Nanos::new(wall.nanos.into())).secs();
        wall.at(wall.unix + since as i64).unix_u32()
    }
}

/// Ends a report that the last run was writing; `is_complete` tells whether all of it is in the log. If counts are
/// left that must be reported now, returns the stamp of that report; `None` if counting simply goes on. Stamp and `now`
/// are in seconds since 1970.
///
/// `now` is `None` if the clock is not set. The last run ended before its next boundary all the same: its counts are
/// reported under that boundary at once, so that the counts of this run come under a later one.
pub fn left_over(
    ledger: &Ledger,
    thresholds: Thresholds,
    now: Option<i64>,
    is_complete: impl FnOnce(&Journal) -> bool,
) -> Option<i64> {
    let mut interrupted = None;
    if let Some(journal) = ledger.journal(Kind::Stats) {
        if is_complete(&journal) {
            ledger.mark_reported();
        } else if journal.progress == Progress::Writing {
            interrupted = Some(journal.stamp.unix);
            // If this run is killed before it writes the report again, the stamp stays.
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
    now.filter(|_| is_due_between(ledger.thresholds(), thresholds))
}

/// Whether counts that were sorted by the thresholds `sorted` must be reported before others are sorted by `next`: no
/// row may have both.
pub fn is_due_between(sorted: Thresholds, next: Thresholds) -> bool {
    sorted != next
}
