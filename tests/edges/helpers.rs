//! The helper processes: how many there are, that no probe is lost when one dies, and that none
//! survives the monitor. That the pool shrinks after 30 idle seconds is tested in its unit test.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::clock::{self, wait_until};
use crate::dns::{Answer, Server};
use crate::kernel::{self, Process, children, helpers};
use crate::listener::Accepting;
use crate::namespace;
use crate::running::{RunDir, Running};

fn kill(helper: &Process) {
    // Only the monitor reaps it: until then no other process gets its pid.
    let _ = signal::kill(helper.pid, Signal::SIGKILL);
}

/// Kills the monitor, and checks that its helpers end.
fn kill_and_check_helpers(run: Running, orphans: &[Process]) {
    run.signal(Signal::SIGKILL);
    assert_eq!(run.wait().outcome(), "signal 9");
    wait_until("the helpers have ended too", || !orphans.iter().any(Process::runs));
}

fn has_zombies(monitor: Pid) -> bool {
    children(monitor).iter().any(|child| child.state == 'Z')
}

#[test]
fn a_run_of_literals_has_at_most_one_helper_and_names_it() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 50ms web={}", web.address));
    wait_until("it probes", || web.accepted().len() >= 5);
    let helpers = helpers(run.pid());
    assert!(helpers.len() <= 1, "{helpers:?}");
    assert!(helpers.iter().all(|helper| helper.name == "tcpmon-helper"), "{helpers:?}");
    assert_eq!(run.end().outcome(), "exit 0");
    wait_until("the helpers have ended", || !helpers.iter().any(Process::runs));
}

#[test]
fn a_helper_killed_in_the_middle_of_a_lookup_costs_no_probe() {
    namespace::within(|| {
        let dns = Server::start();
        dns.late("web.test", Duration::from_millis(800), &["127.0.0.1"]);
        let web = Accepting::new();
        let dir = RunDir::new();
        let run = dir.start(&format!("-q -n 1 web=web.test:{}", web.address.port()));
        wait_until("the name is asked for", || dns.asked_inet("web.test") == 1);
        let first = helpers(run.pid());
        assert_eq!(first.len(), 1, "{first:?}");
        assert_eq!(first[0].name, "tcpmon-helper");
        kill(&first[0]);
        wait_until("the name is asked for again", || dns.asked_inet("web.test") == 2);
        wait_until("the dead helper is reaped", || !has_zombies(run.pid()));

        let ended = run.wait();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(dir.counted("web"), "1 | 0 | 1 | 0 | 0 | 0 | 1");
    });
}

#[test]
fn helpers_killed_again_and_again_cost_no_probe() {
    namespace::within(|| {
        let dns = Server::start();
        let web = Accepting::new();
        let port = web.address.port();
        let names = ["a", "b", "c", "d"];
        for name in names {
            dns.late(&format!("{name}.test"), Duration::from_millis(300), &["127.0.0.1"]);
        }
        let targets = names.map(|name| format!("{name}={name}.test:{port}")).join(" ");
        let dir = RunDir::new();
        let run = dir.start(&format!("-q -n 8 --interval 500ms {targets}"));
        // Kills in each of the first six rounds, while all four lookups are under way.
        for round in 1..=6 {
            wait_until("all names are asked for", || {
                names.iter().all(|name| dns.asked_inet(&format!("{name}.test")) >= 2 * round - 1)
            });
            let dying = helpers(run.pid());
            dying.iter().for_each(kill);
            wait_until("all names are asked for again", || {
                names.iter().all(|name| dns.asked_inet(&format!("{name}.test")) >= 2 * round)
            });
            wait_until("there is no zombie", || !has_zombies(run.pid()));
        }
        let ended = run.wait();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        for name in names {
            assert_eq!(dir.counted(name), "8 | 0 | 8 | 0 | 0 | 0 | 8", "{name}: {}", ended.stderr);
        }
    });
}

#[test]
fn a_name_without_a_helper_to_look_it_up_is_skipped_and_a_literal_is_probed() {
    const NOBODY: &str = "65534";
    let web = Accepting::new();
    let dir = RunDir::new();
    let program = env!("CARGO_BIN_EXE_tcpmon");
    // The kernel does not limit the processes of root.
    let mut words = if fs::metadata("/proc/self").expect("/proc is mounted").uid() == 0 {
        vec!["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]
    } else {
        vec!["env"]
    };
    let allowed = Command::new(words[0]).args(&words[1..]).args(["test", "-x", program]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        return namespace::skip(
            "helpers::a_name_without_a_helper",
            "another user cannot execute the program in this directory",
        );
    }
    let targets = [format!("name=localhost:{}", web.address.port()), format!("literal={}", web.address)];
    words.extend(["prlimit", "--nproc=1", program, "once", &targets[0], &targets[1]]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    let ended = dir.spawn(command, Stdio::piped()).wait();
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let checks = ended.checks();
    assert!(checks[0].result.starts_with("skipped: "), "{ended:?}");
    assert_eq!(checks[1].result, "connected to 127.0.0.1");
}

#[test]
fn the_pool_grows_while_all_are_busy_and_no_helper_stays_a_zombie() {
    namespace::within(|| {
        let dns = Server::start();
        let names = (1..=6).map(|number| format!("dead-{number}")).collect::<Vec<_>>();
        for name in &names {
            dns.answer(&format!("{name}.test"), Answer::Silence);
        }
        let dead: Vec<String> = names.iter().map(|name| format!("{name}={name}.test:9")).collect();
        let dir = RunDir::new();
        // Each name has two or three lookups under way at the same time.
        let timing = "--interval 500ms --slow 500ms --timeout 1200ms";
        let mut run = dir.start(&format!("-q -n 6 {timing} {}", dead.join(" ")));
        let mut most = 0;
        while run.runs() {
            most = most.max(helpers(run.pid()).len());
            clock::let_pass(Duration::from_millis(10));
        }
        assert_eq!(run.wait().outcome(), "exit 0");
        for name in &names {
            assert_eq!(dir.counted(name), "0 | 0 | 0 | 0 | 6 | 0 | 6", "{name}");
        }
        assert!((18..=19).contains(&most), "{most} helpers for 18 lookups");
    });
}

#[test]
fn the_pool_stays_within_its_limit_and_every_lookup_gets_a_helper() {
    namespace::within(|| {
        let dns = Server::start();
        let web = Accepting::new();
        let port = web.address.port();
        let names = ["a", "b", "c", "d", "e", "f"];
        for name in names {
            dns.late(&format!("{name}.test"), Duration::from_millis(200), &["127.0.0.1"]);
        }
        let targets = names.map(|name| format!("{name}={name}.test:{port}")).join(" ");
        let dir = RunDir::new();
        let mut run = dir.start(&format!("-q -n 3 --interval 1s --helpers 2 {targets}"));
        let mut most = 0;
        while run.runs() {
            most = most.max(helpers(run.pid()).len());
            clock::a_moment();
        }
        assert_eq!(run.wait().code(), Some(0));
        assert_eq!(most, 2);
        for name in names {
            assert_eq!(dir.counted(name), "3 | 0 | 3 | 0 | 0 | 0 | 3", "{name}");
        }
    });
}

#[test]
fn too_few_helpers_are_said_by_check_and_at_the_start_and_enough_are_not() {
    let dir = RunDir::new();
    let names: Vec<String> = (1..=10).map(|i| format!("target n{i} n{i}.test 80")).collect();
    let names = names.join("\n");
    dir.write("tcpmon.conf", &format!("{names}\ntarget literal 127.0.0.1 80\n"));
    let said = "helpers: 30 can be needed while no name server answers and 20 may run (the setting helpers), ticks beyond are skipped then\n";
    let check = dir.run("check --helpers 20 -c tcpmon.conf");
    // It warns of the resolver, too, on a machine without one.
    assert!(check.code() == Some(0) && check.stderr.ends_with(&format!("tcpmon: check: warning: {said}")), "{check:?}");
    let ended = dir.run("run -q -n 1 --helpers 20 -c tcpmon.conf");
    assert_eq!((ended.code(), ended.stderr), (Some(0), format!("tcpmon: {said}")));
    for enough in ["", "--helpers 30", "--helpers 20 --interval 5s", "--helpers 10 --timeout 2s"] {
        let check = dir.run(&format!("check {enough} -c tcpmon.conf"));
        assert!(check.code() == Some(0) && !check.stderr.contains("helpers"), "{enough}: {check:?}");
    }
}

#[test]
fn lookups_that_hang_are_ended_at_their_limit_and_leave_no_zombie() {
    namespace::within(|| {
        let dns = Server::start();
        dns.answer("dead.test", Answer::Silence);
        let dir = RunDir::new();
        let run = dir.start("-q --interval 300ms --slow 100ms --timeout 400ms web=dead.test:9");
        wait_until("some lookups are over", || dns.asked_inet("dead.test") >= 6);
        wait_until("there is no zombie", || !has_zombies(run.pid()));
        let left = helpers(run.pid());
        assert!(left.len() <= 3, "at most two lookups are under way: {left:?}");
        let ended = run.end();
        assert_eq!(ended.outcome(), "exit 0");
        wait_until("the helpers have ended", || !left.iter().any(Process::runs));
    });
}

#[test]
fn no_helper_outlives_a_monitor_that_was_killed_while_lookups_hang() {
    namespace::within(|| {
        let dns = Server::start();
        let names = ["a", "b", "c", "d"];
        for name in names {
            dns.answer(&format!("{name}.test"), Answer::Silence);
        }
        let targets = names.map(|name| format!("{name}={name}.test:9")).join(" ");
        let dir = RunDir::new();
        let run = dir.start(&format!("-q {targets}"));
        wait_until("all names are asked for", || names.iter().all(|name| dns.asked_inet(&format!("{name}.test")) >= 1));
        let orphans = helpers(run.pid());
        assert!(orphans.len() >= 4, "{orphans:?}");
        kill_and_check_helpers(run, &orphans);
    });
}

#[test]
fn an_idle_helper_ends_with_a_monitor_that_was_killed() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("web.test", &["127.0.0.1"]);
        let web = Accepting::new();
        let dir = RunDir::new();
        let run = dir.start(&format!("-q --interval 1h web=web.test:{}", web.address.port()));
        wait_until("the first probe is made", || web.accepted().len() == 1);
        let orphans = helpers(run.pid());
        assert_eq!(orphans.len(), 1, "{orphans:?}");
        kill_and_check_helpers(run, &orphans);
    });
}

#[test]
fn a_helper_has_no_descriptor_of_the_monitor_but_its_own_end_of_the_pair() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("web.test", &["127.0.0.1"]);
        let web = Accepting::new();
        let dir = RunDir::new();
        let run = dir.start(&format!("-q --interval 1h web=web.test:{}", web.address.port()));
        wait_until("the first probe is made", || web.accepted().len() == 1);
        let helper = &helpers(run.pid())[0];
        let sockets = kernel::descriptors(helper.pid);
        let pair: Vec<_> = sockets.iter().filter(|(_, what)| what.starts_with("socket:")).collect();
        assert_eq!(pair.len(), 1, "{sockets:?}");
        let rest = sockets.iter().filter(|(number, what)| *number > 2 && !what.starts_with("socket:"));
        assert_eq!(rest.collect::<Vec<_>>(), Vec::<&(u64, String)>::new(), "no log, timer or signal descriptor");
        assert_eq!(run.end().outcome(), "exit 0");
    });
}
