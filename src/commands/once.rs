//! `tcpmon once`: probes each target one time and prints how it went.

use super::{ExitCode, heed_signals, load};
use crate::base::limits;
use crate::core::monitor::{Span, TargetEntry};
use crate::model::cli::Cli;
use crate::model::reason::Ending;
use crate::render;
use crate::shell::change_user;
use crate::shell::console::Console;
use crate::shell::event_loop::{EventLoop, Start};
use crate::shell::sandbox::Confinement;

/// A target did not connect.
const FAILED: u8 = 2;

/// The check itself could not be made.
pub const NOT_CHECKED: u8 = 3;

/// Probes each target one time. Exit status: 0 all connected, 2 one did not, 3 the check could not
/// be made, for all targets or for one.
pub fn once(cli: Cli, mut console: Console) -> ExitCode {
    let quiet = cli.quiet;
    let Some(signals) = heed_signals(&mut console) else { return ExitCode::from(NOT_CHECKED) };
    let Ok((mut config, file, _)) = load(cli, &mut console) else { return ExitCode::from(NOT_CHECKED) };
    // Spread over an interval, the only round could take an hour.
    config.settings.spread = false;
    let span = Span { rounds: Some(1), duration: None };
    if !change_user::become_user(&config, &file, false, &mut console) {
        return ExitCode::from(NOT_CHECKED);
    }
    Confinement::enter(&config, &file, false, &mut console);
    let mut event_loop = EventLoop::new(Start {
        config,
        config_file: file,
        span,
        ledger_file: None,
        console: console.without_dots(),
        signals,
    });
    event_loop.run();
    let worst = worst(event_loop.monitor().live());
    let mut table = String::new();
    // Writing to a String does not fail.
    let _ = render::once::write(&mut table, event_loop.monitor().live());
    let printed = event_loop.console().lines(&table, limits::PATIENCE);
    ExitCode::from(if printed || quiet { worst } else { worst.max(NOT_CHECKED) })
}

/// The exit status that stands for the worst ending.
fn worst<'a>(entries: impl Iterator<Item = &'a TargetEntry>) -> u8 {
    entries.fold(0, |worst, entry| {
        worst.max(match entry.last.as_ref().map(|end| &end.ending) {
            Some(Ending::Connected(_)) => 0,
            Some(Ending::LookupFailed(_) | Ending::ConnectFailed(_)) => FAILED,
            Some(Ending::Skipped(_)) | None => NOT_CHECKED,
        })
    })
}
