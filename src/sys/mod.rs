//! System calls. All `unsafe`, and every use of libc, is in this folder. Where possible a function
//! makes one call. It decides nothing, and returns errors as [`Errno`].

pub mod background;
pub mod blocks;
pub mod by_path;
pub mod c_library;
pub mod clock;
pub mod descriptor;
pub mod directory;
pub mod environment;
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
pub mod terminal;
pub mod time_zone;
mod timed_call;
pub mod user;

use core::ffi::{CStr, c_int, c_long};
use core::num::NonZero;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::base::words;
use crate::model::facts::{Fault, LookupFault};

/// An error of a system call. It is never 0, so that `Result<(), Errno>` is a single word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(NonZero<c_int>);

impl Errno {
    /// The error of this number. No error has the number 0: it becomes one that no kernel knows.
    pub const fn from_raw(number: c_int) -> Self {
        match NonZero::new(number) {
            Some(number) => Self(number),
            None => Self(NonZero::<c_int>::MAX),
        }
    }

    /// Its number.
    pub const fn number(self) -> c_int {
        self.0.get()
    }

    /// The error of the last call that has failed.
    pub fn last() -> Self {
        // SAFETY: the C library gives the address of this thread's `errno`.
        Self::from_raw(unsafe { *libc::__errno_location() })
    }

    /// Makes it the error of the last call.
    pub fn set(self) {
        // SAFETY: the C library gives the address of this thread's `errno`.
        unsafe { *libc::__errno_location() = self.number() }
    }
}

macro_rules! errors {
    ($($name:ident)+) => {
        #[allow(missing_docs, reason = "errno(3) has the meanings")]
        impl Errno {
            $(pub const $name: Self = Self::from_raw(libc::$name);)+
        }
    };
}

errors! {
    EACCES EADDRINUSE EADDRNOTAVAIL EAGAIN EBADF EBUSY ECANCELED ECHILD ECONNRESET EDQUOT EEXIST EFBIG EINPROGRESS EINTR
    EINVAL ELOOP EMLINK ENAMETOOLONG ENOBUFS ENODEV ENOENT ENOMEM ENOSPC ENOSYS ENOTDIR EOPNOTSUPP EPERM EPIPE EPROTOTYPE
    ERANGE EROFS ESRCH ESTALE ETIMEDOUT EWOULDBLOCK
}

/// What an error means, in the words of strerror(3).
pub fn describe(errno: Errno) -> &'static str {
    // SAFETY: strerror gives a string that ends with a NUL. The text of a known error never changes. All
    // unknown errors share one buffer, and no text is kept until the next such error.
    let words = unsafe { CStr::from_ptr(libc::strerror(errno.number())) };
    words::utf8(words.to_bytes()).unwrap_or("unknown error")
}

/// The same of an error's number, of one of the `open` functions perhaps.
pub fn describe_number(errno: i32) -> &'static str {
    describe_open(Errno::from_raw(errno))
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
        Self(errno.number())
    }
}

/// The numbers that the core knows are those of this CPU's kernel and of its C library.
macro_rules! same {
    ($($name:ident)+) => { $(const _: () = assert!(Fault::$name.0 == libc::$name);)+ };
}

same! {
    EPERM EBADF EAGAIN ENOMEM EACCES EFAULT ENODEV EINVAL ENFILE EMFILE EPIPE ENOTSOCK EPROTOTYPE EAFNOSUPPORT EADDRINUSE
    EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH
    EALREADY
}

const _: () = assert!(
    LookupFault::NONAME == libc::EAI_NONAME
        && LookupFault::AGAIN == libc::EAI_AGAIN
        && LookupFault::MEMORY == libc::EAI_MEMORY
        && LookupFault::SYSTEM == libc::EAI_SYSTEM
);
