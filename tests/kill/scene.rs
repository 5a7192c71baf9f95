//! The states that a run can find at its start, each made by real runs and real kills.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tcpmon::base::time::WallTime;

use crate::audit::{Books, audit};
use crate::life::{Lived, RELOADED, SHORT, Step, UNREPORTED, WHOLE, Who, live};
use crate::log::Log;
use crate::place::{FIRST, Place};
use crate::recovery::{Way, recover};
use crate::run::{Kill, Manner, Side};
use crate::trace::{Call, Trace};
use crate::witness::{PerListener, Witness};
use crate::{Result, patience, seconds};

/// What there is when a run starts, and what it then goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Nothing; a report, a reload, the last report.
    Empty,
    /// Nothing; a reload that takes a target away before its counts were reported.
    Reloaded,
    /// A run that ended as it should.
    Clean,
    /// A run that was killed, with counts that were not reported.
    Killed,
    /// A run that was killed before the write of a report.
    Unwritten,
    /// A run that was killed behind the write of a report, before it was marked.
    Written,
    /// The same, and the file has only a part of the report.
    Torn,
    /// A run that was killed, and a report's boundary has passed since.
    Missed,
}

/// The state that a scene begins with, to be copied.
pub struct Start {
    pub place: Place,
    pub accepted: PerListener,
    /// The run that did not end cleanly, if one is told of.
    pub unclean: Option<Who>,
    /// What the first report must be stamped with, from and to: a report that was begun keeps its
    /// stamp, and one that was missed has its boundary's.
    pub stamp: Option<(i64, i64)>,
    /// Bytes of the log without the report that may not be whole.
    pub length: u64,
}

impl Scene {
    pub const ALL: [Scene; 8] = [
        Scene::Empty,
        Scene::Reloaded,
        Scene::Clean,
        Scene::Killed,
        Scene::Unwritten,
        Scene::Written,
        Scene::Torn,
        Scene::Missed,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Scene::Empty => "nothing there",
            Scene::Reloaded => "nothing there, reload with counts",
            Scene::Clean => "clean end",
            Scene::Killed => "killed, counts unreported",
            Scene::Unwritten => "killed before the write",
            Scene::Written => "killed behind the write",
            Scene::Torn => "torn report",
            Scene::Missed => "killed, boundary missed",
        }
    }

    /// What the run goes through.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Scene::Empty => WHOLE,
            Scene::Reloaded => RELOADED,
            Scene::Clean | Scene::Killed | Scene::Unwritten | Scene::Written | Scene::Torn | Scene::Missed => SHORT,
        }
    }

    /// The calls of the life that are killed at: from this one on.
    pub fn begins(self, call: &Call) -> bool {
        match self {
            // What was before is the same as where nothing was there.
            Scene::Reloaded => call.took(Signal::SIGHUP),
            Scene::Empty
            | Scene::Clean
            | Scene::Killed
            | Scene::Unwritten
            | Scene::Written
            | Scene::Torn
            | Scene::Missed => true,
        }
    }

    /// Whether that is the first one.
    pub fn begins_at_start(self) -> bool {
        self != Scene::Reloaded
    }

    /// Makes the state.
    pub fn prepare(self, binary: &Path, witness: &mut Witness) -> Result<Start> {
        let place = Place::new()?;
        place.configure(&FIRST, if self == Scene::Missed { "2s" } else { "24h" }, witness)?;
        witness.begin([0; 4])?;
        let mut start = Start { place, accepted: [0; 4], unclean: None, stamp: None, length: 0 };
        match self {
            Scene::Empty | Scene::Reloaded => {}
            Scene::Clean => {
                start.leave_unreported(binary, witness)?;
                recover(binary, &start.place, witness, Way::Asked, Some([0; 4]), start.unclean.take())?;
            }
            Scene::Killed => start.leave_unreported(binary, witness)?,
            Scene::Unwritten => start.kill_at_report(binary, witness, Side::Before)?,
            Scene::Written => start.kill_at_report(binary, witness, Side::Behind)?,
            Scene::Torn => {
                start.kill_at_report(binary, witness, Side::Behind)?;
                // The last row without its end.
                start.tear(start.place.logged()? - 40)?;
            }
            Scene::Missed => {
                let due = wait_for_boundary(2)? + 2;
                start.leave_unreported(binary, witness)?;
                wait_for_boundary(2)?;
                start.stamp = Some((due, due));
            }
        }
        start.accepted = witness.settle()?;
        Ok(start)
    }
}

impl Start {
    /// A round of probes that no report has.
    fn leave_unreported(&mut self, binary: &Path, witness: &mut Witness) -> Result {
        let Lived { who, .. } = live(binary, &self.place, witness, "", Manner::Alone, UNREPORTED)?;
        self.check(binary, witness, who, Books::Even)
    }

    /// A run that reports, killed at the write of its report.
    fn kill_at_report(&mut self, binary: &Path, witness: &mut Witness, side: Side) -> Result {
        const STEPS: &[Step] = &[Step::Probed(3), Step::Report];
        let call = report_call(binary, witness)?;
        let before = self.place.logged()?;
        witness.begin([0; 4])?;
        let kill = Kill { side, call: call.name, nth: call.nth };
        let lived = live(binary, &self.place, witness, "", Manner::Killed(&kill), STEPS)?;
        let written = self.place.logged()? > before;
        if written != (side == Side::Behind) {
            return Err(format!("a report that was to be killed {kill} is {written:?} in the log").into());
        }
        self.length = before;
        self.stamp = Some((lived.who.from, lived.who.to));
        self.check(binary, witness, lived.who, if written { Books::Open } else { Books::Even })
    }

    /// Nothing was in flight when it was killed, so that nothing may be missing.
    fn check(&mut self, binary: &Path, witness: &mut Witness, who: Who, books: Books) -> Result {
        let audit = audit(binary, &self.place, witness, books)?;
        if audit.missing != [0; 4] {
            return Err(format!("{:?} probes had ended before the kill and are not counted", audit.missing).into());
        }
        self.unclean = Some(who);
        if audit.unclean != Some(who.pid) {
            return Err(format!("the ledger tells of {:?}, and {who:?} was killed", audit.unclean).into());
        }
        Ok(())
    }

    /// Whether the first report in the log of a place that began like this has the right stamp.
    pub fn check_stamp(&self, place: &Place) -> Result {
        let Some((from, to)) = self.stamp else { return Ok(()) };
        let stamp = Log::of(place)?.0.first().map(|report| report.stamp.clone()).unwrap_or_default();
        let mut right = (from..=to).map(|unix| WallTime { unix, nanos: 0, offset: 0 }.to_string());
        match right.any(|right| right == stamp) {
            true => Ok(()),
            false => Err(format!("the first report is stamped {stamp}, and was due from {from} to {to}").into()),
        }
    }

    /// Cuts the log to so many bytes.
    pub fn tear(&self, length: u64) -> Result {
        tear(&self.place, length)
    }
}

/// Cuts the only log of a place to so many bytes, as a power cut may.
pub fn tear(place: &Place, length: u64) -> Result {
    let logs = place.logs()?;
    let [log] = &logs[..] else { return Err(format!("{} logs where one was to be torn", logs.len()).into()) };
    Ok(OpenOptions::new().write(true).open(log)?.set_len(length)?)
}

/// Which call writes the report that is asked for.
fn report_call(binary: &Path, witness: &mut Witness) -> Result<Call> {
    let place = Place::new()?;
    place.configure(&FIRST, "24h", witness)?;
    let steps = [Step::Probed(3), Step::Report, Step::Stop];
    live(binary, &place, witness, "", Manner::Traced, &steps)?;
    let found = Trace::parse(&place.read("trace")?).0.into_iter().find(Call::is_report);
    Ok(found.ok_or("no report was written")?)
}

/// Waits until the wall clock has just passed a multiple of so many seconds. Gives that.
fn wait_for_boundary(every: i64) -> Result<i64> {
    let before = seconds()? / every;
    patience("a boundary passes", || Ok(seconds()? / every > before))?;
    std::thread::sleep(Duration::from_millis(20));
    Ok(seconds()? / every * every)
}
