//! A kill chain: a random series of processes. Each continues with what the killed one before it
//! left, often with another configuration.

use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::monitor::Span;
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::Thresholds;
use tcpmon::model::settings::{Config, Hysteresis, Settings};
use tcpmon::model::target::Target;

use crate::driver::{Driver, DriverOptions};
use crate::kill_plan::{Kill, KillPoint};
use crate::random::Random;
use crate::random_world::RandomWorld;
use crate::wall_clock::WallClock;

/// Processes of a chain.
const PROCESSES: u64 = 24;

/// Services to choose from, each at two hosts.
const POOL: u64 = 8;

/// The most targets at the same time.
const TARGETS: usize = 12;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// The results of a chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChainTotals {
    /// Processes that were killed.
    pub kills: u64,
    /// Those killed during an operation.
    pub halves: u64,
    /// Those killed at their start, before they were ready.
    pub starts: u64,
    /// Reports that a new run wrote at its start.
    pub late_reports: u64,
    /// Reports in the log.
    pub reports: u64,
    /// Probes that ended.
    pub probes: u64,
    /// Events in their log, and those for which there was no room.
    pub events: u64,
    pub lost: u64,
    /// Simulated seconds, including those without a process.
    pub seconds: u64,
}

/// Runs the chain of this seed.
pub fn run(seed: u64) -> ChainTotals {
    let mut random = Random::new(seed ^ 0x6b69_6c6c);
    let mut config = Config { settings: settings(&mut random), ..Config::new() };
    for _ in 0..random.within(1, TARGETS as u64) {
        config.targets.push(target(&mut random));
    }
    let options = DriverOptions {
        action_time: Nanos::new(random.pick(&[0, 0, 0, 20_000])),
        early_polls: 16,
        repeated_answers: 32,
        late_answers: 4,
        polls_between: random.pick(&[0, 8]),
        audits: 64,
        has_ledger: true,
        records: 0,
        built: 0,
    };
    let start = Instant::from_nanos(random.below(1_000_000 * SECOND));
    let mut offset = random.pick(&[0, 3600, 7200, -18_000, 20_700, -43_200]);
    let mut unix = i128::from(random.within(1_600_000_000 * SECOND, 2_400_000_000 * SECOND));
    // In one chain of four the build is so recent that the clock may be wrong.
    let about = |random: &mut Random| (unix / i128::from(SECOND)) as i64 + random.below(2 * DAY / SECOND) as i64;
    let built = if random.one_in(4) { about(&mut random) - (DAY / SECOND) as i64 } else { 0 };
    let options = DriverOptions { built, ..options };
    let clock = WallClock::new(start, unix, offset);
    let world = RandomWorld::new(Random::new(random.next()), start, clock);
    let chance = Random::new(random.next());
    let mut driver = Driver::new(&config, Span::default(), world, chance, options, start, clock);
    let mut totals = ChainTotals::default();
    let (kill, within) = random_kill(&mut random);
    driver.plan_kill(kill, within);
    let mut lived = true;
    for _ in 0..PROCESSES {
        let begun = driver.now();
        if lived {
            driver.survives(|driver| live(driver, &mut config, &mut random));
        } else {
            totals.starts += 1;
        }
        let down = match random.below(8) {
            0 => 0,
            1..4 => random.below(3 * SECOND),
            4..6 => random.below(HOUR),
            6 => random.below(DAY),
            _ => random.below(4 * DAY),
        };
        totals.seconds += driver.now().since(begun).secs() + down / SECOND;
        unix = nanos(&driver) + i128::from(down);
        let truth = nanos_of(driver.world.truth.at(driver.now())) + i128::from(down);
        let mut now = driver.now() + Nanos::new(down);
        let most = random.pick(&[2 * SECOND, HOUR, 3 * DAY]);
        match random.below(8) {
            // The clock is set back or ahead, by seconds or by days.
            0 => unix -= i128::from(random.below(most)),
            1 => unix += i128::from(random.below(most)),
            2 => offset += random.pick(&[3600, -3600, 1800]),
            // The box was restarted.
            3 => now = Instant::from_nanos(random.below(HOUR)),
            _ => {}
        }
        if random.one_in(3) {
            change(&mut config, &mut random);
        }
        driver.world.truth = WallClock::new(now, truth, offset);
        driver.world.disk_full = random.one_in(8);
        driver.world.blocked = random.pick(&[None, None, None, Some(Kind::Times), Some(Kind::Events)]);
        let (kill, within) = random_kill(&mut random);
        lived = driver.restart(&config, kill, within, now, WallClock::new(now, unix, offset));
        if lived {
            driver.check_storage();
        }
    }
    // The last process of the chain ends cleanly.
    (driver.world.disk_full, driver.world.blocked) = (false, None);
    // By then the clock is set.
    let right = nanos(&driver).max(i128::from(built) * i128::from(SECOND));
    let (now, clock) = (driver.now(), WallClock::new(driver.now(), right, offset));
    assert!(driver.restart(&config, Kill::Never, false, now, clock));
    driver.run_until(now + Nanos::new(random.below(HOUR)));
    driver.stop();
    driver.check_storage();
    assert!(driver.monitor.ledger().is_reported() && !driver.monitor.ledger().is_running());
    if let Some(storage) = &driver.storage {
        (totals.kills, totals.halves, totals.late_reports) = (storage.kills, storage.halves, storage.late_reports);
        totals.reports = storage.log.reports.len() as u64;
    }
    totals.probes = driver.book.counted.iter().sum();
    (totals.events, totals.lost) = (driver.lines_written, driver.book.events.lost);
    totals
}

/// Runs a process until it is killed or stopped, or its time is over.
fn live(driver: &mut Driver<RandomWorld>, config: &mut Config, random: &mut Random) {
    let lasts = random.pick(&[10 * SECOND, 100 * SECOND, 600 * SECOND, HOUR / 2]);
    for _ in 0..random.below(6) {
        driver.run_until(driver.now() + Nanos::new(random.below(lasts / 3)));
        match random.below(8) {
            0 => driver.report_now(),
            1 | 2 => {
                change(config, random);
                driver.adopt(config);
            }
            3 => {
                change(config, random);
                driver.adopt_between_polls(config);
            }
            4 => driver.sleep(Nanos::new(random.below(20 * SECOND))),
            5 => {
                let most = random.pick(&[2 * SECOND, HOUR, DAY]);
                let by = i128::from(random.below(most));
                let by = if random.one_in(2) { by } else { -by };
                driver.set_clock(by, driver.wall().offset, random.one_in(2));
            }
            6 => driver.world.disk_full = random.one_in(3),
            _ => driver.world.blocked = random.pick(&[None, Some(Kind::Times), Some(Kind::Events)]),
        }
    }
    driver.run_until(driver.now() + Nanos::new(random.below(lasts)));
    if random.one_in(6) {
        driver.stop();
    }
}

/// When a process is killed, and whether during an operation.
fn random_kill(random: &mut Random) -> (Kill, bool) {
    let points = [
        KillPoint::Reload,
        KillPoint::BeginReport,
        KillPoint::Write,
        KillPoint::WriteRest,
        KillPoint::CutOff,
        KillPoint::Written,
        KillPoint::BeginRows,
        KillPoint::BeginLines,
        KillPoint::WriteLines,
        KillPoint::WriteLinesRest,
        KillPoint::CutOffLines,
        KillPoint::LinesWritten,
        KillPoint::MarkLines,
        KillPoint::Reported,
        KillPoint::RecoverLines,
        KillPoint::Recover,
        KillPoint::MarkReported,
        KillPoint::EndReport,
        KillPoint::BeginRun,
        KillPoint::NewMonitor,
    ];
    let kill = match random.below(5) {
        // Most likely at its start.
        0 => Kill::After(random.below(12)),
        1 => Kill::After(random.below(4000)),
        _ => Kill::At(random.pick(&points), random.below(3)),
    };
    (kill, random.one_in(2))
}

fn settings(random: &mut Random) -> Settings {
    let interval = Nanos::from_secs(random.within(4, 60));
    let timeout = Nanos::new(interval.get() / 100 * random.within(20, 300));
    let timeout = timeout.clamp(tcpmon::base::limits::TIMEOUT.0, tcpmon::base::limits::TIMEOUT.1);
    // Whole milliseconds, as in a configuration and in the ledger.
    let timeout = Nanos::from_millis(timeout.millis());
    let slow = Nanos::from_millis(timeout.millis() / 100 * random.within(5, 95));
    Settings {
        interval,
        thresholds: Thresholds { slow, timeout },
        report: Nanos::from_secs(random.pick(&[10, 60, 60, 77, 300, 300, 420, 1800, 3600, 86_400])),
        spread: random.one_in(2),
        helpers: random.pick(&[1, 4, 16]),
        times: !random.one_in(4),
        events: !random.one_in(4),
        syslog: random.one_in(4),
        samples: random.one_in(2),
        hysteresis: hysteresis(random),
        ..Settings::default()
    }
}

/// Changes the configuration: other targets, repeated ones, another order or other settings.
fn change(config: &mut Config, random: &mut Random) {
    for _ in 0..random.below(4) {
        let index = random.below(config.targets.len() as u64) as usize;
        match random.below(4) {
            0 if config.targets.len() > 1 => {
                config.targets.remove(index);
            }
            1 => config.targets.insert(index, target(random)),
            2 => config.targets.push(config.targets[index]),
            _ => random.shuffle(&mut config.targets),
        }
    }
    config.targets.truncate(TARGETS);
    let fresh = settings(random);
    match random.below(6) {
        0 => config.settings.thresholds = fresh.thresholds,
        1 => config.settings.report = fresh.report,
        2 => config.settings = fresh,
        3 => switch(&mut config.settings, &fresh),
        _ => {}
    }
}

/// Uses the switches of other settings.
pub fn switch(settings: &mut Settings, fresh: &Settings) {
    (settings.times, settings.events, settings.syslog) = (fresh.times, fresh.events, fresh.syslog);
    (settings.samples, settings.hysteresis) = (fresh.samples, fresh.hysteresis);
}

/// After how many probes a target is down or up.
pub fn hysteresis(random: &mut Random) -> Hysteresis {
    Hysteresis { down_after: random.pick(&[1, 1, 2, 3, 5]), up_after: random.pick(&[1, 1, 2, 4]) }
}

fn target(random: &mut Random) -> Target {
    let port = random.within(1, POOL) as u16;
    let host = if random.one_in(2) { format!("192.0.2.{port}") } else { format!("host-{port}.example") };
    let mut target = Target::new(&format!("service-{port}"), &host, port).expect("the pool's targets are well formed");
    if random.one_in(4) {
        let Hysteresis { down_after, up_after } = hysteresis(random);
        (target.down_after, target.up_after) = (Some(down_after), Some(up_after));
    }
    target
}

fn nanos(driver: &Driver<RandomWorld>) -> i128 {
    nanos_of(driver.wall())
}

fn nanos_of(wall: WallTime) -> i128 {
    i128::from(wall.unix) * i128::from(SECOND) + i128::from(wall.nanos)
}
