//! The far end of a connect: a listener that accepts, one that resets, one whose backlog is full
//! and which is therefore silent, and a port at which nobody listens.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};

use crate::clock::wait_until;

/// How the other side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With FIN: an orderly close, and no byte before it.
    Finished,
    /// With RST.
    Reset,
    /// With bytes, an error or not at all: none of which a probe does.
    Strange,
}

/// One accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub peer: SocketAddr,
    pub end: End,
}

/// A listener that accepts every connection and sees it end.
pub struct Accepting {
    pub address: SocketAddr,
    accepted: Arc<Mutex<Vec<Accepted>>>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Accepting {
    /// On a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self::on("127.0.0.1:0").expect("loopback is up")
    }

    /// On this address.
    pub fn on(address: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (accepted, closing) = (Arc::clone(&accepted), Arc::clone(&closing));
            move || {
                while let Ok((stream, peer)) = listener.accept() {
                    if closing.load(Ordering::SeqCst) {
                        break;
                    }
                    let end = end_of(stream);
                    accepted.lock().unwrap().push(Accepted { peer, end });
                }
            }
        });
        Ok(Self { address, accepted, closing, thread: Some(thread) })
    }

    /// What was accepted so far, in order.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.accepted.lock().unwrap().clone()
    }

    /// How many were accepted by now, those too whose end has not been seen yet. To know it, one
    /// of our own stands in line behind them: known by its byte, since its port may have been that
    /// of an earlier one.
    pub fn total(&self) -> usize {
        let mut last = TcpStream::connect(self.address).expect("it accepts");
        last.write_all(b"!").expect("it takes a byte");
        let us = Accepted { peer: last.local_addr().expect("it is connected"), end: End::Strange };
        drop(last);
        let mut total = None;
        wait_until("all connections were seen to their end", || {
            let mut accepted = self.accepted.lock().unwrap();
            total = accepted.iter().position(|accepted| *accepted == us);
            total.is_some_and(|at| accepted.remove(at) == us)
        });
        total.expect("waited for")
    }

    /// Waits until `targets` connections more have ended, or a multiple of that. Between two
    /// ticks then no probe is in flight: the program counts one before it closes the connection.
    pub fn wait_for_a_round(&self, targets: usize) {
        let before = self.accepted().len();
        wait_until("a round is over", || {
            let now = self.accepted().len();
            now > before && now % targets == 0
        });
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread. Where it failed the thread is gone already.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn end_of(mut stream: TcpStream) -> End {
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("not zero");
    match stream.read(&mut [0; 16]) {
        Ok(0) => End::Finished,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
        Ok(_) | Err(_) => End::Strange,
    }
}

/// A listener whose backlog is full: the kernel drops every SYN to it, so that it is silent.
pub struct Full {
    pub address: SocketAddr,
    listener: TcpListener,
    /// The connections in the backlog.
    fillers: [TcpStream; 2],
}

impl Full {
    /// On a free port of 127.0.0.1.
    pub fn new() -> Self {
        let fd = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .expect("a descriptor is free");
        let any_port = SockaddrIn::new(127, 0, 0, 1, 0);
        socket::bind(fd.as_raw_fd(), &any_port).expect("loopback is up");
        // The kernel lets one more in than the backlog says. With a backlog of 0 it would answer
        // no SYN at all where syncookies are off.
        socket::listen(&fd, Backlog::new(1).expect("1 is allowed")).expect("it is bound");
        let listener = TcpListener::from(fd);
        let address = listener.local_addr().expect("it is bound");
        let fillers = [0; 2].map(|_| TcpStream::connect(address).expect("two have room"));
        Self { address, listener, fillers }
    }

    /// Makes room: the SYN that the kernel repeats next will be answered.
    pub fn make_room(&self) {
        self.fillers.iter().for_each(|_| drop(self.accept()));
    }

    /// Accepts one connection, when it comes.
    pub fn accept(&self) -> TcpStream {
        self.listener.accept().expect("it listens").0
    }
}

/// A listener that accepts every connection and resets it at once.
pub struct Resetting {
    pub address: SocketAddr,
}

impl Resetting {
    /// On a free port of 127.0.0.1. Its thread ends with the process.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                reset(stream);
            }
        });
        Self { address }
    }
}

/// Closes a connection with RST instead of FIN.
pub fn reset(stream: TcpStream) {
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    socket::setsockopt(&stream, Linger, &at_once).expect("a TCP socket");
}

/// A port at which nobody listens. It is held, so that nobody else can.
pub struct Closed {
    pub address: SocketAddr,
    _held: OwnedFd,
}

impl Closed {
    /// A free port of 127.0.0.1.
    pub fn new() -> Self {
        let held = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .expect("a descriptor is free");
        socket::bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("loopback is up");
        let bound: SockaddrIn = socket::getsockname(held.as_raw_fd()).expect("it is bound");
        let address = SocketAddr::from((bound.ip(), bound.port()));
        Self { address, _held: held }
    }
}
