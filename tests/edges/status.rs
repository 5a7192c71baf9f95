//! `tcpmon status`: what it shows of a run, and that it does not disturb the run.

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;

use crate::clock::{self, wait_until};
use crate::listener::{Accepting, Closed};
use crate::running::{RunDir, total};

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
    assert!(live.stdout.starts_with(&format!("1 of 2 down; running as pid {pid} since ")), "{live:?}");
    run.signal(Signal::SIGKILL);
    run.wait();
    let dead = dir.run("status -v");
    assert!(
        dead.stdout.starts_with("Not running since 2") && dead.stdout.contains(": killed; last seen 1 of 2 down\n")
    );
    let parts: Vec<&str> = dead.stdout.split("\n\n").collect();
    let [overview, interval, totals, times, reasons, helpers, files] = parts[..] else { panic!("{dead:?}") };
    let cells = |line: &str, gap: &str| -> Vec<String> {
        line.split(gap).map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_string).collect()
    };
    let states: Vec<Vec<String>> = overview.lines().skip(1).map(|line| cells(line, "  ")).collect();
    assert_eq!(states[0], ["State", "For", "Service", "Loss%", "p50", "p95", "Last failure"]);
    assert_eq!(states[1][..4], ["was down", "-", "gone", "100.0"]);
    assert!(states[1][6].ends_with("s ago refused 127.0.0.1"), "{dead:?}");
    assert_eq!((&states[2][..4], states[2][6].as_str()), (&["was up", "-", "web", "0.0"].map(String::from)[..], "-"));
    let totals = totals.split_once('\n').expect("a title").1;
    let (title, interval) = interval.split_once('\n').expect("a title");
    assert_eq!((title, interval), ("Not in the log yet:", totals));
    let counts: Vec<Vec<String>> = interval.lines().map(|line| cells(line, " | ")).collect();
    let (web, gone) = (web.total().to_string(), &counts[2][8]);
    let endpoints = [counts[1][1].clone(), counts[2][1].clone()];
    assert_eq!(counts[1][2..], [web.as_str(), "0", &web, "0", "0", "0", &web]);
    assert_eq!(counts[2][2..], ["0", "0", gone, "0", "0", gone, gone]);
    assert_eq!(times.lines().count(), 3, "a title, headings, and the connects of web: {times}");
    assert_eq!(helpers, "Helpers: at most 0, 0 busy at the same time until now", "literals need none");
    assert_eq!(files, "Files that were written last:\n", "no report was due");
    let reasons: Vec<Vec<String>> = reasons.lines().skip(2).map(|line| cells(line, " | ")).collect();
    assert_eq!([reasons[0][1].clone(), reasons[1][1].clone()], endpoints);
    assert_eq!((&reasons[0][6], &reasons[0][8]), (&"none".to_string(), &"-".to_string()));
    assert_eq!(
        (&reasons[1][6], &reasons[1][8]),
        (&"connect failed: refused".to_string(), &format!("connect refused {gone}"))
    );
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
    assert_eq!((&target["state"], &target["last_state"]), (&"unknown".into(), &"up".into()), "nobody looks any more");
    assert_eq!((&target["last"]["outcome"], &target["last"]["address"]), (&"connected".into(), &"127.0.0.1".into()));
    let ended = target["last"]["at"].as_i64().expect("seconds since 1970");
    assert!((0..60).contains(&(clock::unix() - ended)), "{status}");
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
        seen.matches("\u{1b}[H\u{1b}[Kall 1 up; running as pid").count() >= 3
    });
    assert_eq!(watching.end().outcome(), "signal 15");
    let json = dir.start("status --watch --json");
    wait_until("it has two lines", || json.stdout().matches("}\n{\"version\"").count() >= 1);
    assert_eq!(json.end().outcome(), "signal 15");
    assert_eq!(run.end().outcome(), "exit 0");
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64, "it disturbed nothing");
}

/// What a command prints on a terminal of this size, and its exit status.
fn on_terminal(dir: &RunDir, arguments: &str, size: (u16, u16), environment: &[(&str, &str)]) -> (String, Option<i32>) {
    let size = Winsize { ws_col: size.0, ws_row: size.1, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).expect("a terminal");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    command.args(arguments.split_whitespace()).env("TERM", "vt100").env_remove("NO_COLOR");
    command.envs(environment.iter().copied());
    let running = dir.spawn(command, terminal.slave.into());
    let mut reader = std::fs::File::from(terminal.master);
    let mut seen = Vec::new();
    // It fails when nobody has the terminal open any more.
    let _ = reader.read_to_end(&mut seen);
    (String::from_utf8(seen).expect("text"), running.wait().code())
}

#[test]
fn status_fits_the_terminal_and_is_whole_elsewhere() {
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    let targets: Vec<String> = (0..40)
        .map(|i| {
            format!(
                "target a-service-with-a-long-name-{i} 127.0.0.1 {}\n",
                if i > 9 { web.address } else { gone.address }.port()
            )
        })
        .collect();
    dir.write("conf", &format!("interval 1s\nreport 1h\ndown_after 1\n{}", targets.concat()));
    let run = dir.start("run -q -c conf");
    wait_until("all are known", || dir.run("status -c conf").stdout.starts_with("10 of 40 down; "));
    let (shown, code) = on_terminal(&dir, "status -c conf", (80, 24), &[]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines.len(), lines[22], code), (23, "and 20 more", Some(2)), "{shown}");
    assert!(lines[0].starts_with("\u{1b}[1;31m10 of 40 down; ") && lines[2].starts_with("\u{1b}[1;31mdown\u{1b}[0m "));
    let plain = shown.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "");
    assert!(plain.lines().all(|line| line.len() <= 80) && plain.contains("a-service..ng-name-0 "), "{plain}");
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!on_terminal(&dir, "status -c conf", (80, 24), &[environment]).0.contains('\u{1b}'));
    }
    let (small, _) = on_terminal(&dir, "status -c conf", (80, 10), &[("NO_COLOR", "1")]);
    assert_eq!((small.lines().count(), small.lines().last()), (9, Some("and 34 more, 4 down")), "{small}");
    // A serial line knows no size.
    for (environment, lines) in [(&[][..], 23), (&[("COLUMNS", "130")], 23)] {
        let (serial, _) = on_terminal(&dir, "status -c conf", (0, 0), environment);
        assert_eq!((serial.lines().count(), serial.contains("Target")), (lines, !environment.is_empty()), "{serial}");
    }
    assert!(on_terminal(&dir, "status -c conf", (120, 24), &[]).0.contains("  DNS p50  "));
    let whole = dir.run("status -c conf").stdout;
    assert_eq!(whole.lines().count(), 42);
    assert!(whole.contains("  a-service-with-a-long-name-0 ") && !whole.contains("Target"), "{whole}");
    let alone = dir.run("status -c conf a-service-with-a-long-name-11 a-service-with-a-long-name-12");
    assert_eq!((alone.code(), alone.stdout.lines().count()), (Some(0), 4), "{alone:?}");
    assert!(alone.stdout.starts_with("all 2 up; "), "{alone:?}");
    let json = dir.run("status -j -c conf a-service-with-a-long-name-3").json();
    assert_eq!((&json["down"], json["targets"].as_array().map(Vec::len)), (&1.into(), Some(1)));
    let unknown = dir.run("status -c conf a-service-with-a-long-name-11 a-servce");
    assert_eq!((unknown.code(), unknown.stdout.as_str()), (Some(1), ""));
    let said = "tcpmon: status: no target has the service a-servce, there are: a-service-with-a-long-name-0 ";
    assert!(unknown.stderr.starts_with(said), "{unknown:?}");
    // A target that was removed waits for its last report and is no target any more.
    dir.write("conf", &format!("interval 1s\nreport 1h\ndown_after 1\n{}", targets[1..].concat()));
    run.signal(Signal::SIGHUP);
    wait_until("it is removed", || dir.run("status -c conf").stdout.starts_with("9 of 39 down; "));
    let removed = dir.run("status -c conf a-service-with-a-long-name-0");
    assert_eq!((removed.code(), removed.stdout.as_str()), (Some(1), ""), "{removed:?}");
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn the_tables_tell_how_many_helpers_were_busy_at_the_same_time() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 1h web=localhost:{}", web.address.port()));
    wait_until("it was probed", || !web.accepted().is_empty());
    let tables = dir.run("status -v").stdout;
    assert!(tables.contains("\n\nHelpers: at most 1, 1 busy at the same time until now\n\n"), "{tables}");
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn a_log_that_cannot_be_written_is_seen_until_it_can_be() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 100ms --report 1s web={}", web.address));
    wait_until("a report is there", || !dir.rows().is_empty());
    let log = dir.logs()[0].clone();
    let aside = dir.path().join("aside");
    std::fs::rename(&log, &aside).expect("it is there");
    std::fs::create_dir(&log).expect("its name is free");
    let files = dir.run("status -v").stdout;
    let name = log.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(files.ends_with(&format!("\n\nFiles that were written last:\n{name}\n")), "{files}");
    let said = |status: &str| status.lines().nth(1).unwrap_or_default().to_string();
    wait_until("it is seen", || said(&dir.run("status").stdout).starts_with("log not written since "));
    let status = dir.run("status").stdout;
    assert!(said(&status).ends_with(": Is a directory") && status.contains("; running as pid "), "{status}");
    let since = dir.run("status -j").json()["log_broken_since"].as_i64().expect("a moment");
    assert!((0..60).contains(&(clock::unix() - since)), "{since}");
    std::fs::remove_dir(&log).expect("it is empty");
    std::fs::rename(&aside, &log).expect("its name is free");
    wait_until("it is over", || said(&dir.run("status").stdout).starts_with("State"));
    assert_eq!(dir.run("status -j").json()["log_broken_since"], serde_json::Value::Null);
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn a_daily_file_that_is_switched_off_is_no_trouble_any_more() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let config =
        |times| format!("interval 100ms\nreport 1s\ntimes {times}\ntarget web 127.0.0.1 {}\n", web.address.port());
    dir.write("tcpmon.conf", &config("on"));
    let run = dir.start("-q -c tcpmon.conf");
    let is_times = |path: &std::path::PathBuf| path.to_string_lossy().contains("tcp_times_2");
    let times = || dir.path().join("tcp_times_latest.log").canonicalize().ok().filter(is_times);
    wait_until("its file is there", || times().is_some());
    let file = times().expect("it is there");
    std::fs::remove_file(&file).expect("it is there");
    std::fs::create_dir(&file).expect("its name is free");
    wait_until("it is seen", || dir.run("status").stdout.contains("\ntimes not written since "));
    dir.write("tcpmon.conf", &config("off"));
    run.signal(Signal::SIGHUP);
    wait_until("it is over", || !dir.run("status").stdout.contains(" not written since "));
    assert_eq!(run.end().code(), Some(0));
}
