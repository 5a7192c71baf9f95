//! Outages, and the times when nobody watched: spans with a begin and an end, of which the longest are kept.

use crate::base::order;

/// How many outages of a service are kept, and how many of its times without a watch.
pub(super) const KEPT: usize = 100;

/// A target was down. Moments are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The first failed probe; of one found in rows, the begin of the first interval in which no probe connected.
    pub begin: i64,
    /// The first good probe, or the end of the last such interval; `None` if it has not ended.
    pub end: Option<i64>,
    /// From its begin to its end, or to the last thing that is known.
    pub seconds: u64,
    /// Whether begin and end are those of events, to the second. Otherwise they are those of intervals.
    pub exact: bool,
    /// Whether more than half of all services were down during half of it or more.
    pub common: bool,
    /// For how many seconds of it nobody watched.
    pub unwatched: u64,
    /// Why, in words.
    pub reason: String,
    /// `host:port`; empty if only the service is known.
    pub endpoint: String,
}

impl Outage {
    /// From its begin to its end, or to the last thing that is known.
    pub(super) fn span(&self) -> Span {
        Span { begin: self.begin, end: self.begin + self.seconds as i64, total: 0 }
    }
}

/// The longest outages of a service.
#[derive(Clone, Debug, Default)]
pub struct Outages {
    /// They, in the order of their begin once the report is finished.
    pub list: Vec<Outage>,
    /// How many others there were.
    pub others: u64,
    /// For how many seconds of the period the service was down, each of them counted once.
    pub seconds: u64,
    /// How long the others lasted, in seconds.
    pub(super) others_seconds: u64,
}

impl Outages {
    /// Adds one.
    pub(super) fn push(&mut self, outage: Outage) {
        self.list.push(outage);
        if self.list.len() > KEPT {
            let mut shortest = 0;
            for (at, kept) in self.list.iter().enumerate() {
                if kept.seconds < self.list[shortest].seconds {
                    shortest = at;
                }
            }
            self.others += 1;
            self.others_seconds += self.list.swap_remove(shortest).seconds;
        }
    }

    /// How long the shortest one is that is kept, in seconds.
    fn shortest(&self) -> u64 {
        self.list.iter().map(|outage| outage.seconds).min().unwrap_or(0)
    }

    /// Adds those that were found in rows, but for those of which these tell already: one that was not kept is no longer
    /// than the shortest that is.
    pub(super) fn add_in_rows(&mut self, in_rows: Outages) {
        if self.list.is_empty() {
            self.others += in_rows.others;
            self.others_seconds += in_rows.others_seconds;
        }
        let told = if self.others > 0 && !self.list.is_empty() { self.shortest() } else { 0 };
        let known = self.list.len();
        for outage in in_rows.list {
            let end = outage.end.unwrap_or(i64::MAX);
            let overlaps = |other: &Outage| other.begin < end && other.end.is_none_or(|ended| ended > outage.begin);
            if outage.seconds > told.saturating_sub(1) && !self.list[..known].iter().any(overlaps) {
                self.list.push(outage);
            }
        }
        self.sort();
    }

    /// Adds up for how many seconds of a period one of them was there, from this begin on.
    pub(super) fn add_up(&mut self, from: i64, to: i64) {
        let mut spans: Vec<Span> = self.list.iter().map(Outage::span).collect();
        join(&mut spans);
        self.seconds = self.others_seconds + overlap(&spans, from, to);
    }

    /// Puts them in the order of their begin; those of the same second stay as they are.
    fn sort(&mut self) {
        // There are few, and each is large: it is moved to its place by itself.
        for end in 1..self.list.len() {
            for at in (0..end).rev() {
                if self.list[at].begin <= self.list[at + 1].begin {
                    break;
                }
                self.list.swap(at, at + 1);
            }
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.list.len() as u64 + self.others
    }
}

/// A span of time, from its begin to its end, in seconds since 1970, and how many probes ended in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub begin: i64,
    /// Its end.
    pub end: i64,
    /// The probes.
    pub total: u64,
}

impl Span {
    /// How long it is, in seconds.
    pub fn seconds(&self) -> u64 {
        (self.end - self.begin).max(0) as u64
    }
}

/// Adds a span to at most so many of the longest ones. One that continues the last is joined with it.
pub(super) fn push_span(spans: &mut Vec<Span>, span: Span, most: usize) {
    if let Some(last) = spans.last_mut() {
        if last.end == span.begin && last.total == 0 && span.total == 0 {
            last.end = span.end;
            return;
        }
    }
    if spans.len() >= most {
        let mut shortest = 0;
        for (at, kept) in spans.iter().enumerate() {
            if kept.seconds() < spans[shortest].seconds() {
                shortest = at;
            }
        }
        if spans[shortest].seconds() >= span.seconds() {
            return;
        }
        spans.remove(shortest);
    }
    spans.push(span);
}

/// For how many seconds these spans, which do not overlap, are within another one.
pub(super) fn overlap(spans: &[Span], begin: i64, end: i64) -> u64 {
    spans.iter().map(|span| Span { begin: span.begin.max(begin), end: span.end.min(end), total: 0 }.seconds()).sum()
}

/// Puts spans in their order, and joins those that overlap.
pub(super) fn join(spans: &mut Vec<Span>) {
    let mut joined: Vec<Span> = Vec::new();
    for (_, at) in order::by_number(spans.len(), &|at| spans[at].begin) {
        let span = spans[at as usize];
        if span.end <= span.begin {
            continue;
        }
        match joined.last_mut() {
            Some(last) if last.end >= span.begin => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    *spans = joined;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_outages_are_kept_and_all_are_counted() {
        let mut outages = Outages::default();
        for seconds in 1..=150 {
            let (endpoint, reason) = (String::new(), String::new());
            let (begin, end, unwatched) = (0, None, 0);
            outages.push(Outage { begin, end, seconds, exact: true, common: false, unwatched, reason, endpoint });
        }
        assert_eq!((outages.list.len(), outages.others, outages.count()), (100, 50, 150));
        assert_eq!((outages.shortest(), outages.others_seconds), (51, 50 * 51 / 2));
    }

    #[test]
    fn spans_that_overlap_become_one() {
        let span = |begin, end| Span { begin, end, total: 0 };
        let mut spans = vec![span(5, 9), span(1, 3), span(8, 12), span(20, 20), span(3, 4)];
        join(&mut spans);
        assert_eq!(spans, [span(1, 4), span(5, 12)]);
        let mut spans = Vec::new();
        for begin in 0..300 {
            push_span(&mut spans, Span { begin: begin * 10, end: begin * 10 + begin % 7 + 1, total: 1 }, 100);
        }
        assert_eq!(spans.len(), 100);
        assert!(spans.iter().all(|span| span.seconds() >= 5));
    }
}
