//! The states that a run can start from, each made by real runs and real kills.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tcpmon::base::time::WallTime;

use crate::audit::{Agreement, audit};
use crate::life::{Lived, RELOADED, RunId, SHORT, Stage, UNREPORTED, WHOLE, live};
use crate::log::Log;
use crate::recovery::{Way, recover};
use crate::run::{Kill, Manner, Side};
use crate::run_dir::{FIRST, RunDir};
use crate::trace::{Call, Trace};
use crate::witness::{PerListener, Witness};
use crate::{Result, seconds, wait_for};

/// What a run starts from, and the stages it then goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// No files; then a report, a reload, the last report.
    Empty,
    /// No files; then a reload that removes a target with unreported counts.
    Reloaded,
    /// After a clean end.
    Clean,
    /// After a kill with unreported counts.
    Killed,
    /// After a kill before the write of a report.
    Unwritten,
    /// After a kill between the write of a report and its mark.
    Written,
    /// The same, but the file has only a part of the report.
    Torn,
    /// After a kill, and a report boundary has passed since.
    Missed,
}

/// The state that a scene begins with, to be copied.
pub struct Start {
    pub dir: RunDir,
    pub accepted: PerListener,
    /// The killed run, if the ledger names one.
    pub unclean: Option<RunId>,
    /// The range in which the first report's stamp must lie: a report that was begun keeps its
    /// stamp, and a missed one has the stamp of its boundary.
    pub stamp: Option<(i64, i64)>,
    /// Bytes of the log before the report that may be torn.
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

    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Scene::Empty => "no files",
            Scene::Reloaded => "no files, reload with counts",
            Scene::Clean => "clean end",
            Scene::Killed => "killed, counts unreported",
            Scene::Unwritten => "killed before the write",
            Scene::Written => "killed after the write",
            Scene::Torn => "torn report",
            Scene::Missed => "killed, boundary missed",
        }
    }

    /// The stages of the run.
    pub fn stages(self) -> &'static [Stage] {
        match self {
            Scene::Empty => WHOLE,
            Scene::Reloaded => RELOADED,
            Scene::Clean | Scene::Killed | Scene::Unwritten | Scene::Written | Scene::Torn | Scene::Missed => SHORT,
        }
    }

    /// Whether this is the first call of the life at which to kill.
    pub fn kills_from(self, call: &Call) -> bool {
        match self {
            // Up to there it is the same life as `Empty`.
            Scene::Reloaded => call.reads_signal(Signal::SIGHUP),
            Scene::Empty
            | Scene::Clean
            | Scene::Killed
            | Scene::Unwritten
            | Scene::Written
            | Scene::Torn
            | Scene::Missed => true,
        }
    }

    /// Whether that is the first call of all.
    pub fn begins_at_start(self) -> bool {
        self != Scene::Reloaded
    }

    /// Makes the state to start from.
    pub fn prepare(self, binary: &Path, witness: &mut Witness) -> Result<Start> {
        let dir = RunDir::new()?;
        dir.configure(&FIRST, if self == Scene::Missed { "2s" } else { "24h" }, witness)?;
        witness.begin([0; 4])?;
        let mut start = Start { dir, accepted: [0; 4], unclean: None, stamp: None, length: 0 };
        match self {
            Scene::Empty | Scene::Reloaded => {}
            Scene::Clean => {
                start.leave_unreported(binary, witness)?;
                recover(binary, &start.dir, witness, Way::Asked, Some([0; 4]), start.unclean.take())?;
            }
            Scene::Killed => start.leave_unreported(binary, witness)?,
            Scene::Unwritten => start.kill_at_report(binary, witness, Side::Before)?,
            Scene::Written => start.kill_at_report(binary, witness, Side::After)?,
            Scene::Torn => {
                start.kill_at_report(binary, witness, Side::After)?;
                // Without the end of the last row.
                start.tear(start.dir.logged()? - 40)?;
            }
            Scene::Missed => {
                let due = wait_for_boundary(2)? + 2;
                start.leave_unreported(binary, witness)?;
                wait_for_boundary(2)?;
                start.stamp = Some((due, due));
            }
        }
        start.accepted = witness.accept_all()?;
        Ok(start)
    }
}

impl Start {
    /// Makes a round of probes, and kills before a report.
    fn leave_unreported(&mut self, binary: &Path, witness: &mut Witness) -> Result {
        let Lived { id, .. } = live(binary, &self.dir, witness, "", Manner::Alone, UNREPORTED)?;
        self.check(binary, witness, id, Agreement::Exact)
    }

    /// Kills a run at the write of its report.
    fn kill_at_report(&mut self, binary: &Path, witness: &mut Witness, side: Side) -> Result {
        const STAGES: &[Stage] = &[Stage::Probed(3), Stage::Report];
        let call = report_call(binary, witness)?;
        let before = self.dir.logged()?;
        witness.begin([0; 4])?;
        let kill = Kill { side, call: call.name, nth: call.nth };
        let lived = live(binary, &self.dir, witness, "", Manner::Killed(&kill), STAGES)?;
        let written = self.dir.logged()? > before;
        if written != (side == Side::After) {
            return Err(format!("killed {kill}: the report is in the log: {written}").into());
        }
        self.length = before;
        self.stamp = Some((lived.id.from, lived.id.to));
        self.check(binary, witness, lived.id, if written { Agreement::Unmarked } else { Agreement::Exact })
    }

    /// No probe was in flight at the kill, so no count may be missing.
    fn check(&mut self, binary: &Path, witness: &mut Witness, id: RunId, agreement: Agreement) -> Result {
        let audit = audit(binary, &self.dir, witness, agreement)?;
        if audit.missing != [0; 4] {
            return Err(format!("{:?} probes had ended before the kill and are not counted", audit.missing).into());
        }
        self.unclean = Some(id);
        if audit.unclean != Some(id.pid) {
            return Err(format!("the ledger has {:?}, and {id:?} was killed", audit.unclean).into());
        }
        Ok(())
    }

    /// Checks the stamp of the first report in the log of a copy of this state.
    pub fn check_stamp(&self, dir: &RunDir) -> Result {
        let Some((from, to)) = self.stamp else { return Ok(()) };
        let stamp = Log::of(dir)?.0.first().map(|report| report.stamp.clone()).unwrap_or_default();
        let mut right = (from..=to).map(|unix| WallTime { unix, nanos: 0, offset: 0 }.to_string());
        match right.any(|right| right == stamp) {
            true => Ok(()),
            false => Err(format!("the first report has the stamp {stamp}, due from {from} to {to}").into()),
        }
    }

    /// Cuts the log to this many bytes.
    pub fn tear(&self, length: u64) -> Result {
        tear(&self.dir, length)
    }
}

/// Cuts the only log of a directory to this many bytes, as a power failure may.
pub fn tear(dir: &RunDir, length: u64) -> Result {
    let logs = dir.logs()?;
    let [log] = &logs[..] else { return Err(format!("{} logs, expected one", logs.len()).into()) };
    Ok(OpenOptions::new().write(true).open(log)?.set_len(length)?)
}

/// The call that writes the report after SIGUSR1.
fn report_call(binary: &Path, witness: &mut Witness) -> Result<Call> {
    let dir = RunDir::new()?;
    dir.configure(&FIRST, "24h", witness)?;
    let stages = [Stage::Probed(3), Stage::Report, Stage::Stop];
    live(binary, &dir, witness, "", Manner::Traced, &stages)?;
    let found = Trace::parse(&dir.read("trace")?).0.into_iter().find(Call::is_report);
    Ok(found.ok_or("no report was written")?)
}

/// Waits until the wall clock has just passed a multiple of this many seconds, and returns it.
fn wait_for_boundary(every: i64) -> Result<i64> {
    let before = seconds()? / every;
    wait_for("a boundary passes", || Ok(seconds()? / every > before))?;
    std::thread::sleep(Duration::from_millis(20));
    Ok(seconds()? / every * every)
}
