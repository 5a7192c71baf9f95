//! Signals arrive through a file descriptor (signalfd(2)) in the same poll set as everything else.

use core::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Errno, descriptor, done, made};

/// What a signal asks for.
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

/// The descriptor through which the signals arrive.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks the signals above and receives them through a descriptor. A signal that the parent process has set to be
    /// ignored (nohup and `SIGHUP`) stays ignored. `SIGCHLD` does not: if it were ignored, the kernel would reap a dead
    /// helper, and another process could get its pid unnoticed. Signals about a file at its size limit or a terminal in
    /// use by another process group are ignored: the write fails instead.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: the default action runs none of our code.
        unsafe { set_action(libc::SIGCHLD, libc::SIG_DFL, 0)? };
        ignore(libc::SIGXFSZ)?;
        ignore(libc::SIGTTOU)?;
        let mut heeded = no_signals();
        for (signal, _) in &WISHES {
            if !is_ignored(*signal) {
                // SAFETY: the set is live, and the signal exists.
                unsafe { libc::sigaddset(&mut heeded, *signal) };
            }
        }
        block(libc::SIG_BLOCK, &heeded)?;
        // Bytes of the kernel's signal set, which is the beginning of libc's.
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

    /// The next signal, if one has arrived.
    pub fn next(&self) -> Result<Option<Wish>, Errno> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        match descriptor::read(&self.0, &mut info) {
            Ok(_) => {}
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        // `ssi_signo`, its first member
        let signal = c_int::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        Ok(WISHES.iter().find(|(known, _)| *known == signal).map(|(_, wish)| *wish))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Unblocks all signals, so that they have their usual effect again: this process reads no more of them.
pub fn unblock() {
    // sigprocmask(2) fails only for a wrong argument.
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

/// From now on the kernel discards this signal.
pub fn ignore(signal: c_int) -> Result<(), Errno> {
    // SAFETY: an ignored signal runs none of our code.
    unsafe { set_action(signal, libc::SIG_IGN, 0) }
}

/// Sets the action of a signal (sigaction(2)).
///
/// # Safety
/// `handler` is `SIG_DFL`, `SIG_IGN` or a function with the arguments that `flags` say. The function does only what is
/// allowed in a signal handler (signal-safety(7)).
pub(super) unsafe fn set_action(signal: c_int, handler: libc::sighandler_t, flags: c_int) -> Result<(), Errno> {
    // SAFETY: `sigaction` is plain data for which zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags as _;
    // SAFETY: `action` is live, the caller promises that the handler is sound, and the old action is not asked for.
    done(unsafe { libc::sigaction(signal, &action, core::ptr::null_mut()) })
}

/// Whether the parent process has set this signal to be ignored (inherited, signal(7)). Such a signal must not be
/// blocked: the kernel keeps a blocked signal, and it would arrive through the descriptor.
fn is_ignored(signal: c_int) -> bool {
    // SAFETY: `sigaction` is plain data for which zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: a null new action changes nothing; `action` is live.
    let asked = unsafe { libc::sigaction(signal, core::ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// For a helper: ignores the signals that a person sends to the monitor, also with the keyboard, and unblocks all
/// others.
pub fn reset_in_helper() -> Result<(), Errno> {
    for signal in &[libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR1] {
        ignore(*signal)?;
    }
    block(libc::SIG_SETMASK, &no_signals())
}
