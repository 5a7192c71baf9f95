//! The configuration's sources: the command line, and a file that can be read again.

use core::fmt;

use crate::base::path::{self, Path};
use crate::base::{limits, words};
use crate::model::cli::Cli;
use crate::model::directive::Directive;
use crate::model::passwd::{self, User};
use crate::model::reader::{Late, Reader};
use crate::model::settings::Config;
use crate::sys;
use crate::sys::{Errno, by_path, file, process, user};

/// The files that are tried when none is named.
const DEFAULT_PATHS: [&str; 2] = ["./tcpmon.conf", "/etc/tcpmon.conf"];

/// What the targets were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Only the command line.
    CommandLine,
    /// A file, and the command line.
    File,
    /// The built-in default list.
    Defaults,
}

/// The command line, and the file that belongs to it.
#[derive(Debug)]
pub struct ConfigFile {
    cli: Cli,
    path: Option<&'static str>,
    content: Vec<u8>,
    passwd: Vec<u8>,
    user: Option<User>,
    /// The path without symbolic links; empty without a file.
    real: Path,
    /// Whether nobody has named the file.
    is_chosen: bool,
    /// Whether there is a `./tcpmon.conf` that root did not read because it is another user's.
    is_foreign: bool,
    /// Whether the last [`ConfigFile::load`] could tell where the ledger is.
    has_place: bool,
    lacks_targets: bool,
    /// How many helpers this box has memory for.
    room: u16,
}

impl ConfigFile {
    /// Chooses the file: the one that is named; none, if the command line has targets; otherwise the first that exists
    /// of `./tcpmon.conf` and `/etc/tcpmon.conf`. Root does not read a `./tcpmon.conf` that is not root's. Memory for the
    /// longest files is reserved here.
    pub fn new(cli: Cli) -> Self {
        let mut content = Vec::with_capacity(limits::CONFIG_FILE);
        let mut path = cli.file;
        let is_chosen = path.is_none() && cli.targets.is_empty();
        let mut is_foreign = false;
        if is_chosen {
            let [here, everywhere] = DEFAULT_PATHS;
            let missing = Err(Errno::ENOENT);
            let found = read(here, true, &mut content);
            is_foreign = found == Err(Errno::EPERM);
            if !is_foreign && found != missing {
                path = Some(here);
            } else if read(everywhere, false, &mut content) != missing {
                path = Some(everywhere);
            }
        }
        let mut real = Path::new();
        if let Some(path) = path {
            let mut room = [0; limits::PATH];
            match by_path::destination(path, &mut room) {
                Some(found) => real.push(found),
                None if path.starts_with('/') => real.push(path),
                None => real = path::within(by_path::here().as_str(), path),
            }
        }
        let room = process::memory() / (limits::HELPERS_SHARE * limits::HELPER_MEMORY);
        Self {
            cli,
            path,
            content,
            passwd: Vec::with_capacity(limits::CONFIG_FILE),
            user: None,
            real,
            is_chosen,
            is_foreign,
            has_place: false,
            lacks_targets: false,
            room: room.min(limits::HELPERS as u64) as u16,
        }
    }

    /// The path without symbolic links; empty without a file.
    pub fn real_path(&self) -> &Path {
        &self.real
    }

    /// From now on the file is found from every directory.
    pub fn make_absolute(&mut self) {
        if let Some(path) = self.path.filter(|path| !path.starts_with('/')) {
            let mut absolute = String::from(by_path::here().as_str());
            absolute.push('/');
            absolute.push_str(path);
            self.path = Some(absolute.leak());
        }
    }

    /// Whether the last [`ConfigFile::load`] found a configuration without a target, and no other mistake.
    pub fn lacks_targets(&self) -> bool {
        self.lacks_targets
    }

    /// Whether the last [`ConfigFile::load`] could tell where the ledger is, whatever other mistakes there are.
    pub fn has_place(&self) -> bool {
        self.has_place
    }

    /// The command line.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// The file's path, if there is one.
    pub fn path(&self) -> Option<&'static str> {
        self.path
    }

    /// The user that the configuration names.
    pub fn user(&self) -> Option<User> {
        self.user
    }

    /// Reads everything again into `config` and calls `tell` with every mistake. `Err` is the number of mistakes; then
    /// `config` must not be used.
    pub fn load(&mut self, config: &mut Config, tell: &mut dyn FnMut(fmt::Arguments<'_>)) -> Result<Source, usize> {
        if core::mem::take(&mut self.is_foreign) {
            tell(format_args!(
                "tcpmon: configuration: {} is not root's, so it is not read; name it with -c",
                DEFAULT_PATHS[0]
            ));
        }
        // A pipe can be read only once.
        let found = self.path.map_or(Ok(()), |path| read(path, self.is_chosen, &mut self.content));
        let mut late = Late::default();
        match self.read(found, config, &mut late, &mut |_| ()) {
            Ok(source) => Ok(source),
            // Once more, to tell every mistake in the order of the lines.
            Err(_) => {
                late.is_found = true;
                self.read(found, config, &mut late, tell)
            }
        }
    }

    /// Reads the command line and the content of the file, which was `found`.
    fn read(
        &mut self,
        found: Result<(), Errno>,
        config: &mut Config,
        late: &mut Late,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<Source, usize> {
        let mut reader = Reader::new(config, tell).with_late(late);
        for (directive, value) in &self.cli.settings {
            reader.option(*directive, value);
        }
        for target in &self.cli.targets {
            reader.argument(target);
        }
        let mut source = Source::CommandLine;
        let mut is_read = true;
        if let Some(path) = self.path {
            source = Source::File;
            match found {
                Ok(()) => reader.file(path, &self.content),
                Err(errno) => {
                    // Only the command line can tell where the ledger is.
                    is_read = self.cli.settings.iter().any(|(directive, value)| match directive {
                        Directive::LogDir => true,
                        Directive::Ledger => words::contains(value, b'/'),
                        _ => false,
                    });
                    if errno == Errno::EFBIG {
                        let most = limits::CONFIG_FILE;
                        reader.mistake(format_args!("{path}: this file is too long, at most {most} bytes are read"));
                    } else {
                        let why = sys::describe(errno);
                        reader.mistake(format_args!(
                            "{path}: cannot be read ({why}), name a file that can be with -c FILE"
                        ));
                    }
                }
            }
        } else if self.cli.targets.is_empty() {
            source = Source::Defaults;
            reader.default_targets();
        }
        let entries = &mut self.passwd;
        self.user = reader.user(|name| {
            file::read_whole(passwd::PASSWD, false, entries).ok()?;
            passwd::find(entries, name)
        });
        self.has_place = is_read && reader.has_place();
        self.lacks_targets = reader.lacks_targets();
        let mistakes = reader.finish(!self.cli.unless_stopped);
        config.room = self.room;
        if mistakes == 0 { Ok(source) } else { Err(mistakes) }
    }
}

/// Reads a file. One that nobody has named is read by root only if it is root's own.
fn read(path: &str, is_chosen: bool, content: &mut Vec<u8>) -> Result<(), Errno> {
    file::read_whole(path, is_chosen && path == DEFAULT_PATHS[0] && user::is_root(), content)
}
