//! Scripted worlds of boxes without a clock: they begin in 1970, and somebody sets it, or nobody.

use crate::stage::Stage;

const WEB: &str = "interval 1m\ntarget web 192.0.2.1 1";
const SAID: &str = "0s say that reports wait, it is 1970-01-01 00:00:10";

fn reports(stage: &mut Stage, second: f64) -> Vec<String> {
    stage.until(second).into_iter().filter(|line| line.contains("report")).collect()
}

#[test]
fn what_was_counted_in_the_past_is_reported_at_the_next_boundary_of_the_right_clock() {
    let mut stage = Stage::open_clockless(WEB, false);
    // The boundary of 00:05:00 passes at 290 s.
    assert_eq!(reports(&mut stage, 299.0), [SAID]);
    stage.set_clock_to(120);
    assert_eq!(reports(&mut stage, 1000.0), ["479s report 14:35:00, web: 8 fast", "779s report 14:40:00, web: 5 fast"]);
}

#[test]
fn a_clock_that_is_set_within_three_minutes_costs_no_report() {
    let mut stage = Stage::open_clockless(WEB, true);
    stage.pass(180.5);
    stage.set_clock_to(120);
    stage.pass(361.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 6 fast"], "at 0 to 300 s");
}

#[test]
fn where_nobody_sets_the_clock_reports_go_by_it_after_a_quarter_of_an_hour() {
    let mut stage = Stage::open_clockless(WEB, false);
    assert_eq!(
        reports(&mut stage, 1500.0),
        [
            SAID,
            "900s report 00:15:00, web: 15 fast",
            "1190s report 00:20:00, web: 5 fast",
            "1490s report 00:25:00, web: 5 fast"
        ]
    );
    // It is set after all: its first boundary has what was counted since.
    stage.set_clock_to(120);
    assert_eq!(
        reports(&mut stage, 2000.0),
        ["1680s report 14:35:00, web: 3 fast", "1980s report 14:40:00, web: 5 fast"]
    );
    // And is set back again: nobody waits any more.
    stage.set_clock(-1_760_000_000);
    assert_eq!(reports(&mut stage, 2300.0).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_again_in_time_is_waited_for_again() {
    let mut stage = Stage::open_clockless(WEB, false);
    assert_eq!(reports(&mut stage, 60.0), [SAID]);
    stage.set_clock_to(120);
    stage.pass(100.0);
    stage.set_clock_to(-1_760_020_000);
    assert_eq!(reports(&mut stage, 700.0), ["100s say that reports wait, it is 1970-01-01 00:03:20"]);
    stage.set_clock_to(0);
    assert_eq!(reports(&mut stage, 1000.0), ["1000s report 14:35:00, web: 17 fast"]);
}

#[test]
fn a_clock_that_is_right_at_the_start_and_set_back_later_is_not_waited_for() {
    let mut stage = Stage::open_clockless(WEB, false);
    stage.set_clock_to(0);
    stage.pass(901.0);
    stage.heard();
    stage.set_clock_to(-1_760_020_000);
    assert_eq!(reports(&mut stage, 1200.0), ["1001s report 00:05:00, web: 2 fast"]);
}

#[test]
fn a_person_who_asks_gets_the_report_at_once_by_the_clock_as_it_is() {
    let mut stage = Stage::open_clockless(WEB, true);
    stage.pass(70.0);
    stage.driver.report_now();
    assert_eq!(stage.log(), ["01-01 00:01:20, web: 2 fast"]);
}

#[test]
fn a_run_that_ends_leaves_its_last_report_to_the_next_and_writes_it_where_nothing_is_kept() {
    let mut stage = Stage::open_clockless(WEB, false);
    stage.pass(70.0);
    stage.driver.stop();
    assert_eq!(reports(&mut stage, 70.0), [SAID, "70s report 00:01:20, web: 2 fast"]);

    let mut stage = Stage::open_clockless(WEB, true);
    stage.pass(400.0);
    stage.driver.stop();
    assert_eq!(stage.log(), Vec::<String>::new());
    stage.restart(WEB, 10.0);
    stage.set_clock_to(0);
    stage.pass(711.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 12 fast"], "7 of the first run, and at 410 to 710 s");
}

#[test]
fn a_process_that_is_killed_while_reports_wait_loses_nothing_whatever_the_clock_is_then() {
    let mut stage = Stage::open_clockless(WEB, true);
    stage.pass(299.0);
    stage.restart(WEB, 1.0);
    assert_eq!(stage.log(), Vec::<String>::new(), "no boundary of the wrong clock was missed");
    stage.pass(350.0);
    stage.driver.set_clock(1_760_020_200_000_000_000, 0, false);
    stage.restart(WEB, 10.0);
    assert_eq!(stage.log(), Vec::<String>::new());
    stage.pass(600.0);
    assert_eq!(stage.log(), ["10-09 14:40:00, web: 10 fast"], "at 0 to 240, 300, 360 to 540 s");
}

#[test]
fn a_report_that_was_missed_before_the_clock_was_lost_stands_under_its_own_moment() {
    let mut stage = Stage::open_clockless(WEB, true);
    stage.set_clock_to(0);
    stage.pass(119.0);
    // The box is started again, and knows no time.
    stage.driver.set_clock(-1_760_020_300_000_000_000, 0, false);
    stage.restart(WEB, 60.0);
    assert_eq!(stage.log(), ["10-09 14:35:00, web: 2 fast"]);
    stage.pass(200.0);
    stage.set_clock_to(400);
    stage.pass(401.0);
    assert_eq!(stage.log()[1..], ["10-09 14:40:00, web: 4 fast"], "at 179, 239, 299 and 359 s");
}
