//! One run with one fault: the program runs well, the fault begins, the program gets some signals,
//! the fault ends, the program must run well again, and gets SIGTERM.

use std::fs;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Result;
use crate::baseline::Baseline;
use crate::cases::{Case, Moment, Scope};
use crate::daily_log::{self, Kind, Table};
use crate::other_files::OtherFiles;
use crate::program::Program;
use crate::services::{GOOD, INTERVAL, Services};
use crate::strace::{Order, Strace, Trace};

/// How long a fault lasts: more than a report interval.
const WINDOW: Duration = Duration::from_millis(1500);
/// The pause before each signal during the fault.
const PAUSE: Duration = Duration::from_millis(300);
/// How long the program may need to run well again: a lookup's timeout, a pause in forking, and two
/// reports.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long the program may need to end: helpers may be busy.
const END: Duration = Duration::from_secs(10);

/// What was observed in a run.
pub struct Seen {
    /// `None`: the program did not end and was killed.
    pub status: Option<ExitStatus>,
    /// The program ended before SIGTERM.
    pub early: bool,
    /// Whether full reports came again, and whether a reload was done.
    pub recovered: bool,
    pub reloaded: bool,
    pub complaints: String,
    pub output: String,
    pub log: Table,
    pub others: OtherFiles,
    /// Connections accepted, for each of [`GOOD`].
    pub accepted: [u64; 3],
    pub trace: Trace,
    /// Seconds of CPU time while the fault lasted.
    pub cpu: f64,
    /// From the start to SIGTERM.
    pub lasted: Duration,
}

/// Makes the run, without a fault if there is no case.
pub fn make(case: Option<&Case>, baseline: &Baseline) -> Result<Seen> {
    let mut services = Services::open()?;
    let at_start = case.is_some_and(|case| case.moment() == Moment::Start);
    let mut program = if at_start { Program::start_stopped(&services)? } else { Program::start(&services)? };
    if !at_start {
        program.wait_for("a first report", |program| {
            services.accept();
            let log = daily_log::read(program.dir());
            GOOD.iter().all(|service| log.sum(service, daily_log::Row::connected) > 1)
        })?;
        // strace must find the file to which the fault is limited.
        if let Some(Scope::Daily(kind)) = case.map(Case::scope) {
            program.wait_for("its file", |program| !daily_log::files_of(kind, program.dir()).is_empty())?;
        }
    } else if case.is_some_and(|case| case.call() == "pread64") {
        // The log is read to find its header.
        let log = program.dir().join(&baseline.file);
        fs::write(log, &baseline.header).map_err(|error| error.to_string())?;
    }
    let strace = Strace::attach(program.dir(), &order(case, &program, baseline))?;
    let cpu = program.cpu();
    if at_start {
        program.go_on();
        // The program waits for a held lock.
        let window = if case.is_some_and(|case| case.call() == "flock") { 2 * WINDOW } else { WINDOW };
        let end = Instant::now() + window;
        while Instant::now() < end && program.ended().is_none() {
            thread::sleep(Duration::from_millis(10));
        }
    } else {
        let links = Kind::ALL.map(|kind| format!("{}latest{}", kind.name().0, kind.name().1));
        for name in links.iter().map(String::as_str).chain(["tcpmon.ledger"]) {
            // Removed, so that the program makes them again during the fault.
            let _ = fs::remove_file(program.dir().join(name));
        }
        for signal in [Signal::SIGUSR1, Signal::SIGHUP, Signal::SIGQUIT] {
            thread::sleep(PAUSE);
            program.signal(signal);
        }
        thread::sleep(WINDOW - 3 * PAUSE);
    }
    let cpu = program.cpu() - cpu;
    let trace = strace.detach()?;
    let early = program.ended();
    let (mut recovered, mut reloaded) = (false, false);
    if early.is_none() {
        (recovered, reloaded) = recover(&mut program, &mut services);
    }
    let lasted = program.started.elapsed();
    program.signal(Signal::SIGTERM);
    let end = Instant::now() + END;
    while program.ended().is_none() && Instant::now() < end {
        services.accept();
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Seen {
        status: program.ended(),
        early: early.is_some(),
        recovered,
        reloaded,
        complaints: program.words("err"),
        output: program.words("out"),
        log: daily_log::read(program.dir()),
        others: OtherFiles::read(program.dir()),
        accepted: services.accepted(),
        trace,
        cpu,
        lasted,
    })
}

/// What strace must do for this case; without one it only traces.
fn order(case: Option<&Case>, program: &Program, baseline: &Baseline) -> Order {
    let mut order = Order { pids: vec![program.pid()], ..Order::default() };
    let Some(case) = case else { return order };
    match case.moment() {
        Moment::Running | Moment::Start => {}
        Moment::Lookup => order.pids = program.helpers(),
        Moment::Fork => order.follow = true,
    }
    let first = |name| if case.moment() == Moment::Start { baseline.first(name) } else { 1 };
    // "?": strace ignores a name that this architecture does not have.
    order.faults.extend(case.names().iter().map(|name| format!("?{name}:{}", case.fault(first(name)))));
    for (name, fault) in case.beside() {
        order.faults.push(format!("?{name}:{fault}:when={}+", first(name)));
    }
    match case.scope() {
        Scope::All => {}
        Scope::Daily(kind) => order.files = daily_log::files_of(kind, program.dir()),
        Scope::Configuration => order.files = vec![program.dir().join("tcpmon.conf")],
        Scope::Console => order.files = ["out", "err"].map(|name| program.dir().join(name)).into(),
    }
    order
}

/// Waits until reports are full again and a reload was done. Returns whether each of them happened.
fn recover(program: &mut Program, services: &mut Services) -> (bool, bool) {
    let reloads = |program: &Program| program.words("err").matches(" re-read").count();
    let (before, mut rows, mut asked) = (reloads(program), None, false);
    let begin = Instant::now();
    while begin.elapsed() < RECOVERY && program.ended().is_none() {
        services.accept();
        if !asked && begin.elapsed() > PAUSE {
            program.signal(Signal::SIGHUP);
            asked = true;
        }
        let log = daily_log::read(program.dir());
        // The first report after the fault may have kept counts in it.
        let count = log.of(GOOD[0]).count();
        let seen = *rows.get_or_insert(count);
        let expected = 1000 / INTERVAL;
        let full = |service: &&str| {
            log.of(service).next_back().is_some_and(|row| {
                row.connected() == row.total() && (expected * 7 / 10..=expected * 13 / 10).contains(&row.total())
            })
        };
        if asked && count > seen + 1 && GOOD.iter().all(full) && reloads(program) > before {
            return (true, true);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let log = daily_log::read(program.dir());
    let good = |service: &&str| {
        log.of(service).next_back().is_some_and(|row| row.connected() == row.total() && row.total() > 0)
    };
    (GOOD.iter().all(good), reloads(program) > before)
}
