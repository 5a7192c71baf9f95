//! What a person or a program reads, as functions to a `fmt::Write`. Pure: times, and the time zone as a
//! function, are passed in.

pub mod cells;
pub mod json;
pub mod once;
pub mod status;
pub mod table;

use core::fmt;

use crate::base::time::{Nanos, WallTime};
use crate::core::ledger::Ledger;

/// The time zone: local time of a second since 1970.
pub type LocalTime = fn(i64) -> WallTime;

/// What [`status`] and [`json`] show.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// A snapshot of the ledger.
    pub ledger: &'a Ledger,
    /// Whether its run goes on.
    pub running: bool,
    /// The wall clock, for rows that are not in the log yet.
    pub now: WallTime,
    /// The time zone.
    pub local: LocalTime,
}

/// A time in milliseconds, or what stands in its place where there is none.
struct Millis<'a>(&'a Option<Nanos>, &'static str);

impl fmt::Display for Millis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => time.as_millis().fmt(f),
            None => f.write_str(self.1),
        }
    }
}
