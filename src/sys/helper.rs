//! A helper process: forked, and without everything that it does not need.

use core::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

use super::by_path::open;
use super::process::{Child, fork, pid};
use super::{Errno, descriptor, done, net, sandbox, signal, system_call};

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
    done(unsafe {
        let arguments = [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0];
        system_call(libc::SYS_prctl, arguments) as c_int
    })?;
    // SAFETY: getppid(2) has no arguments and does not fail.
    if unsafe { libc::getppid() } != parent {
        // The monitor died between the fork and the line above.
        return Err(Errno::ESRCH);
    }
    // SAFETY: the name is a static string that ends with a NUL.
    unsafe {
        let arguments = [libc::PR_SET_NAME as usize, c"tcpmon-helper".as_ptr().expose_provenance(), 0, 0, 0];
        system_call(libc::SYS_prctl, arguments)
    };
    signal::reset_in_helper()?;
    // The socket becomes descriptor 0, and all others are closed.
    descriptor::duplicate(socket, 0)?;
    sandbox::restrict_helper_files();
    descriptor::close_from(1);
    // Without these the next files would be descriptors 1 and 2, where a library writes its messages: an answer of a
    // name server would get lost among them, or they would be sent to it. To these nothing can be written (`EBADF`).
    for _ in 1..=2 {
        core::mem::forget(open("/", libc::O_PATH, 0)?);
    }
    sandbox::restrict_helper_calls();
    // SAFETY: descriptor 0 was made above and has no other owner: the monitor's owner of that number is
    // never used in this process again.
    Ok(unsafe { OwnedFd::from_raw_fd(0) })
}
