//! System calls. All `unsafe`, and every use of libc and nix, is in this folder. Where possible a function
//! makes one call. It decides nothing, and returns errors as [`Errno`].

pub mod background;
pub mod blocks;
pub mod by_path;
pub mod c_library;
pub mod clock;
pub mod descriptor;
pub mod directory;
pub mod file;
pub mod heap;
pub mod helper;
pub mod lookup;
pub mod map;
pub mod net;
pub mod notify;
pub mod poll;
pub mod process;
pub mod record_lock;
pub mod sandbox;
pub mod signal;
mod small_file;
pub mod stream;
pub mod system_log;
pub mod time_zone;
mod timed_call;
pub mod user;

use core::ffi::{CStr, c_int, c_long};
use std::os::fd::{FromRawFd, OwnedFd};

pub use nix::errno::Errno;

use crate::model::facts::{Fault, LookupFault};

/// What an error means, in the words of strerror(3).
pub fn describe(errno: Errno) -> &'static str {
    // SAFETY: strerror gives a string that ends with a NUL. The text of a known error never changes. All
    // unknown errors share one buffer, and no text is kept until the next such error.
    let words = unsafe { CStr::from_ptr(libc::strerror(errno as c_int)) };
    words.to_str().unwrap_or("unknown error")
}

/// Why one of the `open` functions of [`mod@file`] failed, in words.
pub fn describe_open(errno: Errno) -> &'static str {
    match errno {
        Errno::ELOOP => "it is a symbolic link, and none is followed",
        Errno::EINVAL => "it is no regular file",
        Errno::EMLINK => "it has another hard link, and none is used",
        errno => describe(errno),
    }
}

/// Makes a system call. `libc::syscall` takes any arguments, but reads each of them as a long: one that is passed as a
/// shorter number has undefined upper bits. Arguments that the call does not have are 0. Returns what `libc::syscall`
/// does.
///
/// # Safety
/// The arguments must be valid for the call.
#[inline(always)] // The arguments are not stored as an array first.
unsafe fn system_call(call: c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    // SAFETY: as the caller promises.
    unsafe { libc::syscall(call, a, b, c, d, e) as isize }
}

/// The result of a system call that returns a number.
fn number(result: c_int) -> Result<c_int, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// The result of a system call that returns nothing else.
fn done(result: c_int) -> Result<(), Errno> {
    number(result).map(drop)
}

/// The result of a system call that returns a number of bytes.
fn length(result: isize) -> Result<usize, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result as usize) }
}

/// The result of a system call that makes a file descriptor.
///
/// # Safety
/// Nothing else may own the descriptor.
unsafe fn made(result: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: the caller promises that nothing else owns the descriptor.
    number(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self(errno as c_int)
    }
}

/// The numbers that the core knows are those of this CPU's kernel and of its C library.
macro_rules! same {
    ($($name:ident)+) => { $(const _: () = assert!(Fault::$name.0 == libc::$name);)+ };
}

same! {
    EPERM EBADF EAGAIN ENOMEM EACCES EFAULT ENODEV ENFILE EMFILE EPIPE ENOTSOCK EPROTOTYPE EAFNOSUPPORT EADDRINUSE
    EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH
    EALREADY
}

const _: () = assert!(
    LookupFault::NONAME == libc::EAI_NONAME
        && LookupFault::AGAIN == libc::EAI_AGAIN
        && LookupFault::MEMORY == libc::EAI_MEMORY
        && LookupFault::SYSTEM == libc::EAI_SYSTEM
);
