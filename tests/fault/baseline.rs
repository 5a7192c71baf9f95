//! Counts the calls of the dynamic linker and the standard library before the program's own first
//! call: a fault at the start must not hit them, because they are not tested here.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;

use crate::Result;
use crate::daily_log;
use crate::program::Program;
use crate::services::Services;
use crate::strace::{Order, Strace};

/// A run without a fault.
pub struct Baseline {
    /// How often each call is made before the program's first.
    before: HashMap<String, usize>,
    /// The first line of its daily log.
    pub header: String,
    /// The daily log's name.
    pub file: OsString,
}

/// Runs the program once without a fault.
pub fn record() -> Result<Baseline> {
    let services = Services::open()?;
    let mut program = Program::start_stopped(&services)?;
    let strace = Strace::attach(program.dir(), &Order { pids: vec![program.pid()], ..Order::default() })?;
    program.go_on();
    program.wait_for("a first report", |program| !daily_log::read(program.dir()).rows.is_empty())?;
    let trace = strace.detach()?;
    let log = daily_log::files(program.dir()).pop().ok_or("no daily log")?;
    let text = fs::read_to_string(&log).map_err(|error| error.to_string())?;
    let header = text.lines().next().unwrap_or_default().to_owned() + "\n";
    let file = log.file_name().unwrap_or_default().to_owned();
    let mut before = HashMap::new();
    for call in &trace.calls {
        let Some((name, arguments)) = call.split_once('(') else { continue };
        // The program's first call: fstat of its standard output.
        if name.contains("stat") && arguments.starts_with("1,") {
            return Ok(Baseline { before, header, file });
        }
        *before.entry(name.to_owned()).or_insert(0) += 1;
    }
    Err("the program's first call, fstat(2) of its standard output, was not seen".to_owned())
}

impl Baseline {
    /// The number of the first call of this name that is the program's.
    pub fn first(&self, name: &str) -> usize {
        self.before.get(name).copied().unwrap_or(0) + 1
    }
}
