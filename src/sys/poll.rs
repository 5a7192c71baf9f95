//! poll(2) over a set of descriptors that lives as long as the loop.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

#[cfg(target_pointer_width = "64")]
use super::system_call;
#[cfg(target_pointer_width = "32")]
use super::timed_call::{TIME64, timed_call};
use super::{Errno, clock, descriptor, length};
use crate::base::limits;
use crate::base::time::Nanos;

/// The event for which a descriptor is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// It has something to read.
    Read,
    /// It has room to write, or its connect has ended.
    Write,
}

/// The events that poll has reported for a descriptor. No bit is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready(i16);

impl Ready {
    /// `POLLOUT` alone: the connect was accepted, and `SO_ERROR` need not be read.
    pub fn is_connected(self) -> bool {
        self.0 == libc::POLLOUT
    }
}

/// The owner of a descriptor. An owner has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Signals.
    Signals,
    /// Changes of the wall clock.
    Clock,
    /// The helper of this number.
    Helper(u16),
    /// The attempt of the probe in this slot.
    Attempt(u16),
}

/// Owners are numbered: signals, clock, helpers, attempts.
const HELPERS: u16 = 2;
const ATTEMPTS: u16 = HELPERS + limits::HELPERS as u16;
const OWNERS: usize = ATTEMPTS as usize + limits::PROBES;

impl Owner {
    #[inline(always)] // Most owners are known at compile time.
    fn number(self) -> u16 {
        match self {
            Owner::Signals => 0,
            Owner::Clock => 1,
            Owner::Helper(helper) => HELPERS + helper,
            Owner::Attempt(slot) => ATTEMPTS + slot,
        }
    }
}

/// The poll set: one entry for each open descriptor, and its owner. An owner without a descriptor costs nothing.
#[derive(Debug)]
pub struct PollSet {
    entries: Vec<libc::pollfd>,
    /// The number of the owner of each entry.
    owners: Vec<u16>,
    /// Where the entry of each owner is, plus one; 0 where it has none. Zeroes, so that memory for owners that
    /// never had one is never touched.
    positions: Box<[u16]>,
}

impl PollSet {
    /// An empty set, with memory for a descriptor of every owner.
    #[expect(clippy::new_without_default, reason = "there is only one caller")]
    pub fn new() -> Self {
        let (entries, owners) = (Vec::with_capacity(OWNERS), Vec::with_capacity(OWNERS));
        Self { entries, owners, positions: vec![0; OWNERS].into() }
    }

    /// Adds the descriptor of an owner that has none yet.
    #[inline(always)]
    pub fn insert(&mut self, owner: Owner, fd: BorrowedFd<'_>) {
        let interest = if matches!(owner, Owner::Attempt(_)) { Interest::Write } else { Interest::Read };
        self.insert_entry(owner.number(), entry(fd.as_raw_fd(), interest));
    }

    #[inline(never)] // Called from many paths, like `remove_at`.
    fn insert_entry(&mut self, owner: u16, entry: libc::pollfd) {
        self.entries.push(entry);
        self.owners.push(owner);
        self.positions[usize::from(owner)] = self.entries.len() as u16;
    }

    /// Removes the descriptor of an owner, if there is one; the caller closes it later. The last entry moves to
    /// its position.
    #[inline(always)]
    pub fn remove(&mut self, owner: Owner) {
        if let Some(at) = self.positions[usize::from(owner.number())].checked_sub(1) {
            self.remove_at(at.into());
        }
    }

    /// Removes the descriptor at a position, in the same way.
    #[inline(never)]
    pub fn remove_at(&mut self, at: usize) {
        self.entries.swap_remove(at);
        let owner = self.owners.swap_remove(at);
        self.positions[usize::from(owner)] = 0;
        if let Some(moved) = self.owners.get(at) {
            self.positions[usize::from(*moved)] = at as u16 + 1;
        }
    }

    /// How many descriptors there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The slot of the attempt at this position and the events that the last wait reported of it; `None` if none, or
    /// if it belongs to another owner. A caller that removes entries on its way goes backwards: then the entry that
    /// moves was looked at before.
    pub fn ready_attempt(&self, at: usize) -> Option<(u16, Ready)> {
        let slot = self.owners.get(at)?.checked_sub(ATTEMPTS)?;
        let revents = self.entries[at].revents;
        (revents != 0).then_some((slot, Ready(revents)))
    }

    /// Whether the last wait reported an event of this owner.
    #[inline(never)] // Called from many paths.
    pub fn is_ready(&self, owner: Owner) -> bool {
        let at = usize::from(self.positions[usize::from(owner.number())]);
        at > 0 && self.entries[at - 1].revents != 0
    }

    /// Waits until a descriptor is ready or `limit` has passed; `None` waits for ever. The limit is not rounded:
    /// ppoll(2) counts nanoseconds. Returns how many descriptors are ready; 0 after an interruption by a signal.
    pub fn wait(&mut self, limit: Option<Nanos>) -> Result<usize, Errno> {
        match poll(&mut self.entries, limit) {
            Err(Errno::EINVAL) => self.wait_in_parts(limit),
            other => other,
        }
    }

    /// poll refuses more entries than the limit of open descriptors. If that limit is lowered below what is in use,
    /// this polls the set in parts, with short pauses.
    fn wait_in_parts(&mut self, limit: Option<Nanos>) -> Result<usize, Errno> {
        let [descriptors, _] = descriptor::descriptor_limits()?;
        let part = usize::try_from(descriptors).unwrap_or(usize::MAX).max(1);
        let mut ready = 0;
        for entries in self.entries.chunks_mut(part) {
            ready += poll(entries, Some(Nanos::ZERO))?;
        }
        if ready == 0 {
            clock::rest(limit.unwrap_or(PAUSE).min(PAUSE));
        }
        Ok(ready)
    }
}

/// The pause between two turns of a set that is polled in parts.
const PAUSE: Nanos = Nanos::from_millis(10);

/// ppoll(2). After an interruption by a signal, and after an error, no entry is ready.
fn poll(entries: &mut [libc::pollfd], limit: Option<Nanos>) -> Result<usize, Errno> {
    // A limit that is too long for a 32-bit time_t is shortened: the wait ends early, which does no harm. libc's wrapper
    // is not used: see `clock::kernel_time`.
    #[cfg(target_pointer_width = "64")]
    let ready = {
        let mut time = limit.map(clock::kernel_time);
        let time = time.as_mut().map_or(core::ptr::null_mut(), core::ptr::from_mut);
        let arguments = [entries.as_mut_ptr().expose_provenance(), entries.len(), time.expose_provenance(), 0, 0];
        // SAFETY: `entries` is valid for as many elements as are given, and `time` is null or a live value of the form
        // of the kernel's `struct timespec`. The kernel keeps neither; it leaves in `time` what is left of it. A null
        // mask leaves the signals as they are.
        unsafe { system_call(libc::SYS_ppoll, arguments) }
    };
    #[cfg(target_pointer_width = "32")]
    let ready = {
        let forms = [libc::SYS_ppoll, TIME64 + 414];
        // SAFETY: `entries` is valid for as many elements as are given, and the kernel does not keep it. A null mask
        // leaves the signals as they are.
        unsafe { timed_call(forms, entries.as_mut_ptr() as usize, entries.len(), limit.map(clock::kernel_time)) }
    };
    match length(ready as isize) {
        ready @ Ok(_) => ready,
        Err(errno) => {
            // They still hold the events of the last wait.
            for entry in entries {
                entry.revents = 0;
            }
            if errno == Errno::EINTR { Ok(0) } else { Err(errno) }
        }
    }
}

/// Waits until `fd` is ready or `limit` has passed. Returns whether it is ready. An error counts as ready: the read or
/// write that follows returns it.
pub fn is_ready(fd: BorrowedFd<'_>, interest: Interest, limit: Nanos) -> bool {
    let mut entries = [entry(fd.as_raw_fd(), interest)];
    poll(&mut entries, Some(limit)).is_ok_and(|ready| ready > 0)
}

fn entry(fd: RawFd, interest: Interest) -> libc::pollfd {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
    };
    libc::pollfd { fd, events, revents: 0 }
}

#[cfg(test)]
mod tests {
    use super::super::net;
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn an_entry_that_moves_keeps_its_owner() {
        let ((quiet, _held), (loud, other)) = (net::pair().expect("descriptors"), net::pair().expect("descriptors"));
        net::send(&other, b"x").expect("it is open");
        let mut polls = PollSet::new();
        let ready = |polls: &mut PollSet| {
            polls.wait(Some(Nanos::ZERO)).expect("poll");
            let attempts = (0..polls.len()).filter_map(|at| polls.ready_attempt(at)).map(|(slot, _)| slot);
            let helpers = (0..4).filter(|number| polls.is_ready(Owner::Helper(*number)));
            (attempts.collect::<Vec<_>>(), helpers.collect::<Vec<_>>())
        };
        polls.insert(Owner::Signals, quiet.as_fd());
        polls.insert(Owner::Helper(3), quiet.as_fd());
        polls.insert(Owner::Attempt(3), quiet.as_fd());
        polls.insert(Owner::Helper(0), loud.as_fd());
        assert_eq!(ready(&mut polls), (vec![3], vec![0]));
        polls.remove(Owner::Helper(3));
        assert_eq!(ready(&mut polls), (vec![3], vec![0]), "the last entry has moved");
        assert!(!polls.is_ready(Owner::Signals) && !polls.is_ready(Owner::Clock));
        polls.remove(Owner::Helper(3));
        polls.remove(Owner::Clock);
        assert_eq!(polls.len(), 3, "to remove an owner without a descriptor changes nothing");
        polls.remove(Owner::Helper(0));
        polls.remove(Owner::Attempt(3));
        assert_eq!((ready(&mut polls), polls.len()), ((vec![], vec![]), 1));
    }
}
