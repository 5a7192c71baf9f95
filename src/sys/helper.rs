//! A helper process: forked, and cut off from all that it does not need.

use core::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

use super::process::{Child, fork, pid};
use super::{Errno, descriptor, done, net, sandbox, signal};

/// Forks a helper that runs `serve` with its end of a packet socket pair, and ends with it.
/// Gives the child and our end.
pub fn spawn(serve: fn(&OwnedFd)) -> Result<(Child, OwnedFd), Errno> {
    let (ours, theirs) = net::pair()?;
    let parent = pid();
    if let Some(child) = fork()? {
        return Ok((child, ours));
    }
    if let Ok(socket) = confine(&theirs, parent) {
        serve(&socket);
    }
    // SAFETY: always sound; it runs no destructors and no atexit handlers, which are the
    // monitor's.
    unsafe { libc::_exit(0) }
}

/// Cuts the child off from the monitor's signals, descriptors and death.
fn confine(socket: &OwnedFd, parent: libc::pid_t) -> Result<OwnedFd, Errno> {
    // SAFETY: prctl(2) with a number.
    done(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL) } as c_int)?;
    // SAFETY: getppid(2) takes nothing and does not fail.
    if unsafe { libc::getppid() } != parent {
        // The monitor died between the fork and the line above.
        return Err(Errno::ESRCH);
    }
    // SAFETY: prctl(2) with a text that ends with a NUL and lives for ever.
    unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NAME, c"tcpmon-helper".as_ptr()) };
    signal::reset_in_helper()?;
    // The pair becomes descriptor 0, and everything else goes.
    descriptor::duplicate(socket, 0)?;
    sandbox::keep_to_files();
    descriptor::close_from(1);
    sandbox::keep_to_calls();
    // SAFETY: descriptor 0 was made just above, and nobody else owns it: whatever had that number
    // in the monitor is never used in this process again.
    Ok(unsafe { OwnedFd::from_raw_fd(0) })
}
