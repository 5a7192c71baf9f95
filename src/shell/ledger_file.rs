//! The ledger's file: made, locked, mapped, set aside where it is damaged, made anew where it was
//! taken away. Its lock says whether a monitor runs; there is no other sign of it.

use core::fmt;
use core::sync::atomic::AtomicU32;
use std::os::fd::OwnedFd;

use super::ledger_trouble::{Operation, Trouble, trouble};
use super::snapshot::owner;
use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::text::Text;
use crate::base::time::{Nanos, WallTime};
use crate::core::ledger::{self, Damage, Ledger, Memory};
use crate::model::process_id::ProcessId;
use crate::model::target::Target;
use crate::shell::console::Console;
use crate::sys::{Errno, by_path, clock, directory, file, map, net, process};

/// How often, and after how long, a lock is tried again that nobody alive seems to have: a process
/// that was killed a moment ago may not be gone yet.
const TRIES: u32 = 40;
const PAUSE: Nanos = Nanos::from_millis(50);

/// Suffixes of damaged ledgers: the last one is used again and again.
const ASIDE: usize = 10;

/// A monitor runs already: this process, if it has said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running(pub Option<ProcessId>);

/// A ledger's file that this process has locked.
#[derive(Debug)]
pub struct LedgerFile {
    path: Path,
    file: OwnedFd,
    /// Why there is none: then in place of the file a name is taken that stands for it.
    missing: Option<Trouble>,
    /// Another file has its name, and that was said.
    replaced: bool,
    /// See [`LedgerFile::is_lost`].
    lost: bool,
}

impl LedgerFile {
    /// Makes the file if it is not there, and locks it; where that cannot be, takes a name that
    /// stands for it.
    pub fn lock(path: Path) -> Result<Self, Running> {
        let mut attempt = 0;
        let locked = loop {
            match try_lock(&path) {
                Err(Trouble { what: Operation::Lock, errno: Errno::EWOULDBLOCK }) => {
                    let owner = owner(&path).filter(|owner| process::is_alive(*owner));
                    if owner.is_some() || attempt == TRIES {
                        return Err(Running(owner));
                    }
                }
                // The one that was opened has been set aside since.
                Err(Trouble { errno: Errno::ESTALE, .. }) if attempt == TRIES => {
                    break Err(trouble(Operation::Lock)(Errno::EAGAIN));
                }
                Err(Trouble { errno: Errno::ESTALE, .. }) => {}
                other => break other,
            }
            attempt += 1;
            clock::rest(PAUSE);
        };
        let (file, missing) = match locked {
            Ok(file) => (file, None),
            Err(trouble) => (claim(&path).map_err(|_| Running(None))?, Some(trouble)),
        };
        Ok(Self { path, file, missing, replaced: false, lost: false })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ledger in the file, with room for these targets; a new one where there is none that is
    /// of use. What is wrong with it is said. Where there can be none the run goes on without.
    pub fn load(&mut self, targets: &[Target], wall: WallTime, console: &mut Console) -> Ledger {
        match self.try_load(targets, wall, console) {
            Ok(ledger) => ledger,
            Err(trouble) => {
                self.say(console, format_args!("{trouble}, {WITHOUT}"));
                Ledger::absent()
            }
        }
    }

    /// Whether what lay in the file was cut off by somebody, and is not in a file since.
    pub fn is_lost(&mut self) -> bool {
        self.lost |= map::was_lost();
        self.lost
    }

    /// Makes the file anew with what the ledger has, unless another has its name.
    pub fn make_anew(&mut self, ledger: &Ledger, console: &mut Console) {
        let Some(words) = ledger.mapped() else { return };
        if has_name(&self.file, &self.path) != Ok(false)
            && self.replace("was cut short by somebody", "that was counted", ledger, words, console)
        {
            self.lost = false;
        }
    }

    /// Makes the file anew after this has happened to it, and says so; that it cannot, only once.
    fn replace(
        &mut self,
        what: &str,
        all: &str,
        ledger: &Ledger,
        words: &'static [AtomicU32],
        console: &mut Console,
    ) -> bool {
        match self.rebuild(ledger, words) {
            Ok(()) => {
                self.replaced = false;
                self.say(console, format_args!("{what}, it is made anew with all {all}"));
                return true;
            }
            Err(trouble) if !self.replaced => {
                self.say(console, format_args!("{what} and {trouble}, it is tried again"));
            }
            Err(_) => {}
        }
        self.replaced = true;
        false
    }

    fn say(&self, console: &mut Console, what: fmt::Arguments<'_>) {
        console.say("ledger", format_args!("{} {what}", self.path));
    }

    fn try_load(&mut self, targets: &[Target], wall: WallTime, console: &mut Console) -> Result<Ledger, Trouble> {
        if let Some(trouble) = self.missing {
            return Err(trouble);
        }
        let size = file::size(&self.file).map_err(trouble(Operation::Open))?;
        let there = (size / size_of::<AtomicU32>() as u64).min(ledger::words(limits::RECORDS) as u64) as usize;
        let words = map(&self.file)?;
        map::guard(words).map_err(trouble(Operation::Map))?;
        if size > 0 && !(is_size(size) && Ledger::is_unfinished(&words[..there])) {
            let opened = match file::is_own(&self.file) {
                Ok(false) => Err(Damage::Stranger),
                Ok(true) | Err(_) => Ledger::open(Memory::Mapped(words), there),
            };
            match opened {
                Ok(mut ledger) => {
                    self.make_room(&mut ledger, words, targets)?;
                    return Ok(ledger);
                }
                Err(damage) => {
                    let aside = self.name_aside();
                    self.set_aside(&aside)?;
                    self.say(console, format_args!("{damage}, it is kept as {aside} and a new one begins"));
                }
            }
        }
        file::make_private(&self.file);
        let places = room_for(targets.len());
        file::allocate(&self.file, bytes(places)).map_err(trouble(Operation::Make))?;
        map::replace(words, &self.file).map_err(trouble(Operation::Map))?;
        Ok(Ledger::create(Memory::Mapped(words), places, wall))
    }

    /// Lets the ledger have room for these targets, too, and lie in the file if it does not yet.
    fn make_room(
        &mut self,
        ledger: &mut Ledger,
        words: &'static [AtomicU32],
        targets: &[Target],
    ) -> Result<(), Trouble> {
        let needed = ledger.records_for(targets);
        if needed > limits::RECORDS {
            return Err(trouble(Operation::Use)(Errno::ENOSPC));
        }
        file::make_private(&self.file);
        if !ledger.is_mapped() {
            // One of another layout: the file stays as it is until the new one takes its place.
            self.rebuild(ledger, words)?;
            ledger.move_to(Memory::Mapped(words));
        }
        // What is there may have holes, as a copied file has.
        file::allocate(&self.file, bytes(ledger.capacity())).map_err(trouble(Operation::Make))?;
        self.grow(ledger, needed)
    }

    /// Makes room in the ledger for so many records. It is as it was where that cannot be had.
    pub fn grow(&self, ledger: &mut Ledger, needed: usize) -> Result<(), Trouble> {
        if needed <= ledger.capacity() || !ledger.is_present() {
            return Ok(());
        }
        let places = room_for(needed);
        file::allocate(&self.file, bytes(places)).map_err(trouble(Operation::Lengthen))?;
        ledger.grow(places);
        Ok(())
    }

    /// Looks whether the file still has its name. One that was taken away is made anew; one that
    /// another file has taken the place of is left. What happened is said. Returns whether another
    /// run has begun with a file of its own: this one must end.
    pub fn keep_in_place(&mut self, ledger: &Ledger, console: &mut Console) -> bool {
        let Some(words) = ledger.mapped() else { return false };
        let found = has_name(&self.file, &self.path);
        if found == Err(Errno::ENOENT) {
            self.replace("was taken away", "its counts", ledger, words, console);
            return false;
        }
        let before = core::mem::replace(&mut self.replaced, found != Ok(true));
        match found {
            Ok(true) => {}
            // One that cannot be opened is somebody's, too, and no next start will look at ours.
            Ok(false) if matches!(try_other(&self.path), Err(Errno::EWOULDBLOCK | Errno::EACCES)) => {
                self.say(console, format_args!("is another run's now, this run ends with a last report"));
                return true;
            }
            Ok(false) if !before => {
                self.say(console, format_args!("is another file now, this run's counts are not kept in it"));
            }
            Err(errno) if !before => {
                let trouble = trouble(Operation::Open)(errno);
                self.say(console, format_args!("{trouble}, it is looked for again"));
            }
            Ok(false) | Err(_) => {}
        }
        false
    }

    /// Moves the file to another path, where nothing is yet.
    pub fn move_to(&mut self, path: Path, ledger: &Ledger) -> Result<(), Trouble> {
        let Some(words) = ledger.mapped().filter(|_| path != self.path) else { return Ok(()) };
        let moved = trouble(Operation::Move);
        // What is known of a report's file is where it is seen from the ledger.
        if ledger.progress().is_some() {
            return Err(moved(Errno::EBUSY));
        }
        directory::make_directories(path::parent(path.as_str())).map_err(&moved)?;
        let is_ours = has_name(&self.file, &self.path) == Ok(true);
        if is_ours && by_path::rename_new(self.path.as_str(), path.as_str()).is_ok() {
            self.path = path;
            return Ok(());
        }
        // To another file system, or it was taken away.
        if by_path::exists(path.as_str()) {
            return Err(moved(Errno::EEXIST));
        }
        let before = core::mem::replace(&mut self.path, path);
        self.rebuild(ledger, words).inspect_err(|_| self.path = before)?;
        if is_ours {
            // Nothing is in it that is not in the new one. Where it cannot go it is in nobody's way.
            let _ = by_path::remove(before.as_str());
        }
        Ok(())
    }

    /// A new file with all that the ledger has, mapped where the old one was, which then takes the
    /// name.
    fn rebuild(&mut self, ledger: &Ledger, words: &'static [AtomicU32]) -> Result<(), Trouble> {
        directory::make_directories(path::parent(self.path.as_str())).map_err(trouble(Operation::Make))?;
        let scratch = beside(&self.path, "new");
        let file = new_file(&scratch)?;
        // Nothing is counted before it has the name: the two files hold the same.
        let made = file::allocate(&file, bytes(ledger.capacity()))
            .and_then(|()| file::write_words(&file, ledger.content()))
            .and_then(|()| by_path::rename(scratch.as_str(), self.path.as_str()));
        if let Err(errno) = made {
            // A leftover is taken away by the next try.
            let _ = by_path::remove(scratch.as_str());
            return Err(trouble(Operation::Make)(errno));
        }
        self.file = file;
        map::replace(words, &self.file).map_err(trouble(Operation::Map))
    }

    /// The name that a damaged file is given.
    fn name_aside(&self) -> Path {
        let mut aside = beside(&self.path, "damaged");
        for n in 1..ASIDE {
            if !by_path::exists(aside.as_str()) {
                break;
            }
            aside = Text::format(format_args!("{}.damaged.{n}", self.path));
        }
        aside
    }

    /// Gives the file this name, and goes on with a new one.
    fn set_aside(&mut self, aside: &Path) -> Result<(), Trouble> {
        // The new one is locked before it has the name, so that nobody else's start gets in between.
        let scratch = beside(&self.path, "new");
        let file = new_file(&scratch)?;
        let path = self.path.as_str();
        by_path::link(path, aside.as_str())
            .or_else(|_| by_path::rename(path, aside.as_str()))
            .and_then(|()| by_path::rename(scratch.as_str(), path))
            .map_err(trouble(Operation::SetAside))?;
        self.file = file;
        Ok(())
    }
}

/// Opens and locks the file: `EWOULDBLOCK` where somebody has locked it, `ESTALE` where it has lost
/// its name meanwhile.
fn try_lock(path: &Path) -> Result<OwnedFd, Trouble> {
    let (file, _) = open(path).map_err(trouble(Operation::Open))?;
    file::lock(&file).map_err(trouble(Operation::Lock))?;
    if has_name(&file, path) == Ok(true) { Ok(file) } else { Err(trouble(Operation::Open)(Errno::ESTALE)) }
}

/// A new file, locked, in the place of one that an earlier try has left.
fn new_file(path: &Path) -> Result<OwnedFd, Trouble> {
    by_path::remove(path.as_str()).map_err(trouble(Operation::Make))?;
    let (file, _) = file::open_private(path.as_str(), true).map_err(trouble(Operation::Make))?;
    file::lock(&file).map_err(trouble(Operation::Lock))?;
    Ok(file)
}

/// Whether it is this file that has the name; an error where nothing has it.
fn has_name(file: &OwnedFd, path: &Path) -> Result<bool, Errno> {
    let named = file::identity_at(path.as_str())?;
    Ok(file::identity(file) == Ok(named))
}

/// Takes the name that stands for a file that cannot be locked, so that there is one run all the
/// same; `EADDRINUSE` where somebody has it.
fn claim(path: &Path) -> Result<OwnedFd, Errno> {
    let path = path.as_str();
    // A path that is not absolute is told from the same one elsewhere.
    let here = if path.starts_with('/') { Text::new() } else { by_path::here() };
    let print = fingerprint(fingerprint(0xCBF2_9CE4_8422_2325, here.as_str()), path);
    // By halves: nothing else is written in hexadecimal that has more than 32 bits.
    let (high, low) = ((print >> 32) as u32, print as u32);
    net::claim(Text::<64>::format(format_args!("tcpmon-{high:08x}{low:08x}")).as_str())
}

/// FNV-1a in 64 bits, going on from an earlier sum, which tells two paths apart.
fn fingerprint(sum: u64, path: &str) -> u64 {
    path.bytes().fold(sum, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// Whether somebody has locked the ledger, or the name that stands for it, without having said who
/// it is. It is tried, so a start at this very moment would take it for a run.
pub fn is_locked(path: &Path) -> bool {
    try_other(path) == Err(Errno::EWOULDBLOCK) || claim(path).is_err()
}

/// What a run without a ledger means.
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

/// Maps the file, with room to grow.
fn map(file: &OwnedFd) -> Result<&'static [AtomicU32], Trouble> {
    map::shared(file, ledger::words(limits::RECORDS)).map_err(trouble(Operation::Map))
}

/// Opens the file at this path and locks it for a moment: `EWOULDBLOCK` where somebody has locked it.
fn try_other(path: &Path) -> Result<(), Errno> {
    let (file, _) = file::open_to_read(path.as_str())?;
    file::lock(&file)
}

/// Whether a ledger has just so many bytes.
fn is_size(size: u64) -> bool {
    (1..=limits::RECORDS / limits::RECORD_BATCH).any(|n| bytes(n * limits::RECORD_BATCH) == size)
}

fn beside(path: &Path, suffix: &str) -> Path {
    Text::format(format_args!("{path}.{suffix}"))
}

/// Places for so many targets, with some to spare.
fn room_for(targets: usize) -> usize {
    targets.next_multiple_of(limits::RECORD_BATCH).clamp(limits::RECORD_BATCH, limits::RECORDS)
}

/// Bytes of a ledger with so many records.
fn bytes(places: usize) -> u64 {
    (ledger::words(places) * size_of::<AtomicU32>()) as u64
}
