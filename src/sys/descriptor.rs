//! File descriptors of any kind: reading, writing, duplicating, closing, and the limit on their number.

use core::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::by_path::status_of;
use super::{Errno, done, length};

/// Reads from the current position. Returns the number of bytes, 0 at the end.
pub(super) fn read(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: `buffer` is live and its size is given.
    length(unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes once. Returns the number of bytes that were written.
pub fn write(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        // SAFETY: `bytes` is live and its size is given.
        match length(unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Whether this descriptor is open.
pub fn is_open(number: RawFd) -> bool {
    !matches!(status_of(number), Err(Errno::EBADF))
}

/// Makes `number` a descriptor of this file, too (dup2(2)). An older owner of that number must not be used any more.
pub(super) fn duplicate(file: &OwnedFd, number: c_int) -> Result<(), Errno> {
    // SAFETY: the arguments are numbers.
    done(unsafe { libc::dup2(file.as_raw_fd(), number) })
}

/// Closes every descriptor from `first` on. Their owners must not be used any more.
pub(super) fn close_from(first: libc::c_uint) {
    // The libc crate has no wrapper for musl.
    // SAFETY: the arguments of close_range(2) are numbers.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Linux before 5.9 has no close_range(2). No descriptor is above the limit.
    let limit = descriptor_limits().map_or(65_536, |[limit, _]| limit);
    for fd in first..limit.min(1 << 20) as libc::c_uint {
        // SAFETY: an owner of this descriptor is never used again in this process.
        unsafe { libc::close(fd as c_int) };
    }
}

/// Closes every descriptor but the standard ones. The parent process may have left some open, and the monitor
/// must not hold its lock or pipe for years. Called before this process opens anything.
pub fn close_inherited() {
    close_from(3);
}

/// The soft and the hard limit on open descriptors (prlimit(2)).
pub(super) fn descriptor_limits() -> Result<[u64; 2], Errno> {
    let mut limits = [0; 2];
    limit_descriptors(None, Some(&mut limits))?;
    Ok(limits)
}

/// prlimit(2) without libc: the call has 64 bits on every CPU, and musl's setrlimit(3) carries code that
/// changes the limit in every thread.
fn limit_descriptors(new: Option<&[u64; 2]>, old: Option<&mut [u64; 2]>) -> Result<(), Errno> {
    let new = new.map_or(core::ptr::null(), core::ptr::from_ref);
    let old = old.map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: each pointer is null or live, and has the form of `struct rlimit64`.
    done(unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, new, old) } as c_int)
}

/// Raises the limit on open descriptors to `needed`, or as far as the hard limit allows. Returns the limit that
/// is then in force.
pub fn raise_descriptor_limit(needed: u64) -> Result<u64, Errno> {
    let [soft, hard] = descriptor_limits()?;
    if soft >= needed {
        return Ok(soft);
    }
    let raised = needed.min(hard);
    limit_descriptors(Some(&[raised, hard]), None)?;
    Ok(raised)
}
