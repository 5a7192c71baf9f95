//! Descriptors, whatever they lead to: reading, writing, duplicating, closing, and the limit on their number.

use core::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::by_path::status_of;
use super::{Errno, done, length};

/// Reads on from the last place; gives how much it was, 0 at the end.
pub(super) fn read(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: `buffer` is live and its size is given.
    length(unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes once; gives how much was taken.
pub fn write(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        // SAFETY: `bytes` is live and its size is given.
        match length(unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Whether there is a descriptor of this number.
pub fn is_open(number: RawFd) -> bool {
    !matches!(status_of(number), Err(Errno::EBADF))
}

/// Gives a file this descriptor, too (dup2(2)). An owner of that number may not be used any more.
pub(super) fn duplicate(file: &OwnedFd, number: c_int) -> Result<(), Errno> {
    // SAFETY: a call with numbers.
    done(unsafe { libc::dup2(file.as_raw_fd(), number) })
}

/// Closes every descriptor from `first` on. Owners of them may not be used any more.
pub(super) fn close_from(first: libc::c_uint) {
    // SAFETY: close_range(2) with numbers; the libc crate has no wrapper for musl.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Linux before 5.9: no descriptor lies above the limit.
    let limit = descriptor_limits().map_or(65_536, |[limit, _]| limit);
    for fd in first..limit.min(1 << 20) as libc::c_uint {
        // SAFETY: closing a number; what it may have belonged to is never used in this process.
        unsafe { libc::close(fd as c_int) };
    }
}

/// Closes what whoever started us left open beyond the standard descriptors: a lock or a pipe of
/// theirs is not to be held for years. Nothing may be open yet that is to be used.
pub fn close_inherited() {
    close_from(3);
}

/// How many descriptors may be open, and how many that can be raised to (prlimit(2)).
pub(super) fn descriptor_limits() -> Result<[u64; 2], Errno> {
    let mut limits = [0; 2];
    limit_descriptors(None, Some(&mut limits))?;
    Ok(limits)
}

/// The system call itself: it has 64 bits everywhere, and musl's setrlimit(3) brings along what changes
/// the limit in every thread.
fn limit_descriptors(new: Option<&[u64; 2]>, old: Option<&mut [u64; 2]>) -> Result<(), Errno> {
    let new = new.map_or(core::ptr::null(), core::ptr::from_ref);
    let old = old.map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: each of them is null or live, and of the form of `struct rlimit64`.
    done(unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, new, old) } as c_int)
}

/// Raises the limit on descriptors to `needed` if it is lower and the hard limit allows it.
/// Gives the limit then in force.
pub fn raise_descriptor_limit(needed: u64) -> Result<u64, Errno> {
    let [soft, hard] = descriptor_limits()?;
    if soft >= needed {
        return Ok(soft);
    }
    let raised = needed.min(hard);
    limit_descriptors(Some(&[raised, hard]), None)?;
    Ok(raised)
}
