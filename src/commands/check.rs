//! `tcpmon check`: reads the configuration and does nothing else.

use super::{ExitCode, MISTAKES, load};
use crate::base::text::Count;
use crate::model::cli::Cli;
use crate::shell::bounds;
use crate::shell::config_file::Source;
use crate::shell::console::Console;

/// Prints every mistake, or that there is none. Exit status: 0, or 2 if there are mistakes.
pub fn check(cli: Cli, console: &mut Console) -> ExitCode {
    match load(cli, console) {
        Ok((config, file, source)) => {
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
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::from(MISTAKES),
    }
}
