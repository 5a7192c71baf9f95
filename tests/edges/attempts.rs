//! The attempts of a connect: their SYNs, their times, and how `once` shows them.

use std::fs;

use crate::clock::wait_until;
use crate::connect::SHORT;
use crate::dns::Server;
use crate::kernel::{tcp_counter, unanswered};
use crate::listener::{Accepting, Full};
use crate::namespace;
use crate::running::RunDir;

#[test]
fn the_round_trip_after_a_resent_syn_is_the_kernels_or_none() {
    namespace::within(|| {
        for timestamps in ["1", "0"] {
            fs::write("/proc/sys/net/ipv4/tcp_timestamps", timestamps).expect("it is this namespace's own");
            let full = Full::new();
            let dir = RunDir::new();
            let resent = tcp_counter("RetransSegs");
            let once = dir.start(&format!("once -j web={}", full.address));
            wait_until("the first SYN is lost", || unanswered(full.address) == 1);
            full.make_room();
            let once = once.wait();
            assert_eq!(once.outcome(), "exit 0");
            let target = &once.json()["targets"][0];
            let (attempt, resent) = (&target["attempts"][0], tcp_counter("RetransSegs") - resent);
            assert!(resent > 0);
            assert_eq!((&target["syns_resent"], &attempt["syns_resent"]), (&resent.into(), &resent.into()));
            assert!(attempt["ms"].as_f64().is_some_and(|ms| ms >= 1000.0), "{attempt}");
            // Without timestamps (RFC 7323) it is not known which of the SYNs was answered.
            let round_trip = attempt["round_trip_ms"].as_f64();
            assert_eq!(round_trip.map(|ms| ms < 500.0), (timestamps == "1").then_some(true), "{attempt}");
        }
    });
}

#[test]
fn the_syns_of_a_silent_address_are_as_many_as_the_kernel_has_sent() {
    namespace::within(|| {
        let full = Full::new();
        let dir = RunDir::new();
        let (opens, resent) = (tcp_counter("ActiveOpens"), tcp_counter("RetransSegs"));
        let once = dir.run(&format!("once --timeout 3500ms web={}", full.address));
        assert_eq!(once.outcome(), "exit 2");
        let (opens, resent) = (tcp_counter("ActiveOpens") - opens, tcp_counter("RetransSegs") - resent);
        assert!(opens == 1 && resent >= 2, "{opens} {resent}");
        let line = format!("    127.0.0.1 timed out, # ms, {} SYNs unanswered", opens + resent);
        assert_eq!(once.without_times().lines().last(), Some(line.as_str()));
        // Before the first resend there is one.
        let once = dir.run(&format!("once {SHORT} web={}", full.address));
        assert_eq!(once.without_times().lines().last(), Some("    127.0.0.1 timed out, # ms, 1 SYN unanswered"));
    });
}

#[test]
fn a_connect_that_the_kernel_gives_up_has_timed_out_with_the_syns_it_sent() {
    namespace::within(|| {
        // Linux then gives up after 1 + 2 s.
        fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1").expect("it is this namespace's own");
        let _ = fs::write("/proc/sys/net/ipv4/tcp_syn_linear_timeouts", "0");
        let full = Full::new();
        let dir = RunDir::new();
        let once = dir.run(&format!("once -j web={}", full.address));
        assert_eq!(once.outcome(), "exit 2");
        let target = &once.json()["targets"][0];
        assert_eq!((&target["reason"], &target["syns_resent"]), (&"timeout".into(), &1.into()), "{target}");
        assert!(target["connect_ms"].as_f64().is_some_and(|ms| (2900.0..4500.0).contains(&ms)), "{target}");
    });
}

#[test]
fn once_shows_every_attempt_to_a_person_and_to_a_program() {
    namespace::within(|| {
        let dns = Server::start();
        dns.addresses("three.test", &["127.0.1.2", "127.0.1.3", "127.0.1.4"]);
        let web = Accepting::on("127.0.1.4:0").expect("all of 127.0.0.0/8 is on loopback");
        let port = web.address.port();
        let full = Full::on(&format!("127.0.1.2:{port}"));
        let dir = RunDir::new();
        dir.write(
            "tcpmon.conf",
            &format!(
                "target web three.test {port}\ntarget shut 127.0.1.3 {port}\ntarget nobody nobody.test 80\n\
                 target gone 127.0.1.4 {port} source 203.0.113.9\ntarget silent 127.0.1.2 {port}\n"
            ),
        );
        let once = dir.run("once -c tcpmon.conf");
        assert_eq!(once.code(), Some(2), "{once:?}");
        let syns = "SYNs unanswered";
        let table = format!(
            "\
Service | Target{:blanks$} |    DNS ms | Connect ms | Result
web     | three.test:{port} | # | # | connected to 127.0.1.4
    127.0.1.2 timed out, # ms, 2 {syns}
    127.0.1.3 refused, # ms
    127.0.1.4 connected, # ms
shut    | 127.0.1.3:{port}  | # | # | connect failed: refused
    127.0.1.3 refused, # ms
nobody  | nobody.test:80{:rest$} | # |          - | lookup failed: name not found
gone    | 127.0.1.4:{port}  | # | # | connect failed: no such source address
    127.0.1.4 no such source address, # ms
silent  | 127.0.1.2:{port}  | # | # | connect failed: timed out
    127.0.1.2 timed out, # ms, SOME {syns}
",
            "",
            "",
            blanks = 5 + port.to_string().len(),
            rest = port.to_string().len() - 3,
        );
        // How many the last one has depends on the kernel.
        let shown = once.without_times();
        let (start, rest) = shown.rsplit_once("# ms, ").expect("the last line");
        let (number, _) = rest.split_once(' ').expect("a number of SYNs");
        assert!(start.ends_with("timed out, ") && number.parse::<u32>().is_ok_and(|number| number >= 3), "{shown}");
        assert_eq!(shown, table.replace("SOME", number));

        let once = dir.run("once --json -c tcpmon.conf");
        assert_eq!(once.code(), Some(2), "{once:?}");
        let attempt = |outcome: &str, reason: &str, address: &str, resent: &str, round_trip: &str| {
            format!(
                "{{\"address\":\"{address}\",\"outcome\":\"{outcome}\",\"reason\":{reason},\"ms\":#,\
                 \"round_trip_ms\":{round_trip},\"syns_resent\":{resent}}}"
            )
        };
        let target = |service: &str, host: &str, port: u16, times: [&str; 2], end: [&str; 4], attempts: &[String]| {
            let ([dns, connect], [outcome, reason, address, resent]) = (times, end);
            format!(
                "{{\"service\":\"{service}\",\"host\":\"{host}\",\"port\":{port},\"address\":{address},\
                 \"outcome\":\"{outcome}\",\"reason\":{reason},\"dns_ms\":{dns},\"connect_ms\":{connect},\
                 \"syns_resent\":{resent},\"attempts\":[{}]}}",
                attempts.join(",")
            )
        };
        let failed = "connect failed";
        let some = (number.parse::<u32>().expect("checked") - 1).to_string();
        let targets = [
            target(
                "web",
                "three.test",
                port,
                ["#", "#"],
                ["connected", "null", "\"127.0.1.4\"", "1"],
                &[
                    attempt(failed, "\"timeout\"", "127.0.1.2", "1", "null"),
                    attempt(failed, "\"refused\"", "127.0.1.3", "0", "null"),
                    attempt("connected", "null", "127.0.1.4", "0", "#"),
                ],
            ),
            target(
                "shut",
                "127.0.1.3",
                port,
                ["null", "#"],
                [failed, "\"refused\"", "\"127.0.1.3\"", "0"],
                &[attempt(failed, "\"refused\"", "127.0.1.3", "0", "null")],
            ),
            target(
                "nobody",
                "nobody.test",
                80,
                ["#", "null"],
                ["lookup failed", "\"name_not_found\"", "null", "null"],
                &[],
            ),
            target(
                "gone",
                "127.0.1.4",
                port,
                ["null", "#"],
                [failed, "\"no_source\"", "\"127.0.1.4\"", "0"],
                &[attempt(failed, "\"no_source\"", "127.0.1.4", "0", "null")],
            ),
            target(
                "silent",
                "127.0.1.2",
                port,
                ["null", "#"],
                [failed, "\"timeout\"", "\"127.0.1.2\"", &some],
                &[attempt(failed, "\"timeout\"", "127.0.1.2", &some, "null")],
            ),
        ];
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            once.without_times(),
            format!("{{\"version\":\"{version}\",\"targets\":[{}]}}\n", targets.join(","))
        );
        drop(full);
    });
}
