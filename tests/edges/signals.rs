//! Signals: which end a run, and that none ends it without its last report. A signal that says that the program has a
//! bug, and those that no process can catch, are left to the kernel.

use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::clock::wait_until;
use crate::kernel::Process;
use crate::listener::Accepting;
use crate::running::{RunDir, total};

/// The signals that end a run.
const ENDING: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGXCPU];

/// All others that may come from another process or a timer.
fn harmless() -> impl Iterator<Item = libc::c_int> {
    let left = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGSYS,
    ];
    (1..=64).filter(move |signal| !left.contains(signal) && !ENDING.contains(signal))
}

fn send(pid: Pid, signal: libc::c_int) {
    // SAFETY: the arguments are numbers.
    assert_eq!(unsafe { libc::kill(pid.as_raw(), signal) }, 0, "signal {signal}");
}

fn send_all(pid: Pid) {
    for signal in harmless() {
        send(pid, signal);
        // Some of them stop it.
        send(pid, libc::SIGCONT);
    }
}

#[test]
fn no_signal_ends_a_run_without_its_last_report() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 50ms --report 1h web={}", web.address));
    web.wait_for_a_round(1);
    send_all(run.pid());
    let before = web.total();
    wait_until("it probes after all of them", || web.total() >= before + 3);
    assert_eq!(run.end().code(), Some(0));
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
    for signal in ENDING {
        let (web, dir) = (Accepting::new(), RunDir::new());
        let run = dir.start(&format!("-q --interval 50ms --report 1h web={}", web.address));
        web.wait_for_a_round(1);
        send(run.pid(), signal);
        assert_eq!(run.wait().outcome(), "exit 0", "signal {signal}");
        assert_eq!(total(&dir.rows(), "web"), web.total() as u64, "signal {signal}");
    }
}

#[test]
fn no_signal_ends_a_run_in_the_background() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let background = dir.background();
    let (here, port) = (dir.path().display(), web.address.port());
    let target = format!("start --interval 50ms --report 1h --log-dir {here} web=localhost:{port}");
    assert_eq!(dir.run(&target).outcome(), "exit 0");
    web.wait_for_a_round(1);
    let pid = dir.run("status --json").json()["pid"].as_i64().expect("a pid");
    let process = Process::of(Pid::from_raw(pid as i32)).expect("it runs");
    send_all(process.pid);
    let before = web.total();
    wait_until("it probes after all of them", || web.total() >= before + 3);
    assert!(process.runs() && background.is_running());
    assert_eq!(dir.run("stop").outcome(), "exit 0");
    assert!(total(&dir.rows(), "web") >= web.total() as u64);
}

#[test]
fn a_run_whose_parent_ignores_the_signal_to_end_ends_all_the_same() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut shell = Command::new("sh");
    let run = format!("-q --interval 50ms --report 1h web={}", web.address);
    shell.args(["-c", &format!("trap '' TERM; exec {} {run}", env!("CARGO_BIN_EXE_tcpmon"))]);
    let run = dir.spawn(shell, Stdio::piped());
    web.wait_for_a_round(1);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.wait().outcome(), "exit 0");
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
}
