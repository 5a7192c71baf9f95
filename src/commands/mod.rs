//! The commands, one file each. Commands that only print a text have no file.

mod check;
mod once;
mod run;
mod status;
mod stop;

use crate::base::limits;
use crate::base::path::Path;
use crate::model::cli::{Cli, Command, USAGE};
use crate::model::reader::SAMPLE;
use crate::model::settings::Config;
use crate::shell::config_file::{ConfigFile, Source};
use crate::shell::console::Console;
use crate::sys;
use crate::sys::descriptor;
use crate::sys::signal::Signals;

/// The exit status of the program. (The value of the standard library's `ExitCode` cannot be read.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// The command has succeeded.
    pub const SUCCESS: Self = Self(0);
    /// The command has failed.
    pub const FAILURE: Self = Self(1);
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

/// Exit status: the configuration or the command line has mistakes, and nothing was started.
const MISTAKES: u8 = 2;

/// Checks that there is enough memory and begins to receive signals, before anything slow is done. `None`:
/// one of them failed, and a message was printed. An allocation that fails later aborts without a message.
fn prepare(console: &mut Console) -> Option<Signals> {
    let mut memory = Vec::<u8>::new();
    let is_reserved = memory.try_reserve_exact(limits::MEMORY).is_ok();
    // Without `black_box` the compiler would remove an allocation that is never used.
    if core::hint::black_box(&memory).capacity() < limits::MEMORY || !is_reserved {
        console.say("memory", format_args!("{} MiB cannot be had, nothing is started", limits::MEMORY >> 20));
        return None;
    }
    drop(memory);
    let signals = Signals::new();
    if let Err(errno) = &signals {
        console.say("signals", format_args!("cannot be received ({}), nothing is started", sys::describe(*errno)));
    }
    signals.ok()
}

/// Runs the command that the arguments name. The name of the program is not among them. They live as long as
/// the process, because a reload reads them again.
pub fn main(arguments: impl IntoIterator<Item = &'static str>) -> ExitCode {
    let cli = match Cli::parse(arguments, &mut |mistake| Console::new(false).complain(mistake)) {
        Ok(cli) => cli,
        Err(Command::Once) => return ExitCode::from(once::NOT_CHECKED),
        Err(_) => return ExitCode::from(MISTAKES),
    };
    if cli.command == Command::Start {
        descriptor::close_inherited();
    }
    let mut console = Console::new(cli.quiet);
    match cli.command {
        Command::Run => run::run(cli, console, false),
        Command::Start => run::run(cli, console, true),
        Command::Stop => stop::stop(cli, &mut console),
        Command::Status => status::status(cli, &mut console),
        Command::Once => once::once(cli, console),
        Command::Check => check::check(cli, &mut console),
        Command::Sample => print(&mut console, SAMPLE),
        Command::Help => print(&mut console, USAGE),
        Command::Version => print(&mut console, concat!("tcpmon ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn print(console: &mut Console, text: &str) -> ExitCode {
    if console.lines(text, limits::PATIENCE) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reads the configuration and prints every mistake.
fn load(cli: Cli, console: &mut Console) -> Result<(Config, ConfigFile, Source), usize> {
    let mut config_file = ConfigFile::new(cli);
    let mut config = Config::new();
    let source = config_file.load(&mut config, &mut |what| console.complain(what))?;
    Ok((config, config_file, source))
}

/// Reads the configuration, prints every mistake, and returns the path of the ledger.
fn ledger_path(cli: Cli, console: &mut Console) -> Option<Path> {
    let (config, ..) = load(cli, console).ok()?;
    Some(config.settings.ledger_path())
}
