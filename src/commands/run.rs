//! `tcpmon run`, the main job: watches the targets until it is told to end.

use core::fmt::Write;
use std::process::ExitCode;

use super::{MISTAKES, heed_signals, load};
use crate::cli::Cli;
use crate::config::Config;
use crate::config_file::Source;
use crate::console::Console;
use crate::event_loop::EventLoop;
use crate::limits;
use crate::monitor::Span;

/// Watches. Exit status: 0 at a normal end, 2 where the configuration is wrong, 1 where the run
/// could not be started.
pub fn run(cli: Cli, mut console: Console) -> ExitCode {
    let Some(signals) = heed_signals(&mut console) else { return ExitCode::FAILURE };
    let span = Span { rounds: cli.rounds, duration: cli.duration };
    let Ok((config, file, source)) = load(cli, &mut console) else { return ExitCode::from(MISTAKES) };
    greet(&mut console, &config, source);
    let mut event_loop = EventLoop::new(config, file, span, true, console, signals);
    event_loop.run();
    event_loop.print_summary(limits::LAST_WORDS);
    ExitCode::SUCCESS
}

/// The first words on the console.
fn greet(console: &mut Console, config: &Config, source: Source) {
    let mut words = String::from("Starting TCP Connection Monitor...\n");
    if source == Source::Defaults {
        words.push_str("No targets given: watching the embedded default list of public anycast resolvers\n");
    }
    words.push_str("Monitoring hosts: ");
    for (i, target) in config.targets.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        // Writing to a String does not fail.
        let _ = write!(words, "{comma}{} ({})", target.service, target.place());
    }
    words.push_str("\nPress Ctrl+C to stop\n\n");
    console.lines(&words, limits::LAST_WORDS);
}
