//! Making, checking and listing directories and deleting files in them, without the heap that opendir(3) needs.

use core::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use super::by_path::{HERE, access, make_directory_at, open, status_at, unlink_at};
use super::{Errno, length};
use crate::base::limits;
use crate::base::path::name_end;

/// The offsets of an entry's length, type and name (`linux_dirent64` of linux/dirent.h).
const LENGTH: usize = 16;
const TYPE: usize = 18;
const NAME: usize = 19;

/// A buffer for entries. Each begins at a multiple of 8 bytes.
#[repr(align(8))]
struct Entries([u8; limits::NAMES.0]);

/// Makes a directory, and the directories above it, if they are missing.
pub fn make_directories(path: &str) -> Result<(), Errno> {
    let mut refused = None;
    let mut end = 0;
    loop {
        // Up to the next slash, except one at the beginning.
        end = name_end(path, end + 1);
        match make_directory_at(HERE, &path[..end]) {
            Ok(()) | Err(Errno::EEXIST) => refused = None,
            // The directory may exist: then one of the next calls succeeds.
            Err(errno @ (Errno::EROFS | Errno::EACCES | Errno::EPERM)) => refused = Some(errno),
            Err(errno) => return Err(refused.unwrap_or(errno)),
        }
        if end == path.len() {
            break;
        }
    }
    // An error only if the whole path does not exist.
    match refused {
        Some(errno) if access(path, libc::F_OK).is_err() => Err(errno),
        Some(_) | None => Ok(()),
    }
}

/// An error if no files can be made in this directory.
pub fn check_directory(path: &str) -> Result<(), Errno> {
    open(path, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    access(path, libc::W_OK | libc::X_OK)
}

/// Deletes the regular files of a directory whose names are chosen by `is_old`; links and directories stay.
/// Tries all of them and returns the first error. Names beyond [`limits::NAMES`] are not read and stay.
pub fn delete(path: &str, is_old: &mut dyn FnMut(&str) -> bool) -> Result<(), Errno> {
    let directory = open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let mut result = Ok(());
    list(&directory, limits::NAMES.1, &mut |name, _| {
        if is_old(name) {
            result = result.and(delete_file(&directory, name));
        }
    })?;
    result
}

/// Counts the regular files of a directory whose names are chosen by `is_counted`, among the same names.
pub fn count(path: &str, is_counted: &mut dyn FnMut(&str) -> bool) -> Result<usize, Errno> {
    let directory = open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let mut count = 0;
    list(&directory, limits::NAMES.1, &mut |name, kind| {
        // Some file systems do not tell the type.
        let may_be_regular = [libc::DT_REG, libc::DT_UNKNOWN].contains(&kind);
        count += usize::from(may_be_regular && is_counted(name));
    })?;
    Ok(count)
}

fn delete_file(directory: &OwnedFd, name: &str) -> Result<(), Errno> {
    let directory = directory.as_raw_fd();
    let deleted = status_at(directory, name).and_then(|status| {
        if status.st_mode & libc::S_IFMT == libc::S_IFREG { unlink_at(directory, name) } else { Ok(()) }
    });
    if deleted == Err(Errno::ENOENT) { Ok(()) } else { deleted }
}

/// Calls `tell` with each name in an open directory, and its type (`DT_*` of dirent.h). Reads [`limits::NAMES`] bytes of
/// entries at a time, at most `times` times. A name that is not UTF-8 is passed as an empty one, which no file has.
pub(super) fn list(directory: &OwnedFd, times: usize, tell: &mut dyn FnMut(&str, u8)) -> Result<(), Errno> {
    let mut entries = Entries([0; limits::NAMES.0]);
    for _ in 0..times {
        let mut rest = read(directory, &mut entries.0)?;
        if rest.is_empty() {
            break;
        }
        while let Some(length) = rest.get(LENGTH..LENGTH + 2) {
            let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
            let Some((entry, others)) = rest.split_at_checked(length.max(NAME)) else { break };
            rest = others;
            let name = CStr::from_bytes_until_nul(&entry[NAME..]).unwrap_or_default();
            tell(name.to_str().unwrap_or_default(), entry[TYPE]);
        }
    }
    Ok(())
}

/// Reads the next entries (getdents64(2)); none at the end.
fn read<'a>(directory: &OwnedFd, entries: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    // Not every libc has a wrapper.
    // SAFETY: `entries` is live and its size is given.
    let read =
        unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), entries.as_mut_ptr(), entries.len()) };
    length(read as isize).map(|length| &entries[..length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn of_many_names_the_chosen_regular_files_are_deleted_and_no_link_or_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        for i in 0..1000 {
            fs::write(path(&format!("file-with-a-long-name-{i}")), "").expect("our own directory");
        }
        fs::create_dir(path("directory-0")).expect("our own directory");
        std::os::unix::fs::symlink("file-with-a-long-name-1", path("link-0")).expect("our own directory");
        let mut names = 0;
        let result = delete(&dir.path().to_string_lossy(), &mut |name| {
            names += usize::from(!name.starts_with('.'));
            name.ends_with('0')
        });
        assert_eq!((result, names), (Ok(()), 1002));
        assert_eq!(count(&dir.path().to_string_lossy(), &mut |name| name.ends_with('1')), Ok(100));
        assert_eq!(count(&dir.path().to_string_lossy(), &mut |name| name.ends_with('0')), Ok(0), "a directory, a link");
        let left = fs::read_dir(dir.path()).expect("our own directory").count();
        assert_eq!((left, path("directory-0").exists(), path("link-0").exists()), (902, true, true));
        assert_eq!(delete("/nowhere", &mut |_| true), Err(Errno::ENOENT));
        assert_eq!(count("/nowhere", &mut |_| true), Err(Errno::ENOENT));
    }
}
