//! The start after a kill: one whole run, after which nothing is lost or reported twice.

use std::path::Path;

use tcpmon::base::time::WallTime;

use crate::Result;
use crate::audit::{Agreement, Audit, audit};
use crate::life::{End, RunId, SHORT, Stage, live, said};
use crate::run::Manner;
use crate::run_dir::RunDir;
use crate::witness::{PerListener, Witness};

/// What a start says about a killed run before it.
const NOTICE: &str = "did not end cleanly";

/// How the run after a kill goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One round and the last report.
    Short,
    /// One round, a report by SIGUSR1, the last report by SIGTERM.
    Asked,
    /// Some rounds, an end by itself, and the last report.
    Rounds,
}

/// Runs the program to a clean end. Then all counts must be in the log, except those missing
/// `before`, if known; and the start must have named the killed run once, if there was one.
pub fn recover(
    binary: &Path,
    dir: &RunDir,
    witness: &mut Witness,
    way: Way,
    before: Option<PerListener>,
    unclean: Option<RunId>,
) -> Result<Audit> {
    let (arguments, stages): (_, &[Stage]) = match way {
        Way::Short => ("", SHORT),
        Way::Asked => ("", &[Stage::Probed(3), Stage::Report, Stage::Stop]),
        Way::Rounds => ("-q --interval 10ms --rounds 3", &[Stage::End]),
    };
    let lived = live(binary, dir, witness, arguments, Manner::Alone, stages)?;
    let complaint =
        |why: &str| -> Result<Audit> { Err(format!("the start after the kill: {why}\n{}", said(dir)).into()) };
    if lived.end != End::Clean {
        return complaint("it did not end cleanly either");
    }
    told_of(dir, unclean)?;
    let audit =
        audit(binary, dir, witness, &lived, Agreement::Exact).map_err(|why| format!("after the next start: {why}"))?;
    if let Some(before) = before.filter(|before| audit.missing != *before) {
        return complaint(&format!("{before:?} probes were missing before it, {:?} are now", audit.missing));
    }
    if !audit.all_reported {
        return complaint("it ended, and the log does not have all that it counted");
    }
    Ok(audit)
}

/// Whether the run said once that this run did not end cleanly; never, if there was none.
fn told_of(dir: &RunDir, unclean: Option<RunId>) -> Result {
    if notices(dir, unclean)? == usize::from(unclean.is_some()) {
        return Ok(());
    }
    Err(format!("the start should name {unclean:?} once, and said:\n{}", dir.read("err")?).into())
}

/// How often the run said that this run before it did not end cleanly. `Err` if it named another
/// run, or a time at which that run was not alive.
pub fn notices(dir: &RunDir, unclean: Option<RunId>) -> Result<usize> {
    let complaints = dir.read("err")?;
    let notices: Vec<&str> = complaints.lines().filter(|line| line.contains(NOTICE)).collect();
    let is_right = |notice: &&str| {
        unclean.is_some_and(|RunId { pid, from, to }| {
            let mut times = (from..=to).map(|unix| WallTime { unix, nanos: 0, offset: dir.offset() });
            notice.contains(&format!("(pid {pid})")) && times.any(|time| notice.contains(&format!("alive at {time};")))
        })
    };
    match notices.iter().find(|notice| !is_right(notice)) {
        Some(notice) => Err(format!("the run before it was {unclean:?}, and it said: {notice}").into()),
        None => Ok(notices.len()),
    }
}
