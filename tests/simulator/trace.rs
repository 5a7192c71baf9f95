//! The trace: the last events before a failure, kept when one seed runs alone.

use std::cell::RefCell;
use std::collections::VecDeque;

use tcpmon::base::time::Instant;

/// The number of lines kept.
const KEPT: usize = 80;

thread_local! {
    static LINES: RefCell<Option<VecDeque<String>>> = const { RefCell::new(None) };
}

/// Starts the trace of this thread.
pub fn start() {
    LINES.set(Some(VecDeque::with_capacity(KEPT)));
}

/// Adds a line; `line` is called only if a trace is kept.
pub fn note(now: Instant, line: impl FnOnce() -> String) {
    LINES.with_borrow_mut(|lines| {
        if let Some(lines) = lines {
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(format!("{}s {}", now.since(Instant::from_nanos(0)).as_seconds(), line()));
        }
    });
}

/// The lines kept, the newest last.
pub fn lines() -> Vec<String> {
    LINES.with_borrow_mut(|lines| lines.take().unwrap_or_default().into())
}
