//! Scripted simulations of events and rows of times that cannot be written at once, or whose process is killed.

use tcpmon::base::time::Nanos;
use tcpmon::model::log_names::Kind;
use tcpmon::model::reason::Reason;

use crate::kill_plan::{Kill, KillPoint};
use crate::simulation::Simulation;
use crate::world::ConnectFate;

const WEB: &str = "interval 10s\nevents on\ntimes on\ntarget web 192.0.2.1 1 down_after 1 up_after 1";
const TWO: &str = "interval 10s\nevents on\ntimes on\ntarget web 192.0.2.1 1 down_after 1 up_after 1\n\
                   target db 192.0.2.2 2";
const DB: &str = "interval 10s\nevents on\ntimes on\ntarget db 192.0.2.2 2";

const GOOD: ConnectFate = ConnectFate::Accepted { after: Nanos::from_millis(10) };
const BAD: ConnectFate = ConnectFate::Fails { after: Nanos::from_millis(10), reason: Reason::Refused };

/// The kinds of the events in the log, in their order.
fn kinds(sim: &Simulation) -> Vec<String> {
    let events = sim.events();
    events.iter().filter_map(|line| line.split(" | ").nth(1)).map(str::to_string).collect()
}

/// How many rows the table of times has.
fn rows(sim: &Simulation) -> usize {
    sim.driver.times_file.blocks.iter().flatten().count()
}

#[test]
fn events_that_cannot_be_written_are_tried_again_after_a_minute_and_with_each_new_one() {
    let mut sim = Simulation::start_with_ledger(WEB, |world| {
        world.connects(1, &[GOOD, BAD, GOOD]);
        world.blocked = Some(Kind::Events);
    });
    sim.run_until(25.0);
    assert_eq!(sim.events(), Vec::<String>::new());
    sim.driver.world.blocked = None;
    sim.run_until(79.0);
    assert_eq!(sim.events(), Vec::<String>::new(), "the last try was at 20 s");
    sim.run_until(81.0);
    assert_eq!(kinds(&sim), ["start", "log", "down", "up", "log"]);
    let log = sim.events();
    assert!(log[4].contains("can be written again, nothing lost"), "{log:?}");
    sim.driver.check_storage();
}

#[test]
fn whatever_a_kill_lands_on_each_event_is_in_the_log_once() {
    let points = [
        KillPoint::BeginLines,
        KillPoint::WriteLines,
        KillPoint::WriteLinesRest,
        KillPoint::LinesWritten,
        KillPoint::MarkLines,
    ];
    for first in points {
        for second in [points.as_slice(), &[KillPoint::RecoverLines]].concat() {
            for within in [false, true, true, true] {
                let mut sim = Simulation::start_with_ledger(WEB, |world| world.connects(1, &[GOOD, BAD, GOOD]));
                sim.run_until(5.0);
                sim.kill_at(first, 31.0);
                sim.restart_with_kill(WEB, 1.0, Kill::At(second, 0), within);
                sim.restart(WEB, 1.0);
                sim.run_until(sim.second() + 30.0);
                sim.driver.stop();
                sim.driver.check_storage();
                let kinds = kinds(&sim);
                assert_eq!(kinds.iter().filter(|kind| *kind == "down").count(), 1, "{first:?} {second:?} {kinds:?}");
                assert_eq!(kinds.last().map(String::as_str), Some("stop"), "{kinds:?}");
            }
        }
    }
}

#[test]
fn events_for_which_there_is_no_room_are_counted_and_that_is_told() {
    let fates: Vec<ConnectFate> = (0..200).map(|i| if i % 2 == 1 { BAD } else { GOOD }).collect();
    let mut sim = Simulation::start_with_ledger(WEB, |world| {
        world.connects(1, &fates);
        world.blocked = Some(Kind::Events);
    });
    sim.run_until(995.0);
    sim.driver.world.blocked = None;
    sim.run_until(1101.0);
    let log = sim.events();
    // Room for 64: the start, that the log cannot be written, and 62 of 99 changes by then.
    let dropped = log.iter().position(|line| line.contains("| dropped |"));
    assert_eq!(dropped, Some(64), "{log:?}");
    sim.driver.check_storage();
}

#[test]
fn events_that_failed_before_the_clock_was_lost_wait_without_waking_anybody() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.set_clock_to(0);
    sim.driver.world.blocked = Some(Kind::Events);
    sim.driver.world.connects(1, &[BAD]);
    sim.run_until(25.0);
    sim.set_clock(-1_760_000_000);
    // The driver asserts that the next deadline is always ahead.
    sim.run_until(200.0);
    sim.driver.world.blocked = None;
    sim.set_clock_to(200);
    assert!(kinds(&sim).contains(&"down".to_string()), "{:?}", sim.events());
}

#[test]
fn a_removed_target_keeps_its_record_until_its_events_and_its_last_row_are_written() {
    let mut sim = Simulation::start_with_ledger(TWO, |world| {
        world.connects(1, &[GOOD, BAD, BAD, BAD, GOOD]);
        world.blocked = Some(Kind::Events);
    });
    sim.run_until(15.0);
    sim.reload(DB);
    sim.driver.report_now();
    // It comes back before its event is written, and is still down.
    sim.reload(TWO);
    sim.driver.world.blocked = None;
    sim.run_until(90.0);
    let events = sim.target_events();
    assert_eq!(
        events.last().map(String::as_str),
        Some(
            "14:30:35 | up | web | 192.0.2.1:1 | connected to 192.0.2.1 in 10.0 ms, down for 25 s since 14:30:10, 3 failed"
        )
    );
}

#[test]
fn a_removed_target_gets_its_last_row_of_times_also_from_the_next_run() {
    let mut sim = Simulation::start_with_ledger(TWO, |world| world.blocked = Some(Kind::Times));
    sim.run_until(25.0);
    sim.reload(DB);
    sim.driver.report_now();
    assert_eq!((sim.log().len(), rows(&sim)), (1, 0), "the log has its counts");
    sim.restart(DB, 5.0);
    sim.driver.world.blocked = None;
    sim.driver.report_now();
    assert_eq!(rows(&sim), 2, "one of it, too");
    sim.driver.check_storage();
}

#[test]
fn without_times_nothing_is_kept_for_them() {
    let mut sim = Simulation::start_with_ledger("interval 10s\ntarget web 192.0.2.1 1", |_| {});
    sim.run_until(25.0);
    sim.driver.report_now();
    sim.reload("interval 10s\ntimes on\ntarget web 192.0.2.1 1");
    sim.run_until(45.0);
    sim.driver.report_now();
    assert_eq!(rows(&sim), 1);
    sim.driver.check_storage();
}
