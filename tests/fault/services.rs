//! The targets of one run: three listeners that count what they accept, a port without a listener,
//! and a name without an answer.

use std::fmt::Write;
use std::net::TcpListener;

use crate::Result;
use crate::name_server::{NAME, SILENT};

/// The services whose every probe must connect: by address, by name, and with `source` and `device`.
pub const GOOD: [&str; 3] = ["literal", "name", "device"];

/// Milliseconds between two probes of a target, and of the silent target.
pub const INTERVAL: u64 = 100;
pub const SILENT_INTERVAL: u64 = 700;

/// Targets with [`INTERVAL`].
pub const TARGETS: u64 = 4;

/// The listeners, in the order of [`GOOD`].
pub struct Services {
    listeners: Vec<TcpListener>,
    accepted: [u64; 3],
}

impl Services {
    pub fn open() -> Result<Self> {
        let listeners = GOOD.iter().map(|_| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listeners = listeners.collect::<std::io::Result<_>>().map_err(|error| format!("no listener: {error}"))?;
        Ok(Self { listeners, accepted: [0; 3] })
    }

    /// The program's configuration.
    pub fn configuration(&self) -> Result<String> {
        let mut text = format!(
            "interval {INTERVAL}ms\ntimeout 1s\nslow 500ms\nreport 1s\nclose rst\n\
             target closed 127.0.0.1 1\ntarget silent {SILENT} 1 inet interval {SILENT_INTERVAL}ms\n"
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
