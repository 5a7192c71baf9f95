//! The books of a place, held against the other side while nobody runs.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Result;
use crate::columns::Columns;
use crate::ledger::{Held, Ledger};
use crate::log::Log;
use crate::place::Place;
use crate::witness::{PerListener, SERVICES, Witness};

/// What is allowed to stand twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// Nothing: rows and ledger together are what was counted.
    Even,
    /// The last report may be in the log and in the ledger: the run was killed behind the write
    /// and before it could mark it, and no run came after it yet.
    Open,
    /// The last report stands in the log in part, and the ledger alone can be read.
    Torn,
}

/// What an audit found.
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// Connections accepted that are not counted.
    pub missing: PerListener,
    /// The run that the ledger tells of, if it did not come to its end.
    pub unclean: Option<u32>,
    /// The last report stands in both books.
    pub open: bool,
    /// All that was counted is in the log.
    pub all_reported: bool,
}

/// Holds the log and the ledger against each other, to the last column of every target, and both
/// against what the listeners accepted. `Err` where they do not agree.
pub fn audit(binary: &Path, place: &Place, witness: &mut Witness, books: Books) -> Result<Audit> {
    let log = if books == Books::Torn { Log(Vec::new()) } else { Log::of(place)? };
    let ledger = Ledger::of(binary, place)?;
    let accepted = witness.settle()?;
    let sums = log.sums();
    let targets = ledger.as_ref().map(|ledger| ledger.targets.clone()).unwrap_or_default();
    let held = |service: &str| targets.get(service).copied();
    let last = |service: &str| -> Columns {
        let rows = log.0.last().map(|report| report.rows.as_slice()).unwrap_or_default();
        rows.iter().find(|(known, _)| known == service).map(|(_, columns)| *columns).unwrap_or_default()
    };
    let services: BTreeSet<&str> = sums.keys().chain(targets.keys()).map(String::as_str).chain(SERVICES).collect();
    let row = |service: &str| sums.get(service).copied().unwrap_or_default();
    // A target that the ledger has forgotten has nothing left to say, and its rows are the total.
    let total = |service: &str| held(service).map_or(row(service), |held| held.total);
    let interval = |service: &str| held(service).unwrap_or_default().interval;
    let is_even = |service: &&str| row(service) + interval(service) == total(service);
    let is_open = |service: &&str| row(service) + interval(service) == total(service) + last(service);
    let open = books != Books::Torn && !services.iter().all(is_even);
    if open && !(books == Books::Open && services.iter().all(is_open)) {
        let mut why = String::from("log and ledger do not agree");
        for service in services.iter().filter(|service| !is_even(service)) {
            let Held { interval, total } = held(service).unwrap_or_default();
            why +=
                &format!("\n{service}: rows {:?}, unreported {:?}, counted {:?}", row(service).0, interval.0, total.0);
        }
        return Err(why.into());
    }
    let mut missing = PerListener::default();
    for (index, service) in SERVICES.into_iter().enumerate() {
        let ended = total(service).total();
        missing[index] = accepted[index].checked_sub(ended).ok_or_else(|| {
            format!("{service}: {ended} probes are counted, and {} connections were accepted", accepted[index])
        })?;
    }
    let all_reported = services.iter().all(|service| interval(service) == Columns::default());
    Ok(Audit { missing, unclean: ledger.and_then(|ledger| ledger.unclean), open, all_reported })
}

/// Whether no more is missing than was in flight.
pub fn at_most(missing: PerListener, in_flight: PerListener) -> bool {
    missing.iter().zip(in_flight).all(|(missing, in_flight)| *missing <= in_flight)
}
