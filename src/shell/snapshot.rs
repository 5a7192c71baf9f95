//! A snapshot of a ledger, for readers. It is read with read(2), so that nothing that a writer does to the file can end
//! the reader; it takes no lock that lasts and writes nothing.

use core::fmt;
use core::sync::atomic::AtomicU32;
use std::os::fd::OwnedFd;

use super::ledger_trouble::{Operation, Trouble, failed};
use crate::base::limits;
use crate::base::path::Path;
use crate::base::time::Nanos;
use crate::core::ledger::{self, Ledger, Progress};
use crate::model::log_names::Kind;
use crate::model::process_id::ProcessId;
use crate::model::run::Run;
use crate::sys::record_lock::{Holder, holder};
use crate::sys::{Errno, clock, file, process};

/// How often, and after how long, a ledger that looks damaged is read again: it may be changing.
const TRIES: u32 = 5;
const PAUSE: Nanos = Nanos::from_millis(50);

/// The byte of a ledger that its run holds (see [`crate::sys::record_lock`]).
pub const HELD: u32 = 0;

/// A copy of a ledger, and its file. What is done because of the copy is done through this descriptor: the path may
/// lead to another file by then.
#[derive(Debug)]
pub struct Snapshot {
    /// The file.
    pub file: OwnedFd,
    /// The copy.
    pub ledger: Ledger,
}

impl Snapshot {
    /// A copy of the ledger at this path, with its file opened to stop its run too if that is allowed.
    pub fn read(path: &Path) -> Result<Self, SnapshotError> {
        Self::of(file::open_again(path.as_str()).or_else(|_| file::open_to_read(path.as_str())))
    }

    /// The same, with its file opened only to read.
    pub fn look(path: &Path) -> Result<Self, SnapshotError> {
        Self::of(file::open_to_read(path.as_str()))
    }

    #[inline(never)]
    fn of(opened: Result<(OwnedFd, u64), Errno>) -> Result<Self, SnapshotError> {
        let file = match opened {
            Ok((_, 0)) | Err(Errno::ENOENT | Errno::ENOTDIR) => return Err(SnapshotError::Nothing),
            Ok((file, _)) => file,
            Err(errno) => return Err(SnapshotError::Trouble(failed(Operation::Open)(errno))),
        };
        if file::is_foreign(&file) {
            return Err(SnapshotError::Damage(ledger::Damage::Stranger));
        }
        let ledger = read(&file)?;
        Ok(Self { file, ledger })
    }

    /// The run that has locked it.
    pub fn run(&self) -> Run {
        let found = |ledger: &Ledger| run(&self.file, ledger.owner(), ledger.is_running());
        match found(&self.ledger) {
            // It may have begun since the copy was made.
            Run::Elsewhere => read(&self.file).map_or(Run::Elsewhere, |ledger| found(&ledger)),
            run => run,
        }
    }
}

fn read(file: &OwnedFd) -> Result<Ledger, SnapshotError> {
    let mut tries = 0;
    loop {
        let read = words(file).and_then(|words| Ledger::copy(&words).map_err(SnapshotError::Damage));
        if tries == TRIES || !matches!(read, Err(SnapshotError::Damage(_))) {
            let ledger = read?;
            // The file has these lines, even if the run was killed before it marked them as written.
            for kind in Kind::ALL {
                if let Some(journal) = ledger.journal(kind).filter(|journal| journal.progress == Progress::Written) {
                    ledger.mark_written(kind, journal.covers);
                }
            }
            return Ok(ledger);
        }
        tries += 1;
        clock::rest(PAUSE);
    }
}

/// The words of a file, at most twice as many as a ledger has.
pub fn words(file: &OwnedFd) -> Result<Vec<AtomicU32>, SnapshotError> {
    let mut words = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let offset = (words.len() * size_of::<AtomicU32>()) as u64;
        let length = file::read_at(file, &mut piece, offset)
            .map_err(|errno| SnapshotError::Trouble(failed(Operation::Read)(errno)))?;
        for word in piece[..length].chunks_exact(size_of::<AtomicU32>()) {
            words.push(AtomicU32::new(u32::from_ne_bytes([word[0], word[1], word[2], word[3]])));
        }
        if length < piece.len() || words.len() > 2 * ledger::words(limits::RECORDS) {
            return Ok(words);
        }
    }
}

/// The run that has locked a file that says that `owner` is its process.
fn run(file: &OwnedFd, owner: ProcessId, is_running: bool) -> Run {
    match holder(file, HELD) {
        // A kernel before 4.14 tells a pid of another namespace.
        Holder::Process(pid) if process::start_time(pid).is_none_or(|born| [0, born].contains(&owner.born)) => {
            Run::Here(pid)
        }
        Holder::Process(_) | Holder::Hidden => Run::Elsewhere,
        Holder::Nobody if !file::is_locked(file) => Run::None,
        // A run of an older version holds no byte.
        Holder::Nobody if is_running && process::is_alive(owner) => Run::Here(owner.pid),
        Holder::Nobody => Run::Starting,
    }
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

impl SnapshotError {
    /// Whether another user could read it.
    pub fn lacks_rights(&self) -> bool {
        match self {
            SnapshotError::Nothing => false,
            SnapshotError::Trouble(trouble) => [Errno::EACCES, Errno::EPERM].contains(&trouble.errno),
            SnapshotError::Damage(damage) => *damage == ledger::Damage::Stranger,
        }
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Nothing => f.write_str("is not there or empty, no monitor has run with it"),
            SnapshotError::Trouble(trouble) => trouble.fmt(f),
            SnapshotError::Damage(damage) => damage.fmt(f),
        }
    }
}
