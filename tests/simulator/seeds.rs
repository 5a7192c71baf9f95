//! Runs many random worlds at once, and says which failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tcpmon::sys::clock;

use crate::kills::{self, Toll};
use crate::scenario::{self, Sum};
use crate::trace;

/// Hours in the normal run.
const HOURS: u64 = 1000;

/// Chains of killed processes in the normal run.
const CHAINS: u64 = 500;

/// Failures after which it is not worth going on.
const ENOUGH: usize = 5;

/// What came of some seeds, to be added up.
trait Yield: Default + Send + std::fmt::Debug {
    fn add(&mut self, one: Self);
}

#[test]
fn every_random_hour_keeps_the_promises() {
    let Some((seeds, sum, millis)) = live(HOURS, scenario::run) else { return };
    let Sum { probes, skipped, requests, seconds } = sum;
    let ended: u64 = probes.iter().sum();
    println!(
        "{seeds} seeds: {} simulated hours, {ended} probes ({} a seed), {skipped} ticks skipped, \
         {requests} lookups and connects, {millis} ms",
        seconds / 3600,
        ended / seeds.max(1),
    );
    // A world in which one kind of end is rare tests little.
    assert!(seeds < HOURS || probes.iter().all(|count| *count > ended / 2000), "{probes:?} of {ended}");
}

#[test]
fn whatever_a_kill_lands_on_every_probe_is_in_the_log_or_in_the_ledger_once() {
    let Some((seeds, sum, millis)) = live(CHAINS, kills::run) else { return };
    let Toll { kills, halves, starts, late_reports, reports, probes, seconds } = sum;
    println!(
        "{seeds} seeds: {kills} kills, {halves} of them in the midst of a step, {starts} at a start, \
         {late_reports} reports made up for, {reports} reports, {probes} probes, {} simulated days, {millis} ms",
        seconds / 86_400,
    );
    let rare = kills / 50;
    assert!(seeds < CHAINS || (halves > rare && starts > rare && late_reports > rare), "{sum:?}");
}

/// Lives through all seeds, or through the one that is asked for. Gives how many there were, what
/// came of them, and the milliseconds it took.
fn live<T: Yield>(usual: u64, run: fn(u64) -> T) -> Option<(u64, T, u64)> {
    if let Some(seed) = setting("TCPMON_SEED") {
        trace::start();
        let result = one(run, seed);
        if result.is_err() {
            trace::steps().iter().for_each(|step| println!("{step}"));
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
                        Ok(one) => sum.lock().expect("no thread dies with it").add(one),
                        Err(why) => {
                            let mut failures = failures.lock().expect("no thread dies with it");
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
    let mut failures = failures.into_inner().expect("no thread dies with it");
    failures.sort();
    let told: Vec<String> = failures
        .into_iter()
        .map(|(seed, why)| {
            format!("seed {seed} failed: {why}; run it alone with TCPMON_SEED={seed} cargo test --test simulator")
        })
        .collect();
    assert!(told.is_empty(), "\n{}", told.join("\n"));
    let millis = clock::monotonic().since(begun).millis();
    Some((seeds, sum.into_inner().expect("no thread dies with it"), millis))
}

fn one<T>(run: fn(u64) -> T, seed: u64) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed))).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text.to_string(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without words".into(),
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| unreachable!("{name}={value} is no number")))
}

impl Yield for Sum {
    fn add(&mut self, one: Sum) {
        for (sum, one) in self.probes.iter_mut().zip(one.probes) {
            *sum += one;
        }
        self.skipped += one.skipped;
        self.requests += one.requests;
        self.seconds += one.seconds;
    }
}

impl Yield for Toll {
    fn add(&mut self, one: Toll) {
        self.kills += one.kills;
        self.halves += one.halves;
        self.starts += one.starts;
        self.late_reports += one.late_reports;
        self.reports += one.reports;
        self.probes += one.probes;
        self.seconds += one.seconds;
    }
}
