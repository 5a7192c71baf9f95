//! Why a system call fails (errno(3)).

use core::ffi::c_int;
use core::num::NonZero;

/// An error of a system call, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(NonZero<c_int>);

#[allow(missing_docs, reason = "errno(3) says what they mean")]
impl Errno {
    pub const EACCES: Self = Self::from_raw(libc::EACCES);
    pub const EADDRINUSE: Self = Self::from_raw(libc::EADDRINUSE);
    pub const EADDRNOTAVAIL: Self = Self::from_raw(libc::EADDRNOTAVAIL);
    pub const EAFNOSUPPORT: Self = Self::from_raw(libc::EAFNOSUPPORT);
    pub const EAGAIN: Self = Self::from_raw(libc::EAGAIN);
    pub const EALREADY: Self = Self::from_raw(libc::EALREADY);
    pub const EBADF: Self = Self::from_raw(libc::EBADF);
    pub const EBUSY: Self = Self::from_raw(libc::EBUSY);
    pub const ECANCELED: Self = Self::from_raw(libc::ECANCELED);
    pub const ECONNREFUSED: Self = Self::from_raw(libc::ECONNREFUSED);
    pub const ECONNRESET: Self = Self::from_raw(libc::ECONNRESET);
    pub const EDQUOT: Self = Self::from_raw(libc::EDQUOT);
    pub const EEXIST: Self = Self::from_raw(libc::EEXIST);
    pub const EFAULT: Self = Self::from_raw(libc::EFAULT);
    pub const EFBIG: Self = Self::from_raw(libc::EFBIG);
    pub const EHOSTDOWN: Self = Self::from_raw(libc::EHOSTDOWN);
    pub const EHOSTUNREACH: Self = Self::from_raw(libc::EHOSTUNREACH);
    pub const EINPROGRESS: Self = Self::from_raw(libc::EINPROGRESS);
    pub const EINTR: Self = Self::from_raw(libc::EINTR);
    pub const EINVAL: Self = Self::from_raw(libc::EINVAL);
    pub const EISCONN: Self = Self::from_raw(libc::EISCONN);
    pub const ELOOP: Self = Self::from_raw(libc::ELOOP);
    pub const EMFILE: Self = Self::from_raw(libc::EMFILE);
    pub const ENAMETOOLONG: Self = Self::from_raw(libc::ENAMETOOLONG);
    pub const ENETDOWN: Self = Self::from_raw(libc::ENETDOWN);
    pub const ENETUNREACH: Self = Self::from_raw(libc::ENETUNREACH);
    pub const ENFILE: Self = Self::from_raw(libc::ENFILE);
    pub const ENOBUFS: Self = Self::from_raw(libc::ENOBUFS);
    pub const ENODEV: Self = Self::from_raw(libc::ENODEV);
    pub const ENOENT: Self = Self::from_raw(libc::ENOENT);
    pub const ENOMEM: Self = Self::from_raw(libc::ENOMEM);
    pub const ENOSPC: Self = Self::from_raw(libc::ENOSPC);
    pub const ENOSYS: Self = Self::from_raw(libc::ENOSYS);
    pub const ENOTCONN: Self = Self::from_raw(libc::ENOTCONN);
    pub const ENOTSOCK: Self = Self::from_raw(libc::ENOTSOCK);
    pub const EOPNOTSUPP: Self = Self::from_raw(libc::EOPNOTSUPP);
    pub const EPERM: Self = Self::from_raw(libc::EPERM);
    pub const EPIPE: Self = Self::from_raw(libc::EPIPE);
    pub const EPROTOTYPE: Self = Self::from_raw(libc::EPROTOTYPE);
    pub const EROFS: Self = Self::from_raw(libc::EROFS);
    pub const ESRCH: Self = Self::from_raw(libc::ESRCH);
    pub const ESTALE: Self = Self::from_raw(libc::ESTALE);
    pub const ETIMEDOUT: Self = Self::from_raw(libc::ETIMEDOUT);
    pub const EWOULDBLOCK: Self = Self::from_raw(libc::EWOULDBLOCK);
}

impl Errno {
    /// The error of this number. There is none of 0: that becomes one that nothing else is.
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

    /// That of the last call that failed.
    pub(super) fn last() -> Self {
        // SAFETY: the C library has a place for it, which stays.
        Self::from_raw(unsafe { *libc::__errno_location() })
    }
}
