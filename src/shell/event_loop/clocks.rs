//! The loop's wall clock: read, set by others, and its zone.

use super::EventLoop;
use crate::base::limits;
use crate::base::text::Count;
use crate::base::time::WallTime;
use crate::core::monitor::Event;
use crate::shell::console::Console;
use crate::sys::{clock, time_zone};

impl EventLoop {
    /// Brings the monitor what the wall clock reads, and says so where it was set.
    pub(super) fn read_clock(&mut self) {
        let wall = clock::wall();
        if let Some(expected) = self.steps.read(clock::since_boot(), wall) {
            self.console.announce("clock", format_args!("was set from {expected} to {wall}, reports go by it"));
        }
        self.tell(Event::Clock(wall));
    }

    /// Reads the zone's rules anew.
    pub(super) fn read_time_zone(&mut self) {
        self.zone_failing = read_time_zone(self.zone_failing, &mut self.console);
    }

    /// Reports wait.
    pub(super) fn tell_of_hold(&mut self, wall: WallTime) {
        if self.log.is_some() {
            let most = limits::CLOCK_WAIT.secs() / 60;
            self.console.say(
                "clock",
                format_args!(
                    "{wall} is before this program was built, reports wait for it to be set, {most} minutes at most"
                ),
            );
        }
    }

    /// The run ends; what waits for the clock goes on waiting.
    pub(super) fn tell_of_the_rest(&mut self) {
        let left = self.monitor.unreported();
        if self.log.is_some() && self.monitor.is_held() && self.monitor.ledger().is_present() && left > 0 {
            let left = Count(left, "probe");
            self.console.say(
                "clock",
                format_args!(
                    "was not set, the run ends without its last report of {left}; the ledger keeps it for the next run"
                ),
            );
        }
    }
}

/// Reads the zone's rules. What /etc/TZ has is said where it is wrong and was not before. Returns
/// whether it is.
pub(crate) fn read_time_zone(was_wrong: bool, console: &mut Console) -> bool {
    let wrong = time_zone::apply();
    if let Some(zone) = wrong.as_ref().filter(|_| !was_wrong) {
        console.say("clock", format_args!("\"{zone}\" in /etc/TZ is no time zone, local time is UTC"));
    }
    wrong.is_some()
}
