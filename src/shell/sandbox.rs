//! Confines a run: it gives up every right that it will never need.

use crate::base::limits;
use crate::base::path;
use crate::model::settings::Config;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::snapshot;
use crate::sys::by_path::{self, HERE};
use crate::sys::file::{self, Identity};
use crate::sys::sandbox::{self, Access, Role, Rules};
use crate::sys::{Errno, describe, directory, net, process, time_zone};

/// The directories that a resolver reads: its configuration, what other programs write for it, and the modules that
/// it loads, with what those read. Also the time zones.
const READABLE: [&str; 9] =
    ["/etc", "/usr", "/lib", "/lib64", "/run", "/var/run", "/nix/store", "/gnu/store", "/var/lib/libvirt/dnsmasq"];

/// Files that may be symbolic links to other directories.
const LINKED: [&str; 5] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime", "/etc/TZ"];

/// Most directories that a run can write to: those of the log, the ledger and the last report, and the directories
/// above them.
const WRITABLE: usize = 6;

/// The directories that this run can write to.
#[derive(Debug, Default)]
pub struct Confinement {
    /// Whether Landlock is in force; otherwise the run can write everywhere.
    confined: bool,
    writable: [Identity; WRITABLE],
    /// The number of those directories.
    length: usize,
}

impl Confinement {
    /// Confines this process for ever. What the kernel does not have is reported with `--verbose`, and the run goes on
    /// without it. A run that keeps nothing between runs (not `kept`) may write no files.
    pub fn enter(config: &Config, file: &ConfigFile, kept: bool, console: &mut Console) -> Self {
        // An error means Linux before 3.5: nothing can be done about it.
        let _ = sandbox::set_no_new_privs();
        let mut confinement = Self::default();
        if !config.settings.sandbox {
            return confinement;
        }
        // These read files that the confined run cannot read any more.
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

    /// Confines this process to its files. Returns the rules for helpers.
    fn restrict(&mut self, config: &Config, file: &ConfigFile, kept: bool) -> Result<Rules, Errno> {
        let (helper, monitor) = (Rules::new()?, Rules::new()?);
        let may_read =
            |path: &str| helper.allow(path, Access::Read).and_then(|()| monitor.allow(path, Access::Read)).is_ok();
        for directory in &READABLE {
            may_read(directory);
        }
        for path in &LINKED {
            // The link's directory may be made later, or again: so the one above it is readable, too.
            follow(path, &|directory| {
                if !may_read(directory) || !READABLE.contains(&directory) {
                    let mut above = path::above(path::trim(directory));
                    while let Some(directory) = above.filter(|directory| !is_root(directory) && !may_read(directory)) {
                        above = path::above(directory);
                    }
                }
            });
        }
        if let Some(path) = file.path() {
            follow(path, &|directory| {
                may_read(directory);
            });
        }
        // The loop reads it, now and after a reload.
        let _ = monitor.allow(net::LOCAL_PORTS, Access::Read);
        if kept {
            let ledger = config.settings.ledger_path();
            let journalled = snapshot::journalled_file(&ledger);
            // The loop makes it, too, but a rule needs a directory that exists.
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

    /// Lets the monitor write below this directory, and below its parent, so that a removed directory can be made
    /// again. If the directory does not exist: below the nearest one above it that does. An error if there is none: a
    /// run that can write no files is useless.
    fn write(&mut self, rules: &Rules, directory: &str) -> Result<(), Errno> {
        let directory = path::trim(directory);
        let mut existing = directory;
        while let Err(errno) = self.allow(rules, existing) {
            existing = path::above(existing).ok_or(errno)?;
        }
        let above = path::parent(existing);
        if existing == directory && ![".", ".."].contains(&existing) && !existing.ends_with("/..") && !is_root(above) {
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

    /// Whether the sandbox lets this run write in a directory.
    pub fn covers(&self, directory: &str) -> bool {
        let mut directory = path::trim(directory);
        loop {
            if !self.confined || file::identity_of_directory(directory).is_ok_and(|found| self.holds(found)) {
                return true;
            }
            match path::above(directory) {
                Some(above) if !directory.ends_with("..") => directory = above,
                Some(_) | None => return false,
            }
        }
    }
}

/// Whether this path leads to the root directory.
fn is_root(directory: &str) -> bool {
    let found = file::identity_of_directory(directory);
    found.is_ok() && found == file::identity_of_directory("/")
}

/// Calls `tell` with the directory of a file; if the file is a symbolic link, also with that of the file to which it
/// leads, and so on. Directories, because a program that rewrites such a file replaces it by a new one. For a file in
/// the root directory it is the file itself.
///
/// `sys::user` follows links, too, but opens and checks each directory between two links. Here the kernel opens them:
/// Landlock lets a process pass through every directory.
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
