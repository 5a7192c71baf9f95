//! What the daily files say of a period: sums of their rows, outages, times, and when nobody watched. It takes the bytes of
//! the files in, in pieces and in any order of files, and does no I/O. Its memory is bounded by the number of services and
//! days; of outages it keeps the longest ones of each service and counts the others.

mod axis;
mod ending;
mod outages;
mod samples;
mod service;

use core::fmt;

pub use axis::{Axis, Day, HALF_HOURS, Latency, Mark, SLOTS, Slot};
pub use outages::{Outage, Outages, Span};
pub use service::{Service, Shown, Worst};

use crate::base::calendar::{Calendar, LocalTime, parse_civil};
use crate::base::text::Text;
use crate::base::{path, words};
use crate::model::cause::Cause;
use crate::model::log_line::{Change, GAP, Line, STAMP, Told};
use crate::model::outcome::Columns;
use samples::Bucket;
use service::{Open, Row};

/// How many damaged lines are named.
const NAMED: usize = 20;

/// How many times without a watch are kept that events tell of.
const UNWATCHED: usize = 4096;

/// Bytes of the longest line that is read. A longer one is damaged.
pub const LONGEST: usize = 8192;

/// A report that is being made, or is finished.
#[derive(Clone, Debug)]
pub struct Report {
    /// The begin of the period, in seconds since 1970: as chosen, else that of the first interval.
    pub from: Option<i64>,
    /// The end of the period, which is not part of it: as chosen, else that of the last interval.
    pub to: Option<i64>,
    /// The services in the order in which they came.
    pub services: Vec<Service>,
    /// The sums of all services that are shown.
    pub all: Columns,
    /// The slots of every service.
    pub axis: Axis,
    /// How many files were read.
    pub files: u64,
    /// The newest events of the monitor itself.
    pub events: Vec<Shown>,
    /// How many lines are damaged.
    pub damaged: u64,
    /// The first of them, as `FILE:LINE`.
    pub named: Vec<String>,
    /// The services that are shown; none: all.
    wanted: Vec<String>,
    local: LocalTime,
    calendar: Calendar,
    /// The stamp of the last row, as it is written and as seconds since 1970, by the local clock and by UTC.
    stamp: [u8; STAMP],
    moment: (i64, i64),
    /// The widths of the numbers of the last row.
    widths: [usize; 7],
    /// The number of the service whose row is expected next, and of that before.
    next: usize,
    last: usize,
    /// The name of the file that is read, the number of its last line, and whether a line that is too long is passed over.
    file: String,
    line: u64,
    is_passing: bool,
    /// The directories of the files, and which of them the file is in that is read.
    sources: Vec<String>,
    source: usize,
    /// The times without a watch that events tell of, by the directory of their file.
    unwatched: Vec<Vec<Span>>,
    /// Whether there are events.
    pub has_events: bool,
    /// The latest moment that was read.
    latest: i64,
    labels: [Text<48>; Cause::ALL.len()],
}

impl Report {
    /// A report of nothing yet.
    pub fn new(from: Option<i64>, to: Option<i64>, wanted: &[&str], local: LocalTime) -> Self {
        let axis = match (from, to) {
            (Some(from), Some(to)) => Axis::of(from, to),
            _ => Axis { base: i64::MIN, width: 300 },
        };
        Self {
            from,
            to,
            services: Vec::new(),
            all: Columns::default(),
            axis,
            files: 0,
            events: Vec::new(),
            damaged: 0,
            named: Vec::new(),
            wanted: wanted.iter().copied().map(String::from).collect(),
            local,
            calendar: Calendar::new(local),
            stamp: [0; STAMP],
            moment: (0, 0),
            widths: [0; 7],
            next: 0,
            last: 0,
            file: String::new(),
            line: 0,
            is_passing: false,
            sources: Vec::new(),
            source: 0,
            unwatched: Vec::new(),
            has_events: false,
            latest: i64::MIN,
            labels: Cause::ALL.map(|cause| Text::format(format_args!("{cause}"))),
        }
    }

    /// Begins a file with this name.
    pub fn begin_file(&mut self, name: &str) {
        self.file.clear();
        self.file.push_str(name);
        self.files += 1;
        (self.line, self.is_passing) = (0, false);
        let directory = path::parent(name);
        self.source = match self.sources.iter().position(|known| known == directory) {
            Some(known) => known,
            None => {
                self.sources.push(directory.into());
                self.unwatched.push(Vec::new());
                self.sources.len() - 1
            }
        };
    }

    /// Reads whole lines from the front of these bytes, and returns how many bytes they have. A last line without its newline
    /// is not read: it may just be being written. `is_full`: there is no space for more bytes behind these.
    pub fn read(&mut self, bytes: &[u8], is_full: bool) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if let Some(length) = self.read_row(rest) {
                at += length;
                continue;
            }
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                if !is_full || at > 0 {
                    return at;
                }
                if !core::mem::replace(&mut self.is_passing, true) {
                    self.line += 1;
                    self.add_damaged();
                }
                return bytes.len();
            };
            at += end + 1;
            if core::mem::take(&mut self.is_passing) {
                continue;
            }
            self.line += 1;
            self.read_line(&rest[..end]);
        }
    }

    /// Reads a row of counts in the form of the last ones, which nearly every row has, and returns how many bytes it has.
    /// `None`: it is something else, or damaged.
    fn read_row(&mut self, bytes: &[u8]) -> Option<usize> {
        let prefix = &self.services.get(self.next)?.prefix;
        if prefix.is_empty() || self.is_passing {
            return None;
        }
        let begin = STAMP + prefix.len();
        let length = begin + self.widths.iter().sum::<usize>() + 6 * GAP.len() + 1;
        let row = bytes.get(..length)?;
        if row[STAMP..begin] != prefix[..] || row[length - 1] != b'\n' {
            return None;
        }
        let (mut numbers, mut at) = ([0_u64; 7], begin);
        for (i, (number, width)) in numbers.iter_mut().zip(self.widths).enumerate() {
            if i > 0 {
                if row[at..at + GAP.len()] != *GAP.as_bytes() {
                    return None;
                }
                at += GAP.len();
            }
            let mut digits = &row[at..at + width];
            at += width;
            while let [b' ', rest @ ..] = digits {
                digits = rest;
            }
            if digits.is_empty() || digits.len() > 9 {
                return None;
            }
            for byte in digits {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    return None;
                }
                *number = *number * 10 + u64::from(digit);
            }
        }
        let columns = Columns::of(numbers);
        if !columns.is_sum() {
            return None;
        }
        if row[..STAMP] != self.stamp {
            let civil = parse_civil(words::utf8(&row[..STAMP])?)?;
            self.stamp.copy_from_slice(&row[..STAMP]);
            self.set_moment(civil);
        }
        self.line += 1;
        let service = self.next;
        self.expect_after(service);
        self.add_row(service, self.moment, &columns);
        Some(length)
    }

    fn set_moment(&mut self, civil: i64) {
        let after = self.moment.1;
        self.moment = (civil, self.calendar.unix(civil, after));
    }

    /// Notes that a row of this service came, and expects the one that came after it the last time.
    fn expect_after(&mut self, service: usize) {
        let last = core::mem::replace(&mut self.last, service);
        if let Some(last) = self.services.get_mut(last) {
            last.next = service;
        }
        self.next = self.services[service].next;
    }

    fn add_damaged(&mut self) {
        self.damaged += 1;
        if self.named.len() < NAMED {
            let mut name = String::new();
            // A String takes everything.
            let _ = fmt::Write::write_fmt(&mut name, format_args!("{}:{}", self.file, self.line));
            self.named.push(name);
        }
    }

    /// Reads a line of any kind.
    #[inline(never)]
    fn read_line(&mut self, line: &[u8]) {
        // That of the last row is not the moment any more.
        self.stamp = [0; STAMP];
        match Line::read(line) {
            Line::Header => {}
            Line::Damaged => self.add_damaged(),
            Line::Counted(row) => {
                let service = self.service(row.service);
                self.learn_form(service, line);
                self.expect_after(service);
                self.set_moment(row.civil);
                self.add_row(service, self.moment, &row.columns);
            }
            Line::Timed(row) => {
                self.set_moment(row.civil);
                if self.has(self.moment.1) {
                    let service = self.service(row.service);
                    self.expect_after(service);
                    let number = self.slot(self.moment.1);
                    self.services[service].add_times(&row, &self.labels);
                    self.services[service].add_phases(&row.phases, row.civil, number);
                }
            }
            Line::Told(told) => self.add_event(&told),
            Line::Sampled(sampled) => {
                if self.has(sampled.at) {
                    let service = self.service(sampled.service.as_str());
                    let stamp = Bucket::stamp(&sampled).min(self.to.unwrap_or(i64::MAX) - 1);
                    if self.services[service].bucket.as_ref().is_some_and(|bucket| bucket.stamp < stamp) {
                        self.end_bucket(service);
                    }
                    let entry = &mut self.services[service];
                    entry.resent += u64::from(sampled.resent);
                    entry.skipped += samples::skipped(&sampled);
                    entry.bucket.get_or_insert_with(|| Box::new(Bucket::new(stamp))).add(&sampled);
                    let civil = stamp + i64::from((self.local)(stamp).offset);
                    self.add_row(service, (civil, stamp), &samples::columns(&sampled));
                }
            }
        }
    }

    /// Adds the times of samples that were taken together, if there are any.
    fn end_bucket(&mut self, service: usize) {
        if let Some(bucket) = self.services[service].bucket.take() {
            let (stamp, number) = (bucket.stamp, self.slot(bucket.stamp));
            let civil = stamp + i64::from((self.local)(stamp).offset);
            self.services[service].add_phases(&bucket.phases(), civil, number);
        }
    }

    /// Notes how a row of this service is written.
    fn learn_form(&mut self, service: usize, line: &[u8]) {
        let (mut widths, mut end) = ([0; 7], line.len());
        for width in widths.iter_mut().rev() {
            let Some(bar) = line[..end].iter().rposition(|byte| *byte == b'|') else { return };
            // Behind a bar is a blank, and one is before it.
            *width = (end - bar).saturating_sub(2);
            end = bar.saturating_sub(1);
        }
        let end = end + GAP.len();
        let prefix = line.get(STAMP..end).unwrap_or_default();
        self.widths = widths;
        self.services[service].prefix = prefix.to_vec();
    }

    /// The number of the service with this name, which is mostly the expected one.
    fn service(&mut self, name: &str) -> usize {
        let is_it = |service: &Service| service.name == name;
        if self.services.get(self.next).is_some_and(is_it) {
            return self.next;
        }
        if let Some(known) = self.services.iter().position(is_it) {
            return known;
        }
        let is_hidden = !self.wanted.is_empty() && self.wanted.iter().all(|wanted| wanted != name);
        let period = (self.from.unwrap_or(i64::MIN), self.to.unwrap_or(i64::MAX));
        self.services.push(Service::new(name, is_hidden, period));
        self.services.len() - 1
    }

    /// Whether a moment is in the period.
    fn has(&self, unix: i64) -> bool {
        self.from.is_none_or(|from| unix >= from) && self.to.is_none_or(|to| unix < to)
    }

    /// The number of the slot of the interval that ends at a moment; slots become longer until it has one.
    fn slot(&mut self, unix: i64) -> usize {
        let unix = unix - 1;
        if self.axis.base == i64::MIN {
            self.axis.base = unix.div_euclid(self.axis.width) * self.axis.width;
        }
        while !self.axis.has(unix) && self.from.is_none_or(|from| unix >= from) {
            // So that the first one begins at a multiple of its length.
            let is_odd = self.axis.base.div_euclid(self.axis.width) & 1 == 1;
            let before = if self.axis.slot(unix) < 0 { SLOTS + usize::from(is_odd) } else { usize::from(is_odd) };
            self.axis.base -= before as i64 * self.axis.width;
            self.axis.width *= 2;
            for service in &mut self.services {
                if !service.slots.is_empty() {
                    axis::widen(&mut service.slots, before);
                }
            }
        }
        self.axis.slot(unix).clamp(0, 2 * SLOTS as i64 - 1) as usize
    }

    /// Adds a row of counts, with its moment by the local clock and by UTC.
    fn add_row(&mut self, service: usize, (civil, unix): (i64, i64), columns: &Columns) {
        let is_in = self.has(unix);
        let source = self.source;
        let entry = &mut self.services[service];
        if is_in {
            entry.columns.add(columns);
            self.latest = self.latest.max(unix);
            entry.last = entry.last.max(unix);
            if entry.first.is_none_or(|(first, _)| unix < first) {
                entry.first = Some((unix, columns.total));
            }
            let is_same = entry.source.is_none_or(|known| known == source);
            entry.source = Some(if is_same { source } else { usize::MAX });
        }
        if let Some(row) = &mut entry.row {
            if row.unix >= unix && row.unix - unix < 3600 && row.is_in == is_in {
                // Another target of the service, or samples that ended late.
                row.columns.add(columns);
                return;
            }
        }
        let before = entry.row.map(|row| row.unix);
        self.end_row(service);
        self.services[service].row = Some(Row { before, unix, civil, columns: *columns, is_in });
    }

    /// Takes the row that was added up in. Rows outside of the period only tell when outages began and ended.
    fn end_row(&mut self, service: usize) {
        let Some(row) = self.services[service].row else { return };
        let Some(begin) = self.services[service].end_row(&row) else { return };
        if !row.is_in {
            let after = &mut self.services[service].after;
            if self.to.is_some_and(|to| row.unix >= to) && after.is_none_or(|(_, end)| row.unix < end) {
                *after = Some((begin, row.unix));
            }
            return;
        }
        let mark = mark(&row.columns);
        let begin = begin.max(self.from.unwrap_or(i64::MIN)).min(row.unix - 1);
        let (first, last) = self.slots(begin, row.unix);
        let entry = &mut self.services[service];
        entry.mark_day(row.civil, row.unix - begin, mark);
        for number in first..=last {
            let slot = entry.slot(number);
            slot.mark = mark.max(slot.mark);
        }
    }

    /// The numbers of the first and the last slot of an interval.
    fn slots(&mut self, begin: i64, end: i64) -> (usize, usize) {
        // Both before: the second may move the first.
        let _ = self.slot(begin + 1);
        let last = self.slot(end);
        (self.slot(begin + 1), last)
    }

    /// Takes an event in.
    fn add_event(&mut self, told: &Told<'_>) {
        let Told { at, parts: [kind, service, endpoint, text], change } = told;
        self.has_events = true;
        let is_own = *service == "-" && *endpoint == "-";
        let number = if is_own { None } else { Some(self.service(service)) };
        if self.has(*at) {
            self.latest = self.latest.max(*at);
            let mut shown = String::new();
            let (bar, endpoint) = if is_own { ("", "") } else { (GAP, *endpoint) };
            let _ = fmt::Write::write_fmt(&mut shown, format_args!("{kind}{bar}{endpoint}{GAP}{text}"));
            let events = match number {
                Some(number) => &mut self.services[number].events,
                None => &mut self.events,
            };
            service::push_event(events, Shown { at: *at, text: shown });
        }
        if let (Change::Unwatched(begin, end), Some(spans)) = (change, self.unwatched.get_mut(self.source)) {
            outages::push_span(spans, Span { begin: *begin, end: *end, total: 0 }, UNWATCHED);
        }
        let Some(number) = number else { return };
        let entry = &mut self.services[number];
        if entry.endpoint.is_empty() {
            entry.endpoint = (*endpoint).into();
        }
        entry.several |= entry.endpoint != *endpoint;
        let known = entry.open.iter().position(|open| open.endpoint == *endpoint);
        match change {
            Change::Down(begin, reason) => {
                // If there is one already, its end was lost.
                if known.is_none() {
                    entry.open.push(Open {
                        begin: *begin,
                        exact: true,
                        endpoint: (*endpoint).into(),
                        reason: (*reason).into(),
                    });
                }
            }
            Change::Up(begin, end) => {
                let open = known.map(|known| entry.open.remove(known));
                let reason = open.map_or_else(|| "begun before the files".into(), |open| open.reason);
                self.add_outage(
                    number,
                    Open { begin: *begin, exact: true, endpoint: (*endpoint).into(), reason },
                    Some(*end),
                );
            }
            Change::Flapping(is_up) => match known {
                Some(known) if *is_up => {
                    let open = entry.open.remove(known);
                    self.add_outage(number, Open { exact: false, ..open }, Some(*at));
                }
                None if !is_up => {
                    let reason = "flapping".into();
                    entry.open.push(Open { begin: *at, exact: false, endpoint: (*endpoint).into(), reason });
                }
                Some(_) | None => {}
            },
            Change::Unwatched(..) | Change::Nothing => {}
        }
    }

    /// Adds an outage, if a part of it is in the period.
    fn add_outage(&mut self, number: usize, open: Open, end: Option<i64>) {
        let Open { begin, exact, endpoint, reason } = open;
        let until = end.unwrap_or(self.latest.max(begin));
        let entry = &mut self.services[number];
        if entry.is_in_period(begin, until.max(begin + 1)) {
            let (seconds, unwatched) = ((until - begin).max(0) as u64, 0);
            entry.outages.push(Outage { begin, end, seconds, exact, common: false, unwatched, reason, endpoint });
        }
    }
}

/// How the probes of a row did.
fn mark(columns: &Columns) -> Mark {
    let failed = columns.failed();
    if columns.connected() == 0 {
        Mark::Down
    } else if failed * 10 > columns.total {
        Mark::Bad
    } else if failed > 0 {
        Mark::Failed
    } else if columns.conn_slow + columns.dns_slow > 0 {
        Mark::Slow
    } else {
        Mark::Good
    }
}

#[cfg(test)]
mod tests;
