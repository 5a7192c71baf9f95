//! Time for the tests: they observe the program from outside, so they read the clock and sleep
//! between two checks. No other file does so.

// The rule is for the program, which waits only in its poll; this file is no part of it.
#![allow(clippy::disallowed_methods)]

use std::thread;
use std::time::{Duration, Instant};

/// More than any wait needs on a busy machine.
const LIMIT: Duration = Duration::from_secs(25);

/// Now, on the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// The pause between two checks.
pub fn a_moment() {
    thread::sleep(Duration::from_millis(5));
}

/// Waits until `condition` holds; fails with `what` when it never does.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = now() + LIMIT;
    while !condition() {
        assert!(now() < end, "waited {LIMIT:?} in vain until {what}");
        a_moment();
    }
}

/// Sleeps: for a time in which something must not happen, or before a late answer.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

/// The wall clock, in seconds since 1970.
pub fn unix() -> i64 {
    tcpmon::sys::clock::wall().unix
}

/// The wall clock in UTC, in the form of the log.
pub fn wall() -> String {
    tcpmon::base::time::WallTime { unix: unix(), nanos: 0, offset: 0 }.to_string()
}
