//! The layout of a ledger: named fields of 32-bit words, in the machine's byte order.
//!
//! The file describes itself. It begins with a preface (which has a checksum) and a table of its fields;
//! then come one head and a record for each target. So another version of the program finds the fields
//! that it knows by name, and a new field is one more line in the tables below. A name stands for one
//! meaning and unit: a field that changes either gets a new name.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Damage;
use crate::base::histogram::{COARSE, FINE};
use crate::base::limits;
use crate::base::words;
use crate::model::cause::Cause;
use crate::model::log_names::Kind;

/// The first word: "tcpm" as a little-endian machine writes it.
pub(super) const MAGIC: u32 = 0x6d70_6374;
/// The version of the preface and of the table of fields.
pub(super) const VERSION: u32 = 1;

/// The words of the preface.
pub(super) mod preface {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 1;
    /// Words of the whole ledger.
    pub const SIZE: usize = 2;
    /// Of the preface without this word and [`SIZE`], and of the table of fields.
    pub const CHECKSUM: usize = 3;
    /// How many fields the head and each record have.
    pub const HEAD_FIELDS: usize = 4;
    pub const RECORD_FIELDS: usize = 5;
    /// Words of the head and of each record.
    pub const HEAD: usize = 6;
    pub const RECORD: usize = 7;
    /// Where the table of fields begins. An entry is a name of 8 bytes, the first word and the number of words.
    pub const FIELDS: usize = 8;
}

/// Most fields of the head and of a record together, far more than any version has.
const MOST_FIELDS: usize = 256;

/// Words of an entry in the table of fields.
const ENTRY: usize = 4;

/// A named run of words within the head or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    name: [u8; 8],
    /// The first word, counted from the beginning of the head or record.
    pub at: usize,
    /// The number of words.
    pub words: usize,
}

/// Fields of these names and lengths, one after the other.
const fn lay<const N: usize>(parts: [(&str, usize); N]) -> [Field; N] {
    let mut fields = [Field { name: [0; 8], at: 0, words: 0 }; N];
    let (mut i, mut at) = (0, 0);
    while i < N {
        fields[i].name = name("", parts[i].0.as_bytes());
        fields[i].at = at;
        fields[i].words = parts[i].1;
        at += parts[i].1;
        i += 1;
    }
    fields
}

/// A field's name of two parts. It has at most 8 bytes; the rest are zeroes.
const fn name(first: &str, second: &[u8]) -> [u8; 8] {
    let (mut name, first, mut i) = ([0; 8], first.as_bytes(), 0);
    while i < first.len() {
        name[i] = first[i];
        i += 1;
    }
    while i - first.len() < second.len() && second[i - first.len()] != 0 {
        name[i] = second[i - first.len()];
        i += 1;
    }
    name
}

const fn total(fields: &[Field]) -> usize {
    let last = fields[fields.len() - 1];
    last.at + last.words
}

/// Declares a table of fields, its length in words, and a constant for each field.
macro_rules! fields {
    ($table:ident, $words:ident: $($(#[doc = $doc:literal])+ $name:ident = $text:literal, $length:expr;)+) => {
        pub(super) const $table: [Field; [$($text),+].len()] = lay([$(($text, $length)),+]);
        /// Words of all fields together.
        pub(super) const $words: usize = total(&$table);
        fields!(@each $table, 0; $($(#[doc = $doc])+ $name;)+);
    };
    (@each $table:ident, $i:expr; $(#[doc = $doc:literal])+ $name:ident; $($rest:tt)*) => {
        $(#[doc = $doc])+
        #[allow(dead_code, reason = "some are read and written together with the one before them")]
        pub(super) const $name: Field = $table[$i];
        fields!(@each $table, $i + 1; $($rest)*);
    };
    (@each $table:ident, $i:expr;) => {};
}

/// Words of a text of at most `bytes` bytes: its length, then its bytes.
const fn text_of(bytes: usize) -> usize {
    1 + bytes.div_ceil(4)
}

fields! { RUN_FIELDS, RUN:
    /// Process of the last run.
    PID = "pid", 1;
    /// When that process was started, in clock ticks since boot (proc(5), `starttime`).
    BORN = "born", 1;
    /// 1 until the run has ended cleanly.
    RUNNING = "running", 1;
    /// When the ledger was made. This and all wall-clock times below: seconds since 1970, UTC.
    BEGAN = "began", 1;
    /// When the last run started.
    STARTED = "started", 1;
    /// A reading of both clocks: `CLOCK_MONOTONIC` in seconds, the wall clock, and the time zone's
    /// offset in seconds.
    CLOCKS = "clocks", 3;
    /// When the run was last alive, in seconds of `CLOCK_MONOTONIC`.
    ALIVE = "alive", 1;
    /// The boundary of the next report; 0 for none.
    DUE = "due", 1;
    /// The thresholds that the counts were sorted by, in milliseconds.
    SLOW = "slow", 1;
    /// See [`SLOW`].
    TIMEOUT = "timeout", 1;
    /// 1 from when the run was told to end.
    ENDING_RUN = "ends", 1;
    /// The path of the run's configuration file, without symbolic links; empty without one.
    CONFIG = "config", text_of(limits::PATH);
    /// The boot in which `tcpmon stop` has ended the last run, as a checksum; 0: it has not.
    STOPPED = "stopped", 1;
    /// Of the ring of events: see [`super::ring`].
    RING = "ring", 5;
    /// The last reload: its result (see [`super::ReloadResult`]), how many targets are new, removed and kept, and the
    /// number of reloads, which is written last.
    RELOAD = "reload", 5;
    /// How many helpers the run may have, and the most that were busy at the same time.
    HELPERS = "helpers", 2;
    /// Events for which there was no room, since the ledger was made; the number wraps.
    DROPPED = "drops", 1;
}

fields! { JOURNAL_FIELDS, JOURNAL:
    /// Progress of the unfinished write; 0 for none: see [`super::journal::Progress`].
    PROGRESS = "phase", 1;
    /// Its file.
    FILE = "file", text_of(limits::PATH);
    /// The file's length before the write, in bytes: low word, high word.
    OFFSET = "offset", 2;
    /// Bytes of the write; if it is torn, of the part in the file.
    LENGTH = "length", 1;
    /// The time stamp by which the file was chosen, and the time zone's offset in seconds.
    STAMP = "stamp", 2;
    /// 1 if it begins with a header.
    HEADED = "headed", 1;
    /// Checksum of its bytes.
    CHECK = "check", 1;
    /// What its lines cover, see [`super::Ledger::take_events`]; 0 for a kind that does not use it.
    COVERS = "covers", 1;
    /// Since when the files of this kind cannot be written; 0: they can. Then the error (errno(3)); 0: it is not known.
    BROKEN = "broken", 2;
}

/// What the names of a journal's fields begin with, for each kind of daily file in the order of [`Kind::ALL`]. The daily
/// log of counts was the first: its fields have the bare names.
const PREFIXES: [&str; Kind::ALL.len()] = ["", "t.", "e.", "s."];

/// How many fields the head has.
const IN_HEAD: usize = RUN_FIELDS.len() + PREFIXES.len() * JOURNAL_FIELDS.len();

/// The fields of the head: those of the run, then a journal for each kind of daily file.
pub(super) const HEAD_FIELDS: [Field; IN_HEAD] = lay_head();

/// Words of the head.
pub(super) const HEAD: usize = RUN + PREFIXES.len() * JOURNAL;

const fn lay_head() -> [Field; IN_HEAD] {
    let mut fields = [Field { name: [0; 8], at: 0, words: 0 }; IN_HEAD];
    let mut i = 0;
    while i < RUN_FIELDS.len() {
        fields[i] = RUN_FIELDS[i];
        i += 1;
    }
    while i < IN_HEAD {
        let number = i - RUN_FIELDS.len();
        let (kind, field) = (number / JOURNAL_FIELDS.len(), JOURNAL_FIELDS[number % JOURNAL_FIELDS.len()]);
        fields[i] =
            Field { name: name(PREFIXES[kind], &field.name), at: RUN + kind * JOURNAL + field.at, words: field.words };
        i += 1;
    }
    fields
}

/// This field of the journal of a kind.
pub(super) const fn of_journal(kind: Kind, field: Field) -> Field {
    Field { at: RUN + kind.index() * JOURNAL + field.at, ..field }
}

/// Words of the counters that a row of times tells: the causes, resent SYNs and skipped ticks.
pub(super) const COUNTERS: usize = Cause::ALL.len() + 2;

fields! { RECORD_FIELDS, RECORD:
    /// What the record is in use for: see [`super::record::Usage`].
    USAGE = "state", 1;
    /// Position in the configuration, from 1.
    ORDER = "order", 1;
    /// The target's port.
    PORT = "port", 1;
    /// Its service.
    SERVICE = "service", text_of(limits::SERVICE);
    /// Its host, without the scope.
    HOST = "host", text_of(limits::HOST);
    /// The scope of a link-local host.
    SCOPE = "zone", text_of(limits::DEVICE);
    /// Checksum of `PORT`, `SERVICE`, `HOST` and `SCOPE`.
    SEAL = "seal", 1;
    /// How many of the counted probes the log has. A copy reads the fields in this order, so that no
    /// reader finds more reported than counted.
    REPORTED = "reported", 7;
    /// How many the log will have once it has the unfinished report.
    PENDING = "pending", 7;
    /// Probes ended, in the order of `Outcome::ALL`; they wrap.
    COUNTED = "counted", 7;
    /// How many of the causes, resent SYNs and skipped ticks the table of times has.
    TOLD = "told", COUNTERS;
    /// How many it will have once it has the unfinished rows.
    TELLING = "telling", COUNTERS;
    /// Causes in the order of `Cause::ALL`, then SYNs sent again; they wrap. The skipped ticks follow.
    CAUSES = "causes", COUNTERS - 1;
    /// Skipped ticks; it wraps.
    SKIPPED = "skipped", 1;
    /// Odd while one of the fields from here to [`LOOKUPS`] is being written.
    GUARD = "guard", 1;
    /// Whether the target is up: see [`crate::core::health::State`].
    STATE = "is_up", 1;
    /// The tick of the first of the probes that led to this state.
    SINCE = "up_since", 1;
    /// How many probes in a row speak against the state, and the tick of the first of them.
    ROW = "row", 2;
    /// While it is down: how many probes have failed since then.
    FAILED = "failed", 1;
    /// When the last tick ended.
    ENDED = "ended", 1;
    /// How it ended: a kind and its detail, see [`super::codes`].
    ENDING = "ending", 2;
    /// The address that accepted, or of which the reason speaks: 16 bytes, then the scope (interface index) of a
    /// link-local address.
    ADDRESS = "address", 5;
    /// How long its lookup and its connect took, in microseconds, rounded down; all bits set for none.
    TIMES = "times", 2;
    /// The last failure: like [`ENDED`], [`ENDING`] and [`ADDRESS`].
    LAST_FAILURE = "lastfail", 8;
    /// The last good probe before the last tick: like [`ENDED`] and [`TIMES`].
    LAST_GOOD = "lastgood", 3;
    /// The latest address that was given up: 4 or 6, then the address as in [`ADDRESS`]; 0 for none.
    SILENT = "silent", 6;
    /// The addresses of the last answer that the events tell of: how many, a bit for each that is of IPv6 in the upper
    /// half, then 4 words for each.
    ANSWER = "answer", 1 + 4 * limits::ADDRESSES;
    /// Those before: see [`super::Ledger::push_event`].
    ANSWER_BEFORE = "answered", 1 + 4 * limits::ADDRESSES;
    /// Distributions of the times of the interval, coarse: see [`super::interval`].
    INTERVAL_LOOKUPS = "ilookups", COARSE.buckets();
    /// See [`INTERVAL_LOOKUPS`].
    INTERVAL_CONNECTS = "iconnect", COARSE.buckets();
    /// The longest time of lookups and of connects in the interval, in microseconds: each of now and of the unfinished rows.
    INTERVAL_MAX = "imax", 4;
    /// The figures of the last interval: see [`super::interval::Figures`].
    FIGURES = "figures", 8;
    /// Distribution of the times of lookups that gave an address; then the longest, in microseconds.
    LOOKUPS = "lookups", FINE.buckets();
    /// See [`LOOKUPS`].
    LOOKUP_MAX = "lookmax", 1;
    /// Distribution of the times of accepted connects; then the longest, in microseconds.
    CONNECTS = "connects", FINE.buckets();
    /// See [`CONNECTS`].
    CONNECT_MAX = "connmax", 1;
}

/// Where the head begins.
pub(super) const HEAD_AT: usize = preface::FIELDS + ENTRY * (HEAD_FIELDS.len() + RECORD_FIELDS.len());
/// Where the records begin.
pub(super) const RECORDS_AT: usize = HEAD_AT + HEAD;

// A record has at most 4 KB.
const _: () = assert!(RECORD <= 1024);

/// Words of the description, the head and `records` records: the size that the preface tells. The ring of events lies
/// behind.
pub(super) const fn size(records: usize) -> usize {
    RECORDS_AT + records * RECORD
}

/// Words of an event in the ring.
pub(super) const EVENT: usize = 14;

/// The events for which a ledger of `records` records has room: two for each and some of the monitor's own, and at least 64.
pub(super) const fn events(records: usize) -> usize {
    let events = 2 * records + 16;
    if events < 64 { 64 } else { events }
}
const _: () = assert!(events(limits::RECORDS) == limits::EVENTS);

/// Words of a ledger of `records` records.
pub const fn words(records: usize) -> usize {
    size(records) + events(records) * EVENT
}

/// The first word of the record of this number.
pub(super) const fn record(number: usize) -> usize {
    RECORDS_AT + number * RECORD
}

/// A word of a ledger; 0 beyond its end.
#[inline(never)]
pub(super) fn word(ledger: &[AtomicU32], at: usize) -> u32 {
    ledger.get(at).map_or(0, |word| word.load(Ordering::Acquire))
}

/// Writes a word of a ledger; does nothing beyond its end.
#[inline(never)]
pub(super) fn set_word(ledger: &[AtomicU32], at: usize, value: u32) {
    if let Some(word) = ledger.get(at) {
        word.store(value, Ordering::Release);
    }
}

/// The text in this field, read into `room`; `None` if it is longer than that or is not UTF-8.
pub(super) fn text<'a>(words: &[AtomicU32], field: Field, room: &'a mut [u8]) -> Option<&'a str> {
    let bytes = room.get_mut(..word(words, field.at) as usize)?;
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = (word(words, field.at + 1 + i / 4) >> (i % 4 * 8)) as u8;
    }
    words::utf8(bytes)
}

/// Writes a text to this field, which must be long enough.
pub(super) fn set_text(words: &[AtomicU32], field: Field, text: &str) {
    set_word(words, field.at, text.len() as u32);
    for (i, piece) in text.as_bytes().chunks(4).enumerate() {
        let word = piece.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        set_word(words, field.at + 1 + i, word);
    }
}

/// The checksum of no bytes (FNV-1a, 32 bits).
pub(super) const FNV: u32 = 0x811c_9dc5;

/// The checksum of earlier bytes, which is `sum`, followed by these bytes.
pub(super) const fn extend_fnv(mut sum: u32, bytes: &[u8]) -> u32 {
    let mut i = 0;
    while i < bytes.len() {
        sum = (sum ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    sum
}

/// The checksum of words, as little-endian bytes.
pub(super) fn checksum(words: impl Iterator<Item = u32>) -> u32 {
    words.fold(FNV, |sum, word| extend_fnv(sum, &word.to_le_bytes()))
}

/// The checksum of a description without its size and its checksum.
const fn seal(words: &[u32]) -> u32 {
    let (mut sum, mut i) = (FNV, 0);
    while i < words.len() {
        if i != preface::SIZE && i != preface::CHECKSUM {
            sum = extend_fnv(sum, &words[i].to_le_bytes());
        }
        i += 1;
    }
    sum
}

/// This program's preface and table of fields: the first words of a ledger, up to the head. The size
/// is 0 here.
pub(super) static DESCRIPTION: [u32; HEAD_AT] = describe();

const fn describe() -> [u32; HEAD_AT] {
    let mut words = [0; HEAD_AT];
    words[preface::MAGIC] = MAGIC;
    words[preface::VERSION] = VERSION;
    words[preface::HEAD_FIELDS] = HEAD_FIELDS.len() as u32;
    words[preface::RECORD_FIELDS] = RECORD_FIELDS.len() as u32;
    words[preface::HEAD] = HEAD as u32;
    words[preface::RECORD] = RECORD as u32;
    let mut i = 0;
    while i < HEAD_FIELDS.len() + RECORD_FIELDS.len() {
        let of_head = i < HEAD_FIELDS.len();
        let field = if of_head { HEAD_FIELDS[i] } else { RECORD_FIELDS[i - HEAD_FIELDS.len()] };
        let [a, b, c, d, e, f, g, h] = field.name;
        let at = preface::FIELDS + ENTRY * i;
        words[at] = u32::from_le_bytes([a, b, c, d]);
        words[at + 1] = u32::from_le_bytes([e, f, g, h]);
        words[at + 2] = field.at as u32;
        words[at + 3] = field.words as u32;
        i += 1;
    }
    words[preface::CHECKSUM] = seal(&words);
    words
}

/// The entries of a description's table of fields. Those of the head come first.
pub(super) fn entries(description: &[u32]) -> impl Iterator<Item = &[u32]> {
    description[preface::FIELDS..].chunks_exact(ENTRY)
}

/// The layout of a ledger that another version of the program may have written.
#[derive(Debug)]
pub(super) struct Shape {
    description: Vec<u32>,
    /// How many records there are.
    pub records: usize,
}

impl Shape {
    /// Reads a ledger's description. Checks that it is undamaged and that all fields and records are inside
    /// the ledger.
    pub fn read(ledger: &[AtomicU32]) -> Result<Self, Damage> {
        let word = |at: usize| word(ledger, at);
        match word(preface::MAGIC) {
            MAGIC => {}
            magic if magic == MAGIC.swap_bytes() => return Err(Damage::ByteOrder),
            _ => return Err(Damage::Foreign),
        }
        let version = word(preface::VERSION);
        if version != VERSION {
            return Err(Damage::Version(version));
        }
        let number = |at: usize| usize::try_from(word(at)).unwrap_or(usize::MAX);
        let fields = number(preface::HEAD_FIELDS).saturating_add(number(preface::RECORD_FIELDS));
        if fields > MOST_FIELDS {
            return Err(Damage::Layout);
        }
        let head_at = preface::FIELDS + ENTRY * fields;
        if head_at > ledger.len() {
            return Err(Damage::Short);
        }
        let mut shape = Self { description: (0..head_at).map(word).collect(), records: 0 };
        if seal(&shape.description) != shape.description[preface::CHECKSUM] || !shape.is_within() {
            return Err(Damage::Layout);
        }
        // The checksum does not cover the size, and a right checksum does not prevent wrong numbers.
        let size = shape.number(preface::SIZE);
        let records = size.checked_sub(head_at).and_then(|rest| rest.checked_sub(shape.number(preface::HEAD)));
        let Some(records) = records else { return Err(Damage::Layout) };
        if size > ledger.len() {
            return Err(Damage::Short);
        }
        let record = shape.record();
        if record == 0 || records % record != 0 || records / record > limits::RECORDS {
            return Err(Damage::Layout);
        }
        shape.records = records / record;
        Ok(shape)
    }

    /// Whether it is this program's layout.
    pub fn is_ours(&self) -> bool {
        // `read` has checked the words before.
        self.description[preface::CHECKSUM..] == DESCRIPTION[preface::CHECKSUM..]
    }

    /// Where the records end.
    pub fn end(&self) -> usize {
        self.number(preface::SIZE)
    }

    /// Words of one record.
    pub fn record(&self) -> usize {
        self.number(preface::RECORD)
    }

    /// Finds the field with the name of `entry`, an entry of our own table, in the head if `of_head`, else
    /// in the first record. Gives its first word in the ledger, and how many words both layouts have; 0
    /// words if there is no such field.
    pub fn find(&self, entry: &[u32], of_head: bool) -> (usize, usize) {
        let heads = self.number(preface::HEAD_FIELDS);
        for (i, found) in entries(&self.description).enumerate() {
            if (i < heads) == of_head && found[..2] == entry[..2] {
                let head = if of_head { 0 } else { self.number(preface::HEAD) };
                let at = self.description.len() + head + found[2] as usize;
                return (at, found[3].min(entry[3]) as usize);
            }
        }
        (0, 0)
    }

    fn is_within(&self) -> bool {
        let heads = self.number(preface::HEAD_FIELDS);
        entries(&self.description).enumerate().all(|(i, entry)| {
            let whole = self.number(if i < heads { preface::HEAD } else { preface::RECORD });
            (entry[2] as usize).saturating_add(entry[3] as usize) <= whole
        })
    }

    fn number(&self, at: usize) -> usize {
        usize::try_from(self.description[at]).unwrap_or(usize::MAX)
    }
}
