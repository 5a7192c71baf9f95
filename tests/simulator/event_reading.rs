//! What becomes an event, by the simulator's own reading of the probes and of the answers to lookups.

use tcpmon::base::limits;
use tcpmon::base::time::Instant;
use tcpmon::core::probe::End;
use tcpmon::model::event::Event;
use tcpmon::model::reason::Ending;
use tcpmon::model::settings::{Config, Hysteresis};
use tcpmon::model::target::Address;

use crate::answer::of_event;
use crate::book::Book;
use crate::health::Change;
use crate::page::PageUsage;
use crate::reading::Reading;

/// So many changes of a target within a minute have a line of their own.
const LINES: u32 = limits::FLAPPING.0;

impl Book {
    /// Events are wanted, or not, with this configuration.
    pub fn switch_events(&mut self, config: &Config) {
        self.events.is_on = config.settings.events || config.settings.syslog;
        if !self.events.is_on {
            self.pages.iter_mut().for_each(|page| page.changes.1 = 0);
        }
    }

    /// A probe of this tick has ended at `at`.
    pub fn judge_probe(&mut self, record: u16, tick: Instant, at: Instant, end: &End) {
        let is_good = match end.ending {
            Ending::Connected(_) => true,
            Ending::LookupFailed(_) | Ending::ConnectFailed(..) => false,
            Ending::Skipped(_) => return,
        };
        let page = &mut self.pages[usize::from(record)];
        let general = self.settings.hysteresis;
        let needed = Hysteresis {
            down_after: page.target.down_after.unwrap_or(general.down_after),
            up_after: page.target.up_after.unwrap_or(general.up_after),
        };
        let Some(change) = page.health.end(is_good, tick, needed, &self.events.reading) else { return };
        if !self.events.is_on {
            return;
        }
        let target = Some((record, page.target));
        let (since, changes) = page.changes;
        if at.since(since) >= limits::FLAPPING.1 {
            page.changes = (at, 0);
            if let Some(changes @ 1..) = changes.checked_sub(LINES) {
                self.ended_minute = Some(since + limits::FLAPPING.1);
                // Before this change it was in the other state.
                self.events.push(at, target, Event::Flapping { changes, is_up: !is_good }, None);
            }
        }
        page.changes.1 += 1;
        if page.changes.1 > LINES {
            return;
        }
        let unix = |millis| self.events.reading.unix_of(millis);
        let (event, since) = match (change, end.ending) {
            (Change::Down { since, failed }, ending) => (Event::Down { ending, since: unix(since), failed }, since),
            (Change::Up { since, until, failed }, Ending::Connected(address)) => {
                let connect = end.connect.unwrap_or_default();
                let down_for = (until.max(since) - since) / 1000;
                (Event::Up { address, connect, since: unix(since), down_for: down_for as u32, failed }, since)
            }
            (change, ending) => unreachable!("{change:?} by {ending:?}"),
        };
        self.events.push(at, target, event, Some(since));
    }

    /// A lookup for this target gave these addresses.
    pub fn note_answer(&mut self, record: u16, now: Instant, addresses: &[Address]) {
        if !self.events.is_on {
            return;
        }
        let waits = self.events.has_address_of(record);
        let page = &mut self.pages[usize::from(record)];
        let is_event = page.answer.note(now, addresses, waits);
        let addresses = (of_event(&page.answer.before), of_event(&page.answer.last));
        if is_event {
            self.events.push(now, Some((record, page.target)), Event::Address, None);
        }
        self.events.change_address(record, addresses);
    }

    /// Everything else is done at `now`: the minutes in which a target changed too often end, at the end of the run all of
    /// them.
    pub fn tell_flapping(&mut self, now: Instant, is_last: bool) {
        for (record, page) in self.pages.iter_mut().enumerate() {
            let (since, changes) = page.changes;
            let Some(changes @ 1..) = changes.checked_sub(LINES) else { continue };
            if is_last || now >= since + limits::FLAPPING.1 {
                page.changes.1 = 0;
                let is_up = page.health.is_up != Some(false);
                let target = Some((record as u16, page.target));
                self.events.push(now, target, Event::Flapping { changes, is_up }, None);
            }
        }
    }

    /// When the next of these minutes ends, or never.
    pub fn end_of_flapping(&self) -> Instant {
        let flapping = self.pages.iter().filter(|page| page.changes.1 > LINES);
        flapping.map(|page| page.changes.0 + limits::FLAPPING.1).min().unwrap_or(Instant::NEVER)
    }

    /// The run has ended at `now`.
    pub fn find_end(&mut self, now: Instant) {
        self.tell_flapping(now, true);
        let live = self.pages.iter().filter(|page| matches!(page.usage, PageUsage::Live(_)));
        let down = live.clone().filter(|page| page.health.is_up == Some(false)).count() as u32;
        self.events.push(now, None, Event::Stop { targets: live.count() as u32, down }, None);
    }

    /// The monitor has read the clock at `now`. Whether the clock is set is known by then.
    pub fn read_clock(&mut self, now: Instant, reading: Reading, is_held: bool) {
        let by = reading.unix_of(now.millis()) - self.events.reading.unix_of(now.millis());
        if self.events.is_held && by.unsigned_abs() > 1 {
            self.events.correct(now.millis(), reading);
            let start = self.events.start.0;
            self.pages.iter_mut().for_each(|page| page.health.correct(start, now.millis(), by));
        }
        if by.unsigned_abs() > limits::CLOCK_STEP.secs() {
            self.pages.iter_mut().for_each(|page| page.health.store(&reading));
        }
        self.events.see_clock(reading, is_held);
    }
}
