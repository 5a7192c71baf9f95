//! Scripted simulations whose wall clock is set, or whose log cannot always be written.

use crate::simulation::Simulation;

const WEB: &str = "interval 1m\ntarget web 192.0.2.1 1";

const HOUR: i64 = 3600;

fn reports(sim: &mut Simulation, second: f64) -> Vec<String> {
    sim.lines_until(second).into_iter().filter(|line| line.contains("report")).collect()
}

#[test]
fn reports_fall_on_multiples_of_the_interval_and_go_before_the_ticks_of_that_moment() {
    let mut sim = Simulation::start(WEB, |_| {});
    assert_eq!(reports(&mut sim, 600.0), ["300s report 14:35:00, web: 5 fast", "600s report 14:40:00, web: 5 fast"]);
}

#[test]
fn a_report_that_cannot_be_written_goes_into_the_next() {
    let mut sim = Simulation::start(WEB, |world| world.disk_full = true);
    assert_eq!(
        reports(&mut sim, 610.0),
        ["300s report 14:35:00 cannot be written, web: 5 fast", "600s report 14:40:00 cannot be written, web: 10 fast"]
    );
    sim.driver.world.disk_full = false;
    assert_eq!(reports(&mut sim, 1200.0), ["900s report 14:45:00, web: 15 fast", "1200s report 14:50:00, web: 5 fast"]);
}

#[test]
fn a_clock_that_jumps_back_a_day_reports_the_day_again_and_loses_nothing() {
    let mut sim = Simulation::start(WEB, |_| {});
    assert_eq!(reports(&mut sim, 310.0), ["300s report 14:35:00, web: 5 fast"]);
    sim.set_clock(-24 * HOUR);
    assert_eq!(reports(&mut sim, 600.0), ["600s report 14:40:00, web: 5 fast"]);
    sim.driver.stop();
    assert_eq!(sim.counted("web"), "10 fast");
}

#[test]
fn a_clock_that_jumps_ahead_over_boundaries_reports_the_last_of_them_once() {
    let mut sim = Simulation::start(WEB, |_| {});
    sim.run_until(110.0);
    sim.set_clock(2 * HOUR);
    assert_eq!(
        reports(&mut sim, 600.0),
        ["110s report 16:30:00, web: 2 fast", "300s report 16:35:00, web: 3 fast", "600s report 16:40:00, web: 5 fast"]
    );
}

#[test]
fn a_clock_set_back_over_a_boundary_that_was_reported_reports_it_once() {
    let mut sim = Simulation::start(WEB, |_| {});
    sim.run_until(300.5);
    sim.set_clock(-2);
    assert_eq!(reports(&mut sim, 610.0), ["300s report 14:35:00, web: 5 fast", "602s report 14:40:00, web: 6 fast"]);
}

#[test]
fn a_clock_set_without_a_notice_moves_the_next_report_and_nothing_else() {
    let mut sim = Simulation::start(WEB, |_| {});
    sim.run_until(100.0);
    sim.driver.set_clock(-60_000_000_000, 0, false);
    // At the expected boundary the monitor finds the clock a minute behind.
    assert_eq!(reports(&mut sim, 400.0), ["360s report 14:35:00, web: 6 fast"]);
    sim.run_until(410.0);
    sim.driver.set_clock(120_000_000_000, 0, false);
    assert_eq!(reports(&mut sim, 700.0), ["660s report 14:40:00, web: 5 fast"]);
}

#[test]
fn midnight_is_reported_on_time_even_where_the_clock_went_back_over_the_boundary_before_it() {
    // Seven minutes do not divide the day: the last boundary before midnight is 23:55.
    let mut sim = Simulation::start("interval 1m\nreport 7m\ntarget web 192.0.2.1 1", |_| {});
    sim.set_clock(9 * HOUR + 24 * 60);
    assert_eq!(reports(&mut sim, 0.0), ["0s report 23:48:00, web: nothing"]);
    assert_eq!(reports(&mut sim, 70.0), ["60s report 23:55:00, web: 1 fast"]);
    sim.set_clock(-30);
    assert_eq!(reports(&mut sim, 500.0), ["390s report 00:00:00, web: 6 fast"]);
}

#[test]
fn a_report_that_is_asked_for_carries_the_time_and_moves_no_boundary() {
    let mut sim = Simulation::start(WEB, |_| {});
    sim.run_until(70.0);
    sim.driver.report_now();
    assert_eq!(reports(&mut sim, 300.0), ["70s report 14:31:10, web: 2 fast", "300s report 14:35:00, web: 3 fast"]);
}

#[test]
fn an_idle_monitor_sleeps_from_boundary_to_boundary() {
    let mut sim = Simulation::start("interval 1h\nreport 1h\ntarget web 192.0.2.1 1", |_| {});
    sim.run_until(1.0);
    assert_eq!(sim.driver.monitor.next_deadline().since(sim.driver.now()).secs(), 1799, "until 15:00");
    sim.run_until(1801.0);
    assert_eq!(sim.driver.monitor.next_deadline().since(sim.driver.now()).secs(), 1799, "until the next tick");
}

#[test]
fn a_boundary_that_local_time_leaves_out_is_reported_at_the_second_that_was_promised() {
    let promised = |sim: &Simulation| sim.driver.calendar.due() - sim.driver.wall().unix;
    let mut sim = Simulation::start("interval 1m\nreport 2h\ntarget web 192.0.2.1 1", |_| {});
    assert_eq!(reports(&mut sim, 5399.0), Vec::<String>::new());
    assert_eq!(promised(&sim), 1);
    // 16:00 becomes 17:00, as at the beginning of summer time.
    sim.driver.set_clock(0, 3600, false);
    assert_eq!(
        reports(&mut sim, 9000.0),
        ["5400s report 17:00:00, web: 90 fast", "9000s report 18:00:00, web: 60 fast"]
    );

    let mut sim = Simulation::start("interval 1m\nreport 24h\ntarget web 192.0.2.1 1", |_| {});
    sim.run_until(34_199.0);
    assert_eq!(promised(&sim), 1);
    // 00:00 becomes 01:00.
    sim.driver.set_clock(0, 3600, false);
    assert_eq!(
        reports(&mut sim, 117_000.0),
        ["34200s report 01:00:00, web: 570 fast", "117000s report 00:00:00, web: 1380 fast"]
    );
}

#[test]
fn a_boundary_that_passes_just_before_a_reload_changes_the_interval_is_reported() {
    let mut sim = Simulation::start(WEB, |_| {});
    sim.run_until(299.0);
    // The process is stopped, and finds the reload together with the boundary.
    sim.driver.sleep(crate::simulation::seconds(2.0));
    sim.reload("interval 1m\nreport 1h\ntarget web 192.0.2.1 1");
    assert_eq!(reports(&mut sim, 1800.0), ["301s report 14:35:00, web: 5 fast", "1800s report 15:00:00, web: 25 fast"]);
}
