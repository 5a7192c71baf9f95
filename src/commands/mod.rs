//! The commands, one file each. Commands that only print a text have no file.

mod cgi;
mod check;
mod metrics;
mod once;
mod reload;
mod report;
mod run;
mod status;
mod stop;
mod view;

use core::fmt;

use crate::base::limits;
use crate::core::ledger;
use crate::model::cli::{Cli, Command};
use crate::model::command::usage;
use crate::model::reader::SAMPLE;
use crate::model::run::Run;
use crate::model::settings::Config;
use crate::shell::config_file::{ConfigFile, Source};
use crate::shell::console::Console;
use crate::shell::output::Output;
use crate::shell::place::{By, Found, Place};
use crate::shell::sandbox::confine_command;
use crate::sys;
use crate::sys::descriptor;
use crate::sys::process::{self, exit};
use crate::sys::signal::Signals;

/// Exit status: the command has succeeded.
const SUCCESS: u8 = 0;

/// Exit status: the command has failed.
const FAILURE: u8 = 1;

/// Exit status: the configuration or the command line has mistakes, and nothing was started.
const MISTAKES: u8 = 2;

/// Checks that there is enough memory, also for the mapping of the ledger, and begins to receive signals, before anything
/// slow is done. `None`: one of them failed, and a message was printed. An allocation that fails later aborts without a
/// message.
fn prepare(console: &mut Console) -> Option<Signals> {
    let mut memory = Vec::<u8>::new();
    let needed = limits::MEMORY + ledger::words(limits::RECORDS) * size_of::<u32>();
    let is_reserved = memory.try_reserve_exact(needed).is_ok();
    // Without `black_box` the compiler would remove an allocation that is never used.
    if core::hint::black_box(&memory).capacity() < needed || !is_reserved {
        console.say("memory", format_args!("{} MiB cannot be had, nothing is started", needed >> 20));
        return None;
    }
    drop(memory);
    let signals = Signals::new();
    if let Err(errno) = &signals {
        console.say("signals", format_args!("cannot be received ({}), nothing is started", sys::describe(*errno)));
    }
    signals.ok()
}

/// Runs the command that the arguments name, and ends the process. Nothing is dropped: the kernel frees everything. The
/// name of the program is not among the arguments. They live as long as the process, because a reload reads them again.
pub fn main(arguments: impl IntoIterator<Item = &'static str>) -> ! {
    let mut arguments = arguments.into_iter().peekable();
    let is_start = arguments.peek() == Some(&"start");
    if is_start {
        descriptor::close_inherited();
    }
    let open_console = if is_start { Console::of_start } else { Console::new };
    let cli = match Cli::parse(arguments, &mut |mistake| open_console(false).complain(mistake)) {
        Ok(cli) => cli,
        Err(Command::Once) => exit(once::NOT_CHECKED),
        Err(Command::Status) => exit(FAILURE),
        Err(_) => exit(MISTAKES),
    };
    let mut console = open_console(cli.quiet);
    match cli.command {
        Command::Run | Command::Start => run::run(cli, console, is_start),
        Command::Stop => stop::stop(cli, &mut console),
        Command::Reload => reload::reload(cli, &mut console),
        Command::Status => status::status(cli, &mut console),
        Command::Once => once::once(cli, console),
        Command::Check => check::check(cli, &mut console),
        Command::Report => report::report(cli, &mut console),
        Command::Metrics => metrics::metrics(cli, &mut console),
        Command::Cgi => cgi::cgi(cli, &mut console),
        Command::Sample => print(&mut console, SAMPLE),
        // The console of a start has no standard output.
        Command::Help => print(&mut Console::new(false), &usage(cli.topic)),
        Command::Version => print(&mut Console::new(false), concat!("tcpmon ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn print(console: &mut Console, text: &str) -> ! {
    exit(if console.lines(text, limits::PATIENCE) { SUCCESS } else { FAILURE })
}

/// Reads the configuration and prints every mistake.
fn load(file: &mut ConfigFile, config: &mut Config, console: &mut Console) -> Result<Source, usize> {
    file.load(config, &mut |what| console.complain(what))
}

/// This boot, as it is noted in a ledger; never 0.
fn boot() -> Option<u32> {
    process::boot(&mut [0; 40]).map(|boot| ledger::checksum(boot).max(1))
}

/// Says why a command has failed, and ends it.
fn fail(subject: &str, what: fmt::Arguments<'_>, console: &mut Console) -> ! {
    console.say(subject, what);
    exit(FAILURE)
}

/// The file of `-o`; ends the command if it cannot be one.
fn open_output(subject: &str, path: Option<&'static str>, console: &mut Console) -> Option<Output> {
    let path = path?;
    let output = Output::open(path);
    Some(output.unwrap_or_else(|refusal| fail(subject, format_args!("{path} {refusal}"), console)))
}

/// Ends a command: writes its result to the file of `-o`, or else to standard output, which need not take it with `quiet`.
fn finish(
    subject: &str,
    output: Option<&Output>,
    text: &str,
    (quiet, has_succeeded): (bool, bool),
    console: &mut Console,
) -> ! {
    let is_written = match output.map(|output| (output, output.replace(text))) {
        None => console.lines(text, limits::PATIENCE) || quiet,
        Some((_, Ok(()))) => true,
        Some((output, Err(refusal))) => fail(subject, format_args!("{} {refusal}", output.path()), console),
    };
    exit(if has_succeeded && is_written { SUCCESS } else { FAILURE })
}

/// Confines a command that tells a run something, when it has found the run. The run of another configuration is refused.
fn confine(subject: &str, place: &Place, found: &Found, console: &mut Console) {
    confine_command(place.sandbox);
    let mut room = [0; limits::PATH];
    if let (By::Ledger, Run::Here(pid), Some(other)) =
        (found.by, found.run, place.other_config(&found.snapshot, &mut room))
    {
        let ledger = &place.ledger;
        fail(
            subject,
            format_args!(
                "{ledger} is used by the run of {other} (pid {pid}), which goes on; write tcpmon {subject} -c {other}"
            ),
            console,
        );
    }
}

/// Says why a run cannot be told anything, and ends the command.
fn say_unseen(subject: &str, found: &Found, place: &Place, console: &mut Console) -> ! {
    let ledger = &place.ledger;
    match found.run {
        Run::None => fail(subject, format_args!("no run uses {ledger}, start one with tcpmon start"), console),
        Run::Starting => fail(
            subject,
            format_args!("{ledger} is locked by a process that does not say which one it is; try again"),
            console,
        ),
        Run::Elsewhere | Run::Here(_) => {
            let pid = found.snapshot.as_ref().map_or(0, |snapshot| snapshot.ledger.owner().pid);
            fail(
                subject,
                format_args!(
                    "the run goes on: it cannot be seen from here (pid {pid} of another pid namespace), use that one's tcpmon"
                ),
                console,
            )
        }
    }
}
