//! `tcpmon stop`: ends the monitor that uses this configuration's ledger, and waits for its end.

use super::{ExitCode, MISTAKES, ledger_path};
use crate::base::limits;
use crate::base::time::Nanos;
use crate::model::cli::Cli;
use crate::shell::console::Console;
use crate::shell::ledger_file;
use crate::shell::snapshot::{self, SnapshotError};
use crate::sys;
use crate::sys::{clock, process, user};

/// The interval at which `stop` checks whether the process has ended.
const CHECK: Nanos = Nanos::from_millis(20);

/// Ends the monitor. Exit status: 0 if no monitor runs any more, 1 if one still does or this is not known, 2 if the
/// configuration is wrong.
pub fn stop(cli: Cli, console: &mut Console) -> ExitCode {
    let Some(path) = ledger_path(cli, console) else { return ExitCode::from(MISTAKES) };
    let owner = match snapshot::read(&path) {
        Ok(ledger) if snapshot::is_running(&ledger) => ledger.owner(),
        // The run has ended, but the process still prints its last output.
        Ok(ledger) if process::is_alive(ledger.owner()) && ledger_file::is_locked(&path) => ledger.owner(),
        Ok(_) | Err(_) if ledger_file::is_locked(&path) => {
            console.say("stop", format_args!("a monitor runs, but {path} does not say as which pid; nothing is ended"));
            return ExitCode::FAILURE;
        }
        Err(SnapshotError::Trouble(trouble)) => {
            console.say("stop", format_args!("{path} {trouble}, it is not known what runs"));
            return ExitCode::FAILURE;
        }
        Ok(_) | Err(_) => {
            console.line(format_args!("not running"));
            return ExitCode::SUCCESS;
        }
    };
    // The owner of the ledger wrote this pid. With that user's rights we end only what the owner could end, too.
    let sent = user::become_owner_of(path.as_str()).and_then(|()| process::terminate(owner));
    if let Err(errno) = sent.or_else(|errno| if process::is_alive(owner) { Err(errno) } else { Ok(()) }) {
        console.say("stop", format_args!("pid {} cannot be ended ({}), it goes on", owner.pid, sys::describe(errno)));
        return ExitCode::FAILURE;
    }
    let until = clock::monotonic() + limits::STOP_WAIT;
    while process::is_alive(owner) {
        if clock::monotonic() >= until {
            console.say(
                "stop",
                format_args!("pid {} was told to end and has not within {}", owner.pid, limits::STOP_WAIT),
            );
            return ExitCode::FAILURE;
        }
        clock::rest(CHECK);
    }
    ExitCode::SUCCESS
}
