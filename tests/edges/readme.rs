//! The commands of the README: each is run as it stands there, in a namespace with the targets that it names, and says
//! what it says there. Those marked `# needs a router` are not run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::clock::wait_until;
use crate::listener::{Accepting, Full};
use crate::namespace::{Disk, ip, within};
use crate::running::RunDir;

const README: &str = include_str!("../../README.md");

/// The configuration that the README's commands name. No user: a user namespace has only one.
const CONFIG: &str = "interval 100ms\nreport 1s\nlog_dir /var/log/tcpmon\ntimes on\nevents on\n\
                      target web web.example 443\ntarget db 10.0.0.5 5432\n";

/// The blocks of the README, without their indentation. Those in a list have more of it.
fn blocks() -> Vec<Vec<&'static str>> {
    let mut blocks = vec![Vec::new()];
    for line in README.lines() {
        let block = blocks.last_mut().expect("one is there from the begin on");
        match line.strip_prefix("    ") {
            Some(line) => block.push(line.trim_start_matches("   ")),
            None if line.is_empty() => {}
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// A command and what it prints.
struct Example {
    command: &'static str,
    printed: Vec<&'static str>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in blocks() {
        let first = block[0];
        assert!(
            ["$ ", "make ", "#!/bin/sh", "target ", "... |"].iter().any(|start| first.starts_with(start)),
            "neither commands nor the script, the configuration or a part of the table: {block:?}"
        );
        if !first.starts_with("$ ") {
            continue;
        }
        for line in block {
            match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => examples.push(Example { command, printed: Vec::new() }),
                (None, Some(example)) => example.printed.push(line),
                (None, None) => unreachable!("the first line is a command"),
            }
        }
    }
    examples
}

/// Whether a line says what that of the README says: word by word, but for those with a digit, which say how many, when
/// and where. `...` stands for the rest.
fn is_like(printed: &str, line: &str) -> bool {
    let mut words = line.split_whitespace();
    for expected in printed.split_whitespace() {
        if expected == "..." {
            return true;
        }
        let Some(word) = words.next() else { return false };
        if word != expected && !expected.contains(|c: char| c.is_ascii_digit()) {
            return false;
        }
    }
    words.next().is_none()
}

/// The lines of the README that the command has not printed yet. Those of dots alone are as long as they are.
fn missing<'a>(printed: &[&'a str], output: &str) -> Vec<&'a str> {
    let told = printed.iter().filter(|line| line.contains(|c: char| c.is_alphanumeric()));
    told.filter(|printed| !output.lines().any(|line| is_like(printed, line))).copied().collect()
}

/// Ends the run in the background, also after a failed test.
struct Stopped<'a>(&'a RunDir);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.run("stop -c /etc/tcpmon.conf");
    }
}

/// A directory with the program and awk, to be the first in `PATH`: on Debian awk is a link by way of /etc.
fn path(dir: &RunDir) -> String {
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).expect("our own directory");
    symlink(env!("CARGO_BIN_EXE_tcpmon"), bin.join("tcpmon")).expect("our own directory");
    let path = std::env::var("PATH").unwrap_or_default();
    if let Some(awk) = std::env::split_paths(&path).find_map(|folder| folder.join("awk").canonicalize().ok()) {
        symlink(awk, bin.join("awk")).expect("our own directory");
    }
    format!("{}:{path}", bin.display())
}

#[test]
fn the_commands_of_the_readme_say_what_stands_there() {
    within(|| {
        for address in ["10.0.0.5", "192.0.2.7", "192.0.2.80", "192.0.2.81"] {
            assert!(ip(&format!("address add {address}/32 dev lo")));
        }
        let dir = RunDir::new();
        let path = path(&dir);
        let kept: Vec<(&str, String)> = ["passwd", "group", "nsswitch.conf", "resolv.conf"]
            .map(|name| (name, fs::read_to_string(format!("/etc/{name}")).unwrap_or_default()))
            .into();
        let _etc = Disk::mounted(Path::new("/etc"), "1m");
        let _logs = Disk::mounted(Path::new("/var/log"), "16m");
        for (name, text) in kept {
            fs::write(format!("/etc/{name}"), text).expect("a file of our own");
        }
        let hosts = "127.0.0.1 localhost\n192.0.2.7 web.example\n192.0.2.80 api.example\n192.0.2.81 api.example\n";
        fs::write("/etc/hosts", hosts).expect("a file of our own");
        // glibc reads more than one line for a name only then (host.conf(5)).
        fs::write("/etc/host.conf", "multi on\n").expect("a file of our own");
        fs::write("/etc/tcpmon.conf", CONFIG).expect("a file of our own");
        fs::create_dir("/var/log/tcpmon").expect("a directory of our own");

        let _web = Accepting::on("192.0.2.7:443").expect("our own address");
        let _silent = Full::on("192.0.2.80:443");
        let _api = Accepting::on("192.0.2.81:443").expect("our own address");
        let _stopped = Stopped(&dir);
        assert_eq!(dir.run("start -c /etc/tcpmon.conf").outcome(), "exit 0");
        // db goes down, up and down again.
        let told = |kind: &str| {
            let events = fs::read_to_string("/var/log/tcpmon/tcp_events_latest.log").unwrap_or_default();
            events.lines().filter(|line| line.contains(kind)).count()
        };
        wait_until("db is down", || told(" | down | db | ") == 1);
        let db = Accepting::on("10.0.0.5:5432").expect("our own address");
        wait_until("db is up", || told(" | up | db | ") == 1);
        drop(db);
        wait_until("db is down again", || told(" | down | db | ") == 2);
        let log = || fs::read_to_string("/var/log/tcpmon/tcp_stats_latest.log").unwrap_or_default();
        wait_until("there are rows", || log().matches(" | db ").count() > 1);

        let mut here = PathBuf::from(dir.path());
        let mut run = 0;
        for Example { command, printed } in examples() {
            if command.contains("# needs a router") {
                continue;
            }
            if let Some(directory) = command.strip_prefix("cd ") {
                here = PathBuf::from(directory);
                continue;
            }
            run += 1;
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("cd {} && exec {command}", here.display())]).env("PATH", &path);
            let started = dir.spawn(shell, Stdio::piped());
            let ended = if command.starts_with("tcpmon web=") {
                // It ends by a signal alone.
                wait_until(&format!("{command} says {printed:?}"), || missing(&printed, &started.stdout()).is_empty());
                started.signal(Signal::SIGINT);
                started.wait()
            } else {
                started.wait()
            };
            // A target is down.
            let expected = if command.starts_with("tcpmon status") { 2 } else { 0 };
            assert_eq!(ended.code(), Some(expected), "{command}: {ended:?}");
            assert_eq!(missing(&printed, &ended.stdout), Vec::<&str>::new(), "{command}: {}", ended.stdout);
        }
        assert!(run > 12, "{run}");
    });
}
