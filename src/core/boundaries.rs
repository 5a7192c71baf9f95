//! The wall-clock boundaries at which reports are due.

use crate::base::time::{Instant, Nanos, WallTime};

/// When the next report is due: at wall-clock multiples of the report interval since local
/// midnight, and at midnight itself.
///
/// The wall clock may step forward or back at any moment. A step moves the next boundary and nothing
/// else. A step over a boundary makes that report due at once; a short step back does not make a
/// report due twice.
///
/// Local time may leave out a boundary, or go back at it: with summer time 02:00 becomes 03:00, in some
/// zones 00:00 becomes 01:00, and half a year later 23:00. The report is due all the same, at the second
/// that was promised for it, and its stamp is what local time makes of that second. A boundary that
/// local time repeats is due again.
#[derive(Clone, Copy, Debug)]
pub struct Boundaries {
    /// The interval in seconds.
    every: u32,
    /// What the wall clock read when the next boundary was computed.
    seen: WallTime,
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
        let every = whole_seconds(every);
        let mut boundaries = Self { every, seen: wall, last: None, due: 0, next: now };
        boundaries.arm(now, wall);
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

    /// Changes the interval from `now` on. A boundary of the old one that has passed and was not read yet
    /// stays due: the clock must be read at once.
    pub fn change(&mut self, every: Nanos, now: Instant, wall: WallTime) {
        self.every = whole_seconds(every);
        if wall.unix < self.due {
            self.arm(now, wall);
        } else {
            self.next = now;
        }
    }

    /// The wall clock reads `wall` at `now`. Returns the boundary that has passed since the last reading, if
    /// one has.
    pub fn read(&mut self, now: Instant, wall: WallTime) -> Option<WallTime> {
        let mut boundary = wall.unix - i64::from(wall.second_of_day() % self.every);
        if wall.unix >= self.due {
            boundary = boundary.max(self.due);
        }
        let mut passed = (boundary > self.seen.unix).then_some(boundary);
        if passed.is_none() && wall.day() > self.seen.day() {
            // Another time zone has left out midnight, and each day has a file.
            passed = Some(wall.unix);
        }
        passed = passed.filter(|_| !self.was_due(boundary));
        self.last = passed.or(self.last);
        self.arm(now, wall);
        passed.map(|passed| wall.at(passed))
    }

    /// Whether a report was due at this boundary already, before the clock stepped back a little.
    fn was_due(&self, boundary: i64) -> bool {
        self.last.is_some_and(|last| boundary <= last && last - boundary < self.every.into())
    }

    /// Computes the next boundary.
    fn arm(&mut self, now: Instant, wall: WallTime) {
        self.seen = wall;
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

/// An interval in whole seconds, at least one.
fn whole_seconds(every: Nanos) -> u32 {
    (every.secs() as u32).max(1)
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

        /// Starts so many seconds after 2025-10-09 00:00:00 local time, which is `offset` seconds ahead of UTC.
        fn at(every: u64, second: i64, offset: i32) -> Self {
            let mut clock = Clock::new(every);
            clock.ahead = 1_759_968_000 + second - i64::from(offset);
            clock.offset = offset;
            clock.boundaries = Boundaries::new(Nanos::from_secs(every), Instant::from_nanos(0), clock.wall());
            clock
        }

        /// All stamps of the next `seconds`, while local time has another offset from second `change` on.
        fn stamps(&mut self, seconds: u64, change: u64, offset: i32) -> Vec<String> {
            let mut stamps = Vec::new();
            loop {
                let next = self.boundaries.next().since(Instant::from_nanos(0)).get();
                if next > seconds * 1_000_000_000 {
                    return stamps;
                }
                self.now = next;
                if next >= change * 1_000_000_000 {
                    self.offset = offset;
                }
                stamps.extend(self.read());
            }
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

    #[test]
    fn a_boundary_that_summer_time_leaves_out_is_due_at_the_second_that_was_promised() {
        let hours = |hours: u64| hours * 3600;
        let half = |halves: u64| halves * 1800;
        // Europe/Berlin: 02:00 becomes 03:00.
        let berlin = |every| Clock::at(every, 0, 3600).stamps(hours(6), hours(2), 7200);
        assert_eq!(berlin(hours(2)), ["03:00:00", "04:00:00", "06:00:00"]);
        assert_eq!(berlin(hours(3)), ["03:00:00", "06:00:00"]);
        assert_eq!(berlin(100 * 60), ["01:40:00", "03:20:00", "05:00:00", "06:40:00"]);
        // Africa/Cairo, America/Havana: 00:00 becomes 01:00.
        let mut cairo = Clock::at(hours(24), 20 * 3600, 7200);
        assert_eq!(cairo.stamps(hours(28), hours(4), 10_800), ["01:00:00", "00:00:00"]);
        // Australia/Lord_Howe: 02:00 becomes 02:30.
        let lord_howe = |every| Clock::at(every, 0, 37_800).stamps(hours(4), hours(2), 39_600);
        assert_eq!(lord_howe(hours(1)), ["01:00:00", "02:30:00", "03:00:00", "04:00:00"]);
        assert_eq!(lord_howe(hours(2)), ["02:30:00", "04:00:00"]);
        assert_eq!(
            lord_howe(half(1)),
            ["00:30:00", "01:00:00", "01:30:00", "02:30:00", "03:00:00", "03:30:00", "04:00:00", "04:30:00"]
        );
        // Seven minutes: the boundary of 02:06 is left out.
        let stamps = Clock::at(7 * 60, 6600, 3600).stamps(1800, 600, 7200);
        assert_eq!(stamps, ["01:52:00", "01:59:00", "03:06:00", "03:09:00", "03:16:00"]);
    }

    #[test]
    fn a_boundary_at_which_local_time_goes_back_is_due_as_promised_and_again_when_local_time_reaches_it() {
        // 03:00 becomes 02:00.
        let berlin = |every| Clock::at(every, 0, 7200).stamps(7 * 3600, 3 * 3600, 3600);
        assert_eq!(berlin(2 * 3600), ["02:00:00", "02:00:00", "04:00:00", "06:00:00"]);
        assert_eq!(berlin(3 * 3600), ["02:00:00", "03:00:00", "06:00:00"]);
        // 00:00 becomes 23:00 of the day that ends.
        let mut cairo = Clock::at(86_400, 20 * 3600, 10_800);
        assert_eq!(cairo.stamps(29 * 3600, 4 * 3600, 7200), ["23:00:00", "00:00:00", "00:00:00"]);
    }

    #[test]
    fn a_day_that_the_time_zone_leaves_out_has_no_report_and_the_one_after_it_begins_on_time() {
        // Pacific/Apia: after 2011-12-29 came 2011-12-31.
        for every in [7200, 86_400] {
            let mut apia = Clock::at(every, 23 * 3600, -36_000);
            assert_eq!(apia.stamps(3600, 3600, 50_400), ["00:00:00"]);
            assert_eq!(apia.wall().at(apia.wall().unix).to_string(), "2025-10-11 00:00:00");
        }
    }

    #[test]
    fn a_day_whose_midnight_another_time_zone_leaves_out_has_its_report_all_the_same() {
        let mut clock = Clock::at(86_400, 20 * 3600, 0);
        clock.offset = 5 * 3600;
        assert_eq!([clock.wait(), clock.wait()], [due("02:00:00"), None]);
        assert_eq!(clock.stamps(24 * 3600, 0, 5 * 3600), ["00:00:00"]);
        // Back and ahead again: the day has its report.
        let mut clock = Clock::at(86_400, 85_800, 0);
        assert_eq!(clock.wait(), due("00:00:00"));
        clock.offset = -3600;
        assert_eq!(clock.read(), None);
        clock.offset = 0;
        assert_eq!(clock.read(), None);
    }

    #[test]
    fn a_boundary_that_has_passed_when_the_interval_changes_is_due_all_the_same() {
        for (late, stamp) in [(0, due("14:35:00")), (1, due("14:35:00")), (-1, None)] {
            let mut clock = Clock::new(300);
            clock.now = (240 + late) as u64 * 1_000_000_000;
            clock.boundaries.change(Nanos::from_secs(3600), Instant::from_nanos(clock.now), clock.wall());
            assert_eq!(clock.boundaries.next() <= Instant::from_nanos(clock.now), stamp.is_some());
            assert_eq!(clock.read(), stamp);
            assert_eq!(clock.wait(), due("15:00:00"));
        }
    }
}
