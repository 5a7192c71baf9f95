//! The moment of a kill: between two steps of the process, or in the midst of one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tcpmon::core::ledger::Ledger;
use tcpmon::model::outcome::Thresholds;

use crate::remains;

/// What the process is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The monitor hears of something.
    Event,
    /// It says what is to be done.
    Poll,
    /// It goes over to another configuration.
    Reload,
    /// The ledger takes note that a report is about to be written.
    Begin,
    /// The log gets the first part of it.
    Write,
    /// The log gets the rest.
    Rest,
    /// What a failed write has left is cut off, or noted.
    TakeBack,
    /// The ledger takes note that the log has all of it.
    Note,
    /// The counters hear of it.
    Tell,
    /// A new run brings ledger and log into agreement.
    Settle,
    /// It tells the counters that what it has written is in the log.
    Mark,
    /// Its report has come to its end.
    End,
    /// It takes note of itself.
    Run,
    /// Its monitor is made.
    Make,
}

/// When the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burns {
    /// It is not.
    Never,
    /// After so many steps.
    After(u64),
    /// At this step, after so many of the same.
    At(Step, u64),
}

/// What a new run has to find, and do, if the process is killed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The stamp of a report that was begun and is not in the log.
    pub writing: Option<i64>,
    /// The boundary of the next report.
    pub due: i64,
    /// What the counts are sorted by.
    pub thresholds: Thresholds,
    /// Whether a run has begun and not ended.
    pub running: bool,
}

/// What a kill unwinds with.
struct Killed;

/// A fuse; the process is killed when it has burnt down.
#[derive(Debug)]
pub struct Fuse {
    burns: Burns,
    /// Whether the step that it burns down at is half done.
    within: bool,
    /// The ledger's words before that step, and what was owed then.
    before: Option<(Vec<u32>, Vec<Owed>)>,
    /// The last step.
    last: Step,
}

impl Fuse {
    /// A fuse that does not burn.
    pub fn new() -> Self {
        Self { burns: Burns::Never, within: false, before: None, last: Step::Make }
    }

    /// Lights it.
    pub fn light(&mut self, burns: Burns, within: bool) {
        (self.burns, self.within, self.before) = (burns, within, None);
    }

    /// Puts it out. Gives what was before the step that was half done, if one was.
    pub fn put_out(&mut self) -> Option<(Vec<u32>, Vec<Owed>)> {
        self.burns = Burns::Never;
        self.before.take()
    }

    /// The last step that was about to be made, or in the midst of which the kill was.
    pub fn last(&self) -> Step {
        self.last
    }

    /// The process is about to do this: the place of a kill.
    pub fn step(&mut self, step: Step, ledger: &Ledger, owed: &[Owed]) {
        if self.before.is_some() {
            resume_unwind(Box::new(Killed));
        }
        let left = match &mut self.burns {
            Burns::After(left) => left,
            Burns::At(at, left) if *at == step => left,
            Burns::Never | Burns::At(..) => return,
        };
        if let Some(less) = left.checked_sub(1) {
            *left = less;
            return;
        }
        self.last = step;
        if !self.within {
            resume_unwind(Box::new(Killed));
        }
        self.before = Some((remains::words(ledger), owed.to_vec()));
    }
}

/// Lets this happen. Whether the process is alive after it.
pub fn outlives(act: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(()) => true,
        Err(payload) if payload.is::<Killed>() => false,
        Err(payload) => resume_unwind(payload),
    }
}
