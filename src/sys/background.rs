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

/// The socket to the process in the foreground, which waits until the background process runs.
#[derive(Debug)]
pub struct Starter(OwnedFd);

impl Starter {
    /// Tells it that this process runs.
    pub fn tell_started(self) {
        // An error means that the other process is gone and does not need the message.
        let _ = net::send(&self.0, b"s");
    }
}

/// Forks. The background process has its own session, no terminal, and /dev/null as its standard
/// descriptors. The foreground process waits until the other has called [`Starter::tell_started`] or has ended.
pub fn go_to_background() -> Result<Fork, Errno> {
    let null = open("/dev/null", libc::O_RDWR, 0)?;
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
    for standard in 0..=2 {
        descriptor::duplicate(&null, standard)?;
    }
    Ok(Fork::Background(Starter(writer)))
}
