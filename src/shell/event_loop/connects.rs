//! The attempts: starts them, has them polled and ends them. `core::verdict` decides what an end means.

use std::os::fd::{AsFd, OwnedFd};

use crate::base::limits;
use crate::base::time::Instant;
use crate::core::probe::ProbeId;
use crate::core::verdict::{Attempt, Failure};
use crate::model::settings::{Close, Settings};
use crate::model::target::{Address, Target};
use crate::sys::net::SockType;
use crate::sys::poll::{Owner, PollSet, Ready};
use crate::sys::{Errno, clock, net};

/// An attempt under way.
#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    probe: ProbeId,
    started: Instant,
    address: Address,
    port: u16,
}

/// The attempts under way.
#[derive(Debug)]
pub(super) struct Connects {
    /// The attempts by the slots of their probes, up to the highest slot used so far, within the memory reserved at the
    /// start.
    connections: Vec<Option<Connection>>,
    close: Close,
    /// The local ports that the kernel chooses from.
    local_ports: (u16, u16),
}

impl Connects {
    /// No attempts yet.
    pub fn new(settings: &Settings) -> Self {
        let connections = Vec::with_capacity(limits::PROBES);
        Self { connections, close: settings.close, local_ports: local_ports() }
    }

    /// Applies other settings.
    pub fn change(&mut self, settings: &Settings) {
        (self.close, self.local_ports) = (settings.close, local_ports());
    }

    /// Starts an attempt. Returns when connect(2) was called, and the attempt itself if it ended at once.
    pub fn start(
        &mut self,
        polls: &mut PollSet,
        probe: ProbeId,
        target: &Target,
        mut address: Address,
    ) -> (Instant, Option<Attempt>) {
        let prepared = prepare(target, &mut address, SockType::Stream);
        let started = clock::monotonic();
        let socket = match prepared {
            Ok(socket) => socket,
            Err(errno) => {
                let error = Some(Failure::Prepare(errno.into()));
                let attempt = Attempt { started, seen: started, error, handshake: None, met_itself: false };
                return (started, Some(attempt));
            }
        };
        let error = match net::start_connect(&socket, address, target.port) {
            Ok(false) => {
                let slot = usize::from(probe.slot);
                while self.connections.len() <= slot {
                    self.connections.push(None);
                }
                polls.insert(Owner::Attempt(probe.slot), socket.as_fd());
                let port = target.port;
                self.connections[slot] = Some(Connection { socket, probe, started, address, port });
                return (started, None);
            }
            Ok(true) => None,
            Err(Errno::EADDRNOTAVAIL) if has_no_address(target, address) => Some(Failure::NoAddress),
            Err(errno) => Some(Failure::Connect(errno.into())),
        };
        let connection = Connection { socket, probe, started, address, port: target.port };
        (started, Some(self.finish(&connection, clock::monotonic(), error)))
    }

    /// Ends the attempt of the probe in this slot, which poll reported as `ready` at `now`. The caller has removed it
    /// from the poll set.
    pub fn end(&mut self, now: Instant, slot: u16, ready: Ready) -> Option<(ProbeId, Attempt)> {
        let connection = self.connections.get_mut(usize::from(slot))?.take()?;
        let failure = |errno: Errno| Failure::Connect(errno.into());
        let error = (!ready.is_connected())
            .then(|| net::connect_error(&connection.socket).err().map_or(Failure::HungUp, failure));
        Some((connection.probe, self.finish(&connection, now, error)))
    }

    /// Collects the facts of an attempt that has ended, and decides how its socket is closed. The caller drops it.
    #[inline(never)] // Called from many paths.
    fn finish(&self, connection: &Connection, seen: Instant, error: Option<Failure>) -> Attempt {
        let Connection { socket, started, address, port, .. } = connection;
        let mut attempt = Attempt { started: *started, seen, error, handshake: None, met_itself: false };
        if attempt.was_accepted() || attempt.may_have_resent() {
            attempt.handshake = net::handshake(socket);
        }
        if attempt.was_accepted() {
            attempt.met_itself =
                attempt.may_have_met_itself(*address, *port, self.local_ports) && net::is_connected_to_itself(socket);
            if self.close == Close::Rst || attempt.met_itself {
                // If it fails, the connection is closed in the normal way, which does no harm. (A socket that has met
                // itself keeps its port for a minute then.)
                let _ = net::reset_on_close(socket);
            }
        }
        attempt
    }

    /// Closes an attempt whose time is over. Returns how many SYNs the kernel had sent again, if it tells.
    pub fn drop(&mut self, polls: &mut PollSet, probe: ProbeId) -> Option<u32> {
        let connection = self.connections.get_mut(usize::from(probe.slot))?;
        let connection = connection.take_if(|connection| connection.probe == probe)?;
        polls.remove(Owner::Attempt(probe.slot));
        // As if the kernel had given it up.
        let over = Failure::Connect(Errno::ETIMEDOUT.into());
        self.finish(&connection, clock::monotonic(), Some(over)).resent()
    }
}

fn local_ports() -> (u16, u16) {
    net::local_ports().unwrap_or(limits::LOCAL_PORTS)
}

/// Whether this box has no address to connect from, after connect(2) has failed with `EADDRNOTAVAIL`: this may also
/// mean that no local port is free. A datagram socket has ports of its own, and its connect sends nothing (udp(7)).
fn has_no_address(target: &Target, mut address: Address) -> bool {
    let connected = prepare(target, &mut address, SockType::Datagram)
        .and_then(|socket| net::start_connect(&socket, address, target.port));
    connected == Err(Errno::EADDRNOTAVAIL)
}

/// A socket that is ready to connect to the target at this address. If the target has a scope, the address gets it.
fn prepare(target: &Target, address: &mut Address, kind: SockType) -> Result<OwnedFd, Errno> {
    let socket = net::open(address.ip, kind)?;
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
