//! Names with several addresses, all of them healthy or all silent: when a connect gives an address up for the next.

use tcpmon::base::time::Nanos;

use crate::simulation::{Simulation, seconds};
use crate::world::{ConnectFate, LookupEnd};

/// The limit of a connect, and the least share of an address, in milliseconds.
const LIMIT: u64 = 5000;
const LEAST: u64 = 1500;

/// When a kernel sends the SYNs of one connect, in milliseconds: with exponential and with linear timeouts
/// (`tcp_syn_linear_timeouts`).
const KERNELS: [[u64; 3]; 2] = [[0, 1000, 3000], [0, 1000, 2000]];

/// The lines of one probe of a name with so many addresses, each of which answers after this time, if ever.
fn lines(addresses: u8, answers_after: Option<u64>) -> (Vec<String>, String) {
    let mut sim = Simulation::start("interval 1m\ntarget web host.example 1", |world| {
        world.lookups(1, &[LookupEnd::Answers { elapsed: seconds(0.0), transit: seconds(0.0), addresses }]);
        let fate = answers_after
            .map_or(ConnectFate::Hangs, |after| ConnectFate::Accepted { after: Nanos::from_millis(after) });
        world.connects(1, &[fate]);
    });
    (sim.lines_until(59.0), sim.counted("web"))
}

/// What the rule says of such a probe: when each attempt but the last is given up, and whether the last one is
/// accepted.
fn expected(addresses: u64, answers_after: Option<u64>) -> (Vec<f64>, bool) {
    let share = (LIMIT as f64 / addresses as f64).max(LEAST as f64);
    let (mut given_up, mut begins) = (Vec::new(), 0.0);
    for left in (0..addresses).rev() {
        let has_next = left > 0 && begins + share + LEAST as f64 <= LIMIT as f64;
        let ends = if has_next { begins + share } else { LIMIT as f64 };
        if answers_after.is_some_and(|after| begins + (after as f64) < ends) {
            return (given_up, true);
        }
        if !has_next {
            break;
        }
        given_up.push(ends);
        begins = ends;
    }
    (given_up, false)
}

#[test]
fn an_address_that_answers_within_its_share_is_never_given_up_and_there_is_one_socket_at_a_time() {
    for addresses in 1..=8_u64 {
        for round_trip in [1, 20, 250, 499, 501, 624, 626, 999, 1001, 1250, 1499, 1501, 1700, 2499, 2501, 3998, 3999] {
            for (kernel, lost) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)] {
                let after = KERNELS[kernel][lost] + round_trip;
                let what = format!("{addresses} addresses, {round_trip} ms, {lost} SYNs lost, kernel {kernel}");
                let (lines, counted) = lines(addresses as u8, Some(after));
                let (given_up, is_accepted) = expected(addresses, Some(after));
                check(&lines, &given_up, is_accepted, &what);
                let total: f64 = given_up.last().copied().unwrap_or(0.0) + after as f64;
                let speed = if !is_accepted {
                    "1 failed"
                } else if total < 1000.0 {
                    "1 fast"
                } else {
                    "1 slow"
                };
                assert_eq!(counted, speed, "{what}");
            }
        }
    }
}

#[test]
fn silent_addresses_are_given_up_one_after_the_other() {
    for addresses in 1..=8_u64 {
        let (lines, counted) = lines(addresses as u8, None);
        let (given_up, is_accepted) = expected(addresses, None);
        check(&lines, &given_up, is_accepted, &format!("{addresses} silent addresses"));
        assert_eq!(counted, "1 failed");
    }
}

/// Checks the attempts of a probe: each begins when the one before it was dropped, and not earlier.
fn check(lines: &[String], given_up: &[f64], is_accepted: bool, what: &str) {
    let time = |line: &String| line.split_once("s ").and_then(|(time, _)| time.parse::<f64>().ok()).expect("a time");
    let attempts: Vec<f64> = lines.iter().filter(|line| line.contains("s connect web")).map(time).collect();
    let drops: Vec<f64> = lines.iter().filter(|line| line.contains("s drop connect web")).map(time).collect();
    let mut ends = given_up.to_vec();
    if !is_accepted {
        ends.push(LIMIT as f64);
    }
    assert_eq!((attempts.len(), drops.len()), (given_up.len() + 1, ends.len()), "{what}: {lines:?}");
    for (drop, end) in drops.iter().zip(&ends) {
        assert!((drop * 1000.0 - end).abs() < 0.01, "{what}: dropped at {drop} s instead of {end} ms");
    }
    assert_eq!(attempts[1..], drops[..given_up.len()], "{what}");
    let open = lines.iter().try_fold(0, |open, line| match line {
        line if line.contains("s connect web") => (open == 0).then_some(1),
        line if line.contains("s drop connect web") => (open == 1).then_some(0),
        _ => Some(open),
    });
    assert!(open.is_some(), "{what}: two sockets at a time: {lines:?}");
}
