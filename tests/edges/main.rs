//! The real edges: the program as it is installed, against real sockets, a real kernel and a DNS
//! server that does as it is told.
//!
//! `confinement`, `connect`, `lookup`, `helpers`, `daily_log`, `ledger`, `status`, `console`,
//! `hard_times`, `zone`, `clockless` and `keep` hold the tests; the other files hold
//! what the tests stand on. Nothing leaves the machine: every connect stays on loopback, and every
//! test that needs an address, a route, a name or a full disk has a namespace of its own.

// The lints keep panics out of a monitor that must not end; a test ends by one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod clock;
mod dns;
mod kernel;
mod ledger;
mod listener;
mod namespace;
mod refusal;
mod running;
mod status;

// A static program cannot be preloaded.
#[cfg(target_env = "gnu")]
mod clockless;
mod confinement;
mod connect;
mod console;
mod daily_log;
mod hard_times;
mod helpers;
mod keep;
mod lookup;
mod time_zone;
