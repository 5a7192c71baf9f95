//! Namespaces of a worker: its own users, processes, mounts and network, so that what a hole lets through stays inside.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::scene::{NOBODY, OTHER, USER};

/// How each form of the command ends.
const NEW: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// A command that runs another one in new namespaces, if one works here. Root comes first: a device that has a driver
/// can be made and opened only by the real root.
pub fn form() -> Option<Vec<&'static str>> {
    const FORMS: [&[&str]; 3] =
        [&["unshare"], &["unshare", "--user", "--map-root-user", "--map-auto"], &["sudo", "-n", "unshare"]];
    let trial = format!(
        "ip link set lo up && mount -t tmpfs none /tmp && cd /tmp && touch a b c && chown {USER} a && chown {OTHER} b && \
         chown {NOBODY} c"
    );
    let mut forms = FORMS.into_iter().map(|form| [form, &NEW].concat());
    forms.find(|form| {
        let mut unshare = Command::new(form[0]);
        unshare.args(&form[1..]).args(["sh", "-c", &trial]).stdout(Stdio::null()).stderr(Stdio::null());
        unshare.status().is_ok_and(|status| status.success())
    })
}

/// Says that nothing can be tried here; an error with TCPMON_NO_SKIP.
pub fn skip(why: &str) -> Result {
    if env::var_os("TCPMON_NO_SKIP").is_some() {
        return Err(format!("nothing was tried: {why}").into());
    }
    eprintln!("SKIPPED: nothing was tried: {why}");
    Ok(())
}

/// Prepares the namespaces from inside: a file system in memory at `root`, which every user can reach, and a /dev with a
/// system log of its own. Returns the socket of that log.
pub fn set_up(root: &Path) -> Result<UnixDatagram> {
    let root = root.display();
    run("ip link set lo up")?;
    run(&format!("mount -t tmpfs -o mode=755 none {root}"))?;
    let dev = format!("{root}/dev");
    fs::create_dir(&dev)?;
    run(&format!("mount -t tmpfs -o mode=755 none {dev}"))?;
    for name in ["null", "zero", "full", "random", "urandom"] {
        File::create(format!("{dev}/{name}"))?;
        run(&format!("mount --bind /dev/{name} {dev}/{name}"))?;
    }
    run(&format!("mount --rbind {dev} /dev"))?;
    let log = UnixDatagram::bind("/dev/log")?;
    log.set_nonblocking(true)?;
    fs::set_permissions("/dev/log", fs::Permissions::from_mode(0o666))?;
    // No resolver, so that a name fails at once.
    fs::write(format!("{root}/resolv.conf"), "nameserver 127.0.0.1\n")?;
    if Path::new("/etc/resolv.conf").exists() {
        run(&format!("mount --bind {root}/resolv.conf /etc/resolv.conf"))?;
    }
    Ok(log)
}

fn run(command: &str) -> Result {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap_or_default()).args(words).status();
    let status = status.map_err(|error| format!("{command}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command}: {status}").into()) }
}
