//! The daily log: its content in a normal run, and that nothing is lost when it cannot be written.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use tcpmon::model::log_names::Kind;
use tcpmon::sys::sandbox;

use crate::clock::{self, wait_until};
use crate::keep::log;
use crate::listener::Accepting;
use crate::namespace::{self, Disk, skip};
use crate::running::{Row, RunDir, Running, logs_in, rows_in, rows_of, total};

const HEADER: &str = "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s |  DNS1-5s | DNSFail | ConnFailed | Total";

fn lines(run: &Running) -> usize {
    run.stderr().lines().count()
}

fn seconds(row: &Row) -> u64 {
    let (_, time) = row.stamp.split_once(' ').expect("a date and a time");
    time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u64>().expect("a number"))
}

#[test]
fn a_file_has_one_header_and_its_rows_stand_in_the_order_of_the_configuration() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let at = web.address;
    let arguments = format!("-q --for 2500ms --interval 250ms --report 1s zebra={at} ant={at} zebra={at} cat={at}");
    // The second run continues the file of the first.
    for _ in 0..2 {
        assert_eq!(dir.run(&arguments).outcome(), "exit 0");
    }
    for log in dir.logs() {
        let text = fs::read_to_string(&log).expect("a log is text");
        assert_eq!(text.lines().next(), Some(HEADER));
        assert_eq!(text.matches("Timestamp").count(), 1, "{text}");
        assert_eq!(fs::metadata(&log).expect("it is there").mode() & 0o7777, 0o644);
    }
    let rows = dir.rows();
    assert!(rows.len() >= 2 * 3 * 4, "two boundaries and the end of each run: {rows:?}");
    for report in rows.chunks(4) {
        let services: Vec<&str> = report.iter().map(|row| row.service.as_str()).collect();
        assert_eq!(services, ["zebra", "ant", "zebra", "cat"]);
        assert!(report.iter().all(|row| row.stamp == report[0].stamp), "{report:?}");
    }
    let services = ["zebra", "ant", "cat"].iter();
    assert_eq!(services.map(|service| total(&rows, service)).sum::<u64>(), web.total() as u64);
}

#[test]
fn rows_of_two_runs_in_one_directory_stand_below_the_headings_of_their_own_thresholds() {
    let web = Accepting::new();
    let dir = RunDir::new();
    // As an editor or a copy that was cut short may leave it.
    let today = format!("tcp_stats_{}.log", &clock::wall()[..10].replace('-', ""));
    dir.write(&today, "# a line without its end");
    let start = |slow: &str, timeout: &str| {
        let limits = format!("--slow {slow} --timeout {timeout} --ledger ./ledger-{slow}-{timeout}");
        dir.start(&format!("-q --interval 200ms --report 1s {limits} slow-{slow}-of-{timeout}={}", web.address))
    };
    let runs = [start("1s", "5s"), start("2s", "3s"), start("1s", "3s")];
    clock::let_pass(Duration::from_millis(5500));
    for run in runs {
        assert_eq!(run.end().outcome(), "exit 0");
    }
    let mut rows = 0;
    for log in dir.logs() {
        let text = fs::read_to_string(&log).expect("a log is text");
        let mut limits = None;
        for line in text.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let ["Timestamp", _, fast, slow, ..] = cells[..] {
                limits = Some((fast.replace("Conn<", ""), slow.rsplit('-').next().unwrap_or_default().to_string()));
            } else if let ([_, service, .., _], Some((slow, timeout))) = (&cells[..], &limits) {
                assert_eq!(cells.len(), 9, "a whole row: {line}");
                assert_eq!(*service, format!("slow-{slow}-of-{timeout}"), "{text}");
                rows += 1;
            }
        }
        if log.ends_with(&today) {
            assert!(text.starts_with("# a line without its end\nTimestamp "), "{text}");
        }
    }
    assert!(rows >= 3 * 5, "{rows} rows");
}

#[test]
fn reports_fall_on_multiples_of_their_interval_and_the_console_names_each() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let ended = dir.run(&format!("--for 5s --interval 250ms --report 2s web={}", web.address));
    assert_eq!(ended.outcome(), "exit 0");
    let rows = dir.rows();
    let (last, boundaries) = rows.split_last().expect("the last report at least");
    assert!((2..=3).contains(&boundaries.len()), "{rows:?}");
    assert!(boundaries.iter().all(|row| seconds(row) % 2 == 0), "{rows:?}");
    assert!(boundaries.windows(2).all(|pair| (seconds(&pair[0]) + 2) % 86_400 == seconds(&pair[1])), "{rows:?}");
    assert_eq!(total(&rows, "web"), web.total() as u64);

    let said: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("Statistics logged to ")).collect();
    let logged = |row: &Row| {
        let date = row.stamp[..10].replace('-', "");
        format!("Statistics logged to tcp_stats_{date}.log at {}", row.stamp)
    };
    let expected: Vec<String> = boundaries.iter().chain([last]).map(logged).collect();
    assert_eq!(said, expected);
}

#[test]
fn the_latest_log_has_a_link() {
    let web = Accepting::new();
    let dir = RunDir::new();
    assert_eq!(dir.run(&format!("-q -n 1 --log-dir new/logs web={}", web.address)).outcome(), "exit 0");
    let logs = logs_in(&dir.path().join("new/logs"));
    let latest = fs::read_link(dir.path().join("new/logs/tcp_stats_latest.log")).expect("a symbolic link");
    assert_eq!(latest.to_str(), logs.last().and_then(|log| log.file_name()?.to_str()));
}

#[test]
fn sigusr1_reports_now() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 200ms --report 1h web={}", web.address));
    wait_until("it probes", || web.accepted().len() >= 3);
    run.signal(Signal::SIGUSR1);
    wait_until("the report is there", || total(&dir.rows(), "web") >= 3);
    web.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(ended.outcome(), "exit 0");
    let rows = dir.rows();
    assert!(rows.len() >= 2, "{rows:?}");
    assert_eq!(total(&rows, "web"), web.total() as u64);
}

/// Runs twelve services with a log on a disk that `breaks` and is `mended` later. Checks that each is
/// said once, that the log never has half a report, and that no count is lost.
fn a_broken_disk_loses_nothing(breaks: impl Fn(&Disk), mended: impl Fn(&Disk), from_the_start: bool) {
    let web = Accepting::new();
    let dir = RunDir::new();
    let directory = dir.path().join("disk");
    fs::create_dir(&directory).expect("our own directory");
    let disk = Disk::mounted(&directory, "192k");
    let services: Vec<String> = (1..=12).map(|number| format!("service-{number:02}")).collect();
    let targets: Vec<String> = services.iter().map(|service| format!("{service}={}", web.address)).collect();
    if from_the_start {
        breaks(&disk);
    }
    // The ledger is on another disk: this is no test of a run without one.
    let ledger = if from_the_start { "--ledger ./ledger" } else { "" };
    let run = dir.start(&format!("-q --interval 400ms --report 1s --log-dir disk {ledger} {}", targets.join(" ")));
    if !from_the_start {
        wait_until("the first report is there", || !rows_in(&directory).is_empty());
        breaks(&disk);
    }
    wait_until("it is said", || lines(&run) > 0);
    let said = run.stderr();
    // Three more reports are due.
    clock::let_pass(Duration::from_millis(3200));
    assert_eq!(run.stderr(), said, "once");
    for log in logs_in(&directory) {
        let text = fs::read_to_string(log).expect("a log is text");
        assert!(text.is_empty() || rows_of(&text).len() % 12 == 0, "half a report:\n{text}");
    }
    mended(&disk);
    wait_until("the end of it is said", || lines(&run) > 1);

    web.wait_for_a_round(12);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
    for line in ended.stderr.lines() {
        assert!(line.starts_with("tcpmon: ") && line.contains("disk"), "{line}");
    }
    let rows = rows_in(&directory);
    for service in &services {
        assert_eq!(12 * total(&rows, service), web.total() as u64, "{service}");
    }
}

const BALLAST: &str = "ballast";

fn fill(disk: &Disk) {
    let mut file = fs::File::create(disk.path().join(BALLAST)).expect("a file needs no block yet");
    while file.write_all(&[0; 4096]).is_ok() {}
}

fn empty(disk: &Disk) {
    fs::remove_file(disk.path().join(BALLAST)).expect("it is there");
}

#[test]
fn a_disk_that_becomes_full_loses_no_count_and_shows_no_half_report() {
    namespace::within(|| a_broken_disk_loses_nothing(fill, empty, false));
}

#[test]
fn a_disk_that_is_full_at_the_start_loses_no_count() {
    namespace::within(|| a_broken_disk_loses_nothing(fill, empty, true));
}

#[test]
fn a_disk_that_is_read_only_at_the_start_loses_no_count() {
    namespace::within(|| a_broken_disk_loses_nothing(|disk| disk.remount("ro"), |disk| disk.remount("rw"), true));
}

#[test]
fn without_the_sandbox_a_directory_that_is_removed_is_made_again() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let directory = dir.path().join("log");
    let run = dir.start(&format!("-q --interval 200ms --report 1s --sandbox off --log-dir log web={}", web.address));
    wait_until("a report is there", || !rows_in(&directory).is_empty());
    // A rename removes it at once and keeps its rows, which are counted below.
    let removed = dir.path().join("removed");
    fs::rename(&directory, &removed).expect("our own directory");
    wait_until("a report is there", || !rows_in(&directory).is_empty());
    web.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "tcpmon: ledger: log/tcpmon.ledger was removed, it is written again with all its counts\n"
    );
    let counted = total(&rows_in(&removed), "web") + total(&rows_in(&directory), "web");
    assert_eq!(counted, web.total() as u64);
    assert_eq!(rows_in(&directory)[0].service, "web");
}

/// What is put in the place of a directory that is taken away.
type Replacement = (&'static str, fn(&Path));

fn replacements() -> [Replacement; 3] {
    [
        ("nothing", |_| {}),
        ("another directory", |path| fs::create_dir(path).expect("its name is free")),
        ("a link", |path| symlink("victim", path).expect("its name is free")),
    ]
}

#[test]
fn in_the_sandbox_a_run_ends_when_its_directory_is_taken_away_and_leaves_its_counts_to_the_next() {
    if sandbox::Rules::new().is_err() {
        return skip("daily_log::in_the_sandbox_a_run_ends", "this kernel has no Landlock");
    }
    for (what, replace) in replacements() {
        let web = Accepting::new();
        let dir = RunDir::new();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("victim")).expect("our own directory");
        let arguments = format!("-q --interval 200ms --report 1s --log-dir log --ledger ./ledger web={}", web.address);
        let run = dir.start(&arguments);
        wait_until("a report is there", || !rows_in(&path("log")).is_empty());
        fs::rename(path("log"), path("moved")).expect("our own directory");
        replace(&path("log"));
        let ended = run.wait();
        let said = "tcpmon: log: log was taken away, and a run in the sandbox cannot use another one, ";
        let lines: Vec<_> = ended.stderr.lines().map(|line| line.strip_prefix(said).unwrap_or(line)).collect();
        let [first, last] = lines[..] else { panic!("two lines: {ended:?}") };
        assert_eq!(first, "this run ends", "{what}");
        assert!(last.starts_with("the run ends without its last report of "), "{last}");
        assert!(last.ends_with("; the ledger keeps it for the next run"), "{last}");
        assert_eq!(logs_in(&path("victim")).len(), 0, "{what}");
        let _ = fs::remove_file(path("log"));
        dir.run(&format!("{arguments} -n 1"));
        let counted = total(&rows_in(&path("moved")), "web") + total(&rows_in(&path("log")), "web");
        assert_eq!(counted, web.total() as u64, "{what}");
    }
}

#[test]
fn without_the_sandbox_a_link_that_is_planted_for_the_directory_is_not_followed() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let path = |name: &str| dir.path().join(name);
    for name in ["real/above/log", "victim/log"] {
        fs::create_dir_all(path(name)).expect("our own directory");
    }
    // A link that is there at the start is the operator's.
    symlink("real/above", path("link")).expect("its name is free");
    let arguments = "-q --interval 200ms --report 1s --sandbox off --log-dir link/log --ledger ./ledger";
    let run = dir.start(&format!("{arguments} web={}", web.address));
    wait_until("a report is there", || !rows_in(&path("real/above/log")).is_empty());
    fs::rename(path("real/above"), path("moved")).expect("our own directory");
    symlink("../victim", path("real/above")).expect("its name is free");
    wait_until("it is said", || lines(&run) > 0);
    fs::remove_file(path("real/above")).expect("our own link");
    wait_until("the end of it is said", || lines(&run) > 1);
    web.wait_for_a_round(1);
    let ended = run.end();
    let lines: Vec<_> = ended.stderr.lines().map(|line| line.replace(char::is_numeric, "")).collect();
    let file = "tcpmon: log: link/log/tcp_stats_.log";
    assert_eq!(
        lines,
        [
            format!(
                "{file} cannot be opened (Not a directory), the counts are kept and go into the next report that can be written"
            ),
            format!("{file} can be written again, this report holds all that was kept"),
        ]
    );
    assert_eq!(fs::read_dir(path("victim/log")).expect("our own directory").count(), 0);
    let counted = total(&rows_in(&path("moved/log")), "web") + total(&rows_in(&path("real/above/log")), "web");
    assert_eq!(counted, web.total() as u64);
}

/// What others can put at a name, each made by a function with the name and a victim.
type Plant = fn(&Path, &Path);

const LINK: Plant = |name, victim| symlink(victim, name).expect("its name is free");
const HARD_LINK: Plant = |name, victim| fs::hard_link(victim, name).expect("its name is free");
const PIPE: Plant = |name, _| mkfifo(name, Mode::S_IRWXU).expect("its name is free");
const DIRECTORY: Plant = |name, _| fs::create_dir(name).expect("its name is free");
const SOCKET: Plant = |name, _| drop(UnixListener::bind(name).expect("its name is free"));
/// The null device, if we may make one.
const DEVICE: Plant = |name, _| {
    let null = mknod(name, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3));
    null.or_else(|_| mkfifo(name, Mode::S_IRWXU)).expect("its name is free");
};
/// A file.
const FILE: Plant = |name, _| fs::write(name, "somebody's").expect("its name is free");

/// Plants something at these names, runs once, and returns what was said. Nothing happens to the victim.
fn with_planted(names: &[String], plant: Plant) -> (RunDir, Vec<String>) {
    let web = Accepting::new();
    let dir = RunDir::new();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious\n").expect("our own directory");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o640)).expect("our own file");
    fs::create_dir(dir.path().join("log")).expect("our own directory");
    for name in names {
        plant(&dir.path().join("log").join(name), &victim);
    }
    let ended = dir.run(&format!("-q -n 1 --log-dir log web={}", web.address));
    assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious\n");
    assert_eq!(fs::metadata(&victim).expect("it is there").mode() & 0o7777, 0o640);
    let lines = ended.stderr.lines().map(|line| line.replace(char::is_numeric, ""));
    (dir, lines.collect())
}

#[test]
fn whatever_has_the_logs_name_and_is_no_file_of_its_own_is_left_alone() {
    // Midnight may come.
    let names = [log(0), log(-1)];
    for (plant, why) in [
        (LINK, "it is a symbolic link, and none is followed"),
        (HARD_LINK, "it has another hard link, and none is used"),
        (PIPE, "it is no regular file"),
        (DEVICE, "it is no regular file"),
        (DIRECTORY, "Is a directory"),
        (SOCKET, "No such device or address"),
    ] {
        let (dir, said) = with_planted(&names, plant);
        let expected = format!(
            "tcpmon: log: log/tcp_stats_.log cannot be opened ({why}), the run ends without its last report of  probe; \
             the ledger keeps it for the next run"
        );
        assert_eq!(said, [expected]);
        assert!(names.iter().all(|name| dir.path().join("log").join(name).symlink_metadata().is_ok()));
    }
}

#[test]
fn whatever_has_the_name_of_the_link_and_is_none_is_left_alone_and_its_scratch_name_is_cleared() {
    for plant in [HARD_LINK, PIPE, DEVICE, DIRECTORY, SOCKET, FILE] {
        let (dir, said) = with_planted(&["tcp_stats_latest.log".to_string()], plant);
        let why = "tcp_stats_latest.log in log cannot be made a link (File exists), the log is written without it";
        assert_eq!(said, [format!("tcpmon: log: {why}")]);
        assert!(!dir.path().join("log/tcp_stats_latest.log").is_symlink());
    }
    // A link to something else is ours from an earlier day, or as good as that.
    let (dir, said) = with_planted(&["tcp_stats_latest.log".to_string()], LINK);
    let latest = fs::read_link(dir.path().join("log/tcp_stats_latest.log")).expect("a link");
    assert_eq!((said.len(), latest.to_string_lossy().starts_with("tcp_stats_2")), (0, true));

    for plant in [LINK, HARD_LINK, PIPE, DEVICE, SOCKET, FILE, DIRECTORY] {
        let (dir, said) = with_planted(&[Kind::Stats.latest_new().to_string()], plant);
        let is_directory = dir.path().join("log").join(Kind::Stats.latest_new()).is_dir();
        let expected: &[&str] = if is_directory {
            &[
                "tcpmon: log: tcp_stats_latest.log in log cannot be made a link (Is a directory), the log is written without it",
            ]
        } else {
            &[]
        };
        assert_eq!(said, expected);
        assert_eq!(dir.path().join("log/tcp_stats_latest.log").is_symlink(), !is_directory);
    }
}

#[test]
fn a_log_at_its_size_limit_does_not_end_the_run() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let targets = (0..39).map(|i| format!(" web{i}={}", web.address)).collect::<Vec<_>>().concat();
    assert_eq!(dir.run(&format!("-q -n 1{targets}")).outcome(), "exit 0");
    let size = fs::metadata(dir.logs().pop().expect("a log")).expect("it is there").len();
    assert!(size > 1024, "beyond the limit below, whose unit is 512 or 1024 bytes: {size}");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -f 1; exec {} -q -n 1 web={}", env!("CARGO_BIN_EXE_tcpmon"), web.address));
    let ended = dir.spawn(shell, Stdio::piped()).wait();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = "cannot be written (File too large), the run ends without its last report of 1 probe; the ledger keeps it for the next run\n";
    assert!(ended.stderr.ends_with(said) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    assert_eq!(fs::metadata(dir.logs().pop().expect("a log")).expect("it is there").len(), size);
}

#[test]
fn a_link_planted_at_the_logs_name_is_not_followed() {
    let web = Accepting::new();
    let dir = RunDir::new();
    // A first run shows today's file name.
    assert_eq!(dir.run(&format!("-q -n 1 web={}", web.address)).outcome(), "exit 0");
    let log = dir.logs().pop().expect("the report of the first run");
    let first = total(&dir.rows(), "web");
    fs::remove_file(&log).expect("it is there");
    dir.write("victim", "precious\n");
    symlink("victim", &log).expect("its name is free");

    let run = dir.start(&format!("-q --interval 200ms --report 1s web={}", web.address));
    wait_until("it is said", || lines(&run) > 0);
    assert_eq!(fs::read_to_string(dir.path().join("victim")).expect("it is there"), "precious\n");
    fs::remove_file(&log).expect("it is there");
    wait_until("the end of it is said", || lines(&run) > 1);
    web.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
    assert_eq!(fs::read_to_string(dir.path().join("victim")).expect("it is there"), "precious\n");
    assert_eq!(first + total(&dir.rows(), "web"), web.total() as u64);
}
