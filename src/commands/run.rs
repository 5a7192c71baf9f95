//! `tcpmon run`, the main job: watches the targets until it is told to end; and `tcpmon start`, the
//! same in the background.

use core::fmt::Write;
use std::process::ExitCode;

use super::{MISTAKES, heed_signals, load};
use crate::cli::Cli;
use crate::config::Config;
use crate::config_file::Source;
use crate::console::Console;
use crate::event_loop::EventLoop;
use crate::ledger_file::{LedgerFile, Lock, WITHOUT};
use crate::limits;
use crate::monitor::Span;
use crate::sys::process;

/// Watches. Exit status: 0 at a normal end, 2 where the configuration is wrong, 1 where the run
/// could not be started.
pub fn run(cli: Cli, mut console: Console) -> ExitCode {
    let Some(signals) = heed_signals(&mut console) else { return ExitCode::FAILURE };
    let span = Span { rounds: cli.rounds, duration: cli.duration };
    let Ok((config, file, source)) = load(cli, &mut console) else { return ExitCode::from(MISTAKES) };
    let lock = LedgerFile::lock(config.settings.ledger_path());
    if let Lock::Running(owner) = lock {
        match owner {
            Some(owner) => console.say("start", format_args!("already running as pid {}", owner.pid)),
            None => console.say("start", format_args!("already running")),
        }
        return ExitCode::FAILURE;
    }
    greet(&mut console, &config, source);
    let ledger_file = held(lock, &config, &mut console);
    let mut event_loop = EventLoop::new(config, file, span, true, ledger_file.0, console, signals);
    event_loop.run();
    event_loop.print_summary(limits::LAST_WORDS);
    ExitCode::SUCCESS
}

/// Watches in the background. Exit status of what is in the foreground: 0 where a run has started
/// or one is there already, else as above.
pub fn start(cli: Cli, mut console: Console) -> ExitCode {
    let Some(signals) = heed_signals(&mut console) else { return ExitCode::FAILURE };
    let span = Span { rounds: cli.rounds, duration: cli.duration };
    let Ok((config, file, _)) = load(cli, &mut console) else { return ExitCode::from(MISTAKES) };
    let lock = LedgerFile::lock(config.settings.ledger_path());
    if let Lock::Running(_) = lock {
        return ExitCode::SUCCESS;
    }
    if let Err(errno) = process::go_to_background() {
        console
            .say("start", format_args!("no background process could be made ({}), nothing is started", errno.desc()));
        return ExitCode::FAILURE;
    }
    // Whoever started us waits until nobody has its pipes any more.
    drop(console);
    let mut console = Console::of_background();
    let ledger_file = held(lock, &config, &mut console);
    let mut event_loop = EventLoop::new(config, file, span, true, ledger_file.0, console, signals);
    event_loop.run();
    ExitCode::SUCCESS
}

/// The file that was locked; if there is none, that is said. What stands for it is kept as long.
fn held(lock: Lock, config: &Config, console: &mut Console) -> (Option<LedgerFile>, Option<std::os::fd::OwnedFd>) {
    match lock {
        Lock::Held(file) => (Some(file), None),
        Lock::Impossible(trouble, claim) => {
            console.say("ledger", format_args!("{} {trouble}, {WITHOUT}", config.settings.ledger_path()));
            (None, Some(claim))
        }
        Lock::Running(_) => (None, None),
    }
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
