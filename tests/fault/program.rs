//! The program, started in a temporary directory.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::Result;
use crate::scratch;
use crate::services::Services;

const MOMENT: Duration = Duration::from_millis(20);

/// The program, or the shell that executes it. It is killed when this is dropped, and ends by itself
/// after a minute.
pub struct Program {
    child: Child,
    dir: TempDir,
    pub started: Instant,
}

impl Program {
    /// Starts the program with the configuration of these services.
    pub fn start(services: &Services) -> Result<Self> {
        Self::spawn(services, Command::new(env!("CARGO_BIN_EXE_tcpmon")))
    }

    /// The same, but stopped just before exec: [`Program::go_on`] continues it.
    pub fn start_stopped(services: &Services) -> Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "kill -STOP $$; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_tcpmon")]);
        let mut program = Self::spawn(services, shell)?;
        program.wait_for("a stopped shell", |program| program.state() == Some('T'))?;
        program.started = Instant::now();
        Ok(program)
    }

    fn spawn(services: &Services, mut command: Command) -> Result<Self> {
        let dir = scratch::temporary().map_err(|error| format!("no temporary directory: {error}"))?;
        let file = |name| File::create(dir.path().join(name)).map_err(|error| format!("{name}: {error}"));
        fs::write(dir.path().join("tcpmon.conf"), services.configuration()?).map_err(|error| error.to_string())?;
        command.args(["-c", "tcpmon.conf", "--for", "60s"]).current_dir(dir.path()).env("TZ", "UTC");
        command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("err")?);
        let child = command.spawn().map_err(|error| format!("the program does not start: {error}"))?;
        Ok(Self { child, dir, started: Instant::now() })
    }

    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pids of its helpers.
    pub fn helpers(&self) -> Vec<u32> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it wrote to `out` or `err` so far.
    pub fn words(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.dir().join(name)).unwrap_or_default()).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        // The program may have ended already: the run's verdict shows that.
        let _ = kill(Pid::from_raw(self.pid() as i32), signal);
    }

    /// Seconds of CPU time, in ticks of 10 ms (proc_pid_stat(5)).
    pub fn cpu(&self) -> f64 {
        let numbers = |stat: &str| {
            let words: Vec<u64> = stat.split(' ').skip(11).take(2).filter_map(|word| word.parse().ok()).collect();
            words.iter().sum::<u64>() as f64 / 100.0
        };
        self.stat().map_or(0.0, |stat| numbers(&stat))
    }

    fn state(&self) -> Option<char> {
        self.stat()?.chars().next()
    }

    /// The fields of /proc/PID/stat from the state on.
    fn stat(&self) -> Option<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned())
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for a condition.
    pub fn wait_for(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) -> Result {
        const LIMIT: Duration = Duration::from_secs(20);
        let end = Instant::now() + LIMIT;
        while !is_so(self) {
            if Instant::now() > end {
                return Err(format!("waited {LIMIT:?} for {what}"));
            }
            thread::sleep(MOMENT);
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
