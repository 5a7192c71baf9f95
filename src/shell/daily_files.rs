//! The daily files: chooses the file for lines, decides whether it needs a header, appends them in one write, deletes old
//! files when a new one has been begun, and maintains the link to the latest file. It is the same for every kind of
//! file, and a kind that cannot be written holds up none of the others.

use core::fmt::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::base::words;
use crate::core::ledger::{self, Ledger, Progress};
use crate::model::keep::Keep;
use crate::model::log_names::Kind;
use crate::shell::old_files;
use crate::sys;
use crate::sys::directory::{Directory, Held};
use crate::sys::file::Identity;
use crate::sys::{Errno, by_path, clock, descriptor, file};

/// Why lines are not in their file. Displayed without its subject: `cannot be opened (...)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The file or its directory could not be opened or made.
    Open(Errno),
    /// The lines could not be written as a whole. A part of them is cut off, at the latest before the next ones.
    Write(Errno),
    /// The file could not be read to find out whether it has the last run's lines.
    Read(Errno),
    /// The directory was removed, moved or replaced, and the sandbox lets this run use no other one.
    Gone,
}

impl LogError {
    /// The number of its error (errno(3)).
    pub fn number(self) -> i32 {
        match self {
            LogError::Open(errno) | LogError::Write(errno) | LogError::Read(errno) => errno.number(),
            LogError::Gone => Errno::ENOENT.number(),
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = match *self {
            LogError::Open(errno) => ("opened", sys::describe_open(errno)),
            LogError::Read(errno) => ("searched for the last run's lines", sys::describe(errno)),
            LogError::Write(errno) => ("written", sys::describe(errno)),
            LogError::Gone => return f.write_str("was taken away, and a run in the sandbox cannot use another one"),
        };
        write!(f, "cannot be {what} ({why})")
    }
}

/// Lines for a daily file: all of them are appended in one write, or none.
pub struct Lines<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The moment whose day chooses the file.
    pub stamp: WallTime,
    /// The header, with its newline, which comes before the lines if the last one in the file is another. It begins with
    /// a letter and no line does; it has at most [`PIECE`] bytes. Empty for a kind that has none.
    pub header: &'a dyn fmt::Display,
    /// Writes the lines, at most [`limits::DAILY_LINES`] bytes.
    pub body: &'a mut dyn FnMut(&mut dyn fmt::Write) -> fmt::Result,
    /// What they cover, see [`Ledger::take_events`].
    pub covers: u32,
}

/// The file of a kind that was written last.
#[derive(Debug, Default)]
struct Written {
    /// The file whose last header is ours.
    headed: Option<Headed>,
    /// A part of lines that could not be cut off: its file, and its begin and end there in bytes.
    torn: Option<(OwnedFd, u64, u64)>,
}

/// A file whose last header is known to be this one, as it was after our last lines.
#[derive(Clone, Copy, Debug)]
struct Headed {
    file: Identity,
    /// The checksum of the header.
    header: u32,
    /// Its length. What is behind may be another run's.
    end: u64,
    /// Its last bytes, at most [`TAIL`]: how many, and their checksum. A file that was removed and made again may have
    /// the identity of the old one.
    tail: (usize, u32),
}

/// Most bytes of our last lines by which a file is recognised.
const TAIL: usize = 512;

/// Bytes of a file that are read at once.
pub const PIECE: usize = 4096;

/// The directory of the daily files, and what is known of them.
#[derive(Debug)]
pub struct DailyFiles {
    /// The working directory, where a relative path begins.
    working_directory: Text<{ limits::DIRECTORY }>,
    /// The ledger's directory; empty without a ledger.
    ledger_directory: Path,
    /// The path of the directory, as configured.
    directory: Text<{ limits::DIRECTORY }>,
    /// The directory, from its first use on.
    held: Option<Held>,
    /// Whether the sandbox forbids every other directory.
    confined: bool,
    keep: Keep,
    /// Whether old files could be deleted, if that was tried since it was last asked.
    deleted: Option<Result<(), Errno>>,
    /// For each kind, in the order of [`Kind::ALL`].
    written: [Written; Kind::ALL.len()],
    /// What is being written.
    text: String,
}

impl DailyFiles {
    /// Files in this directory, of which so many are kept. Reserves memory for the longest lines.
    pub fn new(directory: Text<{ limits::DIRECTORY }>, keep: Keep) -> Self {
        let text = String::with_capacity(limits::DAILY_LINES + PIECE);
        Self {
            working_directory: by_path::here(),
            ledger_directory: Path::new(),
            directory,
            held: None,
            confined: false,
            keep,
            deleted: None,
            written: Default::default(),
            text,
        }
    }

    /// Opens the directory at its first use; makes it if it is missing. If it was taken away since, it is made again
    /// by its path, or is [`LogError::Gone`].
    pub fn hold(&mut self) -> Result<&Directory, LogError> {
        let path = self.directory.as_str();
        let held = match &mut self.held {
            Some(held) => {
                if held.is_gone(path) {
                    if self.confined {
                        return Err(LogError::Gone);
                    }
                    held.make_again().map_err(LogError::Open)?;
                }
                held
            }
            // It could not be opened before the run was confined.
            None if self.confined => return Err(LogError::Gone),
            none => none.insert(Held::make(path).map_err(LogError::Open)?),
        };
        Ok(&held.directory)
    }

    /// The directory, if it is open.
    pub fn held(&self) -> Option<&Directory> {
        self.held.as_ref().map(|held| &held.directory)
    }

    /// An error if no file can be made in the directory.
    pub fn check_directory(&mut self) -> Result<(), LogError> {
        self.hold()?.check().map_err(LogError::Open)
    }

    /// Whether it is this directory.
    pub fn is_in(&self, directory: &Directory) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| held.directory.identity().is_ok() && held.directory.identity() == directory.identity())
    }

    /// Whether the sandbox forbids every other directory than this one, and those in it.
    pub fn set_confined(&mut self, confined: bool) {
        self.confined = confined;
    }

    /// Uses this directory from here on.
    pub fn set_directory(&mut self, directory: Text<{ limits::DIRECTORY }>) {
        if self.directory != directory {
            for written in &mut self.written {
                written.headed = None;
            }
            // What the sandbox allows lies below a directory of the start. An error is found again at the next use.
            self.held = Held::make(directory.as_str()).ok();
        }
        self.directory = directory;
    }

    /// Keeps so many files, from the next one on that is begun.
    pub fn set_keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Whether old files could be deleted, if a file was begun since the last call.
    pub fn deleted(&mut self) -> Option<Result<(), Errno>> {
        self.deleted.take()
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        self.directory.as_str()
    }

    /// The path of the file for lines of this moment.
    pub fn path(&self, kind: Kind, stamp: WallTime) -> Path {
        self.path_of(kind.name(stamp).as_str())
    }

    /// Appends these lines: all of them, or none. The ledger journals them before the write and after it; the caller
    /// then marks them as written.
    pub fn append(&mut self, lines: Lines<'_>, ledger: &Ledger) -> Result<(), LogError> {
        let Lines { kind, stamp, header, body, covers } = lines;
        let name = kind.name(stamp);
        let path = self.path_of(name.as_str());
        let mut opened = self.open(name.as_str());
        // Before the write, or even before the file can be made: this may free the space that they need.
        if matches!(opened, Ok((_, 0)) | Err(LogError::Open(Errno::ENOSPC | Errno::EDQUOT))) && self.keep != Keep::ALL {
            self.deleted = Some(self.delete_old(kind, stamp.day(), opened.is_err()));
            if opened.is_err() {
                opened = self.open(name.as_str());
            }
        }
        let (log, size) = opened?;
        self.cut_off_torn(kind, &log)?;
        lock(&log);
        let (size, file) = (file::size(&log).unwrap_or(size), file::identity(&log).ok());
        self.text.clear();
        // Writing to a String does not fail.
        let _ = write!(self.text, "{header}");
        let header = ledger::checksum(self.text.as_bytes());
        let known = self.written[kind.index()].headed;
        let known = known.filter(|known| file == Some(known.file) && known.is_unchanged(header, &log, size));
        let known = known.map(|known| known.end);
        let (headed, ends_line) = if known == Some(size) { (false, true) } else { self.look(kind, &log, known, size) };
        if !headed {
            self.text.clear();
        }
        if !ends_line {
            self.text.insert(0, '\n');
        }
        let _ = body(&mut self.text);
        ledger.begin_write(kind, &self.path_to_store(&path), size, self.text.as_bytes(), stamp, headed, covers);
        // Blocks are reserved first: on a full disk no reader must see a part of the lines.
        let reserved = file::reserve(&log, size, self.text.len());
        match reserved.and_then(|()| descriptor::write(log.as_fd(), self.text.as_bytes())) {
            Ok(length) if length == self.text.len() => {}
            Ok(length) => {
                // A short write: the disk is full. A reader may see this part for a moment, but nothing is written
                // twice.
                self.undo_short_write(kind, log, length, ledger);
                return Err(LogError::Write(Errno::ENOSPC));
            }
            Err(errno) => {
                ledger.end_write(kind);
                return Err(LogError::Write(errno));
            }
        }
        ledger.set_progress(kind, Progress::Written);
        let end = size + self.text.len() as u64;
        // Another end: something was written between the look and our write.
        let file = file.filter(|_| file::position(&log) == Ok(end));
        let tail = &self.text.as_bytes()[self.text.len().saturating_sub(TAIL)..];
        let tail = (tail.len(), ledger::checksum(tail));
        self.written[kind.index()].headed = file.map(|file| Headed { file, header, end, tail });
        Ok(())
    }

    /// Tries again to cut off the part of earlier lines of this kind, if it is still its file's end. Fails only if it is
    /// in this file: another day's file does not delay these lines.
    fn cut_off_torn(&mut self, kind: Kind, log: &OwnedFd) -> Result<(), LogError> {
        let torn = &mut self.written[kind.index()].torn;
        let Some((file, begin, end)) = torn.take() else { return Ok(()) };
        match cut_off(&file, begin, end) {
            Err(errno) if file::identity(&file) == file::identity(log) => {
                *torn = Some((file, begin, end));
                Err(LogError::Write(errno))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Cuts off the `length` bytes of a short write. If that fails, it is tried again before the next lines of this kind
    /// and by the next run. What other programs have written after them stays.
    fn undo_short_write(&mut self, kind: Kind, log: OwnedFd, length: usize, ledger: &Ledger) {
        let Ok(end) = file::position(&log) else { return };
        let begin = end.saturating_sub(length as u64);
        ledger.tear(kind, begin, length);
        if cut_off(&log, begin, end).is_ok() {
            ledger.end_write(kind);
        } else {
            self.written[kind.index()].torn = Some((log, begin, end));
        }
    }

    /// Makes the link to the latest file of this kind a symbolic link to the file for this stamp. `EEXIST`: something
    /// else has that name; `EOPNOTSUPP`: the file system has no symbolic links, such as vfat.
    pub fn link_latest(&self, kind: Kind, stamp: WallTime) -> Result<(), Errno> {
        let name = kind.name(stamp);
        let Some(Held { directory, .. }) = &self.held else { return Err(Errno::ENOENT) };
        match directory.is_link_to(kind.latest(), name.as_str()) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Errno::ENOENT) => {}
            Err(Errno::EINVAL) => return Err(Errno::EEXIST),
            Err(errno) => return Err(errno),
        }
        let made = directory.replace_link(kind.latest(), name.as_str(), kind.latest_new());
        // symlink(2) gives EPERM, some FUSE file systems ENOSYS.
        made.map_err(|errno| if matches!(errno, Errno::EPERM | Errno::ENOSYS) { Errno::EOPNOTSUPP } else { errno })
    }

    /// Deletes the files that do not stay beside that of this kind and day, which has just been begun; or cannot be
    /// begun, because the disk is full.
    fn delete_old(&self, kind: Kind, begun: i64, full: bool) -> Result<(), Errno> {
        let Some(Held { directory, .. }) = &self.held else { return Err(Errno::ENOENT) };
        old_files::delete(directory, self.keep, kind, begun, full)
    }

    /// The path of a file as the ledger stores it. A run in another working directory must find the same
    /// file: the path is made absolute, or a bare name if the file is in the ledger's directory, so that
    /// both can be moved together.
    fn path_to_store(&self, path: &Path) -> Path {
        if path::parent(path.as_str()) == self.ledger_directory.as_str() {
            return path::within("", path::name(path.as_str()));
        }
        let is_final = path.as_str().starts_with('/') || self.working_directory.is_empty();
        if is_final || self.working_directory.as_str().len() + 1 + path.as_str().len() > limits::PATH {
            return *path;
        }
        path::within(self.working_directory.as_str(), path.as_str())
    }

    /// The path of a file that the ledger stores like this.
    pub fn resolve_path(&self, stored: &Path) -> Path {
        if words::contains(stored.as_str(), b'/') {
            *stored
        } else {
            path::within(self.ledger_directory.as_str(), stored.as_str())
        }
    }

    /// Sets the path of the ledger, which stores a file in its own directory by its name only.
    pub fn set_ledger_path(&mut self, ledger: &Path) {
        self.ledger_directory = path::within("", path::parent(ledger.as_str()));
    }

    fn open(&mut self, name: &str) -> Result<(OwnedFd, u64), LogError> {
        let opened = match file::open_log(self.hold()?, name) {
            // The directory was removed at this moment.
            Err(Errno::ENOENT) => file::open_log(self.hold()?, name),
            other => other,
        };
        opened.map_err(LogError::Open)
    }

    /// Looks at what is in the file of `size` bytes, or only behind `known`, up to which the last header is ours: a run
    /// with other thresholds may have written to the file. `text` holds our header. Returns whether it is needed, and
    /// whether the file ends with a whole line. A header is the only line that begins with a letter.
    fn look(&self, kind: Kind, log: &OwnedFd, known: Option<u64>, size: u64) -> (bool, bool) {
        let mut piece = [0; PIECE];
        let (mut offset, mut begins, mut last) = match kind {
            Kind::Stats | Kind::Times => (known.unwrap_or(0), true, None),
            // These have no header, or one that never changes and begins the file, which may be too long to be read.
            Kind::Events | Kind::Samples => (size.saturating_sub(1), size == 0, Some(0)),
        };
        let from = offset;
        while let Ok(length @ 1..) = file::read_at(log, &mut piece, offset) {
            for (i, byte) in piece[..length].iter().enumerate() {
                if begins && byte.is_ascii_alphabetic() {
                    last = Some(offset + i as u64);
                }
                begins = *byte == b'\n';
            }
            offset += length as u64;
        }
        // A file that cannot be read is taken for one that ends with a whole line: an empty one would be in the way.
        let begins = begins || offset == from;
        let Some(last) = last else { return (known.is_none(), begins) };
        let header = self.text.as_bytes();
        let found = file::read_at(log, &mut piece[..header.len()], last);
        (!found.is_ok_and(|length| piece[..length] == *header), begins)
    }

    fn path_of(&self, name: &str) -> Path {
        path::within(self.directory.as_str(), name)
    }
}

impl Headed {
    /// Whether the file, which has `size` bytes now, still has our last lines where they were, below this header.
    fn is_unchanged(&self, header: u32, log: &OwnedFd, size: u64) -> bool {
        let mut piece = [0; TAIL];
        let (length, checksum) = self.tail;
        let read = file::read_at(log, &mut piece[..length], self.end - length as u64);
        self.header == header
            && self.end <= size
            && read.is_ok_and(|length| ledger::checksum(&piece[..length]) == checksum)
    }
}

/// Locks a file until it is closed, so that no other run writes to it between our look at its headers and our write. If
/// someone holds the lock for long, or the file system has no locks, the lines are written without it.
fn lock(log: &OwnedFd) {
    for _ in 0..limits::LOG_LOCK.0 {
        if file::lock(log) != Err(Errno::EWOULDBLOCK) {
            return;
        }
        clock::rest(limits::LOG_LOCK.1);
    }
}

/// Truncates a file to `begin` bytes if it has `end` bytes now.
fn cut_off(log: &OwnedFd, begin: u64, end: u64) -> Result<(), Errno> {
    if file::size(log)? == end { file::truncate(log, begin) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
