//! What a process has around it: descriptors, directory, memory, children; and boxes that lack some of it.

use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::clock::{self, wait_until};
use crate::dns::{Answer, Server};
use crate::kernel::{self, helpers};
use crate::listener::Accepting;
use crate::namespace::{self, Disk};
use crate::running::RunDir;

#[test]
fn what_a_library_prints_in_a_helper_reaches_no_socket() {
    namespace::within(|| {
        let dns = Server::start();
        dns.answer("dead.test", Answer::Silence);
        let dir = RunDir::new();
        let run = dir.start("-q -n 1 dead=dead.test:9");
        wait_until("the name is asked for", || dns.asked_inet("dead.test") == 1);
        let helper = helpers(run.pid()).remove(0);
        let open = kernel::descriptors(helper.pid);
        let standard = |number| open.iter().find(|(found, _)| *found == number).map(|(_, file)| file.as_str());
        assert_eq!([standard(1), standard(2)], [Some("/"), Some("/")], "{open:?}");
        assert!(open.iter().any(|(number, file)| *number > 2 && file.starts_with("socket:")), "{open:?}");
    });
}

#[test]
fn the_end_of_a_run_does_not_wait_for_a_helper_that_does_not_end() {
    namespace::within(|| {
        let dns = Server::start();
        dns.answer("dead.test", Answer::Silence);
        let dir = RunDir::new();
        // The kernel does as if the helper had been killed. Without that it ends when it gives the name up.
        let mut command = Command::new("strace");
        command.args(["-o", "trace", "-e", "trace=kill", "-e", "inject=kill:retval=0", env!("CARGO_BIN_EXE_tcpmon")]);
        command.args(["-q", "--timeout", "60s", "--interval", "60s", "dead=dead.test:9"]);
        let run = dir.spawn(command, Stdio::piped());
        wait_until("the name is asked for", || dns.asked_inet("dead.test") >= 1);
        let monitor = helpers(run.pid()).remove(0);
        let helper = helpers(monitor.pid).remove(0);
        let began = clock::now();
        signal::kill(monitor.pid, Signal::SIGTERM).expect("it runs");
        wait_until("it has ended", || !monitor.runs());
        let took = began.elapsed();
        // The helper ends with the monitor.
        wait_until("the helper has ended", || !helper.runs());
        let trace = fs::read_to_string(dir.path().join("trace")).unwrap_or_default();
        assert!(trace.contains("INJECTED"), "{trace}");
        assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
    });
}

#[test]
fn a_run_with_too_little_memory_says_so() {
    let dir = RunDir::new();
    let mut starved = 0;
    for mebibytes in 4..=40 {
        let mut command = Command::new("prlimit");
        command.args([&format!("--as={}", mebibytes << 20), env!("CARGO_BIN_EXE_tcpmon")]);
        command.args(["run", "-q", "-n", "1", "x=127.0.0.1:1"]);
        let ended = dir.spawn(command, Stdio::piped()).wait();
        let said = ended.stderr.contains("cannot be had, nothing is started");
        starved += usize::from(said);
        // Below that, the loader of a dynamic program says it (127).
        assert!(matches!(ended.code(), Some(0 | 127)) || said, "{mebibytes} MiB: {ended:?}");
    }
    assert!(starved > 0);
}

/// A directory that can be the root of a program, without devices. All in it is copied: nothing of this system may be
/// mounted where a test removes its directory.
fn bare_root(directory: &Path) {
    fs::create_dir(directory).expect("our own directory");
    let program = Path::new(env!("CARGO_BIN_EXE_tcpmon"));
    fs::copy(program, directory.join("tcpmon")).expect("our own directory");
    // What a dynamic program needs: `libc.so.6 => /lib/libc.so.6 (0x7f...)`. A static one has none.
    let listed = Command::new("ldd").arg(program).output().map(|listed| listed.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = directory.join(&library[1..]);
        fs::create_dir_all(copy.parent().expect("it has a directory")).expect("our own directory");
        fs::copy(library, copy).expect("our own directory");
    }
}

#[test]
fn a_root_without_devices_and_closed_standard_descriptors_stop_nothing() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        bare_root(&dir.path().join("root"));
        let run = |line: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec chroot root /tcpmon {line}")]);
            dir.spawn(shell, Stdio::piped()).wait().code()
        };
        assert_eq!(run(&format!("once web={} <&-", web.address)), Some(0));
        assert_eq!(run(&format!("once -q web={} <&- >&- 2>&-", web.address)), Some(0));
        let target = format!("--interval 50ms --log-dir /log web={}", web.address);
        assert_eq!(run(&format!("start {target} <&- >&- 2>&-")), Some(0));
        let before = web.total();
        wait_until("it probes", || web.total() >= before + 3);
        assert_eq!(run("stop --log-dir /log"), Some(0));
    });
}

#[test]
fn a_run_in_the_background_keeps_no_directory_busy() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let _background = dir.background();
    let target = format!("start --log-dir {} web={}", dir.path().display(), web.address);
    assert_eq!(dir.run(&target).outcome(), "exit 0");
    let pid = dir.run("status --json").json()["pid"].as_i64().expect("a pid");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs"), Path::new("/"));
}

#[test]
fn a_system_log_that_is_a_stream_gets_whole_messages() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        // A /dev of our own, with the one device that starting a process needs.
        dir.write("null", "");
        let null = dir.path().join("null");
        let mounted = |from: &Path, to: &Path| {
            let status = Command::new("mount").arg("--bind").args([from, to]).status();
            assert!(status.is_ok_and(|status| status.success()));
        };
        mounted(Path::new("/dev/null"), &null);
        let device = Disk::mounted(Path::new("/dev"), "1m");
        fs::write("/dev/null", "").expect("our own directory");
        mounted(&null, Path::new("/dev/null"));
        let listener = UnixListener::bind("/dev/log").expect("our own directory");
        let here = dir.path().display();
        dir.write("conf", &format!("interval 50ms\nlog_dir {here}\ntarget web 127.0.0.1 {}\n", web.address.port()));
        let background = dir.background();
        assert_eq!(dir.run(&format!("start -c {here}/conf")).outcome(), "exit 0");
        let pid = dir.run(&format!("status --json -c {here}/conf")).json()["pid"].as_i64().expect("a pid");
        for _ in 0..2 {
            signal::kill(Pid::from_raw(pid as i32), Signal::SIGHUP).expect("it runs");
        }
        let (mut stream, _) = listener.accept().expect("it is ours");
        let mut bytes = [0; 4096];
        let mut text = String::new();
        wait_until("a message has come", || {
            let length = stream.read(&mut bytes).expect("it is open");
            text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            text.contains('\0')
        });
        let begin = format!("<28>tcpmon[{pid}]: configuration: {here}/conf re-read, 1 target kept");
        assert!(text.starts_with(&begin), "{text}");
        drop((background, device));
        let _ = Command::new("umount").arg(&null).status();
    });
}

#[test]
fn what_a_start_has_to_say_is_also_an_error_in_the_system_log_if_nobody_sees_it() {
    namespace::within(|| {
        let dir = RunDir::new();
        let device = Disk::mounted(Path::new("/dev"), "1m");
        fs::write("/dev/null", "").expect("our own directory");
        let log = UnixDatagram::bind("/dev/log").expect("our own directory");
        log.set_nonblocking(true).expect("a socket");
        dir.write("bad", "intervall 1s\n");
        dir.write("none", "log_dir /tmp\n");
        for (arguments, code) in
            [("start -c bad", 2), ("start --nonsense", 2), ("start -c none", 1), ("start --unless-stopped -c none", 0)]
        {
            let ended = dir.run(arguments);
            assert_eq!(ended.code(), Some(code), "{arguments}: {ended:?}");
            for line in ended.stderr.lines() {
                let mut bytes = [0; 2048];
                let length = log.recv(&mut bytes).expect("as many messages as lines");
                let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
                assert!(message.starts_with("<27>tcpmon[") && message.ends_with(&format!("]: {line}")), "{message}");
            }
            assert!(log.recv(&mut [0]).is_err(), "nothing else was said");
        }
        drop(device);
    });
}
