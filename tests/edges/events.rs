//! The log of events: each change has its line, in its order and in the file of its date, whatever happens to the run or to
//! the disk.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tcpmon::model::log_names::Kind;

use crate::clock::{self, wait_until};
use crate::dns::Server;
use crate::keep::file;
use crate::lines::{events, files, found, have, lines_in, masked, seconds, told};
use crate::listener::{Accepting, Closed};
use crate::namespace::{self, Disk};
use crate::running::{RunDir, Running, rows_in, total};

const START: &str = concat!("tcpmon ", env!("CARGO_PKG_VERSION"));

/// Where services come and go. In a namespace of its own a test has all ports for itself.
const ADDRESS: &str = "127.0.0.1:4711";

fn listen() -> Accepting {
    Accepting::on(ADDRESS).expect("the port is free")
}

/// The exit status of `status`.
fn status(dir: &RunDir) -> i32 {
    dir.run("status -c conf").code().expect("it was not killed")
}

/// Waits until an event has this text.
fn wait_for(dir: &RunDir, text: &str) {
    wait_until(&format!("there is an event with {text}"), || have(&events(dir), text));
}

/// What the samples say of the outage of a target: the first tick that failed and the first good one behind it, in
/// milliseconds, and how many have failed.
fn outage(dir: &RunDir, service: &str) -> (i64, i64, usize) {
    let lines = lines_in(dir.path(), Kind::Samples);
    let mut ticks: Vec<(i64, bool)> = Vec::new();
    for line in lines.iter().filter(|line| line.split(',').nth(1) == Some(service)) {
        let (second, millis) = (format!("{}{}", &line[..19], &line[23..29]), &line[20..23]);
        let tick = seconds(&second).expect("a moment") * 1000 + millis.parse::<i64>().expect("a number");
        ticks.push((tick, line.contains(",connected,")));
    }
    let from = ticks.iter().position(|(_, is_good)| !is_good).expect("one has failed");
    let failed = ticks[from..].iter().take_while(|(_, is_good)| !is_good).count();
    assert!(ticks[from + failed..].iter().all(|(_, is_good)| *is_good), "one outage: {lines:?}");
    (ticks[from].0, ticks[from + failed].0, failed)
}

#[test]
fn a_service_that_goes_away_and_comes_back_has_two_lines_as_the_hysteresis_of_each_target_says() {
    namespace::within(|| {
        let web = listen();
        let dir = RunDir::new();
        dir.write(
            "conf",
            "interval 100ms\nreport 1h\nevents on\nsamples on\ntarget web 127.0.0.1 4711\n\
             target patient 127.0.0.1 4711 down_after 25 up_after 20\n\
             target nervous 127.0.0.1 4711 down_after 1 up_after 1\n",
        );
        let run = dir.start("run -q -c conf");
        wait_until("all are up", || status(&dir) == 0);
        drop(web);
        wait_for(&dir, "down | web");
        let state = |number: usize| {
            let status = dir.run("status --json -c conf").json();
            status["targets"][number]["state"].as_str().expect("a state").to_string()
        };
        assert_eq!([0, 1, 2].map(state), ["down", "up", "down"]);
        assert_eq!(status(&dir), 2);
        wait_for(&dir, "down | patient");
        let web = listen();
        wait_for(&dir, "up | web");
        assert_eq!([0, 1, 2].map(state), ["up", "down", "up"]);
        assert_eq!(status(&dir), 2);
        wait_for(&dir, "up | patient");
        assert_eq!(status(&dir), 0);
        assert_eq!(run.end().code(), Some(0));
        drop(web);

        let lines = events(&dir);
        let down = |service, row| {
            format!("down | {service} | {ADDRESS} | connect refused by 127.0.0.1, since TIME, {row} failed")
        };
        let up = |service| {
            format!("up | {service} | {ADDRESS} | connected to 127.0.0.1 in N ms, down for N s since TIME, N failed")
        };
        let expected = [
            format!("start | - | - | {START}, 3 targets"),
            down("nervous", 1),
            down("web", 3),
            down("patient", 25),
            up("nervous"),
            up("web"),
            up("patient"),
            "stop | - | - | 3 targets, 0 down".to_string(),
        ];
        assert_eq!(masked(&lines), expected);
        assert!(lines.is_sorted_by_key(|line| found(line)), "{lines:?}");
        for line in lines.iter().filter(|line| line.contains("up | ")) {
            let (from, until, failed) = outage(&dir, line.split(" | ").nth(2).expect("a service"));
            let since = from / 1000;
            let down_for = format!(" ms, down for {} s since ", (until - from) / 1000);
            assert!(line.contains(&down_for) && line.ends_with(&format!(", {failed} failed")), "{line}: {down_for}");
            let beginnings = lines.iter().filter(|other| other.split(" | ").nth(2) == line.split(" | ").nth(2));
            assert!(beginnings.clone().count() == 2 && beginnings.map(|line| told(line)).all(|told| told == [since]));
        }
        let latest = fs::read_link(dir.path().join("tcp_events_latest.log")).expect("a link");
        assert_eq!(
            Some(latest.as_path()),
            files(dir.path(), Kind::Events).pop().expect("a file").file_name().map(AsRef::as_ref)
        );
    });
}

#[test]
fn a_start_says_how_the_last_run_has_ended_and_outages_go_on_over_it() {
    namespace::within(|| {
        let gone = Closed::new();
        let dir = RunDir::new();
        let conf = |more: &str| {
            let port = gone.address.port();
            dir.write("conf", &format!("interval 100ms\nreport 1h\nevents on\ntarget gone 127.0.0.1 {port}\n{more}"));
        };
        conf("target old 127.0.0.1 4711\n");
        let web = listen();
        let run = dir.start("run -q -c conf");
        wait_for(&dir, "down | gone");
        assert_eq!(run.end().code(), Some(0));
        let run = dir.start("run -q -c conf");
        wait_until("it probes", || web.accepted().len() > 10);
        conf("target new 127.0.0.1 4711\n");
        run.signal(Signal::SIGHUP);
        wait_for(&dir, "reload | ");
        run.signal(Signal::SIGKILL);
        assert!(run.wait().outcome().starts_with("signal 9"));
        // It comes back while nobody watches.
        let address = gone.address;
        drop(gone);
        let back = Accepting::on(&address.to_string()).expect("the port is free");
        let run = dir.start("run -q -c conf");
        wait_for(&dir, "up | gone");
        assert_eq!(run.end().code(), Some(0));
        drop(back);

        let lines = events(&dir);
        assert_eq!(
            masked(&lines),
            [
                &format!("start | - | - | {START}, 2 targets"),
                &format!("down | gone | {address} | connect refused by 127.0.0.1, since TIME, 3 failed"),
                "stop | - | - | 2 targets, 1 down",
                "stopped | - | - | nobody watched from TIME to TIME",
                &format!("start | - | - | {START}, 2 targets"),
                "reload | - | - | 1 new, 1 removed, 1 kept",
                "killed | - | - | nobody watched from TIME to TIME",
                &format!("start | - | - | {START}, 2 targets"),
                &format!("up | gone | {address} | connected to 127.0.0.1 in N ms, down for N s since TIME, N failed"),
                "stop | - | - | 2 targets, 0 down",
            ]
        );
        assert!(lines.is_sorted_by_key(|line| found(line)), "{lines:?}");
        assert_eq!(told(&lines[1]), told(&lines[8]), "it was down all the time: {lines:?}");
        // From when the run was last alive, which it notes at least at each tick, to the next start.
        for (before, span) in [(2, 3), (5, 6)] {
            let [from, to] = told(&lines[span])[..] else { panic!("two moments: {}", lines[span]) };
            let (last, start) = (found(&lines[before]), found(&lines[span + 1]));
            assert!((last - 1..=last + 1).contains(&from) && (start - 1..=start).contains(&to), "{lines:?}");
        }
    });
}

/// Forty targets: their lines do not fit into what is left of a file's last block.
const MANY: usize = 40;

fn many_targets() -> String {
    (1..=MANY).map(|number| format!("target t{number:02} 127.0.0.1 4711\n")).collect::<Vec<_>>().concat()
}

fn fill(disk: &Disk) {
    let mut file = fs::File::create(disk.path().join("ballast")).expect("a file needs no block yet");
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[test]
fn what_happens_while_the_disk_is_full_is_written_in_its_order_when_there_is_room_again() {
    namespace::within(|| {
        let web = listen();
        let dir = RunDir::new();
        let directory = dir.path().join("disk");
        fs::create_dir(&directory).expect("our own directory");
        let disk = Disk::mounted(&directory, "1m");
        let settings = "interval 250ms\nreport 1s\nlog_dir disk\nledger ./ledger\nevents on\n";
        dir.write("conf", &format!("{settings}{}", many_targets()));
        let run = dir.start("run -q -c conf");
        let said = |text: &str| wait_until(text, || run.stderr().contains(text));
        wait_until("a report is there", || !rows_in(&directory).is_empty());
        fill(&disk);
        said("_stats_");
        drop(web);
        said("_events_");
        assert_eq!(lines_in(&directory, Kind::Events).len(), 2, "what fits is written");
        let web = listen();
        // All are up again, which finds no room, too.
        wait_until("all are up", || status(&dir) == 0);
        fs::remove_file(disk.path().join("ballast")).expect("it is there");
        wait_until("all is written", || have(&lines_in(&directory, Kind::Events), "_events_2"));
        wait_until("it is said", || run.stderr().matches("tcpmon: log: ").count() == 4);
        web.wait_for_a_round(MANY);
        let ended = run.end();
        assert_eq!(ended.code(), Some(0), "{ended:?}");

        let lines = lines_in(&directory, Kind::Events);
        let day = lines[0][..10].replace('-', "");
        let full = "cannot be written: No space left on device";
        let again = "can be written again, nothing lost";
        // Probes of one tick end in any order.
        let of_any = |line: &str| match line.split(" | ").nth(1) {
            Some(service) if service != "-" => line.replace(service, "t*"),
            _ => line.to_string(),
        };
        let mut groups: Vec<String> = masked(&lines).iter().map(|line| of_any(line)).collect();
        groups.dedup();
        // Whether the counts or the events are tried first again is left to the clock.
        groups[5..7].sort();
        assert_eq!(
            groups,
            [
                format!("start | - | - | {START}, {MANY} targets"),
                format!("log | - | - | tcp_stats_{day}.log {full}"),
                "down | t* | 127.0.0.1:4711 | connect refused by 127.0.0.1, since TIME, 3 failed".to_string(),
                format!("log | - | - | tcp_events_{day}.log {full}"),
                "up | t* | 127.0.0.1:4711 | connected to 127.0.0.1 in N ms, down for N s since TIME, N failed"
                    .to_string(),
                format!("log | - | - | tcp_events_{day}.log {again}"),
                format!("log | - | - | tcp_stats_{day}.log {again}"),
                format!("stop | - | - | {MANY} targets, 0 down"),
            ]
        );
        for (number, kind) in (1..=MANY).flat_map(|number| [(number, "down"), (number, "up")]) {
            let of_it = format!(" | {kind} | t{number:02} | ");
            assert_eq!(lines.iter().filter(|line| line.contains(&of_it)).count(), 1, "{of_it}: {lines:?}");
        }
        assert!(lines.is_sorted_by_key(|line| found(line)), "{lines:?}");
        let rows = rows_in(&directory);
        assert_eq!(total(&rows, "t01"), total(&rows, "t40"));
        let said: Vec<&str> = ended
            .stderr
            .lines()
            .filter(|line| line.starts_with("tcpmon: log: "))
            .map(|line| line.rsplit(", ").next().expect("its end"))
            .collect();
        assert_eq!(
            (said.len(), said[1], said.contains(&"nothing is lost")),
            (4, "its lines are kept and written as soon as that can be done", true),
            "{ended:?}"
        );
    });
}

/// Plants a directory at the name of today's file of this kind, and at that of tomorrow: midnight may come.
fn plant(dir: &RunDir, kind: Kind) {
    [0, -1].iter().for_each(|days| fs::create_dir(dir.path().join(file(kind, *days))).expect("our own directory"));
}

fn unplant(dir: &RunDir, kind: Kind) {
    [0, -1, 1].iter().for_each(|days| drop(fs::remove_dir(dir.path().join(file(kind, *days)))));
}

#[test]
fn events_that_cannot_be_written_hold_up_no_reports_and_wait_for_the_next_run() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = format!("target web 127.0.0.1 {}\n", web.address.port());
    dir.write("conf", &format!("interval 100ms\nreport 1s\nevents on\n{target}"));
    plant(&dir, Kind::Events);
    let run = dir.start("run -q -c conf");
    wait_until("there are reports", || dir.rows().len() >= 3);
    web.wait_for_a_round(1);
    let ended = run.end();
    let name = file(Kind::Events, 0);
    let said = "cannot be opened (Is a directory), its lines are kept and written as soon as that can be done";
    // A machine under load skips ticks, which is said, too.
    let of_log: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with("tcpmon: probes: ")).collect();
    assert_eq!((ended.code(), of_log), (Some(0), vec![format!("tcpmon: log: {name} {said}").as_str()]));
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
    assert!(events(&dir).is_empty());
    unplant(&dir, Kind::Events);
    let run = dir.start("run -q -c conf");
    wait_for(&dir, "stopped | ");
    assert_eq!(run.end().code(), Some(0));
    let day = clock::wall()[..10].replace('-', "");
    let lines = events(&dir);
    assert_eq!(
        masked(&lines),
        [
            &format!("start | - | - | {START}, 1 target"),
            &format!("log | - | - | tcp_events_{day}.log cannot be written: Is a directory"),
            "stop | - | - | 1 target, 0 down",
            "stopped | - | - | nobody watched from TIME to TIME",
            &format!("start | - | - | {START}, 1 target"),
            "stop | - | - | 1 target, 0 down",
        ]
    );
}

#[test]
fn events_wait_at_most_a_minute_or_until_the_next_one_for_a_file_that_can_be_written_again() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let target = format!("target web 127.0.0.1 {}\n", web.address.port());
    dir.write("conf", &format!("interval 100ms\nreport 1h\nevents on\n{target}"));
    plant(&dir, Kind::Events);
    let run = dir.start("run -q -c conf");
    wait_until("it is said", || run.stderr().contains("its lines are kept"));
    unplant(&dir, Kind::Events);
    clock::let_pass(Duration::from_millis(500));
    assert!(events(&dir).is_empty(), "it is not tried at each turn");
    run.signal(Signal::SIGHUP);
    wait_for(&dir, "again");
    assert_eq!(run.end().code(), Some(0));
    let day = clock::wall()[..10].replace('-', "");
    assert_eq!(
        masked(&events(&dir)),
        [
            &format!("start | - | - | {START}, 1 target"),
            &format!("log | - | - | tcp_events_{day}.log cannot be written: Is a directory"),
            "reload | - | - | 0 new, 0 removed, 1 kept",
            &format!("log | - | - | tcp_events_{day}.log can be written again, nothing lost"),
            "stop | - | - | 1 target, 0 down",
        ]
    );
}

#[test]
fn a_name_that_moves_to_other_addresses_is_an_event_at_most_once_an_hour() {
    namespace::within(|| {
        let dns = Server::start();
        let web = Accepting::on("0.0.0.0:4711").expect("the port is free");
        let dir = RunDir::new();
        dir.write("conf", "interval 100ms\nreport 1h\nevents on\ntarget web web.test 4711 inet\n");
        dns.addresses("web.test", &["127.0.0.1", "127.0.0.2"]);
        let run = dir.start("run -q -c conf");
        let probes = |more: usize| {
            let before = dns.asked_inet("web.test");
            wait_until("it has asked again", || dns.asked_inet("web.test") >= before + more);
        };
        probes(3);
        // One of them stays: a service with several addresses turns them.
        for addresses in [["127.0.0.2", "127.0.0.3"], ["127.0.0.3", "127.0.0.4"]] {
            dns.addresses("web.test", &addresses);
            probes(3);
        }
        dns.addresses("web.test", &["127.0.0.5"]);
        probes(3);
        dns.addresses("web.test", &["127.0.0.6"]);
        probes(3);
        assert_eq!(run.end().code(), Some(0));
        drop(web);
        assert_eq!(
            masked(&events(&dir)),
            [
                &format!("start | - | - | {START}, 1 target"),
                "address | web | web.test:4711 | 127.0.0.3 127.0.0.4 -> 127.0.0.5",
                "stop | - | - | 1 target, 0 down",
            ]
        );
    });
}

/// The lengths of the writes to the log of events, by strace's trace: `write(14</dir/tcp_events_20251009.log>, "..., 71) = 71`.
fn writes(trace: &str) -> Vec<usize> {
    let lines = trace.lines().filter(|line| line.contains("tcp_events_2"));
    lines.map(|line| line.rsplit(" = ").next().and_then(|length| length.parse().ok()).expect("its length")).collect()
}

#[test]
fn a_thousand_targets_that_go_down_in_one_tick_are_one_write() {
    let gone = Closed::new();
    let dir = RunDir::new();
    let targets: String = (1..=1000)
        .map(|number| format!("target t{number} 127.0.0.1 {}\n", gone.address.port()))
        .collect::<Vec<_>>()
        .concat();
    dir.write("conf", &format!("interval 1s\ntimeout 500ms\nslow 200ms\nreport 1h\nevents on\n{targets}"));
    let mut strace = Command::new("strace");
    strace.args(["-y", "-o", "trace", "-e", "trace=write", env!("CARGO_BIN_EXE_tcpmon")]);
    strace.args(["run", "-q", "-c", "conf", "--for", "3s"]);
    let run: Running = dir.spawn(strace, Stdio::piped());
    assert_eq!(run.wait().code(), Some(0));
    let lines = events(&dir);
    let mut expected = vec![format!("start | - | - | {START}, 1000 targets")];
    expected.extend((1..=1000).map(|number| {
        format!("down | t{number} | {} | connect refused by 127.0.0.1, since TIME, 3 failed", gone.address)
    }));
    expected.push("stop | - | - | 1000 targets, 1000 down".to_string());
    let masked = masked(&lines);
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&masked), sorted(&expected));
    assert_eq!([&masked[0], &masked[1001]], [&expected[0], &expected[1001]]);
    let trace = fs::read_to_string(dir.path().join("trace")).expect("strace has written it");
    let length = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    assert_eq!(writes(&trace), [length(&lines[..1]), length(&lines[1..1001]), length(&lines[1001..])]);
}

#[test]
fn events_that_wait_move_along_when_a_reload_brings_more_targets_than_the_ledger_has_room_for() {
    let gone = Closed::new();
    let dir = RunDir::new();
    let conf = |count: usize| {
        let port = gone.address.port();
        let targets: String =
            (1..=count).map(|number| format!("target t{number} 127.0.0.1 {port}\n")).collect::<Vec<_>>().concat();
        dir.write("conf", &format!("interval 1s\ntimeout 500ms\nslow 200ms\nreport 1h\nevents on\n{targets}"));
    };
    conf(800);
    plant(&dir, Kind::Events);
    let run = dir.start("run -q -c conf");
    wait_until("all are down", || {
        let status = dir.run("status --json -c conf").stdout;
        status.matches("\"state\":\"down\"").count() == 800
    });
    conf(801);
    run.signal(Signal::SIGHUP);
    wait_until("it has reloaded", || run.stderr().contains("1 new"));
    unplant(&dir, Kind::Events);
    wait_for(&dir, "down | t801 ");
    assert_eq!(run.end().code(), Some(0));
    let masked = masked(&events(&dir));
    let down = masked.iter().filter(|line| line.starts_with("down | ")).count();
    assert_eq!((down, have(&masked, "reload | "), have(&masked, "dropped | ")), (801, true, false));
    assert_eq!(masked.len(), 801 + 5, "start, log, reload, log and stop: {masked:?}");
}
