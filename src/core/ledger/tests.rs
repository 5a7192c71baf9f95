//! The ledger's layout: what was written is read back, and impossible values are refused.

mod events;
mod rows;

use super::layout::{Field, HEAD_AT, HEAD_FIELDS, RECORD, RECORD_FIELDS, RECORDS_AT, checksum};
use super::*;
use crate::base::path::Path;
use crate::core::health::{Health, State};
use crate::core::probe::End;
use crate::model::cause::Cause;
use crate::model::event::{Event, Found};
use crate::model::log_names::Kind;
use crate::model::message::Addresses;
use crate::model::outcome::{Counts, Outcome, Tally};
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::settings::Hysteresis;
use crate::model::target::Address;

const BEGAN: WallTime = WallTime { unix: 1_760_020_200, nanos: 0, offset: 7200 };

fn target(service: &str, host: &str) -> Target {
    Target::new(service, host, 443).expect("a target")
}

/// A ledger with two targets that have counts.
fn sample() -> Ledger {
    let ledger = Ledger::create(Memory::own(4), 4, BEGAN);
    ledger.set_thresholds(Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(5) });
    for (i, (service, host)) in [("web", "www.example.com"), ("kassa-ä", "fe80::1%eth0")].into_iter().enumerate() {
        let record = ledger.record(i * 2);
        record.install(&target(service, host));
        record.set_order(2 - i);
        record.count(Outcome::FastFast, 7);
        record.count(Outcome::LookupFailed, 2);
        record.mark_reported(&Tally::new(Counts::new([1, 5, 0, 0, 0, 0, 0]), Counts::default()));
    }
    ledger
}

fn down(since: i64) -> Found {
    let ending = Ending::ConnectFailed(Reason::Refused, Address::new([192, 0, 2, 7].into()));
    Found { at: since + 4, event: Event::Down { ending, since, failed: 3 } }
}

/// Its words, as a test may change them.
fn content(ledger: &Ledger) -> Vec<u32> {
    ledger.content().iter().map(|word| word.load(Ordering::Relaxed)).collect()
}

fn memory(words: Vec<u32>) -> Memory {
    Memory::Own(words.into_iter().map(AtomicU32::new).collect())
}

fn open(words: Vec<u32>) -> Result<Ledger, Damage> {
    let length = words.len();
    Ledger::open(memory(words), length)
}

/// Corrects the checksum of a changed description.
fn sealed(mut words: Vec<u32>) -> Vec<u32> {
    let fields = words[preface::HEAD_FIELDS] + words[preface::RECORD_FIELDS];
    let description = preface::FIELDS + 4 * fields as usize;
    let sealed = (0..description).filter(|at| *at != preface::SIZE && *at != preface::CHECKSUM);
    words[preface::CHECKSUM] = checksum(sealed.map(|at| words[at]));
    words
}

#[test]
fn what_is_kept_is_found_again() {
    let ledger = open(content(&sample())).expect("a ledger");
    let services: Vec<String> =
        ledger.in_order().iter().filter_map(|record| Some(record.target()?.service.to_string())).collect();
    assert_eq!(services, ["kassa-ä", "web"], "in the configuration's order");
    let web = ledger.record(0);
    assert_eq!(web.target(), Some(target("web", "www.example.com")));
    assert_eq!(
        ledger.record(2).target().map(|target| target.endpoint().to_string()),
        Some("[fe80::1%eth0]:443".into())
    );
    assert_eq!((web.tally().counted().columns().total, web.tally().unreported().columns().total), (9, 3));
    assert_eq!((ledger.began(), ledger.capacity(), ledger.is_reported()), (BEGAN.unix, 4, false));
    let file: Path = Text::format(format_args!("tcp_stats_20251009.log"));
    ledger.begin_write(Kind::Stats, &file, 0, b"", BEGAN, false, 0);
    web.count(Outcome::FastFast, 8);
    ledger.mark_reported();
    assert_eq!(web.tally().unreported().columns().total, 1, "only what was counted since the report");
    web.mark_reported(&web.tally());
    assert!(ledger.is_reported());
    assert_eq!(web.tally().counted().columns().total, 10);
}

#[test]
fn a_file_that_is_no_ledger_of_ours_is_refused_with_the_reason() {
    let good = content(&sample());
    let with = |at: usize, value: u32| {
        let mut words = good.clone();
        words[at] = value;
        open(words).err()
    };
    assert_eq!(open(vec![]).err(), Some(Damage::Foreign));
    assert_eq!(open(vec![0x464c_457f; 4096]).err(), Some(Damage::Foreign));
    assert_eq!(with(preface::MAGIC, good[preface::MAGIC].swap_bytes()), Some(Damage::ByteOrder));
    assert_eq!(with(preface::VERSION, 2), Some(Damage::Version(2)));
    assert_eq!(open(good[..good.len() - 1].to_vec()).err(), Some(Damage::Short));
    assert_eq!(open(good[..3].to_vec()).err(), Some(Damage::Short));
    assert_eq!(with(preface::SIZE, 0), Some(Damage::Layout));
    assert_eq!(with(preface::SIZE, good.len() as u32 - 1), Some(Damage::Layout));
    assert_eq!(with(preface::RECORD, 0), Some(Damage::Layout));
    assert_eq!(with(preface::HEAD_FIELDS, 200), Some(Damage::Layout));
    assert_eq!(with(preface::HEAD_FIELDS, u32::MAX), Some(Damage::Layout));
    for (at, word) in good.iter().enumerate().take(HEAD_AT).skip(preface::FIELDS) {
        assert_eq!(with(at, !word), Some(Damage::Layout), "word {at}");
    }
    assert_eq!(with(HEAD_AT + progress(Kind::Stats), 9), Some(Damage::Head));
    for kind in Kind::ALL {
        assert_eq!(with(HEAD_AT + progress(kind), 1), Some(Damage::Head), "a write without a file");
    }
    assert_eq!(with(HEAD_AT + layout::RUNNING.at, 2), Some(Damage::Head));
    for field in [layout::USAGE, layout::PORT, layout::SERVICE, layout::HOST, layout::SCOPE, layout::SEAL] {
        let at = RECORDS_AT + 2 * RECORD + field.at;
        assert_eq!(with(at, good[at] ^ 0x100), Some(Damage::Record(2)), "{field:?}");
    }
    let at = RECORDS_AT + layout::COUNTED.at;
    assert_eq!(with(at, good[at] | (1 << 31)), Some(Damage::Record(0)), "too many unreported probes");
    assert!(open(good).is_ok());
}

#[test]
fn a_layout_that_contradicts_itself_is_damaged_even_with_its_checksum() {
    let good = content(&sample());
    for (at, value) in [
        (preface::FIELDS + 2, u32::MAX),
        (preface::FIELDS + 3, u32::MAX),
        (preface::HEAD, u32::MAX),
        (preface::RECORD, u32::MAX),
        (preface::RECORD, 1),
    ] {
        let mut words = good.clone();
        words[at] = value;
        assert_eq!(open(sealed(words)).err(), Some(Damage::Layout), "word {at}");
    }
}

/// The ledger as another version of the program would have written it: its records have only the fields that
/// `keep` accepts, and before them one field that we do not know.
fn by_another_program(ledger: &Ledger, keep: impl Fn(&Field) -> bool) -> Vec<u32> {
    by_a_program(ledger, |_| true, keep)
}

/// The same, where also the head has only some of its fields.
fn by_a_program(ledger: &Ledger, in_head: impl Fn(&Field) -> bool, in_record: impl Fn(&Field) -> bool) -> Vec<u32> {
    let ours = content(ledger);
    let head: Vec<usize> = (0..HEAD_FIELDS.len()).filter(|i| in_head(&HEAD_FIELDS[*i])).collect();
    let kept: Vec<usize> = (0..RECORD_FIELDS.len()).filter(|i| in_record(&RECORD_FIELDS[*i])).collect();
    let own = 3;
    let length = |fields: &[Field], kept: &[usize]| kept.iter().map(|i| fields[*i].words).sum::<usize>();
    let (head_words, record) = (length(&HEAD_FIELDS, &head), own + length(&RECORD_FIELDS, &kept));
    let fields = head.len() + kept.len() + 1;
    let mut words = ours[..preface::FIELDS].to_vec();
    words[preface::HEAD_FIELDS] = head.len() as u32;
    words[preface::RECORD_FIELDS] = kept.len() as u32 + 1;
    words[preface::HEAD] = head_words as u32;
    words[preface::RECORD] = record as u32;
    words[preface::SIZE] = (preface::FIELDS + 4 * fields + head_words + ledger.capacity() * record) as u32;
    // The name is ours, the place is theirs.
    let entry = |i: usize, at: &mut usize, field: &Field| {
        let (name, begins) = (preface::FIELDS + 4 * i, *at);
        *at += field.words;
        [ours[name], ours[name + 1], begins as u32, field.words as u32]
    };
    let mut at = 0;
    words.extend(head.iter().flat_map(|i| entry(*i, &mut at, &HEAD_FIELDS[*i])));
    words.extend([1, 2, 0, own as u32]);
    let mut at = own;
    words.extend(kept.iter().flat_map(|i| entry(HEAD_FIELDS.len() + *i, &mut at, &RECORD_FIELDS[*i])));
    for field in head.iter().map(|i| &HEAD_FIELDS[*i]) {
        words.extend(&ours[HEAD_AT + field.at..HEAD_AT + field.at + field.words]);
    }
    for number in 0..ledger.capacity() {
        words.extend([9; 3]);
        for field in kept.iter().map(|i| &RECORD_FIELDS[*i]) {
            let from = RECORDS_AT + number * RECORD + field.at;
            words.extend(&ours[from..from + field.words]);
        }
    }
    sealed(words)
}

#[test]
fn a_ledger_of_another_layout_is_converted_with_its_counts() {
    let ledger = sample();
    ledger.record(0).end(5, &connected(Nanos::from_millis(3)));
    let older = by_another_program(&ledger, |field| *field != layout::CONNECTS && *field != layout::GUARD);
    let converted = open(older).expect("an older layout");
    assert!(!converted.is_mapped());
    let (was, is) = (ledger.record(0), converted.record(0));
    assert_eq!((is.target(), is.tally(), is.order()), (was.target(), was.tally(), was.order()));
    assert_eq!(is.last(), was.last());
    assert_eq!((is.connects(), is.lookups()), (None, was.lookups()), "what it lacked begins again");
    assert_eq!(converted.thresholds(), ledger.thresholds());
    let newer = by_another_program(&ledger, |_| true);
    assert_eq!(open(newer).expect("a later layout").record(2).tally(), ledger.record(2).tally());
    for needed in record::NEEDED {
        let without = by_another_program(&ledger, |field| field.at != needed);
        assert_eq!(open(without).err(), Some(Damage::Layout), "without {needed:?}");
    }
}

#[test]
fn the_version_before_had_neither_states_nor_events_and_its_counts_go_on() {
    let ledger = sample();
    let record = ledger.record(0);
    record.end(5, &connected(Nanos::from_millis(3)));
    record.skip(4);
    record.set_health(&Health { state: State::Down, since: 7, row: 1, row_since: 8, failed: 9 });
    ledger.push_event(Some(0), &down(7));
    ledger.begin_write(Kind::Stats, &file(Kind::Stats), 5, b"rows", BEGAN, true, 0);
    // Its head had one journal, that of the reports, which knew nothing of what it covers.
    let in_head = |field: &Field| *field != layout::RING && field.at < layout::RUN + layout::COVERS.at;
    let in_record = |field: &Field| {
        let known =
            [layout::USAGE, layout::ORDER, layout::PORT, layout::SERVICE, layout::HOST, layout::SCOPE, layout::SEAL];
        let counted = [layout::REPORTED, layout::PENDING, layout::COUNTED, layout::SKIPPED, layout::GUARD];
        let last = [layout::ENDED, layout::ENDING, layout::ADDRESS, layout::TIMES];
        let times = [layout::LOOKUPS, layout::LOOKUP_MAX, layout::CONNECTS, layout::CONNECT_MAX];
        [&known[..], &counted, &last, &times].iter().any(|fields| fields.contains(field))
    };
    let taken = open(by_a_program(&ledger, in_head, in_record)).expect("the layout of the version before");
    for (number, was) in ledger.records() {
        let is = taken.record(number);
        assert_eq!(
            (is.target(), is.tally(), is.order(), is.usage()),
            (was.target(), was.tally(), was.order(), was.usage())
        );
        assert_eq!((is.last(), is.skipped()), (was.last(), was.skipped()));
        assert_eq!((is.lookups(), is.connects()), (was.lookups(), was.connects()));
        assert_eq!((is.health(), is.has_row()), (Health::NEW, false), "a row of times is of this version alone");
    }
    assert_eq!(taken.journal(Kind::Stats), ledger.journal(Kind::Stats), "the report goes on");
    assert_eq!((taken.first_event(), taken.end_of_events(), taken.dropped_events()), (0, 0, 0));
    assert_eq!((taken.began(), taken.thresholds()), (ledger.began(), ledger.thresholds()));
    // The first good probe is no event.
    let mut health = taken.record(0).health();
    assert_eq!(health.judge(true, 10, Hysteresis { down_after: 3, up_after: 2 }), None);
    assert_eq!((health.state, health.since), (State::Up, 10));
}

#[test]
fn a_ledger_without_rows_of_times_has_nothing_to_tell_in_the_first_one() {
    let ledger = sample();
    ledger.record(0).skip(1_000);
    let is_new = |field: &Field| {
        [layout::TOLD, layout::TELLING, layout::CAUSES, layout::INTERVAL_CONNECTS, layout::STATE].contains(field)
    };
    let converted = open(by_another_program(&ledger, |field| !is_new(field))).expect("an older layout");
    let record = converted.record(0);
    assert_eq!((record.skipped(), record.has_row(), record.state()), (1_000, false, (State::Unknown, 0)));
    record.skip(2);
    record.begin_row();
    assert_eq!(record.row().skipped, 2);
}

fn connected(lookup: Nanos) -> End {
    let address = Address { ip: "fe80::1234:5678:9abc:def0".parse().expect("an address"), scope: 7 };
    let (ending, outcome) = (Ending::Connected(address), Some(Outcome::FastFast));
    End {
        outcome,
        ending,
        lookup: Some(lookup),
        connect: Some(Nanos::new(1_234_567)),
        resent: 0,
        slow: None,
        silent: None,
    }
}

#[test]
fn the_last_end_is_kept_with_its_reason_and_times() {
    let ledger = sample();
    let record = ledger.record(0);
    assert_eq!(record.last(), None);
    let of = |ending| End { outcome: None, ending, lookup: None, connect: None, resent: 0, slow: None, silent: None };
    let v4 = Address::new("192.0.2.7".parse().expect("an address"));
    for ending in [
        Ending::Connected(v4),
        connected(Nanos::ZERO).ending,
        Ending::LookupFailed(Reason::ResolverSilent),
        Ending::LookupFailed(Reason::NoDevice),
        Ending::ConnectFailed(Reason::Other(71), Address::new(core::net::Ipv4Addr::new(192, 0, 2, 1).into())),
        Ending::ConnectFailed(Reason::TimedOut, Address::new(core::net::Ipv6Addr::LOCALHOST.into())),
        Ending::Skipped(Shortage::Descriptors),
        Ending::Skipped(Shortage::Late),
    ] {
        record.end(1_760_000_000, &of(ending));
        let last = record.last().expect("it has ended");
        assert_eq!((last.ending, last.at, last.lookup, last.connect), (ending, 1_760_000_000, None, None));
    }
    record.end(1, &connected(Nanos::from_millis(3)));
    let times = record.last().map(|last| (last.lookup, last.connect));
    assert_eq!(times, Some((Some(Nanos::from_millis(3)), Some(Nanos::new(1_234_000)))));
}

#[test]
fn only_what_did_not_fail_is_in_the_distribution_and_a_literal_has_no_lookups() {
    let ledger = sample();
    let record = ledger.record(0);
    record.end(1, &connected(Nanos::ZERO));
    assert_eq!(record.lookups(), None);
    let failed = Ending::ConnectFailed(Reason::Refused, Address::new(core::net::Ipv4Addr::LOCALHOST.into()));
    record.end(1, &End { ending: failed, outcome: Some(Outcome::FastFailed), ..connected(Nanos::from_millis(3)) });
    let failed = Ending::LookupFailed(Reason::NameNotFound);
    record.end(1, &End { ending: failed, connect: None, ..connected(Nanos::from_millis(9)) });
    let lookups = record.lookups().map(|summary| (summary.count, summary.max));
    assert_eq!(lookups, Some((1, Nanos::from_millis(3))));
    let connects = record.connects().map(|summary| (summary.count, summary.max));
    assert_eq!(connects, Some((1, Nanos::new(1_234_000))));
}

/// Where the head has the progress of this kind's journal.
fn progress(kind: Kind) -> usize {
    layout::of_journal(kind, layout::PROGRESS).at
}

/// A file of this kind.
fn file(kind: Kind) -> Path {
    Text::format(format_args!("/var/log/{}", kind.name(BEGAN)))
}

#[test]
fn each_kind_has_a_journal_of_its_own_with_file_and_offset() {
    let stamp = WallTime { unix: 1_760_020_500, nanos: 0, offset: -3600 };
    let journal_of = |kind: Kind| {
        let offset = (1 << 32) + 5 + kind.index() as u64;
        let checksum = if kind == Kind::Samples { 0 } else { super::checksum(b"some lines") };
        let (progress, covers) = (Progress::Writing, 70 + kind.index() as u32);
        Journal { progress, file: file(kind), offset, length: 10, stamp, headed: kind == Kind::Times, checksum, covers }
    };
    let ledger = sample();
    for kind in Kind::ALL {
        assert_eq!(ledger.journal(kind), None);
        let Journal { file, offset, stamp, headed, covers, .. } = journal_of(kind);
        ledger.begin_write(kind, &file, offset, b"some lines", stamp, headed, covers);
    }
    let found = open(content(&ledger)).expect("a ledger");
    for kind in Kind::ALL {
        assert_eq!(found.journal(kind), Some(journal_of(kind)));
        found.set_progress(kind, Progress::Written);
        assert_eq!(found.journal(kind), Some(Journal { progress: Progress::Written, ..journal_of(kind) }));
        found.tear(kind, 3, 4);
        let torn = Journal { progress: Progress::Torn, offset: 3, length: 4, ..journal_of(kind) };
        assert_eq!(found.journal(kind), Some(torn));
        found.mark_written(kind, 0);
        let left: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| found.progress(*kind).is_some()).collect();
        assert_eq!(left, Kind::ALL[kind.index() + 1..], "those of the others stay");
    }
}

#[test]
fn only_a_report_marks_counts_as_reported() {
    let ledger = sample();
    for kind in [Kind::Times, Kind::Events, Kind::Samples] {
        ledger.begin_write(kind, &file(kind), 0, b"", BEGAN, false, 0);
        ledger.mark_written(kind, 0);
        assert!(!ledger.is_reported());
    }
    ledger.begin_write(Kind::Stats, &file(Kind::Stats), 0, b"", BEGAN, false, 0);
    ledger.mark_written(Kind::Stats, 0);
    assert!(ledger.is_reported());
}

#[test]
fn when_it_was_last_alive_is_a_time_of_the_wall_clock() {
    let ledger = sample();
    ledger.set_clocks(Instant::from_nanos(50_000_000_000), BEGAN);
    ledger.set_alive(Instant::from_nanos(53_999_999_999));
    assert_eq!(ledger.alive(), BEGAN.unix + 3);
}

#[test]
fn records_are_needed_for_targets_and_for_removed_ones() {
    let ledger = sample();
    let (web, other) = (target("web", "www.example.com"), target("web", "other.example.com"));
    for (targets, records) in [(&[][..], 2), (&[web], 2), (&[other], 3), (&[web, web], 3), (&[web, other, other], 4)] {
        assert_eq!(ledger.records_for(targets), records, "{}", targets.len());
    }
}

#[test]
fn what_lies_behind_a_ledger_is_no_record_of_it_when_it_grows() {
    let mut words = content(&sample());
    let length = words.len();
    words.extend_from_within(RECORDS_AT..RECORDS_AT + RECORD);
    let mut ledger = Ledger::open(memory(words), length).expect("a ledger");
    ledger.grow(5);
    assert_eq!((ledger.capacity(), ledger.record(4).usage()), (5, Usage::Free));
    assert_eq!(open(content(&ledger)).expect("a ledger").records().count(), 2);
}

#[test]
fn a_ledger_whose_creation_was_interrupted_is_told_from_one_with_counts() {
    let mut words = content(&Ledger::create(Memory::own(2), 2, BEGAN));
    assert!(!Ledger::is_unfinished(&memory(words.clone())));
    words[0] = 0;
    assert!(Ledger::is_unfinished(&memory(words.clone())));
    assert!(Ledger::is_unfinished(&Memory::own(2)));
    words[RECORDS_AT] = 1;
    assert!(!Ledger::is_unfinished(&memory(words)));
}

#[test]
fn without_a_ledger_nothing_is_kept_and_nothing_is_touched() {
    let ledger = Ledger::absent();
    ledger.record(3).install(&target("web", "h"));
    ledger.record(3).count(Outcome::FastFast, 1);
    ledger.begin_run(ProcessId { pid: 1, born: 2 }, "", BEGAN);
    assert_eq!((ledger.is_present(), ledger.is_running(), ledger.capacity()), (false, false, 0));
    assert_eq!((ledger.record(3).target(), ledger.content().len()), (None, 0));
    let small = Ledger::create(Memory::own(1), 1, BEGAN);
    small.record(1).install(&target("web", "h"));
    assert_eq!(small.record(1).usage(), Usage::Free, "a record beyond the end");
}

#[test]
fn the_names_of_the_fields_are_those_that_older_ledgers_have() {
    let names = |fields: &[Field]| -> Vec<String> {
        let entries = layout::entries(&layout::DESCRIPTION);
        let begin = if fields.len() == HEAD_FIELDS.len() { 0 } else { HEAD_FIELDS.len() };
        let bytes = |entry: &[u32]| entry[..2].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let entries = entries.skip(begin).take(fields.len());
        entries.map(|entry| String::from_utf8_lossy(&bytes(entry)).trim_end_matches('\0').to_string()).collect()
    };
    let journal = "phase file offset length stamp headed check covers broken";
    let head = "pid born running began started clocks alive due slow timeout ends config stopped ring reload helpers \
                drops";
    let journals = ["", "t.", "e.", "s."].map(|kind| format!(" {kind}{}", journal.replace(' ', &format!(" {kind}"))));
    let head = format!("{head}{}", journals.concat());
    let record = "state order port service host zone seal reported pending counted told telling causes skipped \
                  guard is_up up_since row failed ended ending address times lastfail lastgood silent answer answered \
                  ilookups iconnect imax figures lookups lookmax connects connmax";
    assert_eq!(names(&HEAD_FIELDS).join(" "), head);
    assert_eq!(names(&RECORD_FIELDS).join(" "), record);
}

#[test]
fn the_last_failure_and_the_last_good_probe_are_kept() {
    let ledger = sample();
    let record = ledger.record(0);
    assert_eq!((record.last_failure(), record.last_good()), (None, None));
    let good = connected(Nanos::from_millis(3));
    let failed = |reason| End { ending: Ending::LookupFailed(reason), connect: None, ..good };
    let times = (Some(Nanos::from_millis(3)), Some(Nanos::new(1_234_000)));
    record.end(5, &good);
    assert_eq!((record.last_failure(), record.last_good()), (None, Some((5, times.0, times.1))));
    record.end(6, &failed(Reason::NoAddress));
    record.end(7, &failed(Reason::TimedOut));
    record.end(8, &End::skipped(Shortage::Late));
    let last = record.last_failure().map(|last| (last.at, last.ending));
    assert_eq!(last, Some((7, Ending::LookupFailed(Reason::TimedOut))));
    assert_eq!(record.last_good(), Some((5, times.0, times.1)), "also after others");
    record.end(9, &good);
    assert_eq!(record.last_good(), Some((9, times.0, times.1)));
}
