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
    let mut probe = Probe::new(LIMITS);
    assert_eq!(probe.begin(None), Next::Ask);
    assert_eq!(probe.handle(at(0), Input::LookupStarted), Next::Wait(at(5 * SECOND)));
    assert_eq!(
        (probe.handle(at(0), Input::Answered(lookup, &addresses(count))), probe.address().copied()),
        (Next::Connect, Some(address(1)))
    );
    assert_eq!(probe.handle(at(0), Input::ConnectStarted), Next::Wait(at(5 * SECOND)));
    probe
}

#[test]
fn a_literal_is_a_fast_lookup_of_no_time() {
    let mut probe = Probe::new(LIMITS);
    assert_eq!((probe.begin(Some(address(1))), probe.address().copied()), (Next::Connect, Some(address(1))));
    probe.handle(at(7), Input::ConnectStarted);
    let Next::End(end) = probe.handle(at(12), Input::Connected) else { panic!("it has not ended") };
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
        assert_eq!(outcome(probe.handle(at(connect), Input::Connected)), Some(expected), "{lookup} {connect}");
    }
}

#[test]
fn a_lookup_at_its_limit_has_failed_even_with_an_answer() {
    let mut probe = Probe::new(LIMITS);
    probe.handle(at(0), Input::LookupStarted);
    let next = probe.handle(at(0), Input::Answered(Nanos::from_secs(5), &addresses(1)));
    assert_eq!((outcome(next), ending(next)), (Some(Outcome::LookupFailed), "lookup failed: timed out".into()));
}

#[test]
fn no_address_is_a_failed_lookup() {
    let mut probe = Probe::new(LIMITS);
    probe.handle(at(0), Input::LookupStarted);
    assert_eq!(ending(probe.handle(at(0), Input::Answered(Nanos::new(1), &[]))), "lookup failed: no address");
}

#[test]
fn a_deadline_runs_from_when_the_helper_was_asked() {
    let mut probe = Probe::new(LIMITS);
    assert_eq!(probe.handle(at(3), Input::LookupStarted), Next::Wait(at(5 * SECOND + 3)));
    let next = probe.handle(at(5 * SECOND + 3), Input::Expired);
    assert_eq!((outcome(next), ending(next)), (Some(Outcome::LookupFailed), "lookup failed: timed out".into()));
}

#[test]
fn addresses_are_tried_in_order_within_one_limit() {
    let mut probe = connecting(Nanos::ZERO, 3);
    assert_eq!(
        (probe.handle(at(SECOND), Input::ConnectFailed(Reason::Refused)), probe.address().copied()),
        (Next::Connect, Some(address(2)))
    );
    assert_eq!(
        probe.handle(at(SECOND), Input::ConnectStarted),
        Next::Wait(at(5 * SECOND)),
        "the limit runs from the first attempt"
    );
    assert_eq!(
        (probe.handle(at(2 * SECOND), Input::ConnectFailed(Reason::HostUnreachable)), probe.address().copied()),
        (Next::Connect, Some(address(3)))
    );
    probe.handle(at(2 * SECOND), Input::ConnectStarted);
    let Next::End(end) = probe.handle(at(3 * SECOND), Input::Connected) else { panic!("it has not ended") };
    assert_eq!((end.connect, end.outcome), (Some(Nanos::from_secs(3)), Some(Outcome::FastSlow)));
    assert_eq!(end.ending, Ending::Connected(address(3)));
}

#[test]
fn all_refused_is_refused_and_unreachable_gives_way_to_a_better_reason() {
    let mut probe = connecting(Nanos::ZERO, 2);
    probe.handle(at(1), Input::ConnectFailed(Reason::NetworkUnreachable));
    assert_eq!(ending(probe.handle(at(2), Input::ConnectFailed(Reason::Refused))), "connect failed: refused");
    let mut probe = connecting(Nanos::ZERO, 2);
    probe.handle(at(1), Input::ConnectFailed(Reason::Refused));
    assert_eq!(
        ending(probe.handle(at(2), Input::ConnectFailed(Reason::NetworkUnreachable))),
        "connect failed: refused"
    );
}

#[test]
fn more_addresses_than_fit_are_left_out() {
    let mut probe = connecting(Nanos::ZERO, 20);
    for _ in 1..limits::ADDRESSES {
        assert!(matches!(probe.handle(at(1), Input::ConnectFailed(Reason::Refused)), Next::Connect));
    }
    assert_eq!(ending(probe.handle(at(1), Input::ConnectFailed(Reason::Refused))), "connect failed: refused");
}

#[test]
fn addresses_left_when_we_were_late_are_not_blamed_on_the_target() {
    let mut probe = connecting(Nanos::ZERO, 2);
    assert_eq!(
        ending(probe.handle(at(60 * SECOND), Input::ConnectFailed(Reason::Refused))),
        "skipped: the monitor was stopped or late"
    );
    let mut probe = connecting(Nanos::ZERO, 1);
    assert_eq!(ending(probe.handle(at(60 * SECOND), Input::ConnectFailed(Reason::Refused))), "connect failed: refused");
}

#[test]
fn a_lookup_that_ends_long_after_its_limit_was_delayed_by_us() {
    for (beyond, outcome_then) in [(0, Some(Outcome::LookupFailed)), (499, Some(Outcome::LookupFailed)), (500, None)] {
        let mut probe = Probe::new(LIMITS);
        probe.handle(at(0), Input::LookupStarted);
        let elapsed = Nanos::from_millis(5000 + beyond);
        assert_eq!(outcome({ probe }.handle(at(0), Input::Answered(elapsed, &addresses(1)))), outcome_then, "{beyond}");
        assert_eq!(outcome(probe.handle(at(elapsed.get()), Input::Expired)), outcome_then, "{beyond}");
    }
}

#[test]
fn no_local_port_is_not_blamed_on_a_target_whose_other_address_is_unreachable() {
    let six = Address::new("2001:db8::1".parse().expect("an address"));
    let mut probe = Probe::new(LIMITS);
    probe.handle(at(0), Input::LookupStarted);
    probe.handle(at(0), Input::Answered(Nanos::ZERO, &[address(1), six]));
    probe.handle(at(0), Input::ConnectStarted);
    assert_eq!(
        (probe.handle(at(1), Input::FellShort(Shortage::Ports)), probe.address().copied()),
        (Next::Connect, Some(six))
    );
    let next = probe.handle(at(2), Input::ConnectFailed(Reason::NetworkUnreachable));
    assert_eq!(ending(next), "skipped: no local address or port to connect from");
}

#[test]
fn a_shortage_skips_the_tick() {
    for shortage in [Shortage::Descriptors, Shortage::Memory, Shortage::Ports] {
        let mut probe = connecting(Nanos::ZERO, 1);
        assert_eq!(outcome(probe.handle(at(1), Input::FellShort(shortage))), None);
    }
}

#[test]
fn no_local_address_for_one_family_leaves_the_other() {
    let mut probe = connecting(Nanos::ZERO, 2);
    assert_eq!(
        (probe.handle(at(1), Input::FellShort(Shortage::Ports)), probe.address().copied()),
        (Next::Connect, Some(address(2)))
    );
    probe.handle(at(1), Input::ConnectStarted);
    assert_eq!(outcome(probe.handle(at(2), Input::Connected)), Some(Outcome::FastFast));
    let mut probe = connecting(Nanos::ZERO, 2);
    probe.handle(at(1), Input::ConnectFailed(Reason::Refused));
    assert_eq!(ending(probe.handle(at(2), Input::FellShort(Shortage::Ports))), "connect failed: refused");
}

#[test]
fn a_lookup_is_asked_again_when_its_helper_dies_but_not_for_ever() {
    let mut probe = Probe::new(LIMITS);
    for _ in 1..limits::LOOKUP_ASKS {
        probe.handle(at(0), Input::LookupStarted);
        assert_eq!(probe.handle(at(0), Input::LookupLost), Next::Ask);
    }
    assert_eq!(
        probe.handle(at(9), Input::LookupStarted),
        Next::Wait(at(5 * SECOND + 9)),
        "with its whole limit each time"
    );
    assert_eq!(outcome(probe.handle(at(0), Input::LookupLost)), None);
}
