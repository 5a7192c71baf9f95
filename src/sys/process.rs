//! Processes: forking, signalling, waiting, and telling a process from a later one with the same pid.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering};

use super::by_path::open;
use super::{Errno, descriptor, done, number};
use crate::base::text::Text;
use crate::model::process_id::ProcessId;

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
    wait(-1, libc::WNOHANG).ok().filter(|child| *child > 0).map(Child)
}

/// Waits until a killed child has ended, and reaps it.
pub fn reap_ended(child: Child) {
    while wait(child.0, 0) == Err(Errno::EINTR) {}
}

fn wait(child: libc::pid_t, options: c_int) -> Result<libc::pid_t, Errno> {
    // SAFETY: a null pointer means that the child's status is not asked for.
    number(unsafe { libc::waitpid(child, core::ptr::null_mut(), options) })
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

/// Sends `SIGTERM`.
pub fn terminate(owner: ProcessId) -> Result<(), Errno> {
    kill(owner.pid as i32, libc::SIGTERM)
}

/// When a process was started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). `None` if it does
/// not run. Field 2 is a name in parentheses that may contain anything, so the fields are counted from its end.
fn start_time(pid: u32) -> Option<u32> {
    let mut content = [0; 1024];
    let path = Text::<32>::format(format_args!("/proc/{pid}/stat"));
    let file = open(path.as_str(), libc::O_RDONLY, 0).ok()?;
    let length = descriptor::read(&file, &mut content).ok()?;
    let name_end = content[..length].iter().rposition(|byte| *byte == b')')?;
    let (mut field, mut ticks) = (0, 0_u32);
    for byte in &content[name_end..length] {
        match (field, byte) {
            (_, b' ') => field += 1,
            // A zombie has ended.
            (1, b'Z' | b'X') => return None,
            (20, b'0'..=b'9') => ticks = ticks.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')),
            _ => {}
        }
    }
    (field >= 20).then_some(ticks)
}

/// Sets the umask to 022, so that every user can read the log (umask(2)).
pub fn set_umask() {
    // SAFETY: umask(2) has a number as its argument and does not fail.
    unsafe { libc::umask(0o022) };
}
