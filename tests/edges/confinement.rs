//! What a run can still do: nothing but its work, and that as it did before.

use std::env;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};
use tcpmon::model::cli::Cli;
use tcpmon::model::settings::Config;
use tcpmon::shell::change_user;
use tcpmon::shell::config_file::ConfigFile;
use tcpmon::shell::console::Console;
use tcpmon::shell::sandbox::Confinement;
use tcpmon::sys::{helper, net, sandbox};

use crate::clock::wait_until;
use crate::kernel;
use crate::listener::Accepting;
use crate::namespace::skip;
use crate::running::{Place, Running, rows_in, total};

const NOBODY: u32 = 65534;

/// Whether a root is here that can become anybody.
fn is_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let ends = map.split_whitespace().nth(2).and_then(|length| length.parse::<u64>().ok());
    geteuid().is_root() && ends.is_some_and(|length| length > NOBODY.into()) && passwd_has("nobody")
}

fn passwd_has(name: &str) -> bool {
    fs::read_to_string("/etc/passwd").is_ok_and(|text| text.lines().any(|line| line.starts_with(&format!("{name}:"))))
}

/// A field of proc_pid_status(5).
fn status(pid: Pid, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
}

/// A place that everybody can reach.
fn open_place() -> Place {
    let place = Place::new();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
    place
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").uid()
}

/// Waits until a message is there so often.
fn wait_for(run: &Running, message: &str, times: usize) {
    wait_until(&format!("it says {message}"), || run.stderr().matches(message).count() >= times);
}

#[test]
fn a_run_of_roots_becomes_the_user_with_its_helpers_and_all_that_was_roots() {
    if !is_root() {
        return skip("confinement::a_run_of_roots_becomes_the_user", "only root can become nobody");
    }
    let web = Accepting::new();
    let place = open_place();
    let port = web.address.port();
    let target = format!("target web localhost {port} inet\ntarget lo 127.0.0.1 {port} device lo\n");
    place.write("conf", &format!("interval 200ms\nreport 1h\nlog_dir log\n{target}"));
    assert_eq!(place.run("-q -c conf -n 2").outcome(), "exit 0");
    let directory = place.path().join("log");
    let today = place_log(&directory);
    let ledger = directory.join("tcpmon.ledger");
    assert_eq!([&directory, &today, &ledger].map(|path| owner(path)), [0; 3]);

    place.write("conf", &format!("interval 200ms\nreport 1h\nlog_dir log\nuser nobody\n{target}"));
    let run = place.start("-q -c conf");
    web.wait_for_a_round(2);
    wait_until("a helper is there", || !kernel::helpers(run.pid()).is_empty());
    for pid in kernel::helpers(run.pid()).iter().map(|helper| helper.pid).chain([run.pid()]) {
        let fields = ["Uid", "Gid", "CapPrm", "NoNewPrivs"].map(|field| status(pid, field));
        let gid = fs::read_to_string("/etc/passwd").expect("it was read before");
        let gid = gid.lines().find_map(|line| line.strip_prefix("nobody:")).and_then(|rest| rest.split(':').nth(2));
        assert_eq!(fields, ["65534", gid.expect("a group"), "0000000000000000", "1"], "{pid}");
        assert_eq!(status(pid, "Seccomp"), "2", "{pid}");
    }
    // A reload, a report, and a second start find everything where it is.
    run.signal(Signal::SIGHUP);
    wait_for(&run, "conf re-read", 1);
    let second = place.run("-q -c conf");
    assert_eq!(second.outcome(), format!("exit 1\ntcpmon: start: already running as pid {}", run.pid()));
    assert!(place.run("status -c conf").stdout.starts_with(&format!("Running as pid {}", run.pid())));
    web.wait_for_a_round(2);
    assert_eq!(place.run("stop -q -c conf").outcome(), "exit 0");
    assert_eq!(run.wait().code(), Some(0));
    assert_eq!([&directory, &today, &ledger].map(|path| owner(path)), [NOBODY; 3]);
    let rows = rows_in(&directory);
    assert_eq!(total(&rows, "web") + total(&rows, "lo"), web.total() as u64);
}

fn place_log(directory: &Path) -> std::path::PathBuf {
    crate::running::logs_in(directory).pop().expect("a log")
}

#[test]
fn what_others_have_in_the_directory_or_a_second_name_is_not_handed_over() {
    if !is_root() {
        return skip("confinement::what_others_have_in_the_directory", "only root can become nobody");
    }
    let place = open_place();
    let directory = place.path().join("log");
    fs::create_dir(&directory).expect("our own directory");
    for name in ["theirs", "tcp_stats_20000101.log", "secret"] {
        fs::write(directory.join(name), "").expect("our own directory");
    }
    fs::hard_link(directory.join("secret"), directory.join("tcp_stats_20000102.log")).expect("our own directory");
    std::os::unix::fs::symlink("theirs", directory.join("tcp_stats_20000103.log")).expect("our own directory");
    let ended = place.run("-q -n 1 --user nobody --log-dir log x=127.0.0.1:1");
    let said = "tcpmon: user: nobody cannot write in log, chown it: until then there is no log\n";
    assert!(ended.stderr.starts_with(said), "{ended:?}");
    let owner = |name: &str| owner(&directory.join(name));
    assert_eq!((owner("."), owner("theirs"), owner("secret"), owner("tcp_stats_20000103.log")), (0, 0, 0, 0));
    assert_eq!((owner("tcp_stats_20000101.log"), owner("tcpmon.ledger")), (NOBODY, NOBODY));
}

#[test]
fn nothing_is_handed_over_where_the_user_or_everybody_could_have_put_it() {
    if !is_root() {
        return skip("confinement::nothing_is_handed_over", "only root can become nobody");
    }
    let place = open_place();
    let path = |name: &str| place.path().join(name);
    let (victim, home, open) = (path("victim"), path("home"), path("open"));
    for directory in [&victim, &home, &open] {
        fs::create_dir(directory).expect("our own directory");
    }
    std::os::unix::fs::chown(&home, Some(NOBODY), None).expect("we are root");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("our own directory");
    std::os::unix::fs::symlink(&victim, home.join("log")).expect("our own directory");
    // By a link of the user's, with and without a slash behind it, and through one; what everybody uses; what
    // is empty and not plainly for a log; a configuration whose name begins as the ledger's.
    let empty = path("empty");
    fs::create_dir(&empty).expect("our own directory");
    fs::write(victim.join("tcpmon.conf"), "").expect("our own directory");
    for directory in [home.join("log"), home.join("log/"), home.join("log/."), home.join("log/below"), open, empty] {
        let directory = directory.display();
        place.run(&format!("-q -n 1 --user nobody --log-dir {directory} --ledger {directory}/tcpmon x=127.0.0.1:1"));
    }
    for name in ["victim", "victim/tcpmon.conf", "open", "empty"] {
        assert_eq!(owner(&path(name)), 0, "{name}");
    }
    assert_eq!(fs::read_dir(&victim).expect("our own directory").count(), 1, "nothing is made there");
    // An empty directory with our name is what the installer makes.
    fs::create_dir(path("tcpmon")).expect("our own directory");
    place.run("-q -n 1 --user nobody --log-dir tcpmon x=127.0.0.1:1");
    assert_eq!((owner(&path("tcpmon")), owner(&path("tcpmon/tcpmon.ledger"))), (NOBODY, NOBODY));
}

#[test]
fn stop_ends_nothing_that_the_owner_of_the_ledger_could_not() {
    if !is_root() {
        return skip("confinement::stop_ends_nothing", "only root can become nobody");
    }
    let place = open_place();
    let target = "--interval 200ms x=127.0.0.1:1";
    let run = place.start(&format!("-q {target}"));
    wait_until("it runs", || place.run(&format!("status {target}")).code() == Some(0));
    // Root's run by the word of a ledger that is nobody's.
    std::os::unix::fs::chown(place.path().join("tcpmon.ledger"), Some(NOBODY), None).expect("we are root");
    let ended = place.run(&format!("stop {target}"));
    let said = format!("exit 1\ntcpmon: stop: pid {} cannot be ended (Operation not permitted), it goes on", run.pid());
    assert_eq!(ended.outcome(), said);
    std::os::unix::fs::chown(place.path().join("tcpmon.ledger"), Some(0), None).expect("we are root");
    assert_eq!(place.run(&format!("stop {target}")).outcome(), "exit 0");
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn a_user_is_for_root_to_become_and_must_be_known() {
    let place = Place::new();
    assert_eq!(
        place.run("check --user no-such-user x=127.0.0.1:1").outcome(),
        "exit 2\ncommand line: user \"no-such-user\" is not in /etc/passwd, write a name that is there"
    );
    if !passwd_has("nobody") {
        return skip("confinement::a_user_is_for_root_to_become", "this box has no nobody");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    if geteuid().is_root() {
        command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", env!("CARGO_BIN_EXE_tcpmon")]);
    }
    command.args(["-q", "-n", "1", "--user", "nobody", "x=127.0.0.1:1"]);
    let ended = place.spawn(command, Stdio::piped()).wait();
    if ended.stderr.starts_with("unshare: ") {
        return skip("confinement::a_user_is_for_root_to_become", "no user namespace can be made here");
    }
    let said = "exit 0\ntcpmon: user: only root can become nobody, this run goes on as who started it";
    assert_eq!(ended.outcome(), said);
}

#[test]
fn a_reload_to_where_the_run_cannot_write_is_refused_and_so_said() {
    let web = Accepting::new();
    let place = Place::new();
    let conf = |rest: &str| {
        place.write("conf", &format!("interval 200ms\nreport 1h\n{rest}target web 127.0.0.1 {}\n", web.address.port()));
    };
    conf("log_dir a/log\n");
    let run = place.start("-q -c conf");
    web.wait_for_a_round(1);
    let confined =
        fs::read_to_string(format!("/proc/{}/status", run.pid())).is_ok_and(|text| text.contains("Seccomp:\t2"));
    if !confined || sandbox::Rules::new().is_err() {
        return skip("confinement::a_reload_to_where_the_run_cannot_write", "this kernel has no Landlock");
    }
    conf("log_dir b\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "the configuration in force stays", 1);
    conf("log_dir a/log\nledger ../ledger\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "the configuration in force stays", 2);
    // Within the directory above there is room.
    conf("log_dir a/other\nsandbox off\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "a change of it takes a new start", 1);
    web.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(
        ended.outcome(),
        "exit 0\n\
         tcpmon: sandbox: b cannot be written in this run, the configuration in force stays; start it anew\n\
         tcpmon: sandbox: .. cannot be written in this run, the configuration in force stays; start it anew\n\
         tcpmon: configuration: conf re-read, 1 target kept (0 with other options), 0 new, 0 gone, log_dir a/log is \
         now a/other, ledger a/log/tcpmon.ledger is now a/other/tcpmon.ledger\n\
         tcpmon: sandbox: a change of it takes a new start, this run goes on as it is"
    );
    assert_eq!(total(&rows_in(&place.path().join("a/other")), "web"), web.total() as u64);
    assert!(!place.path().join("b").exists());

    conf("log_dir a/other\nsandbox off\n");
    let run = place.start("-q -c conf");
    web.wait_for_a_round(1);
    assert_eq!((status(run.pid(), "Seccomp").as_str(), status(run.pid(), "NoNewPrivs").as_str()), ("0", "1"));
    conf("log_dir b\nsandbox off\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "log_dir a/other is now b", 1);
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn what_the_kernel_does_not_have_is_said_to_who_asks() {
    let place = Place::new();
    let run = |call: &str, options: &str| {
        let mut command = Command::new("strace");
        command.args(["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:error=ENOSYS")]);
        command.arg(env!("CARGO_BIN_EXE_tcpmon")).args(options.split_whitespace());
        place.spawn(command, Stdio::piped()).wait().outcome()
    };
    if Command::new("strace").args(["-o", "/dev/null", "true"]).status().map_or(true, |status| !status.success()) {
        return skip("confinement::what_the_kernel_does_not_have", "strace does not work here");
    }
    let options = "-q -n 1 x=127.0.0.1:1";
    assert_eq!(run("landlock_create_ruleset", options), "exit 0");
    let said = "(Function not implemented), the run goes on without";
    assert_eq!(
        run("landlock_create_ruleset", &format!("-v {options}")),
        format!("exit 0\ntcpmon: sandbox: Landlock cannot be used here {said}")
    );
    assert_eq!(
        run("prctl", &format!("--verbose {options}")).replace("Landlock", "seccomp").lines().last(),
        Some(&*format!("tcpmon: sandbox: seccomp cannot be used here {said}"))
    );
}

/// What a process that was taken over would try; each with the errors that it got.
#[cfg(not(tcpmon_fatal))]
mod taken_over {
    use super::*;

    const TRIES: [&str; 11] =
        ["shadow", "outside", "log", "execve", "listen", "packets", "ptrace", "setuid", "world", "kill", "mount"];
    const DIRECTORY: &str = "TCPMON_CONFINED";

    /// The error of each try; 0 where it succeeded.
    fn errors() -> [u8; TRIES.len()] {
        let place = env::var(DIRECTORY).unwrap_or_default();
        let text = |text: String| CString::new(text).expect("no NUL");
        let file = |path: String, flags: libc::c_int| {
            let path = text(path);
            // SAFETY: a path that ends with a NUL.
            i64::from(unsafe { libc::open(path.as_ptr(), flags, 0o600) })
        };
        let (program, none) = (text("/bin/true".into()), [std::ptr::null(); 1]);
        // SAFETY: calls with numbers, and with arrays and texts that end as they must.
        let tries: [&dyn Fn() -> i64; TRIES.len()] = unsafe {
            [
                &|| file("/etc/shadow".into(), libc::O_RDONLY),
                &|| file(format!("{place}/outside/readable"), libc::O_RDONLY),
                &|| file(format!("{place}/inside/log/x"), libc::O_WRONLY | libc::O_CREAT),
                &|| libc::execve(program.as_ptr(), none.as_ptr(), none.as_ptr()).into(),
                &|| libc::listen(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0), 1).into(),
                &|| libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into(),
                &|| libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0),
                &|| libc::syscall(libc::SYS_setuid, 0),
                &|| libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0),
                &|| libc::kill(libc::getpid(), 0).into(),
                &|| libc::mount(program.as_ptr(), program.as_ptr(), program.as_ptr(), 0, std::ptr::null()).into(),
            ]
        };
        tries.map(|attempt| if attempt() < 0 { Errno::last_raw() as u8 } else { 0 })
    }

    fn answer(socket: &OwnedFd) {
        net::send(socket, &errors()).expect("the monitor listens");
    }

    #[test]
    fn neither_role_can_read_run_or_serve_what_is_not_its_work() {
        let test = "confinement::taken_over::neither_role_can_read_run_or_serve_what_is_not_its_work";
        if !is_root() || sandbox::Rules::new().is_err() {
            return skip(test, "only root can become nobody, and Landlock is needed");
        }
        if let Ok(place) = env::var(DIRECTORY) {
            return inside(&place);
        }
        let place = open_place();
        for directory in ["inside", "outside"] {
            fs::create_dir(place.path().join(directory)).expect("our own directory");
        }
        place.write("outside/readable", "for everybody");
        // In a process of its own: nobody can take it back.
        let mut child = Command::new(env::current_exe().expect("the test binary has a path"));
        child.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(DIRECTORY, place.path());
        let output = child.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn inside(place: &str) {
        let line = format!("run --user nobody --log-dir {place}/inside/log x=127.0.0.1:1");
        let words = line.split_whitespace().map(|word| &*String::leak(word.to_owned()));
        let mut file = ConfigFile::new(Cli::parse(words, &mut |mistake| panic!("{mistake}")).expect("it is right"));
        let (mut config, mut console) = (Config::new(), Console::new(true));
        file.load(&mut config, &mut |what| panic!("{what}")).expect("it is right");
        assert!(change_user::become_user(&config, &file, true, &mut console));
        Confinement::enter(&config, &file, true, &mut console);
        let named = |errors: &[u8]| -> Vec<(&str, Errno)> {
            let errors = errors.iter().map(|error| Errno::from_raw((*error).into()));
            TRIES.into_iter().zip(errors).filter(|(_, error)| *error != Errno::EPERM).collect()
        };
        let (_, socket) = helper::spawn(answer).expect("the monitor may");
        let mut packet = [0; TRIES.len()];
        assert_eq!(net::await_packet(&socket, &mut packet), Ok(TRIES.len()));
        assert!(socket.as_raw_fd() >= 0);
        let denied = |name| (name, Errno::EACCES);
        // A helper: no file to write, and nobody to signal.
        assert_eq!(named(&packet), ["shadow", "outside", "log"].map(denied));
        let nothing = |name| (name, Errno::UnknownErrno);
        let monitor = named(&errors());
        assert_eq!(monitor, [denied("shadow"), denied("outside"), nothing("log"), nothing("kill")]);
    }
}
