//! The state of a target: up, down or unknown. It changes after several probes in a row, so that a single lost one is no
//! outage.

use crate::model::settings::Hysteresis;

/// The state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// No probe was good yet, and too few have failed.
    Unknown = 0,
    /// It answers.
    Up = 1,
    /// It does not.
    Down = 2,
}

impl State {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Up => "up",
            State::Down => "down",
        }
    }
}

/// A change of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It went down.
    Down {
        /// The tick of the first of the probes that failed in a row.
        since: i64,
        /// How many have failed.
        failed: u32,
    },
    /// It came up again.
    Up {
        /// The tick of the first failed probe.
        since: i64,
        /// The tick of the first good one.
        until: i64,
        /// How many probes failed meanwhile.
        failed: u32,
    },
}

/// The state of a target and what speaks against it. Moments are ticks. The monitor has them in milliseconds of
/// `CLOCK_MONOTONIC`, so that a clock that is set changes no duration; those before the boot are negative. A record has them
/// in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The state.
    pub state: State,
    /// The tick of the first of the probes that led to it.
    pub since: i64,
    /// How many probes in a row speak against it: failed ones, or good ones if it is down.
    pub row: u32,
    /// The tick of the first of them.
    pub row_since: i64,
    /// While it is down: how many probes have failed since then.
    pub failed: u32,
}

impl Health {
    /// Of a target that was not probed yet.
    pub const NEW: Health = Health { state: State::Unknown, since: 0, row: 0, row_since: 0, failed: 0 };

    /// Judges a probe of the tick `tick`. The caller passes in the results in the order in which they end, without those
    /// that started before one that was already judged.
    pub fn judge(&mut self, is_good: bool, tick: i64, hysteresis: Hysteresis) -> Option<Change> {
        let (is_down, before) = (self.state == State::Down, *self);
        if is_good != is_down {
            // It speaks for the state, or is the first good one.
            self.row = 0;
            self.failed = self.failed.saturating_add(is_down.into());
            if before.state == State::Unknown {
                (self.state, self.since) = (State::Up, tick);
            }
            return None;
        }
        if before.row == 0 {
            self.row_since = tick;
        }
        self.row = before.row.saturating_add(1);
        let needed = if is_down { hysteresis.up_after } else { hysteresis.down_after };
        if self.row < needed.into() {
            return None;
        }
        let (row, since) = (self.row, self.row_since);
        let state = if is_down { State::Up } else { State::Down };
        *self = Health { state, since, row: 0, row_since: since, failed: if is_down { 0 } else { row } };
        Some(if is_down {
            Change::Up { since: before.since, until: since, failed: before.failed }
        } else {
            Change::Down { since, failed: row }
        })
    }

    /// The same with each moment converted.
    #[must_use]
    pub fn convert(&self, convert: &dyn Fn(i64) -> i64) -> Health {
        let (since, row_since) = (convert(self.since), convert(self.row_since));
        Health { since, row_since, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Hysteresis = Hysteresis { down_after: 3, up_after: 2 };

    /// The changes that these probes lead to, `.` for a good one: one tick each.
    fn changes(probes: &str, hysteresis: Hysteresis) -> Vec<(i64, Change)> {
        let mut health = Health::NEW;
        let judge = |(tick, probe)| Some((tick, health.judge(probe == '.', tick, hysteresis)?));
        (0..).zip(probes.chars()).filter_map(judge).collect()
    }

    #[test]
    fn a_target_is_down_after_three_failures_in_a_row_and_up_after_two_good_probes() {
        assert_eq!(changes("xx.xx.x.xx", USUAL), [], "never three in a row");
        assert_eq!(changes("xxx", USUAL), [(2, Change::Down { since: 0, failed: 3 })], "also a first one");
        assert_eq!(changes(".....", USUAL), [], "up at the first good probe, which is no change");
        let down = (4, Change::Down { since: 2, failed: 3 });
        assert_eq!(changes("..xxxx.x.x", USUAL), [down]);
        let up = (9, Change::Up { since: 2, until: 8, failed: 5 });
        assert_eq!(changes("..xxxx.x..", USUAL), [down, up]);
        let again = (13, Change::Down { since: 11, failed: 3 });
        assert_eq!(changes("..xxxx.x...xxx", USUAL), [down, up, again]);
    }

    #[test]
    fn with_rows_of_one_every_change_counts() {
        let ones = Hysteresis { down_after: 1, up_after: 1 };
        let up = (2, Change::Up { since: 1, until: 2, failed: 1 });
        assert_eq!(changes(".x.", ones), [(1, Change::Down { since: 1, failed: 1 }), up]);
    }

    #[test]
    fn a_shorter_row_counts_from_the_next_probe_on() {
        let mut health = Health::NEW;
        for tick in 0..4 {
            assert_eq!(health.judge(false, tick, Hysteresis { down_after: 10, ..USUAL }), None);
        }
        assert_eq!(health.judge(false, 4, USUAL), Some(Change::Down { since: 0, failed: 5 }));
    }
}
