//! The ledger's file: made, locked, mapped, set aside where it is damaged, made anew where it was
//! taken away. Its lock says whether a monitor runs; there is no other sign of it.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::OwnedFd;

use crate::console::Console;
use crate::ledger::{self, Ledger, Memory, Owner, Phase};
use crate::limits;
use crate::path::{self, Path};
use crate::sys::{Errno, clock, file, map, net, process};
use crate::target::Target;
use crate::text::Text;
use crate::time::{Nanos, WallTime};

/// How often, and after how long, a lock is tried again that nobody alive seems to have: a process
/// that was killed a moment ago may not be gone yet.
const TRIES: u32 = 40;
const PAUSE: Nanos = Nanos::from_millis(50);

/// Suffixes of damaged ledgers: the last one is used again and again.
const ASIDE: usize = 10;

/// How it went to lock the ledger.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one, at the start")]
pub enum Lock {
    /// It is ours.
    Held(LedgerFile),
    /// A monitor runs: this process, if it has said so.
    Running(Option<Owner>),
    /// There can be no ledger, for this reason. This run has taken the name that stands for it.
    Impossible(Trouble, OwnedFd),
}

/// What cannot be done with a ledger. Displayed as what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    what: &'static str,
    errno: Errno,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            Errno::ELOOP => write!(f, "cannot be {} (it is a symbolic link, and none is followed)", self.what),
            Errno::EINVAL if self.what == OPENED => write!(f, "cannot be {} (it is no regular file)", self.what),
            errno => write!(f, "cannot be {} ({})", self.what, errno.desc()),
        }
    }
}

const OPENED: &str = "opened";
const MAPPED: &str = "mapped";

fn trouble(what: &'static str) -> impl Fn(Errno) -> Trouble {
    move |errno| Trouble { what, errno }
}

/// A ledger's file that this process has locked.
#[derive(Debug)]
pub struct LedgerFile {
    path: Path,
    file: OwnedFd,
    /// Another file has its name, and that was said.
    replaced: bool,
}

impl LedgerFile {
    /// Makes the file if it is not there, and locks it.
    pub fn lock(path: Path) -> Lock {
        for attempt in 0.. {
            let (file, _) = match open(&path) {
                Ok(found) => found,
                Err(errno) => return without(&path, trouble(OPENED)(errno)),
            };
            match file::lock(&file) {
                // The one that was opened may have been set aside since.
                Ok(()) if file::identity(&file) == file::identity_at(path.as_str()) => {
                    return Lock::Held(Self { path, file, replaced: false });
                }
                Ok(()) => {}
                Err(Errno::EWOULDBLOCK) => {
                    let owner = owner(&path);
                    let alive = owner.filter(|owner| process::is_alive(*owner));
                    if alive.is_some() || attempt >= TRIES {
                        return Lock::Running(alive);
                    }
                }
                Err(errno) => return without(&path, trouble("locked")(errno)),
            }
            if attempt >= TRIES {
                break;
            }
            clock::rest(PAUSE);
        }
        without(&path, trouble("locked")(Errno::EAGAIN))
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
                console.say("ledger", format_args!("{} {trouble}, {WITHOUT}", self.path));
                Ledger::absent()
            }
        }
    }

    fn try_load(&mut self, targets: &[Target], wall: WallTime, console: &mut Console) -> Result<Ledger, Trouble> {
        let size = file::size(&self.file).map_err(trouble(OPENED))?;
        let there = (size / size_of::<AtomicU32>() as u64).min(ledger::words(limits::WATCHES) as u64) as usize;
        let words = map(&self.file)?;
        if size > 0 && !(there > 0 && Ledger::is_unfinished(&words[..there])) {
            match Ledger::open(Memory::Mapped(words), there) {
                Ok(ledger) => return self.make_room(ledger, targets),
                Err(damage) => {
                    let aside = self.set_aside()?;
                    console.say(
                        "ledger",
                        format_args!("{} {damage}, it is kept as {aside} and a new one begins", self.path),
                    );
                }
            }
        }
        let places = room_for(targets.len());
        file::allocate(&self.file, bytes(places)).map_err(trouble("made"))?;
        Ok(Ledger::create(Memory::Mapped(map(&self.file)?), places, wall))
    }

    /// Lets the ledger have room for these targets, too, and lie in the file if it does not yet.
    fn make_room(&mut self, mut ledger: Ledger, targets: &[Target]) -> Result<Ledger, Trouble> {
        let needed = ledger.places_for(targets);
        if needed > limits::WATCHES {
            return Err(Trouble {
                what: "used: too many targets that are gone wait for their report",
                errno: Errno::ENOSPC,
            });
        }
        if !ledger.is_mapped() {
            // One of another layout: the file stays as it is until the new one takes its place.
            self.rebuild(&mut ledger)?;
        }
        // What is there may have holes, as a copied file has.
        file::allocate(&self.file, bytes(ledger.places())).map_err(trouble("made"))?;
        self.grow(&mut ledger, needed)?;
        Ok(ledger)
    }

    /// Makes room in the ledger for so many records. It is as it was where that cannot be had.
    pub fn grow(&self, ledger: &mut Ledger, needed: usize) -> Result<(), Trouble> {
        if needed <= ledger.places() || !ledger.is_present() {
            return Ok(());
        }
        let places = room_for(needed);
        file::allocate(&self.file, bytes(places)).map_err(trouble("made longer"))?;
        ledger.grow(places);
        Ok(())
    }

    /// Looks whether the file still has its name. One that was taken away is made anew; one that
    /// another file has taken the place of is left. What happened is said.
    pub fn keep_in_place(&mut self, ledger: &mut Ledger, console: &mut Console) {
        if !ledger.is_present() {
            return;
        }
        let what = match file::identity_at(self.path.as_str()) {
            Ok(found) if Ok(found) == file::identity(&self.file) => {
                self.replaced = false;
                return;
            }
            Ok(_) => None,
            Err(Errno::ENOENT) => Some(self.rebuild(ledger)),
            Err(errno) => Some(Err(trouble(OPENED)(errno))),
        };
        let before = core::mem::replace(&mut self.replaced, !matches!(what, Some(Ok(()))));
        match what {
            Some(Ok(())) => {
                console
                    .say("ledger", format_args!("{} was taken away, it is made anew with all its counts", self.path));
            }
            Some(Err(trouble)) if !before => {
                console.say("ledger", format_args!("{} was taken away and {trouble}, it is tried again", self.path));
            }
            None if !before => {
                console.say(
                    "ledger",
                    format_args!("{} is another file now, this run's counts are not kept in it", self.path),
                );
            }
            Some(Err(_)) | None => {}
        }
    }

    /// Moves the file to another path, where nothing is yet.
    pub fn move_to(&mut self, path: Path, ledger: &mut Ledger) -> Result<(), Trouble> {
        if path == self.path {
            return Ok(());
        }
        let moved = trouble("moved");
        file::make_directories(path::parent(path.as_str())).map_err(&moved)?;
        if !file::exists(self.path.as_str()) && !file::exists(path.as_str()) {
            let before = core::mem::replace(&mut self.path, path);
            return self.rebuild(ledger).inspect_err(|_| self.path = before);
        }
        file::rename_new(self.path.as_str(), path.as_str()).map_err(&moved)?;
        self.path = path;
        Ok(())
    }

    /// A new file with all that the ledger has, which then takes the name.
    fn rebuild(&mut self, ledger: &mut Ledger) -> Result<(), Trouble> {
        let scratch = beside(&self.path, "new");
        if !ledger.is_present() {
            return Ok(());
        }
        file::make_directories(path::parent(self.path.as_str())).map_err(trouble("made"))?;
        file::remove(scratch.as_str()).map_err(trouble("made"))?;
        let (file, _) = file::open_private(scratch.as_str(), true).map_err(trouble("made"))?;
        file::lock(&file).map_err(trouble("locked"))?;
        file::allocate(&file, bytes(ledger.places())).map_err(trouble("made"))?;
        let words = map(&file)?;
        for (to, from) in words.iter().zip(ledger.content()) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        file::rename(scratch.as_str(), self.path.as_str()).map_err(trouble("made"))?;
        ledger.move_to(Memory::Mapped(words));
        self.file = file;
        Ok(())
    }

    /// Gives the file another name, and goes on with a new one. Gives the name.
    fn set_aside(&mut self) -> Result<Path, Trouble> {
        let name = |n: usize| match n {
            0 => beside(&self.path, "damaged"),
            n => beside(&self.path, Text::<16>::format(format_args!("damaged.{n}")).as_str()),
        };
        let free = (0..ASIDE).map(name).find(|name| !file::exists(name.as_str()));
        let aside = free.unwrap_or_else(|| name(ASIDE - 1));
        let failed = trouble("set aside");
        file::rename(self.path.as_str(), aside.as_str()).map_err(&failed)?;
        let (file, _) = file::open_private(self.path.as_str(), true).map_err(&failed)?;
        file::lock(&file).map_err(&failed)?;
        self.file = file;
        Ok(aside)
    }
}

/// Without a file to lock, a name stands for it, so that there is only one run all the same.
fn without(path: &Path, trouble: Trouble) -> Lock {
    let path = path.as_str();
    // A path that is not absolute is told from the same one elsewhere.
    let here = if path.starts_with('/') { None } else { std::env::current_dir().ok() };
    let mut name = DefaultHasher::new();
    (here, path).hash(&mut name);
    match net::claim(Text::<64>::format(format_args!("tcpmon-{:016x}", name.finish())).as_str()) {
        Ok(claim) => Lock::Impossible(trouble, claim),
        Err(_) => Lock::Running(None),
    }
}

/// What a run without a ledger means.
pub const WITHOUT: &str = "this run goes on without it: what is not reported is lost when it ends";

/// The ledger as it is now, for who only looks: a copy.
pub fn look(path: &Path) -> Result<Ledger, Look> {
    let (file, size) = file::open_to_read(path.as_str()).map_err(|errno| match errno {
        Errno::ENOENT => Look::Nothing,
        errno => Look::Trouble(trouble(OPENED)(errno)),
    })?;
    let words = (size / size_of::<AtomicU32>() as u64).min(ledger::words(limits::WATCHES) as u64 * 2) as usize;
    if words == 0 {
        return Err(Look::Nothing);
    }
    let words = map::View::new(&file, words).map_err(|errno| Look::Trouble(trouble(MAPPED)(errno)))?;
    let ledger = Ledger::copy(&words).map_err(Look::Damage)?;
    // What the log has is not left to report, whether or not the run could still take note of it.
    if ledger.journal().is_some_and(|journal| journal.phase == Phase::Written) {
        ledger.mark_reported();
    }
    Ok(ledger)
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
pub fn owner(path: &Path) -> Option<Owner> {
    look(path).ok().map(|ledger| ledger.owner()).filter(|owner| owner.pid != 0)
}

/// Whether a monitor runs with it: nobody but one locks it for longer than a moment.
pub fn is_running(ledger: &Ledger) -> bool {
    ledger.is_running() && process::is_alive(ledger.owner())
}

fn open(path: &Path) -> Result<(OwnedFd, u64), Errno> {
    match file::open_private(path.as_str(), false) {
        Err(Errno::ENOENT) => {
            file::make_directories(path::parent(path.as_str()))?;
            file::open_private(path.as_str(), false)
        }
        other => other,
    }
}

/// Maps the file, with room to grow.
fn map(file: &OwnedFd) -> Result<&'static [AtomicU32], Trouble> {
    map::shared(file, ledger::words(limits::WATCHES)).map_err(trouble(MAPPED))
}

fn beside(path: &Path, suffix: &str) -> Path {
    Text::format(format_args!("{path}.{suffix}"))
}

/// Places for so many targets, with some to spare.
fn room_for(targets: usize) -> usize {
    targets.next_multiple_of(limits::PLACES).clamp(limits::PLACES, limits::WATCHES)
}

/// Bytes of a ledger with so many records.
fn bytes(places: usize) -> u64 {
    (ledger::words(places) * size_of::<AtomicU32>()) as u64
}
