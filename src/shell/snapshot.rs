//! A snapshot of a ledger, for readers. It takes no lock and writes nothing.

use core::fmt;
use core::sync::atomic::AtomicU32;

use super::ledger_trouble::{Operation, Trouble, failed};
use crate::base::path::Path;
use crate::base::time::Nanos;
use crate::base::{limits, words};
use crate::core::ledger::{self, Ledger, Progress};
use crate::model::process_id::ProcessId;
use crate::sys::{Errno, clock, file, map, process};

/// How often, and after how long, a ledger that looks damaged is read again: it may be changing.
const TRIES: u32 = 5;
const PAUSE: Nanos = Nanos::from_millis(50);

/// A copy of the ledger at this path.
pub fn read(path: &Path) -> Result<Ledger, SnapshotError> {
    let mut tries = 0;
    loop {
        let read = read_once(path);
        if tries == TRIES || !matches!(read, Err(SnapshotError::Damage(_))) {
            return read;
        }
        tries += 1;
        clock::rest(PAUSE);
    }
}

fn read_once(path: &Path) -> Result<Ledger, SnapshotError> {
    let ledger = Ledger::copy(&view(path)?).map_err(SnapshotError::Damage)?;
    // The log has this report, even if the run was killed before it marked it as reported.
    if ledger.progress() == Some(Progress::Written) {
        ledger.mark_reported();
    }
    Ok(ledger)
}

fn view(path: &Path) -> Result<map::View, SnapshotError> {
    let (file, size) = file::open_to_read(path.as_str()).map_err(|errno| match errno {
        Errno::ENOENT => SnapshotError::Nothing,
        errno => SnapshotError::Trouble(failed(Operation::Open)(errno)),
    })?;
    let words = (size / size_of::<AtomicU32>() as u64).min(ledger::words(limits::RECORDS) as u64 * 2) as usize;
    if words == 0 {
        return Err(SnapshotError::Nothing);
    }
    map::View::new(&file, words).map_err(|errno| SnapshotError::Trouble(failed(Operation::Map)(errno)))
}

/// Why there is no snapshot. Displayed without its subject: `is cut short`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// There is no file, or it is empty: no monitor has run with it.
    Nothing,
    /// It cannot be read.
    Trouble(Trouble),
    /// It is damaged.
    Damage(ledger::Damage),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Nothing => f.write_str("is not there, no monitor has run with it"),
            SnapshotError::Trouble(trouble) => trouble.fmt(f),
            SnapshotError::Damage(damage) => damage.fmt(f),
        }
    }
}

/// The process of the last run with the ledger at this path, as the ledger says. It may have ended.
pub fn owner(path: &Path) -> Option<ProcessId> {
    let Ok(ledger) = read_once(path) else { return None };
    let owner = ledger.owner();
    (owner.pid != 0).then_some(owner)
}

/// The file of the last run's unfinished report, if the ledger knows one outside its own directory.
pub fn journalled_file(path: &Path) -> Option<Path> {
    let Ok(ledger) = read_once(path) else { return None };
    let file = ledger.journal()?.file;
    words::contains(file.as_str(), b'/').then_some(file)
}

/// Whether a monitor runs with it: the last run has not ended, and its process is alive.
pub fn is_running(ledger: &Ledger) -> bool {
    ledger.is_running() && process::is_alive(ledger.owner())
}
