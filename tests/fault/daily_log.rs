//! The table as the program writes it, in the daily log and on the console.

use std::fs;
use std::path::{Path, PathBuf};

/// One row.
pub struct Row {
    pub service: String,
    /// Conn<1s, Conn1-5s, DNS<1s, DNS1-5s, DNSFail, ConnFailed, Total.
    numbers: [u64; 7],
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, service, numbers @ ..] = &cells[..] else { return None };
        let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().ok()).collect::<Option<_>>()?;
        Some(Self { service: (*service).to_owned(), numbers: numbers.try_into().ok()? })
    }

    /// Probes that connected.
    pub fn connected(&self) -> u64 {
        self.numbers[0] + self.numbers[1]
    }

    /// Probes that count against the target.
    pub fn failed(&self) -> u64 {
        self.numbers[4] + self.numbers[5]
    }

    /// Connects that count against the target.
    pub fn failed_connects(&self) -> u64 {
        self.numbers[5]
    }

    /// Lookups that count against the target.
    pub fn failed_lookups(&self) -> u64 {
        self.numbers[4]
    }

    pub fn total(&self) -> u64 {
        self.numbers[6]
    }

    /// Whether the connects and the lookups each add up to the total.
    pub fn adds_up(&self) -> bool {
        let [conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total] = self.numbers;
        conn_fast + conn_slow + conn_failed + dns_fail == total && dns_fast + dns_slow + dns_fail == total
    }
}

/// A table: its rows, and how many headers it has.
#[derive(Default)]
pub struct Table {
    pub rows: Vec<Row>,
    pub headers: usize,
    /// Lines that are neither.
    pub strange: Vec<String>,
}

impl Table {
    pub fn parse(text: &str) -> Self {
        let mut table = Self::default();
        for line in text.lines() {
            match Row::parse(line) {
                Some(row) => table.rows.push(row),
                None if line.starts_with("Timestamp ") => table.headers += 1,
                None => table.strange.push(line.to_owned()),
            }
        }
        table
    }

    /// The rows of one service.
    pub fn of<'a>(&'a self, service: &'a str) -> impl DoubleEndedIterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.service == service)
    }

    /// A sum over the rows of one service.
    pub fn sum(&self, service: &str, number: fn(&Row) -> u64) -> u64 {
        self.of(service).map(number).sum()
    }
}

/// A kind of daily file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The log of counts.
    Stats,
    Times,
    Events,
    Samples,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Stats, Kind::Times, Kind::Events, Kind::Samples];

    /// What the names of its files begin and end with.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Kind::Stats => ("tcp_stats_", ".log"),
            Kind::Times => ("tcp_times_", ".log"),
            Kind::Events => ("tcp_events_", ".log"),
            Kind::Samples => ("tcp_samples_", ".csv"),
        }
    }
}

/// The daily logs of counts in this directory, oldest first.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    files_of(Kind::Stats, directory)
}

/// The daily files of this kind in this directory, oldest first.
pub fn files_of(kind: Kind, directory: &Path) -> Vec<PathBuf> {
    let (begin, end) = kind.name();
    let is_log = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let date = name.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
        date.is_some_and(|date| date.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_log).collect();
    files.sort();
    files
}

/// The rows of all daily logs in this directory.
pub fn read(directory: &Path) -> Table {
    let text: String = files(directory).iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    Table::parse(&text)
}
