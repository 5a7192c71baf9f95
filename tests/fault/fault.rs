//! Makes every system call of the program fail with every errno that its manual page names, while
//! the program runs against real listeners and a real name server. Checks that there is no crash,
//! no busy loop, each message once, that rows add up, that no target is blamed for a shortage of
//! our own, and that the log is full again after the fault. The other daily files must have all that the log has, and a
//! fault at one kind of file holds up none of the others.
//!
//! `cargo bench --bench fault -- all` makes all faults and prints the table of call, errno and
//! behaviour; `-- connect write` makes those of two calls. The faults are strace(1)'s
//! `inject=CALL:error=ERRNO`: strace is attached for a second and detached again, so that the fault
//! begins and ends like a real one. Exit status 1: a check failed; the details are printed.

// The lint is for the program, which reads its clocks in `sys::clock` only; this is a test.
#![allow(clippy::disallowed_methods)]

mod baseline;
mod cases;
mod daily_log;
mod messages;
mod name_server;
mod namespace;
mod other_files;
mod program;
mod run;
#[path = "../edges/scratch.rs"]
mod scratch;
mod services;
mod strace;
mod table;
mod verdict;
mod workers;

use std::env;
use std::process::ExitCode;

use cases::Case;
use verdict::Verdict;

/// The first argument inside the namespace; the calls follow.
const INSIDE: &str = "inside-its-namespace";

const USAGE: &str = "usage: cargo bench --bench fault -- all|CALL ...";

/// `Err` says what was wrong; it is empty if that has been printed already.
type Result<T = ()> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    words.retain(|word| word != "--bench");
    if words.is_empty() {
        // `cargo test --all-targets` or a plain `cargo bench`: the faults would take minutes.
        return ExitCode::SUCCESS;
    }
    let result = match words.split_first() {
        Some((word, words)) if word == INSIDE => namespace::set_up().and_then(|()| make(words)),
        _ => namespace::enter(&words),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            if !why.is_empty() {
                eprintln!("fault: {why}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Makes the faults of these calls, and prints the table.
fn make(calls: &[String]) -> Result {
    let cases: Vec<Case> = cases::all()
        .filter(|case| calls.iter().any(|call| call == "all" || case.call().split(' ').next() == Some(call.as_str())))
        .collect();
    if cases.is_empty() {
        return Err(USAGE.to_owned());
    }
    name_server::start()?;
    let baseline = baseline::record()?;
    let control = Verdict::of(None, &run::make(None, &baseline)?);
    if !control.failures.is_empty() {
        return Err(format!("without a fault: {}", control.failures.join("\n    ")));
    }
    let verdicts = workers::judge_all(&cases, &baseline);
    table::print(&cases, &verdicts);
    let wrong: Vec<String> = cases.iter().zip(&verdicts).filter_map(|(case, verdict)| verdict.wrong(case)).collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {} faults failed their checks\n{}", wrong.len(), cases.len(), wrong.join("\n")))
    }
}
