//! Drives the monitor through virtual time as its page says, and checks after every step what it
//! promises.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::ledger::Ledger;
use tcpmon::core::monitor::{Changes, Event, Monitor, Span, TargetEntry, TargetId};
use tcpmon::core::probe::ProbeId;
use tcpmon::model::settings::Config;
use tcpmon::model::target::Target;

use crate::book::{Book, Page, Standing};
use crate::calendar::Calendar;
use crate::fuse::Step;
use crate::life::{Life, Phase};
use crate::patience::Patience;
use crate::queue::Queue;
use crate::random::Random;
use crate::remains;
use crate::restart::Estate;
use crate::trace;
use crate::wall_clock::WallClock;
use crate::world::World;

/// How the driver goes about it, within what the monitor allows. `0` in a "one in" is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// How long it takes to carry out an action.
    pub hands: Nanos,
    /// One in so many waits is interrupted for nothing.
    pub early: u64,
    /// One in so many answers comes a second time.
    pub repeats: u64,
    /// One in so many requests that were dropped is answered later.
    pub late: u64,
    /// Between one in so many events the monitor is polled.
    pub interleaves: u64,
    /// One in so many wakes is followed by a comparison of all counters.
    pub audits: u64,
    /// The counts are kept in a ledger, so that the process may be killed.
    pub keeps: bool,
    /// A clock that reads less is wrong, in seconds since 1970.
    pub built: i64,
}

/// The monitor, the world around it, and the books.
pub struct Driver<W> {
    /// What is tested.
    pub monitor: Monitor,
    /// What happens to lookups and connects.
    pub world: W,
    /// What must have been counted.
    pub book: Book,
    /// Whether the monitor has said that the run has ended.
    pub finished: bool,
    /// What outlives the process, where the counts are kept.
    pub estate: Option<Estate>,
    pub(crate) manners: Manners,
    pub(crate) queue: Queue,
    pub(crate) calendar: Calendar,
    pub(crate) patience: Patience,
    pub(crate) random: Random,
    pub(crate) lives: Vec<Option<Life>>,
    /// Lookups that helpers hold.
    pub(crate) lookups: usize,
    /// Probes that must connect before the wake is over.
    pub(crate) to_connect: usize,
    pub(crate) ids: Ids,
    /// Ids that answer nothing any more.
    pub(crate) stale: Vec<ProbeId>,
    /// Deadlines that have passed in this wake.
    pub(crate) overdue: Vec<(Instant, u16)>,
    pub(crate) requests: u32,
    /// The present.
    pub(crate) now: Instant,
    /// What the monitor is told when it is polled: the present when the wake began.
    pub(crate) turn: Instant,
    pub(crate) clock: WallClock,
    /// Whether the present has jumped, so that events have piled up.
    pub(crate) jumped: bool,
    /// Whether a lookup that is asked for now must begin at once.
    pub(crate) hurries: bool,
    /// The monitor was told to read the clock or to report.
    pub(crate) clock_wanted: bool,
    pub(crate) report_wanted: bool,
    pub(crate) report_due: Option<WallTime>,
    /// It was told to end.
    pub(crate) stopping: bool,
    /// It reads the clock for the last report of a run that ends by itself.
    pub(crate) completing: bool,
    pub(crate) actions: usize,
    pub(crate) rounds: u32,
    pub(crate) said: u64,
    pub(crate) say_from: Instant,
    /// The address of the monitor's first place: places are told from it.
    pub(crate) base: usize,
}

/// The ids of all actions so far, to see that none comes twice.
pub type Ids = std::collections::HashSet<ProbeId, std::hash::BuildHasherDefault<IdHasher>>;

/// Ids are small numbers: multiplying them spreads them well enough.
#[derive(Default)]
pub struct IdHasher(u64);

impl std::hash::Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u32(u32::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
}

impl<W: World> Driver<W> {
    /// A monitor of this configuration that starts at `now`.
    pub fn new(
        config: &Config,
        span: Span,
        world: W,
        random: Random,
        manners: Manners,
        now: Instant,
        clock: WallClock,
    ) -> Self {
        let wall = clock.at(now);
        let ledger = if manners.keeps { remains::create(&config.targets, wall) } else { Ledger::absent() };
        let calendar = Calendar::new(config.settings.report, now, wall);
        let patience = Patience::new(manners.built, now, wall);
        let due = if patience.waits() { 0 } else { calendar.due() };
        let estate = manners.keeps.then(|| Estate::new(&ledger, config, due, wall));
        let monitor = Monitor::new(config, span, ledger, manners.built, now, wall);
        let base = monitor.live().next().map_or(0, |watch| std::ptr::from_ref(&watch.target) as usize);
        let mut driver = Self {
            book: Book::new(config.settings, span, now),
            calendar,
            patience,
            monitor,
            world,
            finished: false,
            estate,
            manners,
            queue: Queue::default(),
            random,
            lives: Vec::new(),
            lookups: 0,
            to_connect: 0,
            ids: Ids::default(),
            stale: Vec::new(),
            overdue: Vec::new(),
            requests: 0,
            now,
            turn: now,
            clock,
            jumped: false,
            hurries: false,
            clock_wanted: false,
            report_wanted: false,
            report_due: None,
            stopping: false,
            completing: false,
            actions: 0,
            rounds: 0,
            said: 0,
            say_from: now,
            base,
        };
        driver.book.adopt(config, &driver.places(), &driver.monitor, now);
        driver.wake();
        driver
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What the wall clock reads.
    pub fn wall(&self) -> WallTime {
        self.clock.at(self.now)
    }

    /// Lets time pass until `until`; the process sleeps and wakes as it is asked to.
    pub fn run_until(&mut self, until: Instant) {
        while !self.finished {
            self.check_deadlines_ahead();
            let deadline = self.monitor.next_deadline();
            let wake = deadline.min(self.queue.next()).max(self.now);
            if wake > until {
                break;
            }
            if self.random.one_in(self.manners.early) {
                self.wake_early(wake);
            }
            let for_itself = deadline < self.queue.next();
            self.now = wake;
            self.wake();
            assert!(!for_itself || self.actions > 0 || self.book.ticked > 0, "woke up for nothing at {wake:?}");
        }
        if !self.finished {
            self.now = self.now.max(until);
        }
    }

    /// The process is stopped for so long. What happens meanwhile piles up; the next wake finds it.
    pub fn sleep(&mut self, length: Nanos) {
        trace::note(self.now, || format!("stopped for {}s", length.as_seconds()));
        for life in self.lives.iter_mut().flatten() {
            life.disturbed = true;
        }
        self.now = self.now + length;
        self.jumped = true;
    }

    /// Takes in what has happened, and lets the monitor do what it wants.
    pub fn wake(&mut self) {
        self.wake_with(|_| {});
    }

    /// A report is wanted now.
    pub fn report_now(&mut self) {
        self.wake_with(|driver| {
            driver.want_report();
        });
    }

    /// The run is to end.
    pub fn stop(&mut self) {
        self.wake_with(|driver| {
            trace::note(driver.now, || "stop".into());
            driver.step(Step::Event);
            driver.monitor.handle(driver.now, Event::Stop);
            driver.stopping |= !driver.finished;
            driver.clock_wanted = true;
        });
        assert!(self.finished, "the run did not end when it was told to");
    }

    /// The wall clock is set by so many nanoseconds, and the zone's offset to this; the monitor is
    /// told, or finds out.
    pub fn set_clock(&mut self, by: i128, offset: i32, told: bool) {
        trace::note(self.now, || format!("clock set by {by} ns, offset {offset}, told: {told}"));
        self.clock.set(by, offset);
        if told {
            self.wake_with(Self::tell_clock);
        }
    }

    /// Another configuration, as a reload brings it. Whether there is room for it.
    pub fn adopt(&mut self, config: &Config) -> Option<Changes> {
        let mut changes = None;
        self.wake_with(|driver| changes = driver.take_over(config));
        changes
    }

    /// The same, between two polls of one wake. Ticks must not be due: they would not be where the
    /// books look for them.
    pub fn adopt_between_polls(&mut self, config: &Config) -> Option<Changes> {
        if self.book.next_tick() <= self.now {
            return self.adopt(config);
        }
        self.begin();
        self.deliver();
        self.poll_once();
        let changes = self.take_over(config);
        self.drain();
        self.settle();
        changes
    }

    /// What happens at once when the thresholds change: what was counted under the old ones is
    /// reported at a moment when nothing else is due.
    fn report_first(&mut self) {
        self.want_report();
        let turn = std::mem::replace(&mut self.turn, Instant::from_nanos(0));
        self.hurries = true;
        while self.poll_once() {}
        self.hurries = false;
        self.turn = turn;
    }

    fn take_over(&mut self, config: &Config) -> Option<Changes> {
        trace::note(self.now, || format!("reload: {} targets, {:?}", config.targets.len(), config.settings));
        if config.settings.thresholds != self.book.settings.thresholds && !self.stopping {
            self.report_first();
        }
        let is_live = |page: &&Page| matches!(page.standing, Standing::Live(_));
        let mut staying: Vec<Target> = self.book.pages.iter().filter(is_live).map(|page| page.target).collect();
        let before = staying.len();
        let kept = config.targets.iter().filter(|target| {
            let place = staying.iter().position(|known| known.is_same_as(target));
            place.map(|place| staying.swap_remove(place)).is_some()
        });
        let kept = kept.count();
        let expected = Changes { kept, changed: 0, added: config.targets.len() - kept, removed: before - kept };
        let (deadline, in_flight) = (self.monitor.next_deadline(), self.monitor.in_flight());
        self.make_room(config);
        let heirs = self.book.heirs();
        let wall = self.wall();
        self.step(Step::Reload);
        let changes = self.monitor.adopt(config, self.now, wall);
        match changes {
            Some(changes) => {
                assert!(changes.changed <= kept, "{changes:?}");
                assert_eq!(Changes { changed: 0, ..changes }, expected);
                self.calendar.change(config.settings.report, self.now, wall);
                self.patience.note(self.now);
                self.book.adopt(config, &self.places(), &self.monitor, self.now);
                self.book.check_heirs(&heirs, true);
                self.owe(|owed| owed.thresholds = config.settings.thresholds);
                self.owe_next();
            }
            None => {
                let held = self.book.pages.iter().filter(|page| page.standing != Standing::Free).count();
                assert!(held + expected.added > limits::RECORDS, "there is room for {expected:?}");
                assert_eq!((deadline, in_flight), (self.monitor.next_deadline(), self.monitor.in_flight()));
            }
        }
        changes
    }

    pub(crate) fn want_report(&mut self) {
        trace::note(self.now, || "report now".into());
        self.step(Step::Event);
        self.monitor.handle(self.now, Event::ReportNow);
        (self.clock_wanted, self.report_wanted) = (true, true);
    }

    /// The monitor hears what the wall clock reads.
    pub(crate) fn tell_clock(&mut self) {
        let wall = self.wall();
        self.step(Step::Event);
        self.monitor.handle(self.now, Event::Clock(wall));
        let boundary = self.calendar.read(self.now, wall);
        let boundary = self.patience.read(self.now, wall, boundary);
        let (wanted, last) = (std::mem::take(&mut self.report_wanted), self.stopping || self.completing);
        if last && self.patience.waits() && self.estate.is_some() {
            // The next run will know better.
            self.report_due = None;
        } else if wanted || last {
            self.report_due = Some(wall);
        } else if boundary.is_some() {
            self.report_due = boundary;
        }
        self.owe_next();
    }

    fn wake_with(&mut self, act: impl FnOnce(&mut Self)) {
        self.begin();
        // Answers and signals come in any order.
        if self.random.one_in(2) {
            act(self);
            self.deliver();
        } else {
            self.deliver();
            act(self);
        }
        self.drain();
        self.settle();
    }

    fn begin(&mut self) {
        self.turn = self.now;
        self.book.begin_wake();
        (self.actions, self.rounds) = (0, 0);
        self.overdue.clear();
    }

    /// Takes in everything that has happened by now.
    pub(crate) fn deliver(&mut self) {
        while std::mem::take(&mut self.jumped) {
            let mut batch = Vec::new();
            while let Some(due) = self.queue.pop(self.now) {
                batch.push(due);
            }
            self.random.shuffle(&mut batch);
            for (at, due) in batch.drain(..) {
                self.take_in(at, due);
            }
        }
        while let Some((at, due)) = self.queue.pop(self.now) {
            self.take_in(at, due);
            if self.random.one_in(self.manners.interleaves) {
                self.poll_once();
            }
        }
    }

    fn drain(&mut self) {
        while self.poll_once() {}
    }

    /// One call of `poll`. Whether there was something to do.
    fn poll_once(&mut self) -> bool {
        self.step(Step::Poll);
        let Some(action) = self.monitor.poll(self.turn) else { return false };
        self.actions += 1;
        let probes = self.lives.len() + self.book.pages.len();
        assert!(
            self.actions <= 16 + probes * (limits::ADDRESSES + 2 * usize::from(limits::LOOKUP_ASKS) + 2),
            "a drain does not end: {action:?}"
        );
        self.carry_out(action);
        if self.manners.hands > Nanos::ZERO {
            self.now = self.now + self.manners.hands;
            if self.actions % limits::BATCH == 0 {
                self.deliver();
            }
        }
        true
    }

    /// The places of the configured targets in the monitor's table: where their watches lie in
    /// memory tells them apart even where two are equal.
    pub(crate) fn places(&self) -> Vec<u16> {
        self.monitor.live().map(|watch| self.place_at(&watch.target)).collect()
    }

    fn place_at(&self, target: &Target) -> u16 {
        let distance = std::ptr::from_ref(target) as usize - self.base;
        assert!(distance % size_of::<TargetEntry>() == 0, "the table of watches has moved");
        (distance / size_of::<TargetEntry>()) as u16
    }

    /// The place of an action's target.
    pub(crate) fn place(&self, watch: TargetId) -> u16 {
        self.place_at(self.monitor.target(watch))
    }

    /// Whether the deadline `at` is that of the probe in this slot.
    pub(crate) fn is_deadline_of(&self, slot: u16, at: Instant) -> bool {
        let life = self.lives.get(usize::from(slot)).and_then(Option::as_ref);
        life.is_some_and(|life| life.deadline == Some(at) && life.phase != Phase::AsksAgain)
    }
}
