//! The simulator's own reading of the answers to lookups: when a name has other addresses, and that is worth an event.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::model::message::Addresses;
use tcpmon::model::target::Address;

/// The addresses of a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The last ones that events tell of.
    pub last: Vec<Address>,
    /// Those before, if an event tells of a change.
    pub before: Vec<Address>,
    /// Until then another change is no event.
    again: Option<Instant>,
}

const HOUR: Nanos = Nanos::from_secs(3600);

impl Answer {
    /// A lookup gave these addresses. Returns whether that is an event of its own; one that still `waits` tells of this
    /// change, too.
    pub fn note(&mut self, now: Instant, addresses: &[Address], waits: bool) -> bool {
        if addresses.is_empty() {
            return false;
        }
        let shares_one = addresses.iter().any(|address| self.last.contains(address));
        let addresses = &addresses[..addresses.len().min(limits::ADDRESSES)];
        if self.last.is_empty() || shares_one {
            self.last = addresses.to_vec();
            return false;
        }
        if self.again.is_some_and(|again| now < again) {
            return false;
        }
        self.again = Some(now + HOUR);
        let before = std::mem::replace(&mut self.last, addresses.to_vec());
        if !waits {
            self.before = before;
        }
        !waits
    }

    /// What a new run reads from the ledger.
    pub fn read((last, before): (Addresses, Addresses)) -> Self {
        Self { last: last.as_slice().to_vec(), before: before.as_slice().to_vec(), again: None }
    }
}

/// These addresses as an event has them.
pub fn of_event(addresses: &[Address]) -> Addresses {
    let mut list = Addresses::new();
    addresses.iter().for_each(|address| _ = list.push(*address));
    list
}
