//! The time zone of this box: read, and said if it is invalid.

use crate::base::said::Said;
use crate::shell::console::Console;
use crate::sys::time_zone;

/// Reads the rules of the time zone. Says once if `TZ` or /etc/TZ is invalid.
pub fn read(said: &mut Said, console: &mut Console) {
    match time_zone::apply() {
        Some((origin, wrong)) if said.begins() => {
            console.say("clock", format_args!("\"{wrong}\" in {origin} is no time zone, local time is UTC"));
        }
        Some(_) => {}
        None => said.clear(),
    }
}
