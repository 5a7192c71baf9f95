//! `tcpmon report`: sums up the daily files of a period. It only reads them, also while they are being written; with `-o` it
//! writes one file.

use core::mem::take;

use super::{FAILURE, exit, fail, finish, open_output, view};
use crate::base::calendar::Calendar;
use crate::base::path;
use crate::core::report::Report;
use crate::model::cli::{Cli, Time};
use crate::model::log_names;
use crate::render::{page, report, report_json};
use crate::shell::console::Console;
use crate::shell::log_files::LogFiles;
use crate::shell::output::Output;
use crate::shell::place::Place;
use crate::shell::sandbox::confine_writer;
use crate::shell::time_zone;
use crate::sys::clock;

/// The columns of a terminal that does not say how many it has.
const USUAL: usize = 80;

/// Prints the report, or writes it to a file. Exit status: 0, or 1 if a file could not be read, there is no row of a service
/// that was asked for, or nothing could be written.
pub fn report(mut cli: Cli, console: &mut Console) -> ! {
    let Cli { last, span, json, html, quiet, .. } = cli;
    let (services, files) = (take(&mut cli.services), take(&mut cli.files));
    if let Some(output) = cli.output.filter(|output| log_names::is_log(path::name(output))) {
        fail("report", format_args!("{output} has the name of a daily file, write another one with -o"), console);
    }
    let output = open_output("report", cli.output, console);
    let mut place = None;
    // Files that are named need no configuration.
    if files.is_empty() {
        place = Place::read(cli, console);
        if place.is_none() {
            exit(FAILURE);
        }
    }
    let is_confined = place.as_ref().is_none_or(|place| place.sandbox);
    confine_writer(is_confined, output.as_ref().map(Output::directory));
    time_zone::read(&mut Default::default(), console);
    let now = clock::wall();
    let mut calendar = Calendar::new(clock::local);
    let [mut from, mut to] = span.map(|time| {
        time.map(|time| match time {
            Time::Local(civil) => calendar.unix(civil, i64::MIN),
            Time::Moment(unix) => unix,
        })
    });
    if let Some(last) = last {
        (from, to) = view::until_now(last, now);
    }
    let mut report = Report::new(from, to, &services, clock::local);
    let mut reader = LogFiles::new(&mut report, console);
    if let Some(place) = &place {
        reader.add(place.log_dir.as_str());
    }
    files.iter().for_each(|file| reader.add(file));
    reader.read();
    let mut has_failed = reader.has_failed;
    if report.files == 0 && !has_failed {
        console.say(
            "report",
            format_args!("there is no daily file of this time, name a file or a directory that has some"),
        );
        has_failed = true;
    }
    has_failed |= !has_all_services(&report, &services, console);
    report.finish(last.map(|_| now.unix));
    let mut text = String::new();
    if html {
        let found = place.filter(|_| last.is_some()).map(|place| place.find());
        let present = found.as_ref().and_then(|found| view::seen(found, &services));
        page::write(&mut |piece| text.push_str(piece), &report, present.as_ref(), now, clock::local);
    } else if json {
        report_json::write(&mut text, &report);
    } else {
        report::write(&mut text, &report, clock::local, columns(console, output.is_some()));
    }
    finish("report", output.as_ref(), &text, (quiet, !has_failed), console)
}

/// How many columns the text may have.
fn columns(console: &Console, is_file: bool) -> usize {
    let [columns, _] = console.size();
    if columns > 0 && !is_file {
        return columns;
    }
    match view::columns_of_environment() {
        0 if console.is_terminal() && !is_file => USUAL,
        0 => usize::MAX,
        columns => columns,
    }
}

/// Whether there is something of each service that was asked for; says if not.
#[inline(never)]
fn has_all_services(report: &Report, services: &[&'static str], console: &mut Console) -> bool {
    let known: Vec<&str> = report.services.iter().map(|known| known.name.as_str()).collect();
    let mut has_all = true;
    for service in services {
        has_all &= view::is_known("report", "line", service, &known, console);
    }
    has_all
}
