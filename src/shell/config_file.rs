//! The configuration's sources: the command line, and a file that can be read again.

use core::fmt;

use crate::base::limits;
use crate::model::cli::Cli;
use crate::model::passwd::{self, User};
use crate::model::reader::Reader;
use crate::model::settings::Config;
use crate::sys;
use crate::sys::{Errno, file, process};

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
    user: Option<User>,
    /// How many helpers this box has memory for.
    room: u16,
}

impl ConfigFile {
    /// Chooses the file: the one that is named; none, if the command line has targets; otherwise the first that exists
    /// of `./tcpmon.conf` and `/etc/tcpmon.conf`. Memory for the longest file is reserved here.
    pub fn new(cli: Cli) -> Self {
        let mut content = Vec::with_capacity(limits::CONFIG_FILE);
        let mut path = cli.file;
        if path.is_none() && cli.targets.is_empty() {
            path =
                DEFAULT_PATHS.iter().find(|path| file::read_whole(path, &mut content) != Err(Errno::ENOENT)).copied();
        }
        let room = process::memory() / limits::HELPERS_SHARE / limits::HELPER_MEMORY;
        Self { cli, path, content, user: None, room: room.min(limits::HELPERS as u64) as u16 }
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
        let mut reader = Reader::new(config, tell);
        for (directive, value) in &self.cli.settings {
            reader.option(*directive, value);
        }
        for target in &self.cli.targets {
            reader.argument(target);
        }
        let mut source = Source::CommandLine;
        if let Some(path) = self.path {
            source = Source::File;
            match file::read_whole(path, &mut self.content) {
                Ok(()) => reader.file(path, &self.content),
                Err(Errno::EFBIG) => reader.mistake(format_args!(
                    "{path}: this file is too long, at most {} bytes are read",
                    limits::CONFIG_FILE
                )),
                Err(errno) => reader.mistake(format_args!(
                    "{path}: cannot be read ({}), name a file that can be with -c FILE",
                    sys::describe(errno)
                )),
            }
        } else if self.cli.targets.is_empty() {
            source = Source::Defaults;
            reader.default_targets();
        }
        let content = &mut self.content;
        self.user = reader.user(|name| {
            file::read_whole(passwd::PASSWD, content).ok()?;
            passwd::find(content, name)
        });
        let mistakes = reader.finish();
        config.room = self.room;
        if mistakes == 0 { Ok(source) } else { Err(mistakes) }
    }
}
