//! strace(1), attached to running processes while a fault lasts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;

/// The longest wait for strace.
const LIMIT: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(5);

/// What strace must do.
#[derive(Default)]
pub struct Order {
    pub pids: Vec<u32>,
    /// Whether new children are traced, too.
    pub follow: bool,
    /// `CALL:error=ERRNO:when=FIRST+`
    pub faults: Vec<String>,
    /// The files to which all this is limited; none: no limit.
    pub files: Vec<PathBuf>,
}

/// An attached strace.
pub struct Strace {
    child: Child,
    log: PathBuf,
    since: Instant,
}

/// What strace saw.
pub struct Trace {
    pub lasted: Duration,
    /// System calls, as lines.
    pub calls: Vec<String>,
    /// How many of them were made to fail.
    pub failed: usize,
}

impl Strace {
    /// Attaches strace; its files go to `dir`. On return the faults are in force.
    pub fn attach(dir: &Path, order: &Order) -> Result<Self> {
        let (log, words) = (dir.join("strace.log"), dir.join("strace.err"));
        let complaints = File::create(&words).map_err(|error| error.to_string())?;
        let mut command = Command::new("strace");
        command.arg("-o").arg(&log).stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints);
        if order.follow {
            command.arg("-f");
        }
        for fault in &order.faults {
            command.args(["-e", &format!("inject={fault}")]);
        }
        for file in &order.files {
            command.arg("-P").arg(file);
        }
        for pid in &order.pids {
            command.args(["-p", &pid.to_string()]);
        }
        let child = command.spawn().map_err(|error| format!("strace does not run: {error}"))?;
        let mut strace = Self { child, log, since: Instant::now() };
        let end = Instant::now() + LIMIT;
        loop {
            let words = fs::read_to_string(&words).unwrap_or_default();
            let refused = words.matches("ptrace(").count();
            let attached = words.matches(" attached").count();
            if attached > 0 && attached + refused >= order.pids.len() {
                break;
            }
            if Instant::now() > end || strace.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(format!("strace does not attach: {}", words.trim_end()));
            }
            thread::sleep(MOMENT);
        }
        strace.since = Instant::now();
        Ok(strace)
    }

    /// Ends the faults.
    pub fn detach(mut self) -> Result<Trace> {
        let lasted = self.since.elapsed();
        // strace may have ended with the traced processes.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        let end = Instant::now() + LIMIT;
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > end {
                return Err("strace does not detach".to_owned());
            }
            thread::sleep(MOMENT);
        }
        let log = fs::read(&self.log).map_err(|error| format!("strace's log: {error}"))?;
        let log = String::from_utf8_lossy(&log);
        let calls: Vec<String> = log.lines().map(without_pid).filter(|line| is_call(line)).map(str::to_owned).collect();
        let failed = calls.iter().filter(|call| call.contains("(INJECTED)")).count();
        Ok(Trace { lasted, calls, failed })
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// If several processes are traced, each line begins with a pid.
fn without_pid(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()
}

/// Not a signal, an exit, or the first half of a call on two lines; and not one of the many closes
/// by which a new helper closes every possible descriptor when close_range(2) fails.
fn is_call(line: &str) -> bool {
    let is_close = line.starts_with("close(") || line.starts_with("<... close resumed");
    let is_blind_close = is_close && line.ends_with("(Bad file descriptor)");
    !line.starts_with("---") && !line.starts_with("+++") && !line.ends_with("<unfinished ...>") && !is_blind_close
}
