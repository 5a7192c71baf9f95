//! The life of a probe, as a dialogue with times.

use super::*;
use core::net::{IpAddr, Ipv4Addr};

const SECOND: u64 = 1_000_000_000;
const LIMITS: Thresholds = Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(5) };

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn address(last: u8) -> Address {
    Address::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
}

fn addresses(count: u8) -> Vec<Address> {
    (1..=count).map(address).collect()
}

fn outcome(next: Next) -> Option<Outcome> {
    match next {
        Next::End(end) => end.outcome,
        other => panic!("it has not ended: {other:?}"),
    }
}

fn ending(next: Next) -> String {
    match next {
        Next::End(end) => end.ending.to_string(),
        other => panic!("it has not ended: {other:?}"),
    }
}

/// A probe of a name whose lookup took `lookup` and found `count` addresses, and whose first attempt
/// starts at 0.
fn connecting(lookup: Nanos, count: u8) -> Probe {
    let mut probe = Probe::new();
    assert_eq!(probe.begin(None), Next::Ask);
    assert_eq!(probe.handle(at(0), &LIMITS, Input::LookupStarted), Next::Wait(at(5 * SECOND)));
    assert_eq!(
        (probe.handle(at(0), &LIMITS, Input::Answered(lookup, &addresses(count))), probe.address().copied()),
        (Next::Connect, Some(address(1)))
    );
    let share = match count {
        1 => 5 * SECOND,
        2 => 2_500_000_000,
        3 => 1_666_666_666,
        _ => 1_500_000_000,
    };
    assert_eq!(probe.handle(at(0), &LIMITS, Input::ConnectStarted), Next::Wait(at(share)));
    probe
}

/// Starts the attempt that comes next, at `now`, and lets its address stay silent until the probe does something else.
/// Returns when that is, and what it does.
fn silent(probe: &mut Probe, now: u64, limits: &Thresholds) -> (u64, Next) {
    let Next::Wait(deadline) = probe.handle(at(now), limits, Input::ConnectStarted) else { panic!("it does not wait") };
    assert_eq!(probe.handle(deadline.before(Nanos::new(1)), limits, Input::Expired), Next::Wait(deadline), "too early");
    (deadline.since(at(0)).get(), probe.handle(deadline, limits, Input::Expired))
}

#[test]
fn a_literal_is_a_fast_lookup_of_no_time() {
    let mut probe = Probe::new();
    assert_eq!((probe.begin(Some(address(1))), probe.address().copied()), (Next::Connect, Some(address(1))));
    probe.handle(at(7), &LIMITS, Input::ConnectStarted);
    let Next::End(end) = probe.handle(at(12), &LIMITS, Input::Connected) else { panic!("it has not ended") };
    assert_eq!((end.lookup, end.connect), (Some(Nanos::ZERO), Some(Nanos::new(5))));
    assert_eq!(end.outcome, Some(Outcome::FastFast));
}

#[test]
fn answer_one_nanosecond_below_a_limit_is_in_and_at_it_is_out() {
    for (lookup, connect, expected) in [
        (SECOND - 1, SECOND - 1, Outcome::FastFast),
        (SECOND - 1, SECOND, Outcome::FastSlow),
        (SECOND - 1, 5 * SECOND - 1, Outcome::FastSlow),
        (SECOND - 1, 5 * SECOND, Outcome::FastFailed),
        (SECOND, SECOND - 1, Outcome::SlowFast),
        (5 * SECOND - 1, SECOND, Outcome::SlowSlow),
        (5 * SECOND - 1, 5 * SECOND, Outcome::SlowFailed),
    ] {
        let mut probe = connecting(Nanos::new(lookup), 1);
        assert_eq!(outcome(probe.handle(at(connect), &LIMITS, Input::Connected)), Some(expected), "{lookup} {connect}");
    }
}

#[test]
fn a_lookup_at_its_limit_has_failed_even_with_an_answer() {
    let mut probe = Probe::new();
    probe.handle(at(0), &LIMITS, Input::LookupStarted);
    let next = probe.handle(at(0), &LIMITS, Input::Answered(Nanos::from_secs(5), &addresses(1)));
    assert_eq!((outcome(next), ending(next)), (Some(Outcome::LookupFailed), "lookup failed: timed out".into()));
}

#[test]
fn no_address_is_a_failed_lookup() {
    let mut probe = Probe::new();
    probe.handle(at(0), &LIMITS, Input::LookupStarted);
    assert_eq!(ending(probe.handle(at(0), &LIMITS, Input::Answered(Nanos::new(1), &[]))), "lookup failed: no address");
}

#[test]
fn a_deadline_runs_from_when_the_helper_was_asked() {
    let mut probe = Probe::new();
    assert_eq!(probe.handle(at(3), &LIMITS, Input::LookupStarted), Next::Wait(at(5 * SECOND + 3)));
    let next = probe.handle(at(5 * SECOND + 3), &LIMITS, Input::Expired);
    assert_eq!((outcome(next), ending(next)), (Some(Outcome::LookupFailed), "lookup failed: timed out".into()));
}

#[test]
fn addresses_are_tried_in_order_within_one_limit() {
    let mut probe = connecting(Nanos::ZERO, 3);
    assert_eq!(
        (probe.handle(at(SECOND), &LIMITS, Input::ConnectFailed(Reason::Refused)), probe.address().copied()),
        (Next::Connect, Some(address(2)))
    );
    assert_eq!(
        probe.handle(at(SECOND), &LIMITS, Input::ConnectStarted),
        Next::Wait(at(SECOND + 1_666_666_666)),
        "it has its share, and the limit runs from the first attempt"
    );
    assert_eq!(
        (
            probe.handle(at(2 * SECOND), &LIMITS, Input::ConnectFailed(Reason::HostUnreachable)),
            probe.address().copied()
        ),
        (Next::Connect, Some(address(3)))
    );
    probe.handle(at(2 * SECOND), &LIMITS, Input::ConnectStarted);
    let Next::End(end) = probe.handle(at(3 * SECOND), &LIMITS, Input::Connected) else { panic!("it has not ended") };
    assert_eq!((end.connect, end.outcome), (Some(Nanos::from_secs(3)), Some(Outcome::FastSlow)));
    assert_eq!(end.ending, Ending::Connected(address(3)));
}

#[test]
fn all_refused_is_refused_and_unreachable_gives_way_to_a_better_reason() {
    let mut probe = connecting(Nanos::ZERO, 2);
    probe.handle(at(1), &LIMITS, Input::ConnectFailed(Reason::NetworkUnreachable));
    assert_eq!(ending(probe.handle(at(2), &LIMITS, Input::ConnectFailed(Reason::Refused))), "connect failed: refused");
    let mut probe = connecting(Nanos::ZERO, 2);
    probe.handle(at(1), &LIMITS, Input::ConnectFailed(Reason::Refused));
    assert_eq!(
        ending(probe.handle(at(2), &LIMITS, Input::ConnectFailed(Reason::NetworkUnreachable))),
        "connect failed: refused"
    );
}

#[test]
fn more_addresses_than_fit_are_left_out() {
    let mut probe = connecting(Nanos::ZERO, 20);
    for _ in 1..limits::ADDRESSES {
        assert!(matches!(probe.handle(at(1), &LIMITS, Input::ConnectFailed(Reason::Refused)), Next::Connect));
    }
    assert_eq!(ending(probe.handle(at(1), &LIMITS, Input::ConnectFailed(Reason::Refused))), "connect failed: refused");
}

#[test]
fn addresses_left_when_we_were_late_are_not_blamed_on_the_target() {
    let mut probe = connecting(Nanos::ZERO, 2);
    assert_eq!(
        ending(probe.handle(at(60 * SECOND), &LIMITS, Input::ConnectFailed(Reason::Refused))),
        "skipped: the monitor was stopped or late"
    );
    let mut probe = connecting(Nanos::ZERO, 1);
    assert_eq!(
        ending(probe.handle(at(60 * SECOND), &LIMITS, Input::ConnectFailed(Reason::Refused))),
        "connect failed: refused"
    );
}

#[test]
fn a_lookup_that_ends_long_after_its_limit_was_delayed_by_us() {
    for (beyond, outcome_then) in [(0, Some(Outcome::LookupFailed)), (499, Some(Outcome::LookupFailed)), (500, None)] {
        let mut probe = Probe::new();
        probe.handle(at(0), &LIMITS, Input::LookupStarted);
        let elapsed = Nanos::from_millis(5000 + beyond);
        assert_eq!(
            outcome({ probe }.handle(at(0), &LIMITS, Input::Answered(elapsed, &addresses(1)))),
            outcome_then,
            "{beyond}"
        );
        assert_eq!(outcome(probe.handle(at(elapsed.get()), &LIMITS, Input::Expired)), outcome_then, "{beyond}");
    }
}

#[test]
fn a_silent_address_is_given_up_after_its_share_while_enough_is_left_for_the_next() {
    // The number of addresses, the limit in milliseconds, and when each address is given up or the probe has failed.
    for (count, timeout, expected) in [
        (1, 5000, vec![5000]),
        (2, 5000, vec![2500, 5000]),
        (3, 4500, vec![1500, 3000, 4500]),
        (4, 5000, vec![1500, 3000, 5000]),
        (8, 5000, vec![1500, 3000, 5000]),
        (2, 2999, vec![2999]),
        (2, 3000, vec![1500, 3000]),
        (8, 20_000, vec![2500, 5000, 7500, 10_000, 12_500, 15_000, 17_500, 20_000]),
    ] {
        let limits = Thresholds { timeout: Nanos::from_millis(timeout), ..LIMITS };
        let mut probe = Probe::new();
        probe.handle(at(0), &limits, Input::LookupStarted);
        probe.handle(at(0), &limits, Input::Answered(Nanos::ZERO, &addresses(count)));
        let (mut now, mut ends) = (0, Vec::new());
        let end = loop {
            let (end, next) = silent(&mut probe, now, &limits);
            ends.push(end / 1_000_000);
            // The loop is some time late, which does not matter.
            now = end + 5_000_000;
            match next {
                Next::Connect => assert_eq!(probe.address().copied(), Some(address(ends.len() as u8 + 1))),
                Next::End(end) => break end,
                other => panic!("{other:?}"),
            }
        };
        let drift = |i: usize| 5 * i as u64;
        let planned: Vec<u64> = ends.iter().enumerate().map(|(i, end)| end - drift(i).min(*end)).collect();
        let last = ends.len() - 1;
        assert_eq!((&planned[..last], ends[last]), (&expected[..last], expected[last]), "{count} in {timeout} ms");
        assert_eq!((end.outcome, end.silent), (Some(Outcome::FastFailed), None));
        assert_eq!(end.ending, Ending::ConnectFailed(Reason::TimedOut, address(last as u8 + 1)));
    }
}

#[test]
fn a_silent_first_address_makes_a_service_slow_and_not_down() {
    let mut probe = connecting(Nanos::ZERO, 2);
    assert_eq!(probe.handle(at(2_500_000_000), &LIMITS, Input::Expired), Next::Connect);
    probe.handle(at(2_500_000_000), &LIMITS, Input::ConnectStarted);
    let Next::End(end) = probe.handle(at(2_510_000_000), &LIMITS, Input::Connected) else { panic!("it goes on") };
    assert_eq!((end.outcome, end.ending), (Some(Outcome::FastSlow), Ending::Connected(address(2))));
    assert_eq!(end.silent, Some(address(1)));
}

/// The end of a probe of so many addresses that stay silent for their share, with so many SYNs sent again to each, up to
/// the last one, which is then `ended` after 1 ms.
fn after_silent(resent: &[u32], slow: Option<Cause>, ended: Input<'_>) -> End {
    let limits = Thresholds { timeout: Nanos::from_secs(60), ..LIMITS };
    let mut probe = Probe::new();
    probe.handle(at(0), &limits, Input::LookupStarted);
    probe.handle(at(0), &limits, Input::Answered(Nanos::ZERO, &addresses(resent.len() as u8)));
    let (last, before) = resent.split_last().expect("an address");
    let mut now = 0;
    for resent in before {
        probe.note(*resent, None);
        let (end, next) = silent(&mut probe, now, &limits);
        assert_eq!(next, Next::Connect);
        now = end;
    }
    probe.handle(at(now), &limits, Input::ConnectStarted);
    assert_eq!(probe.attempt_time(at(now + 1_000_000)), Nanos::from_millis(1));
    probe.note(*last, slow);
    let Next::End(end) = probe.handle(at(now + 1_000_000), &limits, ended) else { panic!("it goes on") };
    end
}

#[test]
fn resent_syns_of_all_attempts_are_one_number_and_the_latest_silent_address_is_kept_if_another_accepts() {
    let path = Some(Cause::SlowPath);
    for (resent, slow, ended, expected) in [
        (&[0][..], None, Input::Connected, (0, None, None)),
        (&[1], Some(Cause::SlowByResentSyns), Input::Connected, (1, Some(Cause::SlowByResentSyns), None)),
        (&[3, 0], None, Input::Connected, (3, None, Some(1))),
        (&[3, 4, 1], path, Input::Connected, (8, path, Some(2))),
        (&[3, 4, 0], path, Input::ConnectFailed(Reason::Refused), (7, None, None)),
        (&[u32::MAX, 2], None, Input::Connected, (u32::MAX, None, Some(1))),
        // A skip says nothing about the target.
        (&[3, 2], None, Input::FellShort(Shortage::Memory), (0, None, None)),
    ] {
        let End { resent: sum, slow, silent, .. } = after_silent(resent, slow, ended);
        assert_eq!((sum, slow, silent), (expected.0, expected.1, expected.2.map(address)), "{resent:?} {ended:?}");
    }
}

#[test]
fn an_address_that_refused_was_not_silent() {
    let mut probe = connecting(Nanos::ZERO, 3);
    assert_eq!(probe.handle(at(1_666_666_666), &LIMITS, Input::Expired), Next::Connect);
    probe.handle(at(1_666_666_666), &LIMITS, Input::ConnectStarted);
    assert_eq!(probe.handle(at(1_700_000_000), &LIMITS, Input::ConnectFailed(Reason::Refused)), Next::Connect);
    probe.handle(at(1_700_000_000), &LIMITS, Input::ConnectStarted);
    let Next::End(end) = probe.handle(at(1_710_000_000), &LIMITS, Input::Connected) else { panic!("it goes on") };
    assert_eq!((end.ending, end.silent), (Ending::Connected(address(3)), Some(address(1))));
}

#[test]
fn resent_syns_that_were_unanswered_at_the_limit_are_counted() {
    let mut probe = connecting(Nanos::ZERO, 1);
    probe.note(4, None);
    let Next::End(end) = probe.handle(at(5 * SECOND), &LIMITS, Input::Expired) else { panic!("it goes on") };
    assert_eq!((end.outcome, end.resent, end.silent), (Some(Outcome::FastFailed), 4, None));
    let mut waiting = Probe::new();
    waiting.note(4, None);
    assert_eq!(waiting.attempt_time(at(5 * SECOND)), Nanos::ZERO, "there is no attempt");
}

#[test]
fn addresses_that_lost_their_time_to_us_are_not_blamed_on_the_target() {
    let late = "skipped: the monitor was stopped or late";
    let mut probe = connecting(Nanos::ZERO, 2);
    assert_eq!(ending(probe.handle(at(60 * SECOND), &LIMITS, Input::Expired)), late, "the second one was never tried");
    // The first is given up so late that an answer to a SYN sent again could not be seen any more.
    for (given_up, expected) in [(4000, late), (2600, "connect failed: timed out")] {
        let mut probe = connecting(Nanos::ZERO, 2);
        assert_eq!(probe.handle(at(given_up * 1_000_000), &LIMITS, Input::Expired), Next::Connect);
        let (end, next) = silent(&mut probe, given_up * 1_000_000, &LIMITS);
        assert_eq!((end, ending(next).as_str()), (5 * SECOND, expected), "{given_up}");
    }
}

#[test]
fn an_address_that_was_never_tried_because_we_were_late_is_not_blamed() {
    let late = "skipped: the monitor was stopped or late";
    // Without a delay each of three addresses is tried. A first one that is given up late leaves too little for the third.
    for (delay, expected) in [(0, "connect failed: timed out"), (500, late)] {
        let mut probe = connecting(Nanos::ZERO, 3);
        let given_up = 1_666_666_666 + delay * 1_000_000;
        assert_eq!(probe.handle(at(given_up), &LIMITS, Input::Expired), Next::Connect);
        let (mut now, mut next) = silent(&mut probe, given_up, &LIMITS);
        if next == Next::Connect {
            (now, next) = silent(&mut probe, now, &LIMITS);
        }
        assert_eq!((now, ending(next).as_str()), (5 * SECOND, expected), "{delay} ms late");
    }
    // An answer that comes after the limit, where most of the limit was lost to us.
    let mut probe = connecting(Nanos::ZERO, 2);
    assert_eq!(probe.handle(at(4_900_000_000), &LIMITS, Input::Expired), Next::Connect);
    probe.handle(at(4_900_000_000), &LIMITS, Input::ConnectStarted);
    assert_eq!(ending(probe.handle(at(5_100_000_000), &LIMITS, Input::Connected)), late);
}

#[test]
fn a_probe_is_sorted_by_the_thresholds_in_force_when_it_ends() {
    let short = Thresholds { slow: Nanos::from_millis(100), timeout: Nanos::from_secs(2) };
    let mut probe = connecting(Nanos::from_millis(500), 1);
    assert_eq!(probe.renew(at(100), &short), at(2 * SECOND));
    assert_eq!(outcome(probe.handle(at(200), &short, Input::Connected)), Some(Outcome::SlowFast));
    let mut probe = connecting(Nanos::from_secs(3), 1);
    let Next::End(end) = probe.handle(at(200), &short, Input::Connected) else { panic!("it goes on") };
    assert_eq!((end.outcome, end.lookup), (Some(Outcome::LookupFailed), Some(Nanos::from_secs(3))));
    assert_eq!(end.ending, Ending::LookupFailed(Reason::TimedOut));

    // A limit that becomes shorter than what has passed is no delay of ours.
    let mut probe = Probe::new();
    probe.handle(at(0), &LIMITS, Input::LookupStarted);
    assert_eq!(probe.renew(at(4 * SECOND), &short), at(2 * SECOND));
    assert_eq!(ending(probe.handle(at(4 * SECOND), &short, Input::Expired)), "lookup failed: timed out");
    let mut probe = connecting(Nanos::ZERO, 1);
    assert_eq!(probe.renew(at(4 * SECOND), &short), at(2 * SECOND));
    assert_eq!(ending(probe.handle(at(4 * SECOND), &short, Input::Expired)), "connect failed: timed out");
    let mut probe = connecting(Nanos::ZERO, 1);
    let long = Thresholds { timeout: Nanos::from_secs(10), ..LIMITS };
    assert_eq!(probe.renew(at(4 * SECOND), &long), at(10 * SECOND));
    assert_eq!(outcome(probe.handle(at(9 * SECOND), &long, Input::Connected)), Some(Outcome::FastSlow));
}

#[test]
fn no_local_port_is_not_blamed_on_a_target_whose_other_address_is_unreachable() {
    let six = Address::new("2001:db8::1".parse().expect("an address"));
    let mut probe = Probe::new();
    probe.handle(at(0), &LIMITS, Input::LookupStarted);
    probe.handle(at(0), &LIMITS, Input::Answered(Nanos::ZERO, &[address(1), six]));
    probe.handle(at(0), &LIMITS, Input::ConnectStarted);
    assert_eq!(
        (probe.handle(at(1), &LIMITS, Input::FellShort(Shortage::Ports)), probe.address().copied()),
        (Next::Connect, Some(six))
    );
    let next = probe.handle(at(2), &LIMITS, Input::ConnectFailed(Reason::NetworkUnreachable));
    assert_eq!(ending(next), "skipped: no free local port to connect from");
}

#[test]
fn a_shortage_skips_the_tick() {
    for shortage in [Shortage::Descriptors, Shortage::Memory, Shortage::Ports] {
        let mut probe = connecting(Nanos::ZERO, 1);
        assert_eq!(outcome(probe.handle(at(1), &LIMITS, Input::FellShort(shortage))), None);
    }
}

#[test]
fn no_local_address_for_one_family_leaves_the_other() {
    let mut probe = connecting(Nanos::ZERO, 2);
    assert_eq!(
        (probe.handle(at(1), &LIMITS, Input::FellShort(Shortage::Ports)), probe.address().copied()),
        (Next::Connect, Some(address(2)))
    );
    probe.handle(at(1), &LIMITS, Input::ConnectStarted);
    assert_eq!(outcome(probe.handle(at(2), &LIMITS, Input::Connected)), Some(Outcome::FastFast));
    let mut probe = connecting(Nanos::ZERO, 2);
    probe.handle(at(1), &LIMITS, Input::ConnectFailed(Reason::Refused));
    assert_eq!(ending(probe.handle(at(2), &LIMITS, Input::FellShort(Shortage::Ports))), "connect failed: refused");
}

#[test]
fn a_lookup_is_asked_again_when_its_helper_dies_but_not_for_ever() {
    let mut probe = Probe::new();
    for _ in 1..limits::LOOKUP_ASKS {
        probe.handle(at(0), &LIMITS, Input::LookupStarted);
        assert_eq!(probe.handle(at(0), &LIMITS, Input::LookupLost), Next::Ask);
    }
    assert_eq!(
        probe.handle(at(9), &LIMITS, Input::LookupStarted),
        Next::Wait(at(5 * SECOND + 9)),
        "with its whole limit each time"
    );
    assert_eq!(outcome(probe.handle(at(0), &LIMITS, Input::LookupLost)), None);
}
