//! The words of a ledger: what a kill leaves of it, also when it comes during an operation.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use tcpmon::base::limits;
use tcpmon::base::time::WallTime;
use tcpmon::core::ledger::{Ledger, Memory, Progress};
use tcpmon::model::target::Target;

use crate::random::Random;

/// A ledger grows by so many records: few, so that it grows often.
const ROOM: usize = 4;

/// All words of a ledger.
pub fn words(ledger: &Ledger) -> Vec<u32> {
    ledger.content().iter().map(|word| word.load(Ordering::Acquire)).collect()
}

/// A new ledger.
pub fn create(targets: &[Target], wall: WallTime) -> Ledger {
    let records = room(targets.len());
    Ledger::create(Memory::own(records), records, wall)
}

/// The ledger with these words, grown for these targets.
pub fn open(words: &[u32], targets: &[Target]) -> Ledger {
    let memory = Memory::Own(words.iter().copied().map(AtomicU32::new).collect());
    let mut ledger = Ledger::open(memory, words.len()).unwrap_or_else(|damage| unreachable!("the ledger {damage}"));
    let needed = ledger.records_for(targets);
    grow(&mut ledger, needed);
    ledger
}

/// Grows the ledger to so many records.
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

/// The words as they may be during an operation that changes `before` to `after`. Where the program
/// does not fix the order of its stores, chance decides which are done. Probes that the operation
/// counted stay counted. Of a report that it marks, any of the counters may be marked.
pub fn interrupted(before: &[u32], after: &[u32], random: &mut Random) -> Vec<u32> {
    if before.len() != after.len() {
        return after.to_vec();
    }
    let layout = Layout::read(after);
    let changed: Vec<usize> = (layout.records..layout.ring).filter(|at| before[*at] != after[*at]).collect();
    let mut words = before.to_vec();
    // An event is stored before the head tells of it.
    words[layout.ring..].copy_from_slice(&after[layout.ring..]);
    let head = layout.head..layout.records;
    let is_cleared = |phase: usize| before[phase] != 0 && after[phase] == 0;
    if is_cleared(layout.events_phase) && before[layout.first_event] != after[layout.first_event] {
        // The events are taken out of the ring after the file is known to have them, before the entry is cleared.
        let done = random.below(4);
        words[layout.first_event] = if done > 1 { after[layout.first_event] } else { before[layout.first_event] };
        words[layout.events_phase] =
            [before[layout.events_phase], Progress::Written as u32, Progress::Written as u32, 0][done as usize];
        return words;
    }
    let is_told = |at: &usize| layout.rows.iter().any(|row| layout.is_in(*at, row));
    if is_cleared(layout.times_phase) && changed.iter().any(is_told) {
        // The same for all rows.
        let done = random.below(4);
        layout.replace(&layout.rows, &mut words, after, &mut |_| done > 2 || (done == 2 && random.one_in(2)));
        words[layout.times_phase] =
            [before[layout.times_phase], Progress::Written as u32, Progress::Written as u32, 0][done as usize];
        return words;
    }
    let is_mark = |at: &&usize| layout.is_in(**at, &layout.reported) && !layout.is_new(**at, before, after);
    if changed.iter().any(|at| is_mark(&at)) {
        // The report is journalled as written before the first counter is marked. The journal entry is
        // cleared after the last one, and then removed targets are freed. `store_order` tests this.
        match random.below(4) {
            0 => {}
            1 => words[layout.progress] = Progress::Written as u32,
            2 => {
                let some = random.one_in(2);
                for at in changed.iter().filter(is_mark) {
                    words[*at] = if some && random.one_in(2) { before[*at] } else { after[*at] };
                }
                words[layout.progress] = Progress::Written as u32;
            }
            _ => {
                words[head.clone()].copy_from_slice(&after[head]);
                for at in changed {
                    // Then the rows of times are dropped if nobody wants them.
                    let is_later =
                        layout.is_in(at, &layout.state) || layout.rows.iter().any(|row| layout.is_in(at, row));
                    words[at] = if is_later { before[at] } else { after[at] };
                }
                let usage = [layout.state.clone()];
                layout.replace(&usage, &mut words, after, &mut |_| random.one_in(2));
                layout.replace(&layout.rows, &mut words, after, &mut |_| random.one_in(2));
            }
        }
        return words;
    }
    // The head is old or new as a whole: the journal entry of a report is stored last.
    let noted = random.one_in(2);
    let found = noted && before[layout.first_event + 1] != after[layout.first_event + 1];
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
                if !is_new {
                    // What belongs together is old or new; a state and an answer are stored before their event is.
                    for (group, certain) in
                        [(&layout.rows[..], false), (&layout.health, found), (&layout.answers, found)]
                    {
                        let new = certain || random.one_in(2);
                        let from = if new { after } else { before };
                        for field in group {
                            let field = first + field.start..first + field.end;
                            words[field.clone()].copy_from_slice(&from[field]);
                        }
                    }
                }
                if is_new {
                    // A new record is marked as used after all its other fields.
                    words[first + layout.state.start] = 0;
                }
            }
        }
    }
    words
}

/// The positions of the fields, as the ledger itself describes them. It begins with eight words, of
/// which the fifth to eighth are the numbers of fields and of words of head and record. Then come
/// four words for each field: two of name, its first word and its length.
pub struct Layout {
    /// The first word of the head.
    head: usize,
    /// The first word of the records.
    pub records: usize,
    /// The number of words of a record.
    pub record: usize,
    /// The first word behind the records.
    ring: usize,
    /// The word of the head with a report's progress, with that of rows of times and of events.
    pub progress: usize,
    times_phase: usize,
    events_phase: usize,
    /// That with the number of the first event; the number of the end follows.
    first_event: usize,
    /// Fields of a record; positions from its first word.
    state: Range<usize>,
    counted: Range<usize>,
    pending: Range<usize>,
    /// The counts that the log has.
    pub reported: Range<usize>,
    /// What rows of times tell of, also of what they have told.
    rows: [Range<usize>; 7],
    /// Whether it is up.
    health: [Range<usize>; 4],
    /// The addresses of its name.
    answers: [Range<usize>; 2],
    /// The fields that identify the target.
    identity: [Range<usize>; 5],
}

/// The numbers of the first event in the ring and of the end of it.
pub fn events(words: &[u32]) -> (u32, u32) {
    let first = Layout::read(words).first_event;
    (words[first], words[first + 1])
}

impl Layout {
    /// Reads it from a ledger's words.
    pub fn read(words: &[u32]) -> Self {
        let [heads, records, head, record] = std::array::from_fn(|i| words[4 + i] as usize);
        let field = |name: &str| {
            let named = |entry: &&[u32]| {
                let bytes = entry[..2].iter().flat_map(|word| word.to_le_bytes());
                bytes.take_while(|byte| *byte > 0).eq(name.bytes())
            };
            let found = words[8..8 + 4 * (heads + records)].chunks_exact(4).find(named);
            let entry = found.unwrap_or_else(|| unreachable!("the ledger has no field {name}"));
            let first = entry[2] as usize;
            first..first + entry[3] as usize
        };
        let head_at = 8 + 4 * (heads + records);
        let ring = words[2] as usize;
        assert_eq!((ring - head_at - head) % record, 0, "how a ledger begins");
        Self {
            head: head_at,
            records: head_at + head,
            record,
            ring,
            progress: head_at + field("phase").start,
            times_phase: head_at + field("t.phase").start,
            events_phase: head_at + field("e.phase").start,
            first_event: head_at + field("ring").start,
            state: field("state"),
            counted: field("counted"),
            pending: field("pending"),
            reported: field("reported"),
            rows: ["told", "telling", "causes", "skipped", "ilookups", "iconnect", "imax"].map(field),
            health: ["is_up", "up_since", "row", "failed"].map(field),
            answers: ["answer", "answered"].map(field),
            identity: ["port", "service", "host", "zone", "seal"].map(field),
        }
    }

    /// Copies these fields of the records for which `is_done`, each record as a whole.
    fn replace(&self, fields: &[Range<usize>], to: &mut [u32], from: &[u32], is_done: &mut dyn FnMut(usize) -> bool) {
        for first in (self.records..self.ring).step_by(self.record) {
            if is_done(first) {
                for field in fields {
                    let field = first + field.start..first + field.end;
                    to[field.clone()].copy_from_slice(&from[field]);
                }
            }
        }
    }

    /// The first word of the record that this word is in.
    fn first(&self, at: usize) -> usize {
        at - (at - self.records) % self.record
    }

    fn is_in(&self, at: usize, field: &Range<usize>) -> bool {
        field.contains(&(at - self.first(at)))
    }

    /// Whether the record that this word is in has another target than before, or was freed and has its target anew.
    fn is_new(&self, at: usize, before: &[u32], after: &[u32]) -> bool {
        let first = self.first(at);
        let of = |words: &[u32], field: &Range<usize>| words[first + field.start..first + field.end].to_vec();
        let changes = |field: &Range<usize>| of(before, field) != of(after, field);
        let begins = of(after, &self.reported).iter().all(|count| *count == 0) && changes(&self.reported);
        begins || (before[first + self.state.start] == 0 && changes(&self.state)) || self.identity.iter().any(changes)
    }
}
