//! Going over to another configuration while the loop runs.

use core::fmt::Write;

use super::EventLoop;
use crate::base::limits;
use crate::base::path;
use crate::base::text::{Count, Text};
use crate::core::monitor::{Changes, Event};
use crate::model::directive::Directive;
use crate::model::settings::Settings;
use crate::shell::ledger_trouble::Trouble;
use crate::sys::clock;

/// What a process cannot change once it runs.
const LASTING: [Directive; 2] = [Directive::User, Directive::Sandbox];

/// Why the configuration in force stays.
enum Refusal {
    /// So many mistakes were told.
    Mistakes(usize),
    /// This process may not write in the directory that this setting names.
    OutOfReach(Directive),
    /// Counts that must be reported first would stand under wrong headings, or there is no room beside them.
    NotReported,
    /// The ledger cannot be used for it.
    Ledger(Trouble),
}

impl EventLoop {
    #[inline(never)] // LLVM would hoist its constants into the caller's loop.
    pub(super) fn reload(&mut self) {
        self.clocks.read_time_zone(&mut self.console);
        let Some(file) = self.config_file.path() else {
            return self.console.say("configuration", format_args!("there is no file to re-read, nothing changes"));
        };
        let before = *self.monitor.settings();
        match self.adopt() {
            Ok(changes) => self.say_changes(file, &before, changes),
            Err(refusal) => return self.say_refusal(file, &refusal),
        }
        self.allow_descriptors();
        self.reports.begin(None, clock::wall(), &self.monitor, &mut self.console);
        self.warm_up();
    }

    /// Reads the file and goes over to it, as a whole or not at all.
    fn adopt(&mut self) -> Result<Changes, Refusal> {
        let console = &mut self.console;
        self.config_file.load(&mut self.next, &mut |what| console.complain(what)).map_err(Refusal::Mistakes)?;
        let before = *self.monitor.settings();
        let next = &self.next.settings;
        let ledger = next.ledger_path();
        for (directive, directory) in
            [(Directive::LogDir, next.log_dir.as_str()), (Directive::Ledger, path::parent(ledger.as_str()))]
        {
            if self.reports.are_logged() && !self.confinement.covers(directory) {
                return Err(Refusal::OutOfReach(directive));
            }
        }
        if before.thresholds != next.thresholds {
            self.report_first()?;
        }
        self.reports.move_ledger(&mut self.monitor, &self.next).map_err(Refusal::Ledger)?;
        let changes = self.monitor.adopt(&self.next, clock::monotonic(), clock::wall()).ok_or(Refusal::NotReported)?;
        self.connects.change(&self.next.settings);
        self.reports.change(&before, &self.next);
        Ok(changes)
    }

    /// Reports what was counted under the thresholds in force, under their headings.
    fn report_first(&mut self) -> Result<(), Refusal> {
        self.tell(Event::ReportNow);
        while let Some(action) = self.monitor.poll_report() {
            self.carry_out(action);
        }
        if self.reports.are_failing() { Err(Refusal::NotReported) } else { Ok(()) }
    }

    fn say_refusal(&mut self, file: &str, refusal: &Refusal) {
        let console = &mut self.console;
        let stays = "the configuration in force stays";
        match refusal {
            Refusal::Mistakes(mistakes) => {
                console
                    .say("configuration", format_args!("{file} has {}, {stays}", Count(*mistakes as u64, "mistake")));
            }
            Refusal::OutOfReach(directive) => {
                let path = self.next.settings.value(*directive);
                let is_file = *directive == Directive::Ledger;
                let directory = if is_file { path::parent(path.as_str()) } else { path.as_str() };
                console
                    .say("sandbox", format_args!("{directory} cannot be written in this run, {stays}; start it anew"));
            }
            Refusal::NotReported => console
                .say("configuration", format_args!("{file} cannot be taken in until the log can be written, {stays}")),
            Refusal::Ledger(trouble) => {
                console.say("configuration", format_args!("{file} cannot be taken in, the ledger {trouble}; {stays}"));
            }
        }
    }

    fn say_changes(&mut self, file: &str, before: &Settings, changes: Changes) {
        let Changes { kept, changed, added, removed } = changes;
        let (kept, differences) = (Count(kept as u64, "target"), differences(before, &self.next.settings));
        self.console.say(
            "configuration",
            format_args!(
                "{file} re-read, {kept} kept ({changed} with other options), {added} new, {removed} gone{differences}"
            ),
        );
        for directive in LASTING {
            if before.value(directive) != self.next.settings.value(directive) {
                let name = directive.name();
                self.console.say(name, format_args!("a change of it takes a new start, this run goes on as it is"));
            }
        }
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
