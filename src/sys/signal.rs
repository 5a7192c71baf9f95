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
    /// could be gone, and its pid somebody else's, before we know. A file at its size limit and a
    /// terminal that belongs to others are errors of a write, and no reason to end or to stop.
    pub fn new() -> Result<Self, Errno> {
        dispose(Signal::SIGCHLD, SigHandler::SigDfl)?;
        dispose(Signal::SIGXFSZ, SigHandler::SigIgn)?;
        dispose(Signal::SIGTTOU, SigHandler::SigIgn)?;
        let heeded = WISHES.iter().map(|(signal, _)| *signal).filter(|signal| !is_ignored(*signal));
        let set: SigSet = heeded.collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self)
    }

    /// The next signal, if one has come.
    pub fn next(&self) -> Result<Option<Wish>, Errno> {
        let signal = match self.0.read_signal() {
            Ok(signal) => signal,
            Err(Errno::EINTR) => None,
            Err(errno) => return Err(errno),
        };
        let known = |signal: u32| WISHES.iter().find(|(known, _)| *known as u32 == signal);
        Ok(signal.and_then(|signal| known(signal.ssi_signo)).map(|(_, wish)| *wish))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets signals do again what they do to any process: a run that is over needs none of them.
pub fn unblock() {
    // It fails only for a wrong argument.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

fn dispose(signal: Signal, handler: SigHandler) -> Result<(), Errno> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: neither the default disposition nor ignoring runs any code of ours.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Whether our parent made us ignore it (signal(7): that is inherited). Blocking such a signal
/// would bring it back to life: the kernel keeps what is blocked.
fn is_ignored(signal: Signal) -> bool {
    // SAFETY: `sigaction` is plain data for which zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: a null new action leaves the disposition as it is; `action` is live.
    let asked = unsafe { libc::sigaction(signal as libc::c_int, core::ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// In a helper: what a person types at the terminal is for the monitor, and everything else is as
/// it is in a new process.
pub fn reset_in_helper() -> Result<(), Errno> {
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1] {
        dispose(signal, SigHandler::SigIgn)?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}
