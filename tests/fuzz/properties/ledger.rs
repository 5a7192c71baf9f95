//! The ledger's loader: any words, a ledger as the program writes it, the same in another layout,
//! and one with changed words.

use std::sync::atomic::{AtomicU32, Ordering};

use tcpmon::base::histogram::Summary;
use tcpmon::base::limits;
use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::due;
use tcpmon::core::health::{Health, State};
use tcpmon::core::ledger::{Damage, Entry, Interval, Ledger, Memory, Progress, Record, Reload, Usage, words};
use tcpmon::core::probe::End;
use tcpmon::model::cause::Cause;
use tcpmon::model::event::{Event, Found};
use tcpmon::model::log_names::Kind;
use tcpmon::model::message::Addresses;
use tcpmon::model::outcome::{Counts, Outcome, Tally, Thresholds};
use tcpmon::model::process_id::ProcessId;
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::target::{Address, Target};
use tcpmon::render::{Life, Seen, events, json, status, times};

use super::{Bytes, config, text_of};

/// Records of the ledgers made here.
const CAPACITY: usize = 2;

/// Word positions in the preface, see `layout`.
const SIZE: usize = 2;
const CHECKSUM: usize = 3;
const HEAD_FIELDS: usize = 4;
const RECORD_FIELDS: usize = 5;
const HEAD: usize = 6;
const RECORD: usize = 7;
const FIELDS: usize = 8;
const ENTRY: usize = 4;

/// Fields of a record without which a ledger of another layout is refused.
const NEEDED: [&str; 9] = ["state", "order", "port", "service", "host", "zone", "seal", "counted", "reported"];

/// Any words are either refused for a reason or a ledger that can be used; what the program writes is
/// never refused, and another layout does not change the fields that both have.
pub fn holds(input: &[u8]) {
    let mut bytes = Bytes(input);
    match bytes.byte() % 4 {
        0 => any_words(&mut bytes),
        1 => what_was_written(&mut bytes),
        2 => another_layout(&mut bytes),
        _ => changed_words(&mut bytes),
    }
}

fn any_words(bytes: &mut Bytes<'_>) {
    let all = bytes.0.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    is_refused_or_used(&all.collect::<Vec<_>>());
}

fn what_was_written(bytes: &mut Bytes<'_>) {
    let ledger = written(bytes);
    let found = open(&content(&ledger)).expect("what the program writes is a ledger");
    assert_eq!(content(&found), content(&ledger));
    is_refused_or_used(&content(&ledger));
}

fn changed_words(bytes: &mut Bytes<'_>) {
    let mut words = content(&written(bytes));
    for _ in 0..32 {
        if bytes.is_empty() {
            break;
        }
        change(&mut words, bytes);
    }
    is_refused_or_used(&words);
}

/// A ledger of another version of the program, with other fields in a record.
fn another_layout(bytes: &mut Bytes<'_>) {
    let (dropped, turn, own) = (u32::from_le_bytes(bytes.array()), usize::from(bytes.byte()), bytes.byte() % 3);
    let ledger = written(bytes);
    let ours = content(&ledger);
    let (heads, mut kept) = fields(&ours).expect("it describes itself");
    let is_dropped = |i: usize| i < 32 && (dropped >> i) & 1 == 1;
    let lacks = |name: &str| kept.iter().enumerate().any(|(i, field)| field.is(name) && is_dropped(i));
    let of_use = !NEEDED.iter().any(|name| lacks(name));
    let last = !["guard", "ended", "ending", "address", "times"].iter().any(|name| lacks(name));
    let state = !["guard", "is_up", "up_since", "row", "failed"].iter().any(|name| lacks(name));
    let row = !["told", "telling", "ilookups", "iconnect", "imax"].iter().any(|name| lacks(name));
    let answers = !["answer", "answered"].iter().any(|name| lacks(name));
    let mut i = 0;
    kept.retain(|_| {
        i += 1;
        !is_dropped(i - 1)
    });
    let many = kept.len().max(1);
    kept.rotate_left(turn % many);
    let other = laid_anew(&ours, &heads, &kept, usize::from(own));
    let found = open(&other);
    is_refused_or_used(&other);
    if !of_use {
        assert_eq!(found.err(), Some(Damage::Layout));
        return;
    }
    let found = found.expect("all that is needed is there");
    assert_eq!(found.capacity(), ledger.capacity());
    assert_eq!((found.owner(), found.began(), found.alive()), (ledger.owner(), ledger.began(), ledger.alive()));
    assert_eq!((found.thresholds(), found.due()), (ledger.thresholds(), ledger.due()));
    for kind in Kind::ALL {
        assert_eq!(found.journal(kind), ledger.journal(kind));
    }
    for number in 0..ledger.capacity() {
        let (was, is) = (ledger.record(number), found.record(number));
        assert_eq!(
            (is.usage(), is.order(), is.target(), is.tally()),
            (was.usage(), was.order(), was.target(), was.tally())
        );
        assert!(!last || is.last() == was.last(), "{:?} was {:?}", is.last(), was.last());
        assert!(!state || is.health() == was.health(), "{:?} was {:?}", is.health(), was.health());
        assert!(!answers || is.answers() == was.answers(), "{:?} was {:?}", is.answers(), was.answers());
        assert!(!row || facts(&is.row()) == facts(&was.row()), "{:?} was {:?}", is.row(), was.row());
    }
    assert!(!answers || all_events(&found) == all_events(&ledger), "events are lost");
}

fn all_events(ledger: &Ledger) -> Vec<Entry> {
    ledger.events_from(ledger.first_event()).collect()
}

fn facts(row: &Interval) -> ([u32; Cause::ALL.len()], u32, u32, Option<u64>, Option<u64>) {
    let count = |summary: Option<Summary>| summary.map(|summary| summary.count);
    (row.causes, row.resent, row.skipped, count(row.lookups), count(row.connects))
}

/// A ledger as a run may leave it, whenever it ends.
fn written(bytes: &mut Bytes<'_>) -> Ledger {
    let ledger = Ledger::create(Memory::own(CAPACITY), CAPACITY, wall(bytes));
    let millis = |bytes: &mut Bytes<'_>| Nanos::from_millis(u16::from_le_bytes(bytes.array()).into());
    ledger.set_thresholds(Thresholds { slow: millis(bytes), timeout: millis(bytes) });
    // At most 15 operations; the rest of the input is for the caller.
    for _ in 0..bytes.byte() % 16 {
        operate(&ledger, bytes);
    }
    ledger
}

/// One operation of a run on its ledger.
fn operate(ledger: &Ledger, bytes: &mut Bytes<'_>) {
    let which = usize::from(bytes.byte());
    let (record, kind) = (ledger.record(which % (CAPACITY + 1)), Kind::ALL[which / 8 % Kind::ALL.len()]);
    match bytes.byte() % 24 {
        0 => {
            let port = u16::from_le_bytes(bytes.array());
            let (service, host) = (word(bytes), word(bytes));
            if let Ok(target) = Target::new(service, host, port) {
                record.install(&target);
            }
        }
        1 => record.install(&Target::new("web", "www.example.com", 443).expect("a target")),
        2 => record.install(&Target::new("kassa-ä", "fe80::1%eth0", 8443).expect("a target")),
        3 => record.set_order(usize::from(bytes.byte())),
        4 => {
            let outcome = Outcome::ALL[usize::from(bytes.byte()) % Outcome::ALL.len()];
            let more = u32::from_le_bytes(bytes.array()) >> 8;
            record.count(outcome, record.tally().counted().of(outcome).wrapping_add(more));
        }
        5 => {
            // While a report is being written the program marks only what is in that report.
            ledger.end_report();
            record.mark_reported(&record.tally());
        }
        6 => record.skip(u64::from_le_bytes(bytes.array())),
        7 => {
            let lookup = Some(Nanos::new(u64::from_le_bytes(bytes.array()))).filter(|time| time.get() % 7 != 0);
            let connect = Some(Nanos::new(u64::from_le_bytes(bytes.array()))).filter(|time| time.get() % 5 != 0);
            let which = usize::from(bytes.byte());
            let end = End {
                outcome: Some(Outcome::ALL[which % Outcome::ALL.len()]),
                ending: ending(bytes),
                lookup,
                connect,
                resent: u32::from(bytes.byte()),
                slow: [None, Some(Cause::SlowByResentSyns), Some(Cause::SlowPath)][which % 3],
                silent: (which > 127).then(|| address(bytes)),
            };
            record.end(u32::from_le_bytes(bytes.array()), &end);
            if record.usage() != Usage::Free {
                assert_eq!(record.last().map(|last| last.ending), Some(end.ending), "the last end is kept");
                let failure = record.last_failure().map(|last| last.ending);
                match end.ending {
                    Ending::LookupFailed(_) | Ending::ConnectFailed(..) => assert_eq!(failure, Some(end.ending)),
                    Ending::Connected(_) | Ending::Skipped(_) => assert_ne!(failure, Some(end.ending)),
                }
                assert!(end.silent.is_none() || !end.is_remarkable() || record.silent() == end.silent);
            }
        }
        8 => {
            let state = [State::Unknown, State::Up, State::Down][usize::from(bytes.byte() % 3)];
            let [since, row_since] = [0; 2].map(|_: u8| u32::from_le_bytes(bytes.array()).into());
            let [row, failed] = [0; 2].map(|_: u8| u32::from_le_bytes(bytes.array()));
            let health = Health { state, since, row, row_since, failed };
            record.set_health(&health);
            if record.usage() != Usage::Free {
                assert_eq!(record.health(), health);
            }
        }
        9 if record.usage() == Usage::Live => record.set_usage(Usage::Retired),
        9 => record.set_usage(Usage::Free),
        10 => {
            let now = Instant::from_nanos(u64::from_le_bytes(bytes.array()));
            ledger.begin_run(ProcessId { pid: now.secs() as u32, born: 7 }, "", wall(bytes));
            ledger.set_clocks(now, wall(bytes));
            ledger.set_due(wall(bytes));
        }
        11 => {
            let headed = bytes.byte() % 2 == 0;
            let file: Path = match headed {
                true => Text::format(format_args!("/log/{}", kind.name(wall(bytes)))),
                false => Text::format(format_args!("/log/{}", word(bytes).replace('\0', ""))),
            };
            let (offset, covers) = (u64::from_le_bytes(bytes.array()), u32::from_le_bytes(bytes.array()));
            ledger.begin_write(kind, &file, offset, b"some lines", wall(bytes), headed, covers);
        }
        12 if ledger.journal(kind).is_some() => {
            let progress = [Progress::Writing, Progress::Written, Progress::Torn][usize::from(bytes.byte() % 3)];
            ledger.set_progress(kind, progress);
        }
        13 => ledger.end_write(kind),
        14 | 15 => {
            let of = Some(which % CAPACITY).filter(|number| ledger.record(*number).usage() != Usage::Free);
            let (first, end) = (ledger.first_event(), ledger.end_of_events());
            let found = found(bytes, of);
            // Often so many that there is no room for all.
            let many = if bytes.byte() % 8 == 0 { 70 } else { 1 };
            let dropped = ledger.dropped_events();
            (0..many).for_each(|_| ledger.push_event(of, &found));
            let kept = ledger.end_of_events().wrapping_sub(end);
            assert_eq!(kept + ledger.dropped_events().wrapping_sub(dropped), many, "kept or counted");
            let entry = Entry { number: end, record: of, found };
            assert!(kept == 0 || ledger.events_from(end).next() == Some(entry), "{entry:?} is read back");
            assert_eq!(ledger.first_event(), first);
        }
        16 => ledger.take_events(ledger.first_event().wrapping_add(u32::from(bytes.byte()))),
        17 => {
            ledger.set_sent_events(ledger.sent_events().wrapping_add(1));
            ledger.lose_event();
            ledger.tell_dropped(wall(bytes).unix);
        }
        18 | 19 => {
            let mut addresses = Addresses::new();
            for _ in 0..bytes.byte() % 10 {
                addresses.push(Address { scope: 0, ..address(bytes) });
            }
            let is_now = which % 2 == 0;
            if is_now {
                record.set_answer(addresses.as_slice())
            } else {
                record.set_answer_before(addresses.as_slice())
            }
            let (now, before) = record.answers();
            let is = if is_now { now } else { before };
            assert!(record.usage() == Usage::Free || is == addresses, "{is:?} was {addresses:?}");
        }
        20 => record.begin_row(),
        21 => {
            // The program does this only with the rows that it has begun.
            record.begin_row();
            record.keep_figures(&record.tally().unreported().columns());
            record.end_row();
            assert!(!record.has_row(), "all of it is told");
        }
        22 => {
            let (from, to) = (wall(bytes).unix, wall(bytes).unix);
            let by = i64::from(i32::from_le_bytes(bytes.array()));
            ledger.shift_events(ledger.first_event(), from, to, by);
            record.shift(from, to, by);
        }
        _ => {
            let reload = Reload { result: ledger.reload().result, new: 1, removed: 2, kept: which as u32 };
            ledger.set_reload(reload);
            assert_eq!(ledger.reload(), reload);
        }
    }
    // Before the first write there is no file: the program sets no progress then.
    if ledger.journal(kind).is_none() {
        ledger.end_write(kind);
    }
}

/// An event of the target in this record, or of the monitor itself.
fn found(bytes: &mut Bytes<'_>, of: Option<usize>) -> Found {
    // As they are stored: seconds since 1970 until 2106, and microseconds.
    let moment = |bytes: &mut Bytes<'_>| i64::from(u32::from_le_bytes(bytes.array()));
    let number = |bytes: &mut Bytes<'_>| u32::from_le_bytes(bytes.array());
    let (at, kind) = (moment(bytes), bytes.byte());
    let event = match (of, kind % 16) {
        (Some(_), 0..4) => Event::Down { ending: ending(bytes), since: moment(bytes), failed: number(bytes) },
        (Some(_), 4..8) => Event::Up {
            address: address(bytes),
            connect: Nanos::new(u64::from(number(bytes) >> 1) * 1000),
            since: moment(bytes),
            down_for: number(bytes),
            failed: number(bytes),
        },
        // Its record has the addresses.
        (Some(_), 8..12) => Event::Address,
        (Some(_), _) => Event::Flapping { changes: number(bytes), is_up: kind > 127 },
        (None, 0) => Event::Start { targets: number(bytes) },
        (None, 1) => Event::Killed { from: moment(bytes), to: moment(bytes) },
        (None, 2) => Event::Stopped { from: moment(bytes), to: moment(bytes) },
        (None, 3) => Event::Stop { targets: number(bytes), down: number(bytes) },
        (None, 4) => Event::Clock { from: moment(bytes), to: moment(bytes) },
        (None, 5) => Event::Reload { new: number(bytes), removed: number(bytes), kept: number(bytes) },
        (None, 6) => Event::Dropped { events: number(bytes) },
        (None, _) => Event::Log {
            file: Kind::ALL[usize::from(kind / 16) % Kind::ALL.len()],
            day: i64::from(i16::from_le_bytes(bytes.array())),
            errno: i32::from(bytes.byte()),
        },
    };
    Found { at, event }
}

fn address(bytes: &mut Bytes<'_>) -> Address {
    match bytes.byte() % 2 {
        0 => Address::new(bytes.array::<4>().into()),
        _ => Address { ip: bytes.array::<16>().into(), scope: u32::from_le_bytes(bytes.array()) },
    }
}

fn ending(bytes: &mut Bytes<'_>) -> Ending {
    let which = usize::from(bytes.byte());
    match which % 6 {
        0 => Ending::Connected(Address::new(bytes.array::<4>().into())),
        1 => Ending::Connected(Address { ip: bytes.array::<16>().into(), scope: u32::from_le_bytes(bytes.array()) }),
        2 => Ending::LookupFailed(Reason::NAMED[which / 6 % Reason::NAMED.len()]),
        3 => {
            let reason = Reason::NAMED[which / 6 % Reason::NAMED.len()];
            Ending::ConnectFailed(reason, Address::new(bytes.array::<4>().into()))
        }
        4 => {
            let reason = Reason::Other(i32::from_le_bytes(bytes.array()) & i32::MAX);
            Ending::ConnectFailed(reason, Address::new(bytes.array::<16>().into()))
        }
        _ => Ending::Skipped(Shortage::ALL[which / 6 % Shortage::ALL.len()]),
    }
}

/// Any moment from before 1970 to after 2106, in any time zone.
fn wall(bytes: &mut Bytes<'_>) -> WallTime {
    let unix = i64::from_le_bytes(bytes.array()) >> 29;
    WallTime { unix, nanos: 0, offset: i32::from(bytes.byte() as i8) * 700 }
}

/// A word of at most 31 bytes.
fn word<'a>(bytes: &mut Bytes<'a>) -> &'a str {
    let length = usize::from(bytes.byte() % 32);
    text_of(bytes.slice(length))
}

/// A field in the ledger's description of its own layout.
#[derive(Clone, Copy)]
struct Field {
    name: [u32; 2],
    at: usize,
    words: usize,
}

impl Field {
    fn is(&self, name: &str) -> bool {
        let [low, high] = self.name.map(u32::to_le_bytes);
        let mut padded = [0; 8];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        padded == [low, high].concat()[..]
    }
}

/// The fields of the head and of a record, if the words are long enough for what they say.
fn fields(words: &[u32]) -> Option<(Vec<Field>, Vec<Field>)> {
    let entries = words.get(FIELDS..head_at(words)?)?.chunks_exact(ENTRY);
    let field = |entry: &[u32]| Field { name: [entry[0], entry[1]], at: entry[2] as usize, words: entry[3] as usize };
    let mut all: Vec<Field> = entries.map(field).collect();
    let records = all.split_off(words[HEAD_FIELDS] as usize);
    Some((all, records))
}

/// Where the head begins.
fn head_at(words: &[u32]) -> Option<usize> {
    let fields = words.get(HEAD_FIELDS)?.checked_add(*words.get(RECORD_FIELDS)?)?;
    Some(FIELDS + ENTRY * fields as usize).filter(|at| *at <= words.len())
}

/// The words with the same head, and in each record `own` new words before these fields.
fn laid_anew(ours: &[u32], heads: &[Field], kept: &[Field], own: usize) -> Vec<u32> {
    let head_at = head_at(ours).expect("it describes itself");
    let (head, record) = (ours[HEAD] as usize, ours[RECORD] as usize);
    let mut words = ours[..FIELDS].to_vec();
    words[RECORD_FIELDS] = kept.len() as u32 + 1;
    for field in heads {
        words.extend([field.name[0], field.name[1], field.at as u32, field.words as u32]);
    }
    words.extend([1, 2, 0, own as u32]);
    let mut at = own;
    for field in kept {
        words.extend([field.name[0], field.name[1], at as u32, field.words as u32]);
        at += field.words;
    }
    // A record of no words would be refused.
    words[RECORD] = at.max(1) as u32;
    words.extend(&ours[head_at..head_at + head]);
    for number in 0..CAPACITY {
        let from = head_at + head + number * record;
        let start = words.len();
        words.extend((0..own).map(|_| 9));
        for field in kept {
            words.extend(&ours[from + field.at..from + field.at + field.words]);
        }
        words.resize(start + at.max(1), 0);
    }
    words[SIZE] = words.len() as u32;
    seal(&mut words);
    // The ring of events.
    words.extend(&ours[ours[SIZE] as usize..]);
    words
}

/// Corrects the checksum of a changed description.
fn seal(words: &mut [u32]) {
    let sealed = (0..head_at(words).unwrap_or_default()).filter(|at| *at != SIZE && *at != CHECKSUM);
    words[CHECKSUM] = checksum(sealed.map(|at| words[at]));
}

/// FNV-1a, 32 bits.
fn checksum(words: impl Iterator<Item = u32>) -> u32 {
    words.flat_map(u32::to_le_bytes).fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// One change to the words of a ledger.
fn change(words: &mut Vec<u32>, bytes: &mut Bytes<'_>) {
    let kind = bytes.byte() % 8;
    // An earlier change may have hit the description: then its fields are not where it says.
    let (Some(head_at), Some((heads, records))) = (head_at(words), fields(words)) else { return };
    let records_at = head_at.saturating_add(words[HEAD] as usize);
    let record = (words[RECORD] as usize).min(words.len());
    match kind {
        // Any word.
        0 => {
            let at = usize::from(u16::from_le_bytes(bytes.array())) % words.len();
            words[at] = u32::from_le_bytes(bytes.array());
        }
        // A word of the preface and table, with the right checksum.
        1 => {
            let at = usize::from(bytes.byte()) % head_at;
            if [HEAD_FIELDS, RECORD_FIELDS].contains(&at) {
                return;
            }
            words[at] = u32::from_le_bytes(bytes.array());
            seal(words);
        }
        // A word of the head, by its field.
        2 if !heads.is_empty() => {
            let field = heads[usize::from(bytes.byte()) % heads.len()];
            let at = head_at.saturating_add(field.at) + usize::from(bytes.byte()) % field.words.max(1);
            put(words, at, u32::from_le_bytes(bytes.array()));
        }
        // A word of a record, by its field; with the right seal, or not.
        3 | 4 if !records.is_empty() => {
            let from = records_at.saturating_add(usize::from(bytes.byte()) % CAPACITY * record);
            let field = records[usize::from(bytes.byte()) % records.len()];
            let at = from.saturating_add(field.at).saturating_add(usize::from(bytes.byte()) % field.words.max(1));
            put(words, at, u32::from_le_bytes(bytes.array()));
            if kind == 4 {
                seal_record(words, from, &records);
            }
        }
        // A text of a record, with the right seal.
        5 if !records.is_empty() => {
            let from = records_at.saturating_add(usize::from(bytes.byte()) % CAPACITY * record);
            let text = records.iter().filter(|field| ["service", "host", "zone"].iter().any(|name| field.is(name)));
            let text: Vec<Field> = text.copied().collect();
            let Some(field) = text.get(usize::from(bytes.byte() % 3)) else { return };
            let length = usize::from(bytes.byte());
            let content = bytes.slice(length);
            let at = from.saturating_add(field.at);
            put(words, at, content.len() as u32);
            for (i, piece) in content.chunks(4).enumerate() {
                let mut word = [0; 4];
                word[..piece.len()].copy_from_slice(piece);
                put(words, at.saturating_add(1 + i), u32::from_le_bytes(word));
            }
            seal_record(words, from, &records);
        }
        // Another size, and fewer or more words.
        6 => words[SIZE] = words[SIZE].wrapping_sub(u32::from(bytes.byte() % 3).wrapping_mul(words[RECORD])),
        _ => {
            let length = usize::from(u16::from_le_bytes(bytes.array()));
            words.resize(length.min(2 * words.len()), 0x5a5a_5a5a);
        }
    }
}

fn put(words: &mut [u32], at: usize, value: u32) {
    if let Some(word) = words.get_mut(at) {
        *word = value;
    }
}

/// Corrects the seal of the record that begins here.
fn seal_record(words: &mut [u32], from: usize, records: &[Field]) {
    let at = |name: &str| records.iter().find(|field| field.is(name)).map(|field| from.saturating_add(field.at));
    let (Some(port), Some(seal)) = (at("port"), at("seal")) else { return };
    if port <= seal && seal < words.len() {
        words[seal] = checksum(words[port..seal].iter().copied());
    }
}

fn content(ledger: &Ledger) -> Vec<u32> {
    ledger.content().iter().map(|word| word.load(Ordering::Relaxed)).collect()
}

fn memory(words: &[u32]) -> Box<[AtomicU32]> {
    words.iter().copied().map(AtomicU32::new).collect()
}

fn open(words: &[u32]) -> Result<Ledger, Damage> {
    Ledger::open(Memory::Own(memory(words)), words.len())
}

/// A snapshot and an opened ledger have the same content or damage; words after the ledger's end have
/// no effect; and a ledger that opens can be used.
fn is_refused_or_used(given: &[u32]) {
    let copied = Ledger::copy(&memory(given));
    // Words after the end that look like one more record, and others.
    let record = words(1) - words(0);
    let mut more = given.to_vec();
    more.extend(&given[given.len().saturating_sub(record)..]);
    more.extend([1; 64]);
    let opened = Ledger::open(Memory::Own(memory(&more)), given.len());
    let (copy, ledger) = match (copied, opened) {
        (Ok(copy), Ok(ledger)) => (copy, ledger),
        (copied, opened) => {
            let (damage, same) = (copied.err(), opened.err());
            assert_eq!(damage, same, "snapshot and opened ledger");
            let told = damage.map(|damage| damage.to_string()).unwrap_or_default();
            assert!(!told.is_empty() && !told.contains(char::is_control), "{told:?}");
            return;
        }
    };
    assert!(!Ledger::is_unfinished(&memory(given)), "`status` would not read it");
    assert_eq!(content(&copy).len(), words(copy.capacity()));
    assert_eq!((copy.capacity(), copy.rows()), (ledger.capacity(), ledger.rows()));
    assert_eq!(all_events(&copy), all_events(&ledger));
    can_be_shown(&copy);
    can_be_read(&ledger);
    // A ledger of another layout is copied, without spare words.
    let is_in_place = given.starts_with(&content(&ledger));
    can_be_used(ledger, if is_in_place { more.len() } else { 0 });
}

/// All values read from it are possible ones.
fn can_be_read(ledger: &Ledger) {
    assert!(ledger.capacity() <= limits::RECORDS);
    for (number, record) in ledger.records() {
        assert!(number < ledger.capacity());
        is_right(&record);
    }
    for number in [ledger.capacity(), ledger.capacity() + 1, limits::RECORDS + 1] {
        let beyond = ledger.record(number);
        assert_eq!(
            (beyond.usage(), beyond.target(), beyond.tally()),
            (Usage::Free, None, Tally::default()),
            "{number}"
        );
    }
    let (due, used) = (ledger.rows().len(), ledger.records().count());
    assert!(due <= used && ledger.in_order().len() == used);
    assert!(ledger.is_reported() || due > 0, "something is to be reported and has no row");
    let targets: Vec<Target> = ledger.records().filter_map(|(_, record)| record.target()).collect();
    assert_eq!(ledger.records_for(&targets), used, "the same targets need no more records");
    for journal in Kind::ALL.into_iter().filter_map(|kind| ledger.journal(kind)) {
        assert!(!journal.file.is_empty() && !journal.file.as_str().contains('\0'));
        assert_eq!(journal.stamp.to_string().matches(':').count(), 2);
    }
}

/// `status` shows it as tables and as JSON.
fn can_be_shown(ledger: &Ledger) {
    let now = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };
    let mut seen = Seen { ledger, life: Life::Killed, now, local: |unix| WallTime { unix, nanos: 0, offset: 3600 } };
    let (mut tables, mut shown) = (String::new(), String::new());
    status::write(&mut tables, &seen, true).expect("a String takes everything");
    assert!(!tables.contains(|c: char| c.is_control() && c != '\n'), "{tables:?}");
    seen.life = Life::Running(7);
    json::write(&mut shown, &seen).expect("a String takes everything");
    assert!(shown.ends_with("}\n") && shown.matches('\n').count() == 1, "one line: {shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
    assert_eq!(shown["targets"].as_array().map(Vec::len), Some(ledger.records().count()));
    // The lines that are still to be written to the daily files.
    let (first, end) = (ledger.first_event(), ledger.end_of_events());
    let mut lines = String::new();
    events::write(&mut lines, ledger, (first, end), seen.local, |_| "an error").expect("a String takes everything");
    assert_eq!(lines.lines().count(), all_events(ledger).len());
    for line in lines.lines() {
        assert_eq!(line.split(" | ").count(), 5, "{line}");
        assert!(line.len() < limits::EVENT && !line.contains(char::is_control), "{line:?}");
    }
    let (mut rows, mut records) = (String::new(), ledger.in_order().into_iter());
    let form = times::Form::of(ledger);
    form.write(&mut rows, true, now, &mut records).expect("a String takes everything");
    for row in rows.lines() {
        assert_eq!(row.split(" | ").count(), 12, "{row}");
        assert!(row.len() < limits::TIMES_ROW && !row.contains(char::is_control), "{row:?}");
    }
}

fn is_right(record: &Record<'_>) {
    let target = record.target().expect("a record in use has a target");
    config::keeps_its_bounds(&target);
    let tally = record.tally();
    let (unreported, counted) = (tally.unreported().columns(), tally.counted().columns());
    assert!(unreported.total < 1 << 31);
    for columns in [unreported, counted] {
        let by_connect = columns.conn_fast + columns.conn_slow + columns.conn_failed + columns.dns_fail;
        let by_lookup = columns.dns_fast + columns.dns_slow + columns.dns_fail;
        assert_eq!((by_connect, by_lookup), (columns.total, columns.total));
    }
    let (_, since) = record.state();
    assert!((0..1 << 32).contains(&since));
    if let Some(last) = record.last() {
        assert!((0..1 << 32).contains(&last.at));
        assert!(!last.ending.to_string().is_empty());
    }
    let moment = |unix: i64| (0..1 << 32).contains(&unix);
    let Health { since, row_since, .. } = record.health();
    assert!(moment(since) && moment(row_since));
    assert!(record.last_failure().is_none_or(|last| moment(last.at) && !last.ending.to_string().is_empty()));
    assert!(record.last_good().is_none_or(|(at, ..)| moment(at)));
    let (now, before) = record.answers();
    for address in now.as_slice().iter().chain(before.as_slice()).chain(&record.silent()) {
        assert!((2..=limits::ADDRESS).contains(&address.to_string().len()), "{address}");
    }
    let figures = record.figures();
    for time in figures.lookups.iter().chain(&figures.connects) {
        assert!(time.get() <= u64::from(u32::MAX) * 1000);
    }
    let row = record.row();
    let times = [record.lookups(), record.connects(), row.lookups, row.connects];
    for Summary { count, p50, p95, p99, max } in times.into_iter().flatten() {
        // Only the maximum is rounded down to the microsecond.
        assert!(count > 0 && p50 <= p95 && p95 <= p99 && p99 < max.plus(Nanos::new(1000)), "{p99} and {max}");
    }
}

/// A run can use it, and the next run what it leaves. `room`: the words that it has.
fn can_be_used(mut ledger: Ledger, room: usize) {
    let thresholds = Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(5) };
    let due = due::left_over(&ledger, thresholds, Some(1_760_020_200), |journal| journal.headed);
    for kind in [Kind::Times, Kind::Events, Kind::Samples] {
        if let Some(journal) = ledger.journal(kind) {
            ledger.mark_written(kind, journal.covers);
        }
    }
    assert!(Kind::ALL.iter().all(|kind| ledger.journal(*kind).is_none()), "resolved");
    for record in ledger.in_order() {
        record.begin_row();
        record.end_row();
        assert!(!record.has_row(), "all of it is told");
    }
    ledger.take_events(ledger.end_of_events());
    ledger.tell_dropped(7);
    let found = Found { at: 7, event: Event::Start { targets: 1 } };
    ledger.push_event(None, &found);
    assert_eq!(all_events(&ledger).last().map(|entry| entry.found), Some(found));
    assert!(ledger.events_from(ledger.sent_events()).count() <= all_events(&ledger).len());
    assert!(due.is_none() || !ledger.is_reported(), "a report of nothing");
    let file: Path = Text::format(format_args!("tcp_stats_20251009.log"));
    ledger.begin_write(Kind::Stats, &file, 0, b"", WallTime { unix: 0, nanos: 0, offset: 0 }, false, 0);
    ledger.mark_reported();
    assert!(ledger.is_reported());
    assert_eq!(due::left_over(&ledger, thresholds, Some(1_760_020_200), |_| false), None);
    ledger.begin_run(ProcessId { pid: 1, born: 2 }, "", WallTime { unix: 0, nanos: 0, offset: 0 });
    ledger.set_clocks(Instant::from_nanos(0), WallTime { unix: 0, nanos: 0, offset: 3600 });
    let capacity = ledger.capacity();
    if words(capacity + 1) <= room && capacity < limits::RECORDS {
        ledger.grow(capacity + 1);
        assert_eq!((ledger.capacity(), ledger.record(capacity).usage()), (capacity + 1, Usage::Free));
    }
    let target = Target::new("web", "www.example.com", 443).expect("a target");
    for number in 0..ledger.capacity() {
        let record = ledger.record(number);
        if record.usage() == Usage::Free {
            record.install(&target);
            assert_eq!((record.target(), record.tally()), (Some(target), Tally::default()));
            assert_eq!((record.last(), record.lookups(), record.connects()), (None, None, None));
        }
        let before = record.tally().counted().of(Outcome::FastFast);
        record.count(Outcome::FastFast, before.wrapping_add(1));
        let once = Counts::new([0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(record.tally().unreported(), once);
        let connected = Ending::Connected(Address::new([192, 0, 2, 7].into()));
        let end = End {
            outcome: Some(Outcome::FastFast),
            ending: connected,
            lookup: None,
            connect: Some(Nanos::new(1)),
            resent: 0,
            slow: None,
            silent: None,
        };
        record.end(7, &end);
        assert_eq!(record.last().map(|last| (last.at, last.ending)), Some((7, connected)));
        record.set_health(&Health { state: State::Up, since: 7, ..Health::NEW });
        assert_eq!(record.state(), (State::Up, 7));
    }
    let left = open(&content(&ledger)).expect("what a run leaves is a ledger");
    assert_eq!(left.rows(), ledger.rows());
}
