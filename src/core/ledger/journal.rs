//! The report that is being written: where it goes, and how far it has come.

use super::layout::{self, CHECK, FILE, FNV, HEADED, LENGTH, OFFSET, PROGRESS, STAMP, fnv_on};
use super::{Ledger, is_log, seconds};
use crate::base::limits;
use crate::base::path::Path;
use crate::base::time::WallTime;

/// How far a report has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Progress {
    /// It may be in the file as a whole, in part or not at all.
    Writing = 1,
    /// The file has all of it, and the counters do not know yet.
    Written = 2,
    /// The file has a part of it that could not be cut off. The counters go on: they do not count
    /// it as reported.
    Torn = 3,
}

/// A report, and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal {
    /// How far it has come.
    pub progress: Progress,
    /// Its file.
    pub file: Path,
    /// The file's length before.
    pub offset: u64,
    /// Bytes of the report; of a torn one, those that are there.
    pub length: u32,
    /// Its stamp.
    pub stamp: WallTime,
    /// It begins with a header.
    pub headed: bool,
    /// Checksum of its bytes.
    pub check: u32,
}

impl Ledger {
    /// How far the report has come that has not come to its end, if there is one.
    pub fn progress(&self) -> Option<Progress> {
        match self.get(PROGRESS, 0) {
            1 => Some(Progress::Writing),
            2 => Some(Progress::Written),
            3 => Some(Progress::Torn),
            _ => None,
        }
    }

    /// The report that has not come to its end, if there is one.
    pub fn journal(&self) -> Option<Journal> {
        let progress = self.progress()?;
        let mut room = [0; limits::PATH];
        let path = layout::text(self.head()?, FILE, &mut room).filter(|path| is_log(path))?;
        let mut file = Path::new();
        file.push(path);
        Some(Journal {
            progress,
            file,
            offset: u64::from(self.get(OFFSET, 0)) | (u64::from(self.get(OFFSET, 1)) << 32),
            length: self.get(LENGTH, 0),
            stamp: WallTime { unix: self.get(STAMP, 0).into(), nanos: 0, offset: self.get(STAMP, 1) as i32 },
            headed: self.get(HEADED, 0) != 0,
            check: self.get(CHECK, 0),
        })
    }

    /// A report of all that is counted is about to be written.
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
        self.set(STAMP, 0, seconds(stamp));
        self.set(STAMP, 1, stamp.offset as u32);
        self.set(HEADED, 0, headed.into());
        self.set(CHECK, 0, check(report));
        self.set_progress(Progress::Writing);
    }

    /// The log has the report: the counters know of it, however often this is begun anew.
    pub fn mark_reported(&self) {
        self.set_progress(Progress::Written);
        for (_, record) in self.records() {
            record.mark_pending();
        }
        self.end_report();
    }

    /// Only so many bytes of the report are in its file, from this offset on.
    pub fn tear_report(&self, offset: u64, length: usize) {
        // Until then it is one that is being written: a kill leaves no part without its note.
        self.set(LENGTH, 0, length as u32);
        self.set(OFFSET, 0, offset as u32);
        self.set(OFFSET, 1, (offset >> 32) as u32);
        self.set_progress(Progress::Torn);
    }

    /// The report has come so far.
    #[inline(never)]
    pub fn set_progress(&self, progress: Progress) {
        self.set(PROGRESS, 0, progress as u32);
    }

    /// The report has come to its end: the counters know of it, or nothing of it is in the file.
    #[inline(never)]
    pub fn end_report(&self) {
        self.set(PROGRESS, 0, 0);
    }
}

/// The checksum of a report.
pub fn check(report: &[u8]) -> u32 {
    check_on(check_of_nothing(), report)
}

/// The checksum of nothing yet.
pub fn check_of_nothing() -> u32 {
    FNV
}

/// The checksum of what had this one, and then of these bytes.
pub fn check_on(check: u32, bytes: &[u8]) -> u32 {
    fnv_on(check, bytes)
}
