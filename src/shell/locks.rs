//! The locks by name: one run at a time for a configuration, whatever its log_dir is now, and one for a ledger, also for a
//! run that can make no file there.
//!
//! A lock is an abstract socket name (unix(7)) made from a path. Any user can take such a name, so it counts only with a
//! byte of the root directory that the same process holds ([`crate::sys::record_lock`]): that tells the process, and so
//! its user.

use std::os::fd::OwnedFd;

use crate::base::limits;
use crate::base::text::Text;
use crate::core::ledger::{checksum, extend_checksum};
use crate::model::passwd::User;
use crate::model::run::Run;
use crate::shell::console::Console;
use crate::sys::record_lock::{Holder, hold, holder, root};
use crate::sys::{self, Errno, by_path, clock, net, process, user};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A configuration's file.
    Configuration,
    /// A ledger.
    Ledger,
}

/// A lock of this process.
#[derive(Debug)]
pub struct Lock {
    /// `None`: the name could not be had, which was said.
    socket: Option<OwnedFd>,
    root: Option<OwnedFd>,
    at: u32,
}

/// The name for a path, and the byte that goes with it.
fn name(subject: Subject, path: &str) -> (Text<32>, u32) {
    let mut at = checksum(match subject {
        Subject::Configuration => b"configuration ",
        Subject::Ledger => b"",
    });
    // The same relative path in another directory is another file.
    if !path.starts_with('/') {
        at = extend_checksum(at, by_path::here().as_bytes());
    }
    at = extend_checksum(at, path.as_bytes());
    (Text::format(format_args!("@tcpmon-{at:08x}")), at)
}

/// The names that are locked: the root directory. A process that has locked one loses its lock when this is dropped.
#[derive(Debug)]
pub struct Names(OwnedFd);

impl Names {
    /// `None`: nobody can be asked.
    pub fn open() -> Option<Self> {
        root().map(Self)
    }

    /// The run that has locked this name. The process of another user, except root and `friend`, is none.
    pub fn run(&self, subject: Subject, path: &str, friend: Option<User>) -> Run {
        run_at(Some(&self.0), name(subject, path).1, friend)
    }
}

#[inline(never)] // Called from two paths.
fn run_at(root: Option<&OwnedFd>, at: u32, friend: Option<User>) -> Run {
    match root.map_or(Holder::Nobody, |root| holder(root, at)) {
        Holder::Nobody => Run::None,
        Holder::Hidden => Run::Elsewhere,
        Holder::Process(pid) => match process::user(pid) {
            Some(uid) if uid != 0 && !user::is(uid) && friend.is_none_or(|friend| friend.uid != uid) => Run::None,
            Some(_) | None => Run::Here(pid),
        },
    }
}

impl Lock {
    /// Locks the name, or gives the run that has it. If nobody can be asked, or a process that is no run of this user's
    /// has the name, that is said and there is no lock.
    pub fn take(subject: Subject, path: &str, friend: Option<User>, console: &mut Console) -> Result<Self, Run> {
        let ((name, at), root) = (name(subject, path), root());
        let mut tries = 0;
        loop {
            let bound = net::bind_name(name.as_str());
            let run = run_at(root.as_ref(), at, friend);
            if run != Run::None {
                return Err(run);
            }
            let why = match bound {
                Ok(socket) => return Ok(Self { socket: Some(socket), root, at }),
                Err(Errno::EADDRINUSE) if tries < limits::LOCK.0 => {
                    tries += 1;
                    clock::rest(limits::LOCK.1);
                    continue;
                }
                Err(Errno::EADDRINUSE) => "a process has its name that is no run of this user",
                Err(errno) => sys::describe(errno),
            };
            console.say("lock", format_args!("{path} cannot be locked by name ({why}), the run goes on without"));
            return Ok(Self { socket: None, root, at });
        }
    }

    /// Whether the name could be had.
    pub fn is_had(&self) -> bool {
        self.socket.is_some()
    }

    /// Says which process has the lock: this one. A child of fork(2) must say it again.
    pub fn hold(&self) {
        if let Some(root) = &self.root {
            // Without record locks other commands know only that there is a run.
            let _ = hold(root, self.at);
        }
    }
}
