//! System calls: the only place with `unsafe`, and the only one that knows libc and nix. One call a
//! function where that is possible, no policy, errors as [`Errno`].

pub mod background;
pub mod blocks;
pub mod by_path;
pub mod clock;
pub mod descriptor;
pub mod directory;
pub mod file;
pub mod heap;
pub mod helper;
pub mod lookup;
pub mod map;
pub mod net;
pub mod poll;
pub mod process;
pub mod sandbox;
pub mod signal;
pub mod stream;
pub mod system_log;
pub mod time_zone;
pub mod user;

use core::ffi::{CStr, c_int};
use std::os::fd::{FromRawFd, OwnedFd};

pub use nix::errno::Errno;

use crate::model::reason::{Reason, Shortage};

/// What an error means, in the C library's words (strerror(3)).
pub fn describe(errno: Errno) -> &'static str {
    // SAFETY: strerror gives a string that ends with a NUL. That of a known error stays as it is;
    // only one that is not known shares its place with the next such, and nothing keeps it so long.
    let words = unsafe { CStr::from_ptr(libc::strerror(errno as c_int)) };
    words.to_str().unwrap_or("unknown error")
}

/// What a system call says that gives a number.
fn number(result: c_int) -> Result<c_int, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// What one says that gives nothing else.
fn done(result: c_int) -> Result<(), Errno> {
    number(result).map(drop)
}

/// What one says that gives a number of bytes.
fn length(result: isize) -> Result<usize, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result as usize) }
}

/// What one says that has made a descriptor.
///
/// # Safety
/// Nothing else may own it.
unsafe fn made(result: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: as the caller promises.
    number(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The shortage of our own that an error stands for, if it stands for one.
pub fn shortage(errno: Errno) -> Option<Shortage> {
    match errno {
        Errno::EMFILE | Errno::ENFILE => Some(Shortage::Descriptors),
        Errno::ENOBUFS | Errno::ENOMEM => Some(Shortage::Memory),
        // Linux before 3.19 said EAGAIN where no local port was left (connect(2)).
        // EAFNOSUPPORT: this box has none of that family's addresses at all.
        // EADDRINUSE: no port was left to bind to (bind(2)).
        Errno::EADDRNOTAVAIL | Errno::EADDRINUSE | Errno::EAGAIN | Errno::EAFNOSUPPORT => Some(Shortage::Ports),
        // No network says these: what was asked for was wrong.
        Errno::EALREADY
        | Errno::EBADF
        | Errno::EFAULT
        | Errno::EISCONN
        | Errno::ENOTCONN
        | Errno::ENOTSOCK
        | Errno::EPROTOTYPE => Some(Shortage::Socket),
        _ => None,
    }
}

/// Why a connect failed (connect(2), ip(7), tcp(7)).
pub fn reason(errno: Errno) -> Reason {
    match errno {
        Errno::ECONNREFUSED => Reason::Refused,
        Errno::ECONNRESET | Errno::EPIPE => Reason::Reset,
        Errno::ETIMEDOUT => Reason::TimedOut,
        Errno::ENETUNREACH | Errno::ENETDOWN => Reason::NetworkUnreachable,
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => Reason::HostUnreachable,
        Errno::EPERM | Errno::EACCES => Reason::Denied,
        Errno::ENODEV => Reason::NoDevice,
        other => Reason::Other(other as i32),
    }
}
