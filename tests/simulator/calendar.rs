//! The calendar: the simulator's own calculation of when a report is due. It starts from local
//! midnight, the monitor from the distance to the next boundary.

use tcpmon::base::time::{Instant, Nanos, WallTime};

const DAY: i64 = 86_400;
const HOUR: i64 = 3600;

/// Boundaries lie at multiples of the interval since local midnight, and at midnight.
#[derive(Debug)]
pub struct Calendar {
    every: i64,
    /// The last reading.
    seen: WallTime,
    seen_at: Instant,
    /// The last boundary that was due.
    last: Option<i64>,
    /// When the next boundary passes if the clock is not set.
    next: Instant,
    /// That boundary, in seconds since 1970.
    due: i64,
}

impl Calendar {
    /// A calendar whose clock has just been read.
    pub fn new(every: Nanos, now: Instant, wall: WallTime) -> Self {
        let mut calendar =
            Self { every: every.secs() as i64, seen: wall, seen_at: now, last: None, next: Instant::NEVER, due: 0 };
        calendar.note_reading(now, wall);
        calendar
    }

    /// Changes to another interval. A boundary that has passed unseen is still due.
    pub fn change(&mut self, every: Nanos, now: Instant, wall: WallTime) {
        if self.every != every.secs() as i64 {
            self.every = every.secs() as i64;
            if self.due <= wall.unix {
                self.next = now;
            } else {
                self.note_reading(now, wall);
            }
        }
    }

    /// When the wall clock must have been read.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The next boundary, in seconds since 1970.
    pub fn due(&self) -> i64 {
        self.due
    }

    /// Whether the monitor has a reason of its own to read the clock at `now`: a boundary, or a full
    /// hour if the boundary is more than an hour away.
    pub fn may_read(&self, now: Instant) -> bool {
        let far = self.next.since(self.seen_at) > Nanos::from_secs(HOUR as u64);
        let passed = Nanos::new(now.since(self.seen_at).get() + u64::from(self.seen.nanos)).secs() as i64;
        let local = self.seen.unix + i64::from(self.seen.offset);
        now >= self.next || (far && (local + passed).div_euclid(HOUR) > local.div_euclid(HOUR))
    }

    /// The clock was read. Returns the boundary that is due, if one is.
    pub fn read(&mut self, now: Instant, wall: WallTime) -> Option<WallTime> {
        let (day_before, day) = (self.seen.day(), wall.day());
        let mut boundary = self.at_or_before(wall);
        // The promised second has come, whatever local time shows now.
        if self.due <= wall.unix {
            boundary = boundary.max(self.due);
        }
        let is_new = boundary > self.seen.unix;
        let due = (is_new || day > day_before) && !self.has_been(boundary);
        if !is_new {
            boundary = wall.unix;
        }
        if due {
            self.last = Some(boundary);
        }
        self.note_reading(now, wall);
        due.then_some(WallTime { unix: boundary, nanos: 0, offset: wall.offset })
    }

    /// Whether this boundary was due before: a clock set back by less than an interval reaches it again.
    fn has_been(&self, boundary: i64) -> bool {
        self.last.is_some_and(|last| (last - self.every + 1..=last).contains(&boundary))
    }

    fn at_or_before(&self, wall: WallTime) -> i64 {
        let midnight = wall.unix - i64::from(wall.second_of_day());
        midnight + (wall.unix - midnight) / self.every * self.every
    }

    /// The first boundary after this second.
    fn after(&self, wall: WallTime) -> i64 {
        let midnight = wall.unix - i64::from(wall.second_of_day());
        let boundary = midnight + ((wall.unix - midnight) / self.every + 1) * self.every;
        boundary.min(midnight + DAY)
    }

    fn note_reading(&mut self, now: Instant, wall: WallTime) {
        (self.seen, self.seen_at) = (wall, now);
        let mut boundary = self.after(wall);
        while self.has_been(boundary) {
            boundary = self.after(wall.at(boundary));
        }
        let wait = Nanos::from_secs((boundary - wall.unix) as u64).get() - u64::from(wall.nanos);
        self.next = now + Nanos::new(wait);
        self.due = boundary;
    }
}
