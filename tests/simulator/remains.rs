//! What a kill leaves of a ledger: its words, also as they are in the midst of a step.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use tcpmon::base::limits;
use tcpmon::base::time::WallTime;
use tcpmon::core::ledger::{self, Ledger, Memory, Progress};
use tcpmon::model::target::Target;

use crate::random::Random;

/// Places of a ledger grow by so many: few, so that they often do.
const ROOM: usize = 4;

/// All words of a ledger.
pub fn words(ledger: &Ledger) -> Vec<u32> {
    ledger.content().iter().map(|word| word.load(Ordering::Acquire)).collect()
}

/// A ledger that is all new.
pub fn create(targets: &[Target], wall: WallTime) -> Ledger {
    let places = room(targets.len());
    Ledger::create(Memory::own(places), places, wall)
}

/// The ledger that these words are, with room for these targets.
pub fn open(words: &[u32], targets: &[Target]) -> Ledger {
    let memory = Memory::Own(words.iter().copied().map(AtomicU32::new).collect());
    let mut ledger = Ledger::open(memory, words.len()).unwrap_or_else(|damage| unreachable!("the ledger {damage}"));
    let needed = ledger.records_for(targets);
    grow(&mut ledger, needed);
    ledger
}

/// Makes room for so many records.
pub fn grow(ledger: &mut Ledger, needed: usize) {
    if needed > ledger.capacity() {
        let memory = Memory::own(room(needed));
        for (to, from) in memory.iter().zip(ledger.content()) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        ledger.move_to(memory);
        ledger.grow(room(needed));
    }
}

fn room(needed: usize) -> usize {
    needed.next_multiple_of(ROOM).min(limits::RECORDS)
}

/// The words as they may be in the midst of the step that made `after` of `before`: what the
/// program's order of stores leaves open is left to chance. Probes that the step has counted are
/// counted, and of a report that it marks some counters may know and others not.
pub fn midst(before: &[u32], after: &[u32], random: &mut Random) -> Vec<u32> {
    if before.len() != after.len() {
        return after.to_vec();
    }
    let layout = Layout::read(after);
    let changed: Vec<usize> = (layout.records..after.len()).filter(|at| before[*at] != after[*at]).collect();
    let mut words = before.to_vec();
    let head = layout.head..layout.records;
    let is_mark = |at: &&usize| layout.is_in(**at, &layout.reported) && !layout.is_new(**at, before, after);
    if changed.iter().any(|at| is_mark(&at)) {
        // Before a counter hears of it the report is noted as written; its note goes when all have
        // heard, and then what is gone is freed. An onlooker makes sure of it.
        match random.below(4) {
            0 => {}
            1 => words[layout.phase] = Progress::Written as u32,
            2 => {
                let some = random.one_in(2);
                for at in changed.iter().filter(is_mark) {
                    words[*at] = if some && random.one_in(2) { before[*at] } else { after[*at] };
                }
                words[layout.phase] = Progress::Written as u32;
            }
            _ => {
                words[head.clone()].copy_from_slice(&after[head]);
                for at in changed {
                    let freed = layout.is_in(at, &layout.state);
                    words[at] = if freed && random.one_in(2) { before[at] } else { after[at] };
                }
            }
        }
        return words;
    }
    // The head goes from one state to the other at once: a report's note stands when all is known.
    let noted = random.one_in(2);
    if noted {
        words[head.clone()].copy_from_slice(&after[head]);
    }
    for changed in changed.chunk_by(|a, b| layout.first(*a) == layout.first(*b)) {
        let first = layout.first(changed[0]);
        let record = first..first + layout.record;
        let is_new = layout.is_new(first, before, after);
        match if is_new { random.below(3) } else { 2 } {
            0 => {}
            1 => words[record.clone()].copy_from_slice(&after[record]),
            _ => {
                for at in changed {
                    let pending = noted && layout.is_in(*at, &layout.pending);
                    let certain = !is_new && (pending || layout.is_in(*at, &layout.counted));
                    words[*at] = if certain || random.one_in(2) { after[*at] } else { before[*at] };
                }
                if is_new {
                    // It is in use when all else is there.
                    words[first + layout.state.start] = 0;
                }
            }
        }
    }
    words
}

/// Where things are, as the ledger itself describes it: a preface of eight words, of which the
/// fifth to eighth count the fields and words of head and record, then four words a field: its name,
/// place and length.
pub struct Layout {
    head: usize,
    /// Where the records begin.
    pub records: usize,
    /// Words of a record.
    pub record: usize,
    /// The word of the head that says how far a report has come.
    pub phase: usize,
    /// Fields of a record, counted from its first word.
    state: Range<usize>,
    counted: Range<usize>,
    pending: Range<usize>,
    /// What the log has.
    pub reported: Range<usize>,
    /// Those that say which target it is.
    identity: [Range<usize>; 5],
}

impl Layout {
    /// That of the ledger with these words.
    pub fn read(words: &[u32]) -> Self {
        let [heads, records, head, record] = std::array::from_fn(|i| words[4 + i] as usize);
        let field = |name: &str| {
            let named = |entry: &&[u32]| {
                let bytes = entry[..2].iter().flat_map(|word| word.to_le_bytes());
                bytes.take_while(|byte| *byte > 0).eq(name.bytes())
            };
            let found = words[8..8 + 4 * (heads + records)].chunks_exact(4).find(named);
            let entry = found.unwrap_or_else(|| unreachable!("a ledger has no {name}"));
            let first = entry[2] as usize;
            first..first + entry[3] as usize
        };
        let head_at = 8 + 4 * (heads + records);
        assert_eq!(ledger::words(0), head_at + head, "how a ledger begins");
        Self {
            head: head_at,
            records: head_at + head,
            record,
            phase: head_at + field("phase").start,
            state: field("state"),
            counted: field("counted"),
            pending: field("pending"),
            reported: field("reported"),
            identity: ["port", "service", "host", "zone", "seal"].map(field),
        }
    }

    /// The first word of the record of this one.
    fn first(&self, at: usize) -> usize {
        at - (at - self.records) % self.record
    }

    fn is_in(&self, at: usize, field: &Range<usize>) -> bool {
        field.contains(&(at - self.first(at)))
    }

    /// Whether another target has come to the record of this word.
    fn is_new(&self, at: usize, before: &[u32], after: &[u32]) -> bool {
        let first = self.first(at);
        let of = |words: &[u32], field: &Range<usize>| words[first + field.start..first + field.end].to_vec();
        let changes = |field: &Range<usize>| of(before, field) != of(after, field);
        (before[first + self.state.start] == 0 && changes(&self.state)) || self.identity.iter().any(changes)
    }
}
