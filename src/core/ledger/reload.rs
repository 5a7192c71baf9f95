//! The answer of a run to a reload, as it is kept in the ledger.

use core::fmt;

use crate::base::text::Count;

/// How a reload ended, as a code. A code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The configuration was applied.
    Applied = 0,
    /// Its file has mistakes, or cannot be read.
    Mistakes = 1,
    /// It names a directory that the run's sandbox does not let it write in.
    Sandbox = 2,
    /// Counts must be reported first, and the log cannot be written.
    NotReported = 3,
    /// The ledger cannot be moved or made longer.
    Ledger = 4,
    /// The run has no file to read again.
    NoFile = 5,
    /// A result of another version of the program.
    Unknown = 6,
}

/// A reload: its result, and how many targets are new, removed and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// How it ended.
    pub result: ReloadResult,
    /// Targets that the run did not have before.
    pub new: u32,
    /// Targets that it has no more.
    pub removed: u32,
    /// Targets that go on.
    pub kept: u32,
}

impl ReloadResult {
    const ALL: [Self; 6] =
        [Self::Applied, Self::Mistakes, Self::Sandbox, Self::NotReported, Self::Ledger, Self::NoFile];

    /// The result of this code.
    pub fn of(code: u32) -> Self {
        Self::ALL.get(code as usize).copied().unwrap_or(Self::Unknown)
    }
}

impl From<ReloadResult> for Reload {
    /// A reload that changed nothing.
    fn from(result: ReloadResult) -> Self {
        Self { result, new: 0, removed: 0, kept: 0 }
    }
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.result {
            ReloadResult::Applied => {
                let kept = Count(self.kept.into(), "target");
                return write!(f, "{} new, {} removed, {kept} kept", self.new, self.removed);
            }
            ReloadResult::Mistakes => "the run found mistakes in the file",
            ReloadResult::Sandbox => "the run may not write where the file says, restart it",
            ReloadResult::NotReported => "the log cannot be written, and counts must be reported first",
            ReloadResult::Ledger => "the ledger cannot be moved or made longer",
            ReloadResult::NoFile => "the run has no file to read again",
            ReloadResult::Unknown => "the run is of another version",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_has_its_own_code_and_unknown_codes_are_told_apart() {
        for (code, result) in (0..).zip(ReloadResult::ALL) {
            assert_eq!((result as u32, ReloadResult::of(code)), (code, result));
        }
        assert_eq!(ReloadResult::of(6), ReloadResult::Unknown);
        assert_eq!(ReloadResult::of(u32::MAX), ReloadResult::Unknown);
    }
}
