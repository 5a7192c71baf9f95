//! Going on in the background, as a process and session of its own.

use std::os::fd::OwnedFd;

use super::by_path::open;
use super::process::fork;
use super::{Errno, descriptor, net, number, signal};

/// Which of two processes one is.
#[derive(Debug)]
pub enum Fork {
    /// The one that was started, and whether the other one is under way.
    Foreground {
        /// It has said so.
        started: bool,
    },
    /// The one that goes on.
    Background(Starter),
}

/// The way to tell whoever started us that we are under way.
#[derive(Debug)]
pub struct Starter(OwnedFd);

impl Starter {
    /// Tells.
    pub fn tell_started(self) {
        // Where nobody listens any more nobody wants to know.
        let _ = net::send(&self.0, b"s");
    }
}

/// Goes on in a process of its own, in a session of its own, without a terminal and without the
/// standard descriptors. The one that was started waits until the other is under way or has ended.
pub fn go_to_background() -> Result<Fork, Errno> {
    let null = open("/dev/null", libc::O_RDWR, 0)?;
    let (reader, writer) = net::pair()?;
    if fork()?.is_some() {
        drop(writer);
        // Whoever waits with us may lose patience.
        signal::unblock();
        let mut told = [0];
        return Ok(Fork::Foreground { started: net::await_packet(&reader, &mut told) == Ok(1) });
    }
    // SAFETY: setsid(2) takes nothing.
    number(unsafe { libc::setsid() })?;
    for standard in 0..=2 {
        descriptor::duplicate(&null, standard)?;
    }
    Ok(Fork::Background(Starter(writer)))
}
