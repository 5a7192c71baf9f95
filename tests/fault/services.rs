//! The targets of one run: three listeners that count what they accept, a port without a listener,
//! a listener whose queue is full, and a name without an answer.

use std::fmt::Write;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};

use crate::Result;
use crate::name_server::{NAME, SILENT};

/// The services whose every probe must connect: by address, by name, and with `source` and `device`.
pub const GOOD: [&str; 3] = ["literal", "name", "device"];

/// Milliseconds between two probes of a target, and of the two targets that are silent.
pub const INTERVAL: u64 = 100;
pub const SILENT_INTERVAL: u64 = 700;

/// Targets with [`INTERVAL`].
pub const TARGETS: u64 = 4;

/// The listeners, in the order of [`GOOD`].
pub struct Services {
    listeners: Vec<TcpListener>,
    accepted: [u64; 3],
    /// The listener whose queue is full, and the connections in the queue.
    full: Vec<OwnedFd>,
}

impl Services {
    pub fn open() -> Result<Self> {
        let listeners = GOOD.iter().map(|_| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listeners = listeners.collect::<std::io::Result<_>>().map_err(|error| format!("no listener: {error}"))?;
        let full = full_listener().map_err(|errno| format!("no listener with a full queue: {errno}"))?;
        Ok(Self { listeners, accepted: [0; 3], full })
    }

    /// The program's configuration.
    pub fn configuration(&self) -> Result<String> {
        let mut text = format!(
            "interval {INTERVAL}ms\ntimeout 1s\nslow 500ms\nreport 1s\nclose rst\n\
             times on\nevents on\nsamples on\nsyslog on\n\
             target full 127.0.0.1 {} interval {SILENT_INTERVAL}ms\n\
             target closed 127.0.0.1 1\ntarget silent {SILENT} 1 inet interval {SILENT_INTERVAL}ms\n",
            port_of(&self.full[0]).map_err(|errno| errno.to_string())?
        );
        for (service, listener) in GOOD.iter().zip(&self.listeners) {
            let port = listener.local_addr().map_err(|error| error.to_string())?.port();
            let (host, options) = match *service {
                "name" => (NAME, " inet"),
                "device" => ("127.0.0.1", " source 127.0.0.1 device lo"),
                _ => ("127.0.0.1", ""),
            };
            writeln!(text, "target {service} {host} {port}{options}").map_err(|error| error.to_string())?;
        }
        Ok(text)
    }

    /// Accepts what is queued; the kernel has answered long before.
    pub fn accept(&mut self) {
        for (listener, accepted) in self.listeners.iter().zip(&mut self.accepted) {
            while listener.accept().is_ok() {
                *accepted += 1;
            }
        }
    }

    /// Connections accepted so far.
    pub fn accepted(&mut self) -> [u64; 3] {
        self.accept();
        self.accepted
    }
}

/// A listener that answers no SYN, because its queue is full, and what fills the queue.
fn full_listener() -> nix::Result<Vec<OwnedFd>> {
    let new = || socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK, None);
    let listener = new()?;
    socket::bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    socket::listen(&listener, Backlog::new(0)?)?;
    let address = SockaddrIn::new(127, 0, 0, 1, port_of(&listener)?);
    let mut all = vec![listener];
    for _ in 0..3 {
        let filling = new()?;
        // It is in progress.
        let _ = socket::connect(filling.as_raw_fd(), &address);
        all.push(filling);
    }
    Ok(all)
}

fn port_of(socket: &OwnedFd) -> nix::Result<u16> {
    Ok(socket::getsockname::<SockaddrIn>(socket.as_raw_fd())?.port())
}
