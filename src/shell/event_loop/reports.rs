//! The loop's reports: to the log, and to the console.

use core::fmt::Write;

use super::EventLoop;
use crate::base::text::Count;
use crate::base::time::{Nanos, WallTime};
use crate::model::keep::Keep;
use crate::shell::console::Console;
use crate::shell::daily_log::{DailyLog, LogError};
use crate::sys;
use crate::sys::{Errno, clock, process};

impl EventLoop {
    /// Prints the table of the whole run, in the log's form.
    pub fn print_summary(&mut self, patience: Nanos) {
        let Some(form) = self.log.as_ref().map(DailyLog::form) else { return };
        let stamp = clock::wall();
        self.summary.clear();
        // Writing to a String does not fail, and there is memory for the longest summary.
        let _ = write!(self.summary, "\nSince {}:\n{}", self.started, form.header());
        for watch in self.monitor.live() {
            let columns = watch.counted().columns();
            let _ = write!(self.summary, "{}", form.row(stamp, watch.target.service.as_str(), &columns));
        }
        let skipped = self.monitor.skipped();
        if skipped > 0 {
            let _ = writeln!(self.summary, "{} skipped for reasons of this box's own", Count(skipped, "tick"));
        }
        self.console.lines(&self.summary, patience);
    }

    /// Appends a report to the log. Returns whether the counts are in it.
    pub(super) fn report(&mut self, stamp: WallTime) -> bool {
        if let Some(file) = &mut self.ledger_file {
            if file.is_lost() {
                self.monitor.renew_ledger();
                self.monitor.ledger().begin_run(process::own(), self.started);
                file.make_anew(self.monitor.ledger(), &mut self.console);
            }
            // At its end a run has no use for it any more.
            if !self.monitor.is_ending() {
                self.superseded |= file.keep_in_place(self.monitor.ledger(), &mut self.console);
            }
        }
        if let Some(unresolved) = &self.unresolved {
            match unresolved.settle(self.monitor.ledger()) {
                Ok(_) => self.monitor.recall_reported(),
                Err(errno) => {
                    self.tell_of_trouble(stamp, LogError::Read(errno));
                    return false;
                }
            }
            self.unresolved = None;
        }
        // Before the report: it may be what makes room for it.
        self.delete_old(stamp);
        let Some(log) = &mut self.log else { return true };
        let appended = log.append(stamp, &mut self.monitor.rows(), self.monitor.ledger());
        match appended {
            Ok(()) => self.tell_of_report(stamp),
            Err(error) => {
                self.tell_of_trouble(stamp, error);
                return false;
            }
        }
        true
    }

    /// A report could not be written.
    pub(super) fn tell_of_trouble(&mut self, stamp: WallTime, error: LogError) {
        let Some(log) = &self.log else { return };
        let path = self.unresolved.as_ref().map_or(log.path(stamp), |unresolved| *unresolved.file());
        if self.monitor.is_ending() {
            let left = Count(self.monitor.unreported(), "probe");
            let kept = self.monitor.ledger().is_present();
            let without = "the run ends without its last report of";
            let next = if kept { "; the ledger keeps it for the next run" } else { "" };
            self.console.say("log", format_args!("{path} {error}, {without} {left}{next}"));
        } else {
            keep_counts(&mut self.log_failing, &mut self.console, path.as_str(), error);
        }
    }

    /// A report was written.
    pub(super) fn tell_of_report(&mut self, stamp: WallTime) {
        let Some(log) = &self.log else { return };
        let path = log.path(stamp);
        if core::mem::take(&mut self.log_failing) {
            self.console.say("log", format_args!("{path} can be written again, this report holds all that was kept"));
        }
        match log.link_latest(stamp) {
            Ok(()) => self.link_failing = false,
            Err(errno) => {
                if !core::mem::replace(&mut self.link_failing, true) {
                    self.console.say(
                        "log",
                        format_args!(
                            "tcp_stats_latest.log in {} cannot be made a link ({}), the log is written without it",
                            log.directory(),
                            if errno == Errno::EOPNOTSUPP { "the file system has none" } else { sys::describe(errno) }
                        ),
                    );
                }
            }
        }
        self.console.line(format_args!("Statistics logged to {path} at {stamp}"));
    }

    /// Deletes the logs that are not kept any more: at the start, with the first report of each day,
    /// and after a reload.
    pub(super) fn delete_old(&mut self, today: WallTime) {
        let keep = self.monitor.settings().keep;
        let Some(log) = &self.log else { return };
        if keep == Keep::ALL || self.swept == Some(today.day()) {
            return;
        }
        self.swept = Some(today.day());
        if !self.confidence.trusts(clock::since_boot(), today) {
            return;
        }
        match log.delete_old(keep, today) {
            Ok(()) | Err(Errno::ENOENT) => self.keep_failing = false,
            Err(errno) => {
                if !core::mem::replace(&mut self.keep_failing, true) {
                    let (directory, why) = (log.directory(), sys::describe(errno));
                    self.console
                        .say("log", format_args!("old files in {directory} cannot be deleted ({why}), they stay"));
                }
            }
        }
    }

    /// Makes the log's directory, and says at once if a report would not find its way there.
    pub(super) fn prepare_log(&mut self) {
        let Some(log) = &self.log else { return };
        if let Err(error) = log.prepare() {
            keep_counts(&mut self.log_failing, &mut self.console, log.directory(), error);
        }
    }
}

/// Says, when the log begins to fail, what becomes of the counts.
fn keep_counts(failing: &mut bool, console: &mut Console, path: &str, error: LogError) {
    if !core::mem::replace(failing, true) {
        console.say(
            "log",
            format_args!("{path} {error}, the counts are kept and go into the next report that can be written"),
        );
    }
}
