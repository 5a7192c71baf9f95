//! The daily files that a report reads: those of directories, and files that are named. Each is read once, from its begin to
//! its end.

use std::os::fd::OwnedFd;

use crate::base::path;
use crate::core::report::{LONGEST, Report};
use crate::model::log_names::{self, Kind, Name};
use crate::shell::console::Console;
use crate::sys::directory::Directory;
use crate::sys::file::{self, Identity};
use crate::sys::{Errno, describe};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
const _: () = assert!(PIECE > LONGEST);

/// What reads files into a report.
#[derive(Debug)]
pub struct LogFiles<'a> {
    report: &'a mut Report,
    console: &'a mut Console,
    /// The first and the last day of which files are read, in days since 1970.
    days: (i64, i64),
    buffer: Vec<u8>,
    /// The files that were read: a link may lead to one of them.
    known: Vec<Identity>,
    /// Whether a file or a directory could not be read, which was said.
    pub has_failed: bool,
}

impl<'a> LogFiles<'a> {
    /// For the files of these days.
    pub fn new(report: &'a mut Report, days: (i64, i64), console: &'a mut Console) -> Self {
        let buffer = vec![0; PIECE];
        Self { report, console, days, buffer, known: Vec::new(), has_failed: false }
    }

    /// Reads a file, or the daily files of a directory.
    pub fn read(&mut self, path: &str) {
        match file::open_named(path) {
            Ok((_, true)) => self.read_directory(path),
            Ok((file, false)) => self.read_file(&file, path),
            Err(errno) => self.fail(path, errno),
        }
    }

    fn fail(&mut self, path: &str, errno: Errno) {
        self.has_failed = true;
        self.console.say("report", format_args!("{path} cannot be read ({}), it is left out", describe(errno)));
    }

    /// Reads the daily files of a directory. Events of all days: an outage may have begun or ended on another one. Of a day
    /// that has counts no samples: they say the same.
    fn read_directory(&mut self, path: &str) {
        let mut names: Vec<(Kind, i64, Name)> = Vec::new();
        let (first, last) = self.days;
        let listed = Directory::open(path).and_then(|directory| {
            directory.count(&mut |name| {
                if let (Some((kind, day)), Some(copied)) = (log_names::kind_and_day(name), Name::copy(name)) {
                    if kind == Kind::Events || (first..=last).contains(&day) {
                        names.push((kind, day, copied));
                    }
                }
                false
            })?;
            Ok(directory)
        });
        let directory = match listed {
            Ok(directory) => directory,
            Err(errno) => return self.fail(path, errno),
        };
        names.sort_unstable_by_key(|(kind, day, _)| (*day, kind.index()));
        let mut counted = i64::MIN;
        for (kind, day, name) in &names {
            match kind {
                Kind::Stats => counted = *day,
                Kind::Samples if counted == *day => continue,
                Kind::Times | Kind::Events | Kind::Samples => {}
            }
            let shown = path::within(path, name.as_str());
            match file::open_listed(&directory, name.as_str()) {
                Ok(file) => self.read_file(&file, shown.as_str()),
                // A link, or it was just deleted.
                Err(Errno::ELOOP | Errno::EINVAL | Errno::ENOENT) => {}
                Err(errno) => self.fail(shown.as_str(), errno),
            }
        }
    }

    fn read_file(&mut self, file: &OwnedFd, path: &str) {
        if let Ok(identity) = file::identity(file) {
            if self.known.contains(&identity) {
                return;
            }
            self.known.push(identity);
        }
        self.report.begin_file(path);
        let mut filled = 0;
        loop {
            match file::read_on(file, &mut self.buffer[filled..]) {
                Ok(0) => return,
                Ok(length) => filled += length,
                Err(errno) => return self.fail(path, errno),
            }
            let read = self.report.read(&self.buffer[..filled], filled > LONGEST);
            self.buffer.copy_within(read..filled, 0);
            filled -= read;
        }
    }
}

/// Every day.
pub const ALL_DAYS: (i64, i64) = (i64::MIN, i64::MAX);

/// The days around these moments, in days since 1970: files of another machine may be of another time zone.
pub fn days(from: Option<i64>, to: Option<i64>) -> (i64, i64) {
    let day = |unix: i64| unix.div_euclid(86_400);
    (from.map_or(i64::MIN, |from| day(from) - 1), to.map_or(i64::MAX, |to| day(to) + 1))
}
