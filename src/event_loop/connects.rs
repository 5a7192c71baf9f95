//! The loop's connects: made, watched in the poll set, and ended.

use std::os::fd::{AsFd, OwnedFd};

use super::{CONNECTS, EventLoop};
use crate::config::Close;
use crate::limits;
use crate::monitor::{Event, WatchId};
use crate::probe::{Input, ProbeId};
use crate::sys::poll::Interest;
use crate::sys::{Errno, clock, net, reason, shortage};
use crate::tally::Shortage;
use crate::target::{Address, Target};
use crate::time::Instant;

/// A connect under way.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    probe: ProbeId,
    started: Instant,
    /// Its place behind [`CONNECTS`] in the poll set.
    place: usize,
}

impl EventLoop {
    pub(super) fn connect(&mut self, probe: ProbeId, watch: WatchId, address: Address) {
        self.batch += 1;
        let target = self.monitor.target(watch);
        let port = target.port;
        let prepared = prepare(target, address);
        let started = clock::monotonic();
        self.monitor.handle(started, Event::Probe(probe, Input::ConnectStarted));
        let (socket, address) = match prepared {
            Ok(prepared) => prepared,
            // What is missing to go the configured way out is ours, not the target's.
            Err(Errno::EPERM | Errno::EACCES) => {
                return self.monitor.handle(started, Event::Probe(probe, Input::FellShort(Shortage::Rights)));
            }
            // The way out that does not exist is what was configured; everything else is ours, too.
            Err(Errno::ENODEV) => return self.fail_connect(started, probe, Errno::ENODEV),
            Err(errno) => {
                let shortage = shortage(errno).unwrap_or(Shortage::Socket);
                return self.monitor.handle(started, Event::Probe(probe, Input::FellShort(shortage)));
            }
        };
        match net::start_connect(&socket, address, port) {
            Ok(at_once) => {
                let slot = usize::from(probe.slot);
                if self.connections.len() <= slot {
                    self.connections.resize_with(slot + 1, || None);
                }
                let place = self.polls.len();
                self.polls.push(socket.as_fd(), Interest::Write);
                self.owners.push(probe.slot);
                self.connections[slot] = Some(Connection { socket, probe, started, place });
                if at_once {
                    self.end_connect(clock::monotonic(), probe.slot, true);
                }
            }
            Err(errno) => self.fail_connect(clock::monotonic(), probe, errno),
        }
    }

    /// A connect has ended, at `now` or before.
    pub(super) fn end_connect(&mut self, now: Instant, slot: u16, connected: bool) {
        let Some(Connection { socket, probe, started, .. }) = self.forget(slot) else { return };
        // A socket that has hung up without an error was never connected (`tcp_poll` of Linux).
        let result = if connected { Ok(()) } else { net::take_error(&socket).and(Err(Errno::ENOTCONN)) };
        // A fast connect cannot have been faster by so much that it matters. For a slow one, and
        // for one that was reset after its handshake, the kernel is asked when that handshake
        // ended: it may be we who are late.
        let late = now.since(started) >= self.monitor.settings().thresholds.slow;
        let end = match result {
            Ok(()) if late => Ok(handshake(&socket, started, now).unwrap_or(now)),
            Ok(()) => Ok(now),
            Err(Errno::ECONNRESET) => handshake(&socket, started, now).ok_or(Errno::ECONNRESET),
            Err(errno) => Err(errno),
        };
        if end.is_ok() && self.monitor.settings().close == Close::Rst {
            // Without it the connection is closed the normal way, which does no harm.
            let _ = net::reset_on_close(&socket);
        }
        drop(socket);
        match end {
            Ok(at) => self.monitor.handle(at, Event::Probe(probe, Input::Connected)),
            Err(errno) => self.fail_connect(now, probe, errno),
        }
    }

    fn fail_connect(&mut self, now: Instant, probe: ProbeId, errno: Errno) {
        let event = match shortage(errno) {
            Some(shortage) => Event::Probe(probe, Input::FellShort(shortage)),
            None => Event::Probe(probe, Input::ConnectFailed(reason(errno))),
        };
        self.monitor.handle(now, event);
    }

    /// Takes a connect out of every table.
    pub(super) fn forget(&mut self, slot: u16) -> Option<Connection> {
        let connection = self.connections.get_mut(usize::from(slot))?.take()?;
        self.polls.swap_remove(connection.place);
        self.owners.swap_remove(connection.place - CONNECTS);
        if let Some(moved) = self.owners.get(connection.place - CONNECTS)
            && let Some(moved) = &mut self.connections[usize::from(*moved)]
        {
            moved.place = connection.place;
        }
        Some(connection)
    }
}

/// When the handshake of a connect that was made at `started` ended, if that was so long before
/// `now` that a loop on time would have seen it.
fn handshake(socket: &OwnedFd, started: Instant, now: Instant) -> Option<Instant> {
    net::handshake_end(socket, started, now).filter(|end| now.since(*end) >= limits::BACKDATE)
}

/// A socket that is ready to connect to the target at this address, which may need its device.
fn prepare(target: &Target, mut address: Address) -> Result<(OwnedFd, Address), Errno> {
    let socket = net::open(address.ip)?;
    if !target.zone.is_empty() {
        address.scope = net::device_index(target.zone.as_str())?;
    }
    if !target.device.is_empty() {
        net::bind_device(&socket, target.device.as_str())?;
    }
    if let Some(source) = target.source {
        net::bind_source(&socket, source)?;
    }
    Ok((socket, address))
}
