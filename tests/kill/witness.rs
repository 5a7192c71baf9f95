//! The other side: a listener for each target, which counts the connections it accepts.
//!
//! On loopback a handshake is over before connect(2) returns, so that what was connected to is in
//! the queue of its listener, and stays there when the client is killed. Nothing is accepted
//! behind the harness's back: the queues are emptied when it looks.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};

use crate::{Result, patience};

/// The services that have a listener, in the order of every [`PerListener`].
pub const SERVICES: [&str; 4] = ["web", "db", "mail", "news"];

/// The service at whose port nobody listens.
pub const REFUSED: &str = "refused";

/// A number for each of [`SERVICES`].
pub type PerListener = [u64; SERVICES.len()];

/// The listeners, and what they have seen.
pub struct Witness {
    listeners: Vec<TcpListener>,
    /// Held, so that nobody else listens there.
    refusing: (OwnedFd, u16),
    accepted: PerListener,
    /// Accepted, and not seen to end yet.
    open: Vec<TcpStream>,
}

impl Witness {
    /// Listeners on free ports of 127.0.0.1.
    pub fn new() -> Result<Self> {
        let mut listeners = Vec::new();
        for _ in SERVICES {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            listeners.push(listener);
        }
        let held = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        socket::bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
        let port = socket::getsockname::<SockaddrIn>(held.as_raw_fd())?.port();
        Ok(Self { listeners, refusing: (held, port), accepted: [0; 4], open: Vec::new() })
    }

    /// The port of a service.
    pub fn port(&self, service: &str) -> Result<u16> {
        match SERVICES.iter().position(|known| *known == service) {
            Some(index) => Ok(self.listeners[index].local_addr()?.port()),
            None => Ok(self.refusing.1),
        }
    }

    /// The place among [`SERVICES`] of a port.
    pub fn index_of(&self, port: u16) -> Option<usize> {
        SERVICES.iter().position(|service| self.port(service).is_ok_and(|known| known == port))
    }

    /// Goes on from these counts: those of the state that the next run starts from.
    pub fn begin(&mut self, accepted: PerListener) -> Result {
        self.settle()?;
        self.accepted = accepted;
        Ok(())
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> PerListener {
        self.accepted
    }

    /// Accepts what has come. Returns how many connections were accepted and ended since
    /// [`Witness::begin`] or longer, over all targets.
    pub fn ended(&mut self) -> Result<u64> {
        for index in 0..self.listeners.len() {
            while let Some(stream) = self.accept(index)? {
                self.accepted[index] += 1;
                self.open.push(stream);
            }
        }
        self.open.retain(|stream| !has_ended(stream));
        Ok(self.accepted.iter().sum::<u64>() - self.open.len() as u64)
    }

    /// Accepts all that was connected until now, and gives the counts. At every listener a
    /// connection of our own stands in line behind the others. Nobody connects meanwhile.
    pub fn settle(&mut self) -> Result<PerListener> {
        for index in 0..self.listeners.len() {
            let last = TcpStream::connect(self.listeners[index].local_addr()?)?;
            let us = last.local_addr()?;
            patience("our own connection is accepted", || {
                while let Some(stream) = self.accept(index)? {
                    if stream.peer_addr().is_ok_and(|peer| peer == us) {
                        return Ok(true);
                    }
                    self.accepted[index] += 1;
                }
                Ok(false)
            })?;
        }
        self.open.clear();
        Ok(self.accepted)
    }

    fn accept(&self, index: usize) -> Result<Option<TcpStream>> {
        match self.listeners[index].accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                Ok(Some(stream))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // The client was killed; Linux hands the connection over all the same.
            Err(error) => Err(format!("a listener does not accept: {error}").into()),
        }
    }
}

/// Whether the client has closed its side, one way or the other. It never sends anything.
fn has_ended(stream: &TcpStream) -> bool {
    stream.peek(&mut [0; 1]).map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |_| true)
}
