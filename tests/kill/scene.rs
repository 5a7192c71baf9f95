//! The states that a run can start from, each made by real runs and real kills.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tcpmon::base::time::WallTime;

use crate::audit::{Agreement, audit};
use crate::book::Book;
use crate::life::{End, Lived, RELOADED, RunId, SHORT, Stage, UNREPORTED, WHOLE, live};
use crate::log::Log;
use crate::recovery::{Way, recover};
use crate::run::{Kill, Manner, Side};
use crate::run_dir::{EVENTS, FIRST, Kind, LEDGER, RunDir, SAMPLES, STATS, TIMES};
use crate::trace::{Call, Trace};
use crate::witness::Witness;
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
    /// After a kill between the write of the rows of times and their mark.
    Times,
    /// The same with events.
    Events,
    /// The same with samples.
    Samples,
    /// After a kill with unreported counts, on a full disk: from the first probe on.
    FullDisk,
    /// No files, and none can be opened: from the first probe on.
    Blocked,
}

/// The state that a scene begins with, to be copied.
pub struct Start {
    pub dir: RunDir,
    pub book: Book,
    /// The killed run, if the ledger names one.
    pub unclean: Option<RunId>,
    /// The range in which the first report's stamp must lie: a report that was begun keeps its
    /// stamp, and a missed one has the stamp of its boundary.
    pub stamp: Option<(i64, i64)>,
    /// Bytes of the log before the report that may be torn.
    pub length: u64,
}

impl Scene {
    pub const ALL: [Scene; 13] = [
        Scene::Empty,
        Scene::Reloaded,
        Scene::Clean,
        Scene::Killed,
        Scene::Unwritten,
        Scene::Written,
        Scene::Torn,
        Scene::Missed,
        Scene::Times,
        Scene::Events,
        Scene::Samples,
        Scene::FullDisk,
        Scene::Blocked,
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
            Scene::Times => "killed after the write of times",
            Scene::Events => "killed after the write of events",
            Scene::Samples => "killed after the write of samples",
            Scene::FullDisk => "full disk",
            Scene::Blocked => "no daily file can be opened",
        }
    }

    /// The stages of the run.
    pub fn stages(self) -> &'static [Stage] {
        match self {
            Scene::Empty => WHOLE,
            Scene::Reloaded => RELOADED,
            Scene::Clean
            | Scene::Killed
            | Scene::Unwritten
            | Scene::Written
            | Scene::Torn
            | Scene::Missed
            | Scene::Times
            | Scene::Events
            | Scene::Samples
            | Scene::FullDisk
            | Scene::Blocked => SHORT,
        }
    }

    /// Whether this is the first call of the life at which to kill.
    pub fn kills_from(self, call: &Call) -> bool {
        match self {
            // Up to there it is the same life as `Empty`.
            Scene::Reloaded => call.reads_signal(Signal::SIGHUP),
            // Up to there nothing has changed, whatever the scene.
            Scene::Clean
            | Scene::Unwritten
            | Scene::Written
            | Scene::Torn
            | Scene::Missed
            | Scene::Times
            | Scene::Events
            | Scene::Samples => call.names(LEDGER),
            Scene::FullDisk | Scene::Blocked => call.name == "socket" && call.nth > 1,
            Scene::Empty | Scene::Killed => true,
        }
    }

    /// Whether this is the first call of the life at which there is no kill any more: what the last run left is
    /// finished, and from there on it is the same life as `Clean`.
    pub fn kills_to(self, call: &Call) -> bool {
        // After its start the run gives up its rights.
        !self.kills_to_the_end() && call.name == "prctl"
    }

    /// Whether all calls of the end of the life are tried.
    pub fn kills_to_the_end(self) -> bool {
        match self {
            Scene::Empty
            | Scene::Reloaded
            | Scene::Clean
            | Scene::Killed
            | Scene::Written
            | Scene::FullDisk
            | Scene::Blocked => true,
            Scene::Unwritten | Scene::Torn | Scene::Missed | Scene::Times | Scene::Events | Scene::Samples => false,
        }
    }

    /// Whether the first call of all and the last one are tried.
    pub fn has_whole_life(self) -> bool {
        matches!(self, Scene::Empty | Scene::Killed)
    }

    /// How the life ends without a kill.
    pub fn end(self) -> End {
        if matches!(self, Scene::FullDisk | Scene::Blocked) { End::Failed } else { End::Clean }
    }

    /// The kind of file of the last write, which may be torn.
    pub fn torn_kind(self) -> Kind {
        match self {
            Scene::Times => TIMES,
            Scene::Events => EVENTS,
            Scene::Samples => SAMPLES,
            Scene::Empty
            | Scene::Reloaded
            | Scene::Clean
            | Scene::Killed
            | Scene::Unwritten
            | Scene::Written
            | Scene::Torn
            | Scene::Missed
            | Scene::FullDisk
            | Scene::Blocked => STATS,
        }
    }

    /// Makes the state to start from.
    pub fn prepare(self, binary: &Path, witness: &mut Witness) -> Result<Start> {
        let dir = RunDir::new()?;
        dir.configure(&FIRST, if self == Scene::Missed { "2s" } else { "24h" }, witness)?;
        witness.begin(&Book::default())?;
        let mut start = Start { dir, book: Book::default(), unclean: None, stamp: None, length: 0 };
        match self {
            Scene::Empty | Scene::Reloaded => {}
            Scene::Blocked => start.dir.block()?,
            Scene::Clean => {
                start.leave_unreported(binary, witness)?;
                recover(binary, &start.dir, witness, Way::Asked, Some([0; 4]), start.unclean.take())?;
            }
            Scene::Killed | Scene::FullDisk => start.leave_unreported(binary, witness)?,
            Scene::Unwritten => start.kill_at_write(binary, witness, Side::Before, STATS)?,
            Scene::Written | Scene::Times | Scene::Events | Scene::Samples => {
                start.kill_at_write(binary, witness, Side::After, self.torn_kind())?
            }
            Scene::Torn => {
                start.kill_at_write(binary, witness, Side::After, STATS)?;
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
        witness.accept_all()?;
        start.book = witness.book.clone();
        Ok(start)
    }
}

impl Start {
    /// Makes a round of probes, and kills before a report.
    fn leave_unreported(&mut self, binary: &Path, witness: &mut Witness) -> Result {
        let lived = live(binary, &self.dir, witness, "", Manner::Alone, UNREPORTED)?;
        self.check(binary, witness, &lived, Agreement::Exact)
    }

    /// Kills a run at the last write to a file of this kind: of its report, of what is told with it, or of what comes
    /// last.
    fn kill_at_write(&mut self, binary: &Path, witness: &mut Witness, side: Side, kind: Kind) -> Result {
        const STAGES: &[Stage] = &[Stage::Probed(3), Stage::Asleep, Stage::Report, Stage::Asleep];
        let stages = if kind == SAMPLES { SHORT } else { STAGES };
        // Lives differ a little, for instance by a poll, and the events of one may come in two writes.
        for _ in 0..TRIES {
            let (dir, call) = (self.dir.copy()?, write_call(binary, witness, kind, stages)?);
            witness.begin(&Book::default())?;
            let kill = Kill { side, call: call.name, nth: call.nth };
            let lived = live(binary, &dir, witness, "", Manner::Killed(&kill), stages)?;
            let trace = Trace::parse(&dir.read("trace")?);
            let last = trace.last().ok_or("the trace is empty")?;
            if lived.end != End::Killed || !last.writes_to(kind) || last.is_undone() != (side == Side::Before) {
                continue;
            }
            let agreement = match (side, kind) {
                (Side::After, STATS) => Agreement::Unmarked,
                (Side::Before | Side::After, _) => Agreement::Exact,
            };
            self.dir = dir;
            self.length = self.dir.bytes_of(kind)? - if side == Side::After { last.written() } else { 0 };
            if kind == STATS {
                self.stamp = Some((lived.id.from, lived.id.to));
            }
            return self.check(binary, witness, &lived, agreement);
        }
        Err(format!("no life could be killed at the last write to {}", kind.0).into())
    }

    /// No probe was in flight at the kill, so no count may be missing.
    fn check(&mut self, binary: &Path, witness: &mut Witness, lived: &Lived, agreement: Agreement) -> Result {
        let (id, audit) = (lived.id, audit(binary, &self.dir, witness, lived, agreement)?);
        if audit.missing != [0; 4] {
            return Err(format!("{:?} probes had ended before the kill and are not counted", audit.missing).into());
        }
        // When it writes its last samples a run has nothing else left to do.
        self.unclean = audit.unclean.map(|_| id);
        if audit.unclean.is_some_and(|pid| pid != id.pid) {
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
        tear(&self.dir, STATS, length)
    }
}

/// Cuts the only file of this kind in a directory to this many bytes, as a power failure may.
pub fn tear(dir: &RunDir, kind: Kind, length: u64) -> Result {
    let logs = dir.files(kind)?;
    let [log] = &logs[..] else { return Err(format!("{} logs, expected one", logs.len()).into()) };
    Ok(OpenOptions::new().write(true).open(log)?.set_len(length)?)
}

/// How often a kill at a call is tried.
const TRIES: u32 = 10;

/// The last call of such a life that writes to a file of this kind.
fn write_call(binary: &Path, witness: &mut Witness, kind: Kind, stages: &[Stage]) -> Result<Call> {
    let dir = RunDir::new()?;
    dir.configure(&FIRST, "24h", witness)?;
    live(binary, &dir, witness, "", Manner::Traced, stages)?;
    let found = Trace::parse(&dir.read("trace")?).0.into_iter().rfind(|call| call.writes_to(kind));
    Ok(found.ok_or("nothing was written")?)
}

/// Waits until the wall clock has just passed a multiple of this many seconds, and returns it.
fn wait_for_boundary(every: i64) -> Result<i64> {
    let before = seconds()? / every;
    wait_for("a boundary passes", || Ok(seconds()? / every > before))?;
    std::thread::sleep(Duration::from_millis(20));
    Ok(seconds()? / every * every)
}
