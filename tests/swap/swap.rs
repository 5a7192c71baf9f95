//! Swaps names and pids under the program: before and after every system call that names a file or a process, the
//! program is stopped, another user puts something else in the place of that name, and the program goes on.
//!
//! What is put there: another file, a symbolic or hard link to a file that the other user may not write, a FIFO, a
//! directory, a device, a file that was cut, a ledger that names a foreign process, nothing; for a pid, another process.
//! Whether the other user has the right to do so is decided by the kernel: the test makes the swap with that user's
//! rights (setfsuid(2)). Afterwards these must hold:
//!
//! - no file outside the log's and the ledger's directory has changed, and none was made or removed there;
//! - a file that is no ledger is neither changed nor moved if it has the ledger's name;
//! - no foreign process has got a signal;
//! - no byte of a foreign file stands in the program's output, the system log or the daily log;
//! - the program has ended by itself within [`life::LIMIT`], and not by a signal.
//!
//! `make swaptest` makes a few swaps of each name at every call, chosen by a seed (TCPMON_SEED=N repeats them), and
//! SWAP_RUNS=all all of them. Arguments: the names of scenes, and the path of another binary. It needs root's rights,
//! a user namespace with several users, or sudo; where there is none, it is skipped, with TCPMON_NO_SKIP=1 it fails.

// The lint is for the program, which reads its clocks in `sys::clock` only; this is a test.
#![allow(clippy::disallowed_methods)]

mod area;
mod calls;
mod checks;
mod decoy;
mod life;
mod namespace;
mod plan;
mod remains;
mod scene;
mod swapper;
mod tally;
mod tracer;
mod worker;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// The first argument inside the namespace.
pub const INSIDE: &str = "inside-its-namespace";

/// The result of a part of the test; `Err` says what was wrong.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What is to be tried.
pub struct Order {
    /// The program.
    pub binary: PathBuf,
    /// What chooses the swaps.
    pub seed: u64,
    /// Every swap, not a few at each call.
    pub all: bool,
    /// The scenes; none: all of them.
    pub scenes: Vec<String>,
}

fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let count = words.len();
    words.retain(|word| word != "--bench");
    let result = match words.split_first() {
        // `cargo bench` passes --bench; without it this is `cargo test --all-targets`, which must be short.
        None if count == 0 => Ok(()),
        Some((word, words)) if word == INSIDE => worker::work(words),
        Some(_) | None => order(words).and_then(|order| tally::share_out(&order)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("swaptest: {why}");
            ExitCode::FAILURE
        }
    }
}

fn order(words: Vec<String>) -> Result<Order> {
    let (paths, scenes): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| word.contains('/'));
    if let Some(word) = scenes.iter().find(|word| scene::ALL.iter().all(|scene| scene.name != **word)) {
        let names: Vec<&str> = scene::ALL.iter().map(|scene| scene.name).collect();
        return Err(format!("no scene is called {word}; there are {}", names.join(", ")).into());
    }
    let binary = paths.first().map_or(env!("CARGO_BIN_EXE_tcpmon"), String::as_str);
    let binary = PathBuf::from(binary).canonicalize().map_err(|error| format!("{binary}: {error}"))?;
    let seed = match env::var("TCPMON_SEED") {
        Ok(seed) => seed.parse().map_err(|_| format!("TCPMON_SEED={seed} is not a number"))?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64,
    };
    let all = env::var("SWAP_RUNS").is_ok_and(|runs| runs == "all");
    Ok(Order { binary, seed, all, scenes })
}
