//! The peers of a connect: a listener that accepts, one that resets, one that is silent because its
//! backlog is full, and a closed port.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};

use crate::clock::wait_until;

/// How the program ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With FIN, and no byte before it.
    Finished,
    /// With RST.
    Reset,
    /// With bytes, another error or not at all: a probe does none of these.
    Strange,
}

/// One accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub peer: SocketAddr,
    pub end: End,
}

/// A listener that accepts every connection and waits for its end.
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

    /// The connections that have ended so far, in the order of their accept.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.accepted.lock().unwrap().clone()
    }

    /// How many connections were accepted by now, including those that have not ended yet. To find
    /// out, it makes a connection of its own, which comes after them. It sends a byte to know it
    /// again: its port may have been used by an earlier connection.
    pub fn total(&self) -> usize {
        let mut last = TcpStream::connect(self.address).expect("it accepts");
        last.write_all(b"!").expect("it is open");
        let us = Accepted { peer: last.local_addr().expect("it is connected"), end: End::Strange };
        drop(last);
        let mut total = None;
        wait_until("all connections have ended", || {
            let mut accepted = self.accepted.lock().unwrap();
            total = accepted.iter().position(|accepted| *accepted == us);
            total.is_some_and(|at| accepted.remove(at) == us)
        });
        total.expect("waited for")
    }

    /// Waits until the number of ended connections is a new multiple of `targets`. Then no probe is in
    /// flight until the next tick: the program counts a probe before it closes the connection.
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
        // Wakes the thread. If the connect fails, the thread has ended already.
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

/// A listener whose backlog is full: the kernel drops every SYN to it, so it is silent.
pub struct Full {
    pub address: SocketAddr,
    listener: TcpListener,
    /// The connections in the backlog.
    fillers: [TcpStream; 2],
}

impl Full {
    /// On a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self::on("127.0.0.1:0")
    }

    /// On this IPv4 address.
    pub fn on(address: &str) -> Self {
        let fd = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .expect("a descriptor is free");
        let address: SocketAddrV4 = address.parse().expect("an address and a port");
        socket::bind(fd.as_raw_fd(), &SockaddrIn::from(address)).expect("loopback is up, and the port is free");
        // The kernel accepts one more than the backlog. With a backlog of 0 it would answer no SYN at
        // all where syncookies are off.
        socket::listen(&fd, Backlog::new(1).expect("1 is allowed")).expect("it is bound");
        let listener = TcpListener::from(fd);
        let address = listener.local_addr().expect("it is bound");
        let fillers = [0; 2].map(|_| TcpStream::connect(address).expect("two have room"));
        Self { address, listener, fillers }
    }

    /// Empties the backlog: the next retransmitted SYN is answered.
    pub fn make_room(&self) {
        self.fillers.iter().for_each(|_| drop(self.accept()));
    }

    /// Waits for a connection and accepts it.
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

/// A port without a listener. A bound socket reserves it.
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
