//! A network namespace with its own loopback and resolver configuration: port 53 is free, no other
//! process sends, and tracing is allowed.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{INSIDE, Result};

/// The usual default limit of open descriptors.
const DESCRIPTORS: u64 = 1024;

/// Runs this program again in a new namespace, with these arguments. If that or strace does not work
/// here, prints so; with TCPMON_NO_SKIP it is an error.
pub fn enter(words: &[String]) -> Result {
    const FORMS: [&[&str]; 2] = [&["--user", "--map-root-user", "--net", "--mount"], &["--net", "--mount"]];
    if !works("strace", &["-V"]) {
        return skip("strace is not installed; Debian has it in the package strace");
    }
    let trial =
        "ip link set lo up && mount -t tmpfs none /tmp && strace -o /dev/null -e inject=getpid:error=EPERM true";
    let works_here = |form: &&&[&str]| works("unshare", &[form, &["sh", "-c", trial][..]].concat());
    let Some(form) = FORMS.iter().find(works_here) else {
        return skip("user, network and mount namespaces, or strace, do not work here");
    };
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new("unshare").args(*form).arg(this).arg(INSIDE).args(words).status();
    let status = status.map_err(|error| format!("unshare does not run: {error}"))?;
    // The process inside has printed what was wrong.
    if status.success() { Ok(()) } else { Err(String::new()) }
}

fn works(command: &str, arguments: &[&str]) -> bool {
    let status = Command::new(command).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn skip(why: &str) -> Result {
    if env::var_os("TCPMON_NO_SKIP").is_some() {
        return Err(format!("nothing was tried: {why}"));
    }
    eprintln!("SKIPPED: nothing was tried: {why}");
    Ok(())
}

/// Prepares the namespace from inside.
pub fn set_up() -> Result {
    // A helper may have to close every possible descriptor, one by one.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|errno| errno.desc())?;
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(DESCRIPTORS), hard).map_err(|errno| errno.desc())?;
    run("ip", "link set lo up")?;
    // A resolver may ask only for families of which this machine has an address other than loopback.
    run("ip", "address add 192.0.2.1/32 dev lo")?;
    // The directory may be deleted on return: a bind mount keeps its file.
    let files = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    for (name, text) in [
        ("resolv.conf", "nameserver 127.0.0.1\nsearch .\n"),
        ("hosts", "127.0.0.1 localhost\n"),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ] {
        let (file, path) = (files.path().join(name), format!("/etc/{name}"));
        fs::write(&file, text).map_err(|error| format!("{name}: {error}"))?;
        if fs::exists(&path).unwrap_or(false) {
            run("mount", &format!("--bind {} {path}", file.display()))?;
        }
    }
    // A name service cache would answer from outside the namespace.
    for cache in ["/run/nscd", "/var/run/nscd"] {
        if fs::exists(cache).unwrap_or(false) {
            run("mount", &format!("-t tmpfs none {cache}"))?;
        }
    }
    Ok(())
}

fn run(command: &str, arguments: &str) -> Result {
    let status = Command::new(command).args(arguments.split(' ')).status();
    let status = status.map_err(|error| format!("{command} does not run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command} {arguments}: {status}")) }
}
