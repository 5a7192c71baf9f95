//! The system log, for a process that has no standard error. Sends the same lines as syslog(3), but never waits and
//! does not use the heap.

use std::os::fd::OwnedFd;

use super::net::{self, SockType};
use super::{Errno, process};
use crate::base::limits;
use crate::base::text::Text;

/// The socket of every syslogd.
const SOCKET: &str = "/dev/log";

/// Facility `daemon` (syslog(3)).
const FACILITY: u32 = 3 << 3;

/// How urgent a line is (syslog(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing was started, or a run has ended.
    Error = 3,
    /// The run goes on.
    Warning = 4,
    /// Nothing is wrong.
    Notice = 5,
}

/// The connection to the system log, if there is one, and its kind.
#[derive(Debug, Default)]
pub struct SystemLog(Option<(OwnedFd, SockType)>);

impl SystemLog {
    /// Sends one line. The line is lost if no syslogd runs, or if it reads too slowly. Returns whether it was accepted.
    pub fn send(&mut self, severity: Severity, line: &str) -> bool {
        let line = line.strip_prefix("tcpmon: ").unwrap_or(line);
        let (priority, pid) = (FACILITY | severity as u32, process::pid());
        let packet = Text::<{ limits::MESSAGE + 64 }>::format(format_args!("<{priority}>tcpmon[{pid}]: {line}\0"));
        // syslogd may have been restarted since the last line: then connect again.
        for _ in 0..2 {
            if self.0.is_none() {
                self.0 = net::open_local(SOCKET).ok();
            }
            let Some((socket, kind)) = &self.0 else { return false };
            // The end of a datagram is that of the line. In a stream it is a NUL.
            let bytes = packet.as_str().as_bytes();
            let length = bytes.len() - usize::from(*kind == SockType::Datagram);
            match net::send(socket, &bytes[..length]) {
                // Half a line in a stream would be the beginning of the next one.
                Ok(sent) if sent < length => {
                    self.0 = None;
                    return false;
                }
                Ok(_) => return true,
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return false,
                Err(_) => self.0 = None,
            }
        }
        false
    }
}
