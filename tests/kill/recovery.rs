//! The start after a kill: a whole run, and nothing is lost and nothing is told twice.

use std::path::Path;

use tcpmon::base::time::WallTime;

use crate::Result;
use crate::audit::{Audit, Books, audit};
use crate::life::{End, SHORT, Step, Who, live, said};
use crate::place::Place;
use crate::run::Manner;
use crate::witness::{PerListener, Witness};

/// What a start says of a run before it that did not end by itself.
const NOTICE: &str = "did not end cleanly";

/// How the run after a kill goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One round, the last report.
    Short,
    /// One round, a report by SIGUSR1, the last report by SIGTERM.
    Asked,
    /// Some rounds, and the last report when it ends by itself.
    Rounds,
}

/// Runs the program to a clean end. Then everything must be in the log but what was missing
/// `before`, where that is known, and the start must have told once of the run that did not
/// end cleanly, if of any.
pub fn recover(
    binary: &Path,
    place: &Place,
    witness: &mut Witness,
    way: Way,
    before: Option<PerListener>,
    unclean: Option<Who>,
) -> Result<Audit> {
    let (arguments, steps): (_, &[Step]) = match way {
        Way::Short => ("", SHORT),
        Way::Asked => ("", &[Step::Probed(3), Step::Report, Step::Stop]),
        Way::Rounds => ("-q --interval 10ms --rounds 3", &[Step::End]),
    };
    let lived = live(binary, place, witness, arguments, Manner::Alone, steps)?;
    let complaint =
        |why: &str| -> Result<Audit> { Err(format!("the start after the kill: {why}\n{}", said(place)).into()) };
    if lived.end != End::Clean {
        return complaint("it was killed as well");
    }
    told_of(place, unclean)?;
    let audit = audit(binary, place, witness, Books::Even).map_err(|why| format!("after the next start: {why}"))?;
    if let Some(before) = before.filter(|before| audit.missing != *before) {
        return complaint(&format!("{before:?} probes were missing before it, {:?} are now", audit.missing));
    }
    if !audit.all_reported {
        return complaint("it ended, and not all that it counted is in the log");
    }
    Ok(audit)
}

/// Whether the run said once that this one did not end cleanly, or nothing of the kind.
fn told_of(place: &Place, unclean: Option<Who>) -> Result {
    if notices(place, unclean)? == usize::from(unclean.is_some()) {
        return Ok(());
    }
    Err(format!("the start had to tell of {unclean:?}, and said:\n{}", place.read("err")?).into())
}

/// How often the run said that this one before it did not end cleanly. `Err` where it named
/// another one, or a time at which that was not alive.
pub fn notices(place: &Place, unclean: Option<Who>) -> Result<usize> {
    let complaints = place.read("err")?;
    let notices: Vec<&str> = complaints.lines().filter(|line| line.contains(NOTICE)).collect();
    let is_right = |notice: &&str| {
        unclean.is_some_and(|Who { pid, from, to }| {
            let mut times = (from..=to).map(|unix| WallTime { unix, nanos: 0, offset: 0 });
            notice.contains(&format!("(pid {pid})")) && times.any(|time| notice.contains(&format!("alive at {time};")))
        })
    };
    match notices.iter().find(|notice| !is_right(notice)) {
        Some(notice) => Err(format!("the run before it was {unclean:?}, and it said: {notice}").into()),
        None => Ok(notices.len()),
    }
}
