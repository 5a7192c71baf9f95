//! Becoming the user that the configuration names.

use core::fmt;
use std::os::fd::OwnedFd;

use crate::base::path;
use crate::model::log_names;
use crate::model::passwd::User;
use crate::model::settings::Config;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::ledger_file;
use crate::sys::directory::Directory;
use crate::sys::user::{self, Gift};
use crate::sys::{Errno, describe};

/// Becomes the configured user. If the run is `kept` (keeps files between runs), the user first gets the files that it
/// needs. Returns whether the run may start, and reports problems.
pub fn become_user(config: &Config, file: &ConfigFile, kept: bool, console: &mut Console) -> bool {
    let Some(user) = file.user().filter(|user| !user::is(user.uid)) else { return true };
    let name = config.settings.user;
    if !user::is_root() {
        console.say("user", format_args!("only root can become {name}, this run keeps its user"));
        return true;
    }
    if kept {
        let _ = hand_over(config, user, false);
    }
    match user::switch_to(user) {
        Ok(()) => {
            let directory = config.settings.log_dir;
            let opened = Directory::open(directory.as_str());
            let wrong = match &opened {
                Err(Errno::EACCES) => ["enter a directory above ", "open that one to it"],
                Ok(directory) if directory.check() == Err(Errno::EACCES) => ["write in ", "chown it"],
                Ok(_) | Err(_) => [""; 2],
            };
            if kept && !wrong[0].is_empty() {
                let [what, cure] = wrong;
                console
                    .say("user", format_args!("{name} cannot {what}{directory}, {cure}: until then there is no log"));
            }
            true
        }
        Err(errno) => {
            console
                .say("user", format_args!("this run cannot become {name} ({}), nothing is started", describe(errno)));
            false
        }
    }
}

/// Gives the configured user the files that a run needs, as [`become_user`] does, for a run without root's rights to give
/// them. Returns whether there was nothing to give or root could give it; not whether the user got everything.
pub fn give(config: &Config, file: &ConfigFile) -> bool {
    let Some(user) = file.user().filter(|user| !user::is(user.uid)) else { return true };
    let is_root = user::is_root();
    if is_root {
        let _ = hand_over(config, user, false);
    }
    is_root
}

/// Nothing is handed over: there is no other user.
pub const NOTHING: [Result<(), Errno>; 2] = [Err(Errno::EACCES); 2];

/// Becomes the configured user, to look with that user's rights, and gives that user nothing. Says what a run would say.
/// Returns what the start of a run would hand over: the log's directory, and the ledger.
pub fn look_as_user(
    config: &Config,
    file: &ConfigFile,
    warn: &mut dyn FnMut(fmt::Arguments<'_>),
) -> [Result<(), Errno>; 2] {
    let Some(user) = file.user().filter(|user| !user::is(user.uid)) else { return NOTHING };
    let name = config.settings.user;
    if !user::is_root() {
        warn(format_args!("only root can become {name}, this run keeps its user"));
        return NOTHING;
    }
    let given = hand_over(config, user, true);
    if let Err(errno) = user::switch_to(user) {
        warn(format_args!("this run cannot become {name} ({}), nothing is started", describe(errno)));
    }
    given
}

/// Makes the files and directories that a run needs, and gives them to the user. Errors are ignored: the run will
/// report the file that it cannot use. With `dry` nothing is made or given, but said: whether the user would get the log's
/// directory, and the ledger.
fn hand_over(config: &Config, user: User, dry: bool) -> [Result<(), Errno>; 2] {
    let path = config.settings.ledger_path();
    let ledger = path::name(path.as_str());
    let is_ours = |name: &str| {
        let of_ledger = name.strip_prefix(ledger).filter(|_| !["", ".", ".."].contains(&ledger));
        log_names::is_log(name)
            || log_names::is_link(name)
            || of_ledger.is_some_and(|rest| {
                ["", log_names::LEDGER_NEW].contains(&rest) || rest.starts_with(log_names::LEDGER_DAMAGED)
            })
    };
    // The configuration may name any file as its ledger.
    let is_right = |name: &str, file: &OwnedFd| log_names::is_log(name) || ledger_file::may_be_ledger(file) == Ok(true);
    let gift = Gift { ours: &is_ours, is_right: &is_right, user, dry };
    let give = |directory: &str, new: Option<&str>| user::hand_over(directory, new, &gift);
    let (log_dir, ledger_directory) = (config.settings.log_dir, path::parent(path.as_str()));
    let of_ledger = give(ledger_directory, Some(ledger));
    if ledger_directory == log_dir.as_str() {
        return [of_ledger; 2];
    }
    // A ledger needs no more than its file.
    let of_ledger = if of_ledger == Err(Errno::EEXIST) { Ok(()) } else { of_ledger };
    [give(log_dir.as_str(), None), of_ledger]
}
