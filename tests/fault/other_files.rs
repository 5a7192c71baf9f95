//! The daily files beside the log of counts: times, events and samples.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::daily_log::{self, Kind};

/// What these files have.
#[derive(Default)]
pub struct OtherFiles {
    /// Failed connects and failed lookups of each service, as the rows of times tell.
    pub failed: BTreeMap<String, (u64, u64)>,
    /// Kind and service of each event.
    pub events: Vec<(String, String)>,
    /// The samples of each service, without skipped ticks.
    pub samples: BTreeMap<String, u64>,
    /// Lines that are not whole.
    pub strange: Vec<String>,
}

impl OtherFiles {
    pub fn read(directory: &Path) -> Self {
        let mut found = Self::default();
        for (kind, add) in [
            (Kind::Times, Self::add_row as fn(&mut Self, &str) -> bool),
            (Kind::Events, Self::add_event),
            (Kind::Samples, Self::add_sample),
        ] {
            for file in daily_log::files_of(kind, directory) {
                let text = fs::read_to_string(file).unwrap_or_default();
                for line in text.split_inclusive('\n') {
                    let is_whole = line.strip_suffix('\n').is_some_and(|line| add(&mut found, line));
                    if !is_whole {
                        found.strange.push(line.trim_end().to_owned());
                    }
                }
            }
        }
        found
    }

    /// How often there is this event.
    pub fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|(known, _)| known == kind).count()
    }

    fn add_row(&mut self, line: &str) -> bool {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.len() != 12 || cells[0] == "Timestamp" {
            return cells.len() == 12;
        }
        let (connects, lookups) = self.failed.entry(cells[1].to_owned()).or_default();
        for cause in cells[11].split("; ").filter(|cause| *cause != "-") {
            let Some((what, Ok(count))) = cause.rsplit_once(' ').map(|(what, count)| (what, count.parse::<u64>()))
            else {
                return false;
            };
            match what.split(' ').next() {
                Some("connect") => *connects += count,
                Some("lookup") => *lookups += count,
                Some("slow" | "silent") => {}
                _ => return false,
            }
        }
        true
    }

    fn add_event(&mut self, line: &str) -> bool {
        let fields: Vec<&str> = line.split(" | ").collect();
        let [_, kind, service, _, _] = fields[..] else { return false };
        self.events.push((kind.to_owned(), service.to_owned()));
        true
    }

    fn add_sample(&mut self, line: &str) -> bool {
        let values: Vec<&str> = line.split(',').collect();
        if values.len() == 10 && values[7] != "skipped" && values[0] != "time" {
            *self.samples.entry(values[1].to_owned()).or_default() += 1;
        }
        values.len() == 10
    }
}
