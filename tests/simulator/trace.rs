//! The last steps before a failure, kept where one seed is run alone.

use std::cell::RefCell;
use std::collections::VecDeque;

use tcpmon::base::time::Instant;

/// How many steps are worth reading.
const KEPT: usize = 80;

thread_local! {
    static STEPS: RefCell<Option<VecDeque<String>>> = const { RefCell::new(None) };
}

/// Starts to keep this thread's steps.
pub fn start() {
    STEPS.set(Some(VecDeque::with_capacity(KEPT)));
}

/// A step, worked out only where it is kept.
pub fn note(now: Instant, step: impl FnOnce() -> String) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(steps) = steps {
            if steps.len() == KEPT {
                steps.pop_front();
            }
            steps.push_back(format!("{}s {}", now.since(Instant::from_nanos(0)).as_seconds(), step()));
        }
    });
}

/// The steps that were kept, the last one last.
pub fn steps() -> Vec<String> {
    STEPS.with_borrow_mut(|steps| steps.take().unwrap_or_default().into())
}
