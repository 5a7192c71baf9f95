//! The reports: written to the daily log, kept in the ledger's file, and said on the console.

use core::fmt::Write;

use crate::base::limits;
use crate::base::said::Said;
use crate::base::text::Count;
use crate::base::time::{Nanos, WallTime};
use crate::core::clock_trust::{self, Confidence};
use crate::core::ledger::Ledger;
use crate::core::monitor::Monitor;
use crate::model::keep::Keep;
use crate::model::log_names;
use crate::model::settings::{Config, Settings};
use crate::render::table::Form;
use crate::shell::console::Console;
use crate::shell::daily_log::{DailyLog, LogError};
use crate::shell::ledger_file::LedgerFile;
use crate::shell::ledger_trouble::Trouble;
use crate::shell::recovery::{self, Overdue, UnresolvedReport};
use crate::sys;
use crate::sys::{Errno, clock, process};

/// Where the counts go.
#[derive(Debug)]
pub(super) struct Reports {
    /// `None`: nothing is logged, as for a single check.
    log: Option<DailyLog>,
    /// `None`: the counts are kept in this process alone.
    ledger_file: Option<LedgerFile>,
    /// A report of the last run of which it is not known whether the log has it.
    unresolved: Option<UnresolvedReport>,
    log_trouble: Said,
    link_trouble: Said,
    keep_trouble: Said,
    confidence: Confidence,
    /// The day, since 1970, on which old logs were last looked for.
    swept: Option<i64>,
    started: WallTime,
    summary: String,
}

impl Reports {
    /// The log and the ledger of a run that starts at `started`, brought into agreement, with memory for the longest
    /// summary; a run without a ledger's file writes no reports. Where counts of the last run must be reported first,
    /// under their own thresholds, the configuration goes on with those. Also returns the ledger, and the report that
    /// was overdue.
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
            let log = log.insert(DailyLog::new(config.settings.log_dir, form(config)));
            log.set_ledger_path(file.path());
            let now = Some(started).filter(|started| clock_trust::is_set(*started, limits::BUILT));
            (overdue, unresolved) = recovery::recover(&ledger, log, config, now, console);
        }
        if !ledger.is_reported() && ledger.thresholds() != config.settings.thresholds {
            // What is counted must not stand in one row with what was sorted by other thresholds.
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
            log_trouble: Said::default(),
            link_trouble: Said::default(),
            keep_trouble: Said::default(),
            confidence: Confidence::new(limits::BUILT),
            swept: None,
            started,
            summary: String::with_capacity((limits::TARGETS + 2) * limits::ROW),
        };
        (reports, ledger, overdue)
    }

    /// Goes over to another configuration.
    pub fn change(&mut self, before: &Settings, next: &Config) {
        let same_directory = before.log_dir == next.settings.log_dir;
        if !same_directory {
            // Trouble with another directory is another trouble.
            self.log_trouble = Said::default();
            self.keep_trouble = Said::default();
        }
        if !same_directory || before.keep != next.settings.keep {
            self.swept = None;
        }
        if let (Some(log), Some(file)) = (&mut self.log, &self.ledger_file) {
            log.set_directory_and_form(next.settings.log_dir, form(next));
            log.set_ledger_path(file.path());
        }
    }

    /// Prepares the log for the next report and deletes old logs, at the start and after a reload. Says before what
    /// became of a report that was overdue at the start.
    pub fn begin(&mut self, overdue: Option<Overdue>, today: WallTime, monitor: &Monitor, console: &mut Console) {
        match overdue {
            Some(Ok(stamp)) => self.say_written(stamp, console),
            Some(Err((stamp, error))) => self.say_trouble(stamp, error, monitor, console),
            None => self.prepare(console),
        }
        self.delete_old(today, monitor.settings().keep, console);
    }

    /// Whether reports are logged.
    pub fn are_logged(&self) -> bool {
        self.log.is_some()
    }

    /// Whether the last report could not be written.
    pub fn are_failing(&self) -> bool {
        self.log_trouble.is_on()
    }

    /// Looks after the ledger's file before a report: it is made anew if it was cut short or removed. Returns whether
    /// another run has begun with a file of its own, so that this one must end.
    pub fn check_ledger(&mut self, monitor: &mut Monitor, console: &mut Console) -> bool {
        let Some(file) = &mut self.ledger_file else { return false };
        if file.was_truncated() {
            monitor.renew_ledger();
            monitor.ledger().begin_run(process::own(), self.started);
            file.replace_truncated(monitor.ledger(), console);
        }
        // A run that ends does not need its file any more.
        !monitor.is_ending() && file.check_path(monitor.ledger(), console)
    }

    /// Makes room in the ledger for the next configuration's targets, and moves it where that configuration wants it.
    pub fn move_ledger(&mut self, monitor: &mut Monitor, next: &Config) -> Result<(), Trouble> {
        let Some(file) = &mut self.ledger_file else { return Ok(()) };
        let (_, needed) = monitor.plan(next);
        if needed > limits::RECORDS {
            // There is no room; the monitor will refuse.
            return Ok(());
        }
        file.grow(monitor.ledger_mut(), needed)?;
        file.move_to(next.settings.ledger_path(), monitor.ledger())
    }

    /// Appends a report to the log. Returns whether the counts are in it.
    pub fn write(&mut self, stamp: WallTime, monitor: &mut Monitor, console: &mut Console) -> bool {
        if let Some(unresolved) = &self.unresolved {
            match unresolved.resolve(monitor.ledger()) {
                Ok(_) => monitor.recall_reported(),
                Err(errno) => {
                    self.say_trouble(stamp, LogError::Read(errno), monitor, console);
                    return false;
                }
            }
            self.unresolved = None;
        }
        // Before the report, because this may make room for it.
        self.delete_old(stamp, monitor.settings().keep, console);
        let Some(log) = &mut self.log else { return true };
        match log.append(stamp, &mut monitor.rows(), monitor.ledger()) {
            Ok(()) => self.say_written(stamp, console),
            Err(error) => {
                self.say_trouble(stamp, error, monitor, console);
                return false;
            }
        }
        true
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

    /// A report was written: says so, lets the link name its file, and says that trouble is over.
    fn say_written(&mut self, stamp: WallTime, console: &mut Console) {
        let Some(log) = &self.log else { return };
        let path = log.path(stamp);
        if self.log_trouble.is_over() {
            console.say("log", format_args!("{path} can be written again, this report holds all that was kept"));
        }
        match log.link_latest(stamp) {
            Ok(()) => drop(self.link_trouble.is_over()),
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

    /// A report could not be written: says what becomes of the counts, when the trouble begins and at the end of the run.
    fn say_trouble(&mut self, stamp: WallTime, error: LogError, monitor: &Monitor, console: &mut Console) {
        let Some(log) = &self.log else { return };
        let path = self.unresolved.as_ref().map_or(log.path(stamp), |unresolved| *unresolved.file());
        if monitor.is_ending() {
            let left = Count(monitor.unreported(), "probe");
            let next = if monitor.ledger().is_present() { "; the ledger keeps it for the next run" } else { "" };
            let without = "the run ends without its last report of";
            console.say("log", format_args!("{path} {error}, {without} {left}{next}"));
        } else {
            say_kept(&mut self.log_trouble, path.as_str(), error, console);
        }
    }

    /// Makes the log's directory. A directory in which a report could not be written is said at once.
    fn prepare(&mut self, console: &mut Console) {
        let Some(log) = &self.log else { return };
        if let Err(error) = log.make_directory() {
            say_kept(&mut self.log_trouble, log.directory(), error, console);
        }
    }

    /// Deletes the logs that are not kept any more: at the start, with the first report of each day, and after a
    /// reload.
    fn delete_old(&mut self, today: WallTime, keep: Keep, console: &mut Console) {
        let Some(log) = &self.log else { return };
        if keep == Keep::ALL || self.swept.replace(today.day()) == Some(today.day()) {
            return;
        }
        if !self.confidence.trusts(clock::since_boot(), today) {
            return;
        }
        match log.delete_old(keep, today) {
            Ok(()) | Err(Errno::ENOENT) => drop(self.keep_trouble.is_over()),
            Err(errno) if self.keep_trouble.begins() => {
                let (directory, why) = (log.directory(), sys::describe(errno));
                console.say("log", format_args!("old files in {directory} cannot be deleted ({why}), they stay"));
            }
            Err(_) => {}
        }
    }
}

/// Says what becomes of the counts when trouble with the log begins.
fn say_kept(trouble: &mut Said, path: &str, error: LogError, console: &mut Console) {
    if trouble.begins() {
        console.say(
            "log",
            format_args!("{path} {error}, the counts are kept and go into the next report that can be written"),
        );
    }
}

fn form(config: &Config) -> Form {
    Form::new(config.settings.thresholds, config.longest_service())
}
