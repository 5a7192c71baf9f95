//! What a run does at its start with what the last run did not finish: the lines that it was writing to the daily files
//! when it was killed, and a report that became due while no run was there. Afterwards the files and the ledger agree.

use core::fmt::{self, Write};
use std::os::fd::OwnedFd;

use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::core::due;
use crate::core::ledger::{self, Journal, Ledger, Progress};
use crate::model::log_names::Kind;
use crate::model::outcome::Columns;
use crate::model::settings::Config;
use crate::render::events;
use crate::render::table::Form;
use crate::render::times;
use crate::shell::console::Console;
use crate::shell::daily_files::{DailyFiles, Lines, LogError, PIECE};
use crate::sys::directory::Directory;
use crate::sys::{self, Errno, clock, file};

/// What a search for lines in their file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing of them is there.
    Nowhere,
    /// All of them are there.
    Whole,
    /// The file ends with a part of them, which begins at this offset.
    Torn(u64),
}

/// The result of a report that was due at the start: its stamp, and the error if it is not in the log.
pub type Overdue = Result<WallTime, (WallTime, LogError)>;

/// The last run's unfinished writes whose files cannot be read, in the order of [`Kind::ALL`].
pub type Unresolved = [Option<UnresolvedWrite>; Kind::ALL.len()];

/// The last run's unfinished write to a daily file, as long as that cannot be read. Until it can, nothing of this kind may
/// be written: the file may have the lines already.
#[derive(Debug)]
pub struct UnresolvedWrite {
    kind: Kind,
    file: Path,
    /// The directory of its file, as soon as that can be opened: its path may lead elsewhere later.
    directory: Option<Directory>,
    /// Its text; empty if that is not known.
    text: String,
}

impl UnresolvedWrite {
    fn new(kind: Kind, ledger: &Ledger, journal: &Journal, files: &DailyFiles) -> Self {
        let text = pending_text(kind, ledger, journal);
        Self { kind, file: files.resolve_path(&journal.file), directory: None, text }
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Searches the file again, and marks the write in the ledger as finished. Returns whether all of it is in the file.
    pub fn resolve(&mut self, ledger: &Ledger, files: &DailyFiles) -> Result<bool, Errno> {
        let Some(journal) = ledger.journal(self.kind) else { return Ok(false) };
        let complete = self.search_file(&journal, files)?;
        if complete {
            ledger.mark_written(self.kind, journal.covers);
        } else {
            ledger.end_write(self.kind);
        }
        Ok(complete)
    }

    /// Opens the file and searches it, see [`search_file`].
    fn search_file(&mut self, journal: &Journal, files: &DailyFiles) -> Result<bool, Errno> {
        if journal.progress == Progress::Written {
            return Ok(true);
        }
        match self.open(files) {
            Ok(file) => search_file(&file, self.kind, journal, &self.text),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Opens the file. `EPERM` if it is another user's and lies outside the log's directory: the ledger names it, and
    /// nobody else says that lines are to be cut off there.
    fn open(&mut self, files: &DailyFiles) -> Result<OwnedFd, Errno> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => Directory::open(path::parent(self.file.as_str()))?,
        };
        let directory = self.directory.insert(directory);
        let file = file::open_log_again(directory, path::name(self.file.as_str()))?;
        if files.is_in(directory) || file::is_own(&file)? { Ok(file) } else { Err(Errno::EPERM) }
    }
}

/// Brings the daily files and the ledger into agreement. Then writes the report that is due by `now`, or that must be
/// written before counts are sorted by other thresholds. `now` is `None` if the clock is wrong, see
/// [`due::left_over`]. Says so if the last run did not end cleanly. What could not be written stays in the ledger.
pub fn recover(
    ledger: &Ledger,
    files: &mut DailyFiles,
    config: &Config,
    now: Option<WallTime>,
    console: &mut Console,
) -> (Option<Overdue>, Unresolved) {
    if ledger.is_running() {
        let alive = clock::local(ledger.alive());
        console.say(
            "ledger",
            format_args!(
                "the last run (pid {}) did not end cleanly, it was last alive at {alive}; its counts go on",
                ledger.owner().pid
            ),
        );
    }
    let mut unresolved = Unresolved::default();
    for kind in [Kind::Times, Kind::Events, Kind::Samples] {
        if let Some(journal) = ledger.journal(kind) {
            let mut last = UnresolvedWrite::new(kind, ledger, &journal, files);
            if last.resolve(ledger, files).is_err() {
                unresolved[kind.index()] = Some(last);
            }
        }
    }
    let mut complete = false;
    if let Some(journal) = ledger.journal(Kind::Stats) {
        let mut last = UnresolvedWrite::new(Kind::Stats, ledger, &journal, files);
        match last.search_file(&journal, files) {
            Ok(found) => complete = found,
            Err(errno) => {
                unresolved[Kind::Stats.index()] = Some(last);
                return (Some(Err((journal.stamp, LogError::Read(errno)))), unresolved);
            }
        }
    }
    let Some(stamp) = due::left_over(ledger, config.settings.thresholds, now.map(|now| now.unix), |_| complete) else {
        return (None, unresolved);
    };
    let stamp = clock::local(stamp);
    let (form, rows) = (Form::of(ledger), ledger.rows());
    let lines = Lines {
        kind: Kind::Stats,
        stamp,
        header: &form.header(),
        body: &mut |out| write_rows(out, &form, false, stamp, &rows),
        covers: 0,
    };
    let written = files.append(lines, ledger);
    if written.is_ok() {
        ledger.mark_reported();
    }
    if unresolved[Kind::Times.index()].is_none() {
        write_times(ledger, files, config.settings.times, stamp);
    }
    (Some(written.map(|()| stamp).map_err(|error| (stamp, error))), unresolved)
}

/// Writes the rows of times that belong to an overdue report, if they are wanted. What cannot be written is in the next ones.
fn write_times(ledger: &Ledger, files: &mut DailyFiles, are_wanted: bool, stamp: WallTime) {
    ledger.records().for_each(|(_, record)| record.begin_row());
    let (form, records) = (times::Form::of(ledger), ledger.in_order());
    let lines = Lines {
        kind: Kind::Times,
        stamp,
        header: &form.header(),
        body: &mut |out| form.write(out, false, stamp, &mut records.iter().copied()),
        covers: 0,
    };
    if !are_wanted {
        // Without a write there is no journal, so its progress stays as it is.
        ledger.mark_times_written();
    } else if files.append(lines, ledger).is_ok() {
        ledger.mark_written(Kind::Times, 0);
    }
}

/// The text of the unfinished write; empty if it cannot be formatted again.
fn pending_text(kind: Kind, ledger: &Ledger, journal: &Journal) -> String {
    let mut text = String::new();
    match kind {
        Kind::Stats => {
            // Writing to a String does not fail.
            let _ = write_rows(&mut text, &Form::of(ledger), journal.headed, journal.stamp, &ledger.pending_rows());
        }
        Kind::Times => {
            let records = &mut ledger.in_order().into_iter();
            let _ = times::Form::of(ledger).write(&mut text, journal.headed, journal.stamp, records);
        }
        Kind::Events => {
            let covered = (ledger.first_event(), journal.covers);
            let _ = events::write(&mut text, ledger, covered, clock::local, sys::describe_number);
        }
        // They are kept nowhere.
        Kind::Samples => return text,
    }
    let is_it = |text: &str| ledger::checksum(text.as_bytes()) == journal.checksum;
    if !is_it(&text) {
        // The file ended in the middle of a line.
        text.insert(0, '\n');
    }
    // A run that could not read the file may have reloaded other targets. Then only the checksum is left
    // to recognise the lines.
    if !is_it(&text) {
        text.clear();
    }
    text
}

/// Writes the rows of a report, below a header if it is `headed`.
#[inline(never)] // Called from two paths.
fn write_rows(
    out: &mut dyn Write,
    form: &Form,
    headed: bool,
    stamp: WallTime,
    rows: &[(Text<{ limits::SERVICE }>, Columns)],
) -> fmt::Result {
    form.write(out, headed, stamp, &mut rows.iter().map(|(service, columns)| (service.as_str(), *columns)))
}

/// Whether the file has all the lines. If it ends with a part of them, cuts that off: of samples, whose text is not known,
/// the last line that has no end.
fn search_file(log: &OwnedFd, kind: Kind, journal: &Journal, text: &str) -> Result<bool, Errno> {
    let found = if journal.progress == Progress::Torn {
        let end = journal.offset + u64::from(journal.length);
        if file::size(log)? == end { Found::Torn(journal.offset) } else { Found::Nowhere }
    } else {
        match kind {
            Kind::Stats | Kind::Times | Kind::Events => {
                find(log, journal.offset, &mut |at| compare(log, at, journal, text.as_bytes()))?
            }
            Kind::Samples => find_half_line(log, journal.offset)?,
        }
    };
    if let Found::Torn(at) = found {
        file::truncate(log, at)?;
    }
    Ok(found == Found::Whole)
}

/// Finds the last line of the file that has no end, if it begins at `offset` or behind.
fn find_half_line(log: &OwnedFd, offset: u64) -> Result<Found, Errno> {
    let (mut piece, mut at, mut begin) = ([0; PIECE], offset, offset);
    loop {
        let length = file::read_at(log, &mut piece, at)?;
        if length == 0 {
            return Ok(if begin < at { Found::Torn(begin) } else { Found::Nowhere });
        }
        for byte in &piece[..length] {
            at += 1;
            if *byte == b'\n' {
                begin = at;
            }
        }
    }
}

/// Calls `compare` with the offset of each line from `offset` on, until it finds the text: other programs may
/// have written lines before it.
fn find(log: &OwnedFd, offset: u64, compare: &mut dyn FnMut(u64) -> Result<Found, Errno>) -> Result<Found, Errno> {
    let (mut piece, mut at, mut begins) = ([0; PIECE], offset, true);
    loop {
        let length = file::read_at(log, &mut piece, at)?;
        if length == 0 {
            return Ok(Found::Nowhere);
        }
        for byte in &piece[..length] {
            if begins {
                let found = compare(at)?;
                if found != Found::Nowhere {
                    return Ok(found);
                }
            }
            begins = *byte == b'\n';
            at += 1;
        }
    }
}

/// How much of the text is at this offset. If it is not known, only all of it is recognised, by its checksum.
fn compare(log: &OwnedFd, at: u64, journal: &Journal, text: &[u8]) -> Result<Found, Errno> {
    let (mut piece, mut sum, mut done) = ([0; PIECE], ledger::checksum_of_nothing(), 0);
    let has_text = !text.is_empty();
    while done < journal.length as usize {
        let most = piece.len().min(journal.length as usize - done);
        let length = file::read_at(log, &mut piece[..most], at + done as u64)?;
        let piece = &piece[..length];
        if has_text && text.get(done..done + length) != Some(piece) {
            return Ok(Found::Nowhere);
        }
        if length == 0 {
            return Ok(if has_text { Found::Torn(at) } else { Found::Nowhere });
        }
        sum = ledger::extend_checksum(sum, piece);
        done += length;
    }
    Ok(if sum == journal.checksum { Found::Whole } else { Found::Nowhere })
}

#[cfg(test)]
mod tests;
