//! Record locks (fcntl(2), "Advisory record locking"): the kernel tells which process holds one. A run holds one byte as
//! long as it lives, so nobody needs to believe what a file says about a pid.
//!
//! A process loses its record locks on a file when it closes any descriptor of that file, and a forked child has none.

use std::os::fd::{AsRawFd, OwnedFd};

use super::by_path::open;
use super::{Errno, done};

/// The process that holds a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// There is none.
    Nobody,
    /// The process with this pid.
    Process(u32),
    /// One that has no pid here: it is in another pid namespace.
    Hidden,
}

/// The root directory, which has a byte for each name that is locked: every process can open it.
pub fn root() -> Option<OwnedFd> {
    open("/", libc::O_RDONLY | libc::O_DIRECTORY, 0).ok()
}

fn lock(kind: libc::c_int, at: u32) -> libc::flock {
    // SAFETY: `flock` is plain data for which zeroes are a valid value.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = (at & i32::MAX as u32) as _;
    lock.l_len = 1;
    lock
}

/// This process holds the byte from now on. Others may hold it, too.
pub fn hold(file: &OwnedFd, at: u32) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed and so is open, and the lock is live.
    done(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock(libc::F_RDLCK as _, at)) })
}

/// Which other process holds the byte.
pub fn holder(file: &OwnedFd, at: u32) -> Holder {
    let mut lock = lock(libc::F_WRLCK as _, at);
    // SAFETY: the descriptor is borrowed and so is open, and the lock is live.
    let asked = done(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) });
    if asked.is_err() || lock.l_type == libc::F_UNLCK as libc::c_short {
        return Holder::Nobody;
    }
    u32::try_from(lock.l_pid).ok().filter(|pid| *pid > 0).map_or(Holder::Hidden, Holder::Process)
}
