//! A snapshot of a ledger, for readers: no lock is taken and nothing is written.

use core::fmt;
use core::sync::atomic::AtomicU32;

use super::ledger_trouble::{Operation, Trouble, trouble};
use crate::base::path::Path;
use crate::base::time::Nanos;
use crate::base::{limits, words};
use crate::core::ledger::{self, Ledger, Progress};
use crate::model::process_id::ProcessId;
use crate::sys::{Errno, clock, file, map, process};

/// How often one that only looks tries again what looks like damage.
const LOOKS: u32 = 5;

const PAUSE: Nanos = Nanos::from_millis(50);

/// The ledger as it is now, for who only looks: a copy.
pub fn look(path: &Path) -> Result<Ledger, Look> {
    let mut looks = 0;
    loop {
        let seen = look_once(path);
        // What is being written may look like damage for a moment.
        if looks == LOOKS || !matches!(seen, Err(Look::Damage(_))) {
            return seen;
        }
        looks += 1;
        clock::rest(PAUSE);
    }
}

fn look_once(path: &Path) -> Result<Ledger, Look> {
    let ledger = Ledger::copy(&view(path)?).map_err(Look::Damage)?;
    // What the log has is not left to report, whether or not the run could still take note of it.
    if ledger.progress() == Some(Progress::Written) {
        ledger.mark_reported();
    }
    Ok(ledger)
}

fn view(path: &Path) -> Result<map::View, Look> {
    let (file, size) = file::open_to_read(path.as_str()).map_err(|errno| match errno {
        Errno::ENOENT => Look::Nothing,
        errno => Look::Trouble(trouble(Operation::Open)(errno)),
    })?;
    let words = (size / size_of::<AtomicU32>() as u64).min(ledger::words(limits::RECORDS) as u64 * 2) as usize;
    if words == 0 {
        return Err(Look::Nothing);
    }
    map::View::new(&file, words).map_err(|errno| Look::Trouble(trouble(Operation::Map)(errno)))
}

/// Why there is nothing to be seen. Displayed as what is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// No monitor has run here.
    Nothing,
    /// It cannot be read.
    Trouble(Trouble),
    /// It is of no use.
    Damage(ledger::Damage),
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Look::Nothing => f.write_str("is not there, no monitor has run with it"),
            Look::Trouble(trouble) => trouble.fmt(f),
            Look::Damage(damage) => damage.fmt(f),
        }
    }
}

/// The process that says it runs with the ledger at this path.
pub fn owner(path: &Path) -> Option<ProcessId> {
    let Ok(ledger) = look_once(path) else { return None };
    let owner = ledger.owner();
    (owner.pid != 0).then_some(owner)
}

/// The file of a report that the run before may not have ended, as far as the ledger here knows one.
pub fn journalled(path: &Path) -> Option<Path> {
    let Ok(ledger) = look_once(path) else { return None };
    let file = ledger.journal()?.file;
    words::contains(file.as_str(), b'/').then_some(file)
}

/// Whether a monitor runs with it: nobody but one locks it for longer than a moment.
pub fn is_running(ledger: &Ledger) -> bool {
    ledger.is_running() && process::is_alive(ledger.owner())
}
