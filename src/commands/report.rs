//! `tcpmon report`: sums up the daily files of a period. It only reads them, also while they are being written.

use super::{FAILURE, SUCCESS, exit};
use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::Calendar;
use crate::core::report::Report;
use crate::model::cli::Cli;
use crate::render::{report, report_json};
use crate::shell::console::Console;
use crate::shell::log_files::{self, LogFiles};
use crate::shell::place::Place;
use crate::shell::sandbox::confine_command;
use crate::shell::time_zone;
use crate::sys::clock;

/// Columns of what is no terminal.
const WIDE: usize = 160;

/// Prints the report. Exit status: 0, or 1 if a file could not be read, a service is not there, or nothing could be written.
pub fn report(cli: Cli, console: &mut Console) -> ! {
    let Cli { last, span, json, html, .. } = cli;
    let (services, files) = (cli.services.clone(), cli.files.clone());
    let _ = html;
    let mut log_dir = Text::<{ limits::DIRECTORY }>::new();
    let mut is_confined = true;
    // Files that are named need no configuration.
    if files.is_empty() {
        let Some(place) = Place::read(cli, console) else { exit(FAILURE) };
        (log_dir, is_confined) = (place.log_dir, place.sandbox);
    }
    confine_command(is_confined);
    time_zone::read(&mut Default::default(), console);
    let now = clock::wall().unix;
    let mut calendar = Calendar::new(clock::local);
    let [mut from, mut to] = span.map(|civil| civil.map(|civil| calendar.unix(civil, i64::MIN)));
    if let Some(last) = last {
        // A row of this second is one of the last 24 hours, too.
        (from, to) = (Some(now - last.secs() as i64), Some(now + 1));
    }
    let mut report = Report::new(from, to, &services, clock::local);
    let mut reader = LogFiles::new(&mut report, log_files::days(from, to), console);
    if files.is_empty() {
        reader.read(log_dir.as_str());
    }
    files.iter().for_each(|file| reader.read(file));
    let has_failed = reader.has_failed;
    report.finish(last.map(|_| now));
    let mut text = String::new();
    if json {
        report_json::write(&mut text, &report);
    } else {
        report::write(&mut text, &report, clock::local, WIDE);
    }
    let is_written = console.lines(&text, limits::PATIENCE);
    exit(if has_failed || !is_written { FAILURE } else { SUCCESS })
}
