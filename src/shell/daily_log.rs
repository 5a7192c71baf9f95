//! The daily log: chooses a report's file, decides whether it needs a header, appends it in one write,
//! deletes old files when a new one has been begun, and maintains the link to the latest file.

use core::fmt::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::base::words;
use crate::core::ledger::{self, Ledger, Progress};
use crate::model::keep::Keep;
use crate::model::log_names;
use crate::model::outcome::Columns;
use crate::render::table::Form;
use crate::sys;
use crate::sys::directory::{Directory, Held};
use crate::sys::file::Identity;
use crate::sys::{Errno, by_path, clock, descriptor, file};

/// Why a report is not in the log. Displayed without its subject: `cannot be opened (...)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The file or its directory could not be opened or made.
    Open(Errno),
    /// The report could not be written as a whole. A part of it is cut off, at the latest before the next
    /// report.
    Write(Errno),
    /// The file could not be read to find out whether it has the last run's report.
    Read(Errno),
    /// The directory was removed, moved or replaced, and the sandbox lets this run use no other one.
    Gone,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = match *self {
            LogError::Open(errno) => ("opened", sys::describe_open(errno)),
            LogError::Read(errno) => ("searched for the last run's report", sys::describe(errno)),
            LogError::Write(errno) => ("written", sys::describe(errno)),
            LogError::Gone => return f.write_str("was taken away, and a run in the sandbox cannot use another one"),
        };
        write!(f, "cannot be {what} ({why})")
    }
}

/// A file whose last header is known to be that of our form, as it was after our last report.
#[derive(Clone, Copy, Debug)]
struct Headed {
    file: Identity,
    /// Its length. What is behind may be another run's.
    end: u64,
    /// Its last bytes, at most [`TAIL`]: how many, and their checksum. A file that was removed and made again may have
    /// the identity of the old one.
    tail: (usize, u32),
}

/// Most bytes of our last report by which a file is recognised.
const TAIL: usize = 512;

/// The log that reports are appended to.
#[derive(Debug)]
pub struct DailyLog {
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
    form: Form,
    keep: Keep,
    /// Whether old files could be deleted, if that was tried since it was last asked.
    deleted: Option<Result<(), Errno>>,
    /// The file whose last header is ours.
    headed: Option<Headed>,
    /// A part of a report that could not be cut off: its file, and its begin and end there in bytes.
    torn: Option<(OwnedFd, u64, u64)>,
    report: String,
}

impl DailyLog {
    /// A log in this directory, which keeps so many files. Reserves memory for the longest report.
    pub fn new(directory: Text<{ limits::DIRECTORY }>, form: Form, keep: Keep) -> Self {
        let report = String::with_capacity((limits::RECORDS + 1) * limits::ROW + 1);
        Self {
            working_directory: by_path::here(),
            ledger_directory: Path::new(),
            directory,
            held: None,
            confined: false,
            form,
            keep,
            deleted: None,
            headed: None,
            torn: None,
            report,
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

    /// Uses this directory and form from here on.
    pub fn set_directory_and_form(&mut self, directory: Text<{ limits::DIRECTORY }>, form: Form) {
        if self.directory != directory || self.form != form {
            self.headed = None;
        }
        if self.directory != directory {
            // What the sandbox allows lies below a directory of the start. An error is found again at the next use.
            self.held = Held::make(directory.as_str()).ok();
        }
        self.directory = directory;
        self.form = form;
    }

    /// Keeps so many files, from the next one on that is begun.
    pub fn set_keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Whether old files could be deleted, if a report since the last call has begun a file.
    pub fn deleted(&mut self) -> Option<Result<(), Errno>> {
        self.deleted.take()
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        self.directory.as_str()
    }

    /// The form of its rows.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The path of the file for a report with this stamp.
    pub fn path(&self, stamp: WallTime) -> Path {
        self.path_of(log_names::of(stamp).as_str())
    }

    /// Appends one report: all rows, or none. The ledger journals it before the write and after it; the
    /// caller then marks it as reported.
    pub fn append(
        &mut self,
        stamp: WallTime,
        rows: &mut dyn Iterator<Item = (&str, Columns)>,
        ledger: &Ledger,
    ) -> Result<(), LogError> {
        let name = log_names::of(stamp);
        let path = self.path_of(name.as_str());
        let mut opened = self.open(name.as_str());
        // Before the write, or even before the file can be made: this may free the space that they need.
        if matches!(opened, Ok((_, 0)) | Err(LogError::Open(Errno::ENOSPC | Errno::EDQUOT))) && self.keep != Keep::ALL {
            self.deleted = Some(self.delete_old(stamp.day()));
            if opened.is_err() {
                opened = self.open(name.as_str());
            }
        }
        let (log, size) = opened?;
        self.cut_off_torn(&log)?;
        lock(&log);
        let (size, file) = (file::size(&log).unwrap_or(size), file::identity(&log).ok());
        let known = self.headed.filter(|known| file == Some(known.file) && known.is_unchanged(&log, size));
        let known = known.map(|known| known.end);
        let (headed, ends_line) = if known == Some(size) { (false, true) } else { self.look(&log, known) };
        self.report.clear();
        if !ends_line {
            self.report.push('\n');
        }
        // Writing to a String does not fail.
        let _ = self.form.write(&mut self.report, headed, stamp, rows);
        ledger.begin_report(&self.path_to_store(&path), size, self.report.as_bytes(), stamp, headed);
        // Blocks are reserved first: on a full disk no reader must see a part of the report.
        let reserved = file::reserve(&log, size, self.report.len());
        match reserved.and_then(|()| descriptor::write(log.as_fd(), self.report.as_bytes())) {
            Ok(length) if length == self.report.len() => {}
            Ok(length) => {
                // A short write: the disk is full. A reader may see this part for a moment, but no count
                // is reported twice.
                self.undo_short_write(log, length, ledger);
                return Err(LogError::Write(Errno::ENOSPC));
            }
            Err(errno) => {
                ledger.end_report();
                return Err(LogError::Write(errno));
            }
        }
        ledger.set_progress(Progress::Written);
        let end = size + self.report.len() as u64;
        // Another end: something was written between the look and our write.
        let file = file.filter(|_| file::position(&log) == Ok(end));
        let tail = &self.report.as_bytes()[self.report.len().saturating_sub(TAIL)..];
        self.headed = file.map(|file| Headed { file, end, tail: (tail.len(), ledger::checksum(tail)) });
        Ok(())
    }

    /// Tries again to cut off the part of an earlier report, if it is still its file's end. Fails only if it is in
    /// this file: another day's file does not delay this report.
    fn cut_off_torn(&mut self, log: &OwnedFd) -> Result<(), LogError> {
        let Some((file, begin, end)) = self.torn.take() else { return Ok(()) };
        match cut_off(&file, begin, end) {
            Err(errno) if file::identity(&file) == file::identity(log) => {
                self.torn = Some((file, begin, end));
                Err(LogError::Write(errno))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Cuts off the `length` bytes of a short write. If that fails, it is tried again before the next report
    /// and by the next run. What other programs have written after them stays.
    fn undo_short_write(&mut self, log: OwnedFd, length: usize, ledger: &Ledger) {
        let Ok(end) = file::position(&log) else { return };
        let begin = end.saturating_sub(length as u64);
        ledger.tear_report(begin, length);
        if cut_off(&log, begin, end).is_ok() {
            ledger.end_report();
        } else {
            self.torn = Some((log, begin, end));
        }
    }

    /// Makes `tcp_stats_latest.log` a symbolic link to the file for this stamp. `EEXIST`: something else
    /// has that name; `EOPNOTSUPP`: the file system has no symbolic links, such as vfat.
    pub fn link_latest(&self, stamp: WallTime) -> Result<(), Errno> {
        let name = log_names::of(stamp);
        let Some(Held { directory, .. }) = &self.held else { return Err(Errno::ENOENT) };
        match directory.is_link_to(log_names::LATEST, name.as_str()) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Errno::ENOENT) => {}
            Err(Errno::EINVAL) => return Err(Errno::EEXIST),
            Err(errno) => return Err(errno),
        }
        let made = directory.replace_link(log_names::LATEST, name.as_str(), log_names::LATEST_NEW);
        // symlink(2) gives EPERM, some FUSE file systems ENOSYS.
        made.map_err(|errno| if matches!(errno, Errno::EPERM | Errno::ENOSYS) { Errno::EOPNOTSUPP } else { errno })
    }

    /// Deletes the files that do not stay beside that of the day `begun`, which has just been begun.
    fn delete_old(&self, begun: i64) -> Result<(), Errno> {
        let Some(Held { directory, .. }) = &self.held else { return Err(Errno::ENOENT) };
        let other = |name: &str| log_names::day_of(name).filter(|day| *day != begun);
        let mut count = |first| directory.count(&mut |name| other(name).is_some_and(|day| day >= first));
        let Some(first) = self.keep.first_kept(&mut count)? else { return Ok(()) };
        directory.delete(&mut |name| other(name).is_some_and(|day| day < first))
    }

    /// The path of a log as the ledger stores it. A run in another working directory must find the same
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

    /// The path of a log that the ledger stores like this.
    pub fn resolve_path(&self, stored: &Path) -> Path {
        if words::contains(stored.as_str(), b'/') {
            *stored
        } else {
            path::within(self.ledger_directory.as_str(), stored.as_str())
        }
    }

    /// Sets the path of the ledger, which stores a log in its own directory by its name only.
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

    /// Looks at what is in the file, or only behind `known`, up to which the last header is this form's: a run with
    /// other thresholds may have written to the file. Returns whether the report needs a header, and whether the file
    /// ends with a whole line. A header is the only line that begins with a letter.
    fn look(&mut self, log: &OwnedFd, known: Option<u64>) -> (bool, bool) {
        let mut piece = [0; 4096];
        let (mut offset, mut begins, mut last) = (known.unwrap_or(0), true, None);
        while let Ok(length @ 1..) = file::read_at(log, &mut piece, offset) {
            for (i, byte) in piece[..length].iter().enumerate() {
                if begins && byte.is_ascii_alphabetic() {
                    last = Some(offset + i as u64);
                }
                begins = *byte == b'\n';
            }
            offset += length as u64;
        }
        let Some(last) = last else { return (known.is_none(), begins) };
        // The report's buffer is free until the report is formatted.
        self.report.clear();
        let _ = write!(self.report, "{}", self.form.header());
        let header = self.report.as_bytes();
        let found = file::read_at(log, &mut piece[..header.len()], last);
        (!found.is_ok_and(|length| piece[..length] == *header), begins)
    }

    fn path_of(&self, name: &str) -> Path {
        path::within(self.directory.as_str(), name)
    }
}

impl Headed {
    /// Whether the file, which has `size` bytes now, still has our last report where it was.
    fn is_unchanged(&self, log: &OwnedFd, size: u64) -> bool {
        let mut piece = [0; TAIL];
        let (length, checksum) = self.tail;
        let read = file::read_at(log, &mut piece[..length], self.end - length as u64);
        self.end <= size && read.is_ok_and(|length| ledger::checksum(&piece[..length]) == checksum)
    }
}

/// Locks a log until it is closed, so that no other run writes to it between our look at its headers and our write. If
/// someone holds the lock for long, or the file system has no locks, the report is written without it.
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
