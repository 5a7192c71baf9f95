//! Decoys: processes that have nothing to do with the program, and must never get a signal from it. They block every
//! signal, so that one that was sent stays pending.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::ptr::null_mut;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::Result;

/// A decoy.
pub struct Decoy {
    pub user: u32,
    pub pid: Pid,
    /// Field 22 of /proc/PID/stat.
    pub born: u32,
    /// `None` if it was made by [`Decoy::with_pid`].
    child: Option<Child>,
}

impl Decoy {
    /// A process of this user.
    pub fn new(user: u32) -> Result<Self> {
        let mut command = Command::new("sleep");
        command.arg("1000000").uid(user).gid(user).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: after a fork this makes one system call.
        unsafe { command.pre_exec(|| Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?)) };
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id() as i32);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields = stat.rsplit_once(") ").ok_or("no name in /proc/PID/stat")?.1;
        let born = fields.split(' ').nth(19).ok_or("no field 22 in /proc/PID/stat")?.parse()?;
        Ok(Self { user, pid, born, child: Some(child) })
    }

    /// A process of this user with this pid, which must be free (clone3(2)).
    pub fn with_pid(user: u32, pid: Pid) -> Result<Self> {
        let wanted = [pid.as_raw()];
        // SAFETY: `clone_args` is plain data for which zeroes are a valid value.
        let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
        arguments.exit_signal = libc::SIGCHLD as u64;
        arguments.set_tid = wanted.as_ptr() as u64;
        arguments.set_tid_size = 1;
        // SAFETY: without flags this is fork(2). The child makes system calls only, and never returns.
        match unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) } {
            0 => loop {
                // SAFETY: the arguments are numbers and a live mask.
                unsafe {
                    libc::sigprocmask(libc::SIG_SETMASK, SigSet::all().as_ref(), null_mut());
                    libc::syscall(libc::SYS_setresuid, user, user, user);
                    libc::pause();
                }
            },
            made if made == i64::from(pid.as_raw()) => Ok(Self { user, pid, born: 0, child: None }),
            _ => Err(format!("no process with the pid {pid}: {}", std::io::Error::last_os_error()).into()),
        }
    }

    /// What happened to it: a signal, or its end.
    pub fn harm(&self) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let whose = format!("a foreign process of the user {}", self.user);
        if field("State:").is_none_or(|state| state.starts_with(['Z', 'X'])) {
            return Some(format!("{whose} was killed"));
        }
        let pending = ["SigPnd:", "ShdPnd:"].map(|name| u64::from_str_radix(field(name).unwrap_or_default(), 16));
        let pending = pending.into_iter().filter_map(std::result::Result::ok).fold(0, |all, set| all | set);
        if pending == 0 {
            return None;
        }
        let first = Signal::try_from(pending.trailing_zeros() as i32 + 1);
        Some(format!("{whose} got the signal {}", first.map_or("of an unknown number", Signal::as_str)))
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = match &mut self.child {
            Some(child) => child.wait().map(drop).map_err(drop),
            None => waitpid(self.pid, None).map(drop).map_err(drop),
        };
    }
}
