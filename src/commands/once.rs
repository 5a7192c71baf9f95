//! `tcpmon once`: probes each target one time and prints how it went.

use core::fmt::Write;

use super::grid::{self, Column, WORDS};
use super::{ExitCode, Millis, heed_signals, load};
use crate::base::limits;
use crate::core::monitor::{Span, TargetEntry};
use crate::core::probe::End;
use crate::model::cli::Cli;
use crate::model::reason::Ending;
use crate::shell::change_user;
use crate::shell::console::Console;
use crate::shell::event_loop::EventLoop;
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
    let mut event_loop = EventLoop::new(config, file, span, false, None, console.without_dots(), signals);
    event_loop.run();
    let (table, worst) = table(event_loop.monitor().live());
    let printed = event_loop.console().lines(&table, limits::PATIENCE);
    ExitCode::from(if printed || quiet { worst } else { worst.max(NOT_CHECKED) })
}

/// The table, and the exit status it stands for.
fn table<'a>(watches: impl Iterator<Item = &'a TargetEntry>) -> (String, u8) {
    let mut cells = String::from("Service\tTarget\tDNS ms\tConnect ms\tResult\t");
    let mut worst = 0;
    for watch in watches {
        worst = worst.max(match watch.last.map(|end| end.ending) {
            Some(Ending::Connected(_)) => 0,
            Some(Ending::LookupFailed(_) | Ending::ConnectFailed(_)) => FAILED,
            Some(Ending::Skipped(_)) | None => NOT_CHECKED,
        });
        // Writing to a String does not fail, here and below.
        let _ = write!(cells, "{}\t{}\t", watch.target.service, watch.target.endpoint());
        let _ = match &watch.last {
            Some(End { ending, lookup, connect, .. }) => {
                write!(cells, "{}\t{}\t{ending}\t", Millis(lookup, "-"), Millis(connect, "-"))
            }
            None => cells.write_str("-\t-\tnot checked\t"),
        };
    }
    let mut table = String::new();
    const COLUMNS: [Column; 5] = [WORDS, WORDS, Column(9, true), Column(10, true), WORDS];
    grid::write(&mut table, &COLUMNS, &cells);
    (table, worst)
}
