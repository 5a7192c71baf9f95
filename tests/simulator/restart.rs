//! A killed process is started again with what it left.

use tcpmon::base::limits;
use tcpmon::base::text::Text;
use tcpmon::base::time::{Instant, WallTime};
use tcpmon::core::due;
use tcpmon::core::ledger::{Ledger, Usage};
use tcpmon::core::monitor::{Monitor, Span, TargetEntry};
use tcpmon::model::process_id::ProcessId;
use tcpmon::model::settings::Config;
use tcpmon::render::table::Form;

use crate::book::Standing;
use crate::calendar::Calendar;
use crate::driver::{Driver, Ids};
use crate::fuse::{self, Burns, Owed, Step};
use crate::log::{self, Log, Report, Rows};
use crate::patience::Patience;
use crate::queue::Queue;
use crate::remains;
use crate::trace;
use crate::wall_clock::WallClock;
use crate::world::World;

/// What outlives the process, besides the ledger of its monitor.
#[derive(Debug)]
pub struct Estate {
    /// The log and what is owed to it.
    pub log: Log,
    /// Processes that were killed.
    pub kills: u64,
    /// Kills in the midst of a step among them.
    pub halves: u64,
    /// Reports that a new run has written at its start.
    pub late_reports: u64,
    /// The ledger while no monitor has it.
    ledger: Option<Ledger>,
    /// Whether targets were changed while the process was killed.
    uncertain: bool,
    runs: u32,
}

impl Estate {
    /// That of the first run.
    pub fn new(ledger: &Ledger, config: &Config, due: i64, wall: WallTime) -> Self {
        ledger.begin_run(ProcessId { pid: 1, born: 1 }, wall);
        let owed = Owed { writing: None, due, thresholds: config.settings.thresholds, running: true };
        Self { log: Log::new(owed), kills: 0, halves: 0, late_reports: 0, ledger: None, uncertain: false, runs: 1 }
    }
}

impl<W: World> Driver<W> {
    /// The process is about to do this.
    pub(crate) fn step(&mut self, step: Step) {
        if let Some(estate) = &mut self.estate {
            estate.log.step(step, self.monitor.ledger());
        }
    }

    /// Something else is owed to the log.
    pub(crate) fn owe(&mut self, change: impl Fn(&mut Owed)) {
        if let Some(estate) = &mut self.estate {
            estate.log.owe(change);
        }
    }

    /// The next boundary is owed, unless a report is.
    pub(crate) fn owe_next(&mut self) {
        if self.report_due.is_none() {
            let due = if self.patience.waits() { 0 } else { self.calendar.due() };
            self.owe(|owed| owed.due = due);
        }
    }

    /// Makes room in the ledger for these targets.
    pub(crate) fn make_room(&mut self, config: &Config) {
        if self.estate.is_some() {
            self.step(Step::Event);
            let (_, needed) = self.monitor.plan(config);
            remains::grow(self.monitor.ledger_mut(), needed);
        }
    }

    /// Writes what the monitor has for the log. Whether the log has taken it.
    pub(crate) fn write(&mut self, stamp: WallTime) -> bool {
        let rows: Rows = self.monitor.rows().map(|(service, columns)| (service.to_string(), columns)).collect();
        let takes = self.world.append(self.now, stamp, &rows);
        let form = Form::new(self.book.settings.thresholds, self.longest_service());
        let Some(estate) = &mut self.estate else {
            self.book.report(&rows, takes);
            return takes;
        };
        self.book.report(&rows, false);
        let report = Report { stamp: stamp.at(stamp.unix), form, rows: rows.clone() };
        let landed = || self.book.report(&rows, true);
        estate.log.append(self.monitor.ledger(), report, takes, &mut self.random, landed)
    }

    fn longest_service(&self) -> usize {
        let live = self.book.pages.iter().filter(|page| matches!(page.standing, Standing::Live(_)));
        live.map(|page| page.target.service.as_str().chars().count()).max().unwrap_or(0)
    }

    /// The fuse of this process.
    pub fn light(&mut self, burns: Burns, within: bool) {
        if let Some(estate) = &mut self.estate {
            estate.log.fuse.light(burns, within);
        }
    }

    /// Lets this happen. Whether the process is alive after it.
    pub fn outlives(&mut self, act: impl FnOnce(&mut Self)) -> bool {
        fuse::outlives(|| act(self))
    }

    /// The process, dead or at its end, is started again with this configuration at `now`, when
    /// this is its wall clock. A fuse may have been laid for it. Whether it has outlived its start.
    pub fn restart(&mut self, config: &Config, burns: Burns, within: bool, now: Instant, clock: WallClock) -> bool {
        let Some(estate) = &mut self.estate else { return true };
        let ledger = estate.ledger.as_ref().unwrap_or(self.monitor.ledger());
        let mut words = remains::words(ledger);
        estate.kills += u64::from(estate.log.owed.iter().any(|owed| owed.running));
        if let Some((before, owed)) = estate.log.fuse.put_out() {
            words = remains::midst(&before, &words, &mut self.random);
            estate.log.owed.extend(owed);
            estate.halves += 1;
            estate.uncertain |= matches!(estate.log.fuse.last(), Step::Reload | Step::Make);
        }
        let ledger = remains::open(&words, &config.targets);
        let running = ledger.is_running();
        estate.log.owed.retain(|owed| owed.running == running);
        assert!(!estate.log.owed.is_empty(), "whether a run has come to its end: {running}");
        estate.ledger = Some(ledger);
        estate.log.fuse.light(burns, within);
        (self.now, self.turn, self.clock) = (now, now, clock);
        trace::note(now, || format!("started again at {}, {} targets", clock.at(now), config.targets.len()));
        self.outlives(|driver| driver.start(config))
    }

    fn start(&mut self, config: &Config) {
        let wall = self.wall();
        let Some(estate) = &mut self.estate else { return };
        let Some(ledger) = &estate.ledger else { return };
        let log = &mut estate.log;
        log.step(Step::Settle, ledger);
        let thresholds = config.settings.thresholds;
        let now = (wall.unix >= self.manners.built).then_some(wall.unix);
        let stamp = due::left_over(ledger, thresholds, now, |journal| log.has(journal, ledger));
        trace::note(self.now, || format!("to be reported under {stamp:?}, of {:?}", log.owed));
        let is_left = self.book.pages.iter().any(|page| page.counted != page.reported);
        // What was begun keeps its stamp; a boundary that has passed is made up for; counts are not
        // mixed with others that are sorted otherwise.
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
        self.book.inherit(ledger, !estate.uncertain, self.now);
        if let Some(stamp) = stamp {
            let stamp = wall.at(stamp);
            let rows = log::rows(ledger);
            let takes = self.world.append(self.now, stamp, &rows);
            self.book.report(&rows, false);
            let report = Report { stamp, form: Form::of(&ledger), rows: rows.clone() };
            let landed = || self.book.report(&rows, true);
            estate.late_reports += 1;
            if log.append(ledger, report, takes, &mut self.random, landed) {
                log.step(Step::Mark, ledger);
                ledger.mark_reported();
                log.step(Step::End, ledger);
                ledger.end_report();
            }
        }
        log.step(Step::Run, ledger);
        estate.runs += 1;
        ledger.begin_run(ProcessId { pid: estate.runs, born: estate.runs }, wall);
        log.owe(|owed| owed.running = true);
        log.step(Step::Make, ledger);
        if let Some(ledger) = estate.ledger.take() {
            self.monitor = Monitor::new(config, Span::default(), ledger, self.manners.built, self.now, wall);
        }
        self.forget();
        self.calendar = Calendar::new(config.settings.report, self.now, wall);
        self.patience = Patience::new(self.manners.built, self.now, wall);
        self.base = self.find_base();
        let heirs = self.book.heirs();
        self.book.adopt(config, &self.places(), &self.monitor, self.now);
        let due = if self.patience.waits() { 0 } else { self.calendar.due() };
        if let Some(estate) = &mut self.estate {
            let certain = !std::mem::take(&mut estate.uncertain);
            self.book.check_heirs(&heirs, certain);
            estate.log.owed = vec![Owed { writing: None, due, thresholds, running: true }];
        }
        self.wake();
    }

    /// Everything that was in the process is gone.
    fn forget(&mut self) {
        self.finished = false;
        (self.queue, self.ids) = (Queue::default(), Ids::default());
        self.lives.clear();
        self.stale.clear();
        self.overdue.clear();
        (self.lookups, self.to_connect, self.actions, self.rounds) = (0, 0, 0, 0);
        (self.jumped, self.hurries, self.clock_wanted, self.report_wanted) = (false, false, false, false);
        (self.stopping, self.completing, self.report_due) = (false, false, None);
        (self.said, self.say_from) = (self.book.skipped, self.now);
    }

    /// Where the monitor's first place is, told from where the ledger has the first target.
    fn find_base(&self) -> usize {
        let mut records = self.monitor.ledger().records();
        let first = records.find(|(_, record)| record.usage() == Usage::Live && record.order() == 1);
        let place = first.map_or(0, |(place, _)| place);
        let at = self.monitor.live().next().map_or(0, |watch| std::ptr::from_ref(&watch.target) as usize);
        at - place * size_of::<TargetEntry>()
    }

    /// Checks that every probe that ended is in the log or in the ledger, once. A service has its own
    /// port.
    pub fn check_estate(&self) {
        self.book.balance();
        let Some(estate) = &self.estate else { return };
        let mut services: Vec<(Text<{ limits::SERVICE }>, u16)> = Vec::new();
        let known = self.book.pages.iter().map(|page| (page.target.service, page.target.port));
        known.for_each(|one| {
            if !services.contains(&one) {
                services.push(one)
            }
        });
        for (service, port) in services {
            let mut sum = estate.log.total(service.as_str());
            let records = self.monitor.ledger().records().map(|(_, record)| record);
            let same = records.filter(|record| record.target().is_some_and(|target| target.service == service));
            same.for_each(|record| crate::book::add(&mut sum, record.tally().unreported().columns()));
            assert_eq!(sum, self.book.ledger[usize::from(port)].0, "log and ledger of {service}");
        }
    }
}
