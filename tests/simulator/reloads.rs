//! Scripted simulations with reloads of the configuration.

use tcpmon::core::monitor::Changes;

use crate::simulation::Simulation;
use crate::world::ConnectFate;

const TWO: &str = "interval 1m\ntarget web 192.0.2.1 1\ntarget db 192.0.2.2 2";
const WEB: &str = "interval 1m\ntarget web 192.0.2.1 1";

#[test]
fn a_removed_target_gets_one_last_report() {
    let mut sim = Simulation::start(TWO, |_| {});
    sim.run_until(119.0);
    assert_eq!(sim.reload(WEB), Some(Changes { kept: 1, changed: 0, added: 0, removed: 1 }));
    let reports: Vec<String> = sim.lines_until(899.0).into_iter().filter(|line| line.contains("report")).collect();
    assert_eq!(reports, ["300s report 14:35:00, web: 5 fast, db: 2 fast", "600s report 14:40:00, web: 5 fast"]);
}

#[test]
fn a_removed_target_with_a_probe_in_flight_is_reported_when_the_probe_has_ended() {
    let text = "interval 3m\ntimeout 100s\ntarget web 192.0.2.1 1\ntarget db 192.0.2.2 2";
    let mut sim = Simulation::start(text, |world| world.connects(2, &[ConnectFate::Hangs]));
    sim.run_until(250.0);
    sim.reload("interval 3m\ntimeout 90s\ntarget web 192.0.2.1 1");
    assert_eq!(sim.driver.monitor.in_flight(), 1, "the probe of db");
    let reports: Vec<String> = sim.lines_until(899.0).into_iter().filter(|line| line.contains("db")).collect();
    assert_eq!(
        reports,
        [
            "0s connect db",
            "100s drop connect db",
            "180s connect db",
            // The limits change: what was counted under the old ones is reported at once.
            "250s report 14:34:10, web: 2 fast, db: 1 failed",
            // The limit in force is the new one.
            "270s drop connect db",
            "300s report 14:35:00, web: nothing, db: 1 failed",
        ]
    );
}

#[test]
fn a_target_that_stays_keeps_its_counts_and_its_grid() {
    let mut sim = Simulation::start(WEB, |_| {});
    sim.run_until(100.0);
    assert_eq!(sim.reload(TWO), Some(Changes { kept: 1, changed: 0, added: 1, removed: 0 }));
    sim.assert_lines(
        160.0,
        &["0s connect web", "60s connect web", "100s connect db", "120s connect web", "160s connect db"],
    );
    assert_eq!((sim.counted("web").as_str(), sim.counted("db").as_str()), ("3 fast", "1 fast"));
}

#[test]
fn a_target_that_comes_back_before_its_last_report_continues_with_its_counts() {
    let mut sim = Simulation::start(TWO, |_| {});
    sim.run_until(100.0);
    sim.reload(WEB);
    sim.run_until(150.0);
    assert_eq!(sim.reload(TWO), Some(Changes { kept: 1, changed: 0, added: 1, removed: 0 }));
    let lines = sim.lines_until(300.0);
    assert_eq!(lines.last().map(String::as_str), Some("300s connect web"), "{lines:?}");
    assert!(lines.contains(&"300s report 14:35:00, web: 5 fast, db: 5 fast".into()), "{lines:?}");
}

#[test]
fn another_interval_starts_another_grid() {
    let mut sim = Simulation::start(WEB, |_| {});
    sim.run_until(50.0);
    sim.reload("interval 7s\ntarget web 192.0.2.1 1");
    sim.assert_lines(60.0, &["0s connect web", "50s connect web", "57s connect web"]);
}

#[test]
fn a_target_with_other_options_is_the_same_target() {
    let mut sim = Simulation::start(TWO, |_| {});
    let changes = sim.reload("interval 1m\ntarget web 192.0.2.1 1 interval 7s\ntarget db 192.0.2.2 2");
    assert_eq!(changes, Some(Changes { kept: 2, changed: 1, added: 0, removed: 0 }));
}

#[test]
fn a_service_that_is_listed_twice_has_two_rows() {
    let twice = "interval 1m\ntarget web 192.0.2.1 1\ntarget web 192.0.2.1 1";
    let mut sim = Simulation::start(twice, |_| {});
    sim.lines_until(299.0);
    sim.assert_lines(
        300.0,
        &["300s report 14:35:00, web: 5 fast, web: 5 fast", "300s connect web", "300s connect web"],
    );
    assert_eq!(sim.reload(WEB), Some(Changes { kept: 1, changed: 0, added: 0, removed: 1 }));
    assert_eq!(sim.reload(twice), Some(Changes { kept: 1, changed: 0, added: 1, removed: 0 }));
}

#[test]
fn a_reload_while_probes_are_in_flight_forgets_none_of_them() {
    let mut sim = Simulation::start("target a 192.0.2.1 1\ntarget b 192.0.2.2 2", |world| {
        (1..=4).for_each(|port| world.connects(port, &[ConnectFate::Hangs]));
    });
    let swap = ["target c 192.0.2.3 3\ntarget d 192.0.2.4 4", "target a 192.0.2.1 1\ntarget b 192.0.2.2 2"];
    for second in 1..100_u32 {
        sim.run_until(f64::from(second) * 1.5);
        sim.reload(swap[(second % 2) as usize]);
    }
    sim.driver.stop();
}
