//! The driver: calls the monitor as its documentation says, through virtual time. The other files
//! add to it: `actions` carries out the monitor's actions, `promises` checks it after every wake-up.

use std::collections::VecDeque;

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::ledger::{Ledger, Memory};
use tcpmon::core::monitor::{Action, Changes, Fact, Monitor, Span, TargetEntry, TargetId};
use tcpmon::core::probe::{End, ProbeId};
use tcpmon::model::event::Event;
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::Thresholds;
use tcpmon::model::settings::Config;
use tcpmon::model::target::Target;

use crate::book::Book;
use crate::calendar::Calendar;
use crate::clock_wait::ClockWait;
use crate::daily_file::DailyFile;
use crate::events::Events;
use crate::ids::Ids;
use crate::kill_plan::KillPoint;
use crate::ledger_words;
use crate::life::{Life, ProbeStage};
use crate::lines::begin_events;
use crate::page::{Page, PageUsage};
use crate::queue::{Due, Queue};
use crate::random::Random;
use crate::reading::Reading;
use crate::restart::Storage;
use crate::trace;
use crate::untold::Row;
use crate::wall_clock::WallClock;
use crate::world::World;

/// Variations of the driver's behaviour that the monitor must allow. `0` in a "one in" is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriverOptions {
    /// The time that carrying out one action takes.
    pub action_time: Nanos,
    /// One in so many waits is interrupted by a poll that finds nothing to do.
    pub early_polls: u64,
    /// One in so many answers is given twice.
    pub repeated_answers: u64,
    /// One in so many dropped requests is answered later all the same.
    pub late_answers: u64,
    /// After one in so many events the monitor is polled before the next event.
    pub polls_between: u64,
    /// After one in so many wake-ups all counters are compared.
    pub audits: u64,
    /// Whether there is a ledger, so that the process may be killed.
    pub has_ledger: bool,
    /// Without a ledger: for how many records there is memory all the same, which holds events and rows of times.
    pub records: usize,
    /// The moment of the build, in seconds since 1970. A clock that reads less is wrong.
    pub built: i64,
}

/// The monitor, the world around it, and what is expected of it.
pub struct Driver<W> {
    /// The monitor under test.
    pub monitor: Monitor,
    /// Decides what happens to lookups and connects.
    pub world: W,
    /// The independent count.
    pub book: Book,
    /// Whether the monitor has said that the run has ended.
    pub finished: bool,
    /// What survives a kill; only with a ledger.
    pub storage: Option<Storage>,
    pub(crate) options: DriverOptions,
    pub(crate) queue: Queue,
    pub(crate) calendar: Calendar,
    pub(crate) clock_wait: ClockWait,
    pub(crate) random: Random,
    /// The table of times.
    pub(crate) times_file: DailyFile<Row>,
    /// The log of events.
    pub(crate) event_file: DailyFile<String>,
    /// The end of the events that were written last, and when that was tried, if it failed.
    pub(crate) events_tried: Option<(u32, Instant)>,
    /// Events that were written.
    pub(crate) lines_written: u64,
    /// Whether an event has told that the log, or the file of events, cannot be written.
    pub(crate) trouble: [bool; 2],
    /// Ends of probes that the monitor has not passed on: record, tick and end.
    pub(crate) ends: VecDeque<(u16, Instant, End)>,
    pub(crate) lives: Vec<Option<Life>>,
    /// Lookups that a helper works on.
    pub(crate) lookups: usize,
    /// Probes that must connect before the wake-up ends.
    pub(crate) to_connect: usize,
    pub(crate) ids: Ids,
    /// Ids of requests that have ended, to be answered once more.
    pub(crate) stale: Vec<ProbeId>,
    /// Deadlines that have passed in this wake-up, with the probe's slot.
    pub(crate) overdue: Vec<(Instant, u16)>,
    pub(crate) requests: u32,
    /// The simulated time.
    pub(crate) now: Instant,
    /// The time that `poll` is called with: when the wake-up began.
    pub(crate) turn: Instant,
    pub(crate) clock: WallClock,
    /// Whether the process was stopped, so that several events wait for it.
    pub(crate) jumped: bool,
    /// The monitor was told to read the clock, or to report.
    pub(crate) clock_wanted: bool,
    pub(crate) report_wanted: bool,
    pub(crate) report_due: Option<WallTime>,
    /// The monitor was told to end.
    pub(crate) stopping: bool,
    /// The monitor reads the clock for the last report of a run that ends by itself.
    pub(crate) completing: bool,
    pub(crate) actions: usize,
    pub(crate) rounds: u32,
    pub(crate) said: u64,
    pub(crate) say_from: Instant,
    /// The memory address of the first entry of the monitor's table, to find an entry's number.
    pub(crate) base: usize,
}

impl<W: World> Driver<W> {
    /// A monitor with this configuration that starts at `now`.
    pub fn new(
        config: &Config,
        span: Span,
        world: W,
        random: Random,
        options: DriverOptions,
        now: Instant,
        clock: WallClock,
    ) -> Self {
        let wall = clock.at(now);
        let ledger = match options.has_ledger {
            true => ledger_words::create(&config.targets, wall),
            false if options.records > 0 => Ledger::not_kept(Memory::own(options.records), options.records, wall),
            false => Ledger::absent(),
        };
        let calendar = Calendar::new(config.settings.report, now, wall);
        let clock_wait = ClockWait::new(options.built, now, wall);
        let due = if clock_wait.waits() { 0 } else { calendar.due() };
        let storage = options.has_ledger.then(|| Storage::new(&ledger, config, due, wall));
        let start = begin_events(&ledger, config, None, wall.unix);
        let mut monitor = Monitor::new(config, span, ledger, options.built, now, wall);
        monitor.set_first_event(0);
        let base = monitor.live().next().map_or(0, |entry| std::ptr::from_ref(&entry.target) as usize);
        let events = Events::new(monitor.ledger().capacity(), now, Reading::new(now, wall));
        let mut driver = Self {
            book: Book::new(config.settings, span, now, events),
            calendar,
            clock_wait,
            monitor,
            world,
            finished: false,
            storage,
            options,
            queue: Queue::default(),
            random,
            times_file: DailyFile::new(Kind::Times),
            event_file: DailyFile::new(Kind::Events),
            events_tried: None,
            lines_written: 0,
            trouble: [false; 2],
            ends: VecDeque::new(),
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
        driver.book.adopt(config, &driver.records(), &driver.monitor, now);
        driver.note_start(config, &start);
        driver.wake();
        driver
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time of the simulated wall clock.
    pub fn wall(&self) -> WallTime {
        self.clock.at(self.now)
    }

    /// Runs until `until`: the process sleeps until its next deadline or event, and wakes up.
    pub fn run_until(&mut self, until: Instant) {
        while !self.finished {
            self.check_deadlines_ahead();
            let deadline = self.monitor.next_deadline();
            let wake = deadline.min(self.queue.next()).max(self.now);
            if wake > until {
                break;
            }
            if self.random.one_in(self.options.early_polls) {
                self.wake_early(wake);
            }
            let (for_itself, found) = (deadline < self.queue.next(), self.book.events.found);
            let ended_minute = self.book.ended_minute.take();
            self.now = wake;
            self.wake();
            let did_something = self.actions > 0 || self.book.ticked > 0 || self.book.events.found > found;
            let did_something = did_something || ended_minute.is_some_and(|end| end <= wake);
            assert!(!for_itself || did_something, "woke up for nothing at {wake:?}");
        }
        if !self.finished {
            self.now = self.now.max(until);
        }
    }

    /// Stops the process for so long, as SIGSTOP does. The next wake-up finds all events of that time.
    pub fn sleep(&mut self, length: Nanos) {
        trace::note(self.now, || format!("stopped for {}s", length.as_seconds()));
        for life in self.lives.iter_mut().flatten() {
            life.disturbed = true;
        }
        self.now = self.now + length;
        self.jumped = true;
    }

    /// Delivers what has happened, and carries out the monitor's actions.
    pub fn wake(&mut self) {
        self.wake_with(|_| {});
    }

    /// Asks for a report now.
    pub fn report_now(&mut self) {
        self.wake_with(|driver| {
            driver.want_report();
        });
    }

    /// Tells the run to end.
    pub fn stop(&mut self) {
        self.wake_with(|driver| {
            trace::note(driver.now, || "stop".into());
            driver.reach(KillPoint::Fact);
            driver.monitor.handle(driver.now, Fact::Stop);
            driver.stopping |= !driver.finished;
            driver.clock_wanted = true;
        });
        assert!(self.finished, "the run did not end when it was told to");
    }

    /// Moves the wall clock by `by` nanoseconds and sets its offset from UTC to `offset` seconds. With
    /// `told` the monitor is told at once.
    pub fn set_clock(&mut self, by: i128, offset: i32, told: bool) {
        trace::note(self.now, || format!("clock set by {by} ns, offset {offset}, told: {told}"));
        self.clock.set(by, offset);
        if told {
            self.wake_with(Self::tell_clock);
        }
    }

    /// Reloads with another configuration. `None` where the table has no room for it.
    pub fn adopt(&mut self, config: &Config) -> Option<Changes> {
        let mut changes = None;
        self.wake_with(|driver| changes = driver.reload(config));
        changes
    }

    /// The same, between two polls of one wake-up. No tick may be due then: the book could not tell
    /// whether it came before or after the reload.
    pub fn adopt_between_polls(&mut self, config: &Config) -> Option<Changes> {
        if self.book.next_tick() <= self.now {
            return self.adopt(config);
        }
        self.begin();
        self.deliver();
        self.poll_once();
        let changes = self.reload(config);
        self.drain();
        self.check_wake();
        changes
    }

    /// Writes the report that a change of thresholds needs: what was counted under the old ones is
    /// reported before the reload.
    fn report_first(&mut self) {
        self.want_report();
        while let Some(action) = self.monitor.poll_report() {
            self.carry_out(action);
        }
    }

    fn reload(&mut self, config: &Config) -> Option<Changes> {
        trace::note(self.now, || format!("reload: {} targets, {:?}", config.targets.len(), config.settings));
        if config.settings.thresholds != self.book.settings.thresholds && !self.stopping {
            self.report_first();
        }
        let is_live = |page: &&Page| matches!(page.usage, PageUsage::Live(_));
        let mut staying: Vec<Target> = self.book.pages.iter().filter(is_live).map(|page| page.target).collect();
        let before = staying.len();
        let kept = config.targets.iter().filter(|target| {
            let index = staying.iter().position(|known| known.is_same_as(target));
            index.map(|index| staying.swap_remove(index)).is_some()
        });
        let kept = kept.count();
        let expected = Changes { kept, changed: 0, added: config.targets.len() - kept, removed: before - kept };
        let (deadline, in_flight) = (self.monitor.next_deadline(), self.monitor.in_flight());
        self.make_room(config);
        let candidates = self.book.candidates();
        let wall = self.wall();
        self.reach(KillPoint::Reload);
        let changes = self.monitor.adopt(config, self.now, wall);
        match changes {
            Some(changes) => {
                assert!(changes.changed <= kept, "{changes:?}");
                assert_eq!(Changes { changed: 0, ..changes }, expected);
                self.calendar.change(config.settings.report, self.now, wall);
                self.clock_wait.note(self.now);
                self.note_reading();
                self.book.switch_events(config);
                self.events_tried = None;
                self.book.adopt(config, &self.records(), &self.monitor, self.now);
                self.book.check_continued(&candidates, true);
                self.renew_lives(config.settings.thresholds);
                self.owe(|owed| owed.thresholds = config.settings.thresholds);
                self.owe_next();
                let [new, removed, kept] = [changes.added, changes.removed, changes.kept].map(|count| count as u32);
                self.find(Event::Reload { new, removed, kept });
            }
            None => {
                let held = self.book.pages.iter().filter(|page| page.usage != PageUsage::Free).count();
                assert!(held + expected.added > limits::RECORDS, "there is room for {expected:?}");
                assert_eq!((deadline, in_flight), (self.monitor.next_deadline(), self.monitor.in_flight()));
            }
        }
        changes
    }

    /// Every probe in flight goes on under these limits.
    fn renew_lives(&mut self, limits: Thresholds) {
        for (slot, life) in self.lives.iter_mut().enumerate() {
            if let Some(deadline) = life.as_mut().and_then(|life| life.renew(self.now, limits)) {
                self.queue.push(deadline.max(self.now), Due::Deadline(slot as u16));
            }
        }
    }

    pub(crate) fn want_report(&mut self) {
        trace::note(self.now, || "report now".into());
        self.reach(KillPoint::Fact);
        self.monitor.handle(self.now, Fact::ReportNow);
        (self.clock_wanted, self.report_wanted) = (true, true);
    }

    /// Tells the monitor the time of the wall clock.
    pub(crate) fn tell_clock(&mut self) {
        let wall = self.wall();
        self.reach(KillPoint::Fact);
        self.monitor.handle(self.now, Fact::Clock(wall));
        let boundary = self.calendar.read(self.now, wall);
        let boundary = self.clock_wait.read(self.now, wall, boundary);
        let expected = self.note_reading();
        let (wanted, last) = (std::mem::take(&mut self.report_wanted), self.stopping || self.completing);
        // The last report may be left to the next run, whose clock may be right; and one of zeroes is not written.
        let is_left = self.clock_wait.waits() && self.storage.is_some();
        if last && (is_left || self.book.is_all_told()) {
            self.report_due = None;
            self.book.find_end(self.now);
        } else if wanted || last {
            self.report_due = Some(wall);
        } else if boundary.is_some() {
            self.report_due = boundary;
        }
        self.owe_next();
        if (wall.unix - expected).unsigned_abs() > limits::CLOCK_STEP.secs() {
            self.find(Event::Clock { from: expected, to: wall.unix });
        }
    }

    fn wake_with(&mut self, act: impl FnOnce(&mut Self)) {
        self.begin();
        // Answers and signals may come in either order.
        if self.random.one_in(2) {
            act(self);
            self.deliver();
        } else {
            self.deliver();
            act(self);
        }
        self.drain();
        self.check_wake();
    }

    fn begin(&mut self) {
        self.turn = self.now;
        self.book.begin_wake(self.now);
        (self.actions, self.rounds) = (0, 0);
        self.overdue.clear();
    }

    /// Delivers everything that has happened by now.
    pub(crate) fn deliver(&mut self) {
        while std::mem::take(&mut self.jumped) {
            let mut batch = Vec::new();
            while let Some(due) = self.queue.pop(self.now) {
                batch.push(due);
            }
            self.random.shuffle(&mut batch);
            for (at, due) in batch.drain(..) {
                self.handle_due(at, due);
            }
        }
        while let Some((at, due)) = self.queue.pop(self.now) {
            self.handle_due(at, due);
            if self.random.one_in(self.options.polls_between) {
                self.poll_once();
            }
        }
    }

    fn drain(&mut self) {
        while self.poll_once() {}
    }

    /// Calls `poll` once. Returns whether there was an action.
    fn poll_once(&mut self) -> bool {
        self.reach(KillPoint::Poll);
        let action = self.monitor.poll(self.turn);
        if matches!(action, None | Some(Action::WriteEvents)) && !self.stopping && !self.completing {
            self.book.tell_flapping(self.turn, false);
            self.book.events.discard_unwanted();
        }
        let Some(action) = action else { return false };
        self.actions += 1;
        let probes = self.lives.len() + self.book.pages.len();
        assert!(
            self.actions <= 16 + probes * (limits::ADDRESSES + 2 * usize::from(limits::LOOKUP_ASKS) + 5),
            "a drain does not end: {action:?}"
        );
        self.carry_out(action);
        if self.options.action_time > Nanos::ZERO {
            self.now = self.now + self.options.action_time;
            if self.actions % limits::BATCH == 0 {
                self.deliver();
            }
        }
        true
    }

    /// The record numbers of the configured targets, in order. They are worked out from the memory
    /// addresses of the entries, which also tells two equal targets apart.
    pub(crate) fn records(&self) -> Vec<u16> {
        self.monitor.live().map(|entry| self.record_at(&entry.target)).collect()
    }

    fn record_at(&self, target: &Target) -> u16 {
        let distance = std::ptr::from_ref(target) as usize - self.base;
        assert!(distance % size_of::<TargetEntry>() == 0, "the target table has moved");
        (distance / size_of::<TargetEntry>()) as u16
    }

    /// The record number of an action's target.
    pub(crate) fn record(&self, target: TargetId) -> u16 {
        self.record_at(self.monitor.target(target))
    }

    /// Whether `at` is still the deadline of the probe in this slot.
    pub(crate) fn is_deadline_of(&self, slot: u16, at: Instant) -> bool {
        let life = self.lives.get(usize::from(slot)).and_then(Option::as_ref);
        life.is_some_and(|life| life.deadline == Some(at) && life.stage != ProbeStage::MustLookUp)
    }
}
