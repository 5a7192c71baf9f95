//! Compares log, ledger and listeners while no monitor runs.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Result;
use crate::columns::Columns;
use crate::ledger::{Held, Ledger};
use crate::life::{End, Lived};
use crate::log::Log;
use crate::run_dir::RunDir;
use crate::witness::{PerListener, SERVICES, Witness};

/// How the log and the ledger must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The rows and the unreported counts add up to the totals.
    Exact,
    /// The last report may also be unreported in the ledger: the run was killed after the write
    /// and before the mark, and no run has started since.
    Unmarked,
    /// The log has only a part of the last report: only the ledger is read.
    Torn,
}

/// What an audit found.
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// Accepted connections that are not counted.
    pub missing: PerListener,
    /// The last run in the ledger, if it did not end cleanly.
    pub unclean: Option<u32>,
    /// The last report is in the log, and unreported in the ledger.
    pub unmarked: bool,
    /// Nothing is unreported.
    pub all_reported: bool,
}

/// Compares the log with the ledger, column by column for every target, and both with the
/// listeners; and the other daily files with all of them. There is one audit after each life. `Err` if they do not agree.
pub fn audit(binary: &Path, dir: &RunDir, witness: &mut Witness, life: &Lived, agreement: Agreement) -> Result<Audit> {
    let log = if agreement == Agreement::Torn { Log(Vec::new()) } else { Log::of(dir)? };
    let ledger = Ledger::of(binary, dir)?;
    let accepted = witness.accept_all()?;
    let sums = log.sums();
    let targets = ledger.as_ref().map(|ledger| ledger.targets.clone()).unwrap_or_default();
    let held = |service: &str| targets.get(service).copied();
    let last = |service: &str| -> Columns {
        let rows = log.0.last().map(|report| report.rows.as_slice()).unwrap_or_default();
        rows.iter().find(|(known, _)| known == service).map(|(_, columns)| *columns).unwrap_or_default()
    };
    let services: BTreeSet<&str> = sums.keys().chain(targets.keys()).map(String::as_str).chain(SERVICES).collect();
    let row = |service: &str| sums.get(service).copied().unwrap_or_default();
    // A target that is no longer in the ledger has nothing unreported: its rows are its total.
    let total = |service: &str| held(service).map_or(row(service), |held| held.total);
    let interval = |service: &str| held(service).unwrap_or_default().interval;
    let is_even = |service: &&str| row(service) + interval(service) == total(service);
    let is_unmarked = |service: &&str| row(service) + interval(service) == total(service) + last(service);
    let unmarked = agreement != Agreement::Torn && !services.iter().all(is_even);
    if unmarked && !(agreement == Agreement::Unmarked && services.iter().all(is_unmarked)) {
        let mut why = String::from("log and ledger do not agree");
        for service in services.iter().filter(|service| !is_even(service)) {
            let Held { interval, total, .. } = held(service).unwrap_or_default();
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
    let counted: Vec<(&str, Columns)> = services.iter().map(|service| (*service, total(service))).collect();
    witness.book.add(life, ledger.as_ref(), &counted)?;
    // The run could write nothing: what it had to tell is told after the next one.
    if life.end != End::Failed || all_reported {
        witness.book.compare(dir, life, ledger.as_ref(), all_reported)?;
    }
    Ok(Audit { missing, unclean: ledger.and_then(|ledger| ledger.unclean), unmarked, all_reported })
}

/// Whether no more are missing than were in flight.
pub fn at_most(missing: PerListener, in_flight: PerListener) -> bool {
    missing.iter().zip(in_flight).all(|(missing, in_flight)| *missing <= in_flight)
}
