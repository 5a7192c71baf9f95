//! Scripted simulations in which the process is killed and started again.

use crate::kill_plan::{Kill, KillPoint};
use crate::simulation::Simulation;
use crate::world::ConnectFate;
use tcpmon::base::time::Nanos;
use tcpmon::model::reason::Reason;

const WEB: &str = "interval 1m\ntarget web 192.0.2.1 1";
const TWO: &str = "interval 1m\ntarget web 192.0.2.1 1\ntarget db 192.0.2.2 2";

const FAST: ConnectFate = ConnectFate::Accepted { after: Nanos::from_millis(10) };
const REFUSED: ConnectFate = ConnectFate::Fails { after: Nanos::from_millis(10), reason: Reason::Refused };

const HOUR: i64 = 3600;

#[test]
fn a_kill_costs_what_is_in_flight_and_nothing_that_was_counted() {
    let mut sim =
        Simulation::start_with_ledger(WEB, |world| world.connects(1, &[FAST, FAST, ConnectFate::Hangs, FAST]));
    sim.run_until(121.0);
    assert_eq!(sim.driver.monitor.in_flight(), 1);
    sim.restart(WEB, 9.0);
    sim.run_until(299.0);
    assert_eq!(sim.log(), Vec::<String>::new(), "the boundary has not passed");
    sim.run_until(301.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 5 fast"], "at 0, 60, 130, 190 and 250 s");
}

#[test]
fn after_a_kill_before_the_write_the_next_run_writes_the_report_with_its_own_stamp() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.kill_at(KillPoint::Write, 301.0);
    assert_eq!(sim.log(), Vec::<String>::new());
    sim.restart(WEB, 20.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 5 fast"]);
    sim.run_until(601.0);
    assert_eq!(sim.log()[1..], ["10-09 14:40:00, web: 5 fast"], "at 320, 380, 440, 500 and 560 s");
}

#[test]
fn a_kill_during_the_write_leaves_no_half_report() {
    let mut sim = Simulation::start_with_ledger(TWO, |_| {});
    sim.kill_at(KillPoint::WriteRest, 301.0);
    sim.restart(TWO, 20.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 5 fast, db: 5 fast"]);
}

#[test]
fn a_kill_between_the_write_and_its_journal_entry_reports_nothing_twice() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.kill_at(KillPoint::Written, 301.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 5 fast"]);
    sim.restart(WEB, 400.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 5 fast"]);
    sim.run_until(701.0);
    sim.driver.stop();
    assert_eq!(sim.log()[1..], ["10-09 14:41:41, web: 1 fast"]);
}

#[test]
fn a_kill_between_the_journal_entry_and_the_counters_reports_nothing_twice() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.kill_at(KillPoint::Reported, 301.0);
    sim.restart(WEB, 400.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 5 fast"]);
}

#[test]
fn an_interrupted_report_that_was_asked_for_keeps_its_stamp_through_another_kill() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.run_until(70.0);
    sim.driver.plan_kill(Kill::At(KillPoint::WriteRest, 0), false);
    assert!(!sim.driver.survives(|driver| driver.report_now()));
    assert!(!sim.restart_with_kill(WEB, 20.0, Kill::At(KillPoint::BeginReport, 0), false));
    sim.restart(WEB, 20.0);
    assert_eq!(sim.log(), ["10-09 14:31:10, web: 2 fast"]);
}

#[test]
fn any_two_kills_in_a_row_end_in_one_report() {
    let during =
        [KillPoint::BeginReport, KillPoint::Write, KillPoint::WriteRest, KillPoint::Written, KillPoint::Reported];
    let after = [
        KillPoint::Recover,
        KillPoint::BeginReport,
        KillPoint::Write,
        KillPoint::WriteRest,
        KillPoint::Written,
        KillPoint::MarkReported,
        KillPoint::EndReport,
        KillPoint::BeginRun,
    ];
    for first in during {
        for second in after {
            for within in [false, true].repeat(4) {
                let mut sim = Simulation::start_with_ledger(TWO, |_| {});
                sim.driver.plan_kill(Kill::At(first, 0), within);
                assert!(!sim.driver.survives(|driver| driver.report_now()), "{first:?}");
                sim.restart_with_kill(TWO, 1.0, Kill::At(second, 0), within);
                sim.restart(TWO, 1.0);
                sim.restart(TWO, 1000.0);
                sim.driver.check_storage();
            }
        }
    }
}

#[test]
fn a_report_missed_overnight_is_written_with_the_stamp_of_midnight() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.set_clock(9 * HOUR + 27 * 60);
    sim.run_until(61.0);
    let until_eight = 8.0 * 3600.0;
    sim.restart(WEB, until_eight);
    let log = sim.log();
    assert_eq!(log.last().map(String::as_str), Some("10-10 00:00:00, web: 2 fast"), "{log:?}");
}

#[test]
fn where_the_clock_was_set_back_the_boundary_is_still_to_come() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.run_until(299.0);
    sim.driver.set_clock(-200_000_000_000, 0, false);
    sim.restart(WEB, 10.0);
    assert_eq!(sim.log(), Vec::<String>::new());
    sim.run_until(501.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 9 fast"]);
}

#[test]
fn nothing_is_written_where_there_is_nothing_unreported() {
    let mut sim = Simulation::start_with_ledger(WEB, |world| {
        world.connects(1, &[FAST, FAST, FAST, FAST, FAST, ConnectFate::Hangs])
    });
    sim.run_until(301.0);
    assert_eq!(sim.log().len(), 1);
    sim.restart(WEB, 100_000.0);
    assert_eq!(sim.log().len(), 1);
}

#[test]
fn after_a_clean_end_the_next_run_has_no_report_to_write() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.run_until(100.0);
    assert!(sim.driver.monitor.ledger().is_running());
    sim.driver.stop();
    assert!(!sim.driver.monitor.ledger().is_running());
    sim.restart(WEB, 1000.0);
    assert_eq!(sim.log(), ["10-09 14:31:40, web: 2 fast"]);
}

#[test]
fn the_last_report_that_could_not_be_written_is_written_by_the_next_run() {
    let mut sim = Simulation::start_with_ledger(WEB, |world| world.disk_full = true);
    sim.run_until(100.0);
    sim.driver.stop();
    sim.driver.world.disk_full = false;
    sim.restart(WEB, 1000.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 2 fast"]);
}

#[test]
fn a_target_removed_while_the_monitor_was_down_gets_one_last_report() {
    let mut sim = Simulation::start_with_ledger(TWO, |_| {});
    sim.run_until(119.0);
    sim.restart(WEB, 1.0);
    sim.run_until(601.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 5 fast, db: 2 fast", "10-09 14:40:00, web: 5 fast"]);
}

#[test]
fn targets_are_found_again_in_another_order_and_beside_new_ones() {
    let mut sim = Simulation::start_with_ledger(TWO, |world| world.connects(2, &[REFUSED]));
    sim.run_until(119.0);
    let more = "interval 1m\ntarget mail 192.0.2.3 3\ntarget db 192.0.2.2 2\ntarget web 192.0.2.1 1\n\
                target web 192.0.2.4 1\ntarget web 192.0.2.1 5\ntarget www 192.0.2.1 1";
    sim.restart(more, 1.0);
    sim.driver.stop();
    let row = "10-09 14:31:59, mail: nothing, db: 2 failed, web: 2 fast, web: nothing, web: nothing, www: nothing";
    let log = sim.log();
    assert_eq!(log, [row.replace("14:31:59", "14:32:00")], "another host, port or service is another target");
}

#[test]
fn repeated_targets_keep_their_own_counts() {
    let once = "interval 1m\ntarget web 192.0.2.1 1";
    let twice = "interval 1m\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1";
    let thrice = "interval 1m\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1";
    let mut sim =
        Simulation::start_with_ledger(twice, |world| world.connects(1, &[FAST, REFUSED, FAST, REFUSED, REFUSED]));
    sim.run_until(119.0);
    sim.restart(twice, 1.0);
    sim.driver.stop();
    assert_eq!(sim.log(), ["10-09 14:32:00, web: 2 fast, web: 2 failed"]);

    let mut sim =
        Simulation::start_with_ledger(twice, |world| world.connects(1, &[FAST, REFUSED, FAST, REFUSED, REFUSED]));
    sim.run_until(119.0);
    sim.restart(thrice, 0.5);
    sim.restart(once, 0.5);
    sim.driver.report_now();
    assert_eq!(sim.log(), ["10-09 14:32:00, web: 2 fast, web: 2 failed"], "the first stays, the second is removed");
}

#[test]
fn of_repeated_targets_the_first_continues_with_the_counts_of_the_first_whatever_its_record() {
    let first = "interval 1m\ntarget db 192.0.2.2 2\ntarget web 192.0.2.1 1";
    let twice = "interval 1m\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1";
    // The second web gets the free record of db, which lies before that of the first.
    let mut sim = Simulation::start_with_ledger(first, |world| world.connects(1, &[FAST, FAST, REFUSED]));
    sim.run_until(1.0);
    sim.driver.report_now();
    sim.reload("interval 1m\ntarget web 192.0.2.1 1");
    sim.run_until(61.0);
    sim.reload(twice);
    sim.run_until(62.0);
    sim.restart(twice, 0.5);
    sim.driver.report_now();
    let log = sim.log();
    assert_eq!(log.last().map(|line| &line[16..]), Some("web: 1 fast, web: 1 failed"), "{log:?}");
}

#[test]
fn what_was_sorted_by_other_thresholds_is_reported_before_it_mixes() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.run_until(119.0);
    sim.restart("interval 1m\ntimeout 3s\ntarget web 192.0.2.1 1", 11.0);
    assert_eq!(sim.log(), ["10-09 14:32:10, web: 2 fast"]);
    sim.run_until(301.0);
    assert_eq!(sim.log()[1..], ["10-09 14:35:00, web: 3 fast"]);
}

#[test]
fn another_report_interval_does_not_move_the_boundary_that_was_missed() {
    let mut sim = Simulation::start_with_ledger(WEB, |_| {});
    sim.run_until(119.0);
    let hourly = "interval 1m\nreport 1h\ntarget web 192.0.2.1 1";
    sim.restart(hourly, 3600.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 2 fast"]);
    sim.run_until(5401.0);
    assert_eq!(sim.log()[1..], ["10-09 16:00:00, web: 29 fast"]);
}
