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

/// The families, in the order of [`look_up`]'s results, each with its name and the option that asks for it alone.
const FAMILIES: [(Family, &str, &str); 2] = [(Family::Inet, "IPv4", "inet"), (Family::Inet6, "IPv6", "inet6")];

/// What one family alone gives. Displayed as `IPv4 alone answers in 0.7 ms, write inet` or `IPv6 alone: timed out`.
#[derive(Clone, Copy, Debug)]
pub struct Alone {
    /// The index of the family.
    family: usize,
    result: Result<Nanos, Ending>,
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name, option) = FAMILIES[self.family];
        match &self.result {
            Ok(time) => {
                let tenths = time.get() / 100_000;
                write!(f, "{name} alone answers in {}.{} ms, write {option}", tenths / 10, tenths % 10)
            }
            Err(Ending::LookupFailed(reason)) => write!(f, "{name} alone: {reason}"),
            Err(ending) => write!(f, "{name} alone: {ending}"),
        }
    }
}

/// Looks the hosts of these targets up, at most `most` lookups at a time, each for at most `timeout`. Returns for each
/// target what IPv4 alone and IPv6 alone give.
pub fn look_up(targets: &[Target], most: usize, timeout: Nanos) -> Vec<[Alone; 2]> {
    let (mut polls, mut pool) = (PollSet::new(), Resolver::new(most));
    let timed_out = |family| Alone { family, result: Err(Ending::LookupFailed(Reason::TimedOut)) };
    let mut results = vec![[timed_out(0), timed_out(1)]; targets.len()];
    let mut waiting = (0..2 * targets.len()).rev().collect::<Vec<_>>();
    let mut busy: Vec<(usize, Instant)> = Vec::new();
    while !waiting.is_empty() || !busy.is_empty() {
        while busy.len() < most {
            let Some(number) = waiting.pop() else { break };
            let target = Target { family: FAMILIES[number % 2].0, ..targets[number / 2] };
            let now = clock::monotonic();
            match pool.ask(now, &mut polls, id(number), &target) {
                Ok(_) => busy.push((number, now + timeout)),
                Err(shortage) => results[number / 2][number % 2].result = Err(Ending::Skipped(shortage)),
            }
        }
        if busy.is_empty() {
            continue;
        }
        let next = busy.iter().map(|(_, deadline)| *deadline).fold(Instant::NEVER, Instant::min);
        let wait = next.since(clock::monotonic());
        if polls.wait(Some(wait)).is_err() {
            break;
        }
        let now = clock::monotonic();
        for number in 0..pool.numbers() {
            let mut reply = None;
            if !polls.is_ready(Owner::Helper(number)) {
                continue;
            }
            let Some((probe, input)) = pool.receive(now, &mut polls, number, &mut reply) else { continue };
            let lookup = usize::from(probe.slot);
            results[lookup / 2][lookup % 2].result = match input {
                Input::Answered(elapsed, _) => Ok(elapsed),
                Input::LookupFailed(_, reason) => Err(Ending::LookupFailed(reason)),
                Input::FellShort(shortage) => Err(Ending::Skipped(shortage)),
                Input::LookupLost => Err(Ending::Skipped(Shortage::Processes)),
                Input::LookupStarted
                | Input::ConnectStarted
                | Input::Connected
                | Input::ConnectFailed(_)
                | Input::Expired => continue,
            };
            busy.retain(|(number, _)| *number != lookup);
        }
        busy.retain(|(number, deadline)| {
            let goes_on = now < *deadline;
            if !goes_on {
                pool.drop_lookup(&mut polls, id(*number));
            }
            goes_on
        });
    }
    pool.end(&mut polls);
    results
}

fn id(number: usize) -> ProbeId {
    ProbeId::new(number as u16, 0)
}
