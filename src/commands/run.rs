//! `tcpmon run`, which watches the targets until it is told to end, and `tcpmon start`, which does the same in
//! the background.

use core::fmt::Write;

use super::{ExitCode, MISTAKES, load, prepare};
use crate::base::{limits, words};
use crate::core::monitor::Span;
use crate::model::cli::Cli;
use crate::model::settings::Config;
use crate::shell::change_user;
use crate::shell::config_file::Source;
use crate::shell::console::Console;
use crate::shell::event_loop::{EventLoop, Start};
use crate::shell::ledger_file::{LedgerFile, Running};
use crate::shell::sandbox::Confinement;
use crate::sys;
use crate::sys::background::{self, Fork};
use crate::sys::process;

/// Watches the targets. Exit status: 0 after a normal end, 2 if the configuration is wrong, 1 if the run could
/// not start. With `in_background` this is the status of the process that stays in the foreground: 0 if a run
/// has started or is there already.
pub fn run(cli: Cli, mut console: Console, in_background: bool) -> ExitCode {
    process::set_umask();
    let Some(signals) = prepare(&mut console) else { return ExitCode::FAILURE };
    let span = Span { rounds: cli.rounds, duration: cli.duration };
    let Ok((config, file, source)) = load(cli, &mut console) else { return ExitCode::from(MISTAKES) };
    if in_background && has_relative_path(&config, &mut console) {
        return ExitCode::from(MISTAKES);
    }
    if !change_user::become_user(&config, &file, true, &mut console) {
        return ExitCode::FAILURE;
    }
    let ledger_file = match LedgerFile::lock(config.settings.ledger_path()) {
        Ok(file) => file,
        Err(_) if in_background => return ExitCode::SUCCESS,
        Err(Running(owner)) => {
            match owner {
                Some(owner) => console.say("start", format_args!("already running as pid {}", owner.pid)),
                None => console.say("start", format_args!("already running")),
            }
            return ExitCode::FAILURE;
        }
    };
    let mut starter = None;
    if in_background {
        match background::go_to_background() {
            Ok(Fork::Background(found)) => starter = Some(found),
            Ok(Fork::Foreground { started: true }) => return ExitCode::SUCCESS,
            Ok(Fork::Foreground { started: false }) => {
                console.say("start", format_args!("the background process ended at once, the system log may say why"));
                return ExitCode::FAILURE;
            }
            Err(errno) => {
                let why = sys::describe(errno);
                console.say("start", format_args!("no background process could be made ({why}), nothing is started"));
                return ExitCode::FAILURE;
            }
        }
        // The process that started us waits until all copies of its pipes are closed: this closes ours.
        console = Console::of_background();
    } else {
        greet(&mut console, &config, source);
    }
    let confinement = Confinement::enter(&config, &file, true, &mut console);
    let mut event_loop =
        EventLoop::new(Start { config, config_file: file, span, ledger_file: Some(ledger_file), console, signals });
    event_loop.set_confinement(confinement);
    if let Some(starter) = starter {
        starter.tell_started();
    }
    event_loop.run();
    if !in_background {
        event_loop.print_summary(limits::LAST_WORDS);
    }
    ExitCode::SUCCESS
}

/// Whether a path is relative, and if so prints why that is wrong. Cron starts its jobs in a directory where no
/// operator looks, and a second start or a `status` in another directory would use another file.
fn has_relative_path(config: &Config, console: &mut Console) -> bool {
    let (log_dir, ledger) = (config.settings.log_dir.as_str(), config.settings.ledger.as_str());
    let mut found = complain_if_relative("log_dir", log_dir, console);
    // A ledger without a slash lies in log_dir.
    if words::contains(ledger, b'/') {
        found |= complain_if_relative("ledger", ledger, console);
    }
    found
}

fn complain_if_relative(name: &str, path: &str, console: &mut Console) -> bool {
    let is_relative = !path.starts_with('/');
    if is_relative {
        console.complain(format_args!(
            "{name} \"{path}\" is relative, for a run in the background write a path that begins with /"
        ));
    }
    is_relative
}

/// Prints the first lines on the console.
fn greet(console: &mut Console, config: &Config, source: Source) {
    let mut words = String::from("Starting TCP Connection Monitor...\n");
    if source == Source::Defaults {
        words.push_str("No targets given: watching the embedded default list of public anycast resolvers\n");
    }
    words.push_str("Monitoring hosts: ");
    for (i, target) in config.targets.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        // Writing to a String does not fail.
        let _ = write!(words, "{comma}{} ({})", target.service, target.endpoint());
    }
    words.push_str("\nPress Ctrl+C to stop\n\n");
    console.lines(&words, limits::LAST_WORDS);
}
