//! Writes the reports to the daily log and says so on the console; looks after the ledger's file.

use core::fmt::Write;

use crate::base::limits;
use crate::base::path;
use crate::base::said::Said;
use crate::base::text::Count;
use crate::base::time::{Nanos, WallTime};
use crate::core::clock_trust;
use crate::core::due;
use crate::core::ledger::Ledger;
use crate::core::monitor::Monitor;
use crate::model::log_names;
use crate::model::settings::{Config, Settings};
use crate::render::table::Form;
use crate::shell::console::Console;
use crate::shell::daily_log::{DailyLog, LogError};
use crate::shell::ledger_file::LedgerFile;
use crate::shell::ledger_trouble::Trouble;
use crate::shell::recovery::{self, Overdue, UnresolvedReport};
use crate::shell::sandbox::Writable;
use crate::sys;
use crate::sys::{Errno, clock, process};

/// The files of a run: its log and its ledger.
#[derive(Debug)]
pub(super) struct Reports {
    /// `None`: nothing is logged (`tcpmon once`).
    log: Option<DailyLog>,
    /// `None`: the counts are only in this process.
    ledger_file: Option<LedgerFile>,
    /// A report of the last run that may or may not be in the log.
    unresolved: Option<UnresolvedReport>,
    /// Why the last report that was due is not in the log.
    failed: Option<LogError>,
    log_trouble: Said,
    link_trouble: Said,
    keep_trouble: Said,
    started: WallTime,
    summary: String,
}

impl Reports {
    /// Opens log and ledger for a run that starts at `started`, and makes them agree. A run without a ledger's file
    /// writes no reports. If counts of the last run must be reported first, the configuration keeps their thresholds
    /// until then. Also returns the ledger, and the report that was overdue. Reserves memory for the longest summary.
    pub fn open(
        mut ledger_file: Option<LedgerFile>,
        config: &mut Config,
        started: WallTime,
        console: &mut Console,
    ) -> (Self, Ledger, Option<Overdue>) {
        let ledger = match &mut ledger_file {
            Some(file) => file.open_ledger(&config.targets, started, console),
            None => Ledger::absent(),
        };
        let mut log = None;
        let (mut overdue, mut unresolved) = (None, None);
        if let Some(file) = &ledger_file {
            let log = log.insert(DailyLog::new(config.settings.log_dir, form(config), config.settings.keep));
            log.set_ledger_path(file.path());
            // The sandbox needs it. An error is said by `begin`.
            let _ = log.hold();
            let now = Some(started).filter(|started| clock_trust::is_set(*started, limits::BUILT));
            (overdue, unresolved) = recovery::recover(&ledger, log, config, now, console);
        }
        if !ledger.is_reported() && due::is_due_between(ledger.thresholds(), config.settings.thresholds) {
            config.settings.thresholds = ledger.thresholds();
            console.say(
                "configuration",
                format_args!("slow and timeout stay as they were until the log can be written, reload it then"),
            );
            if let Some(log) = &mut log {
                log.set_directory_and_form(config.settings.log_dir, form(config));
            }
        }
        let reports = Self {
            log,
            ledger_file,
            unresolved,
            failed: None,
            log_trouble: Said::default(),
            link_trouble: Said::default(),
            keep_trouble: Said::default(),
            started,
            summary: String::with_capacity((limits::TARGETS + 2) * limits::ROW),
        };
        (reports, ledger, overdue)
    }

    /// Applies another configuration.
    pub fn change(&mut self, before: &Settings, next: &Config) {
        let same_directory = before.log_dir == next.settings.log_dir;
        if !same_directory {
            // Trouble in another directory needs a message of its own.
            self.log_trouble.clear();
            self.keep_trouble.clear();
        }
        if let (Some(log), Some(file)) = (&mut self.log, &self.ledger_file) {
            log.set_directory_and_form(next.settings.log_dir, form(next));
            log.set_keep(next.settings.keep);
            log.set_ledger_path(file.path());
        }
    }

    /// Makes the log's directory, at the start and after a reload. If a report was overdue at the start, says first
    /// whether it was written.
    pub fn begin(&mut self, overdue: Option<Overdue>, monitor: &Monitor, console: &mut Console) {
        match overdue {
            Some(Ok(stamp)) => self.say_written(stamp, console),
            Some(Err((stamp, error))) => self.say_trouble(stamp, error, monitor, console),
            None => self.prepare(console),
        }
        self.say_deleted(console);
    }

    /// What the run may write: the directory of the log, which is made here, and that of the ledger. Says if there is none.
    pub fn writable(&mut self, console: &mut Console) -> Writable<'_> {
        let mut log_dir = None;
        if let Some(log) = &mut self.log {
            if let Err(error) = log.hold() {
                say_kept(&mut self.log_trouble, log.directory(), error, console);
            }
            log_dir = log.held();
        }
        let (ledger_dir, ledger) = self.ledger_file.as_ref().and_then(LedgerFile::descriptors).unzip();
        Writable { log_dir, ledger_dir, ledger }
    }

    /// Whether reports are logged.
    pub fn are_logged(&self) -> bool {
        self.log.is_some()
    }

    /// From now on the sandbox forbids every other directory than the log's and those in it, if it is `confined`.
    pub fn set_confined(&mut self, confined: bool) {
        if let Some(log) = &mut self.log {
            log.set_confined(confined);
        }
        if let Some(file) = &mut self.ledger_file {
            file.set_confined(confined);
        }
    }

    /// Whether the directory was taken away and this run can use no other one, so that it must end.
    pub fn are_over(&self) -> bool {
        self.failed == Some(LogError::Gone)
    }

    /// Whether the report at the end of the run could not be written.
    pub fn lost_last_report(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether the last report could not be written.
    pub fn are_failing(&self) -> bool {
        self.log_trouble.is_on()
    }

    /// Says which process has locked the ledger.
    pub fn hold_ledger(&self) {
        if let Some(file) = &self.ledger_file {
            file.hold();
        }
    }

    /// Checks the ledger's file before a report, and makes it again if it was truncated or removed. Returns whether
    /// another run has begun with its own file, so that this run must end.
    pub fn check_ledger(&mut self, config: &str, monitor: &mut Monitor, console: &mut Console) -> bool {
        let Some(file) = &mut self.ledger_file else { return false };
        if file.was_truncated() {
            monitor.renew_ledger();
            monitor.ledger().begin_run(process::own(), config, self.started);
            file.replace_truncated(monitor.ledger(), console);
        }
        // At the end of a run its file is not needed any more.
        !monitor.is_ending() && file.check_path(monitor.ledger(), console)
    }

    /// Makes room in the ledger for the next configuration's targets, and moves it to that configuration's path.
    pub fn move_ledger(&mut self, monitor: &mut Monitor, next: &Config) -> Result<(), Trouble> {
        let Some(file) = &mut self.ledger_file else { return Ok(()) };
        let (_, needed) = monitor.plan(next);
        if needed > limits::RECORDS {
            // Too many; the monitor will refuse the configuration.
            return Ok(());
        }
        file.grow(monitor.ledger_mut(), needed)?;
        file.move_to(next.settings.ledger_path(), monitor.ledger())
    }

    /// Appends a report to the log. Returns whether the log has the counts now.
    pub fn write(&mut self, stamp: WallTime, monitor: &mut Monitor, console: &mut Console) -> bool {
        let written = self.try_write(stamp, monitor);
        self.failed = written.err();
        self.say_deleted(console);
        match written {
            Ok(()) => self.say_written(stamp, console),
            Err(error) => self.say_trouble(stamp, error, monitor, console),
        }
        written.is_ok()
    }

    fn try_write(&mut self, stamp: WallTime, monitor: &mut Monitor) -> Result<(), LogError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        if let Some(unresolved) = &mut self.unresolved {
            unresolved.resolve(monitor.ledger(), log).map_err(LogError::Read)?;
            monitor.recall_reported();
            self.unresolved = None;
        }
        log.append(stamp, &mut monitor.rows(), monitor.ledger())
    }

    /// Prints the table of the whole run, in the log's form.
    pub fn print_summary(&mut self, monitor: &Monitor, console: &mut Console, patience: Nanos) {
        let Some(form) = self.log.as_ref().map(DailyLog::form) else { return };
        let stamp = clock::wall();
        self.summary.clear();
        // Writing to a String does not fail, and there is memory for the longest summary.
        let _ = write!(self.summary, "\nSince {}:\n{}", self.started, form.header());
        for entry in monitor.live() {
            let columns = entry.counted().columns();
            let _ = write!(self.summary, "{}", form.row(stamp, entry.target.service.as_str(), &columns));
        }
        let skipped = monitor.skipped();
        if skipped > 0 {
            let _ = writeln!(self.summary, "{} skipped for reasons of this box's own", Count(skipped, "tick"));
        }
        console.lines(&self.summary, patience);
    }

    /// After a written report: says so, updates the link, and says that earlier trouble is over.
    fn say_written(&mut self, stamp: WallTime, console: &mut Console) {
        let Some(log) = &self.log else { return };
        let path = log.path(stamp);
        if self.log_trouble.is_over() {
            console.say("log", format_args!("{path} can be written again, this report holds all that was kept"));
        }
        match log.link_latest(stamp) {
            Ok(()) => self.link_trouble.clear(),
            Err(errno) if self.link_trouble.begins() => {
                let why = if errno == Errno::EOPNOTSUPP { "the file system has none" } else { sys::describe(errno) };
                console.say(
                    "log",
                    format_args!(
                        "{} in {} cannot be made a link ({why}), the log is written without it",
                        log_names::LATEST,
                        log.directory()
                    ),
                );
            }
            Err(_) => {}
        }
        console.line(format_args!("Statistics logged to {path} at {stamp}"));
    }

    /// After a failed report: says what happens to the counts, when the trouble begins and at the end of the run.
    fn say_trouble(&mut self, stamp: WallTime, error: LogError, monitor: &Monitor, console: &mut Console) {
        let Some(log) = &self.log else { return };
        let mut path = self.unresolved.as_ref().map_or(log.path(stamp), |unresolved| *unresolved.file());
        if error == LogError::Gone {
            path = path::within("", log.directory());
        }
        if monitor.is_ending() {
            let left = Count(monitor.unreported(), "probe");
            let file = self.ledger_file.as_ref().filter(|_| monitor.ledger().is_present());
            let next = file.map_or("", LedgerFile::fate);
            let without = "the run ends without its last report of";
            console.say("log", format_args!("{path} {error}, {without} {left}{next}"));
        } else {
            say_kept(&mut self.log_trouble, path.as_str(), error, console);
        }
    }

    /// Makes the log's directory. Says at once if no report could be written there.
    fn prepare(&mut self, console: &mut Console) {
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.check_directory() {
            say_kept(&mut self.log_trouble, log.directory(), error, console);
        }
    }

    /// After a report that began a file: says whether the old ones could be deleted.
    fn say_deleted(&mut self, console: &mut Console) {
        let Some(log) = &mut self.log else { return };
        match log.deleted() {
            Some(Ok(()) | Err(Errno::ENOENT)) => self.keep_trouble.clear(),
            Some(Err(errno)) if self.keep_trouble.begins() => {
                let (directory, why) = (log.directory(), sys::describe(errno));
                console.say("log", format_args!("old files in {directory} cannot be deleted ({why}), they stay"));
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// Says what happens to the counts, if this trouble with the log is new.
fn say_kept(trouble: &mut Said, path: &str, error: LogError, console: &mut Console) {
    if trouble.begins() {
        let next = if error == LogError::Gone {
            "this run ends"
        } else {
            "the counts are kept and go into the next report that can be written"
        };
        console.say("log", format_args!("{path} {error}, {next}"));
    }
}

fn form(config: &Config) -> Form {
    Form::new(config.settings.thresholds, config.longest_service())
}
