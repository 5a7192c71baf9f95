//! The order of stores to the ledger: recovery after a kill relies on it. Another thread, the
//! observer, reads the ledger's words while a report is marked. A wrong order that it sees is a bug; it
//! may miss one, so it reads many times.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::{Instant, WallTime};
use tcpmon::core::due;
use tcpmon::core::ledger::{Ledger, Memory, Progress, words};
use tcpmon::core::monitor::{Fact, Monitor, Span};
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::Outcome;
use tcpmon::model::settings::Config;

use crate::ledger_words::{self, Layout};
use crate::simulation;

/// Enough that marking all of them takes some time.
const TARGETS: usize = 500;

/// How often the test is repeated.
const REPEATS: usize = 40;

const WALL: WallTime = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };

fn config() -> Config {
    let mut text = String::from("interval 1h\n");
    (1..=TARGETS).for_each(|port| {
        let _ = writeln!(text, "target t{port} 192.0.2.1 {port}");
    });
    simulation::config(&text)
}

/// Observes `mark`, which marks the counters of a ledger as reported after a report with this progress.
fn observe(progress: Progress, mark: impl Fn(Ledger, &dyn Fn())) {
    let words: &'static [AtomicU32] = Box::leak((0..words(TARGETS)).map(|_| AtomicU32::new(0)).collect());
    let config = config();
    for _ in 0..REPEATS {
        words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let ledger = Ledger::create(Memory::Mapped(words), TARGETS, WALL);
        ledger.set_thresholds(config.settings.thresholds);
        for (number, target) in config.targets.iter().enumerate() {
            ledger.record(number).install(target);
            ledger.record(number).set_order(number + 1);
            ledger.record(number).count(Outcome::FastFast, 1);
        }
        let layout = Layout::read(&ledger_words::words(&ledger));
        let mark_of = |number: usize| layout.records + number * layout.record + layout.reported.start + 1;
        let file: Path = Text::format(format_args!("/var/log/tcp_stats_20251009.log"));
        ledger.begin_write(Kind::Stats, &file, 0, &[0; 7], WALL, false, 0);
        ledger.set_progress(Kind::Stats, progress);
        let (reads, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let read = |at: usize| words[at].load(Ordering::Acquire);
        std::thread::scope(|scope| {
            let observer = scope.spawn(|| {
                let mut wrong = None;
                while !done.load(Ordering::Acquire) {
                    reads.store(true, Ordering::Release);
                    // The progress only advances: a later read shows at least what it was at the first.
                    if read(mark_of(0)) == 1 && read(layout.progress) == Progress::Writing as u32 {
                        wrong = Some("a counter is marked and the report is not journalled as written");
                    }
                    if read(layout.progress) == 0 && read(mark_of(TARGETS - 1)) == 0 {
                        wrong = Some("the journal entry is cleared and a counter is not marked");
                    }
                }
                wrong
            });
            mark(ledger, &|| {
                while !reads.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
            });
            done.store(true, Ordering::Release);
            assert_eq!(observer.join().ok().flatten(), None);
        });
        assert_eq!((read(layout.progress), read(mark_of(0)), read(mark_of(TARGETS - 1))), (0, 1, 1));
    }
}

#[test]
fn the_journal_entry_of_a_report_is_cleared_after_all_counters_are_marked() {
    let config = config();
    observe(Progress::Written, |ledger, wait| {
        let now = Instant::from_nanos(0);
        let mut monitor = Monitor::new(&config, Span::default(), ledger, 0, now, WALL);
        monitor.handle(now, Fact::ReportNow);
        monitor.poll(now);
        monitor.handle(now, Fact::Clock(WALL));
        // This is the action for the report. The result is checked at the end.
        monitor.poll(now);
        wait();
        monitor.handle(now, Fact::Reported { written: true, timed: true });
    });
}

#[test]
fn a_report_found_in_the_log_is_journalled_as_written_before_the_first_counter_is_marked() {
    observe(Progress::Writing, |ledger, wait| {
        let complete = |_: &_| {
            wait();
            true
        };
        due::left_over(&ledger, ledger.thresholds(), Some(WALL.unix), complete);
    });
}
