//! The system log, for a process that has no standard error: syslog(3)'s datagrams, sent without
//! its waiting and without its heap.

use std::os::fd::OwnedFd;

use super::{Errno, net, process};
use crate::base::limits;
use crate::base::text::Text;

/// Where every syslogd listens.
const PLACE: &str = "/dev/log";

/// Facility `daemon`, severity `warning` (syslog(3)).
const PRIORITY: u32 = (3 << 3) | 4;

/// The way to the system log, if there is one.
#[derive(Debug, Default)]
pub struct SystemLog(Option<OwnedFd>);

impl SystemLog {
    /// Sends one line. Where nobody listens, or too slowly, it is lost.
    pub fn send(&mut self, line: &str) {
        let line = line.strip_prefix("tcpmon: ").unwrap_or(line);
        let pid = process::pid();
        let packet = Text::<{ limits::MESSAGE + 64 }>::format(format_args!("<{PRIORITY}>tcpmon[{pid}]: {line}"));
        // The syslogd that was there last time may have been started anew.
        for _ in 0..2 {
            if self.0.is_none() {
                self.0 = net::open_local(PLACE).ok();
            }
            let Some(socket) = &self.0 else { return };
            match net::send(socket, packet.as_str().as_bytes()) {
                Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => return,
                Err(_) => self.0 = None,
            }
        }
    }
}
