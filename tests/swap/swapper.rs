//! The other user: puts something else in the place of a name.

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, mkfifo, setfsgid, setfsuid};

use crate::Result;
use crate::area::{self, Area, Look, NOTES, STAGE, give, put};
use crate::plan::Case;
use crate::scene::Scene;

/// What is put in the place of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Another file of the program's user in the same directory, exchanged with it.
    Exchange,
    Symlink,
    SymlinkToEmpty,
    /// It leads to a name that does not exist.
    SymlinkToNothing,
    HardLink,
    HardLinkToEmpty,
    HardLinkToLedger,
    /// The other user's ledger, which names a process of the program's user.
    LedgerOfOther,
    /// A ledger of the program's user in the same directory, which names another process of that user.
    LedgerOfUser,
    Fifo,
    Directory,
    Device,
    /// The file is cut in half.
    Truncated,
    /// A copy of the first half, which is the other user's.
    CutCopy,
    Removed,
    /// For a directory: a link to one of the victims.
    SymlinkToDirectory,
    /// For a directory: one of the other user's, with a hard link to a victim for each name.
    OtherDirectory,
    RegularFile,
    /// For a process: it has ended and another one has its pid.
    PidTaken,
}

use Variant::{
    CutCopy, Device, Directory, Exchange, Fifo, HardLink, HardLinkToEmpty, HardLinkToLedger, LedgerOfOther,
    LedgerOfUser, OtherDirectory, PidTaken, RegularFile, Removed, Symlink, SymlinkToDirectory, SymlinkToEmpty,
    SymlinkToNothing, Truncated,
};

const FOR_FILES: &[Variant] = &[
    Exchange,
    Symlink,
    SymlinkToEmpty,
    SymlinkToNothing,
    HardLink,
    HardLinkToEmpty,
    Fifo,
    Directory,
    Device,
    Truncated,
    CutCopy,
    Removed,
    HardLinkToLedger,
    LedgerOfOther,
    LedgerOfUser,
];

/// The last ones of those above are only for a ledger.
const ONLY_FOR_LEDGERS: usize = 3;

const FOR_DIRECTORIES: &[Variant] = &[SymlinkToDirectory, OtherDirectory, RegularFile, Fifo, Removed];

/// What can be swapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    File(PathBuf),
    Directory(PathBuf),
    Process,
}

impl Target {
    /// What can be put in its place.
    pub fn variants(&self) -> &'static [Variant] {
        match self {
            Target::File(path) if path.extension().is_some_and(|end| end == "ledger") => FOR_FILES,
            Target::File(_) => &FOR_FILES[..FOR_FILES.len() - ONLY_FOR_LEDGERS],
            Target::Directory(_) => FOR_DIRECTORIES,
            Target::Process => &[PidTaken],
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exchange => "exchanged with another file",
            Symlink => "a symbolic link to a file",
            SymlinkToEmpty => "a symbolic link to an empty file",
            SymlinkToNothing => "a symbolic link to a free name",
            HardLink => "a hard link to a file",
            HardLinkToEmpty => "a hard link to an empty file",
            HardLinkToLedger => "a hard link to another ledger",
            LedgerOfOther => "the other user's ledger, which names a foreign process",
            LedgerOfUser => "exchanged with a ledger of the same user that names a foreign process",
            Fifo => "a FIFO",
            Directory => "a directory",
            Device => "a device",
            Truncated => "truncated",
            CutCopy => "a cut copy of the other user's",
            Removed => "removed",
            SymlinkToDirectory => "a symbolic link to another directory",
            OtherDirectory => "a directory of the other user's",
            RegularFile => "a regular file",
            PidTaken => "ended, and its pid is another process's",
        })
    }
}

/// A swap that was made.
pub struct Swap {
    pub variant: Variant,
    pub path: PathBuf,
    /// What was put there, open, and how it looked; not for what the program may change.
    pub planted: Option<(File, Look)>,
    pub identity: Option<(u64, u64)>,
    /// The lock of what was put there.
    pub _lock: Option<Flock<File>>,
}

/// Swaps the name at a call of the process with this role. `ledger` is one that names a foreign process. `None`: the other user has no right to do that, or
/// there is nothing of that kind to be done.
pub fn swap(area: &Area, scene: &Scene, ledger: &[u8], path: &Path, case: &Case) -> Result<Option<Swap>> {
    let variant = case.variant;
    let Some(directory) = path.parent() else { return Ok(None) };
    let stage = directory.join(STAGE);
    if !can_write(scene.other, directory) || fs::symlink_metadata(&stage).is_ok() {
        return Ok(None);
    }
    let done = match variant {
        Truncated => cut(path)?,
        Removed => replace(scene.other, path, &stage, 0),
        Exchange => exchange(scene.other, &directory.join(NOTES), path),
        _ if !plant(area, scene, ledger, (path, &stage), variant)? => false,
        _ => exchange(scene.other, &stage, path),
    };
    // What had the name keeps its content elsewhere; or what was prepared is not wanted.
    if fs::symlink_metadata(&stage).is_ok() {
        fs::rename(&stage, area.old().join("thing"))?;
    }
    if !done {
        return Ok(None);
    }
    let planted = match variant {
        Exchange | Fifo | Directory | Device => {
            let flags = if variant == Exchange { 0 } else { libc::O_PATH };
            let file = OpenOptions::new().read(true).custom_flags(flags | libc::O_NOFOLLOW).open(path)?;
            let look = Look::of(&file)?;
            Some((file, look))
        }
        _ => None,
    };
    // A ledger seems to be that of a run only if it is locked. A run would not use a locked one at all.
    let locked = case.role == "stop" && matches!(variant, HardLinkToLedger | LedgerOfOther);
    let lock = if locked { Some(area::lock(path)?) } else { None };
    Ok(Some(Swap { variant, path: path.to_owned(), planted, identity: area::identity(path)?, _lock: lock }))
}

/// Cuts a file in half. Whether there was something to cut.
fn cut(path: &Path) -> Result<bool> {
    let Ok(status) = fs::symlink_metadata(path) else { return Ok(false) };
    if !status.is_file() || status.len() == 0 {
        return Ok(false);
    }
    OpenOptions::new().write(true).open(path)?.set_len(status.len() / 2)?;
    Ok(true)
}

/// Prepares a thing. Whether there is such a thing here.
fn plant(area: &Area, scene: &Scene, ledger: &[u8], (path, stage): (&Path, &Path), variant: Variant) -> Result<bool> {
    let victim = |name: &str| area.victims().join(name);
    let every = Mode::from_bits_truncate(0o666);
    match variant {
        Symlink => symlink(victim("text"), stage)?,
        SymlinkToEmpty => symlink(victim("empty"), stage)?,
        SymlinkToNothing => symlink(victim("new"), stage)?,
        SymlinkToDirectory => symlink(victim("directory"), stage)?,
        // These keep their owner.
        HardLink => return Ok(fs::hard_link(victim("text"), stage).map(|()| true)?),
        HardLinkToEmpty => return Ok(fs::hard_link(victim("empty"), stage).map(|()| true)?),
        HardLinkToLedger => return Ok(fs::hard_link(victim("other.ledger"), stage).map(|()| true)?),
        LedgerOfUser => return put(stage, ledger, scene.user, 0o600).map(|()| true),
        LedgerOfOther => put(stage, ledger, scene.other, 0o666)?,
        Fifo => mkfifo(stage, every)?,
        Device => {
            // In a user namespace only a device without a driver can be made.
            let made = mknod(stage, SFlag::S_IFCHR, every, makedev(1, 3));
            made.or_else(|_| mknod(stage, SFlag::S_IFCHR, every, 0))?;
        }
        Directory => {
            fs::create_dir(stage)?;
            fs::hard_link(victim("text"), stage.join("inside"))?;
        }
        OtherDirectory => {
            fs::create_dir(stage)?;
            for name in names(path) {
                fs::hard_link(victim("text"), stage.join(name))?;
            }
        }
        RegularFile => put(stage, b"nothing\n", scene.other, 0o666)?,
        CutCopy => {
            if !fs::symlink_metadata(path).is_ok_and(|status| status.is_file()) {
                return Ok(false);
            }
            let content = fs::read(path)?;
            put(stage, &content[..content.len() / 2], scene.other, 0o666)?;
        }
        Exchange | Truncated | Removed | PidTaken => return Ok(false),
    }
    give(stage, scene.other)?;
    if matches!(variant, Directory | OtherDirectory) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(stage, fs::Permissions::from_mode(0o777))?;
    }
    Ok(true)
}

/// The names in a directory, and one that it will have.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(io::Result::ok);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if !names.iter().any(|name| name == "tcpmon.ledger") {
        names.push("tcpmon.ledger".to_owned());
    }
    names
}

/// Whether this user may make and remove names in the directory.
pub fn can_write(user: u32, directory: &Path) -> bool {
    let Ok(path) = CString::new(directory.as_os_str().as_bytes()) else { return false };
    // SAFETY: the path is live and ends with a NUL.
    as_user(user, || unsafe {
        libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::W_OK | libc::X_OK, libc::AT_EACCESS) == 0
    })
}

/// Gives `path` to what is at `from`, and `from` to what was at `path`, if there was something.
fn exchange(user: u32, from: &Path, path: &Path) -> bool {
    let both = fs::symlink_metadata(path).is_ok();
    replace(user, from, path, if both { libc::RENAME_EXCHANGE } else { 0 })
}

/// renameat2(2) with this user's rights. Whether it succeeded.
fn replace(user: u32, from: &Path, to: &Path, flags: libc::c_uint) -> bool {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (Ok(from), Ok(to)) = (path(from), path(to)) else { return false };
    let here = libc::AT_FDCWD;
    // SAFETY: both paths are live and end with a NUL.
    as_user(user, || unsafe { libc::syscall(libc::SYS_renameat2, here, from.as_ptr(), here, to.as_ptr(), flags) == 0 })
}

/// Does something with a user's rights to files.
fn as_user<T>(user: u32, what: impl FnOnce() -> T) -> T {
    setfsgid(Gid::from_raw(user));
    setfsuid(Uid::from_raw(user));
    let result = what();
    setfsuid(Uid::from_raw(0));
    setfsgid(Gid::from_raw(0));
    result
}
