//! A kill before and after every system call, in every scene.
//!
//! A kill before a call leaves all that the process did up to there. A kill after a call leaves the
//! call done, but nothing that the process does with its result, for instance a store to the mapped
//! ledger. Until the ledger is opened there is no such store, so kills are made only before calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::audit::{Agreement, at_most, audit};
use crate::life::{End, live, said};
use crate::recovery::{Way, recover};
use crate::run::{Kill, Manner, Side};
use crate::run_dir::{LEDGER, RunDir};
use crate::scene::{Scene, Start, tear};
use crate::trace::{Call, Trace};
use crate::witness::Witness;
use crate::{Result, WORKERS};

/// The call that does not return: there is nothing after it.
const LAST: &str = "exit_group";

/// After this many failures a worker gives up.
const ENOUGH: usize = 5;

/// What was killed, and what was found afterwards.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// For each call: kills before and after it.
    pub calls: BTreeMap<String, [u64; 2]>,
    /// Kills with no probe in flight, where every connection was counted.
    pub quiet: u64,
    /// Kills with probes in flight.
    pub busy: u64,
    /// Probes in flight at those kills, and how many of them were accepted and are not counted.
    pub in_flight: u64,
    pub missing: u64,
    /// Kills between the write of a report and its mark.
    pub unmarked: u64,
}

impl Totals {
    pub fn kills(&self) -> u64 {
        self.calls.values().flatten().sum()
    }

    /// Adds another worker's totals.
    pub fn add(&mut self, other: &Totals) {
        for (call, [before, after]) in &other.calls {
            let kills = self.calls.entry(call.clone()).or_default();
            kills[0] += before;
            kills[1] += after;
        }
        self.quiet += other.quiet;
        self.busy += other.busy;
        self.in_flight += other.in_flight;
        self.missing += other.missing;
        self.unmarked += other.unmarked;
    }
}

/// One worker's share of a scene: every [`WORKERS`]th call of each name, before and after it, until
/// a life ends without reaching it.
pub fn kill_everywhere(
    binary: &Path,
    witness: &mut Witness,
    scene: Scene,
    worker: u32,
    wrong: &mut Vec<String>,
) -> Result<Totals> {
    let start = scene.prepare(binary, witness).map_err(|why| format!("{}: {why}", scene.name()))?;
    let sweep = Sweep { binary, scene, start };
    let mut totals = Totals::default();
    let known = sweep.learn(witness).map_err(|why| format!("{}, without a kill: {why}", scene.name()))?;
    let mut seen = BTreeSet::new();
    for (side, call, nths) in &known {
        let Some(last) = nths.last().copied() else { continue };
        // Lives differ a little, by a poll for instance: so calls after the known last one are tried too.
        let more = last + 1..if scene.kills_to_the_end() { u32::MAX } else { last + 1 };
        for nth in nths.iter().copied().chain(more).filter(|nth| nth % WORKERS == worker) {
            let kill = Kill { side: *side, call: call.clone(), nth };
            let dir = sweep.start.dir.copy()?;
            let killed = match sweep.kill(&dir, witness, &kill, &mut totals, &mut seen) {
                Ok(killed) => killed,
                Err(why) => {
                    wrong.push(format!("{}, killed {kill}: {why}\n{}", scene.name(), said(&dir)));
                    if wrong.len() >= ENOUGH {
                        return Ok(totals);
                    }
                    true
                }
            };
            if nth > last && !killed {
                break;
            }
        }
    }
    let known: BTreeSet<&String> = known.iter().map(|(_, call, _)| call).collect();
    match seen.iter().find(|call| !known.contains(call) && *call != "execve") {
        // If only a part of a life is killed, the rest may have other calls.
        Some(call) if scene.has_whole_life() => {
            Err(format!("{}: {call} was called, and there was no kill at it", scene.name()).into())
        }
        Some(_) | None => Ok(totals),
    }
}

struct Sweep<'a> {
    binary: &'a Path,
    scene: Scene,
    start: Start,
}

impl Sweep<'_> {
    /// Traces a life without a kill. Returns for each side and call name the calls at which to kill.
    fn learn(&self, witness: &mut Witness) -> Result<Vec<(Side, String, Vec<u32>)>> {
        let dir = self.start.dir.copy()?;
        witness.begin(&self.start.book)?;
        let manner = if self.scene == Scene::FullDisk { Manner::FullDisk(None) } else { Manner::Traced };
        let lived = live(self.binary, &dir, witness, "", manner, self.scene.stages())?;
        if lived.end != self.scene.end() {
            return Err(format!("it ended, but not as it should\n{}", said(&dir)).into());
        }
        let found = audit(self.binary, &dir, witness, &lived, Agreement::Exact)?;
        if found.missing != [0; 4] {
            return Err(format!("{:?} probes are not counted\n{}", found.missing, said(&dir)).into());
        }
        self.start.check_stamp(&dir)?;
        let trace = Trace::parse(&dir.read("trace")?);
        let calls = &trace.0;
        let begin = calls.iter().position(|call| self.scene.kills_from(call)).ok_or("no call to begin the kills at")?;
        let end = calls.iter().position(|call| self.scene.kills_to(call)).unwrap_or(calls.len());
        let ledger = calls.iter().position(|call| call.names(LEDGER)).ok_or("no call opens the ledger")?;
        // A third of all calls: while a run gives up its rights, nothing changes in its files. One scene has kills there.
        let is_right = |call: &&Call| call.name.starts_with("landlock");
        let rights =
            match (calls.iter().position(|call| is_right(&call)), calls.iter().rposition(|call| is_right(&call))) {
                (Some(first), Some(last)) if self.scene != Scene::Empty => first + 1..last,
                _ => 0..0,
            };
        let mut known = Vec::new();
        for (side, from) in [(Side::Before, begin), (Side::After, begin.max(ledger))] {
            let mut names: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
            // The first call is strace's own: it executes the program.
            for (at, call) in calls.iter().enumerate().take(end).skip(from).filter(|(_, call)| call.name != "execve") {
                names.entry(&call.name).or_default().extend((!rights.contains(&at)).then_some(call.nth));
            }
            if side == Side::After {
                names.remove(LAST);
            }
            if self.scene == Scene::FullDisk {
                // strace makes it fail, and does nothing else with it.
                names.remove("fallocate");
            }
            known.extend(names.into_iter().map(|(name, nths)| (side, name.to_owned(), nths)));
        }
        Ok(known)
    }

    /// Kills a life at that call, and starts the program again. Returns whether the call was reached.
    fn kill(
        &self,
        dir: &RunDir,
        witness: &mut Witness,
        kill: &Kill,
        totals: &mut Totals,
        seen: &mut BTreeSet<String>,
    ) -> Result<bool> {
        witness.begin(&self.start.book)?;
        let manner = if self.scene == Scene::FullDisk { Manner::FullDisk(Some(kill)) } else { Manner::Killed(kill) };
        let lived = live(self.binary, dir, witness, "", manner, self.scene.stages())?;
        let trace = Trace::parse(&dir.read("trace")?);
        seen.extend(trace.0.iter().map(|call| call.name.clone()));
        if lived.end != End::Killed {
            let found = audit(self.binary, dir, witness, &lived, Agreement::Exact)?;
            return if found.missing == [0; 4] { Ok(false) } else { Err("probes are missing without a kill".into()) };
        }
        let last = trace.last().ok_or("the trace is empty")?;
        if last.name != kill.call || last.nth != kill.nth || last.is_undone() != (kill.side == Side::Before) {
            return Err(format!("it was not killed there, but at {} {}", last.name, last.nth).into());
        }
        let in_flight = trace.in_flight(witness);

        // Before the next start. A report that was unmarked at the start may still be unmarked.
        let touched = self.is_touched(dir)?;
        let written = last.is_report() && kill.side == Side::After;
        let unmarked = written || (self.scene == Scene::Written && !touched);
        let agreement = match (self.scene, unmarked) {
            // Half of the report is in the file, all of it in the ledger. The next start repairs that.
            (Scene::Torn, _) if !touched => Agreement::Torn,
            (_, true) => Agreement::Unmarked,
            (_, false) => Agreement::Exact,
        };
        let found = audit(self.binary, dir, witness, &lived, agreement)?;
        totals.unmarked += u64::from(found.unmarked);
        // A run that was killed early has not written its pid: the ledger still has the run before.
        let mut known = [Some(lived.id), self.start.unclean].into_iter().flatten();
        let unclean = found.unclean.map(|pid| known.find(|id| id.pid == pid).ok_or(pid)).transpose();
        let unclean = unclean.map_err(|pid| format!("the ledger has the run {pid}, which was not killed"))?;
        dir.unblock()?;

        let way = match (kill.nth % 2, kill.side) {
            (0, Side::Before) | (1, Side::After) => Way::Rounds,
            (0, Side::After) => Way::Short,
            (_, Side::Before | Side::After) => Way::Asked,
        };
        let after = recover(self.binary, dir, witness, way, Some(found.missing), unclean)?.missing;
        self.start.check_stamp(dir)?;
        if !at_most(after, in_flight) {
            return Err(format!("{after:?} probes are not counted, and {in_flight:?} were in flight").into());
        }
        let in_flight: u64 = in_flight.iter().sum();
        totals.calls.entry(kill.call.clone()).or_default()[usize::from(kill.side == Side::After)] += 1;
        *(if in_flight == 0 { &mut totals.quiet } else { &mut totals.busy }) += 1;
        totals.in_flight += in_flight;
        totals.missing += after.iter().sum::<u64>();
        Ok(true)
    }

    /// Whether the log differs from that of the scene's start.
    fn is_touched(&self, dir: &RunDir) -> Result<bool> {
        let bytes = |dir: &RunDir| dir.logs()?.iter().map(|log| Ok(std::fs::read(log)?)).collect::<Result<Vec<_>>>();
        Ok(bytes(dir)? != bytes(&self.start.dir)?)
    }
}

/// Cuts a report and the other lines at many bytes, and starts the program each time: a power failure can leave any part
/// of a file.
pub fn tear_everywhere(binary: &Path, witness: &mut Witness, worker: u32) -> Result<u64> {
    let mut torn = 0;
    // Each cut needs a run; a test of the recovery cuts a report at every byte.
    for (scene, stride) in [(Scene::Written, 3), (Scene::Times, 23), (Scene::Events, 11), (Scene::Samples, 11)] {
        let start = scene.prepare(binary, witness)?;
        let whole = start.dir.bytes_of(scene.torn_kind())?;
        let cuts = (start.length..=whole).step_by(stride).enumerate();
        for (_, length) in cuts.filter(|(number, _)| *number as u32 % WORKERS == worker) {
            let dir = start.dir.copy()?;
            witness.begin(&start.book)?;
            tear(&dir, scene.torn_kind(), length)?;
            if scene == Scene::Samples {
                witness.book.recount_samples(&dir)?;
            }
            let recovered = recover(binary, &dir, witness, Way::Short, Some([0; 4]), start.unclean);
            recovered.and_then(|_| start.check_stamp(&dir)).map_err(|why| {
                let (cut, all) = (length - start.length, whole - start.length);
                format!("{}, torn at byte {cut} of {all}: {why}", scene.name())
            })?;
            torn += 1;
        }
    }
    Ok(torn)
}
