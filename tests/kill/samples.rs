//! Reads the samples: every line is whole, and no probe has two.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::run_dir::{RunDir, SAMPLES};

const HEADER: &str = "time,service,host,port,address,dns_ms,connect_ms,outcome,reason,syns_resent";

/// The lines of a service: probes that have connected, and that have not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    pub connected: u64,
    pub failed: u64,
}

/// The lines of each service. A skipped tick is none of them.
pub fn read(dir: &RunDir, may_be_torn: bool) -> Result<BTreeMap<String, Lines>> {
    let (mut known, mut lines) = (BTreeSet::new(), BTreeMap::new());
    for day in dir.days(SAMPLES, may_be_torn)? {
        for (number, line) in day.lines.iter().enumerate() {
            if number == 0 && line == HEADER {
                continue;
            }
            let wrong = |what: &str| Err(format!("samples of {}: {what}: {line}", day.date).into());
            let values: Vec<&str> = line.split(',').collect();
            let [time, service, "127.0.0.1", port, "127.0.0.1", "", connect, outcome, reason, resent] = values[..]
            else {
                // A skipped tick has no address.
                if let [_, _, "127.0.0.1", _, "", "", "", "skipped", _, "0"] = values[..] {
                    continue;
                }
                return wrong("not a whole line");
            };
            let is_time = |text: &str| text.rsplit_once('.').is_some_and(|(_, decimals)| decimals.len() == 3);
            if !is_time(connect) || connect.parse::<f64>().is_err() || resent.parse::<u32>().is_err() {
                return wrong("not a whole line");
            }
            // `2025-10-09T14:28:08.000+03:00`; a probe may be of the day before.
            if !(time.len() == 29 && crate::events::is_moment(&[&time[..19], &time[23..]].concat())) {
                return wrong("a wrong time");
            }
            if !known.insert((time.to_owned(), service.to_owned(), port.to_owned())) {
                return wrong("it is there twice");
            }
            let all: &mut Lines = lines.entry(service.to_owned()).or_default();
            match (outcome, reason) {
                ("connected", "") => all.connected += 1,
                ("connect failed", _) => all.failed += 1,
                _ => return wrong("another outcome"),
            }
        }
    }
    Ok(lines)
}
