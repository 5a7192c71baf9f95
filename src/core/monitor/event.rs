//! What the monitor is told, and what it asks for.

use super::TargetId;
use crate::base::time::{Nanos, WallTime};
use crate::core::probe::{Input, ProbeId};
use crate::core::verdict::Attempt;
use crate::model::reason::Shortage;
use crate::model::target::Address;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The input of a probe, about the lookup or attempt with this id.
    Probe(ProbeId, Input<'a>),
    /// The attempt with this id has ended. [`crate::core::verdict`] decides what that means.
    AttemptEnded(ProbeId, Attempt),
    /// The wall clock reads this. The monitor asked for it, or the clock was set.
    Clock(WallTime),
    /// The report was written to the log, or that failed.
    Reported {
        /// Whether the log has all of it.
        written: bool,
    },
    /// The operator wants a report now.
    ReportNow,
    /// The run must end, after a last report.
    Stop,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// With a tag of 4 bytes the fields begin at a word boundary: they are copied by words, not by bytes.
#[repr(u32)]
pub enum Action {
    /// Ask a helper for the target's addresses.
    Lookup(ProbeId, TargetId),
    /// The probe does not wait for this lookup any more: end its helper.
    DropLookup(ProbeId),
    /// Start an attempt to connect to this address at the target's port.
    Connect(ProbeId, TargetId, Address),
    /// The probe does not wait for this attempt any more: close its socket.
    DropConnect(ProbeId),
    /// Read the wall clock.
    ReadClock,
    /// Append the [`super::Monitor::rows`] to the log under this stamp.
    Report(WallTime),
    /// A round of probes has started.
    Round,
    /// Say that the clock reads this and that reports wait until it is set.
    SayHeld(WallTime),
    /// Say how many ticks were skipped since the last such message, and why the last one was.
    SaySkipped(u64, Shortage),
    /// The run has ended.
    Finish,
}

/// When a run ends by itself: at the earlier of both, never if both are `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// After this number of ticks of each target.
    pub rounds: Option<u32>,
    /// After this time.
    pub duration: Option<Nanos>,
}

/// What a reload changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Targets that stay, with their counts.
    pub kept: usize,
    /// Targets among those whose own options have changed.
    pub changed: usize,
    /// Targets that are new.
    pub added: usize,
    /// Targets that were removed. The next report still has their counts.
    pub removed: usize,
}
