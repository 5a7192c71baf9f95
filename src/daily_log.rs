//! The daily log: which file a report belongs to, when it needs a header, one write a report, and
//! the link to the latest file.

use core::fmt::{self, Write};
use std::os::fd::OwnedFd;

use crate::limits;
use crate::sys::{Errno, file};
use crate::table::Form;
use crate::tally::Columns;
use crate::text::Text;
use crate::time::WallTime;

/// A path of ours.
pub type Path = Text<{ limits::PATH }>;

/// Why a report is not in the log. Displayed as what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The file or its directory could not be opened or made.
    Open(Errno),
    /// The file did not take the whole report; it was cut back to what it was.
    Write(Errno),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Open(Errno::ELOOP) => {
                f.write_str("cannot be opened (it is a symbolic link, and none is followed)")
            }
            LogError::Open(Errno::EINVAL) => f.write_str("cannot be opened (it is no regular file)"),
            LogError::Open(errno) => write!(f, "cannot be opened ({})", errno.desc()),
            LogError::Write(errno) => write!(f, "cannot be written ({})", errno.desc()),
        }
    }
}

/// Where reports go.
#[derive(Debug)]
pub struct DailyLog {
    directory: Text<{ limits::DIRECTORY }>,
    form: Form,
    /// The day, as in the file's name, whose file is known to have this form's header.
    headed: Text<8>,
    /// The form has changed: a header is due even if the file begins with the same one.
    header_due: bool,
    report: String,
}

impl DailyLog {
    /// A log in this directory. Memory for the longest report is reserved here.
    pub fn new(directory: Text<{ limits::DIRECTORY }>, form: Form) -> Self {
        let report = String::with_capacity((limits::WATCHES + 1) * limits::ROW);
        Self { directory, form, headed: Text::new(), header_due: false, report }
    }

    /// Makes the directory if it is missing, and tells whether files can be made there.
    pub fn prepare(&self) -> Result<(), LogError> {
        let directory = self.directory.as_str();
        file::make_directories(directory).and_then(|()| file::check_directory(directory)).map_err(LogError::Open)
    }

    /// Goes over to another directory and form.
    pub fn change(&mut self, directory: Text<{ limits::DIRECTORY }>, form: Form) {
        if self.directory != directory {
            self.headed.clear();
        }
        self.header_due |= self.form != form;
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
        self.beside(file_name(stamp).as_str())
    }

    /// Appends one report: all rows, or none.
    pub fn append<'a>(
        &mut self,
        stamp: WallTime,
        rows: impl Iterator<Item = (&'a str, Columns)>,
    ) -> Result<(), LogError> {
        let (log, size) = self.open(stamp).map_err(LogError::Open)?;
        let day = day(stamp);
        self.report.clear();
        // Writing to a String does not fail, and there is memory for the longest report.
        if size == 0 || self.header_due || (self.headed != day && !self.has_header(&log)) {
            let _ = write!(self.report, "{}", self.form.header());
        }
        for (service, columns) in rows {
            let _ = write!(self.report, "{}", self.form.row(stamp, service, columns));
        }
        let written = match file::write(&log, self.report.as_bytes()) {
            Ok(length) if length == self.report.len() => Ok(()),
            // A short write means that there is no room for the rest.
            Ok(_) => Err(Errno::ENOSPC),
            Err(errno) => Err(errno),
        };
        if let Err(errno) = written {
            // A reader may have seen a part for a moment, but it is not reported twice. Where this
            // fails too, there is nothing left to try.
            let _ = file::truncate(&log, size);
            return Err(LogError::Write(errno));
        }
        self.headed = day;
        self.header_due = false;
        Ok(())
    }

    /// Lets `tcp_stats_latest.log` name the file of this moment. `EEXIST` where something that is
    /// no link has that name.
    pub fn link_latest(&self, stamp: WallTime) -> Result<(), Errno> {
        let name = file_name(stamp);
        let link = self.beside("tcp_stats_latest.log");
        match file::is_link_to(link.as_str(), name.as_str()) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Errno::ENOENT) => {}
            Err(Errno::EINVAL) => return Err(Errno::EEXIST),
            Err(errno) => return Err(errno),
        }
        file::replace_link(link.as_str(), name.as_str(), self.beside(".tcp_stats_latest.new").as_str())
    }

    fn open(&self, stamp: WallTime) -> Result<(OwnedFd, u64), Errno> {
        let path = self.path(stamp);
        match file::open_log(path.as_str()) {
            Err(Errno::ENOENT) => {
                file::make_directories(self.directory.as_str())?;
                file::open_log(path.as_str())
            }
            other => other,
        }
    }

    /// Whether the file begins with this form's header.
    fn has_header(&mut self, log: &OwnedFd) -> bool {
        let mut start = [0; 512];
        let length = file::read_start(log, &mut start).unwrap_or(0);
        let header = Text::<512>::format(format_args!("{}", self.form.header()));
        start[..length].starts_with(header.as_str().as_bytes())
    }

    fn beside(&self, name: &str) -> Path {
        match self.directory.as_str() {
            "." => Text::format(format_args!("{name}")),
            directory if directory.ends_with('/') => Text::format(format_args!("{directory}{name}")),
            directory => Text::format(format_args!("{directory}/{name}")),
        }
    }
}

fn day(stamp: WallTime) -> Text<8> {
    let date = stamp.civil();
    Text::format(format_args!("{:04}{:02}{:02}", date.year, date.month, date.day))
}

fn file_name(stamp: WallTime) -> Text<32> {
    Text::format(format_args!("tcp_stats_{}.log", day(stamp)))
}
