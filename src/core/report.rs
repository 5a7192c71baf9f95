//! What the daily files say of a period: sums of their rows, outages, times, and when nobody watched. It takes the bytes of
//! the files in, in pieces and in any order of files, and does no I/O. Its memory is bounded by the number of services and
//! days; of outages it keeps the longest ones of each service and counts the others.

mod axis;
mod outages;
mod samples;
mod service;

use core::fmt;

pub use axis::{Axis, Day, HALF_HOURS, Latency, Mark, SLOTS, Slot};
pub use outages::{Outage, Outages, Span};
pub use service::{Service, Shown, Worst};

use crate::base::text::Text;
use crate::base::time::{Calendar, LocalTime, parse_civil};
use crate::base::words;
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
    /// The days that have events, and the times without a watch that events tell of.
    event_days: Vec<i64>,
    unwatched: Vec<Span>,
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
            event_days: Vec::new(),
            unwatched: Vec::new(),
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
                    let stamp = Bucket::stamp(&sampled);
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
        self.services.push(Service::new(name, is_hidden));
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
        let entry = &mut self.services[service];
        if is_in {
            entry.columns.add(columns);
            self.latest = self.latest.max(unix);
        }
        if let Some(row) = &mut entry.row {
            if row.unix >= unix && row.unix - unix < 3600 {
                // Another target of the service, or samples that ended late.
                row.columns.add(columns);
                return;
            }
        }
        let before = entry.row.map(|row| row.unix);
        if !is_in {
            // Only its stamp counts: the next row begins there.
            let columns = Columns::default();
            self.end_row(service);
            self.services[service].row = Some(Row { before: None, unix, civil, columns });
            return;
        }
        if entry.first.is_none() {
            entry.first = Some((unix, columns.total));
        }
        self.end_row(service);
        self.services[service].row = Some(Row { before, unix, civil, columns: *columns });
    }

    /// Takes the row that was added up in.
    fn end_row(&mut self, service: usize) {
        let Some(row) = self.services[service].row.filter(|row| self.has(row.unix)) else { return };
        let Some(begin) = self.services[service].end_row(&row) else { return };
        let mark = mark(&row.columns);
        let begin = begin.max(self.from.unwrap_or(i64::MIN)).min(row.unix - 1);
        // Both first: the second may move the first.
        let _ = self.slot(begin + 1);
        let last = self.slot(row.unix);
        let first = self.slot(begin + 1);
        let entry = &mut self.services[service];
        entry.mark_day(row.civil, row.unix - begin, mark);
        for number in first..=last {
            let slot = entry.slot(number);
            slot.mark = mark.max(slot.mark);
        }
    }

    /// Takes an event in.
    fn add_event(&mut self, told: &Told<'_>) {
        let Told { at, parts: [kind, service, endpoint, text], change } = told;
        let day = (self.local)(*at).day();
        if self.event_days.last() != Some(&day) && !self.event_days.contains(&day) {
            self.event_days.push(day);
        }
        if self.has(*at) {
            self.latest = self.latest.max(*at);
        }
        let is_own = *service == "-" && *endpoint == "-";
        let number = if is_own { None } else { Some(self.service(service)) };
        if self.has(*at) {
            let mut shown = String::new();
            let (bar, endpoint) = if is_own { ("", "") } else { (GAP, *endpoint) };
            let _ = fmt::Write::write_fmt(&mut shown, format_args!("{kind}{bar}{endpoint}{GAP}{text}"));
            let events = match number {
                Some(number) => &mut self.services[number].events,
                None => &mut self.events,
            };
            service::push_event(events, Shown { at: *at, text: shown });
        }
        if let Change::Unwatched(begin, end) = change {
            outages::push_span(&mut self.unwatched, Span { begin: *begin, end: *end, total: 0 }, UNWATCHED);
        }
        let Some(number) = number else { return };
        let entry = &mut self.services[number];
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
        if self.to.is_none_or(|to| begin < to) && self.from.is_none_or(|from| until > from) {
            let seconds = (until - begin).max(0) as u64;
            let outage = Outage { begin, end, seconds, exact, common: false, reason, endpoint };
            self.services[number].outages.push(outage);
        }
    }

    /// Ends the report, when everything is read. `now`: the period ends now, and the monitor should have watched until then.
    #[inline(never)]
    pub fn finish(&mut self, now: Option<i64>) {
        self.latest = self.latest.max(now.unwrap_or(i64::MIN));
        self.services.retain(|service| !service.hidden);
        let chosen = (self.from, self.to);
        let has_events = !self.event_days.is_empty();
        for number in 0..self.services.len() {
            self.end_bucket(number);
            self.end_row(number);
            self.services[number].end_rows();
            for open in core::mem::take(&mut self.services[number].open) {
                self.add_outage(number, open, None);
            }
            let in_rows = core::mem::take(&mut self.services[number].in_rows);
            let entry = &mut self.services[number];
            if !has_events {
                entry.outages.others += in_rows.others;
                entry.outages.seconds +=
                    in_rows.seconds - in_rows.list.iter().map(|outage| outage.seconds).sum::<u64>();
            }
            for outage in in_rows.list {
                let end = outage.end.unwrap_or(i64::MAX);
                let days = [outage.begin, outage.end.unwrap_or(outage.begin)].map(|unix| (self.local)(unix).day());
                let is_told = days.iter().any(|day| self.event_days.contains(day));
                if !is_told && !entry.outages.overlaps(outage.begin, end) {
                    entry.outages.push(outage);
                }
            }
            entry.outages.list.sort_by_key(|outage| outage.begin);
            let columns = entry.columns;
            self.all.add(&columns);
        }
        let firsts = self.services.iter().filter_map(|service| Some(service.first?.0 - service.usual()));
        self.from = self.from.or(firsts.min());
        if self.to.is_none() && self.latest > i64::MIN {
            self.to = Some(self.latest);
        }
        self.to = now.or(self.to);
        for number in 0..self.services.len() {
            self.finish_first(number);
            self.finish_unwatched(number, chosen, now);
        }
        self.mark_common();
    }

    /// Marks the slots of the first row. While it was read, it was not known yet how long a row is.
    fn finish_first(&mut self, number: usize) {
        let entry = &self.services[number];
        let Some((first, total)) = entry.first.filter(|(_, total)| *total > 0) else { return };
        let begin = first - entry.watched(entry.usual(), total).max(1);
        let begin = begin.max(self.from.unwrap_or(i64::MIN)).min(first - 1);
        let _ = self.slot(begin + 1);
        let last = self.slot(first);
        let begin = self.slot(begin + 1);
        let mark = self.services[number].slot(last).mark;
        for before in begin..last {
            let slot = self.services[number].slot(before);
            slot.mark = mark.max(slot.mark);
        }
    }

    /// Finds out when nobody watched a service, also at the ends of a period that was chosen.
    fn finish_unwatched(&mut self, number: usize, (from, to): (Option<i64>, Option<i64>), now: Option<i64>) {
        let entry = &mut self.services[number];
        let mut spans = self.unwatched.clone();
        for span in core::mem::take(&mut entry.unwatched) {
            let seconds = span.end - span.begin;
            let is_gap = span.total == 0 || entry.is_long(seconds);
            let is_told = self.unwatched.iter().any(|told| told.begin < span.end && told.end > span.begin);
            if is_gap && !is_told {
                // The run that wrote the row began after that time.
                spans.push(Span { end: span.end - entry.watched(seconds, span.total), ..span });
            }
        }
        let last = entry.row.map(|row| row.unix).filter(|_| entry.first.is_some());
        if let (Some((first, total)), Some(last)) = (entry.first, last) {
            let begin = first - if entry.usual() == 0 { 1 } else { entry.watched(entry.usual(), total) };
            for (begin, end) in [(from, Some(begin)), (Some(last), now.or(to))] {
                if let (Some(begin), Some(end)) = (begin, end) {
                    if entry.is_long(end - begin) || entry.usual() == 0 {
                        spans.push(Span { begin, end, total: 0 });
                    }
                }
            }
        } else if let (Some(begin), Some(end)) = (from, to) {
            spans.push(Span { begin, end, total: 0 });
        }
        for span in &mut spans {
            span.begin = span.begin.max(self.from.unwrap_or(i64::MIN));
            span.end = span.end.min(self.to.unwrap_or(i64::MAX));
        }
        outages::join(&mut spans);
        entry.unwatched = spans;
    }

    /// Marks the outages at some moment of which more than half of all services were down.
    fn mark_common(&mut self) {
        let mut changes: Vec<(i64, i64)> = Vec::new();
        for service in &self.services {
            for outage in &service.outages.list {
                changes.push((outage.begin, 1));
                changes.push((outage.begin + outage.seconds as i64, -1));
            }
        }
        // Of the same second an end comes first.
        changes.sort_unstable();
        let (mut down, mut common) = (0, Vec::new());
        for (at, change) in changes {
            let was_common = down * 2 > self.services.len() as i64;
            down += change;
            let is_common = down * 2 > self.services.len() as i64;
            if is_common && !was_common {
                common.push((at, at));
            } else if let (true, Some(span)) = (was_common, common.last_mut()) {
                span.1 = at;
            }
        }
        if self.services.len() < 2 {
            return;
        }
        for service in &mut self.services {
            for outage in &mut service.outages.list {
                let end = outage.begin + outage.seconds as i64;
                outage.common = common.iter().any(|(from, to)| outage.begin < *to && end > *from);
            }
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
