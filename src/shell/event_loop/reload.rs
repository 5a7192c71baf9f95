//! The reload: applies another configuration during the run.

use core::fmt::{self, Write};

use super::EventLoop;
use crate::base::limits;
use crate::base::path;
use crate::base::text::{Count, Text};
use crate::core::due;
use crate::core::ledger::{Reload, ReloadResult};
use crate::core::monitor::{Changes, Fact};
use crate::model::directive::Directive;
use crate::model::event::Event;
use crate::model::settings::Settings;
use crate::shell::bounds;
use crate::sys::clock;

impl EventLoop {
    #[inline(never)] // LLVM would hoist its constants into the caller's loop.
    pub(super) fn reload(&mut self) {
        self.clocks.read_time_zone(&mut self.console);
        let before = *self.monitor.settings();
        let changes = self.adopt(&before);
        let reload = match &changes {
            Ok(Changes { kept, added, removed, .. }) => {
                let (new, removed, kept) = (*added as u32, *removed as u32, *kept as u32);
                Reload { result: ReloadResult::Applied, new, removed, kept }
            }
            Err(result) => Reload::from(*result),
        };
        if let Ok(changes) = changes {
            let Reload { new, removed, kept, .. } = reload;
            self.tell(Fact::Found(&Event::Reload { new, removed, kept }));
            self.say_changes(&before, changes);
            let say: bounds::Say<'_> = &mut |subject, what| self.console.say(subject, what);
            bounds::allow_descriptors(&self.next, say);
            bounds::say_helpers(&self.next, say);
            self.reports.begin(None, &self.monitor, &mut self.console);
            self.warm_up();
        }
        self.monitor.ledger().set_reload(reload);
    }

    /// Reads the file and applies it as a whole. After an error a message has said why the configuration in force stays.
    fn adopt(&mut self, before: &Settings) -> Result<Changes, ReloadResult> {
        let console = &mut self.console;
        let Some(file) = self.config_file.path() else {
            console.say("configuration", format_args!("there is no file to re-read, nothing changes"));
            return Err(ReloadResult::NoFile);
        };
        if let Err(mistakes) = self.config_file.load(&mut self.next, &mut |what| console.complain(what)) {
            self.refuse(format_args!("{file} has {},", Count(mistakes as u64, "mistake")));
            return Err(ReloadResult::Mistakes);
        }
        let (ledger, old_ledger) = (self.next.settings.ledger_path(), before.ledger_path());
        for (directory, before) in [
            (self.next.settings.log_dir.as_str(), before.log_dir.as_str()),
            (path::parent(ledger.as_str()), path::parent(old_ledger.as_str())),
        ] {
            if directory != before && self.reports.are_logged() && !self.confinement.covers(directory) {
                self.console.say(
                    "sandbox",
                    format_args!(
                        "{directory} cannot be written in this run, the configuration in force stays; restart the run"
                    ),
                );
                return Err(ReloadResult::Sandbox);
            }
        }
        if due::is_due_between(before.thresholds, self.next.settings.thresholds) && !self.report_first() {
            return self.refuse_unreported(file);
        }
        if let Err(trouble) = self.reports.move_ledger(&mut self.monitor, &self.next) {
            self.refuse(format_args!("{file} cannot be applied, the ledger {trouble};"));
            return Err(ReloadResult::Ledger);
        }
        let Some(changes) = self.monitor.adopt(&self.next, clock::monotonic(), clock::wall()) else {
            return self.refuse_unreported(file);
        };
        self.connects.change(&self.next.settings);
        self.reports.change(before, &self.next);
        Ok(changes)
    }

    /// Writes a report now, under the thresholds in force. Returns whether it was written.
    fn report_first(&mut self) -> bool {
        self.tell(Fact::ReportNow);
        while let Some(action) = self.monitor.poll_report() {
            self.carry_out(action);
        }
        !self.reports.are_failing()
    }

    /// Some counts must be reported first: they would come under wrong headings, or there is no room for new targets.
    fn refuse_unreported(&mut self, file: &str) -> Result<Changes, ReloadResult> {
        self.refuse(format_args!("{file} cannot be applied until the log can be written,"));
        Err(ReloadResult::NotReported)
    }

    fn refuse(&mut self, why: fmt::Arguments<'_>) {
        self.console.say("configuration", format_args!("{why} the configuration in force stays"));
    }

    fn say_changes(&mut self, before: &Settings, changes: Changes) {
        let file = self.config_file.path().unwrap_or_default();
        let Changes { kept, changed, added, removed } = changes;
        let (kept, differences) = (Count(kept as u64, "target"), differences(before, &self.next.settings));
        self.console.say(
            "configuration",
            format_args!(
                "{file} re-read, {kept} kept ({changed} with other options), {added} new, {removed} gone{differences}"
            ),
        );
        for directive in Directive::ALL.into_iter().filter(|directive| directive.is_lasting()) {
            if before.value(directive) != self.next.settings.value(directive) {
                let name = directive.name();
                self.console.say(name, format_args!("a change needs a restart, this run goes on as it is"));
            }
        }
    }
}

/// What a reload changed in the settings, as the end of a message.
fn differences(before: &Settings, after: &Settings) -> Text<{ limits::MESSAGE / 2 }> {
    let mut text = Text::new();
    for directive in Directive::ALL {
        let (was, is) = (before.value(directive), after.value(directive));
        if was != is && !directive.is_lasting() {
            // Writing to a Text never fails.
            let _ = write!(text, ", {} {was} is now {is}", directive.name());
        }
    }
    text
}
