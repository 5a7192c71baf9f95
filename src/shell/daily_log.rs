//! The daily log: chooses a report's file, decides whether it needs a header, appends it in one write,
//! deletes old files when a new one has been begun, and maintains the link to the latest file.

use core::fmt::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::base::words;
use crate::core::ledger::{Ledger, Progress};
use crate::model::keep::Keep;
use crate::model::log_names::{self, Name};
use crate::model::outcome::Columns;
use crate::render::table::Form;
use crate::sys;
use crate::sys::{Errno, by_path, descriptor, directory, file};

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
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = match *self {
            LogError::Open(errno) => ("opened", sys::describe_open(errno)),
            LogError::Read(errno) => ("searched for the last run's report", sys::describe(errno)),
            LogError::Write(errno) => ("written", sys::describe(errno)),
        };
        write!(f, "cannot be {what} ({why})")
    }
}

/// The log that reports are appended to.
#[derive(Debug)]
pub struct DailyLog {
    /// The working directory, where a relative path begins.
    working_directory: Text<{ limits::DIRECTORY }>,
    /// The ledger's directory; empty without a ledger.
    ledger_directory: Path,
    directory: Text<{ limits::DIRECTORY }>,
    form: Form,
    keep: Keep,
    /// Whether old files could be deleted, if that was tried since it was last asked.
    deleted: Option<Result<(), Errno>>,
    /// The name of the file whose last header is known to be this form's.
    headed: Name,
    /// A part of a report that could not be cut off: its file, and its begin and end there in bytes.
    torn: Option<(Path, u64, u64)>,
    report: String,
}

impl DailyLog {
    /// A log in this directory, which keeps so many files. Reserves memory for the longest report.
    pub fn new(directory: Text<{ limits::DIRECTORY }>, form: Form, keep: Keep) -> Self {
        let report = String::with_capacity((limits::RECORDS + 1) * limits::ROW);
        Self {
            working_directory: by_path::here(),
            ledger_directory: Path::new(),
            directory,
            form,
            keep,
            deleted: None,
            headed: Name::new(),
            torn: None,
            report,
        }
    }

    /// Makes the directory if it is missing. An error if no file can be made there.
    pub fn make_directory(&self) -> Result<(), LogError> {
        let directory = self.directory.as_str();
        directory::make_directories(directory)
            .and_then(|()| directory::check_directory(directory))
            .map_err(LogError::Open)
    }

    /// Uses this directory and form from here on.
    pub fn set_directory_and_form(&mut self, directory: Text<{ limits::DIRECTORY }>, form: Form) {
        if self.directory != directory || self.form != form {
            self.headed.clear();
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
        self.cut_off_torn(&path)?;
        let mut opened = self.open(&path);
        // Before the write, or even before the file can be made: this may free the space that they need.
        if matches!(opened, Ok((_, 0)) | Err(Errno::ENOSPC | Errno::EDQUOT)) && self.keep != Keep::ALL {
            self.deleted = Some(self.delete_old(stamp.day()));
            if opened.is_err() {
                opened = self.open(&path);
            }
        }
        let (log, size) = opened.map_err(LogError::Open)?;
        let headed = size == 0 || (self.headed != name && !self.has_header(&log));
        self.report.clear();
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
                self.undo_short_write(&log, path, length, ledger);
                return Err(LogError::Write(Errno::ENOSPC));
            }
            Err(errno) => {
                ledger.end_report();
                return Err(LogError::Write(errno));
            }
        }
        ledger.set_progress(Progress::Written);
        self.headed = name;
        Ok(())
    }

    /// Tries again to cut off the part of an earlier report, if it is still its file's end. Fails only if it
    /// is in the file at `path`: another day's file does not delay this report.
    fn cut_off_torn(&mut self, path: &Path) -> Result<(), LogError> {
        let Some((file, begin, end)) = &self.torn else { return Ok(()) };
        match file::open_log_again(file.as_str()).and_then(|log| cut_off(&log, *begin, *end)) {
            Err(errno) if *file == *path && errno != Errno::ENOENT => Err(LogError::Write(errno)),
            Ok(()) | Err(_) => {
                self.torn = None;
                Ok(())
            }
        }
    }

    /// Cuts off the `length` bytes of a short write. If that fails, it is tried again before the next report
    /// and by the next run. What other programs have written after them stays.
    fn undo_short_write(&mut self, log: &OwnedFd, path: Path, length: usize, ledger: &Ledger) {
        let Ok(end) = file::position(log) else { return };
        let begin = end.saturating_sub(length as u64);
        ledger.tear_report(begin, length);
        if cut_off(log, begin, end).is_ok() {
            ledger.end_report();
        } else {
            self.torn = Some((path, begin, end));
        }
    }

    /// Makes `tcp_stats_latest.log` a symbolic link to the file for this stamp. `EEXIST`: something else
    /// has that name; `EOPNOTSUPP`: the file system has no symbolic links, such as vfat.
    pub fn link_latest(&self, stamp: WallTime) -> Result<(), Errno> {
        let name = log_names::of(stamp);
        let link = self.path_of(log_names::LATEST);
        match by_path::is_link_to(link.as_str(), name.as_str()) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Errno::ENOENT) => {}
            Err(Errno::EINVAL) => return Err(Errno::EEXIST),
            Err(errno) => return Err(errno),
        }
        let made = by_path::replace_link(link.as_str(), name.as_str(), self.path_of(log_names::LATEST_NEW).as_str());
        // symlink(2) gives EPERM, some FUSE file systems ENOSYS.
        made.map_err(|errno| if matches!(errno, Errno::EPERM | Errno::ENOSYS) { Errno::EOPNOTSUPP } else { errno })
    }

    /// Deletes the files that do not stay beside that of the day `begun`, which has just been begun.
    fn delete_old(&self, begun: i64) -> Result<(), Errno> {
        let directory = self.directory.as_str();
        let other = |name: &str| log_names::day_of(name).filter(|day| *day != begun);
        let mut count = |first| directory::count(directory, &mut |name| other(name).is_some_and(|day| day >= first));
        let Some(first) = self.keep.first_kept(&mut count)? else { return Ok(()) };
        directory::delete(directory, &mut |name| other(name).is_some_and(|day| day < first))
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

    fn open(&self, path: &Path) -> Result<(OwnedFd, u64), Errno> {
        match file::open_log(path.as_str()) {
            Err(Errno::ENOENT) => {
                directory::make_directories(self.directory.as_str())?;
                file::open_log(path.as_str())
            }
            other => other,
        }
    }

    /// Whether the last header in the file is this form's: a run with other thresholds may have written
    /// to the file. A header is the only line that begins with a letter.
    fn has_header(&mut self, log: &OwnedFd) -> bool {
        let mut piece = [0; 4096];
        let (mut offset, mut begins, mut last) = (0, true, None);
        while let Ok(length @ 1..) = file::read_at(log, &mut piece, offset) {
            for (i, byte) in piece[..length].iter().enumerate() {
                if begins && byte.is_ascii_alphabetic() {
                    last = Some(offset + i as u64);
                }
                begins = *byte == b'\n';
            }
            offset += length as u64;
        }
        // The report's buffer is free until the report is formatted.
        self.report.clear();
        let _ = write!(self.report, "{}", self.form.header());
        let header = self.report.as_bytes();
        let found = last.and_then(|last| file::read_at(log, &mut piece[..header.len()], last).ok());
        found.is_some_and(|length| piece[..length] == *header)
    }

    fn path_of(&self, name: &str) -> Path {
        path::within(self.directory.as_str(), name)
    }
}

/// Truncates a file to `begin` bytes if it has `end` bytes now.
fn cut_off(log: &OwnedFd, begin: u64, end: u64) -> Result<(), Errno> {
    if file::size(log)? == end { file::truncate(log, begin) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Nanos;
    use crate::model::outcome::Thresholds;
    use std::fs;
    use std::path::PathBuf;

    /// A temporary directory, removed when it is dropped.
    struct TempDir(PathBuf);

    impl TempDir {
        fn new(name: &str) -> Self {
            let dir = Self(std::env::temp_dir().join(format!("tcpmon-log-{name}-{}", std::process::id())));
            let _ = fs::remove_dir_all(&dir.0);
            dir
        }

        fn log(&self, timeout: u64) -> DailyLog {
            self.log_that_keeps(timeout, Keep::ALL)
        }

        fn log_that_keeps(&self, timeout: u64, keep: Keep) -> DailyLog {
            DailyLog::new(Text::format(format_args!("{}", self.0.display())), form(timeout), keep)
        }

        /// The days of the files, as in their names.
        fn days(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut days: Vec<_> = names.map(|name| name["tcp_stats_".len()..].replace(".log", "")).collect();
            days.sort();
            days
        }

        /// The first 19 characters of each line, without trailing spaces: a row's stamp, or `Timestamp` for a
        /// header.
        fn lines(&self, day: &str) -> Vec<String> {
            let content = fs::read_to_string(self.0.join(format!("tcp_stats_{day}.log"))).unwrap();
            content.lines().map(|line| line[..19].trim().to_string()).collect()
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn form(timeout: u64) -> Form {
        Form::new(Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(timeout) }, 3)
    }

    /// `seconds` after 2025-10-09 23:55:00 UTC.
    fn stamp(seconds: i64) -> WallTime {
        WallTime { unix: 1_760_054_100 + seconds, nanos: 0, offset: 0 }
    }

    fn append(log: &mut DailyLog, seconds: i64) -> Result<(), LogError> {
        log.append(stamp(seconds), &mut [("web", Columns::default())].into_iter(), &Ledger::absent())
    }

    #[test]
    fn a_new_file_begins_with_the_header_and_midnight_begins_a_new_file() {
        let dir = TempDir::new("midnight");
        let mut log = dir.log(5);
        for seconds in [-300, 0, 300, 600] {
            assert_eq!(append(&mut log, seconds), Ok(()));
        }
        assert_eq!(dir.lines("20251009"), ["Timestamp", "2025-10-09 23:50:00", "2025-10-09 23:55:00"]);
        assert_eq!(dir.lines("20251010"), ["Timestamp", "2025-10-10 00:00:00", "2025-10-10 00:05:00"]);
    }

    #[test]
    fn a_second_run_goes_on_below_the_header_and_one_with_other_thresholds_brings_its_own() {
        let dir = TempDir::new("restart");
        append(&mut dir.log(5), -300).unwrap();
        append(&mut dir.log(5), -200).unwrap();
        append(&mut dir.log(3), -100).unwrap();
        append(&mut dir.log(3), -90).unwrap();
        append(&mut dir.log(5), -80).unwrap();
        append(&mut dir.log(3), -70).unwrap();
        let headers: Vec<_> = dir.lines("20251009").iter().map(|line| line == "Timestamp").collect();
        assert_eq!(headers, [true, false, false, true, false, false, true, false, true, false]);
    }

    #[test]
    fn the_last_header_is_found_wherever_it_lies_in_a_long_file() {
        let dir = TempDir::new("long");
        for run in 0..40 {
            append(&mut dir.log(3), run * 10 - 400).unwrap();
            append(&mut dir.log(5), run * 10 - 395).unwrap();
            append(&mut dir.log(5), run * 10 - 394).unwrap();
        }
        let headers = dir.lines("20251009").iter().filter(|line| *line == "Timestamp").count();
        assert_eq!(headers, 80, "one for each change of the thresholds");
    }

    #[test]
    fn a_reload_with_other_thresholds_brings_a_new_header_once() {
        let dir = TempDir::new("reload");
        let mut log = dir.log(5);
        append(&mut log, -300).unwrap();
        log.set_directory_and_form(log.directory, form(3));
        append(&mut log, -200).unwrap();
        append(&mut log, -100).unwrap();
        log.set_directory_and_form(log.directory, form(5));
        append(&mut log, 0).unwrap();
        let headers = dir.lines("20251009").iter().filter(|line| *line == "Timestamp").count();
        assert_eq!(headers, 3);
    }

    #[test]
    fn a_file_that_was_removed_is_begun_anew_and_its_directory_too() {
        let dir = TempDir::new("removed");
        let mut log = dir.log(5);
        append(&mut log, -300).unwrap();
        fs::remove_dir_all(&dir.0).unwrap();
        append(&mut log, -200).unwrap();
        assert_eq!(dir.lines("20251009"), ["Timestamp", "2025-10-09 23:51:40"]);
    }

    #[test]
    fn a_clock_that_was_wrong_costs_one_file_for_each_wrong_day_and_the_one_just_begun_stays() {
        const DAY: i64 = 86_400;
        let dir = TempDir::new("keep");
        let mut log = dir.log_that_keeps(5, Keep::parse("3d").unwrap());
        for day in 0..4 {
            append(&mut log, day * DAY).unwrap();
            assert_eq!(log.deleted(), Some(Ok(())));
        }
        assert_eq!(dir.days(), ["20251010", "20251011", "20251012"]);
        // Eight years ahead, twice on the same day, and back again.
        append(&mut log, 3000 * DAY).unwrap();
        append(&mut log, 3000 * DAY + 60).unwrap();
        assert_eq!(dir.days(), ["20251011", "20251012", "20331226"]);
        append(&mut log, 3 * DAY + 300).unwrap();
        append(&mut log, 4 * DAY).unwrap();
        assert_eq!(dir.days(), ["20251012", "20251013", "20331226"]);
        // In 1970: its file stays until the next is begun.
        append(&mut log, -1_760_054_100).unwrap();
        assert_eq!(dir.days(), ["19700101", "20251013", "20331226"]);
        append(&mut log, 5 * DAY).unwrap();
        assert_eq!(dir.days(), ["20251013", "20251014", "20331226"]);
        // Nothing is deleted by a new number alone, nor by a report in a file that is there.
        log.set_keep(Keep::parse("1d").unwrap());
        log.deleted();
        append(&mut log, 5 * DAY + 60).unwrap();
        assert_eq!((log.deleted(), dir.days().len()), (None, 3));
        append(&mut log, 6 * DAY).unwrap();
        assert_eq!(dir.days(), ["20251015"]);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = TempDir::new("planted");
        let mut log = dir.log(5);
        fs::create_dir(&dir.0).unwrap();
        let victim = dir.0.join("victim");
        fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, dir.0.join("tcp_stats_20251009.log")).unwrap();
        let error = append(&mut log, 0).unwrap_err();
        assert_eq!(error.to_string(), "cannot be opened (it is a symbolic link, and none is followed)");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    }

    #[test]
    fn the_latest_link_follows_the_day_and_leaves_a_foreign_file_alone() {
        let dir = TempDir::new("latest");
        let mut log = dir.log(5);
        let link = dir.0.join("tcp_stats_latest.log");
        for (seconds, file) in [(0, "tcp_stats_20251009.log"), (300, "tcp_stats_20251010.log")] {
            append(&mut log, seconds).unwrap();
            assert_eq!(log.link_latest(stamp(seconds)), Ok(()));
            assert_eq!(fs::read_link(&link).unwrap().to_str(), Some(file));
        }
        fs::remove_file(&link).unwrap();
        fs::write(&link, "mine").unwrap();
        assert_eq!(log.link_latest(stamp(300)), Err(Errno::EEXIST));
        assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
    }
}
