//! The ledger's loader: any words, a ledger as the program writes it, the same in another layout,
//! and one with changed words.

mod checks;
mod layout;
mod written;

use std::sync::atomic::{AtomicU32, Ordering};

use tcpmon::base::histogram::Summary;
use tcpmon::core::ledger::{Damage, Entry, Interval, Ledger, Memory, words};
use tcpmon::model::cause::Cause;
use tcpmon::model::log_names::Kind;

use self::checks::{can_be_read, can_be_shown, can_be_used};
use self::layout::{change, fields, laid_anew};
use self::written::written;
use super::{Bytes, config, text_of};

/// Records of the ledgers made here.
const CAPACITY: usize = 2;

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
