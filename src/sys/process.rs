//! Processes: forked, signalled, waited for, and told from later ones with the same pid.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering};

use super::by_path::open;
use super::{Errno, descriptor, done, number};
use crate::base::text::Text;
use crate::model::process_id::ProcessId;

/// A child of ours that has not been reaped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child(libc::pid_t);

/// fork(2); gives the child in the process that was there before.
pub(super) fn fork() -> Result<Option<Child>, Errno> {
    // SAFETY: the process has one thread, so the child's heap and locks are in order.
    let child = number(unsafe { libc::fork() })?;
    Ok((child > 0).then_some(Child(child)))
}

/// Ends a child at once. It is reaped like one that died by itself.
pub fn end(child: Child) {
    // It fails only for a child that is gone, and a child that has not been reaped is not.
    let _ = kill(child.0, libc::SIGKILL);
}

/// A child that has ended, if there is one; it is reaped with this.
pub fn reap() -> Option<Child> {
    wait(-1, libc::WNOHANG).ok().filter(|child| *child > 0).map(Child)
}

/// Waits for the end of a child that was ended.
pub fn reap_ended(child: Child) {
    while wait(child.0, 0) == Err(Errno::EINTR) {}
}

fn wait(child: libc::pid_t, options: c_int) -> Result<libc::pid_t, Errno> {
    // SAFETY: how it ended is not asked for.
    number(unsafe { libc::waitpid(child, core::ptr::null_mut(), options) })
}

fn kill(process: libc::pid_t, signal: c_int) -> Result<(), Errno> {
    // SAFETY: a call with numbers.
    done(unsafe { libc::kill(process, signal) })
}

pub(super) fn pid() -> libc::pid_t {
    // SAFETY: getpid(2) takes nothing and does not fail.
    unsafe { libc::getpid() }
}

/// This process. When it was born is looked up once: a confined one cannot any more.
pub fn own() -> ProcessId {
    static PID: AtomicU32 = AtomicU32::new(0);
    static BORN: AtomicU32 = AtomicU32::new(0);
    let pid = pid() as u32;
    if PID.swap(pid, Ordering::Relaxed) != pid {
        BORN.store(birth(pid).unwrap_or(0), Ordering::Relaxed);
    }
    ProcessId { pid, born: BORN.load(Ordering::Relaxed) }
}

/// Whether this very process is there, and not a later one with its pid.
pub fn is_alive(owner: ProcessId) -> bool {
    match birth(owner.pid) {
        Some(born) => born == owner.born,
        // Without /proc the pid is all there is.
        None => owner.born == 0 && owner.pid != 0 && kill(owner.pid as i32, 0) != Err(Errno::ESRCH),
    }
}

/// Asks a process to end (`SIGTERM`).
pub fn terminate(owner: ProcessId) -> Result<(), Errno> {
    kill(owner.pid as i32, libc::SIGTERM)
}

/// When a process was started, in clock ticks since boot: the 22nd field of /proc/PID/stat
/// (proc(5)). The second one is a name in parentheses that may hold anything.
fn birth(pid: u32) -> Option<u32> {
    let mut content = [0; 1024];
    let path = Text::<32>::format(format_args!("/proc/{pid}/stat"));
    let file = open(path.as_str(), libc::O_RDONLY, 0).ok()?;
    let length = descriptor::read(&file, &mut content).ok()?;
    let name_end = content[..length].iter().rposition(|byte| *byte == b')')?;
    let (mut field, mut ticks) = (0, 0_u32);
    for byte in &content[name_end..length] {
        match (field, byte) {
            (_, b' ') => field += 1,
            // One that has ended and waits to be reaped is gone.
            (1, b'Z' | b'X') => return None,
            (20, b'0'..=b'9') => ticks = ticks.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')),
            _ => {}
        }
    }
    (field >= 20).then_some(ticks)
}

/// Lets the files that are made from here on have the modes that are asked for (umask(2)): the
/// log is for everybody to read.
pub fn open_to_all() {
    // SAFETY: a call with a number, which does not fail.
    unsafe { libc::umask(0o022) };
}
