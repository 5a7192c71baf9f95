//! A listener for each target, which counts the connections that it accepts.
//!
//! On loopback a handshake ends before connect(2) returns: the connection is in the listener's
//! queue, and stays there when the client is killed. No thread accepts: the queues are emptied only
//! when the test calls.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{self, AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrIn};

use crate::book::Book;
use crate::run_dir::FLIP;
use crate::{Result, wait_for};

/// The services that have a listener, in the order of every [`PerListener`].
pub const SERVICES: [&str; 4] = ["web", "db", "mail", "news"];

/// The service whose port has no listener.
pub const REFUSED: &str = "refused";

/// A number for each of [`SERVICES`].
pub type PerListener = [u64; SERVICES.len()];

/// The listeners, and what they have seen.
pub struct Witness {
    listeners: Vec<TcpListener>,
    /// Bound but not listening, so that no other process can listen on the port.
    refusing: (OwnedFd, u16),
    /// The port of [`FLIP`], which listens in some lives.
    flip: (OwnedFd, u16),
    pub book: Book,
    /// Accepted, and not yet closed by the client.
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
        let refusing = bound_to(0)?;
        // Only a socket that was bound to a port by its number keeps it when it no longer listens.
        let port = bound_to(0)?.1;
        let (book, open) = (Book::default(), Vec::new());
        Ok(Self { listeners, refusing, flip: bound_to(port)?, book, open })
    }

    /// The port of a service.
    pub fn port(&self, service: &str) -> Result<u16> {
        match SERVICES.iter().position(|known| *known == service) {
            Some(index) => Ok(self.listeners[index].local_addr()?.port()),
            None if service == FLIP => Ok(self.flip.1),
            None => Ok(self.refusing.1),
        }
    }

    /// The index in [`SERVICES`] of a port.
    pub fn index_of(&self, port: u16) -> Option<usize> {
        SERVICES.iter().position(|service| self.port(service).is_ok_and(|known| known == port))
    }

    /// Sets the book to that of the state that the next run starts from.
    pub fn begin(&mut self, book: &Book) -> Result {
        self.accept_all()?;
        self.book = book.clone();
        Ok(())
    }

    /// Begins the next life: [`FLIP`] has a listener, or has none any more.
    pub fn begin_life(&mut self) -> Result {
        self.book.lives += 1;
        if self.book.has_flip() {
            socket::listen(&self.flip.0, Backlog::new(1024)?)?;
        } else {
            // The queue is lost, too. It fails if the socket does not listen.
            let _ = socket::shutdown(self.flip.0.as_raw_fd(), Shutdown::Read);
        }
        Ok(())
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> PerListener {
        self.book.accepted
    }

    /// Accepts what is queued. Returns how many connections have ended, over all targets, with the
    /// counts given to [`Witness::begin`].
    pub fn ended(&mut self) -> Result<u64> {
        for index in 0..self.listeners.len() {
            while let Some(stream) = self.accept(index)? {
                self.book.accepted[index] += 1;
                self.open.push(stream);
            }
        }
        self.open.retain(|stream| !has_ended(stream));
        Ok(self.book.accepted.iter().sum::<u64>() - self.open.len() as u64)
    }

    /// Accepts all that was connected until now, and returns the counts. A connection of our own
    /// marks the end of each queue: no other process connects meanwhile.
    pub fn accept_all(&mut self) -> Result<PerListener> {
        for index in 0..self.listeners.len() {
            let last = TcpStream::connect(self.listeners[index].local_addr()?)?;
            let us = last.local_addr()?;
            wait_for("our own connection is accepted", || {
                while let Some(stream) = self.accept(index)? {
                    if stream.peer_addr().is_ok_and(|peer| peer == us) {
                        return Ok(true);
                    }
                    self.book.accepted[index] += 1;
                }
                Ok(false)
            })?;
        }
        self.open.clear();
        Ok(self.book.accepted)
    }

    fn accept(&self, index: usize) -> Result<Option<TcpStream>> {
        match self.listeners[index].accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                Ok(Some(stream))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // A killed client is no reason: Linux hands over its connection, too.
            Err(error) => Err(format!("a listener does not accept: {error}").into()),
        }
    }
}

/// A socket that is bound to this port, or to a free one, and its port.
fn bound_to(port: u16) -> Result<(OwnedFd, u16)> {
    let held = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Connections of before may still be waiting for their end.
    socket::setsockopt(&held, socket::sockopt::ReuseAddr, &true)?;
    socket::bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port))?;
    let port = socket::getsockname::<SockaddrIn>(held.as_raw_fd())?.port();
    Ok((held, port))
}

/// Whether the client has closed or reset the connection. It never sends data.
fn has_ended(stream: &TcpStream) -> bool {
    stream.peek(&mut [0; 1]).map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |_| true)
}
