//! What a run keeps of its rights: it closes everything to itself that it will never need.

use crate::base::limits;
use crate::base::path;
use crate::model::settings::Config;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::snapshot;
use crate::sys::by_path::{self, HERE};
use crate::sys::file::{self, Identity};
use crate::sys::sandbox::{self, Access, Role, Rules};
use crate::sys::{Errno, describe, directory, process, time_zone};

/// Where a resolver reads: its configuration, what other programs write for it, and the modules
/// that it loads, with what those read. And the time zones.
const READABLE: [&str; 9] =
    ["/etc", "/usr", "/lib", "/lib64", "/run", "/var/run", "/nix/store", "/gnu/store", "/var/lib/libvirt/dnsmasq"];

/// Files that may be links to elsewhere.
const LINKED: [&str; 5] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime", "/etc/TZ"];

/// Directories that a run can write to, at most: those of log, ledger and last report, and the ones
/// above.
const WRITABLE: usize = 6;

/// Where this run can write.
#[derive(Debug, Default)]
pub struct Confinement {
    /// Whether there is any place where it cannot.
    confined: bool,
    writable: [Identity; WRITABLE],
    /// How many of those there are.
    length: usize,
}

impl Confinement {
    /// Takes from this process what it will not need, for good. What the kernel does not have is
    /// said where the command line asks for it; the run goes on without. One that keeps nothing
    /// between runs writes nowhere.
    pub fn enter(config: &Config, file: &ConfigFile, kept: bool, console: &mut Console) -> Self {
        // What it costs a kernel before 3.5 that it is not there, nobody can change.
        let _ = sandbox::keep_from_rights();
        let mut confinement = Self::default();
        if !config.settings.sandbox {
            return confinement;
        }
        // What is read once is read now.
        let _ = time_zone::apply();
        process::own();
        let mut missing = |what: &str, errno: Errno| {
            if file.cli().verbose {
                let why = describe(errno);
                console.say("sandbox", format_args!("{what} cannot be used here ({why}), the run goes on without"));
            }
        };
        let helper = match confinement.restrict(config, file, kept) {
            Ok(rules) => Some(rules),
            Err(errno) => {
                missing("Landlock", errno);
                None
            }
        };
        match sandbox::confine(Role::Monitor) {
            Ok(()) => sandbox::confine_helpers(helper),
            Err(errno) => missing("seccomp", errno),
        }
        confinement
    }

    /// Holds this process to its files. Gives the rules for helpers.
    fn restrict(&mut self, config: &Config, file: &ConfigFile, kept: bool) -> Result<Rules, Errno> {
        let (helper, monitor) = (Rules::new()?, Rules::new()?);
        let may_read =
            |path: &str| helper.allow(path, Access::Read).and_then(|()| monitor.allow(path, Access::Read)).is_ok();
        for directory in &READABLE {
            may_read(directory);
        }
        for path in &LINKED {
            // Its directory may be made later, or anew: then it is the one above that is there.
            follow(path, &|place| {
                if !may_read(place) || !READABLE.contains(&place) {
                    let mut above = path::above(path::trim(place));
                    while let Some(directory) = above.filter(|directory| !is_root(directory) && !may_read(directory)) {
                        above = path::above(directory);
                    }
                }
            });
        }
        if let Some(path) = file.path() {
            follow(path, &|place| {
                may_read(place);
            });
        }
        if kept {
            let ledger = config.settings.ledger_path();
            let journalled = snapshot::journalled(&ledger);
            // As the loop does, but that here a rule can be made for it.
            let _ = directory::make_directories(config.settings.log_dir.as_str());
            self.write(&monitor, config.settings.log_dir.as_str())?;
            self.write(&monitor, path::parent(ledger.as_str()))?;
            if let Some(file) = journalled {
                self.write(&monitor, path::parent(file.as_str()))?;
            }
        }
        monitor.restrict()?;
        self.confined = true;
        Ok(helper)
    }

    /// Lets the monitor write below this directory, and below the one above, so that one that is
    /// taken away can be made anew; where it is not there yet, below the next one that is. An error
    /// where none was found: a run that can write nowhere is of no use.
    fn write(&mut self, rules: &Rules, directory: &str) -> Result<(), Errno> {
        let directory = path::trim(directory);
        let mut place = directory;
        while let Err(errno) = self.allow(rules, place) {
            place = path::above(place).ok_or(errno)?;
        }
        let above = path::parent(place);
        if place == directory && ![".", ".."].contains(&place) && !place.ends_with("/..") && !is_root(above) {
            let _ = self.allow(rules, above);
        }
        Ok(())
    }

    fn allow(&mut self, rules: &Rules, directory: &str) -> Result<(), Errno> {
        let identity = file::identity_of_directory(directory)?;
        if !self.holds(identity) {
            let Some(free) = self.writable.get_mut(self.length) else { return Ok(()) };
            *free = identity;
            self.length += 1;
        }
        rules.allow(directory, Access::Write)
    }

    fn holds(&self, directory: Identity) -> bool {
        self.writable[..self.length].contains(&directory)
    }

    /// Whether this run can write in a directory, as far as that is for the sandbox to say.
    pub fn covers(&self, directory: &str) -> bool {
        let mut place = path::trim(directory);
        loop {
            if !self.confined || file::identity_of_directory(place).is_ok_and(|found| self.holds(found)) {
                return true;
            }
            match path::above(place) {
                Some(above) if !place.ends_with("..") => place = above,
                Some(_) | None => return false,
            }
        }
    }
}

/// Whether this is the root directory, by whatever name.
fn is_root(place: &str) -> bool {
    let found = file::identity_of_directory(place);
    found.is_ok() && found == file::identity_of_directory("/")
}

/// Tells of every directory through which a path leads, link by link: whoever writes such a file anew
/// gives a new one its name. In the root directory it is the file alone.
fn follow(path: &str, tell: &dyn Fn(&str)) {
    let mut path = String::from(path);
    for _ in 0..limits::LINKS {
        let directory = path::parent(&path);
        tell(if directory == "/" { &path } else { directory });
        let end = path.len();
        if by_path::follow_link(HERE, &mut path, 0, end).is_err() {
            return;
        }
    }
}
