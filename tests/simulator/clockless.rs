//! Scripted simulations of boxes without a real-time clock: their wall clock starts in 1970 and is set
//! later, or never.

use crate::simulation::Simulation;

const WEB: &str = "interval 1m\ntarget web 192.0.2.1 1";
const SAID: &str = "0s say that reports wait, it is 1970-01-01 00:00:10";

fn reports(sim: &mut Simulation, second: f64) -> Vec<String> {
    sim.lines_until(second).into_iter().filter(|line| line.contains("report")).collect()
}

#[test]
fn what_was_counted_before_the_clock_was_set_is_reported_at_its_next_boundary() {
    let mut sim = Simulation::start_without_clock(WEB, false);
    // The boundary of 00:05:00 passes at 290 s.
    assert_eq!(reports(&mut sim, 299.0), [SAID]);
    sim.set_clock_to(120);
    assert_eq!(reports(&mut sim, 1000.0), ["479s report 14:35:00, web: 8 fast", "779s report 14:40:00, web: 5 fast"]);
}

#[test]
fn a_clock_that_is_set_within_three_minutes_costs_no_report() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.run_until(180.5);
    sim.set_clock_to(120);
    sim.run_until(361.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 6 fast"], "at 0 to 300 s");
}

#[test]
fn a_clock_that_is_never_set_is_used_for_reports_after_fifteen_minutes() {
    let mut sim = Simulation::start_without_clock(WEB, false);
    assert_eq!(
        reports(&mut sim, 1500.0),
        [
            SAID,
            "900s report 00:15:00, web: 15 fast",
            "1190s report 00:20:00, web: 5 fast",
            "1490s report 00:25:00, web: 5 fast"
        ]
    );
    // It is set after all: the report of its first boundary has what was counted since.
    sim.set_clock_to(120);
    assert_eq!(reports(&mut sim, 2000.0), ["1680s report 14:35:00, web: 3 fast", "1980s report 14:40:00, web: 5 fast"]);
    // It is set back again: after the 15 minutes reports do not wait.
    sim.set_clock(-1_760_000_000);
    assert_eq!(reports(&mut sim, 2300.0).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_again_in_time_is_waited_for_again() {
    let mut sim = Simulation::start_without_clock(WEB, false);
    assert_eq!(reports(&mut sim, 60.0), [SAID]);
    sim.set_clock_to(120);
    sim.run_until(100.0);
    sim.set_clock_to(-1_760_020_000);
    assert_eq!(reports(&mut sim, 700.0), ["100s say that reports wait, it is 1970-01-01 00:03:20"]);
    sim.set_clock_to(0);
    assert_eq!(reports(&mut sim, 1000.0), ["1000s report 14:35:00, web: 17 fast"]);
}

#[test]
fn a_clock_that_is_right_at_the_start_and_set_back_later_is_not_waited_for() {
    let mut sim = Simulation::start_without_clock(WEB, false);
    sim.set_clock_to(0);
    sim.run_until(901.0);
    sim.new_lines();
    sim.set_clock_to(-1_760_020_000);
    assert_eq!(reports(&mut sim, 1200.0), ["1001s report 00:05:00, web: 2 fast"]);
}

#[test]
fn a_report_that_is_asked_for_does_not_wait_for_the_clock() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.run_until(70.0);
    sim.driver.report_now();
    assert_eq!(sim.log(), ["01-01 00:01:20, web: 2 fast"]);
}

#[test]
fn a_run_that_ends_leaves_its_last_report_to_the_next_or_writes_it_without_a_ledger() {
    let mut sim = Simulation::start_without_clock(WEB, false);
    sim.run_until(70.0);
    sim.driver.stop();
    assert_eq!(reports(&mut sim, 70.0), [SAID, "70s report 00:01:20, web: 2 fast"]);

    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.run_until(400.0);
    sim.driver.stop();
    assert_eq!(sim.log(), Vec::<String>::new());
    sim.restart(WEB, 10.0);
    sim.set_clock_to(0);
    sim.run_until(711.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 12 fast"], "7 of the first run, and at 410 to 710 s");
}

#[test]
fn a_process_that_is_killed_while_reports_wait_loses_nothing_whatever_the_clock_is_then() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.run_until(299.0);
    sim.restart(WEB, 1.0);
    assert_eq!(sim.log(), Vec::<String>::new(), "no boundary of the wrong clock was missed");
    sim.run_until(350.0);
    sim.driver.set_clock(1_760_020_200_000_000_000, 0, false);
    sim.restart(WEB, 10.0);
    assert_eq!(sim.log(), Vec::<String>::new());
    sim.run_until(600.0);
    assert_eq!(sim.log(), ["10-09 14:40:00, web: 10 fast"], "at 0 to 240, 300, 360 to 540 s");
}

#[test]
fn a_report_missed_before_the_clock_was_lost_is_written_with_its_own_stamp() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.set_clock_to(0);
    sim.run_until(119.0);
    // The box is restarted and its clock is wrong again.
    sim.driver.set_clock(-1_760_020_300_000_000_000, 0, false);
    sim.restart(WEB, 60.0);
    assert_eq!(sim.log(), ["10-09 14:35:00, web: 2 fast"]);
    sim.run_until(200.0);
    sim.set_clock_to(400);
    sim.run_until(401.0);
    assert_eq!(sim.log()[1..], ["10-09 14:40:00, web: 4 fast"], "at 179, 239, 299 and 359 s");
}
