//! The ledger's file, for the run that owns it: makes, locks and maps it, sets a damaged one aside, and
//! writes a new one if it was removed. Its lock allows only one monitor at a time.

use core::fmt;
use core::sync::atomic::AtomicU32;
use std::os::fd::OwnedFd;

use super::ledger_trouble::{Operation, Trouble, failed};
use super::snapshot::owner;
use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::said::Said;
use crate::base::text::Text;
use crate::base::time::{Nanos, WallTime};
use crate::core::ledger::{self, Damage, Ledger, Memory};
use crate::model::log_names;
use crate::model::process_id::ProcessId;
use crate::model::target::Target;
use crate::shell::console::Console;
use crate::sys::{Errno, by_path, clock, directory, file, map, net, process};

/// How often, and after how long, a lock is tried again if no live process seems to hold it: a process
/// that was just killed may not have released it yet.
const TRIES: u32 = 40;
const PAUSE: Nanos = Nanos::from_millis(50);

/// At most this many damaged ledgers are kept. After that each one replaces the last.
const MOST_DAMAGED: usize = 10;

/// A monitor runs already: this process, if it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running(pub Option<ProcessId>);

/// A ledger's file that this process has locked.
#[derive(Debug)]
pub struct LedgerFile {
    path: Path,
    file: OwnedFd,
    /// Why the file cannot be used. Then `file` is a socket whose abstract name serves as the lock.
    missing: Option<Trouble>,
    /// What is wrong with the file.
    trouble: Said,
    /// See [`LedgerFile::was_truncated`].
    lost: bool,
}

impl LedgerFile {
    /// Locks the file; makes it first if it is missing. If it cannot be locked, an abstract socket name
    /// serves as the lock instead.
    pub fn lock(path: Path) -> Result<Self, Running> {
        let mut tries = 0;
        let locked = loop {
            match try_lock(&path) {
                Err(Trouble { what: Operation::Lock, errno: Errno::EWOULDBLOCK }) => {
                    let owner = owner(&path).filter(|owner| process::is_alive(*owner));
                    if owner.is_some() || tries == TRIES {
                        return Err(Running(owner));
                    }
                }
                // Another start set this file aside between our `open` and `lock`.
                Err(Trouble { errno: Errno::ESTALE, .. }) if tries == TRIES => {
                    break Err(failed(Operation::Lock)(Errno::EAGAIN));
                }
                Err(Trouble { errno: Errno::ESTALE, .. }) => {}
                other => break other,
            }
            tries += 1;
            clock::rest(PAUSE);
        };
        let (file, missing) = match locked {
            Ok(file) => (file, None),
            Err(trouble) => (lock_name(&path).map_err(|_| Running(None))?, Some(trouble)),
        };
        Ok(Self { path, file, missing, trouble: Said::default(), lost: false })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ledger in the file, with a record for each of these targets; a new one if the file is new or
    /// damaged. If there can be none, the result is absent. Says what is wrong.
    pub fn open_ledger(&mut self, targets: &[Target], wall: WallTime, console: &mut Console) -> Ledger {
        match self.try_load(targets, wall, console) {
            Ok(ledger) => ledger,
            Err(trouble) => {
                self.say(console, format_args!("{trouble}, {WITHOUT}"));
                Ledger::absent()
            }
        }
    }

    /// Whether another process truncated the file, and [`LedgerFile::replace_truncated`] has not succeeded since.
    pub fn was_truncated(&mut self) -> bool {
        self.lost |= map::was_lost();
        self.lost
    }

    /// Replaces a truncated file by a new one with the ledger's content, unless another file has its name.
    pub fn replace_truncated(&mut self, ledger: &Ledger, console: &mut Console) {
        let Some(words) = ledger.mapped() else { return };
        if has_name(&self.file, &self.path) != Ok(false)
            && self.rebuild_and_say(["was truncated", "that was counted"], ledger, words, console)
        {
            self.lost = false;
        }
    }

    /// Calls [`LedgerFile::rebuild`] after `what` happened to the file, and says so; a failure is said once. `all` names
    /// what the new file holds. Returns whether it succeeded.
    fn rebuild_and_say(
        &mut self,
        [what, all]: [&str; 2],
        ledger: &Ledger,
        words: &'static [AtomicU32],
        console: &mut Console,
    ) -> bool {
        match self.rebuild(ledger, words) {
            Ok(()) => {
                self.trouble.clear();
                self.say(console, format_args!("{what}, it is written again with all {all}"));
                return true;
            }
            Err(trouble) if self.trouble.begins() => {
                self.say(console, format_args!("{what} and {trouble}, it is tried again"));
            }
            Err(_) => {}
        }
        false
    }

    fn say(&self, console: &mut Console, what: fmt::Arguments<'_>) {
        console.say("ledger", format_args!("{} {what}", self.path));
    }

    fn try_load(&mut self, targets: &[Target], wall: WallTime, console: &mut Console) -> Result<Ledger, Trouble> {
        if let Some(trouble) = self.missing {
            return Err(trouble);
        }
        let size = file::size(&self.file).map_err(failed(Operation::Open))?;
        let length = (size / size_of::<AtomicU32>() as u64).min(ledger::words(limits::RECORDS) as u64) as usize;
        let words = map(&self.file)?;
        map::guard(words).map_err(failed(Operation::Map))?;
        if size > 0 && !(is_ledger_size(size) && Ledger::is_unfinished(&words[..length])) {
            let opened = match file::is_own(&self.file) {
                Ok(false) => Err(Damage::Stranger),
                Ok(true) | Err(_) => Ledger::open(Memory::Mapped(words), length),
            };
            match opened {
                Ok(mut ledger) => {
                    self.make_room(&mut ledger, words, targets)?;
                    return Ok(ledger);
                }
                Err(damage) => {
                    let aside = self.path_aside();
                    self.set_aside(&aside)?;
                    self.say(console, format_args!("{damage}, it is kept as {aside} and a new one begins"));
                }
            }
        }
        file::make_private(&self.file);
        let capacity = capacity_for(targets.len());
        file::allocate(&self.file, bytes(capacity)).map_err(failed(Operation::Make))?;
        map::replace(words, &self.file).map_err(failed(Operation::Map))?;
        Ok(Ledger::create(Memory::Mapped(words), capacity, wall))
    }

    /// Gives the ledger enough records for these targets, too. A converted ledger is moved to the file.
    fn make_room(
        &mut self,
        ledger: &mut Ledger,
        words: &'static [AtomicU32],
        targets: &[Target],
    ) -> Result<(), Trouble> {
        let needed = ledger.records_for(targets);
        if needed > limits::RECORDS {
            return Err(failed(Operation::Use)(Errno::ENOSPC));
        }
        file::make_private(&self.file);
        if !ledger.is_mapped() {
            // Converted from another layout. The old file stays until a complete new one replaces it.
            self.rebuild(ledger, words)?;
            ledger.move_to(Memory::Mapped(words));
        }
        // The file may have holes, for instance if it was copied.
        file::allocate(&self.file, bytes(ledger.capacity())).map_err(failed(Operation::Make))?;
        self.grow(ledger, needed)
    }

    /// Gives the ledger a capacity of at least `needed` records. After an error it is unchanged.
    pub fn grow(&self, ledger: &mut Ledger, needed: usize) -> Result<(), Trouble> {
        if needed <= ledger.capacity() || !ledger.is_present() {
            return Ok(());
        }
        let capacity = capacity_for(needed);
        file::allocate(&self.file, bytes(capacity)).map_err(failed(Operation::Lengthen))?;
        ledger.grow(capacity);
        Ok(())
    }

    /// Checks that the path still leads to this file. If nothing has the path, writes a new file; another
    /// file there is left alone. Says what happened. Returns whether another run has locked that other
    /// file: then this run must end.
    pub fn check_path(&mut self, ledger: &Ledger, console: &mut Console) -> bool {
        let Some(words) = ledger.mapped() else { return false };
        let found = has_name(&self.file, &self.path);
        if found == Err(Errno::ENOENT) {
            self.rebuild_and_say(["was removed", "its counts"], ledger, words, console);
            return false;
        }
        match found {
            Ok(true) => self.trouble.clear(),
            // A file that we may not open counts as another run's: the next start will use it, not ours.
            Ok(false) if matches!(test_lock(&self.path), Err(Errno::EWOULDBLOCK | Errno::EACCES)) => {
                self.say(console, format_args!("is another run's now, this run ends with a last report"));
                return true;
            }
            Ok(false) if self.trouble.begins() => {
                self.say(console, format_args!("is another file now, this run's counts are not kept in it"));
            }
            Err(errno) if self.trouble.begins() => {
                let trouble = failed(Operation::Open)(errno);
                self.say(console, format_args!("{trouble}, it is looked for again"));
            }
            Ok(false) | Err(_) => {}
        }
        false
    }

    /// Moves the file to another path, where nothing may be yet. After an error it has its old path.
    pub fn move_to(&mut self, path: Path, ledger: &Ledger) -> Result<(), Trouble> {
        let Some(words) = ledger.mapped().filter(|_| path != self.path) else { return Ok(()) };
        let moved = failed(Operation::Move);
        // The path of the unfinished report's file may be relative to the ledger.
        if ledger.progress().is_some() {
            return Err(moved(Errno::EBUSY));
        }
        directory::make_directories(path::parent(path.as_str())).map_err(&moved)?;
        let is_ours = has_name(&self.file, &self.path) == Ok(true);
        if is_ours && by_path::rename_new(self.path.as_str(), path.as_str()).is_ok() {
            self.path = path;
            return Ok(());
        }
        // The new path is on another file system, or the old file was removed.
        if by_path::exists(path.as_str()) {
            return Err(moved(Errno::EEXIST));
        }
        let old = core::mem::replace(&mut self.path, path);
        self.rebuild(ledger, words).inspect_err(|_| self.path = old)?;
        if is_ours {
            // The new file has all its content. If the old one cannot be removed, it does no harm.
            let _ = by_path::remove(old.as_str());
        }
        Ok(())
    }

    /// Writes a new file with the ledger's content, renames it to the path, and maps it where the old one
    /// was mapped.
    fn rebuild(&mut self, ledger: &Ledger, words: &'static [AtomicU32]) -> Result<(), Trouble> {
        directory::make_directories(path::parent(self.path.as_str())).map_err(failed(Operation::Make))?;
        let scratch = beside(&self.path, log_names::LEDGER_NEW);
        let file = new_file(&scratch)?;
        // Nothing is counted until it is mapped: both files hold the same.
        let made = file::allocate(&file, bytes(ledger.capacity()))
            .and_then(|()| file::write_words(&file, ledger.content()))
            .and_then(|()| by_path::rename(scratch.as_str(), self.path.as_str()));
        if let Err(errno) = made {
            // The next try removes a leftover.
            let _ = by_path::remove(scratch.as_str());
            return Err(failed(Operation::Make)(errno));
        }
        self.file = file;
        map::replace(words, &self.file).map_err(failed(Operation::Map))
    }

    /// The path that a damaged file is given.
    fn path_aside(&self) -> Path {
        let mut aside = beside(&self.path, log_names::LEDGER_DAMAGED);
        for n in 1..MOST_DAMAGED {
            if !by_path::exists(aside.as_str()) {
                break;
            }
            aside = Text::format(format_args!("{}{}.{n}", self.path, log_names::LEDGER_DAMAGED));
        }
        aside
    }

    /// Renames the file to `aside`, and goes on with a new one.
    fn set_aside(&mut self, aside: &Path) -> Result<(), Trouble> {
        // The new file is locked before it has the path: no other start can lock it first.
        let scratch = beside(&self.path, log_names::LEDGER_NEW);
        let file = new_file(&scratch)?;
        let path = self.path.as_str();
        by_path::link(path, aside.as_str())
            .or_else(|_| by_path::rename(path, aside.as_str()))
            .and_then(|()| by_path::rename(scratch.as_str(), path))
            .map_err(failed(Operation::SetAside))?;
        self.file = file;
        Ok(())
    }
}

/// Opens and locks the file. `EWOULDBLOCK`: another process has locked it; `ESTALE`: the path no longer
/// leads to it.
fn try_lock(path: &Path) -> Result<OwnedFd, Trouble> {
    let (file, _) = open(path).map_err(failed(Operation::Open))?;
    file::lock(&file).map_err(failed(Operation::Lock))?;
    if has_name(&file, path) == Ok(true) { Ok(file) } else { Err(failed(Operation::Open)(Errno::ESTALE)) }
}

/// Makes and locks a file. One that an earlier try has left there is removed.
fn new_file(path: &Path) -> Result<OwnedFd, Trouble> {
    by_path::remove(path.as_str()).map_err(failed(Operation::Make))?;
    let (file, _) = file::open_private(path.as_str(), true).map_err(failed(Operation::Make))?;
    file::lock(&file).map_err(failed(Operation::Lock))?;
    Ok(file)
}

/// Whether the path leads to this file; `ENOENT` if nothing has the path.
fn has_name(file: &OwnedFd, path: &Path) -> Result<bool, Errno> {
    let named = file::identity_at(path.as_str())?;
    Ok(file::identity(file) == Ok(named))
}

/// Binds an abstract socket name, made from the path, that serves as the lock if the file cannot be
/// locked: there is one run at a time without a ledger, too. `EADDRINUSE`: another process has it.
fn lock_name(path: &Path) -> Result<OwnedFd, Errno> {
    let path = path.as_str();
    // The same relative path in another directory is another file.
    let here = if path.starts_with('/') { Text::new() } else { by_path::here() };
    let print = fingerprint(fingerprint(0xCBF2_9CE4_8422_2325, here.as_str()), path);
    // In two halves: formatting a u64 in hexadecimal would add code that nothing else needs.
    let (high, low) = ((print >> 32) as u32, print as u32);
    net::bind_name(Text::<64>::format(format_args!("tcpmon-{high:08x}{low:08x}")).as_str())
}

/// FNV-1a, 64 bits: extends `sum` by these bytes.
fn fingerprint(sum: u64, path: &str) -> u64 {
    path.bytes().fold(sum, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// Whether another process has locked the ledger or its abstract socket name. This tries both locks for
/// a moment, so a start at the same time may fail.
pub fn is_locked(path: &Path) -> bool {
    test_lock(path) == Err(Errno::EWOULDBLOCK) || lock_name(path).is_err()
}

/// What follows for the run if there is no ledger.
const WITHOUT: &str = "this run goes on without it: what is not reported is lost when it ends";

fn open(path: &Path) -> Result<(OwnedFd, u64), Errno> {
    match file::open_private(path.as_str(), false) {
        Err(Errno::ENOENT) => {
            directory::make_directories(path::parent(path.as_str()))?;
            file::open_private(path.as_str(), false)
        }
        other => other,
    }
}

/// Maps the file, at the size of the largest ledger.
fn map(file: &OwnedFd) -> Result<&'static [AtomicU32], Trouble> {
    map::shared(file, ledger::words(limits::RECORDS)).map_err(failed(Operation::Map))
}

/// Locks the file at this path for a moment. `EWOULDBLOCK`: another process has locked it.
fn test_lock(path: &Path) -> Result<(), Errno> {
    let (file, _) = file::open_to_read(path.as_str())?;
    file::lock(&file)
}

/// Whether a ledger file can have this size, in bytes.
fn is_ledger_size(size: u64) -> bool {
    (1..=limits::RECORDS / limits::RECORD_BATCH).any(|n| bytes(n * limits::RECORD_BATCH) == size)
}

fn beside(path: &Path, suffix: &str) -> Path {
    Text::format(format_args!("{path}{suffix}"))
}

/// The capacity of a ledger for this many targets, in records: rounded up to whole batches.
fn capacity_for(targets: usize) -> usize {
    targets.next_multiple_of(limits::RECORD_BATCH).clamp(limits::RECORD_BATCH, limits::RECORDS)
}

/// Bytes of a ledger of `records` records.
fn bytes(records: usize) -> u64 {
    (ledger::words(records) * size_of::<AtomicU32>()) as u64
}
