//! Scripted worlds whose wall clock is set, and whose log cannot always be written.

use crate::stage::Stage;

const WEB: &str = "interval 1m\ntarget web 192.0.2.1 1";

const HOUR: i64 = 3600;

fn reports(stage: &mut Stage, second: f64) -> Vec<String> {
    stage.until(second).into_iter().filter(|line| line.contains("report")).collect()
}

#[test]
fn reports_fall_on_multiples_of_the_interval_and_go_before_the_ticks_of_that_moment() {
    let mut stage = Stage::open(WEB, |_| {});
    assert_eq!(reports(&mut stage, 600.0), ["300s report 14:35:00, web: 5 fast", "600s report 14:40:00, web: 5 fast"]);
}

#[test]
fn a_report_that_cannot_be_written_goes_into_the_next() {
    let mut stage = Stage::open(WEB, |world| world.disk_full = true);
    assert_eq!(
        reports(&mut stage, 610.0),
        ["300s report 14:35:00 cannot be written, web: 5 fast", "600s report 14:40:00 cannot be written, web: 10 fast"]
    );
    stage.driver.world.disk_full = false;
    assert_eq!(
        reports(&mut stage, 1200.0),
        ["900s report 14:45:00, web: 15 fast", "1200s report 14:50:00, web: 5 fast"]
    );
}

#[test]
fn a_clock_that_jumps_back_a_day_reports_the_day_again_and_loses_nothing() {
    let mut stage = Stage::open(WEB, |_| {});
    assert_eq!(reports(&mut stage, 310.0), ["300s report 14:35:00, web: 5 fast"]);
    stage.set_clock(-24 * HOUR);
    assert_eq!(reports(&mut stage, 600.0), ["600s report 14:40:00, web: 5 fast"]);
    stage.driver.stop();
    assert_eq!(stage.counted("web"), "10 fast");
}

#[test]
fn a_clock_that_jumps_ahead_over_boundaries_reports_the_last_of_them_once() {
    let mut stage = Stage::open(WEB, |_| {});
    stage.pass(110.0);
    stage.set_clock(2 * HOUR);
    assert_eq!(
        reports(&mut stage, 600.0),
        ["110s report 16:30:00, web: 2 fast", "300s report 16:35:00, web: 3 fast", "600s report 16:40:00, web: 5 fast"]
    );
}

#[test]
fn a_clock_that_is_put_right_by_a_second_over_a_boundary_reports_once() {
    let mut stage = Stage::open(WEB, |_| {});
    stage.pass(300.5);
    stage.set_clock(-2);
    assert_eq!(reports(&mut stage, 610.0), ["300s report 14:35:00, web: 5 fast", "602s report 14:40:00, web: 6 fast"]);
}

#[test]
fn a_clock_that_was_set_unseen_moves_the_next_report_and_nothing_else() {
    let mut stage = Stage::open(WEB, |_| {});
    stage.pass(100.0);
    stage.driver.set_clock(-60_000_000_000, 0, false);
    // At the boundary that was expected the clock turns out to be a minute behind.
    assert_eq!(reports(&mut stage, 400.0), ["360s report 14:35:00, web: 6 fast"]);
    stage.pass(410.0);
    stage.driver.set_clock(120_000_000_000, 0, false);
    assert_eq!(reports(&mut stage, 700.0), ["660s report 14:40:00, web: 5 fast"]);
}

#[test]
fn midnight_is_reported_on_time_even_where_the_clock_went_back_over_the_boundary_before_it() {
    // Seven minutes do not divide the day: the last boundary before midnight is 23:55.
    let mut stage = Stage::open("interval 1m\nreport 7m\ntarget web 192.0.2.1 1", |_| {});
    stage.set_clock(9 * HOUR + 24 * 60);
    assert_eq!(reports(&mut stage, 0.0), ["0s report 23:48:00, web: nothing"]);
    assert_eq!(reports(&mut stage, 70.0), ["60s report 23:55:00, web: 1 fast"]);
    stage.set_clock(-30);
    assert_eq!(reports(&mut stage, 500.0), ["390s report 00:00:00, web: 6 fast"]);
}

#[test]
fn a_report_that_is_asked_for_carries_the_time_and_moves_no_boundary() {
    let mut stage = Stage::open(WEB, |_| {});
    stage.pass(70.0);
    stage.driver.report_now();
    assert_eq!(reports(&mut stage, 300.0), ["70s report 14:31:10, web: 2 fast", "300s report 14:35:00, web: 3 fast"]);
}

#[test]
fn an_idle_monitor_sleeps_from_boundary_to_boundary() {
    let mut stage = Stage::open("interval 1h\nreport 1h\ntarget web 192.0.2.1 1", |_| {});
    stage.pass(1.0);
    assert_eq!(stage.driver.monitor.next_deadline().since(stage.driver.now()).secs(), 1799, "until 15:00");
    stage.pass(1801.0);
    assert_eq!(stage.driver.monitor.next_deadline().since(stage.driver.now()).secs(), 1799, "until the next tick");
}
