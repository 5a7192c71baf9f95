//! Writes the rows of times and the events.

use core::fmt::Write;

use super::reports::{KindState, Reports};
use crate::base::time::WallTime;
use crate::core::ledger::{Entry, Ledger};
use crate::core::monitor::Monitor;
use crate::model::event::Event;
use crate::model::log_names::Kind;
use crate::render::events;
use crate::shell::console::Console;
use crate::shell::daily_files::Lines;
use crate::sys::{self, Errno, clock};

impl Reports {
    /// Appends the rows of times to their file. Returns whether nothing of them is left for the next rows: they are in the
    /// file, or not wanted.
    pub fn write_times(&mut self, stamp: WallTime, monitor: &mut Monitor, console: &mut Console) -> bool {
        let kind = Kind::Times;
        if !monitor.settings().times {
            monitor.begin_rows();
            return true;
        }
        // Rows whose fate is not known must stay as they are.
        if let Err(error) = self.resolve(kind, monitor.ledger()) {
            self.note_failure(kind, stamp, error, console);
            return false;
        }
        monitor.begin_rows();
        let form = self.times_form;
        let body = &mut |out: &mut dyn Write| form.write(out, false, stamp, &mut monitor.timed());
        let lines = Lines { kind, stamp, header: &form.header(), body, covers: 0 };
        self.append(lines, monitor.ledger(), console).is_ok()
    }

    /// Sends the events that wait and appends them to their file: those of a day in one write. Returns whether all of them
    /// are there, or not wanted there.
    pub fn write_events(&mut self, monitor: &Monitor, console: &mut Console) -> bool {
        let settings = monitor.settings();
        if settings.syslog {
            self.sender.send(monitor.ledger(), console);
        }
        if !settings.events {
            return true;
        }
        let ledger = monitor.ledger();
        while let Some(first) = ledger.events_from(ledger.first_event()).next() {
            let stamp = clock::local(first.found.at);
            let is_of_day = |entry: &Entry| clock::local(entry.found.at).day() == stamp.day();
            let of_day = ledger.events_from(first.number).take_while(is_of_day);
            let end = of_day.last().map_or(first.number, |entry| entry.number).wrapping_add(1);
            let numbers = (first.number, end);
            let body =
                &mut |out: &mut dyn Write| events::write(out, ledger, numbers, clock::local, sys::describe_number);
            let lines = Lines { kind: Kind::Events, stamp, header: &"", body, covers: end };
            if self.append(lines, ledger, console).is_err() {
                return false;
            }
        }
        true
    }

    /// Notes in the ledger which daily files cannot be written, for `status`.
    pub fn note_broken(&self, ledger: &Ledger) {
        for kind in Kind::ALL {
            let KindState { trouble, error, .. } = &self.kinds[kind.index()];
            let is_paused = kind == Kind::Samples && self.samples_pause.is_on();
            let is_broken = trouble.is_on() || is_paused;
            if is_broken != ledger.broken(kind).is_some() {
                let since = if is_broken { clock::wall().unix_u32() } else { 0 };
                ledger.set_broken(kind, since, if is_paused { Errno::ENOSPC.number() } else { error.1 });
            }
        }
    }

    /// The next daily file that could be written and cannot be any more, or the other way round, as an event.
    pub fn changed_file(&mut self) -> Option<Event> {
        for kind in Kind::ALL {
            let file = &mut self.kinds[kind.index()];
            let is_on = file.trouble.is_on();
            if core::mem::replace(&mut file.told, is_on) != is_on {
                let (day, errno) = file.error;
                return Some(Event::Log { file: kind, day, errno: if is_on { errno } else { 0 } });
            }
        }
        None
    }
}
