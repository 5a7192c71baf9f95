//! A random hour: its settings and targets, and what happens to the process meanwhile.

use std::sync::OnceLock;

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::Span;
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::Thresholds;
use tcpmon::model::settings::{Config, Hysteresis, Settings};
use tcpmon::model::target::Target;

use crate::driver::{Driver, DriverOptions};
use crate::kill_chain::{hysteresis, switch};
use crate::page::Counts;
use crate::random::Random;
use crate::random_world::RandomWorld;
use crate::wall_clock::WallClock;

/// Targets at the start.
const TARGETS: u64 = 100;

/// Records for all targets of an hour, removed ones too.
const RECORDS: usize = 640;

/// Targets to choose from.
const POOL: u16 = 140;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;

/// Something that happens to the process.
#[derive(Clone, Copy, Debug)]
enum Incident {
    Stopped,
    ClockSet,
    ZoneChanged,
    Reloaded,
    ReportWanted,
    ResolverDead(bool),
    NetworkDead(bool),
    DiskFull(bool),
    Blocked(Option<Kind>),
    ClockRead,
}

/// The results of an hour.
#[derive(Clone, Copy, Debug, Default)]
pub struct HourTotals {
    /// Probes that ended, by their outcome.
    pub probes: Counts,
    /// Ticks that were skipped.
    pub skipped: u64,
    /// Lookups and connects.
    pub requests: u64,
    /// Simulated seconds.
    pub seconds: u64,
}

/// Runs the hour of this seed.
pub fn run(seed: u64) -> HourTotals {
    let mut random = Random::new(seed);
    let mut config = Config { settings: settings(&mut random), ..Config::new() };
    let named = random.pick(&[0, 20, 50, 50, 100]);
    let own = random.pick(&[0, 0, 6]);
    let choose = |port: u16, random: &mut Random| {
        let mut target = pool()[usize::from(port - 1)][usize::from(u64::from(port) * 37 % 100 < named)];
        if random.one_in(own) {
            target.interval = Some(random.length(Nanos::from_secs(2), Nanos::from_secs(200)));
            let Hysteresis { down_after, up_after } = hysteresis(random);
            (target.down_after, target.up_after) = (Some(down_after), Some(up_after));
        }
        target
    };
    config.targets.extend((1..=TARGETS as u16).map(|port| choose(port, &mut random)));
    shorten(&mut config);
    let rounds = random.within(1, 100);
    let interval = config.settings.interval;
    let duration = if random.one_in(2) { interval.times(rounds) } else { Nanos::new(random.below(HOUR)) };
    let span = match random.below(40) {
        0 => Span { rounds: Some(rounds as u32), duration: None },
        1 => Span { rounds: None, duration: Some(duration) },
        2 => Span { rounds: Some(rounds as u32), duration: Some(duration) },
        _ => Span::default(),
    };
    let options = DriverOptions {
        action_time: Nanos::new(random.pick(&[0, 0, 0, 0, 0, 20_000, 20_000, 2_000_000])),
        early_polls: 16,
        repeated_answers: 32,
        late_answers: 4,
        polls_between: random.pick(&[0, 8]),
        audits: 512,
        has_ledger: false,
        records: if random.one_in(8) { 0 } else { RECORDS },
        built: 0,
    };
    let start = Instant::from_nanos(random.below(1_000_000 * SECOND));
    let offset = random.pick(&[0, 3600, 7200, -18_000, 20_700, -43_200]);
    let mut unix = i128::from(random.below(2_500_000_000 * SECOND));
    if random.one_in(4) {
        // Shortly before midnight.
        let day = i128::from(86_400 * SECOND);
        unix -= unix.rem_euclid(day) + i128::from(offset) * i128::from(SECOND) + i128::from(random.below(HOUR));
    }
    let second = (unix / i128::from(SECOND)) as i64;
    let about = |random: &mut Random| second + random.within(0, 3000) as i64 - 1500;
    let options = DriverOptions { built: if random.one_in(4) { about(&mut random) } else { 0 }, ..options };
    let clock = WallClock::new(start, unix, offset);
    let world = RandomWorld::new(Random::new(random.next()), start, clock);
    let mut driver = Driver::new(&config, span, world, Random::new(random.next()), options, start, clock);

    let lasts = if random.one_in(20) { random.below(HOUR) } else { HOUR };
    let mut offset = offset;
    for (at, incident) in incidents(&mut random, lasts) {
        driver.run_until(start + Nanos::new(at));
        if driver.finished {
            break;
        }
        match incident {
            Incident::Stopped => driver.sleep(Nanos::new(match random.below(3) {
                0 => random.below(SECOND),
                1 => random.below(20 * SECOND),
                _ => random.below(300 * SECOND),
            })),
            Incident::ClockSet => {
                let by = match random.below(4) {
                    0 => random.below(4 * SECOND),
                    1 => random.below(2 * HOUR),
                    2 => random.below(72 * HOUR),
                    // A wrong clock, until it is set again.
                    _ => random.below(3000 * 24 * HOUR),
                };
                let by = if random.one_in(2) { i128::from(by) } else { -i128::from(by) };
                driver.set_clock(by, offset, random.one_in(2));
            }
            Incident::ZoneChanged => {
                offset += random.pick(&[3600, -3600, 1800]);
                driver.set_clock(0, offset, random.one_in(2));
            }
            Incident::Reloaded => {
                reload(&mut config, &mut random, choose);
                if random.one_in(2) {
                    driver.adopt(&config)
                } else {
                    driver.adopt_between_polls(&config)
                };
            }
            Incident::ReportWanted => driver.report_now(),
            Incident::ResolverDead(dead) => driver.world.resolver_dead = dead,
            Incident::NetworkDead(dead) => driver.world.network_dead = dead,
            Incident::DiskFull(full) => driver.world.disk_full = full,
            Incident::Blocked(kind) => driver.world.blocked = kind,
            Incident::ClockRead => driver.set_clock(0, offset, true),
        }
        if random.one_in(2) {
            driver.wake();
        }
    }
    driver.run_until(start + Nanos::new(lasts));
    if random.one_in(3) && !driver.finished {
        driver.sleep(Nanos::new(random.below(60 * SECOND)));
    }
    driver.stop();
    HourTotals {
        probes: driver.book.counted,
        skipped: driver.book.skipped,
        requests: u64::from(driver.requests),
        seconds: driver.now().since(start).secs(),
    }
}

fn settings(random: &mut Random) -> Settings {
    let interval = match random.below(20) {
        0 => Nanos::from_secs(2),
        1..9 => Nanos::from_secs(random.within(5, 60)),
        9..16 => random.length(Nanos::from_secs(15), Nanos::from_secs(60)),
        _ => Nanos::from_secs(random.within(60, 300)),
    };
    let timeout = match random.below(3) {
        // A typical value, or one with which probes overlap.
        0 => Nanos::from_secs(random.within(1, 20)),
        _ => Nanos::new(interval.get() / 100 * random.within(20, 300)),
    };
    let slow = Nanos::new(timeout.get() / 100 * random.within(5, 95));
    Settings {
        interval,
        thresholds: Thresholds { slow, timeout },
        report: Nanos::from_secs(random.pick(&[10, 60, 60, 77, 300, 300, 420, 600, 1000, 1800, 3600, 7200, 86_400])),
        spread: random.one_in(2),
        helpers: if random.one_in(4) { random.within(1, 8) } else { random.within(32, limits::HELPERS as u64) } as u16,
        times: !random.one_in(4),
        events: !random.one_in(4),
        syslog: random.one_in(4),
        samples: !random.one_in(4),
        hysteresis: hysteresis(random),
        ..Settings::default()
    }
}

/// Shortens the timeout until all probes fit into their table.
fn shorten(config: &mut Config) {
    let Thresholds { slow, timeout } = &mut config.settings.thresholds;
    *timeout = (*timeout).clamp(limits::TIMEOUT.0, limits::TIMEOUT.1);
    *slow = (*slow).min(Nanos::new(timeout.get() - 1));
    while config.in_flight() > limits::IN_FLIGHT as u64 {
        let Thresholds { slow, timeout } = config.settings.thresholds;
        config.settings.thresholds =
            Thresholds { slow: Nanos::new(slow.get() / 2), timeout: Nanos::new(timeout.get() / 2) };
    }
}

fn reload(config: &mut Config, random: &mut Random, choose: impl Fn(u16, &mut Random) -> Target) {
    for _ in 0..random.below(12) {
        let index = random.below(config.targets.len() as u64) as usize;
        if config.targets.len() > 2 {
            config.targets.remove(index);
        }
    }
    for _ in 0..random.below(12) {
        let index = random.below(config.targets.len() as u64 + 1) as usize;
        let target = match random.below(8) {
            // The same target a second time.
            0 => config.targets[index % config.targets.len()],
            _ => choose(random.within(1, POOL.into()) as u16, random),
        };
        config.targets.insert(index, target);
    }
    match random.below(8) {
        0 => random.shuffle(&mut config.targets),
        1 => config.targets.truncate(1 + random.below(3) as usize),
        2 => config.targets.extend((1..=40).map(|port| choose(port, random))),
        _ => {}
    }
    let fresh = settings(random);
    let settings = &mut config.settings;
    match random.below(8) {
        0 => settings.interval = fresh.interval,
        1 => settings.thresholds = fresh.thresholds,
        2 => settings.report = fresh.report,
        3 => settings.spread = fresh.spread,
        4 => settings.helpers = fresh.helpers,
        5 => *settings = fresh,
        6 => switch(settings, &fresh),
        _ => {}
    }
    // More targets would make one seed take as long as ten.
    config.targets.truncate(2 * TARGETS as usize);
    settings.interval = settings.interval.max(Nanos::from_secs(5));
    shorten(config);
}

fn incidents(random: &mut Random, lasts: u64) -> Vec<(u64, Incident)> {
    let mut incidents = Vec::new();
    let kinds = [
        Incident::Stopped,
        Incident::ClockSet,
        Incident::ZoneChanged,
        Incident::Reloaded,
        Incident::ReportWanted,
        Incident::ClockRead,
    ];
    for kind in kinds {
        let times = if random.one_in(2) { 0 } else { random.below(8) };
        for _ in 0..times {
            let at = random.below(lasts + 1);
            if random.one_in(4) {
                // The process is stopped, and finds it when it continues.
                incidents.push((at, Incident::Stopped));
            }
            incidents.push((at, kind));
        }
    }
    for (begins, ends) in [
        (Incident::ResolverDead(true), Incident::ResolverDead(false)),
        (Incident::NetworkDead(true), Incident::NetworkDead(false)),
        (Incident::DiskFull(true), Incident::DiskFull(false)),
        (Incident::Blocked(Some(Kind::Events)), Incident::Blocked(None)),
        (Incident::Blocked(Some(Kind::Times)), Incident::Blocked(None)),
    ] {
        if random.one_in(3) {
            let at = random.below(lasts + 1);
            incidents.push((at, begins));
            // Some do not end within the hour.
            incidents.push((at + random.below(HOUR / 2), ends));
        }
    }
    incidents.retain(|(at, _)| *at <= lasts);
    incidents.sort_by_key(|(at, _)| *at);
    incidents
}

/// Each target as a literal and as a name.
fn pool() -> &'static [[Target; 2]] {
    static TARGETS: OnceLock<Vec<[Target; 2]>> = OnceLock::new();
    TARGETS.get_or_init(|| {
        let target = |port: u16, host: &str| {
            Target::new(&format!("service-{port}"), host, port).expect("the pool's targets are well formed")
        };
        let both = |port| [target(port, &format!("192.0.2.{port}")), target(port, &format!("host-{port}.example"))];
        (1..=POOL).map(both).collect()
    })
}
