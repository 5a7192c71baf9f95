//! Going to the background: a new process in a new session.

use std::os::fd::OwnedFd;

use super::by_path::open;
use super::process::fork;
use super::{Errno, descriptor, net, number, signal};

/// The two processes after a fork.
#[derive(Debug)]
pub enum Fork {
    /// The process that was started.
    Foreground {
        /// Whether the background process has reported that it runs.
        started: bool,
    },
    /// The process in the background.
    Background(Starter),
}

/// The socket to the process in the foreground, which waits until the background process runs, and what replaces
/// standard error then.
#[derive(Debug)]
pub struct Starter(OwnedFd, OwnedFd);

impl Starter {
    /// Tells it that this process runs, and leaves standard error.
    pub fn tell_started(self) {
        // An error would leave standard error open.
        let _ = descriptor::duplicate(&self.1, 2);
        // An error means that the other process is gone and does not need the message.
        let _ = net::send(&self.0, b"s");
    }
}

/// Opens what a standard descriptor is where there is nothing to read or write: /dev/null, or where that is missing the
/// root directory, with which every read and write fails (`O_PATH`, `EBADF`).
pub fn open_nothing() -> Result<OwnedFd, Errno> {
    open("/dev/null", libc::O_RDWR, 0).or_else(|_| open("/", libc::O_PATH, 0))
}

/// Forks. The background process has its own session, no terminal, the root directory as its current one, and nothing as
/// its standard input and output; standard error stays until it has started. The foreground process waits until the other
/// has called [`Starter::tell_started`] or has ended.
pub fn go_to_background() -> Result<Fork, Errno> {
    let nothing = open_nothing()?;
    let (reader, writer) = net::pair()?;
    if fork()?.is_some() {
        drop(writer);
        // Ctrl+C must end this process while it waits.
        signal::unblock();
        let mut packet = [0];
        return Ok(Fork::Foreground { started: net::await_packet(&reader, &mut packet) == Ok(1) });
    }
    // SAFETY: setsid(2) has no arguments.
    number(unsafe { libc::setsid() })?;
    // It must not keep the directory of its starter busy.
    // SAFETY: the path is a static string that ends with a NUL.
    number(unsafe { libc::chdir(c"/".as_ptr()) })?;
    for standard in 0..=1 {
        descriptor::duplicate(&nothing, standard)?;
    }
    Ok(Fork::Background(Starter(writer, nothing)))
}
