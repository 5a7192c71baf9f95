//! `tcpmon once`: probes each target one time and prints how it went.

use core::fmt::{self, Write};
use std::process::ExitCode;

use super::{heed_signals, load};
use crate::cli::Cli;
use crate::console::Console;
use crate::event_loop::EventLoop;
use crate::limits;
use crate::monitor::{Span, Watch};
use crate::tally::Ending;
use crate::text::Text;
use crate::time::Nanos;

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
    let mut event_loop = EventLoop::new(config, file, span, false, console.without_dots(), signals);
    event_loop.run();
    let (table, worst) = table(event_loop.monitor().live());
    let printed = event_loop.console().lines(&table, limits::PATIENCE);
    ExitCode::from(if printed || quiet { worst } else { worst.max(NOT_CHECKED) })
}

/// The table, and the exit status it stands for.
fn table<'a>(watches: impl Iterator<Item = &'a Watch> + Clone) -> (String, u8) {
    let width = |text: &dyn fmt::Display| Text::<512>::format(format_args!("{text}")).as_str().chars().count();
    let services = watches.clone().map(|watch| width(&watch.target.service)).max().unwrap_or(0).max("Service".len());
    let places = watches.clone().map(|watch| width(&watch.target.place())).max().unwrap_or(0).max("Target".len());
    let mut table = String::new();
    let mut worst = 0;
    // Writing to a String does not fail.
    let _ = writeln!(
        table,
        "{:<services$} | {:<places$} | {:>9} | {:>10} | Result",
        "Service", "Target", "DNS ms", "Connect ms"
    );
    for watch in watches {
        let place = Text::<512>::format(format_args!("{}", watch.target.place()));
        let end = watch.last;
        let (lookup, connect) = (millis(end.and_then(|e| e.lookup)), millis(end.and_then(|e| e.connect)));
        let _ =
            write!(table, "{:<services$} | {place:<places$} | {lookup:>9} | {connect:>10} | ", watch.target.service);
        let _ = match end {
            Some(end) => writeln!(table, "{}", end.ending),
            None => writeln!(table, "not checked"),
        };
        worst = worst.max(match end.map(|end| end.ending) {
            Some(Ending::Connected(_)) => 0,
            Some(Ending::LookupFailed(_) | Ending::ConnectFailed(_)) => FAILED,
            Some(Ending::Skipped(_)) | None => NOT_CHECKED,
        });
    }
    (table, worst)
}

fn millis(time: Option<Nanos>) -> Text<24> {
    match time {
        Some(time) => Text::format(format_args!("{}", time.as_millis())),
        None => Text::format(format_args!("-")),
    }
}
