//! A thousand targets that go down in one tick: what that costs the probes of others.
//!
//! The others are probed every few milliseconds, so that many of their probes are in flight meanwhile. Their times are
//! those of the samples. That of an accepted connect is the kernel's; that of a refused one is the loop's, so it shows
//! every delay of the loop.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::distribution::{Distribution, HEADING};
use crate::run_dir::RunDir;
use crate::{Result, cannot_run, listeners, name_of};

const TARGETS: usize = 1000;
/// Others of each kind.
const OTHERS: usize = 8;
/// The bound of the 99th percentile, in nanoseconds.
const BOUND: i64 = 1_000_000;
/// How often it is measured if that is exceeded: other processes delay the loop, too.
const TRIES: usize = 3;

/// The tick of the third probe, at which they go down, and a later one at which nothing changes; and how long the work
/// of such a tick takes at most. Milliseconds from the start.
const DOWN: i64 = 2000;
const QUIET: i64 = 4000;
const AROUND: i64 = 150;

const SETTINGS: &str = "-q --interval 1s --timeout 1s --slow 500ms --report 24h --events on --samples on --for 5500ms";

/// Where nobody listens (tcpmux).
const CLOSED: u16 = 1;

/// Prints the times of the others. `Err` if they exceed the bound, or nothing could be measured.
pub fn measure(binary: &Path) -> Result {
    println!("{}: {TARGETS} targets go down in one tick, times of others in ms{HEADING}", name_of(binary));
    for _ in 0..TRIES {
        if is_within(binary)? {
            return Ok(());
        }
    }
    Err(format!("the 99th percentile is above {} ms in each of {TRIES} runs", BOUND as f64 / 1e6))
}

/// A probe of another target: milliseconds from the start to its tick, whether it was accepted, nanoseconds of its connect.
type Probe = (i64, bool, i64);

/// Makes one run. Returns whether it is within the bound.
fn is_within(binary: &Path) -> Result<bool> {
    let ports = listeners::open(OTHERS)?;
    let dir = RunDir::new([])?;
    let mut config = String::new();
    for port in &ports {
        let _ = writeln!(config, "target accepted 127.0.0.1 {port} interval 10ms");
        let _ = writeln!(config, "target refused 127.0.0.1 {CLOSED} interval 10ms");
    }
    (1..=TARGETS).for_each(|number| _ = writeln!(config, "target t{number} 127.0.0.1 {CLOSED}"));
    fs::write(dir.path().join("tcpmon.conf"), config).map_err(|error| format!("no configuration: {error}"))?;
    let mut run = Command::new(binary);
    let output = dir.run(run.args(SETTINGS.split(' '))).map_err(|error| cannot_run("the program", "tcpmon", &error))?;
    let read =
        |name: &str| fs::read_to_string(dir.path().join(name)).map_err(|error| format!("{name}: {error}; {output:?}"));
    let down = read("tcp_events_latest.log")?.matches(" | down | t").count();
    if down != TARGETS {
        return Err(format!("{down} targets of {TARGETS} went down: {output:?}"));
    }
    let probes = probes_of(&read("tcp_samples_latest.csv")?).ok_or("the samples are not understood")?;
    let mut within = true;
    for (name, tick) in [("they go down", DOWN), ("nothing changes", QUIET)] {
        for (kind, accepted) in [("accepted", true), ("refused", false)] {
            let chosen = probes.iter().filter(|(at, is, _)| (tick..tick + AROUND).contains(at) && *is == accepted);
            let times = Distribution::new(chosen.map(|(_, _, time)| *time));
            println!("{name:<16} {kind:<10} {}", times.row());
            within &= tick == QUIET || times.percentile(99) <= BOUND;
        }
    }
    Ok(within)
}

/// The probes of the others.
fn probes_of(samples: &str) -> Option<Vec<Probe>> {
    let rows = || samples.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    // Within a day: the milliseconds since midnight.
    let tick = |row: &[&str]| {
        let mut clock = row[0].get(11..23)?.split([':', '.']).map(|part| part.parse::<i64>().ok());
        let [hours, minutes, seconds, millis] = [clock.next()??, clock.next()??, clock.next()??, clock.next()??];
        Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
    };
    let start = tick(&rows().next()?)?;
    let others = rows().filter(|row| ["accepted", "refused"].contains(&row[1]) && row[7] != "skipped");
    others
        .map(|row| Some((tick(&row)? - start, row[7] == "connected", (row[6].parse::<f64>().ok()? * 1e6) as i64)))
        .collect()
}
