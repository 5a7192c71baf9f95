//! What a process gives up for good: new rights (prctl(2), `PR_SET_NO_NEW_PRIVS`), system calls
//! (seccomp(2)) and files (landlock(7)). Where a kernel does not have one of them the error says so,
//! and nothing has changed.

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

use super::{Errno, done};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It watches, and makes helpers.
    Monitor,
    /// It looks names up.
    Helper,
}

/// Whether helpers are confined, and the descriptor of the rules for their files.
static ON: AtomicBool = AtomicBool::new(false);
static RULES: AtomicI32 = AtomicI32::new(-1);

/// From here on nothing gives this process or its children a right that it does not have, also no
/// program that it would run.
pub fn keep_from_rights() -> Result<(), Errno> {
    let (yes, none): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: prctl(2) with numbers.
    done(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) } as libc::c_int)
}

/// From here on every helper is confined at its start: to a helper's calls, and to the files of these
/// rules, which stay open for that.
pub fn confine_helpers(rules: Option<Rules>) {
    if let Some(rules) = rules {
        RULES.store(rules.as_raw_fd(), Ordering::Relaxed);
        core::mem::forget(rules);
    }
    ON.store(true, Ordering::Relaxed);
}

/// In a helper, as long as it has the monitor's descriptors: from here on it has a helper's files. One
/// where this fails is still confined as the monitor is.
pub(super) fn keep_to_files() {
    let rules = RULES.load(Ordering::Relaxed);
    if rules >= 0 {
        let _ = landlock::restrict(rules);
    }
}

/// In a helper that has made all its preparations: from here on it has a helper's calls.
pub(super) fn keep_to_calls() {
    if ON.load(Ordering::Relaxed) {
        let _ = confine(Role::Helper);
    }
}
