//! Restarts: a killed or ended process is started again with the ledger and the log that it left.

use tcpmon::base::limits;
use tcpmon::base::text::Text;
use tcpmon::base::time::{Instant, WallTime};
use tcpmon::core::due;
use tcpmon::core::ledger::{Ledger, Usage};
use tcpmon::core::monitor::{Monitor, Span, TargetEntry};
use tcpmon::model::event::Event;
use tcpmon::model::process_id::ProcessId;
use tcpmon::model::settings::Config;
use tcpmon::render::table::Form;

use crate::calendar::Calendar;
use crate::clock_wait::ClockWait;
use crate::driver::Driver;
use crate::ids::Ids;
use crate::kill_plan::{self, Kill, KillPoint, Owed};
use crate::ledger_words;
use crate::lines::begin_events;
use crate::log::{self, Log, Report, Rows};
use crate::page::PageUsage;
use crate::queue::Queue;
use crate::reading::Reading;
use crate::trace;
use crate::wall_clock::WallClock;
use crate::world::World;

/// Storage: what survives the process, above all its log. While the process runs, its monitor has
/// the ledger.
#[derive(Debug)]
pub struct Storage {
    /// The log, and what the next run must do for it.
    pub log: Log,
    /// Processes that were killed.
    pub kills: u64,
    /// Those of them that were killed during an operation.
    pub halves: u64,
    /// Reports that a new run wrote at its start.
    pub late_reports: u64,
    /// The ledger while there is no monitor.
    pub(crate) ledger: Option<Ledger>,
    /// Whether the process was killed during a change of its targets.
    uncertain: bool,
    /// If it was killed during an operation: the numbers of the first and the end of the events before that.
    before: Option<(u32, u32)>,
    runs: u32,
}

impl Storage {
    /// The storage of the first run.
    pub fn new(ledger: &Ledger, config: &Config, due: i64, wall: WallTime) -> Self {
        ledger.begin_run(ProcessId { pid: 1, born: 1 }, "", wall);
        let owed = Owed { writing: None, due, thresholds: config.settings.thresholds, running: true };
        Self {
            log: Log::new(owed),
            kills: 0,
            halves: 0,
            late_reports: 0,
            ledger: None,
            uncertain: false,
            before: None,
            runs: 1,
        }
    }
}

impl<W: World> Driver<W> {
    /// The process reaches this kill point.
    pub(crate) fn reach(&mut self, point: KillPoint) {
        if let Some(Storage { log, ledger, .. }) = &mut self.storage {
            log.reach(point, ledger.as_ref().unwrap_or(self.monitor.ledger()));
        }
    }

    /// The ledger, also while there is no monitor.
    pub(crate) fn ledger(&self) -> &Ledger {
        let storage = self.storage.as_ref();
        storage.and_then(|storage| storage.ledger.as_ref()).unwrap_or(self.monitor.ledger())
    }

    /// Whether a new run has no monitor yet.
    pub(crate) fn is_starting(&self) -> bool {
        self.storage.as_ref().is_some_and(|storage| storage.ledger.is_some())
    }

    /// Changes what the next run must do.
    pub(crate) fn owe(&mut self, change: impl Fn(&mut Owed)) {
        if let Some(storage) = &mut self.storage {
            storage.log.owe(change);
        }
    }

    /// Sets the boundary that the next run must report at, unless a report is due already.
    pub(crate) fn owe_next(&mut self) {
        if self.report_due.is_none() {
            let due = if self.clock_wait.waits() { 0 } else { self.calendar.due() };
            self.owe(|owed| owed.due = due);
        }
    }

    /// Grows the ledger for these targets.
    pub(crate) fn make_room(&mut self, config: &Config) {
        if self.storage.is_some() {
            self.reach(KillPoint::Fact);
            let (_, needed) = self.monitor.plan(config);
            ledger_words::grow(self.monitor.ledger_mut(), needed);
            self.book.events.records = self.monitor.ledger().capacity();
        }
    }

    /// Writes the monitor's rows to the log. Returns whether they were written.
    pub(crate) fn write(&mut self, stamp: WallTime) -> bool {
        let rows: Rows = self.monitor.rows().map(|(service, columns)| (service.to_string(), columns)).collect();
        let writable = self.world.append(self.now, stamp, &rows);
        let form = Form::new(self.book.settings.thresholds, self.longest_service());
        let Some(storage) = &mut self.storage else {
            self.book.report(&rows, writable);
            return writable;
        };
        self.book.report(&rows, false);
        let report = Report { stamp: stamp.at(stamp.unix), form, rows: rows.clone() };
        let on_written = || self.book.report(&rows, true);
        storage.log.append(self.monitor.ledger(), report, writable, &mut self.random, on_written)
    }

    fn longest_service(&self) -> usize {
        let live = self.book.pages.iter().filter(|page| matches!(page.usage, PageUsage::Live(_)));
        live.map(|page| page.target.service.as_str().chars().count()).max().unwrap_or(0)
    }

    /// Plans when this process is killed; `within` is during that operation, not before it.
    pub fn plan_kill(&mut self, kill: Kill, within: bool) {
        if let Some(storage) = &mut self.storage {
            storage.log.kill_plan.plan_kill(kill, within);
        }
    }

    /// Runs `act`. Returns whether the process is alive afterwards.
    pub fn survives(&mut self, act: impl FnOnce(&mut Self)) -> bool {
        kill_plan::survives(|| act(self))
    }

    /// Starts the dead or ended process again, at `now` and with this configuration and wall clock. A
    /// kill may be planned for it. Returns whether it survived its start.
    pub fn restart(&mut self, config: &Config, kill: Kill, within: bool, now: Instant, clock: WallClock) -> bool {
        let Some(storage) = &mut self.storage else { return true };
        let ledger = storage.ledger.as_ref().unwrap_or(self.monitor.ledger());
        let mut words = ledger_words::words(ledger);
        storage.kills += u64::from(storage.log.owed.iter().any(|owed| owed.running));
        if let Some((before, owed)) = storage.log.kill_plan.clear() {
            words = ledger_words::interrupted(&before, &words, &mut self.random);
            storage.before = storage.before.or(Some(ledger_words::events(&before)));
            storage.log.owed.extend(owed);
            storage.halves += 1;
            storage.uncertain |= matches!(storage.log.kill_plan.last(), KillPoint::Reload | KillPoint::NewMonitor);
        }
        let ledger = ledger_words::open(&words, &config.targets);
        let running = ledger.is_running();
        storage.log.owed.retain(|owed| owed.running == running);
        assert!(!storage.log.owed.is_empty(), "no such run was expected, running: {running}");
        storage.ledger = Some(ledger);
        storage.log.kill_plan.plan_kill(kill, within);
        (self.now, self.turn, self.clock) = (now, now, clock);
        trace::note(now, || format!("started again at {}, {} targets", clock.at(now), config.targets.len()));
        self.survives(|driver| driver.start(config))
    }

    fn start(&mut self, config: &Config) {
        let wall = self.wall();
        self.recover_lines();
        let Some(storage) = &mut self.storage else { return };
        let Some(ledger) = &storage.ledger else { return };
        let log = &mut storage.log;
        log.reach(KillPoint::Recover, ledger);
        let thresholds = config.settings.thresholds;
        let now = (wall.unix >= self.options.built).then_some(wall.unix);
        let stamp = due::left_over(ledger, thresholds, now, |journal| log.has(journal, ledger));
        trace::note(self.now, || format!("to be reported under {stamp:?}, of {:?}", log.owed));
        let is_left = self.book.pages.iter().any(|page| page.counted != page.reported);
        // A report that was begun keeps its stamp. A boundary that has passed is reported late. Counts
        // under other thresholds are reported before new ones are added.
        let expected = |owed: &Owed| match *owed {
            _ if !is_left => None,
            Owed { writing: Some(stamp), .. } => Some(stamp),
            Owed { due, .. } if due > 0 && now.is_none_or(|now| due <= now) => Some(due),
            Owed { thresholds: before, .. } if before != thresholds => now,
            Owed { .. } => None,
        };
        let allowed: Vec<Option<i64>> = log.owed.iter().map(expected).collect();
        log.owed.retain(|owed| expected(owed) == stamp);
        assert!(!log.owed.is_empty(), "reported under {stamp:?} and not {allowed:?}, at {}", wall.unix);
        log.owe(|owed| owed.due = owed.writing.take().unwrap_or(owed.due));
        let reading = Reading::new(self.now, wall);
        self.book.restore(ledger, !storage.uncertain, storage.before.take(), &reading);
        if let Some(stamp) = stamp {
            let stamp = wall.at(stamp);
            let rows = log::rows(ledger);
            let writable = self.world.append(self.now, stamp, &rows);
            self.book.report(&rows, false);
            let report = Report { stamp, form: Form::of(ledger), rows: rows.clone() };
            let on_written = || self.book.report(&rows, true);
            storage.late_reports += 1;
            if log.append(ledger, report, writable, &mut self.random, on_written) {
                log.reach(KillPoint::MarkReported, ledger);
                ledger.mark_reported();
                log.reach(KillPoint::EndReport, ledger);
                ledger.end_report();
            }
            self.write_late_times(stamp, config.settings.times);
        }
        self.begin_run(config, reading);
        self.wake();
    }

    /// Writes the rows of times of a report that was overdue.
    fn write_late_times(&mut self, stamp: WallTime, are_wanted: bool) {
        self.write_times(stamp, are_wanted);
        if !are_wanted {
            self.reach(KillPoint::MarkLines);
            self.ledger().mark_times_written();
            self.book.throw_rows();
        }
    }

    /// The files and the ledger agree: the run begins.
    fn begin_run(&mut self, config: &Config, reading: Reading) {
        let (wall, thresholds) = (self.wall(), config.settings.thresholds);
        let Some(Storage { log, ledger: Some(ledger), runs, .. }) = &mut self.storage else { return };
        let (from, to) = (ledger.alive(), wall.unix);
        let last = if ledger.is_running() { Event::Killed { from, to } } else { Event::Stopped { from, to } };
        log.reach(KillPoint::BeginRun, ledger);
        *runs += 1;
        let first = ledger.end_of_events();
        ledger.begin_run(ProcessId { pid: *runs, born: *runs }, "", wall);
        let events = begin_events(ledger, config, Some(last), wall.unix);
        log.owe(|owed| owed.running = true);
        self.book.events.records = ledger.capacity();
        self.clock_wait = ClockWait::new(self.options.built, self.now, wall);
        self.book.begin_run(config, self.now, reading);
        self.note_start(config, &events);
        self.reach(KillPoint::NewMonitor);
        if let Some(ledger) = self.storage.as_mut().and_then(|storage| storage.ledger.take()) {
            self.monitor = Monitor::new(config, Span::default(), ledger, self.options.built, self.now, wall);
            self.monitor.set_first_event(first);
        }
        self.forget();
        self.calendar = Calendar::new(config.settings.report, self.now, wall);
        self.base = self.find_base();
        let candidates = self.book.candidates();
        self.book.adopt(config, &self.records(), &self.monitor, self.now);
        let due = if self.clock_wait.waits() { 0 } else { self.calendar.due() };
        if let Some(storage) = &mut self.storage {
            let certain = !std::mem::take(&mut storage.uncertain);
            self.book.check_continued(&candidates, certain);
            storage.log.owed = vec![Owed { writing: None, due, thresholds, running: true }];
        }
    }

    /// Forgets everything that was in the process's memory.
    fn forget(&mut self) {
        self.finished = false;
        (self.queue, self.ids) = (Queue::default(), Ids::default());
        self.lives.clear();
        self.stale.clear();
        self.overdue.clear();
        self.ends.clear();
        (self.trouble, self.events_tried) = ([false; 2], None);
        (self.lookups, self.to_connect, self.actions, self.rounds) = (0, 0, 0, 0);
        (self.jumped, self.clock_wanted, self.report_wanted) = (false, false, false);
        (self.stopping, self.completing, self.report_due) = (false, false, None);
        (self.said, self.say_from) = (self.book.skipped, self.now);
    }

    /// The memory address of the first entry: the ledger tells the record number of the first target.
    fn find_base(&self) -> usize {
        let mut records = self.monitor.ledger().records();
        let first = records.find(|(_, record)| record.usage() == Usage::Live && record.order() == 1);
        let number = first.map_or(0, |(number, _)| number);
        let at = self.monitor.live().next().map_or(0, |entry| std::ptr::from_ref(&entry.target) as usize);
        at - number * size_of::<TargetEntry>()
    }

    /// Checks that every ended probe is in the log or in the ledger, exactly once, and so is every event. Each service
    /// has a port of its own.
    pub fn check_storage(&self) {
        self.book.check_balance();
        self.check_event_file();
        self.check_times_file();
        let Some(storage) = &self.storage else { return };
        let mut services: Vec<(Text<{ limits::SERVICE }>, u16)> = Vec::new();
        let known = self.book.pages.iter().map(|page| (page.target.service, page.target.port));
        known.for_each(|one| {
            if !services.contains(&one) {
                services.push(one)
            }
        });
        for (service, port) in services {
            let mut sum = storage.log.total(service.as_str());
            let records = self.monitor.ledger().records().map(|(_, record)| record);
            let same = records.filter(|record| record.target().is_some_and(|target| target.service == service));
            same.for_each(|record| crate::page::add(&mut sum, record.tally().unreported().columns()));
            assert_eq!(sum, self.book.ledger[usize::from(port)].0, "log and ledger of {service}");
        }
    }
}
