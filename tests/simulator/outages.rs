//! Scripted worlds in which targets, resolvers or the box itself fail.

use tcpmon::base::time::Nanos;
use tcpmon::model::reason::{Reason, Shortage};

use crate::stage::{Stage, seconds};
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
    let mut stage = Stage::open("target web 192.0.2.1 1", |world| world.connects(1, HANGS));
    stage.hear(
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
    stage.pass(1005.0);
    assert_eq!(stage.counted("web"), "501 failed", "every tick from 0 s to 1000 s");
    assert_eq!(stage.skipped("web"), 0);
}

#[test]
fn a_target_whose_lookups_hang_is_probed_at_every_tick_too() {
    let mut stage = Stage::open("target web host.example 1", |world| world.lookups(1, SILENT));
    stage.hear(6.0, &["0s lookup web", "2s lookup web", "4s lookup web", "5s drop lookup web", "6s lookup web"]);
    stage.pass(1005.0);
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("501 without address", 0));
}

#[test]
fn one_target_that_hangs_delays_no_other() {
    let mut stage = Stage::open("interval 10s\ntarget dead 192.0.2.1 1\ntarget web 192.0.2.2 2", |world| {
        world.connects(1, HANGS);
    });
    stage.hear(
        10.0,
        &["0s connect dead", "0s connect web", "5s drop connect dead", "10s connect dead", "10s connect web"],
    );
    stage.pass(99.0);
    assert_eq!((stage.counted("dead").as_str(), stage.counted("web").as_str()), ("10 failed", "10 fast"));
}

#[test]
fn each_phase_has_its_own_limit() {
    let mut stage = Stage::open("interval 20s\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(4.9, 1)]);
        world.connects(1, &[accepted(4.9), HANGS[0]]);
    });
    stage.hear(
        29.9,
        &["0s lookup web", "4.9s connect web", "20s lookup web", "24.9s connect web", "29.9s drop connect web"],
    );
    assert_eq!(stage.counted("web"), "1 slow 1 failed 2 with a slow lookup");
}

#[test]
fn at_a_limit_is_over_it() {
    let mut stage = Stage::open("interval 20s\ntarget web 192.0.2.1 1", |world| {
        let after = |nanos| ConnectFate::Accepted { after: Nanos::new(nanos) };
        world.connects(1, &[after(999_999_999), after(1_000_000_000), after(4_999_999_999), after(5_000_000_000)]);
    });
    stage.pass(79.0);
    assert_eq!(stage.counted("web"), "1 fast 2 slow 1 failed");
}

#[test]
fn a_stopped_process_skips_its_ticks_and_does_not_catch_up() {
    let mut stage = Stage::open("target web 192.0.2.1 1", |_| {});
    stage.hear(3.0, &["0s connect web", "2s connect web"]);
    stage.sleep(60.0);
    stage.hear(
        66.0,
        &[
            // That of 62 s is only late; those from 4 s to 60 s were missed.
            "63s connect web",
            "63s say that 29 ticks were skipped: the monitor was stopped or late",
            "64s connect web",
            "66s connect web",
        ],
    );
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("4 fast", 29));
}

#[test]
fn what_was_answered_while_the_process_was_stopped_counts_with_its_own_time() {
    let mut stage = Stage::open("interval 1m\ntarget web 192.0.2.1 1\ntarget db host.example 2", |world| {
        world.connects(1, &[accepted(0.5)]);
        world.lookups(2, &[answers(0.5, 1)]);
    });
    stage.pass(0.1);
    stage.sleep(30.0);
    stage.hear(31.0, &["0s connect web", "0s lookup db", "30.1s connect db"]);
    assert_eq!((stage.counted("web").as_str(), stage.counted("db").as_str()), ("1 fast", "1 fast"));
}

#[test]
fn addresses_that_were_not_tried_because_we_were_stopped_blame_nobody() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.001, 2)]);
        world.connects(1, &[fails(0.5, Reason::Refused)]);
    });
    stage.pass(0.1);
    stage.sleep(30.0);
    stage.hear(
        59.0,
        &[
            "0s lookup web",
            "0.001s connect web",
            "30.1s say that 1 ticks were skipped: the monitor was stopped or late",
        ],
    );
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("nothing", 1));
}

#[test]
fn a_lookup_that_hung_while_the_process_was_stopped_blames_nobody() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| world.lookups(1, SILENT));
    stage.pass(0.1);
    stage.sleep(30.0);
    stage.hear(
        59.0,
        &[
            "0s lookup web",
            "30.1s drop lookup web",
            "30.1s say that 1 ticks were skipped: the monitor was stopped or late",
        ],
    );
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("nothing", 1));
}

#[test]
fn without_a_local_port_the_other_family_having_no_way_blames_nobody() {
    // The second address of this port is an IPv6 one.
    let mut stage = Stage::open("interval 1m\ntarget web host.example 2", |world| {
        world.lookups(2, &[answers(0.0, 2)]);
        let short = ConnectFate::FallsShort { begun: true, shortage: Shortage::Ports };
        world.connects(2, &[short, fails(0.0, Reason::NetworkUnreachable)]);
    });
    stage.hear(
        59.0,
        &[
            "0s lookup web",
            "0s connect web",
            "0s connect web, address 2",
            "0s say that 1 ticks were skipped: no local address or port to connect from",
        ],
    );
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("nothing", 1));
}

#[test]
fn an_address_that_took_the_whole_limit_is_a_failure_however_many_are_left() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.001, 2)]);
        world.connects(1, &[fails(5.0, Reason::Refused)]);
    });
    stage.hear(59.0, &["0s lookup web", "0.001s connect web"]);
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("1 failed", 0));
}

#[test]
fn a_late_answer_is_dropped() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(6.0, 1), answers(0.5, 1)]);
    });
    stage.hear(59.0, &["0s lookup web", "5s drop lookup web"]);
    assert_eq!(stage.counted("web"), "1 without address");
    stage.hear(119.0, &["60s lookup web", "60.5s connect web"]);
    assert_eq!(stage.counted("web"), "1 fast 1 without address");
}

#[test]
fn addresses_are_tried_in_order_within_one_limit() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.5, 12), answers(0.5, 3)]);
        let refused = fails(0.1, Reason::Refused);
        world.connects(1, &[refused, refused, refused, accepted(0.25), fails(4.0, Reason::Reset), HANGS[0]]);
    });
    stage.hear(
        59.0,
        &[
            "0s lookup web",
            "0.5s connect web",
            "0.6s connect web, address 2",
            "0.7s connect web, address 3",
            "0.8s connect web, address 4",
        ],
    );
    stage.hear(
        119.0,
        &["60s lookup web", "60.5s connect web", "64.5s connect web, address 2", "65.5s drop connect web"],
    );
    assert_eq!(stage.counted("web"), "1 fast 1 failed");
}

#[test]
fn more_addresses_than_fit_are_not_tried() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.0, 12)]);
        world.connects(1, &[fails(0.0, Reason::Refused)]);
    });
    let heard = stage.until(59.0);
    assert_eq!((heard.len(), heard.last().map(String::as_str)), (9, Some("0s connect web, address 8")));
    assert_eq!(stage.counted("web"), "1 failed");
}

#[test]
fn an_address_family_that_this_box_does_not_have_leaves_the_other_its_whole_time() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.5, 2)]);
        world.connects(1, &[ConnectFate::FallsShort { begun: false, shortage: Shortage::Ports }, HANGS[0]]);
    });
    stage.hear(59.0, &["0s lookup web", "0.5s connect web", "0.5s connect web, address 2", "5.5s drop connect web"]);
    assert_eq!(stage.counted("web"), "1 failed");
}

#[test]
fn trouble_of_our_own_is_said_once_a_minute_and_blames_no_target() {
    let mut stage = Stage::open("interval 10s\ntarget web 192.0.2.1 1", |world| {
        world.connects(1, &[ConnectFate::FallsShort { begun: true, shortage: Shortage::Descriptors }]);
    });
    let said = |heard: Vec<String>| heard.into_iter().filter(|line| line.contains("say")).collect::<Vec<_>>();
    assert_eq!(
        said(stage.until(125.0)),
        [
            "0s say that 1 ticks were skipped: too many open files",
            "60s say that 6 ticks were skipped: too many open files",
            "120s say that 6 ticks were skipped: too many open files",
        ]
    );
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("nothing", 13));
}

#[test]
fn what_was_skipped_is_said_as_soon_as_it_may_be() {
    let mut stage = Stage::open("interval 45s\ntarget web 192.0.2.1 1", |world| {
        world.connects(1, &[ConnectFate::FallsShort { begun: true, shortage: Shortage::Memory }]);
    });
    let shortage = "1 ticks were skipped: out of memory or network buffers";
    assert_eq!(
        stage.until(60.0),
        [
            "0s connect web".into(),
            format!("0s say that {shortage}"),
            "45s connect web".into(),
            format!("60s say that {shortage}")
        ]
    );
}

#[test]
fn the_reason_that_says_most_is_kept_and_of_equals_the_first() {
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[answers(0.0, 3)]);
        let reasons = [
            [Reason::NetworkUnreachable, Reason::HostUnreachable, Reason::HostUnreachable],
            [Reason::HostUnreachable, Reason::Refused, Reason::Reset],
            [Reason::Reset, Reason::HostUnreachable, Reason::Refused],
        ];
        world.connects(1, &reasons.concat().into_iter().map(|reason| fails(0.1, reason)).collect::<Vec<_>>());
    });
    let mut endings = Vec::new();
    for minute in 0..3 {
        stage.pass(f64::from(minute) * 60.0 + 1.0);
        let last = stage.driver.monitor.live().next().and_then(|watch| watch.last);
        endings.extend(last.map(|end| end.ending.to_string()));
    }
    assert_eq!(endings, ["connect failed: network unreachable", "connect failed: refused", "connect failed: reset"]);
}

#[test]
fn a_helper_that_dies_costs_no_probe() {
    let dies = LookupEnd::Dies { after: Nanos::from_millis(100) };
    let mut stage = Stage::open("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[dies, dies, answers(0.5, 1), dies]);
    });
    stage.hear(59.0, &["0s lookup web", "0.1s lookup web", "0.2s lookup web", "0.7s connect web"]);
    assert_eq!(stage.counted("web"), "1 fast");
    stage.hear(
        119.0,
        &[
            "60s lookup web",
            "60.1s lookup web",
            "60.2s lookup web",
            "60.3s say that 1 ticks were skipped: no helper process could be started",
        ],
    );
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("1 fast", 1));
}

#[test]
fn lookups_wait_their_turn_when_all_helpers_are_busy() {
    let text = "interval 10s\nhelpers 1\ntarget a a.example 1\ntarget b b.example 2\ntarget c 192.0.2.1 3";
    let mut stage = Stage::open(text, |world| {
        world.lookups(1, SILENT);
        world.lookups(2, &[answers(0.5, 1)]);
    });
    stage.hear(
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
    assert_eq!((stage.counted("a").as_str(), stage.counted("b").as_str()), ("1 without address", "1 fast"));
}

#[test]
fn a_target_whose_lookup_waits_for_a_helper_does_not_queue_a_second_one() {
    let text = "interval 2s\nhelpers 1\ntarget a a.example 1\ntarget b b.example 2";
    let mut stage = Stage::open(text, |world| {
        world.lookups(1, SILENT);
        world.lookups(2, SILENT);
    });
    stage.hear(
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
    let mut stage = Stage::open(text, |world| {
        // At 2 s both targets have a lookup that a helper holds and one that waits. The helper of
        // the first dies; it waits again, behind the others.
        world.lookups(1, &[LookupEnd::Dies { after: seconds(3.0) }, LookupEnd::Hangs]);
        world.lookups(2, SILENT);
    });
    stage.pass(200.0);
    let most = stage.driver.monitor.in_flight();
    assert!(most <= 4, "{most} in flight: one of each target is held and one waits");
}

#[test]
fn under_a_dead_resolver_every_target_gets_its_share() {
    let names = (1..=40).map(|i| format!("target name-{i} host-{i}.example {i}\n")).collect::<Vec<_>>().concat();
    let mut stage = Stage::open(&format!("helpers 2\n{names}"), |world| {
        (1..=40).for_each(|port| world.lookups(port, SILENT));
    });
    stage.pass(3600.0);
    // Two helpers, five seconds each: 1,440 lookups, 36 for each of 40 targets.
    let totals: Vec<u64> = stage.driver.monitor.live().map(|watch| watch.tally.counted().columns().total).collect();
    assert_eq!(totals.iter().sum::<u64>(), 1440);
    assert!(totals.iter().all(|total| *total == 36), "{totals:?}");
}

#[test]
fn a_dead_resolver_does_not_touch_literals() {
    let text = "helpers 1\ntarget a a.example 1\ntarget b b.example 2\ntarget web 192.0.2.1 3";
    let mut stage = Stage::open(text, |world| {
        world.lookups(1, SILENT);
        world.lookups(2, SILENT);
    });
    stage.pass(999.0);
    assert_eq!((stage.counted("web").as_str(), stage.skipped("web")), ("500 fast", 0));
}

#[test]
fn probes_spread_over_the_interval_keep_their_places() {
    let text = "interval 4s\nspread on\ntarget a 192.0.2.1 1\ntarget b 192.0.2.2 2\ntarget c 192.0.2.3 3\ntarget d 192.0.2.4 4";
    let mut stage = Stage::open(text, |_| {});
    let round = |second| {
        ["a", "b", "c", "d"].iter().enumerate().map(move |(i, name)| format!("{}s connect {name}", second + i))
    };
    assert_eq!(stage.until(7.0), round(0).chain(round(4)).collect::<Vec<_>>());
}
