//! The monitor's promises, checked after every wake-up.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, Nanos};
use tcpmon::core::monitor::Fact;

use crate::driver::Driver;
use crate::queue::Due;
use crate::world::World;

impl<W: World> Driver<W> {
    /// Polls before anything is due, often 1 ns before, and checks that this changes nothing.
    pub(crate) fn wake_early(&mut self, wake: Instant) {
        let rest = wake.since(self.now).get();
        if rest > 1 {
            let wait = if self.random.one_in(2) { rest - 1 } else { self.random.below(rest) };
            let at = self.now + Nanos::new(wait);
            let before = (self.monitor.next_deadline(), self.monitor.in_flight());
            assert_eq!(self.monitor.poll(at), None, "an early poll at {at:?}");
            assert_eq!(
                (self.monitor.next_deadline(), self.monitor.in_flight()),
                before,
                "after an early poll at {at:?}"
            );
        }
    }

    /// Checks that the next wake-up is not after the deadline of any probe.
    pub(crate) fn check_deadlines_ahead(&mut self) {
        while let Some((at, Due::Deadline(slot))) = self.queue.peek() {
            if self.is_deadline_of(slot, at) {
                assert!(
                    self.monitor.next_deadline() <= at,
                    "the deadline of the probe in slot {slot} at {at:?} is missed"
                );
                return;
            }
            self.queue.pop(at);
        }
    }

    /// Checks everything after a wake-up.
    pub(crate) fn check_wake(&mut self) {
        let now = self.turn;
        if self.finished {
            self.check_end();
            return;
        }
        self.book.pass_ticks(now, &self.monitor);
        let deadline = self.monitor.next_deadline();
        assert!(deadline > now, "the next deadline {deadline:?} is not after {now:?}");
        assert_eq!(self.monitor.in_flight() as i64, self.book.in_flight(), "probes in flight");
        assert!(
            self.lives.len() as i64 <= self.book.peak,
            "slots are used up: {} of {}",
            self.lives.len(),
            self.book.peak
        );
        assert_eq!(self.to_connect, 0, "probes wait for their connect after the wake-up");
        let busy = self.lookups >= usize::from(self.book.helpers);
        assert!(busy || self.book.waiting() == 0, "a lookup waits though a helper is free");
        assert!(deadline <= self.book.next_tick(), "a tick is missed");
        assert!(deadline <= self.calendar.next(), "a report is missed");
        self.check_events();
        assert!(deadline <= self.book.end_of_run() || self.book.in_flight() > 0, "the end is missed");
        assert!(deadline <= self.clock_wait.next(), "the end of a wait is missed");
        assert!(!self.clock_wait.unsaid || now >= self.clock_wait.end(), "the monitor did not say that reports wait");
        assert!(self.calendar.next() > now, "a boundary has passed and the clock was not read");
        assert_eq!(
            (self.report_due, self.report_wanted, self.clock_wanted),
            (None, false, false),
            "a report is missing"
        );
        assert_eq!(self.rounds, u32::from(self.book.round), "rounds");
        assert!(self.said <= self.book.skipped, "more ticks were said to be skipped than were");
        assert!(
            self.said == self.book.skipped || now < self.say_from,
            "the monitor did not say that ticks were skipped"
        );
        for (at, slot) in std::mem::take(&mut self.overdue) {
            if at > now {
                // It passed while the actions were carried out: the next wake-up finds it.
                self.queue.push(at, Due::Deadline(slot));
            } else {
                assert!(!self.is_deadline_of(slot, at), "the probe in slot {slot} goes on after its deadline {at:?}");
            }
        }
        assert!(!self.book.is_complete(now), "the run did not end by itself");
        assert!(!self.completing, "the clock was read for the last report, and the run goes on");
        let in_flight = self.monitor.in_flight();
        assert_eq!(self.monitor.poll(now), None, "a repeated poll");
        assert_eq!(
            (self.monitor.next_deadline(), self.monitor.in_flight()),
            (deadline, in_flight),
            "after a repeated poll"
        );
        if self.random.one_in(self.options.audits) {
            self.book.audit(&self.monitor);
        }
    }

    /// Checks after the end that nothing happens any more and that all counts are right.
    fn check_end(&mut self) {
        if !self.stopping {
            self.book.pass_ticks(self.turn, &self.monitor);
            assert!(self.book.is_complete(self.turn), "the run ended by itself too early");
            assert_eq!((self.monitor.in_flight(), self.book.in_flight()), (0, 0));
            self.book.audit(&self.monitor);
        }
        for event in
            [Fact::ReportNow, Fact::Clock(self.wall()), Fact::Stop, Fact::Reported { written: true, timed: true }]
        {
            assert_eq!(self.monitor.next_deadline(), Instant::NEVER);
            assert_eq!(self.monitor.poll(self.now), None, "after the end");
            assert_eq!(self.monitor.poll(self.now + Nanos::from_secs(86_400)), None, "a day after the end");
            self.monitor.handle(self.now, event);
        }
        self.book.check_balance();
    }

    /// Checks how often the monitor says that ticks were skipped.
    pub(crate) fn check_said_skips(&mut self, ticks: u64) {
        assert!(ticks > 0 && self.turn >= self.say_from, "{ticks} skipped ticks are said too often");
        self.said += ticks;
        self.say_from = self.turn + limits::SAY_AGAIN;
    }
}
