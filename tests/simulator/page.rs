//! A page of the book: what the simulator itself knows of one target.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::{Monitor, TargetEntry};
use tcpmon::model::outcome::Columns;
use tcpmon::model::target::Target;

use crate::answer::Answer;
use crate::health::Health;
use crate::untold::Untold;

/// Seven counters in the order of [`Outcome::ALL`].
pub type Counts = [u64; 7];

/// Whether a page is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageUsage {
    /// It belongs to no target.
    Free,
    /// Configured, at this position.
    Live(u16),
    /// No longer configured.
    Retired,
}

/// What the book knows of one target. A page belongs to the ledger record of the same number.
#[derive(Clone, Debug)]
pub struct Page {
    /// The target as configured.
    pub target: Target,
    /// Whether and where it is configured.
    pub usage: PageUsage,
    /// Probes that ended.
    pub counted: Counts,
    /// Those of them that the log has.
    pub reported: Counts,
    /// Ticks without an outcome.
    pub skipped: u64,
    /// Whether it is up.
    pub health: Health,
    /// The addresses of its name.
    pub answer: Answer,
    /// When the first of its last changes was found, and how many there were within a minute.
    pub changes: (Instant, u32),
    /// What the table of times does not have.
    pub untold: Untold,
    pub(crate) interval: Nanos,
    pub(crate) next_tick: Instant,
    /// Ticks that have passed, skipped ones too.
    pub(crate) ticks: u32,
    /// Probes whose first action was seen and that have not ended.
    pub(crate) lives: i32,
    /// Probes that have started and whose first action was not seen yet.
    pub(crate) unseen: i32,
    /// Probes whose helper died and that wait for another.
    pub(crate) again: i32,
    /// The last wake-up that changed this page.
    pub(crate) wake: u32,
    /// `unseen` before that wake-up.
    pub(crate) before: i32,
    /// Whether a probe waited for another helper at some time in that wake-up.
    pub(crate) waited_again: bool,
    /// Probes whose first action was seen in that wake-up.
    pub(crate) seen: i32,
    /// The tick of the probe that has started and waits for its first helper, if one did before that wake-up.
    pub(crate) fresh: Option<Instant>,
    /// Probes that wait for another helper, in order: slot and tick.
    pub(crate) queue: Vec<(u16, Instant)>,
    /// Whether the tick of that wake-up is known to be that of a probe that waited.
    pub(crate) merged: bool,
}

impl Page {
    /// The page for a new run: only the counts stay.
    pub fn carried(&self, usage: PageUsage) -> Self {
        let (health, answer, untold) = (self.health.clone(), self.answer.clone(), self.untold);
        Self { counted: self.counted, reported: self.reported, health, answer, untold, ..Self::new(self.target, usage) }
    }

    /// An empty page.
    pub fn new(target: Target, usage: PageUsage) -> Self {
        Self {
            target,
            usage,
            counted: [0; 7],
            reported: [0; 7],
            skipped: 0,
            health: Health::default(),
            answer: Answer::default(),
            changes: (Instant::from_nanos(0), 0),
            untold: Untold::default(),
            interval: Nanos::ZERO,
            next_tick: Instant::NEVER,
            ticks: 0,
            lives: 0,
            unseen: 0,
            again: 0,
            wake: 0,
            before: 0,
            waited_again: false,
            seen: 0,
            fresh: None,
            queue: Vec::new(),
            merged: false,
        }
    }

    /// The counts that the log does not have.
    pub fn unreported(&self) -> Counts {
        std::array::from_fn(|i| self.counted[i] - self.reported[i])
    }

    /// The monitor's entry of this target, while it is configured.
    pub fn entry<'m>(&self, monitor: &'m Monitor) -> Option<&'m TargetEntry> {
        match self.usage {
            PageUsage::Live(position) => monitor.live().nth(usize::from(position)),
            PageUsage::Free | PageUsage::Retired => None,
        }
    }

    /// The newest tick of this target that has come by `now`, if it was not passed before.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let is_due = matches!(self.usage, PageUsage::Live(_)) && self.next_tick <= now;
        is_due.then(|| self.next_tick + self.interval.times(now.since(self.next_tick).whole(self.interval)))
    }

    /// Before something about its lookups changes: finds out whether the tick of this wake-up has come, and was given to
    /// the lookup that began to wait last, which one more skipped tick shows.
    pub fn find_merged(&mut self, now: Instant, monitor: &Monitor) {
        let waits = self.fresh.is_some() || !self.queue.is_empty();
        let Some(tick) = self.due(now).filter(|_| waits && !self.merged) else { return };
        let missed = now.since(self.next_tick).whole(self.interval);
        if self.entry(monitor).is_some_and(|entry| entry.skipped == self.skipped + missed + 1) {
            self.merge(tick);
        }
    }

    /// The lookup that began to wait last gets this tick.
    pub fn merge(&mut self, tick: Instant) {
        self.merged = true;
        let last = self.queue.last_mut().map(|(_, tick)| tick);
        if let Some(waiting) = last.or(self.fresh.as_mut()) {
            *waiting = tick;
        }
    }

    /// Whether all of it has ended and is reported, so that the record of a removed target may be reused. With `times` the
    /// table of times must have all of it, too.
    pub fn is_idle(&self, times: bool) -> bool {
        self.usage == PageUsage::Retired
            && self.lives + self.unseen == 0
            && self.is_told(times)
            && self.changes.1 <= limits::FLAPPING.0
    }

    /// Whether all that was counted is reported, with `times` also in the table of times.
    pub fn is_told(&self, times: bool) -> bool {
        self.usage == PageUsage::Free || (self.counted == self.reported && (!times || self.untold.is_empty()))
    }
}

/// The seven outcomes as the log's columns.
pub fn columns(counts: &Counts) -> Columns {
    let [no_lookup, fast_fast, fast_slow, fast_failed, slow_fast, slow_slow, slow_failed] = *counts;
    Columns {
        conn_fast: fast_fast + slow_fast,
        conn_slow: fast_slow + slow_slow,
        dns_fast: fast_fast + fast_slow + fast_failed,
        dns_slow: slow_fast + slow_slow + slow_failed,
        dns_fail: no_lookup,
        conn_failed: fast_failed + slow_failed,
        total: counts.iter().sum(),
    }
}

/// Adds a row to a sum of rows.
pub fn add(sum: &mut Columns, row: Columns) {
    sum.conn_fast += row.conn_fast;
    sum.conn_slow += row.conn_slow;
    sum.dns_fast += row.dns_fast;
    sum.dns_slow += row.dns_slow;
    sum.dns_fail += row.dns_fail;
    sum.conn_failed += row.conn_failed;
    sum.total += row.total;
}
