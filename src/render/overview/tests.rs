//! The first screen on terminals of many sizes.

use core::net::IpAddr;

use super::*;
use crate::base::time::WallTime;
use crate::base::width::width;
use crate::core::health::Health;
use crate::core::ledger::{Ledger, Memory};
use crate::core::probe::End;
use crate::model::outcome::Outcome;
use crate::model::process_id::ProcessId;
use crate::model::target::{Address, Target};

const NOW: i64 = 1_760_020_200;
const PLAIN: Screen = Screen { is_wide: false, columns: usize::MAX, lines: usize::MAX, marks: false };

fn local(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: 0 }
}

fn describe(errno: i32) -> &'static str {
    if errno == 28 { "No space left on device" } else { "another error" }
}

fn address() -> Address {
    Address::new(IpAddr::from([192, 0, 2, 7]))
}

fn good(millis: u64) -> End {
    let time = Some(Nanos::from_millis(millis));
    let (ending, outcome) = (Ending::Connected(address()), Some(Outcome::FastFast));
    End { ending, outcome, lookup: time, connect: time, ..End::skipped(Shortage::Late) }
}

fn failed(ending: Ending) -> End {
    End { ending, outcome: Some(Outcome::FastFailed), ..End::skipped(Shortage::Late) }
}

/// A ledger with these services, each with a state, which began half an hour ago. Those that are down fail.
fn ledger(services: &[(&str, State)]) -> Ledger {
    let ledger = Ledger::create(Memory::own(services.len()), services.len(), local(NOW - 9000));
    ledger.begin_run(ProcessId { pid: 4711, born: 1 }, "", local(NOW - 7200));
    ledger.set_clocks(crate::base::time::Instant::from_nanos(0), local(NOW - 60));
    ledger.set_due(local(NOW + 300));
    for (i, (service, state)) in services.iter().enumerate() {
        let record = ledger.record(i);
        record.install(&Target::new(service, "api.example.com", 443 + i as u16).expect("a target"));
        record.set_order(i + 1);
        record.set_health(&Health { state: *state, since: NOW - 1800, ..Health::NEW });
        match state {
            State::Down => {
                record.end(NOW as u32 - 2, &failed(Ending::ConnectFailed(Reason::Refused, address())));
                record.count(Outcome::FastFailed, 30);
            }
            State::Up => {
                record.end(NOW as u32 - 1, &good(11));
                record.count(Outcome::FastFast, 30);
            }
            State::Unknown => {}
        }
    }
    ledger
}

fn shown_as(ledger: &Ledger, life: Life, services: &[&'static str], screen: Screen) -> String {
    let mut out = String::new();
    let seen = Seen { ledger, life, services, now: local(NOW), local, describe };
    write(&mut out, &seen, screen);
    out
}

fn shown(ledger: &Ledger, screen: Screen) -> String {
    shown_as(ledger, Life::Running(4711), &[], screen)
}

#[test]
fn the_screen_is_that_of_the_manual() {
    let ledger = ledger(&[("promotion-api", State::Up), ("db", State::Down), ("vpn", State::Unknown)]);
    ledger.record(0).end(NOW as u32 - 9000, &failed(Ending::LookupFailed(Reason::TimedOut)));
    let expected = "\
1 of 3 down, 1 unknown; running as pid 4711 since 12:30:00, next report at 14:35:00
State    For    Service        Loss%     p50     p95  Last failure
down     30m    db             100.0       -       -  2s ago refused 192.0.2.7
up       30m    promotion-api    0.0    11.0    11.0  2h30m ago lookup timed out
unknown  -      vpn                -       -       -  -
";
    assert_eq!(shown(&ledger, PLAIN), expected);
    let wide = "\
1 of 3 down, 1 unknown; running as pid 4711 since 12:30:00, next report at 14:35:00
State    For    Service        Target               Loss%  DNS p50     p50     p95  Connect  Last failure
down     30m    db             api.example.com:444  100.0        -       -       -        -  2s ago refused 192.0.2.7
up       30m    promotion-api  api.example.com:443    0.0     11.0    11.0    11.0     11.0  2h30m ago lookup timed out
unknown  -      vpn            api.example.com:445      -        -       -       -        -  -
";
    assert_eq!(shown(&ledger, Screen { is_wide: true, ..PLAIN }), wide);
    let alone = shown_as(&ledger, Life::Running(4711), &["vpn"], PLAIN);
    assert!(alone.starts_with("1 of 1 unknown; running") && alone.lines().count() == 3, "{alone}");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_one_line_is_left_for_the_prompt() {
    let names =
        ["web", "a-service-whose-name-is-very-long-and-ends-with-1", "決済サービス決済サービス決済", "🚀🚀", "שלום"];
    for count in [1, 5, 20, 100] {
        for state in 0..4 {
            let state = |i: usize| match (state, i % 3) {
                (0, _) | (3, 0) => State::Up,
                (1, _) | (3, 1) => State::Down,
                _ => State::Unknown,
            };
            let services: Vec<_> = (0..count).map(|i| (names[i % names.len()], state(i))).collect();
            let ledger = ledger(&services);
            for (columns, rows) in [(80, 24), (120, 40), (220, 50), (40, 10), (20, 4), (8, 2)] {
                for life in [Life::Running(4_194_304), Life::Elsewhere, Life::Killed, Life::Stopped, Life::Starting] {
                    let screen = Screen { is_wide: columns >= WIDE, columns, lines: rows - 1, marks: false };
                    let text = shown_as(&ledger, life, &[], screen);
                    assert!(text.lines().count() < rows && text.ends_with('\n'), "{text}");
                    for line in text.lines() {
                        assert!(width(line) <= columns, "{columns}: {line}");
                    }
                    if columns >= 80 {
                        assert_eq!(told(&text), count, "{text}");
                    }
                }
            }
        }
    }
}

/// How many targets a screen has, with those that its last line says are left out.
fn told(text: &str) -> usize {
    let rows = text.lines().skip_while(|line| !line.starts_with("State")).skip(1);
    rows.map(|line| match line.strip_prefix("and ") {
        Some(more) => more.split(' ').next().expect("a word").parse().expect("a number"),
        None => 1,
    })
    .sum()
}

#[test]
fn what_does_not_fit_is_counted_with_its_states() {
    let of = |count, state| vec![("web", state); count];
    let last = |services: &[(&str, State)]| {
        let text = shown(&ledger(services), Screen { columns: 80, lines: 9, ..PLAIN });
        (text.lines().count(), text.lines().last().expect("a line").to_string())
    };
    assert_eq!(last(&of(100, State::Up)), (9, "and 94 more".into()));
    assert_eq!(last(&[of(90, State::Up), of(11, State::Down)].concat()), (9, "and 95 more, 5 down".into()));
    assert_eq!(
        last(&[of(2, State::Unknown), of(7, State::Down)].concat()),
        (9, "and 4 more, 2 down, 2 unknown".into())
    );
    let text = shown(&ledger(&of(7, State::Up)), Screen { columns: 80, lines: 9, ..PLAIN });
    assert_eq!((text.lines().count(), text.contains("more")), (9, false), "all of them fit: {text}");
}

#[test]
fn without_a_run_that_comes_first_and_no_target_is_up() {
    let ledger = ledger(&[("web", State::Up), ("db", State::Down)]);
    for (life, how) in [(Life::Killed, "killed"), (Life::Ended, "ended"), (Life::Stopped, "stopped")] {
        let text = shown_as(&ledger, life, &[], PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("Not running since 2025-10-09 14:29:00: {how}; last seen 1 of 2 down"));
        assert!(lines[2].starts_with("was down  -    ") && lines[3].starts_with("was up    -    "), "{text}");
    }
    assert!(shown_as(&ledger, Life::Starting, &[], PLAIN).starts_with("starting; last seen 1 of 2 down\n"));
    assert!(shown_as(&ledger, Life::Ending, &[], PLAIN).starts_with("1 of 2 down; ending\n"));
    let elsewhere = "1 of 2 down; running in another namespace as pid 4711 since 12:30:00, next";
    assert!(shown_as(&ledger, Life::Elsewhere, &[], PLAIN).starts_with(elsewhere));
    let narrow = shown(&ledger, Screen { columns: 70, ..PLAIN });
    let first = "1 of 2 down\nrunning as pid 4711 since 12:30:00, next report at 14:35:00\nState";
    assert!(narrow.starts_with(first), "{narrow}");
}

#[test]
fn what_keeps_the_run_from_its_work_has_a_line_each() {
    let ledger = ledger(&[("web", State::Up), ("db", State::Up)]);
    assert_eq!(shown(&ledger, PLAIN).lines().count(), 4);
    ledger.set_due(local(0));
    ledger.set_broken(log_names::Kind::Stats, NOW as u32 - 600, 28);
    ledger.set_broken(log_names::Kind::Samples, NOW as u32 - 86_400, 5);
    ledger.record(1).end(NOW as u32, &End::skipped(Shortage::ResolverFile));
    ledger.record(1).skip(3);
    let text = shown(&ledger, PLAIN);
    let trouble: Vec<&str> = text.lines().take_while(|line| !line.starts_with("State")).collect();
    let expected = [
        "all 2 up; running as pid 4711 since 12:30:00",
        "clock not set: reports wait for it",
        "log not written since 14:20:00: No space left on device",
        "samples not written since 2025-10-08: another error",
        "1 target not probed since 14:29:59: a file of the resolver cannot be read; tcpmon check names it",
        "3 ticks skipped since the last report",
    ];
    assert_eq!(trouble, expected);
    let marked = shown(&ledger, Screen { marks: true, ..PLAIN });
    let begins: Vec<bool> = marked.lines().map(|line| line.starts_with(MARK[0])).collect();
    assert_eq!(begins, [false, true, true, true, true, true, false, false, false]);
    assert!(!shown_as(&ledger, Life::Killed, &[], PLAIN).contains("written"), "nobody writes");
}

#[test]
fn only_marks_differ_on_a_terminal() {
    let ledger = ledger(&[("web", State::Up), ("down", State::Down)]);
    let marked = shown(&ledger, Screen { marks: true, ..PLAIN });
    assert!(marked.contains("\n\u{1b}[1;31mdown\u{1b}[0m  ") && marked.starts_with(MARK[0]), "{marked}");
    assert_eq!(marked.replace(MARK[0], "").replace(MARK[1], ""), shown(&ledger, PLAIN));
}

#[test]
fn two_targets_of_one_service_are_told_apart() {
    let names = |targets: &[(&str, &str, u16)], is_wide| {
        let ledger = ledger(&vec![("x", State::Up); targets.len()]);
        for (i, (service, host, port)) in targets.iter().enumerate() {
            ledger.record(i).install(&Target::new(service, host, *port).expect("a target"));
            ledger.record(i).set_order(i + 1);
        }
        let text = shown(&ledger, Screen { is_wide, ..PLAIN });
        let from = text.lines().nth(1).expect("headings").find("Service").expect("it is there");
        let cell = |line: &str| line[from..].split("  ").next().expect("a cell").to_string();
        text.lines().skip(2).map(cell).collect::<Vec<_>>()
    };
    let (a, b) = ("192.0.2.1", "192.0.2.2");
    assert_eq!(names(&[("web", a, 80), ("db", a, 80)], false), ["web", "db"]);
    assert_eq!(names(&[("web", a, 80), ("web", a, 443)], false), ["web:80", "web:443"]);
    assert_eq!(names(&[("web", a, 80), ("web", b, 80)], false), ["web 192.0.2.1", "web 192.0.2.2"]);
    assert_eq!(names(&[("web", a, 80), ("web", a, 80), ("web", b, 80)], false), ["web #1", "web #2", "web 192.0.2.2"]);
    assert_eq!(names(&[("web", a, 80), ("web", a, 443)], true), ["web", "web"]);
    assert_eq!(names(&[("web", a, 80), ("web", a, 80)], true), ["web #1", "web #2"]);
}

#[test]
fn figures_are_those_of_the_last_interval_until_there_is_enough() {
    let ledger = ledger(&[("web", State::Up)]);
    let record = ledger.record(0);
    let row = || shown(&ledger, PLAIN).lines().nth(2).expect("a row").to_string();
    assert!(row().contains(" 0.0    11.0 "), "{}", row());
    // A report: the next interval begins.
    record.begin_row();
    record.keep_figures(&record.tally().unreported().columns());
    record.end_row();
    record.mark_reported(&record.tally());
    record.end(NOW as u32, &good(500));
    record.count(Outcome::FastFailed, 19);
    assert!(row().contains(" 0.0    11.0 "), "19 are too few: {}", row());
    record.count(Outcome::FastFailed, 20);
    assert!(row().contains(" 100.0   500.0 "), "{}", row());
}

#[test]
fn lengths_losses_and_times_are_short() {
    let length = |seconds: i64| Length(seconds).to_string();
    for (seconds, text) in [
        (-5, "-"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (599, "9m59s"),
        (600, "10m"),
        (3599, "59m"),
        (3600, "1h"),
        (9060, "2h31m"),
        (86_399, "23h"),
        (86_400, "1d"),
        (90_000, "1d1h"),
        (i64::from(u32::MAX), "49710d"),
    ] {
        assert_eq!(length(seconds), text);
    }
    let loss = |probes, failed| Loss((probes, failed), "-").to_string();
    assert_eq!([loss(0, 0), loss(150, 0), loss(150, 8), loss(150, 150)], ["-", "0.0", "5.3", "100.0"]);
    assert_eq!([loss(100_000, 1), loss(100_000, 99_999), loss(u32::MAX, u32::MAX)], ["0.1", "99.9", "100.0"]);
}
