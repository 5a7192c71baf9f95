//! Sends events to the system log.

use core::fmt;

use crate::base::limits;
use crate::base::said::Said;
use crate::base::text::{Count, Text};
use crate::core::ledger::{Ledger, Record};
use crate::render::events::Line;
use crate::shell::console::Console;
use crate::sys::system_log::{Severity, SystemLog};
use crate::sys::{self, clock};

/// The connection over which events go to the system log.
#[derive(Debug, Default)]
pub(super) struct Sender {
    system_log: SystemLog,
    /// Events are not accepted.
    trouble: Said,
    /// How many were not, since the trouble began.
    lost: u64,
}

impl Sender {
    /// Sends the events that were not sent yet. One that is not accepted is lost, and counted.
    pub fn send(&mut self, ledger: &Ledger, console: &mut Console) {
        for entry in ledger.events_from(ledger.sent_events()) {
            let (found, record) = (&entry.found, entry.record.map(|record| ledger.record(record)));
            let target = record.and_then(Record::target);
            let (local, describe) = (clock::local, sys::describe_number);
            let line = Line { found, target: target.as_ref(), record, local, describe };
            let text = Text::<{ limits::MESSAGE }>::format(format_args!("{}", Message(&line)));
            let severity = if entry.found.event.is_warning() { Severity::Warning } else { Severity::Notice };
            if self.system_log.send(severity, text.as_str()) {
                if self.trouble.is_over() {
                    let lost = Count(core::mem::take(&mut self.lost), "event");
                    console.say("syslog", format_args!("takes events again, {lost} did not get there"));
                }
            } else {
                self.lost += 1;
                ledger.lose_event();
                if self.trouble.begins() {
                    console.say("syslog", format_args!("takes no events, they are counted until it does"));
                }
            }
            ledger.set_sent_events(entry.number.wrapping_add(1));
        }
    }
}

/// A line as the system log gets it.
struct Message<'a>(&'a Line<'a>);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_message(f)
    }
}
