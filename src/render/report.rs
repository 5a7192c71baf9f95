//! The text of `tcpmon report`: tables that fit the terminal, and a strip of half hours for each service and day.

use core::fmt;

use super::cells::{self, Column, Kind, MOMENT, Style, WORDS, put};
use super::{LocalTime, times};
use crate::base::text::Count;
use crate::base::time::{Nanos, SECS_PER_DAY, WallTime};
use crate::base::{order, words};
use crate::core::report::{HALF_HOURS, Latency, Mark, Outages, Report, Service, Worst};
use crate::model::outcome::Columns;

const NUMBER: Column = Column(0, Kind::Number);
const NAME: Column = Column(0, Kind::Name);

/// The characters of a strip, by [`Mark`].
const MARKS: [char; 6] = [' ', '.', '-', 'o', 'O', '#'];

/// What they mean.
const LEGEND: &str =
    ". all connected, - some slow, o up to 10 % failed, O more failed, # all failed;\nblank: nobody watched\n";

/// What is said if no outage is known, with events and without.
const NONE_DOWN: &str = "\nNo service was down.\n";
const NONE_FOUND: &str = "\nNo outage was found: in each interval some probes connected. There is no log of events.\n";

/// The hours above a strip.
const HOURS: &str = "0     3     6     9     12    15    18    21";

/// Widest name in front of a strip, so that both fit 80 columns.
const STRIP_NAME: usize = 17;

/// A part of a whole in percent with three decimals, rounded down: 100 only if it is all of it; `-` of nothing.
pub(super) struct Percent(pub u64, pub u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 * 100_000).checked_div(self.1) {
            Some(thousandths) => write!(f, "{}.{:03}", thousandths / 1000, thousandths % 1000),
            None => f.write_str("-"),
        }
    }
}

/// A number of seconds in its two largest units: `15m4s`; `-` if there is none.
pub(super) struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        for (unit, smaller, names) in [(86_400, 3600, ["d", "h"]), (3600, 60, ["h", "m"]), (60, 1, ["m", "s"])] {
            if left >= unit {
                write!(f, "{}{}", left / unit, names[0])?;
                left = left % unit / smaller;
                return if left > 0 { write!(f, "{left}{}", names[1]) } else { Ok(()) };
            }
        }
        if left == 0 { f.write_str("-") } else { write!(f, "{left}s") }
    }
}

/// The end of a span: its time of day alone if it is of the same day as its begin.
struct Until(i64, i64, LocalTime);

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [begin, end] = [self.0, self.1].map(self.2);
        if begin.day() != end.day() {
            return end.fmt(f);
        }
        // All of it is ASCII.
        f.write_str(words::utf8(&end.moment_of_second()[11..19]).unwrap_or_default())
    }
}

/// How long nobody watched a service, in seconds.
pub(super) fn unwatched(service: &Service) -> u64 {
    service.unwatched.iter().map(|span| span.seconds()).sum()
}

/// Writes the report for a terminal of so many columns.
#[inline(never)]
pub fn write(out: &mut String, report: &Report, local: LocalTime, columns: usize) {
    let style = Style { gap: "  ", columns, hidden: 0 };
    write_period(out, report, local);
    let has_outage = report.services.iter().any(|service| service.outages.count() > 0);
    if report.all.total == 0 && !has_outage {
        out.push_str("There is no row of this time.\n");
        if let Some(next) = report.next_row() {
            put(out, format_args!("A row is written at the end of its interval: the next one is of {}\n", local(next)));
        }
        return write_damaged(out, report);
    }
    write_services(out, report, style);
    write_worst(out, report, local, style);
    if has_outage {
        write_outages(out, report, local, style);
    } else {
        out.push_str(if report.has_events { NONE_DOWN } else { NONE_FOUND });
    }
    write_unwatched(out, report, local, style);
    write_times(out, report, style);
    write_strips(out, report);
    write_damaged(out, report);
}

fn write_period(out: &mut String, report: &Report, local: LocalTime) {
    if let (Some(from), Some(to)) = (report.from, report.to) {
        let moment = |unix: i64| local(unix).as_moment();
        let length = Seconds((to - from).max(0) as u64);
        put(out, format_args!("Rows from {} to {} ({length})\n", moment(from), moment(to)));
    }
}

const SERVICES: &str = "Service\tProbes\tAvail%\tSlow%\tDNS fail\tConn fail\tOutages\tDown\tUnwatched\t";
const SERVICE_COLUMNS: [Column; 9] = [NAME, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER];

#[inline(never)]
fn write_services(out: &mut String, report: &Report, style: Style) {
    let mut cells = String::from(SERVICES);
    let mut all = Outages::default();
    for service in &report.services {
        let unwatched = unwatched(service);
        write_counts(&mut cells, &service.name, &service.columns, &service.outages, unwatched);
        all.others += service.outages.count();
    }
    if report.services.len() > 1 {
        write_counts(&mut cells, "all", &report.all, &all, 0);
    }
    out.push('\n');
    cells::write(out, &SERVICE_COLUMNS, &cells, style);
}

/// Writes the worst interval of each service of which a probe failed.
#[inline(never)]
fn write_worst(out: &mut String, report: &Report, local: LocalTime, style: Style) {
    let mut cells = String::from("Worst from\tUntil\tFailed\tof\tService\t");
    let length = cells.len();
    for service in &report.services {
        if let Some(Worst { span: (begin, end), columns }) = &service.worst {
            let (begin_shown, end) = (local(*begin), Until(*begin, *end, local));
            let (failed, total, name) = (columns.failed(), columns.total, &service.name);
            put(&mut cells, format_args!("{begin_shown}\t{end}\t{failed}\t{total}\t{name}\t"));
        }
    }
    if cells.len() > length {
        out.push('\n');
        cells::write(out, &[MOMENT, WORDS, NUMBER, NUMBER, NAME], &cells, style);
    }
}

#[inline(never)]
fn write_counts(cells: &mut String, name: &str, columns: &Columns, outages: &Outages, unwatched: u64) {
    let Columns { conn_slow, dns_fail, conn_failed, total, .. } = *columns;
    let (available, slow) = (Percent(columns.connected(), total), Percent(conn_slow, total));
    let (count, down, unwatched) = (outages.count(), Seconds(outages.seconds), Seconds(unwatched));
    put(
        cells,
        format_args!("{name}\t{total}\t{available}\t{slow}\t{dns_fail}\t{conn_failed}\t{count}\t{down}\t{unwatched}\t"),
    );
}

#[inline(never)]
fn write_outages(out: &mut String, report: &Report, local: LocalTime, style: Style) {
    let mut cells = String::from("Down from\tUntil\tFor\tService\tWhy\t");
    let (mut others, mut is_rough, mut is_common) = (0, false, false);
    let mut outages = Vec::new();
    for service in &report.services {
        others += service.outages.others;
        outages.extend(service.outages.list.iter().map(|outage| (service, outage)));
    }
    for (_, at) in order::by_number(outages.len(), &|at| outages[at].1.begin) {
        let (service, outage) = outages[at as usize];
        put(&mut cells, format_args!("{}\t", local(outage.begin)));
        match outage.end {
            Some(end) => put(&mut cells, format_args!("{}\t", Until(outage.begin, end, local))),
            None => cells.push_str("still down\t"),
        }
        let mark = |is_there: bool, mark: &'static str| if is_there { mark } else { "" };
        let (rough, common) = (mark(!outage.exact, "~"), mark(outage.common, "* "));
        let target = if service.several { outage.endpoint.as_str() } else { "" };
        let blank = mark(!target.is_empty(), " ");
        put(
            &mut cells,
            format_args!(
                "{rough}{}\t{}{blank}{target}\t{common}{}",
                Seconds(outage.seconds),
                service.name,
                outage.reason
            ),
        );
        if outage.unwatched > 0 {
            put(&mut cells, format_args!("; nobody watched for {} of it", Seconds(outage.unwatched)));
        }
        cells.push('\t');
        is_rough |= !outage.exact;
        is_common |= outage.common;
    }
    out.push('\n');
    cells::write(out, &[MOMENT, WORDS, NUMBER, NAME, Column(0, Kind::Text)], &cells, style);
    if others > 0 {
        put(out, format_args!("and {}\n", Count(others, "shorter one")));
    }
    if is_rough {
        out.push_str("~ not to the second: found in rows, as intervals in which no probe connected\n");
    }
    if is_common {
        out.push_str("* for most of it more than half of all services were down\n");
    }
}

#[inline(never)]
fn write_unwatched(out: &mut String, report: &Report, local: LocalTime, style: Style) {
    let mut cells = String::from("Nobody watched from\tUntil\tFor\tService\t");
    let length = cells.len();
    let same = |service: &Service| service.unwatched == report.services[0].unwatched;
    let is_same = report.services.len() > 1 && report.services.iter().all(same);
    for service in &report.services[..if is_same { 1 } else { report.services.len() }] {
        for span in &service.unwatched {
            let (begin, end) = (local(span.begin), Until(span.begin, span.end, local));
            let name = if is_same { "all" } else { &service.name };
            put(&mut cells, format_args!("{begin}\t{end}\t{}\t{name}\t", Seconds(span.seconds())));
        }
    }
    if cells.len() > length {
        out.push('\n');
        cells::write(out, &[MOMENT, WORDS, NUMBER, NAME], &cells, style);
    }
}

const TIMES: &str = "Day\tService\tDNS p50\tp95\tmax\tConn p50\tp95\tmax\t";
const TIMES_COLUMNS: [Column; 8] = [WORDS, NAME, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER];

/// Writes the times of each day, and why probes failed or were slow.
#[inline(never)]
fn write_times(out: &mut String, report: &Report, style: Style) {
    let (mut cells, mut causes) = (String::from(TIMES), String::from("Service\tSYNs resent\tSkipped\tWhy\t"));
    let lengths = (cells.len(), causes.len());
    for service in &report.services {
        for day in &service.days {
            if day.phases.iter().any(|phase| phase.times().is_some()) {
                put(&mut cells, format_args!("{}\t{}", Date(day.day), service.name));
                day.phases.iter().for_each(|phase| write_phase(&mut cells, phase));
                cells.push('\t');
            }
        }
        let counts = service.causes;
        if counts.iter().any(|count| *count > 0) || service.resent + service.skipped > 0 {
            put(&mut causes, format_args!("{}\t{}\t{}\t", service.name, service.resent, service.skipped));
            // A String takes everything.
            let _ = times::write_causes(&mut causes, &counts, Some(&service.silent));
            causes.push('\t');
        }
    }
    if cells.len() > lengths.0 {
        out.push('\n');
        cells::write(out, &TIMES_COLUMNS, &cells, style);
    }
    if causes.len() > lengths.1 {
        out.push('\n');
        cells::write(out, &[NAME, NUMBER, NUMBER, Column(0, Kind::Text)], &causes, style);
    }
}

fn write_phase(cells: &mut String, phase: &Latency) {
    match phase.times() {
        Some(times) => times.iter().for_each(|time: &Nanos| put(cells, format_args!("\t{}", time.as_tenths()))),
        None => cells.push_str("\t-\t-\t-"),
    }
}

/// A day since 1970 as a date.
struct Date(i32);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = WallTime { unix: i64::from(self.0) * SECS_PER_DAY, nanos: 0, offset: 0 }.civil();
        write!(f, "{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
    }
}

#[inline(never)]
fn write_strips(out: &mut String, report: &Report) {
    let mut width = 0;
    for service in &report.services {
        width = width.max(crate::base::width::width(&service.name)).min(STRIP_NAME);
    }
    out.push('\n');
    pad(out, "2025-10-09 ".len() + width + 1);
    put(out, format_args!("{HOURS}\n"));
    for service in &report.services {
        for day in &service.days {
            put(out, format_args!("{} ", Date(day.day)));
            let written = cells::write_shortened(out, &service.name, width, true);
            pad(out, width - written + 1);
            let marks: &[Mark; HALF_HOURS] = &day.marks;
            marks.iter().for_each(|mark| out.push(MARKS[*mark as usize]));
            out.push('\n');
        }
    }
    out.push_str(LEGEND);
}

fn pad(out: &mut String, columns: usize) {
    for _ in 0..columns {
        out.push(' ');
    }
}

fn write_damaged(out: &mut String, report: &Report) {
    if report.damaged > 0 {
        let lines = Count(report.damaged, "damaged line");
        put(out, format_args!("\n{lines} not counted:\n"));
        report.named.iter().for_each(|name| put(out, format_args!("{name}\n")));
        let others = report.damaged - report.named.len() as u64;
        if others > 0 {
            put(out, format_args!("and {others} more\n"));
        }
    }
}
