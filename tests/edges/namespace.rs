//! Namespaces for tests: each has its own loopback, routes, resolver configuration and mounts.
//!
//! A process with threads cannot enter a user namespace. So a test that needs one runs the test
//! binary again under `unshare`, for this test only. Where the kernel or a sandbox forbids that, the
//! test says so on stderr and passes; with `TCPMON_NO_SKIP=1` it fails.

use std::any::type_name;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::clock;

/// The environment variable that names the test of a process inside.
const INSIDE: &str = "TCPMON_EDGE";
/// More than any test needs: a test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body`, a closure in the test function, in a new namespace. Fails if it fails.
pub fn within<F: FnOnce()>(body: F) {
    let test = name_of::<F>();
    if env::var(INSIDE).is_ok_and(|inside| inside == test) {
        set_up();
        body();
    } else if let Some(unshare) = unshare() {
        run_inside(unshare, test);
    } else {
        skip(test, "no user, network and mount namespace can be made here");
    }
}

/// Says that a test, or the rest of it, cannot run here.
pub fn skip(test: &str, why: &str) {
    assert!(env::var("TCPMON_NO_SKIP").is_err(), "{test} was skipped: {why}");
    // Not `eprintln!`: the harness would swallow it, because the test passes.
    let line = format!("SKIPPED: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
}

/// Runs `ip` with these arguments. Returns whether it succeeded.
pub fn ip(arguments: &str) -> bool {
    runs("ip", arguments)
}

fn mount(arguments: &str) {
    assert!(runs("mount", arguments), "mount {arguments}");
}

/// A file system in memory (tmpfs). Dropping the value unmounts it, so that its directory can be removed.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one of this size over the directory.
    pub fn mounted(directory: &Path, size: &str) -> Self {
        mount(&format!("-t tmpfs -o size={size} none {}", directory.display()));
        Self(directory.to_owned())
    }

    /// Makes it read-only with `ro`, writable with `rw`.
    pub fn remount(&self, how: &str) {
        mount(&format!("-o remount,bind,{how} {}", self.0.display()));
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        runs("umount", &self.0.display().to_string());
    }
}

fn runs(program: &str, arguments: &str) -> bool {
    let status = Command::new(program).args(arguments.split_whitespace()).status();
    status.is_ok_and(|status| status.success())
}

/// The test's name, from the name of its closure's type: `edges::lookup::a_test::{{closure}}`.
fn name_of<F>() -> &'static str {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").map(|(_, name)| name).expect("a path begins with the crate's name")
}

/// The arguments of `unshare` that work here. A user namespace is tried first: in it, root and other
/// users have the same rights.
fn unshare() -> Option<&'static [&'static str]> {
    static WORKS: OnceLock<Option<&[&str]>> = OnceLock::new();
    const FORMS: [&[&str]; 2] = [&["--user", "--map-root-user", "--net", "--mount"], &["--net", "--mount"]];
    *WORKS.get_or_init(|| {
        FORMS.into_iter().find(|form| {
            let mut trial = Command::new("unshare");
            trial.args(*form).args(["sh", "-c", "ip link set lo up && mount -t tmpfs none /tmp"]);
            trial.stdout(Stdio::null()).stderr(Stdio::null());
            trial.status().is_ok_and(|status| status.success())
        })
    })
}

fn run_inside(unshare: &[&str], test: &str) {
    let mut child = Command::new("unshare")
        .args(unshare)
        .arg(env::current_exe().expect("the test binary has a path"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare ran before");
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let end = clock::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break Some(status);
        }
        if clock::now() > end {
            // The processes that it started end with it: see `set_up` and `running`.
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
            break None;
        }
        clock::a_moment();
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    match status {
        None => panic!("not done after {LIMIT:?}, inside its namespace:\n{stdout}\n{stderr}"),
        Some(status) if !status.success() => panic!("inside its namespace, {status}:\n{stdout}\n{stderr}"),
        Some(_) => assert!(stdout.contains("1 passed"), "no test is called {test}:\n{stdout}"),
    }
    for line in stderr.lines().filter(|line| line.starts_with("SKIPPED: ")) {
        std::io::stderr().write_all(format!("{line}\n").as_bytes()).expect("stderr is open");
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn set_up() {
    // The thread that waits for this process is the test: without it the result is useless.
    prctl::set_pdeathsig(Signal::SIGKILL).expect("SIGKILL is a signal");
    assert!(ip("link set lo up"));
    // Some resolvers ask only for the families that this machine has an address of, and loopback does
    // not count.
    assert!(ip("address add 192.0.2.1/32 dev lo"));
    ip("-6 address add 2001:db8::1/128 dev lo nodad");

    // The directory is removed at the end of this function: a mount keeps its file.
    let files = tempfile::tempdir().expect("a temporary directory");
    // One server, and no search list from this machine's own domain.
    put(&files, "resolv.conf", "nameserver 127.0.0.1\nsearch .\n");
    put(&files, "hosts", "127.0.0.1 localhost\n");
    put(&files, "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    // A name service cache would answer from outside the namespace.
    for cache in ["/run/nscd", "/var/run/nscd"] {
        if Path::new(cache).is_dir() {
            mount(&format!("-t tmpfs none {cache}"));
        }
    }
}

fn put(files: &tempfile::TempDir, name: &str, text: &str) {
    let file = files.path().join(name);
    fs::write(&file, text).expect("a new file");
    let target = format!("/etc/{name}");
    if Path::new(&target).exists() {
        mount(&format!("--bind {} {target}", file.display()));
    }
}
