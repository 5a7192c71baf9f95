//! The whole text of a small ledger, and what differs with other targets and without a run.

use core::net::IpAddr;

use super::*;
use crate::base::time::{Instant, WallTime};
use crate::core::health::Health;
use crate::core::ledger::Memory;
use crate::core::probe::End;
use crate::model::process_id::ProcessId;
use crate::model::reason::{Ending, Reason, Shortage};
use crate::model::target::Address;
use crate::render::Life;

const NOW: i64 = 1_760_020_200;

fn local(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: 0 }
}

/// A ledger with these targets, whose run began two hours ago.
fn ledger(targets: &[(&str, &str)]) -> Ledger {
    let ledger = Ledger::create(Memory::own(targets.len()), targets.len(), local(NOW - 9000));
    ledger.begin_run(ProcessId { pid: 4711, born: 1 }, "", local(NOW - 7200));
    ledger.set_clocks(Instant::from_nanos(0), local(NOW - 1));
    for (i, (service, host)) in targets.iter().enumerate() {
        let record = ledger.record(i);
        record.install(&Target::new(service, host, 443).expect("a target"));
        record.set_order(i + 1);
    }
    ledger
}

fn text(ledger: &Ledger, life: Life) -> String {
    let mut text = String::new();
    write(&mut text, &Seen { ledger, life, services: &[], now: local(NOW), local, describe: |_| "an error" });
    text
}

fn good(lookup: u64, connect: u64) -> End {
    let ending = Ending::Connected(Address::new(IpAddr::from([192, 0, 2, 7])));
    End { ending, lookup: Some(Nanos::new(lookup)), connect: Some(Nanos::new(connect)), ..End::skipped(Shortage::Late) }
}

/// The samples of a family in a text, without its name.
fn samples<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(name)).collect()
}

#[test]
fn the_whole_text_of_a_target_and_the_monitor() {
    let ledger = ledger(&[("web", "192.0.2.7")]);
    let record = ledger.record(0);
    record.set_health(&Health { state: State::Up, since: NOW - 1800, ..Health::NEW });
    record.count(Outcome::FastFast, 3);
    record.count(Outcome::FastFailed, 2);
    // Below the first edge, at it, in the last octave and behind the last edge.
    for nanos in [524_287, 524_288, 549_755_813_887, 600_000_000_000] {
        record.end(1, &good(0, nanos));
    }
    let refused = Ending::ConnectFailed(Reason::Refused, Address::new(IpAddr::from([192, 0, 2, 7])));
    record.end(
        2,
        &End { ending: refused, resent: 4, silent: refused.address().copied(), ..End::skipped(Shortage::Late) },
    );
    record.skip(5);
    assert_eq!(
        text(&ledger, Life::Running(4711)),
        include_str!("whole.prom").replace("VERSION", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn labels_are_escaped_and_have_the_scope_of_a_host() {
    let text = text(&ledger(&[("a \"b\" \\ c=ä", "fe80::1%eth0")]), Life::Ended);
    let skipped = samples(&text, "tcpmon_skipped_total");
    assert_eq!(skipped, ["{service=\"a \\\"b\\\" \\\\ c=ä\",host=\"fe80::1%eth0\",port=\"443\"} 0"]);
    assert_eq!(Quoted(&"a\nb").to_string(), "\"a\\nb\"");
}

#[test]
fn targets_that_share_service_host_and_port_all_have_an_index() {
    let text = text(&ledger(&[("web", "h"), ("db", "h"), ("web", "h"), ("web", "i"), ("web", "h")]), Life::Ended);
    let of = |service: &str, host: &str, index: &str| {
        format!("{{service=\"{service}\",host=\"{host}\",port=\"443\"{index}}} 0")
    };
    let expected = [
        of("web", "h", ",index=\"1\""),
        of("db", "h", ""),
        of("web", "h", ",index=\"2\""),
        of("web", "i", ""),
        of("web", "h", ",index=\"3\""),
    ];
    assert_eq!(samples(&text, "tcpmon_syns_resent_total"), expected);
}

#[test]
fn a_name_also_has_lookups_and_a_removed_target_has_nothing() {
    let ledger = ledger(&[("web", "www.example.com"), ("old", "192.0.2.8")]);
    ledger.record(1).set_usage(crate::core::ledger::Usage::Retired);
    ledger.record(0).end(1, &good(2_000_000, 1_000_000));
    let failed = Ending::LookupFailed(Reason::ResolverSilent);
    ledger
        .record(0)
        .end(2, &End { ending: failed, outcome: Some(Outcome::LookupFailed), ..End::skipped(Shortage::Late) });
    let text = text(&ledger, Life::Running(1));
    assert!(!text.contains("old"), "{text}");
    let labels = "service=\"web\",host=\"www.example.com\",port=\"443\"";
    for line in [
        format!("tcpmon_lookup_duration_seconds_bucket{{{labels},le=\"0.001048576\"}} 0"),
        format!("tcpmon_lookup_duration_seconds_bucket{{{labels},le=\"0.002097152\"}} 1"),
        format!("tcpmon_lookup_duration_seconds_sum{{{labels}}} 0.002031616"),
        format!("tcpmon_lookup_duration_seconds_count{{{labels}}} 1"),
        format!("tcpmon_failures_total{{{labels},phase=\"lookup\",reason=\"resolver_silent\"}} 1"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert_eq!(samples(&text, "tcpmon_lookup_duration_seconds_bucket").len(), 22);
    assert_eq!(samples(&text, "tcpmon_failures_total").len(), 15);
    assert!(!text.contains("tcpmon_up"), "it is not known whether it is up");
}

#[test]
fn a_state_is_only_told_while_a_run_watches() {
    let ledger = ledger(&[("web", "192.0.2.7")]);
    ledger.record(0).set_health(&Health { state: State::Down, since: NOW - 60, ..Health::NEW });
    let labels = "{service=\"web\",host=\"192.0.2.7\",port=\"443\"}";
    for (life, running, is_known) in [
        (Life::Running(1), " 1", true),
        (Life::Elsewhere, " 1", true),
        (Life::Ending, " 1", true),
        (Life::Starting, " 1", false),
        (Life::Ended, " 0", false),
        (Life::Stopped, " 0", false),
        (Life::Killed, " 0", false),
    ] {
        let text = text(&ledger, life);
        let up: Vec<String> = if is_known { vec![format!("{labels} 0")] } else { vec![] };
        assert_eq!(
            (samples(&text, "tcpmon_running"), samples(&text, "tcpmon_up")),
            (vec![running], up.iter().map(String::as_str).collect())
        );
        assert_eq!(text.contains("tcpmon_state_since_timestamp_seconds"), is_known, "{life:?}");
    }
}

#[test]
fn without_a_ledger_there_is_only_whether_it_runs_and_the_version() {
    let mut text = String::new();
    write_monitor(&mut text, true, None);
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        names,
        ["tcpmon_running 1", concat!("tcpmon_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")]
    );
}

#[test]
fn a_file_that_cannot_be_written_and_dropped_events_are_told() {
    let ledger = ledger(&[("web", "192.0.2.7")]);
    ledger.set_broken(Kind::Events, 5, 28);
    let text = text(&ledger, Life::Running(1));
    assert!(text.contains("\ntcpmon_log_failing 1\n") && text.contains("\ntcpmon_events_dropped_total 0\n"), "{text}");
}
