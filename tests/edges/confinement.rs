//! Confinement: the user, the sandbox, and that a confined run still does all of its work.

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
use tcpmon::shell::sandbox::{Confinement, Writable, confine_answer, confine_command};
use tcpmon::sys::directory::Directory;
use tcpmon::sys::{helper, net, sandbox};

use crate::clock::wait_until;
use crate::kernel;
use crate::listener::Accepting;
use crate::namespace::skip;
use crate::running::{RunDir, Running, rows_in, total};

pub const NOBODY: u32 = 65534;

/// Whether the tests run as root and can become other users.
pub fn is_root() -> bool {
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

/// A directory that every user can enter.
pub fn open_dir() -> RunDir {
    let dir = RunDir::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
    dir
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").uid()
}

/// Waits until the run has said a message so many times.
fn wait_for(run: &Running, message: &str, times: usize) {
    wait_until(&format!("it says {message}"), || run.stderr().matches(message).count() >= times);
}

#[test]
fn a_run_as_root_becomes_the_user_with_its_helpers_and_files() {
    if !is_root() {
        return skip("confinement::a_run_as_root_becomes_the_user", "only root can become nobody");
    }
    let web = Accepting::new();
    let dir = open_dir();
    let port = web.address.port();
    let target = format!("target web localhost {port} inet\ntarget lo 127.0.0.1 {port} device lo\n");
    dir.write("conf", &format!("interval 200ms\nreport 1h\nlog_dir log\n{target}"));
    assert_eq!(dir.run("-q -c conf -n 2").outcome(), "exit 0");
    let directory = dir.path().join("log");
    let today = latest_log(&directory);
    let ledger = directory.join("tcpmon.ledger");
    assert_eq!([&directory, &today, &ledger].map(|path| owner(path)), [0; 3]);

    dir.write("conf", &format!("interval 200ms\nreport 1h\nlog_dir log\nuser nobody\n{target}"));
    let run = dir.start("-q -c conf");
    web.wait_for_a_round(2);
    wait_until("a helper is there", || !kernel::helpers(run.pid()).is_empty());
    for pid in kernel::helpers(run.pid()).iter().map(|helper| helper.pid).chain([run.pid()]) {
        let fields = ["Uid", "Gid", "CapPrm", "NoNewPrivs"].map(|field| status(pid, field));
        let gid = fs::read_to_string("/etc/passwd").expect("it was read before");
        let gid = gid.lines().find_map(|line| line.strip_prefix("nobody:")).and_then(|rest| rest.split(':').nth(2));
        assert_eq!(fields, ["65534", gid.expect("a group"), "0000000000000000", "1"], "{pid}");
        assert_eq!(status(pid, "Seccomp"), "2", "{pid}");
    }
    // A reload, a report, and a second start still work.
    run.signal(Signal::SIGHUP);
    wait_for(&run, "conf re-read", 1);
    let second = dir.run("-q -c conf");
    assert_eq!(second.outcome(), format!("exit 1\ntcpmon: start: already running as pid {}", run.pid()));
    assert!(dir.run("status -c conf").stdout.contains(&format!("; running as pid {}", run.pid())));
    web.wait_for_a_round(2);
    assert_eq!(dir.run("stop -q -c conf").outcome(), "exit 0");
    assert_eq!(run.wait().code(), Some(0));
    assert_eq!([&directory, &today, &ledger].map(|path| owner(path)), [NOBODY; 3]);
    let rows = rows_in(&directory);
    assert_eq!(total(&rows, "web") + total(&rows, "lo"), web.total() as u64);
}

fn latest_log(directory: &Path) -> std::path::PathBuf {
    crate::running::logs_in(directory).pop().expect("a log")
}

#[test]
fn files_of_others_and_files_with_a_second_hard_link_are_not_handed_over() {
    if !is_root() {
        return skip("confinement::files_of_others_and_files_with_a_second_hard_link", "only root can become nobody");
    }
    let dir = open_dir();
    let directory = dir.path().join("log");
    fs::create_dir(&directory).expect("our own directory");
    for name in ["theirs", "tcp_stats_20000101.log", "secret"] {
        fs::write(directory.join(name), "").expect("our own directory");
    }
    fs::hard_link(directory.join("secret"), directory.join("tcp_stats_20000102.log")).expect("our own directory");
    std::os::unix::fs::symlink("theirs", directory.join("tcp_stats_20000103.log")).expect("our own directory");
    let ended = dir.run("-q -n 1 --user nobody --log-dir log x=127.0.0.1:1");
    let said = "tcpmon: user: nobody cannot write in log, chown it: until then there is no log\n";
    assert!(ended.stderr.starts_with(said), "{ended:?}");
    let owner = |name: &str| owner(&directory.join(name));
    assert_eq!((owner("."), owner("theirs"), owner("secret"), owner("tcp_stats_20000103.log")), (0, 0, 0, 0));
    assert_eq!((owner("tcp_stats_20000101.log"), owner("tcpmon.ledger")), (NOBODY, NOBODY));
    // A file that the configuration names as its ledger and that is none, nor a neighbour that is called like one.
    for name in ["key", "key.damaged"] {
        fs::write(directory.join(name), "a key\n").expect("our own directory");
    }
    let ended = dir.run("-q -n 1 --user nobody --log-dir log --ledger ./log/key x=127.0.0.1:1");
    assert!(ended.stderr.contains("log/key cannot be opened (Permission denied)"), "{ended:?}");
    assert_eq!((self::owner(&directory.join("key")), self::owner(&directory.join("key.damaged"))), (0, 0));
}

#[test]
fn nothing_is_handed_over_where_the_user_or_every_user_could_have_put_it() {
    if !is_root() {
        return skip("confinement::nothing_is_handed_over", "only root can become nobody");
    }
    let dir = open_dir();
    let path = |name: &str| dir.path().join(name);
    let (victim, home, open) = (path("victim"), path("home"), path("open"));
    for directory in [&victim, &home, &open] {
        fs::create_dir(directory).expect("our own directory");
    }
    std::os::unix::fs::chown(&home, Some(NOBODY), None).expect("we are root");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("our own directory");
    std::os::unix::fs::symlink(&victim, home.join("log")).expect("our own directory");
    // A link that the user owns, with and without a slash at its end, and a path through it; a directory
    // that every user may write to; an empty directory that is not named for logs. The victim has a
    // configuration file whose name begins like the ledger's.
    let empty = path("empty");
    fs::create_dir(&empty).expect("our own directory");
    fs::write(victim.join("tcpmon.conf"), "").expect("our own directory");
    for directory in [home.join("log"), home.join("log/"), home.join("log/."), home.join("log/below"), open, empty] {
        let directory = directory.display();
        dir.run(&format!("-q -n 1 --user nobody --log-dir {directory} --ledger {directory}/tcpmon x=127.0.0.1:1"));
    }
    for name in ["victim", "victim/tcpmon.conf", "open", "empty"] {
        assert_eq!(owner(&path(name)), 0, "{name}");
    }
    assert_eq!(fs::read_dir(&victim).expect("our own directory").count(), 1, "no file is made there");
    // The installer makes an empty directory with our name.
    fs::create_dir(path("tcpmon")).expect("our own directory");
    dir.run("-q -n 1 --user nobody --log-dir tcpmon x=127.0.0.1:1");
    assert_eq!((owner(&path("tcpmon")), owner(&path("tcpmon/tcpmon.ledger"))), (NOBODY, NOBODY));
}

#[test]
fn stop_ends_nothing_that_the_owner_of_the_ledger_could_not() {
    if !is_root() {
        return skip("confinement::stop_ends_nothing", "only root can become nobody");
    }
    let dir = open_dir();
    let run = dir.start("-q --interval 200ms x=127.0.0.1:1");
    wait_until("it runs", || dir.run("status").code() == Some(2));
    // The ledger of the user nobody names a run of root.
    std::os::unix::fs::chown(dir.path().join("tcpmon.ledger"), Some(NOBODY), None).expect("we are root");
    let ended = dir.run("stop");
    let said = format!("exit 1\ntcpmon: stop: pid {} cannot be ended (Operation not permitted), it goes on", run.pid());
    assert_eq!(ended.outcome(), said);
    std::os::unix::fs::chown(dir.path().join("tcpmon.ledger"), Some(0), None).expect("we are root");
    assert_eq!(dir.run("stop").outcome(), "exit 0");
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn only_root_can_become_the_user_and_the_user_must_exist() {
    let dir = RunDir::new();
    assert_eq!(
        dir.run("check --user no-such-user x=127.0.0.1:1").outcome(),
        "exit 2\ncommand line: user \"no-such-user\" is not in /etc/passwd, write a name that is there"
    );
    if !passwd_has("nobody") {
        return skip("confinement::only_root_can_become_the_user", "this machine has no user nobody");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    if geteuid().is_root() {
        command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", env!("CARGO_BIN_EXE_tcpmon")]);
    }
    command.args(["-q", "-n", "1", "--user", "nobody", "x=127.0.0.1:1"]);
    let ended = dir.spawn(command, Stdio::piped()).wait();
    if ended.stderr.starts_with("unshare: ") {
        return skip("confinement::only_root_can_become_the_user", "no user namespace can be made here");
    }
    let said = "exit 0\ntcpmon: user: only root can become nobody, this run keeps its user";
    assert_eq!(ended.outcome(), said);
}

#[test]
fn a_reload_to_a_directory_that_the_run_cannot_write_to_is_refused() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let conf = |rest: &str| {
        dir.write("conf", &format!("interval 200ms\nreport 1h\n{rest}target web 127.0.0.1 {}\n", web.address.port()));
    };
    conf("log_dir a/log\n");
    let run = dir.start("-q -c conf");
    web.wait_for_a_round(1);
    let confined =
        fs::read_to_string(format!("/proc/{}/status", run.pid())).is_ok_and(|text| text.contains("Seccomp:\t2"));
    if !confined || sandbox::Rules::new().is_err() {
        return skip(
            "confinement::a_reload_to_a_directory_that_the_run_cannot_write_to",
            "this kernel has no Landlock",
        );
    }
    conf("log_dir b\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "the configuration in force stays", 1);
    conf("log_dir a/log\nledger ../ledger\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "the configuration in force stays", 2);
    // Beside the directory of the log, the run may not write either; below it, it may.
    conf("log_dir a/beside\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "the configuration in force stays", 3);
    conf("log_dir a/log/below\nsandbox off\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "a change needs a restart", 1);
    web.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(
        ended.outcome(),
        "exit 0\n\
         tcpmon: sandbox: b cannot be written in this run, the configuration in force stays; restart the run\n\
         tcpmon: sandbox: .. cannot be written in this run, the configuration in force stays; restart the run\n\
         tcpmon: sandbox: a/beside cannot be written in this run, the configuration in force stays; restart the run\n\
         tcpmon: configuration: conf re-read, 1 target kept (0 with other options), 0 new, 0 gone, log_dir a/log is \
         now a/log/below, ledger a/log/tcpmon.ledger is now a/log/below/tcpmon.ledger\n\
         tcpmon: sandbox: a change needs a restart, this run goes on as it is"
    );
    assert_eq!(total(&rows_in(&dir.path().join("a/log/below")), "web"), web.total() as u64);
    assert!(!dir.path().join("b").exists());

    conf("log_dir a/other\nsandbox off\n");
    let run = dir.start("-q -c conf");
    web.wait_for_a_round(1);
    assert_eq!((status(run.pid(), "Seccomp").as_str(), status(run.pid(), "NoNewPrivs").as_str()), ("0", "1"));
    conf("log_dir b\nsandbox off\n");
    run.signal(Signal::SIGHUP);
    wait_for(&run, "log_dir a/other is now b", 1);
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn what_the_kernel_lacks_is_said_with_verbose() {
    let dir = RunDir::new();
    let run = |call: &str, options: &str| {
        let mut command = Command::new("strace");
        command.args(["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:error=ENOSYS")]);
        command.arg(env!("CARGO_BIN_EXE_tcpmon")).args(options.split_whitespace());
        dir.spawn(command, Stdio::piped()).wait().outcome()
    };
    if Command::new("strace").args(["-o", "/dev/null", "true"]).status().map_or(true, |status| !status.success()) {
        return skip("confinement::what_the_kernel_lacks_is_said_with_verbose", "strace does not work here");
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

/// What an attacker would try in a process that he controls, and the errors that he gets.
#[cfg(not(tcpmon_fatal))]
mod attacked {
    use super::*;

    const TRIES: [&str; 16] = [
        "shadow", "outside", "log", "execve", "execveat", "listen", "accept", "accept4", "packets", "terminal",
        "ptrace", "setuid", "world", "fork", "kill", "mount",
    ];
    const DIRECTORY: &str = "TCPMON_CONFINED";
    const CASE: &str = "TCPMON_CASE";

    /// The error of each try; 0 where it succeeded.
    fn errors() -> [u8; TRIES.len()] {
        let directory = env::var(DIRECTORY).unwrap_or_default();
        let text = |text: String| CString::new(text).expect("no NUL");
        let file = |path: String, flags: libc::c_int| {
            let path = text(path);
            // SAFETY: a path that ends with a NUL.
            i64::from(unsafe { libc::open(path.as_ptr(), flags, 0o600) })
        };
        let (program, none) = (text("/bin/true".into()), [std::ptr::null(); 1]);
        // SAFETY: calls with numbers, with texts that end with a NUL and arrays that end with a null pointer.
        let tries: [&dyn Fn() -> i64; TRIES.len()] = unsafe {
            [
                &|| file("/etc/shadow".into(), libc::O_RDONLY),
                &|| file(format!("{directory}/outside/readable"), libc::O_RDONLY),
                &|| file(format!("{directory}/inside/log/x"), libc::O_WRONLY | libc::O_CREAT),
                &|| libc::execve(program.as_ptr(), none.as_ptr(), none.as_ptr()).into(),
                &|| libc::syscall(libc::SYS_execveat, -1, program.as_ptr(), none.as_ptr(), none.as_ptr(), 0),
                &|| libc::listen(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0), 1).into(),
                &|| libc::accept(0, std::ptr::null_mut(), std::ptr::null_mut()).into(),
                &|| libc::accept4(0, std::ptr::null_mut(), std::ptr::null_mut(), 0).into(),
                &|| libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into(),
                // Typing into the terminal of another user.
                &|| libc::ioctl(0, libc::TIOCSTI, program.as_ptr()).into(),
                &|| libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0),
                &|| libc::syscall(libc::SYS_setuid, 0),
                &|| libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0),
                &|| match libc::fork() {
                    0 => libc::_exit(0),
                    child => child.into(),
                },
                &|| libc::kill(libc::getpid(), 0).into(),
                &|| libc::mount(program.as_ptr(), program.as_ptr(), program.as_ptr(), 0, std::ptr::null()).into(),
            ]
        };
        tries.map(|attempt| if attempt() < 0 { Errno::last_raw() as u8 } else { 0 })
    }

    fn answer(socket: &OwnedFd) {
        net::send(socket, &errors()).expect("the monitor listens");
    }

    /// The kernel without a call, or without one that has this first argument.
    fn without(call: libc::c_long, argument: Option<libc::c_int>) {
        let instruction =
            |code: u32, yes: u8, no: u8, k: u32| libc::sock_filter { code: code as u16, jt: yes, jf: no, k };
        let (load, equal) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
        let first = if cfg!(target_endian = "big") { 20 } else { 16 };
        let mut program = vec![instruction(load, 0, 0, 0), instruction(equal, 0, 3, call as u32)];
        match argument {
            Some(argument) => {
                program.extend([instruction(load, 0, 0, first), instruction(equal, 0, 1, argument as u32)]);
            }
            None => program[1].jf = 1,
        }
        program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32));
        program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: prctl(2) with numbers, and with a filter that lives longer than the call.
        let results = unsafe {
            [
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter),
            ]
        };
        assert_eq!(results, [0, 0]);
    }

    /// Runs the test of this name again for each of these cases, each in a process of its own: confinement cannot be
    /// undone.
    fn in_cases(test: &str, cases: &[&str], inside: fn(&str, &str)) {
        if !is_root() || sandbox::Rules::new().is_err() {
            return skip(test, "only root can become nobody, and Landlock is needed");
        }
        if let (Ok(directory), Ok(case)) = (env::var(DIRECTORY), env::var(CASE)) {
            return inside(&directory, &case);
        }
        for case in cases {
            let dir = open_dir();
            for directory in ["inside", "outside"] {
                fs::create_dir(dir.path().join(directory)).expect("our own directory");
            }
            dir.write("outside/readable", "for everybody");
            let mut child = Command::new(env::current_exe().expect("the test binary has a path"));
            child.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(DIRECTORY, dir.path()).env(CASE, case);
            let output = child.output().expect("it starts");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success() && text.contains("1 passed"),
                "{case}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    #[test]
    fn no_role_can_read_run_or_serve_what_is_not_its_work() {
        in_cases(
            "confinement::attacked::no_role_can_read_run_or_serve_what_is_not_its_work",
            &["run", "once", "command"],
            inside,
        );
    }

    #[test]
    fn a_helper_has_its_own_confinement_also_where_the_kernel_has_half_of_it() {
        in_cases(
            "confinement::attacked::a_helper_has_its_own_confinement_also_where_the_kernel_has_half_of_it",
            &["no seccomp", "no Landlock"],
            inside,
        );
    }

    #[test]
    fn an_answer_to_a_web_server_can_only_read_and_in_the_end_only_the_directory_of_the_log() {
        in_cases(
            "confinement::attacked::an_answer_to_a_web_server_can_only_read_and_in_the_end_only_the_directory_of_the_log",
            &["answer"],
            answering,
        );
    }

    /// The error of a call; 0 where it succeeded.
    fn error(result: impl Into<i64>) -> Errno {
        if result.into() < 0 { Errno::last() } else { Errno::UnknownErrno }
    }

    fn answering(directory: &str, _: &str) {
        let text = |text: String| CString::new(text).expect("no NUL");
        let path = |name: &str| text(format!("{directory}/{name}"));
        fs::create_dir(format!("{directory}/inside/log")).expect("our own directory");
        for name in ["inside/log/x", "inside/ledger"] {
            fs::write(format!("{directory}/{name}"), "x").expect("our own directory");
        }
        let rules = confine_answer(true, &format!("{directory}/inside/log"));
        let rules = rules.expect("this kernel has Landlock");
        // SAFETY: texts that end with a NUL, and numbers.
        let open = |name: &CString, flags| unsafe { libc::open(name.as_ptr(), flags | libc::O_CLOEXEC, 0o600) };
        let (log, ledger, shadow) = (path("inside/log/x"), path("inside/ledger"), text("/etc/shadow".into()));
        let (log_dir, outside) = (path("inside/log"), path("outside/readable"));
        // At first it may read whatever its user may.
        let files = [&log, &ledger, &shadow, &outside].map(|name| open(name, libc::O_RDONLY));
        assert!(files.iter().all(|file| *file > 0), "{files:?}");
        rules.restrict().expect("this kernel has Landlock");
        let files = [&log, &log_dir, &ledger, &shadow, &outside].map(|name| error(open(name, libc::O_RDONLY)));
        assert_eq!(files, [[Errno::UnknownErrno; 2].as_slice(), &[Errno::EACCES; 3]].concat()[..]);
        let writing = [
            libc::O_WRONLY,
            libc::O_RDWR,
            libc::O_TRUNC,
            libc::O_CREAT,
            libc::O_WRONLY | libc::O_APPEND,
            libc::O_ACCMODE,
        ];
        for flags in writing {
            assert_eq!(error(open(&log, flags)), Errno::EPERM, "{flags:o}");
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a text that ends with a NUL, and numbers.
            let old = unsafe { libc::syscall(libc::SYS_open, log.as_ptr(), flags, 0o600) };
            #[cfg(target_arch = "x86_64")]
            assert_eq!(error(old), Errno::EPERM, "{flags:o}");
        }
        let file = open(&log, libc::O_RDONLY);
        let (from, to, none) = (log.as_ptr(), ledger.as_ptr(), [std::ptr::null(); 1]);
        // SAFETY: `flock` is plain data for which zeroes are a valid value.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_RDLCK as libc::c_short;
        // SAFETY: calls with numbers, with texts that end with a NUL, a live lock, and an array that ends with a null pointer.
        let tries: [(&str, &dyn Fn() -> i64); 21] = unsafe {
            [
                ("unlink", &|| libc::unlink(from).into()),
                ("rename", &|| libc::rename(from, to).into()),
                ("mkdir", &|| libc::mkdir(to, 0o700).into()),
                ("symlink", &|| libc::symlink(from, to).into()),
                ("link", &|| libc::link(from, to).into()),
                ("truncate", &|| libc::truncate(from, 0).into()),
                ("ftruncate", &|| libc::ftruncate(file, 0).into()),
                ("fchmod", &|| libc::fchmod(file, 0o777).into()),
                ("chmod", &|| libc::chmod(from, 0o777).into()),
                ("utimes", &|| libc::utimes(from, std::ptr::null()).into()),
                ("flock", &|| libc::flock(file, libc::LOCK_EX | libc::LOCK_NB).into()),
                ("lock", &|| libc::fcntl(file, libc::F_SETLK, &raw const lock).into()),
                ("lease", &|| libc::fcntl(file, libc::F_SETLEASE, libc::F_RDLCK).into()),
                ("tcp", &|| libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0).into()),
                ("unix", &|| libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0).into()),
                ("execve", &|| libc::execve(from, none.as_ptr(), none.as_ptr()).into()),
                ("fork", &|| libc::fork().into()),
                ("kill", &|| libc::kill(libc::getppid(), 0).into()),
                ("limit", &|| libc::syscall(libc::SYS_prlimit64, libc::getppid(), libc::RLIMIT_NOFILE, 0, 0)),
                ("terminal", &|| libc::ioctl(0, libc::TIOCSTI, from).into()),
                ("ptrace", &|| libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0)),
            ]
        };
        for (name, attempt) in tries {
            assert_eq!(error(attempt()), Errno::EPERM, "{name}");
        }
        // It may ask who has a lock.
        // SAFETY: numbers, and a live lock.
        let asked = unsafe {
            [libc::fcntl(file, libc::F_GETLK, &raw mut lock), libc::flock(file, libc::LOCK_SH | libc::LOCK_NB)]
        };
        assert_eq!(asked, [0, 0]);
    }

    fn inside(directory: &str, case: &str) {
        let line = format!("run --user nobody --log-dir {directory}/inside/log x=127.0.0.1:1");
        let words = line.split_whitespace().map(|word| &*String::leak(word.to_owned()));
        let mut file = ConfigFile::new(Cli::parse(words, &mut |mistake| panic!("{mistake}")).expect("it is valid"));
        let (mut config, mut console) = (Config::new(), Console::new(true));
        file.load(&mut config, &mut |what| panic!("{what}")).expect("it is valid");
        let denied = |name| (name, Errno::EACCES);
        let nothing = |name| (name, Errno::UnknownErrno);
        let named = |errors: &[u8]| -> Vec<(&str, Errno)> {
            let errors = errors.iter().map(|error| Errno::from_raw((*error).into()));
            TRIES.into_iter().zip(errors).filter(|(_, error)| *error != Errno::EPERM).collect()
        };
        if case == "command" {
            // root's rights do not help: it may read, and signal a run.
            fs::create_dir(config.settings.log_dir.as_str()).expect("our own directory");
            confine_command(config.settings.sandbox);
            let expected = [nothing("shadow"), nothing("outside"), denied("log"), nothing("kill")];
            return assert_eq!(named(&errors()), expected);
        }
        assert!(change_user::become_user(&config, &file, true, &mut console));
        match case {
            "no seccomp" => without(libc::SYS_prctl, Some(libc::PR_SET_SECCOMP)),
            "no Landlock" => without(libc::SYS_landlock_create_ruleset, None),
            _ => {}
        }
        let log_dir = Directory::open(config.settings.log_dir.as_str()).expect("it is there");
        let log_dir = Some(&log_dir).filter(|_| case != "once");
        Confinement::enter(&config, &file, Writable { log_dir, ..Writable::default() }, &mut console);
        let (_, socket) = helper::spawn(answer).expect("the monitor may start one");
        let mut packet = [0; TRIES.len()];
        assert_eq!(net::await_packet(&socket, &mut packet), Ok(TRIES.len()));
        assert!(socket.as_raw_fd() >= 0);
        let helper = named(&packet);
        let files = ["shadow", "outside", "log"];
        match case {
            // A helper may write no file and signal no process.
            "run" | "once" => assert_eq!(helper, files.map(denied)),
            "no seccomp" => {
                let helper: Vec<_> = helper.into_iter().filter(|(name, _)| files.contains(name)).collect();
                return assert_eq!(helper, files.map(denied));
            }
            _ => return assert_eq!(helper, [denied("shadow"), nothing("outside"), nothing("log")]),
        }
        let log = if case == "run" { nothing("log") } else { denied("log") };
        let monitor = named(&errors());
        assert_eq!(monitor, [denied("shadow"), denied("outside"), log, nothing("fork"), nothing("kill")]);
    }
}
