//! Counts the system calls of one process with strace(1), without its helpers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run_dir::RunDir;
use crate::{Result, cannot_run};

/// How often each system call was made in a whole run.
pub struct Calls(BTreeMap<String, u64>);

/// Runs the program under strace with these arguments, separated by blanks.
pub fn count(binary: &Path, dir: &RunDir, arguments: &str) -> Result<Calls> {
    let mut strace = Command::new("strace");
    strace.args(["-c", "-o", "calls", "--"]).arg(binary).args(arguments.split_whitespace());
    let output = dir.run(&mut strace).map_err(|error| cannot_run("strace", "strace", &error))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("strace of the program with {arguments}: {}\n{}", output.status, complaints.trim_end()));
    }
    // Skipped ticks are allowed: the costs are divided by the probes made, not by those planned.
    eprint!("{complaints}");
    let table = fs::read_to_string(dir.path().join("calls")).map_err(|error| format!("strace's table: {error}"))?;
    Calls::parse(&table).ok_or_else(|| format!("strace's table is not understood:\n{table}"))
}

impl Calls {
    /// Reads the columns `% time`, `seconds`, `usecs/call`, `calls`, `errors` (may be empty) and
    /// `syscall`.
    fn parse(table: &str) -> Option<Self> {
        let mut rows = table.lines().skip_while(|line| !line.starts_with("---")).skip(1);
        let mut calls = BTreeMap::new();
        for row in rows.by_ref().take_while(|line| !line.starts_with("---")) {
            let words: Vec<&str> = row.split_whitespace().collect();
            calls.insert((*words.last()?).to_owned(), words.get(3)?.parse().ok()?);
        }
        (!calls.is_empty()).then_some(Self(calls))
    }

    /// How much more often each call was made than in a shorter run.
    pub fn since(&self, shorter: &Self) -> BTreeMap<String, i64> {
        let names = self.0.keys().chain(shorter.0.keys());
        let of = |calls: &Self, name| calls.0.get(name).copied().unwrap_or(0) as i64;
        let differences = names.map(|name| (name.clone(), of(self, name) - of(shorter, name)));
        differences.filter(|(_, difference)| *difference != 0).collect()
    }
}
