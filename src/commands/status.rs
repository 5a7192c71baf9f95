//! `tcpmon status`: shows the content of the ledger. It only reads the ledger: it works after a crash and does
//! not disturb a running monitor. It locks nothing, sends no signal and writes nothing.

use super::{ExitCode, MISTAKES, ledger_path};
use crate::base::said::Said;
use crate::base::{limits, words};
use crate::model::cli::Cli;
use crate::render::{Seen, json, status as tables};
use crate::shell::console::Console;
use crate::shell::{snapshot, time_zone};
use crate::sys::clock;

/// Terminal codes: move to the top, clear the rest of a line, clear the rest of the screen.
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_REST: &str = "\x1b[J";

/// Shows the ledger, once or repeatedly. Exit status: 0, 1 if there is no ledger to read or the output is closed, 2 if
/// the configuration is wrong.
pub fn status(cli: Cli, console: &mut Console) -> ExitCode {
    let (watch, json) = (cli.watch, cli.json);
    let Some(path) = ledger_path(cli, console) else { return ExitCode::from(MISTAKES) };
    let mut trouble = Said::default();
    let mut wrong_time_zone = Said::default();
    loop {
        time_zone::read(&mut wrong_time_zone, console);
        let ledger = snapshot::read(&path);
        let can_repeat = match &ledger {
            Ok(ledger) => {
                trouble.clear();
                let running = snapshot::is_running(ledger);
                let seen = Seen { ledger, running, now: clock::wall(), local: clock::local };
                let mut text = String::new();
                // Writing to a String does not fail.
                let _ = if json { json::write(&mut text, &seen) } else { tables::write(&mut text, &seen) };
                show(console, &text, watch && !json)
            }
            Err(error) => {
                if trouble.is_new(*error) {
                    console.say("ledger", format_args!("{path} {error}, there is nothing to show"));
                }
                watch
            }
        };
        if !watch || !can_repeat {
            return if can_repeat { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        clock::rest(limits::REFRESH);
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
