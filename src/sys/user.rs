//! Becoming another user for good.

use core::ffi::CStr;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

// Where the kernel has two forms of these, the first is for users of 16 bits.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups, SYS_setresgid, SYS_setresuid};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgroups32 as SYS_setgroups, SYS_setresgid32 as SYS_setresgid, SYS_setresuid32 as SYS_setresuid};
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, lstat, mkdirat};
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

/// From here on this process is whoever owns this file, if it is root's so far. What the file says then
/// counts for no more than its owner could do.
pub fn become_owner_of(path: &str) -> Result<(), Errno> {
    let uid = lstat(path)?.st_uid;
    if uid == 0 || !is_root() {
        return Ok(());
    }
    // SAFETY: a call with numbers.
    Errno::result(unsafe { libc::syscall(SYS_setresuid, uid, uid, uid) }).map(drop)
}

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How many links a path may lead through.
const LINKS: usize = 8;

/// Gives the user, who is to write there, the files of root's at the end of this absolute path that are
/// `ours`, and the directory itself, if it holds nothing else and is plainly for us: just made, or with
/// a file of ours in it, or by its name. What is missing of the path is made; so is the file `new`,
/// which is for its owner alone. `EPERM`, and nothing is given, where anybody but root had a say in it.
pub fn hand_over(path: &str, ours: &dyn Fn(&str) -> bool, new: Option<&str>, user: User) -> Result<(), Errno> {
    let (directory, made) = walk(path, user)?;
    let status = fstat(&directory)?;
    if !is_for_root_to_change(&status, user) || status.st_mode & libc::S_ISVTX != 0 {
        return Err(Errno::EPERM);
    }
    if let Some(new) = new {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let _ = openat(&directory, new, flags, Mode::from_bits_truncate(0o600));
    }
    let listed = openat(&directory, ".", DIRECTORY, Mode::empty())?;
    // SAFETY: fdopendir(3) with a descriptor that nobody else has from here on.
    let list = unsafe { libc::fdopendir(listed.into_raw_fd()) };
    if list.is_null() {
        return Err(Errno::last());
    }
    let (mut nothing_else, mut has_ours) = (true, false);
    loop {
        // SAFETY: `list` is open until the end of the loop.
        let entry = unsafe { libc::readdir(list) };
        if entry.is_null() {
            break;
        }
        // SAFETY: the entry and its name, which ends with a NUL, live until the next readdir.
        let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) };
        if name.to_str().is_ok_and(ours) {
            has_ours |= name.to_str().ok() != new;
            let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            // What is no file stays what it is.
            let _ = openat(&directory, name, flags, Mode::empty()).and_then(|file| give(&file, SFlag::S_IFREG, user));
        } else {
            nothing_else &= matches!(name.to_bytes(), b"." | b".." | b"lost+found");
        }
    }
    // SAFETY: `list` is not used any more.
    unsafe { libc::closedir(list) };
    let is_named = path.trim_end_matches('/').rsplit('/').next().is_some_and(|name| name.contains("tcpmon"));
    if nothing_else && (made || has_ours || is_named) { give(&directory, SFlag::S_IFDIR, user) } else { Ok(()) }
}

/// Opens the directory at the end of a path, step by step, and makes what is missing. Returns whether
/// it was made by this. No step is taken from where the user, or anybody else, could have put what is
/// found there: `EPERM`.
fn walk(path: &str, user: User) -> Result<(OwnedFd, bool), Errno> {
    let mut place = open("/", DIRECTORY, Mode::empty())?;
    let (mut made, mut links) = (false, 0);
    // The next one last.
    let mut names: Vec<String> = path.rsplit('/').map(String::from).collect();
    while let Some(name) = names.pop() {
        let name = match name.as_str() {
            "" | "." => continue,
            ".." => return Err(Errno::EPERM),
            name => name,
        };
        let above = fstat(&place)?;
        // In a sticky directory nobody takes away what is root's.
        if above.st_uid != 0 || (above.st_mode & libc::S_ISVTX == 0 && !is_for_root_to_change(&above, user)) {
            return Err(Errno::EPERM);
        }
        made = false;
        let found = match fstatat(&place, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => {
                mkdirat(&place, name, Mode::from_bits_truncate(0o755))?;
                made = true;
                fstatat(&place, name, AtFlags::AT_SYMLINK_NOFOLLOW)?
            }
            found => found?,
        };
        if found.st_uid != 0 {
            return Err(Errno::EPERM);
        }
        if found.st_mode & libc::S_IFMT == libc::S_IFLNK {
            links += 1;
            let content = readlinkat(&place, name)?.into_string().map_err(|_| Errno::EPERM)?;
            if links > LINKS {
                return Err(Errno::ELOOP);
            }
            if content.starts_with('/') {
                place = open("/", DIRECTORY, Mode::empty())?;
            }
            names.extend(content.rsplit('/').map(String::from));
            continue;
        }
        place = openat(&place, name, DIRECTORY, Mode::empty())?;
    }
    Ok((place, made))
}

/// Whether it is root's, and neither everybody nor the user's group may change it.
fn is_for_root_to_change(status: &FileStat, user: User) -> bool {
    let everybody = status.st_mode & libc::S_IWOTH != 0;
    let group = status.st_mode & libc::S_IWGRP != 0 && status.st_gid == user.gid;
    status.st_uid == 0 && !everybody && !group
}

/// Gives the user this one, if it is root's and of this kind. A file with a second name is left:
/// somebody may have planted it.
fn give(file: &OwnedFd, kind: SFlag, user: User) -> Result<(), Errno> {
    let status = fstat(file)?;
    let is_kind = status.st_mode & SFlag::S_IFMT.bits() == kind.bits();
    if status.st_uid != 0 || !is_kind || (kind == SFlag::S_IFREG && status.st_nlink != 1) {
        return Ok(());
    }
    fchown(file.as_fd(), Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))
}
