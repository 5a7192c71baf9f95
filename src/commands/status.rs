//! `tcpmon status`: what the ledger says, of a monitor that runs and of one that does not any more. It only
//! reads the ledger: it takes no lock, sends no signal and writes nothing.

use super::{ExitCode, MISTAKES, ledger_path};
use crate::base::said::Said;
use crate::base::{limits, words};
use crate::model::cli::Cli;
use crate::render::{Seen, json, status as tables};
use crate::shell::console::Console;
use crate::shell::{event_loop, snapshot};
use crate::sys::clock;

/// To the top of the terminal, and what is left of each line and of the screen cleared.
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_REST: &str = "\x1b[J";

/// Shows it, once or again and again. Exit status: 0, 1 where there is no ledger to read, 2 where the configuration
/// is wrong.
pub fn status(cli: Cli, console: &mut Console) -> ExitCode {
    let (watch, json) = (cli.watch, cli.json);
    let Some(path) = ledger_path(cli, console) else { return ExitCode::from(MISTAKES) };
    let mut trouble = Said::default();
    let mut time_zone = Said::default();
    loop {
        event_loop::read_time_zone(&mut time_zone, console);
        let seen = snapshot::read(&path);
        let goes_on = match &seen {
            Ok(ledger) => {
                trouble = Said::default();
                let running = snapshot::is_running(ledger);
                let seen = Seen { ledger, running, now: clock::wall(), local: clock::local };
                let mut text = String::new();
                // Writing to a String does not fail.
                let _ = if json { json::write(&mut text, &seen) } else { tables::write(&mut text, &seen) };
                show(console, &text, watch && !json)
            }
            Err(look) => {
                if trouble.is_new(*look) {
                    console.say("ledger", format_args!("{path} {look}, there is nothing to show"));
                }
                watch
            }
        };
        if !watch || !goes_on {
            return if goes_on { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        clock::rest(limits::REFRESH);
    }
}

/// Prints it; at a terminal in place of what was there before.
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
