//! One run with one fault: the program runs well, the fault begins, the program is told this and
//! that, the fault ends, the program has to run well again, and is ended.

use std::fs;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Result;
use crate::baseline::Baseline;
use crate::cases::{Case, Moment, Scope};
use crate::daily_log::{self, Table};
use crate::program::Program;
use crate::services::{GOOD, INTERVAL, Services};
use crate::strace::{Order, Strace, Trace};

/// How long a fault lasts: more than a report.
const WINDOW: Duration = Duration::from_millis(1500);
/// Between what the program is told during the fault.
const PAUSE: Duration = Duration::from_millis(300);
/// How long the program may take to run well again: a lookup's whole time, a pause in forking, and
/// two reports.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long it may take to end: helpers may be in the middle of something.
const END: Duration = Duration::from_secs(10);

/// What was seen of a run.
pub struct Seen {
    /// `None`: it did not end and was killed.
    pub status: Option<ExitStatus>,
    /// It ended before it was told to.
    pub early: bool,
    /// Whether full reports came again, and whether a reload was taken in.
    pub recovered: bool,
    pub reloaded: bool,
    pub complaints: String,
    pub output: String,
    pub log: Table,
    /// By the listeners of the good services.
    pub accepted: [u64; 3],
    pub trace: Trace,
    /// Seconds of CPU time while the fault lasted.
    pub cpu: f64,
    /// From the start to the order to end.
    pub lasted: Duration,
}

/// Makes it.
pub fn make(case: Option<&Case>, baseline: &Baseline) -> Result<Seen> {
    let mut services = Services::open()?;
    let at_start = case.is_some_and(|case| case.moment() == Moment::Start);
    let mut program = if at_start { Program::start_stopped(&services)? } else { Program::start(&services)? };
    if !at_start {
        program.wait_for("a first report", |program| {
            services.accept();
            let log = daily_log::read(program.place());
            GOOD.iter().all(|service| log.sum(service, daily_log::Row::connected) > 1)
        })?;
    } else if case.is_some_and(|case| case.call() == "pread64") {
        // The log is read to find its header.
        let log = program.place().join(&baseline.file);
        fs::write(log, &baseline.header).map_err(|error| error.to_string())?;
    }
    let strace = Strace::attach(program.place(), &order(case, &program, baseline))?;
    let cpu = program.cpu();
    if at_start {
        program.go_on();
        // A lock that somebody has is waited for.
        let window = if case.is_some_and(|case| case.call() == "flock") { 2 * WINDOW } else { WINDOW };
        let end = Instant::now() + window;
        while Instant::now() < end && program.ended().is_none() {
            thread::sleep(Duration::from_millis(10));
        }
    } else {
        for name in ["tcp_stats_latest.log", "tcpmon.ledger"] {
            // They are made anew while the fault lasts.
            let _ = fs::remove_file(program.place().join(name));
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
        log: daily_log::read(program.place()),
        accepted: services.accepted(),
        trace,
        cpu,
        lasted,
    })
}

/// What strace is to do for this case. Without one it looks on.
fn order(case: Option<&Case>, program: &Program, baseline: &Baseline) -> Order {
    let mut order = Order { pids: vec![program.pid()], ..Order::default() };
    let Some(case) = case else { return order };
    match case.moment() {
        Moment::Running | Moment::Start => {}
        Moment::Lookup => order.pids = program.helpers(),
        Moment::Fork => order.follow = true,
    }
    let first = |name| if case.moment() == Moment::Start { baseline.first(name) } else { 1 };
    // The question mark: a name that this architecture does not have is passed over.
    order.faults.extend(case.names().iter().map(|name| format!("?{name}:{}", case.fault(first(name)))));
    for (name, fault) in case.beside() {
        order.faults.push(format!("?{name}:{fault}:when={}+", first(name)));
    }
    match case.scope() {
        Scope::All => {}
        Scope::Log => order.files = daily_log::files(program.place()),
        Scope::Configuration => order.files = vec![program.place().join("tcpmon.conf")],
        Scope::Console => order.files = ["out", "err"].map(|name| program.place().join(name)).into(),
    }
    order
}

/// Waits until reports are full again and a reload was obeyed. Returns which of them came true.
fn recover(program: &mut Program, services: &mut Services) -> (bool, bool) {
    let reloads = |program: &Program| program.words("err").matches(" re-read").count();
    let (before, mut rows, mut settled) = (reloads(program), None, false);
    let begin = Instant::now();
    while begin.elapsed() < RECOVERY && program.ended().is_none() {
        services.accept();
        if !settled && begin.elapsed() > PAUSE {
            program.signal(Signal::SIGHUP);
            settled = true;
        }
        let log = daily_log::read(program.place());
        // The first report after the fault may hold what was kept.
        let count = log.of(GOOD[0]).count();
        let seen = *rows.get_or_insert(count);
        let expected = 1000 / INTERVAL;
        let full = |service: &&str| {
            log.of(service).next_back().is_some_and(|row| {
                row.connected() == row.total() && (expected * 7 / 10..=expected * 13 / 10).contains(&row.total())
            })
        };
        if settled && count > seen + 1 && GOOD.iter().all(full) && reloads(program) > before {
            return (true, true);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let log = daily_log::read(program.place());
    let good = |service: &&str| {
        log.of(service).next_back().is_some_and(|row| row.connected() == row.total() && row.total() > 0)
    };
    (GOOD.iter().all(good), reloads(program) > before)
}
