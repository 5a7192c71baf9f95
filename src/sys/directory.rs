//! Directories: made, checked, listed and cleaned up, without the heap that opendir(3) needs.

use core::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use super::by_path::{HERE, access, make_directory_at, open, status_at, unlink_at};
use super::{Errno, length};
use crate::base::limits;
use crate::base::path::name_end;

/// Where the length of an entry and its name are (`linux_dirent64` of linux/dirent.h).
const LENGTH: usize = 16;
const NAME: usize = 19;

/// Room for entries: each begins at a multiple of 8 bytes.
#[repr(align(8))]
struct Entries([u8; limits::NAMES.0]);

/// Makes a directory, and those above it, where they are missing.
pub fn make_directories(path: &str) -> Result<(), Errno> {
    let mut refused = None;
    let mut end = 0;
    loop {
        // Up to the next slash, but for one at the beginning.
        end = name_end(path, end + 1);
        match make_directory_at(HERE, &path[..end]) {
            Ok(()) | Err(Errno::EEXIST) => refused = None,
            // That may be because it is there already; what follows tells.
            Err(errno @ (Errno::EROFS | Errno::EACCES | Errno::EPERM)) => refused = Some(errno),
            Err(errno) => return Err(refused.unwrap_or(errno)),
        }
        if end == path.len() {
            break;
        }
    }
    // What was refused and is not there will not be.
    match refused {
        Some(errno) if access(path, libc::F_OK).is_err() => Err(errno),
        Some(_) | None => Ok(()),
    }
}

/// Whether files can be made in this directory.
pub fn check_directory(path: &str) -> Result<(), Errno> {
    open(path, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    access(path, libc::W_OK | libc::X_OK)
}

/// Deletes the regular files of a directory whose name is one of these; links and directories stay.
/// The first error is given when all have been tried. Of a directory that is too long for
/// [`limits::NAMES`] the rest stays.
pub fn delete(path: &str, is_one: &mut dyn FnMut(&str) -> bool) -> Result<(), Errno> {
    let directory = open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let mut result = Ok(());
    list(&directory, limits::NAMES.1, &mut |name| {
        if is_one(name) {
            result = result.and(delete_one(&directory, name));
        }
    })?;
    result
}

fn delete_one(directory: &OwnedFd, name: &str) -> Result<(), Errno> {
    let directory = directory.as_raw_fd();
    let deleted = status_at(directory, name).and_then(|status| {
        if status.st_mode & libc::S_IFMT == libc::S_IFREG { unlink_at(directory, name) } else { Ok(()) }
    });
    if deleted == Err(Errno::ENOENT) { Ok(()) } else { deleted }
}

/// Tells the names in an open directory, [`limits::NAMES`] bytes of them at a time and so many times at
/// most. One that is not UTF-8 is told as an empty one, which no file has.
pub(super) fn list(directory: &OwnedFd, times: usize, tell: &mut dyn FnMut(&str)) -> Result<(), Errno> {
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
            tell(name.to_str().unwrap_or_default());
        }
    }
    Ok(())
}

/// The next entries (getdents64(2)); none at the end.
fn read<'a>(directory: &OwnedFd, entries: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    // SAFETY: `entries` is live and its size is given; no C library wraps this for all.
    let read =
        unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), entries.as_mut_ptr(), entries.len()) };
    length(read as isize).map(|length| &entries[..length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn of_many_files_those_that_are_wanted_go_and_no_link_or_directory() {
        let place = tempfile::tempdir().expect("a place for temporary files");
        let path = |name: &str| place.path().join(name);
        for i in 0..1000 {
            fs::write(path(&format!("file-with-a-long-name-{i}")), "").expect("our own directory");
        }
        fs::create_dir(path("directory-0")).expect("our own directory");
        std::os::unix::fs::symlink("file-with-a-long-name-1", path("link-0")).expect("our own directory");
        let mut names = 0;
        let result = delete(&place.path().to_string_lossy(), &mut |name| {
            names += usize::from(!name.starts_with('.'));
            name.ends_with('0')
        });
        assert_eq!((result, names), (Ok(()), 1002));
        let left = fs::read_dir(place.path()).expect("our own directory").count();
        assert_eq!((left, path("directory-0").exists(), path("link-0").exists()), (902, true, true));
        assert_eq!(delete("/nowhere", &mut |_| true), Err(Errno::ENOENT));
    }
}
