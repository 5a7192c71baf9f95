//! Runs many random worlds at once, and says which failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tcpmon::sys::clock;

use crate::scenario::{self, Sum};
use crate::trace;

/// Hours in the normal run.
const SEEDS: u64 = 1000;

/// Failures after which it is not worth going on.
const ENOUGH: usize = 5;

#[test]
fn every_random_hour_keeps_the_promises() {
    if let Some(seed) = setting("TCPMON_SEED") {
        trace::start();
        let result = hour(seed);
        if result.is_err() {
            trace::steps().iter().for_each(|step| println!("{step}"));
        }
        println!("seed {seed}: {result:?}");
        assert_eq!(result.err(), None);
        return;
    }
    let begun = clock::monotonic();
    let seeds = setting("TCPMON_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < seeds
                {
                    match hour(seed) {
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
    let Sum { probes, skipped, requests, seconds } = sum.into_inner().expect("no thread dies with it");
    let ended: u64 = probes.iter().sum();
    println!(
        "{seeds} seeds: {} simulated hours, {ended} probes ({} a seed), {skipped} ticks skipped, \
         {requests} lookups and connects, {} ms",
        seconds / 3600,
        ended / seeds.max(1),
        clock::monotonic().since(begun).as_millis()
    );
    let mut failures = failures.into_inner().expect("no thread dies with it");
    failures.sort();
    let told: Vec<String> = failures
        .into_iter()
        .map(|(seed, why)| {
            format!("seed {seed} failed: {why}; run it alone with TCPMON_SEED={seed} cargo test --test simulator")
        })
        .collect();
    assert!(told.is_empty(), "\n{}", told.join("\n"));
    // A world in which one kind of end is rare tests little.
    assert!(seeds < SEEDS || probes.iter().all(|count| *count > ended / 2000), "{probes:?} of {ended}");
}

fn hour(seed: u64) -> Result<Sum, String> {
    catch_unwind(AssertUnwindSafe(|| scenario::run(seed))).map_err(|panic| message(&*panic))
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

impl Sum {
    fn add(&mut self, one: Sum) {
        for (sum, one) in self.probes.iter_mut().zip(one.probes) {
            *sum += one;
        }
        self.skipped += one.skipped;
        self.requests += one.requests;
        self.seconds += one.seconds;
    }
}
