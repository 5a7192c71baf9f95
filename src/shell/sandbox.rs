//! Confines a run: it gives up every right that it will never need.

use std::os::fd::OwnedFd;

use crate::base::limits;
use crate::base::path;
use crate::model::settings::Config;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::sys::by_path::{self, HERE};
use crate::sys::directory::Directory;
use crate::sys::file::{self, Identity};
use crate::sys::sandbox::{self, Access, Role, Rules};
use crate::sys::{Errno, describe, net, process, time_zone};

/// The directories that a resolver reads: its configuration, what other programs write for it, and the modules that
/// it loads, with what those read. Also the time zones.
const READABLE: [&str; 9] =
    ["/etc", "/usr", "/lib", "/lib64", "/run", "/var/run", "/nix/store", "/gnu/store", "/var/lib/libvirt/dnsmasq"];

/// Files that may be symbolic links to other directories.
const LINKED: [&str; 5] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime", "/etc/TZ"];

/// What a run may write, opened before it is confined. What is missing cannot be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writable<'a> {
    /// The directory of the log.
    pub log_dir: Option<&'a Directory>,
    /// The directory of the ledger. If it is the root directory, the run may write only the ledger there.
    pub ledger_dir: Option<&'a Directory>,
    /// The ledger.
    pub ledger: Option<&'a OwnedFd>,
}

/// The directories that this run can write to.
#[derive(Debug, Default)]
pub struct Confinement {
    /// Whether Landlock is in force; otherwise the run can write everywhere.
    confined: bool,
    /// The directory of the log, and that of the ledger.
    writable: [Option<Identity>; 2],
}

impl Confinement {
    /// Confines this process for ever. What the kernel does not have is reported with `--verbose`, and the run goes on
    /// without it.
    pub fn enter(config: &Config, file: &ConfigFile, writable: Writable<'_>, console: &mut Console) -> Self {
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
        let helper = confinement.restrict(file, writable).map_err(|errno| missing("Landlock", errno)).ok();
        let filtered = sandbox::confine(Role::Monitor).map_err(|errno| missing("seccomp", errno)).is_ok();
        sandbox::confine_helpers(helper, filtered);
        confinement
    }

    /// Confines this process to its files. Returns the rules for helpers.
    fn restrict(&mut self, file: &ConfigFile, writable: Writable<'_>) -> Result<Rules, Errno> {
        let (helper, monitor) = (Rules::new()?, Rules::new()?);
        let may_read = |path: &str| helper.allow_reading(path).and_then(|()| monitor.allow_reading(path)).is_ok();
        for directory in &READABLE {
            may_read(directory);
        }
        for path in &LINKED {
            // The link's directory may be made later, or again: so the one above it is readable, too.
            follow(path, &|directory| {
                if !may_read(directory) || !READABLE.contains(&directory) {
                    let mut above = path::above(path::trim(directory));
                    while let Some(directory) = above
                        .filter(|directory| !is_root(file::identity_of_directory(directory)) && !may_read(directory))
                    {
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
        let _ = monitor.allow_reading(net::LOCAL_PORTS);
        let Writable { log_dir, ledger_dir, ledger } = writable;
        let ledger_dir = ledger_dir.filter(|directory| !is_root(directory.identity()));
        for directory in [log_dir, ledger_dir].into_iter().flatten() {
            monitor.allow(directory.descriptor(), Access::Write)?;
        }
        if let Some(ledger) = ledger {
            monitor.allow(ledger, Access::Write)?;
        }
        monitor.restrict()?;
        for (writable, directory) in self.writable.iter_mut().zip([log_dir, ledger_dir]) {
            *writable = directory.and_then(|directory| directory.identity().ok());
        }
        self.confined = true;
        Ok(helper)
    }

    /// Whether Landlock is in force.
    pub fn is_in_force(&self) -> bool {
        self.confined
    }

    /// Whether the sandbox lets this run write in a directory.
    pub fn covers(&self, directory: &str) -> bool {
        let mut directory = path::trim(directory);
        loop {
            let found = file::identity_of_directory(directory);
            if !self.confined || found.is_ok_and(|found| self.writable.contains(&Some(found))) {
                return true;
            }
            match path::above(directory) {
                Some(above) if !directory.ends_with("..") => directory = above,
                Some(_) | None => return false,
            }
        }
    }
}

/// Confines a command for ever, after it has read its configuration: it may read every file, but write none, start no
/// process and serve no one. What the kernel does not have is left out.
pub fn confine_command(is_wanted: bool) {
    confine_writer(is_wanted, None);
}

/// The same for a command that writes files in this directory.
pub fn confine_writer(is_wanted: bool, directory: Option<&Directory>) {
    let _ = sandbox::set_no_new_privs();
    if is_wanted {
        let _ = restrict_command(directory);
        let _ = sandbox::confine(Role::Command);
    }
}

fn restrict_command(directory: Option<&Directory>) -> Result<(), Errno> {
    let rules = Rules::new()?;
    rules.allow_reading("/")?;
    if let Some(directory) = directory {
        rules.allow(directory.descriptor(), Access::Write)?;
    }
    rules.restrict()
}

/// Confines a command that answers a web server for ever, after it has read its configuration: it may read files, but
/// write none, has no socket and reaches no other process. Returns the rules that leave it only the files of the log's
/// directory, which it puts in force when it has read the ledger, and before it looks at the request.
pub fn confine_answer(is_wanted: bool, log_dir: &str) -> Option<Rules> {
    let _ = sandbox::set_no_new_privs();
    if !is_wanted {
        return None;
    }
    let rules = Rules::new().ok();
    if let Some(rules) = &rules {
        // Without that directory there is nothing to read.
        let _ = rules.allow_reading(log_dir);
    }
    let _ = sandbox::confine(Role::Answer);
    rules
}

/// Whether this is the root directory.
fn is_root(directory: Result<Identity, Errno>) -> bool {
    directory.is_ok() && directory == file::identity_of_directory("/")
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
