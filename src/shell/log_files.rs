//! The daily files that a report reads: those of directories, and files that are named. Each is read once, from its begin to
//! its end.

use std::os::fd::OwnedFd;

use crate::base::order;
use crate::base::path::{self, Path};
use crate::base::time::SECS_PER_DAY;
use crate::core::report::{LONGEST, Report};
use crate::model::log_names::{self, Kind};
use crate::shell::console::Console;
use crate::sys::directory::Directory;
use crate::sys::file::{self, Identity};
use crate::sys::{Errno, describe};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
const _: () = assert!(PIECE > LONGEST);

/// A daily file that is to be read.
#[derive(Debug)]
struct Listed {
    /// Its kind and its day, in days since 1970, by its name.
    kind: Kind,
    day: i64,
    /// Whether it was found in a directory.
    is_found: bool,
    path: Path,
}

/// What reads files into a report.
#[derive(Debug)]
pub struct LogFiles<'a> {
    report: &'a mut Report,
    console: &'a mut Console,
    /// The first and the last day of which files are read, in days since 1970.
    days: (i64, i64),
    /// The files of the directories and of the command line, as they came.
    listed: Vec<Listed>,
    buffer: Vec<u8>,
    /// The files that were read: a link may lead to one of them.
    known: Vec<Identity>,
    /// Whether a file or a directory could not be read, which was said.
    pub has_failed: bool,
}

impl<'a> LogFiles<'a> {
    /// For the files of the report's period and of the days around it: files of another machine may be of another time zone.
    pub fn new(report: &'a mut Report, console: &'a mut Console) -> Self {
        let buffer = vec![0; PIECE];
        let day = |unix: i64| unix.div_euclid(SECS_PER_DAY);
        let first = report.from.map_or(i64::MIN, |from| day(from) - 1);
        let last = report.to.map_or(i64::MAX, |to| day(to) + 1);
        let days = (first, last);
        Self { report, console, days, listed: Vec::new(), buffer, known: Vec::new(), has_failed: false }
    }

    /// Adds a file, or the daily files of a directory: events of all days, because an outage may have begun or ended on
    /// another one.
    pub fn add(&mut self, path: &str) {
        let (first, last) = self.days;
        match file::open_named(path) {
            Ok((_, true)) => {}
            // It is opened again: a pipe cannot be.
            Ok((file, false)) if !self.list(path, path::name(path), false) => self.read_file(&file, path),
            Ok((_, false)) => {}
            Err(errno) => self.fail(path, errno),
        }
        if let Ok(directory) = Directory::open(path) {
            let listed = directory.count(&mut |name| {
                let known = log_names::kind_and_day(name);
                if known.is_some_and(|(kind, day)| kind == Kind::Events || (first..=last).contains(&day)) {
                    self.list(path::within(path, name).as_str(), name, true);
                }
                false
            });
            if let Err(errno) = listed {
                self.fail(path, errno);
            }
        }
    }

    /// Adds a file, if its name is that of a daily file.
    fn list(&mut self, path: &str, name: &str, is_found: bool) -> bool {
        let known = log_names::kind_and_day(name).zip(Path::copy(path));
        if let Some(((kind, day), path)) = known {
            self.listed.push(Listed { kind, day, is_found, path });
        }
        known.is_some()
    }

    /// Reads what was added, the oldest first: the end of a day is the begin of the next one. Of a day that has counts no samples
    /// are read: they say the same.
    pub fn read(&mut self) {
        let listed = core::mem::take(&mut self.listed);
        let number = |at: usize| listed[at].day * Kind::ALL.len() as i64 + listed[at].kind.index() as i64;
        for (_, at) in order::by_number(listed.len(), &number) {
            let Listed { day, kind, is_found, path } = &listed[at as usize];
            let has_counts = |other: &Listed| {
                let directories = [&other.path, path].map(|path| path::parent(path.as_str()));
                other.kind == Kind::Stats && other.day == *day && directories[0] == directories[1]
            };
            if *kind == Kind::Samples && listed.iter().any(has_counts) {
                continue;
            }
            let path = path.as_str();
            match if *is_found { file::open_listed(path) } else { file::open_named(path).map(|(file, _)| file) } {
                Ok(file) => self.read_file(&file, path),
                // A link, or it was just deleted.
                Err(Errno::ELOOP | Errno::EINVAL | Errno::ENOENT) if *is_found => {}
                Err(errno) => self.fail(path, errno),
            }
        }
    }

    fn fail(&mut self, path: &str, errno: Errno) {
        self.has_failed = true;
        self.console.say("report", format_args!("{path} cannot be read ({}), it is left out", describe(errno)));
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
