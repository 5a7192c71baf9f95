//! The ledger's file, for the run that owns it: makes, locks and maps it, sets a damaged one aside, and
//! writes a new one if it was removed. Its lock allows only one monitor at a time. What is no ledger of ours is left alone.

use core::fmt;
use core::sync::atomic::AtomicU32;
use std::os::fd::OwnedFd;

use super::ledger_trouble::{Operation, Trouble, failed};
use super::snapshot::{HELD, Snapshot};
use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::said::Said;
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::core::ledger::{self, Damage, Ledger, Memory};
use crate::model::log_names::{self, Kind};
use crate::model::run::Run;
use crate::model::target::Target;
use crate::shell::console::Console;
use crate::sys::directory::{Directory, Held};
use crate::sys::{Errno, clock, file, map, record_lock};

/// At most this many damaged ledgers are kept. After that each one replaces the last.
const MOST_DAMAGED: usize = 10;

/// A ledger's file that this process has locked.
#[derive(Debug)]
pub struct LedgerFile {
    path: Path,
    /// Why there is none, if it cannot be used.
    place: Result<Place, Trouble>,
    /// What is wrong with the file.
    trouble: Said,
    /// See [`LedgerFile::was_truncated`].
    lost: bool,
    /// Whether the sandbox forbids every other directory.
    confined: bool,
}

/// A locked file, and the directory that it is in.
#[derive(Debug)]
struct Place {
    held: Held,
    file: OwnedFd,
}

impl LedgerFile {
    /// Locks the file; makes it first if it is missing. An error is the run that has locked it.
    pub fn lock(path: Path) -> Result<Self, Run> {
        let mut tries = 0;
        let place = loop {
            match try_lock(&path) {
                Err(Trouble { what: Operation::Lock, errno: Errno::EWOULDBLOCK }) => {
                    let run = Snapshot::read(&path).map_or(Run::Starting, |snapshot| snapshot.run());
                    if run != Run::Starting && run != Run::None || tries == limits::LOCK.0 {
                        return Err(run);
                    }
                }
                // Another start set this file aside between our `open` and `lock`.
                Err(Trouble { errno: Errno::ESTALE, .. }) if tries < limits::LOCK.0 => {}
                other => break other,
            }
            tries += 1;
            clock::rest(limits::LOCK.1);
        };
        Ok(Self { path, place, trouble: Said::default(), lost: false, confined: false })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file cannot be used.
    pub fn is_missing(&self) -> bool {
        self.place.is_err()
    }

    /// Its directory and the file, if there is one.
    pub fn descriptors(&self) -> Option<(&Directory, &OwnedFd)> {
        self.place.as_ref().ok().map(|place| (&place.held.directory, &place.file))
    }

    /// Says which process has locked the file: this one.
    pub fn hold(&self) {
        if let Ok(place) = &self.place {
            // Without record locks a reader believes the pid in the ledger.
            let _ = record_lock::hold(&place.file, HELD);
        }
    }

    /// Notes whether the sandbox forbids every other directory.
    pub fn set_confined(&mut self, confined: bool) {
        self.confined = confined;
    }

    /// What becomes of the counts when this run ends, as the end of a message about its last report.
    pub fn fate(&self) -> &'static str {
        let is_removed = self.place.as_ref().is_ok_and(|place| file::is_removed(&place.file));
        match self.has_name() {
            _ if is_removed => "; it is lost, because the ledger was removed",
            Ok(true) => "; the ledger keeps it for the next run",
            Ok(false) | Err(_) => "; it is in the ledger, which was moved away",
        }
    }

    /// The ledger in the file, with a record for each of these targets; a new one if the file is new or
    /// damaged. If there can be none, the result is absent. Says what is wrong.
    pub fn open_ledger(&mut self, targets: &[Target], wall: WallTime, console: &mut Console) -> Ledger {
        match self.try_load(targets, wall, console) {
            Ok(ledger) => ledger,
            Err(trouble) => {
                self.say(console, format_args!("{trouble}, {WITHOUT}"));
                match map::zeroes(ledger::words(limits::RECORDS)) {
                    Ok(words) => Ledger::not_kept(Memory::Mapped(words), limits::RECORDS, wall),
                    Err(_) => Ledger::absent(),
                }
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
        if self.has_name() != Ok(false)
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
        match self.rebuild(ledger, words, Directory::rename) {
            Ok(_) => {
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
        let file = &self.place.as_ref().map_err(|trouble| *trouble)?.file;
        let size = file::size(file).map_err(failed(Operation::Open))?;
        let length = (size / size_of::<AtomicU32>() as u64).min(ledger::words(limits::RECORDS) as u64) as usize;
        let words = map::shared(file, ledger::words(limits::RECORDS)).map_err(failed(Operation::Map))?;
        map::guard(words).map_err(failed(Operation::Map))?;
        if size > 0 && !(is_ledger_size(size) && Ledger::is_unfinished(&words[..length])) {
            match Ledger::open(Memory::Mapped(words), length) {
                Ok(mut ledger) => {
                    self.make_room(&mut ledger, words, targets)?;
                    return Ok(ledger);
                }
                Err(Damage::Foreign) => return Err(failed(Operation::Recognise)(Errno::EINVAL)),
                Err(damage) => {
                    let aside = self.path_aside();
                    self.set_aside(&aside)?;
                    self.say(console, format_args!("{damage}, it is kept as {aside} and a new one begins"));
                }
            }
        }
        let file = &self.place.as_ref().map_err(|trouble| *trouble)?.file;
        file::make_private(file);
        let capacity = capacity_for(targets.len());
        file::allocate(file, bytes(capacity)).map_err(failed(Operation::Make))?;
        map::replace(words, file).map_err(failed(Operation::Map))?;
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
        if let Ok(place) = &self.place {
            file::make_private(&place.file);
        }
        if !ledger.is_mapped() {
            // Converted from another layout. The old file stays until a complete new one replaces it.
            self.rebuild(ledger, words, Directory::rename)?;
            ledger.move_to(Memory::Mapped(words));
        }
        // The file may have holes, for instance if it was copied.
        self.allocate(ledger.capacity(), Operation::Make)?;
        self.grow(ledger, needed)
    }

    /// Gives the ledger a capacity of at least `needed` records. After an error it is unchanged.
    pub fn grow(&self, ledger: &mut Ledger, needed: usize) -> Result<(), Trouble> {
        if needed <= ledger.capacity() || !ledger.is_present() {
            return Ok(());
        }
        let capacity = capacity_for(needed.max(ledger.next_capacity()));
        self.allocate(capacity, Operation::Lengthen)?;
        ledger.grow(capacity);
        Ok(())
    }

    fn allocate(&self, records: usize, what: Operation) -> Result<(), Trouble> {
        let place = self.place.as_ref().map_err(|trouble| *trouble)?;
        file::allocate(&place.file, bytes(records)).map_err(failed(what))
    }

    /// Whether its name still leads to it; `ENOENT` if nothing has the name.
    fn has_name(&self) -> Result<bool, Errno> {
        self.place.as_ref().map_or(Ok(true), |place| place.has_name(path::name(self.path.as_str())))
    }

    /// Checks that the path still leads to this file. If nothing has the path, writes a new file; another
    /// file there is left alone. Says what happened. Returns whether another run has locked that other
    /// file: then this run must end.
    pub fn check_path(&mut self, ledger: &Ledger, console: &mut Console) -> bool {
        let Some(words) = ledger.mapped() else { return false };
        if !self.confined {
            if let Ok(place) = &mut self.place {
                // If it cannot be made again, the old one is used as long as it is there.
                if place.held.is_gone(path::parent(self.path.as_str())) {
                    let _ = place.held.make_again();
                }
            }
        }
        let mut found = self.has_name();
        // While it is open, no other start takes an empty file.
        let mut other = None;
        if found == Ok(false) {
            match self.try_other() {
                // logrotate does that: it renames a file and makes an empty one in its place.
                Ok((empty, true)) => {
                    found = Err(Errno::ENOENT);
                    other = Some(empty);
                }
                Ok((_, false)) => {}
                // A file that we may not open counts as another run's: the next start will use it, not ours.
                Err(Errno::EWOULDBLOCK | Errno::EACCES) => {
                    self.say(console, format_args!("is another run's now, this run ends with a last report"));
                    return true;
                }
                Err(_) => {}
            }
        }
        match found {
            Ok(true) => self.trouble.clear(),
            Ok(false) if self.trouble.begins() => {
                self.say(console, format_args!("is another file now, this run's counts are not kept in it"));
            }
            Err(Errno::ENOENT) => {
                self.rebuild_and_say(["was removed", "its counts"], ledger, words, console);
            }
            Err(errno) if self.trouble.begins() => {
                let trouble = failed(Operation::Open)(errno);
                self.say(console, format_args!("{trouble}, it is looked for again"));
            }
            Ok(false) | Err(_) => {}
        }
        drop(other);
        self.hold();
        false
    }

    /// Locks the other file that has the name now. Also returns whether it is an empty one of this user.
    fn try_other(&self) -> Result<(OwnedFd, bool), Errno> {
        let Ok(place) = &self.place else { return Err(Errno::ENOENT) };
        let other = file::open_log_again(&place.held.directory, path::name(self.path.as_str()))?;
        file::lock(&other)?;
        let is_free = file::size(&other)? == 0 && file::is_own(&other)?;
        Ok((other, is_free))
    }

    /// Moves the file to another path, where nothing may be yet. After an error it has its old path.
    pub fn move_to(&mut self, path: Path, ledger: &Ledger) -> Result<(), Trouble> {
        let Some(words) = ledger.mapped().filter(|_| path != self.path) else { return Ok(()) };
        let moved = failed(Operation::Move);
        // The path of an unfinished write's file may be relative to the ledger.
        if Kind::ALL.iter().any(|kind| ledger.progress(*kind).is_some()) {
            return Err(moved(Errno::EBUSY));
        }
        let held = Held::make(path::parent(path.as_str())).map_err(&moved)?;
        let is_ours = self.has_name() == Ok(true);
        let Ok(place) = &mut self.place else { return Ok(()) };
        if held.directory.exists(path::name(path.as_str())) {
            return Err(moved(Errno::EEXIST));
        }
        // Written anew, not renamed: by its old name another file could be moved.
        let old_held = core::mem::replace(&mut place.held, held);
        let old = core::mem::replace(&mut self.path, path);
        let old_file = match self.rebuild(ledger, words, Directory::rename_new) {
            Ok(file) => file,
            Err(trouble) => {
                self.path = old;
                if let Ok(place) = &mut self.place {
                    place.held = old_held;
                }
                return Err(trouble);
            }
        };
        // The new file has all its content. An empty one counts as none, where another user could swap its name.
        if let Some(old_file) = old_file {
            let _ = file::truncate(&old_file, 0);
        }
        if is_ours && file::is_own_place(&old_held.directory) {
            let _ = old_held.directory.remove(path::name(old.as_str()));
        }
        Ok(())
    }

    /// Writes a new file with the ledger's content, renames it to the path, and maps it where the old one
    /// was mapped. Returns the old one.
    fn rebuild(
        &mut self,
        ledger: &Ledger,
        words: &'static [AtomicU32],
        rename: fn(&Directory, &str, &str) -> Result<(), Errno>,
    ) -> Result<Option<OwnedFd>, Trouble> {
        let Ok(place) = &mut self.place else { return Ok(None) };
        let name = path::name(self.path.as_str());
        let scratch = beside(name, log_names::LEDGER_NEW);
        let file = place.new_file(&scratch)?;
        // Nothing is counted until it is mapped: both files hold the same.
        let made = file::allocate(&file, bytes(ledger.capacity()))
            .and_then(|()| file::write_words(&file, ledger.content()))
            .and_then(|()| rename(&place.held.directory, scratch.as_str(), name));
        if let Err(errno) = made {
            // The next try removes a leftover.
            let _ = place.held.directory.remove(scratch.as_str());
            return Err(failed(Operation::Make)(errno));
        }
        let old = core::mem::replace(&mut place.file, file);
        let mapped = map::replace(words, &place.file).map_err(failed(Operation::Map));
        self.hold();
        mapped.map(|()| Some(old))
    }

    /// The name that a damaged file is given.
    fn path_aside(&self) -> Path {
        let name = path::name(self.path.as_str());
        let mut aside = beside(name, log_names::LEDGER_DAMAGED);
        for n in 1..MOST_DAMAGED {
            if !self.place.as_ref().is_ok_and(|place| place.held.directory.exists(aside.as_str())) {
                break;
            }
            aside = Text::format(format_args!("{name}{}.{n}", log_names::LEDGER_DAMAGED));
        }
        aside
    }

    /// Renames the file to `aside`, and goes on with a new one.
    fn set_aside(&mut self, aside: &Path) -> Result<(), Trouble> {
        let Ok(place) = &mut self.place else { return Ok(()) };
        let name = path::name(self.path.as_str());
        // The new file is locked before it has the name: no other start can lock it first.
        let scratch = beside(name, log_names::LEDGER_NEW);
        let file = place.new_file(&scratch)?;
        match place.has_name(name) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(failed(Operation::SetAside)(Errno::ESTALE)),
        }
        (place.held.directory.rename(name, aside.as_str()))
            .and_then(|()| place.held.directory.rename(scratch.as_str(), name))
            .map_err(failed(Operation::SetAside))?;
        place.file = file;
        Ok(())
    }
}

impl Place {
    /// Whether this name leads to the file; `ENOENT` if nothing has the name.
    fn has_name(&self, name: &str) -> Result<bool, Errno> {
        let named = file::identity_at(&self.held.directory, name)?;
        Ok(file::identity(&self.file) == Ok(named))
    }

    /// Makes and locks a file. One that an earlier try has left there is removed.
    fn new_file(&self, name: &Path) -> Result<OwnedFd, Trouble> {
        let make = failed(Operation::Make);
        self.held.directory.remove(name.as_str()).map_err(&make)?;
        let (file, _) = file::open_private(&self.held.directory, name.as_str(), true).map_err(&make)?;
        file::lock(&file).map_err(failed(Operation::Lock))?;
        Ok(file)
    }
}

/// Opens and locks the file. `EWOULDBLOCK`: another process has locked it; `ESTALE`: the path no longer
/// leads to it. A file that is no ledger, or another user's, is not even locked.
fn try_lock(path: &Path) -> Result<Place, Trouble> {
    let held = Held::make(path::parent(path.as_str())).map_err(failed(Operation::Open))?;
    let name = path::name(path.as_str());
    let (file, _) = file::open_private(&held.directory, name, false).map_err(failed(Operation::Open))?;
    if file::is_own(&file) == Ok(false) {
        return Err(failed(Operation::Own)(Errno::EPERM));
    }
    if !may_be_ledger(&file).map_err(failed(Operation::Read))? {
        return Err(failed(Operation::Recognise)(Errno::EINVAL));
    }
    file::lock(&file).map_err(failed(Operation::Lock))?;
    let place = Place { held, file };
    if place.has_name(name) == Ok(true) { Ok(place) } else { Err(failed(Operation::Open)(Errno::ESTALE)) }
}

/// Whether a file begins like a ledger, is empty, or has a size at which the creation of a ledger may have stopped.
pub fn may_be_ledger(file: &OwnedFd) -> Result<bool, Errno> {
    let mut word = [0; size_of::<u32>()];
    file::read_at(file, &mut word, 0)?;
    let (size, word) = (file::size(file)?, u32::from_ne_bytes(word));
    Ok(size == 0 || Ledger::begins_with(word) || (word == 0 && is_ledger_size(size)))
}

/// What follows for the run if there is no ledger.
const WITHOUT: &str = "this run goes on without it: what is not reported is lost when it ends";

/// Whether a ledger file can have this size, in bytes.
fn is_ledger_size(size: u64) -> bool {
    (1..=limits::RECORDS / limits::RECORD_BATCH).any(|n| bytes(n * limits::RECORD_BATCH) == size)
}

fn beside(name: &str, suffix: &str) -> Path {
    Text::format(format_args!("{name}{suffix}"))
}

/// The capacity of a ledger for this many targets, in records: rounded up to whole batches.
fn capacity_for(targets: usize) -> usize {
    targets.next_multiple_of(limits::RECORD_BATCH).clamp(limits::RECORD_BATCH, limits::RECORDS)
}

/// Bytes of a ledger of `records` records.
fn bytes(records: usize) -> u64 {
    (ledger::words(records) * size_of::<AtomicU32>()) as u64
}
