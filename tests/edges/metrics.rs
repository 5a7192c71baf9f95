//! `tcpmon metrics`: that its counters are those of the daily log and go on over restarts, that Prometheus has nothing to
//! say about its form, and that no reader of its file sees half of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::clock::{self, wait_until};
use crate::listener::{Accepting, Closed};
use crate::namespace::{self, Disk};
use crate::running::{RunDir, sum};

/// The samples of a text: each name with its labels, and its value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}")));
    let samples: Vec<_> = samples.map(|(name, value)| (name.to_string(), value.parse().expect(name))).collect();
    let all = samples.len();
    let samples: BTreeMap<_, _> = samples.into_iter().collect();
    assert_eq!(samples.len(), all, "a sample is there twice: {text}");
    samples
}

/// The sum of the samples of a family that have all of these labels.
fn total(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let is_wanted =
        |sample: &str| sample.split('{').next() == Some(name) && labels.iter().all(|label| sample.contains(label));
    samples.iter().filter(|(sample, _)| is_wanted(sample)).map(|(_, value)| value).sum()
}

/// The sums of the counters as the columns of the daily log, in the form of [`sum`].
fn columns(samples: &BTreeMap<String, f64>, service: &str) -> String {
    let service = format!("service=\"{service}\"");
    let count = |labels: &[&str]| total(samples, "tcpmon_probes_total", &[&[service.as_str()], labels].concat());
    let columns = [
        count(&["connect=\"fast\""]),
        count(&["connect=\"slow\""]),
        count(&["lookup=\"fast\""]),
        count(&["lookup=\"slow\""]),
        count(&["lookup=\"failed\",connect=\"none\""]),
        count(&["connect=\"failed\""]),
        count(&[]),
    ];
    columns.map(|column| column.to_string()).join(" | ")
}

/// Has the text checked by promtool, if that is there.
fn check_form(test: &str, text: &str) {
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else { return namespace::skip(test, "promtool is not installed") };
    promtool.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let ended = promtool.wait_with_output().expect("it is our child");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && said.is_empty(), "{said}\n{text}");
}

#[test]
fn counters_are_those_of_the_daily_log_and_go_on_over_a_restart() {
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    let (port, refused) = (web.address.port(), gone.address.port());
    dir.write(
        "tcpmon.conf",
        &format!(
            "interval 50ms\nreport 1h\ndown_after 1\ntarget web 127.0.0.1 {port}\ntarget x\"y\"\\ 127.0.0.1 {refused}\n\
             target name localhost {port}\ntarget web 127.0.0.1 {port}\n"
        ),
    );
    let metrics = || {
        let ended = dir.run("metrics -c tcpmon.conf");
        assert_eq!(ended.outcome(), "exit 0");
        check_form("metrics::counters_are_those_of_the_daily_log", &ended.stdout);
        samples(&ended.stdout)
    };
    let mut before = 0.0;
    for round in 0..2 {
        let run = dir.start("-q -c tcpmon.conf");
        wait_until("it has probed", || web.accepted().len() > 20 * (round + 1));
        wait_until("all states are known", || total(&metrics(), "tcpmon_up", &[]) == 3.0);
        let live = metrics();
        assert!(
            live.keys().filter(|name| name.starts_with("tcpmon_up{")).count() == 4 && live["tcpmon_running"] == 1.0
        );
        assert!((clock::unix() as f64 - live["tcpmon_alive_timestamp_seconds"]).abs() < 60.0, "{live:?}");
        assert_eq!(run.end().outcome(), "exit 0");
        let ended = metrics();
        assert_eq!((ended["tcpmon_running"], total(&ended, "tcpmon_up", &[])), (0.0, 0.0));
        assert!(!ended.keys().any(|name| name.starts_with("tcpmon_up") || name.starts_with("tcpmon_state_")));
        let rows = dir.rows();
        for service in ["web", "x\"y\"\\", "name"] {
            let escaped = service.replace('\\', "\\\\").replace('"', "\\\"");
            assert_eq!(columns(&ended, &escaped), sum(&rows, service), "round {round}");
        }
        let all = total(&ended, "tcpmon_probes_total", &[]);
        assert!(all > before, "round {round}: {all}");
        before = all;
        for index in ["index=\"1\"", "index=\"2\""] {
            let probes = total(&ended, "tcpmon_probes_total", &["service=\"web\"", index]);
            let times = total(&ended, "tcpmon_connect_duration_seconds_count", &["service=\"web\"", index]);
            assert!(probes > 0.0 && times == probes, "{index}: {ended:?}");
        }
        let count = |family: &str, label: &str| total(&ended, family, &[label]);
        let failed = count("tcpmon_failures_total", "phase=\"connect\",reason=\"refused\"");
        assert!(failed > 0.0 && failed == count("tcpmon_probes_total", "connect=\"failed\""));
        let lookups = count("tcpmon_lookup_duration_seconds_count", "");
        assert_eq!(lookups, count("tcpmon_probes_total", "service=\"name\""), "literals have no lookups");
        let sum = count("tcpmon_connect_duration_seconds_sum", "service=\"name\"");
        assert!(sum > 0.0 && sum < 60.0, "{sum}");
    }
}

#[test]
fn a_reader_of_the_file_never_sees_half_of_it_and_the_umask_does_not_count() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 20ms --report 1h web={}", web.address));
    web.wait_for_a_round(1);
    let file = dir.path().join("tcpmon.prom");
    let write = || {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 077; exec \"$0\" metrics -o tcpmon.prom", env!("CARGO_BIN_EXE_tcpmon")]);
        dir.spawn(command, Stdio::piped())
    };
    assert_eq!(write().wait().outcome(), "exit 0");
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o7777, 0o644);
    let mut reads = 0;
    for _ in 0..10 {
        let mut writers = [write(), write(), write()];
        while writers.iter_mut().any(|writer| writer.runs()) {
            let text = fs::read_to_string(&file).expect("it is always there");
            assert!(text.starts_with("# HELP tcpmon_probes_total ") && text.ends_with("\"} 1\n"), "{text}");
            assert!(total(&samples(&text), "tcpmon_probes_total", &[]) > 0.0, "{text}");
            reads += 1;
        }
        for writer in writers {
            assert_eq!(writer.wait().outcome(), "exit 0");
        }
    }
    assert!(reads > 10, "{reads}");
    let names: Vec<String> = fs::read_dir(dir.path())
        .expect("our own directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("prom"))
        .collect();
    assert_eq!(names, ["tcpmon.prom"]);
    assert_eq!(run.end().outcome(), "exit 0");
}

#[test]
fn what_a_kill_left_is_removed_and_what_is_no_regular_file_is_refused() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q -n 1 web={}", web.address));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    dir.write(".a.prom.new", "half a li");
    assert_eq!(dir.run("metrics -o a.prom").outcome(), "exit 0");
    assert!(!dir.path().join(".a.prom.new").exists());
    fs::create_dir(dir.path().join("directory")).expect("its name is free");
    symlink("a.prom", dir.path().join("link")).expect("its name is free");
    let before = fs::read_to_string(dir.path().join("a.prom")).expect("it is there");
    for (output, said) in [
        ("directory", "is a directory, name a file in it"),
        ("directory/", "is a directory, name a file in it"),
        ("link", "is a symbolic link, which is not followed; name the file that it leads to, or use > instead of -o"),
        (
            "/dev/stdout",
            "is a symbolic link, which is not followed; name the file that it leads to, or use > instead of -o",
        ),
        ("/dev/null", "is no regular file, use > instead of -o"),
        ("missing/a.prom", "is in a directory that does not exist"),
    ] {
        let refused = dir.run(&format!("metrics -o {output}"));
        assert_eq!(
            (refused.outcome(), refused.stdout),
            (format!("exit 1\ntcpmon: metrics: {output} {said}"), String::new())
        );
    }
    assert_eq!(fs::read_to_string(dir.path().join("a.prom")).expect("it is there"), before);
}

#[test]
fn on_a_full_disk_the_file_stays_as_it_was_and_nothing_half_is_left() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        let targets: Vec<String> = (0..20).map(|i| format!("web{i}={}", web.address)).collect();
        let ended = dir.run(&format!("-q -n 1 {}", targets.join(" ")));
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let small = dir.path().join("small");
        fs::create_dir(&small).expect("our own directory");
        let disk = Disk::mounted(&small, "64k");
        fs::write(disk.path().join("a.prom"), "old\n").expect("there is space for that");
        let full = dir.run("metrics -o small/a.prom");
        let said = "tcpmon: metrics: small/a.prom cannot be written (No space left on device), it stays as it was";
        assert_eq!(full.outcome(), format!("exit 1\n{said}"));
        let names: Vec<_> = fs::read_dir(disk.path())
            .expect("it is mounted")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!((names.len(), fs::read_to_string(disk.path().join("a.prom")).ok()), (1, Some("old\n".into())));
        disk.remount("ro");
        let refused = dir.run("metrics -o small/a.prom").outcome();
        assert!(refused.contains(" cannot be written (Read-only file system), it stays as it was"), "{refused}");
    });
}

#[test]
fn without_a_ledger_it_says_so_and_only_tells_whether_a_run_is_there() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let none = dir.run("metrics -o a.prom");
    let said =
        "tcpmon: ledger: tcpmon.ledger is not there or empty, no monitor has run with it, there is nothing to show";
    assert_eq!(none.outcome(), format!("exit 1\n{said}"));
    let text = fs::read_to_string(dir.path().join("a.prom")).expect("it was written");
    check_form("metrics::without_a_ledger", &text);
    let names = ["tcpmon_build_info{version=\"", "tcpmon_running"];
    let found = samples(&text);
    assert!(found.len() == 2 && found.keys().zip(names).all(|(found, name)| found.starts_with(name)), "{text}");
    assert_eq!(found["tcpmon_running"], 0.0);
    // A run whose ledger was taken away is there all the same.
    let run = dir.start(&format!("-q --interval 50ms --report 1h web={}", web.address));
    web.wait_for_a_round(1);
    fs::rename(dir.path().join("tcpmon.ledger"), dir.path().join("aside")).expect("it is there");
    let without = dir.run("metrics");
    assert_eq!((without.code(), samples(&without.stdout)["tcpmon_running"]), (Some(1), 1.0), "{without:?}");
    run.signal(Signal::SIGKILL);
    run.wait();
    let quiet = dir.run("metrics -q --ledger aside");
    assert_eq!((quiet.outcome(), quiet.stdout.as_str()), ("exit 0".to_string(), ""));
    assert_eq!(samples(&dir.run("metrics --ledger aside").stdout)["tcpmon_running"], 0.0, "it was killed");
}
