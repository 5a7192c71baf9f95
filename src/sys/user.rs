//! Becoming another user for ever, and giving that user the files it needs.

use std::os::fd::{AsRawFd, OwnedFd};

// These CPUs have two forms of the calls. The older one is for 16-bit user ids.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups, SYS_setresgid, SYS_setresuid};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgroups32 as SYS_setgroups, SYS_setresgid32 as SYS_setresgid, SYS_setresuid32 as SYS_setresuid};

use super::by_path::{self, access_at, follow_link, make_directory_at, open, open_at, status, status_at};
use super::{Errno, directory, done, system_call};
use crate::base::limits;
use crate::base::path::{name, name_end, trim};
use crate::model::passwd::User;

/// Whether this process has root's rights.
pub fn is_root() -> bool {
    own() == 0
}

/// Whether this process is that user already.
pub fn is(uid: u32) -> bool {
    own() == uid
}

/// The user id of this process.
pub(super) fn own() -> u32 {
    // SAFETY: geteuid(2) has no arguments and does not fail.
    unsafe { libc::geteuid() }
}

/// Makes this process that user, with only the user's own group. The calls go directly to the kernel: libc's wrappers
/// carry code that changes every thread.
pub fn switch_to(user: User) -> Result<(), Errno> {
    let User { uid, gid } = user;
    // The user comes last: it takes away the right to the other calls.
    // SAFETY: `gid` is live, and the number of groups is one.
    done(unsafe { system_call(SYS_setgroups, [1, (&raw const gid).expose_provenance(), 0, 0, 0]) } as libc::c_int)?;
    set_all(SYS_setresgid, gid)?;
    set_all(SYS_setresuid, uid)
}

/// Whether no other user can replace a file of this user's in a directory with this status.
pub(super) fn is_own_place(status: &libc::stat) -> bool {
    let for_others = status.st_mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 && status.st_mode & libc::S_ISVTX == 0;
    status.st_uid == own() && !for_others
}

/// If this process runs as root, it becomes the user who owns this file. Then what it has read from this descriptor can
/// make it do nothing that this user could not do.
pub fn become_owner(file: &OwnedFd) -> Result<(), Errno> {
    let uid = status(file)?.st_uid;
    if uid == 0 || !is_root() {
        return Ok(());
    }
    set_all(SYS_setresuid, uid)
}

/// Sets the real, the effective and the saved id of this process: of its user or of its group, as `call` says.
fn set_all(call: libc::c_long, id: u32) -> Result<(), Errno> {
    let id = id as usize;
    // SAFETY: the arguments are numbers.
    done(unsafe { system_call(call, [id, id, id, 0, 0]) } as libc::c_int)
}

/// Flags that open a directory and follow no symbolic link.
const DIRECTORY: libc::c_int = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// What [`hand_over`] gives, and to whom.
pub struct Gift<'a> {
    /// Whether a file with this name is ours.
    pub ours: &'a dyn Fn(&str) -> bool,
    /// Whether the content of a file with this name is right.
    pub is_right: &'a dyn Fn(&str, &OwnedFd) -> bool,
    /// Who gets it.
    pub user: User,
    /// Nothing is given or made. It is an error if the directory would not be given: `EEXIST` if the files in it would be.
    pub dry: bool,
}

/// Gives the user root's files in this directory whose names are `ours` and whose content `is_right`, so that the user can
/// write them. Also gives the directory itself, if it holds no other files and is clearly tcpmon's: just made, or with a
/// file of ours, or by its name; else it stays. Makes missing directories of the path, and the file `new` with mode 0600.
/// `EPERM`, and nothing is given, if the user or every user could have put something there.
pub fn hand_over(path: &str, new: Option<&str>, gift: &Gift<'_>) -> Result<(), Errno> {
    let Gift { user, dry, .. } = *gift;
    let (directory, made) = match open_checked(path, user, dry) {
        Err(Errno::ENOENT) if dry => return Ok(()),
        opened => opened?,
    };
    let status = status(&directory)?;
    if !only_root_can_change(&status, user) || status.st_mode & libc::S_ISVTX != 0 {
        return Err(Errno::EPERM);
    }
    let open_here =
        |name: &str, flags| open_at(directory.as_raw_fd(), name, libc::O_RDWR | libc::O_NOFOLLOW | flags, 0o600);
    if let Some(new) = new.filter(|_| !dry) {
        let _ = open_here(new, libc::O_CREAT | libc::O_EXCL);
    }
    let (mut nothing_else, mut has_ours) = (true, false);
    directory::list(&directory, usize::MAX, &mut |name, _| {
        if !(gift.ours)(name) {
            nothing_else &= [".", "..", "lost+found"].contains(&name);
            return;
        }
        has_ours |= Some(name) != new;
        if dry {
            return;
        }
        // `give` leaves everything that is no regular file.
        if let Ok(file) = open_here(name, libc::O_NONBLOCK | libc::O_NOCTTY) {
            if (gift.is_right)(name, &file) {
                let _ = give(&file, libc::S_IFREG, user);
            }
        }
    })?;
    let is_named = name(trim(path)).as_bytes().windows(6).any(|part| part == b"tcpmon");
    let is_given = nothing_else && (made || has_ours || is_named);
    if dry {
        may_write(&directory)?;
        return if is_given { Ok(()) } else { Err(Errno::EEXIST) };
    }
    if is_given { give(&directory, libc::S_IFDIR, user) } else { Ok(()) }
}

/// An error if root cannot write in the directory either: its file system is read-only.
fn may_write(directory: &OwnedFd) -> Result<(), Errno> {
    access_at(directory.as_raw_fd(), ".", libc::W_OK)
}

/// Opens the directory with this path, one name at a time, and makes it if it is missing. Also returns whether it was
/// made; with `dry` it is not made (`ENOENT`). `EPERM` if the user, or every user, could have put something there that
/// the path leads through.
///
/// Each name is asked for twice: what it is, and then its content or the directory itself. Nobody can swap it between
/// the two: it is root's, and so is the directory that it is in, which is sticky or closed to the user. What was opened
/// is checked again by its descriptor, here as the next name's directory and in [`hand_over`] as the last one.
///
/// `shell::sandbox` follows links, too, but it lets the kernel open the directories between two links. Here each one is
/// opened and checked by itself.
fn open_checked(path: &str, user: User, dry: bool) -> Result<(OwnedFd, bool), Errno> {
    let mut directory = open("/", DIRECTORY, 0)?;
    let (mut made, mut links) = (false, 0);
    let mut rest = String::new();
    if !path.starts_with('/') {
        rest.push_str(by_path::here().as_str());
        rest.push('/');
    }
    rest.push_str(path);
    let mut next = 0;
    while next < rest.len() {
        let (begin, end) = (next, name_end(&rest, next));
        let name = &rest[begin..end];
        next = end + 1;
        if ["", "."].contains(&name) {
            continue;
        }
        let above = status(&directory)?;
        // In a sticky directory only root can remove or rename root's files.
        if name == ".."
            || above.st_uid != 0
            || (above.st_mode & libc::S_ISVTX == 0 && !only_root_can_change(&above, user))
        {
            return Err(Errno::EPERM);
        }
        let fd = directory.as_raw_fd();
        let mut found = status_at(fd, name);
        made = !dry && matches!(found, Err(Errno::ENOENT));
        if made {
            make_directory_at(fd, name)?;
            found = status_at(fd, name);
        } else if found.is_err() {
            may_write(&directory)?;
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
            follow_link(fd, &mut rest, begin, end)?;
            next = 0;
            if rest.starts_with('/') {
                directory = open("/", DIRECTORY, 0)?;
            }
        } else {
            directory = open_at(fd, name, DIRECTORY, 0)?;
        }
    }
    Ok((directory, made))
}

/// Whether this is root's, and neither every user nor the user's group may change it.
fn only_root_can_change(status: &libc::stat, user: User) -> bool {
    let everybody = status.st_mode & libc::S_IWOTH != 0;
    let group = status.st_mode & libc::S_IWGRP != 0 && status.st_gid == user.gid;
    status.st_uid == 0 && !everybody && !group
}

/// Gives the user this file or directory, if it is root's and of this kind. A file with a second hard link is left: it
/// may be planted.
fn give(file: &OwnedFd, kind: libc::mode_t, user: User) -> Result<(), Errno> {
    let status = status(file)?;
    let is_kind = status.st_mode & libc::S_IFMT == kind;
    if status.st_uid != 0 || !is_kind || (kind == libc::S_IFREG && status.st_nlink != 1) {
        return Ok(());
    }
    // libc's fchown carries a fallback for `O_PATH` descriptors. With an empty path this call is for the descriptor.
    // SAFETY: the path is a static string that ends with a NUL.
    done(unsafe { libc::fchownat(file.as_raw_fd(), c"".as_ptr(), user.uid, user.gid, libc::AT_EMPTY_PATH) })
}
