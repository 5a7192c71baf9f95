//! Files: the daily log, its directory and its link, the configuration, and standard output.

use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, OFlag, fallocate, open, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, lstat, umask};
use nix::unistd::{AccessFlags, Whence, access, ftruncate, geteuid, linkat, lseek, mkdir, read, symlinkat, unlink};

use super::Errno;
use super::poll::{Interest, is_ready};
use crate::limits;
use crate::path::Path;
use crate::text::Text;

/// Opens a log file for appending and makes it if it is not there. A planted link is not
/// followed, and what is no regular file is `EINVAL`. Gives its size, too.
pub fn open_log(path: &str) -> Result<(OwnedFd, u64), Errno> {
    let flags =
        OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    regular(open(path, flags, Mode::from_bits_truncate(0o644))?)
}

/// The same for one that is there.
pub fn open_log_again(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    regular(open(path, flags, Mode::empty())?).map(|(file, _)| file)
}

/// A file, told from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// Opens a file for reading and writing that is for this user alone; makes it if it is not there,
/// and insists on that where it is to be `new`. A planted link is not followed, and what is no
/// regular file is `EINVAL`. Gives its size, too.
pub fn open_private(path: &str, new: bool) -> Result<(OwnedFd, u64), Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let flags = if new { flags | OFlag::O_EXCL } else { flags };
    regular(open(path, flags, Mode::from_bits_truncate(0o600))?)
}

/// Opens a file that is there for reading; the same holds for it. Gives its size, too.
pub fn open_to_read(path: &str) -> Result<(OwnedFd, u64), Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    regular(open(path, flags, Mode::empty())?)
}

fn regular(file: OwnedFd) -> Result<(OwnedFd, u64), Errno> {
    let status = fstat(&file)?;
    if kind(&status) != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    Ok((file, status.st_size as u64))
}

/// Whether this user made it, or another whose content is not to be trusted.
pub fn is_own(file: &OwnedFd) -> Result<bool, Errno> {
    fstat(file).map(|status| status.st_uid == geteuid().as_raw())
}

/// Lets nobody but its owner read or write it; some file systems know no such thing.
pub fn make_private(file: &OwnedFd) {
    let _ = fchmod(file, Mode::from_bits_truncate(0o600));
}

/// Writes these words at the beginning of a file.
pub fn write_words(file: &OwnedFd, words: &[AtomicU32]) -> Result<(), Errno> {
    const PIECE: usize = 1024;
    let mut bytes = [0; PIECE * 4];
    let mut at = 0;
    for piece in words.chunks(PIECE) {
        for (place, word) in bytes.chunks_exact_mut(4).zip(piece) {
            place.copy_from_slice(&word.load(Ordering::Acquire).to_ne_bytes());
        }
        let mut left = &bytes[..piece.len() * 4];
        while !left.is_empty() {
            match nix::sys::uio::pwrite(file, left, at) {
                Ok(0) => return Err(Errno::ENOSPC),
                Ok(written) => {
                    left = &left[written..];
                    at += written as libc::off_t;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Its length in bytes.
pub fn size(file: &OwnedFd) -> Result<u64, Errno> {
    fstat(file).map(|status| status.st_size as u64)
}

/// Where the last write to it ended, also to one that is appended to (lseek(2)).
pub fn position(file: &OwnedFd) -> Result<u64, Errno> {
    lseek(file, 0, Whence::SeekCur).map(|position| position as u64)
}

/// Which file this is.
pub fn identity(file: &OwnedFd) -> Result<Identity, Errno> {
    fstat(file).map(|status| Identity::of(&status))
}

/// Which file has this path; a link is itself.
pub fn identity_at(path: &str) -> Result<Identity, Errno> {
    lstat(path).map(|status| Identity::of(&status))
}

/// Which directory a path leads to, links followed; an error where it is none.
pub fn identity_of_directory(path: &str) -> Result<Identity, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    identity(&open(path, flags, Mode::empty())?)
}

impl Identity {
    #[allow(clippy::unnecessary_cast, reason = "they have 32 bits on some of the targets")]
    fn of(status: &FileStat) -> Self {
        Self { device: status.st_dev as u64, inode: status.st_ino as u64 }
    }
}

/// Locks the whole file for this process alone, until it is closed and no mapping of it is left
/// (flock(2)). `EWOULDBLOCK` where somebody else has it.
pub fn lock(file: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: flock(2) with a descriptor that is borrowed and so is open.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Makes the file so long, if it is shorter, with blocks for all of it, so that a mapping of it
/// never finds the disk full.
pub fn allocate(file: &OwnedFd, length: u64) -> Result<(), Errno> {
    let status = fstat(file)?;
    if status.st_size as u64 >= length && status.st_blocks as u64 * 512 >= length {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, length as libc::off_t) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
        other => return other,
    }
    let zeroes = [0; 4096];
    let mut end = status.st_size as u64;
    while end < length {
        let piece = (length - end).min(zeroes.len() as u64) as usize;
        match nix::sys::uio::pwrite(file, &zeroes[..piece], end as libc::off_t) {
            Ok(0) => return Err(Errno::ENOSPC),
            Ok(written) => end += written as u64,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Gives a file another name; what had that name is gone.
pub fn rename(from: &str, to: &str) -> Result<(), Errno> {
    renameat(AT_FDCWD, from, AT_FDCWD, to)
}

/// Gives a file a second name (link(2)).
pub fn link(file: &str, name: &str) -> Result<(), Errno> {
    linkat(AT_FDCWD, file, AT_FDCWD, name, AtFlags::empty())
}

/// Gives a file another name; `EEXIST` where something has it (link(2), which overwrites nothing).
pub fn rename_new(from: &str, to: &str) -> Result<(), Errno> {
    link(from, to)?;
    unlink(from).inspect_err(|_| {
        // It has two names now; where this fails, too, it keeps them.
        let _ = unlink(to);
    })
}

/// Whether something has this name.
pub fn exists(path: &str) -> bool {
    lstat(path) != Err(Errno::ENOENT)
}

/// Takes away a file, if it is there.
pub fn remove(path: &str) -> Result<(), Errno> {
    match unlink(path) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// Reads from this place of the file on; gives how much it was, 0 at its end.
pub fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    nix::sys::uio::pread(file, buffer, offset as libc::off_t)
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

/// The directory that this process is in; empty where that is not known or its name is too long.
pub fn here() -> Text<{ limits::DIRECTORY }> {
    let here = nix::unistd::getcwd().ok();
    here.and_then(|here| Text::copy(here.to_str()?)).unwrap_or_default()
}

/// Lets the files that are made from here on have the modes that are asked for (umask(2)): the
/// log is for everybody to read.
pub fn open_to_all() {
    umask(Mode::from_bits_truncate(0o022));
}

/// Makes a directory, and those above it, where they are missing.
pub fn make_directories(path: &str) -> Result<(), Errno> {
    let mut refused = None;
    let slashes = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
    for end in slashes.chain([path.len()]) {
        match mkdir(&path[..end], Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => refused = None,
            // That may be because it is there already; what follows tells.
            Err(errno @ (Errno::EROFS | Errno::EACCES | Errno::EPERM)) => refused = Some(errno),
            Err(errno) => return Err(refused.unwrap_or(errno)),
        }
    }
    // What was refused and is not there will not be.
    match refused {
        Some(errno) if access(path, AccessFlags::F_OK).is_err() => Err(errno),
        Some(_) | None => Ok(()),
    }
}

/// Whether files can be made in this directory.
pub fn check_directory(path: &str) -> Result<(), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())?;
    access(path, AccessFlags::W_OK | AccessFlags::X_OK)
}

/// Whether `link` is a symbolic link to just `content`. `EINVAL` where it is something else.
pub fn is_link_to(link: &str, content: &str) -> Result<bool, Errno> {
    let mut found = [0_u8; 64];
    let length = read_link(link, &mut found)?;
    Ok(&found[..length] == content.as_bytes())
}

/// What a symbolic link says, if it is one and that is a path of ours in length.
pub fn link_content(link: &str) -> Option<Path> {
    let mut found = [0_u8; limits::PATH + 1];
    let length = read_link(link, &mut found).ok()?;
    core::str::from_utf8(&found[..length]).ok().and_then(Text::copy)
}

/// readlink(2): how many bytes of `found` it is.
fn read_link(link: &str, found: &mut [u8]) -> Result<usize, Errno> {
    let mut path = [0_u8; limits::PATH + 1];
    let Some(place) = path.get_mut(..link.len()) else { return Err(Errno::ENAMETOOLONG) };
    place.copy_from_slice(link.as_bytes());
    // SAFETY: `path` ends with a NUL because it is longer than `link`; `found` is live and its
    // size is given.
    let length = unsafe { libc::readlink(path.as_ptr().cast(), found.as_mut_ptr().cast(), found.len()) };
    Errno::result(length).map(|length| length as usize)
}

/// Makes the symbolic link `link` to `content`, in place of one that is there, in one step:
/// whoever looks finds the old one or the new one. `scratch` is a name beside it.
pub fn replace_link(link: &str, content: &str, scratch: &str) -> Result<(), Errno> {
    remove(scratch)?;
    symlinkat(content, AT_FDCWD, scratch)?;
    rename(scratch, link)
}

/// Reads a whole file into the memory that `content` has reserved; `EFBIG` where that is not
/// enough, `EISDIR` for a directory.
pub fn read_whole(path: &str, content: &mut Vec<u8>) -> Result<(), Errno> {
    content.clear();
    let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?;
    let mut piece = [0; 4096];
    let mut waited = false;
    loop {
        let length = match read(&file, &mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(Errno::EINTR) => continue,
            // A pipe whose writer has not written yet. What is ready and gives nothing is no pipe.
            Err(Errno::EAGAIN) if !waited && is_ready(file.as_fd(), Interest::Read, limits::PIPE_WAIT) => {
                waited = true;
                continue;
            }
            Err(errno) => return Err(errno),
        };
        waited = false;
        if content.len() + length > content.capacity() {
            return Err(Errno::EFBIG);
        }
        content.extend_from_slice(&piece[..length]);
    }
}

/// Standard output; the standard library's own would bring a buffer on the heap.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: what enters the program opens descriptor 1 if it is closed, and nothing
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
    /// A person or a program that reads as it comes: a pipe or a socket.
    Pipe,
    /// A person at a terminal.
    Terminal,
    /// A file or a device such as /dev/null.
    Stored,
    /// Nothing.
    Closed,
}

/// What this descriptor is.
pub fn stream(fd: BorrowedFd<'_>) -> Stream {
    match fstat(fd).map(|status| kind(&status)) {
        Ok(SFlag::S_IFIFO | SFlag::S_IFSOCK) => Stream::Pipe,
        // SAFETY: isatty(3) with a descriptor that is borrowed and so is open.
        Ok(SFlag::S_IFCHR) if unsafe { libc::isatty(fd.as_raw_fd()) } == 1 => Stream::Terminal,
        Ok(_) => Stream::Stored,
        Err(Errno::EBADF) => Stream::Closed,
        // It is there, and what is good for a pipe is good for everything.
        Err(_) => Stream::Pipe,
    }
}

/// Opens what this descriptor is anew, for writes that never wait. `O_NONBLOCK` on the descriptor
/// itself would be there for the shell and everybody else who has it, too.
pub fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let path = Text::<32>::format(format_args!("/proc/self/fd/{}", fd.as_raw_fd()));
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(path.as_str(), flags, Mode::empty())
}

fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}
