//! Files: the daily log, its directory and its link, the configuration, and standard output.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{AT_FDCWD, FallocateFlags, OFlag, fallocate, open, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{AccessFlags, access, ftruncate, mkdir, read, symlinkat, unlink};

use super::Errno;

/// Opens a log file for appending and makes it if it is not there. A planted link is not
/// followed, and what is no regular file is `EINVAL`. Gives its size, too.
pub fn open_log(path: &str) -> Result<(OwnedFd, u64), Errno> {
    let flags =
        OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = open(path, flags, Mode::from_bits_truncate(0o644))?;
    let status = fstat(&file)?;
    if kind(&status) != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    Ok((file, status.st_size as u64))
}

/// Reads from the file's start; gives how much it was.
pub fn read_start(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    nix::sys::uio::pread(file, buffer, 0)
}

/// Writes once; gives how much was taken.
pub fn write(file: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match nix::unistd::write(&file, bytes) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Reserves room for `length` bytes behind `size` without making the file longer (fallocate(2)),
/// so that a write that follows is whole. Many file systems cannot do that: then it is for the
/// write to find out, and this succeeds.
pub fn reserve(file: &OwnedFd, size: u64, length: usize) -> Result<(), Errno> {
    let flags = FallocateFlags::FALLOC_FL_KEEP_SIZE;
    match fallocate(file, flags, size as libc::off_t, length as libc::off_t) {
        Err(errno @ (Errno::ENOSPC | Errno::EDQUOT)) => Err(errno),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Cuts the file back to `size`.
pub fn truncate(file: &OwnedFd, size: u64) -> Result<(), Errno> {
    ftruncate(file, size as libc::off_t)
}

/// Makes a directory, and those above it, where they are missing.
pub fn make_directories(path: &str) -> Result<(), Errno> {
    let slashes = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
    for end in slashes.chain([path.len()]) {
        match mkdir(&path[..end], Mode::from_bits_truncate(0o755)) {
            // A directory above that we may not write to is there already.
            Ok(()) | Err(Errno::EEXIST | Errno::EROFS | Errno::EACCES | Errno::EPERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Whether files can be made in this directory.
pub fn check_directory(path: &str) -> Result<(), Errno> {
    access(path, AccessFlags::W_OK | AccessFlags::X_OK)
}

/// Whether `link` is a symbolic link to just `content`. `EINVAL` where it is something else.
pub fn is_link_to(link: &str, content: &str) -> Result<bool, Errno> {
    let mut path = [0_u8; crate::limits::PATH + 1];
    let Some(place) = path.get_mut(..link.len()) else { return Err(Errno::ENAMETOOLONG) };
    place.copy_from_slice(link.as_bytes());
    let mut found = [0_u8; 64];
    // SAFETY: `path` ends with a NUL because it is longer than `link`; `found` is live and its
    // size is given.
    let length = unsafe { libc::readlink(path.as_ptr().cast(), found.as_mut_ptr().cast(), found.len()) };
    let length = Errno::result(length)? as usize;
    Ok(&found[..length] == content.as_bytes())
}

/// Makes the symbolic link `link` to `content`, in place of one that is there, in one step:
/// whoever looks finds the old one or the new one. `scratch` is a name beside it.
pub fn replace_link(link: &str, content: &str, scratch: &str) -> Result<(), Errno> {
    match unlink(scratch) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    symlinkat(content, AT_FDCWD, scratch)?;
    renameat(AT_FDCWD, scratch, AT_FDCWD, link)
}

/// Reads a whole file into the memory that `content` has reserved; `EFBIG` where that is not
/// enough, `EISDIR` for a directory.
pub fn read_whole(path: &str, content: &mut Vec<u8>) -> Result<(), Errno> {
    content.clear();
    let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?;
    let mut piece = [0; 4096];
    loop {
        let length = match read(&file, &mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        };
        if content.len() + length > content.capacity() {
            return Err(Errno::EFBIG);
        }
        content.extend_from_slice(&piece[..length]);
    }
}

/// Standard output; the standard library's own would bring a buffer on the heap.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: the standard library opens descriptor 1 at the start if it is closed, and nothing
    // closes it after that.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as with descriptor 1.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// What standard output or standard error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A person, or a program that reads as it comes: a terminal, a pipe, a socket.
    Live,
    /// A file or a device such as /dev/null.
    Stored,
    /// Nothing.
    Closed,
}

/// What this descriptor is.
pub fn stream(fd: BorrowedFd<'_>) -> Stream {
    match fstat(fd).map(|status| kind(&status)) {
        Ok(SFlag::S_IFIFO | SFlag::S_IFSOCK) => Stream::Live,
        // SAFETY: isatty(3) with a descriptor that is borrowed and so is open.
        Ok(SFlag::S_IFCHR) if unsafe { libc::isatty(fd.as_raw_fd()) } == 1 => Stream::Live,
        Ok(_) => Stream::Stored,
        Err(_) => Stream::Closed,
    }
}

fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}
