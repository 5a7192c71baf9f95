//! The real web servers of routers ask `tcpmon cgi`, by the wrapper that is shipped, while a monitor probes: busybox httpd
//! and lighttpd.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::clock::wait_until;
use crate::listener::{Accepting, Closed};
use crate::namespace::skip;
use crate::running::{RunDir, rows_in, total};

const WRAPPER: &str = include_str!("../../src/fleet/tcpmon.cgi");

/// How many requests a server gets, from so many clients at the same time.
const REQUESTS: usize = 200;
const CLIENTS: usize = 4;

/// What a server answers.
#[derive(Debug)]
struct Response {
    head: String,
    body: String,
}

impl Response {
    /// Asks and reads to the end.
    fn to(port: u16, method: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("not zero");
        // lighttpd refuses a POST without a length itself.
        let head =
            format!("{method} /cgi-bin/tcpmon.cgi{path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("it is open");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("a whole answer in UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: no head: {text:?}"));
        Self { head: head.to_owned(), body: body.to_owned() }
    }

    /// `200`
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next().unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert_eq!(values.next(), None, "{name} twice: {self:?}");
        value
    }
}

/// The requests, with the status of each answer; they come in turn.
const ASKED: [(&str, &str, &str); 8] = [
    ("GET", "/status.json", "200"),
    ("GET", "/status.json?service=a%26b&last=7d&_=1", "200"),
    ("HEAD", "/status.json", "200"),
    ("GET", "/metrics", "200"),
    ("GET", "", "200"),
    ("GET", "?last=1", "400"),
    ("GET", "/x", "404"),
    ("POST", "/metrics", "405"),
];

fn check(port: u16, number: usize) {
    let (method, path, status) = ASKED[number % ASKED.len()];
    let response = Response::to(port, method, path);
    let what = format!("{method} {path}: {response:?}");
    assert_eq!(response.status(), status, "{what}");
    let length: usize = response.header("Content-Length").parse().expect("a number");
    assert_eq!(response.body.len(), if method == "HEAD" { 0 } else { length }, "{what}");
    for (name, value) in [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")] {
        assert_eq!(response.header(name), value, "{what}");
    }
    assert!(response.header("Content-Security-Policy").starts_with("default-src 'none';"), "{what}");
    match (method, path.split('?').next().unwrap_or_default(), status) {
        ("GET", "/status.json", _) => {
            let json: serde_json::Value = serde_json::from_str(&response.body).expect("JSON");
            let targets = json["targets"].as_array().expect("targets");
            let states: Vec<_> =
                targets.iter().map(|target| (target["service"].as_str(), target["state"].as_str())).collect();
            let down = (Some("a&b"), Some("down"));
            let all = [(Some("web"), Some("up")), down];
            assert_eq!(states, if path.contains('?') { &all[1..] } else { &all[..] }, "{what}");
            assert_eq!(json["run"], "running", "{what}");
        }
        ("GET", "/metrics", _) => {
            assert!(response.body.contains("\ntcpmon_running 1\n") && response.body.ends_with('\n'), "{what}");
        }
        ("GET", "", "200") => assert!(response.body.ends_with("</html>\n"), "{what}"),
        _ => {}
    }
}

/// The processes that have this text in their command line.
fn processes_with(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("proc(5) is mounted").filter_map(Result::ok);
    let lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(text)).map(|line| line.replace('\0', " ")).collect()
}

/// Where a program is. Debian has servers where a user's PATH does not lead.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').map(|directory| Path::new(directory).join(program)).find(|path| path.is_file())
}

/// Lets a server serve in a directory on a port, which `command` tells it, while a monitor probes.
fn serves(program: &str, test: &str, command: fn(&Path, &RunDir, u16) -> Command) {
    let Some(program) = find(program) else { return skip(test, &format!("{program} is not installed")) };
    let (web, closed) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    let here = dir.path().display();
    let (accepting, refusing) = (web.address.port(), closed.address.port());
    let targets = format!("target web 127.0.0.1 {accepting}\ntarget a&b 127.0.0.1 {refusing}\n");
    dir.write("tcpmon.conf", &format!("log_dir {here}/log\ninterval 100ms\nreport 1s\nevents on\n{targets}"));
    fs::create_dir(dir.path().join("cgi-bin")).expect("our own directory");
    let wrapper = WRAPPER.replace("/usr/local/sbin/tcpmon", env!("CARGO_BIN_EXE_tcpmon"));
    dir.write("cgi-bin/tcpmon.cgi", &wrapper.replace("/etc/", &format!("{here}/")));
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path().join("cgi-bin/tcpmon.cgi"), executable).expect("our own directory");

    let run = dir.start(&format!("run -q -c {here}/tcpmon.conf"));
    wait_until("both states are known", || dir.run(&format!("status -c {here}/tcpmon.conf")).code() == Some(2));
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let server = dir.spawn(command(&program, &dir, port), Stdio::piped());
    wait_until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || (0..REQUESTS / CLIENTS).for_each(|number| check(port, client + number)));
        }
    });
    drop(server);
    let config = format!("cgi\0-c\0{here}/tcpmon.conf");
    wait_until("no answer is left", || processes_with(&config).is_empty());
    let ended = run.end();
    assert_eq!(ended.outcome(), "exit 0");
    let rows = rows_in(&dir.path().join("log"));
    assert_eq!(total(&rows, "web"), web.total() as u64, "a probe is lost");
    // Each tick is a probe, or on a busy machine a skip, for both but perhaps at the last one.
    let json = dir.run(&format!("status -j -c {here}/tcpmon.conf")).json();
    let ticks = [("web", 0), ("a&b", 1)].map(|(service, number)| {
        total(&rows, service) + json["targets"][number]["skipped"].as_u64().expect("a number")
    });
    assert!(ticks[0].abs_diff(ticks[1]) <= 1 && ticks[0] > 3, "a tick is lost: {ticks:?}");
}

#[test]
fn busybox_httpd_serves_every_answer_while_a_monitor_probes() {
    serves("busybox", "servers::busybox_httpd_serves_every_answer", |program, dir, port| {
        let mut command = Command::new(program);
        command.args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"]).arg(dir.path());
        command
    });
}

#[test]
fn lighttpd_serves_every_answer_while_a_monitor_probes() {
    serves("lighttpd", "servers::lighttpd_serves_every_answer", |program, dir, port| {
        let here = dir.path().display();
        dir.write(
            "lighttpd.conf",
            &format!(
                "server.modules = (\"mod_cgi\")\nserver.document-root = \"{here}\"\nserver.bind = \"127.0.0.1\"\n\
                 server.port = {port}\nserver.errorlog = \"{here}/lighttpd.log\"\ncgi.assign = (\".cgi\" => \"\")\n"
            ),
        );
        let mut command = Command::new(program);
        command.args(["-D", "-f"]).arg(dir.path().join("lighttpd.conf"));
        command
    });
}
