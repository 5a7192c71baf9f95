//! poll(2) over a set of descriptors that lives as long as the loop.

use core::ffi::c_long;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::{Errno, clock, descriptor, length};
use crate::base::time::Nanos;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Read,
    /// Room to write, or a connect that has ended.
    Write,
}

/// What poll says of a descriptor. The bits are never masked: what came, came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready(i16);

impl Ready {
    /// Whether anything is said at all.
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// `POLLOUT` alone: a connect that was accepted, and no error to be asked for.
    pub fn is_connected(self) -> bool {
        self.0 == libc::POLLOUT
    }
}

/// The poll set: a fixed number of places at the front, and behind them a compact list that
/// grows and shrinks within the memory reserved at the start.
#[derive(Debug)]
pub struct PollSet {
    entries: Vec<libc::pollfd>,
}

/// A place that poll passes over (poll(2): "a negative value … is ignored").
const NOBODY: RawFd = -1;

impl PollSet {
    /// A set with `fixed` empty places and memory for `more` behind them.
    pub fn new(fixed: usize, more: usize) -> Self {
        let mut entries = Vec::with_capacity(fixed + more);
        entries.resize(fixed, entry(NOBODY, Interest::Read));
        Self { entries }
    }

    /// Puts a descriptor, or nobody, into a fixed place. The caller takes it out before it closes.
    pub fn place(&mut self, index: usize, fd: Option<BorrowedFd<'_>>) {
        self.entries[index] = entry(fd.map_or(NOBODY, |fd| fd.as_raw_fd()), Interest::Read);
    }

    /// Appends a descriptor; its index is [`PollSet::len`] before.
    pub fn push(&mut self, fd: BorrowedFd<'_>, interest: Interest) {
        self.entries.push(entry(fd.as_raw_fd(), interest));
    }

    /// Takes the entry out; the last one moves to its place.
    pub fn swap_remove(&mut self, index: usize) {
        self.entries.swap_remove(index);
    }

    /// How many places there are, empty ones too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no place at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the last wait said of this place.
    pub fn ready(&self, index: usize) -> Ready {
        Ready(self.entries[index].revents)
    }

    /// Waits until something is ready or `limit` has passed; `None` waits for ever. The limit is
    /// kept to the nanosecond (ppoll(2)), so there is nothing to round. Returns how many are
    /// ready; after a signal's interruption that is none.
    pub fn wait(&mut self, limit: Option<Nanos>) -> Result<usize, Errno> {
        match poll(&mut self.entries, limit) {
            Err(Errno::EINVAL) => self.wait_in_parts(limit),
            other => other,
        }
    }

    /// poll refuses more entries than descriptors may be open. Where somebody lowers that limit
    /// below what is in use, the set is asked in parts, with short pauses.
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

/// How long a set that is asked in parts rests between two turns.
const PAUSE: Nanos = Nanos::from_millis(10);

/// ppoll(2). An interruption by a signal is nothing ready, and so is every entry after an error.
fn poll(entries: &mut [libc::pollfd], limit: Option<Nanos>) -> Result<usize, Errno> {
    // A longer wait than a 32-bit time_t holds is woken from early, which harms nobody.
    let mut time = limit.map(clock::kernel_time);
    let (time, none) = (time.as_mut().map_or(core::ptr::null_mut(), core::ptr::from_mut), core::ptr::null::<c_long>());
    // SAFETY: `entries` is valid for as many elements as are given, and `time` is null or a live value of
    // the form of the kernel's first `struct timespec`; the kernel keeps neither, and leaves in `time`
    // what is left of it. A null mask leaves the signals as they are. The C library's own has a second call for times that are longer.
    let ready = unsafe { libc::syscall(libc::SYS_ppoll, entries.as_mut_ptr(), entries.len(), time, none, 0) };
    match length(ready as isize) {
        ready @ Ok(_) => ready,
        Err(errno) => {
            // The answers of the turn before still stand there.
            for entry in entries {
                entry.revents = 0;
            }
            if errno == Errno::EINTR { Ok(0) } else { Err(errno) }
        }
    }
}

/// Waits until `fd` is ready or `limit` has passed. Returns whether it is: an error on it is
/// ready too, and comes with the read or write.
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
