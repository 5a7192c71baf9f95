//! The wall clock and the time zone: read, and said where they were set or are wrong.

use std::os::fd::AsFd;

use crate::base::said::Said;
use crate::base::time::WallTime;
use crate::core::steps::Steps;
use crate::shell::console::Console;
use crate::sys::clock::{self, ClockChanges};
use crate::sys::poll::{Owner, PollSet};
use crate::sys::time_zone;

/// What is known of the wall clock.
#[derive(Debug)]
pub(super) struct Clocks {
    /// `None`: the kernel tells of no change, so it is noticed at the next boundary.
    changes: Option<ClockChanges>,
    steps: Steps,
    time_zone: Said,
}

impl Clocks {
    /// Reads the time zone, and lets the poll set know of changes of the clock, which reads `wall`.
    pub fn new(polls: &mut PollSet, wall: WallTime, time_zone: Said) -> Self {
        let changes = ClockChanges::new().ok();
        if let Some(changes) = &changes {
            polls.insert(Owner::Clock, changes.as_fd());
        }
        Self { changes, steps: Steps::new(clock::since_boot(), wall), time_zone }
    }

    /// What the wall clock reads. If it was set, that is said.
    pub fn read(&mut self, console: &mut Console) -> WallTime {
        let wall = clock::wall();
        if let Some(expected) = self.steps.read(clock::since_boot(), wall) {
            console.announce("clock", format_args!("was set from {expected} to {wall}, reports go by it"));
        }
        wall
    }

    /// Poll has said something of the clock. Returns whether it was set; if not, its timer has ended and is removed.
    pub fn was_set(&mut self, polls: &mut PollSet) -> bool {
        let was_set = self.changes.as_ref().is_some_and(ClockChanges::was_set);
        if !was_set {
            polls.remove(Owner::Clock);
            self.changes = None;
        }
        was_set
    }

    /// Reads the rules of the time zone anew.
    pub fn read_time_zone(&mut self, console: &mut Console) {
        read_time_zone(&mut self.time_zone, console);
    }
}

/// Reads the rules of the time zone. If /etc/TZ holds none, that is said once.
pub(crate) fn read_time_zone(said: &mut Said, console: &mut Console) {
    match time_zone::apply() {
        Some(wrong) if said.begins() => {
            console.say("clock", format_args!("\"{wrong}\" in /etc/TZ is no time zone, local time is UTC"));
        }
        Some(_) => {}
        None => drop(said.is_over()),
    }
}
