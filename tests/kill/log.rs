//! The daily logs, read strictly: every byte belongs to a whole header or a whole row of the exact
//! form, every row adds up, and the rows of one report stand together.

use std::collections::BTreeMap;
use std::fs;

use crate::Result;
use crate::columns::Columns;
use crate::place::{FIRST, Place, SECOND};

const HEADER: &str = "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s |  DNS1-5s | DNSFail | ConnFailed | Total";

/// The rows of one write: a stamp, and a row for each of some services.
#[derive(Clone, Debug)]
pub struct Report {
    pub stamp: String,
    pub rows: Vec<(String, Columns)>,
}

/// All reports, in the order of the files and of the rows in them.
pub struct Log(pub Vec<Report>);

impl Log {
    /// Reads the daily logs of a place. `Err` tells the line that is none.
    pub fn of(place: &Place) -> Result<Self> {
        let mut log = Self(Vec::new());
        for path in place.logs()? {
            let text = fs::read_to_string(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A file that was just made, and has no report yet.
            if text.is_empty() {
                continue;
            }
            if !text.ends_with('\n') {
                return Err(format!("{name} ends in the middle of a line:\n{}", end_of(&text)).into());
            }
            for (number, line) in text.lines().enumerate() {
                let taken = if number == 0 { line == HEADER } else { log.take(line, &name) };
                if !taken {
                    return Err(format!(
                        "{name}, line {}, is no whole line in its place:\n{line}\n...\n{}",
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

    /// The rows of each service added up.
    pub fn sums(&self) -> BTreeMap<String, Columns> {
        let mut sums = BTreeMap::new();
        for (service, columns) in self.0.iter().flat_map(|report| &report.rows) {
            *sums.entry(service.clone()).or_insert_with(Columns::default) += *columns;
        }
        sums
    }

    /// Takes in a row. Returns whether it is one, to the byte, and stands in the file of its day.
    fn take(&mut self, line: &str, file: &str) -> bool {
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

    /// Whether each report has a row for each target, none twice, and comes after the one before.
    fn check(&self) -> Result {
        let mut before = "";
        for report in &self.0 {
            let services: Vec<&str> = report.rows.iter().map(|(service, _)| service.as_str()).collect();
            // A target that is gone is reported behind the others, once.
            let gone = [&SECOND[..], &["mail"]].concat();
            if services != FIRST && services != SECOND && services != gone {
                return Err(format!("a report of {} has the rows {services:?}", report.stamp).into());
            }
            if report.stamp.as_str() < before {
                return Err(format!("a report of {} stands behind one of {before}", report.stamp).into());
            }
            before = &report.stamp;
        }
        Ok(())
    }
}

/// The last lines of a log.
fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// The stamp, the service and the numbers of a row that has exactly the form of one.
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
