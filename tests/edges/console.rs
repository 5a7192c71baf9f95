//! The console and the signals: a run as a person at the terminal, a shell script and an init system
//! see it.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use tcpmon::base::time::Nanos;
use tcpmon::sys::poll::{Interest, is_ready};

use crate::clock::{self, wait_until};
use crate::listener::{Accepting, Full};
use crate::running::{Ended, RunDir, Running, sum, total};

fn files_in(dir: &RunDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).expect("our own directory");
    entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_run_by_hand_looks_as_in_the_original() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let at = web.address;
    let ended = dir.run(&format!("-n 3 --interval 200ms --report 1h web={at} db={at}"));
    assert_eq!(ended.outcome(), "exit 0");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "Starting TCP Connection Monitor...",
            &format!("Monitoring hosts: web ({at}), db ({at})"),
            "Logging to tcp_stats_latest.log every 1h; for more: tcpmon status --log-dir .",
            "Press Ctrl+C to stop",
            "",
            "..."
        ],
        "{}",
        ended.stdout
    );
    assert!(lines[6].starts_with("Statistics logged to tcp_stats_"), "{}", ended.stdout);
    let summary = ended.summary();
    assert_eq!(summary.iter().map(|row| row.service.as_str()).collect::<Vec<_>>(), ["web", "db"]);
    for service in ["web", "db"] {
        assert_eq!(sum(&summary, service), "3 | 0 | 3 | 0 | 0 | 0 | 3");
    }
}

#[test]
fn q_is_silent() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q -n 3 --interval 200ms --report 1s web={}", web.address));
    assert_eq!((ended.outcome().as_str(), ended.stdout.as_str()), ("exit 0", ""));
    assert_eq!(dir.counted("web"), "3 | 0 | 3 | 0 | 0 | 0 | 3");
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("descriptors are free");
    let run = dir.start_with(&format!("-n 10 --interval 200ms --report 1s web={}", web.address), Stdio::from(writer));
    wait_until("it probes", || web.accepted().len() >= 2);
    drop(reader);
    assert_eq!(run.wait().outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "10 | 0 | 10 | 0 | 0 | 0 | 10");
}

#[test]
fn a_reader_that_does_not_read_does_not_block_the_run() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let (_reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("descriptors are free");
    let mut writer = fs::File::from(writer);
    let room = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe's size can be set");
    writer.write_all(&vec![b'x'; room.try_into().expect("a size")]).expect("it fits exactly");
    let run = dir.start_with(&format!("-n 10 --interval 200ms --report 1s web={}", web.address), Stdio::from(writer));
    let ended = run.wait();
    assert_eq!(ended.outcome(), "exit 0");
    // Ten ticks, and some time for a reader that might still read.
    assert!(ended.took < Duration::from_secs(6), "{:?}", ended.took);
    assert_eq!(dir.counted("web"), "10 | 0 | 10 | 0 | 0 | 0 | 10");
}

#[test]
fn a_terminal_that_is_not_read_does_not_delay_the_run() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let terminal = openpty(None, None).expect("a terminal can be made");
    let slave = terminal.slave.try_clone().expect("descriptors are free");
    let run = dir.start_with(&format!("--interval 50ms --report 1s web={}", web.address), Stdio::from(terminal.slave));
    web.wait_for_a_round(1);
    wait_until("summaries have filled the terminal", || {
        run.signal(Signal::SIGQUIT);
        !is_ready(slave.as_fd(), Interest::Write, Nanos::ZERO)
    });
    let before = web.total();
    wait_until("it probes on", || web.total() > before + 20);
    let ended = run.end();
    assert_eq!((ended.outcome(), ended.stderr.as_str()), ("exit 0".to_string(), ""));
    // The probe that was in flight at the end may have been accepted.
    let counted = total(&dir.rows(), "web");
    assert!((web.total() as u64).abs_diff(counted) <= 1, "{counted} of {}", web.total());
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_so() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut shell = Command::new("sh");
    let line = format!("trap '' HUP; exec {} -q --interval 50ms web={}", env!("CARGO_BIN_EXE_tcpmon"), web.address);
    shell.arg("-c").arg(line);
    let run = dir.spawn(shell, Stdio::piped());
    web.wait_for_a_round(1);
    run.signal(Signal::SIGHUP);
    let before = web.total();
    wait_until("it probes on", || web.total() > before + 10);
    let ended = run.end();
    // If the signal were handled, the run would say that there is no file to re-read.
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("configuration"), "{ended:?}");
}

#[test]
fn standard_output_is_left_as_it_was_found() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let (_reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("descriptors are free");
    // The shell's descriptor is the same open file description as the program's.
    let shell = writer.try_clone().expect("descriptors are free");
    let run = dir.start_with(&format!("-n 2 --interval 200ms web={}", web.address), Stdio::from(writer));
    assert_eq!(run.wait().outcome(), "exit 0");
    let flags = OFlag::from_bits_retain(fcntl(&shell, FcntlArg::F_GETFL).expect("it is open"));
    assert!(!flags.contains(OFlag::O_NONBLOCK), "{flags:?}");
}

#[test]
fn without_the_three_standard_descriptors_the_log_has_only_its_rows() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_tcpmon");
    let run = format!("exec {program} -n 4 --interval 200ms --report 1h web={} <&- >&- 2>&-", web.address);
    command.args(["-c", &run]);
    assert_eq!(dir.spawn(command, Stdio::piped()).wait().outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "4 | 0 | 4 | 0 | 0 | 0 | 4");
}

#[test]
fn a_file_gets_no_dots() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let file = fs::File::create(dir.path().join("console")).expect("our own directory");
    let run = dir.start_with(&format!("-n 3 --interval 200ms web={}", web.address), Stdio::from(file));
    assert_eq!(run.wait().outcome(), "exit 0");
    let console = fs::read_to_string(dir.path().join("console")).expect("text");
    assert!(console.starts_with("Starting TCP Connection Monitor...\nMonitoring hosts: web ("), "{console}");
    assert!(console.lines().all(|line| line.is_empty() || !line.trim_matches('.').is_empty()), "{console}");
    assert!(console.contains("\nStatistics logged to tcp_stats_"), "{console}");
}

#[test]
fn sigint_and_sigterm_write_the_last_report_and_the_summary_and_abandon_what_is_in_flight() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (web, silent) = (Accepting::new(), Full::new());
        let dir = RunDir::new();
        // A probe of the silent one is always in flight, and none has ended.
        let run = dir.start(&format!("--interval 200ms --report 1h web={} silent={}", web.address, silent.address));
        wait_until("it probes", || web.accepted().len() >= 3);
        web.wait_for_a_round(1);
        run.signal(signal);
        let ended = run.wait();
        assert_eq!(ended.outcome(), "exit 0", "{signal}");
        assert!(ended.took < Duration::from_secs(4), "it does not wait for the silent one: {:?}", ended.took);
        let count = web.total();
        for rows in [dir.rows(), ended.summary()] {
            assert_eq!(sum(&rows, "web"), format!("{count} | 0 | {count} | 0 | 0 | 0 | {count}"));
            assert_eq!(sum(&rows, "silent"), "0 | 0 | 0 | 0 | 0 | 0 | 0");
        }
    }
}

#[test]
fn the_summary_is_of_the_whole_run_and_not_of_the_last_report() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("--for 2500ms --interval 250ms --report 1s web={}", web.address));
    assert_eq!(ended.outcome(), "exit 0");
    let count = web.total();
    assert!(dir.rows().len() >= 3);
    assert_eq!(sum(&ended.summary(), "web"), format!("{count} | 0 | {count} | 0 | 0 | 0 | {count}"));
    assert_eq!(dir.counted("web"), sum(&ended.summary(), "web"));
}

#[test]
fn sigquit_prints_the_summary_and_the_run_goes_on() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("--interval 100ms --report 1h web={}", web.address));
    wait_until("it probes", || web.accepted().len() >= 3);
    run.signal(Signal::SIGQUIT);
    wait_until("the summary is there", || run.stdout().contains("\nTimestamp "));
    let count = web.accepted().len();
    wait_until("it goes on", || web.accepted().len() >= count + 3);
    let ended = run.end();
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(ended.stdout.matches("Timestamp ").count(), 2, "{}", ended.stdout);
}

#[test]
fn rounds_and_duration_end_a_run() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q -n 4 --interval 250ms web={}", web.address));
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "4 | 0 | 4 | 0 | 0 | 0 | 4");
    // The first tick is at once, so four ticks take three intervals.
    assert!((750..1400).contains(&ended.took.as_millis()), "{:?}", ended.took);

    let dir = RunDir::new();
    let ended = dir.run(&format!("-q --for 1s --interval 250ms web={}", web.address));
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "4 | 0 | 4 | 0 | 0 | 0 | 4", "no tick at 1 s");
}

#[test]
fn a_probe_in_flight_is_waited_for_at_the_end_of_the_rounds() {
    let silent = Full::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q --for 500ms --interval 200ms --slow 500ms --timeout 1s s={}", silent.address));
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(dir.counted("s"), "0 | 0 | 3 | 0 | 0 | 3 | 3");
    assert!(ended.took >= Duration::from_millis(1400), "{:?}", ended.took);
}

#[test]
fn a_process_that_was_stopped_does_not_catch_up() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --for 3s --interval 100ms web={}", web.address));
    wait_until("it probes", || web.accepted().len() >= 3);
    run.signal(Signal::SIGSTOP);
    clock::let_pass(Duration::from_secs(1));
    run.signal(Signal::SIGCONT);
    let ended = run.wait();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let count = total(&dir.rows(), "web");
    assert!((10..=22).contains(&count), "thirty ticks, of which ten were missed: {count}");
    assert_eq!(dir.counted("web"), format!("{count} | 0 | {count} | 0 | 0 | 0 | {count}"));
    assert_eq!(web.total() as u64, count);
}

fn reload(run: &Running) {
    let before = run.stderr();
    run.signal(Signal::SIGHUP);
    wait_until("it says what it read", || run.stderr() != before);
}

#[test]
fn sighup_reads_the_file_again_and_targets_that_stay_keep_their_counts() {
    let (stays, goes, comes) = (Accepting::new(), Accepting::new(), Accepting::new());
    let target = |name: &str, web: &Accepting| format!("target {name} 127.0.0.1 {}\n", web.address.port());
    let dir = RunDir::new();
    let settings = "interval 200ms\nreport 1h\n";
    dir.write("tcpmon.conf", &format!("{settings}{}{}", target("stays", &stays), target("goes", &goes)));
    let run = dir.start("-q -c tcpmon.conf");
    wait_until("it probes", || stays.accepted().len() >= 3 && goes.accepted().len() >= 3);

    dir.write("tcpmon.conf", &format!("{settings}{}{}", target("comes", &comes), target("stays", &stays)));
    reload(&run);
    let gone = goes.accepted().len();
    let stayed = stays.accepted().len();
    wait_until("the new one is probed", || comes.accepted().len() >= 3 && stays.accepted().len() >= stayed + 3);
    assert!(goes.accepted().len() <= gone + 1, "it is probed no more");

    // A broken file changes nothing, and its mistakes are said with their lines.
    dir.write("tcpmon.conf", "interval 200ms\ntarget broken 127.0.0.1\nnonsense\n");
    reload(&run);
    wait_until("both mistakes are said", || run.stderr().contains("tcpmon.conf:3: "));
    assert!(run.stderr().contains("tcpmon.conf:2: "), "{}", run.stderr());
    let came = comes.accepted().len();
    wait_until("it goes on", || comes.accepted().len() >= came + 3);

    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let rows = dir.rows();
    for (service, web) in [("stays", &stays), ("goes", &goes), ("comes", &comes)] {
        // The last probe may have been abandoned.
        let (counted, seen) = (total(&rows, service), web.total() as u64);
        assert!(counted == seen || counted + 1 == seen, "{service}: {counted} of {seen}\n{}", ended.stderr);
    }
}

#[test]
fn sighup_without_a_file_does_not_end_the_run() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 100ms web={}", web.address));
    wait_until("it probes", || web.accepted().len() >= 2);
    run.signal(Signal::SIGHUP);
    let count = web.accepted().len();
    wait_until("it goes on", || web.accepted().len() >= count + 3);
    assert_eq!(run.end().code(), Some(0));
}

fn refused(dir: &RunDir, ended: &Ended, mistakes: &[&str]) {
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    for mistake in mistakes {
        assert!(ended.stderr.contains(mistake), "{mistake} is not said:\n{}", ended.stderr);
    }
    assert_eq!(files_in(dir), ["tcpmon.conf"], "nothing is written");
}

#[test]
fn check_reports_every_mistake_of_a_file_and_nothing_is_started_or_written() {
    let dir = RunDir::new();
    dir.write(
        "tcpmon.conf",
        "interval 2 parsecs\ntimeout 5s\ntarget web 127.0.0.1 443\ntarget web 127.0.0.1 http\nnonsense\nreport 0s\n",
    );
    let mistakes = ["tcpmon.conf:1: ", "tcpmon.conf:4: ", "tcpmon.conf:5: ", "tcpmon.conf:6: "];
    for arguments in ["check -c tcpmon.conf", "run -c tcpmon.conf", "-c tcpmon.conf"] {
        let ended = dir.run(arguments);
        refused(&dir, &ended, &mistakes);
        assert!(!ended.stderr.contains("tcpmon.conf:2: ") && !ended.stderr.contains("tcpmon.conf:3: "), "{ended:?}");
    }
    // `once` keeps 2 for a target that did not connect.
    assert_eq!(dir.run("once -c tcpmon.conf").code(), Some(3));
}

#[test]
fn check_accepts_a_good_file_and_the_sample_with_a_target() {
    let dir = RunDir::new();
    dir.write("tcpmon.conf", "interval 1s\ntarget web 127.0.0.1 443 inet source 127.0.0.5 interval 10s\n");
    assert_eq!(dir.run("check -c tcpmon.conf").outcome(), "exit 0");

    let sample = dir.run("sample");
    assert_eq!(sample.outcome(), "exit 0");
    dir.write("tcpmon.conf", &sample.stdout);
    assert!(dir.run("check -c tcpmon.conf").stderr.contains("tcpmon.conf: no target, add a line such as: "));
    dir.write("tcpmon.conf", &format!("{}target web 127.0.0.1 443\n", sample.stdout));
    assert_eq!(dir.run("check -c tcpmon.conf").outcome(), "exit 0");
    assert_eq!(files_in(&dir), ["tcpmon.conf"], "nothing is written");
}

#[test]
fn a_mistake_on_the_command_line_is_said_and_nothing_is_started() {
    let dir = RunDir::new();
    dir.write("tcpmon.conf", "");
    let runs = [
        ("web=127.0.0.1", "\"web=127.0.0.1\""),
        ("--interval never web=127.0.0.1:80", "\"never\""),
        ("--nonsense", "\"--nonsense\""),
        ("-n 0 web=127.0.0.1:80", "\"0\""),
    ];
    for (arguments, mistake) in runs {
        refused(&dir, &dir.run(arguments), &[mistake]);
    }
}
