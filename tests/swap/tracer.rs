//! Runs processes under ptrace(2) and stops them at the entry and at the exit of every system call.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Result;

/// What a process does. It is stopped there, except after [`Event::Ended`], until [`Tracer::go_on`].
pub enum Event {
    /// It is about to make a call.
    Entry { pid: Pid, number: i64, arguments: [u64; 6] },
    /// The call has been made.
    Exit { pid: Pid, result: i64 },
    /// It has forked.
    Forked { parent: Pid, child: Pid },
    /// It has ended, by this signal if by one.
    Ended { pid: Pid, signal: Option<Signal> },
}

/// The processes that are traced.
#[derive(Default)]
pub struct Tracer {
    traced: BTreeSet<Pid>,
    /// Children that were seen before their parent's fork was.
    early: BTreeSet<Pid>,
}

impl Tracer {
    /// Starts a process. It goes on up to its first call.
    pub fn launch(&mut self, command: &mut Command) -> Result<Pid> {
        // SAFETY: after a fork this makes one system call.
        unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
        let pid = Pid::from_raw(command.spawn()?.id() as i32);
        match waitpid(pid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            other => return Err(format!("the program did not start: {other:?}").into()),
        }
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(pid, options)?;
        self.traced.insert(pid);
        self.go_on(pid);
        Ok(pid)
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self, pid: Pid) {
        // An error: it was killed meanwhile, which the next event says.
        let _ = ptrace::syscall(pid, None);
    }

    /// The next event; `None` if there is none until then.
    pub fn next(&mut self, deadline: Instant) -> Result<Option<Event>> {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {
                    if !wait_for_child(deadline) {
                        return Ok(None);
                    }
                    continue;
                }
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            match status {
                WaitStatus::PtraceSyscall(pid) => {
                    if let Some(event) = self.call(pid) {
                        return Ok(Some(event));
                    }
                }
                WaitStatus::PtraceEvent(parent, _, _) => {
                    let Ok(child) = ptrace::getevent(parent) else { continue };
                    let child = Pid::from_raw(child as i32);
                    self.traced.insert(child);
                    if self.early.remove(&child) {
                        self.go_on(child);
                    }
                    return Ok(Some(Event::Forked { parent, child }));
                }
                WaitStatus::Stopped(pid, Signal::SIGSTOP) if !self.traced.contains(&pid) => {
                    self.early.insert(pid);
                }
                // A new child begins with it.
                WaitStatus::Stopped(pid, Signal::SIGSTOP) => self.go_on(pid),
                WaitStatus::Stopped(pid, signal) => {
                    let _ = ptrace::syscall(pid, signal);
                }
                WaitStatus::Exited(pid, _) if self.traced.remove(&pid) => {
                    return Ok(Some(Event::Ended { pid, signal: None }));
                }
                WaitStatus::Signaled(pid, signal, _) if self.traced.remove(&pid) => {
                    return Ok(Some(Event::Ended { pid, signal: Some(signal) }));
                }
                _ => {}
            }
        }
    }

    fn call(&self, pid: Pid) -> Option<Event> {
        // An error: it was killed meanwhile.
        let info = ptrace::syscall_info(pid).ok()?;
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: the kernel has filled this part of the union in.
                let entry = unsafe { info.u.entry };
                Some(Event::Entry { pid, number: entry.nr as i64, arguments: entry.args })
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                // SAFETY: the kernel has filled this part of the union in.
                let exit = unsafe { info.u.exit };
                Some(Event::Exit { pid, result: exit.sval })
            }
            _ => {
                self.go_on(pid);
                None
            }
        }
    }

    /// Whether this process is traced and has not ended.
    pub fn traces(&self, pid: Pid) -> bool {
        self.traced.contains(&pid)
    }

    /// Kills one process, and waits until its pid is free.
    pub fn kill(&mut self, pid: Pid) {
        let _ = kill(pid, Signal::SIGKILL);
        while self.traced.contains(&pid) {
            match waitpid(pid, Some(WaitPidFlag::__WALL)) {
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD) => {
                    self.traced.remove(&pid);
                }
                Ok(_) => self.go_on(pid),
                Err(_) => {}
            }
        }
    }

    /// Kills all processes.
    pub fn kill_all(&mut self) {
        let mut early = std::mem::take(&mut self.early);
        self.traced.append(&mut early);
        while let Some(pid) = self.traced.first().copied() {
            self.kill(pid);
        }
    }
}

/// Waits until a child may have changed, at most until then. Needs SIGCHLD blocked. Returns whether it may have.
fn wait_for_child(deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return false;
    }
    let time = libc::timespec { tv_sec: left.as_secs() as libc::time_t, tv_nsec: left.subsec_nanos().into() };
    let mut child = SigSet::empty();
    child.add(Signal::SIGCHLD);
    // SAFETY: both are live; a null pointer means that the details are not asked for.
    unsafe { libc::sigtimedwait(child.as_ref(), std::ptr::null_mut(), &raw const time) };
    true
}

/// The text at this address of a stopped process, without its NUL.
pub fn text(pid: Pid, address: u64) -> Option<String> {
    let mut bytes = memory(pid, address, libc::PATH_MAX as usize)?;
    bytes.truncate(bytes.iter().position(|byte| *byte == 0)?);
    String::from_utf8(bytes).ok()
}

/// At most this many bytes at this address of a stopped process.
pub fn memory(pid: Pid, address: u64, most: usize) -> Option<Vec<u8>> {
    let file = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = vec![0; most];
    let length = file.read_at(&mut bytes, address).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
