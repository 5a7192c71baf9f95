//! Which file or process a system call names.

use std::fs;
use std::path::{Component, Path, PathBuf};

use nix::unistd::Pid;

use crate::tracer;

/// Where a call has a name.
#[derive(Clone, Copy)]
enum Place {
    /// A path in this argument: only the older calls have it.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Path(usize),
    /// A path in the second of these arguments, from the directory in the first.
    At(usize, usize),
    /// The name that the descriptor in this argument was opened by.
    Descriptor(usize),
    /// A pid in this argument.
    Process(usize),
    /// A descriptor of a process in this argument.
    ProcessDescriptor(usize),
    /// A descriptor in a `landlock_path_beneath_attr` to which this argument points.
    Rule(usize),
}

#[cfg(target_arch = "x86_64")]
use Place::Path as Whole;
use Place::{At, Descriptor, Process, ProcessDescriptor, Rule};

/// A call, its name, and where its names are.
type Row = (libc::c_long, &'static str, &'static [Place]);

const CALLS: &[Row] = &[
    (libc::SYS_openat, "openat", &[At(0, 1)]),
    (libc::SYS_openat2, "openat2", &[At(0, 1)]),
    (libc::SYS_unlinkat, "unlinkat", &[At(0, 1)]),
    (libc::SYS_mkdirat, "mkdirat", &[At(0, 1)]),
    (libc::SYS_mknodat, "mknodat", &[At(0, 1)]),
    (libc::SYS_readlinkat, "readlinkat", &[At(0, 1)]),
    (libc::SYS_newfstatat, "newfstatat", &[At(0, 1)]),
    (libc::SYS_statx, "statx", &[At(0, 1)]),
    (libc::SYS_faccessat, "faccessat", &[At(0, 1)]),
    (libc::SYS_faccessat2, "faccessat2", &[At(0, 1)]),
    (libc::SYS_fchmodat, "fchmodat", &[At(0, 1)]),
    (libc::SYS_fchownat, "fchownat", &[At(0, 1)]),
    (libc::SYS_fchmod, "fchmod", &[Descriptor(0)]),
    (libc::SYS_fchown, "fchown", &[Descriptor(0)]),
    (libc::SYS_renameat2, "renameat2", &[At(0, 1), At(2, 3)]),
    (libc::SYS_linkat, "linkat", &[At(0, 1), At(2, 3)]),
    (libc::SYS_symlinkat, "symlinkat", &[At(1, 2)]),
    (libc::SYS_kill, "kill", &[Process(0)]),
    (libc::SYS_tkill, "tkill", &[Process(0)]),
    (libc::SYS_tgkill, "tgkill", &[Process(0)]),
    (libc::SYS_rt_sigqueueinfo, "rt_sigqueueinfo", &[Process(0)]),
    (libc::SYS_pidfd_open, "pidfd_open", &[Process(0)]),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal", &[ProcessDescriptor(0)]),
    (libc::SYS_landlock_add_rule, "landlock_add_rule", &[Rule(2)]),
];

/// The older calls, which not every CPU has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[Row] = &[
    (libc::SYS_open, "open", &[Whole(0)]),
    (libc::SYS_creat, "creat", &[Whole(0)]),
    (libc::SYS_unlink, "unlink", &[Whole(0)]),
    (libc::SYS_rename, "rename", &[Whole(0), Whole(1)]),
    (libc::SYS_renameat, "renameat", &[At(0, 1), At(2, 3)]),
    (libc::SYS_link, "link", &[Whole(0), Whole(1)]),
    (libc::SYS_symlink, "symlink", &[Whole(1)]),
    (libc::SYS_readlink, "readlink", &[Whole(0)]),
    (libc::SYS_stat, "stat", &[Whole(0)]),
    (libc::SYS_lstat, "lstat", &[Whole(0)]),
    (libc::SYS_access, "access", &[Whole(0)]),
    (libc::SYS_mkdir, "mkdir", &[Whole(0)]),
    (libc::SYS_rmdir, "rmdir", &[Whole(0)]),
    (libc::SYS_chmod, "chmod", &[Whole(0)]),
    (libc::SYS_chown, "chown", &[Whole(0)]),
    (libc::SYS_lchown, "lchown", &[Whole(0)]),
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[Row] = &[(libc::SYS_renameat, "renameat", &[At(0, 1), At(2, 3)])];

/// What a call names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    File(PathBuf),
    Process(Pid),
}

/// The call's name, and what it names: none if it is not in the tables above.
pub fn names(pid: Pid, number: libc::c_long, arguments: &[u64; 6]) -> (&'static str, Vec<Name>) {
    let row = CALLS.iter().chain(OLDER).find(|(call, ..)| *call == number);
    let Some((_, call, places)) = row else { return ("", Vec::new()) };
    (call, places.iter().filter_map(|place| name(pid, *place, arguments)).collect())
}

fn name(pid: Pid, place: Place, arguments: &[u64; 6]) -> Option<Name> {
    let number = |at: usize| arguments[at] as i32;
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).ok();
    let path = |directory: i32, at: usize| {
        let text = tracer::text(pid, arguments[at])?;
        let start = if directory == libc::AT_FDCWD { link("cwd") } else { link(&format!("fd/{directory}")) };
        let path = plain(&start?.join(text));
        // /proc/PID/stat names a process.
        let other = path.strip_prefix("/proc").ok().and_then(|path| path.components().next());
        match other.and_then(|first| first.as_os_str().to_str()?.parse().ok()) {
            Some(other) => Some(Name::Process(Pid::from_raw(other))),
            None => Some(Name::File(path)),
        }
    };
    match place {
        Place::Path(at) => path(libc::AT_FDCWD, at),
        Place::At(directory, at) => path(number(directory), at),
        Place::Descriptor(at) => link(&format!("fd/{}", number(at))).map(Name::File),
        Place::Process(at) => Some(Name::Process(Pid::from_raw(number(at)))),
        Place::ProcessDescriptor(at) => {
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number(at))).ok()?;
            let other = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
            Some(Name::Process(Pid::from_raw(other.trim().parse().ok()?)))
        }
        Place::Rule(at) => {
            // After the rights, which are a u64.
            let bytes = tracer::memory(pid, arguments[at], 12)?;
            let descriptor = i32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
            link(&format!("fd/{descriptor}")).map(Name::File)
        }
    }
}

/// The path without `.` and doubled slashes. The scenes have no `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Whether the program waits in this call.
pub fn is_wait(number: i64) -> bool {
    #[cfg(target_arch = "x86_64")]
    if number == libc::SYS_poll {
        return true;
    }
    number == libc::SYS_ppoll
}

/// Whether this call sends a signal, by its name.
pub fn is_signal(call: &str) -> bool {
    ["kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal"].contains(&call)
}
