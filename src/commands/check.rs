//! `tcpmon check`: reads the configuration and does nothing else.

use super::{MISTAKES, SUCCESS, exit, load};
use crate::base::text::Count;
use crate::model::cli::Cli;
use crate::model::settings::Config;
use crate::shell::bounds;
use crate::shell::config_file::{ConfigFile, Source};
use crate::shell::console::Console;
use crate::shell::sandbox::confine_command;

/// Prints every mistake, or that there is none. Exit status: 0, or 2 if there are mistakes.
pub fn check(cli: Cli, console: &mut Console) -> ! {
    let mut file = ConfigFile::new(cli);
    let mut config = Config::new();
    let Ok(source) = load(&mut file, &mut config, console) else { exit(MISTAKES) };
    confine_command(config.settings.sandbox);
    let origin = match source {
        Source::File => file.path().unwrap_or_default(),
        Source::CommandLine => "command line",
        Source::Defaults => "embedded default list",
    };
    let targets = Count(config.targets.len() as u64, "target");
    let in_flight = Count(config.in_flight(), "probe");
    bounds::allow_descriptors(&config, console);
    bounds::say_helpers(&config, console);
    console.line(format_args!("{origin}: OK, {targets}, at most {in_flight} in flight"));
    exit(SUCCESS)
}
