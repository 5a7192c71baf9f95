//! A random season: some weeks of a box whose clock is wrong now and then, for a moment or for days, ahead or behind,
//! and what is left of its log.

use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::Span;
use tcpmon::model::settings::{Config, Settings};
use tcpmon::model::target::Target;

use crate::driver::{Driver, DriverOptions};
use crate::random::Random;
use crate::random_world::RandomWorld;
use crate::wall_clock::WallClock;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// The results of a season.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeasonTotals {
    /// Files that were begun by a wrong clock.
    pub wrong: u64,
    /// Files that were deleted.
    pub deleted: u64,
    /// Simulated seconds.
    pub seconds: u64,
}

/// Runs the season of this seed.
pub fn run(seed: u64) -> SeasonTotals {
    let mut random = Random::new(seed ^ 0x6b65_6570);
    let settings = Settings {
        interval: Nanos::from_secs(3600),
        report: Nanos::from_secs(random.pick(&[300, 3600, 7200, 86_400])),
        ..Settings::default()
    };
    let target = Target::new("web", "192.0.2.1", 1).expect("a target");
    let config = Config { settings, targets: vec![target], ..Config::new() };
    let start = Instant::from_nanos(random.below(1_000_000 * SECOND));
    let offset = random.pick(&[0, 3600, -18_000, 20_700]);
    let unix = i128::from(random.within(1_600_000_000 * SECOND, 2_400_000_000 * SECOND));
    let clock = WallClock::new(start, unix, offset);
    let world = RandomWorld::new(Random::new(random.next()), start, clock);
    let built = if random.one_in(2) { (unix / i128::from(SECOND)) as i64 } else { 0 };
    let options = DriverOptions { built, ..DriverOptions::default() };
    let mut driver = Driver::new(&config, Span::default(), world, Random::new(random.next()), options, start, clock);
    for _ in 0..random.below(8) {
        driver.run_until(driver.now() + Nanos::new(random.below(4 * DAY)));
        let days = random.pick(&[0, 1, 2, 30, 3000]);
        let by = i128::from(days * DAY + random.below(DAY));
        let by = if random.one_in(2) { by } else { -by };
        driver.set_clock(by, offset, random.one_in(2));
        let lasts = random.pick(&[0, 2 * SECOND, HOUR, DAY, 4 * DAY]);
        driver.run_until(driver.now() + Nanos::new(lasts));
        driver.set_clock(-by, offset, random.one_in(2));
    }
    driver.run_until(driver.now() + Nanos::new(random.below(20 * DAY)));
    driver.stop();
    SeasonTotals {
        wrong: driver.world.directory.begun_wrong,
        deleted: driver.world.directory.deleted,
        seconds: driver.now().since(start).secs(),
    }
}
