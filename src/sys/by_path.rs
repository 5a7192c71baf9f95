//! System calls with a path. The path gets its NUL here, without the heap.

use core::ffi::{CStr, c_char, c_int};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{Errno, done, number};
use crate::base::limits;
use crate::base::path::name;
use crate::base::text::Text;

/// The current directory, where a relative path begins.
pub const HERE: RawFd = libc::AT_FDCWD;

/// Most bytes of a path, with its NUL (linux/limits.h).
const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Copies a path into a buffer of zeroes, so that it ends with a NUL. `EINVAL` if the path has a NUL in it.
fn terminated<'a>(path: &str, buffer: &'a mut [u8; PATH_MAX]) -> Result<&'a CStr, Errno> {
    // The last byte stays zero.
    let copy = buffer[..PATH_MAX - 1].get_mut(..path.len()).ok_or(Errno::ENAMETOOLONG)?;
    copy.copy_from_slice(path.as_bytes());
    CStr::from_bytes_with_nul(&buffer[..=path.len()]).map_err(|_| Errno::EINVAL)
}

/// Makes a call with a path.
fn with(path: &str, call: &mut dyn FnMut(*const c_char) -> c_int) -> Result<c_int, Errno> {
    let mut buffer = [0; PATH_MAX];
    number(call(terminated(path, &mut buffer)?.as_ptr()))
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
#[inline(never)]
pub fn status_at(directory: RawFd, path: &str) -> Result<libc::stat, Errno> {
    // SAFETY: `stat` is plain data for which zeroes are a valid value.
    let mut status = unsafe { core::mem::zeroed() };
    // SAFETY: `path` ends with a NUL; it and `status` are live.
    with(path, &mut |path| unsafe { libc::fstatat(directory, path, &mut status, libc::AT_SYMLINK_NOFOLLOW) })?;
    Ok(status)
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

/// unlink(2).
pub fn unlink(path: &str) -> Result<(), Errno> {
    // SAFETY: `path` ends with a NUL and is live.
    with(path, &mut |path| unsafe { libc::unlink(path) }).map(drop)
}

/// access(2).
pub fn access(path: &str, mode: c_int) -> Result<(), Errno> {
    // SAFETY: `path` ends with a NUL and is live.
    with(path, &mut |path| unsafe { libc::access(path, mode) }).map(drop)
}

/// readlinkat(2): the content of a symbolic link, cut to the size of the buffer.
fn read_link_at<'a>(directory: RawFd, path: &str, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    // SAFETY: `path` ends with a NUL; `buffer` is live and its size is given.
    let length = with(path, &mut |path| unsafe {
        libc::readlinkat(directory, path, buffer.as_mut_ptr().cast(), buffer.len()) as c_int
    })?;
    Ok(&buffer[..length as usize])
}

/// rename(2).
pub fn rename(from: &str, to: &str) -> Result<(), Errno> {
    with_both(libc::rename, from, to)
}

/// link(2).
pub fn link(file: &str, name: &str) -> Result<(), Errno> {
    with_both(libc::link, file, name)
}

/// symlink(2).
pub fn symlink(content: &str, link: &str) -> Result<(), Errno> {
    with_both(symlinkat, content, link)
}

/// Makes a call with two paths.
fn with_both(
    call: unsafe extern "C" fn(*const c_char, *const c_char) -> c_int,
    first: &str,
    second: &str,
) -> Result<(), Errno> {
    let (mut buffer, mut other) = ([0; PATH_MAX], [0; PATH_MAX]);
    let (first, second) = (terminated(first, &mut buffer)?, terminated(second, &mut other)?);
    // SAFETY: both paths end with a NUL and are live.
    done(unsafe { call(first.as_ptr(), second.as_ptr()) })
}

/// symlink(2) by the newer call, which every CPU has.
unsafe extern "C" fn symlinkat(content: *const c_char, link: *const c_char) -> c_int {
    // SAFETY: the caller promises that both end with a NUL and are live.
    unsafe { libc::symlinkat(content, HERE, link) }
}

/// Renames a file. `EEXIST` if `to` exists: link(2) replaces nothing.
pub fn rename_new(from: &str, to: &str) -> Result<(), Errno> {
    link(from, to)?;
    unlink(from).inspect_err(|_| {
        // If this fails, too, the file keeps both names.
        let _ = unlink(to);
    })
}

/// Whether this path exists; also true if that is not known. A symbolic link is not followed.
pub fn exists(path: &str) -> bool {
    !matches!(status_at(HERE, path), Err(Errno::ENOENT))
}

/// Removes a file, if it exists.
pub fn remove(path: &str) -> Result<(), Errno> {
    match unlink(path) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// Whether `link` is a symbolic link with exactly this content. `EINVAL` if it is no symbolic link.
pub fn is_link_to(link: &str, content: &str) -> Result<bool, Errno> {
    let mut buffer = [0; 64];
    Ok(read_link_at(HERE, link, &mut buffer)? == content.as_bytes())
}

/// The file to which a path leads in the end, through all its links; `None` if it does not exist, or if proc(5) is not
/// mounted. The path is written to `room`.
pub fn destination<'a>(path: &str, room: &'a mut [u8]) -> Option<&'a str> {
    let file = open(path, libc::O_PATH, 0).ok()?;
    let link = Text::<32>::format(format_args!("/proc/self/fd/{}", file.as_raw_fd()));
    core::str::from_utf8(read_link_at(HERE, link.as_str(), room).ok()?).ok()
}

/// Follows one symbolic link (path_resolution(7)). `path[begin..end]` is the link's path, as seen from
/// `directory`; afterwards `path` is where the link leads, with what stood behind the link. A relative path still
/// begins in `directory`. What stood before `begin` is dropped. `EPERM` if the link's content is not UTF-8.
pub fn follow_link(directory: RawFd, path: &mut String, begin: usize, end: usize) -> Result<(), Errno> {
    let link = path.get(begin..end).unwrap_or_default();
    let mut content = [0; PATH_MAX];
    let content = read_link_at(directory, link, &mut content)?;
    let content = core::str::from_utf8(content).map_err(|_| Errno::EPERM)?;
    let mut followed = String::new();
    if !content.starts_with('/') {
        followed.push_str(link.get(..link.len() - name(link).len()).unwrap_or_default());
    }
    followed.push_str(content);
    followed.push_str(path.get(end..).unwrap_or_default());
    *path = followed;
    Ok(())
}

/// Makes the symbolic link `link` with this content and atomically replaces an old one: a reader always finds
/// one of the two. `scratch` is a free name in the same directory.
pub fn replace_link(link: &str, content: &str, scratch: &str) -> Result<(), Errno> {
    remove(scratch)?;
    symlink(content, scratch)?;
    rename(scratch, link)
}

/// The path of the current directory; empty if it is not known or too long.
pub fn here() -> Text<{ limits::DIRECTORY }> {
    let mut path = [0_u8; limits::DIRECTORY + 1];
    // A path that does not begin with a slash means that the directory is unreachable (getcwd(2)).
    // SAFETY: `path` is live and its size is given. The kernel ends the path with a NUL.
    unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) };
    let path = CStr::from_bytes_until_nul(&path).ok().and_then(|path| path.to_str().ok());
    path.filter(|path| path.starts_with('/')).and_then(Text::copy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_link_replaces_its_name_and_keeps_what_stands_behind_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let dir = dir.path().to_str().expect("a path in UTF-8");
        let path = |name: &str| format!("{dir}/{name}");
        symlink("../b/c", &path("relative")).expect("our own directory");
        symlink("/b", &path("absolute")).expect("our own directory");
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
