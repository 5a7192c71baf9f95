//! Scripted simulations of how a run ends.

use tcpmon::core::monitor::Span;

use crate::simulation::{Simulation, seconds};
use crate::world::{ConnectFate, LookupEnd};

const HANGS: &[ConnectFate] = &[ConnectFate::Hangs];

fn rounds(rounds: u32) -> Span {
    Span { rounds: Some(rounds), duration: None }
}

fn lasting(length: f64) -> Span {
    Span { rounds: None, duration: Some(seconds(length)) }
}

#[test]
fn stop_abandons_what_is_in_flight_and_reports() {
    let mut sim = Simulation::start("target web 192.0.2.1 1\ntarget db 192.0.2.2 2", |world| world.connects(1, HANGS));
    sim.run_until(11.0);
    sim.new_lines();
    sim.driver.stop();
    assert_eq!(sim.new_lines(), ["11s report 14:30:11, web: 4 failed, db: 6 fast", "11s finish"]);
    assert_eq!(sim.driver.monitor.in_flight(), 2, "the probes of 8 s and 10 s");
}

#[test]
fn a_last_report_that_cannot_be_written_does_not_delay_the_end() {
    let mut sim = Simulation::start("target web 192.0.2.1 1", |world| world.disk_full = true);
    sim.run_until(1.0);
    sim.new_lines();
    sim.driver.stop();
    assert_eq!(sim.new_lines(), ["1s report 14:30:01 cannot be written, web: 1 fast", "1s finish"]);
}

#[test]
fn rounds_end_the_run_after_every_probe_has_ended() {
    let mut sim = Simulation::start_for("target web 192.0.2.1 1\ntarget db 192.0.2.2 2", rounds(2), |world| {
        world.connects(1, HANGS);
    });
    sim.assert_lines(
        100.0,
        &[
            "0s connect web",
            "0s connect db",
            "2s connect web",
            "2s connect db",
            "5s drop connect web",
            "7s drop connect web",
            "7s report 14:30:07, web: 2 failed, db: 2 fast",
            "7s finish",
        ],
    );
}

#[test]
fn one_round_that_fails_at_once_ends_at_once() {
    let mut sim = Simulation::start_for("target web host.example 1", rounds(1), |world| {
        world.lookups(1, &[LookupEnd::Answers { elapsed: seconds(0.0), transit: seconds(0.0), addresses: 0 }]);
    });
    sim.assert_lines(0.0, &["0s lookup web", "0s report 14:30:00, web: 1 without address", "0s finish"]);
}

#[test]
fn a_stopped_process_has_fewer_probes_in_its_rounds_and_ends_all_the_same() {
    let mut sim = Simulation::start_for("target web 192.0.2.1 1", rounds(10), |_| {});
    sim.run_until(3.0);
    sim.sleep(60.0);
    sim.run_until(64.0);
    assert!(sim.driver.finished);
    assert_eq!(sim.counted("web"), "3 fast");
}

#[test]
fn a_duration_ends_the_run_after_the_last_probe() {
    let mut sim = Simulation::start_for("target web 192.0.2.1 1", lasting(4.0), |world| world.connects(1, HANGS));
    sim.assert_lines(
        100.0,
        &[
            "0s connect web",
            "2s connect web",
            "5s drop connect web",
            "7s drop connect web",
            "7s report 14:30:07, web: 2 failed",
            "7s finish",
        ],
    );
}

#[test]
fn a_run_whose_probes_end_early_lasts_its_whole_duration() {
    let mut sim = Simulation::start_for("interval 1m\ntarget web 192.0.2.1 1", lasting(30.0), |_| {});
    sim.assert_lines(100.0, &["0s connect web", "30s report 14:30:30, web: 1 fast", "30s finish"]);
}

#[test]
fn a_duration_that_ends_on_a_boundary_reports_once() {
    let mut sim = Simulation::start_for("interval 1m\ntarget web 192.0.2.1 1", lasting(300.0), |_| {});
    let reports: Vec<String> = sim.lines_until(400.0).into_iter().filter(|line| line.contains("report")).collect();
    assert_eq!(reports, ["300s report 14:35:00, web: 5 fast"]);
}
