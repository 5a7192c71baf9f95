//! Signals arrive as readable bytes (signalfd(2)), in the same poll set as everything else.

use core::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Errno, descriptor, done, made};

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

static WISHES: [(c_int, Wish); 6] = [
    (libc::SIGTERM, Wish::Stop),
    (libc::SIGINT, Wish::Stop),
    (libc::SIGHUP, Wish::Reload),
    (libc::SIGUSR1, Wish::Report),
    (libc::SIGQUIT, Wish::Summary),
    (libc::SIGCHLD, Wish::Child),
];

/// The descriptor that the signals come through.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks the signals above and has them come through a descriptor. A signal that our parent
    /// made us ignore (nohup's `SIGHUP`) stays ignored, but for `SIGCHLD`: without it a helper
    /// could be gone, and its pid somebody else's, before we know. A file at its size limit and a
    /// terminal that belongs to others are errors of a write, and no reason to end or to stop.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: what a signal does by itself is no code of ours.
        unsafe { dispose(libc::SIGCHLD, libc::SIG_DFL, 0)? };
        ignore(libc::SIGXFSZ)?;
        ignore(libc::SIGTTOU)?;
        let mut heeded = no_signals();
        for (signal, _) in &WISHES {
            if !is_ignored(*signal) {
                // SAFETY: the set is live, and the signal is one that there is.
                unsafe { libc::sigaddset(&mut heeded, *signal) };
            }
        }
        block(libc::SIG_BLOCK, &heeded)?;
        // Bytes of a set as the kernel has it, which is the begin of the C library's.
        let length: usize = if cfg!(any(
            target_arch = "mips",
            target_arch = "mips32r6",
            target_arch = "mips64",
            target_arch = "mips64r6"
        )) {
            16
        } else {
            8
        };
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: the set is live; the kernel makes this descriptor, and nothing else owns it.
        unsafe { made(libc::syscall(libc::SYS_signalfd4, -1, &raw const heeded, length, flags) as c_int) }.map(Self)
    }

    /// The next signal, if one has come.
    pub fn next(&self) -> Result<Option<Wish>, Errno> {
        let mut told = [0; size_of::<libc::signalfd_siginfo>()];
        match descriptor::read(&self.0, &mut told) {
            Ok(_) => {}
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        // `ssi_signo`, its first member
        let signal = c_int::from_ne_bytes([told[0], told[1], told[2], told[3]]);
        Ok(WISHES.iter().find(|(known, _)| *known == signal).map(|(_, wish)| *wish))
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
    let _ = block(libc::SIG_SETMASK, &no_signals());
}

fn no_signals() -> libc::sigset_t {
    // SAFETY: `sigset_t` is plain data for which zeroes are a valid value: that of sigemptyset(3).
    unsafe { core::mem::zeroed() }
}

fn block(how: c_int, signals: &libc::sigset_t) -> Result<(), Errno> {
    // SAFETY: the set is live, and the old one is not asked for.
    done(unsafe { libc::sigprocmask(how, signals, core::ptr::null_mut()) })
}

/// Has the kernel pass over a signal from here on.
pub fn ignore(signal: c_int) -> Result<(), Errno> {
    // SAFETY: ignoring runs no code of ours.
    unsafe { dispose(signal, libc::SIG_IGN, 0) }
}

/// Sets what a signal does.
///
/// # Safety
/// `handler` is `SIG_DFL`, `SIG_IGN` or a function that takes what `flags` say and does nothing but what
/// may be done in a handler (signal-safety(7)).
pub(super) unsafe fn dispose(signal: c_int, handler: libc::sighandler_t, flags: c_int) -> Result<(), Errno> {
    // SAFETY: `sigaction` is plain data for which zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags as _;
    // SAFETY: `action` is live, and the old one is not asked for; the handler is as the caller promises.
    done(unsafe { libc::sigaction(signal, &action, core::ptr::null_mut()) })
}

/// Whether our parent made us ignore it (signal(7): that is inherited). Blocking such a signal
/// would bring it back to life: the kernel keeps what is blocked.
fn is_ignored(signal: c_int) -> bool {
    // SAFETY: `sigaction` is plain data for which zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: a null new action leaves the disposition as it is; `action` is live.
    let asked = unsafe { libc::sigaction(signal, core::ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// In a helper: what a person types at the terminal is for the monitor, and everything else is as
/// it is in a new process.
pub fn reset_in_helper() -> Result<(), Errno> {
    for signal in &[libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR1] {
        ignore(*signal)?;
    }
    block(libc::SIG_SETMASK, &no_signals())
}
