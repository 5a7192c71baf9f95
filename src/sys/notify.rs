//! The word to a service manager that a service runs (sd_notify(3)).

use core::ffi::CStr;

use super::net;

use crate::base::words;

/// Sends `READY=1` to the socket that the environment names, if it names one.
pub fn ready() {
    // SAFETY: the name ends with a NUL, and nothing changes the environment of this process.
    let socket = unsafe { libc::getenv(c"NOTIFY_SOCKET".as_ptr()) };
    if socket.is_null() {
        return;
    }
    // SAFETY: getenv(3) gives a string that ends with a NUL.
    if let Some(socket) = words::utf8(unsafe { CStr::from_ptr(socket) }.to_bytes()) {
        if let Ok((socket, _)) = net::open_local(socket) {
            // An error means that the manager is gone.
            let _ = net::send(&socket, b"READY=1");
        }
    }
}
