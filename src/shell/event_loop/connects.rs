//! The loop's connects: made, watched in the poll set, and ended.

use std::os::fd::{AsFd, OwnedFd};

use super::{CONNECTS, EventLoop};
use crate::base::limits;
use crate::base::time::Instant;
use crate::core::monitor::TargetId;
use crate::core::probe::{Input, ProbeId};
use crate::model::reason::Shortage;
use crate::model::settings::Close;
use crate::model::target::{Address, Target};
use crate::sys::poll::Interest;
use crate::sys::{Errno, clock, net, reason, shortage};

/// A connect under way.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    probe: ProbeId,
    started: Instant,
}

impl EventLoop {
    pub(super) fn connect(&mut self, probe: ProbeId, watch: TargetId, mut address: Address) {
        self.batch += 1;
        let target = self.monitor.target(watch);
        let port = target.port;
        let prepared = prepare(target, &mut address);
        let started = clock::monotonic();
        self.tell_probe(started, probe, Input::ConnectStarted);
        let socket = match prepared {
            Ok(socket) => socket,
            Err(errno) => return self.tell_probe(started, probe, unprepared(errno)),
        };
        match net::start_connect(&socket, address, port) {
            Ok(at_once) => {
                let index = self.connections.len();
                self.places[usize::from(probe.slot)] = index as u16;
                self.polls.push(socket.as_fd(), Interest::Write);
                self.connections.push(Connection { socket, probe, started });
                if at_once {
                    self.end_connect(clock::monotonic(), index, true);
                }
            }
            Err(errno) => self.tell_probe(clock::monotonic(), probe, failed(errno)),
        }
    }

    /// A connect has ended, at `now` or before.
    pub(super) fn end_connect(&mut self, now: Instant, index: usize, connected: bool) {
        let Connection { socket, probe, started } = self.forget(index);
        // A socket that has hung up without an error was never connected (`tcp_poll` of Linux).
        let result = if connected { Ok(()) } else { net::connect_error(&socket).and(Err(Errno::ENOTCONN)) };
        // A fast connect cannot have been faster by so much that it matters. For a slow one, and
        // for one that was reset after its handshake, the kernel is asked when that handshake
        // ended: it may be we who are late.
        let late = now.since(started) >= self.monitor.settings().thresholds.slow;
        let asked = if result.is_ok() { late } else { result == Err(Errno::ECONNRESET) };
        let handshake = if asked { handshake(&socket, started, now) } else { None };
        let end = match result {
            Ok(()) => Ok(handshake.unwrap_or(now)),
            Err(errno) => handshake.ok_or(errno),
        };
        if end.is_ok() && self.monitor.settings().close == Close::Rst {
            // Without it the connection is closed the normal way, which does no harm.
            let _ = net::reset_on_close(&socket);
        }
        drop(socket);
        match end {
            Ok(at) => self.tell_probe(at, probe, Input::Connected),
            Err(errno) => self.tell_probe(now, probe, failed(errno)),
        }
    }

    /// Closes a connect that nobody waits for any more.
    pub(super) fn drop_connect(&mut self, probe: ProbeId) {
        let index = usize::from(self.places[usize::from(probe.slot)]);
        if self.connections.get(index).is_some_and(|connection| connection.probe == probe) {
            self.forget(index);
        }
    }

    /// Takes a connect out of every table.
    fn forget(&mut self, index: usize) -> Connection {
        self.polls.swap_remove(CONNECTS + index);
        let connection = self.connections.swap_remove(index);
        if let Some(moved) = self.connections.get(index) {
            self.places[usize::from(moved.probe.slot)] = index as u16;
        }
        connection
    }
}

/// What the probe learns of a connect that failed.
fn failed(errno: Errno) -> Input<'static> {
    match shortage(errno) {
        Some(shortage) => Input::FellShort(shortage),
        None => Input::ConnectFailed(reason(errno)),
    }
}

/// The same, where no socket could be made ready.
fn unprepared(errno: Errno) -> Input<'static> {
    match errno {
        // What is missing to go the configured way out is ours, not the target's.
        Errno::EPERM | Errno::EACCES => Input::FellShort(Shortage::Rights),
        // The way out that does not exist is what was configured; everything else is ours, too.
        Errno::ENODEV => failed(errno),
        _ => Input::FellShort(shortage(errno).unwrap_or(Shortage::Socket)),
    }
}

/// When the handshake of a connect that was made at `started` ended, if that was so long before
/// `now` that a loop on time would have seen it.
fn handshake(socket: &OwnedFd, started: Instant, now: Instant) -> Option<Instant> {
    net::handshake_end(socket, started, now).filter(|end| now.since(*end) >= limits::BACKDATE)
}

/// A socket that is ready to connect to the target at this address, which may need its device.
fn prepare(target: &Target, address: &mut Address) -> Result<OwnedFd, Errno> {
    let socket = net::open(address.ip)?;
    if !target.scope.is_empty() {
        address.scope = net::device_index(target.scope.as_str())?;
    }
    if !target.device.is_empty() {
        net::bind_device(&socket, target.device.as_str())?;
    }
    if let Some(source) = target.source {
        net::bind_source(&socket, source)?;
    }
    Ok(socket)
}
