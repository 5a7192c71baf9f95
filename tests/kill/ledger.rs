//! The ledger as `tcpmon status` shows it, while no monitor runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;
use crate::columns::Columns;
use crate::run_dir::{LEDGER, RunDir};

/// What the ledger holds for a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Not reported yet.
    pub interval: Columns,
    /// Since the ledger began.
    pub total: Columns,
    /// Skipped ticks.
    pub skipped: u64,
}

/// The ledger's content.
#[derive(Debug)]
pub struct Ledger {
    /// The last run.
    pub pid: u32,
    /// The same, if it did not end cleanly.
    pub unclean: Option<u32>,
    pub targets: BTreeMap<String, Held>,
}

impl Ledger {
    /// Asks the program. `None` where there is no ledger yet.
    pub fn of(binary: &Path, dir: &RunDir) -> Result<Option<Self>> {
        // The program writes the first word of a ledger last: without it the file was never used.
        match fs::read(dir.file(LEDGER)) {
            Ok(bytes) if bytes.iter().take(4).any(|byte| *byte != 0) => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut status = Command::new(binary);
        status.args(["status", "--ledger", LEDGER, "--json"]).current_dir(dir.path()).env("TZ", "UTC");
        let output = status.stdin(Stdio::null()).output()?;
        let (said, complaints) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
        let ledger = serde_json::from_str(&said).map_err(Into::into).and_then(|value| Self::read(&value));
        ledger.map(Some).map_err(|why| format!("status: {}, {why}\n{said}{complaints}", output.status).into())
    }

    fn read(value: &Value) -> Result<Self> {
        if value["running"] != false {
            return Err("it shows a running monitor, but none runs".into());
        }
        let mut targets = BTreeMap::new();
        for target in value["targets"].as_array().ok_or("it has no targets")? {
            let service = target["service"].as_str().ok_or("a target has no service")?.to_owned();
            let skipped = target["skipped"].as_u64().ok_or("a target has no \"skipped\"")?;
            let held = Held { interval: columns(&target["interval"])?, total: columns(&target["total"])?, skipped };
            if targets.insert(service, held).is_some() {
                return Err("it has a target twice".into());
            }
        }
        let clean = value["clean"].as_bool().ok_or("it has no \"clean\"")?;
        let pid = u32::try_from(value["pid"].as_u64().ok_or("it has no pid")?)?;
        Ok(Self { pid, unclean: (!clean).then_some(pid), targets })
    }
}

fn columns(value: &Value) -> Result<Columns> {
    let mut columns = Columns::default();
    for (column, key) in columns.0.iter_mut().zip(Columns::KEYS) {
        *column = value[key].as_u64().ok_or_else(|| format!("no {key} in {value}"))?;
    }
    if columns.adds_up() { Ok(columns) } else { Err(format!("it does not add up: {value}").into()) }
}
