//! `tcpmon check`: reads the configuration and nothing else.

use super::{ExitCode, MISTAKES, load};
use crate::base::text::Count;
use crate::model::cli::Cli;
use crate::shell::config_file::Source;
use crate::shell::console::Console;

/// Tells every mistake, or that there is none.
pub fn check(cli: Cli, console: &mut Console) -> ExitCode {
    match load(cli, console) {
        Ok((config, file, source)) => {
            let place = match source {
                Source::File => file.path().unwrap_or_default(),
                Source::CommandLine => "command line",
                Source::Defaults => "embedded default list",
            };
            let targets = Count(config.targets.len() as u64, "target");
            let in_flight = Count(config.in_flight(), "probe");
            console.line(format_args!("{place}: right, {targets}, at most {in_flight} in flight"));
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::from(MISTAKES),
    }
}
