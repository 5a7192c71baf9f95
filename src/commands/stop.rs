//! `tcpmon stop`: ends the run of this configuration and waits for its end. It notes in the ledger that the run was
//! stopped, so that cron does not start it again. A service manager would: the main process of a service goes on, and the
//! message names the command that stops the service.

use super::{MISTAKES, SUCCESS, boot, confine, exit, fail, say_unseen};
use crate::base::limits;
use crate::base::text::Pieces;
use crate::core::ledger::Ledger;
use crate::model::cli::Cli;
use crate::model::run::Run;
use crate::shell::console::Console;
use crate::shell::place::Place;
use crate::shell::snapshot::{self, Snapshot, SnapshotError};
use crate::sys::process::{self, Demand};
use crate::sys::{self, Errno, clock, file};

/// Ends the run. Exit status: 0 if none runs any more, 1 if one still does or this is not known, 2 if it cannot be told
/// where the ledger is.
pub fn stop(cli: Cli, console: &mut Console) -> ! {
    let is_noted = !cli.for_restart;
    let Some(place) = Place::read(cli, console) else { exit(MISTAKES) };
    let until = clock::monotonic() + limits::STOP_WAIT;
    let (found, handle) = place.await_run(until);
    let mut room = [0; 1024];
    let stop_command = handle.as_ref().filter(|_| is_noted).and_then(|run| process::stop_command(run.pid(), &mut room));
    confine("stop", &place, &found, console);
    let snapshot = &found.snapshot;
    let Some(handle) = handle else {
        match (found.run, snapshot) {
            (Run::None, Err(SnapshotError::Trouble(trouble))) => {
                fail("stop", format_args!("{} {trouble}, it is not known what runs", place.ledger), console)
            }
            (Run::None, _) => {
                if is_noted {
                    note(snapshot, boot(), console);
                }
                console.line(format_args!("not running, says {}", place.ledger));
                exit(SUCCESS)
            }
            (Run::Starting | Run::Elsewhere | Run::Here(_), _) => say_unseen("stop", &found, &place, console),
        }
    };
    let pid = handle.pid();
    if let Some(command) = stop_command {
        fail(
            "stop",
            format_args!(
                "pid {pid} is the main process of a service, which would start it again: nothing is stopped, run: {}",
                Pieces(&command)
            ),
            console,
        );
    }
    let is_kept = is_noted && note(snapshot, boot(), console);
    match found.send(&handle, Demand::End) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => {
            if is_kept {
                note(snapshot, Some(0), console);
            }
            fail("stop", format_args!("pid {pid} cannot be ended ({}), it goes on", sys::describe(errno)), console);
        }
    }
    while !handle.await_end(limits::LOOK) {
        if clock::monotonic() >= until {
            let limit = limits::STOP_WAIT;
            fail("stop", format_args!("pid {pid} was told to end and has not within {limit}, it may still"), console);
        }
    }
    exit(SUCCESS)
}

/// Notes in the ledger that the run was stopped in this boot; 0: that it was not. Says who will start it again if that
/// cannot be noted. Returns whether it was.
fn note(snapshot: &Result<Snapshot, SnapshotError>, boot: Option<u32>, console: &mut Console) -> bool {
    let write = || {
        let (file, boot) = (&snapshot.as_ref().ok()?.file, boot?);
        let at = Ledger::place_of_stopped(&snapshot::words(file).ok()?)?;
        file::write_word(file, at, boot).ok()
    };
    let is_written = write().is_some();
    if !is_written {
        console.say(
            "stop",
            format_args!(
                "there is no ledger to note it in: cron, or the service that started the run, will start it again"
            ),
        );
    }
    is_written
}
