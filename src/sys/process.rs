//! Helper processes: forked, confined, ended and reaped; and the limit on descriptors.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::path::open;
use super::{Errno, done, file, net, number, sandbox, signal};
use crate::ledger::Owner;
use crate::text::Text;

/// A child of ours that has not been reaped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child(libc::pid_t);

/// Forks a helper that runs `serve` with its end of a packet socket pair, and ends with it.
/// Gives the child and our end.
pub fn spawn(serve: fn(&OwnedFd)) -> Result<(Child, OwnedFd), Errno> {
    let (ours, theirs) = net::pair()?;
    let parent = pid();
    if let Some(child) = fork()? {
        return Ok((child, ours));
    }
    if let Ok(socket) = confine(&theirs, parent) {
        serve(&socket);
    }
    // SAFETY: always sound; it runs no destructors and no atexit handlers, which are the
    // monitor's.
    unsafe { libc::_exit(0) }
}

/// fork(2); gives the child in the process that was there before.
fn fork() -> Result<Option<Child>, Errno> {
    // SAFETY: the process has one thread, so the child's heap and locks are in order.
    let child = number(unsafe { libc::fork() })?;
    Ok((child > 0).then_some(Child(child)))
}

/// Cuts the child off from the monitor's signals, descriptors and death.
fn confine(socket: &OwnedFd, parent: libc::pid_t) -> Result<OwnedFd, Errno> {
    // SAFETY: prctl(2) with a number.
    done(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL) } as c_int)?;
    // SAFETY: getppid(2) takes nothing and does not fail.
    if unsafe { libc::getppid() } != parent {
        // The monitor died between the fork and the line above.
        return Err(Errno::ESRCH);
    }
    // SAFETY: prctl(2) with a text that ends with a NUL and lives for ever.
    unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NAME, c"tcpmon-helper".as_ptr()) };
    signal::reset_in_helper()?;
    // The pair becomes descriptor 0, and everything else goes.
    copy(socket, 0)?;
    sandbox::keep_to_files();
    close_from(1);
    sandbox::keep_to_calls();
    // SAFETY: descriptor 0 was made just above, and nobody else owns it: whatever had that number
    // in the monitor is never used in this process again.
    Ok(unsafe { OwnedFd::from_raw_fd(0) })
}

/// Gives a file this descriptor, too (dup2(2)). An owner of that number may not be used any more.
fn copy(file: &OwnedFd, number: c_int) -> Result<(), Errno> {
    // SAFETY: a call with numbers.
    done(unsafe { libc::dup2(file.as_raw_fd(), number) })
}

/// Closes every descriptor from `first` on. Owners of them may not be used any more.
fn close_from(first: libc::c_uint) {
    // SAFETY: close_range(2) with numbers; the libc crate has no wrapper for musl.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Linux before 5.9: no descriptor lies above the limit.
    let limit = descriptor_limits().map_or(65_536, |[limit, _]| limit);
    for fd in first..limit.min(1 << 20) as libc::c_uint {
        // SAFETY: closing a number; what it may have belonged to is never used in this process.
        unsafe { libc::close(fd as c_int) };
    }
}

/// Sends one packet; never blocks and never raises `SIGPIPE`.
pub fn send_packet(socket: &OwnedFd, packet: &[u8]) -> Result<(), Errno> {
    net::send(socket, packet).map(drop)
}

/// The next packet, if one is there; 0 bytes where the other end is gone.
pub fn receive_packet(socket: &OwnedFd, packet: &mut [u8]) -> Result<usize, Errno> {
    net::receive(socket, packet, libc::MSG_DONTWAIT)
}

/// Waits for the next packet; 0 bytes where the other end is gone.
pub fn await_packet(socket: &OwnedFd, packet: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match net::receive(socket, packet, 0) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
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
pub fn own() -> Owner {
    static PID: AtomicU32 = AtomicU32::new(0);
    static BORN: AtomicU32 = AtomicU32::new(0);
    let pid = pid() as u32;
    if PID.swap(pid, Ordering::Relaxed) != pid {
        BORN.store(birth(pid).unwrap_or(0), Ordering::Relaxed);
    }
    Owner { pid, born: BORN.load(Ordering::Relaxed) }
}

/// Whether this very process is there, and not a later one with its pid.
pub fn is_alive(owner: Owner) -> bool {
    match birth(owner.pid) {
        Some(born) => born == owner.born,
        // Without /proc the pid is all there is.
        None => owner.born == 0 && owner.pid != 0 && kill(owner.pid as i32, 0) != Err(Errno::ESRCH),
    }
}

/// Asks a process to end (`SIGTERM`).
pub fn terminate(owner: Owner) -> Result<(), Errno> {
    kill(owner.pid as i32, libc::SIGTERM)
}

/// When a process was started, in clock ticks since boot: the 22nd field of /proc/PID/stat
/// (proc(5)). The second one is a name in parentheses that may hold anything.
fn birth(pid: u32) -> Option<u32> {
    let mut content = [0; 1024];
    let path = Text::<32>::format(format_args!("/proc/{pid}/stat"));
    let file = open(path.as_str(), libc::O_RDONLY, 0).ok()?;
    let length = file::read(&file, &mut content).ok()?;
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

/// Which of two processes one is.
#[derive(Debug)]
pub enum Fork {
    /// The one that was started, and whether the other one is under way.
    Foreground {
        /// It has said so.
        started: bool,
    },
    /// The one that goes on.
    Background(Starter),
}

/// The way to tell whoever started us that we are under way.
#[derive(Debug)]
pub struct Starter(OwnedFd);

impl Starter {
    /// Tells.
    pub fn tell_started(self) {
        // Where nobody listens any more nobody wants to know.
        let _ = net::send(&self.0, b"s");
    }
}

/// Goes on in a process of its own, in a session of its own, without a terminal and without the
/// standard descriptors. The one that was started waits until the other is under way or has ended.
pub fn go_to_background() -> Result<Fork, Errno> {
    let null = open("/dev/null", libc::O_RDWR, 0)?;
    let (reader, writer) = net::pair()?;
    if fork()?.is_some() {
        drop(writer);
        // Whoever waits with us may lose patience.
        signal::unblock();
        let mut told = [0];
        return Ok(Fork::Foreground { started: await_packet(&reader, &mut told) == Ok(1) });
    }
    // SAFETY: setsid(2) takes nothing.
    number(unsafe { libc::setsid() })?;
    for standard in 0..=2 {
        copy(&null, standard)?;
    }
    Ok(Fork::Background(Starter(writer)))
}

/// Closes what whoever started us left open beyond the standard descriptors: a lock or a pipe of
/// theirs is not to be held for years. Nothing may be open yet that is to be used.
pub fn close_inherited() {
    close_from(3);
}

/// How many descriptors may be open, and how many that can be raised to (prlimit(2)).
pub(super) fn descriptor_limits() -> Result<[u64; 2], Errno> {
    let mut limits = [0; 2];
    limit_descriptors(None, Some(&mut limits))?;
    Ok(limits)
}

/// The system call itself: it has 64 bits everywhere, and musl's setrlimit(3) brings along what changes
/// the limit in every thread.
fn limit_descriptors(new: Option<&[u64; 2]>, old: Option<&mut [u64; 2]>) -> Result<(), Errno> {
    let new = new.map_or(core::ptr::null(), core::ptr::from_ref);
    let old = old.map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: each of them is null or live, and of the form of `struct rlimit64`.
    done(unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, new, old) } as c_int)
}

/// Raises the limit on descriptors to `needed` if it is lower and the hard limit allows it.
/// Gives the limit then in force.
pub fn raise_descriptor_limit(needed: u64) -> Result<u64, Errno> {
    let [soft, hard] = descriptor_limits()?;
    if soft >= needed {
        return Ok(soft);
    }
    let raised = needed.min(hard);
    limit_descriptors(Some(&[raised, hard]), None)?;
    Ok(raised)
}
