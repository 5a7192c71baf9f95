//! Signals arrive as readable bytes (signalfd(2)), in the same poll set as everything else.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::Errno;

/// What somebody wants of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `SIGTERM`, `SIGINT`: end, with a last report.
    Stop,
    /// `SIGHUP`: re-read the configuration.
    Reload,
    /// `SIGUSR1`: report now.
    Report,
    /// `SIGQUIT`: the summary so far.
    Summary,
    /// `SIGCHLD`: a helper has ended.
    Child,
}

const WISHES: [(Signal, Wish); 6] = [
    (Signal::SIGTERM, Wish::Stop),
    (Signal::SIGINT, Wish::Stop),
    (Signal::SIGHUP, Wish::Reload),
    (Signal::SIGUSR1, Wish::Report),
    (Signal::SIGQUIT, Wish::Summary),
    (Signal::SIGCHLD, Wish::Child),
];

/// The descriptor that the signals come through.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals above and has them come through a descriptor. A signal that our parent
    /// made us ignore (nohup's `SIGHUP`) stays ignored, but for `SIGCHLD`: without it a helper
    /// could be gone, and its pid somebody else's, before we know.
    pub fn new() -> Result<Self, Errno> {
        let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: the default disposition runs no code of ours.
        unsafe { sigaction(Signal::SIGCHLD, &action) }?;
        let set: SigSet = WISHES.iter().map(|(signal, _)| *signal).collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self)
    }

    /// The next signal, if one has come.
    pub fn next(&self) -> Option<Wish> {
        let signal = self.0.read_signal().ok()??.ssi_signo;
        WISHES.iter().find(|(known, _)| *known as u32 == signal).map(|(_, wish)| *wish)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// In a helper: what a person types at the terminal is for the monitor, and everything else is as
/// it is in a new process.
pub fn reset_in_helper() -> Result<(), Errno> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { sigaction(signal, &ignore) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}
