//! The simulator's own books: what each target must have counted, what the log must have, and
//! when each target's ticks are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::{Monitor, Span, TargetEntry};
use tcpmon::core::probe::End;
use tcpmon::model::outcome::{Columns, Outcome, Thresholds};
use tcpmon::model::settings::{Config, Settings};
use tcpmon::model::target::Target;

/// Seven counters in the order of [`Outcome::ALL`].
pub type Counts = [u64; 7];

/// Whether a page is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody's.
    Free,
    /// Configured, at this position.
    Live(u16),
    /// No longer configured.
    Retired,
}

/// What is known of a target; as long as it is configured it has one page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The target as configured.
    pub target: Target,
    /// Whether and where it is configured.
    pub standing: Standing,
    /// Probes that ended.
    pub counted: Counts,
    /// Of these, those that the log has.
    pub reported: Counts,
    /// Ticks without an outcome.
    pub skipped: u64,
    interval: Nanos,
    next_tick: Instant,
    /// Ticks that have passed, skipped ones too.
    ticks: u32,
    /// Probes whose first action has been seen and that have not ended.
    lives: i32,
    /// Probes that have started less those whose first action has been seen.
    unseen: i32,
    /// The limits of the one that is unseen.
    unseen_limits: Thresholds,
    /// Probes that wait for a helper again, having lost theirs.
    again: i32,
    /// The last wake that found something to do here, and how things stood before it.
    wake: u32,
    before: (i32, i32),
    /// Whether a probe waited again at some time in that wake.
    waited_again: bool,
    /// Probes first seen in that wake.
    seen: i32,
}

/// All pages, and the totals over them.
#[derive(Debug)]
pub struct Book {
    /// The settings in force.
    pub settings: Settings,
    /// A page for each place of the monitor's table.
    pub pages: Vec<Page>,
    /// The configured pages in order.
    pub order: Vec<u16>,
    /// By port: all that was counted, and the sum of the rows that were written.
    pub ledger: Vec<(Columns, Columns)>,
    /// Ticks without an outcome, of all targets that ever were.
    pub skipped: u64,
    /// Probes of all targets that ever were, by their outcome.
    pub counted: Counts,
    /// Whether the pacemaker has ticked in this wake.
    pub round: bool,
    /// Ticks in this wake.
    pub ticked: u32,
    /// The most probes that can have been in flight at a time.
    pub peak: i64,
    ticks: BinaryHeap<Reverse<(Instant, u16)>>,
    span: Span,
    end: Option<Instant>,
    pacemaker: u16,
    lives: i64,
    unseen: i64,
    again: i64,
    before: i64,
    wake: u32,
    touched: Vec<u16>,
}

impl Book {
    /// Empty books of a run that starts now.
    pub fn new(settings: Settings, span: Span, now: Instant) -> Self {
        Self {
            settings,
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

    /// Goes over to a configuration whose targets have these places in the monitor's table.
    pub fn adopt(&mut self, config: &Config, places: &[u16], monitor: &Monitor, now: Instant) {
        let spread_changed = self.settings.spread != config.settings.spread;
        self.settings = config.settings;
        for page in &mut self.pages {
            if let Standing::Live(_) = page.standing {
                page.standing = Standing::Retired;
            }
        }
        let was_live: Vec<u16> = std::mem::replace(&mut self.order, places.to_vec());
        let highest = places.iter().max().map_or(0, |place| usize::from(*place) + 1);
        let blank = Page::new(config.targets[0], Standing::Free);
        self.pages.resize(self.pages.len().max(highest), blank);
        let count = config.targets.len() as u64;
        let watches: Vec<&TargetEntry> = monitor.live().collect();
        for (i, (target, place)) in config.targets.iter().zip(places).enumerate() {
            let page = &mut self.pages[usize::from(*place)];
            assert!(!matches!(page.standing, Standing::Live(_)), "two targets in place {place}");
            let interval = target.interval.unwrap_or(self.settings.interval);
            let ahead = if self.settings.spread { interval.fraction(i as u64, count) } else { Nanos::ZERO };
            // A place that nothing holds on to may have been given away, or have been kept.
            let is_blank = watches[i].last.is_none() && watches[i].skipped == 0;
            let is_taken_over = page.standing == Standing::Retired && page.target.is_same_as(target);
            let was_live = was_live.contains(place);
            if !is_taken_over || (!was_live && page.is_idle() && is_blank) {
                assert!(
                    page.standing == Standing::Free || page.is_idle(),
                    "{} takes the place of {}, which has something left",
                    target.service,
                    page.target.service
                );
                *page = Page::new(*target, Standing::Free);
            }
            let stays = was_live && page.interval == interval && !spread_changed;
            if !stays {
                page.next_tick = now + ahead;
            }
            (page.target, page.interval, page.standing) = (*target, interval, Standing::Live(i as u16));
            let port = usize::from(target.port);
            if self.ledger.len() <= port {
                self.ledger.resize(port + 1, Default::default());
            }
        }
        let shortest = self.order.iter().map(|place| self.pages[usize::from(*place)].interval).min();
        let paces = |place: &&u16| Some(self.pages[usize::from(**place)].interval) == shortest;
        self.pacemaker = self.order.iter().find(paces).copied().unwrap_or_default();
        self.ticks.clear();
        for place in 0..self.pages.len() {
            self.schedule(place as u16);
        }
    }

    /// Goes on in a new run with these pages, of which these are configured, in order: what was in
    /// flight is gone.
    pub fn carry(&mut self, pages: Vec<Page>, order: Vec<u16>, now: Instant) {
        let Self { settings, ledger, skipped, counted, .. } =
            std::mem::replace(self, Self { pages, order, ..Self::new(self.settings, Span::default(), now) });
        (self.settings, self.ledger, self.skipped, self.counted) = (settings, ledger, skipped, counted);
    }

    /// The monitor has been woken.
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

    /// The next tick of all, or never.
    pub fn next_tick(&self) -> Instant {
        self.ticks.peek().map_or(Instant::NEVER, |Reverse((at, _))| *at)
    }

    /// The first action of a probe of this target has been seen. Gives its limits.
    pub fn meet(&mut self, place: u16) -> Thresholds {
        let page = self.touch(place);
        // The one that waited from before comes before one that has started in this wake.
        let waited = page.before.1 == 1 && page.seen == 0;
        let limits = page.unseen_limits;
        page.seen += 1;
        page.lives += 1;
        page.unseen -= 1;
        self.lives += 1;
        self.unseen -= 1;
        if waited { limits } else { self.settings.thresholds }
    }

    /// A probe of this target has lost its helper and waits again, or does no longer.
    pub fn wait_again(&mut self, place: u16, by: i32) {
        let page = self.touch(place);
        page.again += by;
        page.waited_again = true;
        self.again += i64::from(by);
    }

    /// A probe of this target has ended.
    pub fn end(&mut self, place: u16, end: &End) {
        let page = self.touch(place);
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

    /// Lets the ticks up to `now` pass: each must have been a probe, or have had a reason not to.
    pub fn settle(&mut self, now: Instant, monitor: &Monitor) {
        while self.next_tick() <= now {
            let Some(Reverse((at, place))) = self.ticks.pop() else { break };
            let crowded = self.before + self.pages.len() as i64 > limits::PROBES as i64;
            let limits = self.settings.thresholds;
            let page = self.touch(place);
            let missed = now.since(at).whole(page.interval);
            page.next_tick = at + page.interval.times(missed + 1);
            page.ticks += missed as u32 + 1;
            page.skipped += missed;
            let (lives_before, unseen_before) = page.before;
            let bound = limits.timeout.times(2).cover(page.interval) as i32 + 1;
            let full = lives_before + unseen_before >= bound || crowded;
            // Where the order within the wake decides, the monitor is asked, but it must have had
            // a reason: a lookup that waited, or no place.
            let may_skip = full || unseen_before > 0 || page.waited_again;
            let started = !may_skip || page.watch(monitor).is_some_and(|watch| watch.skipped == page.skipped);
            let waits_twice = started && unseen_before == 1 && page.seen == 0;
            assert!(!waits_twice, "a second lookup of {} waits for a helper", page.target.service);
            let skipped = missed + u64::from(!started);
            if started {
                page.unseen += 1;
                page.unseen_limits = limits;
                assert!(page.lives + page.unseen <= bound, "{} has more than {bound} in flight", page.target.service);
            } else {
                page.skipped += 1;
            }
            self.unseen += i64::from(started);
            self.skipped += skipped;
            self.ticked += 1;
            self.round |= place == self.pacemaker;
            self.schedule(place);
        }
        self.peak = self.peak.max(self.before + i64::from(self.ticked));
        for place in self.touched.drain(..) {
            let page = &self.pages[usize::from(place)];
            let most = i32::from(page.target.literal.is_none());
            assert!((0..=most).contains(&page.unseen), "{}: {} unseen", page.target.service, page.unseen);
        }
    }

    /// Whether a run with an end of its own has come to it.
    pub fn is_complete(&self, now: Instant) -> bool {
        let over = self.span.rounds.is_some() || self.end.is_some_and(|end| now >= end);
        over && self.in_flight() == 0 && self.ticks.is_empty()
    }

    /// The end of the run, where that is all there is to wait for.
    pub fn end_of_run(&self) -> Instant {
        if self.ticks.is_empty() { self.end.unwrap_or(Instant::NEVER) } else { Instant::NEVER }
    }

    /// Compares every configured target's counters with the monitor's.
    pub fn audit(&self, monitor: &Monitor) {
        assert_eq!(monitor.live().count(), self.order.len());
        let mut skipped = 0;
        for (place, watch) in self.order.iter().zip(monitor.live()) {
            let page = &self.pages[usize::from(*place)];
            let counted = Outcome::ALL.map(|outcome| u64::from(watch.tally.counted().of(outcome)));
            assert_eq!(counted, page.counted, "what {} counted", page.target.service);
            assert_eq!(watch.skipped, page.skipped, "what {} skipped", page.target.service);
            assert_eq!(
                watch.tally.unreported().columns(),
                columns(&page.unreported()),
                "what {} has left",
                page.target.service
            );
            skipped += page.skipped;
        }
        assert_eq!(monitor.skipped(), skipped);
    }

    /// Compares the rows of a report. If it is written they are added up.
    pub fn report(&mut self, rows: &[(String, Columns)], written: bool) {
        let mut rows = rows.iter().map(|(service, row)| (service.as_str(), *row));
        for place in &self.order {
            let page = &mut self.pages[usize::from(*place)];
            let (service, row) = rows.next().unwrap_or(("nobody", Columns::default()));
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
        for page in self.pages.iter_mut().filter(|page| page.standing == Standing::Retired) {
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
        assert_eq!(gone, expected, "rows of targets that are gone");
    }

    /// Checks that for each target the rows written and what is left make what was counted.
    pub fn balance(&self) {
        let mut left = vec![Columns::default(); self.ledger.len()];
        for page in &self.pages {
            add(&mut left[usize::from(page.target.port)], columns(&page.unreported()));
        }
        for (port, ((counted, logged), left)) in self.ledger.iter().zip(left).enumerate() {
            let mut sum = *logged;
            add(&mut sum, left);
            assert_eq!(sum, *counted, "log and rest of the target with port {port}");
        }
    }

    fn touch(&mut self, place: u16) -> &mut Page {
        let page = &mut self.pages[usize::from(place)];
        if page.wake != self.wake {
            page.wake = self.wake;
            page.before = (page.lives, page.unseen);
            page.waited_again = page.again > 0;
            page.seen = 0;
            self.touched.push(place);
        }
        page
    }

    fn schedule(&mut self, place: u16) {
        let page = &self.pages[usize::from(place)];
        let over = self.span.rounds.is_some_and(|rounds| page.ticks >= rounds)
            || self.end.is_some_and(|end| page.next_tick >= end);
        if matches!(page.standing, Standing::Live(_)) && !over {
            self.ticks.push(Reverse((page.next_tick, place)));
        }
    }
}

impl Page {
    /// What a new run takes over of it: its counts, and nothing else.
    pub fn carried(&self, standing: Standing) -> Self {
        Self { counted: self.counted, reported: self.reported, ..Self::new(self.target, standing) }
    }

    /// A page on which nothing has been written.
    pub fn new(target: Target, standing: Standing) -> Self {
        Self {
            target,
            standing,
            counted: [0; 7],
            reported: [0; 7],
            skipped: 0,
            interval: Nanos::ZERO,
            next_tick: Instant::NEVER,
            ticks: 0,
            lives: 0,
            unseen: 0,
            unseen_limits: Thresholds { slow: Nanos::ZERO, timeout: Nanos::ZERO },
            again: 0,
            wake: 0,
            before: (0, 0),
            waited_again: false,
            seen: 0,
        }
    }

    /// What the log does not have.
    pub fn unreported(&self) -> Counts {
        std::array::from_fn(|i| self.counted[i] - self.reported[i])
    }

    /// The monitor's counters of it, while it is configured.
    pub fn watch<'m>(&self, monitor: &'m Monitor) -> Option<&'m TargetEntry> {
        match self.standing {
            Standing::Live(position) => monitor.live().nth(usize::from(position)),
            Standing::Free | Standing::Retired => None,
        }
    }

    /// Whether nothing holds on to it any more.
    pub fn is_idle(&self) -> bool {
        self.standing == Standing::Retired && self.lives + self.unseen == 0 && self.counted == self.reported
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
