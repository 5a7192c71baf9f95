//! The ledger: its content survives the run, one run uses it at a time, and a bad ledger does no harm.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use tcpmon::base::time::WallTime;

use crate::clock::{self, wait_until};
use crate::listener::Accepting;
use crate::namespace;
use crate::running::{RunDir, total};

const LEDGER: &str = "tcpmon.ledger";

/// Kills a run between two rounds of its only target, so that every probe has been counted.
fn kill_after_a_round(dir: &RunDir, web: &Accepting, arguments: &str) -> u32 {
    let run = dir.start(arguments);
    web.wait_for_a_round(1);
    let pid = run.pid();
    run.signal(Signal::SIGKILL);
    assert_eq!(run.wait().outcome(), "signal 9");
    pid.as_raw().unsigned_abs()
}

const WITHOUT: &str = "this run goes on without it: what is not reported is lost when it ends";

/// What `stop` says where there is no ledger.
const NO_NOTE: &str =
    "tcpmon: stop: there is no ledger to note it in: cron, or the service that started the run, will start it again";

#[test]
fn a_killed_run_loses_no_probe_and_the_next_one_says_so_once() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let arguments = format!("-q --interval 300ms --report 1h web={}", web.address);
    for _ in 0..2 {
        let pid = kill_after_a_round(&dir, &web, &arguments);
        let run = dir.start(&arguments);
        web.wait_for_a_round(1);
        let ended = run.end();
        let said = format!("tcpmon: ledger: the last run (pid {pid}) did not end cleanly, it was last alive at ");
        assert!(ended.stderr.starts_with(&said) && ended.stderr.ends_with("; its counts go on\n"), "{ended:?}");
        assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(0), 1), "{ended:?}");
        assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
    }
    assert_eq!(dir.run(&format!("{arguments} -n 1")).outcome(), "exit 0", "after a clean end nothing is said");
}

#[test]
fn a_report_missed_while_no_monitor_ran_is_written_with_its_own_stamp() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let arguments = format!("-q --interval 100ms --report 2s web={}", web.address);
    let run = dir.start(&arguments);
    wait_until("a report is there", || !dir.rows().is_empty());
    web.wait_for_a_round(1);
    let status = dir.run("status --json").json();
    run.signal(Signal::SIGKILL);
    run.wait();
    let due = status["due"].as_i64().expect("a moment");
    let (before, counted) = (dir.rows(), web.total() as u64);
    wait_until("the boundary is over", || clock::unix() > due);
    clock::let_pass(std::time::Duration::from_secs(1));
    assert_eq!(dir.run(&format!("{arguments} -n 1")).code(), Some(0));
    let rows = dir.rows();
    let missed = &rows[before.len()];
    assert_eq!(missed.stamp, WallTime { unix: due, nanos: 0, offset: 0 }.to_string());
    assert_eq!(total(&rows[..=before.len()], "web"), counted, "all that the killed run had counted");
    assert_eq!(total(&rows, "web"), web.total() as u64);
}

#[test]
fn a_target_removed_while_no_monitor_ran_gets_one_last_report() {
    let (web, db) = (Accepting::new(), Accepting::new());
    let dir = RunDir::new();
    let run =
        dir.start(&format!("-q --interval 1h --report 1h db={} db={} web={}", db.address, db.address, web.address));
    // One that was accepted and is not counted yet would be lost.
    wait_until("each is counted once", || {
        let seen = serde_json::from_str::<serde_json::Value>(&dir.run("status --json").stdout).unwrap_or_default();
        let totals = seen["targets"].as_array().into_iter().flatten().map(|target| target["total"]["total"].as_u64());
        totals.eq([Some(1); 3])
    });
    run.signal(Signal::SIGKILL);
    run.wait();
    let counted = db.total() as u64;
    // One of the two equal targets stays.
    for _ in 0..2 {
        let ended = dir.run(&format!("-q --interval 300ms --report 1h -n 1 web={} db={}", web.address, db.address));
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }
    let rows = dir.rows();
    let services: Vec<&str> = rows.iter().map(|row| row.service.as_str()).collect();
    assert_eq!(services, ["web", "db", "db", "web", "db"]);
    assert_eq!(rows[2].numbers[6] * 2, counted, "the removed one");
    assert_eq!((total(&rows, "db"), total(&rows, "web")), (db.total() as u64, web.total() as u64));
}

#[test]
fn a_second_start_names_the_first_and_ends() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = format!("-q --interval 300ms web={}", web.address);
    let run = dir.start(&target);
    web.wait_for_a_round(1);
    let second = dir.run(&target);
    assert_eq!(second.outcome(), format!("exit 1\ntcpmon: start: already running as pid {}", run.pid()));
    let here = dir.path().display();
    assert_eq!(dir.run(&format!("start {target} --log-dir {here}")).outcome(), "exit 0");
    assert_eq!(dir.run(&format!("{target} --ledger other -n 1")).outcome(), "exit 0", "with a ledger of its own");
    assert_eq!(run.end().outcome(), "exit 0");
}

#[test]
fn a_run_in_the_background_is_started_once_and_stopped_with_its_last_report() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let background = dir.background();
    let here = dir.path().display();
    let target = format!("start --interval 200ms --report 1h --log-dir {here} web={}", web.address);
    for _ in 0..2 {
        let started = dir.run(&target);
        assert_eq!((started.outcome().as_str(), started.stdout.as_str()), ("exit 0", ""));
    }
    web.wait_for_a_round(1);
    assert!(background.is_running());
    let stopped = dir.run("stop");
    assert_eq!((stopped.outcome().as_str(), stopped.stdout.as_str()), ("exit 0", ""));
    assert!(!background.is_running());
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64, "when it is stopped all is written");
    let stopped = dir.run("stop");
    assert_eq!((stopped.outcome().as_str(), stopped.stdout.as_str()), ("exit 0", "not running, says tcpmon.ledger\n"));
}

#[test]
fn start_returns_when_its_run_can_be_seen_and_stopped() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let background = dir.background();
    let target = format!("start --interval 200ms --log-dir {} web={}", dir.path().display(), web.address);
    for _ in 0..10 {
        assert_eq!(dir.run(&target).outcome(), "exit 0");
        assert!(background.is_running());
        let stopped = dir.run("stop");
        assert_eq!((stopped.outcome().as_str(), stopped.stdout.as_str()), ("exit 0", ""));
        assert!(!background.is_running());
    }
}

#[test]
fn start_refuses_relative_paths_for_a_run_in_the_background() {
    let dir = RunDir::new();
    let ended = dir.run("start --ledger ./l a=127.0.0.1:1");
    assert_eq!(
        ended.outcome(),
        "exit 2\nlog_dir \".\" is relative, for a run in the background write a path that begins with /\n\
         ledger \"./l\" is relative, for a run in the background write a path that begins with /"
    );
}

#[test]
fn start_keeps_no_descriptor_of_its_caller_open() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let _background = dir.background();
    let program = env!("CARGO_BIN_EXE_tcpmon");
    let start = format!("{program} start --log-dir {} web={}", dir.path().display(), web.address);
    let mut shell = std::process::Command::new("sh");
    // Descriptor 3 is the pipe, too.
    shell.arg("-c").arg(format!("exec 3>&1; {start} 2>&1"));
    // It ends when no process has its standard output open.
    assert_eq!(dir.spawn(shell, std::process::Stdio::piped()).wait().outcome(), "exit 0");
    assert_eq!(dir.run("stop").outcome(), "exit 0");
}

#[test]
fn a_ledger_that_is_taken_away_is_made_again_and_leads_to_no_second_run() {
    let web = Accepting::new();
    for taken_away in ["removed", "renamed, and an empty file in its place"] {
        let dir = RunDir::new();
        let target = format!("-q --interval 300ms --report 1h web={}", web.address);
        let before = web.total();
        let run = dir.start(&target);
        wait_until("it probes", || web.total() > before);
        let (ledger, aside) = (dir.path().join(LEDGER), dir.path().join("rotated"));
        fs::rename(&ledger, &aside).expect("it is there");
        if taken_away != "removed" {
            fs::write(&ledger, "").expect("our own directory");
        }
        let pid = run.pid();
        assert_eq!(dir.run(&target).outcome(), format!("exit 1\ntcpmon: start: already running as pid {pid}"));
        let status = dir.run("status").outcome();
        assert!(status.starts_with("exit 1\n") && status.contains(&format!("a run (pid {pid}) goes on without it")));
        run.signal(Signal::SIGUSR1);
        let said = format!("tcpmon: ledger: {LEDGER} was removed, it is written again with all its counts\n");
        wait_until("it is said", || run.stderr() == said);
        assert_eq!(dir.run("status --json").json()["pid"], pid.as_raw());
        assert_eq!(run.end().code(), Some(0));
        assert_eq!(total(&dir.rows(), "web"), (web.total() - before) as u64);
    }
}

#[test]
fn a_ledger_that_is_cut_short_while_it_is_in_use_is_made_anew() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = format!("-q --interval 300ms --report 1h web={} db={}", web.address, web.address);
    let run = dir.start(&target);
    web.wait_for_a_round(2);
    run.signal(Signal::SIGUSR1);
    wait_until("some of it is reported", || !dir.rows().is_empty());
    web.wait_for_a_round(2);
    fs::write(dir.path().join(LEDGER), "").expect("our own file");
    web.wait_for_a_round(2);
    run.signal(Signal::SIGUSR1);
    let said = format!("tcpmon: ledger: {LEDGER} was truncated, it is written again with all that was counted\n");
    wait_until("it is said", || run.stderr() == said);
    web.wait_for_a_round(2);
    let counted = dir.run("status --json").json();
    assert_eq!(counted["targets"][1]["total"]["total"].as_u64().map(|n| 2 * n), Some(web.total() as u64));
    run.signal(Signal::SIGKILL);
    run.wait();
    assert_eq!(dir.run(&format!("{target} -n 1")).code(), Some(0));
    assert_eq!(total(&dir.rows(), "web") + total(&dir.rows(), "db"), web.total() as u64);
}

#[test]
fn stop_and_status_follow_their_options() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 300ms web={}", web.address));
    web.wait_for_a_round(1);
    let stopped = dir.run("stop --log-dir elsewhere");
    assert_eq!((stopped.code(), stopped.stdout.as_str()), (Some(0), "not running, says elsewhere/tcpmon.ledger\n"));
    let status = dir.run("status --log-dir elsewhere");
    assert!(status.code() == Some(3) && status.stderr.contains("elsewhere/tcpmon.ledger is not there"), "{status:?}");
    // It is not known which ledger was meant, and every mistake is said.
    for wrong in ["log_dirr /var/log\ntarget a h 1\n", "log_dir\ntarget a h 1\n"] {
        dir.write("wrong", wrong);
        assert_eq!((dir.run("stop -c wrong").code(), dir.run("status -c wrong").code()), (Some(2), Some(1)));
    }
    assert_eq!((dir.run("stop -c missing").code(), dir.run("status -c missing").code()), (Some(2), Some(1)));
    assert_eq!((dir.run("stop --nonsense").code(), dir.run("status --nonsense").code()), (Some(2), Some(1)));
    // Mistakes elsewhere in the file, or no file, are one warning.
    dir.write("wrong", "log_dir .\nintervall 1s\nspread maybe\ntarget a\n");
    for (file, mistakes) in [("wrong", "3 mistakes"), ("missing", "1 mistake")] {
        let status = dir.run(&format!("status -c {file} --log-dir ."));
        let said = format!(
            "exit 0\ntcpmon: configuration: {file} has {mistakes}, which tcpmon check shows; only the place of the ledger is used"
        );
        assert_eq!(status.outcome(), said);
    }
    assert_eq!(dir.run("reload -c wrong").code(), Some(2), "it needs all of the file");
    let stopped = dir.run("stop -c wrong");
    assert_eq!((stopped.code(), stopped.stderr.lines().count()), (Some(0), 1), "{stopped:?}");
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn every_user_can_read_the_log_directory_whatever_the_umask() {
    let dir = RunDir::new();
    let mut shell = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_tcpmon");
    shell.arg("-c").arg(format!("umask 077; exec {program} -q -n 1 --log-dir a/b x=127.0.0.1:1"));
    assert_eq!(dir.spawn(shell, std::process::Stdio::piped()).wait().outcome(), "exit 0");
    assert_eq!(fs::metadata(dir.path().join("a/b")).expect("it is there").mode() & 0o777, 0o755);
}

#[test]
fn the_ledger_of_another_user_is_not_trusted() {
    let dir = RunDir::new();
    let run = || dir.run("-q -n 1 x=127.0.0.1:1").outcome();
    assert_eq!(run(), "exit 0");
    let ledger = dir.path().join(LEDGER);
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o666)).expect("our own file");
    assert_eq!(run(), "exit 0");
    assert_eq!(fs::metadata(&ledger).expect("it is there").mode() & 0o7777, 0o600);
    // Only root can give a file away.
    if std::os::unix::fs::chown(&ledger, Some(65_534), None).is_ok() {
        let said = format!("{LEDGER} belongs to another user and is left as it is, {WITHOUT}");
        assert_eq!(run(), format!("exit 0\ntcpmon: ledger: {said}"));
    }
}

/// Where a ledger keeps a field of its head, counted in words of 4 bytes: see `core/ledger/layout.rs`.
fn place_in_head(ledger: &[u8], name: &str) -> usize {
    let word = |at: usize| u32::from_ne_bytes(ledger[4 * at..][..4].try_into().expect("4 bytes")) as usize;
    let (heads, records) = (word(4), word(5));
    let mut entries = (0..heads).map(|i| 8 + 4 * i);
    let found = entries.find(|entry| {
        let letters = [word(*entry), word(entry + 1)].map(|word| (word as u32).to_le_bytes()).concat();
        String::from_utf8_lossy(&letters).trim_end_matches('\0') == name
    });
    8 + 4 * (heads + records) + word(found.expect("a field of this name") + 2)
}

#[test]
fn a_reused_pid_is_not_mistaken_for_a_monitor() {
    let web = Accepting::new();
    let dir = RunDir::new();
    kill_after_a_round(&dir, &web, &format!("-q --interval 300ms web={}", web.address));
    // The ledger names a process that exists: this one, started at another time.
    let mut words = fs::read(dir.path().join(LEDGER)).expect("it is there");
    let pid = dir.run("status --json").json()["pid"].as_u64().expect("a number") as u32;
    let at = 4 * place_in_head(&words, "pid");
    assert_eq!(words[at..at + 4], pid.to_ne_bytes());
    words[at..at + 4].copy_from_slice(&std::process::id().to_ne_bytes());
    fs::write(dir.path().join(LEDGER), words).expect("our own file");
    let stopped = dir.run("stop");
    assert_eq!((stopped.outcome().as_str(), stopped.stdout.as_str()), ("exit 0", "not running, says tcpmon.ledger\n"));
    assert_eq!(dir.run(&format!("-q -n 1 --interval 300ms web={}", web.address)).code(), Some(0));
}

#[test]
fn the_ledger_is_for_its_owner_alone_whatever_the_umask() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let before = umask(Mode::empty());
    let ended = dir.run(&format!("-q -n 1 web={}", web.address));
    umask(before);
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(fs::metadata(dir.path().join(LEDGER)).expect("it is there").mode() & 0o7777, 0o600);
}

/// Runs with a ledger of this content. Returns the names of the damaged ledgers kept, and stderr.
fn with_content(dir: &RunDir, target: &str, content: &[u8]) -> (Vec<String>, String) {
    fs::write(dir.path().join(LEDGER), content).expect("our own directory");
    let ended = dir.run(&format!("-q -n 1 {target}"));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    (kept(dir.path()), ended.stderr)
}

fn kept(directory: &Path) -> Vec<String> {
    let names =
        fs::read_dir(directory).expect("our own directory").map(|entry| entry.expect("it is there").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.contains("damaged"));
    names.sort();
    names
}

#[test]
fn a_ledger_that_is_damaged_is_kept_aside_and_said_once() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = format!("web={}", web.address);
    assert_eq!(dir.run(&format!("-q -n 1 {target}")).outcome(), "exit 0");
    let good = fs::read(dir.path().join(LEDGER)).expect("it is there");
    let mut flipped = good.clone();
    flipped[100] ^= 4;
    let mut aside = Vec::new();
    for (content, what) in
        [(&good[..good.len() / 2], "is cut short"), (&good[..40], "is cut short"), (&flipped, "has a damaged layout")]
    {
        let number = if aside.is_empty() { String::new() } else { format!(".{}", aside.len()) };
        let name = format!("{LEDGER}.damaged{number}");
        let (names, said) = with_content(&dir, &target, content);
        assert_eq!(said, format!("tcpmon: ledger: {LEDGER} {what}, it is kept as {name} and a new one begins\n"));
        aside.push(name);
        assert_eq!(names, aside);
        assert_eq!(fs::read(dir.path().join(aside.last().expect("just pushed"))).expect("it is there"), content);
    }
    for _ in 0..10 {
        with_content(&dir, &target, &flipped);
    }
    assert_eq!(kept(dir.path()).len(), 10, "no more than these");
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
    assert_eq!(with_content(&dir, &target, &good).1, "");
    assert_eq!(with_content(&dir, &target, b"").1, "", "one that was not finished");
    assert_eq!(with_content(&dir, &target, &vec![0; good.len()]).1, "", "one that was not finished");
}

#[test]
fn what_is_no_ledger_is_left_as_it_is() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut like_a_new_one = vec![0; fs::metadata(ledger_of(&web)).expect("it is there").len() as usize];
    like_a_new_one[500] = 1;
    for content in [&b"#!/bin/sh\n"[..], &[0; 8000], b"k", &[0xff; 100_000], &like_a_new_one] {
        fs::write(dir.path().join("precious"), content).expect("our own directory");
        fs::set_permissions(dir.path().join("precious"), fs::Permissions::from_mode(0o640)).expect("our own file");
        let before = fs::metadata(dir.path().join("precious")).expect("it is there");
        let ended = dir.run(&format!("-q -n 1 --ledger ./precious web={}", web.address));
        let said = format!("tcpmon: ledger: ./precious is no ledger and is left as it is, {WITHOUT}");
        assert_eq!(ended.outcome(), format!("exit 0\n{said}"));
        let after = fs::metadata(dir.path().join("precious")).expect("it is there");
        assert_eq!((after.ino(), after.mode(), after.mtime_nsec()), (before.ino(), before.mode(), before.mtime_nsec()));
        assert_eq!(fs::read(dir.path().join("precious")).expect("it is there"), content);
        assert_eq!(kept(dir.path()), Vec::<String>::new());
    }
    // Nor is a file with another name.
    let victim = dir.path().join("victim");
    fs::write(&victim, "").expect("our own directory");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).expect("our own file");
    fs::hard_link(&victim, dir.path().join("linked")).expect("its name is free");
    let ended = dir.run(&format!("-q -n 1 --ledger ./linked web={}", web.address));
    let why = "cannot be opened (it has another hard link, and none is used)";
    assert_eq!(ended.outcome(), format!("exit 0\ntcpmon: ledger: ./linked {why}, {WITHOUT}"));
    let after = fs::metadata(&victim).expect("it is there");
    assert_eq!((after.len(), after.mode() & 0o777), (0, 0o644));
}

/// The path of a ledger that a run has just made, in a directory of its own that stays.
fn ledger_of(web: &Accepting) -> std::path::PathBuf {
    let dir = tempfile::tempdir().expect("a temporary directory").keep();
    let run = RunDir::new().run(&format!("-q -n 1 --log-dir {} web={}", dir.display(), web.address));
    assert_eq!(run.outcome(), "exit 0");
    dir.join(LEDGER)
}

#[test]
fn a_planted_link_is_not_followed_and_a_directory_is_no_ledger() {
    let web = Accepting::new();
    let dir = RunDir::new();
    dir.write("victim", "precious\n");
    symlink("victim", dir.path().join(LEDGER)).expect("its name is free");
    let ended = dir.run(&format!("-q -n 1 web={}", web.address));
    let why = "cannot be opened (it is a symbolic link, and none is followed)";
    assert_eq!(ended.outcome(), format!("exit 0\ntcpmon: ledger: {LEDGER} {why}, {WITHOUT}"));
    assert_eq!(fs::read_to_string(dir.path().join("victim")).expect("it is there"), "precious\n");
    fs::create_dir(dir.path().join("folder")).expect("our own directory");
    let ended = dir.run(&format!("-q -n 1 --ledger ./folder web={}", web.address));
    let why = "cannot be opened (Is a directory)";
    assert_eq!(ended.outcome(), format!("exit 0\ntcpmon: ledger: ./folder {why}, {WITHOUT}"));
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
}

#[test]
fn without_a_ledger_a_second_run_is_still_refused() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = format!("-q --interval 300ms --ledger /dev/null web={}", web.address);
    let run = dir.start(&target);
    web.wait_for_a_round(1);
    let pid = run.pid();
    assert_eq!(dir.run(&target).outcome(), format!("exit 1\ntcpmon: start: already running as pid {pid}"));
    let here = dir.path().display();
    assert_eq!(dir.run(&format!("start {target} --log-dir {here}")).outcome(), "exit 0");
    let stopped = dir.run("stop --ledger /dev/null");
    assert_eq!(stopped.outcome(), format!("exit 0\n{NO_NOTE}"));
    assert_eq!(run.wait().code(), Some(0));
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
}

#[test]
fn a_run_goes_on_without_a_ledger_that_cannot_be_written() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        let directory = dir.path().join("disk");
        fs::create_dir(&directory).expect("our own directory");
        let disk = namespace::Disk::mounted(&directory, "64k");
        // No room for a ledger of 1,024 targets on the disk.
        let targets: Vec<String> = (0..100).map(|i| format!("web{i}={}", web.address)).collect();
        let ended = dir.run(&format!("-q -n 1 --ledger disk/l {}", targets.join(" ")));
        let said = "tcpmon: ledger: disk/l cannot be made (No space left on device), this run goes on without it: what is not reported is lost when it ends";
        assert_eq!(ended.outcome(), format!("exit 0\n{said}"));
        assert_eq!(web.total() as u64, (0..100).map(|i| total(&dir.rows(), &format!("web{i}"))).sum::<u64>());
        fs::remove_file(directory.join("l")).expect("it was made, without blocks");
        disk.remount("ro");
        let ended = dir.run(&format!("-q -n 1 --ledger disk/l web={}", web.address));
        assert!(ended.stderr.contains("cannot be opened (Read-only file system)"), "{ended:?}");
        assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(0), 1), "{ended:?}");
    });
}

#[test]
fn a_reload_moves_the_ledger_and_grows_it() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = |i: usize| format!("target web{i} 127.0.0.1 {}\n", web.address.port());
    let few: String = (0..2).map(target).collect();
    let many: String = (0..100).map(target).collect();
    dir.write("conf", &format!("interval 300ms\nreport 1h\n{few}"));
    let run = dir.start("-q -c conf");
    web.wait_for_a_round(2);
    dir.write("conf", &format!("interval 300ms\nreport 1h\nlog_dir elsewhere\n{many}"));
    run.signal(Signal::SIGHUP);
    wait_until("it is re-read", || run.stderr().contains("re-read"));
    assert!(dir.path().join("elsewhere").join(LEDGER).exists());
    assert!(!dir.path().join(LEDGER).exists());
    let before = web.accepted().len();
    wait_until("all of them are probed", || web.accepted().len() >= before + 200);
    let pid = run.pid();
    let second = dir.run("-q -c conf");
    assert_eq!(second.outcome(), format!("exit 1\ntcpmon: start: already running as pid {pid}"));
    // The ledger is not moved over an existing file.
    dir.write("taken", "mine");
    dir.write("conf", &format!("interval 300ms\nreport 1h\nledger ./taken\n{many}"));
    run.signal(Signal::SIGHUP);
    wait_until("it is refused", || {
        run.stderr().contains("cannot be applied, the ledger cannot be moved (File exists)")
    });
    run.signal(Signal::SIGKILL);
    run.wait();
    dir.write("conf", &format!("interval 300ms\nreport 1h\nlog_dir elsewhere\n{many}"));
    assert_eq!(dir.run("-q -n 1 -c conf").code(), Some(0));
    let rows = crate::running::rows_in(&dir.path().join("elsewhere"));
    let counted: u64 = (0..100).map(|i| total(&rows, &format!("web{i}"))).sum();
    // Probes in flight at the kill were accepted and not counted.
    assert!((counted..=counted + 100).contains(&(web.total() as u64)), "{counted} of {}", web.total());
}

#[test]
fn a_reload_moves_the_ledger_to_another_file_system() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        let directory = dir.path().join("disk");
        fs::create_dir(&directory).expect("our own directory");
        let _disk = namespace::Disk::mounted(&directory, "1m");
        let target = format!("interval 300ms\nreport 1h\ntarget web 127.0.0.1 {}\n", web.address.port());
        dir.write("conf", &target);
        let run = dir.start("-q -c conf");
        web.wait_for_a_round(1);
        dir.write("conf", &format!("log_dir disk\n{target}"));
        run.signal(Signal::SIGHUP);
        wait_until("it is re-read", || run.stderr().contains("re-read"));
        assert!(directory.join(LEDGER).exists() && !dir.path().join(LEDGER).exists());
        web.wait_for_a_round(1);
        let (status, counted) = (dir.run("status --json --log-dir disk").json(), web.total());
        assert_eq!((&status["running"], &status["targets"][0]["total"]["total"]), (&true.into(), &counted.into()));
        assert_eq!(run.end().code(), Some(0));
        assert_eq!(total(&crate::running::rows_in(&directory), "web"), web.total() as u64);
    });
}

#[test]
fn a_ledger_that_may_not_be_read_shows_nothing_and_says_why() {
    let dir = RunDir::new();
    assert_eq!(
        dir.run("status").outcome(),
        format!(
            "exit 3\ntcpmon: ledger: {LEDGER} is not there or empty, no monitor has run with it, there is nothing to show"
        )
    );
    dir.write(LEDGER, "no ledger at all");
    let why = format!("exit 1\ntcpmon: ledger: {LEDGER} is no ledger, there is nothing to show");
    assert_eq!(dir.run("status").outcome(), why);
    fs::set_permissions(dir.path().join(LEDGER), fs::Permissions::from_mode(0o000)).expect("our own file");
    // Root may still read it.
    let denied = why.replace("is no ledger", "cannot be opened (Permission denied)");
    assert!([why, denied].contains(&dir.run("status").outcome()));
}
