//! Standard output and standard error: what kind they are, and a descriptor for nonblocking writes.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::Errno;
use super::by_path::{open, status_of};
use crate::base::text::Text;

/// Standard output, without the standard library's buffer on the heap.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: `entry` opens descriptor 1 if it is closed, and nothing closes it later.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: `entry` opens descriptor 2 if it is closed, and nothing closes it later.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// The kind of standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A pipe or a socket, which may have a slow reader.
    Pipe,
    /// A terminal.
    Terminal,
    /// A file or a device such as /dev/null.
    Stored,
    /// It is closed.
    Closed,
}

/// The kind of this descriptor.
pub fn stream(fd: BorrowedFd<'_>) -> Stream {
    match status_of(fd.as_raw_fd()).map(|status| status.st_mode & libc::S_IFMT) {
        Ok(libc::S_IFIFO | libc::S_IFSOCK) => Stream::Pipe,
        // SAFETY: the descriptor is borrowed and so is open.
        Ok(libc::S_IFCHR) if unsafe { libc::isatty(fd.as_raw_fd()) } == 1 => Stream::Terminal,
        Ok(_) => Stream::Stored,
        Err(Errno::EBADF) => Stream::Closed,
        // The kind is not known. What is right for a pipe is right for every kind.
        Err(_) => Stream::Pipe,
    }
}

/// Opens the file of this descriptor again, for nonblocking writes. `O_NONBLOCK` on the descriptor itself would also
/// change it for the shell and other processes that share it.
pub fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let path = Text::<32>::format(format_args!("/proc/self/fd/{}", fd.as_raw_fd()));
    open(path.as_str(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
}
