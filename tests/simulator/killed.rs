//! Scripted worlds in which the process is killed and started again.

use crate::fuse::{Burns, Step};
use crate::stage::Stage;
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
    let mut stage = Stage::open_kept(WEB, |world| world.connects(1, &[FAST, FAST, ConnectFate::Hangs, FAST]));
    stage.pass(121.0);
    assert_eq!(stage.driver.monitor.in_flight(), 1);
    stage.restart(WEB, 9.0);
    stage.pass(299.0);
    assert_eq!(stage.log(), Vec::<String>::new(), "the boundary has not passed");
    stage.pass(301.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 5 fast"], "at 0, 60, 130, 190 and 250 s");
}

#[test]
fn a_kill_before_the_write_is_made_up_for_under_the_reports_own_stamp() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.kill_at(Step::Write, 301.0);
    assert_eq!(stage.log(), Vec::<String>::new());
    stage.restart(WEB, 20.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 5 fast"]);
    stage.pass(601.0);
    assert_eq!(stage.log()[1..], ["10-09 14:40:00, web: 5 fast"], "at 320, 380, 440, 500 and 560 s");
}

#[test]
fn a_kill_in_the_midst_of_the_write_leaves_no_half_report() {
    let mut stage = Stage::open_kept(TWO, |_| {});
    stage.kill_at(Step::Rest, 301.0);
    stage.restart(TWO, 20.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 5 fast, db: 5 fast"]);
}

#[test]
fn a_kill_between_the_write_and_its_note_reports_nothing_twice() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.kill_at(Step::Note, 301.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 5 fast"]);
    stage.restart(WEB, 400.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 5 fast"]);
    stage.pass(701.0);
    stage.driver.stop();
    assert_eq!(stage.log()[1..], ["10-09 14:41:41, web: 1 fast"]);
}

#[test]
fn a_kill_between_the_note_and_the_counters_reports_nothing_twice() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.kill_at(Step::Tell, 301.0);
    stage.restart(WEB, 400.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 5 fast"]);
}

#[test]
fn an_interrupted_report_that_was_asked_for_keeps_its_stamp_through_another_kill() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.pass(70.0);
    stage.driver.light(Burns::At(Step::Rest, 0), false);
    assert!(!stage.driver.outlives(|driver| driver.report_now()));
    assert!(!stage.restart_to(WEB, 20.0, Burns::At(Step::Begin, 0), false));
    stage.restart(WEB, 20.0);
    assert_eq!(stage.log(), ["10-09 14:31:10, web: 2 fast"]);
}

#[test]
fn any_two_kills_in_a_row_end_in_one_report() {
    let during = [Step::Begin, Step::Write, Step::Rest, Step::Note, Step::Tell];
    let after = [Step::Settle, Step::Begin, Step::Write, Step::Rest, Step::Note, Step::Mark, Step::End, Step::Run];
    for first in during {
        for second in after {
            for within in [false, true].repeat(4) {
                let mut stage = Stage::open_kept(TWO, |_| {});
                stage.driver.light(Burns::At(first, 0), within);
                assert!(!stage.driver.outlives(|driver| driver.report_now()), "{first:?}");
                stage.restart_to(TWO, 1.0, Burns::At(second, 0), within);
                stage.restart(TWO, 1.0);
                stage.restart(TWO, 1000.0);
                stage.driver.check_estate();
            }
        }
    }
}

#[test]
fn a_report_missed_overnight_stands_under_midnight() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.set_clock(9 * HOUR + 27 * 60);
    stage.pass(61.0);
    let until_eight = 8.0 * 3600.0;
    stage.restart(WEB, until_eight);
    let log = stage.log();
    assert_eq!(log.last().map(String::as_str), Some("10-10 00:00:00, web: 2 fast"), "{log:?}");
}

#[test]
fn where_the_clock_was_set_back_the_boundary_is_still_to_come() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.pass(299.0);
    stage.driver.set_clock(-200_000_000_000, 0, false);
    stage.restart(WEB, 10.0);
    assert_eq!(stage.log(), Vec::<String>::new());
    stage.pass(501.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 9 fast"]);
}

#[test]
fn nothing_is_written_where_there_is_nothing_unreported() {
    let mut stage =
        Stage::open_kept(WEB, |world| world.connects(1, &[FAST, FAST, FAST, FAST, FAST, ConnectFate::Hangs]));
    stage.pass(301.0);
    assert_eq!(stage.log().len(), 1);
    stage.restart(WEB, 100_000.0);
    assert_eq!(stage.log().len(), 1);
}

#[test]
fn a_run_that_has_come_to_its_end_leaves_nothing_to_be_made_up_for() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.pass(100.0);
    assert!(stage.driver.monitor.ledger().is_running());
    stage.driver.stop();
    assert!(!stage.driver.monitor.ledger().is_running());
    stage.restart(WEB, 1000.0);
    assert_eq!(stage.log(), ["10-09 14:31:40, web: 2 fast"]);
}

#[test]
fn the_last_report_that_could_not_be_written_is_written_by_the_next_run() {
    let mut stage = Stage::open_kept(WEB, |world| world.disk_full = true);
    stage.pass(100.0);
    stage.driver.stop();
    stage.driver.world.disk_full = false;
    stage.restart(WEB, 1000.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 2 fast"]);
}

#[test]
fn a_target_that_went_while_the_monitor_was_down_is_reported_once_more() {
    let mut stage = Stage::open_kept(TWO, |_| {});
    stage.pass(119.0);
    stage.restart(WEB, 1.0);
    stage.pass(601.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 5 fast, db: 2 fast", "10-09 14:40:00, web: 5 fast"]);
}

#[test]
fn targets_are_found_again_in_another_order_and_beside_new_ones() {
    let mut stage = Stage::open_kept(TWO, |world| world.connects(2, &[REFUSED]));
    stage.pass(119.0);
    let more = "interval 1m\ntarget mail 192.0.2.3 3\ntarget db 192.0.2.2 2\ntarget web 192.0.2.1 1\n\
                target web 192.0.2.4 1\ntarget web 192.0.2.1 5\ntarget www 192.0.2.1 1";
    stage.restart(more, 1.0);
    stage.driver.stop();
    let row = "10-09 14:31:59, mail: nothing, db: 2 failed, web: 2 fast, web: nothing, web: nothing, www: nothing";
    let log = stage.log();
    assert_eq!(log, [row.replace("14:31:59", "14:32:00")], "another host, port or service is another target");
}

#[test]
fn repeated_targets_keep_their_own_counts() {
    let once = "interval 1m\ntarget web 192.0.2.1 1";
    let twice = "interval 1m\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1";
    let thrice = "interval 1m\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1";
    let mut stage = Stage::open_kept(twice, |world| world.connects(1, &[FAST, REFUSED, FAST, REFUSED, REFUSED]));
    stage.pass(119.0);
    stage.restart(twice, 1.0);
    stage.driver.stop();
    assert_eq!(stage.log(), ["10-09 14:32:00, web: 2 fast, web: 2 failed"]);

    let mut stage = Stage::open_kept(twice, |world| world.connects(1, &[FAST, REFUSED, FAST, REFUSED, REFUSED]));
    stage.pass(119.0);
    stage.restart(thrice, 0.5);
    stage.restart(once, 0.5);
    stage.driver.report_now();
    assert_eq!(stage.log(), ["10-09 14:32:00, web: 2 fast, web: 2 failed"], "the first stays, the second is gone");
}

#[test]
fn of_repeated_targets_the_first_goes_on_with_the_first_wherever_that_is_kept() {
    let first = "interval 1m\ntarget db 192.0.2.2 2\ntarget web 192.0.2.1 1";
    let twice = "interval 1m\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1";
    // The place of db is free for the second web, before that of the first.
    let mut stage = Stage::open_kept(first, |world| world.connects(1, &[FAST, FAST, REFUSED]));
    stage.pass(1.0);
    stage.driver.report_now();
    stage.reload("interval 1m\ntarget web 192.0.2.1 1");
    stage.pass(61.0);
    stage.reload(twice);
    stage.pass(62.0);
    stage.restart(twice, 0.5);
    stage.driver.report_now();
    let log = stage.log();
    assert_eq!(log.last().map(|line| &line[16..]), Some("web: 1 fast, web: 1 failed"), "{log:?}");
}

#[test]
fn what_was_sorted_by_other_thresholds_is_reported_before_it_mixes() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.pass(119.0);
    stage.restart("interval 1m\ntimeout 3s\ntarget web 192.0.2.1 1", 11.0);
    assert_eq!(stage.log(), ["10-09 14:32:10, web: 2 fast"]);
    stage.pass(301.0);
    assert_eq!(stage.log()[1..], ["10-09 14:35:00, web: 3 fast"]);
}

#[test]
fn another_report_interval_does_not_move_the_boundary_that_was_missed() {
    let mut stage = Stage::open_kept(WEB, |_| {});
    stage.pass(119.0);
    let hourly = "interval 1m\nreport 1h\ntarget web 192.0.2.1 1";
    stage.restart(hourly, 3600.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 2 fast"]);
    stage.pass(5401.0);
    assert_eq!(stage.log()[1..], ["10-09 16:00:00, web: 29 fast"]);
}
