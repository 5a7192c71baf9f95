//! The loop without strace: how often it sleeps, and how much CPU time it uses.
//!
//! strace slows the loop down, and a slow loop finds more answers ready at each poll. The kernel's
//! own counters have no such effect: a sleep is a poll that found nothing ready.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::run_dir::RunDir;
use crate::syscalls::SETTINGS;

/// The ticks after which the counters are read.
const FIRST: u32 = 4;
const LAST: u32 = 20;

/// What one probe costs the loop's process.
pub struct Cost {
    /// Voluntary context switches.
    pub sleeps: f64,
    /// Microseconds of CPU time, including the kernel's.
    pub cpu: f64,
}

/// Measures a run with one probe of each target at every interval.
pub fn measure(binary: &Path, dir: &RunDir, targets: usize, interval: Duration) -> Result<Cost> {
    let mut command = Command::new(binary);
    command.arg("-q").args(SETTINGS.split(' '));
    command.args(["--interval", &format!("{}ms", interval.as_millis())]);
    command.args(["--for", &format!("{}ms", (interval * (LAST + 2)).as_millis())]);
    command.current_dir(dir.path()).stdin(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("the program does not start: {error}"))?;
    let cost = difference(&child, Instant::now(), interval);
    let ended = child.wait().map_err(|error| error.to_string())?;
    let (sleeps, nanos) = cost?;
    let made = dir.probes()?;
    let meant = targets as u64 * u64::from(LAST + 2);
    if !ended.success() || made < meant * 9 / 10 {
        return Err(format!(
            "{made} probes of {meant} were made ({ended}), the machine is too busy to tell their cost"
        ));
    }
    let probes = targets as f64 * f64::from(LAST - FIRST);
    Ok(Cost { sleeps: sleeps as f64 / probes, cpu: nanos as f64 / 1e3 / probes })
}

/// Sleeps and CPU nanoseconds between two readings, each half an interval after a tick.
fn difference(child: &Child, start: Instant, interval: Duration) -> Result<(u64, u64)> {
    let look = |ticks| {
        let at = start + interval * ticks + interval / 2;
        thread::sleep(at.saturating_duration_since(Instant::now()));
        read(child.id()).ok_or_else(|| "its figures in /proc cannot be read".to_owned())
    };
    let (first, last) = (look(FIRST)?, look(LAST)?);
    Ok((last.0 - first.0, last.1 - first.1))
}

/// Sleeps, and nanoseconds on a CPU, since the process started (proc_pid_status(5), and
/// Documentation/scheduler/sched-stats.rst of Linux for `schedstat`).
fn read(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some((sleeps.trim().parse().ok()?, schedstat.split(' ').next()?.parse().ok()?))
}
