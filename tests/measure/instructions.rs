//! User instructions of a probe with and without the daily files, and of a line of samples. callgrind counts them: no
//! clock and no other process disturbs that.
//!
//! Start and end cancel out in the difference between a long and a short run of the same kind.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run_dir::RunDir;
use crate::{Result, cannot_run, listeners, name_of};

const TARGETS: usize = 1000;
/// The most instructions of a line of samples.
const LINE_BOUND: f64 = 1500.0;
/// How much more a probe may cost with events and times.
const DAILY_BOUND: f64 = 1.03;

/// Rounds of the short and of the long run.
const SHORT: u64 = 3;
const LONG: u64 = 13;
/// No report within a run. What the sandbox forbids, callgrind needs.
const SETTINGS: &str = "-q --interval 2s --report 24h --sandbox off";

/// Prints the instructions. `Err` if a bound is exceeded or nothing could be measured.
pub fn measure(binary: &Path) -> Result {
    let ports = listeners::open(TARGETS)?;
    let off = a_probe(binary, &ports, "")?;
    let daily = a_probe(binary, &ports, "--events on --times on")?;
    let samples = a_probe(binary, &ports, "--samples on")?;
    let (line, more) = (samples - off, daily / off);
    println!("user instructions of {}: {TARGETS} targets every 2s, {LONG} rounds minus {SHORT}", name_of(binary));
    println!("a probe, counts alone:       {off:>6.0}");
    println!(
        "a probe, events and times:   {daily:>6.0}, {:+.1} % (bound {:+.1} %)",
        percent(more),
        percent(DAILY_BOUND)
    );
    println!("a line of samples:           {line:>6.0} more (bound {LINE_BOUND})");
    let late = late(binary, &ports)?;
    println!("ticks skipped in {LONG} rounds with samples, without callgrind: {late} (bound 0)");
    if line > LINE_BOUND || more > DAILY_BOUND || late > 0 { Err("more than allowed".to_owned()) } else { Ok(()) }
}

fn percent(ratio: f64) -> f64 {
    (ratio - 1.0) * 100.0
}

fn dir(ports: &[u16]) -> Result<RunDir> {
    RunDir::new(ports.iter().map(|port| ("127.0.0.1", *port)))
}

/// The instructions of one probe with these settings.
fn a_probe(binary: &Path, ports: &[u16], words: &str) -> Result<f64> {
    let run = |rounds: u64| {
        let dir = dir(ports)?;
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(binary);
        valgrind.args(SETTINGS.split(' ')).args(words.split_whitespace()).args(["--rounds", &rounds.to_string()]);
        let output = dir.run(&mut valgrind).map_err(|error| cannot_run("valgrind", "valgrind", &error))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let count = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok());
        let count = count.ok_or_else(|| format!("valgrind of the program with {words}: {}\n{said}", output.status))?;
        Ok::<_, String>((count, dir.probes()?))
    };
    let ((short, few), (long, many)) = (run(SHORT)?, run(LONG)?);
    Ok(long.saturating_sub(short) as f64 / many.saturating_sub(few).max(1) as f64)
}

/// How many lines of samples of a run are no probe.
fn late(binary: &Path, ports: &[u16]) -> Result<usize> {
    let dir = dir(ports)?;
    let mut run = Command::new(binary);
    run.args(SETTINGS.split(' ')).args(["--samples", "on", "--rounds", &LONG.to_string()]);
    let output = dir.run(&mut run).map_err(|error| cannot_run("the program", "tcpmon", &error))?;
    let samples = fs::read_to_string(dir.path().join("tcp_samples_latest.csv"));
    let samples = samples.map_err(|error| format!("the samples: {error}; {output:?}"))?;
    Ok(samples.lines().filter(|line| line.contains(",skipped,")).count())
}
