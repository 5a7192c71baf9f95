//! The files of one life: where the program runs, and the victims, which it must leave alone.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::Result;
use crate::remains::Remains;
use crate::scene::{Begin, ROOT, Remnant, Scene};

/// What stands in every victim and must never be shown.
pub const SECRET: &str = "SECRET";
/// A file beside those of the program, of the program's user.
pub const NOTES: &str = "notes";
/// Under this name the other user prepares what is put in a name's place.
pub const STAGE: &str = ".swapped";

/// The directories of a life. Dropping it removes them.
pub struct Area {
    root: PathBuf,
    /// The lock of a forged ledger: whoever forges it can lock it, too.
    lock: Option<Flock<File>>,
}

impl Area {
    /// Makes the directories and files of a scene. Of the two ledgers, one is a victim, the other what is left in a
    /// scene that begins with a forged one.
    pub fn make(root: &Path, scene: &Scene, remains: &Remains, [victim, forged]: [&[u8]; 2]) -> Result<Self> {
        let mut area = Self { root: root.to_owned(), lock: None };
        fs::create_dir(root)?;
        for name in ["here", "conf", "old", "victims", "victims/directory"] {
            fs::create_dir(root.join(name))?;
        }
        fs::set_permissions(root.join("old"), fs::Permissions::from_mode(0o700))?;
        let secret = format!("{SECRET} words of another file\n");
        for (name, content) in [
            ("text", secret.as_bytes()),
            ("empty", b""),
            ("other.ledger", victim),
            ("directory/inside", secret.as_bytes()),
        ] {
            put(&area.victims().join(name), content, scene.user, 0o600)?;
        }
        own(&area.victims().join("directory"), scene.user, 0o700)?;

        let Begin { here, log, led } = scene.begin;
        own(&area.here(), here.0, here.1)?;
        put(&area.here().join(NOTES), secret.as_bytes(), scene.user, 0o600)?;
        if let Some((owner, mode, remnant)) = log {
            let log = area.here().join("log");
            fs::create_dir(&log)?;
            // root gives a directory away only if nothing else is in it.
            if owner != ROOT {
                put(&log.join(NOTES), secret.as_bytes(), scene.user, 0o600)?;
            }
            let files = match remnant {
                Remnant::OldLogs => &remains.old_logs,
                Remnant::Ended => &remains.ended,
                Remnant::Killed => &remains.killed,
                Remnant::Forged => &vec![("tcpmon.ledger".to_owned(), forged.to_owned())],
            };
            for (name, content) in files {
                let mode = if name.ends_with(".log") { 0o644 } else { 0o600 };
                put(&log.join(name), content, owner, mode)?;
            }
            own(&log, owner, mode)?;
            if matches!(remnant, Remnant::Forged) {
                area.lock = Some(lock(&log.join("tcpmon.ledger"))?);
            }
        }
        if let Some((owner, mode)) = led {
            let led = area.here().join("led");
            fs::create_dir(&led)?;
            put(&led.join(NOTES), secret.as_bytes(), scene.user, 0o600)?;
            own(&led, owner, mode)?;
        }
        area.configure(scene.config)?;
        if scene.configured_here {
            put(&area.here().join("tcpmon.conf"), area.text(scene.config).as_bytes(), ROOT, 0o644)?;
        }
        Ok(area)
    }

    /// Writes the configuration.
    pub fn configure(&self, text: &str) -> Result {
        put(&self.config(), self.text(text).as_bytes(), ROOT, 0o644)
    }

    /// Puts the paths of this area into a text of a scene.
    pub fn text(&self, text: &str) -> String {
        text.replace("HERE", &self.here().display().to_string()).replace("CONF", &self.config().display().to_string())
    }

    /// The working directory; the names in it and below it are swapped.
    pub fn here(&self) -> PathBuf {
        self.root.join("here")
    }

    pub fn victims(&self) -> PathBuf {
        self.root.join("victims")
    }

    /// Where things that have lost their name are kept.
    pub fn old(&self) -> PathBuf {
        self.root.join("old")
    }

    pub fn output(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn config(&self) -> PathBuf {
        self.root.join("conf/tcpmon.conf")
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Writes a file of this owner and mode.
pub fn put(path: &Path, content: &[u8], owner: u32, mode: u32) -> Result {
    fs::write(path, content)?;
    own(path, owner, mode)
}

fn own(path: &Path, owner: u32, mode: u32) -> Result {
    chown(path, Some(owner), Some(owner))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// Locks a file as a run does.
pub fn lock(path: &Path) -> Result<Flock<File>> {
    Flock::lock(File::open(path)?, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Gives a user what was just made, also a symbolic link.
pub fn give(path: &Path, owner: u32) -> Result {
    Ok(lchown(path, Some(owner), Some(owner))?)
}

/// Whether the program may make and remove a file of this name in its own directories.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("tcp_stats_") || name == ".tcp_stats_latest.new" || name.contains(".ledger")
}

/// What can be seen of a file: all but its times of reading and the number of its names. A directory's size and times
/// change with its names, so these are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    changed: (i64, i64),
    content: Vec<u8>,
}

impl Look {
    pub fn at(path: &Path) -> Result<Self> {
        let status = fs::symlink_metadata(path)?;
        let content = if status.is_file() {
            fs::read(path)?
        } else if status.is_symlink() {
            fs::read_link(path)?.as_os_str().as_bytes().to_vec()
        } else {
            Vec::new()
        };
        Ok(Self::new(&status, content))
    }

    /// The same of an open file.
    pub fn of(file: &File) -> Result<Self> {
        use std::os::unix::fs::FileExt;
        let status = file.metadata()?;
        let mut content = vec![0; if status.is_file() { status.len() as usize } else { 0 }];
        if !content.is_empty() {
            file.read_exact_at(&mut content, 0)?;
        }
        Ok(Self::new(&status, content))
    }

    fn new(status: &Metadata, content: Vec<u8>) -> Self {
        let of_file = !status.is_dir();
        Self {
            mode: status.mode(),
            owner: (status.uid(), status.gid()),
            size: if of_file { status.size() } else { 0 },
            changed: if of_file { (status.mtime(), status.mtime_nsec()) } else { (0, 0) },
            content,
        }
    }

    /// What is different afterwards.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.mode != after.mode {
            changes.push(format!("mode {:o} became {:o}", self.mode, after.mode));
        }
        if self.owner != after.owner {
            changes.push(format!("owner {:?} became {:?}", self.owner, after.owner));
        }
        if self.size != after.size {
            changes.push(format!("size {} became {}", self.size, after.size));
        }
        if self.content != after.content && self.size == after.size {
            changes.push("other content".to_owned());
        }
        if self.changed != after.changed && self.content == after.content {
            changes.push("it was written to".to_owned());
        }
        changes
    }

    /// The same when rows may have been appended.
    pub fn changes_beside_appended(&self, after: &Self) -> Vec<String> {
        let mut cut = after.clone();
        if after.content.starts_with(&self.content) {
            (cut.size, cut.changed) = (self.size, self.changed);
            cut.content.truncate(self.content.len());
        }
        self.changes(&cut)
    }
}

/// All files below a directory.
#[derive(Debug)]
pub struct Looks(pub BTreeMap<PathBuf, Look>);

impl Looks {
    pub fn below(directory: &Path) -> Result<Self> {
        let mut looks = BTreeMap::new();
        let mut open = vec![directory.to_owned()];
        while let Some(path) = open.pop() {
            if fs::symlink_metadata(&path)?.is_dir() {
                for entry in fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
            }
            looks.insert(path.clone(), Look::at(&path)?);
        }
        Ok(Self(looks))
    }
}

/// Device and inode number of a path; `None` if it does not exist.
pub fn identity(path: &Path) -> Result<Option<(u64, u64)>> {
    match fs::symlink_metadata(path) {
        Ok(status) => Ok(Some((status.dev(), status.ino()))),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
