//! What the monitor is told, and what it asks for.

use crate::base::time::{Instant, Nanos, WallTime};
use crate::core::probe::{End, Input, ProbeId};
use crate::core::verdict::Attempt;
use crate::model::event::Event;
use crate::model::reason::Shortage;
use crate::model::target::Address;

/// The index of a target's entry in the table, below [`crate::base::limits::RECORDS`]. It does not change while a
/// probe of the target is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetId(pub(super) u16);

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// The input of a probe, about the lookup or attempt with this id.
    Probe(ProbeId, Input<'a>),
    /// The attempt with this id has ended. [`crate::core::verdict`] decides what that means.
    AttemptEnded(ProbeId, Attempt),
    /// The socket of the attempt with this id is closed. The kernel had sent so many SYNs again; `None` if it does not
    /// tell. The answer to [`Action::DropConnect`].
    Dropped(ProbeId, Option<u32>),
    /// The wall clock reads this. The monitor asked for it, or the clock was set.
    Clock(WallTime),
    /// The report was written to the log, or that failed.
    Reported {
        /// Whether the log has all of it.
        written: bool,
        /// Whether the rows of times are in their file, or are not wanted.
        timed: bool,
    },
    /// The events that waited were written to their file, or that failed.
    EventsWritten {
        /// Whether all of them were.
        written: bool,
    },
    /// The shell has found this event.
    Found(&'a Event),
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
    /// The time of this attempt is over: close its socket, and say what the kernel knows of it. The probe goes on then.
    DropConnect(ProbeId),
    /// Read the wall clock.
    ReadClock,
    /// Append the [`super::Monitor::rows`] to the log under this stamp.
    Report(WallTime),
    /// Write the events that wait in the ledger.
    WriteEvents,
    /// A probe has ended, or ticks were skipped. Only with `samples on`.
    Ended(Ended),
    /// A round of probes has started.
    Round,
    /// Say that the clock reads this and that reports wait until it is set.
    SayHeld(WallTime),
    /// Say how many ticks were skipped since the last such message, and why the last one was.
    SaySkipped(u64, Shortage),
    /// The run has ended.
    Finish,
}

/// A probe that has ended, or ticks that were skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its target.
    pub target: TargetId,
    /// The tick at which it started; the first of the skipped ones.
    pub tick: Instant,
    /// How many ticks these are: more than one only if they were missed.
    pub ticks: u64,
    /// How it ended.
    pub end: End,
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
