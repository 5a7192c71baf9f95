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
    /// This, to the lookup or connect of a probe.
    Probe(ProbeId, Input<'a>),
    /// The attempt of a probe has ended; see [`crate::core::verdict`] for what that means.
    AttemptEnded(ProbeId, Attempt),
    /// The wall clock reads this; it was asked for, or it has been set.
    Clock(WallTime),
    /// The report is in the log, or it could not be written.
    Reported {
        /// Whether the log has all of it.
        written: bool,
    },
    /// A report is wanted now.
    ReportNow,
    /// The run is to end: a last report, and that is all.
    Stop,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// The word for the kind lets what follows it be copied by words.
#[repr(u32)]
pub enum Action {
    /// Ask a helper for the target's addresses.
    Lookup(ProbeId, TargetId),
    /// Nobody waits for this lookup any more: end its helper.
    DropLookup(ProbeId),
    /// Connect to this address at the target's port.
    Connect(ProbeId, TargetId, Address),
    /// Nobody waits for this connect any more: close its socket.
    DropConnect(ProbeId),
    /// Read the wall clock.
    ReadClock,
    /// Append the [`Monitor::rows`] to the log under this stamp.
    Report(WallTime),
    /// A round of probes has started.
    Round,
    /// Say that reports wait for the clock, which reads this, to be set.
    SayHeld(WallTime),
    /// Say that ticks were skipped: how many since it was last said, and why the last one.
    SaySkipped(u64, Shortage),
    /// The run has ended.
    Finish,
}

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// After so many ticks of each target.
    pub rounds: Option<u32>,
    /// After so long.
    pub duration: Option<Nanos>,
}

/// What a reload changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Targets that stay, with their counts.
    pub kept: usize,
    /// Targets among those that have other options of their own now.
    pub changed: usize,
    /// Targets that are new.
    pub added: usize,
    /// Targets that are gone; what they counted goes into the next report.
    pub removed: usize,
}
