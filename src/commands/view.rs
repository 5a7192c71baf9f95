//! What the commands that only look see of a run, and what they say about its ledger.

use super::boot;
use crate::base::text::Text;
use crate::base::time::{Nanos, WallTime};
use crate::base::{limits, words};
use crate::core::ledger::Ledger;
use crate::model::run::Run;
use crate::render::{Life, Seen};
use crate::shell::console::Console;
use crate::shell::place::{By, Found, Place};
use crate::sys::{self, clock, environment};

/// Most services that a message lists.
const LISTED: usize = 8;

/// What is shown of a run that was found, for these services (all if there is none); `None`: there is no ledger of it.
pub fn seen<'a>(found: &'a Found, services: &'a [&'a str]) -> Option<Seen<'a>> {
    let ledger = &found.ledger()?.ledger;
    let (life, describe) = (life(found.run, ledger), sys::describe_number);
    Some(Seen { ledger, life, services, now: clock::wall(), local: clock::local, describe })
}

/// The period of this length that ends now, in seconds since 1970; a row of this second is part of it.
pub fn until_now(last: Nanos, now: WallTime) -> (Option<i64>, Option<i64>) {
    (Some(now.unix - last.secs() as i64), Some(now.unix + 1))
}

/// How many columns the environment says that there are; 0 if it does not say.
#[inline(never)] // Called from two commands.
pub fn columns_of_environment() -> usize {
    words::count(environment::variable(c"COLUMNS"), u16::MAX.into()).unwrap_or(0) as usize
}

/// Whether this service is among the known ones; if not, says that no `thing` has it, and which one may be meant.
#[inline(never)] // Called from two commands.
pub fn is_known(subject: &str, thing: &str, service: &str, known: &[&str], console: &mut Console) -> bool {
    if known.contains(&service) {
        return true;
    }
    let mut hint = Text::<{ limits::MESSAGE }>::new();
    match words::nearest(service, known, |known| known) {
        Some(near) => hint.append(format_args!("did you mean {near}?")),
        None => {
            hint.push("there are:");
            known.iter().take(LISTED).for_each(|known| hint.append(format_args!(" {known}")));
        }
    }
    console.say(subject, format_args!("no {thing} has the service {service}, {hint}"));
    false
}

fn life(run: Run, ledger: &Ledger) -> Life {
    match run {
        Run::Here(_) | Run::Elsewhere if ledger.is_ending() => Life::Ending,
        Run::Here(pid) => Life::Running(pid),
        Run::Elsewhere => Life::Elsewhere,
        Run::Starting => Life::Starting,
        Run::None if Some(ledger.stopped()) == boot() => Life::Stopped,
        Run::None if ledger.is_running() => Life::Killed,
        Run::None => Life::Ended,
    }
}

/// What is to be said about the ledger beside what it shows; empty if nothing is.
#[inline(never)]
pub fn message(place: &Place, found: &Found) -> Text<{ limits::MESSAGE }> {
    let (ledger, config, mut room) = (&place.ledger, &place.config, [0; limits::PATH]);
    let pid = match found.run {
        Run::Here(pid) => pid,
        Run::None | Run::Starting | Run::Elsewhere => 0,
    };
    let other = place.other_config(&found.snapshot, &mut room);
    match (found.by, &found.snapshot, other) {
        (By::Configuration, ..) => Text::format(format_args!(
            "the run (pid {pid}) has another one than {ledger}, log_dir or ledger was changed since its start; start it anew (tcpmon stop, then tcpmon start)"
        )),
        (By::Name, Err(error), _) if error.lacks_rights() => Text::format(format_args!("{ledger} {error}")),
        (By::Name, ..) => Text::format(format_args!(
            "{ledger} is not there or no ledger, a run (pid {pid}) goes on without it; its messages say why (those of a start in the system log): mend that, then tcpmon stop and tcpmon start"
        )),
        (By::Ledger, Err(error), _) => Text::format(format_args!("{ledger} {error}, there is nothing to show")),
        (By::Ledger, Ok(_), Some(other)) if found.run != Run::None => {
            Text::format(format_args!("{ledger} is that of the run of {other}, not of {config}; this is what it shows"))
        }
        (By::Ledger, Ok(_), _) => Text::new(),
    }
}
