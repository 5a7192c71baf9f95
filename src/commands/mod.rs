//! What the command line can ask for, one file a command that does more than print a text.

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

/// What the program tells whoever started it. (The standard library's own cannot be looked into.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// All went well.
    pub const SUCCESS: Self = Self(0);
    /// It could not be done.
    pub const FAILURE: Self = Self(1);
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

/// The configuration is wrong, and nothing was started.
const MISTAKES: u8 = 2;

/// Prepares to be told what to do by signals, before anything takes time, and makes sure of the
/// memory: an allocation that fails later is no message but an abort.
fn heed_signals(console: &mut Console) -> Option<Signals> {
    let mut memory = Vec::<u8>::new();
    let had = memory.try_reserve_exact(limits::MEMORY).is_ok();
    // Seen by nobody, it would not be asked for.
    if core::hint::black_box(&memory).capacity() < limits::MEMORY || !had {
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

/// Does what the arguments behind the program's name ask for. They must live as long as the
/// process, because a reload reads them again.
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

/// Reads the configuration, and tells every mistake.
fn load(cli: Cli, console: &mut Console) -> Result<(Config, ConfigFile, Source), usize> {
    let mut config_file = ConfigFile::new(cli);
    let mut config = Config::new();
    let source = config_file.load(&mut config, &mut |what| console.complain(what))?;
    Ok((config, config_file, source))
}

/// Reads the configuration, tells every mistake, and gives the ledger's path.
fn ledger_path(cli: Cli, console: &mut Console) -> Option<Path> {
    let (config, ..) = load(cli, console).ok()?;
    Some(config.settings.ledger_path())
}
