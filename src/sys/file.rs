//! Regular files: the daily log, the ledger, the configuration. The `open` functions do not follow a symbolic link
//! (`ELOOP`) and refuse a file that is not regular (`EINVAL`).

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::by_path::{HERE, open, status, status_at};
use super::descriptor::read;
use super::poll::{Interest, is_ready};
use super::{Errno, done, length, user};
use crate::base::limits;

/// Opens a log file for appending, and makes it if it does not exist. Also returns its size.
pub fn open_log(path: &str) -> Result<(OwnedFd, u64), Errno> {
    open_regular(path, libc::O_RDWR | libc::O_APPEND | libc::O_CREAT, 0o644)
}

/// The same for a log file that exists.
pub fn open_log_again(path: &str) -> Result<OwnedFd, Errno> {
    open_regular(path, libc::O_RDWR | libc::O_APPEND, 0).map(|(file, _)| file)
}

/// Opens a file of mode 0600 for reading and writing, and makes it if it does not exist. `EEXIST` if it exists
/// but must be `new`. Also returns its size.
pub fn open_private(path: &str, new: bool) -> Result<(OwnedFd, u64), Errno> {
    let flags = libc::O_RDWR | libc::O_CREAT;
    open_regular(path, if new { flags | libc::O_EXCL } else { flags }, 0o600)
}

/// Opens a file for reading. Also returns its size.
pub fn open_to_read(path: &str) -> Result<(OwnedFd, u64), Errno> {
    open_regular(path, libc::O_RDONLY, 0)
}

#[inline(never)]
fn open_regular(path: &str, flags: c_int, mode: libc::mode_t) -> Result<(OwnedFd, u64), Errno> {
    let file = open(path, flags | libc::O_NOFOLLOW | libc::O_NONBLOCK, mode)?;
    let status = status(&file)?;
    if status.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno::EINVAL);
    }
    Ok((file, status.st_size as u64))
}

/// Reads a whole file, which may also be a pipe, into the memory that `content` has reserved. `EFBIG` if that is
/// too small, `EISDIR` for a directory.
pub fn read_whole(path: &str, content: &mut Vec<u8>) -> Result<(), Errno> {
    content.clear();
    let file = open(path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
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

/// Which file something is: two files have different identities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The device, and the inode number.
    numbers: [u64; 2],
}

/// The identity of an open file.
pub fn identity(file: &OwnedFd) -> Result<Identity, Errno> {
    Ok(Identity::of(&status(file)?))
}

/// The identity of the file with this path. A symbolic link is not followed.
pub fn identity_at(path: &str) -> Result<Identity, Errno> {
    Ok(Identity::of(&status_at(HERE, path)?))
}

/// The identity of the directory to which a path leads. Symbolic links are followed. An error if it is no directory.
pub fn identity_of_directory(path: &str) -> Result<Identity, Errno> {
    identity(&open(path, libc::O_PATH | libc::O_DIRECTORY, 0)?)
}

impl Identity {
    #[allow(clippy::unnecessary_cast, reason = "they have 32 bits on some of the targets")]
    fn of(status: &libc::stat) -> Self {
        Self { numbers: [status.st_dev as u64, status.st_ino as u64] }
    }
}

/// Whether the file belongs to this user. Another user's content must not be trusted.
pub fn is_own(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(status(file)?.st_uid == user::own())
}

/// Sets mode 0600. An error is ignored: some file systems have no modes.
pub fn make_private(file: &OwnedFd) {
    // libc's wrapper carries a fallback for `O_PATH` descriptors.
    // SAFETY: the descriptor is borrowed and so is open.
    unsafe { libc::syscall(libc::SYS_fchmod, file.as_raw_fd(), 0o600) };
}

/// The file's size in bytes.
pub fn size(file: &OwnedFd) -> Result<u64, Errno> {
    Ok(status(file)?.st_size as u64)
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

/// Reads from this offset. Returns the number of bytes, 0 at the end.
pub fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: `buffer` is live and its size is given.
    length(unsafe { libc::pread(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), offset as libc::off_t) })
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
fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
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

fn fallocate(file: &OwnedFd, mode: c_int, from: u64, length: u64) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed and so is open.
    done(unsafe { libc::fallocate(file.as_raw_fd(), mode, from as libc::off_t, length as libc::off_t) })
}

/// Cuts the file to `size`.
pub fn truncate(file: &OwnedFd, size: u64) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed and so is open.
    done(unsafe { libc::ftruncate(file.as_raw_fd(), size as libc::off_t) })
}
