//! Many short lives in a row on one ledger, each killed at a moment that nobody chose.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Result;
use crate::audit::{Books, at_most, audit};
use crate::life::{Who, said};
use crate::log::Log;
use crate::place::{FIRST, Place};
use crate::random::Random;
use crate::recovery::{Way, notices, recover};
use crate::run::{Manner, Run};
use crate::witness::{PerListener, Witness};

/// Lives in a row.
pub const LIVES: u32 = 500;

/// A probe of each target every 10 ms, so that a moment without one in flight is not the rule, and
/// a report at every second besides those that are asked for.
const ARGUMENTS: &str = "-q --interval 10ms --report 1s";

/// Microseconds that a life lasts, at least and at most.
const LIFE: (u64, u64) = (20_000, 150_000);

/// Microseconds behind a wish for a report within which half of those lives end.
const SOON: u64 = 1_500;

/// What came of it.
#[derive(Default)]
pub struct Lives {
    pub lives: u32,
    pub probes: u64,
    pub reports: usize,
    /// Accepted, in flight at a kill, and so not counted.
    pub missing: u64,
    /// Kills that found probes in flight.
    pub busy: u32,
    /// Kills between the write of a report and the mark behind it.
    pub open: u32,
    /// Kills within the write of a report, of which a part is in the log.
    pub torn: u32,
    /// Kills before the run had taken over the ledger.
    pub early: u32,
}

/// Lives and kills. `Err` tells the first life after which the books do not agree.
pub fn run(binary: &Path, witness: &mut Witness, seed: u64) -> Result<Lives> {
    let place = Place::new()?;
    place.configure(&FIRST, "24h", witness)?;
    witness.begin([0; 4])?;
    let mut chain = Chain { binary, place: &place, witness, random: Random::new(seed), state: State::default() };
    let mut lives = Lives::default();
    for life in 1..=LIVES {
        let lived = chain.live(&mut lives);
        lived.map_err(|why| format!("seed {seed}, life {life}: {why}\n{}", said(&place)))?;
        lives.lives = life;
    }
    let State { missing, unclean, .. } = chain.state;
    recover(binary, &place, chain.witness, Way::Asked, Some(missing), unclean)
        .map_err(|why| format!("seed {seed}, after the last life: {why}"))?;
    let log = Log::of(&place)?;
    lives.probes = log.sums().values().map(|columns| columns.total()).sum();
    lives.reports = log.0.len();
    lives.missing = missing.iter().sum();
    Ok(lives)
}

/// How things stand between two lives.
#[derive(Default)]
struct State {
    missing: PerListener,
    unclean: Option<Who>,
    open: bool,
    torn: bool,
    logged: u64,
}

struct Chain<'a> {
    binary: &'a Path,
    place: &'a Place,
    witness: &'a mut Witness,
    random: Random,
    state: State,
}

impl Chain<'_> {
    fn live(&mut self, lives: &mut Lives) -> Result {
        let mut run = Run::start(self.binary, self.place, ARGUMENTS, Manner::Alone)?;
        let who = Who::new(run.pid())?;
        let begun = Instant::now();
        let mut length = Duration::from_micros(self.random.within(LIFE.0, LIFE.1));
        // Three of four lives are asked for a report, and half of those end soon after.
        if !self.random.one_in(4) {
            let wish = Duration::from_micros(self.random.within(LIFE.0 / 2, length.as_micros() as u64));
            let soon = Duration::from_micros(self.random.below(SOON));
            let ends_soon = self.random.one_in(2);
            rest_until(begun + wish);
            // Before its first probe it may not heed signals yet, and would end by one.
            let before = self.witness.accepted();
            self.witness.ended()?;
            if self.witness.accepted() != before {
                run.signal(Signal::SIGUSR1)?;
                if ends_soon {
                    length = begun.elapsed() + soon;
                }
            }
        }
        rest_until(begun + length);
        run.kill()?;
        self.check(who.ends()?, lives)
    }

    /// Whether the log has a part of a report: it ends with a page.
    fn is_torn(&self) -> Result<bool> {
        let Some(last) = self.place.logs()?.pop() else { return Ok(false) };
        let length = fs::metadata(last)?.len();
        Ok(length > 0 && length % PAGE == 0 && Log::of(self.place).is_err())
    }

    /// Holds the books against each other, as they lie there.
    fn check(&mut self, who: Who, lives: &mut Lives) -> Result {
        let before = &self.state;
        let logged = self.place.logged()?;
        let touched = logged != before.logged;
        let torn = if touched { self.is_torn()? } else { before.torn };
        // What was open before may be so as long as no run came to the log.
        let books = match (torn, before.open && touched) {
            (true, _) => Books::Torn,
            (false, true) => Books::Even,
            (false, false) => Books::Open,
        };
        let found = audit(self.binary, self.place, self.witness, books)?;
        // A target has one probe in flight: on loopback it is over long before the next.
        let most = before.missing.map(|missing| missing + 1);
        if !at_most(found.missing, most) || !at_most(before.missing, found.missing) {
            return Err(format!("{:?} probes were missing before, {:?} are now", before.missing, found.missing).into());
        }
        // Once it has taken over, it has told of the one before it; until then it may have.
        let told = notices(self.place, before.unclean)?;
        let took_over = found.unclean == Some(who.pid);
        if !took_over && found.unclean != before.unclean.map(|who| who.pid) {
            return Err(format!("the ledger tells of the run {:?}, and {who:?} was killed", found.unclean).into());
        }
        if told > 1 || (took_over && told != usize::from(before.unclean.is_some())) {
            return Err(format!("it told {told} times that the run {:?} was killed", before.unclean).into());
        }
        lives.early += u32::from(!took_over);
        lives.open += u32::from(found.open && !before.open);
        lives.torn += u32::from(torn && touched);
        lives.busy += u32::from(found.missing != before.missing);
        self.state = State {
            missing: found.missing,
            unclean: if took_over { Some(who) } else { before.unclean },
            open: found.open,
            torn,
            logged,
        };
        Ok(())
    }
}

/// Linux copies what is written page by page, and a process that is killed does not come to the
/// next one.
const PAGE: u64 = 4096;

fn rest_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}
