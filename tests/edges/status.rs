//! `tcpmon status`: what it shows of a run, and that it does not disturb the run.

use std::io::Read;
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::signal::Signal;

use crate::clock::{self, wait_until};
use crate::listener::{Accepting, Closed};
use crate::running::{RunDir, rows_of, total};

#[test]
fn status_shows_each_target_during_a_run_and_after_a_kill() {
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    let run =
        dir.start(&format!("-q --interval 300ms --report 1h --down-after 1 web={} gone={}", web.address, gone.address));
    web.wait_for_a_round(1);
    clock::let_pass(Duration::from_millis(100));
    let live = dir.run("status");
    let pid = run.pid();
    assert!(live.stdout.starts_with(&format!("Running as pid {pid} since 2")), "{live:?}");
    run.signal(Signal::SIGKILL);
    run.wait();
    let dead = dir.run("status");
    let how = format!("Not running: the last run (pid {pid}) did not end cleanly, last alive at 2");
    assert!(dead.stdout.starts_with(&how), "{dead:?}");
    let parts: Vec<&str> = dead.stdout.split("\n\n").collect();
    let [_, states, interval, totals, times] = parts[..] else { panic!("{dead:?}") };
    let states: Vec<Vec<&str>> = states.lines().map(|line| line.split(" | ").map(str::trim).collect()).collect();
    let headings = ["Service", "Target", "State", "Since", "Skipped", "Last probe", "DNS ms", "Connect ms", "Result"];
    assert_eq!(states[0], headings);
    let endpoint = |address: std::net::SocketAddr| address.to_string();
    assert_eq!(states[1][..3], ["web", &endpoint(web.address), "up"]);
    assert_eq!((states[1][6], states[1][8]), ("0.000", "connected to 127.0.0.1"));
    assert_eq!(states[2][..3], ["gone", &endpoint(gone.address), "down"]);
    assert_eq!(states[2][8], "connect failed: refused");
    let (_, interval) = interval.split_once(":\n").expect("a title");
    let (_, totals) = totals.split_once(":\n").expect("a title");
    let table = |text: &str| rows_of(&format!("{text}\n"));
    assert_eq!(total(&table(interval), "web"), web.total() as u64);
    assert_eq!(
        table(interval).iter().map(|row| row.numbers).collect::<Vec<_>>(),
        table(totals).iter().map(|row| row.numbers).collect::<Vec<_>>()
    );
    assert_eq!(times.lines().count(), 3, "a title, headings, and the connects of web: {times}");
}

#[test]
fn json_says_the_same_and_quantiles_are_in_order() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q --interval 20ms --report 1h -n 50 localhost:{}", web.address.port()));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let status = dir.run("status --json").json();
    assert_eq!((&status["running"], &status["clean"]), (&false.into(), &true.into()));
    let target = &status["targets"][0];
    assert_eq!(target["total"]["total"], web.total());
    assert_eq!(target["interval"]["total"], 0, "all is reported");
    assert_eq!((&target["state"], &target["last"]["outcome"]), (&"up".into(), &"connected".into()));
    for phase in ["dns", "connect"] {
        let summary = &target[phase];
        let at = |name: &str| summary[name].as_f64().unwrap_or_else(|| panic!("{name} of {summary}"));
        assert_eq!(summary["count"], web.total());
        assert!(0.0 < at("p50_ms") && at("p50_ms") <= at("p95_ms"), "{summary}");
        assert!(at("p95_ms") <= at("p99_ms") && at("p99_ms") <= at("max_ms") + 0.001, "{summary}");
    }
}

#[test]
fn status_watch_redraws_the_terminal() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 200ms --report 1h web={}", web.address));
    web.wait_for_a_round(1);
    let terminal = openpty(None, None).expect("a terminal");
    let watching = dir.start_with("status --watch", terminal.slave.into());
    let mut reader = std::fs::File::from(terminal.master);
    let mut seen = String::new();
    wait_until("it was shown three times", || {
        let mut piece = [0; 4096];
        let length = reader.read(&mut piece).unwrap_or(0);
        seen.push_str(&String::from_utf8_lossy(&piece[..length]));
        seen.matches("\u{1b}[HRunning as pid").count() >= 3
    });
    assert_eq!(watching.end().outcome(), "signal 15");
    assert_eq!(run.end().outcome(), "exit 0");
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64, "it disturbed nothing");
}
