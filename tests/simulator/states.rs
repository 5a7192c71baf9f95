//! Scripted simulations of targets that go down and come up, and of names whose addresses change.

use tcpmon::base::limits;
use tcpmon::base::time::Nanos;
use tcpmon::model::reason::{Reason, Shortage};

use crate::simulation::Simulation;
use crate::world::{ConnectFate, LookupEnd};

const WEB: &str = "interval 10s\ndown_after 3\nup_after 2\nevents on\ntarget web 192.0.2.1 1";

const GOOD: ConnectFate = ConnectFate::Accepted { after: Nanos::from_millis(10) };
const BAD: ConnectFate = ConnectFate::Fails { after: Nanos::from_millis(10), reason: Reason::Refused };
const SHORT: ConnectFate = ConnectFate::FallsShort { begun: true, shortage: Shortage::Descriptors };

/// The events of a target that answers like this, a probe each ten seconds: `.` good, `x` refused, `-` hanging until the
/// timeout, `s` skipped.
fn events(settings: &str, probes: &str) -> Vec<String> {
    let fates: Vec<ConnectFate> = probes
        .chars()
        .map(|probe| match probe {
            '.' => GOOD,
            'x' => BAD,
            's' => SHORT,
            _ => ConnectFate::Hangs,
        })
        .collect();
    let mut sim = Simulation::start_with_ledger(settings, |world| world.connects(1, &fates));
    sim.run_until(10.0 * probes.len() as f64 - 0.5);
    sim.target_events()
}

#[test]
fn a_target_goes_down_with_the_third_failure_in_a_row_and_comes_up_with_the_second_good_probe() {
    assert_eq!(events(WEB, "..xx.xx..."), Vec::<String>::new());
    assert_eq!(
        events(WEB, "..xxxx.x..x"),
        [
            "14:30:40 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:20, 3 failed",
            "14:31:30 | up | web | 192.0.2.1:1 | connected to 192.0.2.1 in 10.0 ms, \
             down for 60 s since 14:30:20, 5 failed",
        ]
    );
}

#[test]
fn a_first_up_is_no_event_and_a_first_down_is() {
    assert_eq!(events(WEB, "....."), Vec::<String>::new());
    assert_eq!(
        events(WEB, "xxxx"),
        ["14:30:20 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:00, 3 failed"]
    );
}

#[test]
fn skipped_ticks_neither_break_nor_extend_a_row() {
    assert_eq!(
        events(WEB, ".xssxsx."),
        ["14:31:00 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:10, 3 failed"]
    );
    assert_eq!(events(WEB, ".xssx.x"), Vec::<String>::new());
}

#[test]
fn a_target_has_its_own_numbers() {
    let own = "interval 10s\nevents on\ntarget web 192.0.2.1 1 down_after 1 up_after 1";
    assert_eq!(
        events(own, ".x."),
        [
            "14:30:10 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:10, 1 failed",
            "14:30:20 | up | web | 192.0.2.1:1 | connected to 192.0.2.1 in 10.0 ms, \
             down for 10 s since 14:30:10, 1 failed",
        ]
    );
}

#[test]
fn a_probe_that_started_before_one_that_was_judged_does_not_count() {
    // The first probe hangs for 25 s, and two later ones are good meanwhile.
    let own = "interval 10s\ntimeout 25s\nevents on\ntarget web 192.0.2.1 1 down_after 1 up_after 1";
    assert_eq!(events(own, "-..."), Vec::<String>::new());
    // Both hang: they end in their order.
    assert_eq!(
        events(own, "--x.."),
        [
            "14:30:20 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:20, 1 failed",
            "14:30:30 | up | web | 192.0.2.1:1 | connected to 192.0.2.1 in 10.0 ms, \
             down for 10 s since 14:30:20, 1 failed",
        ]
    );
}

#[test]
fn a_target_that_changes_all_the_time_has_ten_lines_a_minute_and_one_for_the_others() {
    let own = "interval 3500ms\nevents on\ntarget web 192.0.2.1 1 down_after 1 up_after 1";
    let fates: Vec<ConnectFate> = (0..60).map(|i| if i % 2 == 1 { BAD } else { GOOD }).collect();
    let mut sim = Simulation::start_with_ledger(own, |world| world.connects(1, &fates));
    // The minute begins with the first change, at 3.51 s. In it there are 18.
    sim.run_until(63.5);
    assert_eq!(sim.target_events().len(), limits::FLAPPING.0 as usize);
    sim.run_until(67.0);
    let events = sim.target_events();
    assert_eq!(events[10], "14:31:03 | flapping | web | 192.0.2.1:1 | 8 more changes in this minute, now up");
    assert!(events[11].starts_with("14:31:06 | down | web |"), "{events:?}");
}

#[test]
fn a_removed_target_that_changed_too_often_still_gets_its_line() {
    let own = "interval 2s\nevents on\ntarget web 192.0.2.1 1 down_after 1 up_after 1\ntarget db 192.0.2.2 2";
    let fates: Vec<ConnectFate> = (0..60).map(|i| if i % 2 == 1 { BAD } else { GOOD }).collect();
    let mut sim = Simulation::start_with_ledger(own, |world| world.connects(1, &fates));
    sim.run_until(41.0);
    sim.reload("interval 2s\nevents on\ntarget db 192.0.2.2 2");
    // Nothing of it is left to report, and another target needs a record.
    sim.driver.report_now();
    sim.reload("interval 2s\nevents on\ntarget db 192.0.2.2 2\ntarget mail 192.0.2.3 3");
    sim.run_until(63.0);
    let events = sim.target_events();
    let last = events.last().map(String::as_str);
    assert_eq!(last, Some("14:31:02 | flapping | web | 192.0.2.1:1 | 10 more changes in this minute, now up"));
}

#[test]
fn another_address_is_an_event_only_if_none_is_shared_and_once_an_hour() {
    let name = "interval 10s\nevents on\ntarget web host.example 1";
    let mut sim = Simulation::start_with_ledger(name, |world| {
        let two = LookupEnd::Answers { elapsed: Nanos::from_millis(1), transit: Nanos::ZERO, addresses: 2 };
        world.lookups(1, &[two]);
    });
    for (second, first) in [(5.0, 1), (15.0, 3), (25.0, 5), (3601.0, 7), (3625.0, 7)] {
        sim.run_until(second);
        sim.driver.world.first_address = first;
    }
    sim.run_until(3635.0);
    let address = "address | web | host.example:1 |";
    assert_eq!(
        sim.target_events(),
        [
            // From 0 and 1 to 1 and 2 there is a shared one.
            format!("14:30:20 | {address} 10.0.1.1 2001:db8::1:2 -> 10.0.1.3 10.0.1.4"),
            // That of 30 s was too early.
            format!("15:30:20 | {address} 10.0.1.3 10.0.1.4 -> 10.0.1.7 2001:db8::1:8"),
        ]
    );
}

#[test]
fn an_answer_without_addresses_is_no_other_address() {
    let name = "interval 10s\nevents on\ntarget web host.example 1 down_after 9";
    let answer = |addresses| LookupEnd::Answers { elapsed: Nanos::from_millis(1), transit: Nanos::ZERO, addresses };
    let mut sim =
        Simulation::start_with_ledger(name, |world| world.lookups(1, &[answer(2), answer(0), answer(0), answer(2)]));
    sim.run_until(45.0);
    assert_eq!(sim.target_events(), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_set_changes_no_duration() {
    let mut sim = Simulation::start_with_ledger(WEB, |world| world.connects(1, &[GOOD, BAD, BAD, BAD, BAD, GOOD]));
    sim.run_until(35.0);
    sim.set_clock(3600);
    sim.run_until(65.0);
    let events = sim.target_events();
    assert_eq!(
        events[1],
        "15:31:00 | up | web | 192.0.2.1:1 | connected to 192.0.2.1 in 10.0 ms, down for 40 s since 15:30:10, 4 failed"
    );
}

#[test]
fn a_state_and_its_row_go_on_over_a_restart() {
    let mut sim = Simulation::start_with_ledger(WEB, |world| {
        world.connects(1, &[GOOD, BAD, BAD, BAD, BAD, BAD, GOOD]);
    });
    sim.run_until(25.0);
    sim.restart(WEB, 5.0);
    sim.run_until(35.0);
    let down = "14:30:30 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:10, 3 failed";
    assert_eq!(sim.target_events(), [down], "two before it, and one after it");
    sim.run_until(51.0);
    sim.restart(WEB, 9.0);
    sim.run_until(75.0);
    assert_eq!(
        sim.target_events()[1..],
        ["14:31:10 | up | web | 192.0.2.1:1 | connected to 192.0.2.1 in 10.0 ms, \
          down for 50 s since 14:30:10, 5 failed"]
    );
}
