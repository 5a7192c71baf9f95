//! The directory in which the program runs: its configuration, its ledger, its daily logs and its
//! output. A copy of it lets many runs start from the same state.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use tcpmon::base::time::WallTime;
use tempfile::TempDir;

use crate::witness::{REFUSED, Witness};
use crate::{Result, scratch};

/// The first targets, in their order.
pub const FIRST: [&str; 5] = ["web", "db", "mail", REFUSED, FLIP];

/// The targets after a reload: one removed, one new.
pub const SECOND: [&str; 5] = ["web", "db", REFUSED, FLIP, "news"];

/// The service whose port has a listener in every second life.
pub const FLIP: &str = "flip";

/// A kind of daily file: what its names begin and end with.
pub type Kind = (&'static str, &'static str);

pub const STATS: Kind = ("tcp_stats_", ".log");
pub const TIMES: Kind = ("tcp_times_", ".log");
pub const EVENTS: Kind = ("tcp_events_", ".log");
pub const SAMPLES: Kind = ("tcp_samples_", ".csv");

/// The ledger's file name.
pub const LEDGER: &str = "tcpmon.ledger";

/// The directory; it is deleted when this is dropped.
pub struct RunDir {
    dir: TempDir,
    /// Minutes by which the runs' local time is ahead of UTC.
    ahead: i32,
}

/// The lines of a daily file.
pub struct Day {
    /// In the form `20251009`.
    pub date: String,
    pub lines: Vec<String>,
}

impl Day {
    /// Whether this time, which begins with its date, is of this day.
    pub fn has(&self, time: &str) -> bool {
        time.get(..10).is_some_and(|date| date.replace('-', "") == self.date)
    }
}

impl RunDir {
    /// An empty directory.
    pub fn new() -> Result<Self> {
        Ok(Self { dir: scratch::temporary()?, ahead: 0 })
    }

    /// Another directory with the same files.
    pub fn copy(&self) -> Result<Self> {
        let copy = Self { ahead: self.ahead, ..Self::new()? };
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            let to = copy.path().join(entry.file_name());
            if entry.file_type()?.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(entry.path())?, to)?;
            } else if entry.file_type()?.is_dir() {
                fs::create_dir(to)?;
            } else {
                fs::copy(entry.path(), to)?;
            }
        }
        Ok(copy)
    }

    /// Another time zone for its runs, which is ahead of UTC by so many minutes.
    pub fn set_ahead(&mut self, minutes: i32) {
        self.ahead = minutes;
    }

    /// Seconds by which the runs' local time is ahead of UTC.
    pub fn offset(&self) -> i32 {
        self.ahead * 60
    }

    /// The time zone of its runs, as a POSIX rule.
    pub fn time_zone(&self) -> String {
        if self.ahead == 0 {
            return "UTC".to_owned();
        }
        let (sign, minutes) = (if self.ahead > 0 { "-" } else { "" }, self.ahead.unsigned_abs());
        format!("KIL{sign}{}:{:02}", minutes / 60, minutes % 60)
    }

    /// Writes the configuration: each of these targets is probed at the start, and then once an
    /// hour. Every probe changes the state of its target.
    pub fn configure(&self, targets: &[&str], report: &str, witness: &Witness) -> Result {
        let mut text =
            format!("interval 1h\nreport {report}\ntimes on\nevents on\nsamples on\ndown_after 1\nup_after 1\n");
        for service in targets {
            writeln!(text, "target {service} 127.0.0.1 {}", witness.port(service)?)?;
        }
        // Renamed, so that a reader finds the old file or the new one.
        fs::write(self.file("tcpmon.conf.new"), text)?;
        Ok(fs::rename(self.file("tcpmon.conf.new"), self.file("tcpmon.conf"))?)
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The text of a file; empty if there is no file.
    pub fn read(&self, name: &str) -> Result<String> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(String::from_utf8(bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The daily logs of counts, oldest first, without the symbolic link.
    pub fn logs(&self) -> Result<Vec<PathBuf>> {
        self.files(STATS)
    }

    /// The daily files of a kind, oldest first, without the symbolic link.
    pub fn files(&self, (begin, end): Kind) -> Result<Vec<PathBuf>> {
        let mut logs = Vec::new();
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let date = name.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
            if date.is_some_and(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())) {
                logs.push(self.file(&name));
            }
        }
        logs.sort();
        Ok(logs)
    }

    /// The lines of the daily files of a kind. Only after a kill the last one may have no end, and is left out.
    pub fn days(&self, kind: Kind, may_be_torn: bool) -> Result<Vec<Day>> {
        let mut days = Vec::new();
        for path in self.files(kind)? {
            let (name, text) = (path.file_name().unwrap_or_default().to_string_lossy(), fs::read_to_string(&path)?);
            let date = name[kind.0.len()..name.len() - kind.1.len()].to_owned();
            let (whole, rest) = text.split_at(text.rfind('\n').map_or(0, |at| at + 1));
            if !rest.is_empty() && !may_be_torn {
                return Err(format!("{name} ends in the middle of a line: {rest}").into());
            }
            days.push(Day { date, lines: whole.lines().map(str::to_owned).collect() });
        }
        Ok(days)
    }

    /// Bytes of all daily logs of counts.
    pub fn logged(&self) -> Result<u64> {
        self.bytes_of(STATS)
    }

    /// Bytes of all daily files of a kind.
    pub fn bytes_of(&self, kind: Kind) -> Result<u64> {
        self.files(kind)?.iter().map(|log| Ok(fs::metadata(log)?.len())).sum()
    }

    /// Puts directories in the places of the daily files of this day and of the next ones, so that none can be opened.
    pub fn block(&self) -> Result {
        for day in 0..3 {
            let unix = crate::seconds()? + day * 86_400;
            let date = WallTime { unix, nanos: 0, offset: self.offset() }.to_string()[..10].replace('-', "");
            for (begin, end) in [STATS, TIMES, EVENTS, SAMPLES] {
                fs::create_dir(self.file(&format!("{begin}{date}{end}")))?;
            }
        }
        Ok(())
    }

    /// Undoes that.
    pub fn unblock(&self) -> Result {
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir(entry.path())?;
            }
        }
        Ok(())
    }

    /// Whether less than a tenth of the file system is free.
    pub fn is_nearly_full(&self) -> bool {
        statvfs(self.path()).is_ok_and(|status| status.blocks_available() * 10 < status.blocks())
    }
}
