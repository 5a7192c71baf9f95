//! `tcpmon stop`: ends what runs with this configuration's ledger, and waits for it.

use std::process::ExitCode;

use super::load_settings;
use crate::cli::Cli;
use crate::console::Console;
use crate::ledger_file::{self, Look};
use crate::limits;
use crate::sys::{clock, process};
use crate::time::Nanos;

/// How often it is looked whether the process is gone.
const LOOK: Nanos = Nanos::from_millis(20);

/// Ends it. Exit status: 0 where nothing runs any more, 1 where something still does or cannot be
/// known to.
pub fn stop(cli: Cli, mut console: Console) -> ExitCode {
    let path = load_settings(cli, &mut console).ledger_path();
    let owner = match ledger_file::look(&path) {
        Ok(ledger) if ledger_file::is_running(&ledger) => ledger.owner(),
        Ok(_) | Err(Look::Nothing) => {
            console.line(format_args!("not running"));
            return ExitCode::SUCCESS;
        }
        Err(look) => {
            console.say("ledger", format_args!("{path} {look}, it cannot be known what runs"));
            return ExitCode::FAILURE;
        }
    };
    if let Err(errno) = process::terminate(owner)
        && process::is_alive(owner)
    {
        console.say("stop", format_args!("pid {} cannot be ended ({}), it goes on", owner.pid, errno.desc()));
        return ExitCode::FAILURE;
    }
    let until = clock::monotonic() + limits::STOP_WAIT;
    while process::is_alive(owner) {
        if clock::monotonic() >= until {
            console.say(
                "stop",
                format_args!("pid {} has not ended within {}, it was told to", owner.pid, limits::STOP_WAIT),
            );
            return ExitCode::FAILURE;
        }
        clock::rest(LOOK);
    }
    ExitCode::SUCCESS
}
