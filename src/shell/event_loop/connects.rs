//! The attempts: starts them, has them polled and ends them. `core::verdict` decides what an end means.

use std::os::fd::{AsFd, OwnedFd};

use crate::base::limits;
use crate::base::time::{Instant, Nanos};
use crate::core::probe::ProbeId;
use crate::core::verdict::{Attempt, Failure};
use crate::model::settings::{Close, Settings};
use crate::model::target::{Address, Target};
use crate::sys::poll::{Owner, PollSet, Ready};
use crate::sys::{Errno, clock, net};

/// An attempt under way.
#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    probe: ProbeId,
    started: Instant,
}

/// The attempts under way.
#[derive(Debug)]
pub(super) struct Connects {
    /// The attempts by the slots of their probes, up to the highest slot used so far, within the memory reserved at the
    /// start.
    connections: Vec<Option<Connection>>,
    /// If an attempt takes this long, the kernel is asked when the peer accepted.
    slow: Nanos,
    close: Close,
}

impl Connects {
    /// No attempts yet.
    pub fn new(settings: &Settings) -> Self {
        let connections = Vec::with_capacity(limits::PROBES);
        Self { connections, slow: settings.thresholds.slow, close: settings.close }
    }

    /// Applies other settings.
    pub fn change(&mut self, settings: &Settings) {
        (self.slow, self.close) = (settings.thresholds.slow, settings.close);
    }

    /// Starts an attempt. Returns when connect(2) was called, and the attempt itself if it ended at once.
    pub fn start(
        &mut self,
        polls: &mut PollSet,
        probe: ProbeId,
        target: &Target,
        mut address: Address,
    ) -> (Instant, Option<Attempt>) {
        let prepared = prepare(target, &mut address);
        let started = clock::monotonic();
        let socket = match prepared {
            Ok(socket) => socket,
            Err(errno) => {
                let error = Some(Failure::Prepare(errno.into()));
                return (started, Some(Attempt { started, seen: started, error, handshake: None }));
            }
        };
        let error = match net::start_connect(&socket, address, target.port) {
            Ok(false) => {
                let slot = usize::from(probe.slot);
                while self.connections.len() <= slot {
                    self.connections.push(None);
                }
                polls.insert(Owner::Attempt(probe.slot), socket.as_fd());
                self.connections[slot] = Some(Connection { socket, probe, started });
                return (started, None);
            }
            Ok(true) => None,
            Err(errno) => Some(Failure::Connect(errno.into())),
        };
        (started, Some(self.finish(socket, started, clock::monotonic(), error)))
    }

    /// Ends the attempt of the probe in this slot, which poll reported as `ready` at `now`. The caller has removed it
    /// from the poll set.
    pub fn end(&mut self, now: Instant, slot: u16, ready: Ready) -> Option<(ProbeId, Attempt)> {
        let Connection { socket, probe, started } = self.connections.get_mut(usize::from(slot))?.take()?;
        let failure =
            || net::connect_error(&socket).err().map_or(Failure::HungUp, |errno| Failure::Connect(errno.into()));
        let error = if ready.is_connected() { None } else { Some(failure()) };
        Some((probe, self.finish(socket, started, now, error)))
    }

    /// Collects the facts of an attempt that has ended, and closes its socket.
    #[inline(never)] // Called from two paths.
    fn finish(&self, socket: OwnedFd, started: Instant, seen: Instant, error: Option<Failure>) -> Attempt {
        let mut attempt = Attempt { started, seen, error, handshake: None };
        if attempt.wants_handshake(self.slow) {
            attempt.handshake = net::handshake(&socket);
        }
        if self.close == Close::Rst && attempt.is_accepted() {
            // If it fails, the connection is closed in the normal way, which does no harm.
            let _ = net::reset_on_close(&socket);
        }
        attempt
    }

    /// Closes an attempt for which its probe does not wait any more.
    pub fn drop(&mut self, polls: &mut PollSet, probe: ProbeId) {
        if let Some(connection) = self.connections.get_mut(usize::from(probe.slot)) {
            if connection.as_ref().is_some_and(|connection| connection.probe == probe) {
                polls.remove(Owner::Attempt(probe.slot));
                *connection = None;
            }
        }
    }
}

/// A socket that is ready to connect to the target at this address. If the target has a scope, the address gets it.
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
