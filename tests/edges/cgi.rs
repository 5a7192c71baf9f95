//! `tcpmon cgi`: each answer as a web server gets it, byte for byte, and that nothing is changed or left behind. That
//! real web servers serve it is in `servers`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::confinement::{NOBODY, is_root, open_dir};
use crate::listener::{Accepting, Closed};
use crate::namespace::skip;
use crate::running::{Ended, RunDir};

/// An answer: the lines of its head, and its content.
#[derive(Debug, PartialEq)]
struct Answer {
    head: Vec<String>,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        self.head[0].strip_prefix("Status: ").expect("it begins with its status")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

/// Reads an answer and checks what holds for each.
fn read(ended: &Ended) -> Answer {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let (head, body) = ended.stdout.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {ended:?}"));
    let answer = Answer { head: head.split("\r\n").map(str::to_owned).collect(), body: body.to_owned() };
    let names: Vec<&str> = answer.head.iter().map(|line| line.split(": ").next().expect("a name")).collect();
    let always = [
        "Status",
        "Content-Type",
        "Content-Length",
        "Cache-Control",
        "X-Content-Type-Options",
        "Content-Security-Policy",
        "Referrer-Policy",
    ];
    let allow = answer.status().starts_with("405").then_some("Allow");
    assert_eq!(names, always.into_iter().chain(allow).collect::<Vec<_>>(), "{answer:?}");
    assert!(answer.head.iter().all(|line| !line.contains(char::is_control)), "{answer:?}");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert!(answer.header("Content-Security-Policy").is_some_and(|policy| policy.starts_with("default-src 'none';")));
    answer
}

/// The command that a web server would run, with these variables.
fn command(config: &Path, variables: &[(&str, &[u8])]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    command.args([OsStr::new("cgi"), OsStr::new("-c"), config.as_os_str()]);
    // Those of this process are none of a request.
    command.env_clear().env("GATEWAY_INTERFACE", "CGI/1.1").env("SCRIPT_NAME", "/cgi-bin/tcpmon.cgi");
    for (name, value) in variables {
        command.env(name, OsStr::from_bytes(value));
    }
    command
}

fn request(dir: &RunDir, method: &str, path: &[u8], query: &[u8]) -> Ended {
    let variables = [("REQUEST_METHOD", method.as_bytes()), ("PATH_INFO", path), ("QUERY_STRING", query)];
    dir.spawn(command(&dir.path().join("conf"), &variables), Stdio::piped()).wait()
}

fn get(dir: &RunDir, path: &str, query: &str) -> Answer {
    let ended = request(dir, "GET", path.as_bytes(), query.as_bytes());
    assert_eq!(ended.stderr, "", "{path}?{query}");
    let answer = read(&ended);
    assert_eq!(answer.header("Content-Length"), Some(&*answer.body.len().to_string()), "{answer:?}");
    answer
}

/// A ledger of a run that has ended, with a target that is up and one that is down.
fn ended_run(dir: &RunDir) {
    let (web, closed) = (Accepting::new(), Closed::new());
    let targets = format!("target web {}\ntarget a&b {}\n", web.address, closed.address).replace(':', " ");
    dir.write("conf", &format!("log_dir {}/log\nevents on\ntimes on\n{targets}", dir.path().display()));
    // On a busy machine ticks are skipped, which is said.
    assert_eq!(dir.run("run -q --for 1s --interval 20ms -c conf").code(), Some(0));
}

/// What there is below a directory: each name with its kind, size, inode and times.
fn listing(directory: &Path) -> Vec<(String, u32, u64, u64, i64, i64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("our own directory") {
        let path = entry.expect("our own directory").path();
        let status = fs::symlink_metadata(&path).expect("our own directory");
        let changed = (status.mtime_nsec() ^ status.mtime(), status.ctime_nsec() ^ status.ctime());
        let name = path.display().to_string();
        found.push((name, status.mode(), status.len(), status.ino(), changed.0, changed.1));
        if status.is_dir() {
            found.extend(listing(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn the_status_of_a_run_is_that_of_the_command_and_is_there_after_its_end_too() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let here = dir.path().display();
    dir.write("conf", &format!("log_dir {here}/log\ninterval 1h\ntarget web 127.0.0.1 {}\n", web.address.port()));
    let run = dir.start("run -q -c conf");
    crate::clock::wait_until("it is up", || dir.run("status -c conf").code() == Some(0));
    let answer = get(&dir, "/status.json", "");
    assert_eq!(answer.status(), "200 OK");
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.body, dir.run("status -j -c conf").stdout);
    assert_eq!(run.end().code(), Some(0));
    let answer = get(&dir, "/status.json", "_=17600&service=web&last=14d");
    assert_eq!((answer.status(), &answer.body), ("200 OK", &dir.run("status -j -c conf").stdout));
    assert!(answer.body.contains("\"run\":\"ended\""), "{answer:?}");
}

#[test]
fn the_page_is_about_the_daily_files() {
    let dir = RunDir::new();
    ended_run(&dir);
    let answer = get(&dir, "", "last=2h&service=web");
    assert_eq!((answer.status(), answer.header("Content-Type")), ("200 OK", Some("text/html; charset=utf-8")));
    assert!(answer.body.contains("<b>100.000 % available</b>: "), "{answer:?}");
    assert!(!answer.body.contains("a&amp;b</bdi></h2>"), "{answer:?}");
    assert!(get(&dir, "/", "").body.contains("a&amp;b</bdi></h2>"));
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused_with_what_would_be_right() {
    let dir = RunDir::new();
    ended_run(&dir);
    for (path, query, status, body) in [
        ("/x", "", "404 Not Found", "there is nothing here, only /, /metrics and /status.json\n"),
        ("/../../etc/passwd", "", "404 Not Found", "there is nothing here, only /, /metrics and /status.json\n"),
        ("/status.json", "service=none", "404 Not Found", "no target has this service\n"),
        ("/metrics", "service=web&service=none", "404 Not Found", "no target has this service\n"),
        (
            "/",
            "last=1",
            "400 Bad Request",
            "last is no time from 1m to 366d, write a number and its unit, like 90m, 24h or 14d\n",
        ),
        ("/", "service=%0d%0a", "400 Bad Request", "service is no name of a service, or is there too often\n"),
    ] {
        let answer = get(&dir, path, query);
        assert_eq!((answer.status(), answer.body.as_str()), (status, body), "{path}?{query}");
        assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    }
    let answer = get(&dir, "/status.json", "service=a%26b");
    assert!(answer.status() == "200 OK" && !answer.body.contains("\"web\""), "{answer:?}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "GET\r\nX: y"] {
        let answer = read(&request(&dir, method, b"/", b""));
        assert_eq!(
            (answer.status(), answer.header("Allow"), answer.body.as_str()),
            ("405 Method Not Allowed", Some("GET, HEAD"), "only GET and HEAD are answered\n")
        );
    }
}

#[test]
fn the_answer_to_head_is_that_to_get_without_its_content() {
    let dir = RunDir::new();
    ended_run(&dir);
    for (path, query) in
        [("", ""), ("/", "last=1h"), ("/metrics", ""), ("/status.json", ""), ("/x", ""), ("/", "last=x")]
    {
        let [mut whole, head] =
            ["GET", "HEAD"].map(|method| read(&request(&dir, method, path.as_bytes(), query.as_bytes())));
        assert!(!whole.body.is_empty(), "{path}?{query}");
        whole.body.clear();
        assert_eq!(head, whole, "{path}?{query}");
    }
}

#[test]
fn nothing_of_a_request_comes_into_its_answer_and_no_bytes_end_the_program() {
    let dir = RunDir::new();
    ended_run(&dir);
    let before = listing(dir.path());
    let hostile: [&[u8]; 10] = [
        b"/\r\nX-Evil: yes\r\n\r\n<script>alert(1)</script>",
        b"/metrics\nX-Evil: yes",
        b"\xff\xfe\x80evil",
        b"service=<script>evil</script>",
        b"service=evil%0d%0aX-Evil:%20yes",
        b"last=evil",
        b"service=%u0065vil",
        b"service=evil\xff",
        b"-o+/tmp/evil",
        &[b'%'; 100_000],
    ];
    for text in hostile {
        for (method, path, query) in [("GET", text, &b""[..]), ("GET", b"", text), ("HEAD", text, text)] {
            let ended = request(&dir, method, path, query);
            let answer = read(&ended);
            assert!(!ended.stdout.to_lowercase().contains("evil") && ended.stderr.is_empty(), "{ended:?}");
            let refused = ["400 Bad Request", "404 Not Found", "503 Service Unavailable", "200 OK"];
            assert!(refused.contains(&answer.status()), "{answer:?}");
        }
    }
    let variables: [(&str, &[u8]); 3] =
        [("REQUEST_METHOD", &[b'G'; 60_000]), ("PATH_INFO", b"/"), ("HTTP_HOST", b"evil")];
    let ended = dir.spawn(command(&dir.path().join("conf"), &variables), Stdio::piped()).wait();
    assert_eq!(read(&ended).status(), "405 Method Not Allowed");
    assert_eq!(listing(dir.path()), before);
}

#[test]
fn a_person_at_a_shell_needs_no_more_than_the_path() {
    let dir = RunDir::new();
    ended_run(&dir);
    let ended = dir.spawn(command(&dir.path().join("conf"), &[("PATH_INFO", b"/status.json")]), Stdio::piped()).wait();
    assert_eq!(read(&ended).status(), "200 OK");
}

/// The one line that is the answer and in the log of the web server.
fn unavailable(dir: &RunDir, ended: &Ended) -> String {
    let answer = read(ended);
    assert_eq!(answer.status(), "503 Service Unavailable", "{answer:?}");
    assert!(ended.stderr.ends_with(&answer.body) && answer.body.lines().count() == 1, "{ended:?}");
    answer.body.replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn without_a_ledger_or_a_configuration_the_answer_is_one_line_that_says_so() {
    let dir = RunDir::new();
    let ask = || request(&dir, "GET", b"/status.json", b"");
    let ended = ask();
    assert_eq!(
        unavailable(&dir, &ended),
        "tcpmon: cgi: the configuration does not say where the ledger is, tcpmon check shows why\n"
    );
    let here = dir.path().display();
    assert!(ended.stderr.contains(&format!("{here}/conf: cannot be read (No such file or directory)")), "{ended:?}");
    dir.write("conf", &format!("log_dir {here}/log\ntarget web 127.0.0.1 1\n"));
    let nothing = "tcpmon: cgi: DIR/log/tcpmon.ledger is not there or empty, no monitor has run with it, there is nothing to show\n";
    assert_eq!(unavailable(&dir, &ask()), nothing);
    fs::create_dir(dir.path().join("log")).expect("our own directory");
    let ledger = dir.path().join("log/tcpmon.ledger");
    fs::write(&ledger, "").expect("our own directory");
    assert_eq!(unavailable(&dir, &ask()), nothing);
    fs::write(&ledger, "no ledger").expect("our own directory");
    assert!(unavailable(&dir, &ask()).ends_with(", there is nothing to show\n"));
    fs::remove_file(&ledger).expect("our own directory");
    symlink("/etc/hostname", &ledger).expect("our own directory");
    assert_eq!(
        unavailable(&dir, &ask()),
        "tcpmon: cgi: DIR/log/tcpmon.ledger cannot be opened (it is a symbolic link, and none is followed), there is nothing to show\n"
    );
    // A mistake elsewhere in the configuration is the log's, and no reason to show nothing.
    fs::remove_file(&ledger).expect("our own directory");
    ended_run(&dir);
    let conf = fs::read_to_string(dir.path().join("conf")).expect("our own directory");
    dir.write("conf", &format!("{conf}intervall 1s\n"));
    let ended = ask();
    assert_eq!(read(&ended).status(), "200 OK");
    assert!(ended.stderr.contains("has 1 mistake, which tcpmon check shows"), "{ended:?}");
}

#[test]
fn a_ledger_that_the_user_of_the_web_server_cannot_read_is_said_with_what_to_do() {
    if !is_root() {
        return skip("cgi::a_ledger_that_the_user_of_the_web_server_cannot_read", "only root can become nobody");
    }
    let dir = open_dir();
    ended_run(&dir);
    let program = env!("CARGO_BIN_EXE_tcpmon");
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &NOBODY.to_string(), "--regid", &NOBODY.to_string(), "--clear-groups", "--", program]);
        command.args([OsStr::new("cgi"), OsStr::new("-c"), dir.path().join("conf").as_os_str()]);
        command.env("REQUEST_METHOD", "GET").env("PATH_INFO", "/status.json");
        dir.spawn(command, Stdio::piped()).wait()
    };
    if as_nobody().code() != Some(0) {
        return skip(
            "cgi::a_ledger_that_the_user_of_the_web_server_cannot_read",
            "another user cannot execute the program in this directory",
        );
    }
    let what_to_do = "there is nothing to show; let the web server run this as the ledger's user, or let cron write \
                      what it serves: tcpmon metrics -o FILE, tcpmon report --html -o FILE\n";
    assert_eq!(
        unavailable(&dir, &as_nobody()),
        format!("tcpmon: cgi: DIR/log/tcpmon.ledger cannot be opened (Permission denied), {what_to_do}")
    );
    let ledger = dir.path().join("log/tcpmon.ledger");
    let chmod = |mode| fs::set_permissions(&ledger, fs::Permissions::from_mode(mode)).expect("our own file");
    // One of root's is believed, that of a third user is not.
    chmod(0o644);
    assert_eq!(read(&as_nobody()).status(), "200 OK");
    std::os::unix::fs::chown(&ledger, Some(1), None).expect("we are root");
    assert_eq!(
        unavailable(&dir, &as_nobody()),
        format!("tcpmon: cgi: DIR/log/tcpmon.ledger belongs to another user, {what_to_do}")
    );
}

#[test]
fn a_reader_that_is_gone_is_a_failure_and_no_signal() {
    let dir = RunDir::new();
    ended_run(&dir);
    let (reader, writer) = nix::unistd::pipe().expect("descriptors are free");
    drop(reader);
    let running = dir.spawn(command(&dir.path().join("conf"), &[("PATH_INFO", b"/status.json")]), writer.into());
    assert_eq!(running.wait().outcome(), "exit 1");
}
