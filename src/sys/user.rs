//! Becoming another user for good.

use core::ffi::CStr;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

// Where the kernel has two forms of these, the first is for users of 16 bits.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups, SYS_setresgid, SYS_setresuid};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgroups32 as SYS_setgroups, SYS_setresgid32 as SYS_setresgid, SYS_setresuid32 as SYS_setresuid};
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, fchown, geteuid};

use super::Errno;
use crate::user::User;

/// Whether this process has root's rights.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether this process is that user already.
pub fn is(user: User) -> bool {
    geteuid().as_raw() == user.uid
}

/// Lets this process be that user and nobody else, with the user's own group alone. These are the
/// system calls themselves: the C library's would do it in every thread, with much code, and there
/// is one.
pub fn switch_to(user: User) -> Result<(), Errno> {
    let User { uid, gid } = user;
    // Each one takes away the right to those before.
    // SAFETY: one group is live, and one is the number of them.
    Errno::result(unsafe { libc::syscall(SYS_setgroups, 1_usize, &raw const gid) })?;
    // SAFETY: a call with numbers.
    Errno::result(unsafe { libc::syscall(SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: a call with numbers.
    Errno::result(unsafe { libc::syscall(SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Gives the user what root has made in this directory, as far as its name begins with one of
/// `ours`; and the directory itself, if it is root's and holds nothing else.
pub fn give(directory: &str, ours: &[&str], user: User) -> Result<(), Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = open(directory, flags, Mode::empty())?;
    let listed = openat(&directory, ".", flags, Mode::empty())?;
    // SAFETY: fdopendir(3) with a descriptor that nobody else has from here on.
    let list = unsafe { libc::fdopendir(listed.into_raw_fd()) };
    if list.is_null() {
        return Err(Errno::last());
    }
    let mut nothing_else = true;
    loop {
        // SAFETY: `list` is open until the end of the loop.
        let entry = unsafe { libc::readdir(list) };
        if entry.is_null() {
            break;
        }
        // SAFETY: the entry and its name, which ends with a NUL, live until the next readdir.
        let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) };
        let is_ours = ours.iter().any(|begin| name.to_bytes().starts_with(begin.as_bytes()));
        nothing_else &= is_ours || matches!(name.to_bytes(), b"." | b"..");
        if is_ours {
            let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            // What is no file of ours stays what it is.
            let _ =
                openat(&directory, name, flags, Mode::empty()).and_then(|file| give_one(&file, SFlag::S_IFREG, user));
        }
    }
    // SAFETY: `list` is not used any more.
    unsafe { libc::closedir(list) };
    if nothing_else { give_one(&directory, SFlag::S_IFDIR, user) } else { Ok(()) }
}

/// Gives the user this one, if it is root's and of this kind. A file with a second name is left:
/// somebody may have planted it.
fn give_one(file: &OwnedFd, kind: SFlag, user: User) -> Result<(), Errno> {
    let status = fstat(file)?;
    let is_kind = status.st_mode & SFlag::S_IFMT.bits() == kind.bits();
    if status.st_uid != 0 || !is_kind || (kind == SFlag::S_IFREG && status.st_nlink != 1) {
        return Ok(());
    }
    fchown(file.as_fd(), Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))
}
