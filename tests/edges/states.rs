//! The states of a run: what `status`, `start`, `stop` and `reload` say in each of them, and their exit status. The table is
//! that of the man page.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::libc;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::clock::wait_until;
use crate::listener::{Accepting, Closed};
use crate::namespace::{self, skip};
use crate::running::{Ended, RunDir};

/// A row of the man page's table: the words of `status`, and the exit statuses of `status`, `start`, `stop` and `reload`.
struct Row {
    words: &'static str,
    codes: [Vec<i32>; 4],
}

fn row(state: &str) -> Row {
    let page = include_str!("../../src/install/tcpmon.8");
    let begin = format!(".It {state} Ta ");
    let line = page.lines().find_map(|line| line.strip_prefix(&begin));
    let mut cells = line.unwrap_or_else(|| panic!("the man page has no state {state}")).split(" Ta ");
    let words = cells.next().expect("its words");
    let codes = [(); 4].map(|()| {
        let cell = cells.next().expect("an exit status for each command");
        cell.split(' ').map(|code| code.parse().expect("a number")).collect()
    });
    Row { words, codes }
}

/// A configuration in a directory of its own, and commands that use it.
struct Watched {
    dir: RunDir,
}

impl Watched {
    fn new(lines: &str) -> Self {
        let made = Self { dir: RunDir::new() };
        made.configure("log", lines);
        made
    }

    fn configure(&self, log_dir: &str, lines: &str) {
        let here = self.dir.path().display();
        self.dir.write("conf", &format!("log_dir {here}/{log_dir}\ninterval 200ms\nreport 1h\n{lines}"));
    }

    fn run(&self, command: &str) -> Ended {
        self.dir.run(&format!("{command} -c {}/conf", self.dir.path().display()))
    }

    /// Exit status of a command, and the first line of what it says.
    fn ask(&self, command: &str) -> (i32, String) {
        let ended = self.run(command);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        (ended.code().expect("it was not killed"), said.lines().next().unwrap_or_default().to_string())
    }

    fn says(&self, command: &str, code: i32, words: &str) {
        let (found, said) = self.ask(command);
        assert!(found == code && said.contains(words), "{command}: {found} {said:?} instead of {code} {words:?}");
    }

    /// The run is in this state of the table: `status` says so, and these commands, which change nothing in it, have their
    /// exit statuses.
    fn is(&self, state: &str, commands: &[&str]) {
        self.is_as("conf", state, commands);
    }

    fn is_as(&self, file: &str, state: &str, commands: &[&str]) {
        let Row { words, codes } = row(state);
        for command in [&["status"], commands].concat() {
            let at =
                ["status", "start", "stop", "reload"].iter().position(|known| *known == command).expect("a command");
            let ended = self.dir.run(&format!("{command} -c {}/{file}", self.dir.path().display()));
            assert!(codes[at].contains(&ended.code().expect("it was not killed")), "{state}: {command}: {ended:?}");
            let said = ended.stdout + &ended.stderr;
            assert!(command != "status" || said.contains(words), "{state}: {said}");
        }
    }

    fn pid(&self) -> Pid {
        let status = self.run("status --json").json();
        Pid::from_raw(status["pid"].as_i64().expect("a pid") as i32)
    }

    fn ledger(&self) -> String {
        format!("{}/log/tcpmon.ledger", self.dir.path().display())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.run("stop --for-restart");
    }
}

/// Ends a process and waits until it is gone.
fn kill(pid: Pid) {
    signal::kill(pid, Signal::SIGKILL).expect("it runs");
    wait_until("it has ended", || !fs::exists(format!("/proc/{pid}/fd/0")).unwrap_or(false));
}

fn target(web: &Accepting) -> String {
    format!("target web 127.0.0.1 {}\n", web.address.port())
}

#[test]
fn running_ended_killed_and_stopped_are_told_apart_by_every_command() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    run.is("never run", &["reload", "stop"]);
    run.says("reload", 1, "no run uses");
    run.says("stop", 0, &format!("not running, says {}", run.ledger()));
    assert_eq!(run.ask("start"), (0, String::new()));
    web.wait_for_a_round(1);
    let pid = run.pid();
    let running = format!("running as pid {pid} since ");
    wait_until("it is up", || run.ask("status").0 == 0);
    run.says("status", 0, &running);
    for again in ["start", "start --unless-stopped"] {
        assert_eq!(run.ask(again), (0, String::new()));
    }
    run.says("run -q", 1, &format!("already running as pid {pid}"));
    run.says("reload", 0, "0 new, 0 removed, 1 target kept");
    run.is("running", &["start", "reload"]);
    assert_eq!(run.pid(), pid, "all of that was the same run");

    kill(pid);
    run.says("status", 3, ": killed; last seen all 1 up");
    run.is("killed", &["reload"]);
    run.says("start --unless-stopped", 0, &format!("the last run (pid {pid}) did not end cleanly"));
    run.says("status", 0, "running as pid");
    assert_eq!(run.ask("stop --for-restart"), (0, String::new()));
    run.is("ended", &["reload"]);
    assert_eq!(run.ask("start --unless-stopped"), (0, String::new()));
    run.says("status", 0, "running as pid");

    run.is("running", &["stop"]);
    run.is("stopped", &["reload", "stop"]);
    assert_eq!(run.run("status --json").json()["run"], "stopped");
    assert_eq!(run.ask("start --unless-stopped"), (0, String::new()));
    run.says("status", 3, ": stopped; last seen all 1 up");
    run.is("stopped", &["start"]);
    run.says("status", 0, "running as pid");
    kill(run.pid());
    // The start by hand has removed the note.
    run.says("start --unless-stopped", 0, "did not end cleanly");
    run.says("status", 0, "running as pid");
    kill(run.pid());
    // Also what is dead stays stopped.
    run.says("stop", 0, "not running, says");
    assert_eq!(run.ask("start --unless-stopped"), (0, String::new()));
    run.says("status", 3, ": stopped; last seen ");
    assert_eq!(run.ask("run -q -n 1").0, 0);
    run.says("status", 3, ": ended; last seen ");
}

#[test]
fn the_exit_status_of_status_is_that_of_the_targets() {
    let (web, gone) = (Accepting::new(), Closed::new());
    let run = Watched::new(&format!("{}target gone 127.0.0.1 {}\n", target(&web), gone.address.port()));
    assert_eq!(run.ask("start").0, 0);
    wait_until("both are known", || run.ask("status").0 == 2);
    run.configure("log", &target(&web));
    assert_eq!(run.ask("reload").0, 0);
    run.says("status", 0, "; running");
    // A target that is not known yet: its first tick is an hour away.
    run.configure("log", &format!("{}target late 127.0.0.1 1 interval 1h\nspread on\n", target(&web)));
    run.says("reload", 0, "1 new, 0 removed, 1 target kept");
    run.says("status", 1, "; running");
    run.says("status --nonsense", 1, "does not know");
}

#[test]
fn a_run_that_can_write_nothing_is_said_and_can_be_seen_and_stopped() {
    let web = Accepting::new();
    let run = Watched::new(&format!("sandbox off\n{}", target(&web)));
    run.dir.write("log", "a file");
    let started = run.run("start");
    assert_eq!(started.code(), Some(0), "{started:?}");
    assert!(started.stderr.contains("tcpmon.ledger cannot be opened (Not a directory), this run goes on without it"));
    assert!(started.stderr.contains("log cannot be opened (Not a directory), the counts are kept"), "{started:?}");
    web.wait_for_a_round(1);
    run.is("without a ledger", &["start", "reload"]);
    run.says("reload", 1, "has no ledger to answer in");
    run.says(
        "stop",
        0,
        "there is no ledger to note it in: cron, or the service that started the run, will start it again",
    );
    run.says("status", 3, "is not there");
}

#[test]
fn another_log_dir_leads_to_no_second_run() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    assert_eq!(run.ask("start"), (0, String::new()));
    let pid = run.pid();
    run.configure("elsewhere", &target(&web));
    assert_eq!(run.ask("start"), (0, String::new()));
    assert_eq!(run.ask("start --unless-stopped"), (0, String::new()));
    run.is("another ledger", &["start", "reload"]);
    run.says("status", 1, &format!("the run (pid {pid}) has another one than"));
    // An editor replaces the file, and it may be a link.
    fs::rename(run.dir.path().join("conf"), run.dir.path().join("real")).expect("it is there");
    std::os::unix::fs::symlink("real", run.dir.path().join("conf")).expect("its name is free");
    fs::copy(run.dir.path().join("real"), run.dir.path().join("new")).expect("it is there");
    fs::rename(run.dir.path().join("new"), run.dir.path().join("conf")).expect("it is there");
    assert_eq!(run.ask("start"), (0, String::new()));
    assert_eq!(run.ask("stop").0, 0);
    wait_until("it has ended", || signal::kill(pid, None).is_err());
    run.says("status", 3, "is not there");
    assert_eq!(run.ask("start"), (0, String::new()));
    run.says("stop", 0, "");
}

#[test]
fn another_configuration_with_the_same_ledger_is_named_by_every_command() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    assert_eq!(run.ask("start"), (0, String::new()));
    let (here, pid) = (run.dir.path().display(), run.pid());
    run.dir.write("other", &format!("log_dir {here}/log\ntarget other 127.0.0.1 1\n"));
    run.is_as("other", "another configuration", &["start", "reload", "stop"]);
    for command in ["start", "start --unless-stopped", "run", "stop", "reload"] {
        let ended = run.dir.run(&format!("{command} -c {here}/other"));
        assert!(
            ended.code() == Some(1) && ended.stderr.contains(&format!("is used by the run of {here}/conf")),
            "{ended:?}"
        );
    }
    assert_eq!(run.pid(), pid);
}

#[test]
fn a_stop_at_the_moment_of_a_start_waits_for_the_run_and_ends_it() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    let conf = format!("{}/conf", run.dir.path().display());
    for _ in 0..20 {
        let starting = run.dir.start(&format!("start -c {conf}"));
        let (code, said) = run.ask("stop");
        assert!(
            code == 0 && (said.is_empty() || said.starts_with("not running") || said.contains("no ledger to note")),
            "{said}"
        );
        assert!(matches!(starting.wait().code(), Some(0 | 1)));
        assert_eq!(run.ask("stop").0, 0);
        run.says("status", 3, "");
    }
}

/// Locks a ledger, as the process of a run does that has not begun, or that has ended and is still there.
fn lock(run: &Watched) -> Flock<fs::File> {
    let file = fs::File::options().read(true).write(true).open(run.ledger()).expect("it is there");
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).expect("nobody else has")
}

#[test]
fn a_run_that_has_ended_and_whose_process_is_still_there_is_waited_for() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    assert_eq!(run.ask("run -q -n 1"), (0, String::new()));
    let file = lock(&run);
    let byte =
        libc::flock { l_type: libc::F_RDLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 1, l_pid: 0 };
    fcntl(&*file, FcntlArg::F_SETLK(&byte)).expect("nobody else has it");
    run.is("ending", &[]);
    let starting = run.dir.start(&format!("start -c {}/conf", run.dir.path().display()));
    crate::clock::let_pass(std::time::Duration::from_millis(300));
    drop(file);
    assert!(row("ending").codes[1].contains(&starting.wait().code().expect("it was not killed")));
    run.is("running", &[]);
}

#[test]
fn a_lock_whose_process_never_says_which_one_it_is_is_no_run() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    assert_eq!(run.ask("run -q -n 1"), (0, String::new()));
    let file = lock(&run);
    run.is("starting", &["start"]);
    assert_eq!(run.run("status --json").json()["run"], "starting");
    drop(file);
    // Both wait until there is nothing to wait for any more.
    for (command, code) in [("stop", 0), ("reload", 1)] {
        let file = lock(&run);
        let waiting = run.dir.start(&format!("{command} -c {}/conf", run.dir.path().display()));
        crate::clock::let_pass(std::time::Duration::from_millis(200));
        drop(file);
        assert_eq!(waiting.wait().code(), Some(code));
    }
}

#[test]
fn a_start_waits_for_a_run_that_ends() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    for _ in 0..5 {
        assert_eq!(run.ask("start"), (0, String::new()));
        let pid = run.pid();
        signal::kill(pid, Signal::SIGTERM).expect("it runs");
        wait_until("it was told", || run.run("status --json").json()["run"] != "running");
        assert_eq!(run.ask("start"), (0, String::new()));
        wait_until("another one runs", || run.pid() != pid && run.run("status --json").json()["run"] == "running");
        assert_eq!(run.ask("stop").0, 0);
    }
}

#[test]
fn a_run_that_a_service_manager_would_start_again_is_not_stopped() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    // What the script for procd sets. systemd also shows in the control group, which tests/systemd has.
    let start = |name: &str, value: &str| {
        let mut start = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
        start.env(name, value).args(["start", "-c"]).arg(run.dir.path().join("conf"));
        assert_eq!(run.dir.spawn(start, Stdio::piped()).wait().outcome(), "exit 0");
        run.pid()
    };
    let pid = start("TCPMON_SERVICE", "procd");
    let words = format!(
        "tcpmon: stop: pid {pid} is the main process of a service, which would start it again: nothing is stopped, \
         run: /etc/init.d/tcpmon stop"
    );
    assert_eq!(run.ask("stop"), (1, words));
    assert_eq!(run.pid(), pid, "it goes on");
    run.is("running", &[]);
    assert_eq!(run.ask("stop --for-restart"), (0, String::new()));
    run.is("ended", &[]);
    // The variables of a service that this run has inherited.
    start("SYSTEMD_EXEC_PID", "1");
    assert_eq!(run.ask("stop"), (0, String::new()));
    run.is("stopped", &[]);
}

#[test]
fn a_run_in_another_pid_namespace_or_without_proc_is_known_by_its_lock() {
    namespace::within(|| {
        let web = Accepting::new();
        let run = Watched::new(&target(&web));
        assert_eq!(run.ask("start"), (0, String::new()));
        let pid = run.pid();
        let within = |how: &str, command: &str| {
            let mut shell = Command::new("unshare");
            let script = format!("{} {command} -c {}/conf", env!("CARGO_BIN_EXE_tcpmon"), run.dir.path().display());
            let prefix = if how == "no /proc" { "mount -t tmpfs none /proc && " } else { "" };
            let flags: &[&str] = if how == "no /proc" { &["-m"] } else { &["-p", "-f", "--mount-proc"] };
            shell.args(flags).args(["sh", "-c", &format!("{prefix}{script}")]);
            run.dir.spawn(shell, Stdio::piped()).wait()
        };
        let Row { words, codes } = row("another namespace");
        for (command, codes) in ["status", "start", "stop", "reload"].into_iter().zip(codes) {
            let ended = within("a namespace", command);
            assert!(codes.contains(&ended.code().expect("it was not killed")), "{command}: {ended:?}");
            let said = match command {
                "status" => ended.stdout.contains(words),
                "start" => ended.stderr.is_empty(),
                _ => ended.stderr.contains("it cannot be seen from here (pid "),
            };
            assert!(said, "{command}: {ended:?}");
        }
        let status = within("no /proc", "status");
        assert!(status.stdout.contains(&format!("; running as pid {pid} since")), "{status:?}");
        assert_eq!(within("no /proc", "stop --for-restart").outcome(), "exit 0");
        run.says("status", 3, ": ended; last seen ");
        // One that was started without /proc.
        assert_eq!(within("no /proc", "start").outcome(), "exit 0");
        run.says("status", 0, "running as pid");
        assert_eq!(run.ask("stop"), (0, String::new()));
    });
}

#[test]
fn a_name_that_a_foreign_process_holds_is_ignored_and_said() {
    namespace::within(|| {
        let web = Accepting::new();
        let run = Watched::new(&target(&web));
        assert_eq!(run.ask("start"), (0, String::new()));
        let names = fs::read_to_string("/proc/net/unix").expect("proc is mounted");
        let names: Vec<String> = names
            .lines()
            .filter_map(|line| line.split_once("@tcpmon-"))
            .map(|(_, name)| format!("tcpmon-{name}"))
            .collect();
        assert_eq!(names.len(), 2, "of the configuration and of the ledger: {names:?}");
        assert_eq!(run.ask("stop"), (0, String::new()));
        let _held: Vec<UnixDatagram> = names
            .iter()
            .map(|name| {
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name).expect("a short name");
                UnixDatagram::bind_addr(&address).expect("its name is free")
            })
            .collect();
        run.says("status", 3, ": stopped; last seen ");
        run.says("stop", 0, "not running");
        let started = run.run("start");
        let said = started.stderr.matches("a process has its name that is no run of this user").count();
        assert_eq!((started.code(), said), (Some(0), 2), "{started:?}");
        run.says("status", 0, "running as pid");
        assert_eq!(run.ask("start").0, 0);
        assert_eq!(run.ask("stop"), (0, String::new()));
    });
}

#[test]
fn without_a_target_a_start_says_what_to_do_and_cron_stays_silent() {
    let run = Watched::new("");
    run.says("start", 1, "no target, add a line such as: target web www.example.com 443");
    assert_eq!(run.ask("start --unless-stopped"), (0, String::new()));
    run.says("check", 2, "no target");
}

#[test]
fn a_reload_says_what_has_changed_or_why_not() {
    let web = Accepting::new();
    let run = Watched::new(&target(&web));
    assert_eq!(run.ask("start"), (0, String::new()));
    run.configure("log", &format!("{0}target second 127.0.0.1 1\n", target(&web)));
    run.says("reload", 0, "1 new, 0 removed, 1 target kept");
    run.configure("log", "target second 127.0.0.1 1\n");
    run.says("reload", 0, "0 new, 1 removed, 1 target kept");
    run.configure("log", "target second 127.0.0.1\nintervall 1s\n");
    let refused = run.run("reload");
    assert_eq!((refused.code(), refused.stderr.lines().count()), (Some(2), 3), "{refused:?}");
    let status = run.run("status --json").json();
    let targets = status["targets"].as_array().expect("a list");
    let configured = targets.iter().filter(|target| target["configured"] == true).count();
    assert_eq!(configured, 1, "the run was not told: {status}");
}

#[test]
fn root_reads_no_configuration_of_others_unasked() {
    if !nix::unistd::geteuid().is_root() {
        return skip("states::root_reads_no_configuration_of_others_unasked", "not root");
    }
    let dir = RunDir::new();
    let lines = "target x 127.0.0.1 1\n";
    dir.write("tcpmon.conf", lines);
    let conf = dir.path().join("tcpmon.conf");
    assert!(dir.run("check").stdout.starts_with("./tcpmon.conf: OK"));
    std::os::unix::fs::chown(&conf, Some(65_534), None).expect("we are root");
    let ended = dir.run("check");
    assert!(
        !ended.stdout.contains("./tcpmon.conf") && ended.stderr.contains("./tcpmon.conf is not root's"),
        "{ended:?}"
    );
    assert!(dir.run("check -c ./tcpmon.conf").stdout.starts_with("./tcpmon.conf: OK"), "asked for, it is read");
    fs::remove_file(&conf).expect("it is there");
    dir.write("roots", lines);
    std::os::unix::fs::symlink("roots", &conf).expect("its name is free");
    assert!(!dir.run("check").stdout.contains("./tcpmon.conf"), "a link may be planted");
}

#[test]
fn a_service_manager_is_told_when_the_run_probes_and_not_of_a_mistake() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let socket = UnixDatagram::bind(dir.path().join("notify")).expect("our own directory");
    socket.set_nonblocking(true).expect("a socket");
    let with = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
        command.args(arguments.split_whitespace()).env("NOTIFY_SOCKET", dir.path().join("notify"));
        dir.spawn(command, Stdio::piped())
    };
    assert_eq!(with("run web").wait().code(), Some(2));
    let mut word = [0; 16];
    assert!(socket.recv(&mut word).is_err(), "nothing was said");
    let run = with(&format!("run -q web={}", web.address));
    wait_until("it is ready", || socket.recv(&mut word).is_ok_and(|length| &word[..length] == b"READY=1"));
    assert_eq!(run.end().code(), Some(0));
}
