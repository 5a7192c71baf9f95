//! `tcpmon once`: probes each target one time and prints the results.

use super::{exit, load, prepare};
use crate::base::limits;
use crate::core::monitor::{Span, TargetEntry};
use crate::core::probe::End;
use crate::model::cli::Cli;
use crate::model::reason::Ending;
use crate::model::settings::Config;
use crate::model::target::{Family, Target};
use crate::render;
use crate::shell::change_user;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::event_loop::{EventLoop, Start};
use crate::shell::families::{self, Alone, FAMILIES};

/// Exit status: a target did not connect.
const FAILED: u8 = 2;

/// Exit status: the check itself failed.
pub const NOT_CHECKED: u8 = 3;

/// Probes each target one time. Exit status: 0 if all connected, 2 if one did not, 3 if a target could not be
/// checked or the check itself failed.
pub fn once(cli: Cli, mut console: Console) -> ! {
    let (quiet, json) = (cli.quiet, cli.json);
    let Some(signals) = prepare(&mut console) else { exit(NOT_CHECKED) };
    let mut file = ConfigFile::new(cli);
    let mut config = Config::new();
    if load(&mut file, &mut config, &mut console).is_err() {
        exit(NOT_CHECKED);
    }
    // If the probes were spread over an interval, the single round could last an hour.
    config.settings.spread = false;
    let (span, helpers) = (Span { rounds: Some(1), duration: None }, config.helpers());
    let targets = config.targets.len();
    if !change_user::become_user(&config, &file, false, &mut console) {
        exit(NOT_CHECKED);
    }
    let mut event_loop = EventLoop::new(Start {
        config,
        config_file: file,
        span,
        ledger_file: None,
        console: console.without_dots(),
        signals,
    });
    event_loop.keep_attempts(targets);
    event_loop.run();
    let (monitor, mut result) = (event_loop.monitor(), String::new());
    let worst = worst(monitor.live());
    let write = if json { render::once::write_json } else { render::once::write };
    write(&mut result, monitor);
    let printed = event_loop.console().lines(&result, limits::PATIENCE);
    if printed && !quiet {
        say_families(&mut event_loop, usize::from(helpers));
    }
    exit(if printed || quiet { worst } else { worse(worst, NOT_CHECKED) })
}

/// Looks up in each family alone the names whose lookup in both has failed, and says what that gives.
fn say_families(event_loop: &mut EventLoop, helpers: usize) {
    let mut failed: Vec<Target> = Vec::new();
    for entry in event_loop.monitor().live() {
        let has_failed = matches!(&entry.last, Some(End { ending: Ending::LookupFailed(_), .. }));
        let is_known = failed.iter().any(|target| target.host == entry.target.host);
        if has_failed && entry.target.family == Family::Any && !is_known {
            for (family, ..) in FAMILIES {
                failed.push(Target { family, ..entry.target });
            }
        }
    }
    let timeout = event_loop.monitor().settings().thresholds.timeout;
    let found = families::look_up(&failed, helpers, timeout);
    for (targets, found) in failed.chunks(FAMILIES.len()).zip(found.chunks(FAMILIES.len())) {
        event_loop.console().say(targets[0].host.as_str(), format_args!("{}", Alone(found)));
    }
}

/// The exit status of the worst result.
fn worst<'a>(entries: impl Iterator<Item = &'a TargetEntry>) -> u8 {
    entries.fold(0, |worst, entry| {
        let status = match entry.last.as_ref().map(|end| &end.ending) {
            Some(Ending::Connected(_)) => 0,
            Some(Ending::LookupFailed(_) | Ending::ConnectFailed(..)) => FAILED,
            Some(Ending::Skipped(_)) | None => NOT_CHECKED,
        };
        worse(worst, status)
    })
}

/// The worse of two exit statuses. That a target has failed is known, and so is worse than what is not known.
fn worse(one: u8, other: u8) -> u8 {
    if [one, other].contains(&FAILED) { FAILED } else { one.max(other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_has_failed_outweighs_one_that_could_not_be_checked() {
        for (one, other, status) in
            [(0, 0, 0), (0, FAILED, FAILED), (0, NOT_CHECKED, NOT_CHECKED), (FAILED, NOT_CHECKED, FAILED)]
        {
            assert_eq!((worse(one, other), worse(other, one)), (status, status));
        }
    }
}
