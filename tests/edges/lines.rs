//! The lines of the daily files beside the log of counts: read, and made comparable.

use std::fs;
use std::path::{Path, PathBuf};

use tcpmon::model::log_names::{self, Kind};

use crate::running::RunDir;

/// The daily files of a kind in a directory, oldest first, without the link to the latest.
pub fn files(directory: &Path, kind: Kind) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        log_names::kind_and_day(name).is_some_and(|(its, _)| its == kind) && path.is_file()
    };
    let mut files: Vec<_> =
        entries.map(|entry| entry.expect("the directory can be read").path()).filter(is_one).collect();
    files.sort();
    files
}

/// The lines of all files of a kind, oldest first. Each file ends with a whole line.
pub fn lines_in(directory: &Path, kind: Kind) -> Vec<String> {
    let mut lines = Vec::new();
    for file in files(directory, kind) {
        let text = fs::read_to_string(&file).expect("a daily file is text");
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends with half a line: {text}", file.display());
        lines.extend(text.lines().map(str::to_string));
    }
    lines
}

/// The events of a run in its directory.
pub fn events(dir: &RunDir) -> Vec<String> {
    lines_in(dir.path(), Kind::Events)
}

/// Whether one of these lines has this text.
pub fn have(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

/// Events with what differs from run to run replaced: moments are `TIME`, numbers of seconds and milliseconds `N`, also how
/// many probes have failed when a target is up again.
pub fn masked(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| mask(line)).collect()
}

fn mask(line: &str) -> String {
    let fields: Vec<&str> = line.splitn(5, " | ").collect();
    let [at, kind, service, endpoint, text] = fields[..] else { panic!("an event has five fields: {line}") };
    let words: Vec<&str> = text.split(' ').collect();
    let counted = |next: Option<&&str>| match next {
        Some(&("ms" | "ms," | "s")) => true,
        Some(&"failed") => kind == "up",
        _ => false,
    };
    let word = |i: usize| match words[i] {
        word if seconds(word.trim_end_matches(',')).is_some() => format!("TIME{}", &word[25..]),
        _ if counted(words.get(i + 1)) => "N".to_string(),
        word => word.to_string(),
    };
    let text = (0..words.len()).map(word).collect::<Vec<_>>().join(" ");
    assert!(seconds(at).is_some(), "{at} is no moment: {line}");
    format!("{kind} | {service} | {endpoint} | {text}")
}

/// The seconds since 1970 of a moment: `2025-10-09T14:28:12+03:00`.
pub fn seconds(moment: &str) -> Option<i64> {
    let part = |at: usize, length: usize| moment.get(at..at + length)?.parse::<i64>().ok();
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (22, ":")];
    if moment.len() != 25 || marks.iter().any(|(at, mark)| moment.get(*at..at + 1) != Some(mark)) {
        return None;
    }
    let [year, month, day] = [part(0, 4)?, part(5, 2)?, part(8, 2)?];
    // The year begins in March, so that the day in February that there may be is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let offset = part(20, 2)? * 3600 + part(23, 2)? * 60;
    let offset = if moment.get(19..20) == Some("-") { -offset } else { offset };
    Some(days * 86_400 + part(11, 2)? * 3600 + part(14, 2)? * 60 + part(17, 2)? - offset)
}

/// When an event was found, in seconds since 1970.
pub fn found(line: &str) -> i64 {
    line.get(..25).and_then(seconds).unwrap_or_else(|| panic!("{line} begins with no moment"))
}

/// The moments within an event's text, in seconds since 1970.
pub fn told(line: &str) -> Vec<i64> {
    line.split(' ').skip(1).filter_map(|word| seconds(word.trim_end_matches(','))).collect()
}

#[test]
fn moments_are_read_as_seconds() {
    assert_eq!(seconds("1970-01-01T00:00:00+00:00"), Some(0));
    assert_eq!(seconds("2025-10-09T14:28:08+03:00"), Some(1_760_009_288));
    assert_eq!(seconds("2024-02-29T23:59:59-01:30"), Some(1_709_256_599));
    assert_eq!([seconds("2025-10-09 14:28:08+03:00"), seconds("")], [None; 2]);
}
