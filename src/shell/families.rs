//! Looks names up in each family alone. A C library may fail a lookup of both because of one of them: musl waits for
//! the answer about IPv6, and fails if it is an error or does not come.

use core::fmt;
use core::mem::ManuallyDrop;

use crate::base::time::Nanos;
use crate::core::probe::{Input, ProbeId};
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::target::{Family, Target};
use crate::shell::resolver::Resolver;
use crate::sys::clock;
use crate::sys::poll::{Owner, PollSet};

/// The families, each with its name and the option that asks for it alone.
pub const FAMILIES: [(Family, &str, &str); 2] = [(Family::Inet, "IPv4", "inet"), (Family::Inet6, "IPv6", "inet6")];

/// What each of the [`FAMILIES`] alone gives for a name: the time of an answer, or why there is none. Displayed as
/// `IPv4 alone answers in 0.7 ms, write inet; IPv6 alone: timed out`.
#[derive(Clone, Copy, Debug)]
pub struct Alone<'a>(pub &'a [Result<Nanos, Ending>]);

impl fmt::Display for Alone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for ((_, name, option), result) in FAMILIES.iter().zip(self.0) {
            write!(f, "{before}{name} alone")?;
            match result {
                Ok(time) => {
                    write!(f, " answers in {} ms, write {option}", time.as_tenths())?;
                }
                Err(Ending::LookupFailed(reason)) => write!(f, ": {reason}")?,
                Err(ending) => write!(f, ": {ending}")?,
            }
            before = "; ";
        }
        Ok(())
    }
}

/// Looks the hosts of these targets up, `most` lookups at the same time, each for at most `timeout`.
pub fn look_up(targets: &[Target], most: usize, timeout: Nanos) -> Vec<Result<Nanos, Ending>> {
    // Never dropped, like the loop's: the process ends soon.
    let (mut polls, mut pool) = (ManuallyDrop::new(PollSet::new()), ManuallyDrop::new(Resolver::new(most)));
    let mut found = vec![Err(Ending::LookupFailed(Reason::TimedOut)); targets.len()];
    let mut asked = 0;
    while asked < targets.len() {
        let (mut open, end) = (0, clock::monotonic() + timeout);
        for _ in 0..most {
            let Some(target) = targets.get(asked) else { break };
            match pool.ask(end, &mut polls, ProbeId::new(asked as u16, 0), target) {
                Ok(_) => open += 1,
                Err(shortage) => found[asked] = Err(Ending::Skipped(shortage)),
            }
            asked += 1;
        }
        while open > 0 {
            let now = clock::monotonic();
            if now >= end || polls.wait(Some(end.since(now))).is_err() {
                break;
            }
            for number in 0..pool.numbers() {
                if !polls.is_ready(Owner::Helper(number)) {
                    continue;
                }
                if let Some((probe, input)) = pool.receive(now, &mut polls, number, &mut None) {
                    found[usize::from(probe.slot)] = match input {
                        Input::Answered(elapsed, _) => Ok(elapsed),
                        Input::LookupFailed(_, reason) => Err(Ending::LookupFailed(reason)),
                        Input::FellShort(shortage) => Err(Ending::Skipped(shortage)),
                        Input::LookupLost
                        | Input::LookupStarted
                        | Input::ConnectStarted
                        | Input::Connected
                        | Input::ConnectFailed(_)
                        | Input::Expired => Err(Ending::Skipped(Shortage::Processes)),
                    };
                    open -= 1;
                }
            }
        }
        // This ends the lookups that are not answered, too.
        pool.end(&mut polls);
    }
    found
}
