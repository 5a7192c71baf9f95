//! The writes to the daily files that are not finished: for each kind its file, its position there and its progress.

use super::Ledger;
use super::layout::{
    self, BROKEN, CHECK, COVERS, FILE, FNV, Field, HEADED, LENGTH, OFFSET, PROGRESS, STAMP, extend_fnv, of_journal,
};
use crate::base::limits;
use crate::base::path::Path;
use crate::base::time::WallTime;
use crate::model::log_names::Kind;

/// The progress of a write that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Progress {
    /// The file may have all of it, a part or nothing.
    Writing = 1,
    /// The file has all of it. What its lines cover is not marked as written yet.
    Written = 2,
    /// The file ends with a part of it, which could not be cut off. What its lines say is still to be written.
    Torn = 3,
}

/// An unfinished write to a daily file, as the ledger's head describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Its progress.
    pub progress: Progress,
    /// Its file.
    pub file: Path,
    /// Where it begins in the file, in bytes: the file's length before the write.
    pub offset: u64,
    /// Its bytes; if it is torn, those of the part in the file.
    pub length: u32,
    /// The stamp by which its file was chosen. Rows have it, too.
    pub stamp: WallTime,
    /// Whether it begins with a header.
    pub headed: bool,
    /// Checksum of its bytes; 0 for samples.
    pub checksum: u32,
    /// What its lines cover, see [`Ledger::take_events`].
    pub covers: u32,
}

impl Ledger {
    /// The progress of the unfinished write of this kind, if there is one.
    pub fn progress(&self, kind: Kind) -> Option<Progress> {
        match self.journal_word(kind, PROGRESS, 0) {
            1 => Some(Progress::Writing),
            2 => Some(Progress::Written),
            3 => Some(Progress::Torn),
            _ => None,
        }
    }

    /// The unfinished write of this kind, if there is one.
    pub fn journal(&self, kind: Kind) -> Option<Journal> {
        let progress = self.progress(kind)?;
        let mut room = [0; limits::PATH];
        let path = layout::text(self.head()?, of_journal(kind, FILE), &mut room)?;
        if !kind.has_path_of_any_year(path) {
            return None;
        }
        let mut file = Path::new();
        file.push(path);
        let word = |field, i| self.journal_word(kind, field, i);
        Some(Journal {
            progress,
            file,
            offset: u64::from(word(OFFSET, 0)) | (u64::from(word(OFFSET, 1)) << 32),
            length: word(LENGTH, 0),
            stamp: WallTime { unix: word(STAMP, 0).into(), nanos: 0, offset: word(STAMP, 1) as i32 },
            headed: word(HEADED, 0) != 0,
            checksum: word(CHECK, 0),
            covers: word(COVERS, 0),
        })
    }

    /// Notes that these bytes are about to be written to `file` at `offset` bytes. A report is of everything counted.
    #[expect(clippy::too_many_arguments, reason = "each is one field of the journal")]
    pub fn begin_write(
        &self,
        kind: Kind,
        file: &Path,
        offset: u64,
        bytes: &[u8],
        stamp: WallTime,
        headed: bool,
        covers: u32,
    ) {
        let Some(head) = self.head() else { return };
        self.end_write(kind);
        let checksum = match kind {
            Kind::Stats => {
                for (_, record) in self.records() {
                    record.set_pending();
                }
                checksum(bytes)
            }
            Kind::Times | Kind::Events => checksum(bytes),
            // Their lines are known by their ends alone, see `shell::recovery`, and there may be thousands a second.
            Kind::Samples => 0,
        };
        layout::set_text(head, of_journal(kind, FILE), file.as_str());
        self.set_position(kind, offset, bytes.len());
        self.set_journal_word(kind, STAMP, 0, stamp.unix_u32());
        self.set_journal_word(kind, STAMP, 1, stamp.offset as u32);
        self.set_journal_word(kind, HEADED, 0, headed.into());
        self.set_journal_word(kind, CHECK, 0, checksum);
        self.set_journal_word(kind, COVERS, 0, covers);
        self.set_progress(kind, Progress::Writing);
    }

    /// Marks what the unfinished write of this kind covers as written: its file has all of it. Then there is no
    /// unfinished write. After a kill this can be repeated.
    pub fn mark_written(&self, kind: Kind, covers: u32) {
        self.set_progress(kind, Progress::Written);
        match kind {
            Kind::Stats => {
                for (_, record) in self.records() {
                    record.mark_pending_reported();
                }
            }
            Kind::Times => self.mark_times_written(),
            Kind::Events => self.take_events(covers),
            // They are not kept anywhere.
            Kind::Samples => {}
        }
        self.end_write(kind);
    }

    /// Marks the pending counts as reported: the log has the report. After a kill this can be repeated.
    pub fn mark_reported(&self) {
        self.mark_written(Kind::Stats, 0);
    }

    /// Notes that no report is unfinished: it is marked as reported, or nothing of it is in the log.
    pub fn end_report(&self) {
        self.end_write(Kind::Stats);
    }

    /// Notes that the file of times has the rows that were being written. After a kill this can be repeated.
    pub fn mark_times_written(&self) {
        for (_, record) in self.records() {
            record.end_row();
        }
    }

    /// Notes that only `length` bytes of the write are in its file, from `offset` on, and are still to be cut off.
    pub fn tear(&self, kind: Kind, offset: u64, length: usize) {
        // The progress changes last. A kill before that leaves `Writing`, and recovery searches the file.
        self.set_position(kind, offset, length);
        self.set_progress(kind, Progress::Torn);
    }

    /// Sets the progress of the write.
    #[inline(never)]
    pub fn set_progress(&self, kind: Kind, progress: Progress) {
        self.set_journal_word(kind, PROGRESS, 0, progress as u32);
    }

    /// Notes that no write of this kind is unfinished: it is marked as written, or nothing of it is in the file.
    #[inline(never)]
    pub fn end_write(&self, kind: Kind) {
        self.set_journal_word(kind, PROGRESS, 0, 0);
    }

    /// The path of the file of this kind that was written last, read into `room`; empty if there was none.
    pub fn last_file<'a>(&self, kind: Kind, room: &'a mut [u8; limits::PATH]) -> &'a str {
        self.head().and_then(|head| layout::text(head, of_journal(kind, FILE), room)).unwrap_or_default()
    }

    /// Since when the files of this kind cannot be written, in seconds since 1970, and the error (errno(3)), 0 if that is
    /// not known; `None`: they can be written.
    pub fn broken(&self, kind: Kind) -> Option<(i64, i32)> {
        let word = |i| self.journal_word(kind, BROKEN, i);
        (word(0) > 0).then(|| (word(0).into(), word(1) as i32))
    }

    /// See [`Ledger::broken`].
    pub fn set_broken(&self, kind: Kind, since: u32, errno: i32) {
        self.set_journal_word(kind, BROKEN, 1, errno as u32);
        self.set_journal_word(kind, BROKEN, 0, since);
    }

    /// Whether the journal of this kind is one that this program can have written.
    pub(super) fn has_valid_journal(&self, kind: Kind) -> bool {
        self.journal_word(kind, PROGRESS, 0) == 0 || self.journal(kind).is_some()
    }

    fn set_position(&self, kind: Kind, offset: u64, length: usize) {
        self.set_journal_word(kind, LENGTH, 0, length as u32);
        self.set_journal_word(kind, OFFSET, 0, offset as u32);
        self.set_journal_word(kind, OFFSET, 1, (offset >> 32) as u32);
    }

    #[inline(never)]
    fn journal_word(&self, kind: Kind, field: Field, i: usize) -> u32 {
        self.get(of_journal(kind, field), i)
    }

    #[inline(never)]
    fn set_journal_word(&self, kind: Kind, field: Field, i: usize, value: u32) {
        self.set(of_journal(kind, field), i, value);
    }
}

/// The checksum of a write.
pub fn checksum(bytes: &[u8]) -> u32 {
    extend_checksum(checksum_of_nothing(), bytes)
}

/// The checksum of no bytes.
pub fn checksum_of_nothing() -> u32 {
    FNV
}

/// The checksum of earlier bytes, which is `sum`, followed by these bytes.
pub fn extend_checksum(sum: u32, bytes: &[u8]) -> u32 {
    extend_fnv(sum, bytes)
}
