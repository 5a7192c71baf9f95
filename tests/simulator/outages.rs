//! Scripted simulations in which targets, resolvers or the box itself fail.

use tcpmon::base::time::Nanos;
use tcpmon::model::reason::{Reason, Shortage};

use crate::simulation::{Simulation, seconds};
use crate::world::{ConnectFate, LookupEnd};

const HANGS: &[ConnectFate] = &[ConnectFate::Hangs];
const SILENT: &[LookupEnd] = &[LookupEnd::Hangs];

fn accepted(after: f64) -> ConnectFate {
    ConnectFate::Accepted { after: seconds(after) }
}

fn fails(after: f64, reason: Reason) -> ConnectFate {
    ConnectFate::Fails { after: seconds(after), reason }
}

fn answers(elapsed: f64, addresses: u8) -> LookupEnd {
    LookupEnd::Answers { elapsed: seconds(elapsed), transit: Nanos::ZERO, addresses }
}

#[test]
fn a_target_that_hangs_is_probed_at_every_tick() {
    let mut sim = Simulation::start("target web 192.0.2.1 1", |world| world.connects(1, HANGS));
    sim.assert_lines(
        7.0,
        &[
            "0s connect web",
            "2s connect web",
            "4s connect web",
            "5s drop connect web",
            "6s connect web",
            "7s drop connect web",
        ],
    );
    sim.run_until(1005.0);
    assert_eq!(sim.counted("web"), "501 failed", "every tick from 0 s to 1000 s");
    assert_eq!(sim.skipped("web"), 0);
}

#[test]
fn a_target_whose_lookups_hang_is_probed_at_every_tick_too() {
    let mut sim = Simulation::start("target web host.example 1", |world| world.lookups(1, SILENT));
    sim.assert_lines(6.0, &["0s lookup web", "2s lookup web", "4s lookup web", "5s drop lookup web", "6s lookup web"]);
    sim.run_until(1005.0);
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("501 without address", 0));
}

#[test]
fn one_target_that_hangs_delays_no_other() {
    let mut sim = Simulation::start("interval 10s\ntarget dead 192.0.2.1 1\ntarget web 192.0.2.2 2", |world| {
        world.connects(1, HANGS);
    });
    sim.assert_lines(
        10.0,
        &["0s connect dead", "0s connect web", "5s drop connect dead", "10s connect dead", "10s connect web"],
    );
    sim.run_until(99.0);
    assert_eq!((sim.counted("dead").as_str(), sim.counted("web").as_str()), ("10 failed", "10 fast"));
}

#[test]
fn each_phase_has_its_own_limit() {
    let mut sim = Simulation::start("interval 20s\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(4.9, 1)]);
        world.connects(1, &[accepted(4.9), HANGS[0]]);
    });
    sim.assert_lines(
        29.9,
        &["0s lookup web", "4.9s connect web", "20s lookup web", "24.9s connect web", "29.9s drop connect web"],
    );
    assert_eq!(sim.counted("web"), "1 slow 1 failed 2 with a slow lookup");
}

#[test]
fn a_time_exactly_at_a_limit_is_over_it() {
    let mut sim = Simulation::start("interval 20s\ntarget web 192.0.2.1 1", |world| {
        let after = |nanos| ConnectFate::Accepted { after: Nanos::new(nanos) };
        world.connects(1, &[after(999_999_999), after(1_000_000_000), after(4_999_999_999), after(5_000_000_000)]);
    });
    sim.run_until(79.0);
    assert_eq!(sim.counted("web"), "1 fast 2 slow 1 failed");
}

#[test]
fn a_stopped_process_skips_its_ticks_and_does_not_catch_up() {
    let mut sim = Simulation::start("target web 192.0.2.1 1", |_| {});
    sim.assert_lines(3.0, &["0s connect web", "2s connect web"]);
    sim.sleep(60.0);
    sim.assert_lines(
        66.0,
        &[
            // The tick of 62 s is only late; those from 4 s to 60 s were missed.
            "63s connect web",
            "63s say that 29 ticks were skipped: the monitor was stopped or late",
            "64s connect web",
            "66s connect web",
        ],
    );
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("4 fast", 29));
}

#[test]
fn what_was_answered_while_the_process_was_stopped_counts_with_its_own_time() {
    let mut sim = Simulation::start("interval 1m\ntarget web 192.0.2.1 1\ntarget db host.example 2", |world| {
        world.connects(1, &[accepted(0.5)]);
        world.lookups(2, &[answers(0.5, 1)]);
    });
    sim.run_until(0.1);
    sim.sleep(30.0);
    sim.assert_lines(31.0, &["0s connect web", "0s lookup db", "30.1s connect db"]);
    assert_eq!((sim.counted("web").as_str(), sim.counted("db").as_str()), ("1 fast", "1 fast"));
}

#[test]
fn addresses_that_were_not_tried_because_the_process_was_stopped_blame_no_target() {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.001, 2)]);
        world.connects(1, &[fails(0.5, Reason::Refused)]);
    });
    sim.run_until(0.1);
    sim.sleep(30.0);
    sim.assert_lines(
        59.0,
        &[
            "0s lookup web",
            "0.001s connect web",
            "30.1s say that 1 ticks were skipped: the monitor was stopped or late",
        ],
    );
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("nothing", 1));
}

#[test]
fn a_lookup_that_hung_while_the_process_was_stopped_blames_no_target() {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| world.lookups(1, SILENT));
    sim.run_until(0.1);
    sim.sleep(30.0);
    sim.assert_lines(
        59.0,
        &[
            "0s lookup web",
            "30.1s drop lookup web",
            "30.1s say that 1 ticks were skipped: the monitor was stopped or late",
        ],
    );
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("nothing", 1));
}

#[test]
fn without_a_local_port_an_unreachable_other_family_blames_no_target() {
    // The second address of this port is an IPv6 one.
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 2", |world| {
        world.lookups(2, &[answers(0.0, 2)]);
        let short = ConnectFate::FallsShort { begun: true, shortage: Shortage::Ports };
        world.connects(2, &[short, fails(0.0, Reason::NetworkUnreachable)]);
    });
    sim.assert_lines(
        59.0,
        &[
            "0s lookup web",
            "0s connect web",
            "0s connect web, address 2",
            "0s say that 1 ticks were skipped: no free local port to connect from",
        ],
    );
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("nothing", 1));
}

#[test]
fn an_address_that_took_the_whole_limit_is_a_failure_however_many_are_left() {
    let mut sim = Simulation::start("interval 1m\ntimeout 2900ms\ntarget web host.example 1", |world| {
        // With less than 3 s no address is given up for another one.
        world.lookups(1, &[answers(0.001, 2)]);
        world.connects(1, &[fails(2.9, Reason::Refused)]);
    });
    sim.assert_lines(59.0, &["0s lookup web", "0.001s connect web"]);
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("1 failed", 0));
}

#[test]
fn a_late_answer_is_dropped() {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(6.0, 1), answers(0.5, 1)]);
    });
    sim.assert_lines(59.0, &["0s lookup web", "5s drop lookup web"]);
    assert_eq!(sim.counted("web"), "1 without address");
    sim.assert_lines(119.0, &["60s lookup web", "60.5s connect web"]);
    assert_eq!(sim.counted("web"), "1 fast 1 without address");
}

#[test]
fn addresses_are_tried_in_order_within_one_limit() {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.5, 12), answers(0.5, 3)]);
        let refused = fails(0.1, Reason::Refused);
        world.connects(1, &[refused, refused, refused, accepted(0.25), fails(1.0, Reason::Denied), HANGS[0]]);
    });
    sim.assert_lines(
        59.0,
        &[
            "0s lookup web",
            "0.5s connect web",
            "0.6s connect web, address 2",
            "0.7s connect web, address 3",
            "0.8s connect web, address 4",
        ],
    );
    sim.assert_lines(
        119.0,
        &[
            "60s lookup web",
            "60.5s connect web",
            "61.5s connect web, address 2",
            "63.166666666s drop connect web",
            "63.166666666s connect web, address 3",
            "65.5s drop connect web",
        ],
    );
    assert_eq!(sim.counted("web"), "1 fast 1 failed");
}

#[test]
fn more_addresses_than_fit_are_not_tried() {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.0, 12)]);
        world.connects(1, &[fails(0.0, Reason::Refused)]);
    });
    let lines = sim.lines_until(59.0);
    assert_eq!((lines.len(), lines.last().map(String::as_str)), (9, Some("0s connect web, address 8")));
    assert_eq!(sim.counted("web"), "1 failed");
}

#[test]
fn an_address_family_that_this_box_does_not_have_costs_the_other_no_time() {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.5, 2)]);
        world.connects(1, &[fails(0.0, Reason::NoFamily), HANGS[0]]);
    });
    sim.assert_lines(
        59.0,
        &["0s lookup web", "0.5s connect web", "0.5s connect web, address 2", "5.5s drop connect web"],
    );
    assert_eq!(sim.counted("web"), "1 failed");
}

#[test]
fn trouble_of_our_own_is_said_once_a_minute_and_blames_no_target() {
    let mut sim = Simulation::start("interval 10s\ntarget web 192.0.2.1 1", |world| {
        world.connects(1, &[ConnectFate::FallsShort { begun: true, shortage: Shortage::Descriptors }]);
    });
    let said = |lines: Vec<String>| lines.into_iter().filter(|line| line.contains("say")).collect::<Vec<_>>();
    assert_eq!(
        said(sim.lines_until(125.0)),
        [
            "0s say that 1 ticks were skipped: too many open files",
            "60s say that 6 ticks were skipped: too many open files",
            "120s say that 6 ticks were skipped: too many open files",
        ]
    );
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("nothing", 13));
}

#[test]
fn what_was_skipped_is_said_as_soon_as_it_may_be() {
    let mut sim = Simulation::start("interval 45s\ntarget web 192.0.2.1 1", |world| {
        world.connects(1, &[ConnectFate::FallsShort { begun: true, shortage: Shortage::Memory }]);
    });
    let shortage = "1 ticks were skipped: out of memory or network buffers";
    assert_eq!(
        sim.lines_until(60.0),
        [
            "0s connect web".into(),
            format!("0s say that {shortage}"),
            "45s connect web".into(),
            format!("60s say that {shortage}")
        ]
    );
}

#[test]
fn a_reason_better_than_unreachable_is_kept_and_of_equals_the_first() {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.0, 3)]);
        let reasons = [
            [Reason::NetworkUnreachable, Reason::HostUnreachable, Reason::HostUnreachable],
            [Reason::HostUnreachable, Reason::Refused, Reason::Denied],
            [Reason::Denied, Reason::HostUnreachable, Reason::Refused],
        ];
        world.connects(1, &reasons.concat().into_iter().map(|reason| fails(0.1, reason)).collect::<Vec<_>>());
    });
    let mut endings = Vec::new();
    for minute in 0..3 {
        sim.run_until(f64::from(minute) * 60.0 + 1.0);
        let last = sim.driver.monitor.live().next().and_then(|entry| entry.last);
        endings.extend(last.map(|end| end.ending.to_string()));
    }
    assert_eq!(
        endings,
        ["connect failed: network unreachable", "connect failed: refused", "connect failed: denied by this host"]
    );
}

#[test]
fn a_helper_that_dies_costs_no_probe() {
    let dies = LookupEnd::Dies { after: Nanos::from_millis(100) };
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[dies, dies, answers(0.5, 1), dies]);
    });
    sim.assert_lines(59.0, &["0s lookup web", "0.1s lookup web", "0.2s lookup web", "0.7s connect web"]);
    assert_eq!(sim.counted("web"), "1 fast");
    sim.assert_lines(
        119.0,
        &[
            "60s lookup web",
            "60.1s lookup web",
            "60.2s lookup web",
            "60.3s say that 1 ticks were skipped: no helper process could be started",
        ],
    );
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("1 fast", 1));
}

#[test]
fn lookups_wait_their_turn_when_all_helpers_are_busy() {
    let text = "interval 10s\nhelpers 1\ntarget a a.example 1\ntarget b b.example 2\ntarget c 192.0.2.1 3";
    let mut sim = Simulation::start(text, |world| {
        world.lookups(1, SILENT);
        world.lookups(2, &[answers(0.5, 1)]);
    });
    sim.assert_lines(
        9.0,
        &[
            "0s lookup a",
            // A literal needs no helper.
            "0s connect c",
            "5s drop lookup a",
            "5s lookup b",
            "5.5s connect b",
        ],
    );
    assert_eq!((sim.counted("a").as_str(), sim.counted("b").as_str()), ("1 without address", "1 fast"));
}

#[test]
fn a_target_whose_lookup_waits_for_a_helper_does_not_queue_a_second_one() {
    let text = "interval 2s\nhelpers 1\ntarget a a.example 1\ntarget b b.example 2";
    let mut sim = Simulation::start(text, |world| {
        world.lookups(1, SILENT);
        world.lookups(2, SILENT);
    });
    sim.assert_lines(
        10.0,
        &[
            "0s lookup a",
            "2s say that 1 ticks were skipped: all helpers are busy",
            "5s drop lookup a",
            "5s lookup b",
            "10s drop lookup b",
            "10s lookup a",
        ],
    );
}

#[test]
fn a_lookup_that_is_asked_again_does_not_let_a_second_one_wait() {
    let text = "interval 2s\ntimeout 20s\nhelpers 2\ntarget a a.example 1\ntarget b b.example 2";
    let mut sim = Simulation::start(text, |world| {
        // At 2 s each target has one lookup at a helper and one that waits. The helper of the first
        // target dies: its lookup waits again, behind the others.
        world.lookups(1, &[LookupEnd::Dies { after: seconds(3.0) }, LookupEnd::Hangs]);
        world.lookups(2, SILENT);
    });
    sim.run_until(200.0);
    let most = sim.driver.monitor.in_flight();
    assert!(most <= 4, "{most} in flight: each target has one lookup at a helper and one that waits");
}

#[test]
fn under_a_dead_resolver_every_target_gets_its_share() {
    let names = (1..=40).map(|i| format!("target name-{i} host-{i}.example {i}\n")).collect::<Vec<_>>().concat();
    let mut sim = Simulation::start(&format!("helpers 2\n{names}"), |world| {
        (1..=40).for_each(|port| world.lookups(port, SILENT));
    });
    sim.run_until(3600.0);
    // Two helpers, five seconds each: 1,440 lookups, 36 for each of 40 targets.
    let totals: Vec<u64> = sim.driver.monitor.live().map(|entry| entry.tally.counted().columns().total).collect();
    assert_eq!(totals.iter().sum::<u64>(), 1440);
    assert!(totals.iter().all(|total| *total == 36), "{totals:?}");
}

#[test]
fn a_dead_resolver_does_not_touch_literals() {
    let text = "helpers 1\ntarget a a.example 1\ntarget b b.example 2\ntarget web 192.0.2.1 3";
    let mut sim = Simulation::start(text, |world| {
        world.lookups(1, SILENT);
        world.lookups(2, SILENT);
    });
    sim.run_until(999.0);
    assert_eq!((sim.counted("web").as_str(), sim.skipped("web")), ("500 fast", 0));
}

#[test]
fn probes_spread_over_the_interval_keep_their_offsets() {
    let text = "interval 4s\nspread on\ntarget a 192.0.2.1 1\ntarget b 192.0.2.2 2\ntarget c 192.0.2.3 3\ntarget d 192.0.2.4 4";
    let mut sim = Simulation::start(text, |_| {});
    let round = |second| {
        ["a", "b", "c", "d"].iter().enumerate().map(move |(i, name)| format!("{}s connect {name}", second + i))
    };
    assert_eq!(sim.lines_until(7.0), round(0).chain(round(4)).collect::<Vec<_>>());
}
