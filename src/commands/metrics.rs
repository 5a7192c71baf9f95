//! `tcpmon metrics`: the content of the ledger for Prometheus. Like `status` it only reads the ledger; with `-o` it writes
//! one file.

use super::{FAILURE, exit, finish, open_output, view};
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
    let quiet = cli.quiet;
    let output = open_output("metrics", cli.output, console);
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
    finish("metrics", output.as_ref(), &text, (quiet, seen.is_some()), console)
}
