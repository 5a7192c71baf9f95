//! A kill at every system call, on both its sides, in every scene.
//!
//! A kill before a call finds all that the process did up to there; a kill behind one finds the
//! call made and nothing that the process does with its answer, a store to the mapped ledger for
//! instance. Before the ledger is opened there is no such store, and only the first kind is made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::audit::{Books, at_most, audit};
use crate::life::{End, live, said};
use crate::place::{LEDGER, Place};
use crate::recovery::{Way, recover};
use crate::run::{Kill, Manner, Side};
use crate::scene::{Scene, Start, tear};
use crate::trace::Trace;
use crate::witness::Witness;
use crate::{Result, WORKERS};

/// Calls of which no process comes back, so that there is no side behind them.
const LAST: &str = "exit_group";

/// Failures of one worker after which it is not worth going on.
const ENOUGH: usize = 5;

/// What was killed, and what it did to the books.
#[derive(Clone, Debug, Default)]
pub struct Toll {
    /// For each call: kills before it, and behind it.
    pub calls: BTreeMap<String, [u64; 2]>,
    /// Kills with no probe in flight, where the sums were the same to the last connection.
    pub quiet: u64,
    /// Kills with probes in flight.
    pub busy: u64,
    /// Probes in flight at those, and how many of them were accepted and are not counted.
    pub in_flight: u64,
    pub missing: u64,
    /// Kills behind the write of a report, which stood in both books until the next start.
    pub open: u64,
}

impl Toll {
    pub fn kills(&self) -> u64 {
        self.calls.values().flatten().sum()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Toll) {
        for (call, [before, behind]) in &other.calls {
            let kills = self.calls.entry(call.clone()).or_default();
            kills[0] += before;
            kills[1] += behind;
        }
        self.quiet += other.quiet;
        self.busy += other.busy;
        self.in_flight += other.in_flight;
        self.missing += other.missing;
        self.open += other.open;
    }
}

/// One worker's share of a scene: of each call every so-manieth, on each side, until a life is over
/// without having come to it.
pub fn hunt(binary: &Path, witness: &mut Witness, scene: Scene, worker: u32, wrong: &mut Vec<String>) -> Result<Toll> {
    let start = scene.prepare(binary, witness).map_err(|why| format!("{}: {why}", scene.name()))?;
    let hunt = Hunt { binary, scene, start };
    let mut toll = Toll::default();
    let known = hunt.learn(witness).map_err(|why| format!("{}, unhurt: {why}", scene.name()))?;
    let mut seen = BTreeSet::new();
    for (side, call, first, count) in &known {
        let stride = (*first..).filter(|nth| nth % WORKERS == worker);
        for nth in stride {
            let kill = Kill { side: *side, call: call.clone(), nth };
            let place = hunt.start.place.copy()?;
            let killed = match hunt.kill(&place, witness, &kill, &mut toll, &mut seen) {
                Ok(killed) => killed,
                Err(why) => {
                    wrong.push(format!("{}, killed {kill}: {why}\n{}", scene.name(), said(&place)));
                    if wrong.len() >= ENOUGH {
                        return Ok(toll);
                    }
                    true
                }
            };
            // A life is not quite like another: one poll more is nothing special.
            if !killed && nth > *count {
                break;
            }
        }
    }
    let known: BTreeSet<&String> = known.iter().map(|(_, call, ..)| call).collect();
    match seen.iter().find(|call| !known.contains(call) && *call != "execve") {
        // Where only the later part of a life is killed, calls may be known from the part before.
        Some(call) if scene.begins_at_start() => {
            Err(format!("{}: {call} was made, and nobody was killed at it", scene.name()).into())
        }
        Some(_) | None => Ok(toll),
    }
}

struct Hunt<'a> {
    binary: &'a Path,
    scene: Scene,
    start: Start,
}

impl Hunt<'_> {
    /// A life that is only watched. Gives the sides, the names of the calls, the first of each
    /// name to be killed at, and how many of that name there were.
    fn learn(&self, witness: &mut Witness) -> Result<Vec<(Side, String, u32, u32)>> {
        let place = self.start.place.copy()?;
        witness.begin(self.start.accepted)?;
        let lived = live(self.binary, &place, witness, "", Manner::Traced, self.scene.steps())?;
        if lived.end != End::Clean {
            return Err(format!("it was killed by somebody else\n{}", said(&place)).into());
        }
        let found = audit(self.binary, &place, witness, Books::Even)?;
        if found.missing != [0; 4] {
            return Err(format!("{:?} probes are not counted\n{}", found.missing, said(&place)).into());
        }
        self.start.check_stamp(&place)?;
        let trace = Trace::parse(&place.read("trace")?);
        let calls = &trace.0;
        let begin =
            calls.iter().position(|call| self.scene.begins(call)).ok_or("the life does not come to its point")?;
        let ledger = calls.iter().position(|call| call.names(LEDGER)).ok_or("no call opens the ledger")?;
        let mut known = Vec::new();
        for (side, from) in [(Side::Before, begin), (Side::Behind, begin.max(ledger))] {
            let mut names: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
            // The first call is strace's own, which becomes the program.
            for call in calls[from..].iter().filter(|call| call.name != "execve") {
                names.entry(&call.name).or_insert((call.nth, call.nth)).1 = call.nth;
            }
            if side == Side::Behind {
                names.remove(LAST);
            }
            known.extend(names.into_iter().map(|(name, (first, count))| (side, name.to_owned(), first, count)));
        }
        Ok(known)
    }

    /// A life that is killed there, and the start after it. Returns whether it came to that call.
    fn kill(
        &self,
        place: &Place,
        witness: &mut Witness,
        kill: &Kill,
        toll: &mut Toll,
        seen: &mut BTreeSet<String>,
    ) -> Result<bool> {
        witness.begin(self.start.accepted)?;
        let lived = live(self.binary, place, witness, "", Manner::Killed(kill), self.scene.steps())?;
        let trace = Trace::parse(&place.read("trace")?);
        seen.extend(trace.0.iter().map(|call| call.name.clone()));
        if lived.end == End::Clean {
            let found = audit(self.binary, place, witness, Books::Even)?;
            return if found.missing == [0; 4] { Ok(false) } else { Err("probes are missing without a kill".into()) };
        }
        let last = trace.last().ok_or("the trace is empty")?;
        if last.name != kill.call || last.nth != kill.nth || last.is_undone() != (kill.side == Side::Before) {
            return Err(format!("it was not killed there, but at {} {}", last.name, last.nth).into());
        }
        let in_flight = trace.in_flight(witness);

        // As it lies there. A state that the run has found open may be open yet.
        let touched = self.is_touched(place)?;
        let written = last.is_report() && kill.side == Side::Behind;
        let open = written || (self.scene == Scene::Written && !touched);
        let (missing, unclean) = if self.scene == Scene::Torn && !touched {
            // The report is half in the file and whole in the ledger. The next start ends that.
            (None, self.start.unclean)
        } else {
            let found = audit(self.binary, place, witness, if open { Books::Open } else { Books::Even })?;
            toll.open += u64::from(found.open);
            // A run that was killed early has not said who it is: the one before it still counts.
            let mut known = [Some(lived.who), self.start.unclean].into_iter().flatten();
            let unclean = found.unclean.map(|pid| known.find(|who| who.pid == pid).ok_or(pid)).transpose();
            let unclean = unclean.map_err(|pid| format!("the ledger tells of a run {pid} that was not killed"))?;
            (Some(found.missing), unclean)
        };

        let way = match (kill.nth % 2, kill.side) {
            (0, Side::Before) | (1, Side::Behind) => Way::Rounds,
            (0, Side::Behind) => Way::Short,
            (_, Side::Before | Side::Behind) => Way::Asked,
        };
        let after = recover(self.binary, place, witness, way, missing, unclean)?.missing;
        self.start.check_stamp(place)?;
        if !at_most(after, in_flight) {
            return Err(format!("{after:?} probes are not counted, and {in_flight:?} were in flight").into());
        }
        let in_flight: u64 = in_flight.iter().sum();
        toll.calls.entry(kill.call.clone()).or_default()[usize::from(kill.side == Side::Behind)] += 1;
        *(if in_flight == 0 { &mut toll.quiet } else { &mut toll.busy }) += 1;
        toll.in_flight += in_flight;
        toll.missing += after.iter().sum::<u64>();
        Ok(true)
    }

    /// Whether the log is another than the scene began with.
    fn is_touched(&self, place: &Place) -> Result<bool> {
        let bytes = |place: &Place| place.logs()?.iter().map(|log| Ok(std::fs::read(log)?)).collect::<Result<Vec<_>>>();
        Ok(bytes(place)? != bytes(&self.start.place)?)
    }
}

/// A report that was torn at every byte, each found by the next start: a power cut can leave any
/// part of a file.
pub fn tear_everywhere(binary: &Path, witness: &mut Witness, worker: u32) -> Result<u64> {
    let start = Scene::Written.prepare(binary, witness)?;
    let whole = start.place.logged()?;
    let mut torn = 0;
    for length in (start.length..=whole).filter(|length| length % u64::from(WORKERS) == u64::from(worker)) {
        let place = start.place.copy()?;
        witness.begin(start.accepted)?;
        tear(&place, length)?;
        let recovered = recover(binary, &place, witness, Way::Short, Some([0; 4]), start.unclean);
        recovered.and_then(|_| start.check_stamp(&place)).map_err(|why| {
            format!("a report torn at byte {} of {}: {why}", length - start.length, whole - start.length)
        })?;
        torn += 1;
    }
    Ok(torn)
}
