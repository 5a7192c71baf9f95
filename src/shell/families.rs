//! Looks names up in each family alone. A C library may fail a lookup of both because of one of them: musl waits for
//! the answer about IPv6, and fails if it is an error or does not come.

use core::fmt;

use crate::base::time::{Instant, Nanos};
use crate::core::probe::{Input, ProbeId};
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::target::{Family, Target};
use crate::shell::resolver::Resolver;
use crate::sys::clock;
use crate::sys::poll::{Owner, PollSet};

/// The families, each with its name and the option that asks for it alone.
const FAMILIES: [(Family, &str, &str); 2] = [(Family::Inet, "IPv4", "inet"), (Family::Inet6, "IPv6", "inet6")];

/// What the families alone give for a name: the time of an answer, or why there is none. Displayed as `IPv4 alone
/// answers in 0.7 ms, write inet; IPv6 alone: timed out`.
#[derive(Clone, Copy, Debug)]
pub struct Alone([Result<Nanos, Ending>; FAMILIES.len()]);

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for ((_, name, option), result) in FAMILIES.iter().zip(&self.0) {
            write!(f, "{before}{name} alone")?;
            match result {
                Ok(time) => {
                    let tenths = time.get() / 100_000;
                    write!(f, " answers in {}.{} ms, write {option}", tenths / 10, tenths % 10)?;
                }
                Err(Ending::LookupFailed(reason)) => write!(f, ": {reason}")?,
                Err(ending) => write!(f, ": {ending}")?,
            }
            before = "; ";
        }
        Ok(())
    }
}

/// Looks the hosts of these targets up, at most `most` lookups at a time, each for at most `timeout`.
pub fn look_up(targets: &[Target], most: usize, timeout: Nanos) -> Vec<Alone> {
    let (mut polls, mut pool) = (PollSet::new(), Resolver::new(most));
    let mut found = vec![Alone([Err(Ending::LookupFailed(Reason::TimedOut)); FAMILIES.len()]); targets.len()];
    // When each lookup that is under way is given up.
    let mut ends = vec![Instant::NEVER; targets.len() * FAMILIES.len()];
    let (mut next, mut open) = (0, 0);
    loop {
        while next < ends.len() && open < most {
            let (i, k) = (next / FAMILIES.len(), next % FAMILIES.len());
            let (now, target) = (clock::monotonic(), Target { family: FAMILIES[k].0, ..targets[i] });
            match pool.ask(now, &mut polls, id(next), &target) {
                Ok(_) => {
                    ends[next] = now + timeout;
                    open += 1;
                }
                // There may be enough once another one has ended.
                Err(_) if open > 0 => break,
                Err(shortage) => found[i].0[k] = Err(Ending::Skipped(shortage)),
            }
            next += 1;
        }
        let end = ends.iter().copied().fold(Instant::NEVER, Instant::min);
        if open == 0 || polls.wait(Some(end.since(clock::monotonic()))).is_err() {
            break;
        }
        let now = clock::monotonic();
        for number in 0..pool.numbers() {
            let mut reply = None;
            if !polls.is_ready(Owner::Helper(number)) {
                continue;
            }
            if let Some((probe, input)) = pool.receive(now, &mut polls, number, &mut reply) {
                let slot = usize::from(probe.slot);
                found[slot / FAMILIES.len()].0[slot % FAMILIES.len()] = match input {
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
                ends[slot] = Instant::NEVER;
                open -= 1;
            }
        }
        for (slot, end) in ends.iter_mut().enumerate().filter(|(_, end)| **end <= now) {
            pool.drop_lookup(&mut polls, id(slot));
            *end = Instant::NEVER;
            open -= 1;
        }
    }
    pool.end(&mut polls);
    found
}

fn id(number: usize) -> ProbeId {
    ProbeId::new(number as u16, 0)
}
