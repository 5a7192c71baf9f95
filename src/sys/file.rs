//! Regular files: the daily log, the ledger, the configuration. The `open` functions do not follow a symbolic link
//! (`ELOOP`), refuse a file that is not regular (`EINVAL`), and one with another hard link (`EMLINK`): either may be
//! planted.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

pub use super::by_path::Identity;
use super::by_path::{HERE, open, open_at, status, status_at};
use super::descriptor::read;
use super::directory::Directory;
use super::poll::{Interest, is_ready};
use super::{Errno, done, length, user};
use crate::base::limits;

/// The kinds of what has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Other,
}

/// Opens a log file for appending, and makes it if it does not exist. Also returns its size.
pub fn open_log(directory: &Directory, name: &str) -> Result<(OwnedFd, u64), Errno> {
    open_regular(directory.as_raw_fd(), name, libc::O_RDWR | libc::O_APPEND | libc::O_CREAT, 0o644)
}

/// The same for a log file that exists.
pub fn open_log_again(directory: &Directory, name: &str) -> Result<OwnedFd, Errno> {
    open_regular(directory.as_raw_fd(), name, libc::O_RDWR | libc::O_APPEND, 0).map(|(file, _)| file)
}

/// Opens a file of mode 0600 for reading and writing, and makes it if it does not exist. `EEXIST` if it exists
/// but must be `new`. Also returns its size.
pub fn open_private(directory: &Directory, name: &str, new: bool) -> Result<(OwnedFd, u64), Errno> {
    let flags = libc::O_RDWR | libc::O_CREAT;
    open_regular(directory.as_raw_fd(), name, if new { flags | libc::O_EXCL } else { flags }, 0o600)
}

/// Opens a file of mode 0600 that exists, for reading and writing. Also returns its size.
pub fn open_again(path: &str) -> Result<(OwnedFd, u64), Errno> {
    open_regular(HERE, path, libc::O_RDWR, 0)
}

/// Opens a file for reading. Also returns its size.
pub fn open_to_read(path: &str) -> Result<(OwnedFd, u64), Errno> {
    open_regular(HERE, path, libc::O_RDONLY, 0)
}

/// Opens for reading what a person has named, a file, a pipe or a directory, and tells whether it is a directory.
pub fn open_named(path: &str) -> Result<(OwnedFd, bool), Errno> {
    let file = open(path, libc::O_RDONLY | libc::O_NOCTTY, 0)?;
    let is_directory = status(&file)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    Ok((file, is_directory))
}

/// Opens a regular file for reading; no link is followed, and other names that it has do not matter.
pub fn open_listed(path: &str) -> Result<OwnedFd, Errno> {
    let file = open(path, libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY, 0)?;
    if status(&file)?.st_mode & libc::S_IFMT == libc::S_IFREG { Ok(file) } else { Err(Errno::EINVAL) }
}

/// Reads on. Returns the number of bytes, 0 at the end.
pub fn read_on(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match read(file, buffer) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

#[inline(never)]
fn open_regular(directory: RawFd, path: &str, flags: c_int, mode: libc::mode_t) -> Result<(OwnedFd, u64), Errno> {
    let file = open_at(directory, path, flags | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY, mode)?;
    let status = status(&file)?;
    if status.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno::EINVAL);
    }
    match status.st_nlink {
        1 => Ok((file, status.st_size as u64)),
        // It was removed at this moment.
        0 => Err(Errno::ENOENT),
        _ => Err(Errno::EMLINK),
    }
}

/// Reads a whole file, which may also be a pipe, into the memory that `content` has reserved. `EFBIG` if that is
/// too small, `EISDIR` for a directory. With `own`, `EPERM` for a link, for a file of another user,
/// and where another user may put a file in the current directory.
pub fn read_whole(path: &str, own: bool, content: &mut Vec<u8>) -> Result<(), Errno> {
    content.clear();
    let follow = if own { libc::O_NOFOLLOW } else { 0 };
    let file = match open(path, libc::O_RDONLY | libc::O_NONBLOCK | follow, 0) {
        Err(Errno::ELOOP) if own => return Err(Errno::EPERM),
        file => file?,
    };
    if own && !(is_own(&file)? && status(&file)?.st_nlink == 1 && user::is_own_place(&status_at(HERE, ".")?)) {
        return Err(Errno::EPERM);
    }
    let mut piece = [0; 4096];
    let mut waited = false;
    loop {
        let length = match read(&file, &mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(Errno::EINTR) => continue,
            // The writer of a pipe has not written yet. A file that is ready but has no data is no pipe.
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

/// The identity of an open file.
pub fn identity(file: &OwnedFd) -> Result<Identity, Errno> {
    Ok(Identity::of(&status(file)?))
}

/// The identity of the file with this name. A symbolic link is not followed.
pub fn identity_at(directory: &Directory, name: &str) -> Result<Identity, Errno> {
    Ok(Identity::of(&status_at(directory.as_raw_fd(), name)?))
}

/// The identity of the directory to which a path leads. Symbolic links are followed. An error if it is no directory.
pub fn identity_of_directory(path: &str) -> Result<Identity, Errno> {
    identity(&open(path, libc::O_PATH | libc::O_DIRECTORY, 0)?)
}

/// Whether the file belongs to this user. Another user's content must not be trusted.
pub fn is_own(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(status(file)?.st_uid == user::own())
}

/// Whether the file has no name any more: it ends with its last descriptor and mapping.
pub fn is_removed(file: &OwnedFd) -> bool {
    status(file).is_ok_and(|status| status.st_nlink == 0)
}

/// Whether no other user can replace a file of this user's in a directory.
pub fn is_own_place(directory: &Directory) -> bool {
    status(directory.descriptor()).is_ok_and(|status| user::is_own_place(&status))
}

/// Whether the file belongs to a user whom this process does not trust: not root, and not its own. Root reads every file.
pub fn is_foreign(file: &OwnedFd) -> bool {
    let own = user::own();
    status(file).is_ok_and(|status| own != 0 && ![0, own].contains(&status.st_uid))
}

/// Sets mode 0600. An error is ignored: some file systems have no modes.
pub fn make_private(file: &OwnedFd) {
    set_mode(file, 0o600);
}

/// Sets mode 0644, whatever the umask is. An error is ignored, too.
pub fn make_public(file: &OwnedFd) {
    set_mode(file, 0o644);
}

fn set_mode(file: &OwnedFd, mode: libc::mode_t) {
    // libc's wrapper carries a fallback for `O_PATH` descriptors.
    // SAFETY: the descriptor is borrowed and so is open.
    unsafe { libc::syscall(libc::SYS_fchmod, file.as_raw_fd(), mode) };
}

/// The file's size in bytes.
pub fn size(file: &OwnedFd) -> Result<u64, Errno> {
    Ok(status(file)?.st_size as u64)
}

/// What has this name: `None` for nothing, else whether it is a regular file, a directory, a symbolic link or anything
/// else. A link is not followed.
pub fn kind_at(directory: &Directory, name: &str) -> Result<Option<Kind>, Errno> {
    match status_at(directory.as_raw_fd(), name) {
        Err(Errno::ENOENT) => Ok(None),
        status => Ok(Some(match status?.st_mode & libc::S_IFMT {
            libc::S_IFREG => Kind::Regular,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => Kind::Link,
            _ => Kind::Other,
        })),
    }
}

/// Where the last write ended, also with `O_APPEND` (lseek(2)).
pub fn position(file: &OwnedFd) -> Result<u64, Errno> {
    // SAFETY: the descriptor is borrowed and so is open.
    match unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_CUR) } {
        -1 => Err(Errno::last()),
        position => Ok(position as u64),
    }
}

/// Locks the whole file exclusively, until it is closed and no mapping of it is left (flock(2)). `EWOULDBLOCK`
/// if another process has locked it: this does not wait.
pub fn lock(file: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed and so is open.
    done(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })
}

/// Whether another process has locked it. This locks it for a moment, shared, if that can be.
pub fn is_locked(file: &OwnedFd) -> bool {
    let lock = |how| {
        // SAFETY: the descriptor is borrowed and so is open.
        done(unsafe { libc::flock(file.as_raw_fd(), how) })
    };
    let locked = lock(libc::LOCK_SH | libc::LOCK_NB) == Err(Errno::EWOULDBLOCK);
    if !locked {
        let _ = lock(libc::LOCK_UN);
    }
    locked
}

/// Writes this word at this place, counted in words.
pub fn write_word(file: &OwnedFd, at: usize, word: u32) -> Result<(), Errno> {
    write_at(file, &word.to_ne_bytes(), (at * size_of::<u32>()) as u64)
}

/// Reads from this offset. Returns the number of bytes, 0 at the end.
pub fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let (start, offset) = (buffer.as_mut_ptr().cast(), offset as libc::off_t);
    loop {
        // SAFETY: `buffer` is live and its size is given.
        match length(unsafe { libc::pread(file.as_raw_fd(), start, buffer.len(), offset) }) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Writes these words to the beginning of a file.
pub fn write_words(file: &OwnedFd, words: &[AtomicU32]) -> Result<(), Errno> {
    const PIECE: usize = 1024;
    let mut bytes = [0; PIECE * 4];
    let mut offset = 0;
    for piece in words.chunks(PIECE) {
        for (copy, word) in bytes.chunks_exact_mut(4).zip(piece) {
            copy.copy_from_slice(&word.load(Ordering::Acquire).to_ne_bytes());
        }
        write_at(file, &bytes[..piece.len() * 4], offset)?;
        offset += (piece.len() * 4) as u64;
    }
    Ok(())
}

/// Writes all of these bytes at this offset.
#[inline(never)]
pub fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        // SAFETY: `bytes` is live and its size is given.
        let written =
            unsafe { libc::pwrite(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), offset as libc::off_t) };
        match length(written) {
            Ok(0) => return Err(Errno::ENOSPC),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Makes a shorter file this long, with disk blocks for all of it. So a write to its mapping never fails on a full
/// disk.
pub fn allocate(file: &OwnedFd, length: u64) -> Result<(), Errno> {
    let status = status(file)?;
    if status.st_size as u64 >= length && status.st_blocks as u64 * 512 >= length {
        return Ok(());
    }
    match fallocate(file, 0, 0, length) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
        other => return other,
    }
    let zeroes = [0; 4096];
    let mut end = status.st_size as u64;
    while end < length {
        let piece = (length - end).min(zeroes.len() as u64) as usize;
        write_at(file, &zeroes[..piece], end)?;
        end += piece as u64;
    }
    Ok(())
}

/// Reserves disk blocks for `length` bytes behind `size` without making the file longer (fallocate(2)), so that
/// the next write is not cut short. Succeeds on the many file systems that cannot do that: there the write itself
/// fails.
pub fn reserve(file: &OwnedFd, size: u64, length: usize) -> Result<(), Errno> {
    match fallocate(file, libc::FALLOC_FL_KEEP_SIZE, size, length as u64) {
        Err(errno @ (Errno::ENOSPC | Errno::EDQUOT)) => Err(errno),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether less than a tenth of the file's file system is free for users (statfs(2)). False if it does not tell.
pub fn is_nearly_full(file: &OwnedFd) -> bool {
    let mut status = MaybeUninit::<libc::statfs64>::uninit();
    // SAFETY: the descriptor is borrowed and so is open, and `status` is live.
    if unsafe { libc::fstatfs64(file.as_raw_fd(), status.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so the kernel has written it.
    let status = unsafe { status.assume_init() };
    status.f_bavail.saturating_mul(10) < status.f_blocks
}

fn fallocate(file: &OwnedFd, mode: c_int, from: u64, length: u64) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed and so is open.
    done(unsafe { libc::fallocate(file.as_raw_fd(), mode, from as libc::off_t, length as libc::off_t) })
}

/// Cuts the file to `size`.
pub fn truncate(file: &OwnedFd, size: u64) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed and so is open.
    done(unsafe { libc::ftruncate(file.as_raw_fd(), size as libc::off_t) })
}
