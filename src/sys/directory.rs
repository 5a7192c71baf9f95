//! Directories that are held open: making and checking them, and looking for, listing, linking, renaming and deleting
//! the files in them. Without the heap that opendir(3) needs.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::by_path::{self, Identity, access_at, make_directory_at, open, open_at, status_at, unlink_at, up_to_nul};
use super::{Errno, length};
use crate::base::limits;
use crate::base::path::{Path, name_end};

/// The offsets of an entry's length, type and name (`linux_dirent64` of linux/dirent.h).
const LENGTH: usize = 16;
const TYPE: usize = 18;
const NAME: usize = 19;

/// How often a link is made before that is given up.
const LINK_TRIES: u32 = 8;

/// A buffer for entries. Each begins at a multiple of 8 bytes.
#[repr(align(8))]
struct Entries([u8; limits::NAMES.0]);

/// An open directory. What is done by a name in it is done in this directory, wherever its path leads to by then. `name`
/// is always one name, without a slash.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens the directory with this path, through all its links. No right to read it is needed.
    pub fn open(path: &str) -> Result<Self, Errno> {
        open(path, libc::O_PATH | libc::O_DIRECTORY, 0).map(Self)
    }

    /// The same, one name at a time. Makes it, and the directories above it, if they are missing. Without `links` it
    /// follows no symbolic link (`ENOTDIR`).
    pub fn make(path: &str, links: bool) -> Result<Self, Errno> {
        let flags = libc::O_PATH | libc::O_DIRECTORY | if links { 0 } else { libc::O_NOFOLLOW };
        let mut directory = Self::open(if path.starts_with('/') { "/" } else { "." })?;
        let mut next = 0;
        while next < path.len() {
            let end = name_end(path, next);
            let name = &path[next..end];
            next = end + 1;
            if name.is_empty() {
                continue;
            }
            let above = directory.as_raw_fd();
            let open = || open_at(above, name, flags, 0);
            let opened = match open() {
                Err(Errno::ENOENT) => match make_directory_at(above, name) {
                    // Another process has just made it; or it is a link that leads nowhere.
                    Ok(()) | Err(Errno::EEXIST) => open(),
                    Err(errno) => Err(errno),
                },
                other => other,
            };
            directory = Self(opened?);
        }
        Ok(directory)
    }

    /// Its path now, without symbolic links. `None` if proc(5) is not mounted, or if `room` is too small.
    pub fn path<'a>(&self, room: &'a mut [u8]) -> Option<&'a str> {
        let size = room.len();
        by_path::path_of(self.as_raw_fd(), room).filter(|path| path.len() < size && path.starts_with('/'))
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// Its identity.
    pub fn identity(&self) -> Result<Identity, Errno> {
        by_path::status(&self.0).map(|status| Identity::of(&status))
    }

    /// Whether this path leads to it, through all its links. `ENOENT` if the path leads nowhere.
    pub fn leads_here(&self, path: &str) -> Result<bool, Errno> {
        let there = Identity::of(&by_path::status_behind(path)?);
        Ok(self.identity() == Ok(there))
    }

    /// An error if no files can be made in it.
    pub fn check(&self) -> Result<(), Errno> {
        access_at(self.as_raw_fd(), ".", libc::W_OK | libc::X_OK)
    }

    /// An error if this file cannot be written, or does not exist and cannot be made.
    pub fn check_file(&self, name: &str) -> Result<(), Errno> {
        match access_at(self.as_raw_fd(), name, libc::W_OK) {
            Err(Errno::ENOENT) => self.check(),
            other => other,
        }
    }

    /// Whether this name exists; also true if that is not known. A symbolic link is not followed.
    pub fn exists(&self, name: &str) -> bool {
        !matches!(status_at(self.as_raw_fd(), name), Err(Errno::ENOENT))
    }

    /// Removes a file, if it exists.
    pub fn remove(&self, name: &str) -> Result<(), Errno> {
        match unlink_at(self.as_raw_fd(), name) {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// Renames a file. One that has the other name is replaced at once.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        by_path::rename_at(self.as_raw_fd(), from, self.as_raw_fd(), to)
    }

    /// The same. `EEXIST` if there is one, where the kernel can tell.
    pub fn rename_new(&self, from: &str, to: &str) -> Result<(), Errno> {
        match by_path::rename_new_at(self.as_raw_fd(), from, to) {
            Err(Errno::EINVAL | Errno::ENOSYS) => self.rename(from, to),
            other => other,
        }
    }

    /// Whether `link` is a symbolic link with exactly this content. `EINVAL` if it is no symbolic link.
    pub fn is_link_to(&self, link: &str, content: &str) -> Result<bool, Errno> {
        let mut buffer = [0; 64];
        Ok(by_path::read_link_at(self.as_raw_fd(), link, &mut buffer)? == content.as_bytes())
    }

    /// Makes the symbolic link `link` with this content and atomically replaces an old one: a reader always finds
    /// one of the two. What has the name `scratch` is removed.
    pub fn replace_link(&self, link: &str, content: &str, scratch: &str) -> Result<(), Errno> {
        let make = || by_path::symlink_at(content, self.as_raw_fd(), scratch);
        // Another run in this directory may take the scratch name away.
        for _ in 0..LINK_TRIES {
            match make() {
                Err(Errno::EEXIST) => self.remove(scratch)?,
                made => {
                    made?;
                    match self.rename(scratch, link) {
                        Err(Errno::ENOENT) => {}
                        other => return other,
                    }
                }
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Deletes the regular files whose names are chosen by `is_old`; links and directories stay. Tries all of them and
    /// returns the first error. Names beyond [`limits::NAMES`] are not read and stay.
    pub fn delete(&self, is_old: &mut dyn FnMut(&str) -> bool) -> Result<(), Errno> {
        let mut result = Ok(());
        list(&self.to_list()?, limits::NAMES.1, &mut |name, _| {
            if is_old(name) {
                result = result.and(self.delete_file(name));
            }
        })?;
        result
    }

    /// Counts the regular files whose names are chosen by `is_counted`, among the same names.
    pub fn count(&self, is_counted: &mut dyn FnMut(&str) -> bool) -> Result<u64, Errno> {
        let mut count = 0;
        list(&self.to_list()?, limits::NAMES.1, &mut |name, kind| {
            count += u64::from(may_be_regular(kind) && is_counted(name));
        })?;
        Ok(count)
    }

    /// The bytes that the regular files take whose names are chosen by `is_counted`, among the same names: those of their
    /// blocks. No link is followed.
    pub fn bytes(&self, is_counted: &mut dyn FnMut(&str) -> bool) -> Result<u64, Errno> {
        let mut bytes = 0;
        let mut result = Ok(());
        list(&self.to_list()?, limits::NAMES.1, &mut |name, kind| {
            if may_be_regular(kind) && is_counted(name) {
                match status_at(self.as_raw_fd(), name) {
                    Ok(status) => bytes += taken(&status),
                    // It was just deleted.
                    Err(Errno::ENOENT) => {}
                    Err(errno) => result = Err(errno),
                }
            }
        })?;
        result.map(|()| bytes)
    }

    /// Deletes the file, if it is a regular one. The two calls may find two files of that name: then one of whoever
    /// may write in this directory is lost, and nothing else.
    fn delete_file(&self, name: &str) -> Result<(), Errno> {
        let deleted = status_at(self.as_raw_fd(), name)
            .and_then(|status| if is_regular(&status) { unlink_at(self.as_raw_fd(), name) } else { Ok(()) });
        if deleted == Err(Errno::ENOENT) { Ok(()) } else { deleted }
    }

    /// A descriptor that can be listed, from the beginning.
    fn to_list(&self) -> Result<OwnedFd, Errno> {
        open_at(self.as_raw_fd(), ".", libc::O_RDONLY | libc::O_DIRECTORY, 0)
    }
}

/// Whether an entry of this type (`DT_*` of dirent.h) may be a regular file: some file systems do not tell the type.
fn may_be_regular(kind: u8) -> bool {
    [libc::DT_REG, libc::DT_UNKNOWN].contains(&kind)
}

fn is_regular(status: &libc::stat) -> bool {
    status.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// The bytes that a regular file takes: those of its blocks, as du(1) counts them. A small file takes more than its
/// length. Some network file systems do not tell the blocks: there it is the length. 0 for anything else.
fn taken(status: &libc::stat) -> u64 {
    let (blocks, length) = (status.st_blocks as u64, status.st_size as u64);
    if is_regular(status) { length.max(blocks * 512) } else { 0 }
}

/// A directory that is used for long.
#[derive(Debug)]
pub struct Held {
    /// The directory. Everything is done in it by its descriptor.
    pub directory: Directory,
    /// Its path at its first use, without symbolic links: one that is planted later is not followed.
    real: Path,
}

impl Held {
    /// Opens the directory with this path; makes it if it is missing.
    pub fn make(path: &str) -> Result<Self, Errno> {
        let directory = Directory::make(path, true)?;
        let mut real = Path::new();
        // It fits if it is not too long.
        real.push(directory.path(&mut [0; limits::PATH]).unwrap_or(path));
        Ok(Self { directory, real })
    }

    /// Whether it was taken away: its path leads elsewhere or nowhere. What is not known is no reason to leave a
    /// directory that can be used.
    pub fn is_gone(&self, path: &str) -> bool {
        matches!(self.directory.leads_here(path), Ok(false) | Err(Errno::ENOENT | Errno::ENOTDIR))
    }

    /// Makes it again. After an error it is the old one.
    pub fn make_again(&mut self) -> Result<(), Errno> {
        self.directory = Directory::make(self.real.as_str(), false)?;
        Ok(())
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Directory {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
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
            tell(up_to_nul(&entry[NAME..]), entry[TYPE]);
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
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn of_many_names_the_chosen_regular_files_are_deleted_and_no_link_or_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        for i in 0..1000 {
            fs::write(path(&format!("file-with-a-long-name-{i}")), "").expect("our own directory");
        }
        fs::create_dir(path("directory-0")).expect("our own directory");
        std::os::unix::fs::symlink("file-with-a-long-name-1", path("link-0")).expect("our own directory");
        let directory = Directory::open(&dir.path().to_string_lossy()).expect("our own directory");
        let mut names = 0;
        let result = directory.delete(&mut |name| {
            names += usize::from(!name.starts_with('.'));
            name.ends_with('0')
        });
        assert_eq!((result, names), (Ok(()), 1002));
        assert_eq!(directory.count(&mut |name| name.ends_with('1')), Ok(100));
        assert_eq!(directory.count(&mut |name| name.ends_with('0')), Ok(0), "a directory, a link");
        assert_eq!(directory.bytes(&mut |_| true), Ok(0), "empty files, a directory, a link");
        let left = fs::read_dir(dir.path()).expect("our own directory").count();
        assert_eq!((left, path("directory-0").exists(), path("link-0").exists()), (902, true, true));
    }

    #[test]
    fn a_file_takes_whole_blocks_and_a_link_nothing() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        let blocks = |name: &str| fs::metadata(path(name)).expect("it is there").blocks() * 512;
        fs::write(path("small"), "x").expect("our own directory");
        fs::write(path("large"), [b'x'; 10_000]).expect("our own directory");
        std::os::unix::fs::symlink("large", path("link")).expect("our own directory");
        let directory = Directory::open(&dir.path().to_string_lossy()).expect("our own directory");
        let bytes = |wanted: &str| directory.bytes(&mut |name| name == wanted);
        assert_eq!((bytes("small"), bytes("large")), (Ok(blocks("small").max(1)), Ok(blocks("large").max(10_000))));
        assert_eq!((bytes("link"), bytes("missing"), bytes(".")), (Ok(0), Ok(0), Ok(0)));
        fs::File::create(path("sparse")).and_then(|file| file.set_len(1 << 40)).expect("our own directory");
        assert_eq!(bytes("sparse"), Ok(1 << 40), "its length, where it has fewer blocks");
    }

    #[test]
    fn a_directory_is_itself_wherever_its_path_leads_by_now() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        assert_eq!(Directory::open(&path("a/b")).map(drop), Err(Errno::ENOENT));
        let held = Directory::make(&path("a/b"), true).expect("our own directory");
        assert_eq!(held.leads_here(&path("a/b")), Ok(true));
        fs::rename(path("a/b"), path("c")).expect("our own directory");
        assert_eq!(held.leads_here(&path("a/b")), Err(Errno::ENOENT));
        std::os::unix::fs::symlink("../c", path("a/b")).expect("its name is free");
        assert_eq!(held.leads_here(&path("a/b")), Ok(true), "through a link");
        fs::remove_file(path("a/b")).expect("our own link");
        let other = Directory::make(&path("a/b"), true).expect("its name is free");
        assert_eq!((held.leads_here(&path("a/b")), other.leads_here(&path("a/b"))), (Ok(false), Ok(true)));
        assert_ne!(held.identity(), other.identity());
        let (mut room, real) = ([0; 4096], fs::canonicalize(dir.path()).expect("it is there"));
        let real = real.to_str().expect("a path in UTF-8");
        assert_eq!(held.path(&mut room), Some(&*format!("{real}/c")));
        assert_eq!(held.path(&mut [0; 3]), None, "too small");

        fs::write(path("c/file"), "mine").expect("our own directory");
        fs::write(path("a/b/taken"), "yours").expect("our own directory");
        assert_eq!(held.rename("file", "free"), Ok(()));
        assert_eq!((held.exists("file"), held.exists("free"), other.exists("free")), (false, true, false));
        assert_eq!(fs::read_to_string(path("c/free")).expect("it is there"), "mine");
        assert_eq!((other.remove("taken"), other.remove("taken"), other.check()), (Ok(()), Ok(()), Ok(())));
        fs::remove_dir(path("a/b")).expect("it is empty");
        assert_eq!(other.leads_here(&path("a/b")), Err(Errno::ENOENT));

        // Made again, but not through a link, wherever in the path it is.
        for link in ["a", "a/b"] {
            fs::remove_dir_all(path("a")).expect("our own directory");
            fs::create_dir_all(path("foreign")).expect("our own directory");
            if link != "a" {
                fs::create_dir(path("a")).expect("its name is free");
            }
            std::os::unix::fs::symlink(path("foreign"), path(link)).expect("its name is free");
            assert_eq!(Directory::make(&format!("{real}/a/b"), false).map(drop), Err(Errno::ENOTDIR));
            assert_eq!(fs::read_dir(path("foreign")).expect("our own directory").count(), 0);
            fs::remove_file(path(link)).expect("our own link");
            let again = Directory::make(&format!("{real}//a/b/"), false).expect("nothing is in the way");
            assert_eq!(again.leads_here(&path("a/b")), Ok(true));
        }
    }
}
