//! How attempts have ended, for `tcpmon once`, which shows each of them. A run that goes on keeps none.

use crate::base::limits;
use crate::base::time::Nanos;
use crate::core::verdict::{Details, Verdict};
use crate::model::reason::Ending;
use crate::model::target::Address;

/// How an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// The address that was tried.
    pub address: Address,
    /// What came of it. An address that was given up has timed out.
    pub verdict: Verdict,
    /// How long it lasted.
    pub time: Nanos,
    /// What else is known of it.
    pub details: Details,
}

impl AttemptEnd {
    /// The same as the end of a probe that made no other attempt.
    pub fn ending(&self) -> Ending {
        match self.verdict {
            Verdict::Connected => Ending::Connected(self.address),
            Verdict::ConnectFailed(reason) => Ending::ConnectFailed(reason, self.address),
            Verdict::FellShort(shortage) => Ending::Skipped(shortage),
        }
    }
}

/// The attempts that are kept, each with the entry of its target, within the memory reserved for them.
#[derive(Debug, Default)]
pub(super) struct Attempts(Vec<(u16, AttemptEnd)>);

impl Attempts {
    /// Reserves memory for all attempts of so many probes.
    pub fn reserve(&mut self, probes: usize) {
        self.0.reserve_exact(probes * limits::ADDRESSES);
    }

    /// Whether any are kept.
    pub fn are_kept(&self) -> bool {
        self.0.capacity() > 0
    }

    /// Keeps one, if there is room.
    pub fn push(&mut self, target: u16, end: AttemptEnd) {
        if self.0.len() < self.0.capacity() {
            self.0.push((target, end));
        }
    }

    /// All of them, in the order of their ends.
    pub fn iter(&self) -> impl Iterator<Item = &(u16, AttemptEnd)> {
        self.0.iter()
    }
}
