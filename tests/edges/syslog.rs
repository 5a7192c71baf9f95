//! Events in the system log: as the real ones take them, and without waiting for one that does not.

use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::clock::{self, wait_until};
use crate::lines::{events, have, masked};
use crate::listener::{Accepting, Closed};
use crate::namespace::{self, Disk, skip};
use crate::running::{RunDir, Running};

/// A /dev of our own, which has nothing but what a start of a process needs: a file instead of the null device.
fn own_dev() -> Disk {
    let dev = Disk::mounted(Path::new("/dev"), "1m");
    fs::write("/dev/null", "").expect("our own directory");
    dev
}

/// A process of a system log, which is ended with the test.
struct Logger(Child);

impl Logger {
    /// Starts this command and waits until it listens.
    fn start(mut command: Command) -> Option<Self> {
        use std::os::unix::process::CommandExt;
        let _ = fs::remove_file("/dev/log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: prctl is one system call, which the child of a process with threads may make.
        unsafe { command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)) };
        let logger = Self(command.spawn().ok()?);
        wait_until("it listens", || UnixDatagram::unbound().is_ok_and(|socket| socket.connect("/dev/log").is_ok()));
        Some(logger)
    }

    /// busybox syslogd, which writes to this file of a directory.
    fn busybox(dir: &RunDir) -> Option<Self> {
        let mut command = Command::new("busybox");
        command.args(["syslogd", "-n", "-O"]).arg(dir.path().join("messages"));
        Self::start(command)
    }

    /// rsyslogd, which writes priority, tag and message to this file of a directory.
    fn rsyslog(dir: &RunDir) -> Option<Self> {
        let here = dir.path().display();
        dir.write(
            "rsyslog.conf",
            &format!(
                "global(workDirectory=\"{here}\")\n\
                 module(load=\"imuxsock\" SysSock.Name=\"/dev/log\" SysSock.RateLimit.Interval=\"0\")\n\
                 template(name=\"ours\" type=\"string\" string=\"%pri-text% %syslogtag%%msg%\\n\")\n\
                 action(type=\"omfile\" file=\"{here}/messages\" template=\"ours\")\n"
            ),
        );
        // Where Debian has it, which is not in every PATH.
        let mut command =
            Command::new(if Path::new("/usr/sbin/rsyslogd").exists() { "/usr/sbin/rsyslogd" } else { "rsyslogd" });
        command.arg("-n").arg("-f").arg(dir.path().join("rsyslog.conf")).arg("-i").arg(dir.path().join("rsyslog.pid"));
        Self::start(command)
    }

    /// Ends it as a service manager does.
    fn end(mut self) {
        signal::kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM).expect("it runs");
        wait_until("the system log has ended", || self.0.try_wait().expect("it is our child").is_some());
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        // Both fail after `end`, when there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the file has of this run: from the priority on, without what the log itself writes before it.
fn messages(dir: &RunDir, run: Pid) -> Vec<String> {
    let text = fs::read_to_string(dir.path().join("messages")).unwrap_or_default();
    let ours = text.lines().filter(|line| line.contains(&format!(" tcpmon[{run}]: ")));
    ours.map(|line| line[line.find("daemon.").unwrap_or_else(|| panic!("no facility: {line}"))..].to_string()).collect()
}

fn configure(dir: &RunDir, gone: &Closed, settings: &str) {
    let port = gone.address.port();
    dir.write(
        "conf",
        &format!("interval 100ms\nreport 1h\nevents on\nsyslog on\n{settings}target gone 127.0.0.1 {port}\n"),
    );
}

fn reload(run: &Running, times: usize) {
    run.signal(Signal::SIGHUP);
    wait_until("it has reloaded", || run.stderr().matches("re-read").count() == times);
}

/// The events of the log of events as the system log has them: `daemon.notice tcpmon[1]: start | - | - | ...`.
fn expected(dir: &RunDir, run: Pid, warning: &str) -> Vec<String> {
    let priority = |kind: &str| if matches!(kind, "down" | "log") { warning } else { "daemon.notice" };
    let events = events(dir);
    let events = events.iter().map(|line| line.split_once(" | ").expect("an event has fields").1);
    events
        .map(|line| format!("{} tcpmon[{run}]: {line}", priority(line.split(' ').next().unwrap_or_default())))
        .collect()
}

/// Follows a run with this system log, which is restarted meanwhile.
fn a_system_log_has_all_events(start: fn(&RunDir) -> Option<Logger>, warning: &str) -> bool {
    let _dev = own_dev();
    let gone = Closed::new();
    let dir = RunDir::new();
    configure(&dir, &gone, "");
    let Some(logger) = start(&dir) else { return false };
    let run = dir.start("run -q -c conf");
    let pid = run.pid();
    let have = |text: &str| wait_until(text, || have(&messages(&dir, pid), text));
    have("down | gone");
    logger.end();
    let logger = start(&dir).expect("it was there before");
    reload(&run, 1);
    have("reload | ");
    // Back, so that the last severity is there, too.
    let address = gone.address.to_string();
    drop(gone);
    let back = Accepting::on(&address).expect("nobody has taken its port");
    have("up | gone");
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("tcpmon: syslog: "), "nothing was lost: {ended:?}");
    have("stop | ");
    drop((logger, back));
    assert_eq!(messages(&dir, pid), expected(&dir, pid, warning));
    assert_eq!(events(&dir).len(), 5, "{:?}", events(&dir));
    true
}

#[test]
fn busybox_syslogd_has_all_events_also_after_it_was_restarted() {
    namespace::within(|| {
        if !a_system_log_has_all_events(Logger::busybox, "daemon.warn") {
            skip("busybox_syslogd_has_all_events", "there is no busybox");
        }
    });
}

#[test]
fn rsyslogd_has_all_events_also_after_it_was_restarted() {
    namespace::within(|| {
        if !a_system_log_has_all_events(Logger::rsyslog, "daemon.warning") {
            skip("rsyslogd_has_all_events", "there is no rsyslogd");
        }
    });
}

/// The datagrams that wait in a socket.
fn received(log: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 2048];
    let next = || log.recv(&mut bytes).ok().map(|length| String::from_utf8_lossy(&bytes[..length]).into_owned());
    std::iter::from_fn(next).collect()
}

/// Opens the system log as a socket that nobody reads but the test.
fn own_log() -> UnixDatagram {
    let _ = fs::remove_file("/dev/log");
    let log = UnixDatagram::bind("/dev/log").expect("our own directory");
    log.set_nonblocking(true).expect("a socket");
    log
}

/// journald and OpenWrt's logd take a datagram without a time, which they have of their own (`syslog_parse_identifier` and
/// `syslog_skip_timestamp` in journald-syslog.c): `<28>tcpmon[1]: down | ...`. 28 is daemon.warning, 29 daemon.notice.
#[test]
fn an_event_is_a_datagram_of_priority_tag_and_line() {
    namespace::within(|| {
        let _dev = own_dev();
        let log = own_log();
        let gone = Closed::new();
        let dir = RunDir::new();
        configure(&dir, &gone, "");
        let run = dir.start("run -q -c conf");
        let pid = run.pid();
        wait_until("it is down", || have(&events(&dir), "down | gone"));
        assert_eq!(run.end().code(), Some(0));
        let priority = |line: &str| if line.starts_with("down ") { 28 } else { 29 };
        let events = events(&dir);
        let lines = events.iter().map(|line| line.split_once(" | ").expect("an event has fields").1);
        let expected: Vec<_> = lines.map(|line| format!("<{}>tcpmon[{pid}]: {line}", priority(line))).collect();
        assert_eq!((received(&log), expected.len()), (expected, 3));
    });
}

/// Forty targets that go down in one tick are more than the queue of a socket has room for (`max_dgram_qlen`, 10).
const MANY: usize = 40;

#[test]
fn a_system_log_that_does_not_read_holds_up_nothing_and_what_it_missed_is_said() {
    namespace::within(|| {
        let _dev = own_dev();
        fs::write("/proc/sys/net/unix/max_dgram_qlen", "10").expect("a namespace has its own");
        let log = own_log();
        let (web, gone) = (Accepting::new(), Closed::new());
        let dir = RunDir::new();
        let port = gone.address.port();
        let targets: String =
            (1..=MANY).map(|number| format!("target t{number} 127.0.0.1 {port}\n")).collect::<Vec<_>>().concat();
        configure(&dir, &gone, &format!("target web 127.0.0.1 {}\n{targets}", web.address.port()));
        let run = dir.start("run -q -c conf");
        wait_until("it is said", || run.stderr().contains("takes no events"));
        let before = web.accepted().len();
        clock::let_pass(Duration::from_secs(2));
        let made = web.accepted().len() - before;
        assert!((18..=22).contains(&made), "it goes on: {made} probes");
        let mut got = received(&log);
        assert!((10..=12).contains(&got.len()), "{got:?}");
        reload(&run, 1);
        wait_until("it is said", || run.stderr().contains("again"));
        got.extend(received(&log));
        let ended = run.end();
        got.extend(received(&log));
        let lost = 1 + MANY + 1 + 2 - got.len();
        let said: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("syslog")).collect();
        assert_eq!(
            said,
            [
                "tcpmon: syslog: takes no events, they are counted until it does",
                &format!("tcpmon: syslog: takes events again, {lost} events did not get there"),
            ]
        );
        // The log of events has them all.
        assert_eq!(events(&dir).len(), got.len() + lost);
        let skipped = dir.run("status --json -c conf").json()["targets"][0]["skipped"].as_u64();
        assert_eq!(skipped, Some(0));
    });
}

#[test]
fn a_system_log_that_is_missing_at_the_start_is_said_once_and_has_the_events_from_when_it_comes() {
    namespace::within(|| {
        let _dev = own_dev();
        let gone = Closed::new();
        let dir = RunDir::new();
        configure(&dir, &gone, "");
        let run = dir.start("run -q -c conf");
        wait_until("it is down", || have(&events(&dir), "down | gone"));
        let log = own_log();
        reload(&run, 1);
        wait_until("it is said", || run.stderr().contains("again"));
        let ended = run.end();
        let got: Vec<_> =
            received(&log).iter().map(|line| line.split(": ").nth(1).unwrap_or_default().to_string()).collect();
        assert_eq!(got, ["reload | - | - | 0 new, 0 removed, 1 kept", "stop | - | - | 1 target, 1 down"]);
        let said: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("syslog")).collect();
        assert_eq!(
            said,
            [
                "tcpmon: syslog: takes no events, they are counted until it does",
                "tcpmon: syslog: takes events again, 2 events did not get there",
            ]
        );
    });
}

#[test]
fn a_system_log_that_is_a_stream_gets_each_event_with_a_nul_and_never_half_of_one() {
    namespace::within(|| {
        let _dev = own_dev();
        let log = UnixListener::bind("/dev/log").expect("our own directory");
        let gone = Closed::new();
        let dir = RunDir::new();
        let port = gone.address.port();
        // More bytes than the buffer of a socket has room for.
        let targets: String =
            (1..=900).map(|number| format!("target t{number} 127.0.0.1 {port}\n")).collect::<Vec<_>>().concat();
        configure(&dir, &gone, &format!("timeout 500ms\nslow 200ms\n{targets}"));
        let run = dir.start("run -q -c conf --interval 1s");
        let pid = run.pid();
        let (mut stream, _) = log.accept().expect("it is ours");
        wait_until("it is said", || run.stderr().contains("takes no events"));
        wait_until("all are down", || events(&dir).len() == 902);
        stream.set_nonblocking(true).expect("a socket");
        let mut read = |bytes: &mut Vec<u8>| {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                bytes.extend_from_slice(&piece[..length]);
            }
        };
        let mut bytes = Vec::new();
        read(&mut bytes);
        reload(&run, 1);
        wait_until("it is said", || run.stderr().contains("again"));
        let ended = run.end();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        read(&mut bytes);
        // A connection with half a line was closed, and there is another one.
        log.set_nonblocking(true).expect("a socket");
        while let Ok((mut more, _)) = log.accept() {
            if let Some(end) = bytes.iter().rposition(|byte| *byte == 0) {
                bytes.truncate(end + 1);
            }
            more.read_to_end(&mut bytes).expect("the run has ended");
        }
        let text = String::from_utf8(bytes).expect("whole lines");
        let got: Vec<&str> = text.split_terminator('\0').collect();
        let all: Vec<String> =
            events(&dir).iter().map(|line| line.split_once(" | ").expect("fields").1.to_string()).collect();
        let mut rest = all.iter();
        for message in &got {
            let (tag, line) = message.split_once(": ").expect("a tag");
            assert_eq!(tag.split_once('>').map(|(_, tag)| tag), Some(format!("tcpmon[{pid}]").as_str()), "{message}");
            assert!(rest.any(|event| event == line), "{message} is a whole event, in its order");
        }
        let lost = all.len() - got.len();
        let said = format!("tcpmon: syslog: takes events again, {lost} events did not get there");
        assert!(ended.stderr.lines().any(|line| line == said), "{said}: {}", ended.stderr);
        assert!(masked(&events(&dir)).len() == 904 && got.len() > 50, "{}", got.len());
    });
}

#[test]
fn without_a_log_of_events_the_system_log_has_them_alone() {
    namespace::within(|| {
        let _dev = own_dev();
        let log = own_log();
        let gone = Closed::new();
        let dir = RunDir::new();
        let port = gone.address.port();
        dir.write("conf", &format!("interval 100ms\nreport 1h\nsyslog on\ntarget gone 127.0.0.1 {port}\n"));
        let run = dir.start("run -q -c conf");
        let mut got = Vec::new();
        wait_until("it is down", || {
            got.extend(received(&log));
            got.len() >= 2
        });
        assert_eq!(run.end().code(), Some(0));
        got.extend(received(&log));
        let kinds: Vec<_> = got.iter().filter_map(|line| line.split(": ").nth(1)?.split(' ').next()).collect();
        assert_eq!(kinds, ["start", "down", "stop"], "{got:?}");
        assert!(events(&dir).is_empty());
    });
}
