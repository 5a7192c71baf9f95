//! Measures the built program: what a probe costs, and how accurate its times are.
//!
//! `cargo bench --bench measure -- syscalls` compares the loop's system calls with their bounds;
//! `-- accuracy` compares the reported times with a capture; `-- memory` compares the private memory
//! of the processes with its bounds; `-- instructions` counts those of a probe and of a line of samples; `-- outage`
//! shows what a thousand targets that go down at once cost the others; `-- report` times a report of a year. Each prints its figures. Exit status 1: a bound is exceeded, or
//! nothing could be measured, with the reason on stderr. A path after the word measures that binary,
//! for instance one built for musl.

// The lint is for the program, which reads its clocks in `sys::clock` only; this is a test.
#![allow(clippy::disallowed_methods)]

mod accuracy;
mod capture;
mod distribution;
mod far_peer;
mod idle;
mod instructions;
mod listeners;
mod memory;
#[path = "../fault/name_server.rs"]
mod name_server;
#[path = "../fault/namespace.rs"]
mod namespace;
mod outage;
mod report;
mod run_dir;
#[path = "../edges/scratch.rs"]
mod scratch;
mod strace;
mod syscalls;
mod untraced;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How many targets share a tick.
const TARGETS: usize = 256;

/// The first argument inside the namespace.
const INSIDE: &str = "inside";

const USAGE: &str =
    "usage: cargo bench --bench measure -- [syscalls|accuracy|memory|instructions|outage|report [BINARY]]";

fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let count = words.len();
    words.retain(|word| word != "--bench");
    let inside = words.first().is_some_and(|word| word == INSIDE);
    if inside {
        words.remove(0);
    }
    if words.is_empty() && count == 0 {
        // `cargo bench` passes --bench; without it this is `cargo test --all-targets`, which needs no figures.
        return ExitCode::SUCCESS;
    }
    let binary = words.get(1).map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tcpmon")), PathBuf::from);
    let Ok(binary) = binary.canonicalize() else {
        eprintln!("measure: {}: there is no such program", binary.display());
        return ExitCode::FAILURE;
    };
    let result = match words.first().map(String::as_str) {
        None => syscalls::measure(&binary).and_then(|()| accuracy::measure(&binary)),
        Some("syscalls") => syscalls::measure(&binary),
        Some(memory::INSIDE) if inside => memory::measure_inside(&binary),
        Some(memory::INSIDE) => memory::measure(&binary),
        Some("instructions") => instructions::measure(&binary),
        Some("outage") => outage::measure(&binary),
        Some("report") => report::measure(&binary),
        Some("accuracy") => accuracy::measure(&binary),
        Some(accuracy::INSIDE) => accuracy::measure_inside(&binary),
        Some(_) => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            if !why.is_empty() {
                eprintln!("measure: {why}");
            }
            ExitCode::FAILURE
        }
    }
}

/// `Err` says what was wrong; it is empty if that has been printed already.
type Result<T = ()> = std::result::Result<T, String>;

/// The message for a command that could not be run.
fn cannot_run(command: &str, package: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{command} is not installed, nothing was measured; Debian has it in the package {package}")
        }
        _ => format!("{command} does not run ({error}), nothing was measured"),
    }
}

/// The name of a program, without its directories.
fn name_of(binary: &Path) -> String {
    binary.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
