//! Reads the daily logs strictly: every byte belongs to a whole header or to a whole row of the
//! exact form, every row adds up, and the rows of one report stand together.

use std::collections::BTreeMap;
use std::fs;

use crate::Result;
use crate::columns::Columns;
use crate::run_dir::{FIRST, RunDir, SECOND};

const HEADER: &str = "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s |  DNS1-5s | DNSFail | ConnFailed | Total";

/// The rows of one report: its stamp, and a row for each service.
#[derive(Clone, Debug)]
pub struct Report {
    pub stamp: String,
    pub rows: Vec<(String, Columns)>,
}

/// All reports, in the order of the files and of the rows in them.
pub struct Log(pub Vec<Report>);

impl Log {
    /// Reads the daily logs of a directory. `Err` shows the wrong line.
    pub fn of(dir: &RunDir) -> Result<Self> {
        let mut log = Self(Vec::new());
        for path in dir.logs()? {
            let text = fs::read_to_string(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Created, but no report written yet.
            if text.is_empty() {
                continue;
            }
            if !text.ends_with('\n') {
                return Err(format!("{name} ends in the middle of a line:\n{}", end_of(&text)).into());
            }
            for (number, line) in text.lines().enumerate() {
                let is_valid = if number == 0 { line == HEADER } else { log.add_row(line, &name) };
                if !is_valid {
                    return Err(format!(
                        "{name}, line {}, is not a whole line, or does not belong there:\n{line}\n...\n{}",
                        number + 1,
                        end_of(&text)
                    )
                    .into());
                }
            }
        }
        log.check()?;
        Ok(log)
    }

    /// The sum of the rows of each service.
    pub fn sums(&self) -> BTreeMap<String, Columns> {
        let mut sums = BTreeMap::new();
        for (service, columns) in self.0.iter().flat_map(|report| &report.rows) {
            *sums.entry(service.clone()).or_insert_with(Columns::default) += *columns;
        }
        sums
    }

    /// Adds a row. Returns whether it has the exact form and its date is that of the file.
    fn add_row(&mut self, line: &str, file: &str) -> bool {
        let Some((stamp, service, columns)) = parse(line) else { return false };
        if file != format!("tcp_stats_{}.log", stamp[..10].replace('-', "")) {
            return false;
        }
        // Every report begins with the first target of the configuration.
        if service == FIRST[0] {
            self.0.push(Report { stamp: stamp.clone(), rows: Vec::new() });
        }
        let Some(report) = self.0.last_mut() else { return false };
        report.rows.push((service, columns));
        report.stamp == stamp
    }

    /// Whether each report has one row for each target, and the reports are in order.
    fn check(&self) -> Result {
        let mut before = "";
        for report in &self.0 {
            let services: Vec<String> = report.rows.iter().map(|(service, _)| service.clone()).collect();
            if !is_report(&services) {
                return Err(format!("a report of {} has the rows {services:?}", report.stamp).into());
            }
            if report.stamp.as_str() < before {
                return Err(format!("a report of {} follows one of {before}", report.stamp).into());
            }
            before = &report.stamp;
        }
        Ok(())
    }
}

/// Whether one report can have these rows.
pub fn is_report(services: &[String]) -> bool {
    // A removed target is reported once, after the others.
    services == FIRST || services == SECOND || services == [&SECOND[..], &["mail"]].concat()
}

/// The last lines of a log.
fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// The stamp, the service and the numbers of a row; `None` if it differs in any byte.
fn parse(line: &str) -> Option<(String, String, Columns)> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [stamp, service, numbers @ ..] = &cells[..] else { return None };
    let mut values = [0; 7];
    if numbers.len() != values.len() {
        return None;
    }
    for (value, number) in values.iter_mut().zip(numbers) {
        *value = number.parse().ok()?;
    }
    let [n0, n1, n2, n3, n4, n5, n6] = values;
    let rebuilt =
        format!("{stamp} | {service:<20} | {n0:>7} | {n1:>8} | {n2:>6} | {n3:>8} | {n4:>7} | {n5:>10} | {n6:>5}");
    let digits = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    let columns = Columns(values);
    let whole = rebuilt == line && digits == "0000-00-00 00:00:00" && columns.adds_up();
    whole.then(|| ((*stamp).to_owned(), (*service).to_owned(), columns))
}
