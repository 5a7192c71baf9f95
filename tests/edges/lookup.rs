//! Lookups: a name server that is fast, slow, late, silent or wrong, and what is counted.
//!
//! For SERVFAIL, REFUSED and an empty answer the reason depends on the C library: glibc and musl give
//! different errors, and musl ignores REFUSED until its own 5 s are over. There the tests check only
//! `lookup failed` and the count. For a name that does not exist both give the same reason.

use std::fs;
use std::path::Path;
use std::time::Duration;

use simple_dns::RCODE;

use crate::clock::{self, wait_until};
use crate::dns::{Answer, Server};
use crate::kernel::tcp_counter;
use crate::listener::Accepting;
use crate::namespace::{self, Disk};
use crate::running::{Ended, RunDir};

/// A closed port.
const CLOSED: &str = "127.0.0.1:9";

fn failed_lookup(ended: &Ended) -> String {
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    let check = ended.check();
    assert_eq!(check.connect_ms, None, "there is no connect after a failed lookup");
    let (class, reason) = check.result.split_once(": ").unwrap_or_else(|| panic!("{check:?}"));
    assert_eq!(class, "lookup failed");
    reason.to_owned()
}

#[test]
fn a_name_answered_at_once_is_a_fast_lookup() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("fast.test", &["127.0.0.1"]);
        let web = Accepting::new();
        let port = web.address.port();
        let dir = RunDir::new();
        let ended = dir.run(&format!("-q -n 3 --interval 200ms web=fast.test:{port}"));
        assert_eq!(ended.outcome(), "exit 0");
        assert_eq!(dir.counted("web"), "3 | 0 | 3 | 0 | 0 | 0 | 3");

        let once = dir.run(&format!("once web=fast.test:{port}"));
        assert_eq!(once.outcome(), "exit 0");
        let check = once.check();
        assert_eq!(check.target, format!("fast.test:{port}"));
        assert_eq!(check.result, "connected to 127.0.0.1");
        assert!(check.lookup_ms.is_some_and(|ms| ms > 0.0 && ms < 1000.0), "{check:?}");
    });
}

#[test]
fn an_answer_is_slow_after_one_second_and_fails_after_five_or_never() {
    namespace::within(|| {
        let dns = Server::start();
        dns.late("slow.test", Duration::from_millis(1500), &["127.0.0.1"]);
        dns.late("late.test", Duration::from_secs(6), &["127.0.0.1"]);
        dns.answer("never.test", Answer::Silence);
        let web = Accepting::new();
        let port = web.address.port();
        let targets = format!("slow=slow.test:{port} late=late.test:{port} never=never.test:{port}");
        let dir = RunDir::new();
        let run = dir.start(&format!("-q -n 1 {targets}"));
        let once = dir.start(&format!("once {targets}"));

        let run = run.wait();
        assert_eq!(run.outcome(), "exit 0");
        assert!((5000..5900).contains(&run.took.as_millis()), "counted at the limit: {:?}", run.took);
        assert_eq!(dir.counted("slow"), "1 | 0 | 0 | 1 | 0 | 0 | 1");
        assert_eq!(dir.counted("late"), "0 | 0 | 0 | 0 | 1 | 0 | 1");
        assert_eq!(dir.counted("never"), "0 | 0 | 0 | 0 | 1 | 0 | 1");

        let once = once.wait();
        assert_eq!(once.code(), Some(2), "{once:?}");
        // The names that failed are looked up once more, in each family alone.
        assert!((10_000..10_900).contains(&once.took.as_millis()), "{:?}", once.took);
        let checks = once.checks();
        let results: Vec<&str> = checks.iter().map(|check| check.result.as_str()).collect();
        assert_eq!(results, ["connected to 127.0.0.1", "lookup failed: timed out", "lookup failed: timed out"]);
        assert!(checks[0].lookup_ms.is_some_and(|ms| (1500.0..2400.0).contains(&ms)), "{:?}", checks[0]);
    });
}

#[test]
fn a_name_that_does_not_exist_is_not_found() {
    namespace::within(|| {
        let dns = Server::start();
        let dir = RunDir::new();
        let reason = failed_lookup(&dir.run("once web=nobody.test:9"));
        assert_eq!(reason, "name not found");
        assert!(dns.asked_inet("nobody.test") >= 1);

        let ended = dir.run("-q -n 2 --interval 200ms web=nobody.test:9");
        assert_eq!(ended.outcome(), "exit 0");
        assert_eq!(dir.counted("web"), "0 | 0 | 0 | 0 | 2 | 0 | 2");
    });
}

#[test]
fn a_server_that_fails_refuses_or_gives_no_address_is_a_failed_lookup() {
    namespace::within(|| {
        let dns = Server::start();
        dns.answer("failing.test", Answer::Code(RCODE::ServerFailure));
        dns.answer("refusing.test", Answer::Code(RCODE::Refused));
        dns.addresses("empty.test", &[]);
        let targets = "failing=failing.test:9 refusing=refusing.test:9 empty=empty.test:9";
        let dir = RunDir::new();
        let once = dir.run(&format!("once --slow 200ms --timeout 1s {targets}"));
        assert_eq!(once.code(), Some(2), "{once:?}");
        for check in once.checks() {
            assert!(check.result.starts_with("lookup failed: "), "{check:?}");
            assert_eq!(check.connect_ms, None, "{check:?}");
        }
        let ended = dir.run(&format!("-q -n 1 --slow 200ms --timeout 1s {targets}"));
        assert_eq!(ended.outcome(), "exit 0");
        for service in ["failing", "refusing", "empty"] {
            assert_eq!(dir.counted(service), "0 | 0 | 0 | 0 | 1 | 0 | 1", "{service}");
        }
    });
}

#[test]
fn no_name_server_at_all_is_a_failed_lookup() {
    namespace::within(|| {
        let dir = RunDir::new();
        let reason = failed_lookup(&dir.run("once --slow 200ms --timeout 1s web=any.test:9"));
        assert!(!reason.is_empty());
        let ended = dir.run(&format!("-q -n 1 --slow 200ms --timeout 1s web=any.test:9 literal={CLOSED}"));
        assert_eq!(ended.outcome(), "exit 0");
        assert_eq!(dir.counted("web"), "0 | 0 | 0 | 0 | 1 | 0 | 1");
        assert_eq!(dir.counted("literal"), "0 | 0 | 1 | 0 | 0 | 1 | 1");
    });
}

#[test]
fn a_name_with_only_one_family_of_addresses_is_connected_to() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("four.test", &["127.0.0.1"]);
        dns.addresses("six.test", &["::1"]);
        let four = Accepting::new();
        let dir = RunDir::new();
        let once = dir.run(&format!("once web=four.test:{}", four.address.port()));
        assert_eq!(once.outcome(), "exit 0");
        assert_eq!(once.check().result, "connected to 127.0.0.1");

        let Ok(six) = Accepting::on("[::1]:0") else {
            return namespace::skip("lookup::a_name_with_only_one_family", "this machine has no IPv6");
        };
        let once = dir.run(&format!("once web=six.test:{}", six.address.port()));
        assert_eq!(once.outcome(), "exit 0");
        assert_eq!(once.check().result, "connected to ::1");
    });
}

#[test]
fn inet_and_inet6_fix_the_family_that_is_asked_for_and_connected_to() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("both.test", &["127.0.0.1", "::1"]);
        dns.addresses("four.test", &["127.0.0.1"]);
        let four = Accepting::new();
        let port = four.address.port();
        let Ok(_six) = Accepting::on(&format!("[::1]:{port}")) else {
            return namespace::skip("lookup::inet_and_inet6_fix_the_family", "this machine has no IPv6");
        };
        let dir = RunDir::new();
        dir.write("inet.conf", &format!("target web both.test {port} inet\n"));
        dir.write("inet6.conf", &format!("target web both.test {port} inet6\n"));
        dir.write("none.conf", &format!("target web four.test {port} inet6\n"));

        assert_eq!(dir.run("once -c inet.conf").check().result, "connected to 127.0.0.1");
        assert_eq!((dns.asked_inet("both.test"), dns.asked_inet6("both.test")), (1, 0));
        assert_eq!(dir.run("once -c inet6.conf").check().result, "connected to ::1");
        assert_eq!((dns.asked_inet("both.test"), dns.asked_inet6("both.test")), (1, 1));
        failed_lookup(&dir.run("once -c none.conf"));
    });
}

#[test]
fn of_twenty_addresses_the_first_eight_are_tried() {
    namespace::within(|| {
        let dns = Server::start();
        let address = |number: usize| format!("127.0.1.{number}");
        let addresses: Vec<String> = (1..=20).map(address).collect();
        dns.addresses("many.test", &addresses.iter().map(String::as_str).collect::<Vec<_>>());
        let dir = RunDir::new();
        let port = {
            let last_tried = Accepting::on("127.0.1.8:0").expect("all of 127.0.0.0/8 is on loopback");
            let port = last_tried.address.port();
            let once = dir.run(&format!("once web=many.test:{port}"));
            assert_eq!(once.outcome(), "exit 0");
            assert_eq!(once.check().result, "connected to 127.0.1.8");
            assert_eq!(tcp_counter("AttemptFails"), 7);
            port
        };
        let connects = tcp_counter("ActiveOpens");
        let _not_tried = Accepting::on(&format!("127.0.1.9:{port}")).expect("all of 127.0.0.0/8 is on loopback");
        let once = dir.run(&format!("once web=many.test:{port}"));
        assert_eq!(once.outcome(), "exit 2");
        assert_eq!(once.check().result, "connect failed: refused (127.0.1.1)");
        assert_eq!(tcp_counter("ActiveOpens") - connects, 8);
    });
}

#[test]
fn a_name_is_looked_up_anew_for_every_probe() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("moving.test", &["127.0.1.1"]);
        let before = Accepting::on("127.0.1.1:0").expect("all of 127.0.0.0/8 is on loopback");
        let port = before.address.port();
        let after = Accepting::on(&format!("127.0.1.2:{port}")).expect("all of 127.0.0.0/8 is on loopback");
        let dir = RunDir::new();
        let run = dir.start(&format!("-q -n 10 --interval 200ms web=moving.test:{port}"));
        wait_until("the name is used", || before.accepted().len() >= 3);
        dns.addresses("moving.test", &["127.0.1.2"]);

        assert_eq!(run.wait().outcome(), "exit 0");
        assert_eq!(dir.counted("web"), "10 | 0 | 10 | 0 | 0 | 0 | 10");
        assert_eq!(dns.asked_inet("moving.test"), 10, "one question a probe");
        assert_eq!(before.total() + after.total(), 10);
        assert!(after.total() >= 5, "the new address is used at once");
    });
}

#[test]
fn a_dead_resolver_fails_the_names_at_every_tick_and_disturbs_no_literal() {
    namespace::within(|| {
        let dns = Server::start();
        let web = Accepting::new();
        let names = (1..=8).map(|number| format!("dead-{number}")).collect::<Vec<_>>();
        for name in &names {
            dns.answer(&format!("{name}.test"), Answer::Silence);
        }
        let dead: Vec<String> = names.iter().map(|name| format!("{name}={name}.test:9")).collect();
        let dir = RunDir::new();
        let ended = dir.run(&format!("-q -n 4 --interval 2s --timeout 5s {} web={}", dead.join(" "), web.address));
        assert_eq!(ended.outcome(), "exit 0");
        for name in &names {
            assert_eq!(dir.counted(name), "0 | 0 | 0 | 0 | 4 | 0 | 4", "{name}");
        }
        assert_eq!(dir.counted("web"), "4 | 0 | 4 | 0 | 0 | 0 | 4");
        // The fourth tick comes after 6 s and fails 5 s later.
        assert!((11_000..12_000).contains(&ended.took.as_millis()), "{:?}", ended.took);
    });
}

#[test]
fn a_resolver_that_comes_back_is_used_at_the_next_tick() {
    namespace::within(|| {
        let dns = Server::start();
        dns.answer("web.test", Answer::Silence);
        let web = Accepting::new();
        let dir = RunDir::new();
        let port = web.address.port();
        let run = dir.start(&format!("-q -n 12 --interval 200ms --slow 500ms --timeout 1s web=web.test:{port}"));
        wait_until("the name is asked for", || dns.asked_inet("web.test") >= 3);
        dns.addresses("web.test", &["127.0.0.1"]);
        assert_eq!(run.wait().outcome(), "exit 0");

        let rows = dir.rows();
        let column = |number: usize| rows.iter().map(|row| row.numbers[number]).sum::<u64>();
        assert_eq!(column(6), 12, "{rows:?}");
        // The lookups before the change were never answered, all later ones were.
        assert!((3..=4).contains(&column(4)) && column(0) + column(4) == 12, "{rows:?}");
    });
}

#[test]
fn a_resolver_file_that_moves_out_of_the_sandbox_is_said_and_blamed_on_nobody() {
    namespace::within(|| {
        let dns = Server::start();
        let web = Accepting::new();
        dns.addresses("web.test", &["127.0.0.1"]);
        let dir = RunDir::new();
        // A directory of /etc of our own, and one that no sandbox includes.
        let (etc, far) = (Disk::mounted(Path::new("/etc"), "64k"), Disk::mounted(Path::new("/mnt"), "64k"));
        let write =
            |disk: &Disk, name: &str, text: &str| fs::write(disk.path().join(name), text).expect("there is room");
        write(&etc, "hosts", "127.0.0.1 localhost\n");
        write(&etc, "nsswitch.conf", "hosts: files dns\n");
        write(&etc, "resolv.conf", "nameserver 127.0.0.1\n");
        write(&far, "resolv.conf", "nameserver 127.0.0.1\n");
        if fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|list| !list.contains("landlock")) {
            return namespace::skip("lookup::a_resolver_file_that_moves", "this kernel has no Landlock");
        }

        let run = dir.start(&format!("-q --interval 50ms --report 1h web=web.test:{}", web.address.port()));
        wait_until("it probes", || web.accepted().len() >= 3);
        fs::remove_file("/etc/resolv.conf").expect("it is ours");
        std::os::unix::fs::symlink("/mnt/resolv.conf", "/etc/resolv.conf").expect("there is room");
        let said = "tcpmon: resolver: /etc/resolv.conf leads to /mnt/resolv.conf, which this run may not read; names are skipped until that changes, or the run is started anew";
        wait_until("it says so", || run.stderr().contains(said));
        let accepted = web.accepted().len();
        clock::let_pass(Duration::from_millis(300));
        assert_eq!(web.accepted().len(), accepted, "nothing is looked up");
        // A file that can be read again needs no restart.
        fs::remove_file("/etc/resolv.conf").expect("it is ours");
        write(&etc, "resolv.conf", "nameserver 127.0.0.1\n");
        wait_until("it probes again", || web.accepted().len() > accepted + 2);
        let ended = run.end();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let row = &dir.rows()[0];
        assert_eq!((row.numbers[4], row.numbers[5]), (0, 0), "nobody is blamed: {row:?}");
        assert_eq!(ended.stderr.matches(said).count(), 1, "said once: {}", ended.stderr);

        let once = dir.run(&format!("once web=web.test:{}", web.address.port()));
        assert_eq!(once.outcome(), "exit 0");
    });
}

#[test]
fn once_says_what_each_family_alone_gives_when_the_lookup_of_both_failed() {
    namespace::within(|| {
        let dns = Server::start();
        let loopback = "127.0.0.1".parse().expect("an address");
        dns.answer("half.test", Answer::InetAlone(vec![loopback]));
        let dir = RunDir::new();
        let words = "half=half.test:9 again=half.test:10 none=none.test:9";
        let once = dir.run(&format!("once --slow 500ms --timeout 1s {words}"));
        assert_eq!(once.code(), Some(2), "{once:?}");
        let results: Vec<String> = once.checks().into_iter().map(|check| check.result).collect();
        assert_eq!(results, ["lookup failed: timed out", "lookup failed: timed out", "lookup failed: name not found"]);
        let lines: Vec<&str> = once.stderr.lines().collect();
        let [half, none] = lines[..] else { panic!("a line for each name: {lines:?}") };
        let time = half
            .strip_prefix("tcpmon: half.test: IPv4 alone answers in ")
            .and_then(|rest| rest.strip_suffix(" ms, write inet; IPv6 alone: timed out"));
        assert!(time.and_then(|time| time.parse::<f64>().ok()).is_some_and(|ms| ms < 1000.0), "{half}");
        assert_eq!(none, "tcpmon: none.test: IPv4 alone: name not found; IPv6 alone: name not found");
        // With fewer helpers than lookups each has its turn.
        let few = dir.run(&format!("once --helpers 1 --slow 500ms --timeout 1s {words}"));
        assert_eq!(few.stderr.lines().filter(|line| line.contains(" alone: ")).count(), 2, "{few:?}");
        assert!(!few.stderr.contains("skipped"), "{few:?}");
        // Only for a name that asks for both, and not where nothing is printed.
        dir.write("inet.conf", "timeout 1s\nslow 500ms\ntarget none none.test 9 inet\ntarget half half.test 9 inet6\n");
        assert_eq!(dir.run("once -c inet.conf").outcome(), "exit 2");
        assert_eq!(dir.run(&format!("once -q --slow 500ms --timeout 1s {words}")).outcome(), "exit 2");
    });
}
