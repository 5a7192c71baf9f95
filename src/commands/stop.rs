//! `tcpmon stop`: ends what runs with this configuration's ledger, and waits for it.

use super::{ExitCode, MISTAKES, ledger_path};
use crate::base::limits;
use crate::base::time::Nanos;
use crate::model::cli::Cli;
use crate::shell::console::Console;
use crate::shell::ledger_file;
use crate::shell::snapshot::{self, SnapshotError};
use crate::sys;
use crate::sys::{clock, process, user};

/// How often it is looked whether the process is gone.
const LOOK: Nanos = Nanos::from_millis(20);

/// Ends it. Exit status: 0 where nothing runs any more, 1 where something still does, 2 where the
/// configuration is wrong, so that it is not known what was meant.
pub fn stop(cli: Cli, console: &mut Console) -> ExitCode {
    let Some(path) = ledger_path(cli, console) else { return ExitCode::from(MISTAKES) };
    let owner = match snapshot::read(&path) {
        Ok(ledger) if snapshot::is_running(&ledger) => ledger.owner(),
        // It says its last words.
        Ok(ledger) if process::is_alive(ledger.owner()) && ledger_file::is_locked(&path) => ledger.owner(),
        Ok(_) | Err(_) if ledger_file::is_locked(&path) => {
            console.say("stop", format_args!("a monitor runs, but {path} does not say as which pid; nothing is ended"));
            return ExitCode::FAILURE;
        }
        Err(SnapshotError::Trouble(trouble)) => {
            console.say("stop", format_args!("{path} {trouble}, it cannot be known what runs"));
            return ExitCode::FAILURE;
        }
        Ok(_) | Err(_) => {
            console.line(format_args!("not running"));
            return ExitCode::SUCCESS;
        }
    };
    // The pid is what the ledger's owner has written there: root ends nothing that the owner could not.
    let told = user::become_owner_of(path.as_str()).and_then(|()| process::terminate(owner));
    if let Err(errno) = told.or_else(|errno| if process::is_alive(owner) { Err(errno) } else { Ok(()) }) {
        console.say("stop", format_args!("pid {} cannot be ended ({}), it goes on", owner.pid, sys::describe(errno)));
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
