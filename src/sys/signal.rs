//! Signals arrive through a file descriptor (signalfd(2)) in the same poll set as everything else.

use core::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Errno, descriptor, done, made, system_call};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `SIGTERM`, `SIGINT`, and `SIGXCPU` (its limit of CPU time is reached): end, with a last report.
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

static WISHES: [(c_int, Wish); 7] = [
    (libc::SIGTERM, Wish::Stop),
    (libc::SIGINT, Wish::Stop),
    (libc::SIGXCPU, Wish::Stop),
    (libc::SIGHUP, Wish::Reload),
    (libc::SIGUSR1, Wish::Report),
    (libc::SIGQUIT, Wish::Summary),
    (libc::SIGCHLD, Wish::Child),
];

/// Signals that the run ignores. Those about a file at its size limit and a terminal in use by another process group
/// make the write fail instead. The others would end the run without its last report, and are no sign of a bug.
static IGNORED: &[c_int] = &[
    libc::SIGXFSZ,
    libc::SIGTTOU,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    #[cfg(not(any(
        target_arch = "mips",
        target_arch = "mips32r6",
        target_arch = "mips64",
        target_arch = "mips64r6"
    )))]
    libc::SIGSTKFLT,
];

/// The first real-time signal of the kernel. libc keeps some of them for itself.
const REAL_TIME: c_int = 32;

const ON_MIPS: bool =
    cfg!(any(target_arch = "mips", target_arch = "mips32r6", target_arch = "mips64", target_arch = "mips64r6"));

/// Bytes of the kernel's set of signals, which is the beginning of libc's. It has a bit for each signal.
const SET: usize = if ON_MIPS { 16 } else { 8 };

/// The descriptor through which the signals arrive.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks the signals that are wishes and receives them through a descriptor. A signal that the parent process has
    /// set to be ignored (nohup and `SIGHUP`) stays ignored. `SIGTERM` does not: the run must end when it is told to. Nor
    /// does `SIGCHLD`: if it were ignored, the kernel would reap a dead helper, and another process could get its pid
    /// unnoticed.
    pub fn new() -> Result<Self, Errno> {
        for signal in [libc::SIGTERM, libc::SIGCHLD] {
            // SAFETY: the default action runs none of our code.
            unsafe { set_action(signal, libc::SIG_DFL, 0)? };
        }
        for signal in IGNORED.iter().copied().chain(REAL_TIME..=8 * SET as c_int) {
            ignore(signal)?;
        }
        let mut heeded = no_signals();
        for (signal, _) in &WISHES {
            if !is_ignored(*signal) {
                // SAFETY: the set is live, and the signal exists.
                unsafe { libc::sigaddset(&mut heeded, *signal) };
            }
        }
        block(libc::SIG_BLOCK, &heeded)?;
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        let arguments = [usize::MAX, (&raw const heeded).expose_provenance(), SET, flags as usize, 0];
        // SAFETY: the set is live; the kernel makes this descriptor, and nothing else owns it.
        unsafe { made(system_call(libc::SYS_signalfd4, arguments) as c_int) }.map(Self)
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

/// From now on the kernel discards this signal. Not through libc, which refuses the signals that it keeps for itself.
pub fn ignore(signal: c_int) -> Result<(), Errno> {
    // The kernel's `struct sigaction`: the handler, the flags, a pointer, the mask. On MIPS the flags are first.
    let mut action = [0; 8];
    action[usize::from(ON_MIPS)] = libc::SIG_IGN;
    // SAFETY: `action` is live, and an ignored signal runs none of our code. The old action is not asked for.
    done(unsafe {
        let action = (&raw const action).expose_provenance();
        system_call(libc::SYS_rt_sigaction, [signal as usize, action, 0, SET, 0]) as c_int
    })
}

unsafe extern "C" {
    /// sigaction(2). musl's own name for it, without a lock for a signal that is not set here.
    #[cfg_attr(all(target_env = "musl", target_feature = "crt-static"), link_name = "__libc_sigaction")]
    fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
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
    done(unsafe { sigaction(signal, &action, core::ptr::null_mut()) })
}

/// Whether the parent process has set this signal to be ignored (inherited, signal(7)). Such a signal must not be
/// blocked: the kernel keeps a blocked signal, and it would arrive through the descriptor.
fn is_ignored(signal: c_int) -> bool {
    // SAFETY: `sigaction` is plain data for which zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: a null new action changes nothing; `action` is live.
    let asked = unsafe { sigaction(signal, core::ptr::null(), &mut action) };
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
