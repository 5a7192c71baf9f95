//! Tests of the installed program against real sockets, a real kernel and a scripted DNS server.
//!
//! `attempts`, `called`, `check`, `confinement`, `connect`, `lookup`, `helpers`, `daily_log`, `events`, `times`, `samples`, `syslog`,
//! `ledger`, `metrics`, `status`, `console`, `cgi`, `servers`, `hard_times`, `time_zone`, `clockless`, `keep`, `processes`, `progress`, `report`, `signals` and `typing` hold the tests,
//! the other files hold what these need. No packet leaves the machine: every connect stays on loopback, and a test that
//! needs an address, a route, a name or a full disk runs in a namespace of its own.

// The lints forbid panics in the monitor, which must not end. A test fails by a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

mod attempts;
mod called;
mod clock;
mod dns;
mod kernel;
mod ledger;
mod lines;
mod listener;
mod namespace;
mod refusal;
mod running;
mod scratch;
mod status;

// A static program takes no preloaded library.
mod cgi;
mod check;
#[cfg(target_env = "gnu")]
mod clockless;
mod confinement;
mod connect;
mod console;
mod daily_log;
mod events;
mod hard_times;
mod helpers;
mod keep;
mod lookup;
mod metrics;
mod processes;
mod progress;
mod readme;
mod report;
mod samples;
mod servers;
mod signals;
mod states;
mod syslog;
mod time_zone;
mod times;
mod typing;
