//! What a process gives up for ever: new rights (prctl(2), `PR_SET_NO_NEW_PRIVS`), system calls (seccomp(2)) and files
//! (landlock(7)). On a kernel without one of them the function fails and changes nothing.

#[cfg_attr(
    not(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "mips"
    )),
    path = "sandbox/no_filter.rs"
)]
mod filter;
mod landlock;

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::os::fd::AsRawFd;

pub use filter::confine;
pub use landlock::{Access, Rules};

use super::{Errno, done, system_call};

/// The kinds of process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A command that only looks at a run or signals it. It may not fork.
    Command,
    /// The monitor, which forks helpers.
    Monitor,
    /// A helper, which looks up names.
    Helper,
    /// An answer to a web server. It may only read: it opens no file for writing, has no socket and signals nobody.
    Answer,
}

/// Whether helpers have a filter, and the descriptor of their Landlock rules.
static FILTERED: AtomicBool = AtomicBool::new(false);
static RULES: AtomicI32 = AtomicI32::new(-1);

/// From now on this process and its children cannot gain rights, not even by running a set-user-ID program.
pub fn set_no_new_privs() -> Result<(), Errno> {
    // SAFETY: the arguments of prctl(2) are numbers here.
    done(unsafe { system_call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0]) } as libc::c_int)
}

/// From now on every helper confines itself at its start: to the files of these rules, whose descriptor stays open for
/// that, and if `filtered` to a helper's system calls. Each also where the kernel lacks the other.
pub fn confine_helpers(rules: Option<Rules>, filtered: bool) {
    if let Some(rules) = rules {
        RULES.store(rules.as_raw_fd(), Ordering::Relaxed);
        core::mem::forget(rules);
    }
    FILTERED.store(filtered, Ordering::Relaxed);
}

/// Confines this helper to its files. It must still have the monitor's descriptors. If this fails, the monitor's
/// rules stay in force.
pub(super) fn restrict_helper_files() {
    let rules = RULES.load(Ordering::Relaxed);
    if rules >= 0 {
        let _ = landlock::restrict(rules);
    }
}

/// Confines this helper to its system calls. The last of its preparations: they need more calls.
pub(super) fn restrict_helper_calls() {
    if FILTERED.load(Ordering::Relaxed) {
        let _ = confine(Role::Helper);
    }
}
