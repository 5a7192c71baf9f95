//! The book: the independent count that the monitor's counters are compared with. It has a page for
//! each target: its counts, what the log must have of them, and when its ticks are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::ledger::Usage;
use tcpmon::core::monitor::{Monitor, Span, TargetEntry};
use tcpmon::core::probe::End;
use tcpmon::model::outcome::{Columns, Outcome};
use tcpmon::model::settings::{Config, Settings};

use crate::events::Events;
use crate::page::{Counts, Page, PageUsage, add, columns};
use crate::untold::{Totals, Untold};

/// All pages, and their totals.
#[derive(Debug)]
pub struct Book {
    /// The settings in force.
    pub settings: Settings,
    /// The most helpers at a time.
    pub helpers: u16,
    /// The pages, by record number.
    pub pages: Vec<Page>,
    /// The record numbers of the configured targets, in order.
    pub order: Vec<u16>,
    /// By port: all that was counted, and the sum of the rows written.
    pub ledger: Vec<(Columns, Columns)>,
    /// The events.
    pub events: Events,
    /// By port: what the tables of times must have.
    pub times: Vec<Totals>,
    /// When the wake-up began.
    pub turn: Instant,
    /// The end of a minute that a change has ended after the wake-up for it began: the monitor may wake up for it once
    /// more.
    pub ended_minute: Option<Instant>,
    /// Ticks without an outcome, of all targets, removed ones too.
    pub skipped: u64,
    /// Probes of all targets by outcome, removed ones too.
    pub counted: Counts,
    /// Whether the pacemaker has ticked in this wake-up.
    pub round: bool,
    /// Ticks in this wake-up.
    pub ticked: u32,
    /// The most probes that can have been in flight at the same time.
    pub peak: i64,
    ticks: BinaryHeap<Reverse<(Instant, u16)>>,
    span: Span,
    end: Option<Instant>,
    /// The record of the target with the shortest interval, whose ticks are the rounds.
    pacemaker: u16,
    lives: i64,
    unseen: i64,
    again: i64,
    before: i64,
    wake: u32,
    touched: Vec<u16>,
}

impl Book {
    /// An empty book of a run that starts now, with these events.
    pub fn new(settings: Settings, span: Span, now: Instant, events: Events) -> Self {
        Self {
            settings,
            helpers: 0,
            pages: Vec::new(),
            order: Vec::new(),
            ledger: Vec::new(),
            events,
            times: Vec::new(),
            turn: now,
            ended_minute: None,
            skipped: 0,
            counted: [0; 7],
            round: false,
            ticked: 0,
            peak: 0,
            ticks: BinaryHeap::new(),
            span,
            end: span.duration.map(|duration| now + duration),
            pacemaker: 0,
            lives: 0,
            unseen: 0,
            again: 0,
            before: 0,
            wake: 0,
            touched: Vec::new(),
        }
    }

    /// Changes to a configuration whose targets have these record numbers.
    pub fn adopt(&mut self, config: &Config, records: &[u16], monitor: &Monitor, now: Instant) {
        let spread_changed = self.settings.spread != config.settings.spread;
        let times = self.keeps_times();
        self.settings = config.settings;
        // Each target with a name can have so many lookups under way.
        let lookups = config.targets.iter().filter(|target| target.literal.is_none()).map(|target| {
            let interval = target.interval.unwrap_or(config.settings.interval).get();
            config.settings.thresholds.timeout.get().div_ceil(interval)
        });
        self.helpers = lookups.sum::<u64>().min(config.settings.helpers.into()) as u16;
        for page in &mut self.pages {
            if let PageUsage::Live(_) = page.usage {
                page.usage = PageUsage::Retired;
            }
        }
        let was_live: Vec<u16> = std::mem::replace(&mut self.order, records.to_vec());
        let highest = records.iter().max().map_or(0, |record| usize::from(*record) + 1);
        let blank = Page::new(config.targets[0], PageUsage::Free);
        self.pages.resize(self.pages.len().max(highest), blank);
        let ports = config.targets.iter().map(|target| usize::from(target.port) + 1).max().unwrap_or(0);
        self.ledger.resize(self.ledger.len().max(ports), Default::default());
        self.times.resize(self.times.len().max(ports), Default::default());
        let count = config.targets.len() as u64;
        let entries: Vec<&TargetEntry> = monitor.live().collect();
        for (i, (target, record)) in config.targets.iter().zip(records).enumerate() {
            let page = &mut self.pages[usize::from(*record)];
            assert!(!matches!(page.usage, PageUsage::Live(_)), "two targets in record {record}");
            let interval = target.interval.unwrap_or(self.settings.interval);
            let ahead = if self.settings.spread { interval.fraction(i as u64, count) } else { Nanos::ZERO };
            // The monitor may have reused the record of a removed target, or kept it for this target.
            let entry = entries[i];
            let is_blank = entry.last.is_none() && entry.skipped == 0 && *entry.tally.counted() == Default::default();
            let is_taken_over = page.usage == PageUsage::Retired && page.target.is_same_as(target);
            let was_live = was_live.contains(record);
            let is_idle = page.is_idle(times) && !self.events.has_of(*record);
            if !is_taken_over || (!was_live && is_idle && is_blank) {
                assert!(
                    page.usage == PageUsage::Free || is_idle,
                    "{} gets the record of {}, which has something to report",
                    target.service,
                    page.target.service
                );
                self.times[usize::from(page.target.port)].thrown.add(&page.untold);
                *page = Page::new(*target, PageUsage::Free);
            }
            let stays = was_live && page.interval == interval && !spread_changed;
            if !stays {
                page.next_tick = now + ahead;
            }
            (page.target, page.interval, page.usage) = (*target, interval, PageUsage::Live(i as u16));
        }
        if !times {
            self.find_freed(monitor);
        }
        let shortest = self.order.iter().map(|record| self.pages[usize::from(*record)].interval).min();
        let paces = |record: &&u16| Some(self.pages[usize::from(**record)].interval) == shortest;
        self.pacemaker = self.order.iter().find(paces).copied().unwrap_or_default();
        self.ticks.clear();
        for record in 0..self.pages.len() {
            self.schedule(record as u16);
        }
    }

    /// Whether the record of a removed target is kept until the table of times has it.
    pub fn keeps_times(&self) -> bool {
        self.settings.times && self.events.records > 0
    }

    /// Whether reports and rows of times have everything.
    pub fn is_all_told(&self) -> bool {
        self.pages.iter().all(|page| page.is_told(self.keeps_times()))
    }

    /// Nobody wanted rows of times: removed targets whose records are free get no last one.
    fn find_freed(&mut self, monitor: &Monitor) {
        for (record, page) in self.pages.iter_mut().enumerate() {
            let is_free = monitor.ledger().record(record).usage() == Usage::Free;
            if page.is_idle(false) && is_free && !self.events.has_of(record as u16) {
                self.times[usize::from(page.target.port)].thrown.add(&page.untold);
                (page.usage, page.untold) = (PageUsage::Free, Untold::default());
            }
        }
    }

    /// Continues in a new run with these pages and this order of configured targets. Probes that
    /// were in flight are lost.
    pub fn carry(&mut self, pages: Vec<Page>, order: Vec<u16>) {
        (self.pages, self.order) = (pages, order);
        (self.span, self.end) = (Span::default(), None);
        (self.lives, self.unseen, self.again, self.before, self.peak) = (0, 0, 0, 0, 0);
        (self.helpers, self.wake, self.round, self.ticked) = (0, 0, false, 0);
        self.ticks.clear();
        self.touched.clear();
    }

    /// A wake-up begins at `turn`.
    pub fn begin_wake(&mut self, turn: Instant) {
        self.turn = turn;
        self.wake += 1;
        self.touched.clear();
        (self.round, self.ticked) = (false, 0);
        self.before = self.in_flight();
    }

    /// Probes that have started and not ended.
    pub fn in_flight(&self) -> i64 {
        self.lives + self.unseen
    }

    /// Lookups that wait for a helper.
    pub fn waiting(&self) -> i64 {
        self.unseen + self.again
    }

    /// The next tick of any target, or never.
    pub fn next_tick(&self) -> Instant {
        self.ticks.peek().map_or(Instant::NEVER, |Reverse((at, _))| *at)
    }

    /// The first action of a probe of this target was seen. Returns its tick.
    pub fn see_probe(&mut self, record: u16, monitor: &Monitor) -> Instant {
        let turn = self.turn;
        let page = self.page_mut(record);
        page.find_merged(turn, monitor);
        page.seen += 1;
        page.lives += 1;
        page.unseen -= 1;
        let tick = page.fresh.take().or(page.due(turn));
        self.lives += 1;
        self.unseen -= 1;
        tick.unwrap_or_else(|| unreachable!("a probe of record {record} has begun without a tick"))
    }

    /// The probe of this target in this slot has lost its helper and waits for another. It began at `tick`.
    pub fn wait_again(&mut self, record: u16, slot: u16, tick: Instant, monitor: &Monitor) {
        let turn = self.turn;
        let page = self.page_mut(record);
        page.find_merged(turn, monitor);
        page.queue.push((slot, tick));
        page.again += 1;
        page.waited_again = true;
        self.again += 1;
    }

    /// It has got one. Returns its tick, which may have changed.
    pub fn ask_again(&mut self, record: u16, slot: u16, monitor: &Monitor) -> Instant {
        let turn = self.turn;
        let page = self.page_mut(record);
        page.find_merged(turn, monitor);
        let at = page.queue.iter().position(|(of, _)| *of == slot);
        let at = at.unwrap_or_else(|| unreachable!("the probe in slot {slot} did not wait"));
        let (_, tick) = page.queue.remove(at);
        page.again -= 1;
        page.waited_again = true;
        self.again -= 1;
        tick
    }

    /// A probe of this target has ended.
    pub fn end_probe(&mut self, record: u16, end: &End) {
        let page = self.page_mut(record);
        page.lives -= 1;
        page.untold.end(end);
        let port = usize::from(page.target.port);
        match end.outcome {
            Some(outcome) => {
                page.counted[outcome as usize] += 1;
                let mut one = [0; 7];
                one[outcome as usize] = 1;
                add(&mut self.ledger[port].0, columns(&one));
                self.counted[outcome as usize] += 1;
            }
            None => {
                page.skipped += 1;
                self.skipped += 1;
            }
        }
        self.times[port].counted.end(end);
        self.lives -= 1;
    }

    /// Checks all ticks up to `now`: each must have started a probe, or have a reason to be skipped.
    pub fn pass_ticks(&mut self, now: Instant, monitor: &Monitor) {
        while self.next_tick() <= now {
            let Some(Reverse((at, record))) = self.ticks.pop() else { break };
            let crowded = self.before + self.pages.len() as i64 > limits::PROBES as i64;
            let page = self.page_mut(record);
            let missed = now.since(at).whole(page.interval);
            page.next_tick = at + page.interval.times(missed + 1);
            page.ticks += missed as u32 + 1;
            page.skipped += missed;
            let unseen_before = page.before;
            // Where the order within the wake-up decides, the monitor's counter is read. A skip still
            // needs a reason: a lookup that waited, or a full table.
            let may_skip = crowded || unseen_before > 0 || page.waited_again;
            let started = !may_skip || page.entry(monitor).is_some_and(|entry| entry.skipped == page.skipped);
            let waits_twice = started && unseen_before == 1 && page.seen == 0;
            assert!(!waits_twice, "a second lookup of {} waits for a helper", page.target.service);
            let skipped = missed + u64::from(!started);
            let tick = at + page.interval.times(missed);
            if started {
                page.unseen += 1;
                page.fresh = (page.unseen > 0).then_some(tick);
            } else {
                page.skipped += 1;
                if !page.merged {
                    page.merge(tick);
                }
            }
            page.untold.skipped += skipped as i64;
            let port = usize::from(page.target.port);
            self.times[port].counted.skipped += skipped as i64;
            self.unseen += i64::from(started);
            self.skipped += skipped;
            self.ticked += 1;
            self.round |= record == self.pacemaker;
            self.schedule(record);
        }
        self.peak = self.peak.max(self.before + i64::from(self.ticked));
        for record in self.touched.drain(..) {
            let page = &self.pages[usize::from(record)];
            let most = i32::from(page.target.literal.is_none());
            assert!((0..=most).contains(&page.unseen), "{}: {} unseen", page.target.service, page.unseen);
        }
    }

    /// Whether a run that ends by itself has reached its end.
    pub fn is_complete(&self, now: Instant) -> bool {
        let over = self.span.rounds.is_some() || self.end.is_some_and(|end| now >= end);
        over && self.in_flight() == 0 && self.ticks.is_empty()
    }

    /// The end of the run, if no tick comes before it; else never.
    pub fn end_of_run(&self) -> Instant {
        if self.ticks.is_empty() { self.end.unwrap_or(Instant::NEVER) } else { Instant::NEVER }
    }

    /// Compares every configured target's counters with the monitor's.
    pub fn audit(&self, monitor: &Monitor) {
        assert_eq!(monitor.live().count(), self.order.len());
        let mut skipped = 0;
        for (record, entry) in self.order.iter().zip(monitor.live()) {
            let page = &self.pages[usize::from(*record)];
            let counted = Outcome::ALL.map(|outcome| u64::from(entry.tally.counted().of(outcome)));
            assert_eq!(counted, page.counted, "what {} counted", page.target.service);
            assert_eq!(entry.skipped, page.skipped, "what {} skipped", page.target.service);
            assert_eq!(
                entry.tally.unreported().columns(),
                columns(&page.unreported()),
                "what {} has unreported",
                page.target.service
            );
            skipped += page.skipped;
        }
        assert_eq!(monitor.skipped(), skipped);
    }

    /// Compares the rows of a report. If it is written they are added to the sums.
    pub fn report(&mut self, rows: &[(String, Columns)], written: bool) {
        let mut rows = rows.iter().map(|(service, row)| (service.as_str(), *row));
        for record in &self.order {
            let page = &mut self.pages[usize::from(*record)];
            let (service, row) = rows.next().unwrap_or(("no row", Columns::default()));
            assert_eq!(service, page.target.service.as_str(), "a row for each target in order");
            assert_eq!(row, columns(&page.unreported()), "the row of {service}");
            assert_eq!(row.conn_fast + row.conn_slow + row.conn_failed + row.dns_fail, row.total, "{service}: {row:?}");
            assert_eq!(row.dns_fast + row.dns_slow + row.dns_fail, row.total, "{service}: {row:?}");
            if written {
                add(&mut self.ledger[usize::from(page.target.port)].1, row);
                page.reported = page.counted;
            }
        }
        let total = |columns: &Columns| columns.total;
        let mut gone: Vec<(&str, Columns)> = rows.collect();
        let mut expected = Vec::new();
        for page in self.pages.iter_mut().filter(|page| page.usage == PageUsage::Retired) {
            let row = columns(&page.unreported());
            if row.total > 0 {
                expected.push((page.target.service, row));
            }
            if written {
                add(&mut self.ledger[usize::from(page.target.port)].1, row);
                page.reported = page.counted;
            }
        }
        gone.sort_by_key(|(service, columns)| (service.to_string(), total(columns)));
        expected.sort_by_key(|(service, columns)| (service.as_str().to_string(), total(columns)));
        let expected: Vec<(&str, Columns)> = expected.iter().map(|(service, row)| (service.as_str(), *row)).collect();
        assert_eq!(gone, expected, "rows of removed targets");
    }

    /// The table of times has this row.
    pub fn tell(&mut self, record: u16, row: &Untold) {
        let page = &mut self.pages[usize::from(record)];
        page.untold.tell(row);
        self.times[usize::from(page.target.port)].told.add(row);
    }

    /// Nobody wants the rows of times.
    pub fn throw_rows(&mut self) {
        for page in self.pages.iter_mut().filter(|page| page.usage != PageUsage::Free) {
            let row = std::mem::take(&mut page.untold);
            self.times[usize::from(page.target.port)].thrown.add(&row);
        }
    }

    /// Checks for each target that the rows written and the unreported rest add up to what was counted.
    pub fn check_balance(&self) {
        let mut left = vec![Columns::default(); self.ledger.len()];
        for page in &self.pages {
            add(&mut left[usize::from(page.target.port)], columns(&page.unreported()));
        }
        for (port, ((counted, logged), left)) in self.ledger.iter().zip(left).enumerate() {
            let mut sum = *logged;
            add(&mut sum, left);
            assert_eq!(sum, *counted, "log and unreported rest of the target with port {port}");
        }
        let mut times = self.times.clone();
        for page in &self.pages {
            times[usize::from(page.target.port)].told.add(&page.untold);
        }
        for (port, Totals { counted, mut told, thrown }) in times.into_iter().enumerate() {
            told.add(&thrown);
            assert!(told.counts_as(&counted), "the rows of times and the rest of port {port}: {told:?} of {counted:?}");
        }
    }

    fn page_mut(&mut self, record: u16) -> &mut Page {
        let page = &mut self.pages[usize::from(record)];
        if page.wake != self.wake {
            page.wake = self.wake;
            page.before = page.unseen;
            page.waited_again = page.again > 0;
            page.seen = 0;
            page.merged = false;
            self.touched.push(record);
        }
        page
    }

    fn schedule(&mut self, record: u16) {
        let page = &self.pages[usize::from(record)];
        let over = self.span.rounds.is_some_and(|rounds| page.ticks >= rounds)
            || self.end.is_some_and(|end| page.next_tick >= end);
        if matches!(page.usage, PageUsage::Live(_)) && !over {
            self.ticks.push(Reverse((page.next_tick, record)));
        }
    }
}
