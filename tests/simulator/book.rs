//! The book: the independent count that the monitor's counters are compared with. It has a page for
//! each target: its counts, what the log must have of them, and when its ticks are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::{Monitor, Span, TargetEntry};
use tcpmon::core::probe::End;
use tcpmon::model::outcome::{Columns, Outcome};
use tcpmon::model::settings::{Config, Settings};
use tcpmon::model::target::Target;

/// Seven counters in the order of [`Outcome::ALL`].
pub type Counts = [u64; 7];

/// Whether a page is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageUsage {
    /// It belongs to no target.
    Free,
    /// Configured, at this position.
    Live(u16),
    /// No longer configured.
    Retired,
}

/// What the book knows of one target. A page belongs to the ledger record of the same number.
#[derive(Clone, Debug)]
pub struct Page {
    /// The target as configured.
    pub target: Target,
    /// Whether and where it is configured.
    pub usage: PageUsage,
    /// Probes that ended.
    pub counted: Counts,
    /// Those of them that the log has.
    pub reported: Counts,
    /// Ticks without an outcome.
    pub skipped: u64,
    interval: Nanos,
    next_tick: Instant,
    /// Ticks that have passed, skipped ones too.
    ticks: u32,
    /// Probes whose first action was seen and that have not ended.
    lives: i32,
    /// Probes that have started and whose first action was not seen yet.
    unseen: i32,
    /// Probes whose helper died and that wait for another.
    again: i32,
    /// The last wake-up that changed this page.
    wake: u32,
    /// `unseen` before that wake-up.
    before: i32,
    /// Whether a probe waited for another helper at some time in that wake-up.
    waited_again: bool,
    /// Probes whose first action was seen in that wake-up.
    seen: i32,
}

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
    /// An empty book of a run that starts now.
    pub fn new(settings: Settings, span: Span, now: Instant) -> Self {
        Self {
            settings,
            helpers: 0,
            pages: Vec::new(),
            order: Vec::new(),
            ledger: Vec::new(),
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
        let count = config.targets.len() as u64;
        let entries: Vec<&TargetEntry> = monitor.live().collect();
        for (i, (target, record)) in config.targets.iter().zip(records).enumerate() {
            let page = &mut self.pages[usize::from(*record)];
            assert!(!matches!(page.usage, PageUsage::Live(_)), "two targets in record {record}");
            let interval = target.interval.unwrap_or(self.settings.interval);
            let ahead = if self.settings.spread { interval.fraction(i as u64, count) } else { Nanos::ZERO };
            // The monitor may have reused the record of a removed target, or kept it for this target.
            let is_blank = entries[i].last.is_none() && entries[i].skipped == 0;
            let is_taken_over = page.usage == PageUsage::Retired && page.target.is_same_as(target);
            let was_live = was_live.contains(record);
            if !is_taken_over || (!was_live && page.is_idle() && is_blank) {
                assert!(
                    page.usage == PageUsage::Free || page.is_idle(),
                    "{} gets the record of {}, which has unreported counts",
                    target.service,
                    page.target.service
                );
                *page = Page::new(*target, PageUsage::Free);
            }
            let stays = was_live && page.interval == interval && !spread_changed;
            if !stays {
                page.next_tick = now + ahead;
            }
            (page.target, page.interval, page.usage) = (*target, interval, PageUsage::Live(i as u16));
            let port = usize::from(target.port);
            if self.ledger.len() <= port {
                self.ledger.resize(port + 1, Default::default());
            }
        }
        let shortest = self.order.iter().map(|record| self.pages[usize::from(*record)].interval).min();
        let paces = |record: &&u16| Some(self.pages[usize::from(**record)].interval) == shortest;
        self.pacemaker = self.order.iter().find(paces).copied().unwrap_or_default();
        self.ticks.clear();
        for record in 0..self.pages.len() {
            self.schedule(record as u16);
        }
    }

    /// Continues in a new run with these pages and this order of configured targets. Probes that
    /// were in flight are lost.
    pub fn carry(&mut self, pages: Vec<Page>, order: Vec<u16>, now: Instant) {
        let Self { settings, ledger, skipped, counted, .. } =
            std::mem::replace(self, Self { pages, order, ..Self::new(self.settings, Span::default(), now) });
        (self.settings, self.ledger, self.skipped, self.counted) = (settings, ledger, skipped, counted);
    }

    /// A wake-up begins.
    pub fn begin_wake(&mut self) {
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

    /// The first action of a probe of this target was seen.
    pub fn see_probe(&mut self, record: u16) {
        let page = self.page_mut(record);
        page.seen += 1;
        page.lives += 1;
        page.unseen -= 1;
        self.lives += 1;
        self.unseen -= 1;
    }

    /// A probe of this target has lost its helper and waits for another (`by` is 1), or has got it (-1).
    pub fn wait_again(&mut self, record: u16, by: i32) {
        let page = self.page_mut(record);
        page.again += by;
        page.waited_again = true;
        self.again += i64::from(by);
    }

    /// A probe of this target has ended.
    pub fn end_probe(&mut self, record: u16, end: &End) {
        let page = self.page_mut(record);
        page.lives -= 1;
        match end.outcome {
            Some(outcome) => {
                page.counted[outcome as usize] += 1;
                let port = usize::from(page.target.port);
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
            if started {
                page.unseen += 1;
            } else {
                page.skipped += 1;
            }
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
    }

    fn page_mut(&mut self, record: u16) -> &mut Page {
        let page = &mut self.pages[usize::from(record)];
        if page.wake != self.wake {
            page.wake = self.wake;
            page.before = page.unseen;
            page.waited_again = page.again > 0;
            page.seen = 0;
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

impl Page {
    /// The page for a new run: only the counts stay.
    pub fn carried(&self, usage: PageUsage) -> Self {
        Self { counted: self.counted, reported: self.reported, ..Self::new(self.target, usage) }
    }

    /// An empty page.
    pub fn new(target: Target, usage: PageUsage) -> Self {
        Self {
            target,
            usage,
            counted: [0; 7],
            reported: [0; 7],
            skipped: 0,
            interval: Nanos::ZERO,
            next_tick: Instant::NEVER,
            ticks: 0,
            lives: 0,
            unseen: 0,
            again: 0,
            wake: 0,
            before: 0,
            waited_again: false,
            seen: 0,
        }
    }

    /// The counts that the log does not have.
    pub fn unreported(&self) -> Counts {
        std::array::from_fn(|i| self.counted[i] - self.reported[i])
    }

    /// The monitor's entry of this target, while it is configured.
    pub fn entry<'m>(&self, monitor: &'m Monitor) -> Option<&'m TargetEntry> {
        match self.usage {
            PageUsage::Live(position) => monitor.live().nth(usize::from(position)),
            PageUsage::Free | PageUsage::Retired => None,
        }
    }

    /// Whether its record may be reused: a removed target, all of it ended and reported.
    pub fn is_idle(&self) -> bool {
        self.usage == PageUsage::Retired && self.lives + self.unseen == 0 && self.counted == self.reported
    }
}

/// The seven outcomes as the log's columns.
pub fn columns(counts: &Counts) -> Columns {
    let [no_lookup, fast_fast, fast_slow, fast_failed, slow_fast, slow_slow, slow_failed] = *counts;
    Columns {
        conn_fast: fast_fast + slow_fast,
        conn_slow: fast_slow + slow_slow,
        dns_fast: fast_fast + fast_slow + fast_failed,
        dns_slow: slow_fast + slow_slow + slow_failed,
        dns_fail: no_lookup,
        conn_failed: fast_failed + slow_failed,
        total: counts.iter().sum(),
    }
}

/// Adds a row to a sum of rows.
pub fn add(sum: &mut Columns, row: Columns) {
    sum.conn_fast += row.conn_fast;
    sum.conn_slow += row.conn_slow;
    sum.dns_fast += row.dns_fast;
    sum.dns_slow += row.dns_slow;
    sum.dns_fail += row.dns_fail;
    sum.conn_failed += row.conn_failed;
    sum.total += row.total;
}
