//! Connects: every way in which one can end, and what the peer sees of it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::clock::{self, wait_until};
use crate::dns::Server;
use crate::kernel::{self, tcp_counter, unanswered};
use crate::listener::{self, Accepting, Closed, End, Full};
use crate::namespace;
use crate::running::{RunDir, Running, total};

/// Short thresholds, for tests in which only the order of events matters.
pub const SHORT: &str = "--slow 200ms --timeout 600ms";

#[test]
fn an_accepted_connect_is_fast() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q -n 3 --interval 200ms web={}", web.address));
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "3 | 0 | 3 | 0 | 0 | 0 | 3");

    let once = dir.run(&format!("once web={}", web.address));
    assert_eq!(once.outcome(), "exit 0");
    let check = once.check();
    assert_eq!((check.service.as_str(), &check.target), ("web", &web.address.to_string()));
    assert_eq!(check.result, "connected to 127.0.0.1");
    assert!(check.connect_ms.is_some_and(|ms| ms < 1000.0), "{check:?}");
}

#[test]
fn a_closed_port_is_refused() {
    let closed = Closed::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q -n 3 --interval 200ms web={}", closed.address));
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "0 | 0 | 3 | 0 | 0 | 3 | 3");

    let once = dir.run(&format!("once web={}", closed.address));
    assert_eq!(once.outcome(), "exit 2");
    assert_eq!(once.check().result, "connect failed: refused");
}

#[test]
fn a_silent_target_is_timed_out_at_its_limit() {
    let full = Full::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q -n 1 --timeout 2s web={}", full.address));
    let once = dir.run(&format!("once --timeout 2s web={}", full.address));
    assert_eq!(once.outcome(), "exit 2");
    let check = once.check();
    assert_eq!(check.result, "connect failed: timed out");
    assert!(check.connect_ms.is_some_and(|ms| (2000.0..2500.0).contains(&ms)), "{check:?}");

    assert_eq!(run.wait().outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "0 | 0 | 1 | 0 | 0 | 1 | 1");
}

#[test]
fn a_connect_whose_first_syn_was_lost_is_slow() {
    let (full, other) = (Full::new(), Full::new());
    let dir = RunDir::new();
    let run = dir.start(&format!("-q -n 1 web={}", full.address));
    let once = dir.start(&format!("once web={}", other.address));
    for full in [&full, &other] {
        wait_until("the first SYN is lost", || unanswered(full.address) == 1);
    }
    full.make_room();
    other.make_room();

    assert_eq!(run.wait().outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "0 | 1 | 1 | 0 | 0 | 0 | 1");
    let once = once.wait();
    assert_eq!(once.outcome(), "exit 0");
    let check = once.check();
    assert_eq!(check.result, "connected to 127.0.0.1");
    // The second SYN comes after 1 s (RFC 6298, section 2); a busy machine may need the third.
    assert!(check.connect_ms.is_some_and(|ms| (1000.0..4000.0).contains(&ms)), "{check:?}");
    let attempt = once.without_times().lines().last().map(|line| line.replace("2 SYNs", "1 SYN"));
    assert_eq!(attempt.as_deref(), Some("    127.0.0.1 connected, # ms, 1 SYN resent, round trip # ms"));
}

/// The result of `once` for a connection that is accepted and reset while `once` is stopped. It is
/// continued `after` the reset.
fn reset_while_stopped(after: Duration) -> (String, String) {
    let full = Full::new();
    let dir = RunDir::new();
    let once = dir.start(&format!("once web={}", full.address));
    wait_until("the first SYN is lost", || unanswered(full.address) == 1);
    // While the program is stopped, its second SYN is accepted and the connection reset.
    once.signal(Signal::SIGSTOP);
    full.make_room();
    listener::reset(full.accept());
    if !after.is_zero() {
        clock::let_pass(after);
    }
    once.signal(Signal::SIGCONT);
    let once = once.wait();
    (once.outcome(), once.check().result)
}

#[test]
fn a_connection_that_is_reset_after_it_was_accepted_was_accepted_however_late_we_look() {
    let connected = ("exit 0".to_string(), "connected to 127.0.0.1".to_string());
    assert_eq!(reset_while_stopped(Duration::ZERO), connected);
    assert_eq!(reset_while_stopped(Duration::from_millis(300)), connected);
}

#[test]
fn an_ipv6_literal_is_connected_to_and_shown_in_brackets() {
    let Ok(web) = Accepting::on("[::1]:0") else {
        return namespace::skip("connect::an_ipv6_literal", "this machine has no IPv6");
    };
    let dir = RunDir::new();
    let target = format!("[::1]:{}", web.address.port());
    let once = dir.run(&format!("once web={target}"));
    assert_eq!(once.outcome(), "exit 0");
    let check = once.check();
    assert_eq!((check.target, check.result.as_str()), (target, "connected to ::1"));

    // In a file the host has no brackets.
    dir.write("tcpmon.conf", &format!("target web ::1 {}\n", web.address.port()));
    let ended = dir.run("-q -n 2 --interval 200ms -c tcpmon.conf");
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(dir.counted("web"), "2 | 0 | 2 | 0 | 0 | 0 | 2");
}

#[test]
fn the_second_address_is_tried_when_the_first_refuses() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("refused-first.test", &["127.0.1.2", "127.0.1.3"]);
        dns.addresses("accepted-first.test", &["127.0.1.3", "127.0.1.2"]);
        let web = Accepting::on("127.0.1.3:0").expect("all of 127.0.0.0/8 is on loopback");
        let port = web.address.port();
        let dir = RunDir::new();

        let mut failed = tcp_counter("AttemptFails");
        for (name, refusals) in [("refused-first.test", 1), ("accepted-first.test", 0)] {
            let once = dir.run(&format!("once web={name}:{port}"));
            assert_eq!(once.outcome(), "exit 0");
            assert_eq!(once.check().result, "connected to 127.0.1.3");
            assert_eq!(tcp_counter("AttemptFails") - failed, refusals, "{name}");
            failed += refusals;
        }
        let ended = dir.run(&format!("-q -n 2 --interval 200ms web=refused-first.test:{port}"));
        assert_eq!(ended.outcome(), "exit 0");
        assert_eq!(dir.counted("web"), "2 | 0 | 2 | 0 | 0 | 0 | 2", "one probe, one increment");
    });
}

#[test]
fn no_route_an_unreachable_and_a_prohibited_one_are_told_apart() {
    namespace::within(|| {
        assert!(namespace::ip("route add unreachable 198.51.100.1"));
        assert!(namespace::ip("route add prohibit 198.51.100.2"));
        let dir = RunDir::new();
        let targets = "none=203.0.113.1:80 unreachable=198.51.100.1:80 prohibited=198.51.100.2:80";
        let once = dir.run(&format!("once {targets}"));
        assert_eq!(once.outcome(), "exit 2");
        let results: Vec<String> = once.checks().into_iter().map(|check| check.result).collect();
        assert_eq!(
            results,
            [
                "connect failed: network unreachable",
                "connect failed: host unreachable",
                "connect failed: denied by this host"
            ]
        );
        let ended = dir.run(&format!("-q -n 2 --interval 200ms {targets}"));
        assert_eq!(ended.outcome(), "exit 0");
        for service in ["none", "unreachable", "prohibited"] {
            assert_eq!(dir.counted(service), "0 | 0 | 2 | 0 | 0 | 2 | 2", "{service}");
        }
    });
}

#[test]
fn a_neighbour_that_does_not_answer_is_host_unreachable() {
    namespace::within(|| {
        if !namespace::ip("link add near type veth peer name far") {
            return namespace::skip("connect::a_neighbour_that_does_not_answer", "no veth devices here");
        }
        assert!(namespace::ip("address add 198.51.100.1/24 dev near"));
        assert!(namespace::ip("link set near up") && namespace::ip("link set far up"));
        // The kernel sends three requests, one second apart, before it gives up.
        let dir = RunDir::new();
        let once = dir.run("once web=198.51.100.77:80");
        assert_eq!(once.outcome(), "exit 2");
        assert_eq!(once.check().result, "connect failed: host unreachable");
    });
}

#[test]
fn every_tick_of_a_silent_target_is_a_probe_and_probes_overlap() {
    namespace::within(|| {
        let full = Full::new();
        let dir = RunDir::new();
        let connects = tcp_counter("ActiveOpens");
        // A probe lasts five ticks.
        let mut run = dir.start(&format!("-q -n 10 --interval 200ms --timeout 1s --slow 500ms web={}", full.address));
        let mut most = 0;
        while run.runs() {
            most = most.max(unanswered(full.address));
            clock::a_moment();
        }
        assert_eq!(run.wait().outcome(), "exit 0");
        assert_eq!(dir.counted("web"), "0 | 0 | 10 | 0 | 0 | 10 | 10");
        assert_eq!(tcp_counter("ActiveOpens") - connects, 10, "one connect a tick");
        assert!((5..=6).contains(&most), "{most} at the same time");
    });
}

#[test]
fn the_source_is_the_address_that_the_listener_sees() {
    let web = Accepting::new();
    let dir = RunDir::new();
    dir.write("tcpmon.conf", &format!("target web 127.0.0.1 {} source 127.0.0.5\n", web.address.port()));
    let ended = dir.run("once -c tcpmon.conf");
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(web.total(), 1);
    assert_eq!(web.accepted()[0].peer.ip(), IpAddr::from([127, 0, 0, 5]));
}

#[test]
fn a_source_that_is_not_ours_is_a_failed_connect() {
    let web = Accepting::new();
    let dir = RunDir::new();
    dir.write("tcpmon.conf", &format!("target web 127.0.0.1 {} source 203.0.113.9\n", web.address.port()));
    let once = dir.run("once -c tcpmon.conf");
    assert_eq!(once.code(), Some(2), "{once:?}");
    assert_eq!(once.check().result, "connect failed: no such source address");
    assert_eq!(web.total(), 0);
}

#[test]
fn a_device_is_the_only_way_out() {
    namespace::within(|| {
        let web = Accepting::new();
        let port = web.address.port();
        let dir = RunDir::new();
        dir.write("lo.conf", &format!("target web 127.0.0.1 {port} device lo\n"));
        let once = dir.run("once -c lo.conf");
        assert_eq!(once.outcome(), "exit 0");
        assert_eq!(once.check().result, "connected to 127.0.0.1");

        if !namespace::ip("link add near type veth peer name far") {
            return namespace::skip("connect::a_device_is_the_only_way_out", "no veth devices here");
        }
        assert!(namespace::ip("link set near up") && namespace::ip("link set far up"));
        dir.write("near.conf", &format!("target web 127.0.0.1 {port} device near\n"));
        let once = dir.run(&format!("once {SHORT} -c near.conf"));
        assert_eq!(once.outcome(), "exit 2");
        assert_eq!(web.total(), 1, "no connection came through loopback");
    });
}

#[test]
fn the_connection_is_closed_with_fin_and_no_byte_or_with_rst_where_that_is_set() {
    for (close, end) in [("", End::Finished), ("--close rst", End::Reset)] {
        let web = Accepting::new();
        let dir = RunDir::new();
        let ended = dir.run(&format!("-q -n 3 --interval 200ms {close} web={}", web.address));
        assert_eq!(ended.outcome(), "exit 0");
        assert_eq!(web.total(), 3);
        assert!(web.accepted().iter().all(|accepted| accepted.end == end), "{close}: {:?}", web.accepted());
        assert_eq!(dir.counted("web"), "3 | 0 | 3 | 0 | 0 | 0 | 3");
    }
}

/// Sets how many descriptors the running process may have; it keeps those it has.
fn limit_descriptors(run: &Running, limit: &str) {
    let pid = run.pid().to_string();
    let status = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={limit}:")]).status();
    assert!(status.is_ok_and(|status| status.success()), "prlimit of util-linux is needed");
}

#[test]
fn ticks_without_a_free_descriptor_are_skipped_and_said_once_and_it_recovers() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 100ms --report 1h web={}", web.address));
    wait_until("it probes", || web.accepted().len() >= 3);
    let before = soft_limit(&run);
    // As many as it has between two probes, and none for a connect.
    let free = (0..40).map(|_| {
        clock::let_pass(Duration::from_millis(3));
        kernel::lowest_free_descriptor(run.pid())
    });
    limit_descriptors(&run, &free.min().expect("forty").to_string());
    wait_until("it says so", || run.stderr().contains("too many open files"));
    let accepted = web.accepted().len();
    // Six ticks go by.
    clock::let_pass(Duration::from_millis(600));
    assert!(web.accepted().len() <= accepted + 1, "it still connects");

    limit_descriptors(&run, &before);
    wait_until("it probes again", || web.accepted().len() >= accepted + 5);
    web.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let complaints = ended.stderr.lines().filter(|line| line.contains("too many open files"));
    assert_eq!(complaints.count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.lines().all(|line| line.starts_with("tcpmon: ")), "{}", ended.stderr);
    let accepted = web.total();
    assert_eq!(dir.counted("web"), format!("{accepted} | 0 | {accepted} | 0 | 0 | 0 | {accepted}"));
}

fn soft_limit(run: &Running) -> String {
    let limits = fs::read_to_string(format!("/proc/{}/limits", run.pid())).expect("it runs and is ours");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("proc_pid_limits(5)");
    line.split_whitespace().next().expect("the soft limit comes first").to_owned()
}

#[test]
fn once_never_blames_a_target_for_our_few_descriptors() {
    let web = Accepting::new();
    let mut skipped = 0;
    for limit in 4..=20 {
        let dir = RunDir::new();
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(env!("CARGO_BIN_EXE_tcpmon"));
        command.args(["once", &format!("literal={}", web.address), &format!("name=localhost:{}", web.address.port())]);
        let ended = dir.spawn(command, Stdio::piped()).wait();
        if ended.stdout.is_empty() {
            // Too few for the program to start.
            assert_eq!(ended.code(), Some(3), "with {limit} descriptors: {ended:?}");
            continue;
        }
        let checks = ended.checks();
        let (connected, short): (Vec<_>, _) = checks.iter().partition(|check| check.result == "connected to 127.0.0.1");
        assert!(short.iter().all(|check| check.result == "skipped: too many open files"), "{limit}: {ended:?}");
        assert_eq!(ended.code(), Some(if connected.len() == 2 { 0 } else { 3 }), "{limit}: {ended:?}");
        skipped += short.len();
    }
    assert!(skipped > 0, "at some limit only the connect fails");
}

#[test]
fn ticks_without_a_free_local_port_are_skipped() {
    namespace::within(|| {
        let range = "/proc/sys/net/ipv4/ip_local_port_range";
        let full = Full::new();
        if fs::write(range, "50000 50003").is_err() {
            return namespace::skip("connect::ticks_without_a_free_local_port", "the port range cannot be set");
        }
        let dir = RunDir::new();
        let run = dir.run(&format!("-q -n 10 --interval 50ms --timeout 1s --slow 500ms web={}", full.address));
        assert_eq!(run.code(), Some(0), "{run:?}");
        assert_eq!(dir.counted("web"), "0 | 0 | 4 | 0 | 0 | 4 | 4", "four ports, four probes at the same time");
        assert_eq!(run.stderr.lines().count(), 1, "said once: {}", run.stderr);
        assert!(run.stderr.starts_with("tcpmon: "), "{}", run.stderr);

        fs::write(range, "50000 50000").expect("it was set before");
        let once = dir.run(&format!("once -j {SHORT} first={0} second={0}", full.address));
        assert_eq!(once.code(), Some(2), "{once:?}");
        let ends = once.json()["targets"].as_array().expect("two targets").clone();
        let words = |value: &serde_json::Value| format!("{} {}", value["outcome"], value["reason"]);
        for (end, expected) in ends.iter().zip(["\"connect failed\" \"timeout\"", "\"skipped\" \"no_ports\""]) {
            assert_eq!((words(end).as_str(), words(&end["attempts"][0]).as_str()), (expected, expected), "{end}");
        }
    });
}

#[test]
fn a_listener_that_resets_at_once_has_accepted_every_probe() {
    let listeners: Vec<_> = (0..20).map(|_| listener::Resetting::new()).collect();
    let targets: Vec<String> = listeners.iter().map(|resetting| format!("web={}", resetting.address)).collect();
    let dir = RunDir::new();
    let ended = dir.run(&format!("-q -n 20 --interval 100ms {}", targets.join(" ")));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let rows = dir.rows();
    let sum = |column: usize| rows.iter().map(|row| row.numbers[column]).sum::<u64>();
    // A busy machine may have skipped some ticks.
    assert_eq!((sum(0) + sum(1), sum(5), sum(6) > 200), (sum(6), 0, true), "{rows:?}");
}

#[test]
fn a_socket_that_connects_to_itself_was_refused_and_keeps_no_port() {
    namespace::within(|| {
        if fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40007").is_err() {
            return namespace::skip("connect::a_socket_that_connects_to_itself", "the port range cannot be set");
        }
        // An address of this box on a device of its own, and one on loopback.
        assert!(namespace::ip("address add 198.51.100.1/24 dev lo"));
        let six = namespace::ip("address add 2001:db8::1/128 dev lo nodad");
        let dir = RunDir::new();
        let six = if six { "[2001:db8::1]:40002" } else { "127.0.0.1:40006" };
        let targets = format!("dead=127.0.0.1:40000 own=198.51.100.1:40004 six={six}");
        let ended = dir.run(&format!("-q -n 150 --interval 20ms {SHORT} {targets}"));
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        // A busy machine may have skipped some ticks.
        let rows = dir.rows();
        for service in ["dead", "own", "six"] {
            let probes = total(&rows, service);
            let refused = format!("0 | 0 | {probes} | 0 | 0 | {probes} | {probes}");
            assert_eq!((dir.counted(service), probes > 75), (refused, true), "{service}");
        }
        let sockets = kernel::sockets_in_time_wait();
        assert_eq!(sockets, 0, "the service can bind its port");
        let probes: u64 = ["dead", "own", "six"].iter().map(|service| total(&rows, service)).sum();
        assert!(tcp_counter("AttemptFails") < probes, "some of them did connect to themselves");
    });
}

#[test]
fn a_silent_first_address_makes_a_service_slow() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("half.test", &["127.0.1.2", "127.0.1.3"]);
        let web = Accepting::on("127.0.1.3:0").expect("all of 127.0.0.0/8 is on loopback");
        let port = web.address.port();
        let full = Full::on(&format!("127.0.1.2:{port}"));
        let dir = RunDir::new();
        let once = dir.run(&format!("once --timeout 3s web=half.test:{port} dead={}", full.address));
        assert_eq!(once.code(), Some(2), "{once:?}");
        let checks = once.checks();
        assert_eq!(checks[0].result, "connected to 127.0.1.3");
        assert!(
            once.without_times()
                .contains("\n    127.0.1.2 timed out, # ms, 2 SYNs unanswered\n    127.0.1.3 connected"),
            "{once:?}"
        );
        assert!(checks[0].connect_ms.is_some_and(|ms| (1500.0..2500.0).contains(&ms)), "{checks:?}");
        assert_eq!(checks[1].result, "connect failed: timed out", "a single address has the whole limit");
        assert!(checks[1].connect_ms.is_some_and(|ms| (3000.0..3500.0).contains(&ms)), "{checks:?}");
        // Shares are of 1.5 s at least: none is left for the second address.
        let once = dir.run(&format!("once --timeout 2s web=half.test:{port}"));
        assert_eq!(once.check().result, "connect failed: timed out (127.0.1.2)");
    });
}

#[test]
fn a_source_address_that_goes_away_takes_the_service_down_and_one_that_comes_back_brings_it_up() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        assert!(namespace::ip("address add 198.51.100.9/32 dev lo"));
        dir.write("tcpmon.conf", &format!("target web 127.0.0.1 {} source 198.51.100.9\n", web.address.port()));
        let run = dir.start("-q --interval 50ms --report 1h -c tcpmon.conf");
        wait_until("it probes", || web.accepted().len() >= 3);
        assert!(namespace::ip("address del 198.51.100.9/32 dev lo"));
        let status = || dir.run("status -c tcpmon.conf").stdout;
        wait_until("it is down", || status().contains("\ndown "));
        assert!(status().contains(" ago no such source address "), "{}", status());
        let before = web.accepted().len();
        assert!(namespace::ip("address add 198.51.100.9/32 dev lo"));
        wait_until("it is up again", || web.accepted().len() > before);
        let ended = run.end();
        assert_eq!(ended.outcome(), "exit 0");
        let row = &dir.rows()[0];
        assert!(row.numbers[5] > 0 && row.numbers[0] > 0, "{row:?}");
    });
}

#[test]
fn without_an_address_of_its_family_a_target_has_failed_and_without_a_port_the_tick_is_skipped() {
    namespace::within(|| {
        if !namespace::ip("route add default dev lo") || !namespace::ip("-6 route add default dev lo") {
            return namespace::skip("connect::without_an_address_of_its_family", "this machine has no IPv6");
        }
        assert!(namespace::ip("-6 address flush dev lo"));
        let dir = RunDir::new();
        let once = dir.run("once six=[2001:db8::7]:80");
        assert_eq!(
            (once.code(), once.check().result.as_str()),
            (Some(2), "connect failed: no address of that family here")
        );
        let status = dir.run("-q -n 2 --interval 100ms six=[2001:db8::7]:80");
        assert_eq!(status.outcome(), "exit 0");
        assert_eq!(dir.counted("six"), "0 | 0 | 2 | 0 | 0 | 2 | 2");
    });
}

#[test]
fn a_dead_target_delays_no_other() {
    let (web, full, closed) = (Accepting::new(), Full::new(), Closed::new());
    let dir = RunDir::new();
    let addresses: [SocketAddr; 3] = [full.address, closed.address, web.address];
    let [dead, shut, alive] = addresses;
    let ended = dir.run(&format!("-q -n 5 --interval 200ms {SHORT} dead={dead} shut={shut} alive={alive}"));
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(dir.counted("dead"), "0 | 0 | 5 | 0 | 0 | 5 | 5");
    assert_eq!(dir.counted("shut"), "0 | 0 | 5 | 0 | 0 | 5 | 5");
    assert_eq!(dir.counted("alive"), "5 | 0 | 5 | 0 | 0 | 0 | 5");
    // Five ticks of 200 ms, and the last probe of the dead one.
    assert!(ended.took < Duration::from_millis(2500), "{:?}", ended.took);
}

#[test]
fn probes_in_flight_are_sorted_by_the_limits_that_a_reload_brings() {
    let full = Full::new();
    let dir = RunDir::new();
    let target = format!("interval 1h\nreport 1h\ntarget web 127.0.0.1 {}\n", full.address.port());
    dir.write("tcpmon.conf", &format!("timeout 60s\nslow 30s\n{target}"));
    let run = dir.start("-q -c tcpmon.conf");
    wait_until("it connects", || unanswered(full.address) == 1);
    dir.write("tcpmon.conf", &format!("timeout 700ms\nslow 200ms\n{target}"));
    run.signal(Signal::SIGHUP);
    wait_until("it has ended", || dir.run("status -c tcpmon.conf").stdout.contains(" ago timed out 127.0.0.1"));
    assert_eq!(run.end().code(), Some(0));
    let log = fs::read_to_string(&dir.logs()[0]).expect("it is there");
    let lines: Vec<&str> = log.lines().collect();
    // What was counted under the old limits, nothing, was reported before the reload.
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[0].contains("Conn<30s") && lines[2].contains("Conn0.2-0.7s"), "{log}");
    let numbers: Vec<&str> = lines[3].split('|').skip(2).map(str::trim).collect();
    assert_eq!(numbers, ["0", "0", "1", "0", "0", "1", "1"]);
}

#[test]
fn a_reload_to_a_longer_interval_and_a_shorter_limit_skips_no_tick_of_a_target_that_hangs() {
    let full = Full::new();
    let dir = RunDir::new();
    let target = format!("report 1h\ntarget web 127.0.0.1 {}\n", full.address.port());
    dir.write("tcpmon.conf", &format!("interval 50ms\ntimeout 2s\n{target}"));
    let run = dir.start("-q -c tcpmon.conf");
    wait_until("probes overlap", || unanswered(full.address) >= 10);
    dir.write("tcpmon.conf", &format!("interval 1s\ntimeout 1s\nslow 500ms\n{target}"));
    run.signal(Signal::SIGHUP);
    wait_until("the old probes have ended", || unanswered(full.address) <= 1);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0));
    assert!(!ended.stderr.contains("skipped"), "{}", ended.stderr);
}
