//! Another thread looks at the words of a ledger while a report is marked: the order in which they
//! change is what a kill relies on. What it sees to be wrong is wrong; it may miss it, so it looks
//! many times.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::{Instant, WallTime};
use tcpmon::core::due;
use tcpmon::core::ledger::{Ledger, Memory, Progress, words};
use tcpmon::core::monitor::{Event, Monitor, Span};
use tcpmon::model::outcome::Outcome;
use tcpmon::model::settings::Config;

use crate::remains::{self, Layout};
use crate::stage;

/// Enough that marking them takes a while.
const TARGETS: usize = 500;

/// How often it is looked at.
const LOOKS: usize = 40;

const WALL: WallTime = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };

fn config() -> Config {
    let mut text = String::from("interval 1h\n");
    (1..=TARGETS).for_each(|port| {
        let _ = writeln!(text, "target t{port} 192.0.2.1 {port}");
    });
    stage::config(&text)
}

/// Looks on, again and again, while `mark` lets the counters of a ledger know of a report that has
/// come to this phase.
fn look_on(phase: Progress, mark: impl Fn(Ledger, &dyn Fn())) {
    let words: &'static [AtomicU32] = Box::leak((0..words(TARGETS)).map(|_| AtomicU32::new(0)).collect());
    let config = config();
    for _ in 0..LOOKS {
        words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let ledger = Ledger::create(Memory::Mapped(words), TARGETS, WALL);
        ledger.set_thresholds(config.settings.thresholds);
        for (place, target) in config.targets.iter().enumerate() {
            ledger.record(place).install(target);
            ledger.record(place).set_order(place + 1);
            ledger.record(place).count(Outcome::FastFast, 1);
        }
        let layout = Layout::read(&remains::words(&ledger));
        let mark_of = |place: usize| layout.records + place * layout.record + layout.reported.start + 1;
        let file: Path = Text::format(format_args!("/var/log/tcp_stats_20251009.log"));
        ledger.begin_report(&file, 0, &[0; 7], WALL, false);
        ledger.set_progress(phase);
        let (looks, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let read = |at: usize| words[at].load(Ordering::Acquire);
        std::thread::scope(|scope| {
            let onlooker = scope.spawn(|| {
                let mut wrong = None;
                while !done.load(Ordering::Acquire) {
                    looks.store(true, Ordering::Release);
                    // A later look at the phase tells what it was at most then, for it only goes on.
                    if read(mark_of(0)) == 1 && read(layout.phase) == Progress::Writing as u32 {
                        wrong = Some("a counter knows of a report that is not noted as written");
                    }
                    if read(layout.phase) == 0 && read(mark_of(TARGETS - 1)) == 0 {
                        wrong = Some("a report has come to its end, and a counter does not know of it");
                    }
                }
                wrong
            });
            mark(ledger, &|| {
                while !looks.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
            });
            done.store(true, Ordering::Release);
            assert_eq!(onlooker.join().ok().flatten(), None);
        });
        assert_eq!((read(layout.phase), read(mark_of(0)), read(mark_of(TARGETS - 1))), (0, 1, 1));
    }
}

#[test]
fn the_note_of_a_report_goes_when_all_counters_know_of_it() {
    let config = config();
    look_on(Progress::Written, |ledger, wait| {
        let now = Instant::from_nanos(0);
        let mut monitor = Monitor::new(&config, Span::default(), ledger, 0, now, WALL);
        monitor.handle(now, Event::ReportNow);
        monitor.poll(now);
        monitor.handle(now, Event::Clock(WALL));
        // That of the report; what comes of it all is looked at at the end.
        monitor.poll(now);
        wait();
        monitor.handle(now, Event::Reported { written: true });
    });
}

#[test]
fn a_report_that_is_found_is_noted_as_written_before_the_first_counter_knows_of_it() {
    look_on(Progress::Writing, |ledger, wait| {
        let complete = |_: &_| {
            wait();
            true
        };
        due::left_over(&ledger, ledger.thresholds(), Some(WALL.unix), complete);
    });
}
