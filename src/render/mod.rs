//! The output that people and programs read, written to a `fmt::Write`. Pure: the caller passes in the time and
//! the time zone.

/// What a browser may take for the style of a page (CSP, `style-src`): only its own, by its SHA-256.
macro_rules! style_source {
    () => {
        "'sha256-EJQGMsA5CIVpLPxNJunkES/oYZ8VoqbJLGkiskb9P+o='"
    };
}

pub mod answer;
pub mod cells;
pub mod configuration;
pub mod events;
pub mod json;
pub mod metrics;
pub mod once;
pub mod overview;
pub mod page;
pub mod report;
pub mod report_json;
pub mod run_times;
pub mod samples;
pub mod status;
pub mod table;
pub mod times;

use core::fmt;

pub use crate::base::calendar::LocalTime;
use crate::base::time::{Nanos, WallTime};
use crate::core::health::State;
use crate::core::ledger::{Ledger, Record, Usage};
use crate::model::reason::Ending;
use crate::model::target::Target;

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

    /// Whether its targets are what the ledger says; otherwise that is what they were.
    fn is_current(self) -> bool {
        self.is_alive() && self != Life::Starting
    }
}

/// A target and its record.
pub type Row<'a> = (Record<'a>, Target);

/// What [`overview`], [`status`], [`json`] and [`metrics`] show.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// A snapshot of the ledger.
    pub ledger: &'a Ledger,
    /// What its run does.
    pub life: Life,
    /// The services that are shown; all if there is none.
    pub services: &'a [&'a str],
    /// The present time.
    pub now: WallTime,
    /// The time zone.
    pub local: LocalTime,
    /// What an error is, by its number (errno(3)).
    pub describe: fn(i32) -> &'static str,
}

impl<'a> Seen<'a> {
    /// The targets that are shown, in the order of a report; with `removed` also those that are not configured any more.
    #[inline(never)] // It is called for every table.
    pub fn rows(&self, removed: bool) -> Vec<Row<'a>> {
        let mut rows = Vec::new();
        for record in self.ledger.in_order() {
            // Every record in use has a target: another ledger is refused when it is read.
            let Some(target) = record.target() else { continue };
            let is_wanted = self.services.is_empty() || self.services.contains(&target.service.as_str());
            if is_wanted && (removed || record.usage() == Usage::Live) {
                rows.push((record, target));
            }
        }
        rows
    }

    /// The word of a state; without a run it is what the state was.
    fn word(&self, state: State) -> &'static str {
        match state {
            _ if self.life.is_current() => state.word(),
            State::Unknown => "unknown",
            State::Up => "was up",
            State::Down => "was down",
        }
    }

    /// How many of the targets that are shown and configured are unknown, up and down.
    pub fn states(&self) -> [u32; 3] {
        let mut states = [0; 3];
        for (record, _) in self.rows(false) {
            states[record.state().0 as usize] += 1;
        }
        states
    }
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
