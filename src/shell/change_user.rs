//! Becoming the user that the configuration names.

use std::os::fd::OwnedFd;

use crate::base::path;
use crate::model::log_names;
use crate::model::passwd::User;
use crate::model::settings::Config;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::ledger_file;
use crate::sys::directory::Directory;
use crate::sys::{Errno, describe, user};

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
        hand_over(config, user);
    }
    match user::switch_to(user) {
        Ok(()) => {
            let directory = config.settings.log_dir;
            if kept && Directory::open(directory.as_str()).and_then(|open| open.check()) == Err(Errno::EACCES) {
                console.say(
                    "user",
                    format_args!("{name} cannot write in {directory}, chown it: until then there is no log"),
                );
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

/// Makes the files and directories that a run needs, and gives them to the user. Errors are ignored: the run will
/// report the file that it cannot use.
fn hand_over(config: &Config, user: User) {
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
    let give = |directory: &str, new: Option<&str>| {
        let _ = user::hand_over(directory, &is_ours, &is_right, new, user);
    };
    let ledger_directory = path::parent(path.as_str());
    give(ledger_directory, Some(ledger));
    if ledger_directory != config.settings.log_dir.as_str() {
        give(config.settings.log_dir.as_str(), None);
    }
}
