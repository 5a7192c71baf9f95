//! The stage for scripted worlds: a configuration as text, what becomes of each service, and what
//! the monitor is heard to do, as lines with their times.

use std::collections::{HashMap, VecDeque};

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::monitor::{Action, Changes, Span};
use tcpmon::model::outcome::Columns;
use tcpmon::model::reader::Reader;
use tcpmon::model::settings::Config;

use crate::driver::{Driver, Manners};
use crate::fuse::{Burns, Step};
use crate::log::Report;
use crate::random::Random;
use crate::wall_clock::WallClock;
use crate::world::{self, Ask, ConnectFate, LookupEnd, LookupFate, World};

/// When a script begins: 2025-10-09 14:30:00 UTC.
const BEGIN: i128 = 1_760_020_200;

/// The monotonic clock's reading then.
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// What becomes of lookups and connects. Where nothing is said a lookup takes a millisecond and
/// gives one address, and a connect takes ten.
#[derive(Default)]
pub struct Script {
    lookups: HashMap<u16, Fates<LookupEnd>>,
    connects: HashMap<u16, Fates<ConnectFate>>,
    services: HashMap<u16, String>,
    /// Whether the log cannot be written.
    pub disk_full: bool,
    /// Whether nobody listens, as where a script is long.
    pub unheard: bool,
    lines: Vec<String>,
}

/// One fate after the other; the last one is that of all that follow.
type Fates<T> = VecDeque<T>;

/// A monitor on its stage. Times are seconds since the begin.
pub struct Stage {
    /// The monitor and its driver.
    pub driver: Driver<Script>,
}

/// A configuration from its text.
pub fn config(text: &str) -> Config {
    let mut config = Config::new();
    let mut mistakes = Vec::new();
    let mut tell = |what: std::fmt::Arguments<'_>| mistakes.push(what.to_string());
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.file("script", text.as_bytes());
    let count = reader.finish();
    assert_eq!((count, mistakes), (0, Vec::new()));
    config
}

/// A length in seconds.
pub fn seconds(seconds: f64) -> Nanos {
    Nanos::new((seconds * 1e9).round() as u64)
}

impl Script {
    /// What becomes of the connects to this service, one after the other.
    pub fn connects(&mut self, port: u16, fates: &[ConnectFate]) {
        self.connects.insert(port, fates.iter().copied().collect());
    }

    /// What becomes of its lookups.
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
        port.and_then(|port| self.services.get(&port)).map_or("nobody", String::as_str)
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

    fn append(&mut self, now: Instant, stamp: WallTime, rows: &[(String, Columns)]) -> bool {
        if self.unheard {
            return !self.disk_full;
        }
        let rows: Vec<String> = rows.iter().map(|(service, row)| format!("{service}: {}", in_words(*row))).collect();
        let failed = if self.disk_full { " cannot be written" } else { "" };
        self.say(now, &format!("report {}{failed}, {}", &stamp.to_string()[11..], rows.join(", ")));
        !self.disk_full
    }

    fn hear(&mut self, now: Instant, action: Action, port: Option<u16>) {
        if self.unheard {
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
            // Rounds are counted by the driver, and a report says what the clock read.
            Action::ReadClock | Action::Report(_) | Action::Round => return,
        };
        self.say(now, &line);
    }
}

impl Stage {
    /// Opens with this configuration; `direct` says what becomes of whom.
    pub fn open(text: &str, direct: impl FnOnce(&mut Script)) -> Self {
        Self::open_for(text, Span::default(), direct)
    }

    /// The same for a run that ends by itself.
    pub fn open_for(text: &str, span: Span, direct: impl FnOnce(&mut Script)) -> Self {
        Self::open_with(text, span, false, direct)
    }

    /// The same with a ledger, for a process that is to be killed.
    pub fn open_kept(text: &str, direct: impl FnOnce(&mut Script)) -> Self {
        Self::open_with(text, Span::default(), true, direct)
    }

    /// A box without a clock of its own: it begins at 1970-01-01 00:00:10, long before the program
    /// was built. With a ledger if it `keeps` one.
    pub fn open_clockless(text: &str, keeps: bool) -> Self {
        Self::open_at(text, Span::default(), keeps, 10, BEGIN as i64, |_| {})
    }

    fn open_with(text: &str, span: Span, keeps: bool, direct: impl FnOnce(&mut Script)) -> Self {
        Self::open_at(text, span, keeps, BEGIN, 0, direct)
    }

    fn open_at(text: &str, span: Span, keeps: bool, unix: i128, built: i64, direct: impl FnOnce(&mut Script)) -> Self {
        let config = config(text);
        let mut script = Script::default();
        script.learn(&config);
        direct(&mut script);
        // Each answer comes twice, every dropped request is answered late, and every second wait is
        // interrupted: a script reads the same for it.
        let manners = Manners { early: 2, repeats: 1, late: 1, audits: 1, ..Manners::default() };
        let manners = Manners { keeps, built, ..if script.unheard { Manners::default() } else { manners } };
        let clock = WallClock::new(START, unix * 1_000_000_000, 0);
        let driver = Driver::new(&config, span, script, Random::new(0), manners, START, clock);
        Self { driver }
    }

    /// Lets time pass up to this second. What is heard meanwhile is kept.
    pub fn pass(&mut self, second: f64) {
        self.driver.run_until(START + seconds(second));
    }

    /// What is heard up to this second, that included, and has not been asked for before.
    pub fn until(&mut self, second: f64) -> Vec<String> {
        self.pass(second);
        self.heard()
    }

    /// Everything is heard up to this second, and nothing else.
    #[track_caller]
    pub fn hear(&mut self, second: f64, expected: &[&str]) {
        let heard = self.until(second);
        assert_eq!(heard, expected, "up to {second} s");
    }

    /// What has been heard since this was last asked.
    pub fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.driver.world.lines)
    }

    /// The process is stopped for so many seconds, and goes on.
    pub fn sleep(&mut self, length: f64) {
        self.driver.sleep(seconds(length));
        self.driver.wake();
    }

    /// The wall clock is set by so many seconds, and the monitor is told.
    pub fn set_clock(&mut self, by: i64) {
        self.driver.set_clock(i128::from(by) * 1_000_000_000, 0, true);
    }

    /// The wall clock is set to this many seconds after the usual begin, and the monitor is told.
    pub fn set_clock_to(&mut self, second: i64) {
        let by = BEGIN as i64 + second - self.driver.wall().unix;
        self.set_clock(by);
    }

    /// Goes over to another configuration.
    pub fn reload(&mut self, text: &str) -> Option<Changes> {
        let config = config(text);
        self.driver.world.learn(&config);
        self.driver.adopt(&config)
    }

    /// The process is killed before this second, when it is about to make this step.
    #[track_caller]
    pub fn kill_at(&mut self, step: Step, second: f64) {
        self.driver.light(Burns::At(step, 0), false);
        let lived = self.driver.outlives(|driver| driver.run_until(START + seconds(second)));
        assert!(!lived, "{step:?} was not reached");
    }

    /// The process, killed at the latest now, is started again so many seconds later.
    #[track_caller]
    pub fn restart(&mut self, text: &str, down: f64) {
        assert!(self.restart_to(text, down, Burns::Never, false));
    }

    /// The same, with a kill on the way. Whether the process has outlived its start.
    pub fn restart_to(&mut self, text: &str, down: f64, burns: Burns, within: bool) -> bool {
        let config = config(text);
        self.driver.world.learn(&config);
        let (now, clock) = (self.driver.now() + seconds(down), self.driver.clock);
        self.driver.restart(&config, burns, within, now, clock)
    }

    /// The reports in the log.
    pub fn log(&self) -> Vec<String> {
        let reports = self.driver.estate.iter().flat_map(|estate| &estate.log.reports);
        let line = |report: &Report| {
            let rows: Vec<String> =
                report.rows.iter().map(|(service, row)| format!("{service}: {}", in_words(*row))).collect();
            format!("{}, {}", &report.stamp.to_string()[5..], rows.join(", "))
        };
        reports.map(line).collect()
    }

    /// All that a service has counted, in words.
    pub fn counted(&self, service: &str) -> String {
        let watch = self.driver.monitor.live().find(|watch| watch.target.service.as_str() == service);
        watch.map_or("nobody".into(), |watch| in_words(watch.tally.counted().columns()))
    }

    /// The ticks that a service has skipped.
    pub fn skipped(&self, service: &str) -> u64 {
        let watch = self.driver.monitor.live().find(|watch| watch.target.service.as_str() == service);
        watch.map_or(0, |watch| watch.skipped)
    }
}

impl Script {
    fn learn(&mut self, config: &Config) {
        for target in &config.targets {
            self.services.insert(target.port, target.service.to_string());
        }
    }
}

/// A row in words: what there was of each kind.
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
