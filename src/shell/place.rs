//! Where the run of a configuration is looked for, by every command that asks about it or ends it: at its ledger, and by
//! the two locks by name. All that is needed of the configuration is where the ledger is.

use crate::base::limits;
use crate::base::path::Path;
use crate::base::text::{Count, Text};
use crate::base::time::Instant;
use crate::model::cli::Cli;
use crate::model::passwd::User;
use crate::model::run::Run;
use crate::model::settings::Config;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::locks::{Names, Subject};
use crate::shell::snapshot::{Snapshot, SnapshotError};
use crate::sys::process::{Demand, Handle};
use crate::sys::{Errno, clock, user};

/// The places of a run.
#[derive(Debug)]
pub struct Place {
    /// The path of the ledger.
    pub ledger: Path,
    /// The directory of the daily files.
    pub log_dir: Text<{ limits::DIRECTORY }>,
    /// The path of the configuration's file without symbolic links; empty without one.
    pub config: Path,
    /// The user that a run of root's becomes.
    pub user: Option<User>,
    /// Whether the sandbox is wanted.
    pub sandbox: bool,
}

/// What tells that a run is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It has locked the ledger.
    Ledger,
    /// It has locked the ledger's name and not the file: it runs without a ledger, or the file was taken away.
    Name,
    /// It has locked the configuration, and another ledger: the configuration has changed since its start.
    Configuration,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The run.
    pub run: Run,
    /// How it was found; by the ledger if there is none.
    pub by: By,
    /// The ledger at this place.
    pub snapshot: Result<Snapshot, SnapshotError>,
}

impl Found {
    /// The ledger of this run.
    pub fn ledger(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().ok().filter(|_| self.by == By::Ledger)
    }

    /// Sends the run a signal. The owner of the ledger chose what has locked it. With that user's rights this ends only
    /// what the user could end.
    pub fn send(&self, handle: &Handle, demand: Demand) -> Result<(), Errno> {
        if let Some(snapshot) = self.ledger() {
            user::become_owner(&snapshot.file)?;
        }
        handle.send(demand)
    }
}

impl Place {
    /// Reads where the ledger is. Other mistakes in the file are one warning. `None`: it cannot be told, and every mistake
    /// was printed.
    pub fn read(cli: Cli, console: &mut Console) -> Option<Self> {
        let mut file = ConfigFile::new(cli);
        let mut config = Config::new();
        if let Err(mistakes) = file.load(&mut config, &mut |_| ()) {
            if !file.has_place() {
                // Once more, to print them.
                let _ = file.load(&mut config, &mut |what| console.complain(what));
                return None;
            }
            let (name, mistakes) = (file.path().unwrap_or("command line"), Count(mistakes as u64, "mistake"));
            console.say(
                "configuration",
                format_args!("{name} has {mistakes}, which tcpmon check shows; only the place of the ledger is used"),
            );
        }
        Some(Self::of(&config, &file))
    }

    /// The places of this configuration.
    pub fn of(config: &Config, file: &ConfigFile) -> Self {
        let (ledger, log_dir) = (config.settings.ledger_path(), config.settings.log_dir);
        Self { ledger, log_dir, config: *file.real_path(), user: file.user(), sandbox: config.settings.sandbox }
    }

    /// Looks for the run.
    pub fn find(&self) -> Found {
        self.find_by(Snapshot::read(&self.ledger), Names::open().as_ref())
    }

    /// The same for a process that may only read, with names that it has opened before.
    pub fn look(&self, names: Option<&Names>) -> Found {
        self.find_by(Snapshot::look(&self.ledger), names)
    }

    #[inline(never)]
    fn find_by(&self, snapshot: Result<Snapshot, SnapshotError>, names: Option<&Names>) -> Found {
        let mut found = Found { run: Run::None, by: By::Ledger, snapshot };
        for by in [By::Ledger, By::Name, By::Configuration] {
            let run = self.run(by, &found, names);
            if run != Run::None {
                (found.run, found.by) = (run, by);
                break;
            }
        }
        found
    }

    /// The same, with a handle of the run if it is a process here. A run that starts is waited for.
    pub fn await_run(&self, until: Instant) -> (Found, Option<Handle>) {
        loop {
            let mut found = self.find();
            let mut handle = None;
            if let Run::Here(pid) = found.run {
                handle = Some(Handle::open(pid));
                // Before the handle was open, the pid may have become that of another process.
                if self.run(found.by, &found, Names::open().as_ref()) != found.run {
                    (found.run, handle) = (Run::Starting, None);
                }
            }
            if found.run != Run::Starting || clock::monotonic() >= until {
                return (found, handle);
            }
            clock::rest(limits::LOOK);
        }
    }

    /// The run that is found so.
    #[inline(never)]
    fn run(&self, by: By, found: &Found, names: Option<&Names>) -> Run {
        let (subject, path) = match by {
            By::Ledger => return found.snapshot.as_ref().map_or(Run::None, Snapshot::run),
            By::Name => (Subject::Ledger, &self.ledger),
            By::Configuration => (Subject::Configuration, &self.config),
        };
        names.map_or(Run::None, |names| names.run(subject, path.as_str(), self.user))
    }

    /// The configuration of a run that uses this ledger for another one; `None` if it is not another, or not known.
    pub fn other_config<'a>(
        &self,
        snapshot: &Result<Snapshot, SnapshotError>,
        room: &'a mut [u8; limits::PATH],
    ) -> Option<&'a str> {
        let config = snapshot.as_ref().ok()?.ledger.config(room);
        (!config.is_empty() && !self.config.is_empty() && config != self.config.as_str()).then_some(config)
    }
}
