//! Reads the logs of events strictly: every line is whole, has its five fields, is in the file of its day, and is not
//! older than the line before it.

use crate::Result;
use crate::run_dir::{EVENTS, RunDir};

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    pub kind: String,
    /// `-` for an event of the monitor itself.
    pub service: String,
    pub text: String,
}

/// All lines, in the order of the files and of the lines in them.
pub fn read(dir: &RunDir, may_be_torn: bool) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for day in dir.days(EVENTS, may_be_torn)? {
        let mut before = "";
        for line in &day.lines {
            let fields: Vec<&str> = line.split(" | ").collect();
            let [time, kind, service, place, text] = &fields[..] else {
                return Err(format!("events of {}: not a whole line: {line}", day.date).into());
            };
            let is_own = !["down", "up"].contains(kind);
            if !is_moment(time) || !day.has(time) || (is_own != (*service == "-")) || (is_own != (*place == "-")) {
                return Err(format!("events of {}: it does not belong there: {line}", day.date).into());
            }
            if *time < before {
                return Err(format!("events of {}: it is older than the line before it: {line}", day.date).into());
            }
            before = time;
            lines.push(Line { kind: (*kind).to_owned(), service: (*service).to_owned(), text: (*text).to_owned() });
        }
    }
    Ok(lines)
}

/// Whether it has the form `2025-10-09T14:28:12+03:00`.
pub fn is_moment(text: &str) -> bool {
    let digits = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    digits.replace('-', "+") == "0000+00+00T00:00:00+00:00"
}

impl Line {
    /// Whether it says that the target went down, and if it did not, that it came up after so many failed probes.
    pub fn is_change(&self, is_down: bool) -> bool {
        let parts: Vec<&str> = self.text.split(", ").collect();
        match (is_down, &parts[..]) {
            (true, [why, since, failed]) => {
                self.kind == "down"
                    && *why == "connect refused by 127.0.0.1"
                    && since.strip_prefix("since ").is_some_and(is_moment)
                    && *failed == "1 failed"
            }
            (false, [how, span, failed]) => {
                let (seconds, since) = span.split_once(" s since ").unwrap_or_default();
                self.kind == "up"
                    && how.starts_with("connected to 127.0.0.1 in ")
                    && how.ends_with(" ms")
                    && seconds.strip_prefix("down for ").is_some_and(|seconds| seconds.parse::<u64>().is_ok())
                    && is_moment(since)
                    && failed.strip_suffix(" failed").is_some_and(|failed| failed.parse::<u64>().is_ok())
            }
            _ => false,
        }
    }

    /// How many probes have failed, as the line of a change tells.
    pub fn failed(&self) -> u64 {
        let failed = self.text.rsplit_once(", ").and_then(|(_, failed)| failed.strip_suffix(" failed"));
        failed.and_then(|failed| failed.parse().ok()).unwrap_or_default()
    }
}
