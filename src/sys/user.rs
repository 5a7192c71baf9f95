//! Becoming another user for good.

use std::os::fd::{AsRawFd, OwnedFd};

// Where the kernel has two forms of these, the first is for users of 16 bits.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups, SYS_setresgid, SYS_setresuid};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgroups32 as SYS_setgroups, SYS_setresgid32 as SYS_setresgid, SYS_setresuid32 as SYS_setresuid};

use super::by_path::{self, HERE, follow_link, make_directory_at, open, open_at, status, status_at};
use super::{Errno, directory, done};
use crate::base::limits;
use crate::base::path::{name, name_end, trim};
use crate::model::passwd::User;

/// Whether this process has root's rights.
pub fn is_root() -> bool {
    own() == 0
}

/// Whether this process is that user already.
pub fn is(user: User) -> bool {
    own() == user.uid
}

/// The user that this process is.
pub(super) fn own() -> u32 {
    // SAFETY: geteuid(2) takes nothing and does not fail.
    unsafe { libc::geteuid() }
}

/// Lets this process be that user and nobody else, with the user's own group alone. These are the
/// system calls themselves: the C library's would do it in every thread, with much code, and there
/// is one.
pub fn switch_to(user: User) -> Result<(), Errno> {
    let User { uid, gid } = user;
    // Each one takes away the right to those before.
    // SAFETY: one group is live, and one is the number of them.
    done(unsafe { libc::syscall(SYS_setgroups, 1_usize, &raw const gid) } as libc::c_int)?;
    // SAFETY: a call with numbers.
    done(unsafe { libc::syscall(SYS_setresgid, gid, gid, gid) } as libc::c_int)?;
    // SAFETY: a call with numbers.
    done(unsafe { libc::syscall(SYS_setresuid, uid, uid, uid) } as libc::c_int)
}

/// From here on this process is whoever owns this file, if it is root's so far. What the file says then
/// counts for no more than its owner could do.
pub fn become_owner_of(path: &str) -> Result<(), Errno> {
    let uid = status_at(HERE, path)?.st_uid;
    if uid == 0 || !is_root() {
        return Ok(());
    }
    // SAFETY: a call with numbers.
    done(unsafe { libc::syscall(SYS_setresuid, uid, uid, uid) } as libc::c_int)
}

const DIRECTORY: libc::c_int = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// Gives the user, who is to write there, the files of root's at the end of this path that are
/// `ours`, and the directory itself, if it holds nothing else and is plainly for us: just made, or with
/// a file of ours in it, or by its name. What is missing of the path is made; so is the file `new`,
/// which is for its owner alone. `EPERM`, and nothing is given, where anybody but root had a say in it.
pub fn hand_over(path: &str, ours: &dyn Fn(&str) -> bool, new: Option<&str>, user: User) -> Result<(), Errno> {
    let (directory, made) = walk(path, user)?;
    let status = status(&directory)?;
    if !is_for_root_to_change(&status, user) || status.st_mode & libc::S_ISVTX != 0 {
        return Err(Errno::EPERM);
    }
    let open_here =
        |name: &str, flags| open_at(directory.as_raw_fd(), name, libc::O_RDWR | libc::O_NOFOLLOW | flags, 0o600);
    if let Some(new) = new {
        let _ = open_here(new, libc::O_CREAT | libc::O_EXCL);
    }
    let (mut nothing_else, mut has_ours) = (true, false);
    directory::list(&directory, usize::MAX, &mut |name| {
        if ours(name) {
            has_ours |= Some(name) != new;
            // What is no file stays what it is.
            if let Ok(file) = open_here(name, libc::O_NONBLOCK | libc::O_NOCTTY) {
                let _ = give(&file, libc::S_IFREG, user);
            }
        } else {
            nothing_else &= [".", "..", "lost+found"].contains(&name);
        }
    })?;
    let is_named = name(trim(path)).as_bytes().windows(6).any(|part| part == b"tcpmon");
    if nothing_else && (made || has_ours || is_named) { give(&directory, libc::S_IFDIR, user) } else { Ok(()) }
}

/// Opens the directory at the end of a path, step by step, and makes what is missing. Returns whether
/// it was made by this. No step is taken from where the user, or anybody else, could have put what is
/// found there: `EPERM`.
fn walk(path: &str, user: User) -> Result<(OwnedFd, bool), Errno> {
    let mut place = open("/", DIRECTORY, 0)?;
    let (mut made, mut links) = (false, 0);
    let mut way = String::new();
    if !path.starts_with('/') {
        way.push_str(by_path::here().as_str());
        way.push('/');
    }
    way.push_str(path);
    let mut at = 0;
    while at < way.len() {
        let (begin, end) = (at, name_end(&way, at));
        let name = &way[begin..end];
        at = end + 1;
        if ["", "."].contains(&name) {
            continue;
        }
        let above = status(&place)?;
        // In a sticky directory nobody takes away what is root's.
        if name == ".."
            || above.st_uid != 0
            || (above.st_mode & libc::S_ISVTX == 0 && !is_for_root_to_change(&above, user))
        {
            return Err(Errno::EPERM);
        }
        let directory = place.as_raw_fd();
        let mut found = status_at(directory, name);
        made = matches!(found, Err(Errno::ENOENT));
        if made {
            make_directory_at(directory, name)?;
            found = status_at(directory, name);
        }
        let found = found?;
        if found.st_uid != 0 {
            return Err(Errno::EPERM);
        }
        if found.st_mode & libc::S_IFMT == libc::S_IFLNK {
            links += 1;
            if links > limits::LINKS {
                return Err(Errno::ELOOP);
            }
            follow_link(directory, &mut way, begin, end)?;
            at = 0;
            if way.starts_with('/') {
                place = open("/", DIRECTORY, 0)?;
            }
        } else {
            place = open_at(directory, name, DIRECTORY, 0)?;
        }
    }
    Ok((place, made))
}

/// Whether it is root's, and neither everybody nor the user's group may change it.
fn is_for_root_to_change(status: &libc::stat, user: User) -> bool {
    let everybody = status.st_mode & libc::S_IWOTH != 0;
    let group = status.st_mode & libc::S_IWGRP != 0 && status.st_gid == user.gid;
    status.st_uid == 0 && !everybody && !group
}

/// Gives the user this one, if it is root's and of this kind. A file with a second name is left:
/// somebody may have planted it.
fn give(file: &OwnedFd, kind: libc::mode_t, user: User) -> Result<(), Errno> {
    let status = status(file)?;
    let is_kind = status.st_mode & libc::S_IFMT == kind;
    if status.st_uid != 0 || !is_kind || (kind == libc::S_IFREG && status.st_nlink != 1) {
        return Ok(());
    }
    // SAFETY: fchownat(2) with an empty path, which stands for the descriptor; it is borrowed and so is
    // open. The C library's fchown has code for descriptors that it cannot change, too.
    done(unsafe { libc::fchownat(file.as_raw_fd(), c"".as_ptr(), user.uid, user.gid, libc::AT_EMPTY_PATH) })
}
