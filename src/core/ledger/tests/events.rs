//! The ring of events: what was found is read back, also from a ledger that has grown.

use super::*;

/// The events in a ledger: each with the number of its record.
fn events(ledger: &Ledger) -> Vec<(Option<usize>, Found)> {
    ledger.events_from(ledger.first_event()).map(|entry| (entry.record, entry.found)).collect()
}

#[test]
fn every_event_is_read_back_as_it_was_written() {
    let ledger = sample();
    let six = Address { ip: "fe80::1234:5678:9abc:def0".parse().expect("an address"), scope: 7 };
    let four = Address::new([192, 0, 2, 7].into());
    let mut before = Addresses::new();
    before.push(four);
    let mut now = before;
    now.push(Address { scope: 0, ..six });
    ledger.record(2).set_answer_before(before.as_slice());
    ledger.record(2).set_answer(now.as_slice());
    let connect = Nanos::new(11_123_000);
    let all = [
        Event::Down { ending: Ending::LookupFailed(Reason::TimedOut), since: 1_760_000_000, failed: 3 },
        Event::Down { ending: Ending::ConnectFailed(Reason::Other(71), six), since: 1_760_000_000, failed: 3 },
        Event::Up { address: four, connect, since: 1_760_000_000, down_for: 312, failed: 156 },
        Event::Up { address: six, connect, since: 0, down_for: 0, failed: u32::MAX },
        Event::Address,
        Event::Flapping { changes: 12, is_up: false },
        Event::Start { targets: 14 },
        Event::Killed { from: 1, to: 2 },
        Event::Stopped { from: 1, to: 2 },
        Event::Stop { targets: 14, down: 3 },
        Event::Clock { from: 0, to: 1_760_000_000 },
        Event::Reload { new: 2, removed: 1, kept: 11 },
        Event::Log { file: Kind::Samples, day: 20_370, errno: 28 },
        Event::Dropped { events: 7 },
    ];
    let found: Vec<_> = all.iter().map(|event| (Some(2), Found { at: 1_760_000_001, event: *event })).collect();
    found.iter().for_each(|(record, found)| ledger.push_event(*record, found));
    assert_eq!(events(&ledger), found);
    let copy = open(content(&ledger)).expect("a ledger");
    assert_eq!(events(&copy), found, "they are in the file");
    assert_eq!(copy.record(2).answers(), (now, before));
    let older = by_another_program(&ledger, |field| *field != layout::CONNECTS);
    let with_ring = [older, content(&ledger)[layout::size(4)..].to_vec()].concat();
    assert_eq!(events(&open(with_ring).expect("another layout")), found, "they are taken over");
}

#[test]
fn an_event_stays_until_it_is_taken_and_what_finds_no_room_is_counted() {
    let ledger = sample();
    let room = layout::events(4) as i64;
    assert_eq!(room, 64);
    for round in 0..3 {
        (0..room + 5).for_each(|i| ledger.push_event(Some(0), &down(i)));
        assert_eq!(events(&ledger), (0..room).map(|i| (Some(0), down(i))).collect::<Vec<_>>(), "round {round}");
        assert!(ledger.has_event_of(0) && !ledger.has_event_of(2));
        ledger.tell_dropped(9);
        assert_eq!(ledger.dropped_events(), 5, "there is no room to tell it");
        ledger.take_events(ledger.first_event().wrapping_add(room as u32 - 1));
        ledger.tell_dropped(9);
        let told = Found { at: 9, event: Event::Dropped { events: 5 } };
        assert_eq!(events(&ledger), [(Some(0), down(room - 1)), (None, told)]);
        ledger.take_events(ledger.end_of_events());
        assert_eq!((events(&ledger), ledger.dropped_events(), ledger.has_event_of(0)), (vec![], 0, false));
    }
    assert_eq!(ledger.all_dropped_events(), 15, "also those that were told");
    assert_eq!(open(content(&ledger)).map(|copy| copy.all_dropped_events()), Ok(15));
    let older = by_a_program(&ledger, |field| *field != layout::DROPPED, |_| true);
    assert_eq!(
        open(older).map(|taken| (taken.all_dropped_events(), taken.record(0).tally())),
        Ok((0, ledger.record(0).tally()))
    );
}

#[test]
fn a_number_that_no_event_has_stands_for_the_first_one() {
    let ledger = sample();
    (0..5).for_each(|i| ledger.push_event(Some(0), &down(i)));
    ledger.take_events(2);
    let numbers = |first| ledger.events_from(first).map(|entry| entry.number).collect::<Vec<_>>();
    assert_eq!((numbers(3), numbers(5)), (vec![3, 4], vec![]));
    assert_eq!((numbers(1), numbers(6), numbers(u32::MAX)), (vec![2, 3, 4], vec![2, 3, 4], vec![2, 3, 4]));
    // A truncated file: the numbers begin anew.
    ledger.content().iter().for_each(|word| word.store(0, Ordering::Relaxed));
    ledger.renew(BEGAN);
    assert_eq!(ledger.events_from(2).count(), 0);
}

#[test]
fn events_move_along_when_the_ledger_grows() {
    let ledger = sample();
    (0..70).for_each(|i| {
        ledger.push_event(Some(0), &down(i));
        ledger.take_events(ledger.end_of_events().wrapping_sub(40.min(i as u32 + 1)));
    });
    let (waiting, mut words) = (events(&ledger), content(&ledger));
    assert_eq!(waiting.len(), 40, "around the end of the ring");
    words.resize(layout::words(100), 0);
    let mut grown = Ledger::open(memory(words), layout::words(4)).expect("a ledger");
    grown.grow(100);
    assert_eq!((grown.capacity(), events(&grown)), (100, waiting));
    let small = sample();
    let mut words = content(&small);
    words.resize(layout::words(5), 0);
    let mut grown = Ledger::open(memory(words), layout::words(4)).expect("a ledger");
    grown.push_event(None, &down(1));
    grown.grow(5);
    for records in [1, 4, 100, 1000, 2000] {
        let ledger = Ledger::create(Memory::own(records), records, BEGAN);
        let next = ledger.next_capacity();
        assert!(layout::size(next) >= layout::words(records) && layout::size(next - 1) < layout::words(records));
    }
    let without_room = layout::size(5) < layout::words(4);
    assert_eq!((events(&grown).len(), grown.dropped_events()), (usize::from(!without_room), without_room.into()));
}

#[test]
fn moments_of_a_clock_that_was_not_set_are_corrected_and_no_others() {
    let ledger = sample();
    let pushed = |found| ledger.push_event(Some(0), &found);
    pushed(down(100));
    pushed(down(1_760_000_000));
    pushed(Found { at: 110, event: Event::Killed { from: 1_750_000_000, to: 100 } });
    let record = ledger.record(0);
    record.end(105, &End { ending: Ending::LookupFailed(Reason::NoAddress), ..connected(Nanos::ZERO) });
    ledger.shift_events(ledger.first_event(), 90, 120, 1_000_000);
    record.shift(90, 120, 1_000_000);
    let killed = Found { at: 1_000_110, event: Event::Killed { from: 1_750_000_000, to: 1_000_100 } };
    let expected = [down(1_000_100), down(1_760_000_000), killed].map(|found| (Some(0), found));
    assert_eq!(events(&ledger), expected);
    assert_eq!(record.last_failure().map(|last| last.at), Some(1_000_105));
}
