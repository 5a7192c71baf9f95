//! A look at this box for a configuration: settings that are valid and will not work here, said by `check`. It sends
//! nothing on the network and changes nothing.

use core::fmt;

use crate::base::time::Nanos;
use crate::base::{path, words};
use crate::model::directive::Directive;
use crate::model::reader::Location;
use crate::model::settings::Config;
use crate::model::target::{Address, Family, Target};
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::{bounds, change_user};
use crate::sys::directory::Directory;
use crate::sys::{Errno, describe, file, lookup, net};

/// The ports of MySQL and MariaDB; the second one is that of the X Protocol.
const MYSQL: [u16; 2] = [3306, 33060];

/// Queries that a Pi-hole answers a client in a minute (`dns.rateLimit` of its FTL).
const QUERIES: u32 = 1000;

/// A look at this box.
#[derive(Debug)]
pub struct Surroundings<'a> {
    config: &'a Config,
    /// The name of the file.
    file: &'a str,
    console: &'a mut Console,
    /// What the start of a run would hand over to its user: the log's directory, and the ledger.
    given: [Result<(), Errno>; 2],
    /// The line and the name of what is looked at.
    about: (Option<u32>, &'a str),
    /// How many warnings there were.
    pub warnings: u64,
}

impl<'a> Surroundings<'a> {
    /// Begins a look for a configuration that was read from this file.
    pub fn new(config: &'a Config, file: &'a str, console: &'a mut Console) -> Self {
        Self { config, file, console, given: change_user::NOTHING, about: (None, ""), warnings: 0 }
    }

    /// Becomes the user that a run would be: root's rights prove nothing about that user's.
    #[inline(never)]
    pub fn become_user(&mut self, file: &ConfigFile) {
        self.turn_to(Directive::User);
        self.given = change_user::look_as_user(self.config, file, &mut |what| self.warn(what));
    }

    /// Looks at everything, with the rights that this process has by now.
    #[inline(never)]
    pub fn look(&mut self) {
        let config = self.config;
        let (settings, given) = (&config.settings, self.given);
        let (ledger, log_dir) = (settings.ledger_path(), settings.log_dir.as_str());
        self.turn_to(Directive::LogDir);
        self.look_at_directory(log_dir, "", given[0]);
        let directory = path::parent(ledger.as_str());
        if directory != log_dir {
            self.turn_to(Directive::Ledger);
            self.look_at_directory(directory, path::name(ledger.as_str()), given[1]);
        }
        let mut queries = 0;
        for (number, target) in config.targets.iter().enumerate() {
            self.about = (Some(config.lines[number]), target.service.as_str());
            self.look_at_target(target, &config.targets[..number]);
            if target.literal.is_none() {
                let lookups = Nanos::from_secs(60).cover(settings.interval_of(target)) as u32;
                queries += if target.family == Family::Any { 2 * lookups } else { lookups };
            }
        }
        if queries > 0 {
            self.look_at_resolver(queries);
        }
        let say: bounds::Say<'_> = &mut |subject, what| {
            self.about = (None, subject);
            self.warn(what);
        };
        bounds::allow_descriptors(config, say);
        bounds::say_helpers(config, say);
    }

    /// Looks whether the run's user can write in a directory, or this file in it.
    #[inline(never)]
    fn look_at_directory(&mut self, directory: &str, name: &str, given: Result<(), Errno>) {
        let found = nearest(directory);
        let checked = match &found {
            Ok(found) => found.check_file(name),
            Err(errno) => Err(*errno),
        };
        if let Err(errno) = checked {
            let errno = if given == Err(Errno::EROFS) { Errno::EROFS } else { errno };
            if found.is_err() {
                // What the start would give the user is below that.
                let text = "cannot be reached by the run's user, no file can be made there; mend what is above it or name another";
                self.say(&directory, text, Some(errno));
            } else if given.is_err() || errno != Errno::EACCES {
                let text = "cannot be written by the run's user, no file can be made there; chown it or name another";
                self.say(&directory, text, Some(errno));
            }
        }
        let holds_samples = self.config.settings.samples && name.is_empty();
        if holds_samples && found.is_ok_and(|found| file::is_nearly_full(found.descriptor())) {
            self.say(&directory, "has less than a tenth of its file system free, samples pause; make space", None);
        }
    }

    #[inline(never)]
    fn look_at_target(&mut self, target: &Target, earlier: &[Target]) {
        let Target { scope, port, source, device, .. } = target;
        if let Some(source) = source {
            if net::check_source(*source).is_err() {
                let text = "is no address of this box, every connect fails; write a source that is";
                self.say(&Address::new(*source), text, None);
            }
        }
        for (device, denied) in [(scope, Some(Errno::EPERM)), (device, None)] {
            // A scope needs no right, and may be a number.
            let is_number = denied.is_some() && words::number(device.as_str(), u32::MAX).is_some();
            if device.is_empty() || is_number {
                continue;
            }
            let error = net::check_device(device.as_str()).err();
            if error.is_some() && error != denied {
                self.say(
                    device,
                    "cannot be used as device by the run's user, every connect fails; name another",
                    error,
                );
            }
        }
        if earlier.iter().any(|earlier| earlier.is_same_as(target)) {
            self.say(&target.endpoint(), "is listed twice, it has two rows; remove one if that is not meant", None);
        }
        if MYSQL.contains(port) {
            let text = "is a port of MySQL and MariaDB: they count a connection that says nothing as an error and block this \
                        box after max_connect_errors (100) in a row, whatever close is; raise that or probe another port";
            self.say(port, text, None);
        }
    }

    /// Looks for what lookups need, which take so many queries a minute.
    #[inline(never)]
    fn look_at_resolver(&mut self, queries: u32) {
        if queries > QUERIES {
            self.turn_to(Directive::Interval);
            let text = "DNS queries a minute can be sent, a Pi-hole answers a client 1000; use a longer one";
            self.say(&queries, text, None);
        }
        self.about = (None, "resolver");
        if let Some(path) = lookup::forbidden_file() {
            self.say(&path, "cannot be read by the run's user, every lookup is skipped; make it readable", None);
        } else if !lookup::has_server() {
            let text = "is not there or has no nameserver, 127.0.0.1 is asked; add a line: nameserver ADDRESS";
            self.say(&lookup::RESOLVERS, text, None);
        }
    }

    /// From now on a setting is looked at.
    fn turn_to(&mut self, directive: Directive) {
        self.about = (self.config.set[directive as usize], directive.name());
    }

    /// Warns: what it is about, what is wrong with it, why, and behind the first comma what happens and what to do.
    #[inline(never)]
    fn say(&mut self, what: &dyn fmt::Display, text: &str, why: Option<Errno>) {
        let (wrong, [open, why, close], rest) = match why.zip(words::split_once(text, b',')) {
            Some((errno, (wrong, rest))) => (wrong, [" (", describe(errno), "),"], rest),
            None => (text, [""; 3], ""),
        };
        self.warn(format_args!("{what} {wrong}{open}{why}{close}{rest}"));
    }

    #[inline(never)]
    fn warn(&mut self, what: fmt::Arguments<'_>) {
        let (line, name) = self.about;
        let at = Location::of(line, self.file, "check");
        self.console.complain(format_args!("tcpmon: {at}: warning: {name}: {what}"));
        self.warnings += 1;
    }
}

/// The directory with this path, or the nearest one above it that exists: a run makes those that are missing.
fn nearest(directory: &str) -> Result<Directory, Errno> {
    let mut directory = path::trim(directory);
    loop {
        let opened = Directory::open(directory);
        match path::above(directory) {
            Some(above) if matches!(opened, Err(Errno::ENOENT)) => directory = above,
            Some(_) | None => return opened,
        }
    }
}
