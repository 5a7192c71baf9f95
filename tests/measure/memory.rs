//! Private memory, `Private_*` of smaps_rollup (proc(5)), of a monitor with twenty names to look up
//! and of its helpers; and of 300 helpers while no name server answers.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run_dir::RunDir;
use crate::{Result, listeners, name_of, name_server, namespace};

/// The argument of the process inside the namespace.
pub const INSIDE: &str = "memory";

/// At most so many runs of an idle monitor.
const RUNS: usize = 3;

const NAMES: usize = 20;
/// Rounds in the daily log before the measurement: reports have been written by then.
const ROUNDS: u64 = 5;
/// With the default interval and timeout so many names need so many helpers while no name server answers.
const BUSY_NAMES: u16 = 100;
const BUSY: usize = 300;
const LIMIT: Duration = Duration::from_secs(60);

/// The bounds, in KiB: of a monitor, of one that also writes times and events, and of a helper.
const MONITOR: u64 = 256;
const WITH_EVENTS: u64 = 320;
const HELPER: u64 = 64;

/// Measures in a new namespace with its own name server.
pub fn measure(binary: &Path) -> Result {
    namespace::enter(&[INSIDE.to_owned(), binary.display().to_string()])
}

/// The measurement itself.
pub fn measure_inside(binary: &Path) -> Result {
    namespace::set_up()?;
    name_server::start()?;
    measure_idle(binary, &[], MONITOR)?;
    measure_idle(binary, &["--times", "on", "--events", "on"], WITH_EVENTS)?;
    measure_busy(binary)
}

/// All helpers together while no name server answers.
fn measure_busy(binary: &Path) -> Result {
    let dir = RunDir::new((1..=BUSY_NAMES).map(|port| (name_server::SILENT, port)))?;
    let mut monitor = Command::new(binary);
    let mut monitor = monitor.arg("-q").current_dir(dir.path()).stdin(Stdio::null()).spawn();
    let monitor = monitor.as_mut().map_err(|error| format!("{}: {error}", name_of(binary)))?;
    let end = Instant::now() + LIMIT;
    let seen = loop {
        let helpers = children(monitor.id())?;
        if helpers.len() >= BUSY {
            break helpers.iter().map(|pid| private(pid)).collect::<Result<Vec<_>>>();
        }
        if Instant::now() > end {
            break Err(format!("there are {} helpers and not {BUSY}", helpers.len()));
        }
        thread::sleep(Duration::from_millis(10));
    };
    let _ = kill(Pid::from_raw(monitor.id() as i32), Signal::SIGTERM);
    let ended = monitor.wait().map_err(|error| error.to_string())?;
    let helpers = seen?;
    let (count, together) = (helpers.len() as u64, helpers.iter().sum::<u64>());
    println!("busy helpers together    {together:>4} (bound {}) of {count}", count * HELPER);
    if !ended.success() || together > count * HELPER { Err("more memory than allowed".to_owned()) } else { Ok(()) }
}

/// The smallest of some runs: pages of the program's file count as private while no other process has read them, and the
/// kernel maps up to 64 KB of them around one that is read.
fn measure_idle(binary: &Path, options: &[&str], bound: u64) -> Result {
    println!("private memory of {} with {NAMES} names, KiB {}", name_of(binary), options.join(" "));
    let mut measured = Ok(());
    for _ in 0..RUNS {
        measured = measure_idle_run(binary, options, bound);
        if measured.is_ok() {
            break;
        }
    }
    measured
}

fn measure_idle_run(binary: &Path, options: &[&str], bound: u64) -> Result {
    let ports = listeners::open(NAMES)?;
    let dir = RunDir::new(ports.iter().map(|port| (name_server::NAME, *port)))?;
    let mut monitor = Command::new(binary);
    monitor.args(["-q", "--interval", "1s", "--report", "2s"]).args(options).current_dir(dir.path());
    let mut monitor = monitor.stdin(Stdio::null()).spawn().map_err(|error| format!("{}: {error}", name_of(binary)))?;
    let seen = read_when_idle(&dir, &monitor);
    let _ = kill(Pid::from_raw(monitor.id() as i32), Signal::SIGTERM);
    let ended = monitor.wait().map_err(|error| error.to_string())?;
    let (own, helpers) = seen?;
    if !ended.success() {
        return Err(format!("{} ended with {ended}", name_of(binary)));
    }
    let most = helpers.iter().copied().max().ok_or("there is no helper, though names are looked up")?;
    println!("monitor                  {own:>4} (bound {bound})");
    println!("idle helper, largest     {most:>4} (bound {HELPER}) of {}", helpers.len());
    if own > bound || most > HELPER { Err("more memory than allowed".to_owned()) } else { Ok(()) }
}

/// Waits for reports. Returns the private KiB of the monitor and of each helper.
fn read_when_idle(dir: &RunDir, monitor: &Child) -> Result<(u64, Vec<u64>)> {
    let end = Instant::now() + LIMIT;
    while dir.probes()? < NAMES as u64 * ROUNDS {
        if Instant::now() > end {
            return Err("the monitor does not probe".to_owned());
        }
        thread::sleep(Duration::from_millis(100));
    }
    // A helper is idle almost always: a lookup needs less than a millisecond of each second.
    let helpers = children(monitor.id())?.iter().map(|pid| private(pid)).collect::<Result<_>>()?;
    Ok((private(&monitor.id().to_string())?, helpers))
}

fn children(pid: u32) -> Result<Vec<String>> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(children.split_whitespace().map(str::to_owned).collect())
}

/// Private memory of a process, in KiB.
fn private(pid: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    lines.map(|line| line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).ok_or(path.clone())).sum()
}
