//! What goes from one run or configuration to the next: the pages of targets that stay.

use tcpmon::base::time::Instant;
use tcpmon::core::ledger::{Ledger, Usage};
use tcpmon::model::outcome::Outcome;
use tcpmon::model::target::Target;

use crate::book::{Book, Page, Standing};

/// The places whose counts go on where their target is configured again, each of the same target
/// before the next.
pub type Heirs = Vec<(Target, u16)>;

impl Book {
    /// Who has counts to go on with: first the configured targets in order, then those that are
    /// gone and still hold on to their page.
    pub fn heirs(&self) -> Heirs {
        let live = self.order.iter().copied();
        let pages = self.pages.iter().enumerate();
        let gone = pages.filter(|(_, page)| page.standing == Standing::Retired && !page.is_idle());
        let places = live.chain(gone.map(|(place, _)| place as u16));
        places.map(|place| (self.pages[usize::from(place)].target, place)).collect()
    }

    /// Checks that each target goes on with its own counts: the first of the same target with those
    /// of the first. What was in no certain order is not looked for in one.
    pub fn check_heirs(&self, heirs: &Heirs, ordered: bool) {
        let mut left = heirs.clone();
        for place in &self.order {
            let page = &self.pages[usize::from(*place)];
            let found =
                left.iter().position(|(target, at)| target.is_same_as(&page.target) && (ordered || at == place));
            if let Some(heir) = found {
                let (_, at) = left.remove(heir);
                assert_eq!(at, *place, "whose counts {} goes on with", page.target.service);
            } else if !ordered {
                let waits = |(target, at): &(Target, u16)| target.is_same_as(&page.target) && !self.order.contains(at);
                assert!(!left.iter().any(waits), "{} was not found again", page.target.service);
            }
        }
    }

    /// The process is gone. Compares what its ledger has with what it must have, and goes on with
    /// that. Where a kill was in the midst of a change of targets only counts are certain.
    pub fn inherit(&mut self, ledger: &Ledger, certain: bool, now: Instant) {
        let places = ledger.capacity().max(self.pages.len());
        let mut pages = Vec::with_capacity(places);
        let mut order = Vec::new();
        for place in 0..places {
            let record = ledger.record(place);
            let page = self.pages.get(place).filter(|page| page.standing != Standing::Free);
            let standing = match record.usage() {
                Usage::Free => Standing::Free,
                Usage::Live => Standing::Live(record.order() as u16),
                Usage::Retired => Standing::Retired,
            };
            let known = record.target().filter(|_| standing != Standing::Free);
            let same = page.filter(|page| known.is_some_and(|known| known.is_same_as(&page.target)));
            let tally = record.tally();
            // In the midst of a change a target that comes back may still have what it had long ago.
            let is_older = |page: &Page| !certain && page.counted == [0; 7] && tally.unreported().is_zero();
            if let Some(page) = same.filter(|page| !is_older(page)) {
                let service = page.target.service;
                let counted = Outcome::ALL.map(|outcome| u64::from(tally.counted().of(outcome)));
                assert_eq!(counted, page.counted, "what {service} counted");
                let left = Outcome::ALL.map(|outcome| u64::from(tally.unreported().of(outcome)));
                assert_eq!(left, page.unreported(), "what {service} has left");
                let was_live = matches!(page.standing, Standing::Live(_));
                assert!(!certain || was_live == (record.usage() == Usage::Live), "{service} is {:?}", record.usage());
                pages.push(page.carried(standing));
            } else {
                let lost = page.filter(|page| page.counted != page.reported);
                assert!(
                    lost.is_none(),
                    "the counts of {} are lost",
                    lost.map_or("", |page| page.target.service.as_str())
                );
                let was_live = page.is_some_and(|page| matches!(page.standing, Standing::Live(_)));
                assert!(!certain || (known.is_none() && !was_live), "place {place} has another target");
                let mut page = Page::new(known.unwrap_or(self.pages[0].target), standing);
                if known.is_some() {
                    assert!(tally.unreported().is_zero(), "place {place} has counts that nobody counted");
                    page.counted = Outcome::ALL.map(|outcome| u64::from(tally.counted().of(outcome)));
                    page.reported = page.counted;
                }
                pages.push(page);
            }
            if let Standing::Live(_) = standing {
                order.push(place as u16);
            }
        }
        order.sort_by_key(|place| ledger.record(usize::from(*place)).order());
        assert!(!certain || order == self.order, "the order of the targets");
        self.carry(pages, order, now);
    }
}
