//! Processes: forking, signalling, waiting, and telling a process from a later one with the same pid.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering};

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::poll::{self, Interest};
use super::small_file::{self, field};
use super::{Errno, clock, done, made, number};
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::model::process_id::ProcessId;
use crate::model::service;

/// A child process that was not reaped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child(libc::pid_t);

/// fork(2). Returns the child to the parent, and `None` to the child.
pub(super) fn fork() -> Result<Option<Child>, Errno> {
    // SAFETY: the process has one thread, so no heap or lock is in use at the fork.
    let child = number(unsafe { libc::fork() })?;
    Ok((child > 0).then_some(Child(child)))
}

/// Kills a child. It must still be reaped.
pub fn kill_child(child: Child) {
    // The only error is that the pid does not exist. Before the child is reaped, it does.
    let _ = kill(child.0, libc::SIGKILL);
}

/// Reaps a child that has ended, if there is one.
pub fn reap() -> Option<Child> {
    wait().ok().filter(|child| *child > 0).map(Child)
}

/// Reaps the children that have ended. Returns whether there are others.
pub fn has_children() -> bool {
    loop {
        match wait() {
            Ok(0) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// Reaps any child that has ended. Returns its pid; 0 if there are only children that have not ended, `ECHILD` if there
/// are none.
fn wait() -> Result<libc::pid_t, Errno> {
    // SAFETY: a null pointer means that the child's status is not asked for.
    number(unsafe { libc::waitpid(-1, core::ptr::null_mut(), libc::WNOHANG) })
}

fn kill(process: libc::pid_t, signal: c_int) -> Result<(), Errno> {
    // SAFETY: the arguments are numbers.
    done(unsafe { libc::kill(process, signal) })
}

pub(super) fn pid() -> libc::pid_t {
    // SAFETY: getpid(2) has no arguments and does not fail.
    unsafe { libc::getpid() }
}

/// Bytes of this box's memory (sysinfo(2)); the highest number if the kernel does not tell, so that it bounds nothing.
pub fn memory() -> u64 {
    // SAFETY: `sysinfo` is plain data for which zeroes are a valid value.
    let mut info: libc::sysinfo = unsafe { core::mem::zeroed() };
    // SAFETY: `info` is live.
    let told = done(unsafe { libc::sysinfo(&raw mut info) });
    // A word: of 32 or 64 bits.
    #[allow(clippy::useless_conversion)]
    let units = u64::from(info.totalram);
    told.map_or(u64::MAX, |()| units.saturating_mul(info.mem_unit.max(1).into()))
}

/// This process. Its start time is read once, at the first call: a confined process cannot read it any more.
pub fn own() -> ProcessId {
    static PID: AtomicU32 = AtomicU32::new(0);
    static BORN: AtomicU32 = AtomicU32::new(0);
    let pid = pid() as u32;
    if PID.swap(pid, Ordering::Relaxed) != pid {
        BORN.store(start_time(pid).unwrap_or(0), Ordering::Relaxed);
    }
    ProcessId { pid, born: BORN.load(Ordering::Relaxed) }
}

/// Whether this process runs. A later process with the same pid does not count.
pub fn is_alive(owner: ProcessId) -> bool {
    match start_time(owner.pid) {
        Some(born) => born == owner.born,
        // Without /proc only the pid is known.
        None => owner.born == 0 && owner.pid != 0 && kill(owner.pid as i32, 0) != Err(Errno::ESRCH),
    }
}

/// What a command asks a run to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// To end: `SIGTERM`.
    End,
    /// To read its configuration again: `SIGHUP`.
    Reload,
}

/// A process that stays the same one, whatever happens to its pid.
#[derive(Debug)]
pub struct Handle {
    process: ProcessId,
    /// Linux before 5.3 has none: then the pid must do.
    fd: Option<OwnedFd>,
}

impl Handle {
    /// A handle of the process that has this pid now (pidfd_open(2)).
    pub fn open(pid: u32) -> Self {
        // SAFETY: the arguments are numbers, and nothing else owns the descriptor that the kernel makes.
        let fd = unsafe { made(libc::syscall(libc::SYS_pidfd_open, pid as libc::c_long, 0 as libc::c_long) as c_int) };
        Self { process: ProcessId { pid, born: start_time(pid).unwrap_or(0) }, fd: fd.ok() }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Sends a signal. With a descriptor it reaches no other process (pidfd_send_signal(2)).
    pub fn send(&self, demand: Demand) -> Result<(), Errno> {
        let signal = match demand {
            Demand::End => libc::SIGTERM,
            Demand::Reload => libc::SIGHUP,
        };
        let Some(fd) = &self.fd else { return kill(self.process.pid as i32, signal) };
        let (fd, signal, none) = (libc::c_long::from(fd.as_raw_fd()), libc::c_long::from(signal), 0 as libc::c_long);
        // SAFETY: the arguments are numbers; a null pointer stands for the details that kill(2) would give.
        done(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, none) } as c_int)
    }

    /// Waits until it has ended, at most so long. Returns whether it has.
    pub fn await_end(&self, limit: Nanos) -> bool {
        match &self.fd {
            Some(fd) => poll::is_ready(fd.as_fd(), Interest::Read, limit),
            None => {
                clock::rest(limit);
                !is_alive(self.process)
            }
        }
    }
}

/// The content of a file of this process's directory in proc(5). `None` if it does not run.
fn read_of<'a>(pid: u32, file: &str, room: &'a mut [u8]) -> Option<&'a [u8]> {
    small_file::read(Text::<32>::format(format_args!("/proc/{pid}/{file}")).as_str(), room)
}

/// The user of a process: the effective user id of /proc/PID/status (proc(5)). `None` if it does not run or cannot be seen.
pub fn user(pid: u32) -> Option<u32> {
    let mut room = [0; 1024];
    let status = read_of(pid, "status", &mut room)?;
    // A name of a process may be any text, but has no line of its own.
    let at = status.windows(5).position(|part| part == b"\nUid:")?;
    field(&status[at..], b'\t', 2)
}

/// The command, in parts, that stops the service whose main process this is, if it is one, and its own user or root asks.
/// Landlock hides the environment of a process: a confined command sees none.
pub fn stop_command(pid: u32, room: &mut [u8; 1024]) -> Option<[&str; 3]> {
    let mut environment = [0; 4096];
    service::stop_command(read_of(pid, "environ", &mut environment)?, read_of(pid, "cgroup", room)?, pid)
}

/// What tells this boot of the kernel from another one (random(4), boot_id). `None` without /proc.
pub fn boot(room: &mut [u8]) -> Option<&[u8]> {
    small_file::read("/proc/sys/kernel/random/boot_id", room)
}

/// When a process was started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). `None` if it does
/// not run. Field 2 is a name in parentheses that may contain anything, so the fields are counted from its end.
pub fn start_time(pid: u32) -> Option<u32> {
    let mut room = [0; 1024];
    let stat = read_of(pid, "stat", &mut room)?;
    let fields = &stat[stat.iter().rposition(|byte| *byte == b')')?..];
    match fields {
        // A zombie has ended.
        [_, _, b'Z' | b'X', ..] => None,
        _ => field(fields, b' ', 20),
    }
}

/// Ends this process with this exit status, without dropping anything: the kernel frees everything (exit(3)).
pub fn exit(status: u8) -> ! {
    // SAFETY: there is one thread, and no function was registered to be called at the end.
    unsafe { libc::exit(status.into()) }
}

/// Sets the umask to 022, so that every user can read the log (umask(2)).
pub fn set_umask() {
    // SAFETY: umask(2) has a number as its argument and does not fail.
    unsafe { libc::umask(0o022) };
}
