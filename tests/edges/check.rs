//! `check`: the settings with their origin, what it warns of on this box, and that it only looks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;

use crate::confinement::{NOBODY, is_root, open_dir};
use crate::listener::Accepting;
use crate::namespace::{self, Disk, skip};
use crate::refusal::refusing;
use crate::running::{Ended, RunDir};

/// The warnings without what all of them begin with.
fn warnings(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().map(|line| line.strip_prefix("tcpmon: ").unwrap_or(line)).collect()
}

/// The warnings of a configuration in this directory.
fn warned(dir: &RunDir, text: &str) -> Vec<String> {
    dir.write("conf", text);
    let ended = dir.run("check -c conf");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    warnings(&ended).into_iter().map(str::to_owned).collect()
}

#[test]
fn every_setting_is_printed_with_its_origin_as_a_configuration_that_says_the_same() {
    let dir = RunDir::new();
    dir.write(
        "a.conf",
        "# targets first\ntarget web 127.0.0.1 80 interval 1m down_after 1\ntarget v6 ::1 443\n\ntimeout 3s  # short\nledger led\n",
    );
    let options = ["check", "-v", "-c", "a.conf", "--log-dir", "logs", "my shop=127.0.0.1:81 up_after 7"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    command.args(options);
    let printed = dir.spawn(command, Stdio::piped()).wait();
    assert_eq!(printed.outcome(), "exit 0");
    let lines: Vec<&str> = printed.stdout.lines().collect();
    for line in [
        "interval 2s                              # default",
        "timeout 3s                               # a.conf:5",
        "log_dir logs                             # command line",
        "ledger led                               # a.conf:6",
        "target my_shop 127.0.0.1 81 up_after 7   # command line",
        "target web 127.0.0.1 80 interval 1m down_after 1 # a.conf:2",
        "target v6 ::1 443                        # a.conf:3",
    ] {
        assert!(lines.contains(&line), "{line}\n{}", printed.stdout);
    }
    assert_eq!(lines.last(), Some(&"# a.conf: OK, 3 targets, at most 7 probes in flight, 0 warnings"));
    dir.write("new.conf", &printed.stdout);
    assert_eq!(
        dir.run("check -c new.conf").stdout,
        "new.conf: OK, 3 targets, at most 7 probes in flight, 0 warnings\n"
    );
    let bare = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split('#').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(bare(&dir.run("check -v -c new.conf").stdout), bare(&printed.stdout));
    assert!(
        dir.run("check -v").stdout.contains("\ntarget google dns.google 443             # embedded default list:2\n")
    );
}

#[test]
fn a_warning_changes_the_exit_status_only_with_strict() {
    let dir = RunDir::new();
    dir.write("one", "target db 127.0.0.1 3306\n");
    let text = "tcpmon: one:1: warning: db: 3306 is a port of MySQL and MariaDB: they count a connection that says nothing as \
                an error and block this box after max_connect_errors (100) in a row, whatever close is; raise that or probe \
                another port";
    let ended = dir.run("check -c one");
    assert_eq!(ended.outcome(), format!("exit 0\n{text}"));
    assert_eq!(ended.stdout, "one: OK, 1 target, at most 5 probes in flight, 1 warning\n");
    let ended = dir.run("check -q --strict -c one");
    assert_eq!((ended.outcome(), ended.stdout.as_str()), (format!("exit 2\n{text}"), ""));
    assert_eq!(dir.run("check --strict web=127.0.0.1:3307").outcome(), "exit 0");
    dir.write("wrong", "target db 127.0.0.1 3306\ninterval x\n");
    let ended = dir.run("check -c wrong");
    assert!(ended.code() == Some(2) && !ended.stderr.contains("warning"), "{ended:?}");
}

#[test]
fn a_target_that_is_listed_twice_and_the_ports_of_mysql_are_warned_of() {
    let dir = RunDir::new();
    let twice = "127.0.0.1:80 is listed twice, it has two rows; remove one if that is not meant";
    let text =
        "target a 127.0.0.1 80\ntarget b 127.0.0.1 80\ntarget a 127.0.0.1 81\ntarget a 127.0.0.1 80 interval 5s\n";
    assert_eq!(warned(&dir, text), [format!("conf:4: warning: a: {twice}")]);
    let ended = dir.run("check a=127.0.0.1:80 a=127.0.0.1:80");
    assert_eq!(warnings(&ended), [format!("command line: warning: a: {twice}")]);
    let ports = |port| warned(&dir, &format!("target a 127.0.0.1 {port}\n")).len();
    assert_eq!([3305, 3306, 3307, 33059, 33060, 33061].map(ports), [0, 1, 0, 0, 1, 0]);
}

#[test]
fn sources_and_devices_that_are_not_on_this_box_are_warned_of() {
    namespace::within(|| {
        let dir = RunDir::new();
        let own = "target a 127.0.0.1 80 source 127.0.0.1\ntarget b 192.0.2.9 80 source 192.0.2.1\n\
                   target c ::1 80 source 2001:db8::1\ntarget d 127.0.0.1 80 device lo\ntarget e fe80::1%lo 80\n";
        assert_eq!(warned(&dir, own), Vec::<String>::new());
        let other = "target a 127.0.0.1 80 source 192.0.2.2\ntarget b ::1 80 source 2001:db8::2\n\
                     target c 127.0.0.1 80 device wwan9\ntarget d fe80::1%wwan9 80\n\
                     target e 127.0.0.1 80 device 1\ntarget f fe80::1%1 80\n";
        let source = "is no address of this box, every connect fails; write a source that is";
        let device =
            "wwan9 cannot be used as device by the run's user (No such device), every connect fails; name another";
        assert_eq!(
            warned(&dir, other),
            [
                format!("conf:1: warning: a: 192.0.2.2 {source}"),
                format!("conf:2: warning: b: 2001:db8::2 {source}"),
                format!("conf:3: warning: c: {device}"),
                format!("conf:4: warning: d: {device}"),
                // The number of a device names it only in a scope.
                format!("conf:5: warning: e: {}", device.replace("wwan9", "1")),
            ]
        );
    });
}

#[test]
fn a_device_and_a_user_that_take_a_missing_right_are_warned_of() {
    let dir = RunDir::new();
    dir.write("conf", "target a 127.0.0.1 80 device lo\ntarget b fe80::1%lo 80\n");
    let checked = |call| {
        let mut command = refusing(&[call], Errno::EPERM);
        command.args(["check", "-c", "conf"]);
        dir.spawn(command, Stdio::piped()).wait()
    };
    // As before Linux 5.7. A scope takes no right.
    let device =
        "lo cannot be used as device by the run's user (Operation not permitted), every connect fails; name another";
    assert_eq!(warnings(&checked(libc::SYS_setsockopt)), [format!("conf:1: warning: a: {device}")]);
    if !is_root() {
        return skip("check::a_device_and_a_user_that_take_a_missing_right", "only root can become nobody");
    }
    dir.write("conf", "user nobody\ntarget a 127.0.0.1 80\n");
    let user = "this run cannot become nobody (Operation not permitted), nothing is started";
    assert_eq!(warnings(&checked(libc::SYS_setresuid)), [format!("conf:1: warning: user: {user}")]);
}

#[test]
fn more_queries_than_a_pi_hole_answers_are_warned_of() {
    namespace::within(|| {
        let dir = RunDir::new();
        let names = |count: usize, options: &str| -> String {
            (0..count).map(|i| format!("target n{i} n{i}.test 80 {options}\n")).collect::<Vec<_>>().concat()
        };
        // 50 a minute for each question, so 1,000 in all; a literal asks none.
        let most = names(10, "interval 1200ms") + "target one one.test 80 inet interval 1m\ntarget ip 127.0.0.1 80\n";
        assert_eq!(warned(&dir, &names(10, "interval 1200ms")), Vec::<String>::new());
        assert_eq!(warned(&dir, &format!("interval 1200ms\n{}", names(20, "inet6"))), Vec::<String>::new());
        let text = "interval: 1001 DNS queries a minute can be sent, a Pi-hole answers a client 1000; use a longer one";
        assert_eq!(warned(&dir, &most), [format!("check: warning: {text}")]);
        assert_eq!(warned(&dir, &format!("interval 2s\n{most}")), [format!("conf:1: warning: {text}")]);
    });
}

#[test]
fn a_resolver_file_without_a_server_is_warned_of_if_names_are_looked_up() {
    namespace::within(|| {
        let dir = RunDir::new();
        let file = Path::new("/etc/resolv.conf");
        if !file.exists() {
            return skip("check::a_resolver_file_without_a_server", "this machine has no /etc/resolv.conf");
        }
        let name = "target a a.test 80\n";
        let text = "check: warning: resolver: /etc/resolv.conf is not there or has no nameserver, 127.0.0.1 is asked; add a line: \
                    nameserver ADDRESS";
        for (content, said) in [
            ("nameserver 127.0.0.1\n", false),
            ("search .\nnameserver 127.0.0.1", false),
            ("# nameserver 127.0.0.1\nsearch .\n", true),
            ("", true),
        ] {
            fs::write(file, content).expect("it is bound to a file of ours");
            assert_eq!(warned(&dir, name), if said { vec![text] } else { vec![] }, "{content:?}");
        }
        assert_eq!(warned(&dir, "target a 127.0.0.1 80\n"), Vec::<String>::new());
    });
}

#[test]
fn a_file_system_that_is_read_only_or_nearly_full_is_warned_of() {
    namespace::within(|| {
        let dir = RunDir::new();
        fs::create_dir(dir.path().join("disk")).expect("our own directory");
        let disk = Disk::mounted(&dir.path().join("disk"), "1m");
        let conf = |rest: &str| format!("log_dir disk/log\n{rest}target a 127.0.0.1 80\n");
        assert_eq!(warned(&dir, &conf("samples on\n")), Vec::<String>::new());
        fs::write(disk.path().join("much"), [0; 960 << 10]).expect("it fits");
        assert_eq!(warned(&dir, &conf("")), Vec::<String>::new());
        let full = "disk/log has less than a tenth of its file system free, samples pause; make space";
        assert_eq!(warned(&dir, &conf("samples on\n")), [format!("conf:1: warning: log_dir: {full}")]);
        disk.remount("ro");
        let read_only = "cannot be written by the run's user (Read-only file system), no file can be made there; chown it or \
                         name another";
        assert_eq!(warned(&dir, &conf("")), [format!("conf:1: warning: log_dir: disk/log {read_only}")]);
        assert_eq!(
            warned(&dir, "ledger ./disk/ledger\ntarget a 127.0.0.1 80\n"),
            [format!("conf:1: warning: ledger: ./disk {read_only}")]
        );
        // That it is a file is said, too.
        assert_eq!(
            warned(&dir, "log_dir conf\ntarget a 127.0.0.1 80\n"),
            [
                "conf:1: warning: log_dir: conf cannot be reached by the run's user (Not a directory), no file can be made there; \
              mend what is above it or name another"
            ]
        );
    });
}

#[test]
fn a_directory_that_the_user_cannot_write_and_does_not_get_is_warned_of() {
    if !is_root() {
        return skip("check::a_directory_that_the_user_cannot_write", "only root can become nobody");
    }
    let dir = open_dir();
    let path = |name: &str| dir.path().join(name);
    for name in ["roots", "theirs", "tcpmon", "logged"] {
        fs::create_dir(path(name)).expect("our own directory");
    }
    chown(path("theirs"), Some(NOBODY), None).expect("we are root");
    let conf = |rest: &str| format!("user nobody\n{rest}\ntarget a 127.0.0.1 80\n");
    let text =
        "cannot be written by the run's user (Permission denied), no file can be made there; chown it or name another";
    for (directory, said) in [("roots", true), ("roots/below", false), ("theirs", false), ("theirs/below", false)] {
        let expected = if said { vec![format!("conf:2: warning: log_dir: {directory} {text}")] } else { vec![] };
        assert_eq!(warned(&dir, &conf(&format!("log_dir {directory}"))), expected, "{directory}");
    }
    // One with a log of ours is handed over, but not one with no more than a ledger.
    fs::write(path("logged/tcpmon.ledger"), "").expect("our own directory");
    assert_eq!(warned(&dir, &conf("log_dir logged")), [format!("conf:2: warning: log_dir: logged {text}")]);
    fs::write(path("logged/tcp_stats_20000101.log"), "").expect("our own directory");
    assert_eq!(warned(&dir, &conf("log_dir logged")), Vec::<String>::new());
    // An empty directory with our name is given to the user at the start, and so is a ledger, but not a directory with
    // files of others.
    assert_eq!(warned(&dir, &conf("log_dir tcpmon")), Vec::<String>::new());
    assert_eq!(warned(&dir, &conf("log_dir theirs\nledger ./roots/ledger")), Vec::<String>::new());
    fs::write(path("tcpmon/other"), "").expect("our own directory");
    assert_eq!(warned(&dir, &conf("log_dir tcpmon")), [format!("conf:2: warning: log_dir: tcpmon {text}")]);
    assert_eq!(
        warned(&dir, &conf("log_dir theirs\nledger /proc/sys/ledger")),
        [format!("conf:3: warning: ledger: /proc/sys {text}")]
    );
    // Nothing was made or given.
    let owner = |name: &str| fs::metadata(path(name)).expect("it is there").uid();
    assert_eq!(["roots", "theirs", "tcpmon"].map(owner), [0, NOBODY, 0]);
    assert!(!path("roots/below").exists() && !path("roots/ledger").exists() && !path("theirs/below").exists());
    // What is made below a directory that the user cannot enter is out of reach, whoever owns it.
    fs::create_dir_all(path("private/theirs")).expect("our own directory");
    chown(path("private/theirs"), Some(NOBODY), None).expect("we are root");
    fs::set_permissions(path("private"), fs::Permissions::from_mode(0o700)).expect("our own directory");
    for directory in ["private/theirs", "private/new"] {
        let said = "cannot be reached by the run's user (Permission denied), no file can be made there; mend what is above it \
                    or name another";
        let expected = [format!("conf:2: warning: log_dir: {directory} {said}")];
        assert_eq!(warned(&dir, &conf(&format!("log_dir {directory}"))), expected);
    }
    // Without `user` root can write everywhere.
    assert_eq!(warned(&dir, "log_dir roots\ntarget a 127.0.0.1 80\n"), Vec::<String>::new());
}

#[test]
fn a_resolver_file_that_the_user_cannot_read_is_warned_of() {
    if !is_root() {
        return skip("check::a_resolver_file_that_the_user_cannot_read", "only root can become nobody");
    }
    let dir = open_dir();
    dir.write("resolv.conf", "nameserver 127.0.0.1\n");
    dir.write("conf", "user nobody\nlog_dir tcpmon\ntarget a a.test 80\n");
    fs::set_permissions(dir.path().join("resolv.conf"), fs::Permissions::from_mode(0o600)).expect("our own file");
    let mut command = Command::new("unshare");
    let script =
        format!("mount --bind resolv.conf /etc/resolv.conf && exec {} check -c conf", env!("CARGO_BIN_EXE_tcpmon"));
    command.args(["--mount", "sh", "-c", &script]);
    let ended = dir.spawn(command, Stdio::piped()).wait();
    if !ended.stdout.starts_with("conf: OK") {
        return skip("check::a_resolver_file_that_the_user_cannot_read", "no mount namespace can be made here");
    }
    assert_eq!(
        warnings(&ended),
        [
            "check: warning: resolver: /etc/resolv.conf cannot be read by the run's user, every lookup is skipped; make it readable"
        ]
    );
}

#[test]
fn only_root_can_look_as_the_user() {
    let dir = RunDir::new();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", env!("CARGO_BIN_EXE_tcpmon")]);
    dir.write("conf", "target a 127.0.0.1 80\nuser nobody\n");
    command.args(["check", "-c", "conf"]);
    let ended = dir.spawn(command, Stdio::piped()).wait();
    if ended.code() != Some(0) {
        return skip(
            "check::only_root_can_look_as_the_user",
            "no user namespace can be made here, or there is no nobody",
        );
    }
    assert_eq!(warnings(&ended), ["conf:2: warning: user: only root can become nobody, this run keeps its user"]);
}

#[test]
fn too_few_descriptors_and_helpers_are_warnings() {
    let dir = RunDir::new();
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_tcpmon");
    command.args([
        "-c",
        &format!("ulimit -n 64 && exec {program} check --helpers 2 --interval 100ms a=127.0.0.1:80 'b=b.test:80 inet'"),
    ]);
    let ended = dir.spawn(command, Stdio::piped()).wait();
    let said: Vec<&str> = warnings(&ended).into_iter().filter(|line| !line.contains("resolver")).collect();
    let [descriptors, helpers] = said[..] else { panic!("{said:?}") };
    assert_eq!(
        descriptors,
        "check: warning: descriptors: 64 may be open and 218 can be needed when targets hang, ticks beyond are skipped; \
         raise it with ulimit -n"
    );
    assert!(helpers.starts_with("check: warning: helpers: 50 can be needed while no name server answers"), "{helpers}");
}

/// The names in a directory and below, each with its owner, mode, length and time.
fn listing(directory: &Path) -> BTreeMap<String, (u32, u32, u64, i64, i64)> {
    let mut names = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("our own directory") {
        let path = entry.expect("it can be read").path();
        let data = fs::symlink_metadata(&path).expect("it is there");
        names
            .insert(path.display().to_string(), (data.uid(), data.mode(), data.len(), data.mtime(), data.ctime_nsec()));
        if data.is_dir() {
            names.extend(listing(&path));
        }
    }
    names
}

#[test]
fn a_check_sends_nothing_and_changes_nothing() {
    let web = Accepting::new();
    let port = web.address.port();
    let dir = open_dir();
    fs::create_dir(dir.path().join("tcpmon")).expect("our own directory");
    fs::write(dir.path().join("tcpmon/tcp_stats_20000101.log"), "").expect("our own directory");
    let user = if is_root() { "user nobody\n" } else { "" };
    dir.write(
        "conf",
        &format!(
            "{user}log_dir tcpmon\nsamples on\ntarget a 127.0.0.1 {port} source 127.0.0.1\ntarget b localhost {port}\n\
             target c 127.0.0.1 {port} device lo\ntarget d d.test 80 inet source 192.0.2.99\ntarget e fe80::1%lo 80\n"
        ),
    );
    for log_dir in ["tcpmon", "missing/tcpmon"] {
        let before = listing(dir.path());
        let arguments = ["check", "-v", "-c", "conf", "--log-dir", log_dir];
        assert_eq!(dir.run(&arguments.join(" ")).code(), Some(0));
        assert_eq!(listing(dir.path()), before);
        assert_eq!(web.total(), 0, "nobody has connected");

        let mut command = Command::new("strace");
        command.args(["-f", "-o", "calls", env!("CARGO_BIN_EXE_tcpmon")]).args(arguments);
        let ended = dir.spawn(command, Stdio::piped()).wait();
        let Ok(calls) = fs::read_to_string(dir.path().join("calls")) else {
            return skip("check::a_check_sends_nothing_and_changes_nothing", "strace does not work here");
        };
        assert!(ended.stdout.contains("conf: OK, 5 targets") && calls.contains("bind("), "{ended:?}\n{calls}");
        let forbidden = [
            "connect(",
            "send",
            "listen(",
            "O_CREAT",
            "O_TRUNC",
            "mkdir",
            "rename",
            "unlink",
            "symlink",
            "chown",
            "chmod",
            "truncate",
            "fallocate",
            "fork",
            "exec",
        ];
        let done: Vec<&str> =
            calls.lines().skip(1).filter(|line| forbidden.iter().any(|call| line.contains(call))).collect();
        assert_eq!(done, Vec::<&str>::new());
        fs::remove_file(dir.path().join("calls")).expect("our own file");
    }
}
