//! Runs many random worlds in parallel, and says which seeds failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tcpmon::sys::clock;

use crate::kill_chain::{self, ChainTotals};
use crate::scenario::{self, HourTotals};
use crate::season::{self, SeasonTotals};
use crate::trace;

/// Simulated hours in a normal run.
const HOURS: u64 = 1000;

/// Chains of killed processes in a normal run.
const CHAINS: u64 = 500;

/// Seasons of a box with a wrong clock in a normal run.
const SEASONS: u64 = 500;

/// Stop after so many failures.
const ENOUGH: usize = 5;

/// The results of some seeds, which can be added up.
trait Totals: Default + Send + std::fmt::Debug {
    fn add(&mut self, one: Self);
}

#[test]
fn every_random_hour_keeps_the_promises() {
    let Some((seeds, sum, millis)) = run_seeds(HOURS, scenario::run) else { return };
    let HourTotals { probes, skipped, requests, seconds } = sum;
    let ended: u64 = probes.iter().sum();
    println!(
        "{seeds} seeds: {} simulated hours, {ended} probes ({} a seed), {skipped} ticks skipped, \
         {requests} lookups and connects, {millis} ms",
        seconds / 3600,
        ended / seeds.max(1),
    );
    // Each outcome must be frequent enough to be tested.
    assert!(seeds < HOURS || probes.iter().all(|count| *count > ended / 2000), "{probes:?} of {ended}");
}

#[test]
fn whatever_a_kill_lands_on_every_probe_is_in_the_log_or_in_the_ledger_once() {
    let Some((seeds, sum, millis)) = run_seeds(CHAINS, kill_chain::run) else { return };
    let ChainTotals { kills, halves, starts, late_reports, reports, probes, events, lost, seconds } = sum;
    println!(
        "{seeds} seeds: {kills} kills, {halves} of them during an operation, {starts} at a start, \
         {late_reports} reports written late, {reports} reports, {probes} probes, {events} events, {lost} without room, \
         {} simulated days, {millis} ms",
        seconds / 86_400,
    );
    let rare = kills / 50;
    assert!(seeds < CHAINS || (halves > rare && starts > rare && late_reports > rare && lost > rare), "{sum:?}");
}

#[test]
fn a_wrong_clock_costs_one_file_of_the_log_for_each_wrong_day_and_never_more() {
    let Some((seeds, sum, millis)) = run_seeds(SEASONS, season::run) else { return };
    let SeasonTotals { wrong, deleted, seconds } = sum;
    println!(
        "{seeds} seeds: {wrong} files begun by a wrong clock, {deleted} deleted, {} simulated days, {millis} ms",
        seconds / 86_400
    );
    assert!(seeds < SEASONS || (wrong > seeds && deleted > 10 * seeds), "{sum:?}");
}

/// Runs all seeds, or only the one in `TCPMON_SEED`. Returns how many there were, their results, and
/// the milliseconds it took.
fn run_seeds<T: Totals>(usual: u64, run: fn(u64) -> T) -> Option<(u64, T, u64)> {
    if let Some(seed) = setting("TCPMON_SEED") {
        trace::start();
        let result = one(run, seed);
        if result.is_err() {
            trace::lines().iter().for_each(|line| println!("{line}"));
        }
        println!("seed {seed}: {result:?}");
        assert_eq!(result.err(), None);
        return None;
    }
    let begun = clock::monotonic();
    let seeds = setting("TCPMON_SEEDS").unwrap_or(usual);
    let next = AtomicU64::new(0);
    let sum = Mutex::new(T::default());
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds) {
                    match one(run, seed) {
                        Ok(one) => sum.lock().expect("no thread panics while it has the lock").add(one),
                        Err(why) => {
                            let mut failures = failures.lock().expect("no thread panics while it has the lock");
                            failures.push((seed, why));
                            if failures.len() >= ENOUGH {
                                next.store(seeds, Ordering::Relaxed);
                            }
                        }
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no thread panics while it has the lock");
    failures.sort();
    let told: Vec<String> = failures
        .into_iter()
        .map(|(seed, why)| {
            format!("seed {seed} failed: {why}; run it alone with TCPMON_SEED={seed} cargo test --test simulator")
        })
        .collect();
    assert!(told.is_empty(), "\n{}", told.join("\n"));
    let millis = clock::monotonic().since(begun).millis();
    Some((seeds, sum.into_inner().expect("no thread panics while it has the lock"), millis))
}

fn one<T>(run: fn(u64) -> T, seed: u64) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed))).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text.to_string(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a message".into(),
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| unreachable!("{name}={value} is not a number")))
}

impl Totals for HourTotals {
    fn add(&mut self, one: HourTotals) {
        for (sum, one) in self.probes.iter_mut().zip(one.probes) {
            *sum += one;
        }
        self.skipped += one.skipped;
        self.requests += one.requests;
        self.seconds += one.seconds;
    }
}

impl Totals for SeasonTotals {
    fn add(&mut self, one: SeasonTotals) {
        self.wrong += one.wrong;
        self.deleted += one.deleted;
        self.seconds += one.seconds;
    }
}

impl Totals for ChainTotals {
    fn add(&mut self, one: ChainTotals) {
        self.kills += one.kills;
        self.halves += one.halves;
        self.starts += one.starts;
        self.late_reports += one.late_reports;
        self.reports += one.reports;
        self.probes += one.probes;
        self.events += one.events;
        self.lost += one.lost;
        self.seconds += one.seconds;
    }
}
