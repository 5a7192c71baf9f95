//! The output that people and programs read, written to a `fmt::Write`. Pure: the caller passes in the time and
//! the time zone.

pub mod cells;
pub mod configuration;
pub mod events;
pub mod json;
pub mod once;
pub mod run_times;
pub mod samples;
pub mod status;
pub mod table;
pub mod times;

use core::fmt;

use crate::base::time::{Nanos, WallTime};
use crate::core::ledger::Ledger;
use crate::model::reason::Ending;
use crate::model::target::Target;

/// The time zone: a function from a second since 1970 to local time.
pub type LocalTime = fn(i64) -> WallTime;

/// What the run of a ledger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs as the process with this pid.
    Running(u32),
    /// It runs in another pid namespace.
    Elsewhere,
    /// A process has locked the ledger and has not begun.
    Starting,
    /// It was told to end and has not yet.
    Ending,
    /// It has ended.
    Ended,
    /// It was ended by `tcpmon stop` and is not started again by cron.
    Stopped,
    /// It was killed.
    Killed,
}

impl Life {
    /// Its word in JSON.
    fn word(self) -> &'static str {
        match self {
            Life::Running(_) => "running",
            Life::Elsewhere => "elsewhere",
            Life::Starting => "starting",
            Life::Ending => "ending",
            Life::Ended => "ended",
            Life::Stopped => "stopped",
            Life::Killed => "killed",
        }
    }

    /// Whether a process has locked the ledger.
    fn is_alive(self) -> bool {
        match self {
            Life::Running(_) | Life::Elsewhere | Life::Starting | Life::Ending => true,
            Life::Ended | Life::Stopped | Life::Killed => false,
        }
    }
}

/// What [`status`] and [`json`] show.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// A snapshot of the ledger.
    pub ledger: &'a Ledger,
    /// What its run does.
    pub life: Life,
    /// The present time, as the stamp of the rows.
    pub now: WallTime,
    /// The time zone.
    pub local: LocalTime,
}

/// A duration in milliseconds, or the given text if there is none.
struct Millis<'a>(&'a Option<Nanos>, &'static str);

impl fmt::Display for Millis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => time.as_millis().fmt(f),
            None => f.write_str(self.1),
        }
    }
}

/// How a tick of this target ended. The address of which a reason speaks is shown if the target has a name.
struct Shown<'a>(&'a Ending, &'a Target);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self.0 {
            Ending::ConnectFailed(_, address) if self.1.literal.is_none() => write!(f, " ({address})"),
            Ending::Connected(_) | Ending::LookupFailed(_) | Ending::ConnectFailed(..) | Ending::Skipped(_) => Ok(()),
        }
    }
}
