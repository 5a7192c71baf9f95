//! What must hold for a ledger that opens: every value is possible, can be shown and used.

use tcpmon::base::histogram::Summary;
use tcpmon::base::limits;
use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::base::width::width;
use tcpmon::core::due;
use tcpmon::core::health::{Health, State};
use tcpmon::core::ledger::{Ledger, Record, Usage, words};
use tcpmon::core::probe::End;
use tcpmon::model::event::{Event, Found};
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::{Counts, Outcome, Tally, Thresholds};
use tcpmon::model::process_id::ProcessId;
use tcpmon::model::reason::Ending;
use tcpmon::model::target::{Address, Target};
use tcpmon::render::overview::{self, Screen};
use tcpmon::render::{Life, Seen, events, json, status, times};

use super::{all_events, config, content, open};

/// All values read from it are possible ones.
pub fn can_be_read(ledger: &Ledger) {
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
pub fn can_be_shown(ledger: &Ledger) {
    let now = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };
    // It reads a copy.
    let copy = Ledger::copy(ledger.content()).expect("what opens can be copied");
    let local = |unix| WallTime { unix, nanos: 0, offset: 3600 };
    let life = Life::Running(7);
    let mut seen = Seen { ledger: &copy, life, services: &[], now, local, describe: |_| "an error" };
    let (mut tables, mut shown) = (String::new(), String::new());
    for (life, columns) in [(Life::Killed, 80), (life, 120)] {
        seen.life = life;
        let screen = Screen { is_wide: columns == 120, columns, lines: 23, marks: false };
        let before = tables.len();
        overview::write(&mut tables, &seen, screen);
        for line in tables[before..].lines() {
            assert!(width(line) <= columns, "{line:?}");
        }
        assert!(tables[before..].lines().count() <= screen.lines, "{tables}");
    }
    status::write(&mut tables, &seen);
    assert!(!tables.contains(|c: char| c.is_control() && c != '\n'), "{tables:?}");
    json::write(&mut shown, &seen);
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

pub fn is_right(record: &Record<'_>) {
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
pub fn can_be_used(mut ledger: Ledger, room: usize) {
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
