//! Going over to another configuration while the loop runs.

use core::fmt::Write;

use super::{EventLoop, form};
use crate::base::limits;
use crate::base::path;
use crate::base::text::{Count, Text};
use crate::base::time::Instant;
use crate::core::monitor::Event;
use crate::model::directive::Directive;
use crate::model::settings::Settings;
use crate::shell::ledger_trouble::Trouble;
use crate::sys::clock;

/// What a process cannot take back.
const LASTING: [Directive; 2] = [Directive::User, Directive::Sandbox];

impl EventLoop {
    // Apart: in the loop over the signals all its constants would be made ready for each.
    #[inline(never)]
    pub(super) fn reload(&mut self) {
        self.read_time_zone();
        let Some(path) = self.config_file.path() else {
            return self.console.say("configuration", format_args!("there is no file to re-read, nothing changes"));
        };
        let console = &mut self.console;
        if let Err(mistakes) = self.config_file.load(&mut self.next, &mut |what| console.complain(what)) {
            return self.console.say(
                "configuration",
                format_args!("{path} has {}, the configuration in force stays", Count(mistakes as u64, "mistake")),
            );
        }
        let before = *self.monitor.settings();
        let after = &self.next.settings;
        let ledger = after.ledger_path();
        for directory in [after.log_dir.as_str(), path::parent(ledger.as_str())] {
            if self.log.is_some() && !self.confinement.covers(directory) {
                return self.console.say(
                    "sandbox",
                    format_args!(
                        "{directory} cannot be written in this run, the configuration in force stays; start it anew"
                    ),
                );
            }
        }
        if before.thresholds != self.next.settings.thresholds {
            // What was counted under the thresholds in force is reported under their headings. At
            // the clock's zero nothing is due but what is asked for.
            self.tell(Event::ReportNow);
            while let Some(action) = self.monitor.poll(Instant::from_nanos(0)) {
                self.carry_out(action);
            }
            if self.log_failing {
                return self.refuse_reload(path);
            }
        }
        if let Err(trouble) = self.prepare_ledger() {
            return self.console.say(
                "configuration",
                format_args!("{path} cannot be taken in, the ledger {trouble}; the configuration in force stays"),
            );
        }
        let Some(changes) = self.monitor.adopt(&self.next, clock::monotonic(), clock::wall()) else {
            return self.refuse_reload(path);
        };
        let same_directory = before.log_dir == self.next.settings.log_dir;
        if let Some(log) = &mut self.log {
            // Trouble with another directory is another trouble.
            self.log_failing &= same_directory;
            log.change(self.next.settings.log_dir, form(&self.next));
            if let Some(file) = &self.ledger_file {
                log.lies_beside(file.path());
            }
        }
        self.console.say(
            "configuration",
            format_args!(
                "{path} re-read, {} kept ({} with other options), {} new, {} gone{}",
                Count(changes.kept as u64, "target"),
                changes.changed,
                changes.added,
                changes.removed,
                differences(&before, &self.next.settings)
            ),
        );
        for directive in LASTING {
            if before.value(directive) != self.next.settings.value(directive) {
                let name = directive.name();
                self.console.say(name, format_args!("a change of it takes a new start, this run goes on as it is"));
            }
        }
        self.allow_descriptors();
        self.prepare_log();
        self.keep_failing &= same_directory;
        if !same_directory || before.keep != self.next.settings.keep {
            self.swept = None;
        }
        self.delete_old(clock::wall());
        self.warm_up();
    }

    /// Makes room in the ledger for the next configuration's targets, and brings it where that
    /// wants it.
    fn prepare_ledger(&mut self) -> Result<(), Trouble> {
        let Some(file) = &mut self.ledger_file else { return Ok(()) };
        let (_, needed) = self.monitor.plan(&self.next);
        if needed > limits::RECORDS {
            // There is no room, and the monitor will say so.
            return Ok(());
        }
        file.grow(self.monitor.ledger_mut(), needed)?;
        file.move_to(self.next.settings.ledger_path(), self.monitor.ledger())
    }

    /// Counts that the log must have first would stand under wrong headings, or there is no room
    /// beside them.
    fn refuse_reload(&mut self, path: &str) {
        self.console.say(
            "configuration",
            format_args!("{path} cannot be taken in until the log can be written, the configuration in force stays"),
        );
    }
}

/// What a reload changed in the settings, as the end of a message.
fn differences(before: &Settings, after: &Settings) -> Text<{ limits::MESSAGE / 2 }> {
    let mut text = Text::new();
    for directive in Directive::ALL {
        let (was, is) = (before.value(directive), after.value(directive));
        if was != is && !LASTING.contains(&directive) {
            // Writing to a Text never fails.
            let _ = write!(text, ", {} {was} is now {is}", directive.name());
        }
    }
    text
}
