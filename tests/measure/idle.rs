//! An idle monitor: between two ticks an hour apart it must not wake up.

use std::path::Path;

use crate::place::Place;
use crate::{Result, strace};

/// Seconds of a run that has its only probe behind it, and of one that idles for longer. Their
/// difference is all idle.
const SHORT: u64 = 1;
const LONG: u64 = 6;

/// Prints what an idle monitor does. `Err` where that is anything.
pub fn measure(binary: &Path, port: u16) -> Result {
    // The report is a day away: one at the full hour would be a reason to wake up.
    let run = |seconds| {
        let place = Place::new([("127.0.0.1", port)])?;
        strace::count(binary, &place, &format!("-q --interval 1h --report 24h --for {seconds}s"))
    };
    let calls = run(LONG)?.since(&run(SHORT)?);
    let seconds = LONG - SHORT;
    let polls: i64 = calls.iter().filter(|(name, _)| name.contains("poll")).map(|(_, count)| count).sum();
    let all: i64 = calls.values().sum();
    println!("\nidle, one target at 1h: {polls} polls and {all} system calls in {seconds} s (bound 0)");
    if calls.is_empty() { Ok(()) } else { Err(format!("an idle monitor wakes up: {calls:?} in {seconds} s")) }
}
