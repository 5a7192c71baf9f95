//! What becomes an event, and when events are written.

use super::{Action, Ended, Monitor, Stage};
use crate::base::limits;
use crate::base::time::{Instant, unix_u32};
use crate::core::health::{Change, State};
use crate::core::probe::End;
use crate::model::event::{Event, Found};
use crate::model::reason::{Ending, Shortage};
use crate::model::settings::Settings;
use crate::model::target::Address;

/// When events are written.
#[derive(Debug)]
pub(super) struct Events {
    /// Whether anybody wants them.
    is_on: bool,
    /// Somebody looks on, whatever the settings say.
    pub(super) are_watched: bool,
    /// The number of the first event of this run.
    first: u32,
    /// When the last event was found.
    last: Instant,
    /// The number behind the last event of the write that was asked for and is not answered yet.
    writing: Option<u32>,
    /// The number behind the last event that could not be written; the next try comes with another event, or at `retry`.
    failed: Option<u32>,
    retry: Instant,
    /// When a minute ends in which a target has changed too often.
    flapping: Instant,
}

/// Probes that have ended and skipped ticks, in their order, until [`Action::Ended`] passes them on.
#[derive(Debug)]
pub(super) struct Ends {
    is_on: bool,
    /// Cleared when the last one was passed on, so that the memory behind the longest queue is never touched.
    queue: Vec<Ended>,
    passed: usize,
}

impl Ends {
    pub fn new(settings: &Settings) -> Self {
        let room = limits::PROBES + limits::RECORDS;
        Self { is_on: settings.samples, queue: Vec::with_capacity(room), passed: 0 }
    }

    pub fn change(&mut self, settings: &Settings) {
        self.is_on = settings.samples;
    }

    pub fn push(&mut self, ended: Ended) {
        if self.is_on && self.queue.len() < self.queue.capacity() {
            self.queue.push(ended);
        }
    }

    pub fn pop(&mut self) -> Option<Ended> {
        let ended = self.queue.get(self.passed).copied();
        self.passed += 1;
        if ended.is_none() {
            self.queue.clear();
            self.passed = 0;
        }
        ended
    }
}

impl Events {
    pub fn new(settings: &Settings, first: u32) -> Self {
        let (last, never) = (Instant::from_nanos(0), Instant::NEVER);
        Self {
            is_on: settings.has_events(),
            are_watched: false,
            first,
            last,
            writing: None,
            failed: None,
            retry: never,
            flapping: never,
        }
    }

    /// When there is something to do if no event comes. While the clock is not set (`is_held`), nothing is written.
    pub fn next(&self, is_held: bool) -> Instant {
        let retry = if self.failed.is_some() && !is_held { self.retry } else { Instant::NEVER };
        self.flapping.min(retry)
    }
}

impl Monitor {
    /// The events of this run begin with this number: some were added before the monitor was made.
    pub fn set_first_event(&mut self, number: u32) {
        self.events.first = number;
    }

    /// Follows changed settings.
    pub(super) fn change_events(&mut self) {
        let events = &mut self.events;
        events.is_on = self.settings.has_events() || events.are_watched;
        events.failed = None;
        if !events.is_on {
            events.flapping = Instant::NEVER;
            for index in self.table.indices() {
                self.table[index].flapping.changes = 0;
            }
        }
    }

    /// Adds an event of the monitor itself, found at `now`.
    pub(super) fn find(&mut self, now: Instant, event: Event) {
        self.push(now, None, event);
    }

    fn push(&mut self, now: Instant, target: Option<u16>, event: Event) {
        if self.events.is_on {
            // A probe may have ended a moment before an event that the loop has found meanwhile. The lines have an order.
            self.events.last = self.events.last.max(now);
            let found = Found { at: self.due.unix(self.events.last).into(), event };
            let ledger = self.table.ledger();
            ledger.push_event(target.map(usize::from), &found);
            if let (Event::Log { errno, .. }, Some(_)) = (event, self.events.failed) {
                // A file that cannot be written is no reason to try again at once: it may be that of the events. One that
                // can be written again is a reason, also if there was no room for its event: the disk has space.
                self.events.failed = (errno != 0).then_some(ledger.end_of_events());
            }
        }
    }

    /// Adds the event that the state of a target has changed with a probe that has ended like this.
    pub(super) fn note_change(&mut self, now: Instant, target: u16, change: Change, end: &End) {
        if !self.events.is_on {
            return;
        }
        if now.since(self.table[target].flapping.since) >= limits::FLAPPING.1 {
            // Before this change.
            self.end_minute(now, target, matches!(change, Change::Down { .. }));
            self.table[target].flapping.since = now;
        }
        let flapping = &mut self.table[target].flapping;
        flapping.changes += 1;
        if flapping.changes > limits::FLAPPING.0 {
            self.events.flapping = self.events.flapping.min(flapping.since + limits::FLAPPING.1);
            return;
        }
        let unix = |millis| self.due.wall_at(millis).unix;
        let event = match (change, end.ending) {
            (Change::Down { since, failed }, ending) => Event::Down { ending, since: unix(since), failed },
            (Change::Up { since, until, failed }, Ending::Connected(address)) => Event::Up {
                address,
                connect: end.connect.unwrap_or_default(),
                since: unix(since),
                down_for: unix_u32((until - since) / 1000),
                failed,
            },
            // Only a probe that has connected is good.
            (Change::Up { .. }, Ending::LookupFailed(_) | Ending::ConnectFailed(..) | Ending::Skipped(_)) => return,
        };
        self.push(now, Some(target), event);
    }

    /// Adds the event that a name has other addresses.
    pub(super) fn note_answer(&mut self, now: Instant, target: u16, addresses: &[Address]) {
        // A lookup that gave no addresses has failed. That is no change of the addresses.
        if self.events.is_on && !addresses.is_empty() && self.table.note_answer(target, now, addresses) {
            self.push(now, Some(target), Event::Address);
        }
    }

    /// Ends the minutes in which a target has changed too often: those that are over, and at the end of the run all.
    pub(super) fn tell_flapping(&mut self, now: Instant) {
        let is_last = self.stage == Stage::Finish;
        if now < self.events.flapping && !is_last {
            return;
        }
        self.events.flapping = Instant::NEVER;
        for index in self.table.indices() {
            let entry = &self.table[index];
            let (end, is_up) = (entry.flapping.since + limits::FLAPPING.1, entry.state() != State::Down);
            if entry.flapping.changes <= limits::FLAPPING.0 {
                continue;
            }
            if now < end && !is_last {
                self.events.flapping = self.events.flapping.min(end);
            } else {
                self.end_minute(now, index, is_up);
            }
        }
    }

    /// Adds the event that a target has changed too often within this minute, if it has. After the last of these changes
    /// it is up or not.
    fn end_minute(&mut self, now: Instant, target: u16, is_up: bool) {
        let changes = core::mem::take(&mut self.table[target].flapping.changes);
        if changes > limits::FLAPPING.0 {
            self.push(now, Some(target), Event::Flapping { changes: changes - limits::FLAPPING.0, is_up });
        }
    }

    /// The action to write the events that wait, if there are any and the clock is right.
    pub(super) fn write_events(&mut self, now: Instant) -> Option<Action> {
        let ledger = self.table.ledger();
        let end = ledger.end_of_events();
        if end == ledger.first_event() {
            self.events.failed = None;
            return None;
        }
        if !self.events.is_on {
            ledger.take_events(end);
            return None;
        }
        let has_failed = self.events.failed == Some(end) && (now < self.events.retry || self.stage == Stage::Finish);
        if has_failed || self.due.is_held() {
            return None;
        }
        self.events.writing = Some(end);
        self.events.retry = now + limits::SAY_AGAIN;
        Some(Action::WriteEvents)
    }

    /// The events were written, or that failed.
    pub(super) fn events_written(&mut self, now: Instant, written: bool) {
        let Some(end) = self.events.writing.take() else { return };
        self.events.failed = (!written).then_some(end);
        if !written {
            return;
        }
        let at = self.due.unix(now).into();
        let ledger = self.table.ledger();
        ledger.take_events(end);
        ledger.tell_dropped(at);
        self.table.free_retired();
    }

    /// The clock was set at `now` by so many seconds, after it was wrong from the start of the run on. Until then it would
    /// have read `before` now.
    pub(super) fn correct_moments(&mut self, now: Instant, before: i64, by: i64) {
        let wait = self.due.lasted(now).max(limits::CLOCK_WAIT).secs() as i64 + 60;
        self.table.correct_states(now.millis() - wait * 1000, now.millis(), by);
        let from = before - wait;
        let ledger = self.table.ledger();
        ledger.shift_events(self.events.first, from, before, by);
        for (_, record) in ledger.records() {
            record.shift(from, before, by);
        }
    }

    /// Notes a skipped tick, or several missed ones, for the samples.
    pub(super) fn note_skip(&mut self, target: u16, tick: Instant, ticks: u64, shortage: Shortage) {
        let end = End::skipped(shortage);
        self.ends.push(Ended { target: super::TargetId(target), tick, ticks, end });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::{Nanos, WallTime};
    use crate::core::ledger::{Ledger, Memory};
    use crate::core::monitor::{Fact, Span};
    use crate::model::log_names::Kind;
    use crate::model::reason::Reason;
    use crate::model::settings::Config;
    use crate::model::target::Target;

    const WALL: WallTime = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };

    fn at(second: u64) -> Instant {
        Instant::from_nanos(0) + Nanos::from_secs(1000 + second)
    }

    fn monitor() -> Monitor {
        let mut config = Config::new();
        config.settings.events = true;
        config.targets.push(Target::new("web", "192.0.2.1", 1).expect("a target"));
        Monitor::new(&config, Span::default(), Ledger::create(Memory::own(4), 4, WALL), 0, at(0), WALL)
    }

    /// The target goes down in each odd second and comes up in each even one.
    fn change(monitor: &mut Monitor, seconds: core::ops::RangeInclusive<u64>) {
        let address = Address::new([192, 0, 2, 1].into());
        for second in seconds {
            let (change, ending) = if second % 2 == 1 {
                (Change::Down { since: 0, failed: 1 }, Ending::ConnectFailed(Reason::Refused, address))
            } else {
                (Change::Up { since: 0, until: 0, failed: 1 }, Ending::Connected(address))
            };
            monitor.note_change(at(second), 0, change, &End { ending, ..End::skipped(Shortage::Late) });
        }
    }

    /// The words of the events, and what `flapping` tells.
    fn words(monitor: &Monitor) -> Vec<String> {
        let word = |event: Event| match event {
            Event::Flapping { changes, is_up } => format!("{changes} more, up: {is_up}"),
            other => other.word().to_string(),
        };
        monitor.ledger().events_from(0).map(|entry| word(entry.found.event)).collect()
    }

    #[test]
    fn more_than_ten_changes_in_a_minute_are_told_when_it_is_over() {
        let mut monitor = monitor();
        change(&mut monitor, 1..=14);
        assert_eq!((words(&monitor).len(), monitor.events.next(false)), (10, at(61)));
        monitor.tell_flapping(at(60));
        assert_eq!(words(&monitor).len(), 10);
        monitor.tell_flapping(at(61));
        assert_eq!(
            (words(&monitor)[10..].to_vec(), monitor.events.next(false)),
            (vec!["4 more, up: true".into()], Instant::NEVER)
        );
        change(&mut monitor, 65..=66);
        assert_eq!(words(&monitor)[11..], ["down", "up"]);
    }

    #[test]
    fn a_change_that_comes_first_in_the_next_minute_hides_none_of_the_last_one() {
        for (last, is_up) in [(13, false), (14, true)] {
            let mut monitor = monitor();
            change(&mut monitor, 1..=last);
            let next = 61 + last % 2;
            change(&mut monitor, next..=next);
            let expected = [format!("{} more, up: {is_up}", last - 10), if is_up { "down" } else { "up" }.to_string()];
            assert_eq!(words(&monitor)[10..], expected);
        }
    }

    /// The shell has found that the daily log cannot be written, or with 0 that it can be again.
    fn find_log(monitor: &mut Monitor, errno: i32) {
        monitor.handle(at(1), Fact::Found(&Event::Log { file: Kind::Stats, day: 20_370, errno }));
    }

    #[test]
    fn a_file_that_can_be_written_again_leads_to_a_try_at_once_even_if_the_ring_is_full() {
        let mut monitor = monitor();
        (0..70).for_each(|_| find_log(&mut monitor, 28));
        assert_eq!(monitor.ledger().dropped_events(), 6, "there is room for 64");
        assert_eq!(monitor.write_events(at(1)), Some(Action::WriteEvents));
        monitor.handle(at(1), Fact::EventsWritten { written: false });
        find_log(&mut monitor, 28);
        assert_eq!((monitor.write_events(at(1)), monitor.events.next(false)), (None, at(61)));
        find_log(&mut monitor, 0);
        assert_eq!(monitor.write_events(at(2)), Some(Action::WriteEvents));
        monitor.handle(at(2), Fact::EventsWritten { written: false });
        assert_eq!((monitor.write_events(at(2)), monitor.events.next(false)), (None, at(62)), "only once");
    }

    #[test]
    fn an_event_that_is_found_during_a_write_waits_for_the_next_one() {
        for errno in [28, 0] {
            let mut monitor = monitor();
            find_log(&mut monitor, 28);
            assert_eq!(monitor.write_events(at(1)), Some(Action::WriteEvents));
            monitor.handle(at(1), Fact::EventsWritten { written: false });
            find_log(&mut monitor, 0);
            assert_eq!(monitor.write_events(at(1)), Some(Action::WriteEvents));
            find_log(&mut monitor, errno);
            monitor.handle(at(1), Fact::EventsWritten { written: true });
            assert_eq!((words(&monitor).len(), monitor.write_events(at(1))), (1, Some(Action::WriteEvents)));
        }
    }

    #[test]
    fn the_end_of_a_run_does_not_wait_for_the_end_of_the_minute() {
        let mut monitor = monitor();
        change(&mut monitor, 1..=12);
        monitor.handle(at(13), Fact::Stop);
        assert_eq!(monitor.poll(at(13)), Some(Action::ReadClock));
        monitor.handle(at(13), Fact::Clock(WALL));
        // No probe was counted, so there is no report.
        assert_eq!(words(&monitor)[10..], ["2 more, up: true", "stop"]);
    }
}
