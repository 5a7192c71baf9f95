//! The daily log: which file a report belongs to, when it needs a header, one write a report, and
//! the link to the latest file.

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

/// Why a report is not in the log. Displayed as what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The file or its directory could not be opened or made.
    Open(Errno),
    /// The file did not take the whole report; it was cut back to what it was.
    Write(Errno),
    /// It is not known whether the last run's report is in the file.
    Read(Errno),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, errno) = match *self {
            LogError::Open(errno) => ("opened", errno),
            LogError::Read(errno) => ("searched for the last run's report", errno),
            LogError::Write(errno) => ("written", errno),
        };
        let why = match *self {
            LogError::Open(Errno::ELOOP) => "it is a symbolic link, and none is followed",
            LogError::Open(Errno::EINVAL) => "it is no regular file",
            LogError::Open(_) | LogError::Read(_) | LogError::Write(_) => sys::describe(errno),
        };
        write!(f, "cannot be {what} ({why})")
    }
}

/// Where reports go.
#[derive(Debug)]
pub struct DailyLog {
    /// Where a path that is not absolute begins.
    here: Text<{ limits::DIRECTORY }>,
    /// The ledger's directory.
    beside: Path,
    directory: Text<{ limits::DIRECTORY }>,
    form: Form,
    /// The name of the file that is known to have this form's header.
    headed: Name,
    /// Part of a report that could not be cut off: its file, where it begins and where it ends.
    torn: Option<(Path, u64, u64)>,
    report: String,
}

impl DailyLog {
    /// A log in this directory. Memory for the longest report is reserved here.
    pub fn new(directory: Text<{ limits::DIRECTORY }>, form: Form) -> Self {
        let report = String::with_capacity((limits::RECORDS + 1) * limits::ROW);
        Self { here: by_path::here(), beside: Path::new(), directory, form, headed: Name::new(), torn: None, report }
    }

    /// Makes the directory if it is missing, and tells whether files can be made there.
    pub fn prepare(&self) -> Result<(), LogError> {
        let directory = self.directory.as_str();
        directory::make_directories(directory)
            .and_then(|()| directory::check_directory(directory))
            .map_err(LogError::Open)
    }

    /// Goes over to another directory and form.
    pub fn change(&mut self, directory: Text<{ limits::DIRECTORY }>, form: Form) {
        if self.directory != directory || self.form != form {
            self.headed.clear();
        }
        self.directory = directory;
        self.form = form;
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        self.directory.as_str()
    }

    /// The form of its rows.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The file that a report of this moment belongs to.
    pub fn path(&self, stamp: WallTime) -> Path {
        self.beside(log_names::of(stamp).as_str())
    }

    /// Appends one report: all rows, or none. The ledger takes note before the write and after it.
    pub fn append(
        &mut self,
        stamp: WallTime,
        rows: &mut dyn Iterator<Item = (&str, Columns)>,
        ledger: &Ledger,
    ) -> Result<(), LogError> {
        let name = log_names::of(stamp);
        let path = self.beside(name.as_str());
        self.cut_torn(&path)?;
        let (log, size) = self.open(&path).map_err(LogError::Open)?;
        let headed = size == 0 || (self.headed != name && !self.has_header(&log));
        self.report.clear();
        // Writing to a String does not fail.
        let _ = self.form.write(&mut self.report, headed, stamp, rows);
        ledger.begin_report(&self.lasting(&path), size, self.report.as_bytes(), stamp, headed);
        // Room is made sure of first: a reader must not see the half that fits.
        let reserved = file::reserve(&log, size, self.report.len());
        match reserved.and_then(|()| descriptor::write(log.as_fd(), self.report.as_bytes())) {
            Ok(length) if length == self.report.len() => {}
            Ok(length) => {
                // A short write means that there is no room for the rest. A reader may have seen
                // this part for a moment, but it is not reported twice.
                self.take_back(&log, path, length, ledger);
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

    /// Cuts off a part of a report that could not be cut off before, if it is still its file's end.
    /// That of another day does not hold up this one's report.
    fn cut_torn(&mut self, path: &Path) -> Result<(), LogError> {
        let Some((file, begin, end)) = &self.torn else { return Ok(()) };
        match file::open_log_again(file.as_str()).and_then(|log| cut(&log, *begin, *end)) {
            Err(errno) if *file == *path && errno != Errno::ENOENT => Err(LogError::Write(errno)),
            Ok(()) | Err(_) => {
                self.torn = None;
                Ok(())
            }
        }
    }

    /// Cuts off the bytes that a short write has left; where that fails it is tried again before the
    /// next report, and by the next run. What others have written stays.
    fn take_back(&mut self, log: &OwnedFd, path: Path, length: usize, ledger: &Ledger) {
        let Ok(end) = file::position(log) else { return };
        let begin = end.saturating_sub(length as u64);
        ledger.tear_report(begin, length);
        if cut(log, begin, end).is_ok() {
            ledger.end_report();
        } else {
            self.torn = Some((path, begin, end));
        }
    }

    /// Lets `tcp_stats_latest.log` name the file of this moment. `EEXIST` where something that is
    /// no link has that name, `EOPNOTSUPP` on a file system without links, such as vfat.
    pub fn link_latest(&self, stamp: WallTime) -> Result<(), Errno> {
        let name = log_names::of(stamp);
        let link = self.beside(log_names::LATEST);
        match by_path::is_link_to(link.as_str(), name.as_str()) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Errno::ENOENT) => {}
            Err(Errno::EINVAL) => return Err(Errno::EEXIST),
            Err(errno) => return Err(errno),
        }
        let made = by_path::replace_link(link.as_str(), name.as_str(), self.beside(log_names::LATEST_NEW).as_str());
        // symlink(2) says EPERM, some file systems in user space ENOSYS.
        made.map_err(|errno| if matches!(errno, Errno::EPERM | Errno::ENOSYS) { Errno::EOPNOTSUPP } else { errno })
    }

    /// Deletes the logs of days that are not kept any more, where it is this day.
    pub fn delete_old(&self, keep: Keep, today: WallTime) -> Result<(), Errno> {
        directory::delete(self.directory.as_str(), &mut |name| keep.is_old(name, today))
    }

    /// A path as the ledger keeps it: it must mean the same to a run that starts elsewhere. What is
    /// beside the ledger goes with it.
    fn lasting(&self, path: &Path) -> Path {
        if path::parent(path.as_str()) == self.beside.as_str() {
            return path::within("", path::name(path.as_str()));
        }
        let is_lasting = path.as_str().starts_with('/') || self.here.is_empty();
        if is_lasting || self.here.as_str().len() + 1 + path.as_str().len() > limits::PATH {
            return *path;
        }
        path::within(self.here.as_str(), path.as_str())
    }

    /// The path that was kept like this.
    pub fn found(&self, lasting: &Path) -> Path {
        if words::contains(lasting.as_str(), b'/') {
            *lasting
        } else {
            path::within(self.beside.as_str(), lasting.as_str())
        }
    }

    /// The ledger is in this directory.
    pub fn lies_beside(&mut self, ledger: &Path) {
        self.beside = path::within("", path::parent(ledger.as_str()));
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

    /// Whether the last header in the file is this form's: runs with other thresholds may have
    /// written to it before. A header is the only line that begins with a letter.
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
        // It stands there until the report takes its place.
        self.report.clear();
        let _ = write!(self.report, "{}", self.form.header());
        let header = self.report.as_bytes();
        let found = last.and_then(|last| file::read_at(log, &mut piece[..header.len()], last).ok());
        found.is_some_and(|length| piece[..length] == *header)
    }

    fn beside(&self, name: &str) -> Path {
        path::within(self.directory.as_str(), name)
    }
}

/// Cuts off what of a file is behind `begin`, if `end` is where it ends.
fn cut(log: &OwnedFd, begin: u64, end: u64) -> Result<(), Errno> {
    if file::size(log)? == end { file::truncate(log, begin) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Nanos;
    use crate::model::outcome::Thresholds;
    use std::fs;
    use std::path::PathBuf;

    /// A directory of its own, removed at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let place = Self(std::env::temp_dir().join(format!("tcpmon-log-{name}-{}", std::process::id())));
            let _ = fs::remove_dir_all(&place.0);
            place
        }

        fn log(&self, timeout: u64) -> DailyLog {
            DailyLog::new(Text::format(format_args!("{}", self.0.display())), form(timeout))
        }

        /// The file's lines, each cut to what tells a header from a row and one stamp from another.
        fn lines(&self, day: &str) -> Vec<String> {
            let content = fs::read_to_string(self.0.join(format!("tcp_stats_{day}.log"))).unwrap();
            content.lines().map(|line| line[..19].trim().to_string()).collect()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn form(timeout: u64) -> Form {
        Form::new(Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(timeout) }, 3)
    }

    /// So many seconds after 2025-10-09 23:55:00.
    fn stamp(seconds: i64) -> WallTime {
        WallTime { unix: 1_760_054_100 + seconds, nanos: 0, offset: 0 }
    }

    fn append(log: &mut DailyLog, seconds: i64) -> Result<(), LogError> {
        log.append(stamp(seconds), &mut [("web", Columns::default())].into_iter(), &Ledger::absent())
    }

    #[test]
    fn a_new_file_begins_with_the_header_and_midnight_begins_a_new_file() {
        let place = Place::new("midnight");
        let mut log = place.log(5);
        for seconds in [-300, 0, 300, 600] {
            assert_eq!(append(&mut log, seconds), Ok(()));
        }
        assert_eq!(place.lines("20251009"), ["Timestamp", "2025-10-09 23:50:00", "2025-10-09 23:55:00"]);
        assert_eq!(place.lines("20251010"), ["Timestamp", "2025-10-10 00:00:00", "2025-10-10 00:05:00"]);
    }

    #[test]
    fn a_second_run_goes_on_below_the_header_and_one_with_other_thresholds_brings_its_own() {
        let place = Place::new("restart");
        append(&mut place.log(5), -300).unwrap();
        append(&mut place.log(5), -200).unwrap();
        append(&mut place.log(3), -100).unwrap();
        append(&mut place.log(3), -90).unwrap();
        append(&mut place.log(5), -80).unwrap();
        append(&mut place.log(3), -70).unwrap();
        let headers: Vec<_> = place.lines("20251009").iter().map(|line| line == "Timestamp").collect();
        assert_eq!(headers, [true, false, false, true, false, false, true, false, true, false]);
    }

    #[test]
    fn the_last_header_is_found_wherever_it_lies_in_a_long_file() {
        let place = Place::new("long");
        for run in 0..40 {
            append(&mut place.log(3), run * 10 - 400).unwrap();
            append(&mut place.log(5), run * 10 - 395).unwrap();
            append(&mut place.log(5), run * 10 - 394).unwrap();
        }
        let headers = place.lines("20251009").iter().filter(|line| *line == "Timestamp").count();
        assert_eq!(headers, 80, "one for each change of the thresholds");
    }

    #[test]
    fn a_reload_with_other_thresholds_brings_a_new_header_once() {
        let place = Place::new("reload");
        let mut log = place.log(5);
        append(&mut log, -300).unwrap();
        log.change(log.directory, form(3));
        append(&mut log, -200).unwrap();
        append(&mut log, -100).unwrap();
        log.change(log.directory, form(5));
        append(&mut log, 0).unwrap();
        let headers = place.lines("20251009").iter().filter(|line| *line == "Timestamp").count();
        assert_eq!(headers, 3);
    }

    #[test]
    fn a_file_that_was_removed_is_begun_anew_and_its_directory_too() {
        let place = Place::new("removed");
        let mut log = place.log(5);
        append(&mut log, -300).unwrap();
        fs::remove_dir_all(&place.0).unwrap();
        append(&mut log, -200).unwrap();
        assert_eq!(place.lines("20251009"), ["Timestamp", "2025-10-09 23:51:40"]);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let place = Place::new("planted");
        let mut log = place.log(5);
        fs::create_dir(&place.0).unwrap();
        let victim = place.0.join("victim");
        fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, place.0.join("tcp_stats_20251009.log")).unwrap();
        let error = append(&mut log, 0).unwrap_err();
        assert_eq!(error.to_string(), "cannot be opened (it is a symbolic link, and none is followed)");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    }

    #[test]
    fn the_latest_link_follows_the_day_and_leaves_a_foreign_file_alone() {
        let place = Place::new("latest");
        let mut log = place.log(5);
        let link = place.0.join("tcp_stats_latest.log");
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
