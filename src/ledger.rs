//! The ledger: all counters in one small piece of memory, which is a mapped file where that can be
//! had, so that a killed process loses nothing.
//!
//! A finished probe is one atomic store of its counter. Stores keep the order they are written in:
//! whatever instruction a kill lands on, what came before is there and what comes after is not.
//! Nothing here touches a file; [`crate::ledger_file`] does.

mod journal;
mod layout;
mod record;

use core::fmt;
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

pub use journal::{Journal, Phase, check, check_of_nothing, check_on};
pub use layout::words;
use layout::{Field, Shape, preface};
pub use record::{Health, Last, Record, State};

use crate::limits;
use crate::path::Path;
use crate::table::Form;
use crate::tally::{Columns, Tally, Thresholds};
use crate::target::Target;
use crate::text::Text;
use crate::time::{Instant, Nanos, WallTime};

/// Where a ledger lies.
#[derive(Debug)]
pub enum Memory {
    /// In a mapped file, or beyond its end: only the words of the ledger are touched.
    Mapped(&'static [AtomicU32]),
    /// In this process alone.
    Own(Box<[AtomicU32]>),
}

impl Memory {
    /// Memory of this process for a ledger with so many records.
    pub fn own(places: usize) -> Self {
        Memory::Own((0..words(places)).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Deref for Memory {
    type Target = [AtomicU32];

    fn deref(&self) -> &[AtomicU32] {
        match self {
            Memory::Mapped(words) => words,
            Memory::Own(words) => words,
        }
    }
}

/// Why a file is not used as a ledger. Displayed as what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It does not begin as one.
    Foreign,
    /// It belongs to another user.
    Stranger,
    /// It was written on a machine with another byte order.
    ByteOrder,
    /// Its description is of a version that is not known.
    Version(u32),
    /// It is shorter than it says.
    Short,
    /// Its description is not what was written, or contradicts itself.
    Layout,
    /// Something in its head cannot be.
    Head,
    /// This record cannot be.
    Record(usize),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Foreign => f.write_str("is no ledger"),
            Damage::Stranger => f.write_str("belongs to another user"),
            Damage::ByteOrder => f.write_str("was written on a machine with another byte order"),
            Damage::Version(version) => write!(f, "is of the unknown version {version}"),
            Damage::Short => f.write_str("is cut short"),
            Damage::Layout => f.write_str("has a damaged layout"),
            Damage::Head => f.write_str("has a damaged head"),
            Damage::Record(place) => write!(f, "has a damaged record {place}"),
        }
    }
}

/// A process, told from a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its pid.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    pub born: u32,
}

/// A ledger, or none: then nothing is kept and nothing is there to be read.
#[derive(Debug)]
pub struct Ledger {
    memory: Memory,
    places: usize,
}

impl Ledger {
    /// No ledger.
    pub fn absent() -> Self {
        Self { memory: Memory::Own(Box::default()), places: 0 }
    }

    /// A new ledger with so many records in memory that is all zeroes. Its first word comes last:
    /// what was begun and not finished has none.
    pub fn create(memory: Memory, places: usize, began: WallTime) -> Self {
        let ledger = Self { memory, places };
        ledger.renew(began);
        ledger
    }

    /// Begins anew where all its memory has become zeroes.
    pub fn renew(&self, began: WallTime) {
        for (word, value) in self.memory.iter().zip(layout::describe(self.places)).skip(1) {
            word.store(value, Ordering::Relaxed);
        }
        self.set(layout::BEGAN, 0, seconds(began));
        self.store(preface::MAGIC, layout::MAGIC);
    }

    /// The ledger that lies in this memory, of which so many words are there. One of another layout
    /// is copied to memory of this process, in this program's own: see [`Ledger::is_mapped`].
    pub fn open(memory: Memory, there: usize) -> Result<Self, Damage> {
        let words = &memory[..there.min(memory.len())];
        let shape = Shape::read(words)?;
        if !shape.is_ours() {
            return Self::copy(words);
        }
        let ledger = Self { memory, places: shape.places };
        ledger.check()?;
        Ok(ledger)
    }

    /// A copy of the ledger that lies here, in this program's layout: whatever it has, in fields of
    /// the same name. What is new begins with zeroes.
    pub fn copy(words: &[AtomicU32]) -> Result<Self, Damage> {
        let shape = Shape::read(words)?;
        let copy = Self { memory: Memory::own(shape.places), places: shape.places };
        for (word, value) in copy.memory.iter().zip(layout::describe(shape.places)) {
            word.store(value, Ordering::Relaxed);
        }
        let take = |at: usize, field: Field, from: Option<(usize, usize)>| {
            let (from, count) = from.unwrap_or_default();
            let source = words.iter().skip(from).take(count.min(field.words));
            for (word, value) in copy.memory[at..].iter().zip(source) {
                word.store(value.load(Ordering::Acquire), Ordering::Relaxed);
            }
        };
        for field in layout::HEAD_FIELDS {
            take(layout::HEAD_AT + field.at, field, shape.head(field));
        }
        for place in 0..shape.places {
            for field in layout::RECORD_FIELDS {
                let found = shape.record(place, field);
                if found.is_none_or(|(_, words)| words < field.words) && record::NEEDED.contains(&field) {
                    return Err(Damage::Layout);
                }
                take(copy.record(place).at() + field.at, field, found);
            }
        }
        copy.check()?;
        Ok(copy)
    }

    /// Whether these are the words of a ledger whose making was cut short: nothing was ever counted
    /// in it.
    pub fn is_unfinished(words: &[AtomicU32]) -> bool {
        let began = layout::HEAD_AT + layout::BEGAN.at;
        let is_zero = |(at, word): (usize, &AtomicU32)| {
            (1..layout::HEAD_AT).contains(&at) || at == began || word.load(Ordering::Acquire) == 0
        };
        words.iter().enumerate().all(is_zero)
    }

    /// Whether it lies in a mapped file.
    pub fn is_mapped(&self) -> bool {
        self.mapped().is_some()
    }

    /// The words of the mapped file that it lies in.
    pub fn mapped(&self) -> Option<&'static [AtomicU32]> {
        match self.memory {
            Memory::Mapped(words) => Some(words),
            Memory::Own(_) => None,
        }
    }

    /// Goes over to other memory, which holds the same.
    pub fn move_to(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// All its words, for a copy.
    pub fn content(&self) -> &[AtomicU32] {
        &self.memory[..if self.is_present() { words(self.places) } else { 0 }]
    }

    /// Whether there is one.
    pub fn is_present(&self) -> bool {
        !self.memory.is_empty()
    }

    /// How many records it has; 0 where there is none.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Makes use of memory for so many records, which is there now.
    pub fn grow(&mut self, places: usize) {
        if self.is_present() && places > self.places {
            // A file that was longer than its ledger may have anything there.
            for place in self.places..places {
                self.store(self.record(place).at() + layout::STATE.at, State::Free as u32);
            }
            self.memory[preface::SIZE].store(words(places) as u32, Ordering::Release);
            self.places = places;
        }
    }

    /// The record at this place; one beyond the end takes nothing and says nothing.
    pub fn record(&self, place: usize) -> Record<'_> {
        Record::new(self, place)
    }

    /// The records in use, each with its place.
    pub fn records(&self) -> impl Iterator<Item = (usize, Record<'_>)> + Clone {
        let all = (0..self.places).map(|place| (place, self.record(place)));
        all.filter(|(_, record)| record.state() != State::Free)
    }

    /// The records in the order of a report: the configured targets in theirs, then those that
    /// are gone.
    pub fn in_order(&self) -> Vec<Record<'_>> {
        let mut records: Vec<Record<'_>> = self.records().map(|(_, record)| record).collect();
        records.sort_by_key(|record| if record.state() == State::Retired { u32::MAX } else { record.order() });
        records
    }

    /// The rows of a report of all that the log does not have yet.
    pub fn rows(&self) -> Vec<(Text<{ limits::SERVICE }>, Columns)> {
        self.rows_by(Record::tally)
    }

    /// The rows of the report that is being written.
    pub fn pending_rows(&self) -> Vec<(Text<{ limits::SERVICE }>, Columns)> {
        self.rows_by(Record::pending)
    }

    fn rows_by<'a>(&'a self, tally: impl Fn(&Record<'a>) -> Tally) -> Vec<(Text<{ limits::SERVICE }>, Columns)> {
        let rows = self.in_order().into_iter().map(|record| (record, tally(&record).unreported()));
        let due = rows.filter(|(record, counts)| record.state() == State::Live || !counts.is_zero());
        due.filter_map(|(record, counts)| Some((record.target()?.service, counts.columns()))).collect()
    }

    /// How many places are in use once these are the targets: those of the same service, host and
    /// port go on in theirs.
    pub fn places_for(&self, targets: &[Target]) -> usize {
        let mut left: Vec<&Target> = targets.iter().collect();
        let strangers = self.records().filter(|(_, record)| {
            let same = record.target().and_then(|known| left.iter().position(|target| target.is_same_as(&known)));
            same.map(|at| left.swap_remove(at)).is_none()
        });
        strangers.count() + targets.len()
    }

    /// Whether the log has everything.
    pub fn is_reported(&self) -> bool {
        self.records().all(|(_, record)| record.tally().unreported().is_zero())
    }

    /// Takes note that a run of this process starts.
    pub fn begin_run(&self, owner: Owner, started: WallTime) {
        self.set(layout::BORN, 0, 0);
        self.set(layout::PID, 0, owner.pid);
        self.set(layout::BORN, 0, owner.born);
        self.set(layout::STARTED, 0, seconds(started));
        self.set(layout::RUNNING, 0, 1);
    }

    /// Takes note that the run has come to its end.
    pub fn end_run(&self) {
        self.set(layout::RUNNING, 0, 0);
    }

    /// Whether the last run has not come to its end: it goes on, or was killed.
    pub fn is_running(&self) -> bool {
        self.get(layout::RUNNING, 0) != 0
    }

    /// The process of the last run.
    pub fn owner(&self) -> Owner {
        Owner { pid: self.get(layout::PID, 0), born: self.get(layout::BORN, 0) }
    }

    /// When the ledger was made, in seconds since 1970.
    pub fn began(&self) -> i64 {
        self.get(layout::BEGAN, 0).into()
    }

    /// When the last run started, in seconds since 1970.
    pub fn started(&self) -> i64 {
        self.get(layout::STARTED, 0).into()
    }

    /// Takes in that the wall clock reads `wall` at `now`.
    pub fn set_clocks(&self, now: Instant, wall: WallTime) {
        self.set(layout::CLOCKS, 0, now.secs() as u32);
        self.set(layout::CLOCKS, 1, seconds(wall));
        self.set(layout::CLOCKS, 2, wall.offset as u32);
        self.set_alive(now);
    }

    /// The run is alive at `now`.
    pub fn set_alive(&self, now: Instant) {
        self.set(layout::ALIVE, 0, now.secs() as u32);
    }

    /// When the run was last alive, by the wall clock in seconds since 1970.
    pub fn alive(&self) -> i64 {
        let since = self.get(layout::ALIVE, 0).wrapping_sub(self.get(layout::CLOCKS, 0));
        // One that was killed between the two stores was alive a little before the reading.
        i64::from(self.get(layout::CLOCKS, 1)) + i64::from(since as i32)
    }

    /// The boundary of the next report, in seconds since 1970.
    pub fn due(&self) -> i64 {
        self.get(layout::DUE, 0).into()
    }

    /// The next report is due at this boundary.
    pub fn set_due(&self, boundary: WallTime) {
        self.set(layout::DUE, 0, seconds(boundary));
    }

    /// The thresholds that the counts were sorted by.
    pub fn thresholds(&self) -> Thresholds {
        let threshold = |field| Nanos::from_millis(self.get(field, 0).into());
        Thresholds { slow: threshold(layout::SLOW), timeout: threshold(layout::TIMEOUT) }
    }

    /// Counts are sorted by these from here on.
    pub fn set_thresholds(&self, thresholds: Thresholds) {
        self.set(layout::SLOW, 0, thresholds.slow.millis() as u32);
        self.set(layout::TIMEOUT, 0, thresholds.timeout.millis() as u32);
    }

    /// The form of a report of the counts.
    pub fn form(&self) -> Form {
        let live = self.records().filter(|(_, record)| record.state() == State::Live);
        let services = live.filter_map(|(_, record)| Some(record.target()?.service.as_str().chars().count()));
        Form::new(self.thresholds(), services.max().unwrap_or(0))
    }

    /// Makes sure that everything is what this program could have written.
    fn check(&self) -> Result<(), Damage> {
        let journal = self.get(layout::PHASE, 0) == 0 || self.journal().is_some();
        let offset = self.get(layout::CLOCKS, 2) as i32;
        if !journal || self.get(layout::RUNNING, 0) > 1 || offset.unsigned_abs() > 26 * 3600 {
            return Err(Damage::Head);
        }
        match (0..self.places).find(|place| !self.record(*place).is_right()) {
            Some(place) => Err(Damage::Record(place)),
            None => Ok(()),
        }
    }

    fn get(&self, field: Field, i: usize) -> u32 {
        self.load(layout::HEAD_AT + field.at + i)
    }

    fn set(&self, field: Field, i: usize, value: u32) {
        self.store(layout::HEAD_AT + field.at + i, value);
    }

    // Not inlined, nor is the next: they are called from everywhere.
    #[inline(never)]
    fn load(&self, at: usize) -> u32 {
        self.memory.get(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    #[inline(never)]
    fn store(&self, at: usize, value: u32) {
        if let Some(word) = self.memory.get(at) {
            word.store(value, Ordering::Release);
        }
    }

    fn text<const N: usize>(&self, at: usize) -> Option<Text<N>> {
        let length = self.load(at) as usize;
        let mut bytes = [0; N];
        let found = bytes.get_mut(..length)?;
        for (i, piece) in found.chunks_mut(4).enumerate() {
            piece.copy_from_slice(&self.load(at + 1 + i).to_le_bytes()[..piece.len()]);
        }
        Text::copy(core::str::from_utf8(found).ok()?)
    }

    fn set_text(&self, at: usize, text: &str) {
        self.store(at, text.len() as u32);
        for (i, piece) in text.as_bytes().chunks(4).enumerate() {
            let mut word = [0; 4];
            word[..piece.len()].copy_from_slice(piece);
            self.store(at + 1 + i, u32::from_le_bytes(word));
        }
    }
}

/// A moment of the wall clock as the ledger has it: from 1970 to 2106.
fn seconds(wall: WallTime) -> u32 {
    wall.unix.clamp(0, u32::MAX.into()) as u32
}

/// Whether this is the path of a log of ours.
fn is_log(path: &Path) -> bool {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    let date = name.strip_prefix("tcp_stats_").and_then(|rest| rest.strip_suffix(".log"));
    !path.as_str().contains('\0')
        && date.is_some_and(|date| date.len() >= 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
