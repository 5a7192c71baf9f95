//! Shares the swaps out to workers, and prints what all of them found.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::{INSIDE, Order, Result, namespace};

/// Calls of a scene that name something that can be swapped.
pub const CALLS: &str = "calls";
/// Swaps that were made.
pub const SWAPS: &str = "swaps";
/// Swaps of which there is none at that call, such as of half of an empty file.
pub const IMPOSSIBLE: &str = "impossible";
/// Lives that did not make the call again.
pub const NOT_REACHED: &str = "not reached";

/// What a worker tells, in a line.
pub enum Line {
    /// Scene, key, count.
    Count(String, String, u64),
    /// Scene, and what was found wrong.
    Wrong(String, String),
}

impl Line {
    /// Prints it for the process that has started this worker.
    pub fn print(&self) {
        let line = match self {
            Line::Count(scene, key, count) => format!("{scene}\t{key}\t{count}\n"),
            Line::Wrong(scene, what) => format!("{scene}\twrong\t{}\n", what.replace(['\n', '\t'], " ")),
        };
        // If nobody reads it any more, the worker ends with its reader.
        let _ = io::stdout().write_all(line.as_bytes());
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, '\t').map(str::to_owned);
        let (scene, key, rest) = (words.next()?, words.next()?, words.next()?);
        Some(if key == "wrong" { Line::Wrong(scene, rest) } else { Line::Count(scene, key, rest.parse().ok()?) })
    }
}

/// Makes all swaps of an order. An error: something was found wrong.
pub fn share_out(order: &Order) -> Result {
    let begun = Instant::now();
    let Some(form) = namespace::form() else {
        return namespace::skip("neither root's rights nor a user namespace with several users and processes are here");
    };
    println!(
        "swapping names and pids under {} (TCPMON_SEED={}{})",
        order.binary.file_name().unwrap_or_default().to_string_lossy(),
        order.seed,
        if order.all { ", all swaps" } else { ", SWAP_RUNS=all makes all swaps" }
    );
    let form = form.as_slice();
    // A life mostly waits.
    let workers = 3 * thread::available_parallelism()?.get();
    let results = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..workers).map(|worker| scope.spawn(move || run(order, form, worker, workers))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err("a thread panicked".into()))).collect::<Vec<_>>()
    });
    let mut failed = BTreeSet::new();
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut wrong: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for result in results {
        let (output, success) = result.map_err(|error| error.to_string())?;
        for line in output.lines() {
            match Line::parse(line) {
                Some(Line::Count(scene, key, count)) => {
                    *counts.entry(scene).or_default().entry(key).or_default() += count
                }
                Some(Line::Wrong(scene, what)) => drop(wrong.entry(scene).or_default().insert(what)),
                None => drop(failed.insert(line.to_owned())),
            }
        }
        if !success {
            failed.insert("a worker gave up".to_owned());
        }
    }
    print(&counts, &wrong);
    let found: usize = wrong.values().map(BTreeSet::len).sum();
    let swaps: u64 = counts.values().filter_map(|counts| counts.get(SWAPS)).sum();
    println!("\n{swaps} swaps in {} s", begun.elapsed().as_secs());
    if !failed.is_empty() {
        return Err(failed.into_iter().collect::<Vec<_>>().join("\n").into());
    }
    if found > 0 { Err(format!("{found} times harm was done").into()) } else { Ok(()) }
}

/// Runs a worker in new namespaces. Returns what it printed, and whether it succeeded.
fn run(
    order: &Order,
    form: &[&str],
    worker: usize,
    workers: usize,
) -> std::result::Result<(String, bool), Box<dyn std::error::Error + Send + Sync>> {
    let mut command = Command::new(form[0]);
    command.args(&form[1..]).arg(env::current_exe()?).arg(INSIDE);
    command.args([worker.to_string(), workers.to_string(), order.seed.to_string()]);
    command.arg(if order.all { "all" } else { "some" }).arg(&order.binary).args(&order.scenes);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    Ok((String::from_utf8(output.stdout)?, output.status.success()))
}

fn print(counts: &BTreeMap<String, BTreeMap<String, u64>>, wrong: &BTreeMap<String, BTreeSet<String>>) {
    println!("\n{:<18} {:>6} {:>6} {:>11} {:>11} {:>6}", "scene", CALLS, SWAPS, IMPOSSIBLE, NOT_REACHED, "harm");
    for (scene, counts) in counts {
        let count = |key: &str| counts.get(key).copied().unwrap_or(0);
        let harm = wrong.get(scene).map_or(0, BTreeSet::len);
        let [calls, swaps, impossible, not_reached] = [CALLS, SWAPS, IMPOSSIBLE, NOT_REACHED].map(count);
        println!("{scene:<18} {calls:>6} {swaps:>6} {impossible:>11} {not_reached:>11} {harm:>6}");
    }
    for (scene, wrong) in wrong {
        println!();
        for what in wrong {
            println!("{scene}: {what}");
        }
    }
}
