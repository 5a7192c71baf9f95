//! `tcpmon once`: probes each target one time and prints how it went.

use super::ExitCode;
use super::grid::{self, Column};
use super::{heed_signals, load, millis};
use crate::cli::Cli;
use crate::confinement::{self, Confinement};
use crate::console::Console;
use crate::event_loop::EventLoop;
use crate::limits;
use crate::monitor::{Span, Watch};
use crate::tally::Ending;

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
    if !confinement::become_user(&config, &file, false, &mut console) {
        return ExitCode::from(NOT_CHECKED);
    }
    Confinement::enter(&config, &file, false, &mut console);
    let mut event_loop = EventLoop::new(config, file, span, false, None, console.without_dots(), signals);
    event_loop.run();
    let (table, worst) = table(event_loop.monitor().live());
    let printed = event_loop.console().lines(&table, limits::PATIENCE);
    ExitCode::from(if printed || quiet { worst } else { worst.max(NOT_CHECKED) })
}

/// The table, and the exit status it stands for.
fn table<'a>(watches: impl Iterator<Item = &'a Watch>) -> (String, u8) {
    let columns = [
        Column("Service", 0, false),
        Column("Target", 0, false),
        Column("DNS ms", 9, true),
        Column("Connect ms", 10, true),
        Column("Result", 0, false),
    ];
    let mut worst = 0;
    let rows = watches.map(|watch| {
        let end = watch.last;
        worst = worst.max(match end.map(|end| end.ending) {
            Some(Ending::Connected(_)) => 0,
            Some(Ending::LookupFailed(_) | Ending::ConnectFailed(_)) => FAILED,
            Some(Ending::Skipped(_)) | None => NOT_CHECKED,
        });
        vec![
            watch.target.service.to_string(),
            watch.target.place().to_string(),
            millis(end.and_then(|end| end.lookup)),
            millis(end.and_then(|end| end.connect)),
            end.map_or("not checked".to_string(), |end| end.ending.to_string()),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    (grid::table(&columns, &rows), worst)
}
