//! The script of the README that follows the events and calls for each: it runs as it stands there, under busybox.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tcpmon::model::log_names::Kind;
use tcpmon::sys::directory::Directory;

use crate::clock::wait_until;
use crate::namespace::skip;
use crate::running::RunDir;

const README: &str = include_str!("../../README.md");

/// What the script calls here in place of `wget`: it writes the message to a file. The first call of all fails.
const CALLED: &str = "\
while [ \"$1\" != --post-data ]; do shift; done
[ -e DIR/failed ] || { : >DIR/failed; exit 1; }
printf '%s\\n' \"$2\" >>DIR/calls
";

/// The script, as it is in the README.
fn script() -> String {
    let section = README.split("\n## To be called\n").nth(1).expect("the README has the section");
    let lines = section.lines().skip_while(|line| *line != "    #!/bin/sh");
    let lines = lines.map_while(|line| line.strip_prefix("    "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The script with this directory, and with a command that is there.
fn script_in(dir: &Path) -> String {
    let replaced = [("/var/log/tcpmon", "."), (" wget ", " DIR/called "), ("sleep 30", "sleep 0")];
    let script = replaced.iter().fold(script(), |script, (from, to)| {
        assert_eq!(script.matches(from).count(), 1, "{from} in {script}");
        script.replace(from, to)
    });
    script.replace("DIR", &dir.to_string_lossy())
}

/// Where busybox is, and its version: 1.35 is `(1, 35)`.
fn busybox() -> Option<(PathBuf, (u32, u32))> {
    let path = env::var_os("PATH")?;
    let busybox = env::split_paths(&path).map(|dir| dir.join("busybox")).find(|path| path.exists())?;
    let said = Command::new(&busybox).output().ok()?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut numbers = said.strip_prefix("BusyBox v")?.split(['.', ' ']).map(|number| number.parse());
    Some((busybox, (numbers.next()?.ok()?, numbers.next()?.ok()?)))
}

/// The script's processes. Dropping the value ends them.
struct Following(Child);

impl Following {
    /// Starts the script in a directory. It finds no other programs than those of busybox.
    fn start(dir: &Path, busybox: &Path) -> Self {
        let bin = dir.join("bin");
        fs::create_dir(&bin).expect("our own directory");
        for applet in ["sh", "tail", "sleep"] {
            symlink(busybox, bin.join(applet)).expect("our own directory");
        }
        let called = CALLED.replace("DIR", &dir.to_string_lossy());
        fs::write(dir.join("called"), format!("#!{}/sh\n{called}", bin.display())).expect("our own directory");
        fs::set_permissions(dir.join("called"), fs::Permissions::from_mode(0o755)).expect("our own file");
        fs::write(dir.join("script"), script_in(dir)).expect("our own directory");
        let mut command = Command::new(bin.join("sh"));
        command.arg("script").current_dir(dir).env_clear().env("PATH", &bin).stdin(Stdio::null()).process_group(0);
        Self(command.spawn().expect("busybox starts"))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = signal::killpg(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// The directory of the events, as the monitor would write it.
struct Events<'a>(&'a RunDir);

impl Events<'_> {
    /// Appends these lines to a day's file in one write.
    fn append(&self, file: &str, lines: &[&str]) {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let file = File::options().create(true).append(true).open(self.0.path().join(file));
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("our own directory");
    }

    /// Makes the link to the latest file one to this file, as the monitor does.
    fn link(&self, file: &str) {
        let directory = Directory::open(&self.0.path().to_string_lossy()).expect("our own directory");
        directory.replace_link(Kind::Events.latest(), file, Kind::Events.latest_new()).expect("our own directory");
    }

    /// The messages so far, without those that ask whether the script follows yet.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.0.path().join("calls")).unwrap_or_default();
        calls.lines().filter(|call| !call.starts_with("ready ")).map(str::to_string).collect()
    }

    /// Waits for as many calls as these, and checks that they are these.
    fn expect(&self, messages: &[&str]) {
        wait_until("it has called", || self.calls().len() >= messages.len());
        assert_eq!(self.calls(), messages);
    }
}

const FIRST: &str = "tcp_events_20251009.log";
const SECOND: &str = "tcp_events_20251010.log";
const THIRD: &str = "tcp_events_20251011.log";

#[test]
fn the_script_of_the_readme_calls_once_for_each_line_across_midnight() {
    let Some((busybox, version)) = busybox() else {
        return skip("the_script_of_the_readme_calls_once_for_each_line_across_midnight", "there is no busybox");
    };
    let dir = RunDir::new();
    let events = Events(&dir);
    events.append(FIRST, &["2025-10-09T14:00:00+03:00 | down | before | h:1 | connect timed out, since x, 3 failed"]);
    events.link(FIRST);
    let _following = Following::start(dir.path(), &busybox);
    wait_until("the script follows", || {
        events.append(FIRST, &["2025-10-09T14:00:01+03:00 | up | ready | h:1 | connected"]);
        fs::exists(dir.path().join("calls")).expect("our own directory")
    });
    assert!(fs::exists(dir.path().join("failed")).expect("our own directory"), "the first call fails");

    let mut messages = vec![
        "web is down - web.example:443 - connect refused by 192.0.2.7, since 2025-10-09T14:28:08+03:00, 3 failed",
        r#"a b' "c" $(touch x) \n * is up - [2001:db8::5]:443 - connected to 2001:db8::5 in 11.1 ms, down for 312 s since 2025-10-09T14:28:08+03:00, 156 failed"#,
    ];
    events.append(
        FIRST,
        &[
            "2025-10-09T14:28:12+03:00 | start | - | - | tcpmon 0.2.0, 14 targets",
            "2025-10-09T14:28:12+03:00 | down | web | web.example:443 | connect refused by 192.0.2.7, since 2025-10-09T14:28:08+03:00, 3 failed",
            "2025-10-09T14:28:12+03:00 | address | down | up:1 | 192.0.2.1 -> 198.51.100.7",
            r#"2025-10-09T14:33:20+03:00 | up | a b' "c" $(touch x) \n * | [2001:db8::5]:443 | connected to 2001:db8::5 in 11.1 ms, down for 312 s since 2025-10-09T14:28:08+03:00, 156 failed"#,
            "2025-10-09T14:33:20+03:00 | flapping | web | web.example:443 | 12 more changes in this minute, now down",
        ],
    );
    events.expect(&messages);
    // Hours later, at midnight.
    events.append(
        SECOND,
        &["2025-10-10T00:00:00+03:00 | down | first of a day | h:1 | lookup timed out, since x, 3 failed"],
    );
    events.link(SECOND);
    events.append(SECOND, &["2025-10-10T00:00:01+03:00 | stop | - | - | 14 targets, 3 down"]);
    events.append(SECOND, &["2025-10-10T00:00:01+03:00 | up | second of it | h:1 | connected to ::1 in 0.1 ms"]);
    messages.push("first of a day is down - h:1 - lookup timed out, since x, 3 failed");
    messages.push("second of it is up - h:1 - connected to ::1 in 0.1 ms");
    events.expect(&messages);
    // Lines just before and after midnight, and many of them.
    let many: Vec<String> = (0..50).map(|i| format!("2025-10-10T23:59:59+03:00 | down | s{i} | h:{i} | x")).collect();
    events.append(SECOND, &many.iter().map(String::as_str).collect::<Vec<_>>());
    let of_many: Vec<String> = (0..50).map(|i| format!("s{i} is down - h:{i} - x")).collect();
    messages.extend(of_many.iter().map(String::as_str));
    if version < (1, 34) {
        // See the README.
        events.expect(&messages);
    }
    events.append(THIRD, &["2025-10-11T00:00:00+03:00 | up | s0 | h:0 | y"]);
    events.link(THIRD);
    messages.push("s0 is up - h:0 - y");
    events.expect(&messages);
    // One line more, so that another call for an earlier line would be seen.
    events.append(THIRD, &["2025-10-11T00:00:00+03:00 | down | last | h:0 | z"]);
    messages.push("last is down - h:0 - z");
    events.expect(&messages);
    let expected = ["bin", "called", "calls", "failed", "script", FIRST, SECOND, THIRD, Kind::Events.latest()];
    let left = fs::read_dir(dir.path()).expect("our own directory");
    let left: Vec<_> = left.map(|entry| entry.expect("it is there").file_name()).collect();
    assert!(left.iter().all(|name| expected.iter().any(|known| name == known)), "{left:?}");
}

#[test]
fn the_script_has_about_ten_lines() {
    let script = script();
    assert!((8..=12).contains(&script.lines().count()), "{script}");
}
