//! An idle monitor must not wake up between two ticks, which are an hour apart.

use std::path::Path;

use crate::run_dir::RunDir;
use crate::{Result, strace};

/// Seconds of a short and of a long run, each with one probe at the start: the difference is idle
/// time.
const SHORT: u64 = 1;
const LONG: u64 = 6;

/// Prints the system calls of an idle monitor. `Err` if there is any.
pub fn measure(binary: &Path, port: u16) -> Result {
    // A report every 24 hours: a report at the full hour would be a wake-up.
    let run = |seconds| {
        let dir = RunDir::new([("127.0.0.1", port)])?;
        strace::count(binary, &dir, &format!("-q --interval 1h --report 24h --for {seconds}s"))
    };
    let calls = run(LONG)?.since(&run(SHORT)?);
    let seconds = LONG - SHORT;
    let polls: i64 = calls.iter().filter(|(name, _)| name.contains("poll")).map(|(_, count)| count).sum();
    let all: i64 = calls.values().sum();
    println!("\nidle, one target at 1h: {polls} polls and {all} system calls in {seconds} s (bound 0)");
    if calls.is_empty() { Ok(()) } else { Err(format!("an idle monitor wakes up: {calls:?} in {seconds} s")) }
}
