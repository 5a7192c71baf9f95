//! The times of a run that has ended by itself, in milliseconds.

use super::cells::{self, Column, Kind, WHOLE, WORDS, put};
use crate::core::monitor::Monitor;

const HEADINGS: &str = "Service\tTarget\tPhase\tMin ms\tp50 ms\tp95 ms\tMax ms\t";

/// Writes the table: a row for each phase of a target that has times; nothing if there is none.
pub fn write(out: &mut String, monitor: &Monitor) {
    let mut cells = String::from(HEADINGS);
    for (target, times) in monitor.times() {
        for (phase, times) in ["DNS", "Connect"].iter().zip(times) {
            let Some(figures) = times.figures() else { continue };
            cells::write_target(&mut cells, target);
            put(&mut cells, format_args!("{phase}\t"));
            for time in figures {
                put(&mut cells, format_args!("{}\t", time.as_millis()));
            }
        }
    }
    if cells.len() == HEADINGS.len() {
        return;
    }
    const TIME: Column = Column(8, Kind::Number);
    out.push_str("\nTimes of this run, of what did not fail:\n");
    cells::write(out, &[WORDS, WORDS, WORDS, TIME, TIME, TIME, TIME], &cells, WHOLE);
}
