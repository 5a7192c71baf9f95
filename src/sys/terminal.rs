//! The size of a terminal.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{done, system_call};

/// How many columns and lines the terminal at this descriptor has (ioctl_tty(2)); zeroes if it does not say so, as a
/// serial line does not.
pub fn size(terminal: BorrowedFd<'_>) -> [usize; 2] {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    let arguments =
        [terminal.as_raw_fd() as usize, libc::TIOCGWINSZ as usize, (&raw mut size).expose_provenance(), 0, 0];
    // SAFETY: the request writes a `winsize` at the address.
    let _ = done(unsafe { system_call(libc::SYS_ioctl, arguments) } as libc::c_int);
    [size.ws_col.into(), size.ws_row.into()]
}
