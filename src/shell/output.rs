//! The file that a command writes with `-o`. Its readers see the old content or the new one, never a part: the new content
//! is written to a scratch file beside it, which then takes its name.

use core::fmt;
use std::os::fd::OwnedFd;

use crate::base::limits;
use crate::base::path;
use crate::sys::directory::Directory;
use crate::sys::file::{self, Kind};
use crate::sys::{Errno, clock, describe};

/// The file, of which only the directory is open.
#[derive(Debug)]
pub struct Output {
    directory: Directory,
    path: &'static str,
    /// What the scratch file is called. node_exporter reads every name that ends in `.prom`, so this one does not.
    scratch: String,
}

impl Output {
    /// The file with this path. It is checked now, so that a mistake is told before there is work.
    pub fn open(path: &'static str) -> Result<Self, Refusal> {
        let directory = Directory::open(path::parent(path)).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => Refusal::NoDirectory,
            errno => Refusal::Trouble(errno),
        })?;
        let mut scratch = String::from(".");
        scratch.push_str(path::name(path));
        scratch.push_str(".new");
        let output = Self { directory, path, scratch };
        output.check()?;
        Ok(output)
    }

    /// Its directory, in which a confined command must be able to write.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Its path.
    pub fn path(&self) -> &'static str {
        self.path
    }

    fn name(&self) -> &'static str {
        path::name(self.path)
    }

    /// Whether there is a regular file, or nothing: then it can be replaced.
    fn check(&self) -> Result<(), Refusal> {
        match if self.name().is_empty() {
            Ok(Some(Kind::Directory))
        } else {
            file::kind_at(&self.directory, self.name())
        } {
            Ok(None | Some(Kind::Regular)) => Ok(()),
            Ok(Some(Kind::Directory)) => Err(Refusal::Directory),
            Ok(Some(Kind::Link)) => Err(Refusal::Link),
            Ok(Some(Kind::Other)) => Err(Refusal::Special),
            Err(errno) => Err(Refusal::Trouble(errno)),
        }
    }

    /// Replaces its content, or makes the file, with mode 0644 whatever the umask is. After an error it is as it was.
    pub fn replace(&self, content: &str) -> Result<(), Refusal> {
        self.check()?;
        let until = clock::monotonic() + limits::OUTPUT_WAIT;
        loop {
            if let Some(file) = self.claim().map_err(Refusal::Trouble)? {
                let written = file::write_at(&file, content.as_bytes(), 0).and_then(|()| {
                    file::make_public(&file);
                    self.directory.rename(&self.scratch, self.name())
                });
                return written.map_err(|errno| {
                    let _ = self.directory.remove(&self.scratch);
                    Refusal::Trouble(errno)
                });
            }
            if clock::monotonic() >= until {
                return Err(Refusal::Busy);
            }
            clock::rest(limits::LOOK);
        }
    }

    /// Makes the scratch file and locks it. Only its owner writes, renames or removes it, and only a process that has
    /// locked it is its owner. `None`: another process is, or one that was killed has left it, and it is removed now.
    fn claim(&self) -> Result<Option<OwnedFd>, Errno> {
        match file::open_private(&self.directory, &self.scratch, true) {
            // Before it was locked, another process may have taken it for one that was left.
            Ok((file, _)) => return Ok(self.owns(&file).then_some(file)),
            Err(Errno::EEXIST) => {}
            // The same, and that one was faster.
            Err(Errno::ENOENT) if !file::is_removed(self.directory.descriptor()) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        match file::open_log_again(&self.directory, &self.scratch) {
            Ok(file) if self.owns(&file) => self.directory.remove(&self.scratch)?,
            Ok(_) | Err(Errno::ENOENT) => {}
            // A link, a pipe or the like.
            Err(Errno::ELOOP | Errno::EINVAL | Errno::EMLINK) => self.directory.remove(&self.scratch)?,
            Err(errno) => return Err(errno),
        }
        Ok(None)
    }

    /// Locks this file. Returns whether it is locked and is still the scratch file.
    fn owns(&self, file: &OwnedFd) -> bool {
        file::lock(file).is_ok() && file::identity(file) == file::identity_at(&self.directory, &self.scratch)
    }
}

/// Why a file is not written. Displayed without its subject: `is a directory, ...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its directory does not exist.
    NoDirectory,
    /// It is a directory.
    Directory,
    /// It is a symbolic link.
    Link,
    /// It is a device, a pipe or a socket.
    Special,
    /// Another process writes it and does not come to an end.
    Busy,
    /// Anything else.
    Trouble(Errno),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NoDirectory => "is in a directory that does not exist",
            Refusal::Directory => "is a directory, name a file in it",
            Refusal::Link => {
                "is a symbolic link, which is not followed; name the file that it leads to, or use > instead of -o"
            }
            Refusal::Special => "is no regular file, use > instead of -o",
            Refusal::Busy => "is held by another process that writes it, try again",
            Refusal::Trouble(errno) => {
                return write!(f, "cannot be written ({}), it stays as it was", describe(*errno));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> Result<Output, Refusal> {
        Output::open(String::from(path.to_str().expect("a path in UTF-8")).leak())
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("our own directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced_for_everybody_to_read_and_a_reader_keeps_the_old_content() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a.prom");
        let output = open(&path).expect("nothing is in the way");
        assert_eq!(output.replace("one\n"), Ok(()));
        let old = fs::File::open(&path).expect("it is there");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our own file");
        assert_eq!(output.replace("two\n"), Ok(()));
        let status = fs::metadata(&path).expect("it is there");
        assert_eq!((status.mode() & 0o7777, status.len()), (0o644, 4));
        assert_eq!(
            (fs::read_to_string(&path).ok(), std::io::read_to_string(old).ok()),
            (Some("two\n".into()), Some("one\n".into()))
        );
        assert_eq!(names(dir.path()), ["a.prom"]);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("directory")).expect("our own directory");
        fs::write(path("file"), "mine").expect("our own directory");
        symlink("file", path("link")).expect("our own directory");
        symlink("nothing", path("dangling")).expect("our own directory");
        let refusal = |name: &str| open(&path(name)).map(drop);
        assert_eq!(refusal("directory"), Err(Refusal::Directory));
        assert_eq!(refusal("directory/"), Err(Refusal::Directory));
        assert_eq!(refusal(".."), Err(Refusal::Directory));
        assert_eq!((refusal("link"), refusal("dangling")), (Err(Refusal::Link), Err(Refusal::Link)));
        assert_eq!(
            (refusal("missing/file"), refusal("file/x")),
            (Err(Refusal::NoDirectory), Err(Refusal::NoDirectory))
        );
        assert_eq!(open(Path::new("/dev/null")).map(drop), Err(Refusal::Special));
        assert_eq!(open(Path::new("/dev/stdout")).map(drop), Err(Refusal::Link));
        // A link that is planted later is no way through, either.
        let output = open(&path("late")).expect("nothing is in the way");
        symlink("file", path("late")).expect("its name is free");
        assert_eq!(output.replace("theirs"), Err(Refusal::Link));
        assert_eq!(fs::read_to_string(path("file")).ok(), Some("mine".into()));
        assert_eq!(
            Refusal::Trouble(Errno::ENOSPC).to_string(),
            "cannot be written (No space left on device), it stays as it was"
        );
    }

    #[test]
    fn a_scratch_file_that_was_left_is_removed_and_one_in_use_is_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (path, scratch) = (dir.path().join("a"), dir.path().join(".a.new"));
        let output = open(&path).expect("nothing is in the way");
        fs::write(&scratch, "half a li").expect("our own directory");
        assert_eq!(output.replace("one\n"), Ok(()));
        fs::write(dir.path().join("other"), "not ours").expect("our own directory");
        symlink("other", &scratch).expect("its name is free");
        assert_eq!(output.replace("two\n"), Ok(()));
        assert_eq!(names(dir.path()), ["a", "other"]);
        assert_eq!(fs::read_to_string(dir.path().join("other")).ok(), Some("not ours".into()));
        let owner = output.claim().expect("nothing is in the way").expect("nobody has it");
        assert_eq!(output.replace("three\n"), Err(Refusal::Busy));
        assert_eq!((fs::read_to_string(&path).ok(), scratch.exists()), (Some("two\n".into()), true));
        drop(owner);
        assert_eq!(output.replace("four\n"), Ok(()));
        assert_eq!((fs::read_to_string(&path).ok(), scratch.exists()), (Some("four\n".into()), false));
        fs::remove_dir_all(dir.path()).expect("our own directory");
        assert_eq!(output.replace("five\n"), Err(Refusal::Trouble(Errno::ENOENT)));
    }

    #[test]
    fn callers_at_once_do_not_mix() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a");
        let content = |i: usize| format!("{i}\n").repeat(20_000);
        open(&path).and_then(|output| output.replace(&content(0))).expect("nothing is in the way");
        std::thread::scope(|scope| {
            for i in 1..=4 {
                let path = &path;
                scope.spawn(move || {
                    let output = open(path).expect("a regular file");
                    (0..20).for_each(|_| assert_eq!(output.replace(&content(i)), Ok(())));
                });
            }
            for _ in 0..200 {
                let seen = fs::read_to_string(&path).expect("it is always there");
                let first = seen.get(..1).and_then(|first| first.parse().ok()).expect("a number");
                assert!(seen == content(first), "{} bytes of {first}", seen.len());
            }
        });
        assert_eq!(names(dir.path()), ["a"]);
    }
}
