//! A helper process: forked, and without everything that it does not need.

use core::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

use super::process::{Child, fork, pid};
use super::{Errno, descriptor, done, net, sandbox, signal};

/// Forks a helper that runs `serve` with its end of a packet socket pair, and then ends. Returns the child and
/// the parent's end.
pub fn spawn(serve: fn(&OwnedFd)) -> Result<(Child, OwnedFd), Errno> {
    let (ours, theirs) = net::pair()?;
    let parent = pid();
    if let Some(child) = fork()? {
        return Ok((child, ours));
    }
    if let Ok(socket) = confine(&theirs, parent) {
        serve(&socket);
    }
    // _exit(2) runs no destructors and no atexit handlers: they are the monitor's.
    // SAFETY: the argument is a number.
    unsafe { libc::_exit(0) }
}

/// Prepares the child: it dies with the monitor, gets none of its signals, keeps only the socket and is confined.
fn confine(socket: &OwnedFd, parent: libc::pid_t) -> Result<OwnedFd, Errno> {
    // SAFETY: the arguments of prctl(2) are numbers here.
    done(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL) } as c_int)?;
    // SAFETY: getppid(2) has no arguments and does not fail.
    if unsafe { libc::getppid() } != parent {
        // The monitor died between the fork and the line above.
        return Err(Errno::ESRCH);
    }
    // SAFETY: the name is a static string that ends with a NUL.
    unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NAME, c"tcpmon-helper".as_ptr()) };
    signal::reset_in_helper()?;
    // The socket becomes descriptor 0, and all others are closed.
    descriptor::duplicate(socket, 0)?;
    sandbox::restrict_helper_files();
    descriptor::close_from(1);
    sandbox::restrict_helper_calls();
    // SAFETY: descriptor 0 was made above and has no other owner: the monitor's owner of that number is
    // never used in this process again.
    Ok(unsafe { OwnedFd::from_raw_fd(0) })
}
