//! What is worth a line of its own in the log of events: a change, and when it was found. The form of the line is in
//! `render::events`.

use super::log_names::Kind;
use super::reason::Ending;
use super::target::Address;
use crate::base::time::Nanos;

/// A change. All moments are in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A target went down.
    Down {
        /// How the last of these probes failed: [`Ending::LookupFailed`] or [`Ending::ConnectFailed`].
        ending: Ending,
        /// The tick of the first of these probes.
        since: i64,
        /// How many probes have failed in a row.
        failed: u32,
    },
    /// A target came up again.
    Up {
        /// The address that accepted.
        address: Address,
        /// How long the connect took.
        connect: Nanos,
        /// The tick of the first failed probe.
        since: i64,
        /// From there to the tick of the first good probe, in seconds.
        down_for: u32,
        /// How many probes failed meanwhile.
        failed: u32,
    },
    /// A name has other addresses, none of which it had before. The target's record has both.
    Address,
    /// A target has changed more often than there are lines in a minute.
    Flapping {
        /// The changes of this minute without a line.
        changes: u32,
        /// Whether the target is up after the last of them.
        is_up: bool,
    },
    /// A run starts.
    Start {
        /// The number of its targets.
        targets: u32,
    },
    /// The run before was killed.
    Killed {
        /// When it was last alive.
        from: i64,
        /// When this one started.
        to: i64,
    },
    /// The run before had ended.
    Stopped {
        /// When it ended.
        from: i64,
        /// When this one started.
        to: i64,
    },
    /// The run ends.
    Stop {
        /// The number of its targets.
        targets: u32,
        /// How many of them are down.
        down: u32,
    },
    /// The wall clock was set.
    Clock {
        /// What it would read otherwise.
        from: i64,
        /// What it reads.
        to: i64,
    },
    /// The configuration was read again and applied.
    Reload {
        /// Targets that are new.
        new: u32,
        /// Targets that are gone.
        removed: u32,
        /// Targets that stay.
        kept: u32,
    },
    /// A daily file cannot be written, or can be again.
    Log {
        /// Which one.
        file: Kind,
        /// Its day, in days since 1970.
        day: i64,
        /// The error (errno(3)); 0: it can be written again.
        errno: i32,
    },
    /// There was no room to keep events.
    Dropped {
        /// How many.
        events: u32,
    },
}

impl Event {
    /// The word of its kind.
    pub fn word(&self) -> &'static str {
        match self {
            Event::Down { .. } => "down",
            Event::Up { .. } => "up",
            Event::Address => "address",
            Event::Flapping { .. } => "flapping",
            Event::Start { .. } => "start",
            Event::Killed { .. } => "killed",
            Event::Stopped { .. } => "stopped",
            Event::Stop { .. } => "stop",
            Event::Clock { .. } => "clock",
            Event::Reload { .. } => "reload",
            Event::Log { .. } => "log",
            Event::Dropped { .. } => "dropped",
        }
    }

    /// Whether it tells of a target's state.
    pub fn is_of_state(&self) -> bool {
        matches!(self, Event::Down { .. } | Event::Up { .. } | Event::Flapping { .. })
    }

    /// Whether the system log gets it as a warning; else it is a notice.
    pub fn is_warning(&self) -> bool {
        match self {
            Event::Down { .. } | Event::Log { .. } => true,
            Event::Up { .. }
            | Event::Address
            | Event::Flapping { .. }
            | Event::Start { .. }
            | Event::Killed { .. }
            | Event::Stopped { .. }
            | Event::Stop { .. }
            | Event::Clock { .. }
            | Event::Reload { .. }
            | Event::Dropped { .. } => false,
        }
    }
}

/// An event and when it was found, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// When.
    pub at: i64,
    /// What.
    pub event: Event,
}
