//! A simulated daily file of lines, also as a killed process leaves it. Lines are appended in the same operations as in the
//! program, each journalled in the ledger.

use std::fmt::Debug;

use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::WallTime;
use tcpmon::core::ledger::{Entry, Journal, Ledger, Progress, Usage, checksum};
use tcpmon::model::log_names::Kind;
use tcpmon::render::events::Line;
use tcpmon::sys;

use crate::driver::Driver;
use crate::kill_plan::KillPoint;
use crate::untold::{Row, Untold};
use crate::world::World;

/// A file whose lines were appended in blocks.
#[derive(Debug)]
pub struct DailyFile<T> {
    kind: Kind,
    /// The complete blocks.
    pub blocks: Vec<Vec<T>>,
    /// A partly written block at the end: its first lines.
    part: Option<Vec<T>>,
}

impl<T: Clone + Debug + PartialEq> DailyFile<T> {
    /// An empty file.
    pub fn new(kind: Kind) -> Self {
        Self { kind, blocks: Vec::new(), part: None }
    }

    /// Whether the file has the whole block of the journal, which has these lines; a part of it is cut off.
    fn has(&mut self, journal: &Journal, lines: &[T]) -> bool {
        assert_eq!(journal.file, path(self.kind));
        let whole = self.blocks.get(journal.offset as usize);
        if journal.progress == Progress::Written {
            assert_eq!(whole.map(Vec::len), Some(journal.length as usize), "lines that were journalled as written");
            return true;
        }
        if let (Progress::Writing, Some(whole)) = (journal.progress, whole) {
            assert_eq!(whole, lines, "lines in the file differ from those of the ledger");
            assert_eq!(journal.checksum, checksum(&bytes(lines)));
            return true;
        }
        if let (Some(part), Progress::Writing) = (self.part.take(), journal.progress) {
            assert_eq!(part, lines[..part.len()], "a part of the lines");
        }
        false
    }
}

impl<W: World> Driver<W> {
    /// Appends lines to a file; fails if it cannot be written. `on_written` is called once the file has them. Returns
    /// whether they were written.
    pub(crate) fn append<T: Clone + Debug + PartialEq>(
        &mut self,
        of: fn(&mut Self) -> &mut DailyFile<T>,
        stamp: WallTime,
        lines: &[T],
        covers: u32,
        on_written: impl FnOnce(&mut Self),
    ) -> bool {
        let kind = of(self).kind;
        let writable = self.world.can_write(kind);
        if self.storage.is_none() {
            if writable {
                on_written(self);
                self.ledger().mark_written(kind, covers);
            }
            return writable;
        }
        self.reach(KillPoint::BeginLines);
        let file = of(self);
        if !writable && file.part.is_some() {
            return false;
        }
        file.part = None;
        let offset = file.blocks.len() as u64;
        let bytes = bytes(lines);
        self.ledger().begin_write(kind, &path(kind), offset, &bytes, stamp, false, covers);
        self.reach(KillPoint::WriteLines);
        let part = self.random.below(lines.len() as u64) as usize;
        of(self).part = Some(lines[..part].to_vec());
        if !writable {
            self.reach(KillPoint::CutOffLines);
            if self.random.one_in(2) {
                self.ledger().tear(kind, offset, part);
            } else {
                of(self).part = None;
                self.ledger().end_write(kind);
            }
            return false;
        }
        self.reach(KillPoint::WriteLinesRest);
        of(self).part = None;
        of(self).blocks.push(lines.to_vec());
        on_written(self);
        self.reach(KillPoint::LinesWritten);
        self.ledger().set_progress(kind, Progress::Written);
        self.reach(KillPoint::MarkLines);
        self.ledger().mark_written(kind, covers);
        true
    }

    /// A new run makes the files and the ledger agree.
    pub(crate) fn recover_lines(&mut self) {
        for kind in [Kind::Times, Kind::Events] {
            let ledger = self.ledger();
            let Some(journal) = ledger.journal(kind) else { continue };
            let complete = if kind == Kind::Times {
                let rows = pending_rows(ledger);
                self.times_file.has(&journal, &rows)
            } else {
                let lines = event_lines(ledger, ledger.first_event(), journal.covers);
                self.event_file.has(&journal, &lines)
            };
            self.reach(KillPoint::RecoverLines);
            if complete {
                self.ledger().mark_written(kind, journal.covers);
            } else {
                self.ledger().end_write(kind);
            }
        }
    }
}

/// The lines of these events, each behind its number.
pub fn event_lines(ledger: &Ledger, first: u32, end: u32) -> Vec<String> {
    let entries = ledger.events_from(first).take_while(|entry| entry.number != end);
    let line = |entry: Entry| {
        let record = entry.record.map(|record| ledger.record(record));
        let target = record.and_then(|record| record.target());
        let (found, target) = (&entry.found, target.as_ref());
        let mut line = format!("{} ", entry.number);
        let written = Line { found, target, record, local: utc, describe: sys::describe_number }.write(&mut line);
        assert!(written.is_ok() && line.pop() == Some('\n') && !line.contains('\n'), "{line}");
        line
    };
    entries.map(line).collect()
}

/// The time zone of these lines.
fn utc(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: 0 }
}

/// The number of the event of this line.
pub fn number_of(line: &str) -> u32 {
    line.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

/// The rows of times that were being written.
fn pending_rows(ledger: &Ledger) -> Vec<Row> {
    let records = ledger.in_order().into_iter();
    let told = records.filter(|record| record.usage() == Usage::Live || record.has_row());
    told.map(|record| Untold::of(&record.row()).row(record.target().map_or(0, |target| target.port))).collect()
}

/// Text that stands for these lines.
fn bytes<T: Debug>(lines: &[T]) -> Vec<u8> {
    // The journal needs as many bytes as there are lines, and a checksum by which they are recognised.
    let text = format!("{lines:?}");
    let mut bytes = vec![0; lines.len()];
    if let Some(last) = bytes.last_mut() {
        *last = text.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    }
    bytes
}

fn path(kind: Kind) -> Path {
    Text::format(format_args!(
        "{}",
        match kind {
            Kind::Stats => "tcp_stats_20251009.log",
            Kind::Times => "tcp_times_20251009.log",
            Kind::Events => "tcp_events_20251009.log",
            Kind::Samples => "tcp_samples_20251009.csv",
        }
    ))
}
