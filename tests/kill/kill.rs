//! Kills the built program with SIGKILL, at every system call and at random moments, and starts it
//! again. No count may be lost, and none may be reported twice.
//!
//! Each target has a listener, which counts too. After every kill, and again after the next start,
//! these must hold:
//!
//! - the log has only whole headers and whole rows, the rows of a report stand together, and each
//!   row adds up;
//! - for every column of every target, the sum of the rows and of the ledger's unreported count is
//!   the ledger's total;
//! - every accepted connection is counted, except those in flight at the kill: connect was called
//!   and the socket was not closed, according to the trace of that run. Around a report none is in
//!   flight, so both numbers are equal;
//! - the next start says once which run did not end cleanly.
//!
//! The other daily files are held against the same counts ([`book`]):
//!
//! - the causes in the rows of times add up to the failed probes, at once after a clean end, and the skipped ticks to
//!   those of the ledger;
//! - every change of a target's state has exactly one event, in its order, as has every start and every end; a start
//!   after a kill says from when to when nobody watched;
//! - no probe has two samples, and only a killed run lacks some: those of its last second.
//!
//! After a kill the ledger may have the rest of the rows and events, and the next run writes it. Nothing but samples is
//! lost either if the disk was full, or the files could not be opened, until the kill.
//!
//! One exception until the next start: a kill during the write of a report that crosses a page
//! of the file leaves the first part of the report. The next start repairs that.
//!
//! `make killtest`; TCPMON_SEED=N repeats the random moments. Without strace the system calls are
//! skipped; with TCPMON_NO_SKIP=1 that is a failure. A path after `--` tests that binary.

// The lint is for the program, which reads its clocks in `sys::clock` only; this is a test.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::too_many_arguments, reason = "a table of cases is read more easily as calls")]

mod audit;
mod book;
mod columns;
mod events;
mod every_call;
mod ledger;
mod life;
mod log;
mod run_dir;
// The simulator uses the rest of it.
#[allow(dead_code)]
#[path = "../simulator/random.rs"]
mod random;
mod random_moments;
mod recovery;
mod run;
mod samples;
mod scene;
#[path = "../edges/scratch.rs"]
mod scratch;
mod times;
mod trace;
mod witness;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use every_call::Totals;
use random_moments::Lives;
use scene::Scene;
use witness::Witness;

/// How many scenes run at once: they mostly wait.
pub const WORKERS: u32 = 4;

/// The longest wait for any condition.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// The result of a part of the test; `Err` says what was wrong.
type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let count = words.len();
    words.retain(|word| word != "--bench");
    if words.is_empty() && count == 0 {
        // `cargo bench` passes --bench; without it this is `cargo test --all-targets`, which must be short.
        return ExitCode::SUCCESS;
    }
    let binary = words.first().map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tcpmon")), PathBuf::from);
    let result = binary.canonicalize().map_err(Into::into).and_then(|binary| kill(&binary));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("killtest: {why}");
            ExitCode::FAILURE
        }
    }
}

fn kill(binary: &Path) -> Result {
    let begun = Instant::now();
    let seed = seed()?;
    println!(
        "killing {} (random moments: TCPMON_SEED={seed})",
        binary.file_name().unwrap_or_default().to_string_lossy()
    );
    let with_strace = has_strace()?;
    let (totals, torn, lives) = thread::scope(|scope| {
        let lives = scope.spawn(move || random_moments::run(binary, &mut Witness::new()?, seed));
        let workers: Vec<_> = (0..if with_strace { WORKERS } else { 0 })
            .map(|worker| scope.spawn(move || work(binary, worker)))
            .collect();
        let mut totals: BTreeMap<usize, Totals> = BTreeMap::new();
        let mut torn = 0;
        let mut wrong = Vec::new();
        for worker in workers {
            match join(worker) {
                Ok((shares, cuts)) => {
                    shares.iter().enumerate().for_each(|(i, share)| totals.entry(i).or_default().add(share));
                    torn += cuts;
                }
                Err(why) => wrong.push(why.to_string()),
            }
        }
        match join(lives) {
            Ok(lives) if wrong.is_empty() => Ok((totals, torn, lives)),
            Ok(_) => Err(wrong.join("\nkilltest: ")),
            Err(why) => {
                wrong.push(why.to_string());
                Err(wrong.join("\nkilltest: "))
            }
        }
    })?;
    if with_strace {
        print_calls(&totals, torn);
    }
    print_lives(&lives);
    let kills: u64 = totals.values().map(Totals::kills).sum::<u64>() + u64::from(lives.lives);
    println!(
        "\n{kills} kills and {torn} torn writes in {} s: nothing lost, nothing reported twice",
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// One worker's share of each scene and of the torn reports.
fn work(binary: &Path, worker: u32) -> Result<(Vec<Totals>, u64)> {
    let mut witness = Witness::new()?;
    let mut totals = Vec::new();
    let mut wrong = Vec::new();
    for scene in Scene::ALL {
        totals.push(every_call::kill_everywhere(binary, &mut witness, scene, worker, &mut wrong)?);
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\nkilltest: ").into());
    }
    let torn = every_call::tear_everywhere(binary, &mut witness, worker)?;
    Ok((totals, torn))
}

fn join<T>(worker: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    worker.join().unwrap_or_else(|_| Err("a thread of the test has panicked".into()))
}

/// Kills by scene and by system call.
fn print_calls(totals: &BTreeMap<usize, Totals>, torn: u64) {
    println!(
        "\n{:<36} {:>7} {:>7} {:>9} {:>9} {:>9}",
        "killed at every system call", "before", "after", "in flight", "missing", "unmarked"
    );
    let mut all = Totals::default();
    for (scene, totals) in totals {
        let name = Scene::ALL.get(*scene).map_or("", |scene| scene.name());
        print_totals(name, totals);
        all.add(totals);
    }
    print_totals("all", &all);
    println!(
        "{1} of {0} kills found no probe in flight, and every accepted connection was counted",
        all.kills(),
        all.quiet
    );
    println!(
        "a report, rows of times, events or samples, torn at each of {torn} bytes, were made whole by the next start"
    );
    println!("\n{:<20} {:>7} {:>7}", "system call", "before", "after");
    for (call, [before, after]) in &all.calls {
        println!("{call:<20} {before:>7} {after:>7}");
    }
}

fn print_totals(name: &str, totals: &Totals) {
    let [before, after] = [0, 1].map(|side| totals.calls.values().map(|kills| kills[side]).sum::<u64>());
    println!("{name:<36} {before:>7} {after:>7} {:>9} {:>9} {:>9}", totals.in_flight, totals.missing, totals.unmarked);
}

fn print_lives(lives: &Lives) {
    let Lives { lives, probes, reports, missing, busy, unmarked, torn, early, samples, days } = lives;
    println!(
        "\n{lives} lives killed at random moments: {probes} probes in {reports} reports of {days} days, {samples} samples\n\
         {busy} kills found probes in flight, {missing} in all; {early} came before the run owned the ledger,\n\
         {torn} during the write of a report, {unmarked} after the write and before its mark"
    );
}

/// Whether strace runs. Prints a warning if not; with TCPMON_NO_SKIP it is an error.
fn has_strace() -> Result<bool> {
    if Command::new("strace").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Ok(true);
    }
    const WHY: &str = "strace does not run, Debian has it in the package strace";
    if env::var("TCPMON_NO_SKIP").is_ok() {
        return Err(WHY.into());
    }
    eprintln!("killtest: SKIPPED, NOTHING IS KILLED AT A SYSTEM CALL: {WHY}");
    Ok(false)
}

fn seed() -> Result<u64> {
    match env::var("TCPMON_SEED") {
        Ok(seed) => Ok(seed.parse().map_err(|_| format!("TCPMON_SEED={seed} is not a number"))?),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64),
    }
}

/// The wall clock, in seconds since 1970.
fn seconds() -> Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64)
}

/// Waits for a condition; `Err` after [`WAIT_LIMIT`].
fn wait_for(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result {
    let end = Instant::now() + WAIT_LIMIT;
    while !condition()? {
        if Instant::now() >= end {
            return Err(format!("waited in vain for: {what}").into());
        }
        thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}
