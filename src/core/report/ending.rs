//! The end of a report, when everything is read: what only the whole shows.

use super::outages;
use super::service::{Open, Service};
use super::{Outage, Report, Span};

impl Report {
    /// Ends the outages of events that have no end. Rows may know better: its event was lost, or the target was removed.
    fn end_open(&mut self, number: usize) {
        for open in core::mem::take(&mut self.services[number].open) {
            let entry = &self.services[number];
            let (last, usual) = (entry.last, entry.usual());
            let mut end = None;
            if entry.first.is_none() {
                if self.latest > i64::MIN && self.services.iter().any(|other| other.first.is_some()) {
                    continue;
                }
            } else if let Some(civil) =
                entry.good_from(open.begin + i64::from((self.local)(open.begin).offset)).filter(|_| !entry.several)
            {
                end = Some(self.calendar.unix(civil, open.begin));
            } else if self.latest - last > 2 * usual.max(1) {
                end = Some(last.max(open.begin));
            }
            let exact = open.exact && end.is_none();
            self.add_outage(number, Open { exact, ..open }, end);
        }
    }

    /// Ends the report, when everything is read. `now`: the period ends now, and the monitor should have watched until then.
    #[inline(never)]
    pub fn finish(&mut self, now: Option<i64>) {
        self.latest = self.latest.max(now.unwrap_or(i64::MIN));
        let chosen = (self.from, self.to);
        for number in 0..self.services.len() {
            self.end_bucket(number);
            self.end_row(number);
            self.services[number].end_rows();
            self.finish_first(number);
        }
        for number in 0..self.services.len() {
            self.end_open(number);
            let entry = &mut self.services[number];
            let in_rows = core::mem::take(&mut entry.in_rows);
            entry.outages.add_in_rows(in_rows);
        }
        self.mark_common();
        self.services.retain(Service::is_shown);
        let firsts = self.services.iter().filter_map(|service| Some(service.first?.0 - service.usual()));
        self.from = self.from.or(firsts.min());
        if self.to.is_none() && self.latest > i64::MIN {
            self.to = Some(self.latest);
        }
        self.to = now.or(self.to);
        let (from, to) = (self.from.unwrap_or(i64::MIN), self.to.unwrap_or(i64::MAX));
        for number in 0..self.services.len() {
            self.finish_unwatched(number, chosen, now);
            let entry = &mut self.services[number];
            self.all.add(&entry.columns);
            entry.outages.add_up(from, to);
            for outage in &mut entry.outages.list {
                let Span { begin, end, .. } = outage.span();
                outage.unwatched = outages::overlap(&entry.unwatched, begin, end);
            }
        }
    }

    /// Marks the slots of the first row, and gives what begins with it its begin. While it was read, it was not known yet how
    /// long a row is.
    fn finish_first(&mut self, number: usize) {
        let entry = &mut self.services[number];
        entry.finish_first();
        let Some((first, total)) = entry.first.filter(|(_, total)| *total > 0) else { return };
        let begin = first - entry.watched(entry.usual(), total).max(1);
        let begin = begin.max(self.from.unwrap_or(i64::MIN)).min(first - 1);
        let (begin, last) = self.slots(begin, first);
        let mark = self.services[number].slot(last).mark;
        for before in begin..last {
            let slot = self.services[number].slot(before);
            slot.mark = mark.max(slot.mark);
        }
    }

    /// Finds out when nobody watched a service, also at the ends of a period that was chosen.
    fn finish_unwatched(&mut self, number: usize, (from, to): (Option<i64>, Option<i64>), now: Option<i64>) {
        let entry = &mut self.services[number];
        let usual = entry.usual();
        // What a monitor tells of itself is so for the services of its own files.
        let mut spans = match entry.source {
            Some(source) => self.unwatched.get(source).cloned().unwrap_or_default(),
            None => self.unwatched.concat(),
        };
        outages::join(&mut spans);
        let told = spans.clone();
        for span in core::mem::take(&mut entry.unwatched) {
            let seconds = span.end - span.begin;
            // The run that wrote the row began after that time.
            let end = span.end - entry.watched(seconds, span.total);
            let is_gap = span.total == 0 || entry.is_long(seconds);
            let is_told = outages::overlap(&told, span.begin, span.end) as i64 + usual >= end - span.begin;
            if is_gap && (!is_told || told.is_empty()) {
                spans.push(Span { end, ..span });
            }
        }
        if let Some((first, total)) = entry.first {
            let begin = first - if usual == 0 { 1 } else { entry.watched(usual, total) };
            let behind = entry.after.map(|(begin, _)| begin.max(entry.last));
            let until = behind.into_iter().chain(now.or(to)).min();
            for (begin, end) in [(from, Some(begin)), (Some(entry.last), until)] {
                if let (Some(begin), Some(end)) = (begin, end) {
                    if entry.is_long(end - begin) || usual == 0 {
                        spans.push(Span { begin, end, total: 0 });
                    }
                }
            }
        } else if let (Some(begin), Some(end)) = (from, to) {
            // The row that covers it all may have been written after it.
            let end = entry.after.map_or(end, |(after, _)| after.clamp(begin, end));
            spans.push(Span { begin, end, total: 0 });
        }
        for span in &mut spans {
            span.begin = span.begin.max(self.from.unwrap_or(i64::MIN));
            span.end = span.end.min(self.to.unwrap_or(i64::MAX));
        }
        outages::join(&mut spans);
        entry.unwatched = spans;
    }

    /// Marks the outages during half of which or more, more than half of all services with rows were down, whether they are
    /// shown or not. A row that ends behind the period and began before its end is one of them: a period may have no other.
    fn mark_common(&mut self) {
        let reaches = |(begin, _): (i64, i64)| self.to.is_some_and(|to| begin < to);
        let has_rows = |service: &&Service| service.first.is_some() || service.after.is_some_and(reaches);
        let all = self.services.iter().filter(has_rows).count() as i64;
        let mut changes: Vec<(i64, i64)> = Vec::new();
        for service in &self.services {
            // Two targets of a service are one service.
            let mut spans: Vec<Span> = service.outages.list.iter().map(Outage::span).collect();
            outages::join(&mut spans);
            for span in &spans {
                changes.push((span.begin, 1));
                changes.push((span.end, -1));
            }
        }
        // Of the same second an end comes first.
        changes.sort_unstable();
        let (mut down, mut common) = (0, Vec::new());
        for (at, change) in changes {
            let was_common = down * 2 > all;
            down += change;
            let is_common = down * 2 > all;
            if is_common && !was_common {
                common.push(Span { begin: at, end: at, total: 0 });
            } else if let (true, Some(span)) = (was_common, common.last_mut()) {
                span.end = at;
            }
        }
        for outage in self.services.iter_mut().flat_map(|service| &mut service.outages.list) {
            let Span { begin, end, .. } = outage.span();
            let seconds = outages::overlap(&common, begin, end);
            outage.common = all > 1 && seconds > 0 && seconds * 2 >= outage.seconds;
        }
    }

    /// When the first row was written behind a period without rows, in seconds since 1970.
    pub fn next_row(&self) -> Option<i64> {
        self.services.iter().filter_map(|service| Some(service.after?.1)).min()
    }
}
