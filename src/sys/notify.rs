//! The word to a service manager that a service runs (sd_notify(3)).

use super::{environment, net};

/// Sends `READY=1` to the socket that the environment names, if it names one.
pub fn ready() {
    let socket = environment::variable(c"NOTIFY_SOCKET");
    if socket.is_empty() {
        return;
    }
    if let Ok((socket, _)) = net::open_local(socket) {
        // An error means that the manager is gone.
        let _ = net::send(&socket, b"READY=1");
    }
}
