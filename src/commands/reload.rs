//! `tcpmon reload`: lets the run of this configuration read its file again, and waits for its answer in the ledger.

use core::fmt;

use super::{MISTAKES, SUCCESS, confine, exit, fail, load, say_unseen};
use crate::base::limits;
use crate::core::ledger::ReloadResult;
use crate::model::cli::Cli;
use crate::model::settings::Config;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::place::{By, Place};
use crate::shell::snapshot::Snapshot;
use crate::sys::process::Demand;
use crate::sys::{self, clock};

/// Checks the file and has it read again. Exit status: 0 if the run has applied it, 1 if it has not or none runs, 2 if the
/// file has mistakes: then the run is not told.
pub fn reload(cli: Cli, console: &mut Console) -> ! {
    let mut file = ConfigFile::new(cli);
    let mut config = Config::new();
    if load(&mut file, &mut config, console).is_err() {
        console.say("reload", format_args!("nothing is changed, a run goes on with what it has"));
        exit(MISTAKES);
    }
    let place = Place::of(&config, &file);
    let until = clock::monotonic() + limits::STOP_WAIT;
    let (found, handle) = place.await_run(until);
    confine("reload", &place, &found, console);
    let Some(handle) = handle else { say_unseen("reload", &found, &place, console) };
    let pid = handle.pid();
    let mut fail = |what: fmt::Arguments<'_>| -> ! { fail("reload", what, console) };
    if found.by == By::Configuration {
        fail(format_args!(
            "the run (pid {pid}) has another ledger than {}, start it anew (tcpmon stop, then tcpmon start)",
            place.ledger
        ));
    }
    let before = found.ledger().map(|snapshot| snapshot.ledger.reloads());
    if let Err(errno) = found.send(&handle, Demand::Reload) {
        fail(format_args!("pid {pid} cannot be told ({}), nothing changes", sys::describe(errno)));
    }
    let Some(before) = before else {
        fail(format_args!("pid {pid} was told, but has no ledger to answer in; its messages say what came of it"));
    };
    loop {
        // By its path: the run may have to write its ledger anew.
        let answer = Snapshot::read(&place.ledger).ok().map(|snapshot| snapshot.ledger);
        if let Some(answer) = answer.filter(|answer| answer.reloads() != before) {
            let answer = answer.reload();
            if answer.result != ReloadResult::Applied {
                fail(format_args!("{answer}; the configuration in force stays"));
            }
            console.line(format_args!("{answer}"));
            exit(SUCCESS);
        }
        if handle.await_end(limits::LOOK) {
            fail(format_args!("pid {pid} has ended without an answer"));
        }
        if clock::monotonic() >= until {
            let limit = limits::STOP_WAIT;
            fail(format_args!("pid {pid} has not answered within {limit}; it may ignore HUP (nohup)"));
        }
    }
}
