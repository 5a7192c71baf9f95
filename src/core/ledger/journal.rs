//! The report that is being written: its file, its position there and its progress.

use super::Ledger;
use super::layout::{self, CHECK, FILE, FNV, HEADED, LENGTH, OFFSET, PROGRESS, STAMP, extend_fnv};
use crate::base::limits;
use crate::base::path::Path;
use crate::base::time::WallTime;
use crate::model::log_names;

/// The progress of a report that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Progress {
    /// The file may have all of it, a part or nothing.
    Writing = 1,
    /// The file has all of it. The records do not say so yet.
    Written = 2,
    /// The file ends with a part of it, which could not be cut off. Its counts stay unreported.
    Torn = 3,
}

/// An unfinished report, as the ledger's head describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Its progress.
    pub progress: Progress,
    /// Its file.
    pub file: Path,
    /// Where it begins in the file, in bytes: the file's length before the write.
    pub offset: u64,
    /// Bytes of the report; if it is torn, of the part in the file.
    pub length: u32,
    /// Its stamp.
    pub stamp: WallTime,
    /// Whether it begins with a header.
    pub headed: bool,
    /// Checksum of its bytes.
    pub checksum: u32,
}

impl Ledger {
    /// The progress of the unfinished report, if there is one.
    pub fn progress(&self) -> Option<Progress> {
        match self.get(PROGRESS, 0) {
            1 => Some(Progress::Writing),
            2 => Some(Progress::Written),
            3 => Some(Progress::Torn),
            _ => None,
        }
    }

    /// The unfinished report, if there is one.
    pub fn journal(&self) -> Option<Journal> {
        let progress = self.progress()?;
        let mut room = [0; limits::PATH];
        let path =
            layout::text(self.head()?, FILE, &mut room).filter(|path| log_names::is_log_path_of_any_year(path))?;
        let mut file = Path::new();
        file.push(path);
        Some(Journal {
            progress,
            file,
            offset: u64::from(self.get(OFFSET, 0)) | (u64::from(self.get(OFFSET, 1)) << 32),
            length: self.get(LENGTH, 0),
            stamp: WallTime { unix: self.get(STAMP, 0).into(), nanos: 0, offset: self.get(STAMP, 1) as i32 },
            headed: self.get(HEADED, 0) != 0,
            checksum: self.get(CHECK, 0),
        })
    }

    /// Notes that a report of everything counted is about to be written to `file` at `offset` bytes.
    #[expect(clippy::too_many_arguments, reason = "each is one field of the journal")]
    pub fn begin_report(&self, file: &Path, offset: u64, report: &[u8], stamp: WallTime, headed: bool) {
        let Some(head) = self.head() else { return };
        self.end_report();
        for (_, record) in self.records() {
            record.set_pending();
        }
        layout::set_text(head, FILE, file.as_str());
        self.set(OFFSET, 0, offset as u32);
        self.set(OFFSET, 1, (offset >> 32) as u32);
        self.set(LENGTH, 0, report.len() as u32);
        self.set(STAMP, 0, stamp.unix_u32());
        self.set(STAMP, 1, stamp.offset as u32);
        self.set(HEADED, 0, headed.into());
        self.set(CHECK, 0, checksum(report));
        self.set_progress(Progress::Writing);
    }

    /// Marks the pending counts as reported: the log has the report. After a kill this can be repeated.
    pub fn mark_reported(&self) {
        self.set_progress(Progress::Written);
        for (_, record) in self.records() {
            record.mark_pending_reported();
        }
        self.end_report();
    }

    /// Notes that only `length` bytes of the report are in its file, from `offset` on, and are still to be
    /// cut off.
    pub fn tear_report(&self, offset: u64, length: usize) {
        // The progress changes last. A kill before that leaves `Writing`, and recovery searches the file.
        self.set(LENGTH, 0, length as u32);
        self.set(OFFSET, 0, offset as u32);
        self.set(OFFSET, 1, (offset >> 32) as u32);
        self.set_progress(Progress::Torn);
    }

    /// Sets the progress of the report.
    #[inline(never)]
    pub fn set_progress(&self, progress: Progress) {
        self.set(PROGRESS, 0, progress as u32);
    }

    /// Notes that no report is unfinished: it is marked as reported, or nothing of it is in the file.
    #[inline(never)]
    pub fn end_report(&self) {
        self.set(PROGRESS, 0, 0);
    }
}

/// The checksum of a report.
pub fn checksum(report: &[u8]) -> u32 {
    extend_checksum(checksum_of_nothing(), report)
}

/// The checksum of no bytes.
pub fn checksum_of_nothing() -> u32 {
    FNV
}

/// The checksum of earlier bytes, which is `sum`, followed by these bytes.
pub fn extend_checksum(sum: u32, bytes: &[u8]) -> u32 {
    extend_fnv(sum, bytes)
}
