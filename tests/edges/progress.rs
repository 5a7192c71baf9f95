//! What a person at the terminal sees of a run: where its log is, what changes, and how long everything took.

use std::net::UdpSocket;

use nix::sys::signal::Signal;
use tcpmon::model::log_names::Kind;

use crate::clock::{self, wait_until};
use crate::lines::{events, found, masked, told};
use crate::listener::{Accepting, Closed};
use crate::namespace;
use crate::running::{RunDir, sum};

/// The lines that tell of a state.
fn changes(stdout: &str) -> Vec<String> {
    stdout.lines().filter(|line| line.contains(" | down | ") || line.contains(" | up | ")).map(str::to_string).collect()
}

#[test]
fn a_change_of_state_breaks_the_line_of_dots_with_the_words_of_the_event() {
    namespace::within(|| {
        let address = "127.0.0.1:4711";
        for settings in ["", "--events on", "--syslog on"] {
            let dir = RunDir::new();
            let run = dir.start(&format!("--interval 100ms --report 1h {settings} web={address}"));
            wait_until("it is down", || run.stdout().contains(" | down | "));
            let web = Accepting::on(address).expect("the port is free");
            wait_until("it is up", || run.stdout().contains(" | up | "));
            run.signal(Signal::SIGTERM);
            let ended = run.wait();
            drop(web);
            let lines = changes(&ended.stdout);
            let since = "since TIME";
            assert_eq!(
                masked(&lines)[0],
                format!("down | web | {address} | connect refused by 127.0.0.1, {since}, 3 failed"),
                "{ended:?}"
            );
            assert!(masked(&lines)[1].starts_with(&format!("up | web | {address} | connected to 127.0.0.1 in ")));
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(ended.stdout.contains(&format!(".\n{}\n.", lines[0])), "the dots go on: {}", ended.stdout);
            let told: Vec<String> = events(&dir).into_iter().filter(|line| lines.contains(line)).collect();
            let has_file = settings == "--events on";
            assert_eq!(told.len(), if has_file { 2 } else { 0 }, "the same lines are in the file, if it is wanted");
        }
    });
}

#[test]
fn what_another_run_left_is_not_shown_and_a_quiet_one_shows_nothing() {
    let gone = Closed::new();
    let dir = RunDir::new();
    // It goes down at the end of the run: that is said before the last report is.
    let arguments = format!("--interval 100ms --report 1h --down-after 2 -n 2 gone={}", gone.address);
    let ended = dir.run(&arguments);
    assert_eq!(changes(&ended.stdout).len(), 1);
    let report = ended.stdout.find("Statistics logged").expect("a last report");
    assert!(ended.stdout.find(" | down | ").is_some_and(|down| down < report), "{}", ended.stdout);
    assert_eq!(changes(&dir.run(&arguments).stdout), Vec::<String>::new(), "it is down as before");
    assert_eq!(RunDir::new().run(&format!("-q {arguments}")).stdout, "");
}

#[test]
fn without_the_internet_the_first_run_says_within_ten_seconds_what_is_wrong() {
    namespace::within(|| {
        // A name server that says nothing is the slowest way to fail.
        let _silent = UdpSocket::bind("127.0.0.1:53").expect("the namespace has the port free");
        let dir = RunDir::new();
        let run = dir.start("");
        wait_until("all three are down", || changes(&run.stdout()).len() == 3);
        run.signal(Signal::SIGTERM);
        let ended = run.wait();
        for line in changes(&ended.stdout) {
            assert!(line.contains(" | lookup timed out, since ") || line.contains(" | lookup resolver "), "{line}");
            assert!(found(&line) - told(&line)[0] < 10, "{line}");
        }
    });
}

#[test]
fn changes_for_which_the_ledger_has_no_room_are_not_passed_over() {
    namespace::within(|| {
        let address = "127.0.0.1:4711";
        let dir = RunDir::new();
        let day = clock::wall()[..10].replace('-', "");
        std::fs::create_dir(dir.path().join(format!("tcp_events_{day}.log"))).expect("its name is free");
        let targets: Vec<String> = (0..8).map(|i| format!("t{i}={address}")).collect();
        let settings = "--events on --interval 50ms --down-after 1 --up-after 1 --report 1h";
        let run = dir.start(&format!("{settings} {}", targets.join(" ")));
        let is_over = |number: usize| {
            let shown = run.stdout();
            changes(&shown).len() >= number || shown.contains(" | dropped | - | - | ")
        };
        // The ledger has room for 64 events.
        for round in 0..5 {
            wait_until("all are down", || is_over(16 * round + 8));
            let _web = Accepting::on(address).expect("the port is free");
            wait_until("all are up", || is_over(16 * round + 16));
        }
        wait_until("it is said", || run.stdout().contains(" | dropped | - | - | "));
        assert_eq!(run.end().code(), Some(0));
    });
}

#[test]
fn a_run_that_ends_by_itself_shows_the_times_of_both_phases() {
    let web = Accepting::new();
    let (gone, port) = (Closed::new(), web.address.port());
    let dir = RunDir::new();
    for end in ["-n 5", "--for 1s"] {
        let line = format!("{end} --interval 200ms web={} name=localhost:{port}", web.address);
        let ended = dir.run(&format!("{line} gone={}", gone.address));
        let (_, table) = ended.stdout.split_once("\nTimes of this run, of what did not fail:\n").expect("it is there");
        let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0], ["Service", "Target", "Phase", "Min ms", "p50 ms", "p95 ms", "Max ms"]);
        let phases: Vec<String> = rows[1..].iter().map(|row| format!("{} {}", row[0], row[2])).collect();
        assert_eq!(phases, ["web Connect", "name DNS", "name Connect"]);
        for row in &rows[1..] {
            let times: Vec<f64> = row[3..].iter().map(|time| time.parse().expect("milliseconds")).collect();
            assert!(times.is_sorted() && times[0] > 0.0, "{row:?}");
        }
    }
    // A target that a reload has added has times, too.
    let config = |name| format!("interval 100ms\ntarget {name} 127.0.0.1 {port}\n");
    dir.write("conf", &config("before"));
    let run = dir.start("-c conf --for 3s");
    web.wait_for_a_round(1);
    dir.write("conf", &config("after"));
    run.signal(Signal::SIGHUP);
    let ended = run.wait();
    assert!(
        ended.stdout.lines().any(|line| line.starts_with("after   | ") && line.contains(" | Connect | ")),
        "{ended:?}"
    );
    // Nobody asked a run for its times that is ended from outside.
    let run = dir.start(&format!("--interval 100ms web={}", web.address));
    web.wait_for_a_round(1);
    let ended = run.end();
    assert!(!ended.stdout.contains("Times of this run"), "{}", ended.stdout);
}

#[test]
fn a_run_that_ends_right_after_a_report_writes_no_rows_of_zeroes() {
    let web = Accepting::new();
    let dir = RunDir::new();
    // One tick, and time for a report on request before the end.
    let run = dir.start(&format!("-q --interval 1h --report 1h --times on web={}", web.address));
    web.wait_for_a_round(1);
    // A report on request is one of zeroes while the probe is not counted.
    while !sum(&dir.rows(), "web").starts_with("1 | ") {
        let before = dir.rows().len();
        run.signal(Signal::SIGUSR1);
        wait_until("there is a report", || dir.rows().len() > before);
    }
    let before = dir.rows().len();
    assert_eq!(run.end().outcome(), "exit 0");
    assert_eq!(dir.rows().len(), before);
    assert_eq!(crate::lines::lines_in(dir.path(), Kind::Times).len(), 1 + before, "a row of times for each report");
}

#[test]
fn the_first_screen_tells_how_to_see_more() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = format!("target web 127.0.0.1 {}\n", web.address.port());
    dir.write("tcpmon.conf", &target);
    dir.write("other.conf", &format!("log_dir logs\n{target}"));
    for (arguments, log, status) in [
        ("", "tcp_stats_latest.log", "status"),
        ("-c other.conf", "logs/tcp_stats_latest.log", "status -c other.conf"),
        (
            "-c other.conf --log-dir here --ledger ./l",
            "here/tcp_stats_latest.log",
            "status -c other.conf --log-dir here --ledger ./l",
        ),
    ] {
        let ended = dir.run(&format!("-n 1 {arguments}"));
        let told = format!("\nLogging to {log} every 5m; for more: tcpmon {status}\n");
        assert!(ended.stdout.contains(&told), "{}", ended.stdout);
        assert!(dir.path().join(log).is_file(), "{log}");
        let shown = dir.run(status);
        assert!(shown.stdout.contains("web"), "{shown:?}");
    }
}
