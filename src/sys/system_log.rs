//! The system log, for a process that has no standard error. Sends the same datagrams as syslog(3), but never waits
//! and does not use the heap.

use std::os::fd::OwnedFd;

use super::{Errno, net, process};
use crate::base::limits;
use crate::base::text::Text;

/// The socket of every syslogd.
const SOCKET: &str = "/dev/log";

/// Facility `daemon`, severity `warning` (syslog(3)).
const PRIORITY: u32 = (3 << 3) | 4;

/// The connection to the system log, if there is one.
#[derive(Debug, Default)]
pub struct SystemLog(Option<OwnedFd>);

impl SystemLog {
    /// Sends one line. The line is lost if no syslogd runs, or if it reads too slowly.
    pub fn send(&mut self, line: &str) {
        let line = line.strip_prefix("tcpmon: ").unwrap_or(line);
        let pid = process::pid();
        let packet = Text::<{ limits::MESSAGE + 64 }>::format(format_args!("<{PRIORITY}>tcpmon[{pid}]: {line}"));
        // syslogd may have been restarted since the last line: then connect again.
        for _ in 0..2 {
            if self.0.is_none() {
                self.0 = net::open_local(SOCKET).ok();
            }
            let Some(socket) = &self.0 else { return };
            match net::send(socket, packet.as_str().as_bytes()) {
                Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => return,
                Err(_) => self.0 = None,
            }
        }
    }
}
