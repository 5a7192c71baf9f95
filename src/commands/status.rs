//! `tcpmon status`: shows the content of the ledger. It only reads the ledger: it works after a crash and does
//! not disturb a running monitor. It locks nothing, sends no signal and writes nothing.

use super::{FAILURE, SUCCESS, boot, exit};
use crate::base::said::Said;
use crate::base::text::Text;
use crate::base::{limits, words};
use crate::core::health::State;
use crate::core::ledger::{Ledger, Usage};
use crate::model::cli::Cli;
use crate::model::run::Run;
use crate::render::{Life, Seen, json, status as tables};
use crate::shell::console::Console;
use crate::shell::place::{By, Found, Place};
use crate::shell::sandbox::confine_command;
use crate::shell::snapshot::{Snapshot, SnapshotError};
use crate::shell::time_zone;
use crate::sys::clock;

/// Terminal codes: move to the top, clear the rest of a line, clear the rest of the screen.
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_REST: &str = "\x1b[J";

/// Exit status: a target is down.
const DOWN: u8 = 2;

/// Exit status: no run.
const NOT_RUNNING: u8 = 3;

/// Shows the ledger, once or repeatedly. Exit status: 0 if a run is there and every configured target is up, 2 if one is
/// down, 3 if there is no run, 1 for everything else.
pub fn status(cli: Cli, console: &mut Console) -> ! {
    let (watch, json, verbose) = (cli.watch, cli.json, cli.verbose);
    let Some(place) = Place::read(cli, console) else { exit(FAILURE) };
    confine_command(place.sandbox);
    let mut said = Said::default();
    let mut wrong_time_zone = Said::default();
    loop {
        time_zone::read(&mut wrong_time_zone, console);
        let found = place.find();
        let message = message(&place, &found);
        if said.is_new(message) && !message.is_empty() {
            console.say("ledger", format_args!("{message}"));
        }
        let mut is_shown = true;
        let mut status = FAILURE;
        match (&found.snapshot, found.by) {
            (Ok(Snapshot { ledger, .. }), By::Ledger) => {
                let life = life(found.run, ledger);
                status = exit_status(life, ledger);
                let seen = Seen { ledger, life, now: clock::wall(), local: clock::local };
                let mut text = String::new();
                // Writing to a String does not fail.
                let _ = if json { json::write(&mut text, &seen) } else { tables::write(&mut text, &seen, verbose) };
                is_shown = show(console, &text, watch && !json);
            }
            (Err(SnapshotError::Nothing), By::Ledger) => status = NOT_RUNNING,
            (_, By::Ledger | By::Name | By::Configuration) => {}
        }
        if !watch || !is_shown {
            exit(if is_shown { status } else { FAILURE });
        }
        clock::rest(limits::REFRESH);
    }
}

fn life(run: Run, ledger: &Ledger) -> Life {
    match run {
        Run::Here(_) | Run::Elsewhere if ledger.is_ending() => Life::Ending,
        Run::Here(pid) => Life::Running(pid),
        Run::Elsewhere => Life::Elsewhere,
        Run::Starting => Life::Starting,
        Run::None if Some(ledger.stopped()) == boot() => Life::Stopped,
        Run::None if ledger.is_running() => Life::Killed,
        Run::None => Life::Ended,
    }
}

fn exit_status(life: Life, ledger: &Ledger) -> u8 {
    match life {
        Life::Running(_) | Life::Elsewhere => {
            let mut status = SUCCESS;
            for (_, record) in ledger.records() {
                match record.state().0 {
                    State::Down if record.usage() == Usage::Live => return DOWN,
                    State::Unknown if record.usage() == Usage::Live => status = FAILURE,
                    State::Up | State::Down | State::Unknown => {}
                }
            }
            status
        }
        Life::Starting | Life::Ending => FAILURE,
        Life::Killed | Life::Ended | Life::Stopped => NOT_RUNNING,
    }
}

/// What is to be said about the ledger beside what it shows; empty if nothing is.
fn message(place: &Place, found: &Found) -> Text<{ limits::MESSAGE }> {
    let (ledger, config, mut room) = (&place.ledger, &place.config, [0; limits::PATH]);
    let pid = match found.run {
        Run::Here(pid) => pid,
        Run::None | Run::Starting | Run::Elsewhere => 0,
    };
    let other = place.other_config(&found.snapshot, &mut room);
    match (found.by, &found.snapshot, other) {
        (By::Configuration, ..) => Text::format(format_args!(
            "the run (pid {pid}) has another one than {ledger}, log_dir or ledger was changed since its start; start it anew (tcpmon stop, then tcpmon start)"
        )),
        (By::Name, ..) => Text::format(format_args!(
            "{ledger} is not there or no ledger, a run (pid {pid}) goes on without it; its messages say why"
        )),
        (By::Ledger, Err(error), _) => Text::format(format_args!("{ledger} {error}, there is nothing to show")),
        (By::Ledger, Ok(_), Some(other)) if found.run != Run::None => {
            Text::format(format_args!("{ledger} is that of the run of {other}, not of {config}; this is what it shows"))
        }
        (By::Ledger, Ok(_), _) => Text::new(),
    }
}

/// Prints `text`; with `in_place` and on a terminal, over what was there before. Returns whether it was printed.
fn show(console: &mut Console, text: &str, in_place: bool) -> bool {
    if in_place && console.is_terminal() {
        let mut shown = String::from(TOP);
        let mut rest = text;
        while let Some((line, others)) = words::split_once(rest, b'\n') {
            shown.push_str(line);
            shown.push_str(CLEAR_LINE);
            rest = others;
        }
        shown.push_str(CLEAR_REST);
        console.lines(&shown, limits::PATIENCE)
    } else {
        console.lines(text, limits::PATIENCE)
    }
}
