//! The table of `tcpmon once`: how the single probe of each target ended.

use core::fmt::{self, Write};

use super::cells::{self, Column, WORDS};
use super::{Millis, Shown};
use crate::core::monitor::TargetEntry;
use crate::core::probe::End;

/// Writes the table.
pub fn write<'a>(out: &mut dyn Write, entries: impl Iterator<Item = &'a TargetEntry>) -> fmt::Result {
    let mut cells = String::from("Service\tTarget\tDNS ms\tConnect ms\tResult\t");
    for entry in entries {
        write!(cells, "{}\t{}\t", entry.target.service, entry.target.endpoint())?;
        match &entry.last {
            Some(End { ending, lookup, connect, gave_up, .. }) => {
                let shown = Shown(ending, &entry.target);
                write!(cells, "{}\t{}\t{shown}", Millis(lookup, "-"), Millis(connect, "-"))?;
                let silent = if *gave_up { entry.given_up.as_slice() } else { &[] };
                let mut before = "; silent: ";
                for address in silent {
                    write!(cells, "{before}{address}")?;
                    before = ", ";
                }
                cells.write_char('\t')?;
            }
            None => cells.write_str("-\t-\tnot checked\t")?,
        }
    }
    const COLUMNS: [Column; 5] = [WORDS, WORDS, Column(9, true), Column(10, true), WORDS];
    cells::write(out, &COLUMNS, &cells)
}
