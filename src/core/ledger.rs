//! The ledger: all counters in one small block of memory. If possible this is a mapped file, so that a
//! killed process loses nothing. This module does no I/O: [`crate::shell::ledger_file`] makes the file.
//!
//! A finished probe is one atomic store of its counter. Stores reach memory in program order:
//! wherever a kill lands, the stores before that instruction are in the file and the others are not.
//!
//! # Why a run counts twice
//!
//! [`crate::core::monitor::TargetEntry`] holds a target's counts, too. They are read from the record at
//! the start. After that the run counts in the entry and stores the new total in the record; reports
//! are made from the entries. There are two reasons:
//!
//! - A run may have no ledger ([`Ledger::absent`]), for instance when the disk is full. It still reports.
//! - Another process may truncate the mapped file. The run then finds zeroes in its place
//!   ([`crate::sys::map::guard`]). Before the next report the ledger is written again from the entries:
//!   [`Ledger::renew`], then [`Record::reinstall`] for each target. This does not restore how the last tick
//!   ended, the skipped ticks and the distributions of times: they begin again.
//!
//! During a run an entry is read from its record in one more case: the last run's log could not be read
//! at the start and can be read now, so the ledger has just learned what is reported.

mod codes;
mod interval;
mod journal;
mod layout;
mod record;
mod reload;
mod ring;

use core::fmt;
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

pub use interval::{Figures, Interval};
pub use journal::{Journal, Progress, checksum, checksum_of_nothing, extend_checksum};
pub use layout::words;
use layout::{Field, Shape, preface};
pub use record::{Last, Record, Usage};
pub use reload::{Reload, ReloadResult};
pub use ring::Entry;

use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::model::log_names::Kind;
use crate::model::outcome::{Columns, Thresholds};
use crate::model::process_id::ProcessId;
use crate::model::target::Target;

/// The memory of a ledger.
#[derive(Debug)]
pub enum Memory {
    /// A mapped file. The mapping may be longer than the file: only the ledger's words are touched.
    Mapped(&'static [AtomicU32]),
    /// Memory of this process only.
    Own(Box<[AtomicU32]>),
}

impl Memory {
    /// Memory of this process, all zeroes, for a ledger of `records` records.
    pub fn own(records: usize) -> Self {
        Memory::Own((0..words(records)).map(|_| AtomicU32::new(0)).collect())
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

/// Why a file is not used as a ledger. Displayed without its subject: `is cut short`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It does not begin with the ledger's first word.
    Foreign,
    /// It belongs to another user.
    Stranger,
    /// It was written on a machine with another byte order.
    ByteOrder,
    /// Its description has an unknown version.
    Version(u32),
    /// It is shorter than its description says.
    Short,
    /// Its description has a wrong checksum or contradicts itself.
    Layout,
    /// Its head holds an impossible value.
    Head,
    /// The record of this number holds an impossible value.
    Record(usize),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Foreign => "is no ledger",
            Damage::Stranger => "belongs to another user",
            Damage::ByteOrder => "was written on a machine with another byte order",
            Damage::Version(version) => return write!(f, "is of the unknown version {version}"),
            Damage::Short => "is cut short",
            Damage::Layout => "has a damaged layout",
            Damage::Head => "has a damaged head",
            Damage::Record(number) => return write!(f, "has a damaged record {number}"),
        })
    }
}

/// A ledger, or none. Without one, writes do nothing and reads give zeroes.
#[derive(Debug)]
pub struct Ledger {
    memory: Memory,
    capacity: usize,
    is_kept: bool,
}

/// The records in use, each with its number.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    ledger: &'a Ledger,
    next: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (usize, Record<'a>);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.ledger.capacity {
            let number = self.next;
            self.next += 1;
            let record = self.ledger.record(number);
            if record.usage() != Usage::Free {
                return Some((number, record));
            }
        }
        None
    }
}

impl Ledger {
    /// No ledger.
    pub fn absent() -> Self {
        Self { memory: Memory::Own(Box::default()), capacity: 0, is_kept: false }
    }

    /// No ledger either, for a run that writes files: until it ends, this memory, which is all zeroes, holds what goes
    /// into the next rows and events.
    pub fn not_kept(memory: Memory, capacity: usize, began: WallTime) -> Self {
        let ledger = Self { memory, capacity, is_kept: false };
        ledger.renew(began);
        ledger
    }

    /// A new ledger of `capacity` records in memory that is all zeroes. Its first word is written last:
    /// an unfinished ledger has none.
    pub fn create(memory: Memory, capacity: usize, began: WallTime) -> Self {
        let ledger = Self { memory, capacity, is_kept: true };
        ledger.renew(began);
        ledger
    }

    /// Writes the description again after all the memory has become zeroes.
    pub fn renew(&self, began: WallTime) {
        self.describe();
        self.set(layout::BEGAN, 0, began.unix_u32());
        self.store(preface::MAGIC, layout::MAGIC);
    }

    /// Writes the description without its first word.
    fn describe(&self) {
        for at in preface::VERSION..layout::HEAD_AT {
            self.store(at, layout::DESCRIPTION[at]);
        }
        self.store(preface::SIZE, layout::size(self.capacity) as u32);
    }

    /// The ledger in this memory, of which the first `length` words may be read. A ledger of another
    /// layout is converted to this program's layout, in memory of this process: see [`Ledger::is_mapped`].
    pub fn open(memory: Memory, length: usize) -> Result<Self, Damage> {
        let words = &memory[..length.min(memory.len())];
        let shape = Shape::read(words)?;
        if !shape.is_ours() {
            return Self::convert(words, &shape);
        }
        if words.len() < layout::words(shape.records) {
            return Err(Damage::Short);
        }
        let ledger = Self { memory, capacity: shape.records, is_kept: true };
        ledger.check()?;
        Ok(ledger)
    }

    /// A copy of the ledger in these words, in this program's layout. Fields are matched by name; a field
    /// that the ledger lacks becomes zeroes.
    pub fn copy(words: &[AtomicU32]) -> Result<Self, Damage> {
        let shape = Shape::read(words)?;
        if shape.is_ours() && words.len() < layout::words(shape.records) {
            return Err(Damage::Short);
        }
        Self::convert(words, &shape)
    }

    fn convert(words: &[AtomicU32], shape: &Shape) -> Result<Self, Damage> {
        let copy = Self { memory: Memory::own(shape.records), capacity: shape.records, is_kept: true };
        copy.describe();
        copy.store(preface::MAGIC, layout::MAGIC);
        let copy_words = |to: usize, from: usize, count: usize| {
            for i in 0..count {
                copy.store(to + i, layout::word(words, from + i));
            }
        };
        let heads = layout::HEAD_FIELDS.len();
        for entry in layout::entries(&layout::DESCRIPTION).take(heads) {
            let (from, count) = shape.find(entry, true);
            copy_words(layout::HEAD_AT + entry[2] as usize, from, count);
        }
        // Record by record: a run may be writing to them, so the fields of one are read close together.
        for number in 0..shape.records {
            let record = layout::record(number);
            // A ledger without rows of times has skipped ticks that no row is to tell.
            let mut is_told = false;
            for entry in layout::entries(&layout::DESCRIPTION).skip(heads) {
                let at = entry[2] as usize;
                let (from, count) = shape.find(entry, false);
                if count < entry[3] as usize && record::NEEDED.contains(&at) {
                    return Err(Damage::Layout);
                }
                copy_words(record + at, from + number * shape.record(), count);
                is_told |= at == layout::TOLD.at && count > 0;
            }
            if !is_told {
                let skipped = layout::word(&copy.memory, record + layout::SKIPPED.at);
                copy.store(record + layout::TOLD.at + layout::COUNTERS - 1, skipped);
            }
        }
        copy.take_over(words, shape);
        copy.check()?;
        Ok(copy)
    }

    /// Whether these words are a ledger whose creation was interrupted. Nothing was ever counted in it.
    pub fn is_unfinished(words: &[AtomicU32]) -> bool {
        let began = layout::HEAD_AT + layout::BEGAN.at;
        let is_ours = |(at, word): (usize, &AtomicU32)| {
            let word = word.load(Ordering::Acquire);
            let written = layout::DESCRIPTION.get(at).is_some_and(|ours| at != preface::MAGIC && word == *ours);
            word == 0 || written || [preface::SIZE, began].contains(&at)
        };
        words.iter().enumerate().all(is_ours)
    }

    /// Whether a file with this first word is a ledger, if only a damaged one or one of another byte order.
    pub fn begins_with(word: u32) -> bool {
        [layout::MAGIC, layout::MAGIC.swap_bytes()].contains(&word)
    }

    /// Whether the ledger is in a mapped file.
    pub fn is_mapped(&self) -> bool {
        self.mapped().is_some()
    }

    /// The whole mapping, which may be longer than the file; `None` if the ledger is not in a file.
    pub fn mapped(&self) -> Option<&'static [AtomicU32]> {
        match self.memory {
            Memory::Mapped(words) if self.is_kept => Some(words),
            Memory::Mapped(_) | Memory::Own(_) => None,
        }
    }

    /// Uses other memory from here on, which holds the same words.
    pub fn move_to(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// All words of the ledger; none if there is no ledger.
    pub fn content(&self) -> &[AtomicU32] {
        &self.memory[..if self.is_present() { words(self.capacity) } else { 0 }]
    }

    /// Whether there is a ledger.
    pub fn is_present(&self) -> bool {
        self.is_kept
    }

    /// How many records it has; 0 if there is no ledger.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The least capacity with which a larger ledger has its ring of events behind this one's, so that none of them is
    /// lost by [`Ledger::grow`].
    pub fn next_capacity(&self) -> usize {
        self.capacity + (layout::events(self.capacity) * layout::EVENT).div_ceil(layout::RECORD)
    }

    /// Increases the capacity to `records`. The caller has made the memory available.
    pub fn grow(&mut self, records: usize) {
        if self.is_present() && records > self.capacity {
            self.move_ring(records);
            // A file may have been longer than its ledger: these words can hold anything.
            for number in self.capacity..records {
                self.store(layout::record(number) + layout::USAGE.at, Usage::Free as u32);
            }
            self.store(preface::SIZE, layout::size(records) as u32);
            self.capacity = records;
        }
    }

    /// The record of this number. Beyond the capacity, writes to it do nothing and reads give zeroes.
    pub fn record(&self, number: usize) -> Record<'_> {
        Record::new(self, number)
    }

    /// The records in use, each with its number.
    pub fn records(&self) -> Records<'_> {
        Records { ledger: self, next: 0 }
    }

    /// The records in the order of a report: configured targets in configuration order, then removed
    /// targets.
    pub fn in_order(&self) -> Vec<Record<'_>> {
        let mut ordered: Vec<Record<'_>> = Vec::new();
        for (_, record) in self.records() {
            let at = ordered.partition_point(|before| before.rank() <= record.rank());
            ordered.insert(at, record);
        }
        ordered
    }

    /// The rows of a report of everything that the log does not have yet.
    pub fn rows(&self) -> Vec<(Text<{ limits::SERVICE }>, Columns)> {
        self.rows_of(layout::COUNTED)
    }

    /// The rows of the report that is being written.
    pub fn pending_rows(&self) -> Vec<(Text<{ limits::SERVICE }>, Columns)> {
        self.rows_of(layout::PENDING)
    }

    fn rows_of(&self, counted: Field) -> Vec<(Text<{ limits::SERVICE }>, Columns)> {
        let mut rows = Vec::new();
        let mut room = [0; limits::SERVICE];
        for record in self.in_order() {
            let counts = record.tally_of(counted).unreported();
            if record.usage() != Usage::Live && counts.is_zero() {
                continue;
            }
            if let Some(service) = record.service(&mut room).and_then(Text::copy) {
                rows.push((service, counts.columns()));
            }
        }
        rows
    }

    /// How many records will be in use with these targets: a target whose service, host and port are
    /// known continues in its record.
    pub fn records_for(&self, targets: &[Target]) -> usize {
        let mut found = vec![false; targets.len()];
        let mut records = targets.len();
        for (_, record) in self.records() {
            let same = record
                .target()
                .and_then(|known| (0..targets.len()).find(|i| !found[*i] && targets[*i].is_same_as(&known)));
            match same {
                Some(i) => found[i] = true,
                None => records += 1,
            }
        }
        records
    }

    /// Whether the log has everything that was counted.
    pub fn is_reported(&self) -> bool {
        self.records().all(|(_, record)| record.is_reported())
    }

    /// Notes that a run of this process starts, with this configuration file.
    pub fn begin_run(&self, owner: ProcessId, config: &str, started: WallTime) {
        self.set(layout::ENDING_RUN, 0, 0);
        self.set(layout::STOPPED, 0, 0);
        self.set(layout::HELPERS, 1, 0);
        if let Some(head) = self.head() {
            layout::set_text(head, layout::CONFIG, config);
        }
        // A kill must not leave the new pid with the old start time.
        self.set(layout::BORN, 0, 0);
        self.set(layout::PID, 0, owner.pid);
        self.set(layout::BORN, 0, owner.born);
        self.set(layout::STARTED, 0, started.unix_u32());
        self.set(layout::RUNNING, 0, 1);
    }

    /// Notes that the run has ended.
    pub fn end_run(&self) {
        self.set(layout::RUNNING, 0, 0);
    }

    /// Notes that the run was told to end.
    pub fn begin_end(&self) {
        self.set(layout::ENDING_RUN, 0, 1);
    }

    /// Whether the run that has locked the ledger ends, or has ended and only its process is still there.
    pub fn is_ending(&self) -> bool {
        !self.is_running() || self.get(layout::ENDING_RUN, 0) != 0
    }

    /// The path of the run's configuration file, read into `room`; empty without one.
    pub fn config<'a>(&self, room: &'a mut [u8; limits::PATH]) -> &'a str {
        self.head().and_then(|head| layout::text(head, layout::CONFIG, room)).unwrap_or_default()
    }

    /// The boot in which `tcpmon stop` has ended the last run; 0: it has not.
    pub fn stopped(&self) -> u32 {
        self.get(layout::STOPPED, 0)
    }

    /// Where a file with these first words keeps [`Ledger::stopped`], counted in words; `None` if it has no such field,
    /// or is no ledger.
    pub fn place_of_stopped(words: &[AtomicU32]) -> Option<usize> {
        let entry = layout::entries(&layout::DESCRIPTION).find(|entry| entry[2] as usize == layout::STOPPED.at)?;
        let (at, count) = Shape::read(words).ok()?.find(entry, true);
        (count > 0).then_some(at)
    }

    /// Notes the result of a reload.
    pub fn set_reload(&self, reload: Reload) {
        let Reload { result, new, removed, kept } = reload;
        for (i, value) in [result as u32, new, removed, kept, self.reloads().wrapping_add(1)].iter().enumerate() {
            self.set(layout::RELOAD, i, *value);
        }
    }

    /// How many reloads there were.
    pub fn reloads(&self) -> u32 {
        self.get(layout::RELOAD, 4)
    }

    /// The last reload.
    pub fn reload(&self) -> Reload {
        let word = |i| self.get(layout::RELOAD, i);
        Reload { result: ReloadResult::of(word(0)), new: word(1), removed: word(2), kept: word(3) }
    }

    // Short functions that are called from many paths are not inlined, here and in the submodules: the
    // binary is smaller.

    /// Whether the last run has not ended: it still runs, or it was killed.
    #[inline(never)]
    pub fn is_running(&self) -> bool {
        self.get(layout::RUNNING, 0) != 0
    }

    /// The process of the last run.
    #[inline(never)]
    pub fn owner(&self) -> ProcessId {
        ProcessId { pid: self.get(layout::PID, 0), born: self.get(layout::BORN, 0) }
    }

    /// When the ledger was made, in seconds since 1970.
    #[inline(never)]
    pub fn began(&self) -> i64 {
        self.get(layout::BEGAN, 0).into()
    }

    /// When the last run started, in seconds since 1970.
    #[inline(never)]
    pub fn started(&self) -> i64 {
        self.get(layout::STARTED, 0).into()
    }

    /// Notes that the wall clock reads `wall` at `now`, and that the run is alive.
    pub fn set_clocks(&self, now: Instant, wall: WallTime) {
        self.set(layout::CLOCKS, 0, now.secs() as u32);
        self.set(layout::CLOCKS, 1, wall.unix_u32());
        self.set(layout::CLOCKS, 2, wall.offset as u32);
        self.set_alive(now);
    }

    /// Notes that the run is alive at `now`.
    pub fn set_alive(&self, now: Instant) {
        self.set(layout::ALIVE, 0, now.secs() as u32);
    }

    /// When the run was last alive, by the wall clock in seconds since 1970.
    pub fn alive(&self) -> i64 {
        let since = self.get(layout::ALIVE, 0).wrapping_sub(self.get(layout::CLOCKS, 0));
        // Negative if the run was killed after it stored `CLOCKS` and before it stored `ALIVE`.
        i64::from(self.get(layout::CLOCKS, 1)) + i64::from(since as i32)
    }

    /// The boundary of the next report, in seconds since 1970.
    #[inline(never)]
    pub fn due(&self) -> i64 {
        self.get(layout::DUE, 0).into()
    }

    /// Sets the boundary of the next report.
    #[inline(never)]
    pub fn set_due(&self, boundary: WallTime) {
        self.set(layout::DUE, 0, boundary.unix_u32());
    }

    /// The thresholds that the counts were sorted by.
    pub fn thresholds(&self) -> Thresholds {
        let threshold = |field| Nanos::from_millis(self.get(field, 0).into());
        Thresholds { slow: threshold(layout::SLOW), timeout: threshold(layout::TIMEOUT) }
    }

    /// Counts are sorted by these thresholds from here on.
    pub fn set_thresholds(&self, thresholds: Thresholds) {
        self.set(layout::SLOW, 0, thresholds.slow.millis() as u32);
        self.set(layout::TIMEOUT, 0, thresholds.timeout.millis() as u32);
    }

    /// Stores how many helpers the run may have.
    pub fn set_helpers(&self, most: u16) {
        self.set(layout::HELPERS, 0, most.into());
    }

    /// Notes that so many helpers are busy.
    pub fn note_busy(&self, helpers: u16) {
        if u32::from(helpers) > self.get(layout::HELPERS, 1) {
            self.set(layout::HELPERS, 1, helpers.into());
        }
    }

    /// How many helpers the run may have, and the most that were busy at the same time.
    pub fn helpers(&self) -> [u32; 2] {
        [0, 1].map(|i| self.get(layout::HELPERS, i))
    }

    /// Length of the longest configured service, in characters.
    pub fn longest_service(&self) -> usize {
        let (mut longest, mut room) = (0, [0; limits::SERVICE]);
        for (_, record) in self.records() {
            if record.usage() == Usage::Live {
                longest = longest.max(record.service(&mut room).map_or(0, |service| service.chars().count()));
            }
        }
        longest
    }

    /// Checks that this program could have written every value.
    fn check(&self) -> Result<(), Damage> {
        let reporting = self.progress(Kind::Stats).is_some();
        let offset = self.get(layout::CLOCKS, 2) as i32;
        if !self.is_ring_valid()
            || !Kind::ALL.iter().all(|kind| self.has_valid_journal(*kind))
            || self.get(layout::RUNNING, 0) > 1
            || offset.unsigned_abs() > 26 * 3600
        {
            return Err(Damage::Head);
        }
        for number in 0..self.capacity {
            if !self.record(number).is_valid(reporting) {
                return Err(Damage::Record(number));
            }
        }
        Ok(())
    }

    fn head(&self) -> Option<&[AtomicU32; layout::HEAD]> {
        self.memory.get(layout::HEAD_AT..)?.first_chunk()
    }

    fn get(&self, field: Field, i: usize) -> u32 {
        self.head_word(field.at + i)
    }

    fn set(&self, field: Field, i: usize, value: u32) {
        self.set_head_word(field.at + i, value);
    }

    #[inline(never)]
    fn head_word(&self, at: usize) -> u32 {
        layout::word(&self.memory, layout::HEAD_AT + at)
    }

    #[inline(never)]
    fn set_head_word(&self, at: usize, value: u32) {
        layout::set_word(&self.memory, layout::HEAD_AT + at, value);
    }

    fn store(&self, at: usize, value: u32) {
        layout::set_word(&self.memory, at, value);
    }
}

#[cfg(test)]
mod tests;
