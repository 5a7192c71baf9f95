//! Writes the reports and the other lines to the daily files and says so on the console; looks after the ledger's file.

use core::fmt::Write;

use super::sender::Sender;
use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::said::Said;
use crate::base::text::Count;
use crate::base::time::{Nanos, WallTime};
use crate::core::clock_trust;
use crate::core::due;
use crate::core::ledger::Ledger;
use crate::core::monitor::Monitor;
use crate::model::log_names::Kind;
use crate::model::settings::{Config, Settings};
use crate::render::table::Form;
use crate::render::times;
use crate::shell::console::Console;
use crate::shell::daily_files::{DailyFiles, Lines, LogError};
use crate::shell::ledger_file::LedgerFile;
use crate::shell::ledger_trouble::Trouble;
use crate::shell::recovery::{self, Overdue, Unresolved};
use crate::shell::sandbox::Writable;
use crate::sys;
use crate::sys::{Errno, clock, file, process};

/// The files of a run: its daily files and its ledger. What is kept for each kind is in the order of [`Kind::ALL`].
#[derive(Debug)]
pub(super) struct Reports {
    /// `None`: nothing is logged (`tcpmon once`).
    files: Option<DailyFiles>,
    /// `None`: the counts are only in this process.
    ledger_file: Option<LedgerFile>,
    /// The form of the reports' rows.
    form: Form,
    /// What the last run was writing and what may or may not be in its file.
    unresolved: Unresolved,
    /// Why the last report that was due is not in the log.
    failed: Option<LogError>,
    pub(super) kinds: [KindState; Kind::ALL.len()],
    keep_trouble: Said,
    /// The file system is nearly full, so that samples pause.
    pub(super) samples_pause: Said,
    /// The form of the rows of times.
    pub(super) times_form: times::Form,
    pub(super) sender: Sender,
    started: WallTime,
    summary: String,
}

/// What is known of a kind of daily file.
#[derive(Debug, Default)]
pub(super) struct KindState {
    /// It cannot be written.
    pub trouble: Said,
    link_trouble: Said,
    /// The day of the file with the last error, in days since 1970, and the error (errno(3)).
    pub error: (i64, i32),
    /// Whether an event has told that it cannot be written.
    pub told: bool,
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
        let mut files = None;
        let (mut overdue, mut unresolved) = (None, Unresolved::default());
        if let Some(file) = &ledger_file {
            let files = files.insert(DailyFiles::new(config.settings.log_dir, config.settings.keep));
            files.set_ledger_path(file.path());
            // The sandbox needs it. An error is said by `begin`.
            let _ = files.hold();
            let now = Some(started).filter(|started| clock_trust::is_set(*started, limits::BUILT));
            (overdue, unresolved) = recovery::recover(&ledger, files, config, now, console);
        }
        if !ledger.is_reported() && due::is_due_between(ledger.thresholds(), config.settings.thresholds) {
            config.settings.thresholds = ledger.thresholds();
            console.say(
                "configuration",
                format_args!("slow and timeout stay as they were until the log can be written, reload it then"),
            );
        }
        let reports = Self {
            files,
            ledger_file,
            form: form(config),
            unresolved,
            failed: None,
            kinds: Default::default(),
            keep_trouble: Said::default(),
            samples_pause: Said::default(),
            times_form: times_form(config),
            sender: Sender::default(),
            started,
            summary: String::with_capacity((limits::TARGETS + 2) * limits::ROW),
        };
        (reports, ledger, overdue)
    }

    /// Applies another configuration.
    pub fn change(&mut self, before: &Settings, next: &Config) {
        let Settings { log_dir, times, events, samples, .. } = next.settings;
        let same_directory = before.log_dir == log_dir;
        if !same_directory {
            self.keep_trouble.clear();
        }
        for (kind, is_wanted) in self.kinds.iter_mut().zip([true, times, events, samples]) {
            // Trouble in another directory needs a message of its own. A file that is not written any more has none.
            if !same_directory || !is_wanted {
                kind.trouble.clear();
            }
            kind.told &= is_wanted;
        }
        (self.form, self.times_form) = (form(next), times_form(next));
        if let (Some(files), Some(file)) = (&mut self.files, &self.ledger_file) {
            files.set_directory(next.settings.log_dir);
            files.set_keep(next.settings.keep);
            files.set_ledger_path(file.path());
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
        self.note_broken(monitor.ledger());
    }

    /// What the run may write: the directory of the log, which is made here, and that of the ledger. Says if there is none.
    pub fn writable(&mut self, console: &mut Console) -> Writable<'_> {
        let mut log_dir = None;
        if let Some(files) = &mut self.files {
            if let Err(error) = files.hold() {
                say_kept(&mut self.kinds, Kind::Stats, files.directory(), error, console);
            }
            log_dir = files.held();
        }
        let (ledger_dir, ledger) = self.ledger_file.as_ref().and_then(LedgerFile::descriptors).unzip();
        Writable { log_dir, ledger_dir, ledger }
    }

    /// Whether reports are logged.
    pub fn are_logged(&self) -> bool {
        self.files.is_some()
    }

    /// From now on the sandbox forbids every other directory than the log's and those in it, if it is `confined`.
    pub fn set_confined(&mut self, confined: bool) {
        if let Some(files) = &mut self.files {
            files.set_confined(confined);
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

    /// Whether the file system of the daily files is nearly full.
    pub fn are_short_of_space(&self) -> bool {
        let directory = self.files.as_ref().and_then(DailyFiles::held);
        directory.is_some_and(|directory| file::is_nearly_full(directory.descriptor()))
    }

    /// Whether the last report could not be written.
    pub fn are_failing(&self) -> bool {
        self.kinds[Kind::Stats.index()].trouble.is_on()
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
        if self.resolve(Kind::Stats, monitor.ledger())? {
            monitor.recall_reported();
        }
        let Some(files) = &mut self.files else { return Ok(()) };
        let (form, mut rows) = (&self.form, monitor.rows());
        let body = &mut |out: &mut dyn Write| form.write(out, false, stamp, &mut rows);
        let lines = Lines { kind: Kind::Stats, stamp, header: &form.header(), body, covers: 0 };
        files.append(lines, monitor.ledger())
    }

    /// Appends lines to another daily file than that of the reports. Then marks in the ledger what they cover, and says
    /// that earlier trouble is over. If they cannot be written, says what happens to them when the trouble begins; the
    /// next lines of this kind are tried all the same.
    pub fn append(&mut self, lines: Lines<'_>, ledger: &Ledger, console: &mut Console) -> Result<(), LogError> {
        let (kind, stamp, covers) = (lines.kind, lines.stamp, lines.covers);
        let resolved = self.resolve(kind, ledger);
        let Some(files) = &mut self.files else { return Ok(()) };
        let appended = resolved.and_then(|_| files.append(lines, ledger));
        match appended {
            Ok(()) => {
                ledger.mark_written(kind, covers);
                self.say_over(kind, stamp, console);
            }
            Err(error) => self.note_failure(kind, stamp, error, console),
        }
        self.say_deleted(console);
        appended
    }

    /// Notes that lines could not be written, and says so when the trouble begins.
    pub fn note_failure(&mut self, kind: Kind, stamp: WallTime, error: LogError, console: &mut Console) {
        let path = self.path(kind, stamp, error);
        if error == LogError::Gone {
            self.failed = Some(error);
        }
        self.kinds[kind.index()].error = (stamp.day(), error.number());
        say_kept(&mut self.kinds, kind, path.as_str(), error, console);
    }

    /// Finds out, if that is still open, whether the last run's lines of this kind are in their file. Returns whether the
    /// ledger has learnt it now.
    pub fn resolve(&mut self, kind: Kind, ledger: &Ledger) -> Result<bool, LogError> {
        let (Some(files), Some(unresolved)) = (&self.files, &mut self.unresolved[kind.index()]) else {
            return Ok(false);
        };
        unresolved.resolve(ledger, files).map_err(LogError::Read)?;
        self.unresolved[kind.index()] = None;
        Ok(true)
    }

    /// The path that a message about this error names.
    fn path(&self, kind: Kind, stamp: WallTime, error: LogError) -> Path {
        match (&self.files, &self.unresolved[kind.index()]) {
            (Some(files), _) if error == LogError::Gone => path::within("", files.directory()),
            (_, Some(unresolved)) => *unresolved.file(),
            (Some(files), None) => files.path(kind, stamp),
            (None, None) => Path::new(),
        }
    }

    /// Prints the table of the whole run, in the log's form. Returns whether it was printed.
    pub fn print_summary(&mut self, monitor: &Monitor, console: &mut Console, patience: Nanos) -> bool {
        if self.files.is_none() {
            return false;
        }
        let (form, stamp) = (&self.form, clock::wall());
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
        console.lines(&self.summary, patience)
    }

    /// After a written report: says so, updates the link, and says that earlier trouble is over.
    fn say_written(&mut self, stamp: WallTime, console: &mut Console) {
        self.say_over(Kind::Stats, stamp, console);
        if let Some(files) = &self.files {
            console.line(format_args!("Statistics logged to {} at {stamp}", files.path(Kind::Stats, stamp)));
        }
    }

    /// After a write to a daily file: says that earlier trouble is over, and updates the link.
    fn say_over(&mut self, kind: Kind, stamp: WallTime, console: &mut Console) {
        let Some(files) = &self.files else { return };
        if self.kinds[kind.index()].trouble.is_over() {
            let what = match kind {
                Kind::Stats => "this report holds all that was kept",
                Kind::Times | Kind::Events => "nothing is lost",
                Kind::Samples => "its lines go on from here",
            };
            console.say("log", format_args!("{} can be written again, {what}", files.path(kind, stamp)));
        }
        let trouble = &mut self.kinds[kind.index()].link_trouble;
        match files.link_latest(kind, stamp) {
            Ok(()) => trouble.clear(),
            Err(errno) if trouble.begins() => {
                let why = if errno == Errno::EOPNOTSUPP { "the file system has none" } else { sys::describe(errno) };
                console.say(
                    "log",
                    format_args!(
                        "{} in {} cannot be made a link ({why}), the log is written without it",
                        kind.latest(),
                        files.directory()
                    ),
                );
            }
            Err(_) => {}
        }
    }

    /// After a failed report: says what happens to the counts, when the trouble begins and at the end of the run.
    fn say_trouble(&mut self, stamp: WallTime, error: LogError, monitor: &Monitor, console: &mut Console) {
        let path = self.path(Kind::Stats, stamp, error);
        self.kinds[Kind::Stats.index()].error = (stamp.day(), error.number());
        if monitor.is_ending() {
            let left = Count(monitor.unreported(), "probe");
            let file = self.ledger_file.as_ref().filter(|_| monitor.ledger().is_present());
            let next = file.map_or("", LedgerFile::fate);
            let without = "the run ends without its last report of";
            console.say("log", format_args!("{path} {error}, {without} {left}{next}"));
        } else {
            say_kept(&mut self.kinds, Kind::Stats, path.as_str(), error, console);
        }
    }

    /// Makes the log's directory. Says at once if no report could be written there.
    fn prepare(&mut self, console: &mut Console) {
        let Some(files) = &mut self.files else { return };
        if let Err(error) = files.check_directory() {
            self.kinds[Kind::Stats.index()].error = (clock::wall().day(), error.number());
            say_kept(&mut self.kinds, Kind::Stats, files.directory(), error, console);
        }
    }

    /// After a write that began a file: says whether the old ones could be deleted.
    fn say_deleted(&mut self, console: &mut Console) {
        let Some(files) = &mut self.files else { return };
        match files.deleted() {
            Some(Ok(()) | Err(Errno::ENOENT)) => self.keep_trouble.clear(),
            Some(Err(errno)) if self.keep_trouble.begins() => {
                let (directory, why) = (files.directory(), sys::describe(errno));
                console.say("log", format_args!("old files in {directory} cannot be deleted ({why}), they stay"));
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// Says what happens to the lines of this kind, if the trouble with them is new. A directory that was taken away is the same
/// trouble for all kinds, and ends the run.
fn say_kept(kinds: &mut [KindState; Kind::ALL.len()], kind: Kind, path: &str, error: LogError, console: &mut Console) {
    let kind = if error == LogError::Gone { Kind::Stats } else { kind };
    if kinds[kind.index()].trouble.begins() {
        let next = match kind {
            _ if error == LogError::Gone => "this run ends",
            Kind::Stats => "the counts are kept and go into the next report that can be written",
            Kind::Times | Kind::Events => "its lines are kept and written as soon as that can be done",
            Kind::Samples => "its lines are lost until it can be",
        };
        console.say("log", format_args!("{path} {error}, {next}"));
    }
}

fn form(config: &Config) -> Form {
    Form::new(config.settings.thresholds, config.longest_service())
}

/// The form of the rows of times for these targets.
fn times_form(config: &Config) -> times::Form {
    let mut form = times::Form::new();
    config.targets.iter().for_each(|target| form.fit(target));
    form
}
