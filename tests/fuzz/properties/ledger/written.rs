//! A ledger as the program writes it: any operations of a run.

use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::health::{Health, State};
use tcpmon::core::ledger::{Entry, Ledger, Memory, Progress, Reload, Usage};
use tcpmon::core::probe::End;
use tcpmon::model::cause::Cause;
use tcpmon::model::event::{Event, Found};
use tcpmon::model::log_names::Kind;
use tcpmon::model::message::Addresses;
use tcpmon::model::outcome::{Outcome, Thresholds};
use tcpmon::model::process_id::ProcessId;
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::target::{Address, Target};

use super::{Bytes, CAPACITY, text_of};

/// A ledger as a run may leave it, whenever it ends.
pub fn written(bytes: &mut Bytes<'_>) -> Ledger {
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
pub fn wall(bytes: &mut Bytes<'_>) -> WallTime {
    let unix = i64::from_le_bytes(bytes.array()) >> 29;
    WallTime { unix, nanos: 0, offset: i32::from(bytes.byte() as i8) * 700 }
}

/// A word of at most 31 bytes.
fn word<'a>(bytes: &mut Bytes<'a>) -> &'a str {
    let length = usize::from(bytes.byte() % 32);
    text_of(bytes.slice(length))
}
