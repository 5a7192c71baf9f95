//! Where everything lies in a ledger: named fields of 32-bit words, in the machine's byte order.
//!
//! The file describes itself. It begins with a preface, a table of its fields and a checksum of
//! both; then come the head (what there is once) and the records (what there is for each target).
//! So a program whose fields are others finds what it knows by name, and a new field is one more
//! line in the tables below. A field's name stands for its meaning and unit: whoever changes those
//! changes the name.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Damage;
use crate::base::histogram;
use crate::base::limits;

/// The first word: "tcpm" as a little-endian machine writes it.
pub(super) const MAGIC: u32 = 0x6d70_6374;
/// How the preface and the table of fields are to be read.
pub(super) const VERSION: u32 = 1;

/// The words of the preface.
pub(super) mod preface {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 1;
    /// Words of the whole ledger.
    pub const SIZE: usize = 2;
    /// Of all other words of the preface, and of the table of fields.
    pub const CHECKSUM: usize = 3;
    /// How many fields the head and each record have.
    pub const HEAD_FIELDS: usize = 4;
    pub const RECORD_FIELDS: usize = 5;
    /// Words of the head and of each record.
    pub const HEAD: usize = 6;
    pub const RECORD: usize = 7;
    /// Where the table of fields begins; each entry is a name of 8 bytes, a place and a length.
    pub const FIELDS: usize = 8;
}

/// Most fields of the head and of a record together: no program needs as many.
const MOST_FIELDS: usize = 256;

/// Words of an entry in the table of fields.
const ENTRY: usize = 4;

/// A named run of words within the head or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    name: [u8; 8],
    /// The first word, counted from the beginning of the head or record.
    pub at: usize,
    /// How many.
    pub words: usize,
}

/// Lays fields of these lengths one behind the other.
const fn lay<const N: usize>(parts: [(&str, usize); N]) -> [Field; N] {
    let mut fields = [Field { name: [0; 8], at: 0, words: 0 }; N];
    let (mut i, mut at) = (0, 0);
    while i < N {
        let name = parts[i].0.as_bytes();
        let mut k = 0;
        while k < name.len() {
            fields[i].name[k] = name[k];
            k += 1;
        }
        fields[i].at = at;
        fields[i].words = parts[i].1;
        at += parts[i].1;
        i += 1;
    }
    fields
}

const fn total(fields: &[Field]) -> usize {
    let last = fields[fields.len() - 1];
    last.at + last.words
}

/// Makes a table of fields, its length in words, and a constant for each field.
macro_rules! fields {
    ($table:ident, $words:ident: $($(#[doc = $doc:literal])+ $name:ident = $text:literal, $length:expr;)+) => {
        pub(super) const $table: [Field; [$($text),+].len()] = lay([$(($text, $length)),+]);
        /// Words of all fields together.
        pub(super) const $words: usize = total(&$table);
        fields!(@each $table, 0; $($(#[doc = $doc])+ $name;)+);
    };
    (@each $table:ident, $i:expr; $(#[doc = $doc:literal])+ $name:ident; $($rest:tt)*) => {
        $(#[doc = $doc])+
        pub(super) const $name: Field = $table[$i];
        fields!(@each $table, $i + 1; $($rest)*);
    };
    (@each $table:ident, $i:expr;) => {};
}

/// How many words a text of at most so many bytes takes: its length, then its bytes.
const fn text_of(bytes: usize) -> usize {
    1 + bytes.div_ceil(4)
}

fields! { HEAD_FIELDS, HEAD:
    /// Process of the last run.
    PID = "pid", 1;
    /// When that process was started, in clock ticks since boot (proc(5), `starttime`).
    BORN = "born", 1;
    /// 1 while a run has not come to its end.
    RUNNING = "running", 1;
    /// When the ledger was made. This and all moments below: seconds since 1970, UTC.
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
    /// How far a report has come: see [`super::journal::Progress`].
    PROGRESS = "phase", 1;
    /// The report's file.
    FILE = "file", text_of(limits::PATH);
    /// The file's length before the report; low, high.
    OFFSET = "offset", 2;
    /// Bytes of the report; of a torn one, those that are there.
    LENGTH = "length", 1;
    /// The report's time stamp and the time zone's offset.
    STAMP = "stamp", 2;
    /// 1: it begins with a header.
    HEADED = "headed", 1;
    /// Checksum of its bytes.
    CHECK = "check", 1;
}

fields! { RECORD_FIELDS, RECORD:
    /// What the record is in use for: see [`super::record::Usage`].
    USAGE = "state", 1;
    /// Place in the configuration, from 1.
    ORDER = "order", 1;
    /// The target's port.
    PORT = "port", 1;
    /// Its service.
    SERVICE = "service", text_of(limits::SERVICE);
    /// Its host, without the scope.
    HOST = "host", text_of(limits::HOST);
    /// The scope of a link-local host.
    SCOPE = "zone", text_of(limits::DEVICE);
    /// Checksum of the four fields above.
    SEAL = "seal", 1;
    /// How many of the probes below the log has. They are read in this order, so that no reader
    /// finds more reported than counted.
    REPORTED = "reported", 7;
    /// How many it will have once the report that is being written is there.
    PENDING = "pending", 7;
    /// Probes ended, in the order of `Outcome::ALL`; they wrap.
    COUNTED = "counted", 7;
    /// Ticks that were no probe, for reasons of our own; it wraps.
    SKIPPED = "skipped", 1;
    /// Odd while one of the fields from here to [`LOOKUPS`] is being written.
    GUARD = "guard", 1;
    /// Whether the target answers: see [`super::record::State`].
    STATE = "health", 1;
    /// Since when.
    SINCE = "since", 1;
    /// When the last tick ended.
    ENDED = "ended", 1;
    /// How: a kind and its detail, see [`super::record`].
    ENDING = "ending", 2;
    /// The address that accepted: 16 bytes, then the interface of a link-local one.
    ADDRESS = "address", 5;
    /// How long its lookup and its connect took, in microseconds, rounded down; all ones for none.
    TIMES = "times", 2;
    /// Times of lookups that gave an address, and the longest in microseconds.
    LOOKUPS = "lookups", histogram::BUCKETS;
    /// See [`LOOKUPS`].
    LOOKUP_MAX = "lookmax", 1;
    /// Times of connects that were accepted, and the longest in microseconds.
    CONNECTS = "connects", histogram::BUCKETS;
    /// See [`CONNECTS`].
    CONNECT_MAX = "connmax", 1;
}

/// Where the head begins.
pub(super) const HEAD_AT: usize = preface::FIELDS + ENTRY * (HEAD_FIELDS.len() + RECORD_FIELDS.len());
/// Where the records begin.
pub(super) const RECORDS_AT: usize = HEAD_AT + HEAD;

/// Words of a ledger with so many records.
pub const fn words(records: usize) -> usize {
    RECORDS_AT + records * RECORD
}

/// The first word of the record at this place.
pub(super) const fn record(number: usize) -> usize {
    RECORDS_AT + number * RECORD
}

/// A word of a ledger; 0 beyond its end.
#[inline(never)]
pub(super) fn word(ledger: &[AtomicU32], at: usize) -> u32 {
    ledger.get(at).map_or(0, |word| word.load(Ordering::Acquire))
}

/// Writes a word of a ledger; nothing beyond its end.
#[inline(never)]
pub(super) fn set_word(ledger: &[AtomicU32], at: usize, value: u32) {
    if let Some(word) = ledger.get(at) {
        word.store(value, Ordering::Release);
    }
}

/// The text in this field of these words, if it has no more bytes than there is room for.
pub(super) fn text<'a>(words: &[AtomicU32], field: Field, room: &'a mut [u8]) -> Option<&'a str> {
    let bytes = room.get_mut(..word(words, field.at) as usize)?;
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = (word(words, field.at + 1 + i / 4) >> (i % 4 * 8)) as u8;
    }
    core::str::from_utf8(bytes).ok()
}

/// Writes the text of this field.
pub(super) fn set_text(words: &[AtomicU32], field: Field, text: &str) {
    set_word(words, field.at, text.len() as u32);
    for (i, piece) in text.as_bytes().chunks(4).enumerate() {
        let word = piece.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        set_word(words, field.at + 1 + i, word);
    }
}

/// The checksum of nothing yet: FNV-1a, of 32 bits.
pub(super) const FNV: u32 = 0x811c_9dc5;

/// The checksum of what had this one, and then of these bytes.
pub(super) const fn fnv_on(mut sum: u32, bytes: &[u8]) -> u32 {
    let mut i = 0;
    while i < bytes.len() {
        sum = (sum ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    sum
}

/// The checksum of words, by their bytes.
pub(super) fn checksum(words: impl Iterator<Item = u32>) -> u32 {
    words.fold(FNV, |sum, word| fnv_on(sum, &word.to_le_bytes()))
}

/// The checksum of a description: of all but its size and the checksum.
const fn seal(words: &[u32]) -> u32 {
    let (mut sum, mut i) = (FNV, 0);
    while i < words.len() {
        if i != preface::SIZE && i != preface::CHECKSUM {
            sum = fnv_on(sum, &words[i].to_le_bytes());
        }
        i += 1;
    }
    sum
}

/// The preface and the table of fields of a ledger of this program, from its first word to the
/// head. Only the size is left out.
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

/// The entries in the table of fields of a description; those of the head come first.
pub(super) fn entries(description: &[u32]) -> impl Iterator<Item = &[u32]> {
    description[preface::FIELDS..].chunks_exact(ENTRY)
}

/// The layout of a ledger that may be another program's: as far as its description says.
#[derive(Debug)]
pub(super) struct Shape {
    description: Vec<u32>,
    /// How many records there are.
    pub records: usize,
}

impl Shape {
    /// Reads the description of a ledger, and makes sure that it is whole and that everything it
    /// names lies within.
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
        // A multiplication of two words of a header that is right; still never to be trusted.
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

    /// Whether this program's own layout is just this one.
    pub fn is_ours(&self) -> bool {
        // What comes before was looked at when it was read.
        self.description[preface::CHECKSUM..] == DESCRIPTION[preface::CHECKSUM..]
    }

    /// Words of a record.
    pub fn record(&self) -> usize {
        self.number(preface::RECORD)
    }

    /// Where the field lies that has this entry in our own table: in the head or, where it is none
    /// of the head's, in the first record. And how many words of it there are; none where there is
    /// no field of that name.
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
