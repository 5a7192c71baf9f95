//! Kills the program as it is built with SIGKILL, at every system call and at random moments, and
//! starts it again. Nothing that was counted may be lost, and nothing told twice.
//!
//! The other side counts too: each target has a listener. After every kill, while nobody runs, and
//! after the start that follows it, these must hold:
//!
//! - the log is whole headers and whole rows, the rows of a report stand together, and each of
//!   them adds up;
//! - for every column of every target, the rows and what the ledger holds unreported are together
//!   what it has counted since it began;
//! - of the connections that a listener accepted all are counted but those in flight at the kill:
//!   those whose connect was made and whose socket was not closed, by the trace of that very run.
//!   Around a report there are none, and then it is the same number;
//! - the next start says once which run did not end cleanly.
//!
//! One thing only may be amiss while nobody runs: a kill within the write of a report, where it goes
//! over a page of the file, leaves the first part of it. The next start makes that good.
//!
//! `make killtest`; TCPMON_SEED=N repeats the random moments. Without strace the system calls are
//! left out; with TCPMON_NO_SKIP=1 that is a failure. A path behind `--` kills that binary.

// The lints keep the program's clock in one place; this stands outside the program.
#![allow(clippy::disallowed_methods)]

mod audit;
mod columns;
mod every_call;
mod ledger;
mod life;
mod log;
mod place;
// The simulator uses all of it.
#[allow(dead_code)]
#[path = "../simulator/random.rs"]
mod random;
mod random_moments;
mod recovery;
mod run;
mod scene;
mod trace;
mod witness;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use every_call::Toll;
use random_moments::Lives;
use scene::Scene;
use witness::Witness;

/// How many scenes are worked on at once: most of the time they wait.
pub const WORKERS: u32 = 4;

/// Whatever is waited for and has not come in this time will not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The end of a part of the test; `Err` says what was wrong.
type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let count = words.len();
    words.retain(|word| word != "--bench");
    if words.is_empty() && count == 0 {
        // `cargo bench` says so; this is `cargo test --all-targets`, which need not take so long.
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
    let (tolls, torn, lives) = thread::scope(|scope| {
        let lives = scope.spawn(move || random_moments::run(binary, &mut Witness::new()?, seed));
        let workers: Vec<_> = (0..if with_strace { WORKERS } else { 0 })
            .map(|worker| scope.spawn(move || work(binary, worker)))
            .collect();
        let mut tolls: BTreeMap<usize, Toll> = BTreeMap::new();
        let mut torn = 0;
        let mut wrong = Vec::new();
        for worker in workers {
            match join(worker) {
                Ok((shares, cuts)) => {
                    shares.iter().enumerate().for_each(|(i, share)| tolls.entry(i).or_default().add(share));
                    torn += cuts;
                }
                Err(why) => wrong.push(why.to_string()),
            }
        }
        match join(lives) {
            Ok(lives) if wrong.is_empty() => Ok((tolls, torn, lives)),
            Ok(_) => Err(wrong.join("\nkilltest: ")),
            Err(why) => {
                wrong.push(why.to_string());
                Err(wrong.join("\nkilltest: "))
            }
        }
    })?;
    if with_strace {
        print_calls(&tolls, torn);
    }
    print_lives(&lives);
    let kills: u64 = tolls.values().map(Toll::kills).sum::<u64>() + u64::from(lives.lives);
    println!(
        "\n{kills} kills and {torn} torn reports in {} s: nothing lost, nothing told twice",
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// One worker's share of everything: of each scene, and of the torn reports.
fn work(binary: &Path, worker: u32) -> Result<(Vec<Toll>, u64)> {
    let mut witness = Witness::new()?;
    let mut tolls = Vec::new();
    let mut wrong = Vec::new();
    for scene in Scene::ALL {
        tolls.push(every_call::hunt(binary, &mut witness, scene, worker, &mut wrong)?);
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\nkilltest: ").into());
    }
    let torn = every_call::tear_everywhere(binary, &mut witness, worker)?;
    Ok((tolls, torn))
}

fn join<T>(worker: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    worker.join().unwrap_or_else(|_| Err("a part of the test has panicked".into()))
}

/// Kills by scene, and by system call.
fn print_calls(tolls: &BTreeMap<usize, Toll>, torn: u64) {
    println!(
        "\n{:<36} {:>7} {:>7} {:>9} {:>9} {:>9}",
        "killed at every system call", "before", "behind", "in flight", "missing", "open"
    );
    let mut all = Toll::default();
    for (scene, toll) in tolls {
        let name = Scene::ALL.get(*scene).map_or("", |scene| scene.name());
        print_toll(name, toll);
        all.add(toll);
    }
    print_toll("all", &all);
    println!(
        "of {} kills {} found no probe in flight, and every accepted connection was counted",
        all.kills(),
        all.quiet
    );
    println!("a report torn at each of {torn} places was made whole by the next start");
    println!("\n{:<20} {:>7} {:>7}", "system call", "before", "behind");
    for (call, [before, behind]) in &all.calls {
        println!("{call:<20} {before:>7} {behind:>7}");
    }
}

fn print_toll(name: &str, toll: &Toll) {
    let [before, behind] = [0, 1].map(|side| toll.calls.values().map(|kills| kills[side]).sum::<u64>());
    println!("{name:<36} {before:>7} {behind:>7} {:>9} {:>9} {:>9}", toll.in_flight, toll.missing, toll.open);
}

fn print_lives(lives: &Lives) {
    let Lives { lives, probes, reports, missing, busy, open, torn, early } = lives;
    println!(
        "\n{lives} lives killed at random moments: {probes} probes in {reports} reports\n\
         {busy} kills found probes in flight, {missing} in all; {early} came before the ledger was taken over,\n\
         {torn} within the write of a report, {open} between that and its mark"
    );
}

/// Whether there is a strace; it is said loudly where there is none.
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
        Ok(seed) => Ok(seed.parse().map_err(|_| format!("TCPMON_SEED={seed} is no number"))?),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64),
    }
}

/// The wall clock, in seconds since 1970.
fn seconds() -> Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64)
}

/// Waits until it is so. `Err` where it never is.
fn patience(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result {
    let end = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() >= end {
            return Err(format!("waited in vain for: {what}").into());
        }
        thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}
