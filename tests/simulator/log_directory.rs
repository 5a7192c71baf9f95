//! The simulated directory of the log: which files are there, and that a wrong clock costs one file for each
//! wrong day, never more.

use std::collections::BTreeSet;
use std::convert::Infallible;

use tcpmon::model::keep::Keep;

/// The files by their day, in days since 1970.
#[derive(Debug)]
pub struct LogDirectory {
    keep: Keep,
    /// How many files are kept.
    count: usize,
    files: BTreeSet<i64>,
    /// The days whose files were begun while it was that day.
    right: BTreeSet<i64>,
    /// Other days whose files were begun, by a wrong clock or late.
    wrong: BTreeSet<i64>,
    /// Files that were begun by a wrong clock or late.
    pub begun_wrong: u64,
    /// Files that were deleted.
    pub deleted: u64,
}

impl LogDirectory {
    /// A directory that keeps so many files, with those of more days than that before `day`.
    pub fn new(count: usize, day: i64) -> Self {
        let keep = Keep::parse(&format!("{count}d")).expect("a valid count");
        let files: BTreeSet<i64> = (day - count as i64 - 3..day).collect();
        Self { keep, count, right: files.clone(), files, wrong: BTreeSet::new(), begun_wrong: 0, deleted: 0 }
    }

    /// A report is written under a stamp of `day`, when it is `true_day`.
    pub fn append(&mut self, day: i64, true_day: i64) {
        if !self.files.insert(day) {
            return;
        }
        if day == true_day && self.right.last().is_none_or(|last| *last < day) {
            self.right.insert(day);
        } else {
            self.wrong.insert(day);
            self.begun_wrong += 1;
        }
        let others: Vec<i64> = self.files.iter().copied().filter(|file| *file != day).collect();
        let mut count = |first| Ok::<_, Infallible>(others.iter().filter(|file| **file >= first).count() as u64);
        let first = self.keep.first_kept(&mut count).expect("it cannot fail");
        let before = self.files.len();
        self.files.retain(|file| *file == day || first.is_none_or(|first| *file >= first));
        self.deleted += (before - self.files.len()) as u64;
        self.check(day);
    }

    /// Checks after the file of `day` was begun.
    fn check(&self, day: i64) {
        assert!(self.files.contains(&day), "the file just begun was deleted: {self:?}");
        assert!(self.files.len() <= self.count, "too many files are kept: {self:?}");
        let rest = self.count.saturating_sub(self.wrong.len());
        let newest: Vec<i64> = self.right.iter().rev().take(rest).copied().collect();
        assert!(newest.iter().all(|day| self.files.contains(day)), "of {newest:?} not all are there: {self:?}");
    }
}
