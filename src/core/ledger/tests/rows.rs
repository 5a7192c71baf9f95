//! The rows of times: each probe is in one of them.

use super::*;

#[test]
fn a_row_of_times_has_each_probe_once_wherever_it_is_interrupted() {
    let ledger = sample();
    let record = ledger.record(0);
    let slow = End { resent: 2, slow: Some(Cause::SlowByResentSyns), ..connected(Nanos::from_millis(3)) };
    let refused = Ending::ConnectFailed(Reason::Refused, Address::new([192, 0, 2, 7].into()));
    let refused = End { ending: refused, outcome: Some(Outcome::SlowFailed), ..connected(Nanos::from_millis(1500)) };
    assert!(!record.has_row());
    record.end(1, &slow);
    record.end(2, &refused);
    record.skip(7);
    let told = |record: &Record<'_>| {
        let Interval { lookups, connects, causes, resent, skipped, .. } = record.row();
        let of = |cause: Cause| causes[cause.index()];
        let causes =
            [of(Cause::SlowByResentSyns), of(Cause::ConnectRefused), of(Cause::SlowLookup), of(Cause::SlowPath)];
        (lookups.map(|s| (s.count, s.max)), connects.map(|s| (s.count, s.max)), causes, resent, skipped)
    };
    let nothing = (None, None, [0; 4], 0, 0);
    assert_eq!(told(&record), nothing, "it has not begun");
    assert!(record.has_row());
    record.begin_row();
    let row = (Some((2, Nanos::from_millis(1500))), Some((1, Nanos::new(1_234_000))), [1, 1, 1, 0], 2, 7);
    assert_eq!(told(&record), row);
    record.end(3, &slow);
    assert_eq!(told(&record), row, "what ends meanwhile is in the next row");
    record.keep_figures(&Columns { total: 2, conn_failed: 1, ..Columns::default() });
    record.end_row();
    record.end_row();
    assert_eq!((told(&record), record.has_row()), (nothing, true));
    record.begin_row();
    let next = (Some((1, Nanos::from_millis(3))), Some((1, Nanos::new(1_234_000))), [1, 0, 0, 0], 2, 0);
    assert_eq!(told(&record), next);
    // It could not be written: the next one has all of it.
    record.end(4, &slow);
    record.begin_row();
    let both = (Some((2, Nanos::from_millis(3))), Some((2, Nanos::new(1_234_000))), [2, 0, 0, 0], 4, 0);
    assert_eq!(told(&record), both);
    record.end_row();
    assert!(!record.has_row());
    let figures = record.figures();
    assert_eq!((figures.probes, figures.lookups[2]), ((2, 1), Nanos::from_millis(1500)));
}

#[test]
fn a_bucket_that_is_full_stays_full() {
    let ledger = sample();
    let record = ledger.record(0);
    for _ in 0..70_000 {
        record.end(1, &connected(Nanos::ZERO));
    }
    record.begin_row();
    record.end(1, &connected(Nanos::ZERO));
    record.begin_row();
    assert_eq!(record.row().connects.map(|summary| summary.count), Some(65_535));
}
