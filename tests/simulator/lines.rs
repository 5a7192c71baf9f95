//! The lines beside the reports: passes the shell's events to the monitor, writes events and rows of times, and compares
//! them with the book.

use tcpmon::base::limits;
use tcpmon::base::time::WallTime;
use tcpmon::core::ledger::{Ledger, Record, Usage};
use tcpmon::core::monitor::{Ended, Fact};
use tcpmon::model::event::{Event, Found};
use tcpmon::model::log_names::Kind;
use tcpmon::model::reason::{Ending, Shortage};
use tcpmon::model::settings::Config;

use crate::daily_file::{event_lines, number_of};
use crate::driver::Driver;
use crate::kill_plan::KillPoint;
use crate::page::PageUsage;
use crate::reading::Reading;
use crate::untold::{Row, Untold};
use crate::world::World;

/// Before a run has a monitor: adds to the ledger what became of the run before and that this one starts. Returns these
/// events.
pub fn begin_events(ledger: &Ledger, config: &Config, before: Option<Event>, at: i64) -> Vec<Event> {
    let start = Event::Start { targets: config.targets.len() as u32 };
    let events: Vec<Event> = before.into_iter().chain([start]).collect();
    if config.settings.has_events() {
        events.iter().for_each(|event| ledger.push_event(None, &Found { at, event: *event }));
    }
    events
}

impl<W: World> Driver<W> {
    /// A run has begun, with these events in the ledger.
    pub(crate) fn note_start(&mut self, config: &Config, events: &[Event]) {
        self.book.switch_events(config);
        self.book.events.is_held = self.clock_wait.waits();
        events.iter().for_each(|event| self.book.events.push(self.now, None, *event, None));
    }

    /// The shell has found this event.
    pub(crate) fn find(&mut self, event: Event) {
        self.reach(KillPoint::Fact);
        self.monitor.handle(self.now, Fact::Found(&event));
        self.book.events.push(self.now, None, event, None);
    }

    /// The monitor has learned the time. Returns what the clock would read if it had not been set, in seconds since 1970.
    pub(crate) fn note_reading(&mut self) -> i64 {
        let expected = self.book.events.reading.unix(self.now);
        let reading = Reading::new(self.now, self.wall());
        self.book.read_clock(self.now, reading, self.clock_wait.waits());
        expected
    }

    /// Writes the events that wait, those of a day in one write.
    pub(crate) fn write_events(&mut self) {
        let events = &self.book.events;
        assert!(!events.is_held, "events are written while the clock is not set");
        assert!(events.is_on && events.len() > 0, "nothing is to be written");
        let tried = (events.end(), self.turn);
        assert!(self.events_tried.is_none_or(|(end, at)| end != tried.0 || tried.1 >= at + limits::SAY_AGAIN));
        events.compare(self.monitor.ledger());
        self.events_tried = Some(tried);
        let mut written = true;
        while written && self.book.settings.events && self.book.events.len() > 0 {
            written = self.append_day();
        }
        self.reach(KillPoint::Fact);
        self.monitor.handle(self.now, Fact::EventsWritten { written });
        if written {
            self.events_tried = None;
            self.book.events.take(tried.0);
            self.book.events.tell_dropped(self.now);
        }
        self.tell_trouble(Kind::Events, written);
    }

    /// Writes the events of the day of the first one.
    fn append_day(&mut self) -> bool {
        let (ledger, wall) = (self.monitor.ledger(), self.wall());
        let day_of = |unix| wall.at(unix).day();
        let first = ledger.first_event();
        let mut entries = ledger.events_from(first).peekable();
        let Some(day) = entries.peek().map(|entry| day_of(entry.found.at)) else { return false };
        let of_day = entries.take_while(|entry| day_of(entry.found.at) == day).count() as u32;
        let end = first.wrapping_add(of_day);
        let lines = if self.storage.is_some() { event_lines(ledger, first, end) } else { vec![String::new()] };
        self.append(
            |driver| &mut driver.event_file,
            wall,
            &lines,
            end,
            |driver| {
                driver.book.events.take(end);
                driver.lines_written += u64::from(of_day);
            },
        )
    }

    /// Writes the rows of times that belong to a report. Returns whether they are written, or not wanted.
    pub(crate) fn write_times(&mut self, stamp: WallTime, are_wanted: bool) -> bool {
        self.reach(KillPoint::BeginRows);
        self.ledger().records().for_each(|(_, record)| record.begin_row());
        if !are_wanted || self.ledger().capacity() == 0 {
            return true;
        }
        let told = self.compare_rows();
        let rows: Vec<Row> =
            told.iter().map(|(record, row)| row.row(self.book.pages[usize::from(*record)].target.port)).collect();
        self.append(
            |driver| &mut driver.times_file,
            stamp,
            &rows,
            0,
            |driver| {
                told.iter().for_each(|(record, row)| driver.book.tell(*record, row));
            },
        )
    }

    /// Compares the rows of times with the book. Returns them with their records.
    fn compare_rows(&self) -> Vec<(u16, Untold)> {
        let (monitor, turn) = (&self.monitor, self.turn);
        let pages = || self.book.pages.iter().enumerate();
        let gone = pages().filter(|(_, page)| page.usage == PageUsage::Retired && !page.untold.is_empty());
        let mut rows = Vec::with_capacity(self.book.order.len());
        let records: Vec<Record<'_>> =
            if self.is_starting() { self.ledger().in_order() } else { monitor.timed().collect() };
        let mut timed = records.iter().filter(|record| record.usage() == Usage::Live || record.has_row());
        for record in self.book.order.iter().copied().chain(gone.map(|(record, _)| record as u16)) {
            let page = &self.book.pages[usize::from(record)];
            let row = timed.next().map(|record| Untold::of(&record.row()));
            let mut expected = page.untold;
            if page.due(turn).is_some() && !self.is_starting() {
                // The book has not passed the ticks of this wake-up.
                let skipped = page.entry(monitor).map_or(0, |entry| entry.skipped);
                expected.skipped += skipped as i64 - page.skipped as i64;
            }
            assert_eq!(row, Some(expected), "the row of times of {}", page.target.service);
            rows.push((record, expected));
        }
        let more = timed.next().map(|record| (record.target().map(|target| target.service), Untold::of(&record.row())));
        assert_eq!(more, None, "a row of times of a target that has nothing to tell");
        rows
    }

    /// The report is over. At the end of the run it was the last.
    pub(crate) fn end_report(&mut self) {
        if !self.book.settings.times {
            self.book.throw_rows();
        }
        if self.stopping || self.completing {
            self.book.find_end(self.now);
        }
    }

    /// Tells as an event that a file cannot be written any more, or can be again.
    pub(crate) fn tell_trouble(&mut self, file: Kind, written: bool) {
        let trouble = &mut self.trouble[usize::from(file == Kind::Events)];
        if std::mem::replace(trouble, !written) == written {
            let errno = if written { 0 } else { 28 };
            self.find(Event::Log { file, day: self.wall().day(), errno });
            // That a file cannot be written is no reason to try again; that one can be again is, also if the ring is full.
            let end = self.book.events.end();
            self.events_tried = self.events_tried.filter(|_| !written).map(|(_, at)| (end, at));
        }
    }

    /// Compares a probe that the monitor passes on with the next one that has ended; or it is a tick that was skipped.
    pub(crate) fn check_ended(&mut self, ended: &Ended) {
        let record = self.record(ended.target);
        if self.ends.front() == Some(&(record, ended.tick, ended.end)) && ended.ticks == 1 {
            self.ends.pop_front();
            return;
        }
        let shortages = [Shortage::Late, Shortage::Helpers, Shortage::Probes];
        let is_skip = matches!(ended.end.ending, Ending::Skipped(shortage) if shortages.contains(&shortage));
        assert!(is_skip && ended.tick <= self.turn, "{record} {ended:?} instead of {:?}", self.ends.front());
    }

    /// Checks after a wake-up that no event waits without a reason, and that the monitor wakes up for those that do.
    pub(crate) fn check_events(&self) {
        let (events, now) = (&self.book.events, self.turn);
        assert_eq!(self.ends.len(), 0, "ends of probes that were not passed on");
        assert!(self.monitor.next_deadline() <= self.book.end_of_flapping(), "the end of a minute is missed");
        if events.len() == 0 || events.is_held {
            return;
        }
        let Some((end, at)) = self.events_tried else { unreachable!("{} events were not written", events.len()) };
        assert!(end == events.end() && now < at + limits::SAY_AGAIN, "events were not written");
        assert!(self.monitor.next_deadline() <= at + limits::SAY_AGAIN, "the next try is missed");
    }

    /// Checks that the file of events has each event once and in order. Those that nobody wanted are not there.
    pub fn check_event_file(&self) {
        let mut before = None;
        for line in self.event_file.blocks.iter().flatten() {
            let number = number_of(line);
            assert!(before.is_none_or(|before| number > before), "{line} comes after number {before:?}");
            before = Some(number);
        }
        let lines: usize = self.event_file.blocks.iter().map(Vec::len).sum();
        assert_eq!(lines as u64, self.lines_written, "lines of events");
    }

    /// Checks that the table of times has everything that the book has told.
    pub fn check_times_file(&self) {
        let mut sums = vec![Untold::default(); self.book.times.len()];
        for (port, row) in self.times_file.blocks.iter().flatten().map(Untold::read) {
            sums[usize::from(port)].add(&row);
        }
        for (port, (sum, totals)) in sums.iter().zip(&self.book.times).enumerate() {
            assert_eq!(*sum, totals.told, "the table of times of the target with port {port}");
        }
    }
}
