//! Standard output and standard error: what they are, and how they are written to without waiting.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::Errno;
use super::by_path::{open, status_of};
use crate::base::text::Text;

/// Standard output; the standard library's own would bring a buffer on the heap.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: what enters the program opens descriptor 1 if it is closed, and nothing
    // closes it after that.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as with descriptor 1.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// What standard output or standard error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A person or a program that reads as it comes: a pipe or a socket.
    Pipe,
    /// A person at a terminal.
    Terminal,
    /// A file or a device such as /dev/null.
    Stored,
    /// Nothing.
    Closed,
}

/// What this descriptor is.
pub fn stream(fd: BorrowedFd<'_>) -> Stream {
    match status_of(fd.as_raw_fd()).map(|status| status.st_mode & libc::S_IFMT) {
        Ok(libc::S_IFIFO | libc::S_IFSOCK) => Stream::Pipe,
        // SAFETY: isatty(3) with a descriptor that is borrowed and so is open.
        Ok(libc::S_IFCHR) if unsafe { libc::isatty(fd.as_raw_fd()) } == 1 => Stream::Terminal,
        Ok(_) => Stream::Stored,
        Err(Errno::EBADF) => Stream::Closed,
        // It is there, and what is good for a pipe is good for everything.
        Err(_) => Stream::Pipe,
    }
}

/// Opens what this descriptor is anew, for writes that never wait. `O_NONBLOCK` on the descriptor
/// itself would be there for the shell and everybody else who has it, too.
pub fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let path = Text::<32>::format(format_args!("/proc/self/fd/{}", fd.as_raw_fd()));
    open(path.as_str(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
}
