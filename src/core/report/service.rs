//! What the daily files say of one service.

use super::axis::{Day, HALF_HOUR, HALF_HOURS, Latency, Mark, Slot};
use super::outages::{KEPT, Outage, Outages, Span, push_span};
use super::samples::Bucket;
use crate::base::text::Text;
use crate::base::time::SECS_PER_DAY;
use crate::base::words;
use crate::model::cause::Cause;
use crate::model::log_line::Timed;
use crate::model::outcome::Columns;

/// The longest time that one row is taken for, in seconds: reports may have been held up while a disk was full.
const LONGEST: u64 = 31 * 86_400;

/// The most votes for a time between two rows: a report interval that was changed is learned after so many rows.
const VOTES: u32 = 12;

/// How many lines of events are kept of a service.
const EVENTS: usize = 10;

/// An event as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When it was found, in seconds since 1970.
    pub at: i64,
    /// Its kind, `host:port` and text, with bars between.
    pub text: String,
}

/// Adds an event to the newest ones.
pub(super) fn push_event(events: &mut Vec<Shown>, event: Shown) {
    if events.len() >= EVENTS {
        events.remove(0);
    }
    events.push(event);
}

/// The interval between two rows with the largest part of failed probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worst {
    /// Its begin and its end, in seconds since 1970.
    pub span: (i64, i64),
    /// Its counts.
    pub columns: Columns,
}

/// An outage of which the end is not known yet.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub begin: i64,
    pub exact: bool,
    pub endpoint: String,
    pub reason: String,
}

/// Rows in which no probe connected.
#[derive(Clone, Copy, Debug)]
struct Failing {
    begin: i64,
    end: i64,
    columns: Columns,
}

/// What is known of a service. Moments are in seconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Whether it is not shown.
    pub hidden: bool,
    /// The sums of its rows.
    pub columns: Columns,
    /// How often there was each cause, in the order of [`Cause::ALL`].
    pub causes: [u32; Cause::ALL.len()],
    /// The address that was given up last.
    pub silent: String,
    /// SYNs sent again.
    pub resent: u64,
    /// Ticks skipped.
    pub skipped: u64,
    /// Times of lookups and of connects.
    pub phases: [Latency; 2],
    /// The worst interval, if a probe failed.
    pub worst: Option<Worst>,
    /// Its days, in order.
    pub days: Vec<Day>,
    /// Its slots on the report's axis.
    pub slots: Vec<Slot>,
    /// Its outages.
    pub outages: Outages,
    /// When nobody watched, in order.
    pub unwatched: Vec<Span>,
    /// The newest events.
    pub events: Vec<Shown>,
    /// Those of events that have no end yet.
    pub(super) open: Vec<Open>,
    /// Those found in rows.
    pub(super) in_rows: Outages,
    /// What its row has between the stamp and the numbers.
    pub(super) prefix: Vec<u8>,
    /// The service whose row came after its last one.
    pub(super) next: usize,
    /// The stamp of the first row of the period and its probes, and the stamp of the last one.
    pub(super) first: Option<(i64, u64)>,
    pub(super) last: i64,
    /// The begin and the end of the first row behind the period.
    pub(super) after: Option<(i64, i64)>,
    /// The begin and the end of the period.
    pub(super) period: (i64, i64),
    /// The directory whose files have its rows; `usize::MAX` if several have.
    pub(super) source: Option<usize>,
    /// Whether events name several targets of it.
    pub several: bool,
    /// The target that they named first.
    pub(super) endpoint: String,
    /// The row that is being added up, and the stamp of the one before.
    pub(super) row: Option<Row>,
    /// The usual time between two rows, found by the vote of Boyer and Moore, and what is for it.
    usual: i64,
    votes: u32,
    /// Probes and seconds of rows with that time.
    rate: (u64, u64),
    rows: u32,
    /// Whether all probes of the first row have failed, of which the begin is not known at first.
    has_failed_first: bool,
    failing: Option<Failing>,
    pub(super) bucket: Option<Box<Bucket>>,
}

/// The rows of one stamp: a service may have several targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The stamp of the row before; `None` before the first one.
    pub before: Option<i64>,
    pub unix: i64,
    /// The same as the local clock showed it.
    pub civil: i64,
    pub columns: Columns,
    /// Whether it is of the period.
    pub is_in: bool,
}

impl Service {
    pub(super) fn new(name: &str, hidden: bool, period: (i64, i64)) -> Self {
        Self { name: name.into(), hidden, period, last: i64::MIN, ..Self::default() }
    }

    /// Whether it has rows, or anything of the period.
    pub(super) fn is_shown(&self) -> bool {
        !self.hidden && (self.row.is_some() || self.outages.count() > 0 || !self.events.is_empty())
    }

    /// Whether a span has a part of the period.
    pub(super) fn is_in_period(&self, begin: i64, end: i64) -> bool {
        begin < self.period.1 && end > self.period.0
    }

    /// The time that rows usually cover, in seconds; 0 if it is not known.
    pub fn usual(&self) -> i64 {
        self.usual
    }

    /// How many seconds of a row were watched, by its probes.
    pub(super) fn watched(&self, seconds: i64, total: u64) -> i64 {
        let (probes, of_seconds) = self.rate;
        // A usual row, if there was none: then nothing else is known.
        let watched = total.saturating_mul(of_seconds).checked_div(probes).unwrap_or(self.usual as u64);
        seconds.min(watched.min(LONGEST) as i64)
    }

    /// Whether a row of so many seconds has probably a time without a watch in it.
    pub(super) fn is_long(&self, seconds: i64) -> bool {
        seconds > SECS_PER_DAY || seconds * 2 > self.usual * 3
    }

    /// Takes a finished row in. Returns from when on it was watched, or `None` if it was not at all.
    pub(super) fn end_row(&mut self, row: &Row) -> Option<i64> {
        let total = row.columns.total;
        let mut begin = row.unix - self.usual;
        let mut is_gap = false;
        if let Some(before) = row.before.filter(|before| *before < row.unix) {
            let seconds = row.unix - before;
            self.vote(seconds, total);
            begin = before;
            // What is usual is not known yet at the first rows.
            if row.is_in && (self.is_long(seconds) || self.rows < 4 || total == 0) {
                push_span(&mut self.unwatched, Span { begin, end: row.unix, total }, KEPT);
            }
            let watched = row.unix - self.watched(seconds, total);
            // A report that was held up has the probes of the whole time.
            if self.is_long(seconds) && (watched - before) * 2 > self.usual {
                is_gap = true;
                begin = watched;
            }
            self.rows += 1;
        }
        if total == 0 {
            self.end_failing();
            return None;
        }
        if row.is_in
            && row.columns.failed() > 0
            && self.worst.is_none_or(|worst| is_worse(&row.columns, &worst.columns))
        {
            self.worst = Some(Worst { span: (begin, row.unix), columns: row.columns });
        }
        if row.columns.connected() > 0 || is_gap {
            self.end_failing();
        }
        if row.columns.connected() == 0 {
            self.has_failed_first |= row.before.is_none();
            let failing = self.failing.get_or_insert(Failing { begin, end: row.unix, columns: Columns::default() });
            failing.end = row.unix;
            failing.columns.add(&row.columns);
        }
        Some(begin)
    }

    /// Votes for the time between two rows. One that is short or long gets no majority; no report interval is longer than a
    /// day.
    fn vote(&mut self, seconds: i64, total: u64) {
        if seconds > SECS_PER_DAY {
            return;
        }
        // The original's reports drift by a second or two.
        if (self.usual - seconds).abs() * 8 <= self.usual && self.votes > 0 {
            self.votes = (self.votes + 1).min(VOTES);
            self.rate.0 += total;
            self.rate.1 += seconds as u64;
        } else if self.votes == 0 {
            (self.usual, self.votes, self.rate) = (seconds, 1, (total, seconds as u64));
        } else {
            self.votes -= 1;
        }
    }

    /// Ends the rows in which no probe connected, if there are any.
    fn end_failing(&mut self) {
        let Some(Failing { begin, end, columns }) = self.failing.take() else { return };
        self.push_in_rows(begin, Some(end), end, &columns);
    }

    /// The same where the last row is one of them: that outage has no end.
    pub(super) fn end_rows(&mut self) {
        if let Some(Failing { begin, end, columns }) = self.failing.take() {
            self.push_in_rows(begin, None, end, &columns);
        }
    }

    fn push_in_rows(&mut self, begin: i64, end: Option<i64>, known: i64, columns: &Columns) {
        let reason = if columns.dns_fail > columns.conn_failed { "lookup failed" } else { "connect failed" };
        let (seconds, reason) = ((known - begin).max(0) as u64, reason.into());
        let (endpoint, unwatched) = (String::new(), 0);
        if self.is_in_period(begin, known) {
            self.in_rows.push(Outage { begin, end, seconds, exact: false, common: false, unwatched, reason, endpoint });
        }
    }

    /// Gives what begins with the first row the begin of that row, which was not known yet.
    pub(super) fn finish_first(&mut self) {
        if let Some((begin, end)) = self.after.as_mut().filter(|(begin, end)| begin == end) {
            *begin = *end - self.usual;
        }
        let Some((first, total)) = self.first else { return };
        let begin = first - self.watched(self.usual, total);
        if let Some(worst) = self.worst.as_mut().filter(|worst| worst.span == (first, first)) {
            worst.span.0 = begin;
        }
        let mut in_rows = self.in_rows.list.iter_mut().filter(|_| self.has_failed_first);
        if let Some(outage) = in_rows.find(|outage| outage.begin == first) {
            outage.begin = begin;
            outage.seconds += (first - begin) as u64;
        }
    }

    /// The first half hour after this moment by the local clock in which every probe connected.
    pub(super) fn good_from(&self, civil: i64) -> Option<i64> {
        for day in &self.days {
            for (i, mark) in day.marks.iter().enumerate() {
                let begin = i64::from(day.day) * SECS_PER_DAY + i as i64 * HALF_HOUR;
                if begin >= civil && matches!(mark, Mark::Good | Mark::Slow) {
                    return Some(begin);
                }
            }
        }
        None
    }

    /// The last second of a row that ends at `civil`. That of midnight is the last of the day before, but of the first day
    /// it is the first.
    fn last_second(&self, civil: i64) -> i64 {
        let has_earlier = self.days.first().is_some_and(|first| i64::from(first.day) * SECS_PER_DAY < civil);
        if civil % SECS_PER_DAY == 0 && !has_earlier { civil } else { civil - 1 }
    }

    /// Marks the half hours of a row, which ends at `civil` by the local clock and covers so many seconds.
    pub(super) fn mark_day(&mut self, civil: i64, seconds: i64, mark: Mark) {
        let last = self.last_second(civil).div_euclid(HALF_HOUR);
        // No day is begun only for the first row.
        let mut cell = if self.days.is_empty() { last } else { (civil - seconds).div_euclid(HALF_HOUR).min(last) };
        while cell <= last {
            let day = cell.div_euclid(HALF_HOURS as i64) as i32;
            let half_hour = &mut self.day(day).marks[cell.rem_euclid(HALF_HOURS as i64) as usize];
            *half_hour = mark.max(*half_hour);
            cell += 1;
        }
    }

    /// The day with this number; they are in order, and mostly it is the last one.
    fn day(&mut self, day: i32) -> &mut Day {
        let mut at = self.days.iter().rposition(|known| known.day <= day).map_or(0, |at| at + 1);
        if at > 0 && self.days[at - 1].day == day {
            at -= 1;
        } else {
            self.days.insert(at, Day { day, marks: [Mark::Unwatched; HALF_HOURS], phases: [Latency::default(); 2] });
        }
        &mut self.days[at]
    }

    /// The slot with this number.
    pub(super) fn slot(&mut self, number: usize) -> &mut Slot {
        if self.slots.len() <= number {
            self.slots.resize(number + 1, Slot::default());
        }
        &mut self.slots[number]
    }

    /// Takes a row of times in, and counts its causes, whose texts are `labels`.
    pub(super) fn add_times(&mut self, timed: &Timed<'_>, labels: &[Text<48>; Cause::ALL.len()]) {
        self.resent += u64::from(timed.resent);
        self.skipped += u64::from(timed.skipped);
        let mut rest = timed.why;
        while !rest.is_empty() {
            let (part, behind) = words::split_once(rest, b';').unwrap_or((rest, ""));
            rest = words::trim(behind);
            let Some((label, count)) = words::rsplit_once(part, b' ') else { continue };
            let (cause, address) = match label.strip_prefix("silent ") {
                Some(address) => (Some(Cause::Silent.index()), address),
                None => (labels.iter().position(|known| known.as_str() == label), ""),
            };
            if let (Some(cause), Some(count)) = (cause, words::number(count, u32::MAX)) {
                self.causes[cause] = self.causes[cause].saturating_add(count);
            }
            if !address.is_empty() {
                self.silent = address.into();
            }
        }
    }

    /// Takes the times of a row in that ends at `civil` by the local clock, and at a slot.
    pub(super) fn add_phases(&mut self, phases: &[Option<[u32; 3]>; 2], civil: i64, number: usize) {
        let day = self.last_second(civil).div_euclid(SECS_PER_DAY) as i32;
        for (phase, times) in phases.iter().enumerate() {
            if let Some(times) = times {
                self.phases[phase].add(*times);
                self.day(day).phases[phase].add(*times);
                self.slot(number).phases[phase].add(*times);
            }
        }
    }
}

/// Whether a larger part of these probes has failed; of equal parts, more of them.
fn is_worse(columns: &Columns, other: &Columns) -> bool {
    let part = |one: &Columns, other: &Columns| one.failed().saturating_mul(other.total);
    let (part, others) = (part(columns, other), part(other, columns));
    part > others || (part == others && columns.failed() > other.failed())
}
