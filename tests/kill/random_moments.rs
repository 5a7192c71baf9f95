//! Many short lives in a row on one ledger, each killed at a random moment.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::audit::{Agreement, at_most, audit};
use crate::book::Book;
use crate::life::{End, Lived, Reload, RunId, said};
use crate::log::Log;
use crate::random::Random;
use crate::recovery::{Way, notices, recover};
use crate::run::{Manner, Run};
use crate::run_dir::{FIRST, RunDir};
use crate::witness::{PerListener, Witness};
use crate::{Result, seconds};

/// Lives in a row.
pub const LIVES: u32 = 400;

/// A probe of each target every 10 ms, so that often one is in flight; a report every second, beside
/// those that SIGUSR1 asks for.
const ARGUMENTS: &str = "-q --interval 10ms --report 1s";

/// Shortest and longest life, in microseconds.
const LIFE: (u64, u64) = (20_000, 150_000);

/// Every so many lives is one that is long enough to write samples, and how long it is.
const LONG: (u32, (u64, u64)) = (40, (1_200_000, 2_500_000));

/// Most samples of a target that a long life may lose: those of a second, and what the machine's load adds.
const MOST_LOST: u64 = 150;

/// Seconds from the first life to midnight, at least: the following lives write to the next day's files.
const EVENING: i64 = 15;

/// Kills that land between the few stores that belong to one probe.
const SLACK: u64 = 3;

/// Half of the lives with a SIGUSR1 end within this many microseconds after it.
const SOON: u64 = 1_500;

/// The totals of all lives.
#[derive(Default)]
pub struct Lives {
    pub lives: u32,
    pub probes: u64,
    pub reports: usize,
    /// Accepted, in flight at a kill, and so not counted.
    pub missing: u64,
    /// Kills that found probes in flight.
    pub busy: u32,
    /// Kills between the write of a report and its mark.
    pub unmarked: u32,
    /// Kills during the write of a report: a part of it is in the log.
    pub torn: u32,
    /// Kills before the run was the ledger's owner.
    pub early: u32,
    /// Samples that were written.
    pub samples: u64,
    /// Days of the log.
    pub days: usize,
}

/// Starts and kills. `Err` names the first life after which log, ledger and listeners do not agree.
pub fn run(binary: &Path, witness: &mut Witness, seed: u64) -> Result<Lives> {
    let mut dir = RunDir::new()?;
    // Midnight comes with a minute: offsets from UTC are of whole minutes.
    let minute = ((seconds()? + EVENING) / 60 + 1) % 1440;
    dir.set_ahead(if minute > 720 { 1440 - minute } else { -minute } as i32);
    dir.configure(&FIRST, "24h", witness)?;
    let mut book = Book::default();
    book.slack = SLACK;
    witness.begin(&book)?;
    let mut chain = Chain { binary, dir: &dir, witness, random: Random::new(seed), state: State::default() };
    let mut lives = Lives::default();
    for life in 1..=LIVES {
        let lived = chain.live(&mut lives, life % LONG.0 == 0);
        lived.map_err(|why| format!("seed {seed}, life {life}: {why}\n{}", said(&dir)))?;
        lives.lives = life;
    }
    let State { missing, unclean, .. } = chain.state;
    recover(binary, &dir, chain.witness, Way::Asked, Some(missing), unclean)
        .map_err(|why| format!("seed {seed}, after the last life: {why}"))?;
    let log = Log::of(&dir)?;
    lives.probes = log.sums().values().map(|columns| columns.total()).sum();
    lives.reports = log.0.len();
    lives.missing = missing.iter().sum();
    lives.samples = chain.witness.book.samples();
    lives.days = dir.logs()?.len();
    Ok(lives)
}

/// The state between two lives.
#[derive(Default)]
struct State {
    missing: PerListener,
    unclean: Option<RunId>,
    unmarked: bool,
    torn: bool,
    logged: u64,
}

struct Chain<'a> {
    binary: &'a Path,
    dir: &'a RunDir,
    witness: &'a mut Witness,
    random: Random,
    state: State,
}

impl Chain<'_> {
    fn live(&mut self, lives: &mut Lives, is_long: bool) -> Result {
        self.witness.begin_life()?;
        let mut run = Run::start(self.binary, self.dir, ARGUMENTS, Manner::Alone)?;
        let id = RunId::new(run.pid())?;
        let begun = Instant::now();
        let mut length = Duration::from_micros({
            let (least, most) = if is_long { LONG.1 } else { LIFE };
            self.random.within(least, most)
        });
        // Three of four lives get a SIGUSR1, and half of those end soon after.
        if !is_long && !self.random.one_in(4) {
            let report_at = Duration::from_micros(self.random.within(LIFE.0 / 2, length.as_micros() as u64));
            let soon = Duration::from_micros(self.random.below(SOON));
            let ends_soon = self.random.one_in(2);
            rest_until(begun + report_at);
            // Before its first probe it may not handle signals yet: SIGUSR1 would end it.
            let before = self.witness.accepted();
            self.witness.ended()?;
            if self.witness.accepted() != before {
                run.signal(Signal::SIGUSR1)?;
                if ends_soon {
                    length = begun.elapsed() + soon;
                }
            }
        }
        // A long life makes more connections than a listener's queue has room for.
        while begun.elapsed() + Duration::from_millis(100) < length {
            thread::sleep(Duration::from_millis(50));
            self.witness.ended()?;
        }
        rest_until(begun + length);
        run.kill()?;
        self.check(id.ends()?, lives)?;
        let lost = self.witness.book.lost_samples;
        if is_long && lost > MOST_LOST {
            return Err(format!("{lost} samples are lost, of more than the last second").into());
        }
        Ok(())
    }

    /// Whether the log has a part of a report: then it ends at a page boundary.
    fn is_torn(&self) -> Result<bool> {
        let Some(last) = self.dir.logs()?.pop() else { return Ok(false) };
        let length = fs::metadata(last)?.len();
        Ok(length > 0 && length % PAGE == 0 && Log::of(self.dir).is_err())
    }

    /// Compares log, ledger and listeners after a kill.
    fn check(&mut self, id: RunId, lives: &mut Lives) -> Result {
        let before = &self.state;
        let logged = self.dir.logged()?;
        let touched = logged != before.logged;
        let torn = if touched { self.is_torn()? } else { before.torn };
        // An unmarked report stays unmarked until a run writes to the log.
        let agreement = match (torn, before.unmarked && touched) {
            (true, _) => Agreement::Torn,
            (false, true) => Agreement::Exact,
            (false, false) => Agreement::Unmarked,
        };
        let lived = Lived { end: End::Killed, id, reload: Reload::Never };
        let found = audit(self.binary, self.dir, self.witness, &lived, agreement)?;
        // A target has at most one probe in flight: on loopback it ends long before the next.
        let most = before.missing.map(|missing| missing + 1);
        if !at_most(found.missing, most) || !at_most(before.missing, found.missing) {
            return Err(format!("{:?} probes were missing before, {:?} are now", before.missing, found.missing).into());
        }
        // Once a run owns the ledger it has named the killed run before it; until then it may have.
        let count = notices(self.dir, before.unclean)?;
        let took_over = found.unclean == Some(id.pid);
        if !took_over && found.unclean != before.unclean.map(|id| id.pid) {
            return Err(format!("the ledger has the run {:?}, and {id:?} was killed", found.unclean).into());
        }
        if count > 1 || (took_over && count != usize::from(before.unclean.is_some())) {
            return Err(format!("it said {count} times that the run {:?} was killed", before.unclean).into());
        }
        lives.early += u32::from(!took_over);
        lives.unmarked += u32::from(found.unmarked && !before.unmarked);
        lives.torn += u32::from(torn && touched);
        lives.busy += u32::from(found.missing != before.missing);
        self.state = State {
            missing: found.missing,
            unclean: if took_over { Some(id) } else { before.unclean },
            unmarked: found.unmarked,
            torn,
            logged,
        };
        Ok(())
    }
}

/// Linux copies the bytes of a write page by page; a killed process does not reach the next page.
const PAGE: u64 = 4096;

fn rest_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}
