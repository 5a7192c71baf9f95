//! System calls with a path. The path gets its NUL here, without the heap.

use core::ffi::{c_char, c_int};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{Errno, done, number, system_call};
use crate::base::limits;
use crate::base::path::name;
use crate::base::text::Text;
use crate::base::words;

/// The current directory, where a relative path begins.
pub const HERE: RawFd = libc::AT_FDCWD;

/// Most bytes of a path, with its NUL (linux/limits.h).
const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Copies a path into a buffer of zeroes, so that it ends with a NUL. `EINVAL` if the path has a NUL in it.
fn terminated(path: &str, buffer: &mut [u8; PATH_MAX]) -> Result<*const c_char, Errno> {
    // The last byte stays zero.
    let copy = buffer[..PATH_MAX - 1].get_mut(..path.len()).ok_or(Errno::ENAMETOOLONG)?;
    copy.copy_from_slice(path.as_bytes());
    if words::contains(path, 0) { Err(Errno::EINVAL) } else { Ok(buffer.as_ptr().cast()) }
}

/// The text in a buffer up to its first NUL; empty if there is no NUL, or if it is not UTF-8.
pub(super) fn up_to_nul(buffer: &[u8]) -> &str {
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(0);
    words::utf8(&buffer[..end]).unwrap_or_default()
}

/// Makes a call with a path.
fn with(path: &str, call: &mut dyn FnMut(*const c_char) -> c_int) -> Result<c_int, Errno> {
    let mut buffer = [0; PATH_MAX];
    number(call(terminated(path, &mut buffer)?))
}

/// open(2).
pub fn open(path: &str, flags: c_int, mode: libc::mode_t) -> Result<OwnedFd, Errno> {
    open_at(HERE, path, flags, mode)
}

/// openat(2). The descriptor is closed on exec, as all of ours are.
pub fn open_at(directory: RawFd, path: &str, flags: c_int, mode: libc::mode_t) -> Result<OwnedFd, Errno> {
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: `path` ends with a NUL and is live.
    let fd = with(path, &mut |path| unsafe { libc::openat(directory, path, flags, mode) })?;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The metadata of an open file (fstat(2)).
pub fn status(file: &OwnedFd) -> Result<libc::stat, Errno> {
    status_of(file.as_raw_fd())
}

/// The same for the number of a descriptor. `EBADF` if it is closed.
#[inline(never)]
pub fn status_of(fd: RawFd) -> Result<libc::stat, Errno> {
    // SAFETY: `stat` is plain data for which zeroes are a valid value.
    let mut status = unsafe { core::mem::zeroed() };
    // SAFETY: `status` is live.
    done(unsafe { libc::fstat(fd, &mut status) })?;
    Ok(status)
}

/// The same for a path (fstatat(2)). A symbolic link is not followed.
pub fn status_at(directory: RawFd, path: &str) -> Result<libc::stat, Errno> {
    status_with(directory, path, libc::AT_SYMLINK_NOFOLLOW)
}

/// The same for what a path leads to, through all its symbolic links.
pub(super) fn status_behind(path: &str) -> Result<libc::stat, Errno> {
    status_with(HERE, path, 0)
}

#[inline(never)]
fn status_with(directory: RawFd, path: &str, flags: c_int) -> Result<libc::stat, Errno> {
    // SAFETY: `stat` is plain data for which zeroes are a valid value.
    let mut status = unsafe { core::mem::zeroed() };
    // SAFETY: `path` ends with a NUL; it and `status` are live.
    with(path, &mut |path| unsafe { libc::fstatat(directory, path, &mut status, flags) })?;
    Ok(status)
}

/// Which file something is: two files have different identities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The device, and the inode number.
    numbers: [u64; 2],
}

impl Identity {
    /// The identity of the file with this metadata.
    #[allow(clippy::unnecessary_cast, reason = "they have 32 bits on some of the targets")]
    pub(super) fn of(status: &libc::stat) -> Self {
        Self { numbers: [status.st_dev as u64, status.st_ino as u64] }
    }
}

/// mkdirat(2) with mode 0755.
pub fn make_directory_at(directory: RawFd, path: &str) -> Result<(), Errno> {
    // SAFETY: `path` ends with a NUL and is live.
    with(path, &mut |path| unsafe { libc::mkdirat(directory, path, 0o755) }).map(drop)
}

/// unlinkat(2) for a file.
pub fn unlink_at(directory: RawFd, path: &str) -> Result<(), Errno> {
    // SAFETY: `path` ends with a NUL and is live.
    with(path, &mut |path| unsafe { libc::unlinkat(directory, path, 0) }).map(drop)
}

/// faccessat(2).
pub fn access_at(directory: RawFd, path: &str, mode: c_int) -> Result<(), Errno> {
    // SAFETY: `path` ends with a NUL and is live.
    with(path, &mut |path| unsafe { libc::faccessat(directory, path, mode, 0) }).map(drop)
}

/// readlinkat(2): the content of a symbolic link, cut to the size of the buffer.
pub(super) fn read_link_at<'a>(directory: RawFd, path: &str, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    // SAFETY: `path` ends with a NUL; `buffer` is live and its size is given.
    let length = with(path, &mut |path| unsafe {
        libc::readlinkat(directory, path, buffer.as_mut_ptr().cast(), buffer.len()) as c_int
    })?;
    Ok(&buffer[..length as usize])
}

/// renameat(2): a file is replaced at once.
pub fn rename_at(directory: RawFd, from: &str, other: RawFd, to: &str) -> Result<(), Errno> {
    // SAFETY: both paths end with a NUL and are live.
    with_both(from, to, &mut |from, to| unsafe { libc::renameat(directory, from, other, to) })
}

/// Renames a file. `EEXIST` if `to` exists. `EINVAL` or `ENOSYS` if this cannot be done here (renameat2(2), Linux 3.15).
pub fn rename_new_at(directory: RawFd, from: &str, to: &str) -> Result<(), Errno> {
    // Not every libc has a wrapper.
    with_both(from, to, &mut |from, to| {
        let (place, from, to) = (directory as usize, from.expose_provenance(), to.expose_provenance());
        // SAFETY: both paths end with a NUL and are live.
        unsafe { system_call(libc::SYS_renameat2, [place, from, place, to, libc::RENAME_NOREPLACE as usize]) as c_int }
    })
}

/// symlinkat(2).
pub fn symlink_at(content: &str, directory: RawFd, link: &str) -> Result<(), Errno> {
    // SAFETY: both paths end with a NUL and are live.
    with_both(content, link, &mut |content, link| unsafe { libc::symlinkat(content, directory, link) })
}

/// Makes a call with two paths.
fn with_both(
    first: &str,
    second: &str,
    call: &mut dyn FnMut(*const c_char, *const c_char) -> c_int,
) -> Result<(), Errno> {
    let (mut buffer, mut other) = ([0; PATH_MAX], [0; PATH_MAX]);
    let (first, second) = (terminated(first, &mut buffer)?, terminated(second, &mut other)?);
    done(call(first, second))
}

/// The file to which a path leads in the end, through all its links; `None` if it does not exist, or if proc(5) is not
/// mounted. The path is written to `room`.
pub fn destination<'a>(path: &str, room: &'a mut [u8]) -> Option<&'a str> {
    path_of(open(path, libc::O_PATH, 0).ok()?.as_raw_fd(), room)
}

/// The path of an open file, without symbolic links; `None` if proc(5) is not mounted.
pub(super) fn path_of(file: RawFd, room: &mut [u8]) -> Option<&str> {
    let link = Text::<32>::format(format_args!("/proc/self/fd/{file}"));
    words::utf8(read_link_at(HERE, link.as_str(), room).ok()?)
}

/// Follows one symbolic link (path_resolution(7)). `path[begin..end]` is the link's path, as seen from
/// `directory`; afterwards `path` is where the link leads, with what stood behind the link. A relative path still
/// begins in `directory`. What stood before `begin` is dropped. `EPERM` if the link's content is not UTF-8.
pub fn follow_link(directory: RawFd, path: &mut String, begin: usize, end: usize) -> Result<(), Errno> {
    let link = path.get(begin..end).unwrap_or_default();
    let mut content = [0; PATH_MAX];
    let content = read_link_at(directory, link, &mut content)?;
    let content = words::utf8(content).ok_or(Errno::EPERM)?;
    let mut followed = String::new();
    if !content.starts_with('/') {
        followed.push_str(link.get(..link.len() - name(link).len()).unwrap_or_default());
    }
    followed.push_str(content);
    followed.push_str(path.get(end..).unwrap_or_default());
    *path = followed;
    Ok(())
}

/// The path of the current directory; empty if it is not known or too long.
pub fn here() -> Text<{ limits::DIRECTORY }> {
    let mut path = [0_u8; limits::DIRECTORY + 1];
    // A path that does not begin with a slash means that the directory is unreachable (getcwd(2)).
    // SAFETY: `path` is live and its size is given. The kernel ends the path with a NUL.
    unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) };
    Some(up_to_nul(&path)).filter(|path| path.starts_with('/')).and_then(Text::copy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_link_replaces_its_name_and_keeps_what_stands_behind_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let dir = dir.path().to_str().expect("a path in UTF-8");
        let path = |name: &str| format!("{dir}/{name}");
        symlink_at("../b/c", HERE, &path("relative")).expect("our own directory");
        symlink_at("/b", HERE, &path("absolute")).expect("our own directory");
        let directory = open(dir, libc::O_RDONLY | libc::O_DIRECTORY, 0).expect("our own directory");
        let follow = |directory, path: &str, begin, end| {
            let mut path = path.to_string();
            follow_link(directory, &mut path, begin, end).map(|()| path)
        };
        let fd = directory.as_raw_fd();
        assert_eq!(follow(fd, "x/relative/d", 2, 10), Ok("../b/c/d".into()));
        assert_eq!(follow(fd, "absolute//d", 0, 8), Ok("/b//d".into()));
        assert_eq!(follow(fd, "missing", 0, 7), Err(Errno::ENOENT));
        let whole = |name: &str| follow(HERE, &path(name), 0, path(name).len());
        assert_eq!(whole("relative"), Ok(path("../b/c")));
        assert_eq!(whole("absolute"), Ok("/b".into()));
        assert_eq!(whole(""), Err(Errno::EINVAL));
    }
}
