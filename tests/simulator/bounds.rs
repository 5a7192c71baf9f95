//! Scripted worlds that fill the fixed tables, and a run of one simulated year.

use std::fmt::Write;

use tcpmon::base::limits;
use tcpmon::model::reason::Shortage;
use tcpmon::sys::clock;

use crate::simulation::Simulation;
use crate::world::{ConnectFate, LookupEnd};

const HANGS: &[ConnectFate] = &[ConnectFate::Hangs];

/// As many literals as the configuration allows, with ports from `first` on.
fn literals(settings: &str, first: usize) -> String {
    let mut text = format!("{settings}\n");
    for port in first..first + limits::TARGETS {
        let _ = writeln!(text, "target t{port} 192.0.2.1 {port}");
    }
    text
}

#[test]
fn as_many_targets_as_fit_are_all_probed_at_every_tick_when_they_all_hang() {
    let text = literals("interval 2s\ntimeout 5s\nspread on", 1);
    let mut sim = Simulation::start(&text, |world| {
        world.quiet = true;
        (1..=1024).for_each(|port| world.connects(port, HANGS));
    });
    sim.run_until(66.0);
    sim.driver.book.audit(&sim.driver.monitor);
    for entry in sim.driver.monitor.live() {
        let counted = entry.tally.counted().columns();
        assert_eq!((counted.conn_failed, counted.total, entry.skipped), (counted.total, counted.total, 0));
        assert!((30..=31).contains(&counted.total), "{counted:?}");
    }
    let in_flight = sim.driver.monitor.in_flight();
    assert!((2 * 1024..=3 * 1024).contains(&in_flight), "{in_flight}");
}

#[test]
fn as_many_names_as_fit_share_the_helpers_when_no_resolver_answers() {
    let mut text = String::from("interval 10s\nspread on\nhelpers 64\n");
    (1..=1024).for_each(|i| {
        let _ = writeln!(text, "target t{i} host-{i}.example {i}");
    });
    let mut sim = Simulation::start(&text, |world| {
        world.quiet = true;
        (1..=1024).for_each(|port| world.lookups(port, &[LookupEnd::Hangs]));
    });
    sim.run_until(800.0);
    // 64 helpers, five seconds each: each target gets a helper every 80 s.
    sim.driver.book.audit(&sim.driver.monitor);
    for entry in sim.driver.monitor.live() {
        let total = entry.tally.counted().columns().total;
        assert!((9..=10).contains(&total), "{}: {total}", entry.target.service);
    }
}

#[test]
fn by_default_there_are_helpers_for_every_tick_while_no_resolver_answers() {
    // The names, and the interval and the timeout in milliseconds.
    for (names, interval, timeout) in [(100, 2000, 5000), (100, 2500, 5000), (512, 5000, 5000), (1, 10, 5000)] {
        let mut text = format!("interval {interval}ms\ntimeout {timeout}ms\n");
        (1..=names).for_each(|i| {
            let _ = writeln!(text, "target t{i} host-{i}.example {i}");
        });
        let mut sim = Simulation::start(&text, |world| {
            world.quiet = true;
            (1..=names).for_each(|port| world.lookups(port, &[LookupEnd::Hangs]));
        });
        sim.run_until(60.0);
        for entry in sim.driver.monitor.live() {
            let failed = entry.tally.counted().columns().dns_fail;
            let expected = (60_000 - timeout) / interval + 1;
            assert_eq!((failed, entry.skipped), (expected, 0), "{names} every {interval} ms");
        }
    }
}

#[test]
fn where_the_table_of_probes_is_full_ticks_are_skipped_and_nothing_is_lost() {
    // The configuration needs at most 8,192 slots. With the probes of removed targets there are more
    // than the table holds.
    let settings = "interval 1250ms\ntimeout 5s\nslow 1s";
    let mut sim =
        Simulation::start(&literals(settings, 1), |world| (1..=2048).for_each(|port| world.connects(port, HANGS)));
    let mut most = 0;
    let mut first = 1;
    for reload in 1..=40_u32 {
        sim.run_until(f64::from(reload) * 0.3);
        first = 1025 - first + 1;
        sim.reload(&literals(settings, first));
        most = most.max(sim.driver.monitor.in_flight());
    }
    assert_eq!(most, limits::PROBES);
    let lines = sim.new_lines();
    let cause = Shortage::Probes.to_string();
    assert!(lines.iter().any(|line| line.contains(&cause)), "{cause} was not said");
    let one_target = format!("{settings}\ntarget t{first} 192.0.2.1 {first}");
    assert!(sim.reload(&one_target).is_some());
    sim.run_until(20.0);
    assert_eq!(sim.driver.monitor.in_flight(), 4, "those of the last five seconds");
    sim.driver.stop();
}

#[test]
fn where_the_target_table_is_full_a_reload_changes_nothing_until_the_log_can_be_written() {
    let mut sim = Simulation::start(&literals("interval 1m", 1), |world| world.disk_full = true);
    sim.run_until(70.0);
    assert!(sim.reload(&literals("interval 1m", 1025)).is_some(), "1,024 targets and 1,024 removed ones fit");
    sim.run_until(140.0);
    assert_eq!(sim.reload(&literals("interval 1m", 2049)), None);
    assert_eq!(sim.reload("interval 1m\ntarget one-more 192.0.2.1 9999"), None);
    let service = |sim: &Simulation| sim.driver.monitor.live().next().map(|entry| entry.target.service.to_string());
    assert_eq!(service(&sim).as_deref(), Some("t1025"), "the configuration in force stays");
    sim.driver.world.disk_full = false;
    sim.run_until(310.0);
    assert!(sim.reload(&literals("interval 1m", 2049)).is_some(), "the log has the counts of the removed ones");
    sim.run_until(320.0);
    sim.driver.stop();
}

#[test]
fn a_year_of_a_hundred_targets_passes_in_a_moment() {
    let begun = clock::monotonic();
    let mut text = String::from("interval 1h\nreport 1h\n");
    (1..=50).for_each(|i| {
        let _ = writeln!(text, "target n{i} host-{i}.example {i}\ntarget l{i} 192.0.2.{i} {}", 50 + i);
    });
    let mut sim = Simulation::start(&text, |world| world.quiet = true);
    sim.run_until(365.0 * 86_400.0 - 1.0);
    sim.driver.book.audit(&sim.driver.monitor);
    let probes: u64 = sim.driver.monitor.live().map(|entry| entry.tally.counted().columns().conn_fast).sum();
    assert_eq!(probes, 365 * 24 * 100);
    println!("a year, {probes} probes: {} ms", clock::monotonic().since(begun).as_millis());
}
