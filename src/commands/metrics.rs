//! `tcpmon metrics`: the content of the ledger for Prometheus. Like `status` it only reads the ledger; with `-o` it writes
//! one file.

use super::{FAILURE, SUCCESS, exit, fail, view};
use crate::base::limits;
use crate::model::cli::Cli;
use crate::model::run::Run;
use crate::render::metrics::{write, write_monitor};
use crate::shell::console::Console;
use crate::shell::output::Output;
use crate::shell::place::Place;
use crate::shell::sandbox::confine_writer;

/// Prints the metrics, or writes them to a file. Exit status: 0; 1 without a ledger, then they only tell whether a run is
/// there; and 1 if they cannot be written.
pub fn metrics(cli: Cli, console: &mut Console) -> ! {
    let (quiet, path) = (cli.quiet, cli.output);
    let output = path.map(|path| {
        Output::open(path).unwrap_or_else(|refusal| fail("metrics", format_args!("{path} {refusal}"), console))
    });
    let Some(place) = Place::read(cli, console) else { exit(FAILURE) };
    confine_writer(place.sandbox, output.as_ref().map(Output::directory));
    let found = place.find();
    let message = view::message(&place, &found);
    if !message.is_empty() {
        console.say("ledger", format_args!("{message}"));
    }
    let mut text = String::new();
    let seen = view::seen(&found, &[]);
    match &seen {
        Some(seen) => write(&mut text, seen),
        None => write_monitor(&mut text, found.run != Run::None, None),
    }
    match output {
        Some(output) => {
            if let Err(refusal) = output.replace(&text) {
                fail("metrics", format_args!("{} {refusal}", output.path()), console);
            }
        }
        None if console.lines(&text, limits::PATIENCE) || quiet => {}
        None => exit(FAILURE),
    }
    exit(if seen.is_some() { SUCCESS } else { FAILURE })
}
