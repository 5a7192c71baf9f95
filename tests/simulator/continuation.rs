//! Continuation: targets that stay keep their counts in the next run or configuration. Checks that
//! each continues with its own.

use tcpmon::base::time::Instant;
use tcpmon::core::ledger::{Ledger, Usage};
use tcpmon::model::outcome::Outcome;
use tcpmon::model::settings::Config;
use tcpmon::model::target::Target;

use crate::answer::Answer;
use crate::book::Book;
use crate::health::Health;
use crate::page::{Page, PageUsage};
use crate::reading::Reading;
use crate::untold::Untold;

/// Targets whose counts continue if they are configured again, with their record numbers. Equal
/// targets are in the order in which they are used.
pub type Candidates = Vec<(Target, u16)>;

impl Page {
    /// Compares its state, its answers and what no row of times has told with this record, and continues with that.
    /// Without `certain` an operation on them may not be done.
    fn restore(
        &mut self,
        copy: &Ledger,
        number: usize,
        certain: bool,
        is_passed: bool,
        reading: &Reading,
        counted: &mut Untold,
    ) {
        let (service, record) = (self.target.service, copy.record(number));
        let difference = self.health.differs(&record.health()).filter(|_| certain);
        assert_eq!(difference, None, "the state of {service}");
        self.health = Health::read(&record.health(), reading);
        let answer = Answer::read(record.answers());
        let same = answer.last == self.answer.last;
        assert!(same || !certain, "{service} has the answer {answer:?} instead of {:?}", self.answer);
        self.answer = answer;
        let left = Untold::left(copy, number);
        let mut expected = self.untold;
        if !is_passed {
            // The ticks of the last wake-up are not in the book.
            expected.skipped = left.skipped.max(expected.skipped);
        }
        assert!(left.is_like(&expected) || !certain, "{service} has {left:?} untold instead of {:?}", self.untold);
        counted.replace(&self.untold, &left);
        self.untold = left;
    }
}

impl Book {
    /// The targets with counts to continue: first the configured ones in order, then the removed ones
    /// whose record may not be reused yet.
    pub fn candidates(&self) -> Candidates {
        let live = self.order.iter().copied();
        let pages = self.pages.iter().enumerate();
        let gone = pages.filter(|(number, page)| {
            let is_idle = page.is_idle(self.keeps_times()) && !self.events.has_of(*number as u16);
            page.usage == PageUsage::Retired && !is_idle
        });
        let numbers = live.chain(gone.map(|(number, _)| number as u16));
        numbers.map(|number| (self.pages[usize::from(number)].target, number)).collect()
    }

    /// Checks that each target continues with its own counts; of equal targets, the first with the
    /// counts of the first. Without `ordered` the order of equal targets is not checked.
    pub fn check_continued(&self, candidates: &Candidates, ordered: bool) {
        let mut left = candidates.clone();
        for number in &self.order {
            let page = &self.pages[usize::from(*number)];
            let found =
                left.iter().position(|(target, at)| target.is_same_as(&page.target) && (ordered || at == number));
            if let Some(found) = found {
                let (_, at) = left.remove(found);
                assert_eq!(at, *number, "the record whose counts {} continues with", page.target.service);
            } else if !ordered {
                let waits = |(target, at): &(Target, u16)| target.is_same_as(&page.target) && !self.order.contains(at);
                assert!(!left.iter().any(waits), "{} was not found again", page.target.service);
            }
        }
    }

    /// Compares the ledger of a dead process with the book, and continues with the ledger's content.
    /// Without `certain`, the process was killed during a change of targets: only counts are checked. With `before` it was
    /// killed during an operation: see [`crate::events::Events::restore`].
    pub fn restore(&mut self, ledger: &Ledger, certain: bool, before: Option<(u32, u32)>, reading: &Reading) {
        self.events.restore(ledger, before);
        let copy = Ledger::copy(ledger.content()).unwrap_or_else(|damage| unreachable!("the ledger {damage}"));
        let records = ledger.capacity().max(self.pages.len());
        let mut pages = Vec::with_capacity(records);
        let mut order = Vec::new();
        for number in 0..records {
            let record = ledger.record(number);
            let page = self.pages.get(number).filter(|page| page.usage != PageUsage::Free);
            let usage = match record.usage() {
                Usage::Free => PageUsage::Free,
                Usage::Live => PageUsage::Live(record.order() as u16),
                Usage::Retired => PageUsage::Retired,
            };
            let known = record.target().filter(|_| usage != PageUsage::Free);
            let same = page.filter(|page| known.is_some_and(|known| known.is_same_as(&page.target)));
            let tally = record.tally();
            // During a change a target that comes back may still have its old, reported counts.
            let is_older = |page: &Page| !certain && page.counted == [0; 7] && tally.unreported().is_zero();
            if let Some(page) = same.filter(|page| !is_older(page)) {
                let service = page.target.service;
                let counted = Outcome::ALL.map(|outcome| u64::from(tally.counted().of(outcome)));
                assert_eq!(counted, page.counted, "what {service} counted");
                let left = Outcome::ALL.map(|outcome| u64::from(tally.unreported().of(outcome)));
                assert_eq!(left, page.unreported(), "what {service} has unreported");
                let was_live = matches!(page.usage, PageUsage::Live(_));
                assert!(!certain || was_live == (record.usage() == Usage::Live), "{service} is {:?}", record.usage());
                let is_passed = page.due(self.turn).is_none();
                let mut page = page.carried(usage);
                let counted = &mut self.times[usize::from(page.target.port)].counted;
                page.restore(&copy, number, before.is_none(), is_passed, reading, counted);
                pages.push(page);
            } else {
                let lost = page.filter(|page| page.counted != page.reported);
                assert!(
                    lost.is_none(),
                    "the counts of {} are lost",
                    lost.map_or("", |page| page.target.service.as_str())
                );
                let was_live = page.is_some_and(|page| matches!(page.usage, PageUsage::Live(_)));
                assert!(!certain || (known.is_none() && !was_live), "record {number} has another target");
                if let Some(page) = page {
                    self.times[usize::from(page.target.port)].thrown.add(&page.untold);
                }
                let mut page = Page::new(known.unwrap_or(self.pages[0].target), usage);
                if let Some(known) = known {
                    let port = usize::from(known.port);
                    self.times.resize(self.times.len().max(port + 1), Default::default());
                    page.restore(&copy, number, false, false, reading, &mut self.times[port].counted);
                    assert!(tally.unreported().is_zero(), "record {number} has counts that the book does not have");
                    page.counted = Outcome::ALL.map(|outcome| u64::from(tally.counted().of(outcome)));
                    page.reported = page.counted;
                }
                pages.push(page);
            }
            if let PageUsage::Live(_) = usage {
                order.push(number as u16);
            }
        }
        order.sort_by_key(|number| ledger.record(usize::from(*number)).order());
        assert!(!certain || order == self.order, "the order of the targets");
        self.carry(pages, order);
    }

    /// A new run begins, with this configuration.
    pub fn begin_run(&mut self, config: &Config, now: Instant, reading: Reading) {
        self.events.start(now, reading);
        // From here on the monitor may reuse the records of removed targets by this setting.
        self.settings.times = config.settings.times;
    }
}
