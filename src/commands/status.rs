//! `tcpmon status`: shows the content of the ledger. It only reads the ledger: it works after a crash and does
//! not disturb a running monitor. It locks nothing, sends no signal and writes nothing.

use super::{FAILURE, SUCCESS, exit, view};
use crate::base::said::Said;
use crate::base::{limits, words};
use crate::model::cli::Cli;
use crate::render::cells::put;
use crate::render::overview::{self, Screen, WIDE};
use crate::render::{Life, Seen, json, status as tables};
use crate::shell::console::Console;
use crate::shell::place::{By, Place};
use crate::shell::sandbox::confine_command;
use crate::shell::snapshot::SnapshotError;
use crate::shell::time_zone;
use crate::sys::{clock, environment};

/// Terminal codes: move to the top, clear a line, clear the rest of the screen.
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// The size of a terminal that does not say it.
const USUAL: (usize, usize) = (80, 24);

/// Exit status: a target is down.
const DOWN: u8 = 2;

/// Exit status: no run.
const NOT_RUNNING: u8 = 3;

/// Shows the ledger, once or repeatedly. Exit status: 0 if a run is there and every configured target is up, 2 if one is
/// down, 3 if there is no run, 1 for everything else. With services it is that of their targets.
pub fn status(mut cli: Cli, console: &mut Console) -> ! {
    let (watch, json) = (cli.watch, cli.json);
    let mut verbose = cli.verbose && !json;
    let services = core::mem::take(&mut cli.services);
    let Some(place) = Place::read(cli, console) else { exit(FAILURE) };
    confine_command(place.sandbox);
    let is_redrawn = watch && !json && console.is_terminal();
    // Its tables have no space there.
    verbose &= !is_redrawn;
    let mut said = Said::default();
    let mut wrong_time_zone = Said::default();
    loop {
        time_zone::read(&mut wrong_time_zone, console);
        let found = place.find();
        let message = view::message(&place, &found);
        let mut screen = screen(console);
        let mut text = String::new();
        if !message.is_empty() && is_redrawn {
            put(&mut text, format_args!("tcpmon: ledger: {message}\n"));
        } else if said.is_new(message) && !message.is_empty() {
            console.say("ledger", format_args!("{message}"));
        }
        if console.is_terminal() && !message.is_empty() {
            // The message takes so many of them, at 80 columns.
            screen.lines = screen.lines.saturating_sub(4);
        }
        let mut status = FAILURE;
        match (view::seen(&found, &services), &found.snapshot) {
            (Some(seen), _) => {
                if !has_all_services(&seen, console) {
                    exit(FAILURE);
                }
                status = exit_status(&seen);
                if verbose {
                    screen.lines = usize::MAX;
                }
                if json {
                    json::write(&mut text, &seen);
                } else {
                    overview::write(&mut text, &seen, screen);
                }
                if verbose {
                    tables::write(&mut text, &seen);
                }
            }
            (None, Err(SnapshotError::Nothing)) if found.by == By::Ledger => status = NOT_RUNNING,
            (None, _) => {}
        }
        let is_shown = if is_redrawn { redraw(console, &text) } else { console.lines(&text, limits::PATIENCE) };
        if !watch || !is_shown {
            exit(if is_shown { status } else { FAILURE });
        }
        clock::rest(limits::REFRESH);
    }
}

/// What the output goes to. What does not say how many columns it has, has those of the environment.
fn screen(console: &Console) -> Screen {
    let [mut columns, mut lines] = console.size();
    if columns == 0 {
        columns = view::columns_of_environment();
    }
    let is_wide = columns >= WIDE;
    if !console.is_terminal() {
        let columns = if columns == 0 { usize::MAX } else { columns };
        return Screen { is_wide, columns, lines: usize::MAX, marks: false };
    }
    if columns == 0 {
        columns = USUAL.0;
    }
    if lines == 0 {
        lines = USUAL.1;
    }
    let marks = environment::variable(c"NO_COLOR").is_empty() && environment::variable(c"TERM") != "dumb";
    // The last line is the prompt's.
    Screen { is_wide, columns, lines: lines - 1, marks }
}

/// Whether each service that was asked for is that of a configured target; says if not.
#[inline(never)]
fn has_all_services(seen: &Seen<'_>, console: &mut Console) -> bool {
    let rows = Seen { services: &[], ..*seen }.rows(false);
    let known: Vec<&str> = rows.iter().map(|(_, target)| target.service.as_str()).collect();
    seen.services.iter().all(|service| view::is_known("status", "target", service, &known, console))
}

#[inline(never)]
fn exit_status(seen: &Seen<'_>) -> u8 {
    match seen.life {
        Life::Running(_) | Life::Elsewhere => match seen.states() {
            [0, _, 0] => SUCCESS,
            [_, _, 0] => FAILURE,
            [_, _, _] => DOWN,
        },
        Life::Starting | Life::Ending => FAILURE,
        Life::Killed | Life::Ended | Life::Stopped => NOT_RUNNING,
    }
}

/// Draws `text` over what was there before, in one write. Returns whether it was written.
#[inline(never)]
fn redraw(console: &mut Console, text: &str) -> bool {
    let mut shown = String::from(TOP);
    let mut rest = text;
    while let Some((line, others)) = words::split_once(rest, b'\n') {
        // A line is cleared before it is written: behind its last column some terminals would clear that.
        put(&mut shown, format_args!("{CLEAR_LINE}{line}\n"));
        rest = others;
    }
    shown.push_str(CLEAR_REST);
    console.lines(&shown, limits::PATIENCE)
}
