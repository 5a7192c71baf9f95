//! One run of the program, alone, or under strace(1) for a kill at a system call.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::run_dir::RunDir;
use crate::trace::Trace;
use crate::{Result, wait_for};

/// How long strace holds a process after a call, so that it can be killed there.
const HOLD: &str = "60s";

/// Whether the process is killed before or after a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The call has not been made.
    Before,
    /// The call has been made, and not one instruction after it.
    After,
}

/// Where a process is killed: at the `nth` call of this name, from 1.
#[derive(Clone, Debug)]
pub struct Kill {
    pub side: Side,
    pub call: String,
    pub nth: u32,
}

impl std::fmt::Display for Kill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        write!(f, "{side} {} {}", self.call, self.nth)
    }
}

/// How the program is started.
#[derive(Clone, Copy)]
pub enum Manner<'a> {
    Alone,
    /// Under strace, not killed.
    Traced,
    /// Under strace, and killed at this call.
    Killed(&'a Kill),
    /// The same, or without a kill, while the disk is full.
    FullDisk(Option<&'a Kill>),
}

/// A run in a directory. Its output goes to the files `out` and `err`.
pub struct Run<'a> {
    child: Child,
    dir: &'a RunDir,
    traced: bool,
    held: bool,
}

impl<'a> Run<'a> {
    /// Starts it with these arguments, separated by blanks.
    pub fn start(binary: &Path, dir: &'a RunDir, arguments: &str, manner: Manner<'_>) -> Result<Self> {
        let _ = fs::remove_file(dir.file("trace"));
        let traced = !matches!(manner, Manner::Alone);
        let killed = match manner {
            Manner::Killed(kill) => Some(kill),
            Manner::FullDisk(kill) => kill,
            Manner::Alone | Manner::Traced => None,
        };
        let mut command = if traced {
            // -D: strace is the grandchild, so that the program is our child, with no strace as its own child.
            let mut strace = Command::new("strace");
            strace.args(["-D", "-o", "trace"]);
            // Blocks are reserved before a write.
            if matches!(manner, Manner::FullDisk(_)) && killed.is_none_or(|kill| kill.call != "fallocate") {
                strace.args(["-e", "inject=fallocate:error=ENOSPC"]);
            }
            if let Some(Kill { side, call, nth }) = killed {
                let what = match side {
                    Side::Before => "signal=KILL".to_owned(),
                    Side::After => format!("delay_exit={HOLD}"),
                };
                strace.args(["-e", &format!("inject={call}:{what}:when={nth}")]);
            }
            strace.arg("--").arg(binary);
            strace
        } else {
            Command::new(binary)
        };
        command.args(arguments.split_whitespace()).current_dir(dir.path());
        // Cargo sets it: the loader would make a call for each of its directories.
        command.env_remove("LD_LIBRARY_PATH");
        command.env("TZ", dir.time_zone()).env("LC_ALL", "C").stdin(Stdio::null());
        command.stdout(fs::File::create(dir.file("out"))?).stderr(fs::File::create(dir.file("err"))?);
        let die_with_the_test = || Ok(prctl::set_pdeathsig(Signal::SIGKILL)?);
        // SAFETY: after a fork in a process with threads, prctl is allowed: it is one system call.
        unsafe { command.pre_exec(die_with_the_test) };
        let child = command.spawn()?;
        let held = killed.is_some_and(|kill| kill.side == Side::After);
        Ok(Self { child, dir, traced, held })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. The child has not been waited for, so its pid is not reused.
    pub fn signal(&self, signal: Signal) -> Result {
        Ok(signal::kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Whether the process sleeps, which it does only in poll (proc_pid_stat(5)).
    pub fn is_asleep(&self) -> Result<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        Ok(stat.rsplit(')').next().is_some_and(|behind_its_name| behind_its_name.starts_with(" S")))
    }

    /// The exit status, if the process has ended. If strace holds it after the call, it is killed first.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.held && Trace::is_held(&self.dir.read("trace")?) {
            return self.kill().map(Some);
        }
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        if self.traced {
            wait_for("strace ends", || Ok(Trace::is_whole(&self.dir.read("trace")?)))?;
        }
        Ok(Some(status))
    }

    /// Kills the process now.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        let tracer = if self.traced { self.tracer() } else { None };
        self.child.kill()?;
        // Otherwise strace would hold the process for all of `HOLD`.
        if let Some(tracer) = tracer {
            // strace may have ended already.
            let _ = signal::kill(tracer, Signal::SIGKILL);
        }
        Ok(self.child.wait()?)
    }

    /// The pid of the strace that traces it, if both still run.
    fn tracer(&self) -> Option<Pid> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok());
        tracer.filter(|tracer| *tracer > 1).map(Pid::from_raw)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.kill();
        }
    }
}
