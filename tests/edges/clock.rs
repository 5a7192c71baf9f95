//! Time as the tests see it: they stand beside the program and watch, so they read the clock and
//! sleep between two looks. No other file does either.

// The program waits in its poll alone and is told the time; nothing here is part of it.
#![allow(clippy::disallowed_methods)]

use std::thread;
use std::time::{Duration, Instant};

/// Longer than any wait takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(25);

/// Now, on the clock that never steps.
pub fn now() -> Instant {
    Instant::now()
}

/// Between two looks at something.
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

/// Lets time pass in which something must not happen, or an answer that is to be late.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

/// What the wall clock reads, as in the log and in UTC.
pub fn wall() -> String {
    let unix = tcpmon::sys::clock::wall().unix;
    tcpmon::base::time::WallTime { unix, nanos: 0, offset: 0 }.to_string()
}
