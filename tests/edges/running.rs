//! Runs of the program: in a temporary directory, with the output collected and the daily log read.
//!
//! Every process that a test started ends with the test, however the test ends. Nothing here sleeps
//! for a fixed time: tests wait for a condition, and after a generous limit fail and name it.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::clock::{self, wait_until};
use crate::scratch;

/// More than any run needs: a run that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A temporary directory in which the program runs and writes its log.
pub struct RunDir(TempDir);

impl RunDir {
    pub fn new() -> Self {
        Self(scratch::temporary().expect("a temporary directory"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file in our own directory");
    }

    /// Starts the program with these arguments, separated by spaces.
    pub fn start(&self, arguments: &str) -> Running {
        self.start_with(arguments, Stdio::piped())
    }

    /// The same, with this standard output.
    pub fn start_with(&self, arguments: &str, stdout: Stdio) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
        command.args(arguments.split_whitespace());
        self.spawn(command, stdout)
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &str) -> Ended {
        self.start(arguments).wait()
    }

    /// Starts a command that executes the program.
    pub fn spawn(&self, mut command: Command, stdout: Stdio) -> Running {
        command.current_dir(self.path()).env("TZ", "UTC").stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        let die_with_the_test = || Ok(prctl::set_pdeathsig(Signal::SIGKILL)?);
        // SAFETY: prctl is one system call, which the child of a process with threads may make.
        unsafe { command.pre_exec(die_with_the_test) };
        let started = clock::now();
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().map(Transcript::of).unwrap_or_default();
        let stderr = child.stderr.take().map(Transcript::of).unwrap_or_default();
        Running { child, started, stdout, stderr }
    }

    /// A guard for a run in the background here: dropping it stops the run.
    pub fn background(&self) -> Background<'_> {
        Background(self)
    }

    /// The daily logs in it, oldest first.
    pub fn logs(&self) -> Vec<PathBuf> {
        logs_in(self.path())
    }

    /// The rows of all daily logs in it.
    pub fn rows(&self) -> Vec<Row> {
        rows_in(self.path())
    }

    /// The counts of a service over all reports in the log, see [`sum`].
    pub fn counted(&self, service: &str) -> String {
        sum(&self.rows(), service)
    }
}

/// A run that `tcpmon start` has started in a directory.
pub struct Background<'a>(&'a RunDir);

impl Background<'_> {
    pub fn is_running(&self) -> bool {
        self.0.run("status --json").json()["running"] == true
    }
}

impl Drop for Background<'_> {
    fn drop(&mut self) {
        // After a failed test nothing stays running.
        let mut stop = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
        let _ = stop.arg("stop").current_dir(self.0.path()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The daily logs in a directory, oldest first.
pub fn logs_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut logs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let date = name.strip_prefix("tcp_stats_").and_then(|rest| rest.strip_suffix(".log"));
            date.is_some_and(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    logs.sort();
    logs
}

/// The rows of all daily logs in a directory. A new file may still be empty.
pub fn rows_in(directory: &Path) -> Vec<Row> {
    let texts = logs_in(directory).into_iter().map(|log| fs::read_to_string(log).expect("a log is text"));
    texts.filter(|text| !text.is_empty()).flat_map(|text| rows_of(&text)).collect()
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `2025-10-09 14:30:00`
    pub stamp: String,
    pub service: String,
    /// Conn<1s, Conn1-5s, DNS<1s, DNS1-5s, DNSFail, ConnFailed, Total.
    pub numbers: [u64; 7],
}

/// The rows of a whole table, which begins with its header. Each row is checked.
pub fn rows_of(table: &str) -> Vec<Row> {
    let (header, rows) = table.split_once('\n').unwrap_or_else(|| panic!("no header: {table:?}"));
    assert!(header.starts_with("Timestamp           | Service  "), "no header: {header:?}");
    assert!(rows.is_empty() || rows.ends_with('\n'), "half a row: {rows:?}");
    let bars = |line: &str| line.chars().enumerate().filter(|(_, c)| *c == '|').map(|(at, _)| at).collect::<Vec<_>>();
    rows.lines()
        .map(|row| {
            assert_eq!(bars(row), bars(header), "out of line:\n{header}\n{row}");
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let mut numbers = [0; 7];
            for (number, cell) in numbers.iter_mut().zip(&cells[2..]) {
                *number = cell.parse().unwrap_or_else(|_| panic!("not a number in {row:?}"));
            }
            let [conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total] = numbers;
            assert_eq!(conn_fast + conn_slow + conn_failed + dns_fail, total, "does not add up: {row}");
            assert_eq!(dns_fast + dns_slow + dns_fail, total, "does not add up: {row}");
            Row { stamp: cells[0].to_owned(), service: cells[1].to_owned(), numbers }
        })
        .collect()
}

/// The sum of the rows of one service, in the table's form without its padding:
/// `Conn<1s | Conn1-5s | DNS<1s | DNS1-5s | DNSFail | ConnFailed | Total`.
pub fn sum(rows: &[Row], service: &str) -> String {
    let mut numbers = [0; 7];
    for row in rows.iter().filter(|row| row.service == service) {
        for (sum, number) in numbers.iter_mut().zip(row.numbers) {
            *sum += number;
        }
    }
    numbers.map(|number| number.to_string()).join(" | ")
}

/// The column `Total` of [`sum`].
pub fn total(rows: &[Row], service: &str) -> u64 {
    rows.iter().filter(|row| row.service == service).map(|row| row.numbers[6]).sum()
}

/// The output of a stream so far.
#[derive(Default)]
struct Transcript {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Transcript {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = thread::spawn({
            let bytes = Arc::clone(&bytes);
            move || {
                let mut part = [0; 4096];
                while let Ok(length @ 1..) = pipe.read(&mut part) {
                    bytes.lock().unwrap().extend_from_slice(&part[..length]);
                }
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// All of it. The stream ends only when no process has it open.
    fn whole(&mut self, what: &str) -> String {
        if let Some(reader) = self.reader.take() {
            wait_until(&format!("no process has {what} open"), || reader.is_finished());
            reader.join().expect("reading does not panic");
        }
        self.text()
    }
}

/// A run that has been started.
pub struct Running {
    child: Child,
    started: Instant,
    stdout: Transcript,
    stderr: Transcript,
}

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid is positive"))
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal).expect("it has not been waited for");
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> Ended {
        let mut status = None;
        let end = self.started + LIMIT;
        while status.is_none() {
            if clock::now() >= end {
                panic!("it does not end; stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
            }
            clock::a_moment();
            status = self.child.try_wait().expect("it is our child");
        }
        let took = self.started.elapsed();
        Ended {
            status: status.expect("it has ended"),
            took,
            stdout: self.stdout.whole("stdout"),
            stderr: self.stderr.whole("stderr"),
        }
    }

    /// Ends it with SIGTERM.
    pub fn end(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail after `wait`, when there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    status: ExitStatus,
    /// From its start to its end.
    pub took: Duration,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// `exit 0` or `signal 9`, and its standard error on the lines below.
    pub fn outcome(&self) -> String {
        let mut outcome = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("signal {}", signal.expect("it did not exit")),
        };
        if !self.stderr.is_empty() {
            write!(outcome, "\n{}", self.stderr.trim_end()).expect("a string grows");
        }
        outcome
    }

    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Its standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The rows of the last table on its console, the summary.
    pub fn summary(&self) -> Vec<Row> {
        let at = self.stdout.rfind("Timestamp ").unwrap_or_else(|| panic!("no table in {:?}", self.stdout));
        let lines = self.stdout[at..].split_inclusive('\n').take_while(|line| line.contains(" | "));
        rows_of(&lines.collect::<String>())
    }

    /// Its standard output with a `#` for each time in milliseconds and the blanks before it: those differ from run to run.
    pub fn without_times(&self) -> String {
        let is_time = |word: &str| {
            let (whole, fraction) = word.split_once('.').unwrap_or_default();
            fraction.len() == 3 && [whole, fraction].iter().all(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        };
        let mut shown = String::new();
        for word in self.stdout.split_inclusive([' ', ',', '}', ':', '\n']) {
            let (word, end) = word.split_at(word.len() - 1);
            if is_time(word) {
                shown.truncate(shown.trim_end_matches(' ').len());
                if !shown.ends_with(':') {
                    shown.push(' ');
                }
            }
            shown.push_str(if is_time(word) { "#" } else { word });
            shown.push_str(end);
        }
        shown
    }

    /// The rows of the table of `once`.
    pub fn checks(&self) -> Vec<Check> {
        let rows = self.stdout.lines().filter(|line| !line.starts_with("    "));
        let mut lines = rows.map(|line| line.split(" | ").map(str::trim).collect::<Vec<_>>());
        assert_eq!(
            lines.next().as_deref(),
            Some(["Service", "Target", "DNS ms", "Connect ms", "Result"].as_slice()),
            "{self:?}"
        );
        lines
            .map(|cells| {
                let [service, target, lookup, connect, result] = cells[..] else { panic!("{cells:?} is not a row") };
                Check {
                    service: service.to_owned(),
                    target: target.to_owned(),
                    lookup_ms: milliseconds(lookup),
                    connect_ms: milliseconds(connect),
                    result: result.to_owned(),
                }
            })
            .collect()
    }

    /// The only row of the table of `once`.
    pub fn check(&self) -> Check {
        let mut checks = self.checks();
        assert_eq!(checks.len(), 1, "{self:?}");
        checks.remove(0)
    }
}

/// A row of the table of `once`.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub service: String,
    pub target: String,
    /// `None` where there was no such phase.
    pub lookup_ms: Option<f64>,
    pub connect_ms: Option<f64>,
    pub result: String,
}

fn milliseconds(cell: &str) -> Option<f64> {
    (cell != "-").then(|| cell.parse().unwrap_or_else(|_| panic!("{cell:?} is not a time")))
}
