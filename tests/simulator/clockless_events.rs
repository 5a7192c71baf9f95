//! Scripted simulations of events on boxes without a real-time clock: they wait until it is set, and get their right time.

use crate::simulation::Simulation;
use crate::world::ConnectFate;
use tcpmon::base::time::Nanos;
use tcpmon::model::reason::Reason;

const WEB: &str = "interval 10s\nevents on\ntarget web 192.0.2.1 1 down_after 2";

const BAD: ConnectFate = ConnectFate::Fails { after: Nanos::from_millis(10), reason: Reason::Refused };
const GOOD: ConnectFate = ConnectFate::Accepted { after: Nanos::from_millis(10) };

#[test]
fn events_found_before_the_clock_was_set_are_written_with_their_right_time() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.driver.world.connects(1, &[BAD]);
    sim.run_until(55.0);
    assert_eq!(sim.events(), Vec::<String>::new(), "they wait");
    sim.set_clock_to(55);
    assert_eq!(
        sim.events(),
        [
            concat!("2025-10-09T14:30:00+00:00 | start | - | - | tcpmon ", env!("CARGO_PKG_VERSION"), ", 1 target"),
            "2025-10-09T14:30:20+00:00 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, \
             since 2025-10-09T14:30:10+00:00, 2 failed",
            "2025-10-09T14:30:55+00:00 | clock | - | - | set from 1970-01-01T00:01:05+00:00 \
             to 2025-10-09T14:30:55+00:00",
        ]
    );
}

#[test]
fn a_clock_that_is_set_twice_is_right_in_the_end() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.driver.world.connects(1, &[BAD]);
    sim.run_until(25.0);
    // To a time before this program was built, and then to the right one.
    sim.set_clock(1_000_000);
    sim.run_until(55.0);
    sim.set_clock_to(55);
    let down = "14:30:20 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:10, 2 failed";
    assert_eq!(sim.target_events(), [down]);
}

#[test]
fn a_target_that_was_down_before_the_clock_was_lost_is_down_since_then() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.set_clock_to(0);
    sim.driver.world.connects(1, &[BAD]);
    sim.run_until(25.0);
    // The box is restarted: its clock is wrong, and is set a minute later.
    sim.driver.set_clock(-1_760_000_000_000_000_000, 0, false);
    sim.restart(WEB, 35.0);
    sim.run_until(115.0);
    sim.driver.world.connects(1, &[GOOD]);
    sim.set_clock_to(115);
    sim.run_until(145.0);
    let events = sim.target_events();
    assert_eq!(
        events.last().map(String::as_str),
        Some(
            "14:32:10 | up | web | 192.0.2.1:1 | connected to 192.0.2.1 in 10.0 ms, down for 110 s since 14:30:10, 8 failed"
        ),
        "{events:?}"
    );
}

#[test]
fn a_reload_that_finds_the_clock_set_puts_the_moments_right_too() {
    let mut sim = Simulation::start_without_clock(WEB, true);
    sim.driver.world.connects(1, &[BAD]);
    sim.run_until(25.0);
    let by = 1_760_020_200 - 10;
    sim.driver.set_clock(by * 1_000_000_000, 0, false);
    sim.reload(WEB);
    sim.set_clock(0);
    let down = "14:30:20 | down | web | 192.0.2.1:1 | connect refused by 192.0.2.1, since 14:30:10, 2 failed";
    assert_eq!(sim.target_events(), [down]);
}
