//! Collects the samples and writes them, at most once a second.

use core::fmt::Write;

use super::reports::Reports;
use crate::base::limits;
use crate::base::time::{Instant, WallTime};
use crate::base::words;
use crate::core::ledger::Ledger;
use crate::core::monitor::Ended;
use crate::model::log_names::Kind;
use crate::model::target::Target;
use crate::render::samples::{HEADER, Sample, Writer};
use crate::shell::console::Console;
use crate::shell::daily_files::Lines;
use crate::sys::clock;

/// The samples that are not written yet. A kill loses them: those of a second at most.
#[derive(Debug)]
pub(super) struct Samples {
    writer: Writer,
    lines: Vec<u8>,
    /// When they are to be written; [`Instant::NEVER`] if there are none.
    due: Instant,
}

impl Samples {
    /// None yet. The memory is reserved here.
    pub fn new() -> Self {
        let (writer, lines) = (Writer::new(clock::local), Vec::with_capacity(limits::SAMPLES));
        Self { writer, lines, due: Instant::NEVER }
    }

    /// When they are to be written.
    pub fn next_deadline(&self) -> Instant {
        self.due
    }

    /// Adds one, of a tick at this time of the wall clock. Returns whether there is no room for another one.
    pub fn add(&mut self, ended: &Ended, at: WallTime, target: &Target, now: Instant) -> bool {
        let Ended { ticks, end, .. } = *ended;
        let (ending, lookup, connect) = (end.ending, end.lookup, end.connect);
        // The time of a literal's lookup is not measured.
        let lookup = lookup.filter(|_| target.literal.is_none());
        let WallTime { unix, nanos, .. } = at;
        let sample = Sample { unix, nanos, target, ending, lookup, connect, resent: end.resent, ticks };
        let mut line = [0; limits::SAMPLE];
        let length = self.writer.write(&mut line, &sample);
        self.lines.extend_from_slice(&line[..length]);
        if self.due == Instant::NEVER {
            self.due = now + limits::SAMPLES_WAIT;
        }
        self.lines.len() + limits::SAMPLE > limits::SAMPLES
    }

    /// Writes them to the file of this day. If that fails, these lines are lost, but their probes are counted. While less
    /// than a tenth of the file system is free, nothing is written: the other files need it.
    pub fn write(&mut self, reports: &mut Reports, ledger: &Ledger, console: &mut Console) {
        self.due = Instant::NEVER;
        if self.lines.is_empty() {
            return;
        }
        if reports.are_short_of_space() {
            if reports.samples_pause.begins() {
                console.say("samples", format_args!("less than a tenth of the file system is free, they pause"));
            }
        } else {
            if reports.samples_pause.is_over() {
                console.say("samples", format_args!("there is space again, they go on"));
            }
            let lines = words::utf8(&self.lines).unwrap_or_default();
            let body = &mut |out: &mut dyn Write| out.write_str(lines);
            let _ = reports.append(
                Lines { kind: Kind::Samples, stamp: clock::wall(), header: &HEADER, body, covers: 0 },
                ledger,
                console,
            );
        }
        self.lines.clear();
    }
}
