//! Scripted worlds that fill the fixed tables, and one that lasts a year.

use std::fmt::Write;

use tcpmon::base::limits;
use tcpmon::model::reason::Shortage;
use tcpmon::sys::clock;

use crate::stage::Stage;
use crate::world::{ConnectFate, LookupEnd};

const HANGS: &[ConnectFate] = &[ConnectFate::Hangs];

/// As many literals as fit, with the first port.
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
    let mut stage = Stage::open(&text, |world| {
        world.unheard = true;
        (1..=1024).for_each(|port| world.connects(port, HANGS));
    });
    stage.pass(66.0);
    stage.driver.book.audit(&stage.driver.monitor);
    for watch in stage.driver.monitor.live() {
        let counted = watch.tally.counted().columns();
        assert_eq!((counted.conn_failed, counted.total, watch.skipped), (counted.total, counted.total, 0));
        assert!((30..=31).contains(&counted.total), "{counted:?}");
    }
    let in_flight = stage.driver.monitor.in_flight();
    assert!((2 * 1024..=3 * 1024).contains(&in_flight), "{in_flight}");
}

#[test]
fn as_many_names_as_fit_share_the_helpers_when_no_resolver_answers() {
    let mut text = String::from("interval 10s\nspread on\n");
    (1..=1024).for_each(|i| {
        let _ = writeln!(text, "target t{i} host-{i}.example {i}");
    });
    let mut stage = Stage::open(&text, |world| {
        world.unheard = true;
        (1..=1024).for_each(|port| world.lookups(port, &[LookupEnd::Hangs]));
    });
    stage.pass(800.0);
    // 64 helpers, five seconds each: one target has its turn every 80 s.
    stage.driver.book.audit(&stage.driver.monitor);
    for watch in stage.driver.monitor.live() {
        let total = watch.tally.counted().columns().total;
        assert!((9..=10).contains(&total), "{}: {total}", watch.target.service);
    }
}

#[test]
fn where_the_table_of_probes_is_full_ticks_are_skipped_and_nothing_is_lost() {
    // The configuration needs 8,192 at the most; with those of the targets that it replaces there
    // are more than the table holds.
    let settings = "interval 1250ms\ntimeout 5s\nslow 1s";
    let mut stage =
        Stage::open(&literals(settings, 1), |world| (1..=2048).for_each(|port| world.connects(port, HANGS)));
    let mut most = 0;
    let mut first = 1;
    for step in 1..=40_u32 {
        stage.pass(f64::from(step) * 0.3);
        first = 1025 - first + 1;
        stage.reload(&literals(settings, first));
        most = most.max(stage.driver.monitor.in_flight());
    }
    assert_eq!(most, limits::PROBES);
    let heard = stage.heard();
    let cause = Shortage::Probes.to_string();
    assert!(heard.iter().any(|line| line.contains(&cause)), "{cause} was not said");
    let all_but_one_gone = format!("{settings}\ntarget t{first} 192.0.2.1 {first}");
    assert!(stage.reload(&all_but_one_gone).is_some());
    stage.pass(20.0);
    assert_eq!(stage.driver.monitor.in_flight(), 4, "those of the last five seconds");
    stage.driver.stop();
}

#[test]
fn where_the_table_of_watches_is_full_a_reload_changes_nothing_until_the_log_can_be_written() {
    let mut stage = Stage::open(&literals("interval 1m", 1), |world| world.disk_full = true);
    stage.pass(70.0);
    assert!(stage.reload(&literals("interval 1m", 1025)).is_some(), "1,024 and as many that are gone fit");
    stage.pass(140.0);
    assert_eq!(stage.reload(&literals("interval 1m", 2049)), None);
    assert_eq!(stage.reload("interval 1m\ntarget one-more 192.0.2.1 9999"), None);
    let service = |stage: &Stage| stage.driver.monitor.live().next().map(|watch| watch.target.service.to_string());
    assert_eq!(service(&stage).as_deref(), Some("t1025"), "the configuration in force stays");
    stage.driver.world.disk_full = false;
    stage.pass(310.0);
    assert!(stage.reload(&literals("interval 1m", 2049)).is_some(), "the log has those that were gone");
    stage.pass(320.0);
    stage.driver.stop();
}

#[test]
fn a_year_of_a_hundred_targets_passes_in_a_moment() {
    let begun = clock::monotonic();
    let mut text = String::from("interval 1h\nreport 1h\n");
    (1..=50).for_each(|i| {
        let _ = writeln!(text, "target n{i} host-{i}.example {i}\ntarget l{i} 192.0.2.{i} {}", 50 + i);
    });
    let mut stage = Stage::open(&text, |world| world.unheard = true);
    stage.pass(365.0 * 86_400.0 - 1.0);
    stage.driver.book.audit(&stage.driver.monitor);
    let probes: u64 = stage.driver.monitor.live().map(|watch| watch.tally.counted().columns().conn_fast).sum();
    assert_eq!(probes, 365 * 24 * 100);
    println!("a year, {probes} probes: {} ms", clock::monotonic().since(begun).as_millis());
}
