//! The kill plan: when the simulated process is killed, between two operations or during one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tcpmon::core::ledger::Ledger;
use tcpmon::model::outcome::Thresholds;

use crate::ledger_words;

/// A point at which the process may be killed: the operation that it is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillPoint {
    /// The monitor gets an event.
    Fact,
    /// The monitor is polled.
    Poll,
    /// The monitor changes to another configuration.
    Reload,
    /// The ledger journals a report that will be written.
    BeginReport,
    /// The log gets the first part of the report.
    Write,
    /// The log gets the rest.
    WriteRest,
    /// The rest of a failed write is cut off, or journalled.
    CutOff,
    /// The ledger journals that the log has the report.
    Written,
    /// What was counted is moved into the rows of times.
    BeginRows,
    /// The ledger journals rows of times or events that will be written.
    BeginLines,
    /// Their file gets the first part of them.
    WriteLines,
    /// It gets the rest.
    WriteLinesRest,
    /// The rest of a failed write is cut off, or journalled.
    CutOffLines,
    /// The ledger journals that their file has them.
    LinesWritten,
    /// They are marked as written.
    MarkLines,
    /// The monitor is told that the report is written.
    Reported,
    /// A new run makes the ledger and the files of times and events agree.
    RecoverLines,
    /// A new run makes ledger and log agree.
    Recover,
    /// A new run marks the counters of the report that it has written.
    MarkReported,
    /// A new run clears the journal entry of that report.
    EndReport,
    /// A new run enters itself in the ledger.
    BeginRun,
    /// A new run makes its monitor.
    NewMonitor,
}

/// When the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// Not at all.
    Never,
    /// After so many kill points.
    After(u64),
    /// At this kill point, after passing it so many times.
    At(KillPoint, u64),
}

/// What the log is owed: what the next run must find and do if the process is killed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The stamp of a report that was begun and is not in the log, in seconds since 1970.
    pub writing: Option<i64>,
    /// The boundary of the next report, in seconds since 1970; 0 is none.
    pub due: i64,
    /// The thresholds that the counts were sorted by.
    pub thresholds: Thresholds,
    /// Whether a run has begun and not ended.
    pub running: bool,
}

/// The panic payload of a kill.
struct Killed;

/// When and how the process is killed.
#[derive(Debug)]
pub struct KillPlan {
    kill: Kill,
    /// Whether the process is killed during that operation, not before it.
    within: bool,
    /// The ledger's words before that operation, and what was owed then.
    before: Option<(Vec<u32>, Vec<Owed>)>,
    /// The kill point of the last kill.
    last: KillPoint,
}

impl KillPlan {
    /// A plan without a kill.
    pub fn new() -> Self {
        Self { kill: Kill::Never, within: false, before: None, last: KillPoint::NewMonitor }
    }

    /// Plans a kill.
    pub fn plan_kill(&mut self, kill: Kill, within: bool) {
        (self.kill, self.within, self.before) = (kill, within, None);
    }

    /// Removes the plan. After a kill during an operation, returns what was there before it.
    pub fn clear(&mut self) -> Option<(Vec<u32>, Vec<Owed>)> {
        self.kill = Kill::Never;
        self.before.take()
    }

    /// The kill point of the last kill.
    pub fn last(&self) -> KillPoint {
        self.last
    }

    /// The process reaches this kill point, and is killed if it is planned.
    pub fn reach(&mut self, point: KillPoint, ledger: &Ledger, owed: &[Owed]) {
        if self.before.is_some() {
            resume_unwind(Box::new(Killed));
        }
        let left = match &mut self.kill {
            Kill::After(left) => left,
            Kill::At(at, left) if *at == point => left,
            Kill::Never | Kill::At(..) => return,
        };
        if let Some(less) = left.checked_sub(1) {
            *left = less;
            return;
        }
        self.last = point;
        if !self.within {
            resume_unwind(Box::new(Killed));
        }
        self.before = Some((ledger_words::words(ledger), owed.to_vec()));
    }
}

/// Runs `act`. Returns whether the process is alive afterwards.
pub fn survives(act: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(()) => true,
        Err(payload) if payload.is::<Killed>() => false,
        Err(payload) => resume_unwind(payload),
    }
}
