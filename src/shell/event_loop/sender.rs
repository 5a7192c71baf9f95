//! Sends events to the system log, and shows changes of states on the console.

use core::fmt;

use crate::base::limits;
use crate::base::said::Said;
use crate::base::text::{Count, Text};
use crate::core::ledger::{Entry, Ledger, Record};
use crate::model::event::{Event, Found};
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
            let text = Text::<{ limits::MESSAGE }>::format(format_args!("{}", Message(&entry, ledger)));
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

/// What the console has shown: the number behind the last event, and how many were dropped.
pub(super) type Shown = (u32, u32);

/// Shows the changes of states that were not shown yet, each in a line of its own as in the file of events, and that events
/// were dropped: changes may be among them.
pub(super) fn show_states(ledger: &Ledger, (first, before): Shown, console: &mut Console) -> Shown {
    let (end, dropped) = (ledger.end_of_events(), ledger.dropped_events());
    let event = Event::Dropped { events: dropped.saturating_sub(before) };
    let loss = Entry { number: end, record: None, found: Found { at: clock::wall().unix, event } };
    let changes = ledger.events_from(first).filter(|entry| entry.found.event.is_of_state());
    for entry in changes.chain((dropped > before).then_some(loss)) {
        let at = clock::local(entry.found.at).as_moment();
        console.line(format_args!("{at} | {}", Message(&entry, ledger)));
    }
    (end, dropped)
}

/// The line of an event without its time.
struct Message<'a>(&'a Entry, &'a Ledger);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Entry { found, record, .. }, ledger) = *self;
        let record = record.map(|record| ledger.record(record));
        let target = record.and_then(Record::target);
        let (local, describe) = (clock::local, sys::describe_number);
        Line { found, target: target.as_ref(), record, local, describe }.write_message(f)
    }
}
