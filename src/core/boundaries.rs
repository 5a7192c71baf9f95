//! The wall-clock boundaries at which reports are due.

use crate::base::time::{Instant, Nanos, WallTime};

/// When the next report is due: at wall-clock multiples of the report interval since local
/// midnight, and at midnight itself.
///
/// The wall clock may step forward or back at any moment. A step moves the next boundary and nothing
/// else. A step over a boundary makes that report due at once; a short step back does not make a
/// report due twice.
#[derive(Clone, Copy, Debug)]
pub struct Boundaries {
    /// The interval in seconds.
    every: u32,
    /// What the wall clock read, in seconds since 1970, when the next boundary was computed.
    seen: i64,
    /// The last boundary that was due, in seconds since 1970.
    last: Option<i64>,
    /// The next boundary, in seconds since 1970.
    due: i64,
    next: Instant,
}

const HOUR: u32 = 3600;

const DAY: u32 = 86_400;

impl Boundaries {
    /// Boundaries at an interval of `every` (whole seconds, one second to one day), from `now` on, when
    /// the wall clock reads `wall`.
    pub fn new(every: Nanos, now: Instant, wall: WallTime) -> Self {
        let mut boundaries = Self { every: 1, seen: 0, last: None, due: 0, next: now };
        boundaries.change(every, now, wall);
        boundaries
    }

    /// When the wall clock must be read next.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The next boundary, in seconds since 1970.
    pub fn due(&self) -> i64 {
        self.due
    }

    /// Changes the interval from `now` on.
    pub fn change(&mut self, every: Nanos, now: Instant, wall: WallTime) {
        self.every = (every.secs() as u32).max(1);
        self.arm(now, wall);
    }

    /// The wall clock reads `wall` at `now`. Returns the boundary that has passed since the last reading, if
    /// one has.
    pub fn read(&mut self, now: Instant, wall: WallTime) -> Option<WallTime> {
        let passed = wall.unix - i64::from(wall.second_of_day() % self.every);
        let due = passed > self.seen && !self.was_due(passed);
        if due {
            self.last = Some(passed);
        }
        self.arm(now, wall);
        due.then(|| wall.at(passed))
    }

    /// Whether a report was due at this boundary already, before the clock stepped back a little.
    fn was_due(&self, boundary: i64) -> bool {
        self.last.is_some_and(|last| boundary <= last && last - boundary < self.every.into())
    }

    fn arm(&mut self, now: Instant, wall: WallTime) {
        self.seen = wall.unix;
        let second = wall.second_of_day();
        let to_boundary = |second: u32| (self.every - second % self.every).min(DAY - second);
        let mut wait = to_boundary(second);
        while self.was_due(wall.unix + i64::from(wait)) {
            wait += to_boundary((second + wait) % DAY);
        }
        self.due = wall.unix + i64::from(wait);
        // A change of the time zone's offset before the boundary would move it: with a long interval the
        // clock is read every hour.
        if wait > HOUR {
            wait = HOUR - second % HOUR;
        }
        self.next = (now + Nanos::from_secs(wait.into())).before(Nanos::new(u64::from(wall.nanos)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;

    /// A wall clock and a monotonic one, and the boundaries of the wall clock.
    struct Clock {
        now: u64,
        ahead: i64,
        offset: i32,
        boundaries: Boundaries,
    }

    impl Clock {
        /// Starts at 2025-10-09 14:31:00 UTC.
        fn new(every: u64) -> Self {
            let ahead = 1_760_020_260;
            let wall = WallTime { unix: ahead, nanos: 0, offset: 0 };
            let boundaries = Boundaries::new(Nanos::from_secs(every), Instant::from_nanos(0), wall);
            Self { now: 0, ahead, offset: 0, boundaries }
        }

        fn wall(&self) -> WallTime {
            let nanos = self.now % 1_000_000_000;
            let unix = self.ahead + (self.now / 1_000_000_000) as i64;
            WallTime { unix, nanos: nanos as u32, offset: self.offset }
        }

        fn read(&mut self) -> Option<String> {
            let stamp = self.boundaries.read(Instant::from_nanos(self.now), self.wall());
            assert!(self.boundaries.next() > Instant::from_nanos(self.now));
            stamp.map(|stamp| stamp.to_string()[11..].to_string())
        }

        /// Waits until the clock must be read, and reads it.
        fn wait(&mut self) -> Option<String> {
            self.now += self.boundaries.next().since(Instant::from_nanos(self.now)).get();
            self.read()
        }

        /// The wall clock steps by `seconds` and is read at once.
        fn step(&mut self, seconds: i64) -> Option<String> {
            self.ahead += seconds;
            self.read()
        }
    }

    fn due(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    #[test]
    fn reports_fall_on_multiples_of_the_interval() {
        let mut clock = Clock::new(300);
        assert_eq!([clock.wait(), clock.wait(), clock.wait()], [due("14:35:00"), due("14:40:00"), due("14:45:00")]);
    }

    #[test]
    fn midnight_is_a_boundary_of_every_interval() {
        let mut clock = Clock::new(7 * 60);
        let stamps: Vec<_> = (0..200).filter_map(|_| clock.wait()).collect();
        let midnight = stamps.iter().position(|s| s == "00:00:00").expect("midnight is among them");
        assert_eq!(stamps[midnight - 1..midnight + 2], ["23:55:00", "00:00:00", "00:07:00"]);
    }

    #[test]
    fn a_reading_just_before_the_boundary_is_too_early() {
        let mut clock = Clock::new(300);
        clock.now = 240 * 1_000_000_000 - 1;
        assert_eq!(clock.read(), None);
        assert_eq!(clock.boundaries.next(), Instant::from_nanos(240 * 1_000_000_000));
        assert_eq!(clock.wait(), due("14:35:00"));
    }

    #[test]
    fn a_step_forward_over_boundaries_makes_the_latest_due_once() {
        let mut clock = Clock::new(300);
        assert_eq!(clock.step(131 * MINUTE), due("16:40:00"));
        assert_eq!([clock.wait(), clock.wait()], [due("16:45:00"), due("16:50:00")]);
    }

    #[test]
    fn a_step_within_an_interval_only_moves_the_boundary() {
        let mut clock = Clock::new(300);
        assert_eq!(clock.step(2 * MINUTE), None);
        assert_eq!(clock.boundaries.next(), Instant::from_nanos(120 * 1_000_000_000));
        assert_eq!(clock.step(-2 * MINUTE), None);
        assert_eq!(clock.boundaries.next(), Instant::from_nanos(240 * 1_000_000_000));
    }

    #[test]
    fn a_small_step_back_over_a_boundary_does_not_report_it_twice() {
        let mut clock = Clock::new(300);
        assert_eq!(clock.wait(), due("14:35:00"));
        assert_eq!(clock.step(-1), None);
        assert_eq!(clock.wait(), due("14:40:00"));
    }

    #[test]
    fn a_large_step_back_reports_the_times_that_come_again() {
        let mut clock = Clock::new(300);
        assert_eq!(clock.wait(), due("14:35:00"));
        assert_eq!(clock.step(-95 * MINUTE), None);
        assert_eq!([clock.wait(), clock.wait()], [due("13:05:00"), due("13:10:00")]);
    }

    #[test]
    fn an_hour_that_the_time_zone_repeats_or_leaves_out_is_reported_by_local_time() {
        let mut clock = Clock::new(1800);
        assert_eq!(clock.wait(), due("15:00:00"));
        clock.offset = 3600;
        assert_eq!([clock.wait(), clock.wait()], [due("16:30:00"), due("17:00:00")]);
        clock.offset = 0;
        assert_eq!([clock.wait(), clock.wait()], [due("16:30:00"), due("17:00:00")]);
    }

    #[test]
    fn a_daily_report_keeps_to_midnight_when_the_time_zone_changes() {
        let mut clock = Clock::new(DAY.into());
        clock.offset = 3600;
        let mut stamps = Vec::new();
        for hour in 0..48 {
            if hour == 5 {
                clock.offset = 7200;
            }
            stamps.extend(clock.wait());
        }
        assert_eq!(stamps, ["00:00:00", "00:00:00"]);
        assert!(clock.now < 48 * 3600 * 1_000_000_000);
    }
}
