//! Scripted simulations, for tests that read as a list of events: a configuration as text, a script of
//! what happens to each service, and the monitor's actions as lines with their times.

use std::collections::{HashMap, VecDeque};

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::monitor::{Action, Changes, Span};
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::Columns;
use tcpmon::model::reader::Reader;
use tcpmon::model::settings::Config;

use crate::driver::{Driver, DriverOptions};
use crate::kill_plan::{Kill, KillPoint};
use crate::log::Report;
use crate::random::Random;
use crate::wall_clock::WallClock;
use crate::world::{self, Ask, ConnectFate, LookupEnd, LookupFate, World};

/// The wall clock at the start: 2025-10-09 14:30:00 UTC, in seconds since 1970.
const BEGIN: i128 = 1_760_020_200;

/// The monotonic clock at the start.
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// What happens to lookups and connects. By default a lookup takes 1 ms and gives one address, and a
/// connect is accepted after 10 ms.
#[derive(Default)]
pub struct Script {
    lookups: HashMap<u16, Fates<LookupEnd>>,
    connects: HashMap<u16, Fates<ConnectFate>>,
    services: HashMap<u16, String>,
    /// Whether the log cannot be written.
    pub disk_full: bool,
    /// The files of this kind that cannot be written.
    pub blocked: Option<Kind>,
    /// The first address of the names.
    pub first_address: u8,
    /// Whether no lines are recorded, for a long run.
    pub quiet: bool,
    lines: Vec<String>,
}

/// What happens to one after the other. The last value is used again for all that follow.
type Fates<T> = VecDeque<T>;

/// A scripted simulation. Times are seconds since its start.
pub struct Simulation {
    /// The monitor and its driver.
    pub driver: Driver<Script>,
}

/// The configuration with this text.
pub fn config(text: &str) -> Config {
    let mut config = Config::new();
    let mut mistakes = Vec::new();
    let mut tell = |what: std::fmt::Arguments<'_>| mistakes.push(what.to_string());
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.file("script", text.as_bytes());
    let count = reader.finish(true);
    assert_eq!((count, mistakes), (0, Vec::new()));
    config
}

/// Converts from seconds.
pub fn seconds(seconds: f64) -> Nanos {
    Nanos::new((seconds * 1e9).round() as u64)
}

impl Script {
    /// Sets what happens to the connects to this port, one after the other.
    pub fn connects(&mut self, port: u16, fates: &[ConnectFate]) {
        self.connects.insert(port, fates.iter().copied().collect());
    }

    /// Sets how the lookups for this port end, one after the other.
    pub fn lookups(&mut self, port: u16, fates: &[LookupEnd]) {
        self.lookups.insert(port, fates.iter().copied().collect());
    }

    fn next<T: Copy>(fates: Option<&mut Fates<T>>, otherwise: T) -> T {
        match fates {
            Some(fates) if fates.len() > 1 => fates.pop_front().unwrap_or(otherwise),
            Some(fates) => fates.front().copied().unwrap_or(otherwise),
            None => otherwise,
        }
    }

    fn say(&mut self, now: Instant, what: &str) {
        self.lines.push(format!("{}s {what}", now.since(START).as_seconds()));
    }

    fn name(&self, port: Option<u16>) -> &str {
        port.and_then(|port| self.services.get(&port)).map_or("no service", String::as_str)
    }
}

impl World for Script {
    fn lookup(&mut self, ask: Ask) -> LookupFate {
        let usual = LookupEnd::Answers { elapsed: Nanos::from_millis(1), transit: Nanos::ZERO, addresses: 1 };
        LookupFate { begins: None, end: Self::next(self.lookups.get_mut(&ask.port), usual) }
    }

    fn connect(&mut self, ask: Ask) -> ConnectFate {
        let usual = ConnectFate::Accepted { after: Nanos::from_millis(10) };
        Self::next(self.connects.get_mut(&ask.port), usual)
    }

    fn can_write(&mut self, kind: Kind) -> bool {
        !self.disk_full && self.blocked != Some(kind)
    }

    fn first_address(&mut self, _: u16) -> u8 {
        self.first_address
    }

    fn append(&mut self, now: Instant, stamp: WallTime, rows: &[(String, Columns)]) -> bool {
        if self.quiet {
            return !self.disk_full;
        }
        let rows: Vec<String> = rows.iter().map(|(service, row)| format!("{service}: {}", in_words(*row))).collect();
        let failed = if self.disk_full { " cannot be written" } else { "" };
        self.say(now, &format!("report {}{failed}, {}", &stamp.to_string()[11..], rows.join(", ")));
        !self.disk_full
    }

    fn on_action(&mut self, now: Instant, action: Action, port: Option<u16>) {
        if self.quiet {
            return;
        }
        let name = self.name(port);
        let line = match action {
            Action::Lookup(..) => format!("lookup {name}"),
            Action::DropLookup(_) => format!("drop lookup {name}"),
            Action::Connect(_, _, address) => {
                let port = port.unwrap_or_default();
                match (1..limits::ADDRESSES as u8).find(|k| world::address(port, *k) == address) {
                    Some(k) => format!("connect {name}, address {}", k + 1),
                    None => format!("connect {name}"),
                }
            }
            Action::DropConnect(_) => format!("drop connect {name}"),
            Action::SaySkipped(ticks, shortage) => format!("say that {ticks} ticks were skipped: {shortage}"),
            Action::SayHeld(wall) => format!("say that reports wait, it is {wall}"),
            Action::Finish => "finish".into(),
            // The driver counts the rounds, and a report shows the time of the clock.
            Action::ReadClock | Action::Report(_) | Action::WriteEvents | Action::Ended(_) | Action::Round => return,
        };
        self.say(now, &line);
    }
}

impl Simulation {
    /// Starts with this configuration; `direct` writes the script.
    pub fn start(text: &str, direct: impl FnOnce(&mut Script)) -> Self {
        Self::start_for(text, Span::default(), direct)
    }

    /// The same for a run that ends by itself.
    pub fn start_for(text: &str, span: Span, direct: impl FnOnce(&mut Script)) -> Self {
        Self::start_with(text, span, false, direct)
    }

    /// The same with a ledger, for a process that will be killed.
    pub fn start_with_ledger(text: &str, direct: impl FnOnce(&mut Script)) -> Self {
        Self::start_with(text, Span::default(), true, direct)
    }

    /// A box without a real-time clock: its wall clock starts at 1970-01-01 00:00:10, before the program
    /// was built.
    pub fn start_without_clock(text: &str, has_ledger: bool) -> Self {
        Self::start_at(text, Span::default(), has_ledger, 10, BEGIN as i64, |_| {})
    }

    fn start_with(text: &str, span: Span, has_ledger: bool, direct: impl FnOnce(&mut Script)) -> Self {
        Self::start_at(text, span, has_ledger, BEGIN, 0, direct)
    }

    fn start_at(
        text: &str,
        span: Span,
        has_ledger: bool,
        unix: i128,
        built: i64,
        direct: impl FnOnce(&mut Script),
    ) -> Self {
        let config = config(text);
        let mut script = Script::default();
        script.learn(&config);
        direct(&mut script);
        // Each answer comes twice, every dropped request is answered late, and every second wait is
        // interrupted. None of this may change what a test sees.
        let options = DriverOptions {
            early_polls: 2,
            repeated_answers: 1,
            late_answers: 1,
            audits: 1,
            ..DriverOptions::default()
        };
        let options =
            DriverOptions { has_ledger, built, ..if script.quiet { DriverOptions::default() } else { options } };
        let clock = WallClock::new(START, unix * 1_000_000_000, 0);
        let driver = Driver::new(&config, span, script, Random::new(0), options, START, clock);
        Self { driver }
    }

    /// Runs up to this second. New lines are kept.
    pub fn run_until(&mut self, second: f64) {
        self.driver.run_until(START + seconds(second));
    }

    /// Runs up to and including this second. Returns the new lines.
    pub fn lines_until(&mut self, second: f64) -> Vec<String> {
        self.run_until(second);
        self.new_lines()
    }

    /// Runs up to and including this second, and checks that the new lines are exactly these.
    #[track_caller]
    pub fn assert_lines(&mut self, second: f64, expected: &[&str]) {
        let lines = self.lines_until(second);
        assert_eq!(lines, expected, "up to {second} s");
    }

    /// The lines since the last call.
    pub fn new_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.driver.world.lines)
    }

    /// Stops the process for so many seconds, then continues it.
    pub fn sleep(&mut self, length: f64) {
        self.driver.sleep(seconds(length));
        self.driver.wake();
    }

    /// Moves the wall clock by so many seconds, and tells the monitor.
    pub fn set_clock(&mut self, by: i64) {
        self.driver.set_clock(i128::from(by) * 1_000_000_000, 0, true);
    }

    /// Sets the wall clock to so many seconds after 2025-10-09 14:30:00, and tells the monitor.
    pub fn set_clock_to(&mut self, second: i64) {
        let by = BEGIN as i64 + second - self.driver.wall().unix;
        self.set_clock(by);
    }

    /// Reloads with another configuration.
    pub fn reload(&mut self, text: &str) -> Option<Changes> {
        let config = config(text);
        self.driver.world.learn(&config);
        self.driver.adopt(&config)
    }

    /// Kills the process at this kill point, which it must reach before this second.
    #[track_caller]
    pub fn kill_at(&mut self, point: KillPoint, second: f64) {
        self.driver.plan_kill(Kill::At(point, 0), false);
        let lived = self.driver.survives(|driver| driver.run_until(START + seconds(second)));
        assert!(!lived, "{point:?} was not reached");
    }

    /// Starts the process again, `down` seconds later. If it still runs, it is killed now.
    #[track_caller]
    pub fn restart(&mut self, text: &str, down: f64) {
        assert!(self.restart_with_kill(text, down, Kill::Never, false));
    }

    /// The same with a planned kill. Returns whether the process survived its start.
    pub fn restart_with_kill(&mut self, text: &str, down: f64, kill: Kill, within: bool) -> bool {
        let config = config(text);
        self.driver.world.learn(&config);
        let (now, clock) = (self.driver.now() + seconds(down), self.driver.clock);
        self.driver.restart(&config, kill, within, now, clock)
    }

    /// The seconds since the start.
    pub fn second(&self) -> f64 {
        self.driver.now().since(START).millis() as f64 / 1000.0
    }

    /// The reports in the log.
    pub fn log(&self) -> Vec<String> {
        let reports = self.driver.storage.iter().flat_map(|storage| &storage.log.reports);
        let line = |report: &Report| {
            let rows: Vec<String> =
                report.rows.iter().map(|(service, row)| format!("{service}: {}", in_words(*row))).collect();
            format!("{}, {}", &report.stamp.to_string()[5..], rows.join(", "))
        };
        reports.map(line).collect()
    }

    /// The lines in the log of events, without their numbers.
    pub fn events(&self) -> Vec<String> {
        let lines = self.driver.event_file.blocks.iter().flatten();
        lines.map(|line| line.split_once(' ').map_or(line.as_str(), |(_, line)| line).to_string()).collect()
    }

    /// The same without those of the monitor itself, and without the date.
    pub fn target_events(&self) -> Vec<String> {
        let lines = self.events().into_iter().filter(|line| !line.contains(" | - | "));
        lines.map(|line| line.replace("2025-10-09T", "").replace("+00:00", "")).collect()
    }

    /// The counts of a service, in words.
    pub fn counted(&self, service: &str) -> String {
        let entry = self.driver.monitor.live().find(|entry| entry.target.service.as_str() == service);
        entry.map_or("no such service".into(), |entry| in_words(entry.tally.counted().columns()))
    }

    /// The skipped ticks of a service.
    pub fn skipped(&self, service: &str) -> u64 {
        let entry = self.driver.monitor.live().find(|entry| entry.target.service.as_str() == service);
        entry.map_or(0, |entry| entry.skipped)
    }
}

impl Script {
    fn learn(&mut self, config: &Config) {
        for target in &config.targets {
            self.services.insert(target.port, target.service.to_string());
        }
    }
}

/// A row in words: the counts that are not zero.
fn in_words(row: Columns) -> String {
    let kinds = [
        (row.conn_fast, "fast"),
        (row.conn_slow, "slow"),
        (row.conn_failed, "failed"),
        (row.dns_fail, "without address"),
        (row.dns_slow, "with a slow lookup"),
    ];
    let words: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    if words.is_empty() { "nothing".into() } else { words.join(" ") }
}
