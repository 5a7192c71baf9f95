//! Reads the wall clock and the time zone. Says when the clock was set or the time zone is invalid.

use std::os::fd::AsFd;

use crate::base::said::Said;
use crate::base::time::WallTime;
use crate::core::steps::Steps;
use crate::shell::console::Console;
use crate::shell::time_zone;
use crate::sys::clock::{self, ClockChanges};
use crate::sys::poll::{Owner, PollSet};

/// What is known of the wall clock.
#[derive(Debug)]
pub(super) struct Clocks {
    /// `None`: the kernel does not report changes of the clock, so they are noticed at the next boundary.
    changes: Option<ClockChanges>,
    steps: Steps,
    wrong_time_zone: Said,
}

impl Clocks {
    /// The clock reads `wall` now; poll will report its changes. `wrong_time_zone` is the trouble with the time zone so far.
    pub fn new(polls: &mut PollSet, wall: WallTime, wrong_time_zone: Said) -> Self {
        let changes = ClockChanges::new().ok();
        if let Some(changes) = &changes {
            polls.insert(Owner::Clock, changes.as_fd());
        }
        Self { changes, steps: Steps::new(clock::since_boot(), wall), wrong_time_zone }
    }

    /// Reads the wall clock. If it was set, says so and returns also what it would read otherwise.
    pub fn read(&mut self, console: &mut Console) -> (WallTime, Option<WallTime>) {
        let wall = clock::wall();
        let expected = self.steps.read(clock::since_boot(), wall);
        if let Some(expected) = expected {
            console.announce("clock", format_args!("was set from {expected} to {wall}, reports go by it"));
        }
        (wall, expected)
    }

    /// Poll has reported the clock's descriptor as ready. Returns whether the clock was set. If not, the descriptor is
    /// of no more use and is removed.
    pub fn was_set(&mut self, polls: &mut PollSet) -> bool {
        let was_set = self.changes.as_ref().is_some_and(ClockChanges::was_set);
        if !was_set {
            polls.remove(Owner::Clock);
            self.changes = None;
        }
        was_set
    }

    /// Reads the rules of the time zone again.
    pub fn read_time_zone(&mut self, console: &mut Console) {
        time_zone::read(&mut self.wrong_time_zone, console);
    }
}
