//! Reads the tables of times strictly: every byte belongs to a whole header or a whole row, and the rows of one report
//! stand together. Sums what the rows tell.

use std::collections::BTreeMap;

use crate::Result;
use crate::log::is_report;
use crate::run_dir::{FIRST, RunDir, TIMES};

const HEADER: &str = "Timestamp           | Service              | Target                |  DNS p50 |  DNS p95 |  DNS max | Conn p50 | Conn p95 | Conn max | SYNs resent | Skipped | Why";

/// What all rows of a service tell together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Causes of connects and of lookups that have failed.
    pub connects: u64,
    pub lookups: u64,
    pub skipped: u64,
    /// Whether a row has times of connects.
    pub has_times: bool,
}

/// The sums of each service, over the files of all days. `Err` shows the wrong line.
pub fn read(dir: &RunDir, may_be_torn: bool) -> Result<BTreeMap<String, Sums>> {
    let (mut sums, mut before) = (BTreeMap::new(), String::new());
    for day in dir.days(TIMES, may_be_torn)? {
        let mut reports: Vec<(String, Vec<String>)> = Vec::new();
        for (number, line) in day.lines.iter().enumerate() {
            if number == 0 && line == HEADER {
                continue;
            }
            let Some((stamp, service, row)) = parse(line).filter(|(stamp, ..)| day.has(stamp)) else {
                return Err(format!("times of {}: not a whole row, or not of that day:\n{line}", day.date).into());
            };
            if service == FIRST[0] {
                reports.push((stamp.clone(), Vec::new()));
            }
            let Some(report) = reports.last_mut().filter(|(known, _)| *known == stamp) else {
                return Err(format!("times of {}: a row without its report:\n{line}", day.date).into());
            };
            report.1.push(service.clone());
            let all: &mut Sums = sums.entry(service).or_default();
            all.connects += row.connects;
            all.lookups += row.lookups;
            all.skipped += row.skipped;
            all.has_times |= row.has_times;
        }
        let count = reports.len();
        for (i, (stamp, services)) in reports.into_iter().enumerate() {
            if stamp < before || !(is_report(&services) || (may_be_torn && i + 1 == count)) {
                return Err(format!("times of {stamp} after {before} have the rows {services:?}").into());
            }
            before = stamp;
        }
    }
    Ok(sums)
}

/// The stamp, the service and the facts of a row; `None` if it differs in any byte.
fn parse(line: &str) -> Option<(String, String, Sums)> {
    let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [stamp, service, target, times @ .., resent, skipped, why] = &cells[..] else { return None };
    let [a, b, c, d, e, f] = times else { return None };
    let rebuilt = format!(
        "{stamp} | {service:<20} | {target:<21} | {a:>8} | {b:>8} | {c:>8} | {d:>8} | {e:>8} | {f:>8} | {resent:>11} | \
         {skipped:>7} | {why}"
    );
    let digits = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    // Literals have no lookups. Of the connects there is each of the three times, in their order, or none.
    let numbers: Vec<f64> = [d, e, f].iter().filter_map(|time| time.parse().ok()).collect();
    let are_times = match numbers.len() {
        0 => [d, e, f].iter().all(|time| **time == "-"),
        3 => numbers.is_sorted(),
        _ => false,
    };
    let is_whole =
        rebuilt == line && digits == "0000-00-00 00:00:00" && are_times && [a, b, c].iter().all(|t| **t == "-");
    let mut sums = Sums { skipped: skipped.parse().ok()?, has_times: !numbers.is_empty(), ..Sums::default() };
    let _: u64 = resent.parse().ok()?;
    for cause in why.split("; ").filter(|cause| *cause != "-") {
        let (what, count) = cause.rsplit_once(' ')?;
        let count: u64 = count.parse().ok()?;
        match what.split_once(' ')?.0 {
            "connect" => sums.connects += count,
            "lookup" => sums.lookups += count,
            "slow" | "silent" => {}
            _ => return None,
        }
    }
    is_whole.then(|| ((*stamp).to_owned(), (*service).to_owned(), sums))
}
