//! One run of the program, alone or under strace(1), which kills it at a system call.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::place::Place;
use crate::trace::Trace;
use crate::{Result, patience};

/// How long strace holds a process behind a call, so that it can be killed there.
const HOLD: &str = "60s";

/// On which side of a system call the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The call has not been made.
    Before,
    /// The call has been made, and not one instruction behind it.
    Behind,
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
            Side::Behind => "behind",
        };
        write!(f, "{side} {} {}", self.call, self.nth)
    }
}

/// How the program is started.
#[derive(Clone, Copy)]
pub enum Manner<'a> {
    Alone,
    /// Under strace, unhurt.
    Traced,
    /// Under strace, and killed there.
    Killed(&'a Kill),
}

/// A run that has been started in a place. What it says goes to the files `out` and `err`.
pub struct Run<'a> {
    child: Child,
    place: &'a Place,
    traced: bool,
    held: bool,
}

impl<'a> Run<'a> {
    /// Starts it with these arguments, separated by blanks.
    pub fn start(binary: &Path, place: &'a Place, arguments: &str, manner: Manner<'_>) -> Result<Self> {
        let _ = fs::remove_file(place.file("trace"));
        let traced = !matches!(manner, Manner::Alone);
        let mut command = if traced {
            // As a grandchild it traces the program, which is our child and has no other children.
            let mut strace = Command::new("strace");
            strace.args(["-D", "-o", "trace"]);
            if let Manner::Killed(Kill { side, call, nth }) = manner {
                let what = match side {
                    Side::Before => "signal=KILL".to_owned(),
                    Side::Behind => format!("delay_exit={HOLD}"),
                };
                strace.args(["-e", &format!("inject={call}:{what}:when={nth}")]);
            }
            strace.arg("--").arg(binary);
            strace
        } else {
            Command::new(binary)
        };
        command.args(arguments.split_whitespace()).current_dir(place.path());
        // Cargo's: the loader would make a call for each directory that it names.
        command.env_remove("LD_LIBRARY_PATH");
        command.env("TZ", "UTC").env("LC_ALL", "C").stdin(Stdio::null());
        command.stdout(fs::File::create(place.file("out"))?).stderr(fs::File::create(place.file("err"))?);
        let die_with_the_test = || Ok(prctl::set_pdeathsig(Signal::SIGKILL)?);
        // SAFETY: prctl is one system call, which the child of a process with threads may make.
        unsafe { command.pre_exec(die_with_the_test) };
        let child = command.spawn()?;
        let held = matches!(manner, Manner::Killed(Kill { side: Side::Behind, .. }));
        Ok(Self { child, place, traced, held })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. It has not been waited for, so that its number is its own.
    pub fn signal(&self, signal: Signal) -> Result {
        Ok(signal::kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Whether it sleeps, which it does in poll alone (proc_pid_stat(5)).
    pub fn is_asleep(&self) -> Result<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        Ok(stat.rsplit(')').next().is_some_and(|behind_its_name| behind_its_name.starts_with(" S")))
    }

    /// How it ended, if it has. Where strace holds it at the call to be killed at, it is killed.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.held && Trace::is_held(&self.place.read("trace")?) {
            return self.kill().map(Some);
        }
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        if self.traced {
            patience("strace ends", || Ok(Trace::is_whole(&self.place.read("trace")?)))?;
        }
        Ok(Some(status))
    }

    /// Kills it now.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        let tracer = if self.traced { self.tracer() } else { None };
        self.child.kill()?;
        // strace would not let go before it has held the process for long enough.
        if let Some(tracer) = tracer {
            // It may have seen the end before.
            let _ = signal::kill(tracer, Signal::SIGKILL);
        }
        Ok(self.child.wait()?)
    }

    /// The strace that was started with it, if both are there.
    fn tracer(&self) -> Option<Pid> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok());
        tracer.filter(|tracer| *tracer > 1).map(Pid::from_raw)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // Where it was waited for, there is nothing to end.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.kill();
        }
    }
}
